//! From the spool into ClickHouse: one sealed batch after the other, each with its token, until it is there.
//!
//! **Promises.** A batch is retried for ever, with growing pauses and jitter, and never skipped. Because its bytes and
//! token are the same each time, ClickHouse keeps it once, materialised views included. A batch that ClickHouse refuses
//! [`REFUSALS_MAX`] times in a row for what is in it would hold up all others: it is set aside, durably, before the
//! next one is shipped. Connection errors, overload, a read-only or missing table and a lack of memory or room are no
//! such refusals.
//!
//! **Crash.** The batch under way is sealed in the spool and shipped again under its token.
//!
//! **Proof**: tests below; `tests/suite/durability.rs`, `tests/suite/shipping.rs`.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use sotto_store::db::Db;
use tokio_util::sync::CancellationToken;

use crate::{
    metrics::Metrics,
    spool::{Batch, Reader},
};

mod refusal;

pub use refusal::Refusal;

/// About how many bytes a batch has at most.
const BATCH_BYTES_MAX: usize = 16 << 20;
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long one insert may take.
const INSERT_TIMEOUT: Duration = Duration::from_secs(120);
/// How often in a row a batch is refused for what is in it before it is set aside.
pub const REFUSALS_MAX: u32 = 5;
/// Idle poll interval for replayed set-aside batches.
const LOOK_INTERVAL: Duration = Duration::from_secs(15);

/// Ships what the spool holds.
#[derive(Debug)]
pub struct Shipper {
    reader: Reader,
    db: Db,
    interval: Duration,
    rows_max: u64,
    metrics: Arc<Metrics>,
    /// How often the batch under way was refused for what is in it.
    refusals: u32,
    /// Whether hits wait that should be in ClickHouse already.
    behind: bool,
}

