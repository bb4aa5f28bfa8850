//! `sotto serve` and `collect`: assembles the parts, runs them, and shuts them down in order.

use std::{sync::Arc, time::Duration};

use sotto_collector::{
    background::{self, recovery, rules, upkeep},
    config::{Config, Paths},
    http::{
        server,
        stack::{self, Answer, HttpService},
        tls::Tls,
    },
    peers::{self, Peers},
    rights::Rights,
    ship::Shipper,
    spool,
    state::{Lifetime, State},
    supervise::{Backoff, Part, Supervisor, board::PartEnded, own_processor},
};
use sotto_schema::clock::Clock;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{account_key, databases, failure::Failure};

mod admin;
mod apart;
pub mod dashboard;
mod database;
mod listeners;
pub mod rounds;
mod routes;
mod set_up;
mod signals;
mod tls;

use admin::Admin;
use dashboard::{DashboardParts, MakeDashboard};
use database::Database;
use listeners::{Listeners, taken};
use rounds::{MakeRounds, Sender};
use routes::Routes;
use signals::StopSignals;

/// How long shipping may continue after a stop; what is left waits on disk for the next start.
const SHIP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the remaining parts may take to end; most have ended while the spool was shipped.
const REST_TIMEOUT: Duration = Duration::from_secs(5);

/// What only main knows how to make.
#[derive(Clone, Copy)]
pub struct Front<'a> {
    /// The dashboard.
    pub dashboard: MakeDashboard<'a>,
    /// What sends mail and webhooks.
    pub rounds: MakeRounds<'a>,
}

/// Everything that runs, for an orderly shutdown.
struct Running {
    state: Arc<State>,
    database: Database,
    /// Threads of the public listener.
    workers: Supervisor,
    jobs: Supervisor,
    /// What ends after the workers.
    rest: Supervisor,
    shippers: Vec<JoinHandle<Option<spool::Reader>>>,
    peers: Option<Arc<Peers>>,
}

/// Serves until told to stop, or until a part that cannot be restarted has ended.
pub async fn run(config: Config, paths: Paths, front: Option<Front<'_>>) -> Result<(), Failure> {
    protect_memory()?;
    let _lock = databases::lock(&config)?;
    let (config, listeners) = Listeners::bind(config)?;
    let database = database::start(&config, &paths).await?;
    let stop = StopSignals::listen()?;
    let (state, readers) = State::open(config, &paths, database.databases(), Clock::System, Lifetime::Day)?;
    let board = state.board.clone();
    let senders = match front {
        Some(front) => (front.rounds)(&state.config, &state.databases)?,
        None => Vec::new(),
    };
    let dashboard = front.map(|front| front.dashboard);
    let running = start(state, readers, database, listeners, (dashboard, senders)).await?;
    let ended = tokio::select! {
        () = stop.come() => Ok(()),
        part = board.failed() => Err(PartEnded(part).into()),
    };
    running.stop().await;
    ended
}

/// Protects this process's memory, which holds salts and addresses, from core dumps and from other processes
/// of the same user. The embedded server inherits the ban on core dumps.
fn protect_memory() -> Result<(), Failure> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(())
}

