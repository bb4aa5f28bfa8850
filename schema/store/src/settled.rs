//! Settled days: what reports need of a day that is over, so that raw events are not put together again for
//! every report.
//!
//! **What is settled.** Of each day: its visits (`settled_visits`, one row each), its page visits
//! (`settled_page_visits`), what was done and measured in them beyond pages (`settled_details`: events, clicks, web vitals) and
//! its figures by dimension and value (`settled_cells`). A visitor's key lives for one day, so the figures of days add up *exactly*: a report of ninety days is the sum of ninety days.
//!
//! **When it is used.** ClickHouse keeps the number of a day's raw events and the sum of their hashes with
//! each part (the projection `fingerprint`). A settled day is used only while both are those of the raw events
//! it was made from ([`days`]). A late hit, an erasure, an import or a batch that is stored twice changes them,
//! whoever wrote it; from that moment the day is read from raw events, until it is settled again. So a report
//! is the same from settled days as from raw events.
//!
//! **A month that is over** is the sum of its days, added up once: it is used only while its days are settled as they
//! were then.
//!
//! **The day that is not over** is settled up to an hour ([`Open`]), which is as exact: its figures are those of
//! the settling, without the visitors who came back since, and with all they did ([`few`]). Those are few, and are
//! read from raw events. A hit that is late changes the fingerprint of its hour: the day is read from raw events
//! then.
//!
//! **Privacy.** Settled rows are as personal as raw events. They are removed with their day's raw events
//! ([`forget`], called by retention and erasure), and without raw events nobody reads them.
//!
//! **Exactly once.** A settling writes its rows under a number of its own and becomes visible with one line in
//! `settled_days`, its last insert, if the fingerprint is still that of its beginning. What a settling wrote
//! that was killed before is never read, and [`sweep`] removes it.
//!
//! **Proof**: `tests/suite/settled.rs`: every report of random sites, from settled days and from raw events.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Add,
};

use clickhouse::Row;
use jiff::{ToSpan, civil::Date};
use serde::Deserialize;
use sotto_schema::{
    clock::{self, version},
    day::Day,
    id::SiteId,
};

use crate::db::{Db, shard_of};
use figures::COUNTS;

pub mod few;
pub mod figures;
mod naming;
pub mod of_events;

/// Steps of a visit, pages and events, that are kept in their order.
pub const STEPS_MAX: u16 = 100;
/// What stands before the name of an event among steps. Pages begin with a slash.
pub const EVENT_STEP: char = ':';
/// What stands for the steps of a visit beyond [`STEPS_MAX`].
pub const MORE_STEPS: &str = "…";
/// The hour up to which a day is settled that is settled as a whole.
pub const WHOLE: u32 = 0;
/// No moment: the year 2200, in milliseconds.
pub const UNTIL_END_MS: i64 = 7_258_118_400_000;
/// Fields of a visit, in the order of the tables' columns.
const VISIT_FIELDS: [&str; 42] = [
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
    "steps",
    "seen_page",
    "seen_hostname",
    "seen_event",
    "seen_outbound",
    "seen_download",
    "seen_views",
    "seen_events",
    "views_agreed",
    "views_granted",
    "views_refused",
    "views_undecided",
    "views_gpc",
];
/// The fields of its visit that a page visit carries.
pub const PAGE_FIELDS: [&str; 23] = [
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
];
/// What comes before and after them.
const PAGE_COLUMNS: [&str; 15] = [
    "site", "measured", "day", "settling", "visitor", "session", "alone", "firsts", "hour", "hostname",
    "page", "event", "outbound", "download", "consent",
];
const PAGE_COUNTS: [&str; 4] = ["views", "events", "engaged", "scroll"];
/// What a page visit carries of its visit for figures of visits, and how far its page was read.
const PAGE_VISIT: [&str; 3] = ["visit_bounced", "visit_engaged", "depth"];
/// What a row of details has besides the fields of its visit.
const DETAILS: [&str; 14] = [
    "hostname",
    "page",
    "event",
    "outbound",
    "download",
    "props",
    "revenue",
    "currency",
    "lcp_ms",
    "fcp_ms",
    "inp_ms",
    "ttfb_ms",
    "cls_milli",
    "click_path",
];
/// Spreads the numbers of settlings, so that their sum tells them apart (2^64 divided by the golden ratio).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
/// The tables, the one that makes the others visible first.
pub(crate) const TABLES: [&str; 6] =
    ["settled_days", MONTHS, "settled_visits", "settled_page_visits", "settled_details", "settled_cells"];
