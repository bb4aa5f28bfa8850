//! Reports on a site's traffic: one [`Query`] and one [`Table`] for the pages, the JSON API
//! and `sotto report`.
//!
//! Guarantees: the figures are defined once, in [`sotto_store::settled::figures`]; a query cannot name another site,
//! column or table than it was made for, because everything that people type is a parameter; lists are bounded; a
//! query that does not fit into memory is asked in parts. An unknown name is rejected with the list of known ones.
//!
//! Days come from three sources, joined by day ([`sources`]): settled days, raw events (today, and days that are not
//! settled), and the archive.

use futures_util::future::try_join_all;
use jiff::civil::Date;
pub use sotto_schema::dimension::Dimension;
use sotto_schema::id::SiteId;
use sotto_store::db::Db;

use crate::{
    filter::{Filters, UnknownFilter},
    range::{Range, RangeError},
};

pub mod archive;
mod conditions;
pub mod consent;
mod counted;
mod counts;
pub mod decisions;
pub mod details;
pub mod first_hit;
pub mod funnels;
pub mod goals;
pub mod groups;
pub mod health;
pub mod live_visitors;
mod metric;
pub mod not_found;
pub mod outcomes;
pub mod paths;
mod patient;
mod pattern;
pub mod realtime;
pub mod receipts;
pub mod recent_outcomes;
pub mod returning;
mod scan;
pub mod series;
pub mod sites;
pub mod sources;
mod steps;
pub mod unmapped_consent;
pub mod week;

pub use archive::{Origin, Source};
pub use consent::Consent;
pub use counted::{Reports, Told};
pub use counts::Counts;
pub use groups::Detail;
pub use metric::Metric;
use scan::Scan;
pub use sources::Sources;

/// How many rows a table has at most.
pub const ROWS_MAX: u64 = 10_000;
/// How many rows a table has when nobody says.
pub const ROWS_DEFAULT: u64 = 100;

/// The site a query is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    /// Its number.
    pub site: SiteId,
    /// Its time zone, for hours.
    pub time_zone: String,
}

/// A report to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The site.
    pub scope: Scope,
    /// The days, in the site's time zone.
    pub range: Range,
    /// Nothing before this moment, in milliseconds since 1970-01-01 UTC. All days are read from raw events then.
    pub since_ms: Option<i64>,
    /// Nothing from this moment on, in milliseconds since 1970-01-01 UTC. Ends an earlier period as early in its
    /// last day as the present one is.
    pub until_ms: Option<i64>,
    /// Which hits and visits.
    pub filters: Filters,
    /// Which figures, in this order. Rows are sorted by the first.
    pub metrics: Vec<Metric>,
    /// One row per value of this, or one row for everything.
    pub by: Option<Dimension>,
    /// How many rows at most, beside the rest of what was folded.
    pub limit: u64,
    /// Where figures of sealed days are to come from.
    pub source: Source,
    /// How closely the reader may look.
    pub detail: Detail,
}

/// A report's result: figures in the order of the query's metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// What the rows stand for.
    pub by: Option<Dimension>,
    /// What the figures are.
    pub metrics: Vec<Metric>,
    /// The rows, greatest first; days and hours by time.
    pub rows: Vec<TableRow>,
    /// Which days come from where.
    pub origin: Origin,
    /// How closely the reader may look.
    pub detail: Detail,
    /// Whether it is empty because it stands for too few visitors to be shown to this reader.
    pub withheld: bool,
}

/// One row of a [`Table`].
#[derive(Debug, Clone, PartialEq)]
pub struct TableRow {
    /// The value of the dimension; empty stands for "none" or "not known".
    pub value: String,
    /// The figures; `None` where there is nothing to divide by.
    pub figures: Vec<Option<f64>>,
    /// The counts of which they are made.
    pub counts: Counts,
}

