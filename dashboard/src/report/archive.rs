//! Decides which days of a report come from the archive and which from raw events, and reads the archived ones.
//!
//! Days without raw events are read from the archive when nothing is filtered: whole months from the release of the
//! month, which has less noise, other days from their own. Figures of the archive are rounded to what they are precise
//! to. What has no value of its own is one row, `(rest)`, so that rows add up to the totals.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use clickhouse::Row;
use jiff::{ToSpan, civil::Date};
use serde::Deserialize;
use sotto_schema::{archived, day::Day};
use sotto_store::{db::Db, releases::Period};

use super::{Counts, Dimension, List, Query, ReportError, Sources, patient::Patient as _};
use crate::range::Range;

/// The value of the row for everything that has no value of its own in the archive.
pub const REST: &str = "(rest)";
/// Half the width of the interval in which 95 of 100 figures lie, in standard deviations.
const MARGIN_SIGMAS: f64 = 1.96;
/// Milliseconds that stand for each bucket of time in the archive.
const TIME_MS: [(&str, u64); 6] = [
    ("under 10 s", 5_000),
    ("10 to 30 s", 20_000),
    ("30 to 60 s", 45_000),
    ("1 to 3 min", 105_000),
    ("3 to 10 min", 330_000),
    ("over 10 min", 900_000),
];

/// Which data a report may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// Raw events while they are there, then the archive.
    #[default]
    Auto,
    /// The archive wherever days are released.
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
    /// What [`REST`] counts.
    pub folded: Counts,
    /// How far figures from the archive may be off, in 95 of 100 cases; 0 without archived days.
    pub margin: Margin,
}

/// How far figures from the archive may be off, in 95 of 100 cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Margin {
    /// Visitors.
    pub visitors: u64,
    /// Pageviews, or events in a list of events.
    pub hits: u64,
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
struct Cell {
    dimension: String,
    on_day: String,
    value: String,
    visitors: u64,
    hits: u64,
    anonymous_hits: u64,
}

#[derive(Row, Deserialize)]
struct Noise {
    dimension: String,
    variance: f64,
    hits_variance: f64,
    one: f64,
}

/// The releases from which a report is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Chosen {
    /// All days, in order.
    days: Vec<Date>,
    /// Months that are in the period as a whole.
    months: Vec<Date>,
    /// Days besides those of the months.
    single: Vec<Date>,
    /// Days that are neither.
    missing: Vec<Date>,
}

/// Chooses the releases for days without raw events.
fn choose(sources: &Sources, query: &Query) -> Chosen {
    let released = |period| {
        let of = sources.releases.iter().filter(move |r| r.period == period);
        of.map(|r| Day(r.day).date()).collect::<BTreeSet<Date>>()
    };
    let (days, months) = (released(Period::Day), released(Period::Month));
    // The archive has whole days only, and raw events are better.
    let whole = |day: Date| query.until_ms.is_none() || day < query.range.to;
    let wanted = |day: Date| whole(day) && (query.source == Source::Archive || !sources.has_raw(day));
    let wanted: BTreeSet<Date> = query.range.days().filter(|day| wanted(*day)).collect();
    let all = |month: &Date| {
        let days = month.series(1.day()).take_while(|day| *day <= month.last_of_month());
        days.into_iter().all(|day| wanted.contains(&day))
    };
    let months: BTreeSet<Date> = months.into_iter().filter(all).collect();
    let mut chosen = Chosen::default();
    for day in wanted {
        let in_month = months.contains(&day.first_of_month());
        if in_month || days.contains(&day) {
            chosen.days.push(day);
            if !in_month {
                chosen.single.push(day);
            }
        } else if sources.releases.iter().any(|r| Day(r.day).date() == day.first_of_month()) {
            chosen.missing.push(day);
        }
    }
    chosen.months = months.into_iter().collect();
    chosen
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
    let chosen = choose(sources, query);
    let archived = list.by == Dimension::Day || list.by.is_archived();
    if chosen.days.is_empty() || !archived || !query.filters.is_empty() || query.source == Source::Raw {
        let missing: Vec<Date> = chosen.days.into_iter().filter(|day| !sources.has_raw(*day)).collect();
        let raw = query.range.days().filter(|d| !missing.contains(d));
        let origin = Origin {
            raw: ranges(raw),
            settled: settled(&[]),
            missing: ranges(missing.iter().copied()),
            ..Origin::default()
        };
        return Ok(Part { origin, ..Part::default() });
    }
    let (rows, margin) = rows(db, query, list.by, &chosen).await?;
    let folded = rows.iter().find(|(value, _)| value == REST).map(|(_, c)| *c).unwrap_or_default();
    let origin = Origin {
        raw: ranges(query.range.days().filter(|d| !chosen.days.contains(d) && !chosen.missing.contains(d))),
        settled: settled(&chosen.days),
        archive: ranges(chosen.days.iter().copied()),
        missing: ranges(chosen.missing.iter().copied()),
        folded,
        margin,
    };
    Ok(Part { rows, days: chosen.days, origin })
}

