//! Brings the tables to the shape this version needs.
//!
//! Promises: files of `migrations/` run in order, each once; a crash at any point is healed by the next start,
//! because every statement may run again (`IF NOT EXISTS` and the like) and a version is noted only after its last
//! statement. Refuses: a file that was changed after it ran, and a database of a newer version.
//! Proof: `tests/tests/schema.rs` (real server; every cut between two statements) and the tests below.

use serde::{Deserialize, Serialize};

use crate::db::Db;

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

/// Why the tables could not be brought to the current shape.
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
    /// The start stops: nobody knows what the tables look like.
    #[error(
        "migration {name} was changed after it ran; restore the file, and put the change into a new migration"
    )]
    Changed {
        /// The file.
        name: &'static str,
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

/// Creates the database where it is missing and runs what has not run. Returns how many migrations ran.
///
/// # Errors
/// See [`MigrateError`]; running it again is always safe.
pub async fn migrate(db: &Db) -> Result<usize, MigrateError> {
    let access = db.access();
    access
        .without_database()
        .query_raw("CREATE DATABASE IF NOT EXISTS {database:Identifier}")
        .param("database", &access.database)
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
    let mut ran = 0;
    for migration in MIGRATIONS {
        match applied.iter().find(|a| a.version == migration.version) {
            Some(done) if done.checksum == checksum(migration.sql) => {}
            Some(_) => return Err(MigrateError::Changed { name: migration.name }),
            None => {
                apply(db, migration).await?;
                ran += 1;
            }
        }
    }
    Ok(ran)
}

async fn apply(db: &Db, migration: &Migration) -> Result<(), MigrateError> {
    for (i, statement) in statements(migration.sql).iter().enumerate() {
        db.query(statement).execute().await.map_err(|source| MigrateError::Statement {
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
                assert!(s.contains("IF NOT EXISTS") || s.contains("IF EXISTS"), "{}: {s}", m.name);
            }
        }
    }
}
