//! `sotto serve` and `collect`: puts the parts together, runs them, and takes them down in order.

use std::{io::Write as _, os::unix::fs::OpenOptionsExt, sync::Arc, thread::JoinHandle, time::Duration};

use sotto_collector::{
    background::{self, rules, upkeep},
    config::{Config, Paths},
    http::{
        server,
        stack::{self, Answer, HttpService},
    },
    peers::{self, Peers},
    rights::Rights,
    routes::{Routes, admin::Admin},
    spool,
    state::{Lifetime, State},
    visitor::recovery,
};
use sotto_schema::clock::Clock;
use sotto_store::engine::Embedded;
use tokio_util::sync::CancellationToken;

use crate::cli::{self, Failure, account_key};

pub mod dashboard;
mod database;
mod listeners;
mod set_up;
mod signals;

use dashboard::{DashboardParts, MakeDashboard};
use listeners::{Listeners, taken};
use signals::StopSignals;

/// How long shipping may go on after a stop; what is left waits on disk for the next start.
const SHIP_TIMEOUT: Duration = Duration::from_secs(5);

/// Everything that runs, for taking it down in order.
struct Running {
    state: Arc<State>,
    stop_workers: CancellationToken,
    stop_rest: CancellationToken,
    workers: Vec<JoinHandle<std::io::Result<()>>>,
    admin: tokio::task::JoinHandle<()>,
    jobs: tokio::task::JoinHandle<()>,
    shippers: Vec<tokio::task::JoinHandle<spool::Reader>>,
    peers: Option<Arc<Peers>>,
}

/// Serves until told to stop.
pub async fn run(config: Config, paths: Paths, dashboard: Option<MakeDashboard<'_>>) -> Result<(), Failure> {
    protect_memory()?;
    let _lock = cli::lock(&config)?;
    let (config, listeners) = Listeners::bind(config)?;
    let (databases, engine) = database::start(&config, &paths).await?;
    let stop = StopSignals::listen()?;
    let (state, readers) = State::open(config, &paths, databases, Clock::System, Lifetime::Day)?;
    let running = start(state, readers, listeners, dashboard).await?;
    stop.come().await;
    running.stop(engine).await;
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

/// Takes over what an earlier run left, then starts one part after the other; the public listener answers when all that
/// a hit needs is there.
async fn start(
    state: Arc<State>,
    readers: Vec<spool::Reader>,
    listeners: Listeners,
    dashboard: Option<MakeDashboard<'_>>,
) -> Result<Running, Failure> {
    recovery::recover(&state, &readers).await;
    rules::read(&state).await;
    upkeep::retire_salts(&state, state.clock.now_ms());
    let (stop_workers, stop_rest) = (CancellationToken::new(), CancellationToken::new());
    let peers = meet_peers(&state, &stop_rest).await?;
    let setup_token = match dashboard {
        Some(_) => set_up::token(&state.config, &state.databases).await?,
        None => None,
    };
    let fallback = fallback(&state, dashboard, setup_token.clone());
    let service = public_service(&state, peers.clone(), fallback)?;
    let limits: server::Limits = (&state.config.server).into();
    let workers = start_workers(&state.config, listeners.public, &service, &stop_workers)?;
    let admin = server::serve(
        tokio::net::TcpListener::from_std(listeners.admin)?,
        Admin { state: state.clone(), peers: peers.clone() }.service(),
        limits,
        stop_rest.clone(),
    );
    let shippers = state.shippers(readers).into_iter();
    let shippers = shippers.map(|shipper| tokio::spawn(shipper.run(stop_rest.clone()))).collect();
    let admin = tokio::spawn(admin);
    let jobs = tokio::spawn(background::run(state.clone(), stop_rest.clone()));
    let part = if dashboard.is_some() { "dashboard" } else { "collector" };
    set_up::announce(&state.config, part, setup_token.as_deref());
    Ok(Running { state, stop_workers, stop_rest, workers, admin, jobs, shippers, peers })
}

/// What answers requests that are not the collector's.
fn fallback(state: &State, dashboard: Option<MakeDashboard<'_>>, setup_token: Option<String>) -> HttpService {
    let Some(dashboard) = dashboard else {
        return stack::boxed(tower::service_fn(async |_| Ok(stack::empty(http::StatusCode::NOT_FOUND))));
    };
    dashboard(DashboardParts {
        databases: state.databases.clone(),
        public_url: state.config.public_url(),
        sites_changed: state.rules_changed.clone(),
        setup_token,
        account_key: account_key::open(&state.config),
        scripts: state.scripts.clone(),
        geo_attribution: state.geo_attribution(),
    })
}

/// What the public listener answers with.
fn public_service(
    state: &State,
    peers: Option<Arc<Peers>>,
    fallback: HttpService,
) -> Result<impl Answer + use<>, Failure> {
    let collector = Arc::new(state.collector(peers));
    let rights = Rights::new(collector.clone(), state.databases.writer.clone())?;
    let routes = Routes::new(collector, rights, fallback);
    Ok(stack::around(routes, (&state.config.server).into(), state.metrics.clone()))
}

/// Begins to talk to the other collectors, if there are any, and waits a moment until they are there.
async fn meet_peers(state: &State, stop: &CancellationToken) -> Result<Option<Arc<Peers>>, Failure> {
    let config = &state.config.peers;
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
    let peers = Peers::new(settings, state.local());
    peers.start(listener, stop)?;
    if !peers.meet(peers::MEET_PATIENCE).await {
        tracing::warn!("not all other collectors are there; until they are, visitors may count twice");
    }
    Ok(Some(peers))
}

/// Starts one worker per core.
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
        let (service, limits, stop) = (service.clone(), (&config.server).into(), stop.clone());
        let worker = std::thread::Builder::new()
            .name(format!("worker-{n}"))
            .spawn(move || server::run_worker(listener, service, limits, stop))?;
        workers.push(worker);
    }
    Ok(workers)
}

impl Running {
    /// Takes everything down: no new hits, then the spool is shipped, then the rest.
    async fn stop(self, engine: Option<Embedded>) {
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
        if let Err(error) = self.state.spools.forget_shipped().await {
            tracing::warn!(%error, "shipped hits cannot be removed from the spool; the next start does it");
        }
        let waiting = self.state.spools.waiting();
        if waiting > 0 {
            tracing::info!(waiting, "hits wait in the spool for the next start");
        }
        if let Some(engine) = engine {
            engine.stop().await;
        }
    }
}

/// Writes a file that only its owner can read.
pub fn write_private(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    let mut file =
        std::fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
