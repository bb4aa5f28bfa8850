//! The number of visitors right now.

use jiff::Timestamp;
use sotto_schema::id::SiteId;
use sotto_store::db::Db;

use super::{ReportError, patient::Patient as _};

/// Measured visitors with a hit in the last five minutes.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn run(db: &Db, site: SiteId, now: Timestamp) -> Result<u64, ReportError> {
    let query = db.of_site(site).query(include_str!("live_visitors.sql")).param("site", site);
    Ok(query.param("now", now.as_millisecond()).row().await?)
}
