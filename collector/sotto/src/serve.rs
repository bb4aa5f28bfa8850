//! `sotto serve`, `collect` and `dashboard`: puts the parts together, runs them, and takes them down in order.

use std::{
    fs, io::Write as _, os::unix::fs::OpenOptionsExt, path::PathBuf, sync::Arc, thread::JoinHandle,
    time::Duration,
};

use http_body_util::BodyExt;
use sotto_collector::{
    background::{self, Jobs},
    config::Config,
    http::{
        script::Scripts,
        server,
        stack::{self, Answer, Body, HttpService},
    },
    ingest::{Collector, unmapped_consent::Unmapped},
    metrics::Metrics,
    peers::{self, Peers},
    pipeline::device::Classifier,
    rights::Rights,
    routes::{
        self, Routes,
        admin::{self, Admin},
    },
    ship::Shipper,
    sites::{rules::RuleBook, self_exclusion::Excluder, tokens::TokenBook},
    spool::{
        self,
        sharded::{self, Spools},
    },
    visitor::{
        objections::Objections,
        page_view_cache::PageViewCache,
        salts::{self, Salts},
        sessions::Sessions,
    },
};
use sotto_geoip::GeoIp;
use sotto_schema::{clock::Clock, event::COLUMNS};
use sotto_store::{
    account::AccountKey,
    backup,
    cluster::Cluster,
    db::Databases,
    engine::Embedded,
    migrate::{self, MigrateError},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::cli::{self, Failure, Places, account_key};

/// How long to wait before an external server that was away is asked again.
const MIGRATE_PAUSE: Duration = Duration::from_secs(2);
/// How long shipping may go on after a stop; what is left waits on disk for the next start.
const SHIP_TIMEOUT: Duration = Duration::from_secs(5);
/// File of the one-time set-up link's token.
const SETUP_TOKEN: &str = "setup-token";

/// What the dashboard needs from the rest.
pub struct DashboardParts {
    /// Where reports are read and settings stored.
    pub databases: Databases,
    /// How browsers reach Sotto.
    pub public_url: String,
    /// To be told when sites change.
    pub sites_changed: Arc<Notify>,
    /// Token of the one-time set-up link.
    pub setup_token: Option<String>,
    /// What secrets of accounts are sealed with.
    pub account_key: Option<AccountKey>,
    /// The script that browsers can fetch.
    pub scripts: Arc<Scripts>,
    /// Sentence and address that the GeoIP data's licence asks for.
    pub geo_attribution: Option<String>,
}

/// Makes the dashboard; main knows how.
pub type MakeDashboard<'a> = &'a dyn Fn(DashboardParts) -> HttpService;

/// A router of axum as a service that can stand beside the collector's routes.
pub fn from_router(router: axum::Router) -> HttpService {
    let service = router
        .map_request(|request: http::Request<hyper::body::Incoming>| request.map(axum::body::Body::new))
        .map_response(|response: axum::response::Response| {
            response.map(|body| Body::Streamed(body.map_err(Into::into).boxed_unsync()))
        });
    stack::boxed(service)
}

/// Everything that runs, for taking it down in order.
struct Running {
    stop_workers: CancellationToken,
    stop_rest: CancellationToken,
    workers: Vec<JoinHandle<std::io::Result<()>>>,
    admin: tokio::task::JoinHandle<()>,
    jobs: tokio::task::JoinHandle<()>,
    shippers: Vec<tokio::task::JoinHandle<spool::Reader>>,
    spools: Spools,
    peers: Option<Arc<Peers>>,
    engine: Option<Embedded>,
}

/// Serves until told to stop.
pub async fn run(
    config: Config,
    places: Places,
    dashboard: Option<MakeDashboard<'_>>,
) -> Result<(), Failure> {
    protect_memory()?;
    let _lock = cli::lock(&config)?;
    // Before anything slow: an address that is taken should be said at once.
    let listener = server::listen_alone(config.listen).map_err(|e| taken("listen", config.listen, &e))?;
    let admin = server::listen_alone(config.admin_listen)
        .map_err(|e| taken("admin_listen", config.admin_listen, &e))?;
    let config = Config { listen: listener.local_addr()?, admin_listen: admin.local_addr()?, ..config };
    let (databases, engine) = start_database(&config, &places).await?;
    let stop = StopSignals::listen()?;
    let running = start(&config, &places, databases, engine, listener, admin, dashboard).await?;
    stop.come().await;
    running.stop().await;
    Ok(())
}

/// Serves the dashboard alone, on an external server.
pub async fn run_dashboard(
    config: Config,
    places: Places,
    dashboard: MakeDashboard<'_>,
) -> Result<(), Failure> {
    let cluster = cli::external(&config).ok_or_else(|| {
        Failure::usage(
            "clickhouse.url or clickhouse.shards must be set: the dashboard alone needs a server that the collector also uses",
        )
    })?;
    let listener = server::listen_alone(config.listen).map_err(|e| taken("listen", config.listen, &e))?;
    let admin = server::listen_alone(config.admin_listen)
        .map_err(|e| taken("admin_listen", config.admin_listen, &e))?;
    let config = Config { listen: listener.local_addr()?, admin_listen: admin.local_addr()?, ..config };
    let databases = cluster.databases();
    fs::create_dir_all(&config.data)?;
    if !cluster.prepare().await?.away.is_empty() {
        tracing::warn!("a ClickHouse server is away; reports of the sites it holds fail until it is back");
    }
    tokio::spawn(async move { cluster.watch().await });
    let setup_token = setup_token(&config, &databases).await?;
    let parts = DashboardParts {
        databases: databases.clone(),
        public_url: config.public_url(),
        sites_changed: Arc::default(),
        setup_token: setup_token.clone(),
        account_key: account_key::open(&config),
        scripts: Arc::new(Scripts::embedded()?),
        // The collectors' files: the same on every machine, so that the licence's sentence is shown here, too.
        geo_attribution: open_geoip(&config, &places)
            .load()
            .attributions()
            .first()
            .map(|a| a.text.to_owned()),
    };
    let dashboard = routes::without_address(dashboard(parts), config.server.trusted_proxies.clone())?;
    let service = stack::around(dashboard, stack_limits(&config), Arc::default());
    let stop = CancellationToken::new();
    let serving = tokio::spawn(server::serve(
        tokio::net::TcpListener::from_std(listener)?,
        service,
        server_limits(&config),
        stop.clone(),
    ));
    let health = tokio::spawn(server::serve(
        tokio::net::TcpListener::from_std(admin)?,
        admin::dashboard_health(databases.writer),
        server_limits(&config),
        stop.clone(),
    ));
    let signals = StopSignals::listen()?;
    announce(&config, "dashboard", setup_token.as_deref());
    signals.come().await;
    stop.cancel();
    serving.await?;
    health.await?;
    Ok(())
}

/// Keeps this process's memory, in which salts and addresses are, from core dumps and from other processes of the same
/// user. The embedded server inherits that it dumps no core.
fn protect_memory() -> Result<(), Failure> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(())
}

