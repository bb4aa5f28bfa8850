//! The job that stores outcome counts and the salt ledger.
//!
//! **Promises.** An insert that ClickHouse did not acknowledge is repeated unchanged, so a lost response
//! never counts anything twice.
//!
//! **Proof**: `tests/suite/lost_answers.rs`.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use clickhouse::Row;
use serde::Serialize;
use sotto_schema::{day::Day, id::SiteId};
use sotto_store::{
    db::{Db, shard_of},
    ledger::{self, Life, Line},
};
use tokio_util::sync::CancellationToken;

use super::wait;
use crate::{
    ingest::unmapped_consent::Batch,
    metrics::Count,
    state::{State, unacknowledged::OutcomeBatch},
    visitor::salts::Entry,
};

/// Interval for storing counts and the ledger.
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

pub(super) async fn keep_storing(state: Arc<State>, stop: CancellationToken) {
    loop {
        wait(&stop, STORE_INTERVAL).await;
        store_outcomes(&state).await;
        store_unmapped(&state).await;
        store_ledger(&state).await;
        if stop.is_cancelled() {
            return;
        }
    }
}

/// Stores outcome counts shard by shard: an unreachable shard does not hold up the others.
pub async fn store_outcomes(state: &State) {
    let shards = state.databases.writer.shards();
    let mut counts = state.metrics.take_outcomes();
    for (n, shard) in shards.iter().enumerate() {
        let of_shard = |count: &mut Count| shard_of(count.site, shards.len()) == n;
        let counts: Vec<Count> = counts.extract_if(.., of_shard).collect();
        if let Err(error) = store_outcomes_of_shard(state, n, shard, counts).await {
            tracing::warn!(%error, "outcomes are not stored, trying again");
        }
    }
}

async fn store_outcomes_of_shard(
    state: &State,
    n: usize,
    shard: &Db,
    counts: Vec<Count>,
) -> Result<(), clickhouse::error::Error> {
    let unacknowledged = || state.unacknowledged.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
    let earlier = unacknowledged().get(&n).cloned();
    if let Some(batch) = earlier {
        if let Err(error) = insert_outcomes(shard, &batch).await {
            state.metrics.return_outcomes(&counts);
            return Err(error);
        }
        unacknowledged().remove(&n);
    }
    if counts.is_empty() {
        return Ok(());
    }
    // The random part keeps two collectors' tokens apart: identical counts are not a repeat.
    let now_ms = state.clock.now_ms();
    let token = format!("outcomes-{now_ms}-{:016x}", getrandom::u64().unwrap_or_default());
    let batch = OutcomeBatch { token, counts };
    unacknowledged().insert(n, batch.clone());
    insert_outcomes(shard, &batch).await?;
    unacknowledged().remove(&n);
    Ok(())
}

/// Stores the counts of unmapped consent categories.
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
    if let Err(error) = append_ledger(state).await {
        tracing::warn!(%error, "the ledger of salts is not written, trying again");
    }
}

/// Appends salt events to the ledger, starting with earlier unacknowledged ones.
async fn append_ledger(state: &State) -> Result<(), clickhouse::error::Error> {
    let (db, collector) = (&state.databases.writer, state.config.peers.name.as_str());
    look_back(state, db, collector).await?;
    let unacknowledged = || state.unacknowledged.ledger.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let earlier = unacknowledged().clone();
        let entries = if earlier.is_empty() { state.salts.take_entries() } else { Vec::new() };
        if earlier.is_empty() && entries.is_empty() {
            return Ok(());
        }
        let last = match ledger::last(db, collector).await {
            Ok(last) => last,
            Err(error) => {
                state.salts.return_entries(entries);
                return Err(error);
            }
        };
        let end = last.as_ref().map_or([0; 32], |line| line.hash);
        if earlier.last().is_some_and(|line| line.hash == end) {
            // The insert had landed; only its acknowledgement was lost.
            unacknowledged().clear();
            continue;
        }
        let lines = match earlier.first() {
            Some(first) if first.previous == end => earlier,
            // Another writer is in this chain: two collectors without distinct names.
            Some(_) => {
                chain(state, last, earlier.iter().map(|l| (l.event, l.site, Day(l.day), l.commitment)))
            }
            None => chain(state, last, entries.iter().map(|e| (event(e), e.site, e.day, e.commitment))),
        };
        (*unacknowledged()).clone_from(&lines);
        ledger::append(db, &lines).await?;
        unacknowledged().clear();
    }
}

/// Once a run, before its first line: what became of the salts that were alive when the run before it ended.
async fn look_back(state: &State, db: &Db, collector: &str) -> Result<(), clickhouse::error::Error> {
    if state.unacknowledged.looked_back.load(Ordering::Relaxed) {
        return Ok(());
    }
    let alive = ledger::alive(db, collector).await?;
    let entry = |a: &Life| Entry { born: true, site: a.site, day: a.day, commitment: a.commitment };
    let alive: Vec<Entry> = alive.iter().map(entry).collect();
    state.salts.return_entries(state.salts.since_the_last_run(&alive));
    state.unacknowledged.looked_back.store(true, Ordering::Relaxed);
    Ok(())
}

fn event(entry: &Entry) -> i8 {
    if entry.born { ledger::BORN } else { ledger::DIED }
}

/// Chains new ledger lines onto `last`.
fn chain(
    state: &State,
    last: Option<Line>,
    events: impl Iterator<Item = (i8, SiteId, Day, [u8; 32])>,
) -> Vec<Line> {
    let (collector, now_ms) = (state.config.peers.name.as_str(), state.clock.now_ms());
    let mut lines: Vec<Line> = Vec::new();
    for (event, site, day, commitment) in events {
        let before = lines.last().or(last.as_ref());
        lines.push(Line::after(before, collector, now_ms, Life { event, site, day, commitment }));
    }
    lines
}

/// Stores a batch; ClickHouse ignores a repeat under the same token.
async fn insert_outcomes(db: &Db, batch: &OutcomeBatch) -> Result<(), clickhouse::error::Error> {
    let insert = db.client().insert::<OutcomeRow>("outcomes").await?;
    let mut insert = insert
        .with_setting("insert_deduplicate", "1")
        .with_setting("insert_deduplication_token", &batch.token);
    for count in &batch.counts {
        let hour = u32::try_from(count.hour_ms / 1000).unwrap_or(0);
        let (outcome, reason) = count.what.names();
        insert.write(&OutcomeRow { site: count.site, hour, outcome, reason, hits: count.hits }).await?;
    }
    insert.end().await
}

/// Stores a batch, each shard's part under the same token: ClickHouse ignores a part it already has.
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
