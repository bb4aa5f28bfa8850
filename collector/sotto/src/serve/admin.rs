//! The private listener: health and metrics, for supervisors and Prometheus. Loopback by default.
//!
//! | path | answer |
//! |---|---|
//! | `/healthz` | 200 while the process runs |
//! | `/readyz` | 200 while hits can be kept, with what is degraded; 503 otherwise |
//! | `/metrics` | OpenMetrics or Prometheus text format; `docs/grafana.json`, `docs/alerts.yml` |
//! | `POST /kill/PART` | debug builds only, for tests: makes a task of the part panic |

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{HeaderValue, StatusCode, header};
use hyper::{Request, body::Incoming};
use serde::Serialize;
use sotto_collector::{
    http::{
        stack::{self, HttpService, Response},
        tls::Tls,
    },
    metrics::{self, Gauge},
    peers::Peers,
    spool::Damage,
    state::State,
    supervise::{Board, Part},
};
use sotto_schema::clock::now_ms;
use sotto_store::db::Db;

/// Serves health and metrics.
pub struct Admin {
    /// The state it reports on.
    pub state: Arc<State>,
    /// The other collectors, if there are any.
    pub peers: Option<Arc<Peers>>,
    /// HTTPS, if `listen` speaks it.
    pub tls: Option<Tls>,
}

/// Timeout of the ClickHouse ping.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Content types of the two text formats.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Health report. `ready` is about keeping hits: ClickHouse or GeoIP may be down without losing any.
#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    spool: &'static str,
    damage: String,
    set_aside: String,
    clickhouse: &'static str,
    deduplication: String,
    geoip: &'static str,
    tasks: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    peers: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificates: Option<String>,
}

/// The same for a dashboard without a collector: `/healthz`, and `/readyz`, which is 200 while ClickHouse answers.
pub fn dashboard_health(db: Db, board: Arc<Board>, tls: Option<Tls>) -> HttpService {
    stack::boxed(tower::service_fn(move |request: Request<Incoming>| {
        let (db, board, tls) = (db.clone(), board.clone(), tls.clone());
        async move {
            let answer = match request.uri().path() {
                "/healthz" => stack::text(StatusCode::OK, "ok\n"),
                "/readyz" if !answers(&db).await => {
                    stack::text(StatusCode::SERVICE_UNAVAILABLE, "ClickHouse is away\n")
                }
                "/readyz" => stack::text(StatusCode::OK, degraded(&board, tls.as_ref())),
                _ => other(&request, &board),
            };
            Ok::<_, Infallible>(answer)
        }
    }))
}

/// What is degraded of a dashboard alone, in words.
fn degraded(board: &Board, tls: Option<&Tls>) -> String {
    let down: Vec<Part> = board.down().collect();
    let tasks = (!down.is_empty()).then(|| format!("tasks: {}\n", tasks(&down)));
    let certificates = tls.map(certificates).filter(|told| told != "ok");
    let certificates = certificates.map(|told| format!("certificates: {told}\n"));
    if tasks.is_none() && certificates.is_none() {
        return "ok\n".into();
    }
    tasks.into_iter().chain(certificates).collect()
}

/// What is wrong with certificates, in words.
fn certificates(tls: &Tls) -> String {
    let faults = tls.certificates.faults(now_ms() / 1000);
    if faults.is_empty() { "ok".into() } else { faults.join("; ") }
}

/// Whether ClickHouse answers in time.
async fn answers(db: &Db) -> bool {
    matches!(tokio::time::timeout(PING_TIMEOUT, db.ping()).await, Ok(Ok(())))
}

/// Which tasks are down, in words.
fn tasks(down: &[Part]) -> String {
    let down: Vec<&str> = down.iter().map(|part| part.name()).collect();
    if down.is_empty() { "ok".into() } else { format!("{} down; see the log", down.join(", ")) }
}

/// Kills a task from inside, for tests of supervision.
#[cfg(debug_assertions)]
fn other<B>(request: &Request<B>, board: &Board) -> Response {
    match request.uri().path().strip_prefix("/kill/").and_then(Part::from_name) {
        Some(part) if request.method() == http::Method::POST => {
            board.kill(part);
            stack::empty(StatusCode::NO_CONTENT)
        }
        _ => stack::empty(StatusCode::NOT_FOUND),
    }
}

#[cfg(not(debug_assertions))]
fn other<B>(_: &Request<B>, _: &Board) -> Response {
    stack::empty(StatusCode::NOT_FOUND)
}