fn taken(key: &str, address: impl std::fmt::Display, error: &std::io::Error) -> Failure {
    Failure::usage(format!(
        "{key} = {address}: {error}; stop what listens there, or choose another in sotto.toml"
    ))
}

/// Reaches or starts ClickHouse and brings its tables to this version's shape.
async fn start_database(config: &Config, places: &Places) -> Result<(Databases, Option<Embedded>), Failure> {
    if let Some(cluster) = cli::external(config) {
        let databases = cluster.databases();
        match cluster.prepare().await {
            Ok(prepared) if prepared.away.is_empty() => {}
            Ok(prepared) => {
                tracing::warn!(away = ?prepared.away, "ClickHouse is away in part; hits for it wait in the spool");
                tokio::spawn(prepare_later(cluster.clone()));
            }
            Err(MigrateError::Database(error)) => {
                tracing::warn!(%error, "ClickHouse is away; hits wait in the spool until it is back");
                tokio::spawn(prepare_later(cluster.clone()));
            }
            Err(error) => return Err(error.into()),
        }
        tokio::spawn(async move { cluster.watch().await });
        return Ok((databases, None));
    }
    let engine = Embedded::start(cli::engine_settings(config, places)?).await?;
    let databases = engine.databases();
    if let Err(error) = migrate::migrate(&databases.writer).await {
        engine.stop().await;
        return Err(error.into());
    }
    Ok((databases, Some(engine)))
}

