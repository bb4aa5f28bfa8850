//! The figures of a report by mail: those that a viewer of the site sees, whoever gets it. Mail is passed on, kept by others
//! and read by machines, so nothing is in it that stands for fewer than [`GROUP_MIN`] visitors.

use jiff::civil::Date;
use sotto_schema::site::Site;
use sotto_store::goal::{self, Goal, GoalError};

use super::schedule::Period;
use crate::{
    figures::{Change, figure, grouped},
    filter::Filters,
    labels,
    range::Range,
    report::{
        Answer, Counts, Detail, Dimension, List, Metric, Query, ReportError, Reports, Scope, Sources,
        goals::completed, groups::GROUP_MIN, lists,
    },
};

/// Rows of each list.
const ROWS: u64 = 8;
/// Rows of the period before among which those of a list are sought.
const ROWS_BEFORE: u64 = 1_000;
/// The longest value, in characters; the rest is cut off.
const VALUE_CHARS_MAX: usize = 90;
/// What is listed, with its title.
const LISTS: [(Dimension, &str); 3] =
    [(Dimension::Page, "Pages"), (Dimension::Source, "Sources"), (Dimension::Country, "Countries")];
/// The figures at the top.
const KEYS: [Metric; 5] =
    [Metric::Visitors, Metric::Visits, Metric::Pageviews, Metric::BounceRate, Metric::EngagedSeconds];

/// A figure, and how it changed.
pub(crate) struct Line {
    pub(crate) label: String,
    pub(crate) figure: String,
    pub(crate) change: Option<Change>,
}

/// A list of values.
pub(crate) struct Lines {
    pub(crate) title: &'static str,
    /// What its figures are.
    pub(crate) unit: &'static str,
    pub(crate) lines: Vec<Line>,
}

/// A day, and how many visitors it had.
pub(crate) struct DayLine {
    pub(crate) label: String,
    pub(crate) visitors: String,
    /// As many signs as fit its share of the most, for those who see no picture.
    pub(crate) bar: String,
}

/// What a report says.
pub(crate) struct Summary {
    pub(crate) site: String,
    pub(crate) days: String,
    pub(crate) before: String,
    pub(crate) keys: Vec<Line>,
    pub(crate) by_day: Vec<DayLine>,
    /// The most visitors of a day.
    pub(crate) most: String,
    pub(crate) lists: Vec<Lines>,
    /// Where its days come from, unless all are exact.
    pub(crate) origin: Option<String>,
    pub(crate) range: Range,
    now_by_day: Vec<u64>,
    before_by_day: Vec<u64>,
}

/// Why a report cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SummaryError {
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error(transparent)]
    Goal(#[from] GoalError),
}

/// The figures of a site in a period as its viewers see them.
pub(crate) async fn read(db: &Reports, site: &Site, period: &Period) -> Result<Summary, SummaryError> {
    let goals = goal::all(db, site.id).await?;
    let (now, before) = tokio::try_join!(
        figures(db, site, period.range, ROWS, &goals),
        figures(db, site, period.before, ROWS_BEFORE, &goals)
    )?;
    Ok(tell(site, period, &goals, &now, &before))
}

struct Figures {
    answer: Answer,
    goals: Vec<Counts>,
}

async fn figures(
    db: &Reports,
    site: &Site,
    range: Range,
    limit: u64,
    goals: &[Goal],
) -> Result<Figures, ReportError> {
    let scope = Scope { site: site.id, time_zone: site.time_zone.clone() };
    let query = Query { detail: Detail::Groups, ..Query::totals(scope, range, Filters::default()) };
    let sources = Sources::of(db, &query.scope, range).await?;
    let asked = LISTS.map(|(by, _)| List { by, sort: Metric::Visitors, limit, entries: false });
    let (answer, goals) =
        tokio::try_join!(lists(db, &sources, &query, &asked, false), completed(db, &sources, &query, goals))?;
    Ok(Figures { answer, goals: goals.iter().map(Counts::of_groups).collect() })
}

