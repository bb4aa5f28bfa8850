//! Migrates the tables to this version's schema.
//!
//! Promises: the files in `migrations/` run in order, each once, by one program at a time ([`lock`]); the
//! next start recovers from a crash at any point, because every statement may run again (`IF NOT EXISTS` and
//! the like) and a version is recorded only after its last statement. Refuses: a file that was changed after
//! it ran, and a database of a newer version.
//! Proof: `tests/suite/schema.rs` (real server; every cut between two statements) and the tests below.

use serde::{Deserialize, Serialize};

use crate::db::Db;

pub mod lock;
pub mod replicated;

use lock::{LEASE, Lock, LockError};
use replicated::{Place, replicated};

/// One file of `migrations/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// Number at the start of the file's name.
    pub version: u32,
    /// The file's name.
    pub name: &'static str,
    /// Its text.
    pub sql: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// Why the migration failed.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// ClickHouse refused or could not be reached; the next start continues.
    #[error("migration {name} failed at statement {statement}")]
    Statement {
        /// The file.
        name: &'static str,
        /// Which statement of it, from 1.
        statement: usize,
        /// What ClickHouse said.
        #[source]
        source: clickhouse::error::Error,
    },
    /// ClickHouse refused or could not be reached.
    #[error("cannot read which migrations have run")]
    Database(#[from] clickhouse::error::Error),
    /// Another program is migrating, or that cannot be determined; the next start continues.
    #[error("the tables are not migrated")]
    Lock(#[from] LockError),
    /// The start stops: the state of the tables is unknown.
    #[error(
        "migration {name} was changed after it ran; restore the file, and put the change into a new migration"
    )]
    Changed {
        /// The file.
        name: &'static str,
    },
    /// The start stops: replicas would diverge.
    #[error(
        "{url} is one of several replicas but has no Keeper, so nothing would replicate its tables; configure <zookeeper> there, or list one server per shard"
    )]
    NoKeeper {
        /// The server.
        url: String,
    },
    /// The start stops: replicas would diverge.
    #[error(
        "table {table} on {url} is not replicated although the shard has several replicas; it was made when it was alone: export, drop the database, start, import"
    )]
    NotReplicated {
        /// The server.
        url: String,
        /// The table.
        table: String,
    },
    /// The start stops: rows would be on shards where no query looks.
    #[error(
        "{url} was set up as {noted}, but clickhouse.shards lists it as {configured}; restore the list's order and length"
    )]
    OtherPlace {
        /// The server.
        url: String,
        /// What the server recorded.
        noted: String,
        /// What the configuration says.
        configured: String,
    },
    /// The start stops: an older program could damage newer data.
    #[error(
        "the database is at version {found}, this program knows {known}; start a newer sotto, or restore the backup made before the upgrade"
    )]
    Newer {
        /// Version of the database.
        found: u32,
        /// Latest version of this program.
        known: u32,
    },
}

#[derive(Debug, clickhouse::Row, Serialize, Deserialize)]
struct Applied {
    version: u32,
    name: String,
    checksum: String,
}

const CREATE_LOG: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (version UInt32, name String, checksum String, \
     applied DateTime64(3, 'UTC') DEFAULT now64(3)) ENGINE = ReplacingMergeTree ORDER BY version";

/// The statements of a migration, without comments.
pub fn statements(sql: &str) -> Vec<String> {
    let text: String = sql
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"))
        .flat_map(|line| [line, "\n"])
        .collect();
    text.split(";\n").map(|s| s.trim().trim_end_matches(';').to_owned()).filter(|s| !s.is_empty()).collect()
}

fn checksum(sql: &str) -> String {
    blake3::hash(sql.as_bytes()).to_hex()[..32].to_owned()
}

/// Creates the database if it is missing and runs pending migrations. Returns how many ran.
///
/// # Errors
/// See [`MigrateError`]; running it again is always safe.
pub async fn migrate(db: &Db) -> Result<usize, MigrateError> {
    migrate_to(db, MIGRATIONS.len()).await
}

/// The same with only the first `count` migrations: the state in which an older version left the database.
///
/// # Errors
/// See [`MigrateError`].
pub async fn migrate_to(db: &Db, count: usize) -> Result<usize, MigrateError> {
    if missing(db, count).await?.is_empty() {
        return Ok(0);
    }
    let lock = Lock::take(db, LEASE).await?;
    let ran = run(db, count, &lock, None).await?;
    lock.release().await?;
    Ok(ran)
}

