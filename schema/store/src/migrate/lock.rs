//! A mutual-exclusion lock between programs on different machines that survives the crash of its holder.
//!
//! ClickHouse has no compare-and-swap without Keeper, but creating a table amounts to one: of all who create
//! a table of the same name, one succeeds. The lock is the table `schema_lock_N` with the largest N. A
//! waiting program may create `schema_lock_N+1` when the holder of N has sent no heartbeat for [`LEASE`]; the
//! holder of N notices before its next statement and stops. All times are the server's, so clocks need not
//! agree.
//!
//! Proof: `tests/suite/cluster.rs` (concurrent holders; a holder that died).

use std::time::Duration;

use tokio::task::AbortHandle;

use crate::{db::Db, error_code::ErrorCode};

/// How long a holder without a heartbeat keeps the lock.
pub const LEASE: Duration = Duration::from_secs(30);
/// Polling interval of the lock.
const PAUSE: Duration = Duration::from_millis(200);

/// The lock, held until it is released or dropped. If it was only dropped, it becomes free after the lease.
#[derive(Debug)]
pub struct Lock {
    db: Db,
    generation: u64,
    holder: String,
    alive: AbortHandle,
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.alive.abort();
    }
}

/// Why the lock is not held.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The server cannot be queried.
    #[error("the lock of the migrations cannot be asked for")]
    Database(#[from] clickhouse::error::Error),
    /// No randomness.
    #[error("the system has no randomness: {0}")]
    Random(String),
    /// This program's lease ran out, and another has taken the lock over.
    #[error("another program has taken the lock of the migrations over")]
    Lost,
}

impl Lock {
    /// Waits for the lock and takes it. A lock without a heartbeat for `lease` is taken over.
    ///
    /// # Errors
    /// When the server cannot be queried.
    pub async fn take(db: &Db, lease: Duration) -> Result<Self, LockError> {
        let random = getrandom::u64().map_err(|e| LockError::Random(e.to_string()))?;
        let holder = format!("{random:016x}");
        let mut told = false;
        loop {
            let next = match newest(db).await? {
                None => 1,
                Some((generation, idle)) if idle >= lease => generation + 1,
                Some(_) => {
                    if !told {
                        tracing::info!("another program is migrating the tables; waiting for it");
                        told = true;
                    }
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let created =
                db.query(include_str!("lock/create.sql")).param("lock", table(next)).execute().await;
            match created {
                Ok(()) => {
                    sign(db, next, &holder).await?;
                    let alive = tokio::spawn(keep_signing(db.clone(), next, holder.clone(), lease / 6));
                    return Ok(Self {
                        db: db.clone(),
                        generation: next,
                        holder,
                        alive: alive.abort_handle(),
                    });
                }
                // Another program was faster.
                Err(error) if ErrorCode::of(&error) == Some(ErrorCode::TABLE_ALREADY_EXISTS) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Checks that the lock is still held.
    ///
    /// # Errors
    /// When it is not, or that cannot be determined.
    pub async fn check(&self) -> Result<(), LockError> {
        match newest(&self.db).await? {
            Some((generation, _)) if generation == self.generation => {
                let query = self.db.query(include_str!("lock/holder.sql"));
                let holder: String = query.param("lock", table(generation)).fetch_one().await?;
                if holder == self.holder { Ok(()) } else { Err(LockError::Lost) }
            }
            Some(_) | None => Err(LockError::Lost),
        }
    }

    /// Releases the lock.
    ///
    /// # Errors
    /// When the server cannot be queried; the lock is then free after the lease.
    pub async fn release(self) -> Result<(), LockError> {
        self.check().await?;
        self.alive.abort();
        // Our own last: until then, anybody who looks sees a held lock.
        for generation in generations(&self.db).await?.into_iter().filter(|g| *g <= self.generation) {
            let drop = self.db.query("DROP TABLE IF EXISTS {lock:Identifier} SYNC");
            drop.param("lock", table(generation)).execute().await?;
        }
        Ok(())
    }
}

fn table(generation: u64) -> String {
    format!("schema_lock_{generation}")
}

/// All locks, the oldest first.
async fn generations(db: &Db) -> Result<Vec<u64>, clickhouse::error::Error> {
    db.query(include_str!("lock/generations.sql")).fetch_all().await
}

/// The newest lock, and the time since its holder's last heartbeat.
async fn newest(db: &Db) -> Result<Option<(u64, Duration)>, clickhouse::error::Error> {
    loop {
        let Some(generation) = generations(db).await?.pop() else { return Ok(None) };
        let idle = db.query(include_str!("lock/idle.sql")).param("lock", table(generation));
        match idle.param("name", table(generation)).fetch_one::<u64>().await {
            Ok(ms) => return Ok(Some((generation, Duration::from_millis(ms)))),
            // It was released between the two queries.
            Err(error) if ErrorCode::of(&error) == Some(ErrorCode::UNKNOWN_TABLE) => {}
            Err(error) => return Err(error),
        }
    }
}

async fn sign(db: &Db, generation: u64, holder: &str) -> Result<(), clickhouse::error::Error> {
    let query = db.query("INSERT INTO {lock:Identifier} (holder) VALUES ({holder:String})");
    query.param("lock", table(generation)).param("holder", holder).execute().await
}

async fn keep_signing(db: Db, generation: u64, holder: String, pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        if let Err(error) = sign(&db, generation, &holder).await {
            tracing::debug!(%error, "the lock of the migrations cannot be renewed");
        }
    }
}
