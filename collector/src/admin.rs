//! The private listener: health and metrics, for supervisors and Prometheus. Loopback by default.
//!
//! | path | answer |
//! |---|---|
//! | `/healthz` | 200 while the process runs |
//! | `/readyz` | 200 while hits can be kept, with what is degraded; 503 otherwise |
//! | `/metrics` | Prometheus text format |

use std::{convert::Infallible, sync::Arc};

use http::StatusCode;
use hyper::{Request, body::Incoming};
use serde::Serialize;
use sotto_geoip::GeoIp;
use sotto_schema::db::Db;

use crate::{
    metrics::{self, Gauge, Metrics},
    peers::Peers,
    rules::RuleBook,
    salts::Salts,
    sessions::Sessions,
    spools::Spools,
    stack::{self, HttpService, Response},
};

/// What is asked when somebody asks how Sotto is.
pub struct Admin {
    /// Where events are stored.
    pub db: Db,
    /// Where hits become durable.
    pub spools: Spools,
    /// How many records the shipper has taken; the rest waits.
    pub metrics: Arc<Metrics>,
    /// Rules of all sites.
    pub rules: Arc<RuleBook>,
    /// Salts of the day.
    pub salts: Arc<Salts>,
    /// Visits of the last half hour.
    pub sessions: Arc<Sessions>,
    /// Places and networks.
    pub geo: Arc<GeoIp>,
    /// The other collectors, if there are any.
    pub peers: Option<Arc<Peers>>,
}

/// How Sotto is. `ready` is about keeping hits: ClickHouse or GeoIP may be away without losing any.
#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    spool: &'static str,
    clickhouse: &'static str,
    geoip: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    peers: Option<&'static str>,
}

/// The same for a dashboard without a collector: `/healthz`, and `/readyz`, which is 200 while ClickHouse answers.
pub fn dashboard_health(db: Db) -> HttpService {
    stack::boxed(tower::service_fn(move |request: Request<Incoming>| {
        let db = db.clone();
        async move {
            let answer = match request.uri().path() {
                "/healthz" => stack::text(StatusCode::OK, "ok\n"),
                "/readyz" if db.ping().await.is_ok() => stack::text(StatusCode::OK, "ok\n"),
                "/readyz" => stack::text(StatusCode::SERVICE_UNAVAILABLE, "ClickHouse is away\n"),
                _ => stack::empty(StatusCode::NOT_FOUND),
            };
            Ok::<_, Infallible>(answer)
        }
    }))
}

impl Admin {
    /// The listener's service.
    pub fn service(self) -> HttpService {
        let admin = Arc::new(self);
        stack::boxed(tower::service_fn(move |request: Request<Incoming>| {
            let admin = admin.clone();
            async move { Ok::<_, Infallible>(admin.answer(request.uri().path()).await) }
        }))
    }

    async fn answer(&self, path: &str) -> Response {
        match path {
            "/healthz" => stack::text(StatusCode::OK, "ok\n"),
            "/readyz" => self.readiness().await,
            "/metrics" => stack::text(StatusCode::OK, metrics::render(&self.metrics, &self.gauges())),
            _ => stack::empty(StatusCode::NOT_FOUND),
        }
    }

    async fn readiness(&self) -> Response {
        let failing = self.spools.is_failing();
        let readiness = Readiness {
            ready: !failing,
            spool: if failing { "cannot be written" } else { "ok" },
            clickhouse: if self.db.ping().await.is_ok() { "ok" } else { "away; hits wait in the spool" },
            peers: self.peers.as_ref().map(|peers| match peers.are_apart() {
                true => "apart; visitors may count twice",
                false => "ok",
            }),
            geoip: if self.geo.load().status().is_empty() { "missing; hits have no place" } else { "ok" },
        };
        let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let text = serde_json::to_string(&readiness).unwrap_or_default();
        let mut response = stack::text(status, text);
        response
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        response
    }

    fn gauges(&self) -> Vec<Gauge> {
        let gauge = |name, help, value: usize| Gauge { name, help, value: value as f64 };
        let (others, connected) = self.peers.as_ref().map_or((0, 0), |peers| peers.count());
        vec![
            gauge(
                "sotto_spool_bytes",
                "Bytes of all segments of the spool.",
                self.spools.disk_bytes() as usize,
            ),
            gauge(
                "sotto_spool_records",
                "Records ever made durable in this spool.",
                self.spools.durable() as usize,
            ),
            gauge("sotto_sites", "Sites that are set up.", self.rules.count()),
            gauge("sotto_salts", "Salts that are alive.", self.salts.count()),
            gauge("sotto_sessions", "Visitors of the last half hour.", self.sessions.count()),
            gauge("sotto_peers", "Other collectors of this installation.", others),
            gauge("sotto_peers_connected", "Other collectors that are connected.", connected),
            gauge("sotto_geoip_files", "GeoIP files in use.", self.geo.load().status().len()),
        ]
    }
}