/// Runs a server's pending migrations while `lock` is held; replicated where the server has Keeper and a
/// `place`.
pub(crate) async fn run(
    db: &Db,
    count: usize,
    lock: &Lock,
    place: Option<Place>,
) -> Result<usize, MigrateError> {
    // Migrations that another program ran before it released the lock are no longer pending.
    let missing = missing(db, count).await?;
    for migration in &missing {
        apply(db, migration, lock, place).await?;
    }
    Ok(missing.len())
}

/// The pending migrations of a server. Creates the database and the table of migrations if they are missing.
pub(crate) async fn missing(db: &Db, count: usize) -> Result<Vec<Migration>, MigrateError> {
    db.without_database()
        .query_raw("CREATE DATABASE IF NOT EXISTS {database:Identifier}")
        .param("database", &db.access().database)
        .execute()
        .await?;
    db.query(CREATE_LOG).execute().await?;
    let applied: Vec<Applied> = db
        .query("SELECT version, name, checksum FROM schema_migrations FINAL ORDER BY version")
        .fetch_all()
        .await?;
    let known = MIGRATIONS.last().map_or(0, |m| m.version);
    if let Some(newer) = applied.iter().find(|a| a.version > known) {
        return Err(MigrateError::Newer { found: newer.version, known });
    }
    let mut missing = Vec::new();
    for migration in &MIGRATIONS[..count] {
        match applied.iter().find(|a| a.version == migration.version) {
            Some(done) if done.checksum == checksum(migration.sql) => {}
            Some(_) => return Err(MigrateError::Changed { name: migration.name }),
            None => missing.push(*migration),
        }
    }
    Ok(missing)
}

async fn apply(
    db: &Db,
    migration: &Migration,
    lock: &Lock,
    place: Option<Place>,
) -> Result<(), MigrateError> {
    for (i, statement) in statements(migration.sql).iter().enumerate() {
        lock.check().await?;
        let statement = place.map_or_else(|| statement.clone(), |place| replicated(statement, place));
        db.query(&statement).execute().await.map_err(|source| MigrateError::Statement {
            name: migration.name,
            statement: i + 1,
            source,
        })?;
    }
    db.query("INSERT INTO schema_migrations (version, name, checksum) VALUES ({version:UInt32}, {name:String}, {checksum:String})")
        .param("version", migration.version)
        .param("name", migration.name)
        .param("checksum", checksum(migration.sql))
        .execute()
        .await?;
    tracing::info!(migration = migration.name, "migrated");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sotto_schema::datamap;

    #[test]
    fn versions_are_consecutive_from_one() {
        for (i, m) in MIGRATIONS.iter().enumerate() {
            assert_eq!(m.version as usize, i + 1, "{}", m.name);
        }
    }

    #[test]
    fn comment_with_semicolon_does_not_split_a_statement() {
        let sql = "-- a; b;\nCREATE TABLE a\n(\n  x UInt8\n);\n\n-- c\nSELECT 1;\n";
        assert_eq!(statements(sql), ["CREATE TABLE a\n(\n  x UInt8\n)", "SELECT 1"]);
    }

    #[test]
    fn every_statement_may_run_again() {
        for m in MIGRATIONS {
            for s in statements(m.sql) {
                // A setting or an end of life that is set again is what it was.
                let repeats = ["IF NOT EXISTS", "IF EXISTS", "MODIFY SETTING", "MODIFY TTL"];
                assert!(repeats.iter().any(|repeats| s.contains(repeats)), "{}: {s}", m.name);
            }
        }
    }

    #[test]
    fn every_table_is_in_exactly_one_class() {
        let golden = include_str!("../golden.sql");
        let tables: Vec<&str> = golden
            .lines()
            .filter_map(|l| l.strip_prefix("CREATE TABLE ").or(l.strip_prefix("CREATE MATERIALIZED VIEW ")))
            .filter_map(|l| l.split(' ').next())
            .collect();
        assert!(tables.len() > 5);
        for table in &tables {
            let homes = datamap::classes().iter().flat_map(|c| c.tables.iter().chain(&c.views));
            let homes = homes.filter(|t| t == table).count();
            assert_eq!(homes, 1, "{table} must be in one [[class]] of datamap.toml: how long is it kept?");
        }
        for named in datamap::classes().iter().flat_map(|c| c.tables.iter().chain(&c.views)) {
            assert!(tables.contains(&named.as_str()), "{named} is no table");
        }
    }
}
