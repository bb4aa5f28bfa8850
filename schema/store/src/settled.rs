//! Settled days: what reports need of a day that is over, so that raw events are not put together again for
//! every report.
//!
//! **What is settled.** Of each day: its visits (`settled_visits`, one row each), its page visits
//! (`settled_pages`) and its figures by dimension and value (`settled_cells`). A visitor's key lives for one
//! day, so the figures of days add up *exactly*: a report of ninety days is the sum of ninety days.
//!
//! **When it is used.** ClickHouse keeps the number of a day's raw events and the sum of their hashes with
//! each part (the projection `fingerprint`). A settled day is used only while both are those of the raw events
//! it was made from ([`days`]). A late hit, an erasure, an import or a batch that is stored twice changes them,
//! whoever wrote it; from that moment the day is read from raw events, until it is settled again. So a report
//! is the same from settled days as from raw events.
//!
//! **Privacy.** Settled rows are as personal as raw events. They are removed with their day's raw events
//! ([`forget`], called by retention and erasure), and without raw events nobody reads them.
//!
//! **Exactly once.** A settling writes its rows under a number of its own and becomes visible with one line in
//! `settled_days`, its last insert, if the fingerprint is still that of its beginning. What a settling wrote
//! that was killed before is never read, and [`sweep`] removes it.
//!
//! **Proof**: `tests/suite/settled.rs`: every report of random sites, from settled days and from raw events.

use std::collections::{BTreeMap, BTreeSet};

use clickhouse::{Row, query::Query};
use jiff::civil::Date;
use serde::Deserialize;
use sotto_schema::{clock::version, day::Day, id::SiteId};

use crate::db::Db;

pub mod figures;
pub mod of_events;

/// Pages of a visit that are kept in the order in which they were seen.
pub const PAGES_MAX: u16 = 50;
/// No moment: the year 2200, in milliseconds.
pub const UNTIL_END_MS: i64 = 7_258_118_400_000;
/// Fields of a visit, in the order of the tables' columns.
const VISIT_FIELDS: [&str; 30] = [
    "hour",
    "hostname",
    "entry_page",
    "exit_page",
    "source",
    "channel",
    "referrer",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_content",
    "utm_term",
    "click_id",
    "country",
    "region",
    "city",
    "network",
    "network_kind",
    "device",
    "browser",
    "browser_version",
    "os",
    "os_version",
    "screen",
    "language",
    "views",
    "events",
    "bounced",
    "engaged",
    "pages",
];
/// The fields of its visit that a page visit carries.
const PAGE_FIELDS: [&str; 16] = [
    "entry_page",
    "exit_page",
    "source",
    "channel",
    "referrer",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "country",
    "region",
    "city",
    "device",
    "browser",
    "os",
    "screen",
    "language",
];
/// What comes before and after them.
const PAGE_COLUMNS: [&str; 12] = [
    "site", "day", "settling", "visitor", "session", "alone", "firsts", "hour", "hostname", "page", "event",
    "consent",
];
const PAGE_COUNTS: [&str; 4] = ["views", "events", "engaged", "scroll"];
/// The tables, the one that makes the others visible first.
const TABLES: [&str; 4] = ["settled_days", "settled_visits", "settled_pages", "settled_cells"];
/// Bytes of a query's state from which on it is kept on disk.
const SPILL_BYTES: &str = "40000000";
/// Rows of a block while visits are put together: they are wide.
const BLOCK_ROWS: &str = "4096";
/// Microseconds after which a settling that did not end is removed.
const ABANDONED_US: u64 = 60 * 60 * 1_000_000;
/// Settlings removed by one statement: they travel in the request's URL.
const REMOVED_AT_ONCE: usize = 500;

/// Parts of a month's figures above which they are merged: each part costs a report a millisecond.
const PARTS_MAX: u64 = 3;
/// Bytes of a month's figures above which merging them is left to ClickHouse: it would take too long.
const MERGED_BYTES_MAX: u64 = 200_000_000;

