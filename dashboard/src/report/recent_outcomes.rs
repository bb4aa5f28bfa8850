//! Outcomes of a site's most recent hits, for the install page.

use clickhouse::Row;
use jiff::Timestamp;
use serde::Deserialize;
use sotto_schema::id::SiteId;
use sotto_store::db::Db;

use super::{ReportError, patient::Patient as _};

/// How many hits ended in one outcome.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct RecentOutcome {
    /// Stored, minimised or dropped.
    pub outcome: String,
    /// Why they were dropped.
    pub reason: String,
    /// How many.
    pub hits: u64,
}

/// The outcomes of this hour and the previous one, most frequent first. The collector writes them every few seconds.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn run(db: &Db, site: SiteId, now: Timestamp) -> Result<Vec<RecentOutcome>, ReportError> {
    let query = db.of_site(site).query(include_str!("recent_outcomes.sql")).param("site", site);
    Ok(query.param("now", now.as_millisecond()).rows().await?)
}
