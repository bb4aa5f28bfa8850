//! Seals: which days and months of a site have been turned into the anonymous archive.
//!
//! The archive's rows become visible only through these lines: a seal writes its rows under its own ID, and
//! its line last. How days are sealed, and what is proven about the result, is described in
//! `collector/src/archive.rs`.

use clickhouse::Row;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_repr::{Deserialize_repr, Serialize_repr};
use sotto_schema::{day::Day, id::SiteId};

use crate::db::Db;

/// What was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize_repr, Deserialize_repr)]
#[repr(i8)]
pub enum Period {
    /// A day in the site's time zone.
    Day = 1,
    /// A month, after its days.
    Month = 2,
}

/// A line of the log of seals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// What was sealed.
    pub period: Period,
    /// The day, or the first day of the month.
    pub day: Date,
    /// ID under which its rows are stored.
    pub seal: u64,
    /// Minimum number of people per leaf.
    pub k: u8,
    /// How many raw rows the day had.
    pub rows: u64,
}

#[derive(Row, Serialize, Deserialize)]
struct SealRow {
    period: Period,
    day: u16,
    seal: u64,
    k: u8,
    rows: u64,
}

#[derive(Row, Serialize)]
struct NewSeal {
    site: SiteId,
    period: Period,
    day: u16,
    seal: u64,
    k: u8,
    rows: u64,
    sealed: i64,
}

/// A site's seals between two days, days before months.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn seals(
    db: &Db,
    site: SiteId,
    from: Date,
    to: Date,
) -> Result<Vec<Seal>, clickhouse::error::Error> {
    let rows: Vec<SealRow> = db
        .query(include_str!("seals/between.sql"))
        .param("site", site)
        .param("from", from.to_string())
        .param("to", to.to_string())
        .fetch_all()
        .await?;
    let seal =
        |r: SealRow| Seal { period: r.period, day: Day(r.day).date(), seal: r.seal, k: r.k, rows: r.rows };
    Ok(rows.into_iter().map(seal).collect())
}

/// Whether a day of a site is sealed, so that its raw rows may be dropped: retention checks this first. Also
/// true when only its month is sealed, because later arrivals are not archived.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn is_sealed(db: &Db, site: SiteId, day: Date) -> Result<bool, clickhouse::error::Error> {
    db.query(include_str!("seals/is_sealed.sql"))
        .param("site", site)
        .param("day", day.to_string())
        .fetch_one()
        .await
}

/// Makes the rows of a seal visible. From here on the period is sealed.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn commit(db: &Db, site: SiteId, seal: &Seal, now_ms: i64) -> Result<(), clickhouse::error::Error> {
    let mut insert = db.client().insert::<NewSeal>("archive_seals").await?;
    insert
        .write(&NewSeal {
            site,
            period: seal.period,
            day: Day::of(seal.day).0,
            seal: seal.seal,
            k: seal.k,
            rows: seal.rows,
            sealed: now_ms,
        })
        .await?;
    insert.end().await
}
