//! What happens beside the hits: rules are read again, salts die, counts are stored, visits are forgotten, days that
//! are over are sealed, and what is due is removed.
//!
//! **Promises.** A job that fails says so and is tried again at its next turn; it never takes the others down.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use clickhouse::Row;
use compact_str::CompactString;
use jiff::civil;
use serde::{Deserialize, Serialize};
use sotto_geoip::GeoIp;
use sotto_schema::{
    clock::Clock,
    day::Day,
    event::{COLUMNS, Event, Kind},
    id::{SessionId, SiteId, ViewId, VisitorKey},
    rowbinary::Millis,
};
use sotto_store::{
    account,
    db::{Db, shard_of},
    deduplication, ledger, sites,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    archive::{Done, Sealer},
    ingest::unmapped_consent::{Batch, Unmapped},
    metrics::{Count, Metrics},
    sites::{
        rules::{RuleBook, Rules},
        tokens::TokenBook,
    },
    spool::{KEYS_MIN, Key, Reader, Spool, sharded::Spools},
    visitor::{
        objections::Objections,
        page_view_cache::{self, PageViewCache},
        salts::{self, Entry, GRACE_MS, Salts},
        sessions::{self, Sessions},
    },
};

mod ageing;

/// How often the rules are read when nothing says that they changed.
const RULES_INTERVAL: Duration = Duration::from_secs(10);
/// The shortest pause between two readings of the rules.
const RULES_PAUSE: Duration = Duration::from_millis(250);
/// How often salts, sessions and GeoIP files are looked after.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(15);
/// How often hits that are in ClickHouse are removed from the spool's files: they must not outlive what is erased there.
const FORGET_INTERVAL: Duration = Duration::from_secs(10 * 60);
/// How often counts and the ledger are stored.
const STORE_INTERVAL: Duration = Duration::from_secs(10);

/// How often is checked that repeated batches are ignored.
const CHECK_INTERVAL: Duration = Duration::from_secs(30);
/// How long ClickHouse may take, at the end, until what is left is stored.
const LAST_STORE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a hit may be on its way into ClickHouse before its day is sealed without it, in milliseconds.
const ARRIVAL_MS: i64 = 15 * 60 * 1000;

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
    /// Visitors who objected today.
    pub objections: Arc<Objections>,
    /// Visits of the last half hour.
    pub sessions: Arc<Sessions>,
    /// Places and networks.
    pub geo: Arc<GeoIp>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Categories of consent managers that nobody has mapped.
    pub unmapped: Arc<Unmapped>,
    /// Tells the time.
    pub clock: Clock,
    /// Directory of backups.
    pub backups: PathBuf,
    /// Where hits wait.
    pub spools: Spools,
    /// How often days are looked for that can be sealed.
    pub seal_interval: Duration,
    /// What this collector is called among others; empty for an only one.
    pub collector: String,
}

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

#[derive(Row, Deserialize)]
struct LiveSession {
    site: SiteId,
    visitor: VisitorKey,
    session: SessionId,
    last: i64,
}

