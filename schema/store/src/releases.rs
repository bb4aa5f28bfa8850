//! Releases: the rows of the anonymous archive, which are the ledger of its privacy budget at the same time.
//!
//! A release is written by one insert and never changed. How it is made, and what is promised, is described in
//! `collector/src/archive.rs`.

use clickhouse::Row;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_repr::{Deserialize_repr, Serialize_repr};
use sotto_schema::{day::Day, id::SiteId};

use crate::db::Db;

/// What was released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize_repr, Deserialize_repr)]
#[repr(i8)]
pub enum Period {
    /// A day in the site's time zone.
    Day = 1,
    /// A month of such days.
    Month = 2,
}

/// One dimension of a release, as it is stored.
#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
pub struct Line {
    /// Whose traffic.
    pub site: SiteId,
    /// Day or month.
    pub period: Period,
    /// The day, or the first day of the month, in days since 1970-01-01.
    pub day: u16,
    /// Number of the release; later ones are greater.
    pub release: u64,
    /// Name of the dimension.
    pub dimension: String,
    /// Whether hits without a visitor are counted, each for itself.
    pub anonymous: bool,
    /// The privacy loss that the site allowed.
    pub epsilon: u8,
    /// Whether the budget of a day was divided between its day and its month.
    pub monthly: bool,
    /// What the line costs each visitor's day, in zero-concentrated differential privacy.
    pub rho: f64,
    /// The chance that a value of one visitor alone is released.
    pub delta: f64,
    /// Standard deviation of the noise in `counts`.
    pub sigma: f64,
    /// Counts with noise that are smaller are not released.
    pub threshold: u32,
    /// Standard deviation of the noise in `hits`; 0 if hits are not counted.
    pub hits_sigma: f64,
    /// The values, in order.
    pub values: Vec<String>,
    /// Visitors of each value, with noise; of totals, their figure.
    pub counts: Vec<u32>,
    /// Pageviews or events of each value, with noise; empty if hits are not counted.
    pub hits: Vec<u32>,
    /// Digest of the site's release before; zeros in the first.
    pub previous: [u8; 32],
    /// Digest of the whole release.
    pub digest: [u8; 32],
}

/// A release in the ledger.
#[derive(Debug, Clone, PartialEq, Row, Deserialize)]
pub struct Release {
    /// Day or month.
    pub period: Period,
    /// The day, or the first day of the month, in days since 1970-01-01.
    pub day: u16,
    /// Its number.
    pub release: u64,
    /// The privacy loss that the site allowed.
    pub epsilon: u8,
    /// Whether the budget of a day was divided between its day and its month.
    pub monthly: bool,
    /// What it costs each visitor's day, in zero-concentrated differential privacy.
    pub rho: f64,
    /// The chance that a value of one visitor alone is released.
    pub delta: f64,
    /// Its digest.
    pub digest: [u8; 32],
}

/// Digest of a release: of all its lines but their digests, in the order of dimensions.
pub fn digest(lines: &[Line]) -> [u8; 32] {
    let mut sorted: Vec<&Line> = lines.iter().collect();
    sorted.sort_by_key(|line| (&line.dimension, line.anonymous));
    let mut hasher = blake3::Hasher::new_derive_key("sotto 2026-11 archive release");
    for line in sorted {
        let without = Line { digest: [0; 32], ..line.clone() };
        // The same text for the same line on every machine: floats are written as they are read back.
        let text = serde_json::to_vec(&without).unwrap_or_default();
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(&text);
    }
    *hasher.finalize().as_bytes()
}

/// The releases of a site, oldest first.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn of_site(db: &Db, site: SiteId) -> Result<Vec<Release>, clickhouse::error::Error> {
    between(db, site, [Day(0).date(), Day::MAX.date()]).await
}

/// The releases of a site's days between two, and of months that begin there, oldest first.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn between(
    db: &Db,
    site: SiteId,
    [from, to]: [Date; 2],
) -> Result<Vec<Release>, clickhouse::error::Error> {
    let query = db.of_site(site).query(include_str!("releases/between.sql")).param("site", site);
    query.param("from", Day::of(from).0).param("to", Day::of(to).0).fetch_all().await
}

/// All lines of a site, in the order of releases.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn lines(db: &Db, site: SiteId) -> Result<Vec<Line>, clickhouse::error::Error> {
    db.of_site(site).query(include_str!("releases/lines.sql")).param("site", site).fetch_all().await
}

/// Stores lines of one site by one insert: all of them or none.
///
/// # Errors
/// When ClickHouse refuses or cannot be reached; whether they were stored is not known then.
pub async fn store(db: &Db, site: SiteId, lines: &[Line]) -> Result<(), clickhouse::error::Error> {
    let db = db.of_site(site);
    let mut insert = db.client().insert::<Line>("archive").await?;
    for line in lines {
        insert.write(line).await?;
    }
    insert.end().await
}

/// Removes all releases of a site. Returns when they are gone.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn remove(db: &Db, site: SiteId) -> Result<(), clickhouse::error::Error> {
    let query = db.of_site(site).query(include_str!("releases/remove.sql")).param("site", site);
    query.with_setting("mutations_sync", "2").execute().await
}

/// Whether a day of a site is released, so that its raw events may be removed: retention checks this first. Also true when
/// only its month is, because late hits are not archived.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn is_released(db: &Db, site: SiteId, day: Date) -> Result<bool, clickhouse::error::Error> {
    let query = db.of_site(site).query(include_str!("releases/is_released.sql"));
    query.param("site", site).param("day", Day::of(day).0).fetch_one().await
}