/// The days of a site that have raw events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Days {
    /// Settled days, with the number of the settling and of the raw events it was made from.
    pub settled: BTreeMap<Date, (u64, u64)>,
    /// Days that have to be read from raw events, with their fingerprint.
    pub raw: BTreeMap<Date, Fingerprint>,
}

/// What tells whether the raw events of a day are the same: their number and the sum of their hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// How many.
    pub rows: u64,
    /// The sum of their hashes, modulo 2^64.
    pub hash: u64,
}

#[derive(Row, Deserialize)]
struct RawDay {
    day: u16,
    rows: u64,
    fingerprint: u64,
}

#[derive(Row, Deserialize)]
struct SettledDay {
    day: u16,
    settling: u64,
    rows: u64,
    fingerprint: u64,
}

/// Finds the days between `from` and `to` that have raw events, and which of them are settled for `time_zone`.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn days(
    db: &Db,
    site: SiteId,
    time_zone: &str,
    [from, to]: [Date; 2],
) -> Result<Days, clickhouse::error::Error> {
    let db = db.of_site(site);
    let between =
        |query: Query| query.param("site", site).param("from", from.to_string()).param("to", to.to_string());
    let raw = between(db.query(include_str!("settled/fingerprints.sql"))).fetch_all::<RawDay>();
    let settled = between(db.query(include_str!("settled/days.sql"))).param("tz", time_zone);
    let (raw, settled) = tokio::try_join!(raw, settled.fetch_all::<SettledDay>())?;
    let print = |rows, hash| Fingerprint { rows, hash };
    let mut raw: BTreeMap<Date, Fingerprint> =
        raw.into_iter().map(|day| (Day(day.day).date(), print(day.rows, day.fingerprint))).collect();
    // Two settlings of one fingerprint are the same; the later one is read.
    let settled: BTreeMap<Date, (u64, u64)> = settled
        .into_iter()
        .map(|line| (Day(line.day).date(), line.settling, print(line.rows, line.fingerprint)))
        .filter(|(day, _, print)| raw.get(day) == Some(print))
        .map(|(day, settling, print)| (day, (settling, print.rows)))
        .collect();
    raw.retain(|day, _| !settled.contains_key(day));
    Ok(Days { settled, raw })
}

/// Settles a day of a site; `false` when its raw events changed meanwhile, so that it is not settled.
///
/// # Errors
/// When ClickHouse cannot be asked; nothing is visible then.
pub async fn settle(
    db: &Db,
    site: SiteId,
    time_zone: &str,
    day: Date,
    print: Fingerprint,
) -> Result<bool, clickhouse::error::Error> {
    let settling = version();
    let db = &db.of_site(site);
    let raw = [day.to_string()];
    for sql in statements() {
        db.query(&sql)
            .param("site", site)
            .param("day", day.to_string())
            .param("raw", &raw[..])
            .param("until", UNTIL_END_MS)
            .param("tz", time_zone)
            .param("settling", settling)
            .param("pages", PAGES_MAX)
            .with_setting("optimize_aggregation_in_order", "1")
            .with_setting("max_bytes_before_external_group_by", SPILL_BYTES)
            .with_setting("max_bytes_before_external_sort", SPILL_BYTES)
            .with_setting("join_algorithm", "grace_hash,hash")
            .with_setting("max_block_size", BLOCK_ROWS)
            .execute()
            .await?;
    }
    let now = days(db, site, time_zone, [day, day]).await?;
    if now.raw.get(&day) != Some(&print) && !now.settled.contains_key(&day) {
        return Ok(false);
    }
    db.query(include_str!("settled/note.sql"))
        .param("site", site)
        .param("day", day.to_string())
        .param("settling", settling)
        .param("rows", print.rows)
        .param("fingerprint", print.hash)
        .param("tz", time_zone)
        .execute()
        .await?;
    Ok(true)
}