/// Why a report cannot be run. The messages are shown to people.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// See the message.
    #[error("{0:?} is not a metric; choose from {list}", list = Metric::ALL.map(Metric::name).join(", "))]
    Metric(String),
    /// See the message.
    #[error("{0:?} is not a dimension; choose from {list}", list = Dimension::names())]
    Dimension(String),
    /// See the message.
    #[error(transparent)]
    Filter(#[from] UnknownFilter),
    /// See the message.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// See the message.
    #[error("{0:?} is not a data source; choose from {list}", list = Source::ALL.map(Source::name).join(", "))]
    Source(String),
    /// See the message.
    #[error("a page is a path like /prices, of at most {max} characters", max = paths::PAGE_CHARS_MAX)]
    Page,
    /// See the message.
    #[error("a table has 1 to {ROWS_MAX} rows, not {0:?}")]
    Limit(String),
    /// The goals of a site cannot be read.
    #[error("the goals of the site cannot be read")]
    Goals(#[from] sotto_store::goal::GoalError),
    /// ClickHouse refused or cannot be reached.
    #[error("cannot reach the database")]
    Database(#[from] clickhouse::error::Error),
}

/// A query as typed on a command line or in a URL.
#[derive(Debug, Clone, Default)]
pub struct Typed<'a> {
    /// First day, `YYYY-MM-DD`.
    pub from: Option<&'a str>,
    /// Last day, `YYYY-MM-DD`.
    pub to: Option<&'a str>,
    /// Names of metrics with commas between.
    pub metrics: Option<&'a str>,
    /// Name of a dimension.
    pub by: Option<&'a str>,
    /// Filters like `country=DE`, `country!=FR` and `page~=/blog` ([`crate::filter::Verb::sign`]).
    pub filters: Vec<&'a str>,
    /// How many rows.
    pub limit: Option<&'a str>,
    /// Name of a source of figures.
    pub source: Option<&'a str>,
}

impl Query {
    /// Everything about `range`, in one row.
    pub fn totals(scope: Scope, range: Range, filters: Filters) -> Self {
        Self {
            scope,
            range,
            since_ms: None,
            until_ms: None,
            filters,
            metrics: Metric::ALL.to_vec(),
            by: None,
            limit: 1,
            source: Source::Auto,
            detail: Detail::All,
        }
    }

    /// Reads a question. What is not said is the last thirty days, visitors, visits and pageviews, in one row.
    ///
    /// # Errors
    /// The first thing that is not known, with what is known.
    pub fn parse(scope: Scope, today: Date, typed: &Typed<'_>) -> Result<Self, ReportError> {
        let metrics = typed.metrics.unwrap_or("visitors,visits,pageviews");
        let metrics = metrics
            .split(',')
            .map(|name| Metric::from_name(name.trim()).ok_or_else(|| ReportError::Metric(name.to_owned())))
            .collect::<Result<Vec<_>, _>>()?;
        let by = typed
            .by
            .map(|name| Dimension::from_name(name).ok_or_else(|| ReportError::Dimension(name.to_owned())))
            .transpose()?;
        let limit = match typed.limit {
            None => ROWS_DEFAULT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|n| (1..=ROWS_MAX).contains(n))
                .ok_or_else(|| ReportError::Limit(text.to_owned()))?,
        };
        let filters = Filters::parse_equations(typed.filters.iter().copied())?;
        let range = Range::parse(typed.from, typed.to, today)?;
        let source = match typed.source {
            None => Source::Auto,
            Some(name) => Source::from_name(name).ok_or_else(|| ReportError::Source(name.to_owned()))?,
        };
        Ok(Self { metrics, by, limit, source, ..Self::totals(scope, range, filters) })
    }
}

/// One list of a page: the figures by one dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct List {
    /// The dimension.
    pub by: Dimension,
    /// The metric by which its rows are sorted; days and hours are sorted by time.
    pub sort: Metric,
    /// How many rows at most, beside the rest of what was folded; days and hours are all there.
    pub limit: u64,
    /// Whether entries and bounces are needed where each hit has a value of its own (pages, hours): they cost
    /// another pass over raw events.
    pub entries: bool,
}

/// Rows of a list, by value.
pub type Rows = Vec<(String, Counts)>;

/// The answer to [`lists`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// Everything in the period.
    pub totals: Counts,
    /// The same by day, the last first.
    pub days: Rows,
    /// Where the totals come from.
    pub origin: Origin,
    /// The lists, in the order in which they were asked for.
    pub lists: Vec<(Rows, Origin)>,
    /// Pageviews by consent.
    pub consent: Consent,
    /// Whether it is empty because it stands for nobody or too few visitors to be shown to this reader.
    pub withheld: bool,
}

/// Runs everything that a page shows of one period: the totals, the lists, and the pageviews by consent, with as
/// few queries as their sources allow: one, where no day is read from the archive.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn lists(
    db: &Reports,
    sources: &Sources,
    query: &Query,
    lists: &[List],
    consent: bool,
) -> Result<Answer, ReportError> {
    // The totals are the sum of the days.
    let days = List { by: Dimension::Day, sort: Metric::Visitors, limit: ROWS_MAX, entries: true };
    let all: Vec<List> = std::iter::once(days).chain(lists.iter().copied()).collect();
    let archived = try_join_all(all.iter().map(|list| archive::part(db, sources, query, list))).await?;
    let mut found: Vec<Option<Rows>> = vec![None; all.len()];
    let mut answer = Answer::default();
    for n in 0..all.len() {
        if found[n].is_some() {
            continue;
        }
        // Lists that leave the same days to the archive share a query.
        let same: Vec<usize> = (n..all.len()).filter(|m| archived[*m].days == archived[n].days).collect();
        let some: Vec<List> = same.iter().map(|m| all[*m]).collect();
        let wants_consent = consent && n == 0;
        // With rows from the archive to be added, the greatest can only be told from all.
        let whole = !archived[n].days.is_empty();
        let scan = Scan { query, lists: &some, consent: wants_consent, whole };
        let (rows, consent) = scan.run(db, &sources.plan(query, &archived[n].days)).await?;
        if wants_consent {
            answer.consent = consent;
        }
        for (m, rows) in same.into_iter().zip(rows) {
            found[m] = Some(rows);
        }
    }
    for ((list, archived), rows) in all.iter().zip(archived).zip(found) {
        let rows = archive::join(
            [archived.rows, rows.unwrap_or_default()],
            if list.by.is_time() { u64::MAX } else { list.limit },
            list.by.is_time(),
            |counts| list.sort.size(counts),
        );
        answer.lists.push((rows, archived.origin));
    }
    let (days, origin) = answer.lists.remove(0);
    days.iter().for_each(|(_, counts)| answer.totals += *counts);
    (answer.days, answer.origin) = (days, origin);
    if query.detail == Detail::Groups {
        answer.by_groups(lists, !query.filters.is_empty());
    }
    Ok(answer)
}

