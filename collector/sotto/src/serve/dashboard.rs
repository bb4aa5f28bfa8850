//! The dashboard: beside the collector's routes, or alone on a machine of its own.

use std::{fs, sync::Arc};

use http_body_util::BodyExt;
use sotto_collector::{
    config::{Config, Paths},
    http::{
        script::Scripts,
        stack::{self, Body, HttpService},
    },
    state,
    supervise::{Backoff, Board, Part, Supervisor},
};
use sotto_store::{account::AccountKey, db::Databases};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{
    Front, admin,
    apart::apart,
    database::watch_cluster,
    listeners::{self, Listeners},
    rounds, routes, set_up,
    signals::StopSignals,
    tls,
};
use crate::{account_key, databases, failure::Failure};

/// What the dashboard needs from the other parts.
pub struct DashboardParts {
    /// Where reports are read and settings stored.
    pub databases: Databases,
    /// The URL at which browsers reach Sotto.
    pub public_url: String,
    /// Notified when sites change.
    pub sites_changed: Arc<Notify>,
    /// Token of the one-time set-up link.
    pub setup_token: Option<String>,
    /// What secrets of accounts are sealed with.
    pub account_key: Option<AccountKey>,
    /// Whether mail is sent.
    pub sends_mail: bool,
    /// The script that browsers can fetch.
    pub scripts: Arc<Scripts>,
    /// Attribution text and link that the licence of the GeoIP data requires.
    pub geo_attribution: Option<String>,
    /// Cancelled when the program stops, so that answers without an end do.
    pub stopping: CancellationToken,
}

/// Builds the dashboard; only main knows how.
pub type MakeDashboard<'a> = &'a dyn Fn(DashboardParts) -> HttpService;

/// An axum router as a service next to the collector's routes, answered on threads of its own.
pub fn from_router(router: axum::Router) -> HttpService {
    let service = router
        .map_request(|request: http::Request<hyper::body::Incoming>| request.map(axum::body::Body::new))
        .map_response(|response: axum::response::Response| {
            response.map(|body| Body::Streamed(body.map_err(Into::into).boxed_unsync()))
        });
    apart(stack::boxed(service))
}

/// Serves the dashboard alone, on an external server.
pub async fn run(config: Config, paths: Paths, front: Front<'_>) -> Result<(), Failure> {
    let cluster = databases::external(&config).ok_or_else(|| {
        Failure::usage(
            "clickhouse.url or clickhouse.shards must be set: the dashboard alone needs a server that the collector also uses",
        )
    })?;
    let (config, listeners) = Listeners::bind(config)?;
    let databases = cluster.databases();
    fs::create_dir_all(&config.data)?;
    if !cluster.prepare().await?.away.is_empty() {
        tracing::warn!("a ClickHouse server is away; reports of the sites it holds fail until it is back");
    }
    let board = Arc::new(Board::default());
    let supervisor = Supervisor::new(board.clone(), Backoff::default());
    watch_cluster(&cluster, &supervisor);
    let setup_token = set_up::token(&config, &databases).await?;
    let parts = DashboardParts {
        databases: databases.clone(),
        public_url: config.public_url(),
        sites_changed: Arc::default(),
        setup_token: setup_token.clone(),
        account_key: account_key::open(&config),
        sends_mail: config.mail.server.is_some(),
        scripts: Arc::new(Scripts::embedded()?),
        // The same GeoIP files as on the collectors' machines, so that the licence's attribution is shown
        // here, too.
        geo_attribution: state::geo_attribution(&state::open_geoip(&config, &paths)),
        stopping: supervisor.stopping().clone(),
    };
    let dashboard = routes::without_address((front.dashboard)(parts), config.server.trusted_proxies.clone())?;
    let service = stack::around(dashboard, (&config.server).into(), Arc::default());
    let tls = tls::open(&config, Arc::default())?;
    let terms = tls::terms(&config, tls.as_ref());
    listeners::keep_serving(Part::Dashboard, listeners.public, service, terms, &supervisor);
    if let Some(tls) = &tls {
        tls::start(&config, tls, listeners.redirect, Arc::default(), &supervisor)?;
    }
    rounds::start((front.rounds)(&config, &databases)?, &Arc::default(), &supervisor);
    let health = admin::dashboard_health(databases.writer, board, tls);
    listeners::keep_serving(Part::Admin, listeners.admin, health, (&config.server).into(), &supervisor);
    let signals = StopSignals::listen()?;
    set_up::announce(&config, "dashboard", setup_token.as_deref());
    signals.come().await;
    supervisor.stop();
    supervisor.ended().await;
    Ok(())
}
