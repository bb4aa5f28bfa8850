//! A mutual-exclusion lock between programs on different machines that survives the crash of its holder.
//!
//! ClickHouse has no compare-and-swap without Keeper, but creating a table amounts to one: of all who create
//! a table of the same name, one succeeds. A lock is the table `{name}_N` with the largest N; there is one for
//! migrations ([`MIGRATIONS`]) and one for settling days. A waiting program may create `{name}_N+1` when the holder of N has sent no heartbeat for [`LEASE`]; the
//! holder of N notices before its next statement and stops. All times are the server's, so clocks need not
//! agree.
//!
//! Proof: `tests/suite/cluster.rs` (concurrent holders; a holder that died).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tokio::task::AbortHandle;

use crate::{db::Db, error_code::ErrorCode};

/// The name of the lock of migrations.
pub const MIGRATIONS: &str = "schema_lock";
/// How long a holder without a heartbeat keeps the lock.
pub const LEASE: Duration = Duration::from_secs(30);
/// Polling interval of the lock.
const PAUSE: Duration = Duration::from_millis(200);

/// The lock, held until it is released or dropped. If it was only dropped, it becomes free after the lease.
#[derive(Debug)]
pub struct Lock {
    db: Db,
    name: &'static str,
    generation: u64,
    holder: String,
    lease: Duration,
    /// When the last heartbeat that arrived was sent, in milliseconds of [`since_boot`].
    signed: Arc<AtomicU64>,
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
    #[error("the lock cannot be asked for")]
    Database(#[from] clickhouse::error::Error),
    /// No randomness.
    #[error("the system has no randomness: {0}")]
    Random(String),
    /// This program's lease ran out, and another has taken the lock over.
    #[error("another program has taken the lock over")]
    Lost,
}

impl Lock {
    /// Waits for the lock of migrations and takes it. A lock without a heartbeat for `lease` is taken over.
    ///
    /// # Errors
    /// When the server cannot be queried.
    pub async fn take(db: &Db, lease: Duration) -> Result<Self, LockError> {
        let mut told = false;
        loop {
            if let Some(lock) = Self::attempt(db, MIGRATIONS, lease).await? {
                return Ok(lock);
            }
            if !told {
                tracing::info!("another program is migrating the tables; waiting for it");
                told = true;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Takes a lock of that name, if nobody holds it.
    ///
    /// # Errors
    /// When the server cannot be queried.
    pub async fn try_take(db: &Db, name: &'static str) -> Result<Option<Self>, LockError> {
        Self::attempt(db, name, LEASE).await
    }

    async fn attempt(db: &Db, name: &'static str, lease: Duration) -> Result<Option<Self>, LockError> {
        let generation = match newest(db, name).await? {
            None => 1,
            Some((generation, idle)) if idle >= lease => generation + 1,
            Some(_) => return Ok(None),
        };
        let random = getrandom::u64().map_err(|e| LockError::Random(e.to_string()))?;
        let holder = format!("{random:016x}");
        let lock = table(name, generation);
        let created = db.query(include_str!("lock/create.sql")).param("lock", &lock).execute().await;
        match created {
            Ok(()) => {
                let signed = Arc::new(AtomicU64::new(since_boot()));
                sign(db, &lock, &holder).await?;
                let signing = keep_signing(db.clone(), lock, holder.clone(), lease / 6, signed.clone());
                let alive = tokio::spawn(signing).abort_handle();
                Ok(Some(Self { db: db.clone(), name, generation, holder, lease, signed, alive }))
            }
            // Another program was faster.
            Err(error) if ErrorCode::of(&error) == Some(ErrorCode::TABLE_ALREADY_EXISTS) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Checks that the lock is still held. While the last heartbeat is younger than half of the lease, nobody can have
    /// taken it over, and the server is not asked: that would take longer than most statements.
    ///
    /// # Errors
    /// When it is not, or that cannot be determined.
    pub async fn check(&self) -> Result<(), LockError> {
        let silent = since_boot().saturating_sub(self.signed.load(Ordering::Acquire));
        if Duration::from_millis(silent) < self.lease / 2 { Ok(()) } else { self.ask().await }
    }

    async fn ask(&self) -> Result<(), LockError> {
        match newest(&self.db, self.name).await? {
            Some((generation, _)) if generation == self.generation => {
                let query = self.db.query(include_str!("lock/holder.sql"));
                let holder: String = query.param("lock", table(self.name, generation)).fetch_one().await?;
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
        self.ask().await?;
        self.alive.abort();
        // Our own last: until then, anybody who looks sees a held lock.
        for generation in
            generations(&self.db, self.name).await?.into_iter().filter(|g| *g <= self.generation)
        {
            let drop = self.db.query("DROP TABLE IF EXISTS {lock:Identifier} SYNC");
            drop.param("lock", table(self.name, generation)).execute().await?;
        }
        Ok(())
    }
}

fn table(name: &str, generation: u64) -> String {
    format!("{name}_{generation}")
}

/// All locks of a name, the oldest first.
async fn generations(db: &Db, name: &str) -> Result<Vec<u64>, clickhouse::error::Error> {
    db.query(include_str!("lock/generations.sql")).param("name", name).fetch_all().await
}

/// The newest lock, and the time since its holder's last heartbeat.
async fn newest(db: &Db, name: &str) -> Result<Option<(u64, Duration)>, clickhouse::error::Error> {
    loop {
        let Some(generation) = generations(db, name).await?.pop() else { return Ok(None) };
        let lock = table(name, generation);
        let idle = db.query(include_str!("lock/idle.sql")).param("lock", &lock);
        match idle.param("name", &lock).fetch_one::<u64>().await {
            Ok(ms) => return Ok(Some((generation, Duration::from_millis(ms)))),
            // It was released between the two queries.
            Err(error) if ErrorCode::of(&error) == Some(ErrorCode::UNKNOWN_TABLE) => {}
            Err(error) => return Err(error),
        }
    }
}

async fn sign(db: &Db, lock: &str, holder: &str) -> Result<(), clickhouse::error::Error> {
    let query = db.query("INSERT INTO {lock:Identifier} (holder) VALUES ({holder:String})");
    query.param("lock", lock).param("holder", holder).execute().await
}

async fn keep_signing(db: Db, lock: String, holder: String, pause: Duration, signed: Arc<AtomicU64>) {
    loop {
        tokio::time::sleep(pause).await;
        let began = since_boot();
        match sign(&db, &lock, &holder).await {
            Ok(()) => signed.store(began, Ordering::Release),
            Err(error) => tracing::debug!(%error, lock, "the lock cannot be renewed"),
        }
    }
}

/// Milliseconds since the machine started, in which it may have slept.
fn since_boot() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    Duration::try_from(now).map_or(u64::MAX, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}
