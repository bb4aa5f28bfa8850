//! How many visitors are there right now.

use jiff::Timestamp;
use sotto_schema::db::Db;

use super::ReportError;

/// Measured visitors with a hit in the five minutes before `now`.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn run(db: &Db, site: u64, now: Timestamp) -> Result<u64, ReportError> {
    let query = db.of_site(site).query(include_str!("present.sql")).param("site", site);
    Ok(query.param("now", now.as_millisecond()).fetch_one().await?)
}
