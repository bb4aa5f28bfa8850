//! Decides which days of a report come from the archive and which from raw events, and reads the archived ones.
//!
//! Sealed days that are not settled are read from the archive when nothing is filtered. A list that lost a noticeable
//! part of its detail to folding is read from raw events while they exist. What was folded is one row, `(rest)`, so
//! that rows add up to the totals.

use std::collections::HashMap;

use clickhouse::Row;
use jiff::{ToSpan, civil::Date};
use serde::Deserialize;
use sotto_store::{
    db::Db,
    seals::{Period, Seal},
};

use super::{Counts, Dimension, List, Query, ReportError, Sources};
use crate::range::Range;

/// The value of the row for everything that was folded.
pub const REST: &str = "(rest)";
/// The share of a list, in per cent, that may be folded before raw events are preferred.
pub const FOLDED_PERCENT_MAX: u64 = 1;

/// Which data a report may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// The archive, unless raw events have noticeably more detail.
    #[default]
    Auto,
    /// The archive wherever days are sealed.
    Archive,
    /// Raw events only.
    Raw,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Archive, Self::Raw];

    /// The name in addresses, the API and the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Archive => "archive",
            Self::Raw => "raw",
        }
    }

    /// The source of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }
}

/// Where the figures of a report come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// Days from the archive.
    pub archive: Vec<Range>,
    /// Days from raw events, or from what was settled of them, which is the same.
    pub raw: Vec<Range>,
    /// Those of them that are settled.
    pub settled: Vec<Range>,
    /// Days that would need raw events, which are gone.
    pub missing: Vec<Range>,
    /// What was folded into [`REST`].
    pub folded: Counts,
}

/// The archived part of a report.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Part {
    pub(super) rows: Vec<(String, Counts)>,
    /// Days that are read from the archive.
    pub(super) days: Vec<Date>,
    pub(super) origin: Origin,
}

#[derive(Row, Deserialize)]
struct ArchiveRow {
    value: String,
    visitors: i64,
    visits: i64,
    pageviews: i64,
    measured_views: i64,
    events: i64,
    entries: i64,
    bounces: i64,
    engaged: i64,
}

impl From<&ArchiveRow> for Counts {
    fn from(row: &ArchiveRow) -> Self {
        // Remainders are differences; the seal checked that none is negative.
        let count = |n: i64| u64::try_from(n).unwrap_or(0);
        Self {
            visitors: count(row.visitors),
            visits: count(row.visits),
            pageviews: count(row.pageviews),
            measured_views: count(row.measured_views),
            events: count(row.events),
            entries: count(row.entries),
            bounces: count(row.bounces),
            engaged_ms: count(row.engaged),
        }
    }
}

/// Reads the archived part of a list.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub(super) async fn part(
    db: &Db,
    sources: &Sources,
    query: &Query,
    list: &List,
) -> Result<Part, ReportError> {
    let db = &db.of_site(query.scope.site);
    let settled =
        |archived: &[Date]| ranges(sources.plan(query, archived).settled.iter().map(|(day, _)| *day));
    let raw_only = || Part {
        origin: Origin { raw: vec![query.range], settled: settled(&[]), ..Origin::default() },
        ..Part::default()
    };
    // The archive has whole days only, and settled days are as good as raw events.
    let whole_days = |s: &&Seal| query.until_ms.is_none() || s.day < query.range.to;
    let first_choice = |s: &&Seal| query.source == Source::Archive || !sources.is_settled(s.day);
    let within = |s: &&Seal| s.day >= query.range.from && s.day <= query.range.to;
    let days: Vec<&Seal> = sources
        .seals
        .iter()
        .filter(|s| s.period == Period::Day)
        .filter(within)
        .filter(whole_days)
        .filter(first_choice)
        .collect();
    if days.is_empty() {
        return Ok(raw_only());
    }
    let archived = list.by == Dimension::Day || list.by.archived().is_some();
    if !archived || !query.filters.is_empty() || query.source == Source::Raw {
        let missing: Vec<Date> = days.iter().map(|s| s.day).filter(|day| !sources.has_raw(*day)).collect();
        let raw = query.range.days().filter(|d| !missing.contains(d));
        let origin = Origin {
            raw: ranges(raw),
            settled: settled(&[]),
            missing: ranges(missing.iter().copied()),
            ..Origin::default()
        };
        return Ok(Part { origin, ..Part::default() });
    }
    let rows = rows(db, query, list.by, &sources.seals, &days).await?;
    let folded = rows.iter().find(|(value, _)| value == REST).map(|(_, c)| *c).unwrap_or_default();
    let all_raw = || days.iter().all(|s| sources.has_raw(s.day));
    if query.source == Source::Auto && noticeable(&rows, &folded) && all_raw() {
        return Ok(raw_only());
    }
    let days: Vec<Date> = days.iter().map(|s| s.day).collect();
    let origin = Origin {
        raw: ranges(query.range.days().filter(|d| !days.contains(d))),
        settled: settled(&days),
        archive: ranges(days.iter().copied()),
        folded,
        ..Origin::default()
    };
    Ok(Part { rows, days, origin })
}

/// Whether a noticeable part was folded.
fn noticeable(rows: &[(String, Counts)], folded: &Counts) -> bool {
    let size = |c: &Counts| c.pageviews.max(c.visits) + c.events;
    let all: u64 = rows.iter().map(|(_, c)| size(c)).sum();
    size(folded) * 100 > all * FOLDED_PERCENT_MAX
}

