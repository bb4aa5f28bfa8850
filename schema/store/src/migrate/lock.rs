//! One at a time: a lock that works between programs on different machines and survives the crash of its holder.
//!
//! ClickHouse has no compare-and-swap without Keeper, but creating a table is one: of all who create a table of the same
//! name, one succeeds. The lock is the table `schema_lock_N` with the largest N. Whoever waits may make `schema_lock_N+1`
//! when the holder of N has shown no sign of life for [`LEASE`]; the holder of N notices before its next statement and
//! stops. All times are those of the server, so clocks need not agree.
//!
//! Proof: `tests/suite/cluster.rs` (several at once; a holder that died).

use std::time::Duration;

use tokio::task::AbortHandle;

use crate::{db::Db, error_code::ErrorCode};

/// How long a holder that shows no sign of life keeps the lock.
pub const LEASE: Duration = Duration::from_secs(30);
/// How often the lock is looked at.
const PAUSE: Duration = Duration::from_millis(200);

/// The lock, held until it is released or dropped. One that was dropped is free for others after the lease.
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
    /// The server cannot be asked.
    #[error("the lock of the migrations cannot be asked for")]
    Database(#[from] clickhouse::error::Error),
    /// No randomness.
    #[error("the system has no randomness: {0}")]
    Random(String),
    /// This program was silent for too long, and another goes on in its place.
    #[error("another program has taken the lock of the migrations over")]
    Lost,
}

impl Lock {
    /// Waits for the lock and takes it. One whose holder was silent for `lease` is taken over.
    ///
    /// # Errors
    /// When the server cannot be asked.
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
                        tracing::info!("another program migrates the tables; waiting for it");
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
                // Another was faster.
                Err(error) if ErrorCode::of(&error) == Some(ErrorCode::TABLE_ALREADY_EXISTS) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Makes sure that the lock is still held.
    ///
    /// # Errors
    /// When it is not, or nobody can tell.
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

    /// Gives the lock to whoever is next.
    ///
    /// # Errors
    /// When the server cannot be asked; the lock is then free after the lease.
    pub async fn release(self) -> Result<(), LockError> {
        self.check().await?;
        self.alive.abort();
        // The own one last: whoever comes in between sees a lock that is held.
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

/// The newest lock, and how long its holder has shown no sign of life.
async fn newest(db: &Db) -> Result<Option<(u64, Duration)>, clickhouse::error::Error> {
    loop {
        let Some(generation) = generations(db).await?.pop() else { return Ok(None) };
        let idle = db.query(include_str!("lock/idle.sql")).param("lock", table(generation));
        match idle.param("name", table(generation)).fetch_one::<u64>().await {
            Ok(ms) => return Ok(Some((generation, Duration::from_millis(ms)))),
            // It was released between the two questions.
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
