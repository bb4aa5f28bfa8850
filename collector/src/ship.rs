//! From the spool into ClickHouse: one sealed batch after the other, each with its token, until it is there.
//!
//! **Promises.** A batch is retried for ever, with growing pauses and jitter, and never skipped. Because its bytes and
//! token are the same each time, ClickHouse keeps it once, materialised views included.
//!
//! **Proof**: `tests/tests/durability.rs`.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use sotto_schema::db::Db;
use tokio_util::sync::CancellationToken;

use crate::{
    metrics::Metrics,
    spool::{Batch, Reader},
};

/// About how many bytes a batch has at most.
const BATCH_BYTES_MAX: usize = 16 << 20;
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long one insert may take.
const INSERT_TIMEOUT: Duration = Duration::from_secs(120);

/// Ships what the spool holds.
#[derive(Debug)]
pub struct Shipper {
    /// Where batches come from.
    pub reader: Reader,
    /// Where they go.
    pub db: Db,
    /// How long hits may wait for others before they are shipped.
    pub interval: Duration,
    /// Most hits in a batch.
    pub rows_max: u64,
    /// Counts what was shipped.
    pub metrics: Arc<Metrics>,
}

/// Why a batch is not shipped; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// The spool cannot be read or its cursor not written.
    #[error("the spool cannot be read")]
    Spool(#[from] io::Error),
    /// ClickHouse is away or refuses the batch.
    #[error("ClickHouse does not take the batch")]
    Insert(#[from] clickhouse::error::Error),
    /// ClickHouse does not answer.
    #[error("ClickHouse does not answer within {} s", INSERT_TIMEOUT.as_secs())]
    Timeout,
}

impl Shipper {
    /// Ships until `stop`, then once more what is left, so that a clean stop leaves an empty spool when ClickHouse is
    /// there. Gives the reader back.
    pub async fn run(mut self, stop: CancellationToken) -> Reader {
        let mut pause = PAUSE_MIN;
        loop {
            match self.ship_one().await {
                Ok(_) => pause = PAUSE_MIN,
                Err(error) => {
                    self.metrics.ship_failures.fetch_add(1, Ordering::Relaxed);
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
                }
            }
            wait(&stop, self.interval).await;
        }
        self.reader
    }

    /// Ships one batch; returns how many hits it had, 0 if none waits.
    ///
    /// # Errors
    /// See [`ShipError`]; the next call ships the same batch.
    pub async fn ship_one(&mut self) -> Result<u64, ShipError> {
        let Some(batch) = self.reader.seal(self.rows_max, BATCH_BYTES_MAX)? else { return Ok(0) };
        tokio::time::timeout(INSERT_TIMEOUT, insert(&self.db, &batch))
            .await
            .map_err(|_| ShipError::Timeout)??;
        self.reader.shipped(&batch)?;
        self.metrics.shipped_hits.fetch_add(batch.count, Ordering::Relaxed);
        self.metrics.shipped_batches.fetch_add(1, Ordering::Relaxed);
        Ok(batch.count)
    }
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