const MONTHS: &str = "settled_months";
/// Raw events whose visits are put together at once: bounds the memory that a large day needs.
const SLICE_ROWS: u64 = 50_000;
/// The condition of a slice of visitors, and that after which it is put.
const SLICE: &str = "visitor BETWEEN {first:UInt64} AND {last:UInt64}";
const WITH_VISIT: &str = "e.session != 0";
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
    /// Those of them that are settled up to an hour.
    pub open: BTreeMap<Date, Open>,
    /// Months whose settled days are added up, by the day on which they begin.
    pub months: BTreeMap<Date, u64>,
}

impl Days {
    /// Months of which all days with raw events are settled, with a fingerprint of their settlings.
    fn months(&self) -> BTreeMap<Date, Fingerprint> {
        let mut months: BTreeMap<Date, Fingerprint> = BTreeMap::new();
        for (day, (settling, rows)) in &self.settled {
            let print = Fingerprint { rows: *rows, hash: settling.wrapping_mul(SPREAD) };
            let sum = months.entry(day.first_of_month()).or_default();
            *sum = *sum + print;
        }
        months.retain(|month, _| self.raw.range(*month..=month.last_of_month()).next().is_none());
        months
    }

    /// Months up to `last` whose settled days are not added up yet.
    pub fn months_due(&self, last: Date) -> Vec<Date> {
        let over = |month: &Date| month.last_of_month() <= last && !self.months.contains_key(month);
        self.months().into_keys().filter(over).collect()
    }
}

/// What was settled of a day before an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Open {
    /// The number of the settling.
    pub settling: u64,
    /// The hour, in seconds since 1970-01-01 UTC.
    pub until: u32,
    /// How many raw events it was made from.
    pub rows: u64,
}

/// What tells whether the raw events of a day are the same: their number and the sum of their hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Fingerprint {
    /// How many.
    pub rows: u64,
    /// The sum of their hashes, modulo 2^64.
    pub hash: u64,
}

impl Add for Fingerprint {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { rows: self.rows + other.rows, hash: self.hash.wrapping_add(other.hash) }
    }
}

/// A day; the last ones by hour.
#[derive(Row, Deserialize)]
struct RawHour {
    site: u64,
    day: u16,
    hour: u32,
    rows: u64,
    fingerprint: u64,
}

#[derive(Row, Deserialize)]
struct SettledDay {
    site: u64,
    day: u16,
    settling: u64,
    rows: u64,
    fingerprint: u64,
    time_zone: String,
    until: u32,
    month: bool,
}

/// Fingerprints of days, by hour where they may be settled up to one.
#[derive(Debug, Clone, Default)]
struct Prints(BTreeMap<Date, BTreeMap<u32, Fingerprint>>);

impl Prints {
    fn add(&mut self, row: &RawHour) {
        let print = Fingerprint { rows: row.rows, hash: row.fingerprint };
        self.0.entry(Day(row.day).date()).or_default().insert(row.hour, print);
    }

    /// The fingerprint of a day before an hour.
    fn before(&self, day: Date, until: u32) -> Fingerprint {
        let hours = self.0.get(&day).into_iter().flatten();
        hours.filter(|(hour, _)| **hour < until).fold(Fingerprint::default(), |sum, (_, print)| sum + *print)
    }

    /// The days, and which of them have one of the settlings, the latest last.
    fn days<'s>(&self, settlings: impl IntoIterator<Item = &'s SettledDay>) -> Days {
        let raw = self.0.keys().map(|day| (*day, self.before(*day, u32::MAX))).collect();
        let mut days = Days { raw, ..Days::default() };
        // Two settlings of one fingerprint are the same; the later one is read.
        let (months, of_days): (Vec<_>, Vec<_>) = settlings.into_iter().partition(|line| line.month);
        for line in of_days {
            let (day, print) =
                (Day(line.day).date(), Fingerprint { rows: line.rows, hash: line.fingerprint });
            let open = Open { settling: line.settling, until: line.until, rows: print.rows };
            if days.raw.get(&day) == Some(&print) {
                days.settled.insert(day, (line.settling, print.rows));
            } else if line.until != WHOLE && self.before(day, line.until) == print {
                days.open.insert(day, open);
            }
        }
        days.raw.retain(|day, _| !days.settled.contains_key(day));
        days.open.retain(|day, _| days.raw.contains_key(day));
        let now = days.months();
        for line in months {
            let print = Fingerprint { rows: line.rows, hash: line.fingerprint };
            let month = Day(line.day).date();
            if now.get(&month) == Some(&print) {
                days.months.insert(month, line.settling);
            }
        }
        days
    }
}

/// The condition that a row is of the one site; none, when it is about all of them.
const OF_SITE: &str = "site = {site:UInt64} AND ";

