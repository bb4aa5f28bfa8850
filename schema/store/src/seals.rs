//! What is sealed of a site: which days and months have been turned into the anonymous archive.
//!
//! The archive's rows are visible only through these lines: a seal writes its rows under a number of its own, and its
//! line last. How days are sealed, and what is proven about the result, is said in `collector/src/archive.rs`.

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
    /// Number under which its rows are.
    pub seal: u64,
    /// Fewest people of its leaves.
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

/// What is sealed of a site between two days, days before months.
///
/// # Errors
/// When ClickHouse cannot be asked.
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

/// Whether a day of a site is sealed, so that its raw rows may be dropped: retention asks this first. True also when
/// only its month is sealed, because what comes later than that is not archived.
///
/// # Errors
/// When ClickHouse cannot be asked.
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
/// When ClickHouse cannot be asked.
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