async fn rows(
    db: &Db,
    query: &Query,
    by: Dimension,
    chosen: &Chosen,
) -> Result<(Vec<(String, Counts)>, Margin), ReportError> {
    let by_day = by == Dimension::Day;
    let numbers = |days: &[Date]| days.iter().map(|day| Day::of(*day).0).collect::<Vec<_>>();
    let mut dimensions: Vec<&str> = archived::TOTALS.to_vec();
    dimensions.push(if by_day { "time" } else { by.name() });
    let read = |sql: &str, days: &[Date]| {
        db.query(sql)
            .param("site", query.scope.site)
            .param("dimensions", &dimensions)
            .param("days", numbers(days))
            .param("months", numbers(&chosen.months))
    };
    // By day, the days of a whole month are shown from their own releases, and the rest of the month beside them.
    let days = if by_day { &chosen.days } else { &chosen.single };
    let cells = read(include_str!("archive/read.sql"), days).param("by_day", by_day).rows::<Cell>();
    let noise = read(include_str!("archive/noise.sql"), &chosen.single).rows::<Noise>();
    let (cells, noise) = tokio::try_join!(cells, noise)?;
    let margin = margin(&noise, by);
    let mut totals: BTreeMap<String, Counts> = BTreeMap::new();
    let mut values: BTreeMap<String, Counts> = BTreeMap::new();
    for cell in &cells {
        if cell.dimension == "time" || archived::TOTALS.contains(&cell.dimension.as_str()) {
            add_total(totals.entry(cell.on_day.clone()).or_default(), cell);
        } else {
            add_value(values.entry(cell.value.clone()).or_default(), cell, by);
        }
    }
    totals.values_mut().for_each(make_consistent);
    let mut rows = if by_day {
        of_days(totals)
    } else {
        let rest = rest(&totals.remove("").unwrap_or_default(), values.values(), by);
        values
            .into_iter()
            .chain((rest.visitors + rest.pageviews + rest.events > 0).then(|| (REST.to_owned(), rest)))
            .collect()
    };
    // Each day has the noise of one release.
    let of_a_row = if by_day { margin_of(&noise, |n| n.one) } else { margin };
    rows.iter_mut().for_each(|(_, counts)| round_to(counts, of_a_row));
    rows.retain(|(_, counts)| counts.visitors + counts.pageviews + counts.events > 0);
    Ok((rows, margin))
}

fn add_total(counts: &mut Counts, cell: &Cell) {
    match cell.dimension.as_str() {
        "visitors" => counts.visitors += cell.visitors,
        "visits" => counts.visits += cell.visitors,
        "bounces" => counts.bounces += cell.visitors,
        "pageviews" => {
            counts.measured_views += cell.visitors;
            counts.pageviews += cell.visitors + cell.anonymous_hits;
        }
        "events" => counts.events += cell.visitors + cell.anonymous_hits,
        _ => {
            let ms = TIME_MS.iter().find(|(name, _)| *name == cell.value).map_or(0, |(_, ms)| *ms);
            counts.engaged_ms += cell.visitors * ms;
        }
    }
}

fn add_value(counts: &mut Counts, cell: &Cell, by: Dimension) {
    counts.visitors += cell.visitors;
    let hits = cell.hits + cell.anonymous_hits;
    if by == Dimension::Event {
        counts.events += hits;
    } else {
        counts.pageviews += hits;
        counts.measured_views += cell.hits;
    }
    counts.coarse = true;
}

/// Noise moves each figure by itself; what cannot be true of counts is not shown.
fn make_consistent(counts: &mut Counts) {
    counts.visits = counts.visits.max(counts.visitors);
    counts.entries = counts.visits;
    counts.bounces = counts.bounces.min(counts.visits);
}

/// Rows of days; what a month has beside its days is [`REST`]. Where its days have more than the month, which has less
/// noise, they are shown as parts of it.
fn of_days(mut totals: BTreeMap<String, Counts>) -> Vec<(String, Counts)> {
    let months = totals.remove("").unwrap_or_default();
    let mut days = Counts::default();
    totals.values().for_each(|counts| days += *counts);
    let rest = months.less(&days);
    let mut rows: Vec<(String, Counts)> = totals.into_iter().collect();
    if rest.visitors + rest.pageviews + rest.events > 0 {
        rows.push((REST.to_owned(), rest));
    }
    rows
}