/// Reads fingerprints and settlings between two days, of one site or of all, from one shard.
async fn read(
    shard: &Db,
    site: Option<SiteId>,
    [from, to]: [Date; 2],
) -> Result<(Vec<RawHour>, Vec<SettledDay>), clickhouse::error::Error> {
    let asked = |sql: &str| {
        let query = shard.query(&sql.replace("@of_site@", if site.is_some() { OF_SITE } else { "" }));
        let query = query.param("from", from.to_string()).param("to", to.to_string());
        site.into_iter().fold(query, |query, site| query.param("site", site))
    };
    // Where days begin early it is tomorrow already, where they begin late it is yesterday.
    let raw = asked(include_str!("settled/fingerprints.sql"))
        .param("open", to.saturating_sub(2.days()).to_string());
    let settled = asked(include_str!("settled/days.sql"));
    tokio::try_join!(raw.fetch_all::<RawHour>(), settled.fetch_all::<SettledDay>())
}

/// Finds the days between `from` and `to` that have raw events, and which of them are settled for `time_zone`.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn days(
    db: &Db,
    site: SiteId,
    time_zone: &str,
    days: [Date; 2],
) -> Result<Days, clickhouse::error::Error> {
    let (raw, settled) = read(&db.of_site(site), Some(site), days).await?;
    let mut prints = Prints::default();
    raw.iter().for_each(|row| prints.add(row));
    Ok(prints.days(settled.iter().filter(|line| line.time_zone == time_zone)))
}

/// The days up to `to` of all sites, whose time zones are given. Two queries to each shard, however many sites.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn days_of_all(
    db: &Db,
    time_zones: &HashMap<SiteId, String>,
    to: Date,
) -> Result<HashMap<SiteId, Days>, clickhouse::error::Error> {
    let mut all = HashMap::new();
    for shard in db.shards() {
        all.extend(days_of_shard(&shard, time_zones, [Day(0).date(), to]).await?);
    }
    Ok(all)
}

/// The days between two of those of the sites, whose time zones are given, that one shard has.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn days_of_shard(
    shard: &Db,
    time_zones: &HashMap<SiteId, String>,
    days: [Date; 2],
) -> Result<HashMap<SiteId, Days>, clickhouse::error::Error> {
    let (raw, settled) = read(shard, None, days).await?;
    let mut sites: HashMap<SiteId, (Prints, Vec<SettledDay>)> = HashMap::new();
    for row in raw.iter().filter(|row| time_zones.contains_key(&SiteId(row.site))) {
        sites.entry(SiteId(row.site)).or_default().0.add(row);
    }
    for line in settled {
        let site = SiteId(line.site);
        if time_zones.get(&site).is_some_and(|zone| *zone == line.time_zone) {
            sites.entry(site).or_default().1.push(line);
        }
    }
    Ok(sites.into_iter().map(|(site, (prints, settled))| (site, prints.days(&settled))).collect())
}

/// The fingerprint of what a day had before an hour.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn print_before(
    db: &Db,
    site: SiteId,
    day: Date,
    until: u32,
) -> Result<Fingerprint, clickhouse::error::Error> {
    let (raw, _) = read(&db.of_site(site), Some(site), [day, day]).await?;
    let mut prints = Prints::default();
    raw.iter().for_each(|row| prints.add(row));
    Ok(prints.before(day, until))
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
    settle_before(db, site, time_zone, day, WHOLE, print).await
}

/// Settles what a day of a site has before an hour ([`WHOLE`]: all of it), whose fingerprint is `print`; `false` when
/// it changed meanwhile, so that it is not settled.
///
/// # Errors
/// When ClickHouse cannot be asked; nothing is visible then.
pub async fn settle_before(
    db: &Db,
    site: SiteId,
    time_zone: &str,
    day: Date,
    until: u32,
    print: Fingerprint,
) -> Result<bool, clickhouse::error::Error> {
    let settling = version();
    let db = &db.of_site(site);
    let until_ms = if until == WHOLE { UNTIL_END_MS } else { i64::from(until) * 1000 };
    let raw = [day.to_string()];
    let slices = slices(print.rows.div_ceil(SLICE_ROWS));
    let steps = statements().into_iter().enumerate();
    // What is put together of visits is made slice by slice, everything else at once.
    let steps = steps.flat_map(|(n, sql)| {
        let parts = if n < SLICED { slices.len() } else { 1 };
        slices[..parts].iter().map(move |slice| (sql.clone(), *slice)).collect::<Vec<_>>()
    });
    for (sql, (first, last)) in steps {
        db.query(&sql)
            .param("first", first)
            .param("last", last)
            .param("site", site)
            .param("day", day.to_string())
            .param("raw", &raw[..])
            .param("since", 0)
            .param("until", until_ms)
            .param("tz", time_zone)
            .param("settling", settling)
            .param("steps", STEPS_MAX)
            .with_setting("optimize_aggregation_in_order", "0")
            .with_setting("max_threads", "1")
            .with_setting("max_bytes_before_external_group_by", SPILL_BYTES)
            .with_setting("max_bytes_before_external_sort", SPILL_BYTES)
            .with_setting("join_algorithm", "grace_hash,hash")
            .with_setting("max_block_size", BLOCK_ROWS)
            .execute()
            .await?;
    }
    let end = if until == WHOLE { u32::MAX } else { until };
    if print_before(db, site, day, end).await? != print {
        return Ok(false);
    }
    note(db, site, time_zone, day, settling, print, until, false).await?;
    Ok(true)
}