impl Admin {
    /// The listener's service.
    pub fn service(self) -> HttpService {
        let admin = Arc::new(self);
        stack::boxed(tower::service_fn(move |request: Request<Incoming>| {
            let admin = admin.clone();
            async move { Ok::<_, Infallible>(admin.answer(&request).await) }
        }))
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response {
        match request.uri().path() {
            "/healthz" => stack::text(StatusCode::OK, "ok\n"),
            "/readyz" => self.readiness().await,
            "/metrics" => {
                let text = metrics::render(&self.state.metrics, &self.state.board, self.gauges());
                let accepted = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
                let open = accepted.is_some_and(|types| types.contains("application/openmetrics-text"));
                if open {
                    of_type(stack::text(StatusCode::OK, text), OPEN_METRICS)
                } else {
                    of_type(stack::text(StatusCode::OK, metrics::for_prometheus(&text)), PROMETHEUS)
                }
            }
            _ => other(request, &self.state.board),
        }
    }

    async fn readiness(&self) -> Response {
        let failing = self.state.spools.is_failing();
        if failing {
            self.state.spools.probe();
        }
        let aside = self.state.spools.set_aside();
        // Read once: what is said of hits and what is said of tasks are of one moment.
        let down: Vec<Part> = self.state.board.down().collect();
        let readiness = Readiness {
            ready: !failing && !down.iter().any(|part| part.keeps_hits()),
            spool: if failing { "full or cannot be written" } else { "ok" },
            damage: match self.state.spools.damage() {
                Damage { places: 0, .. } => "none".into(),
                Damage { places, records } => format!(
                    "the spool could not be read in {places} places; {records} hits are lost; see the log, and check the disk"
                ),
            },
            set_aside: match aside.batches {
                0 => "nothing".into(),
                batches => format!(
                    "{batches} batches with {} hits; `sotto spool inspect` shows why, `sotto spool replay` ships them",
                    aside.records
                ),
            },
            clickhouse: match answers(&self.state.databases.writer).await {
                true => "ok",
                false => "away; hits wait in the spool",
            },
            deduplication: match self.state.metrics.deduplication_flaws.load().as_deref() {
                None => "not checked yet".into(),
                Some(flaws) if flaws.is_empty() => "ok".into(),
                Some(flaws) => flaws.join("; "),
            },
            peers: self.peers.as_ref().map(|peers| match peers.is_partitioned() {
                true => "apart; visitors may count twice",
                false => "ok",
            }),
            certificates: self.tls.as_ref().map(certificates),
            geoip: if self.state.geo.load().status().is_empty() {
                "missing; hits have no place"
            } else {
                "ok"
            },
            tasks: tasks(&down),
        };
        let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let text = serde_json::to_string(&readiness).unwrap_or_default();
        of_type(stack::text(status, text), "application/json")
    }

    fn gauges(&self) -> Vec<Gauge> {
        let gauge = |name, help, value: f64| Gauge { name, help, value };
        let (aside, damage) = (self.state.spools.set_aside(), self.state.spools.damage());
        let deduplicates = self.state.metrics.deduplication_flaws.load().as_deref().is_none_or(Vec::is_empty);
        let (others, connected) = self.peers.as_ref().map_or((0, 0), |peers| peers.count());
        let mut gauges = vec![
            gauge("sotto_spool_bytes", "Bytes of all segments.", self.state.spools.disk_bytes() as f64),
            gauge(
                "sotto_spool_bytes_max",
                "Bytes at which hits are answered 503.",
                self.state.spools.bytes_max() as f64,
            ),
            gauge(
                "sotto_spool_waiting_hits",
                "Hits that are on disk and not in ClickHouse.",
                self.state.spools.waiting() as f64,
            ),
            gauge(
                "sotto_spool_oldest_hit_seconds",
                "How long the oldest of them has waited.",
                self.state.spools.oldest().unwrap_or_default().as_secs_f64(),
            ),
            gauge(
                "sotto_spool_failing",
                "1 while hits cannot be made durable.",
                f64::from(u8::from(self.state.spools.is_failing())),
            ),
            gauge(
                "sotto_set_aside_batches",
                "Batches that ClickHouse refuses for what is in them.",
                aside.batches as f64,
            ),
            gauge(
                "sotto_spool_damaged_places",
                "Places in the spool that could not be read, since the start.",
                damage.places as f64,
            ),
            gauge("sotto_spool_lost_hits", "Hits that were there.", damage.records as f64),
            gauge("sotto_set_aside_hits", "Hits in those batches.", aside.records as f64),
            gauge(
                "sotto_deduplication_works",
                "0 when ClickHouse may count a repeated batch twice.",
                f64::from(u8::from(deduplicates)),
            ),
            gauge(
                "sotto_tasks_down",
                "Tasks and threads that ended and do not run again yet.",
                self.state.board.down_count() as f64,
            ),
            gauge("sotto_sites", "Sites that are set up.", self.state.rules.count() as f64),
            gauge("sotto_import_salts", "Salts of imports of old hits.", self.state.imports.count() as f64),
            gauge("sotto_salts", "Salts that are alive.", self.state.salts.count() as f64),
            gauge(
                "sotto_salt_age_seconds",
                "How long ago the day of the oldest living salt began.",
                self.salt_age_ms() as f64 / 1000.0,
            ),
            gauge("sotto_sessions", "Visitors of the last half hour.", self.state.sessions.count() as f64),
            gauge("sotto_peers", "Other collectors of this installation.", others as f64),
            gauge("sotto_peers_connected", "Other collectors that are connected.", connected as f64),
            gauge("sotto_geoip_files", "GeoIP files in use.", self.state.geo.load().status().len() as f64),
            gauge(
                "sotto_geoip_age_seconds",
                "How long ago the oldest GeoIP file in use was made.",
                self.geoip_age_s() as f64,
            ),
        ];
        gauges.extend(self.certificate_gauges());
        gauges
    }

    fn certificate_gauges(&self) -> [Gauge; 2] {
        let now_s = self.state.clock.now_ms() / 1000;
        let certificates = self.tls.as_ref().map(|tls| &tls.certificates);
        let faults = certificates.map_or(0, |own| own.faults(now_s).len());
        let expires = certificates.and_then(|own| own.expire_in_s(now_s)).unwrap_or_default();
        [
            Gauge {
                name: "sotto_certificate_faults",
                help: "What is wrong with certificates.",
                value: faults as f64,
            },
            Gauge {
                name: "sotto_certificate_expires_seconds",
                help: "Seconds until the first certificate expires; 0 without any.",
                value: expires as f64,
            },
        ]
    }

    fn salt_age_ms(&self) -> i64 {
        let begins = |(site, day)| Some(self.state.rules.by_id(site)?.day_end_ms(day) - DAY_MS);
        self.state
            .salts
            .keys()
            .into_iter()
            .filter_map(begins)
            .min()
            .map_or(0, |first| self.state.clock.now_ms() - first)
    }

    fn geoip_age_s(&self) -> i64 {
        let made = self.state.geo.load().status().iter().map(|file| file.build_epoch).min();
        made.and_then(|made| i64::try_from(made).ok())
            .map_or(0, |made| self.state.clock.now_ms() / 1000 - made)
    }
}

fn of_type(mut response: Response, content_type: &'static str) -> Response {
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use sotto_collector::{config, http::server};
    use sotto_store::db::Access;
    use tokio_util::sync::CancellationToken;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// `cargo test --release` proves the other half.
    #[test]
    fn tasks_can_be_killed_in_debug_builds_only() {
        let status = |method: &str, path: &str| {
            let request = Request::builder().method(method).uri(path).body(()).unwrap();
            other(&request, &Board::default()).status().as_u16()
        };
        assert_eq!(status("POST", "/kill/rules"), if cfg!(debug_assertions) { 204 } else { 404 });
        for (method, path) in [("GET", "/kill/rules"), ("POST", "/kill/nothing"), ("POST", "/other")] {
            assert_eq!(status(method, path), 404, "{method} {path}");
        }
    }

    #[tokio::test]
    async fn dashboard_is_not_ready_while_clickhouse_hangs() {
        // Accepts connections and never answers.
        let hanging = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let db = Db::new(Access {
            url: format!("http://{}", hanging.local_addr().unwrap()),
            database: "sotto".into(),
            user: "default".into(),
            password: String::new(),
        });
        let listener = server::listen_alone(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(server::serve(
            tokio::net::TcpListener::from_std(listener).unwrap(),
            dashboard_health(db, Arc::default(), None),
            (&config::Server::default()).into(),
            stop.clone(),
        ));
        let answer = tokio::task::spawn_blocking(move || {
            let mut stream = std::net::TcpStream::connect(address)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).map(|_| answer)
        });
        let answer = answer.await.unwrap().expect("an answer within the patience");
        assert!(answer.starts_with("HTTP/1.1 503") && answer.ends_with("ClickHouse is away\n"), "{answer}");
        stop.cancel();
    }
}