impl Jobs {
    /// Runs all jobs until `stop`, then stores what is left, within a bound.
    pub async fn run(self, stop: CancellationToken) {
        let jobs = async {
            tokio::join!(
                self.keep_rules(&stop),
                self.keep_up(&stop),
                self.keep_storing(&stop),
                self.keep_checking(&stop),
                self.keep_sealing(&stop),
                self.keep_ageing(&stop)
            );
        };
        let overdue = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST_STORE_TIMEOUT).await;
        };
        tokio::select! {
            () = jobs => {}
            () = overdue => tracing::warn!("ClickHouse does not answer; the last counts are not stored"),
        }
    }

    /// Asks ClickHouse, as soon as it is there and then now and then, whether it ignores repeated batches.
    async fn keep_checking(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => return,
                found = deduplication::flaws(&self.db) => self.note_flaws(found),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(CHECK_INTERVAL) => {}
            }
        }
    }

    fn note_flaws(&self, found: Result<Vec<String>, clickhouse::error::Error>) {
        match found {
            Ok(flaws) => {
                let known = self.metrics.deduplication_flaws.swap(Some(Arc::new(flaws.clone())));
                for flaw in flaws.iter().filter(|flaw| known.as_deref().is_none_or(|k| !k.contains(flaw))) {
                    tracing::error!(flaw, "a batch that is shipped again may be counted twice");
                }
            }
            Err(error) => {
                tracing::debug!(%error, "ClickHouse cannot be asked whether it ignores repeated batches")
            }
        }
    }

    async fn keep_rules(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            self.read_rules().await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(RULES_INTERVAL) => {}
                () = self.rules_changed.notified() => {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(RULES_PAUSE) => {}
                    }
                }
            }
        }
    }

    /// Reads the rules of all sites.
    pub async fn read_rules(&self) {
        match sites::all(&self.db).await {
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
        let mut forgot = Instant::now();
        while !stop.is_cancelled() {
            let now_ms = self.clock.now_ms();
            if forgot.elapsed() >= FORGET_INTERVAL {
                forgot = Instant::now();
                if let Err(error) = self.spools.forget_shipped().await {
                    tracing::warn!(%error, "shipped hits cannot be removed from the spool, trying again");
                }
            }
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
        let dead = |site: SiteId, day: Day| {
            self.rules.by_id(site).is_none_or(|rules| salts::is_over(rules.day_end_ms(day), now_ms))
        };
        if let Err(error) = self.objections.retire(dead) {
            tracing::error!(%error, "objections of days that are over cannot be removed; trying again");
        }
        match self.salts.retire(dead) {
            Ok(0) => {}
            Ok(count) => tracing::debug!(count, "salts destroyed"),
            Err(error) => tracing::error!(%error, "salts cannot be destroyed; trying again"),
        }
    }

    async fn keep_sealing(&self, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.seal_interval) => {}
            }
            // A seal that is cut is begun anew by the next run.
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.seal_days() => {}
            }
        }
    }

    /// Seals the days and months of all sites that are over.
    pub async fn seal_days(&self) {
        let mut sealer = Sealer::new(self.db.clone());
        for rules in self.rules.all() {
            // Hits that wait would come late.
            if self.metrics.ship_behind.load(Ordering::Relaxed) > 0 {
                return;
            }
            let Some(last) = self.last_closed(&rules) else { continue };
            let note = |done: Done| tracing::info!(site = rules.site.name, day = %done.day, rows = done.rows, "sealed");
            if let Err(error) = sealer.seal_site(&rules.site, last, note).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "not sealed, trying again");
            }
        }
    }

    /// The last day of a site whose salt is dead, and whose last hits had time to arrive.
    fn last_closed(&self, rules: &Rules) -> Option<civil::Date> {
        let today = rules.day(self.clock.now_ms() - GRACE_MS - ARRIVAL_MS);
        let last = Day(today.0.checked_sub(1)?);
        self.salts.get(rules.site.id, last).is_none().then(|| last.date())
    }

    async fn keep_storing(&self, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(STORE_INTERVAL) => {}
            }
            self.store_outcomes().await;
            self.store_unmapped().await;
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
            if let Err(error) = insert_outcomes(shard, &counts, self.clock.now_ms()).await {
                tracing::warn!(%error, "outcomes are not stored, trying again");
                self.metrics.return_outcomes(&counts);
            }
        }
    }

    /// Stores which categories nobody has mapped.
    async fn store_unmapped(&self) {
        while let Some(batch) = self.unmapped.take(self.clock.now_ms()) {
            if let Err(error) = insert_unmapped(&self.db, &batch).await {
                tracing::warn!(%error, "unmapped categories are not stored, trying again");
                self.unmapped.give_back(batch);
                return;
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

#[derive(Row, Deserialize)]
struct LiveKey {
    site: SiteId,
    view: ViewId,
    seq: u32,
}

#[derive(Row, Deserialize)]
struct LiveView {
    site: SiteId,
    view: ViewId,
    hostname: CompactString,
    path: CompactString,
}

/// Takes visits, page views and the numbers of hits of the last half hour over from ClickHouse, when it is there, and
/// from the spools. `readers` are those of `spools`, in order.
pub async fn remember_visits(
    db: &Db,
    (spools, readers): (&Spools, &[Reader]),
    sessions: &Sessions,
    views: &PageViewCache,
    now_ms: i64,
) {
    let since = now_ms - sessions::TIMEOUT_MS;
    let stored = db
        .query(include_str!("background/live_sessions.sql"))
        .param("since", since)
        .fetch_all::<LiveSession>()
        .await;
    match stored {
        Ok(live) => live.iter().for_each(|s| sessions.note(s.site, s.visitor, s.session, s.last)),
        Err(error) => tracing::warn!(%error, "visits of the last half hour cannot be read; some begin anew"),
    }
    let viewed = db
        .query(include_str!("background/live_views.sql"))
        .param("since", since)
        .param("most", page_view_cache::VIEWS_MAX)
        .fetch_all::<LiveView>()
        .await;
    match viewed {
        Ok(live) => live.iter().for_each(|v| views.remember(v.site, v.view, &v.hostname, &v.path)),
        Err(error) => {
            tracing::warn!(%error, "page views of the last half hour cannot be read; some have no page")
        }
    }
    // Hits that browsers may send again: a visitor's own are stored with their numbers, anonymous ones are not.
    let sent = db
        .query(include_str!("background/live_keys.sql"))
        .param("since", since)
        .param("most", KEYS_MIN)
        .fetch_all::<LiveKey>()
        .await;
    match sent {
        Ok(keys) => spools.remember(
            keys.iter().map(|k| Key { site: k.site, view: k.view, seq: k.seq }).collect::<Vec<_>>(),
        ),
        Err(error) => {
            tracing::warn!(%error, "hits of the last half hour cannot be read; some may be counted twice");
        }
    }
    for (spool, reader) in spools.all().zip(readers) {
        remember_spooled((spool, reader), sessions, views, now_ms);
    }
}

fn remember_spooled(
    (spool, reader): (&Spool, &Reader),
    sessions: &Sessions,
    views: &PageViewCache,
    now_ms: i64,
) {
    let since = now_ms - sessions::TIMEOUT_MS;
    let (mut keys, mut first_ms) = (Vec::new(), None);
    let spooled = reader.for_each_waiting(|mut record| {
        let Some(event) = Event::decode(&mut record) else { return };
        if event.view.is_some() {
            keys.push(Key { site: event.site, view: event.view, seq: event.seq });
            first_ms.get_or_insert(event.time.0);
        }
        if event.session.is_some() && event.time > Millis(since) {
            sessions.note(event.site, event.visitor, event.session, event.time.0);
            if event.kind == Kind::Pageview {
                views.remember(event.site, event.view, &event.hostname, &event.path);
            }
        }
    });
    if let Err(error) = spooled {
        tracing::warn!(%error, "visits in the spool cannot be read; some begin anew");
    }
    let aside = reader.for_each_set_aside(|batch| {
        let mut rows = batch.rows.as_ref();
        while let Some(event) = Event::decode(&mut rows).filter(|_| batch.columns == COLUMNS) {
            if event.view.is_some() {
                keys.push(Key { site: event.site, view: event.view, seq: event.seq });
            }
        }
    });
    if let Err(error) = aside {
        tracing::warn!(%error, "batches that were set aside cannot be read; a hit in them may be counted twice");
    }
    spool.remember(keys);
    if let Some(waits_ms) = first_ms.and_then(|first| u64::try_from(now_ms - first).ok()) {
        spool.waits_since(Duration::from_millis(waits_ms));
    }
}

/// Where GeoIP files may lie: the configured directory, or the first of `candidates` that exists.
pub fn geoip_directory(configured: Option<PathBuf>, candidates: &[PathBuf]) -> Option<PathBuf> {
    configured.or_else(|| candidates.iter().find(|dir| dir.is_dir()).cloned())
}
