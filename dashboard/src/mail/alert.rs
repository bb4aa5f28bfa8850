//! What is unusual on a site: few kinds, each at most once a day, told from totals and from groups as viewers see them.
//!
//! | kind | when |
//! |---|---|
//! | more visitors | an hour had more than [`TIMES`] times the median of that hour in the four weeks before, and [`VISITORS_MIN`] |
//! | fewer visitors | yesterday had less than a third of the median of the same day of the week, four times, which is [`VISITORS_MIN`] or more |
//! | silence | nothing was counted for 24 hours where a day usually has [`VISITS_MIN`] visits |
//! | a goal | a group reached it today, and none in the four weeks before |
//! | pages not found | a group came to one yesterday, and none in the four weeks before |
//! | fewer who agree | of 50 or more decisions of yesterday, less than half of the usual share agreed to analytics |
//! | a slow site | a quarter of yesterday's page views had a poor core web vital, and usually they have not |
//!
//! An hour is looked at once it is over, and what is older than [`FRESH_MS`] is news no more.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

use jiff::{SignedDuration, ToSpan, Zoned, civil::Date};
use sotto_schema::{id::SiteId, site::Site};
use sotto_store::{
    db::Db,
    goal::{self, Goal},
};

use super::{
    schedule,
    summary::{SummaryError, plain},
};
use crate::{
    figures::{counted, grouped},
    filter::Filters,
    range::Range,
    report::{
        Counts, Dimension, List, Metric, Query, ROWS_MAX, Reports, Rows, Scope, Sources, goals::completed,
        lists,
    },
};

mod morning;

/// How many times the usual is unusual.
const TIMES: u64 = 3;
/// The fewest visitors of an hour that are many, and of a day that can be missed.
const VISITORS_MIN: u64 = 50;
/// The fewest visits of a day whose absence is told.
const VISITS_MIN: u64 = 20;
/// Days with which is compared.
const DAYS: i32 = 28;
/// The fewest days from which something is usual.
const DAYS_MIN: usize = 14;
/// How old news may be, in milliseconds.
const FRESH_MS: i64 = 3 * HOUR_MS;
/// Time in which the last hits of an hour arrive.
const ARRIVAL: SignedDuration = SignedDuration::from_mins(5);
const HOUR_MS: i64 = 3_600_000;

/// Something unusual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alert {
    /// What letters about it are filed under: its kind and day.
    pub(crate) name: String,
    /// In a few words.
    pub(crate) title: String,
    /// In a sentence or two.
    pub(crate) text: String,
    /// The page that says more, below the site's.
    pub(crate) page: &'static str,
    /// The day that it is about.
    pub(crate) day: Date,
    /// Since when it can be told, in milliseconds since 1970-01-01 UTC.
    pub(crate) since_ms: i64,
}

/// What was found on sites in the hour in which they were looked at last.
#[derive(Default)]
pub(crate) struct Watch(Mutex<HashMap<SiteId, (i64, Vec<Alert>)>>);

impl Watch {
    /// What is unusual on a site now: looked up once an hour. What cannot be looked up is not told, this time.
    pub(crate) async fn look(&self, db: &Db, site: &Site, now: &Zoned) -> Vec<Alert> {
        let now = now.saturating_sub(ARRIVAL);
        let hour = now.timestamp().as_millisecond().div_euclid(HOUR_MS);
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&site.id).cloned();
        if let Some((seen, alerts)) = known
            && seen == hour
        {
            return alerts;
        }
        match read(&Reports::new(db.clone()), site, &now).await {
            Ok(alerts) => {
                let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                all.insert(site.id, (hour, alerts.clone()));
                alerts
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, site = site.key, "what is unusual cannot be looked up, trying again");
                Vec::new()
            }
        }
    }
}