/// What the totals have beside the values.
fn rest<'a>(totals: &Counts, values: impl Iterator<Item = &'a Counts>, by: Dimension) -> Counts {
    let mut listed = Counts::default();
    values.for_each(|counts| listed += *counts);
    let rest = totals.less(&listed);
    let once = archived::find(by.name()).is_some_and(|kept| kept.values == 1);
    Counts {
        // Somebody who saw two pages is listed twice.
        visitors: if once { rest.visitors } else { 0 },
        pageviews: if by == Dimension::Event { 0 } else { rest.pageviews },
        measured_views: if by == Dimension::Event { 0 } else { rest.measured_views },
        events: if by == Dimension::Event { rest.events } else { 0 },
        coarse: true,
        ..Counts::default()
    }
}

fn margin(noise: &[Noise], by: Dimension) -> Margin {
    if by == Dimension::Day {
        return margin_of(noise, |n| n.variance);
    }
    let of = noise.iter().find(|n| n.dimension == by.name());
    Margin { visitors: of.map_or(0, |n| wide(n.variance)), hits: of.map_or(0, |n| wide(n.hits_variance)) }
}

/// The margin of totals.
fn margin_of(noise: &[Noise], variance: impl Fn(&Noise) -> f64) -> Margin {
    let of = |name: &str| noise.iter().find(|n| n.dimension == name).map_or(0, |n| wide(variance(n)));
    Margin { visitors: of("visitors"), hits: of("pageviews") }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Far below 2^52, and not negative.
fn wide(variance: f64) -> u64 {
    (MARGIN_SIGMAS * variance.sqrt()).ceil() as u64
}

/// Rounds figures to what they are precise to: the greatest of 1, 2, 5, 10, 20, … within half the margin.
fn round_to(counts: &mut Counts, margin: Margin) {
    let step = |margin: u64| {
        let steps = (0..15).flat_map(|n| [1, 2, 5].map(|digit| digit * 10_u64.pow(n)));
        steps.take_while(|step| *step * 2 <= margin).last().unwrap_or(1)
    };
    let to = |n: &mut u64, step: u64| *n = (*n + step / 2) / step * step;
    let (visitors, hits) = (step(margin.visitors), step(margin.hits));
    for n in [&mut counts.visitors, &mut counts.visits, &mut counts.entries, &mut counts.bounces] {
        to(n, visitors);
    }
    for n in [&mut counts.pageviews, &mut counts.measured_views, &mut counts.events] {
        to(n, hits);
    }
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
            let Margin { visitors, hits } = self.margin;
            if visitors > 0 {
                parts.push(format!(
                    "figures from the archive are rounded: 95 of 100 are within {visitors} visitors and {hits} pageviews of what was counted"
                ));
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
    fn origin_says_what_is_not_there() {
        let day = |d| vec![Range::day(date(2026, 3, d))];
        assert_eq!(Origin { raw: day(1), ..Origin::default() }.sentence(), None);
        let origin = Origin { archive: day(1), raw: day(2), ..Origin::default() };
        assert_eq!(
            origin.sentence().as_deref(),
            Some("1 Mar 2026 from the anonymous archive; 2 Mar 2026 from raw events")
        );
        let near = Origin { margin: Margin { visitors: 12, hits: 80 }, ..origin };
        assert!(
            near.sentence().unwrap().ends_with("within 12 visitors and 80 pageviews of what was counted")
        );
        let missing = Origin { missing: day(1), raw: day(2), ..Origin::default() };
        assert!(missing.sentence().unwrap().contains("gone"));
    }

    #[test]
    fn figure_is_rounded_to_half_its_margin_and_never_finer() {
        for (margin, expected) in
            [(0, 1234), (1, 1234), (4, 1234), (10, 1235), (50, 1240), (200, 1200), (5000, 2000)]
        {
            let mut counts = Counts { visitors: 1234, pageviews: 1234, ..Counts::default() };
            round_to(&mut counts, Margin { visitors: margin, hits: 0 });
            assert_eq!((counts.visitors, counts.pageviews), (expected, 1234), "{margin}");
        }
    }

    #[test]
    fn rest_counts_nobody_twice_where_a_visitor_has_several_values() {
        let counts = |visitors, pageviews| Counts { visitors, pageviews, ..Counts::default() };
        let values = [counts(60, 100), counts(30, 50)];
        let of_sources = rest(&counts(100, 200), values.iter(), Dimension::Source);
        assert_eq!((of_sources.visitors, of_sources.pageviews), (10, 50));
        let of_pages = rest(&counts(100, 200), values.iter(), Dimension::Page);
        assert_eq!((of_pages.visitors, of_pages.pageviews), (0, 50));
        let too_many = rest(&counts(80, 100), values.iter(), Dimension::Source);
        assert_eq!((too_many.visitors, too_many.pageviews), (0, 0));
    }
}