async fn rows(
    db: &Db,
    query: &Query,
    by: Dimension,
    all: &[Seal],
    days: &[&Seal],
) -> Result<Vec<(String, Counts)>, ReportError> {
    let range = query.range;
    let inside = |s: &&Seal| {
        s.period == Period::Month
            && s.day >= range.from
            && s.day.last_of_month() <= range.to
            && query.until_ms.is_none()
    };
    let months: Vec<&Seal> = all.iter().filter(inside).collect();
    let numbers = |seals: &[&Seal]| seals.iter().map(|s| s.seal).collect::<Vec<_>>();
    let asked = match by.archived() {
        Some((dimension, level)) => db
            .query(include_str!("archive/values.sql"))
            .param("dimension", dimension)
            .param("level", level)
            .param("whole", months.iter().map(|s| s.day.to_string()).collect::<Vec<_>>()),
        None => db.query(include_str!("archive/totals.sql")).param("by_day", true),
    };
    let rows: Vec<ArchiveRow> = asked
        .param("site", query.scope.site)
        .param("from", range.from.to_string())
        .param("to", range.to.to_string())
        .param("days", numbers(days))
        .param("months", numbers(&months))
        .fetch_all()
        .await?;
    Ok(rows.iter().map(|row| (row.value.clone(), row.into())).collect())
}

/// Joins rows of one value; the greatest come first (of moments, the last), the rest last, and `limit` rows beside it
/// stay.
pub(super) fn join(
    parts: [Vec<(String, Counts)>; 2],
    limit: u64,
    moments: bool,
    size: impl Fn(&Counts) -> u64,
) -> Vec<(String, Counts)> {
    let mut joined: HashMap<String, Counts> = HashMap::new();
    for (value, counts) in parts.into_iter().flatten() {
        *joined.entry(value).or_default() += counts;
    }
    let rest = joined.remove_entry(REST);
    let mut rows: Vec<(String, Counts)> = joined.into_iter().collect();
    if moments {
        rows.sort_by(|(a, _), (b, _)| b.cmp(a));
    } else {
        rows.sort_by(|(a, x), (b, y)| size(y).cmp(&size(x)).then_with(|| a.cmp(b)));
    }
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    rows.extend(rest);
    rows
}

/// Merges consecutive days into ranges.
fn ranges(days: impl IntoIterator<Item = Date>) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    for day in days {
        match ranges.last_mut() {
            Some(last) if last.to.saturating_add(1.day()) == day => last.to = day,
            Some(_) | None => ranges.push(Range::day(day)),
        }
    }
    ranges
}

impl Origin {
    /// A sentence for the page; none when all days come from raw events.
    pub fn sentence(&self) -> Option<String> {
        let days = |ranges: &[Range]| ranges.iter().map(Range::label).collect::<Vec<_>>().join(", ");
        let mut parts = Vec::new();
        if !self.archive.is_empty() {
            parts.push(format!("{} from the anonymous archive", days(&self.archive)));
            if !self.raw.is_empty() {
                parts.push(format!("{} from raw events", days(&self.raw)));
            }
        }
        if !self.missing.is_empty() {
            parts
                .push(format!("{} not included: this needs raw events, which are gone", days(&self.missing)));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn days_without_a_gap_are_one_range() {
        let days = [(3, 1), (3, 2), (3, 4), (3, 31), (4, 1)].map(|(m, d)| date(2026, m, d));
        let found: Vec<String> = ranges(days).iter().map(Range::label).collect();
        assert_eq!(found, ["1 – 2 Mar 2026", "4 Mar 2026", "31 Mar – 1 Apr 2026"]);
    }

    #[test]
    fn joined_rows_are_sorted_and_the_rest_is_last() {
        let counts = |visitors| Counts { visitors, ..Counts::default() };
        let rows = |rows: &[(&str, u64)]| rows.iter().map(|(v, n)| ((*v).to_owned(), counts(*n))).collect();
        let parts = [rows(&[("a", 1), (REST, 50), ("b", 2)]), rows(&[("a", 3), ("c", 1)])];
        let joined = join(parts, 2, false, |c| c.visitors);
        let found: Vec<_> = joined.iter().map(|(v, c)| (v.as_str(), c.visitors)).collect();
        assert_eq!(found, [("a", 4), ("b", 2), (REST, 50)]);
    }

    #[test]
    fn folding_is_noticed_above_a_hundredth() {
        let counts = |pageviews| Counts { pageviews, ..Counts::default() };
        for (rest, noticed) in [(1, false), (2, true)] {
            let rows = [("a".into(), counts(100 - rest)), (REST.into(), counts(rest))];
            assert_eq!(noticeable(&rows, &counts(rest)), noticed, "{rest} of 100");
        }
    }

    #[test]
    fn origin_says_what_is_not_there() {
        let day = |d| vec![Range::day(date(2026, 3, d))];
        assert_eq!(Origin { raw: day(1), ..Origin::default() }.sentence(), None);
        let origin = Origin { archive: day(1), raw: day(2), ..Origin::default() };
        assert_eq!(
            origin.sentence().as_deref(),
            Some("1 Mar 2026 from the anonymous archive; 2 Mar 2026 from raw events")
        );
        let missing = Origin { missing: day(1), raw: day(2), ..Origin::default() };
        assert!(missing.sentence().unwrap().contains("gone"));
    }
}
