//! What happens beside the hits: rules are read again, salts die, counts are stored, visits are forgotten.
//!
//! **Promises.** A job that fails says so and is tried again at its next turn; it never takes the others down.

use std::{path::PathBuf, sync::Arc, time::Duration};

use clickhouse::Row;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use sotto_geoip::GeoIp;
use sotto_schema::{
    account,
    db::{Db, shard_of},
    event::{Event, Kind},
    ledger,
    rowbinary::{Date, Millis},
    site,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    metrics::{Count, Metrics},
    rules::RuleBook,
    salts::{Entry, GRACE_MS, Salts},
    sessions::{self, Sessions},
    spool::Reader,
    tokens::TokenBook,
    views::{self, Views},
};

/// How often the rules are read when nothing says that they changed.
const RULES_INTERVAL: Duration = Duration::from_secs(10);
/// The shortest pause between two readings of the rules.
const RULES_PAUSE: Duration = Duration::from_millis(250);
/// How often salts, sessions and GeoIP files are looked after.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(15);
/// How often counts and the ledger are stored.
const STORE_INTERVAL: Duration = Duration::from_secs(10);

/// What the jobs work on.
#[derive(Clone)]
pub struct Jobs {
    /// Where rules are read and counts stored.
    pub db: Db,
    /// Rules of all sites.
    pub rules: Arc<RuleBook>,
    /// Told when the rules may have changed.
    pub rules_changed: Arc<Notify>,
    /// Tokens in force.
    pub tokens: Arc<TokenBook>,
    /// Salts of the day.
    pub salts: Arc<Salts>,
    /// Visits of the last half hour.
    pub sessions: Arc<Sessions>,
    /// Places and networks.
    pub geo: Arc<GeoIp>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Tells the time.
    pub clock: Clock,
    /// What this collector is called among others; empty for an only one.
    pub collector: String,
}

#[derive(Row, Serialize)]
struct OutcomeRow {
    site: u64,
    hour: u32,
    outcome: &'static str,
    reason: &'static str,
    hits: u64,
}

#[derive(Row, Deserialize)]
struct LiveSession {
    site: u64,
    visitor: u64,
    session: u64,
    last: i64,
}

impl Jobs {
    /// Runs all jobs until `stop`, then stores what is left.
    pub async fn run(self, stop: CancellationToken) {
        tokio::join!(self.keep_rules(&stop), self.keep_up(&stop), self.keep_storing(&stop));
    }

    async fn keep_rules(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            self.read_rules().await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(RULES_INTERVAL) => {}
                () = self.rules_changed.notified() => tokio::time::sleep(RULES_PAUSE).await,
            }
        }
    }

    /// Reads the rules of all sites.
    pub async fn read_rules(&self) {
        match site::all(&self.db).await {
            Ok(sites) => {
                if let Err(error) = self.rules.replace(sites) {
                    tracing::warn!(%error, "the copy of the sites cannot be written");
                }
            }
            Err(error) => tracing::warn!(%error, "sites cannot be read; going on with those known"),
        }
        match account::credentials(&self.db).await {
            Ok(tokens) => self.tokens.replace(tokens),
            Err(error) => tracing::warn!(%error, "tokens cannot be read; going on with those known"),
        }
    }

    async fn keep_up(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let now_ms = self.clock.now_ms();
            self.retire_salts(now_ms);
            self.sessions.sweep(now_ms);
            let geo = self.geo.clone();
            if let Err(error) = tokio::task::spawn_blocking(move || geo.reload_if_changed()).await {
                tracing::error!(%error, "GeoIP files cannot be looked after");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(UPKEEP_INTERVAL) => {}
            }
        }
    }

    /// Destroys the salts of days that are over, and those of sites that are gone.
    pub fn retire_salts(&self, now_ms: i64) {
        let dead = |site: u64, day: Date| {
            self.rules.by_id(site).is_none_or(|rules| now_ms >= rules.day_end_ms(day) + GRACE_MS)
        };
        match self.salts.retire(dead) {
            Ok(0) => {}
            Ok(count) => tracing::debug!(count, "salts destroyed"),
            Err(error) => tracing::error!(%error, "salts cannot be destroyed; trying again"),
        }
    }

    async fn keep_storing(&self, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(STORE_INTERVAL) => {}
            }
            self.store_outcomes().await;
            self.store_ledger().await;
            if stop.is_cancelled() {
                return;
            }
        }
    }

    /// Stores what was counted.
    pub async fn store_outcomes(&self) {
        let counts = self.metrics.take_outcomes();
        if counts.is_empty() {
            return;
        }
        let shards = self.db.shards();
        for (n, shard) in shards.iter().enumerate() {
            let of_shard = |count: &&Count| shard_of(count.site, shards.len()) == n;
            let counts: Vec<Count> = counts.iter().filter(of_shard).copied().collect();
            if counts.is_empty() {
                continue;
            }
            if let Err(error) = insert_outcomes(shard, &counts).await {
                tracing::warn!(%error, "outcomes are not stored, trying again");
                self.metrics.return_outcomes(&counts);
            }
        }
    }

    async fn store_ledger(&self) {
        let entries = self.salts.take_entries();
        if entries.is_empty() {
            return;
        }
        if let Err(error) = append_ledger(&self.db, &self.collector, &entries, self.clock.now_ms()).await {
            tracing::warn!(%error, "the ledger of salts is not written, trying again");
            self.salts.return_entries(entries);
        }
    }
}