/// Where the totals of a query come from.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn origin(db: &Db, query: &Query) -> Result<Origin, ReportError> {
    let sources = Sources::of(db, &query.scope, query.range).await?;
    let days = List { by: Dimension::Day, sort: Metric::Visitors, limit: ROWS_MAX, entries: true };
    Ok(archive::part(db, &sources, query, &days).await?.origin)
}

/// The counts, and where they come from.
async fn answer(db: &Reports, query: &Query) -> Result<(Rows, Origin, bool), ReportError> {
    let sources = Sources::of(db, &query.scope, query.range).await?;
    let sort = query.metrics.first().copied().unwrap_or(Metric::Visitors);
    let Some(by) = query.by else {
        let answer = lists(db, &sources, query, &[], false).await?;
        let nothing = answer.totals == Counts::default();
        let rows = if nothing { Vec::new() } else { vec![(String::new(), answer.totals)] };
        return Ok((rows, answer.origin, answer.withheld));
    };
    let entries = query.metrics.contains(&Metric::BounceRate);
    let list = List { by, sort, limit: query.limit, entries };
    let mut answer = lists(db, &sources, query, &[list], false).await?;
    let (mut rows, origin) = answer.lists.remove(0);
    if by.is_time() {
        // The last `limit` moments, in order.
        let rest = rows.pop_if(|(value, _)| value == archive::REST);
        rows.truncate(usize::try_from(query.limit).unwrap_or(usize::MAX));
        rows.extend(rest);
        rows.sort_by(|a, b| a.0.cmp(&b.0));
    }
    Ok((rows, origin, answer.withheld))
}

/// Runs a report.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn run(db: &Reports, query: &Query) -> Result<Table, ReportError> {
    let (mut rows, origin, withheld) = answer(db, query).await?;
    if query.by.is_none() && rows.is_empty() {
        rows.push((String::new(), Counts::default()));
    }
    let figures = |counts: &Counts| query.metrics.iter().map(|m| m.of(counts)).collect();
    Ok(Table {
        by: query.by,
        metrics: query.metrics.clone(),
        rows: rows
            .into_iter()
            .map(|(value, counts)| TableRow { value, figures: figures(&counts), counts })
            .collect(),
        origin,
        detail: query.detail,
        withheld,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn parse(typed: &Typed<'_>) -> Result<Query, ReportError> {
        Query::parse(Scope { site: SiteId(1), time_zone: "UTC".into() }, date(2026, 3, 31), typed)
    }

    #[test]
    fn question_without_words_is_about_thirty_days() {
        let query = parse(&Typed::default()).unwrap();
        assert_eq!(query.range, Range { from: date(2026, 3, 2), to: date(2026, 3, 31) });
        assert_eq!(query.metrics, [Metric::Visitors, Metric::Visits, Metric::Pageviews]);
        assert_eq!((query.by, query.limit), (None, ROWS_DEFAULT));
    }

    #[test]
    fn unknown_word_is_refused_with_what_is_known() {
        for (typed, expected) in [
            (Typed { metrics: Some("visitors,clicks"), ..Typed::default() }, "views_per_visit"),
            (Typed { by: Some("planet"), ..Typed::default() }, "utm_campaign"),
            (Typed { filters: vec!["planet=Mars"], ..Typed::default() }, "country"),
            (Typed { from: Some("yesterday"), ..Typed::default() }, "2026-01-31"),
            (Typed { limit: Some("0"), ..Typed::default() }, "10000"),
            (Typed { source: Some("tape"), ..Typed::default() }, "archive"),
            (Typed { limit: Some("10001"), ..Typed::default() }, "10000"),
        ] {
            let message = parse(&typed).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
        assert_eq!(parse(&Typed { limit: Some("10000"), ..Typed::default() }).unwrap().limit, ROWS_MAX);
    }
}
