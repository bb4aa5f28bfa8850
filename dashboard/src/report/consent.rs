//! Pageviews by counting tier and by consent.

use std::ops::Add;

use super::{Query, ReportError, Reports, Sources, lists};

/// Pageviews by how they were counted and by consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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

    /// The same with each number rounded.
    pub(super) fn rounded(self, round: impl Fn(u64) -> u64) -> Self {
        Self {
            full: round(self.full),
            agreed: round(self.agreed),
            anonymous: round(self.anonymous),
            granted: round(self.granted),
            refused: round(self.refused),
            undecided: round(self.undecided),
            gpc: round(self.gpc),
        }
    }

    /// Adds pageviews under the name of a field.
    pub(super) fn add(&mut self, field: &str, pageviews: u64) {
        match field {
            "full" => self.full += pageviews,
            "agreed" => self.agreed += pageviews,
            "anonymous" => self.anonymous += pageviews,
            "granted" => self.granted += pageviews,
            "refused" => self.refused += pageviews,
            "undecided" => self.undecided += pageviews,
            "gpc" => self.gpc += pageviews,
            _ => {}
        }
    }
}

impl Add for Consent {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            full: self.full + other.full,
            agreed: self.agreed + other.agreed,
            anonymous: self.anonymous + other.anonymous,
            granted: self.granted + other.granted,
            refused: self.refused + other.refused,
            undecided: self.undecided + other.undecided,
            gpc: self.gpc + other.gpc,
        }
    }
}

/// Counts the query's pageviews by consent.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn run(db: &Reports, query: &Query) -> Result<Consent, ReportError> {
    let sources = Sources::of(db, &query.scope, query.range).await?;
    Ok(lists(db, &sources, query, &[], true).await?.consent)
}