async fn insert_outcomes(db: &Db, counts: &[Count]) -> Result<(), clickhouse::error::Error> {
    let mut insert = db.client().insert::<OutcomeRow>("outcomes").await?;
    for count in counts {
        let hour = u32::try_from(count.hour_ms / 1000).unwrap_or(0);
        let (outcome, reason) = count.what.names();
        insert.write(&OutcomeRow { site: count.site, hour, outcome, reason, hits: count.hits }).await?;
    }
    insert.end().await
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

#[derive(Row, Deserialize)]
struct LiveView {
    site: u64,
    view: u64,
    hostname: CompactString,
    path: CompactString,
}

/// Takes the visits and page views of the last half hour over from ClickHouse, when it is there, and from the spools.
pub async fn remember_visits(db: &Db, readers: &[Reader], sessions: &Sessions, views: &Views, now_ms: i64) {
    let since = now_ms - sessions::TIMEOUT_MS;
    let stored = db
        .query(include_str!("jobs/live_sessions.sql"))
        .param("since", since)
        .fetch_all::<LiveSession>()
        .await;
    match stored {
        Ok(live) => live.iter().for_each(|s| sessions.remember(s.site, s.visitor, s.session, s.last)),
        Err(error) => tracing::warn!(%error, "visits of the last half hour cannot be read; some begin anew"),
    }
    let viewed = db
        .query(include_str!("jobs/live_views.sql"))
        .param("since", since)
        .param("most", views::VIEWS_MAX)
        .fetch_all::<LiveView>()
        .await;
    match viewed {
        Ok(live) => live.iter().for_each(|v| views.remember(v.site, v.view, &v.hostname, &v.path)),
        Err(error) => {
            tracing::warn!(%error, "page views of the last half hour cannot be read; some have no page")
        }
    }
    for reader in readers {
        remember_spooled(reader, sessions, views, since);
    }
}

fn remember_spooled(reader: &Reader, sessions: &Sessions, views: &Views, since: i64) {
    let spooled = reader.for_each_waiting(|mut record| {
        if let Some(event) = Event::decode(&mut record)
            && event.session != 0
            && event.time > Millis(since)
        {
            sessions.remember(event.site, event.visitor, event.session, event.time.0);
            if event.kind == Kind::Pageview {
                views.remember(event.site, event.view, &event.hostname, &event.path);
            }
        }
    });
    if let Err(error) = spooled {
        tracing::warn!(%error, "visits in the spool cannot be read; some begin anew");
    }
}

/// Where GeoIP files may lie: the configured directory, or the first of `candidates` that exists.
pub fn geoip_directory(configured: Option<PathBuf>, candidates: &[PathBuf]) -> Option<PathBuf> {
    configured.or_else(|| candidates.iter().find(|dir| dir.is_dir()).cloned())
}