async fn read(db: &Reports, site: &Site, now: &Zoned) -> Result<Vec<Alert>, SummaryError> {
    let today = now.date();
    // Up to the same day of the week before yesterday's fourth.
    let range = Range { from: today.saturating_sub((DAYS + 1).days()), to: today };
    let scope = Scope { site: site.id, time_zone: site.time_zone.clone() };
    let query = Query::totals(scope, range, Filters::default());
    let sources = Sources::of(db, &query.scope, range).await?;
    let hours = List { by: Dimension::Hour, sort: Metric::Visitors, limit: ROWS_MAX, entries: false };
    let mut answer = lists(db, &sources, &query, &[hours], false).await?;
    let hours = answer.lists.pop().map_or_else(Vec::new, |(rows, _)| rows);
    let mut alerts = unusual(&Seen::of(&hours, &answer.days), now);
    if let Some(morning) = Morning::of(now) {
        alerts.extend(morning::read(db, &sources, &query, morning).await?);
    }
    let goals = goal::all(db, site.id).await?;
    if !goals.is_empty() {
        let of = |range| Query { range, ..query.clone() };
        let before = Range { from: range.from, to: today.saturating_sub(1.day()) };
        let (now_reached, before_reached) = (of(Range::day(today)), of(before));
        let (reached, earlier) = tokio::try_join!(
            completed(db, &sources, &now_reached, &goals),
            completed(db, &sources, &before_reached, &goals)
        )?;
        alerts.extend(first_reached(&goals, &reached, &earlier, now));
    }
    Ok(alerts)
}

/// What was counted by hour and day.
struct Seen {
    hours: BTreeMap<(Date, i8), Counts>,
    days: BTreeMap<Date, Counts>,
}

impl Seen {
    fn of(hours: &Rows, days: &Rows) -> Self {
        let hour = |at: &str| Some((at.get(..10)?.parse().ok()?, at.get(11..13)?.parse().ok()?));
        Self {
            hours: hours.iter().filter_map(|(at, counts)| Some((hour(at)?, *counts))).collect(),
            days: days.iter().filter_map(|(at, counts)| Some((at.parse().ok()?, *counts))).collect(),
        }
    }

    fn hour(&self, day: Date, hour: i8) -> Counts {
        self.hours.get(&(day, hour)).copied().unwrap_or_default()
    }

    fn day(&self, day: Date) -> Counts {
        self.days.get(&day).copied().unwrap_or_default()
    }

    /// The days before `day` from which something is usual; none if they are too few.
    fn usual_days(&self, day: Date) -> Vec<Date> {
        let Some((first, _)) = self.days.iter().find(|(_, counts)| counts.pageviews > 0) else {
            return Vec::new();
        };
        let days: Vec<Date> =
            (1..=DAYS).map(|age| day.saturating_sub(age.days())).filter(|day| day >= first).collect();
        if days.len() < DAYS_MIN { Vec::new() } else { days }
    }
}

