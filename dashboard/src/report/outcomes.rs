//! What became of a site's hits, also of those that were not kept.

use clickhouse::Row;
use jiff::Timestamp;
use serde::Deserialize;
use sotto_schema::db::Db;

use super::ReportError;

/// How many hits ended in one outcome.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct Count {
    /// Stored, minimised or dropped.
    pub outcome: String,
    /// Why they were dropped.
    pub reason: String,
    /// How many.
    pub hits: u64,
}

/// The outcomes of the hour of `now` and the one before, the most frequent first. The collector writes them every few seconds.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn run(db: &Db, site: u64, now: Timestamp) -> Result<Vec<Count>, ReportError> {
    let query = db.of_site(site).query(include_str!("outcomes.sql")).param("site", site);
    Ok(query.param("now", now.as_millisecond()).fetch_all().await?)
}
