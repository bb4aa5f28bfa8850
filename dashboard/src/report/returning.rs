//! Returning visitors. Only those who agreed to be recognised are counted: without consent to
//! analytics a visitor has another key each day, and nobody can tell who came back.

use clickhouse::Row;
use serde::Deserialize;
use sotto_store::db::Db;

use super::{ReportError, Scope, patient::Patient as _};
use crate::range::Range;

/// How old the number that a browser keeps can be, in days (13 months; the script replaces it then). A visitor is
/// looked for as many days before the period.
pub const NUMBER_DAYS_MAX: u16 = 395;

/// Visitors of a period who agreed to be recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Row, Deserialize)]
pub struct Returning {
    /// All of them.
    pub visitors: u64,
    /// Those who were seen before the period, as far back as raw data reach.
    pub known_before: u64,
    /// Those who came for the first time in the period and again on another day of it.
    pub came_back: u64,
    /// Visits of all of them in the period.
    pub visits: u64,
    /// Those who came on one day of the period.
    pub days_1: u64,
    /// Those who came on two days.
    pub days_2: u64,
    /// Those who came on three to five days.
    pub days_3: u64,
    /// Those who came on six days and more.
    pub days_6: u64,
}

impl Returning {
    /// Those who came on more than one day or were known before.
    pub fn returned(&self) -> u64 {
        self.known_before + self.came_back
    }

    /// Those who came for the first time, on one day so far.
    pub fn first_time(&self) -> u64 {
        self.visitors.saturating_sub(self.returned())
    }

    /// Visits per visitor; `None` when there are no visitors.
    #[allow(clippy::cast_precision_loss)] // One or two digits after the point are shown.
    pub fn visits_per_visitor(&self) -> Option<f64> {
        (self.visitors > 0).then(|| self.visits as f64 / self.visitors as f64)
    }

    /// How many came on how many days of the period.
    pub fn by_days(&self) -> [(&'static str, u64); 4] {
        [("1", self.days_1), ("2", self.days_2), ("3-5", self.days_3), ("6+", self.days_6)]
    }
}

/// The visitors of a period who agreed to be recognised.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn run(db: &Db, scope: &Scope, range: Range) -> Result<Returning, ReportError> {
    let found = db
        .of_site(scope.site)
        .query(include_str!("returning.sql"))
        .param("site", scope.site)
        .param("from", range.from.to_string())
        .param("to", range.to.to_string())
        .param("oldest", NUMBER_DAYS_MAX)
        .row()
        .await?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visitors_are_either_new_or_returned() {
        let counts =
            Returning { visitors: 10, known_before: 3, came_back: 2, visits: 25, ..Returning::default() };
        assert_eq!((counts.returned(), counts.first_time()), (5, 5));
        assert_eq!(counts.visits_per_visitor(), Some(2.5));
        assert_eq!(Returning::default().visits_per_visitor(), None);
    }
}
