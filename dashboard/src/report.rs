//! Reports on a site's traffic: one [`Query`] and one [`Table`] for the pages, the JSON API
//! and `sotto report`.
//!
//! Guarantees: the metrics are defined once, in `report/by_visit.sql` and `report/by_hit.sql`; a query cannot name
//! another site, column or table than it was made for, because everything that varies is a typed parameter; lists
//! are bounded. An unknown name is rejected with the list of known ones.

use clickhouse::Row;
use jiff::civil::Date;
use serde::Deserialize;
pub use sotto_schema::dimension::Dimension;
use sotto_schema::{dimension::CountedBy, id::SiteId};
use sotto_store::db::Db;

use crate::{
    filter::{Filters, UnknownFilter},
    range::{Range, RangeError},
};

pub mod archive;
pub mod consent;
mod counts;
pub mod decisions;
pub mod first_hit;
pub mod health;
pub mod live_visitors;
mod metric;
pub mod outcomes;
pub mod receipts;
pub mod recent_outcomes;
pub mod returning;
pub mod series;
pub mod unmapped_consent;

pub use archive::{Origin, Source};
pub use counts::Counts;
pub use metric::Metric;

/// How many rows a table has at most.
pub const ROWS_MAX: u64 = 10_000;
/// How many rows a table has when nobody says.
pub const ROWS_DEFAULT: u64 = 100;

/// The site a query is about.
#[derive(Debug, Clone, PartialEq, Eq)]
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
}

/// One row of a [`Table`].
#[derive(Debug, Clone, PartialEq)]
pub struct TableRow {
    /// The value of the dimension; empty stands for "none" or "not known".
    pub value: String,
    /// The figures; `None` where there is nothing to divide by.
    pub figures: Vec<Option<f64>>,
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
    #[error("a table has 1 to {ROWS_MAX} rows, not {0:?}")]
    Limit(String),
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
    /// Filters like `country=DE`, `country!=FR` and `page~=/blog`.
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
            until_ms: None,
            filters,
            metrics: Metric::ALL.to_vec(),
            by: None,
            limit: 1,
            source: Source::Auto,
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
        Ok(Self { scope, range, until_ms: None, filters, metrics, by, limit, source })
    }
}

#[derive(Debug, Row, Deserialize)]
pub(crate) struct CountsRow {
    value: String,
    visitors: u64,
    visits: u64,
    pageviews: u64,
    measured_views: u64,
    events: u64,
    entries: u64,
    bounces: u64,
    engaged: u64,
}

/// A report's text with and without filters.
pub(crate) struct Sql {
    all: &'static str,
    some: &'static str,
}

/// Adds what every report's `scope.sql` needs.
/// Days in `skip` are left out.
pub(crate) fn scoped(db: &Db, sql: &Sql, query: &Query, skip: &[Date]) -> clickhouse::query::Query {
    let [is, isnt, has] = query.filters.parameters();
    let db = db.of_site(query.scope.site);
    db.query(if query.filters.is_empty() { sql.all } else { sql.some })
        .param("site", query.scope.site)
        .param("tz", &query.scope.time_zone)
        .param("from", query.range.from.to_string())
        .param("to", query.range.to.to_string())
        .param("skip", skip.iter().map(ToString::to_string).collect::<Vec<_>>())
        .param("until", query.until_ms.unwrap_or(UNTIL_END_MS))
        .param("is", is)
        .param("isnt", isnt)
        .param("has", has)
        .param("narrow", query.filters.choose_visits())
}

/// The year 2200: no limit.
const UNTIL_END_MS: i64 = 7_258_118_400_000;

/// Puts a report's text together.
macro_rules! sql {
    ($report:literal) => {
        Sql {
            all: concat!(
                include_str!("report/keep_all.sql"),
                include_str!("report/scope.sql"),
                include_str!($report)
            ),
            some: concat!(
                include_str!("report/keep_some.sql"),
                include_str!("report/scope.sql"),
                include_str!($report)
            ),
        }
    };
}

