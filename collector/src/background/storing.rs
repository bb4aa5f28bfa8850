//! The job that stores what was counted, and the ledger of salts.

use std::time::Duration;

use clickhouse::Row;
use serde::Serialize;
use sotto_schema::id::SiteId;
use sotto_store::{
    db::{Db, shard_of},
    ledger,
};
use tokio_util::sync::CancellationToken;

use super::wait;
use crate::{ingest::unmapped_consent::Batch, metrics::Count, state::State, visitor::salts::Entry};

/// How often counts and the ledger are stored.
const STORE_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Row, Serialize)]
struct OutcomeRow {
    site: SiteId,
    hour: u32,
    outcome: &'static str,
    reason: &'static str,
    hits: u64,
}

#[derive(Row, Serialize)]
struct UnmappedRow<'a> {
    site: SiteId,
    day: u16,
    source: &'a str,
    category: &'a str,
    times: u64,
}

pub(super) async fn keep_storing(state: &State, stop: &CancellationToken) {
    loop {
        wait(stop, STORE_INTERVAL).await;
        store_outcomes(state).await;
        store_unmapped(state).await;
        store_ledger(state).await;
        if stop.is_cancelled() {
            return;
        }
    }
}

/// Stores what was counted.
pub async fn store_outcomes(state: &State) {
    let counts = state.metrics.take_outcomes();
    if counts.is_empty() {
        return;
    }
    let shards = state.databases.writer.shards();
    for (n, shard) in shards.iter().enumerate() {
        let of_shard = |count: &&Count| shard_of(count.site, shards.len()) == n;
        let counts: Vec<Count> = counts.iter().filter(of_shard).copied().collect();
        if counts.is_empty() {
            continue;
        }
        if let Err(error) = insert_outcomes(shard, &counts, state.clock.now_ms()).await {
            tracing::warn!(%error, "outcomes are not stored, trying again");
            state.metrics.return_outcomes(&counts);
        }
    }
}

/// Stores which categories nobody has mapped.
async fn store_unmapped(state: &State) {
    while let Some(batch) = state.unmapped.take(state.clock.now_ms()) {
        if let Err(error) = insert_unmapped(&state.databases.writer, &batch).await {
            tracing::warn!(%error, "unmapped categories are not stored, trying again");
            state.unmapped.give_back(batch);
            return;
        }
    }
}

async fn store_ledger(state: &State) {
    let entries = state.salts.take_entries();
    if entries.is_empty() {
        return;
    }
    let (db, collector) = (&state.databases.writer, &state.config.peers.name);
    if let Err(error) = append_ledger(db, collector, &entries, state.clock.now_ms()).await {
        tracing::warn!(%error, "the ledger of salts is not written, trying again");
        state.salts.return_entries(entries);
    }
}

async fn insert_outcomes(db: &Db, counts: &[Count], now_ms: i64) -> Result<(), clickhouse::error::Error> {
    let insert = db.client().insert::<OutcomeRow>("outcomes").await?;
    // Without a token of its own, a batch of the same counts as an earlier one is taken for its repetition and lost.
    let token = format!("outcomes-{now_ms}-{:016x}", getrandom::u64().unwrap_or_default());
    let mut insert = insert.with_setting("insert_deduplication_token", token);
    for count in counts {
        let hour = u32::try_from(count.hour_ms / 1000).unwrap_or(0);
        let (outcome, reason) = count.what.names();
        insert.write(&OutcomeRow { site: count.site, hour, outcome, reason, hits: count.hits }).await?;
    }
    insert.end().await
}

/// Stores a batch, each shard's part under the same token: a part that is stored already is ignored when it comes again.
async fn insert_unmapped(db: &Db, batch: &Batch) -> Result<(), clickhouse::error::Error> {
    let shards = db.shards();
    for (n, shard) in shards.iter().enumerate() {
        let counts: Vec<_> = batch.counts.iter().filter(|c| shard_of(c.site, shards.len()) == n).collect();
        if counts.is_empty() {
            continue;
        }
        let insert = shard.client().insert::<UnmappedRow<'_>>("consent_unmapped").await?;
        let mut insert = insert
            .with_setting("insert_deduplicate", "1")
            .with_setting("insert_deduplication_token", &batch.token);
        for count in counts {
            let (source, category) = (count.source.as_str(), count.category.as_str());
            let row = UnmappedRow { site: count.site, day: count.day, source, category, times: count.times };
            insert.write(&row).await?;
        }
        insert.end().await?;
    }
    Ok(())
}

async fn append_ledger(
    db: &Db,
    collector: &str,
    entries: &[Entry],
    now_ms: i64,
) -> Result<(), clickhouse::error::Error> {
    let last = ledger::last(db, collector).await?;
    let mut lines: Vec<ledger::Line> = Vec::with_capacity(entries.len());
    for entry in entries {
        let event = if entry.born { ledger::BORN } else { ledger::DIED };
        let before = lines.last().or(last.as_ref());
        let Entry { site, day, commitment, .. } = *entry;
        lines.push(ledger::Line::after(before, collector, now_ms, event, site, day, commitment));
    }
    ledger::append(db, &lines).await
}
