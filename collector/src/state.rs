//! The running state: everything that requests, jobs, the other collectors and the private listener share.
//!
//! There is one constructor, [`State::open`]. Each part of the program gets the whole state or a view of it
//! ([`State::collector`], [`State::local`], [`State::shippers`]). It promises that the parts exist and fit together; it
//! does not know what runs.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use sotto_geoip::GeoIp;
use sotto_schema::{clock::Clock, event::COLUMNS};
use sotto_store::{backup, db::Databases};
use tokio::sync::Notify;

use crate::{
    config::{
        Config, Paths,
        sites::{lookups::Lookups, rules::RuleBook, self_exclusion::Excluder, tokens::TokenBook},
    },
    http::script::{MissingScript, Scripts},
    ingest::{Collector, early::EarlyHits, unmapped_consent::Unmapped},
    metrics::Metrics,
    peers::{LocalState, Peers},
    pipeline::device::Classifier,
    ship::Shipper,
    spool::{
        self, Reader,
        sharded::{self, ShardedSpool},
    },
    supervise::Board,
    visitor::{
        imports::Imports,
        objections::Objections,
        page_view_cache::PageViewCache,
        salts::{
            self, Salts,
            holder::{self, Holder, Place},
        },
        sessions::Sessions,
    },
};

pub mod unacknowledged;

use unacknowledged::Unacknowledged;

/// What all parts of the program share.
pub struct State {
    /// How Sotto is configured.
    pub config: Config,
    /// Where events are stored and read.
    pub databases: Databases,
    /// Tells the time.
    pub clock: Clock,
    /// Where hits become durable.
    pub spools: ShardedSpool,
    /// Rules of all sites.
    pub rules: Arc<RuleBook>,
    /// Told when the rules may have changed.
    pub rules_changed: Arc<Notify>,
    /// Looks up sites that are not known yet.
    pub lookups: Arc<Lookups>,
    /// Tokens in force.
    pub tokens: Arc<TokenBook>,
    /// Salts of the day.
    pub salts: Arc<Salts>,
    /// Visitors who objected today.
    pub objections: Arc<Objections>,
    /// Salts and visits of imports of old hits.
    pub imports: Arc<Imports>,
    /// Visits of the last half hour.
    pub sessions: Arc<Sessions>,
    /// Pages of recent page views.
    pub views: Arc<PageViewCache>,
    /// Places and networks.
    pub geo: Arc<GeoIp>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Which parts of the program run.
    pub board: Arc<Board>,
    /// Categories of consent managers that nobody has mapped.
    pub unmapped: Arc<Unmapped>,
    /// What was sent to ClickHouse and not acknowledged.
    pub unacknowledged: Unacknowledged,
    /// The script and its modules.
    pub scripts: Arc<Scripts>,
    /// Checks links that exclude own visits.
    pub excluder: Excluder,
}

/// Which state outlives the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Salts are held and objections kept on a RAM-backed directory until their day is over, and a copy of the rules
    /// beside the data.
    Day,
    /// Rules, salts and objections are in memory only: for hits of the past, which a demo sends.
    Process,
}

