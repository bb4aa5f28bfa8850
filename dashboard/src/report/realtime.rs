//! What happens right now: the last thirty minutes of raw events, by minute and by what is seen.
//!
//! The figures are those of every other report ([`super::scan`]), of hits of these minutes alone: a visit that began earlier is here
//! with what it did since. They are counted once in [`TICK_MS`] for all who look.
//!
//! Somebody who is on the site at this moment must not be found by where they are: places of fewer than
//! [`GROUP_MIN`](super::groups::GROUP_MIN) visitors are left out, whoever reads. Viewers see groups of everything.
//!
//! Proof: `tests/suite/realtime.rs`.

use std::sync::Arc;

use clickhouse::{Row, error::Error};
use jiff::{Timestamp, ToSpan as _, Zoned};
use quick_cache::sync::Cache;
use serde::Deserialize;
use sotto_schema::site::Site;
use sotto_store::goal::Goal;

use super::{
    Counts, Detail, Dimension, List, Metric, Query, ReportError, Reports, Rows, Scope, Source, Sources,
    goals, groups::is_group, lists, patient::Patient as _,
};
use crate::{filter::Filters, range::Range};

/// How many minutes are shown.
pub const MINUTES: usize = 30;
/// Figures change once in this time, in milliseconds.
pub const TICK_MS: i64 = 5_000;
/// Rows of each list.
const ROWS: u64 = 10;
/// How many answers are kept: they are those of the last moments, since no moment is asked for again.
const KEPT: usize = 64;

/// The lists, in this order.
pub const LISTS: [Dimension; 5] =
    [Dimension::Page, Dimension::Source, Dimension::Country, Dimension::City, Dimension::Event];

/// The hits of one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Row, Deserialize)]
pub struct Minute {
    minute: u8,
    /// Measured visitors.
    pub visitors: u64,
    /// Pageviews.
    pub pageviews: u64,
    /// Custom events.
    pub events: u64,
}

/// What happened in the last [`MINUTES`] minutes.
#[derive(Debug, PartialEq, Default)]
pub struct Realtime {
    /// Everything together.
    pub totals: Counts,
    /// The minutes, the last one at the end.
    pub minutes: Vec<Minute>,
    /// The lists, as [`LISTS`].
    pub lists: Vec<Rows>,
    /// Goals that were completed, with their names, the most often completed first.
    pub goals: Vec<(String, Counts)>,
}

/// A site, what its goals are, how closely one looks, and the moment.
type Key = (u64, Vec<Goal>, bool, i64);

/// Answers that were counted for this moment.
#[derive(Debug)]
pub struct Moments(Cache<Key, Arc<Realtime>>);

impl Default for Moments {
    fn default() -> Self {
        Self(Cache::new(KEPT))
    }
}

impl Moments {
    /// The last minutes of a site; whoever asks for the same moment gets the same answer, counted once.
    ///
    /// # Errors
    /// When ClickHouse cannot be asked.
    pub async fn of(
        &self,
        db: &Reports,
        site: &Site,
        goals: Vec<Goal>,
        detail: Detail,
        now: &Zoned,
    ) -> Result<Arc<Realtime>, ReportError> {
        let until_ms = moment(now.timestamp());
        let key = (site.id.0, goals, detail == Detail::Groups, until_ms);
        let count = async { count(db, site, &key.1, detail, now, until_ms).await.map(Arc::new) };
        self.0.get_or_insert_async(&key, count).await
    }
}

/// The moment up to which hits are counted, in milliseconds: the end of a [`TICK_MS`] that is over.
fn moment(now: Timestamp) -> i64 {
    now.as_millisecond() / TICK_MS * TICK_MS
}

async fn count(
    db: &Reports,
    site: &Site,
    goals: &[Goal],
    detail: Detail,
    now: &Zoned,
    until_ms: i64,
) -> Result<Realtime, ReportError> {
    let query = query(site, detail, now, until_ms);
    let sources = Sources::of(db, &query.scope, query.range).await?;
    let wanted = LISTS.map(|by| List {
        by,
        sort: if by == Dimension::Event { Metric::Events } else { Metric::Visitors },
        limit: ROWS,
        entries: false,
    });
    let minutes = async { Ok::<_, ReportError>(minutes(db, &query).await?) };
    let (answer, completed, minutes) = tokio::try_join!(
        lists(db, &sources, &query, &wanted, false),
        goals::completed(db, &sources, &query, goals),
        minutes
    )?;
    let named = goals.iter().zip(completed).map(|(goal, counts)| (goal.name.clone(), counts));
    let mut realtime = Realtime {
        totals: answer.totals,
        minutes,
        lists: answer.lists.into_iter().map(|(rows, _)| rows).collect(),
        goals: named.filter(|(_, counts)| counts.visits > 0).collect(),
    };
    realtime.goals.sort_by(|(a, x), (b, y)| y.visits.cmp(&x.visits).then_with(|| a.cmp(b)));
    realtime.leave_groups(detail);
    Ok(realtime)
}

fn query(site: &Site, detail: Detail, now: &Zoned, until_ms: i64) -> Query {
    let began = now.saturating_sub((MINUTES as i64 + 1).minutes());
    let scope = Scope { site: site.id, time_zone: site.time_zone.clone() };
    let range = Range { from: began.date(), to: now.date() };
    Query {
        since_ms: Some(until_ms - MINUTES as i64 * 60_000),
        until_ms: Some(until_ms),
        source: Source::Raw,
        detail,
        ..Query::totals(scope, range, Filters::default())
    }
}

async fn minutes(db: &Reports, query: &Query) -> Result<Vec<Minute>, Error> {
    let days = [query.range.from, query.range.to].map(|day| day.to_string());
    let found = db
        .of_site(query.scope.site)
        .query(include_str!("realtime.sql"))
        .param("site", query.scope.site)
        .param("days", &days[..])
        .param("since", query.since_ms)
        .param("until", query.until_ms)
        .rows::<Minute>()
        .await?;
    let mut minutes = vec![Minute::default(); MINUTES];
    for minute in found {
        if let Some(place) = minutes.get_mut(usize::from(minute.minute)) {
            *place = minute;
        }
    }
    Ok(minutes)
}

impl Realtime {
    /// Leaves places of groups; for who sees groups only, everything of groups.
    fn leave_groups(&mut self, detail: Detail) {
        for (by, rows) in LISTS.iter().zip(&mut self.lists) {
            if matches!(by, Dimension::Country | Dimension::City) {
                rows.retain(|(_, counts)| is_group(counts));
            }
        }
        if detail == Detail::All {
            return;
        }
        self.totals = self.totals.of_groups();
        super::groups::keep_groups_by(&mut self.goals, |counts| counts.visits);
        for minute in &mut self.minutes {
            let counts = Counts {
                visitors: minute.visitors,
                pageviews: minute.pageviews,
                events: minute.events,
                ..Counts::default()
            };
            let counts = counts.of_groups();
            (minute.visitors, minute.pageviews, minute.events) =
                (counts.visitors, counts.pageviews, counts.events);
        }
    }
}