/// Adds up the settled days of a month, which begins on `month`; `days` has all of them.
///
/// # Errors
/// When ClickHouse cannot be asked; nothing is visible then.
pub async fn settle_month(
    db: &Db,
    site: SiteId,
    time_zone: &str,
    month: Date,
    days: &Days,
) -> Result<(), clickhouse::error::Error> {
    let Some(print) = days.months().remove(&month) else { return Ok(()) };
    let settling = version();
    let db = &db.of_site(site);
    let settled: Vec<u64> =
        days.settled.range(month..=month.last_of_month()).map(|(_, (settling, _))| *settling).collect();
    let sums = COUNTS.map(|name| format!("sum({name})")).join(", ");
    let sql =
        include_str!("settled/month.sql").replace("@counts@", &COUNTS.join(", ")).replace("@sums@", &sums);
    db.query(&sql)
        .param("site", site)
        .param("settling", settling)
        .param("from", month.to_string())
        .param("to", month.last_of_month().to_string())
        .param("settled", &settled)
        .execute()
        .await?;
    note(db, site, time_zone, month, settling, print, WHOLE, true).await
}

/// Makes a settling visible.
#[allow(clippy::too_many_arguments)] // The columns of a line.
async fn note(
    db: &Db,
    site: SiteId,
    time_zone: &str,
    day: Date,
    settling: u64,
    print: Fingerprint,
    until: u32,
    month: bool,
) -> Result<(), clickhouse::error::Error> {
    db.query(include_str!("settled/note.sql"))
        .param("site", site)
        .param("day", day.to_string())
        .param("settling", settling)
        .param("rows", print.rows)
        .param("fingerprint", print.hash)
        .param("tz", time_zone)
        .param("until", until)
        .param("month", month)
        .execute()
        .await
}

/// Equal ranges of visitor keys, first and last.
fn slices(count: u64) -> Vec<(u64, u64)> {
    let count = count.max(1);
    let width = u64::MAX / count;
    (0..count).map(|i| (i * width, if i + 1 == count { u64::MAX } else { (i + 1) * width - 1 })).collect()
}

/// Statements that are for a slice of visitors.
const SLICED: usize = 3;

/// The statements that settle a day, in order; the first ones are for a slice of visitors.
fn statements() -> [String; 5] {
    let visit_columns =
        ["site", "day", "settling", "visitor", "session", "alone"].iter().chain(&VISIT_FIELDS);
    let page_columns = PAGE_COLUMNS.iter().chain(&PAGE_FIELDS).chain(&PAGE_COUNTS).chain(&PAGE_VISIT);
    let list = |names: &mut dyn Iterator<Item = &&str>| names.copied().collect::<Vec<_>>().join(", ");
    let page_columns = list(&mut page_columns.clone());
    let of_hits = ["hour", "hostname", "page", "event", "outbound", "download", "consent"]
        .iter()
        .chain(&PAGE_FIELDS)
        .chain(&PAGE_COUNTS);
    let hits = of_events::hits(&of_hits.copied().collect::<Vec<_>>());
    let page = |sql: &str, fields: &str| {
        let fields = PAGE_FIELDS.map(|name| format!("{fields}{name}")).join(", ");
        let sql = sql.replace("@columns@", &page_columns).replace("@fields@", &fields);
        let sql = sql.replace("@names@", &PAGE_FIELDS.join(", "));
        sql.replace("@hits@", &hits).replace("@slice@", SLICE)
    };
    let visits = include_str!("settled/visits.sql")
        .replace("@columns@", &list(&mut visit_columns.clone()))
        .replace("@fields@", &VISIT_FIELDS.join(", "))
        .replace("@repeated@", include_str!("settled/repeated.sql"))
        .replace("@slice@", SLICE)
        .replace(
            "@visits@",
            &of_events::visits(&VISIT_FIELDS).replace(WITH_VISIT, &format!("{WITH_VISIT} AND e.{SLICE}")),
        );
    let detail_columns = ["site", "kind", "day", "settling", "visitor", "session"].iter();
    let detail_columns = list(&mut detail_columns.chain(&DETAILS).chain(&PAGE_FIELDS));
    let of_details: Vec<&str> = DETAILS.iter().chain(&PAGE_FIELDS).copied().collect();
    let of_visit = PAGE_FIELDS.map(|name| format!("if(session = 0, hits.{name}, visits.{name})"));
    let details = include_str!("settled/details.sql")
        .replace("@columns@", &detail_columns)
        .replace("@own@", &DETAILS.map(|name| format!("hits.{name}")).join(", "))
        .replace("@fields@", &of_visit.join(", "))
        .replace("@details@", &of_events::all_details(&of_details, &format!(" AND e.{SLICE}")))
        .replace("@names@", &PAGE_FIELDS.join(", "))
        .replace("@slice@", SLICE);
    [
        visits,
        page(include_str!("settled/pages.sql"), "visits."),
        details,
        page(include_str!("settled/anonymous.sql"), ""),
        figures::settling(),
    ]
}

