//! Visitors' consent decisions. Decisions are counted, not people: nothing links two
//! decisions of a visitor together, so that a withdrawal looks like any other refusal.

use std::{collections::HashMap, ops::AddAssign};

use clickhouse::Row;
use serde::Deserialize;
use sotto_store::db::Db;

use super::{
    ROWS_MAX, ReportError, Scope,
    patient::Patient as _,
    series::{labels, slot},
};
use crate::range::{Interval, Range};

/// How many sources are listed; their names come from outside, so there could be any number.
pub const SOURCES_MAX: u64 = 20;

/// Decisions, by what they granted beyond the essential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Decided {
    /// Every category.
    pub everything: u64,
    /// Some categories.
    pub some: u64,
    /// No category: refused, or withdrawn.
    pub nothing: u64,
    /// Those that granted preferences.
    pub preference: u64,
    /// Those that granted analytics.
    pub analytics: u64,
    /// Those that granted marketing.
    pub marketing: u64,
    /// Those of browsers that sent Global Privacy Control.
    pub gpc: u64,
}

impl Decided {
    /// All decisions.
    pub fn all(&self) -> u64 {
        self.everything + self.some + self.nothing
    }
}

impl AddAssign for Decided {
    fn add_assign(&mut self, other: Self) {
        self.everything += other.everything;
        self.some += other.some;
        self.nothing += other.nothing;
        self.preference += other.preference;
        self.analytics += other.analytics;
        self.marketing += other.marketing;
        self.gpc += other.gpc;
    }
}

/// The decisions of a period.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decisions {
    /// All of them.
    pub total: Decided,
    /// By hour, day or month, without gaps.
    pub points: Vec<(String, Decided)>,
    /// By consent manager, most frequent first; an empty name if unknown.
    pub sources: Vec<(String, Decided)>,
}

#[derive(Debug, Row, Deserialize)]
struct DecidedRow {
    value: String,
    everything: u64,
    some: u64,
    nothing: u64,
    preference: u64,
    analytics: u64,
    marketing: u64,
    gpc: u64,
}

impl DecidedRow {
    fn split(self) -> (String, Decided) {
        let Self { value, everything, some, nothing, preference, analytics, marketing, gpc } = self;
        (value, Decided { everything, some, nothing, preference, analytics, marketing, gpc })
    }
}

/// What visitors of a site decided.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn run(db: &Db, scope: &Scope, range: Range) -> Result<Decisions, ReportError> {
    let interval = range.interval();
    let rows = async |by: &str, limit: u64| -> Result<Vec<(String, Decided)>, ReportError> {
        let rows: Vec<DecidedRow> = db
            .of_site(scope.site)
            .query(include_str!("decisions.sql"))
            .param("by", by)
            .param("site", scope.site)
            .param("tz", &scope.time_zone)
            .param("from", range.from.to_string())
            .param("to", range.to.to_string())
            .param("hourly", interval == Interval::Hour)
            .param("limit", limit)
            .rows()
            .await?;
        Ok(rows.into_iter().map(DecidedRow::split).collect())
    };
    let (moments, sources) = tokio::try_join!(rows("moment", ROWS_MAX), rows("source", SOURCES_MAX))?;
    Ok(gather(range, interval, moments, sources))
}

fn gather(
    range: Range,
    interval: Interval,
    moments: Vec<(String, Decided)>,
    sources: Vec<(String, Decided)>,
) -> Decisions {
    let mut points: Vec<(String, Decided)> =
        labels(range, interval).into_iter().map(|at| (at, Decided::default())).collect();
    let index: HashMap<String, usize> = points.iter().enumerate().map(|(i, p)| (p.0.clone(), i)).collect();
    let mut total = Decided::default();
    for (at, decided) in moments {
        total += decided;
        if let Some((_, sum)) = index.get(slot(&at, interval)).and_then(|i| points.get_mut(*i)) {
            *sum += decided;
        }
    }
    Decisions { total, points, sources }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn decisions_of_a_period_are_the_sum_of_its_points() {
        let range = Range { from: date(2026, 3, 1), to: date(2026, 3, 2) };
        let yes = Decided { everything: 3, analytics: 3, ..Decided::default() };
        let no = Decided { nothing: 2, gpc: 1, ..Decided::default() };
        let moments = vec![("2026-03-02".to_owned(), yes), ("2026-03-01".to_owned(), no)];
        let decisions = gather(range, Interval::Day, moments, Vec::new());
        assert_eq!(decisions.points, [("2026-03-01".to_owned(), no), ("2026-03-02".to_owned(), yes)]);
        assert_eq!(decisions.total, Decided { everything: 3, nothing: 2, analytics: 3, gpc: 1, ..yes });
        assert_eq!(decisions.total.all(), 5);
    }
}
