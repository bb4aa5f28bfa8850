//! Looks up the decisions recorded under a consent receipt, for a visitor who presents it.

use clickhouse::Row;
use serde::Deserialize;
use sotto_schema::{id::SiteId, policy::Category};
use sotto_store::db::Db;

use super::{ReportError, patient::Patient as _};

/// The longest receipt number.
pub const RECEIPT_CHARS_MAX: usize = 64;
/// How many decisions are shown per receipt.
pub const DECISIONS_MAX: u64 = 20;

/// A decision as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Row, Deserialize)]
pub struct Decision {
    /// When, in milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// What was granted, as a mask of [`Category`] bits.
    pub granted: u8,
    /// What was refused.
    pub refused: u8,
    /// Whether the browser sent Global Privacy Control.
    pub gpc: bool,
    /// Which version of banner and policy the visitor saw.
    pub version: String,
    /// Who asked.
    pub source: String,
}

/// The names of the categories in a mask.
pub fn categories(mask: u8) -> Vec<&'static str> {
    Category::ALL.into_iter().filter(|c| mask & *c as u8 != 0).map(Category::name).collect()
}

/// Parses a typed receipt number.
pub fn number(typed: &str) -> Option<&str> {
    let number = typed.trim();
    let fits = (1..=RECEIPT_CHARS_MAX).contains(&number.len());
    (fits && number.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')).then_some(number)
}

/// The decisions recorded under a receipt, oldest first.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn run(db: &Db, site: SiteId, number: &str) -> Result<Vec<Decision>, ReportError> {
    let found = db
        .of_site(site)
        .query(include_str!("receipts.sql"))
        .param("site", site)
        .param("receipt", number)
        .param("limit", DECISIONS_MAX)
        .rows()
        .await?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_is_short_and_plain() {
        let longest = "a".repeat(RECEIPT_CHARS_MAX);
        assert_eq!(number(" 3f9a8b7c6d5e4f3a "), Some("3f9a8b7c6d5e4f3a"));
        assert_eq!(number(&longest), Some(longest.as_str()));
        for typed in ["", "  ", "a b", "a'", "é", &format!("{longest}a")] {
            assert_eq!(number(typed), None, "{typed:?}");
        }
    }

    #[test]
    fn mask_names_its_categories() {
        assert_eq!(categories(5), ["essential", "analytics"]);
        assert_eq!(categories(0), [""; 0]);
    }
}
