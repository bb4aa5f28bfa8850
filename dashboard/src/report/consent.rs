//! Pageviews by counting tier and by consent.

use clickhouse::Row;
use serde::Deserialize;
use sotto_store::db::Db;

use super::{CONSENT, Query, ReportError, scoped};

/// Pageviews by how they were counted and by consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Row, Deserialize)]
pub struct Consent {
    /// Counted with visitor and visit.
    pub full: u64,
    /// Those of them whose visitor granted analytics; the others are counted under an exemption.
    pub agreed: u64,
    /// Counted as an anonymous pageview.
    pub anonymous: u64,
    /// The visitor granted analytics.
    pub granted: u64,
    /// The visitor refused analytics.
    pub refused: u64,
    /// The visitor has not decided.
    pub undecided: u64,
    /// The browser sent Global Privacy Control.
    pub gpc: u64,
}

impl Consent {
    /// All pageviews.
    pub fn pageviews(&self) -> u64 {
        self.full + self.anonymous
    }
}

/// Counts the query's pageviews by consent.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn run(db: &Db, query: &Query) -> Result<Consent, ReportError> {
    Ok(scoped(db, &CONSENT, query, &[]).fetch_one().await?)
}