/// Takes over what an earlier run left, then starts one part after the other; the public listener answers
/// once everything that a hit needs is running.
async fn start(
    state: Arc<State>,
    readers: Vec<spool::Reader>,
    database: Database,
    listeners: Listeners,
    (dashboard, senders): (Option<MakeDashboard<'_>>, Vec<Sender>),
) -> Result<Running, Failure> {
    recovery::recover(&state, &readers).await;
    rules::read(&state).await;
    upkeep::retire_salts(&state, state.clock.now_ms());
    let [workers, jobs, rest] = [(); 3].map(|()| Supervisor::new(state.board.clone(), Backoff::default()));
    database.watch(&state.board, &rest);
    let peers = meet_peers(&state, &rest).await?;
    let tls = tls::open(&state.config, state.metrics.clone())?;
    let setup_token = match dashboard {
        Some(_) => set_up::token(&state.config, &state.databases).await?,
        None => None,
    };
    let fallback = fallback(&state, dashboard, setup_token.clone(), workers.stopping().clone());
    let service = public_service(&state, peers.clone(), fallback)?;
    start_workers(&state, listeners.public, &service, tls.as_ref(), &workers)?;
    if let Some(tls) = &tls {
        tls::start(&state.config, tls, listeners.redirect, state.metrics.clone(), &workers)?;
    }
    let admin = Admin { state: state.clone(), peers: peers.clone(), tls }.service();
    listeners::keep_serving(Part::Admin, listeners.admin, admin, (&state.config.server).into(), &rest);
    let shippers = start_shippers(&state, readers, &rest);
    background::start(&state, &jobs);
    rounds::start(senders, &state.metrics, &jobs);
    let part = if dashboard.is_some() { "dashboard" } else { "collector" };
    set_up::announce(&state.config, part, setup_token.as_deref());
    Ok(Running { state, database, workers, jobs, rest, shippers, peers })
}

/// Handles requests that are not the collector's.
fn fallback(
    state: &State,
    dashboard: Option<MakeDashboard<'_>>,
    setup_token: Option<String>,
    stopping: CancellationToken,
) -> HttpService {
    let Some(dashboard) = dashboard else {
        return stack::boxed(tower::service_fn(async |_| Ok(stack::empty(http::StatusCode::NOT_FOUND))));
    };
    dashboard(DashboardParts {
        databases: state.databases.clone(),
        public_url: state.config.public_url(),
        sites_changed: state.rules_changed.clone(),
        setup_token,
        account_key: account_key::open(&state.config),
        sends_mail: state.config.mail.server.is_some(),
        scripts: state.scripts.clone(),
        geo_attribution: state.geo_attribution(),
        stopping,
    })
}

/// The service of the public listener.
fn public_service(
    state: &State,
    peers: Option<Arc<Peers>>,
    fallback: HttpService,
) -> Result<impl Answer + use<>, Failure> {
    let collector = Arc::new(state.collector(peers));
    let rights = Rights::new(collector.clone(), state.databases.writer.clone())?;
    let routes = Routes::new(collector, rights, fallback)?;
    Ok(stack::around(routes, (&state.config.server).into(), state.metrics.clone()))
}

/// Connects to the other collectors, if there are any, and briefly waits for them.
async fn meet_peers(state: &State, supervisor: &Supervisor) -> Result<Option<Arc<Peers>>, Failure> {
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
    peers.start(listener, supervisor);
    if !peers.meet(peers::MEET_PATIENCE).await {
        tracing::warn!("not all other collectors are connected; until they are, visitors may count twice");
    }
    Ok(Some(peers))
}

/// Starts one worker per core.
fn start_workers(
    state: &State,
    listener: std::net::TcpListener,
    service: &impl Answer,
    tls: Option<&Tls>,
    supervisor: &Supervisor,
) -> Result<(), Failure> {
    let config = &state.config;
    let count = config.server.workers.or_else(|| std::thread::available_parallelism().ok().map(usize::from));
    let listeners = server::share(listener, count.unwrap_or(1));
    let listeners = listeners.map_err(|e| taken("listen", config.listen, &e))?;
    let count = listeners.len();
    for (n, listener) in listeners.into_iter().enumerate() {
        let (service, terms) = (service.clone(), tls::terms(config, tls));
        let (stop, board) = (supervisor.stopping().clone(), state.board.clone());
        supervisor.thread(Part::Worker, format!("worker-{n}"), move || {
            let killed = board.killed(Part::Worker);
            own_processor(n, count);
            server::run_worker(listener.try_clone()?, service.clone(), terms.clone(), stop.clone(), killed)
        })?;
    }
    Ok(())
}

/// Starts a shipper per spool, and notices when a spool cannot be written any more.
fn start_shippers(
    state: &State,
    readers: Vec<spool::Reader>,
    supervisor: &Supervisor,
) -> Vec<JoinHandle<Option<spool::Reader>>> {
    let stop = supervisor.stopping();
    let (spools, stopped) = (state.spools.clone(), stop.clone());
    drop(supervisor.need(Part::Spool, async move {
        tokio::select! {
            () = spools.ended() => {}
            () = stopped.cancelled() => {}
        }
    }));
    let ship = |shipper: Shipper| supervisor.need(Part::Shipper, shipper.run(stop.clone()));
    state.shippers(readers).into_iter().map(ship).collect()
}

impl Running {
    /// Shuts everything down: first no new hits, then the spool is shipped, then the rest.
    async fn stop(self) {
        tracing::info!("stopping");
        self.workers.stop();
        self.workers.ended().await;
        self.state.imports.end_all();
        self.jobs.stop();
        self.rest.stop();
        let until = tokio::time::Instant::now() + SHIP_TIMEOUT;
        for mut shipper in self.shippers {
            if tokio::time::timeout_at(until, &mut shipper).await.is_err() {
                // The batch in flight is sealed: the next start ships it with the same token.
                shipper.abort();
            }
        }
        if !self.jobs.ended_within(background::LAST_STORE_TIMEOUT).await {
            tracing::warn!("ClickHouse does not answer; the last counts are not stored");
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
        self.database.stop().await;
        if !self.rest.ended_within(REST_TIMEOUT).await {
            tracing::warn!("a task did not stop in time and was aborted");
        }
    }
}