const BY_VISIT: Sql = sql!("report/by_visit.sql");
const BY_HIT: Sql = sql!("report/by_hit.sql");
const CONSENT: Sql = sql!("report/consent.sql");

/// The plain counts from which the metrics are made, one row per value.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn counts(db: &Db, query: &Query) -> Result<Vec<(String, Counts)>, ReportError> {
    Ok(answer(db, query).await?.0)
}

/// Where the totals of a query come from.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn origin(db: &Db, query: &Query) -> Result<Origin, ReportError> {
    Ok(archive::part(db, &Query { by: None, ..query.clone() }).await?.origin)
}

/// The counts, and where they come from.
async fn answer(db: &Db, query: &Query) -> Result<(Vec<(String, Counts)>, Origin), ReportError> {
    let archived = archive::part(db, query).await?;
    let mut rows = if archived.days.is_empty() {
        raw_counts(db, query, &[]).await?
    } else {
        let raw = if archived.origin.raw.is_empty() {
            Vec::new()
        } else {
            // Both halves have to be whole before the greatest can be told.
            raw_counts(db, &Query { limit: ROWS_MAX, ..query.clone() }, &archived.days).await?
        };
        let metric = query.metrics.first().copied().unwrap_or(Metric::Visitors);
        let moments = query.by.is_some_and(Dimension::is_time);
        archive::join([archived.rows, raw], query.limit, moments, |counts| metric.size(counts))
    };
    if query.by.is_some_and(Dimension::is_time) {
        rows.sort_by(|a, b| a.0.cmp(&b.0));
    }
    Ok((rows, archived.origin))
}

async fn raw_counts(db: &Db, query: &Query, skip: &[Date]) -> Result<Vec<(String, Counts)>, ReportError> {
    let order = match (query.by, query.metrics.first()) {
        (Some(Dimension::Day | Dimension::Hour), _) => "value",
        (_, metric) => metric.copied().unwrap_or(Metric::Visitors).order(),
    };
    let by = query.by.map_or("everything", Dimension::name);
    let asked = match query.by.map(Dimension::counted_by) {
        Some(CountedBy::Hit { at_entry }) => scoped(db, &BY_HIT, query, skip)
            .param("by", by)
            .param("entry", at_entry.unwrap_or("everything"))
            .param("bounces", at_entry.is_some() && query.metrics.contains(&Metric::BounceRate)),
        Some(CountedBy::Visit | CountedBy::Visitor) | None => {
            scoped(db, &BY_VISIT, query, skip).param("by", by)
        }
    };
    let rows: Vec<CountsRow> = asked.param("order", order).param("limit", query.limit).fetch_all().await?;
    let counts = |row: CountsRow| {
        let counts = Counts {
            visitors: row.visitors,
            visits: row.visits,
            pageviews: row.pageviews,
            measured_views: row.measured_views,
            events: row.events,
            entries: row.entries,
            bounces: row.bounces,
            engaged_ms: row.engaged,
        };
        (row.value, counts)
    };
    Ok(rows.into_iter().map(counts).collect())
}

/// Runs a report.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn run(db: &Db, query: &Query) -> Result<Table, ReportError> {
    let (mut rows, origin) = answer(db, query).await?;
    if query.by.is_none() && rows.is_empty() {
        rows.push((String::new(), Counts::default()));
    }
    let figures = |counts: &Counts| query.metrics.iter().map(|m| m.of(counts)).collect();
    Ok(Table {
        by: query.by,
        metrics: query.metrics.clone(),
        rows: rows.into_iter().map(|(value, counts)| TableRow { value, figures: figures(&counts) }).collect(),
        origin,
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
    fn every_dimension_is_a_column_of_the_scope() {
        let scope = include_str!("report/scope.sql");
        for dimension in Dimension::ALL {
            assert!(scope.contains(&format!("AS {}", dimension.name())), "{dimension:?}");
        }
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