/// Why a batch is not shipped; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// The spool cannot be read or its cursor not written.
    #[error("the spool cannot be read")]
    Spool(#[from] io::Error),
    /// ClickHouse is away or too busy.
    #[error("ClickHouse does not take the batch")]
    Insert(#[source] clickhouse::error::Error),
    /// ClickHouse refuses what is in the batch. Its words would tell of it and are left out.
    #[error("ClickHouse refuses what is in the batch: {0}")]
    Refused(Refusal),
    /// ClickHouse does not answer.
    #[error("ClickHouse does not answer within {} s", INSERT_TIMEOUT.as_secs())]
    Timeout,
}

impl From<clickhouse::error::Error> for ShipError {
    fn from(error: clickhouse::error::Error) -> Self {
        match Refusal::of(&error) {
            Some(refusal) => Self::Refused(refusal),
            None => Self::Insert(error),
        }
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There was none.
    Nothing,
    /// So many hits are in ClickHouse.
    Shipped(u64),
    /// So many hits are set aside.
    SetAside(u64),
}

impl Shipper {
    /// Ships from `reader` to `db` in batches of at most `rows_max` hits, for which hits wait about `interval`.
    pub fn new(reader: Reader, db: Db, interval: Duration, rows_max: u64, metrics: Arc<Metrics>) -> Self {
        Self { reader, db, interval, rows_max, metrics, refusals: 0, behind: false }
    }

    /// Ships until `stop`, then once more what is left, so that a clean stop leaves an empty spool when ClickHouse is
    /// there. Gives the reader back.
    pub async fn run(mut self, stop: CancellationToken) -> Reader {
        let mut pause = PAUSE_MIN;
        loop {
            match self.ship_one().await {
                Ok(_) => pause = PAUSE_MIN,
                Err(error) => {
                    self.metrics.ship_failures.fetch_add(1, Ordering::Relaxed);
                    self.note_behind(true);
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "batch not shipped, trying again"
                    );
                    pause = (pause * 2).min(PAUSE_MAX);
                    // The same batch under the same token: replicas know each other's tokens.
                    if !matches!(error, ShipError::Spool(_)) {
                        self.db.turn();
                    }
                    if stop.is_cancelled() || wait(&stop, jittered(pause)).await {
                        break;
                    }
                    continue;
                }
            }
            let waiting = self.reader.waiting();
            self.note_behind(waiting >= self.rows_max);
            if stop.is_cancelled() && waiting == 0 {
                break;
            }
            // Much is waiting, or all of it has to go: do not pause.
            if stop.is_cancelled() || waiting >= self.rows_max {
                continue;
            }
            if waiting == 0 {
                tokio::select! {
                    () = stop.cancelled() => continue,
                    () = self.reader.appended() => {}
                    () = tokio::time::sleep(LOOK_INTERVAL) => {
                        self.reader.look_aside();
                        continue;
                    }
                }
            }
            wait(&stop, self.interval).await;
        }
        self.reader
    }

    /// Each shard has its shipper: the metric says how many are behind.
    fn note_behind(&mut self, behind: bool) {
        match (std::mem::replace(&mut self.behind, behind), behind) {
            (false, true) => self.metrics.ship_behind.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.metrics.ship_behind.fetch_sub(1, Ordering::Relaxed),
            (true, true) | (false, false) => return,
        };
    }

    /// Ships one batch, or sets it aside.
    ///
    /// # Errors
    /// See [`ShipError`]; the next call ships the same batch.
    pub async fn ship_one(&mut self) -> Result<Progress, ShipError> {
        let Some(batch) = self.reader.seal(self.rows_max, BATCH_BYTES_MAX)? else {
            return Ok(Progress::Nothing);
        };
        let began = Instant::now();
        let result = ship(&self.db, &batch).await;
        self.metrics.ship_seconds.observe(began.elapsed().as_secs_f64());
        let progress = match result {
            Ok(()) => {
                self.reader.shipped(&batch)?;
                self.metrics.shipped_hits.fetch_add(batch.count, Ordering::Relaxed);
                self.metrics.shipped_batches.fetch_add(1, Ordering::Relaxed);
                Progress::Shipped(batch.count)
            }
            Err(ShipError::Refused(refusal)) if self.refusals + 1 >= REFUSALS_MAX => {
                self.reader.set_aside(&batch, &refusal.to_string())?;
                tracing::error!(
                    hits = batch.count,
                    %refusal,
                    "a batch was set aside because ClickHouse refuses what is in it; see `sotto spool inspect`"
                );
                Progress::SetAside(batch.count)
            }
            Err(error) => {
                self.refusals = if matches!(error, ShipError::Refused(_)) { self.refusals + 1 } else { 0 };
                return Err(error);
            }
        };
        self.refusals = 0;
        Ok(progress)
    }
}

/// Ships one batch, whatever became of it before: ClickHouse ignores a token that it knows.
///
/// # Errors
/// See [`ShipError`].
pub async fn ship(db: &Db, batch: &Batch) -> Result<(), ShipError> {
    tokio::time::timeout(INSERT_TIMEOUT, insert(db, batch)).await.map_err(|_| ShipError::Timeout)??;
    Ok(())
}

async fn insert(db: &Db, batch: &Batch) -> Result<(), clickhouse::error::Error> {
    let sql = ["INSERT INTO events (", &batch.columns, ") FORMAT RowBinary"].concat();
    let mut insert = db
        .client()
        .insert_formatted_with(sql)
        .with_setting("insert_deduplicate", "1")
        .with_setting("insert_deduplication_token", &batch.token)
        .with_setting("deduplicate_blocks_in_dependent_materialized_views", "1")
        .with_setting("async_insert", "0")
        .with_setting("max_partitions_per_insert_block", "0");
    insert.send(batch.rows.clone()).await?;
    insert.end().await
}

/// Waits for `pause` or `stop`; whether it was `stop`.
async fn wait(stop: &CancellationToken, pause: Duration) -> bool {
    tokio::select! {
        () = stop.cancelled() => true,
        () = tokio::time::sleep(pause) => false,
    }
}

/// Between half of `pause` and all of it, so that many collectors do not knock at once.
fn jittered(pause: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    pause / 2 + pause.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0)
}