/// The statements that settle a day, in order.
fn statements() -> [String; 4] {
    let visit_columns =
        ["site", "day", "settling", "visitor", "session", "alone"].iter().chain(&VISIT_FIELDS);
    let page_columns = PAGE_COLUMNS.iter().chain(&PAGE_FIELDS).chain(&PAGE_COUNTS);
    let list = |names: &mut dyn Iterator<Item = &&str>| names.copied().collect::<Vec<_>>().join(", ");
    let page_columns = list(&mut page_columns.clone());
    let of_hits =
        ["hour", "hostname", "page", "event", "consent"].iter().chain(&PAGE_FIELDS).chain(&PAGE_COUNTS);
    let hits = of_events::hits(&of_hits.copied().collect::<Vec<_>>());
    let page = |sql: &str, fields: &str| {
        let fields = PAGE_FIELDS.map(|name| format!("{fields}{name}")).join(", ");
        sql.replace("@columns@", &page_columns).replace("@fields@", &fields).replace("@hits@", &hits)
    };
    let visits = include_str!("settled/visits.sql")
        .replace("@columns@", &list(&mut visit_columns.clone()))
        .replace("@fields@", &VISIT_FIELDS.join(", "))
        .replace("@repeated@", include_str!("settled/repeated.sql"))
        .replace("@visits@", &of_events::visits(&VISIT_FIELDS));
    [
        visits,
        page(include_str!("settled/pages.sql"), "visits."),
        page(include_str!("settled/anonymous.sql"), ""),
        figures::settling(),
    ]
}

/// Removes everything that was settled of some days of a site. Returns when it is gone.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn forget(db: &Db, site: SiteId, days: &[u16]) -> Result<(), clickhouse::error::Error> {
    let db = db.of_site(site);
    for some in days.chunks(REMOVED_AT_ONCE) {
        for table in TABLES {
            db.query(include_str!("settled/forget.sql"))
                .param("table", table)
                .param("site", site)
                .param("days", some)
                .with_setting("mutations_sync", "2")
                .execute()
                .await?;
        }
    }
    Ok(())
}

/// Merges the figures of settled days where they lie in many small parts.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn merge(db: &Db) -> Result<(), clickhouse::error::Error> {
    for shard in db.shards() {
        let parts = shard.query(include_str!("settled/parts.sql"));
        let parts = parts.param("parts", PARTS_MAX).param("bytes", MERGED_BYTES_MAX);
        for partition in parts.fetch_all::<String>().await? {
            let merge = shard.query("OPTIMIZE TABLE settled_cells PARTITION ID {partition:String} FINAL");
            merge.param("partition", partition).execute().await?;
        }
    }
    Ok(())
}

#[derive(Row, Deserialize)]
struct Settling {
    day: u16,
    settling: u64,
}

/// Removes what nobody reads: settlings that did not end, and those of days that have changed or have no raw
/// events any more. Returns how many were removed.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn sweep(db: &Db, site: SiteId, time_zone: &str) -> Result<usize, clickhouse::error::Error> {
    let db = &db.of_site(site);
    let found: Vec<Settling> =
        db.query(include_str!("settled/stale.sql")).param("site", site).fetch_all().await?;
    if found.is_empty() {
        return Ok(0);
    }
    let days = days(db, site, time_zone, [Date::new(1970, 1, 1).unwrap_or_default(), Date::MAX]).await?;
    let young = version().saturating_sub(ABANDONED_US);
    let stale: BTreeSet<(u16, u64)> = found
        .into_iter()
        // One that is younger may be in the making.
        .filter(|s| {
            let current = days.settled.get(&Day(s.day).date()).map(|(settling, _)| *settling);
            current != Some(s.settling) && (current.is_some_and(|c| c > s.settling) || s.settling < young)
        })
        .map(|s| (s.day, s.settling))
        .collect();
    let stale: Vec<(u16, u64)> = stale.into_iter().collect();
    for some in stale.chunks(REMOVED_AT_ONCE) {
        let (days, settlings): (Vec<u16>, Vec<u64>) = some.iter().copied().unzip();
        for table in TABLES {
            db.query(include_str!("settled/remove.sql"))
                .param("table", table)
                .param("site", site)
                .param("days", &days)
                .param("settlings", &settlings)
                .with_setting("mutations_sync", "2")
                .execute()
                .await?;
        }
    }
    Ok(stale.len())
}