/// Why the state cannot be made; the start stops.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A shard was removed from the configuration while hits for it wait.
    #[error(
        "hits wait in {} for a shard that clickhouse.shards does not list any more; restore the list", .0.display()
    )]
    ShardIsGone(PathBuf),
    /// The spool cannot be opened.
    #[error(transparent)]
    Spool(#[from] spool::OpenError),
    /// A file of the data directory or the RAM-backed one cannot be read or made.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The program was built without the script.
    #[error(transparent)]
    Script(#[from] MissingScript),
}

impl State {
    /// Opens what `config` and `paths` name. The readers are those of the spools, in order.
    ///
    /// # Errors
    /// See [`StateError`]. Missing GeoIP files or a missing RAM-backed directory are logged and degrade the
    /// service.
    pub fn open(
        config: Config,
        paths: &Paths,
        databases: Databases,
        clock: Clock,
        lifetime: Lifetime,
    ) -> Result<(Arc<Self>, Vec<Reader>), StateError> {
        let (spools, readers) = open_spools(&config)?;
        let (copy, ram, salts) = match lifetime {
            Lifetime::Day => {
                let ram = ram_directory(&config.data, &paths.ram)?;
                let salts = open_salts(&config, paths, ram.as_deref())?;
                (Some(config.data.join("sites.json")), ram, salts)
            }
            Lifetime::Process => (None, None, Salts::in_memory()),
        };
        let rules_changed = Arc::<Notify>::default();
        let state = Self {
            databases,
            clock,
            spools,
            rules: Arc::new(copy.map_or_else(RuleBook::default, RuleBook::open)),
            lookups: Arc::new(Lookups::new(rules_changed.clone())?),
            rules_changed,
            tokens: Arc::default(),
            salts: Arc::new(salts),
            objections: Arc::new(Objections::open(ram.as_deref())?),
            imports: Arc::default(),
            sessions: Arc::new(Sessions::new(config.sessions.visitors_max)),
            views: Arc::default(),
            geo: Arc::new(open_geoip(&config, paths)),
            metrics: Arc::default(),
            board: Arc::default(),
            unmapped: Arc::default(),
            unacknowledged: Unacknowledged::default(),
            scripts: Arc::new(Scripts::embedded()?),
            excluder: open_excluder(&config)?,
            config,
        };
        Ok((Arc::new(state), readers))
    }

    /// What answers hits.
    pub fn collector(&self, peers: Option<Arc<Peers>>) -> Collector {
        Collector {
            spools: self.spools.clone(),
            rules: self.rules.clone(),
            tokens: self.tokens.clone(),
            salts: self.salts.clone(),
            imports: self.imports.clone(),
            sessions: self.sessions.clone(),
            views: self.views.clone(),
            geo: self.geo.clone(),
            classifier: Classifier::default(),
            metrics: self.metrics.clone(),
            unmapped: self.unmapped.clone(),
            clock: self.clock.clone(),
            trusted_proxies: self.config.server.trusted_proxies.clone(),
            scripts: self.scripts.clone(),
            excluder: self.excluder.clone(),
            objections: self.objections.clone(),
            lookups: self.lookups.clone(),
            early_hits: EarlyHits::default(),
            peers,
        }
    }

    /// What is shared with the other collectors.
    pub fn local(&self) -> LocalState {
        LocalState {
            salts: self.salts.clone(),
            sessions: self.sessions.clone(),
            views: self.views.clone(),
            objections: self.objections.clone(),
            rules: self.rules.clone(),
            metrics: self.metrics.clone(),
            clock: self.clock.clone(),
        }
    }

    /// What ships the hits of each spool to its shard.
    pub fn shippers(&self, readers: Vec<Reader>) -> Vec<Shipper> {
        let (interval, rows_max) =
            (self.config.ship.interval.unsigned_abs(), self.config.ship.batch_rows_max);
        let shipper = |(reader, db)| Shipper::new(reader, db, interval, rows_max, self.metrics.clone());
        readers.into_iter().zip(self.databases.writer.shards()).map(shipper).collect()
    }

    /// Where backups lie.
    pub fn backups(&self) -> PathBuf {
        self.config.data.join(backup::DIRECTORY)
    }

    /// The attribution text and URL that the GeoIP data's licence requires.
    pub fn geo_attribution(&self) -> Option<String> {
        geo_attribution(&self.geo)
    }
}

/// Opens the spools, one for each shard of ClickHouse.
///
/// # Errors
/// When one cannot be opened, or hits wait for a shard that is no more.
pub fn open_spools(config: &Config) -> Result<(ShardedSpool, Vec<Reader>), StateError> {
    let shards = config.shard_count();
    for dir in sharded::left_over(&config.data, shards) {
        if spool::inspect(&dir)?.iter().any(|segment| segment.waiting > 0) {
            return Err(StateError::ShardIsGone(dir));
        }
    }
    let settings = spool::Settings {
        dir: config.data.clone(),
        segment_bytes: config.spool.segment_size.as_u64(),
        bytes_max: config.spool.size_max.as_u64(),
        columns: COLUMNS.into(),
    };
    Ok(sharded::open(&config.data, shards, &settings)?)
}

/// Opens the GeoIP files; problems are logged and degrade the service.
pub fn open_geoip(config: &Config, paths: &Paths) -> GeoIp {
    let dir = config.geoip_directory(paths);
    if dir.is_none() {
        tracing::warn!("no GeoIP files: hits are stored without a place. `make setup` fetches them");
    }
    let (geo, errors) = GeoIp::open(dir.into_iter().collect());
    for error in errors {
        tracing::warn!(%error, "a GeoIP file cannot be used");
    }
    geo
}

/// The attribution text and URL that the data's licence requires.
pub fn geo_attribution(geo: &GeoIp) -> Option<String> {
    geo.load().attributions().first().map(|a| a.text.to_owned())
}

/// Opens the key that signs links which exclude own visits.
///
/// # Errors
/// When its file cannot be read or made.
pub fn open_excluder(config: &Config) -> io::Result<Excluder> {
    Excluder::open(&config.data.join("exclude-key"))
}

/// Takes over the salts of an earlier run of today, and says who holds them from now on.
fn open_salts(config: &Config, paths: &Paths, ram: Option<&Path>) -> Result<Salts, StateError> {
    if let Some(ram) = ram {
        salts::remove_old_file(ram)?;
    }
    let salts = Salts::open(Holder::open(config.salts.held_by, &salts_place(config, paths)?)?);
    let (held_by, alive) = (salts.means().name(), salts.count());
    match salts.means() {
        holder::Means::Keyring | holder::Means::Keeper => {
            tracing::info!(held_by, alive, "salts outlive a restart and die on time without Sotto");
        }
        holder::Means::Memory => {
            tracing::warn!(held_by, "nobody holds salts; a restart gives today's visitors new keys");
        }
    }
    Ok(salts)
}

/// Where the salts of this installation are held.
///
/// # Errors
/// When there is no data directory.
pub fn salts_place(config: &Config, paths: &Paths) -> io::Result<Place> {
    let data = fs::canonicalize(&config.data)?;
    let sockets = salts::ram_directory(&data, &paths.ram).unwrap_or_else(|| data.clone());
    Ok(Place {
        installation: holder::installation(&data)?,
        sockets: Some(sockets),
        program: paths.program.clone(),
    })
}

fn ram_directory(data: &Path, candidates: &[PathBuf]) -> io::Result<Option<PathBuf>> {
    let ram = salts::ram_directory(&fs::canonicalize(data)?, candidates);
    match &ram {
        Some(ram) => fs::create_dir_all(ram)?,
        None => tracing::warn!("no RAM-backed directory; a restart forgets today's objections"),
    }
    Ok(ram)
}
