//! Consent categories that no mapping covers, for the owner to map.

use clickhouse::Row;
use serde::Deserialize;
use sotto_store::db::Db;

use super::{ReportError, Scope, patient::Patient as _};
use crate::range::Range;

/// How many categories are listed; their ids come from outside, so there could be any number.
pub const CATEGORIES_MAX: u64 = 50;

/// A category that no mapping covers.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct Unmapped {
    /// The consent manager; empty if unknown.
    pub source: String,
    /// Its category id, at most 64 characters; anything that looks like personal data is masked.
    pub category: String,
    /// On how many pages it was reported.
    pub times: u64,
    /// The last day of the period on which it was reported (`YYYY-MM-DD`, site's calendar).
    pub last_day: String,
}

/// The categories that were reported in a period, most often first.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn run(db: &Db, scope: &Scope, range: Range) -> Result<Vec<Unmapped>, ReportError> {
    let found = db
        .of_site(scope.site)
        .query(include_str!("unmapped_consent.sql"))
        .param("site", scope.site)
        .param("from", range.from.to_string())
        .param("to", range.to.to_string())
        .param("limit", CATEGORIES_MAX)
        .rows()
        .await?;
    Ok(found)
}
