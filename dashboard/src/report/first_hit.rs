//! The first pageview of a site, which a new installation waits for.

use clickhouse::Row;
use serde::Deserialize;
use sotto_schema::id::SiteId;
use sotto_store::db::Db;

use super::ReportError;

/// A site's first pageview.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct FirstHit {
    /// Host of the page.
    pub hostname: String,
    /// Path of the page.
    pub path: String,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub time: i64,
}

/// The first pageview of a site, if there is one.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn run(db: &Db, site: SiteId) -> Result<Option<FirstHit>, ReportError> {
    Ok(db.of_site(site).query(include_str!("first_hit.sql")).param("site", site).fetch_optional().await?)
}
