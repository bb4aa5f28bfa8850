//! Checks that hits arrive as they should, and guesses the cause when they do not.

use clickhouse::Row;
use jiff::Timestamp;
use serde::Deserialize;
use sotto_schema::id::SiteId;
use sotto_store::db::Db;

use super::{ReportError, patient::Patient as _};

/// With this many hits, some should have a public address.
pub const PRIVATE_HITS_MIN: u64 = 20;
/// Above this share of hits with a foreign host name, in per cent, the set-up is probably wrong.
pub const FOREIGN_PERCENT_MAX: u64 = 20;

/// The last 24 hours of a site, and its last hit ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Row, Deserialize)]
pub struct Health {
    /// Hits of the last 24 hours.
    pub hits_recent: u64,
    /// Those of pages on hosts that do not belong to the site.
    pub foreign_recent: u64,
    /// Those from an address of a private network.
    pub private_recent: u64,
    /// Those from an address of the internet.
    pub public_recent: u64,
    /// When the hour of the last hit began, in milliseconds since 1970-01-01 UTC; 0 when there was none.
    pub last_hour: i64,
    /// When the last kept hit happened, in milliseconds since 1970-01-01 UTC; 0 when there is none.
    pub last_kept: i64,
}

/// What is probably wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warning {
    /// Every hit came from a private network: a proxy in front of Sotto is not trusted.
    Proxy {
        /// How many hits.
        hits: u64,
    },
    /// Many hits came from pages that do not belong to the site.
    Foreign {
        /// How many.
        hits: u64,
        /// Of how many.
        of: u64,
    },
    /// Hits have stopped arriving.
    Silence {
        /// When the hour of the last hit began, in milliseconds since 1970-01-01 UTC.
        since: i64,
    },
}

impl Warning {
    /// The name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proxy { .. } => "proxy_not_trusted",
            Self::Foreign { .. } => "foreign_hostname",
            Self::Silence { .. } => "silence",
        }
    }
}

impl Health {
    /// What is probably wrong, the worst first.
    pub fn warnings(&self) -> Vec<Warning> {
        let proxy = self.private_recent >= PRIVATE_HITS_MIN && self.public_recent == 0;
        let foreign = u128::from(self.foreign_recent) * 100
            > u128::from(self.hits_recent) * u128::from(FOREIGN_PERCENT_MAX);
        let silence = self.hits_recent == 0 && self.last_hour > 0;
        [
            proxy.then_some(Warning::Proxy { hits: self.private_recent }),
            silence.then_some(Warning::Silence { since: self.last_hour }),
            foreign.then_some(Warning::Foreign { hits: self.foreign_recent, of: self.hits_recent }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// The health of a site.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn run(db: &Db, site: SiteId, now: Timestamp) -> Result<Health, ReportError> {
    let query = db.of_site(site).query(include_str!("health.sql")).param("site", site);
    Ok(query.param("now", now.as_millisecond()).row().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxy_is_suspected_from_twenty_private_hits_on_and_only_without_a_public_one() {
        for (private, public, warned) in [(19, 0, false), (20, 0, true), (20, 1, false), (0, 0, false)] {
            let health = Health {
                hits_recent: private + public,
                private_recent: private,
                public_recent: public,
                ..Health::default()
            };
            let expected: Vec<_> = warned.then_some(Warning::Proxy { hits: private }).into_iter().collect();
            assert_eq!(health.warnings(), expected, "{private} {public}");
        }
    }

    #[test]
    fn foreign_host_names_are_warned_of_above_a_fifth() {
        for (foreign, hits, warned) in [(0, 0, false), (20, 100, false), (21, 100, true), (1, 1, true)] {
            let health = Health { hits_recent: hits, foreign_recent: foreign, ..Health::default() };
            assert_eq!(!health.warnings().is_empty(), warned, "{foreign} of {hits}");
        }
    }

    #[test]
    fn silence_is_strange_only_after_traffic() {
        let quiet = Health { last_hour: 1_000, ..Health::default() };
        assert_eq!(quiet.warnings(), [Warning::Silence { since: 1_000 }]);
        assert!(Health::default().warnings().is_empty());
        assert!(Health { hits_recent: 1, ..quiet }.warnings().is_empty());
    }
}
