//! A visitor's rights (GDPR Art. 15 to 21) on the tables: access and erasure.
//!
//! **Who is asking.** A browser can present two things. The *id* that it keeps after consent to analytics is
//! a secret only it knows: whoever presents it sees and erases everything under it. The *key of the day* is
//! derived from address and user agent, which others behind the same connection may share. It does not prove
//! who is asking, so the events under it are counted and may be erased, but their pages and times are never
//! shown. Nobody can derive older keys again, because their salts are destroyed: nothing of earlier days can
//! be found without an id (Art. 11).
//!
//! **Promises.** [`erase`] returns when the rows are gone from all active parts, and with them everything that
//! was settled of their days. Events linked to an id (others under the same key on the same day) are erased,
//! too. [`until_gone`] returns when the parts that held them are gone from the disks, too, or says how many are not.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sotto_schema::id::{ReturningId, SiteId, VisitorKey};

use crate::{db::Db, settled};

/// Maximum number of events shown or exported at once.
pub const ROWS_MAX: u64 = 10_000;
/// Maximum number of decisions shown per receipt.
pub const DECISIONS_MAX: u64 = 20;
/// Maximum number of events under keys of the day that a browser may erase by itself: more suggest many
/// people behind one address, and are for the operator to decide.
pub const KEY_ROWS_MAX: u64 = 2_000;
/// Maximum number of day keys in one statement: they travel in the request's URL.
const KEYS_PER_STATEMENT: usize = 500;
/// Maximum attempts to erase while hits of the same browser keep arriving.
const ATTEMPTS_MAX: u32 = 3;
/// How often it is looked whether old parts are gone.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// Maximum number of day keys linked to one id: 25 months with several connections a day.
const KEYS_MAX: u64 = 5_000;

/// The key of a visitor on one day of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct DayKey {
    /// The day.
    pub day: u16,
    /// The visitor's key on it; never 0.
    pub visitor: VisitorKey,
}

/// What a browser presents, on one site.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shown {
    /// The site.
    pub site: SiteId,
    /// Its keys under salts that still exist.
    pub keys: Vec<DayKey>,
    /// The id that it keeps; 0 for none.
    pub returning: ReturningId,
    /// The number of its consent receipt; empty for none.
    pub receipt: String,
}

/// How many events of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct Count {
    /// The kind's name.
    pub kind: String,
    /// How many.
    pub rows: u64,
}

/// A summary of the events under an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Row, Serialize, Deserialize)]
pub struct Summary {
    /// How many events.
    pub rows: u64,
    /// The first day.
    pub first: u16,
    /// The last day.
    pub last: u16,
    /// When the last of them expires.
    pub expires: u16,
}

/// A recorded consent decision.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct Decision {
    /// When, in milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// What was granted (bits of [`sotto_schema::policy::Category`]).
    pub granted: u8,
    /// What was refused.
    pub refused: u8,
    /// Whether the browser sent Global Privacy Control.
    pub gpc: bool,
    /// Which version of the notice was shown.
    pub version: String,
    /// Which consent manager asked.
    pub source: String,
}

/// What is held.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Held {
    /// Under the keys of the day: how much, by kind.
    pub today: Vec<Count>,
    /// Under the id.
    pub summary: Summary,
    /// The events under the id, newest first.
    pub events: Vec<Map<String, Value>>,
    /// Under the receipt.
    pub decisions: Vec<Decision>,
}

impl Held {
    /// How many events are under the keys of the day.
    pub fn today_rows(&self) -> u64 {
        self.today.iter().map(|count| count.rows).sum()
    }
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum RightsError {
    /// ClickHouse is away or refuses.
    #[error("cannot reach the database")]
    Database(#[from] clickhouse::error::Error),
    /// The response is not JSON.
    #[error("the database's answer cannot be read")]
    Answer(#[from] serde_json::Error),
    /// More than one person's use is under the key of the day.
    #[error("{0} events lie under this key; more than {KEY_ROWS_MAX} are not erased without the operator")]
    TooMany(u64),
    /// Events are left.
    #[error("{0} events are left; try again")]
    Left(u64),
}

/// What is held about a browser; at most `limit` events.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn held(db: &Db, shown: &Shown, limit: u64) -> Result<Held, RightsError> {
    let db = &db.of_site(shown.site);
    let mut held = Held::default();
    if !shown.keys.is_empty() {
        let (days, visitors) = columns(&shown.keys);
        held.today = db
            .query(include_str!("rights/counts.sql"))
            .param("site", shown.site)
            .param("days", days)
            .param("visitors", visitors)
            .fetch_all()
            .await?;
    }
    if shown.returning.is_some() {
        let query = |sql| db.query(sql).param("site", shown.site).param("returning", shown.returning);
        held.summary = query(include_str!("rights/summary.sql")).fetch_one().await?;
        let rows = query(include_str!("rights/rows.sql")).param("limit", limit.min(ROWS_MAX));
        held.events = json_rows(rows).await?;
    }
    if !shown.receipt.is_empty() {
        held.decisions = db
            .query(include_str!("rights/decisions.sql"))
            .param("site", shown.site)
            .param("receipt", &shown.receipt)
            .param("limit", DECISIONS_MAX)
            .fetch_all()
            .await?;
    }
    Ok(held)
}

async fn json_rows(query: clickhouse::query::Query) -> Result<Vec<Map<String, Value>>, RightsError> {
    // 64-bit numbers as text: most JSON parsers preserve only 53 bits.
    let query = query
        .with_setting("output_format_json_quote_64bit_integers", "1")
        .with_setting("output_format_json_escape_forward_slashes", "0");
    let bytes = query.fetch_bytes("JSONEachRow")?.collect().await?;
    let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).map_err(RightsError::from)).collect()
}

