//! Ships the spool to ClickHouse: one sealed batch after another, each with its token, retried until stored.
//!
//! **Promises.** A batch is retried for ever, with growing pauses and jitter, and never skipped. Because its
//! bytes and token are the same each time, ClickHouse keeps it once, materialised views included. A batch
//! whose content ClickHouse refuses [`REFUSALS_MAX`] times in a row would block all others: it is set aside,
//! durably, before the next one is shipped. Connection errors, overload, a read-only or missing table and a
//! lack of memory or disk space do not count as such refusals.
//!
//! It knows batches of bytes and their tokens, not what a hit is.
//!
//! **Crash.** The current batch is sealed in the spool and shipped again under its token.
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

/// Approximate maximum size of a batch in bytes.
const BATCH_BYTES_MAX: usize = 16 << 20;
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Timeout of one insert.
const INSERT_TIMEOUT: Duration = Duration::from_secs(120);
/// Consecutive refusals of a batch's content before it is set aside.
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
    /// Consecutive refusals of the current batch's content.
    refusals: u32,
    /// Whether the shipper has fallen behind.
    behind: bool,
}

/// Why a batch is not shipped; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// The spool cannot be read or its cursor not written.
    #[error("the spool cannot be read")]
    Spool(#[from] io::Error),
    /// ClickHouse is unreachable or overloaded.
    #[error("ClickHouse does not take the batch")]
    Insert(#[source] clickhouse::error::Error),
    /// ClickHouse refuses the batch's content. Its message would reveal some of it and is left out.
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
    /// There was nothing to ship.
    Nothing,
    /// This many hits are in ClickHouse.
    Shipped(u64),
    /// This many hits were set aside.
    SetAside(u64),
}

impl Shipper {
    /// Ships from `reader` to `db` in batches of at most `rows_max` hits, for which hits wait about `interval`.
    pub fn new(reader: Reader, db: Db, interval: Duration, rows_max: u64, metrics: Arc<Metrics>) -> Self {
        Self { reader, db, interval, rows_max, metrics, refusals: 0, behind: false }
    }

    /// Ships until `stop`, then drains what is left, so that a clean stop leaves an empty spool if ClickHouse
    /// is up. Returns the reader.
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
                    // The same batch under the same token: replicas share their deduplication tokens.
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
            // A backlog, or draining at stop: do not pause.
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

/// Ships one batch, whatever happened to it before: ClickHouse ignores a token it has already seen.
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

/// Waits for `pause` or `stop`; returns whether it was `stop`.
async fn wait(stop: &CancellationToken, pause: Duration) -> bool {
    tokio::select! {
        () = stop.cancelled() => true,
        () = tokio::time::sleep(pause) => false,
    }
}

/// Between half and all of `pause`, so that collectors do not retry in step.
fn jittered(pause: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    pause / 2 + pause.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0)
}