/// Removes everything that was settled of some days of sites, all at once. Returns when it is gone.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn forget(db: &Db, days: &[(SiteId, u16)]) -> Result<(), clickhouse::error::Error> {
    let shards = db.shards();
    for (n, shard) in shards.iter().enumerate() {
        let own: Vec<(SiteId, u16)> =
            days.iter().filter(|(site, _)| shard_of(*site, shards.len()) == n).copied().collect();
        for some in own.chunks(REMOVED_AT_ONCE) {
            let (sites, days): (Vec<SiteId>, Vec<u16>) = some.iter().copied().unzip();
            // With a day, the month that it is part of.
            let months: Vec<u16> =
                days.iter().map(|day| Day::of(Day(*day).date().first_of_month()).0).collect();
            for table in TABLES {
                let days = if table == MONTHS { &months } else { &days };
                let query = shard.query(include_str!("settled/forget.sql"));
                let query = query.param("table", table).param("sites", &sites).param("days", days);
                query.with_setting("mutations_sync", "2").execute().await?;
            }
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
    site: u64,
    day: u16,
    settling: u64,
}

/// Removes what nobody reads of the sites whose time zones are given: settlings that did not end, and those of days
/// that have changed or have no raw events any more. Returns how many were removed.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn sweep(db: &Db, time_zones: &HashMap<SiteId, String>) -> Result<usize, clickhouse::error::Error> {
    let today = clock::now().in_tz("UTC").map_or(Date::MAX, |now| now.date());
    let days = days_of_all(db, time_zones, today.saturating_add(1.day())).await?;
    let young = version().saturating_sub(ABANDONED_US);
    let mut removed = 0;
    for shard in db.shards() {
        let found: Vec<Settling> = shard.query(include_str!("settled/stale.sql")).fetch_all().await?;
        let stale: BTreeSet<(SiteId, u16, u64)> = found
            .into_iter()
            .filter(|s| time_zones.contains_key(&SiteId(s.site)))
            // One that is younger may be in the making.
            .filter(|s| {
                let day = Day(s.day).date();
                let current = days.get(&SiteId(s.site)).and_then(|days| {
                    let open = || days.open.get(&day).map(|open| open.settling);
                    days.settled.get(&day).map(|(settling, _)| *settling).or_else(open)
                });
                let month = days.get(&SiteId(s.site)).and_then(|days| days.months.get(&day));
                let used = [current, month.copied()].contains(&Some(s.settling));
                !used && (current.is_some_and(|c| c > s.settling) || s.settling < young)
            })
            .map(|s| (SiteId(s.site), s.day, s.settling))
            .collect();
        let stale: Vec<(SiteId, u16, u64)> = stale.into_iter().collect();
        for some in stale.chunks(REMOVED_AT_ONCE) {
            for table in TABLES {
                shard
                    .query(include_str!("settled/remove.sql"))
                    .param("table", table)
                    .param("sites", some.iter().map(|(site, ..)| *site).collect::<Vec<_>>())
                    .param("days", some.iter().map(|(_, day, _)| *day).collect::<Vec<_>>())
                    .param("settlings", some.iter().map(|(.., settling)| *settling).collect::<Vec<_>>())
                    .with_setting("mutations_sync", "2")
                    .execute()
                    .await?;
            }
        }
        removed += stale.len();
    }
    Ok(removed)
}