fn tell(site: &Site, period: &Period, goals: &[Goal], now: &Figures, before: &Figures) -> Summary {
    let [totals, earlier] = [now.answer.totals, before.answer.totals];
    let keys = KEYS.into_iter().map(|metric| {
        let [now, before] = [metric.of(&totals), metric.of(&earlier)];
        Line {
            label: metric.label().to_owned(),
            figure: figure(metric, now),
            change: Change::between(metric, now, before),
        }
    });
    let mut all: Vec<Lines> = LISTS
        .iter()
        .zip(now.answer.lists.iter().zip(&before.answer.lists))
        .map(|((by, title), ((rows, _), (earlier, _)))| Lines {
            title,
            unit: "Visitors",
            lines: rows
                .iter()
                .map(|(value, counts)| {
                    let earlier = earlier.iter().find(|(other, _)| other == value).map(|(_, counts)| counts);
                    line(plain(&labels::label(*by, value)), Metric::Visitors, counts, earlier)
                })
                .collect(),
        })
        .collect();
    let reached = goals.iter().zip(now.goals.iter().zip(&before.goals));
    let reached = reached
        .filter(|(_, (counts, _))| counts.visits > 0)
        .map(|(goal, (counts, earlier))| line(plain(&goal.name), Metric::Visits, counts, Some(earlier)));
    all.push(Lines { title: "Goals", unit: "Visits", lines: reached.collect() });
    all.retain(|list| !list.lines.is_empty());
    let [now_by_day, before_by_day] = [(period.range, &now.answer), (period.before, &before.answer)]
        .map(|(range, answer)| by_day(range, answer));
    let most = now_by_day.iter().copied().max().unwrap_or(0);
    Summary {
        site: plain(&site.name),
        days: period.range.label(),
        before: period.before.label(),
        keys: keys.collect(),
        by_day: period
            .range
            .days()
            .zip(&now_by_day)
            .map(|(day, visitors)| day_line(day, *visitors, most))
            .collect(),
        most: grouped(most),
        lists: all,
        origin: now.answer.origin.sentence(),
        range: period.range,
        now_by_day,
        before_by_day,
    }
}

fn line(label: String, metric: Metric, counts: &Counts, before: Option<&Counts>) -> Line {
    let now = metric.of(counts);
    let change = Change::between(metric, now, before.and_then(|counts| metric.of(counts)));
    Line { label, figure: figure(metric, now), change }
}

fn by_day(range: Range, answer: &Answer) -> Vec<u64> {
    let visitors = |day: Date| {
        let day = day.to_string();
        answer.days.iter().find(|(known, _)| *known == day).map_or(0, |(_, counts)| counts.visitors)
    };
    range.days().map(visitors).collect()
}

#[allow(clippy::cast_possible_truncation)] // Twenty signs at most.
fn day_line(day: Date, visitors: u64, most: u64) -> DayLine {
    let signs = if most == 0 { 0 } else { (visitors * 20).div_ceil(most) as usize };
    DayLine {
        label: day.strftime("%a %-d %b").to_string(),
        visitors: grouped(visitors),
        bar: "#".repeat(signs),
    }
}

/// A value as a line of a letter holds it: in one line, without what turns or hides letters, and not too long. What is
/// counted is sent by visitors, who may write anything there.
pub(crate) fn plain(value: &str) -> String {
    let hidden = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    let broken = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let shown = value.chars().filter(|c| !hidden(*c)).map(|c| if broken(c) { ' ' } else { c });
    let mut out: String = shown.clone().take(VALUE_CHARS_MAX).collect();
    if shown.count() > VALUE_CHARS_MAX {
        out.push('…');
    }
    out
}

impl Summary {
    /// The chart, as a PNG.
    pub(crate) fn picture(&self) -> Vec<u8> {
        super::picture::columns(&self.now_by_day, &self.before_by_day)
    }

    /// The least group of which anything is told.
    pub(crate) const fn group_min(&self) -> u64 {
        GROUP_MIN
    }

    /// The first day, for below the chart.
    pub(crate) fn first_day(&self) -> &str {
        self.by_day.first().map_or("", |day| day.label.as_str())
    }

    /// The last day.
    pub(crate) fn last_day(&self) -> &str {
        self.by_day.last().map_or("", |day| day.label.as_str())
    }
}

impl Line {
    /// How it changed, in words.
    pub(crate) fn changed(&self) -> String {
        self.change.as_ref().map_or_else(String::new, |change| match change.word() {
            "flat" => "as before".to_owned(),
            word => format!("{word} {}", change.size),
        })
    }

    /// The colour of how it changed, welcome or not.
    pub(crate) fn colour(&self) -> &'static str {
        match &self.change {
            Some(change) if change.word() == "flat" => "#5c635f",
            Some(change) if change.good => "#14605a",
            Some(_) => "#9a3412",
            None => "#5c635f",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_is_one_short_line_whatever_visitors_send() {
        for (sent, told) in [
            ("/prices", "/prices"),
            ("a\r\nBcc: eve@example.org", "a  Bcc: eve@example.org"),
            ("a\u{202e}gpj.exe", "agpj.exe"),
            ("a\u{200b}b\u{feff}", "ab"),
            ("a\u{2028}b\0", "a b "),
            ("Köln ☂", "Köln ☂"),
        ] {
            assert_eq!(plain(sent), told);
        }
        let at = "x".repeat(VALUE_CHARS_MAX);
        assert_eq!(plain(&at), at);
        assert_eq!(plain(&format!("{at}y")), format!("{at}…"));
    }

    #[test]
    fn bar_of_the_most_is_full_and_something_is_never_nothing() {
        let bar = |visitors, most| day_line(jiff::civil::date(2026, 11, 23), visitors, most).bar.len();
        assert_eq!([bar(0, 0), bar(0, 9), bar(1, 1_000), bar(1_000, 1_000)], [0, 0, 1, 20]);
        assert_eq!(day_line(jiff::civil::date(2026, 11, 23), 1, 1).label, "Mon 23 Nov");
    }
}