async fn prepare_later(cluster: Cluster) {
    loop {
        match cluster.prepare().await {
            Ok(prepared) if prepared.away.is_empty() => break,
            Ok(prepared) => tracing::debug!(away = ?prepared.away, "ClickHouse is still away in part"),
            Err(MigrateError::Database(error)) => tracing::debug!(%error, "ClickHouse is still away"),
            Err(error) => tracing::error!(%error, "the tables are not migrated; trying again"),
        }
        tokio::time::sleep(MIGRATE_PAUSE).await;
    }
    tracing::info!("ClickHouse is there");
}

/// Opens the key that signs links which exclude own visits.
pub fn open_excluder(config: &Config) -> std::io::Result<Excluder> {
    Excluder::open(&config.data.join("exclude-key"))
}

/// How many shards ClickHouse has.
pub fn shard_count(config: &Config) -> usize {
    config.clickhouse.shards.len().max(1)
}

/// Opens the spools, one for each shard of ClickHouse.
pub fn open_spools(config: &Config) -> Result<(Spools, Vec<spool::Reader>), Failure> {
    let shards = shard_count(config);
    for dir in sharded::left_over(&config.data, shards) {
        if spool::inspect(&dir)?.iter().any(|segment| segment.waiting > 0) {
            return Err(Failure::usage(format!(
                "hits wait in {} for a shard that clickhouse.shards does not list any more; restore the list",
                dir.display()
            )));
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

/// Opens the GeoIP files; what is wrong is said and degrades.
pub fn open_geoip(config: &Config, places: &Places) -> GeoIp {
    let sources = match background::geoip_directory(config.geoip.dir.clone(), &places.geoip) {
        Some(dir) => vec![dir],
        None => {
            tracing::warn!("no GeoIP files; hits have no place. `make setup` fetches them");
            Vec::new()
        }
    };
    let (geo, errors) = GeoIp::open(sources);
    for error in errors {
        tracing::warn!(%error, "a GeoIP file cannot be used");
    }
    geo
}

fn server_limits(config: &Config) -> server::Limits {
    server::Limits {
        connections_max: config.server.connections_max,
        header_timeout: config.server.header_timeout.unsigned_abs(),
        drain_timeout: config.server.drain_timeout.unsigned_abs(),
    }
}

fn stack_limits(config: &Config) -> stack::Limits {
    stack::Limits {
        requests_max: config.server.requests_max,
        request_timeout: config.server.request_timeout.unsigned_abs(),
    }
}

#[allow(clippy::too_many_lines)] // One part after the other; taking it apart would hide the order.
async fn start(
    config: &Config,
    places: &Places,
    databases: Databases,
    engine: Option<Embedded>,
    listener: std::net::TcpListener,
    admin: std::net::TcpListener,
    dashboard: Option<MakeDashboard<'_>>,
) -> Result<Running, Failure> {
    let clock = Clock::System;
    let metrics = Arc::new(Metrics::default());
    let unmapped = Arc::new(Unmapped::default());
    let (spools, readers) = open_spools(config)?;
    let ram = salts::ram_directory(&fs::canonicalize(&config.data)?, &places.ram);
    if ram.is_none() {
        tracing::warn!("no RAM-backed directory; a restart gives today's visitors new keys");
    }
    let salts = Arc::new(Salts::open(ram.as_deref())?);
    let objections = Arc::new(Objections::open(ram.as_deref())?);
    let sessions = Arc::new(Sessions::new(config.sessions.visitors_max));
    let views = Arc::new(PageViewCache::default());
    background::remember_visits(&databases.reader, (&spools, &readers), &sessions, &views, clock.now_ms())
        .await;
    let geo = Arc::new(open_geoip(config, places));
    let rules = Arc::new(RuleBook::open(config.data.join("sites.json")));
    let tokens = Arc::new(TokenBook::default());
    let rules_changed = Arc::new(Notify::new());
    let (stop_workers, stop_rest) = (CancellationToken::new(), CancellationToken::new());
    let jobs = Jobs {
        db: databases.writer.clone(),
        rules: rules.clone(),
        rules_changed: rules_changed.clone(),
        tokens: tokens.clone(),
        salts: salts.clone(),
        objections: objections.clone(),
        sessions: sessions.clone(),
        geo: geo.clone(),
        metrics: metrics.clone(),
        unmapped: unmapped.clone(),
        clock: clock.clone(),
        backups: config.data.join(backup::DIRECTORY),
        spools: spools.clone(),
        seal_interval: config.archive.interval.unsigned_abs(),
        collector: config.peers.name.clone(),
    };
    jobs.read_rules().await;
    jobs.retire_salts(clock.now_ms());
    let here = peers::Here {
        salts: salts.clone(),
        sessions: sessions.clone(),
        views: views.clone(),
        objections: objections.clone(),
        rules: rules.clone(),
        metrics: metrics.clone(),
        clock: clock.clone(),
    };
    let peers = meet_peers(&config.peers, here, &stop_rest).await?;
    let scripts = Arc::new(Scripts::embedded()?);
    let setup_token = match dashboard {
        Some(_) => setup_token(config, &databases).await?,
        None => None,
    };
    let fallback = match dashboard {
        Some(dashboard) => dashboard(DashboardParts {
            databases: databases.clone(),
            public_url: config.public_url(),
            sites_changed: rules_changed.clone(),
            setup_token: setup_token.clone(),
            account_key: account_key::open(config),
            scripts: scripts.clone(),
            geo_attribution: geo.load().attributions().first().map(|a| a.text.to_owned()),
        }),
        None => stack::boxed(tower::service_fn(async |_| Ok(stack::empty(http::StatusCode::NOT_FOUND)))),
    };
    let collector = Arc::new(Collector {
        spools: spools.clone(),
        rules: rules.clone(),
        tokens: tokens.clone(),
        salts: salts.clone(),
        sessions: sessions.clone(),
        views,
        geo: geo.clone(),
        classifier: Classifier::default(),
        metrics: metrics.clone(),
        unmapped,
        clock,
        trusted_proxies: config.server.trusted_proxies.clone(),
        excluder: open_excluder(config)?,
        objections,
        scripts,
        unknown_site: rules_changed,
        peers: peers.clone(),
    });
    let rights = Rights::new(collector.clone(), databases.writer.clone())?;
    let service =
        stack::around(Routes::new(collector, rights, fallback)?, stack_limits(config), metrics.clone());
    let workers = start_workers(config, listener, &service, &stop_workers)?;
    let admin_service = Admin {
        db: databases.writer.clone(),
        spools: spools.clone(),
        metrics: metrics.clone(),
        rules,
        salts,
        sessions,
        geo,
        clock: Clock::System,
        peers: peers.clone(),
    }
    .service();
    let ship = |(reader, db)| {
        let (interval, rows_max) = (config.ship.interval.unsigned_abs(), config.ship.batch_rows_max);
        let metrics = metrics.clone();
        let shipper = Shipper { reader, db, interval, rows_max, metrics, refusals: 0, behind: false };
        tokio::spawn(shipper.run(stop_rest.clone()))
    };
    let shippers = readers.into_iter().zip(databases.writer.shards()).map(ship).collect();
    let running = Running {
        admin: tokio::spawn(server::serve(
            tokio::net::TcpListener::from_std(admin)?,
            admin_service,
            server_limits(config),
            stop_rest.clone(),
        )),
        jobs: tokio::spawn(jobs.run(stop_rest.clone())),
        shippers,
        spools,
        stop_workers,
        stop_rest,
        workers,
        peers,
        engine,
    };
    announce(config, if dashboard.is_some() { "dashboard" } else { "collector" }, setup_token.as_deref());
    Ok(running)
}

/// Begins to talk to the other collectors, if there are any, and waits a moment until they are there.
async fn meet_peers(
    config: &sotto_collector::config::Peers,
    here: peers::Here,
    stop: &CancellationToken,
) -> Result<Option<Arc<Peers>>, Failure> {
    let (Some(listen), Some(key_file)) = (config.listen, &config.key_file) else { return Ok(None) };
    if config.others.is_empty() {
        return Ok(None);
    }
    let settings = peers::Settings {
        name: config.name.clone(),
        others: config.others.clone().into_iter().collect(),
        key: peers::read_key(key_file).map_err(|e| Failure::usage(format!("peers.key_file = {e}")))?,
    };
    let listener = server::listen_alone(listen).map_err(|e| taken("peers.listen", listen, &e))?;
    let peers = Peers::new(settings, here);
    peers.start(listener, stop)?;
    if !peers.meet(peers::MEET_PATIENCE).await {
        tracing::warn!("not all other collectors are there; until they are, visitors may count twice");
    }
    Ok(Some(peers))
}

/// Starts one worker per core. The first takes the listener that reserved the port.
fn start_workers(
    config: &Config,
    listener: std::net::TcpListener,
    service: &impl Answer,
    stop: &CancellationToken,
) -> Result<Vec<JoinHandle<std::io::Result<()>>>, Failure> {
    // The reservation kept others from the port while everything was put together; the workers share it.
    drop(listener);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut workers = Vec::new();
    for n in 0..config.server.workers.unwrap_or(cores) {
        let listener = server::listen(config.listen).map_err(|e| taken("listen", config.listen, &e))?;
        let (service, limits, stop) = (service.clone(), server_limits(config), stop.clone());
        let worker = std::thread::Builder::new()
            .name(format!("worker-{n}"))
            .spawn(move || server::run_worker(listener, service, limits, stop))?;
        workers.push(worker);
    }
    Ok(workers)
}

impl Running {
    /// Takes everything down: no new hits, then the spool is shipped, then the rest.
    async fn stop(self) {
        tracing::info!("stopping");
        self.stop_workers.cancel();
        let joined = tokio::task::spawn_blocking(move || {
            self.workers.into_iter().map(JoinHandle::join).filter(|r| !matches!(r, Ok(Ok(())))).count()
        });
        match joined.await {
            Ok(0) => {}
            failed => tracing::error!(?failed, "workers ended with an error"),
        }
        self.stop_rest.cancel();
        let until = tokio::time::Instant::now() + SHIP_TIMEOUT;
        let mut parts = Vec::new();
        for mut shipper in self.shippers {
            let shipped = tokio::time::timeout_at(until, &mut shipper).await;
            if shipped.is_err() {
                // The batch under way is sealed: the next start ships it under the same token.
                shipper.abort();
            }
            parts.push(("shipper", shipped.map_or(Ok(()), |ended| ended.map(drop))));
        }
        parts.push(("jobs", self.jobs.await));
        parts.push(("admin", self.admin.await));
        for (part, ended) in parts {
            if let Err(error) = ended {
                tracing::error!(%error, part, "ended with an error");
            }
        }
        if let Some(peers) = self.peers {
            peers.ended().await;
        }
        if let Err(error) = self.spools.forget_shipped().await {
            tracing::warn!(%error, "shipped hits cannot be removed from the spool; the next start does it");
        }
        let waiting = self.spools.waiting();
        if waiting > 0 {
            tracing::info!(waiting, "hits wait in the spool for the next start");
        }
        if let Some(engine) = self.engine {
            engine.stop().await;
        }
    }
}

/// What asks for a stop. Listened for before anybody is told that Sotto runs: who is told may stop it at once.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Resolves when one came.
    async fn come(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The token of the one-time set-up link; none once an owner exists. Kept, so that a restart prints the same link.
async fn setup_token(config: &Config, databases: &Databases) -> Result<Option<String>, Failure> {
    let path = config.data.join(SETUP_TOKEN);
    match sotto_store::account::owner_exists(&databases.writer).await {
        Ok(true) => {
            if path.exists() {
                fs::remove_file(&path)?;
            }
            return Ok(None);
        }
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(%error, "cannot ask whether an owner exists; no set-up link is given");
            return Ok(None);
        }
    }
    if let Ok(token) = fs::read_to_string(&path)
        && token.len() == 32
    {
        return Ok(Some(token));
    }
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|e| Failure::usage(e.to_string()))?;
    let token: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    write_private(&path, &token)?;
    Ok(Some(token))
}

/// Writes a file that only its owner can read.
pub fn write_private(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// Says where Sotto is and what to do first.
fn announce(config: &Config, part: &str, setup_token: Option<&str>) {
    let url = config.public_url();
    println!("Sotto is running.\n  {part}  {url}/");
    if let Some(token) = setup_token {
        println!("  set up     {url}/setup/{token}   (one-time link: make your account and first site)");
    }
    println!("  health     http://{}/readyz", config.admin_listen);
    println!("  data       {}", absolute(&config.data).display());
}

fn absolute(path: &std::path::Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