/// The middle of some figures, the lesser one of two; 0 of none.
fn median(mut figures: Vec<u64>) -> u64 {
    figures.sort_unstable();
    figures.get(figures.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}

/// What is unusual at a moment.
fn unusual(seen: &Seen, now: &Zoned) -> Vec<Alert> {
    [spike(seen, now), drop_of_yesterday(seen, now), silence(seen, now)].into_iter().flatten().collect()
}

/// The start of the hour that is so many hours ago.
fn hour_ago(now: &Zoned, hours: i64) -> Zoned {
    let past = now.saturating_sub(SignedDuration::from_hours(hours));
    let time = past.time();
    past.saturating_sub(SignedDuration::from_secs(i64::from(time.minute()) * 60 + i64::from(time.second())))
}

fn spike(seen: &Seen, now: &Zoned) -> Option<Alert> {
    // The first of the day is told.
    (1..=FRESH_MS / HOUR_MS).rev().find_map(|ago| {
        let start = hour_ago(now, ago);
        let (day, hour) = (start.date(), start.hour());
        let days = seen.usual_days(day);
        let visitors = seen.hour(day, hour).visitors;
        let usual = median(days.iter().map(|day| seen.hour(*day, hour).visitors).collect());
        let many = visitors >= VISITORS_MIN && visitors > TIMES * usual && !days.is_empty();
        many.then(|| Alert {
            name: format!("{day} spike"),
            title: "more visitors than usual".to_owned(),
            text: format!(
                "From {hour}:00 to {hour}:59 on {}, {} came. In the four weeks before, it was usually {}.",
                day.strftime("%A, %-d %B"),
                counted(visitors, "visitor"),
                grouped(usual)
            ),
            page: "",
            day,
            since_ms: start.timestamp().as_millisecond() + HOUR_MS,
        })
    })
}

/// The time at which a day is told that is over.
#[derive(Debug, Clone, Copy)]
struct Morning {
    /// The day.
    day: Date,
    /// When it can be told, in milliseconds since 1970-01-01 UTC.
    since_ms: i64,
}

impl Morning {
    fn of(now: &Zoned) -> Option<Self> {
        let today = now.date();
        let due = today.to_datetime(jiff::civil::time(schedule::HOUR, 0, 0, 0));
        let since_ms = due.to_zoned(now.time_zone().clone()).ok()?.timestamp().as_millisecond();
        let age = now.timestamp().as_millisecond() - since_ms;
        (0..FRESH_MS).contains(&age).then(|| Self { day: today.saturating_sub(1.day()), since_ms })
    }
}

fn drop_of_yesterday(seen: &Seen, now: &Zoned) -> Option<Alert> {
    let Morning { day, since_ms } = Morning::of(now)?;
    if seen.usual_days(day).is_empty() {
        return None;
    }
    let weeks = (1..=4).map(|weeks| seen.day(day.saturating_sub((7 * weeks).days())).visitors);
    let usual = median(weeks.collect());
    let visitors = seen.day(day).visitors;
    let few = usual >= VISITORS_MIN && visitors * TIMES < usual && visitors > 0;
    few.then(|| Alert {
        name: format!("{day} drop"),
        title: "fewer visitors than usual".to_owned(),
        text: format!(
            "On {}, {} came. On this day of the week, it is usually {}.",
            day.strftime("%A, %-d %B"),
            counted(visitors, "visitor"),
            grouped(usual)
        ),
        page: "",
        day,
        since_ms,
    })
}

fn silence(seen: &Seen, now: &Zoned) -> Option<Alert> {
    let ((day, hour), _) = seen.hours.iter().rev().find(|(_, counts)| counts.pageviews > 0)?;
    let last = day.to_datetime(jiff::civil::time(*hour, 0, 0, 0)).to_zoned(now.time_zone().clone()).ok()?;
    let since_ms = last.timestamp().as_millisecond() + 25 * HOUR_MS;
    let age = now.timestamp().as_millisecond() - since_ms;
    let usual = median(seen.usual_days(*day).iter().map(|day| seen.day(*day).visits).collect());
    let silent = (0..schedule::LATE_MS).contains(&age) && usual >= VISITS_MIN;
    silent.then(|| Alert {
        name: format!("{day} silence"),
        title: "nothing was counted for a day".to_owned(),
        text: format!(
            "Since {hour}:59 on {}, nothing was counted. A day usually has {}. Perhaps the script is no longer in the pages, or it does not reach Sotto.",
            day.strftime("%A, %-d %B"),
            counted(usual, "visit")
        ),
        page: "",
        day: *day,
        since_ms,
    })
}

/// Goals that a group reached today, and none in the four weeks before.
fn first_reached(goals: &[Goal], today: &[Counts], before: &[Counts], now: &Zoned) -> Vec<Alert> {
    let day = now.date();
    let first = |(goal, (today, before)): (&Goal, (&Counts, &Counts))| {
        let visits = today.of_groups().visits;
        (visits > 0 && before.of_groups().visits == 0).then(|| Alert {
            name: format!("{day} goal {}", goal.id),
            title: format!("the goal “{}” is reached", plain(&goal.name)),
            text: format!(
                "About {} reached it on {}. In the four weeks before, too few did to be told.",
                counted(visits, "visit"),
                day.strftime("%A, %-d %B")
            ),
            page: "/goals",
            day,
            since_ms: now.timestamp().as_millisecond(),
        })
    };
    goals.iter().zip(today.iter().zip(before)).filter_map(first).collect()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use sotto_schema::id::GoalId;
    use sotto_store::goal::Kind;

    use super::*;

    fn counts(n: u64) -> Counts {
        Counts { visitors: n, visits: n, pageviews: n, ..Counts::default() }
    }

    fn at(text: &str) -> Zoned {
        text.parse().unwrap()
    }

    /// Four weeks and a day before Friday, 27 November 2026, with as many visitors in each of three hours.
    fn usual(visitors: u64) -> Seen {
        let mut seen = Seen { hours: BTreeMap::new(), days: BTreeMap::new() };
        for age in 1..=29 {
            let day = date(2026, 11, 27).saturating_sub(age.days());
            for hour in [9, 13, 20] {
                seen.hours.insert((day, hour), counts(visitors));
            }
            seen.days.insert(day, counts(3 * visitors));
        }
        seen
    }

    fn names(seen: &Seen, now: &str) -> Vec<String> {
        unusual(seen, &at(now)).into_iter().map(|alert| alert.name).collect()
    }

    #[test]
    fn hour_is_a_spike_above_three_times_the_usual_and_fifty_visitors_once_it_is_over() {
        for (usual_visitors, visitors, expected) in
            [(20, 60, false), (20, 61, true), (2, 49, false), (2, 50, true), (1, 50, true), (100, 301, true)]
        {
            let mut seen = usual(usual_visitors);
            seen.hours.insert((date(2026, 11, 27), 13), counts(visitors));
            let told = names(&seen, "2026-11-27T14:00:00[Europe/Berlin]");
            assert_eq!(
                told.contains(&"2026-11-27 spike".to_owned()),
                expected,
                "{usual_visitors} {visitors}"
            );
            assert_eq!(names(&seen, "2026-11-27T13:59:00[Europe/Berlin]"), [""; 0], "it is not over");
            assert_eq!(names(&seen, "2026-11-27T17:00:00[Europe/Berlin]"), [""; 0], "it is old");
        }
    }

    #[test]
    fn hour_before_midnight_is_told_after_it() {
        let mut seen = usual(10);
        seen.hours.insert((date(2026, 11, 26), 23), counts(90));
        assert_eq!(names(&seen, "2026-11-27T00:10:00[UTC]"), ["2026-11-26 spike"]);
    }

    #[test]
    fn nothing_is_unusual_before_there_is_something_usual() {
        let mut seen = usual(10);
        seen.days.retain(|day, _| *day >= date(2026, 11, 14));
        seen.hours.insert((date(2026, 11, 27), 13), counts(500));
        assert_eq!(names(&seen, "2026-11-27T14:30:00[UTC]"), [""; 0], "thirteen days");
        seen.days.insert(date(2026, 11, 13), counts(1));
        assert_eq!(names(&seen, "2026-11-27T14:30:00[UTC]"), ["2026-11-27 spike"], "fourteen");
    }

    #[test]
    fn day_with_less_than_a_third_of_the_usual_is_told_in_the_morning_after() {
        for (visitors, expected) in [(19, true), (20, false), (0, false)] {
            let mut seen = usual(20);
            seen.days.insert(date(2026, 11, 26), counts(visitors));
            let told = names(&seen, "2026-11-27T08:00:00[UTC]");
            assert_eq!(told == ["2026-11-26 drop"], expected, "{visitors}: {told:?}");
            assert_eq!(names(&seen, "2026-11-27T07:59:00[UTC]"), [""; 0]);
            assert_eq!(names(&seen, "2026-11-27T11:00:00[UTC]"), [""; 0]);
        }
        let mut few = usual(16);
        few.days.insert(date(2026, 11, 26), counts(1));
        assert_eq!(names(&few, "2026-11-27T08:00:00[UTC]"), [""; 0], "48 are too few to be missed");
    }

    #[test]
    fn silence_of_a_day_is_told_once_where_there_is_usually_something() {
        let seen = usual(10);
        for (now, expected) in [
            ("2026-11-27T20:59:00[UTC]", false),
            ("2026-11-27T21:00:00[UTC]", true),
            ("2026-11-29T20:59:00[UTC]", true),
            ("2026-11-29T21:00:00[UTC]", false),
        ] {
            assert_eq!(names(&seen, now) == ["2026-11-26 silence"], expected, "{now}");
        }
        assert_eq!(names(&usual(6), "2026-11-27T22:00:00[UTC]"), [""; 0], "18 visits a day");
        assert_eq!(names(&usual(7), "2026-11-27T22:00:00[UTC]"), ["2026-11-26 silence"], "21 are");
    }

    #[test]
    fn goal_is_told_when_a_group_reached_it_and_none_had_before() {
        let goal = Goal {
            id: GoalId(7),
            site: SiteId(1),
            name: "Sign\r\nup".into(),
            kind: Kind::Event,
            pattern: "Signup".into(),
            created_ms: 0,
        };
        let now = at("2026-11-27T12:00:00[UTC]");
        for (today, before, told) in [(4, 0, false), (5, 0, true), (5, 4, true), (5, 5, false), (0, 0, false)]
        {
            let found = first_reached(std::slice::from_ref(&goal), &[counts(today)], &[counts(before)], &now);
            assert_eq!(!found.is_empty(), told, "{today} {before}");
            assert!(found.iter().all(|alert| alert.title == "the goal “Sign  up” is reached"), "{found:?}");
        }
    }
}
