//! Whether a server deduplicates repeated batches, on which "exactly once" relies.
//!
//! Proof: `tests/suite/shipping.rs` (real server; with the deduplication window removed and restored).

use clickhouse::Row;
use serde::Deserialize;

use crate::db::Db;

/// Smallest deduplication window of a table, in blocks: those that others may insert between an attempt and
/// its retry.
pub const WINDOW_MIN: u64 = 1_000;
/// Shortest deduplication window of a replicated table: an outage between an attempt and its retry. One day.
pub const SECONDS_MIN: u64 = 24 * 60 * 60;

#[derive(Row, Deserialize)]
struct Window {
    name: String,
    blocks: u64,
    lasting: u64,
}

/// Settings that would let a repeated batch be counted twice, described for the operator; empty if all shards
/// are fine.
///
/// # Errors
/// When a server cannot be queried.
pub async fn flaws(db: &Db) -> Result<Vec<String>, clickhouse::error::Error> {
    let shards = db.shards();
    let mut flaws = Vec::new();
    for (n, shard) in shards.iter().enumerate() {
        let found = flaws_of_server(shard).await?;
        let named = |flaw| if shards.len() > 1 { format!("shard {}: {flaw}", n + 1) } else { flaw };
        flaws.extend(found.into_iter().map(named));
    }
    Ok(flaws)
}

async fn flaws_of_server(db: &Db) -> Result<Vec<String>, clickhouse::error::Error> {
    let windows: Vec<Window> = db.query(include_str!("deduplication/windows.sql")).fetch_all().await?;
    let mut flaws = Vec::new();
    if windows.is_empty() {
        flaws.push("no table events that could remember batches".to_owned());
    }
    for Window { name, blocks, lasting } in windows {
        if blocks < WINDOW_MIN {
            flaws.push(format!("table {name} remembers {blocks} batches, at least {WINDOW_MIN} are needed"));
        }
        if lasting != 0 && lasting < SECONDS_MIN {
            flaws.push(format!(
                "table {name} remembers batches for {lasting} s, at least {SECONDS_MIN} s are needed"
            ));
        }
    }
    let settings = db
        .query("SELECT toUInt8(getSetting('insert_deduplicate') AND getSetting('deduplicate_blocks_in_dependent_materialized_views'))")
        .with_setting("insert_deduplicate", "1")
        .with_setting("deduplicate_blocks_in_dependent_materialized_views", "1")
        .fetch_one::<u8>()
        .await;
    match settings {
        Ok(1) => {}
        Ok(_) => flaws.push("the server does not let inserts be deduplicated".into()),
        // The settings are forbidden by constraints in the user's profile.
        Err(clickhouse::error::Error::BadResponse(text)) => {
            let said = text.lines().next().unwrap_or_default();
            flaws.push(format!("the server does not let inserts be deduplicated: {said}"));
        }
        Err(error) => return Err(error),
    }
    Ok(flaws)
}