fn columns(keys: &[DayKey]) -> (Vec<u16>, Vec<VisitorKey>) {
    keys.iter().map(|key| (key.day, key.visitor)).unzip()
}

/// Erases the raw events under the id, and those under the keys of the day; returns how many. Returns when
/// they are gone. Hits waiting in the spool have to be shipped before.
///
/// # Errors
/// See [`RightsError`]; some may be erased by then, and the next call erases the rest.
pub async fn erase(db: &Db, shown: &Shown) -> Result<u64, RightsError> {
    let db = &db.of_site(shown.site);
    let count = async |keys: &[DayKey], returning: ReturningId| {
        let (days, visitors) = columns(keys);
        let query = db.query(include_str!("rights/left.sql")).param("site", shown.site);
        let query = query.param("returning", returning).param("days", days).param("visitors", visitors);
        query.fetch_one::<u64>().await
    };
    let under_keys = count(&shown.keys, ReturningId::NONE).await?;
    if under_keys > KEY_ROWS_MAX {
        return Err(RightsError::TooMany(under_keys));
    }
    let mut keys = shown.keys.clone();
    if shown.returning.is_some() {
        let query = db.query(include_str!("rights/linked.sql")).param("site", shown.site);
        let query = query.param("returning", shown.returning).param("limit", KEYS_MAX);
        keys.extend(query.fetch_all::<DayKey>().await?);
    }
    let mut erased = 0;
    // At least once, for an id without linked keys.
    let parts: Vec<&[DayKey]> =
        if keys.is_empty() { vec![&[]] } else { keys.chunks(KEYS_PER_STATEMENT).collect() };
    for part in parts {
        let there = count(part, shown.returning).await?;
        if there == 0 {
            continue;
        }
        let (days, visitors) = columns(part);
        let touched: Vec<u16> = db
            .query(include_str!("rights/days.sql"))
            .param("site", shown.site)
            .param("returning", shown.returning)
            .param("days", &days)
            .param("visitors", &visitors)
            .fetch_all()
            .await?;
        let mut left = there;
        // Retries if a hit arrived in the meantime.
        for _ in 0..ATTEMPTS_MAX {
            db.query(include_str!("rights/erase.sql"))
                .param("site", shown.site)
                .param("returning", shown.returning)
                .param("days", &days)
                .param("visitors", &visitors)
                .with_setting("mutations_sync", "2")
                .execute()
                .await?;
            left = count(part, shown.returning).await?;
            if left == 0 {
                break;
            }
        }
        // Whatever is left of the raw events: what was settled of these days is not theirs any more.
        let settled: Vec<(SiteId, u16)> = touched.iter().map(|day| (shown.site, *day)).collect();
        settled::forget(db, &settled).await?;
        if left > 0 {
            return Err(RightsError::Left(left));
        }
        erased += there;
    }
    Ok(erased)
}

/// Waits until no file of the database holds what was erased of `site` before, at most `patience`. Returns how many
/// files of the database (parts, on all replicas) may still hold some of it: it removes them as soon as no query reads
/// them any more.
///
/// # Errors
/// When a replica cannot be queried: what it has on disk is not known.
pub async fn until_gone(db: &Db, site: SiteId, patience: Duration) -> Result<usize, RightsError> {
    let mut left = 0;
    let deadline = Instant::now() + patience;
    for replica in db.of_site(site).replicas() {
        replica.query(include_str!("rights/done.sql")).execute().await?;
        // Later ones are of rows that were there after the erasure.
        let before = old_parts(&replica).await?;
        loop {
            let now = old_parts(&replica).await?;
            let remaining: Vec<&OldPart> = before.intersection(&now).collect();
            if remaining.is_empty() || Instant::now() >= deadline {
                left += remaining.len();
                break;
            }
            let tables: HashSet<&str> = remaining.iter().map(|part| part.table.as_str()).collect();
            for table in tables {
                replica.query(include_str!("rights/wake.sql")).param("table", table).execute().await?;
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
    Ok(left)
}

/// A part that no query reads any more.
#[derive(Debug, PartialEq, Eq, Hash, Row, Deserialize)]
struct OldPart {
    table: String,
    name: String,
}

async fn old_parts(db: &Db) -> Result<HashSet<OldPart>, clickhouse::error::Error> {
    let tables: Vec<&str> = ["events"].into_iter().chain(settled::TABLES).collect();
    let parts = db.query(include_str!("rights/inactive.sql")).param("tables", tables);
    Ok(parts.fetch_all().await?.into_iter().collect())
}
