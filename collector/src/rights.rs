//! The visitor's own page and its API: what is held about this browser, taking it along, erasing it, objecting.
//!
//! | path | answer |
//! |---|---|
//! | `GET /privacy?s=<site>&l=<language>` | the page, with what lies under today's key |
//! | `POST /privacy` | the page, also with what lies under the browser's number and receipt |
//! | `POST /privacy/data` | the same as a file (JSON) |
//! | `POST /privacy/erase` | erases, waits until it is gone, and gives a receipt; a form gets the page, JSON gets JSON |
//! | `POST /privacy/object` | the rest of the day is counted as refused |
//! | `GET /.well-known/gpc.json` | that Global Privacy Control is honoured |
//!
//! **Who is asking**: see [`sotto_store::rights`]. The browser's number and receipt come in bodies, never in addresses,
//! so that no log holds them.
//!
//! **Threats.** No third-party page may learn whether its visitor was on a site: there is no CORS here except
//! for erasing by number, and nothing is looked up for a background request from another site's page. Nobody
//! else can make a browser erase or object under its key of the day: those changes must come from this page.
//! Whoever shows the number needs no such proof: it is a secret that only the browser has. Requests are
//! throttled per address block, one erasure runs at a time, a few wait, all others are told to retry later.
//!
//! It knows the visitor only by what the request brings, and nothing of accounts or reports.
//!
//! **Proof**: tests in `rights/tests.rs`; `tests/suite/rights.rs`; `tests/browser/rights.test.js`.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, Limited};
use hyper::{Request, body::Incoming};
use sotto_schema::{
    claims::Language,
    day::Day,
    id::{ReturningId, UserId},
    origin::is_from_own_page,
    throttle::{ClientBlock, Limit, Throttle},
};
use sotto_store::{
    audit::{self, Action},
    db::Db,
    rights::{self, DayKey, Held, RightsError, Shown},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    config::sites::rules::Rules,
    http::stack::{self, Response},
    ingest::Collector,
    pipeline::{hit::Headers, parse},
    visitor::{
        client_ip::{self, BlockKey, ClientIp, Peer},
        key::visitor_key,
        salts::{Salt, Term},
    },
};

mod page;
#[cfg(test)]
mod tests;

use page::Message;

/// Maximum form or request body in bytes.
pub const BODY_BYTES_MAX: usize = 4 * 1024;
/// The longest number of a receipt.
pub const RECEIPT_CHARS_MAX: usize = 64;
/// Rate limit of look-ups per address block.
pub const LOOKS: Limit = limit(60, Duration::from_secs(5 * 60));
/// Rate limit of changes per address block: each erasure rewrites parts of the table.
pub const CHANGES: Limit = limit(10, Duration::from_secs(10 * 60));
/// Maximum number of address blocks remembered.
const BLOCKS_MAX: usize = 20_000;
/// Erasures that may wait for the one that runs.
pub const ERASURES_MAX: usize = 16;
/// How many events the page shows.
const PAGE_ROWS: u64 = 100;
/// How long hits may take into the database before an erasure is postponed.
const SPOOL_PATIENCE: Duration = Duration::from_secs(10);
/// How long a visitor waits for an erasure before the page says that it continues.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long an erasure waits for old files of ClickHouse to go before its record says that they are there.
const GONE_PATIENCE: Duration = Duration::from_secs(10 * 60);
/// Timeout for the list below an objection's answer; the answer does not depend on it.
const LIST_PATIENCE: Duration = Duration::from_secs(5);
/// When support of Global Privacy Control was last changed (W3C GPC, "GPC support representation").
const GPC_JSON: &str = "{\"gpc\":true,\"lastUpdate\":\"2026-11-22\"}\n";

const fn limit(most: u32, window: Duration) -> Limit {
    Limit { most: NonZeroU32::new(most).expect("not zero"), window, keys_max: BLOCKS_MAX }
}

/// No third-party content, nothing inline, no framing.
const SECURITY: [(HeaderName, &str); 8] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Not `no-referrer`: with it browsers send `Origin: null` even for our own forms.
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=(), browsing-topics=()",
    ),
];

/// Answers visitors who exercise their rights.
pub struct Rights {
    collector: Arc<Collector>,
    db: Db,
    looks: Throttle<ClientBlock>,
    changes: Throttle<ClientBlock>,
    block_key: BlockKey,
    erasing: Arc<Semaphore>,
    /// Slots for running and waiting erasures.
    places: Arc<Semaphore>,
}

/// Whether this part answers the path.
pub fn is_own(path: &str) -> bool {
    path == "/privacy"
        || path == "/privacy.css"
        || path == "/privacy.js"
        || path.starts_with("/privacy/")
        || path == "/.well-known/gpc.json"
}

/// What was asked, bounded and checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Asked {
    /// Key or host of the site, as given.
    site: String,
    language: Option<Language>,
    /// The browser's number, if it can be one.
    id: String,
    /// The receipt's, if it can be one.
    receipt: String,
    what: What,
    /// Asked in JSON, answered in JSON.
    json: bool,
}

/// What to erase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum What {
    #[default]
    Id,
    Today,
}

impl Asked {
    fn set(&mut self, name: &str, value: &str) {
        let value = value.trim();
        match name {
            "s" if value.len() <= 253 => site_name(value).clone_into(&mut self.site),
            "l" => self.language = Language::of_tag(value),
            "y" if parse::returning_id(value).is_some() => value.clone_into(&mut self.id),
            "r" if is_receipt(value) => value.clone_into(&mut self.receipt),
            "what" if value == "today" => self.what = What::Today,
            _ => {}
        }
    }

    /// Parses a query or form. The number and the receipt are taken from a form only: URLs end up in logs.
    fn form(text: &[u8], body: bool) -> Self {
        let mut asked = Self::default();
        for (name, value) in form_urlencoded::parse(text) {
            if body || matches!(name.as_ref(), "s" | "l") {
                asked.set(&name, &value);
            }
        }
        asked
    }

    fn json(text: &[u8]) -> Option<Self> {
        let fields: std::collections::BTreeMap<String, String> = serde_json::from_slice(text).ok()?;
        let mut asked = Self { json: true, ..Self::default() };
        fields.iter().for_each(|(name, value)| asked.set(name, value));
        Some(asked)
    }
}

/// Reduces what people type for a website to its key or host.
fn site_name(typed: &str) -> &str {
    let rest = typed.split_once("://").map_or(typed, |(_, rest)| rest);
    rest.split(['/', '?', '#', ':']).next().unwrap_or_default()
}

fn is_receipt(text: &str) -> bool {
    (1..=RECEIPT_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Whether another site's page asks in the background. The visitor did not ask, so nothing is looked up.
fn asked_in_background(headers: &HeaderMap) -> bool {
    let is =
        |name: &'static str, value: &str| headers.get(name).is_some_and(|v| v.as_bytes() == value.as_bytes());
    let says = headers.contains_key("sec-fetch-site");
    let own = is("sec-fetch-site", "same-origin") || is("sec-fetch-site", "none");
    says && !own && !(is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document"))
}

/// Everything an answer needs to know about the request.
struct Context {
    asked: Asked,
    language: Language,
    rules: Option<Arc<Rules>>,
    shown: Shown,
    objected: bool,
    gpc: bool,
    own_page: bool,
    background: bool,
    /// Relative path from the address up to the collector's directory.
    base: &'static str,
}

impl Rights {
    /// Answers with what `collector` knows and `db` holds.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn new(collector: Arc<Collector>, db: Db) -> std::io::Result<Self> {
        Ok(Self {
            collector,
            db,
            looks: Throttle::new(LOOKS),
            changes: Throttle::new(CHANGES),
            block_key: BlockKey::random()?,
            erasing: Arc::new(Semaphore::new(1)),
            places: Arc::new(Semaphore::new(ERASURES_MAX)),
        })
    }

    /// Answers a request to one of the paths above.
    pub async fn answer(&self, request: Request<Incoming>) -> Response {
        let (parts, body) = request.into_parts();
        let mut response = match (&parts.method, parts.uri.path()) {
            (&Method::GET | &Method::HEAD, "/privacy.css") => {
                file("text/css", include_str!("../web/privacy.css"))
            }
            (&Method::GET | &Method::HEAD, "/privacy.js") => {
                file("text/javascript", include_str!("../web/privacy.js"))
            }
            (&Method::GET | &Method::HEAD, "/.well-known/gpc.json") => file("application/json", GPC_JSON),
            (&Method::GET | &Method::HEAD, "/privacy") => {
                let asked = Asked::form(parts.uri.query().unwrap_or_default().as_bytes(), false);
                self.act(&parts, asked).await
            }
            (&Method::POST, "/privacy" | "/privacy/data" | "/privacy/erase" | "/privacy/object") => {
                match Limited::new(body, BODY_BYTES_MAX).collect().await {
                    Ok(body) => match asked(&parts.headers, &body.to_bytes()) {
                        Some(asked) => self.act(&parts, asked).await,
                        None => stack::text(
                            StatusCode::BAD_REQUEST,
                            "a form or a JSON object of strings is expected\n",
                        ),
                    },
                    Err(_) => stack::empty(StatusCode::PAYLOAD_TOO_LARGE),
                }
            }
            (_, "/privacy" | "/privacy/data" | "/privacy/erase" | "/privacy/object") => {
                stack::empty(StatusCode::METHOD_NOT_ALLOWED)
            }
            _ => stack::empty(StatusCode::NOT_FOUND),
        };
        for (name, value) in SECURITY {
            response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
        }
        response
    }

    async fn act(&self, parts: &Parts, asked: Asked) -> Response {
        let Some(peer) = parts.extensions.get::<Peer>() else {
            return stack::empty(StatusCode::INTERNAL_SERVER_ERROR);
        };
        let client = client_ip::client_ip(*peer, &parts.headers, &self.collector.trusted_proxies);
        let path = parts.uri.path();
        let context = self.context(parts, asked, &client);
        let change = matches!(path, "/privacy/erase" | "/privacy/object");
        let throttle = if change { &self.changes } else { &self.looks };
        if throttle.allow(&client.block(&self.block_key)).is_err() {
            return context.refuse(StatusCode::TOO_MANY_REQUESTS, "too_often");
        }
        if context.rules.is_none() {
            let known = context.asked.site.is_empty();
            let (status, word) =
                if known { (StatusCode::OK, None) } else { (StatusCode::NOT_FOUND, Some("unknown")) };
            return context.page(status, word.map(|w| context.message(w, None, true)), None, Vec::new());
        }
        match path {
            "/privacy/erase" => self.erase(context).await,
            "/privacy/object" => self.object(context, &client, Headers::of(&parts.headers).user_agent).await,
            "/privacy/data" => self.data(&context).await,
            _ if context.background => context.page(StatusCode::OK, None, None, Vec::new()),
            _ => self.show(&context, StatusCode::OK, None).await,
        }
    }

    fn context(&self, parts: &Parts, asked: Asked, client: &ClientIp) -> Context {
        let headers = Headers::of(&parts.headers);
        let language = asked.language.unwrap_or_else(|| Language::of_header(headers.accept_language));
        let rules = self.collector.rules.get(&asked.site).or_else(|| self.collector.rules.named(&asked.site));
        let mut shown = Shown { receipt: asked.receipt.clone(), ..Shown::default() };
        let mut objected = false;
        if let Some(rules) = &rules {
            shown.site = rules.site.id;
            let now_ms = self.collector.clock.now_ms();
            let day = rules.day(now_ms);
            // The salt is read, not made: a look-up must not begin a day.
            if let Some(salt) = self.collector.salts.get(shown.site, day) {
                let key = visitor_key(&salt, shown.site, client, headers.user_agent);
                shown.keys.push(DayKey { day: day.0, visitor: key });
                objected = self.collector.objections.contains(shown.site, day, key);
            }
            shown.returning = parse::returning_id(&asked.id).unwrap_or_default();
        }
        Context {
            language,
            rules,
            shown,
            objected,
            gpc: headers.gpc,
            own_page: is_from_own_page(|name| parts.headers.get(name).and_then(|value| value.to_str().ok())),
            background: asked_in_background(&parts.headers),
            base: if parts.uri.path() == "/privacy" { "" } else { "../" },
            asked,
        }
    }

    async fn held(&self, context: &Context, limit: u64) -> Result<Held, Response> {
        rights::held(&self.db, &context.shown, limit).await.map_err(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "a visitor's page cannot be answered");
            context.refuse(StatusCode::SERVICE_UNAVAILABLE, "away")
        })
    }

    async fn show(&self, context: &Context, status: StatusCode, message: Option<Message>) -> Response {
        let held = match self.held(context, PAGE_ROWS).await {
            Ok(held) => held,
            Err(refused) => return refused,
        };
        let salts = page::salts(&self.db, context.shown.site).await;
        context.page(status, message, Some(&held), salts)
    }

    async fn data(&self, context: &Context) -> Response {
        if context.background {
            return context.refuse(StatusCode::FORBIDDEN, "foreign");
        }
        match self.held(context, rights::ROWS_MAX).await {
            Ok(held) => context.download(&held, page::salts(&self.db, context.shown.site).await),
            Err(refused) => refused,
        }
    }

    async fn object(&self, mut context: Context, client: &ClientIp, user_agent: &str) -> Response {
        if !context.own_page {
            return context.refuse(StatusCode::FORBIDDEN, "foreign");
        }
        let Some((day, salt)) = self.todays_salt(&context).await else {
            return context.refuse(StatusCode::SERVICE_UNAVAILABLE, "objected_failed");
        };
        let site = context.shown.site;
        let visitor = visitor_key(&salt, site, client, user_agent);
        match self.collector.objections.note(site, day, visitor) {
            Ok(true) => {}
            Ok(false) => return context.refuse(StatusCode::SERVICE_UNAVAILABLE, "objected_full"),
            Err(error) => tracing::error!(%error, "an objection will be lost at the next restart"),
        }
        if let Some(peers) = &self.collector.peers {
            peers.tell_objection(site, day, visitor);
        }
        context.objected = true;
        context.shown.keys = vec![DayKey { day: day.0, visitor }];
        // The objection is recorded, whatever the database returns for the rest of the page.
        let held =
            tokio::time::timeout(LIST_PATIENCE, rights::held(&self.db, &context.shown, PAGE_ROWS)).await;
        let message = Some(context.message("objected", None, false));
        match held {
            Ok(Ok(held)) => {
                let salts = page::salts(&self.db, site).await;
                context.page(StatusCode::OK, message, Some(&held), salts)
            }
            Ok(Err(_)) | Err(_) => context.page(StatusCode::OK, message, None, Vec::new()),
        }
    }

    /// The site's day and its agreed salt, made if no collector has one yet: an objection cannot be stored
    /// without it, and may precede the day's first hit. `None` when it cannot be made.
    async fn todays_salt(&self, context: &Context) -> Option<(Day, Arc<Salt>)> {
        let rules = context.rules.as_ref()?;
        let (site, day) = (rules.site.id, rules.day(self.collector.clock.now_ms()));
        if let Some(peers) = &self.collector.peers {
            peers.agree(site, day).await;
        }
        if let Some(salt) = self.collector.salts.get(site, day) {
            return Some((day, salt));
        }
        let term = Term::of_day(rules.day_end_ms(day), self.collector.clock.now_ms());
        let made = self.collector.salts.today(site, day, term);
        let made = made.inspect_err(|error| tracing::error!(%error, "no salt can be made for an objection"));
        if let (Ok(_), Some(peers)) = (&made, &self.collector.peers) {
            peers.made_alone(site, day);
        }
        made.ok().map(|salt| (day, salt))
    }

    async fn erase(&self, context: Context) -> Response {
        let mut shown = context.shown.clone();
        match context.asked.what {
            // The number is the browser's secret: sufficient proof, wherever the request comes from.
            What::Id if shown.returning.is_some() => shown.keys.clear(),
            What::Today if context.own_page && !shown.keys.is_empty() => shown.returning = ReturningId::NONE,
            What::Id | What::Today => return context.refuse(StatusCode::FORBIDDEN, "foreign"),
        }
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            return context.refuse(StatusCode::SERVICE_UNAVAILABLE, "too_often");
        };
        let Ok(receipt) = receipt_number() else { return stack::empty(StatusCode::INTERNAL_SERVER_ERROR) };
        let erasure = Erasure {
            collector: self.collector.clone(),
            db: self.db.clone(),
            erasing: self.erasing.clone(),
            _place: place,
            receipt: receipt.clone(),
            shown,
        };
        // A task of its own: it continues if the visitor stops waiting.
        let running = tokio::spawn(erasure.run());
        match tokio::time::timeout(PATIENCE, running).await {
            Err(_) => context.erased(StatusCode::ACCEPTED, None, &receipt, self).await,
            Ok(Ok(Ok(erased))) => context.erased(StatusCode::OK, Some(&erased), &receipt, self).await,
            Ok(Ok(Err(RightsError::TooMany(_)))) => context.refuse(StatusCode::CONFLICT, "too_many"),
            Ok(failed) => {
                tracing::warn!(?failed, "an erasure failed; the visitor was told to try again");
                context.refuse(StatusCode::SERVICE_UNAVAILABLE, "away")
            }
        }
    }
}

/// One erasure, from the spool to the audit log.
struct Erasure {
    collector: Arc<Collector>,
    db: Db,
    erasing: Arc<Semaphore>,
    /// Released when the erasure ends, also by a panic.
    _place: OwnedSemaphorePermit,
    receipt: String,
    shown: Shown,
}

impl Erasure {
    async fn run(self) -> Result<Erased, RightsError> {
        // The semaphore is never closed.
        let _turn = self.erasing.acquire().await;
        let spool = self.collector.spools.of_site(self.shown.site);
        let waits = spool.durable();
        if tokio::time::timeout(SPOOL_PATIENCE, spool.shipped_up_to(waits)).await.is_err() {
            return Err(RightsError::Left(waits - spool.shipped()));
        }
        let rows = rights::erase(&self.db, &self.shown).await?;
        let erased = Erased { rows, remains: self.remains().await };
        let detail = format!("{rows} events, receipt {}: {}", self.receipt, erased.said());
        if let Err(error) =
            audit::append(&self.db, UserId::NONE, Action::VisitorErase, self.shown.site, &detail).await
        {
            tracing::warn!(%error, "an erasure is not in the audit log");
        }
        Ok(erased)
    }

    /// Waits until no file holds the erased hits any more; what may hold some of them after that.
    async fn remains(&self) -> Vec<Remains> {
        let spool = self.collector.spools.of_site(self.shown.site);
        let mut remains = Vec::new();
        if !matches!(tokio::time::timeout(SPOOL_PATIENCE, spool.forget_durable()).await, Ok(Ok(()))) {
            tracing::warn!(
                "erased hits are still in files of the spool; the background job will remove them"
            );
            remains.push(Remains::Spool);
        }
        if spool.set_aside().batches > 0 {
            remains.push(Remains::SetAside);
        }
        match rights::until_gone(&self.db, self.shown.site, GONE_PATIENCE).await {
            Ok(0) => {}
            Ok(parts) => {
                tracing::warn!(parts, "erased hits are still in old files of ClickHouse, which removes them");
                remains.push(Remains::Database);
            }
            Err(error) => {
                tracing::warn!(%error, "it cannot be asked whether erased hits are still in files of ClickHouse");
                remains.push(Remains::Database);
            }
        }
        remains
    }
}

/// What became of an erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Erased {
    /// How many events.
    rows: u64,
    /// What may hold some of their bytes yet.
    remains: Vec<Remains>,
}

impl Erased {
    /// For the audit log.
    fn said(&self) -> String {
        if self.remains.is_empty() {
            return "no file holds them any more".to_owned();
        }
        let names: Vec<&str> = self.remains.iter().map(|remains| remains.name()).collect();
        format!("bytes may remain: {}", names.join(", "))
    }
}

/// A place in which bytes of what was erased may lie after the receipt. No report, export or query sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remains {
    /// Files of the spool that are removed when what was appended since is shipped.
    Spool,
    /// Batches that ClickHouse refused, until the operator ships or deletes them.
    SetAside,
    /// Old files of ClickHouse, until no query reads them any more.
    Database,
}

impl Remains {
    /// Its name in the answer for programs, in the audit log, and of its sentence.
    const fn name(self) -> &'static str {
        match self {
            Self::Spool => "spool",
            Self::SetAside => "set_aside",
            Self::Database => "database",
        }
    }

    /// The key of its sentence for visitors.
    const fn sentence(self) -> &'static str {
        match self {
            Self::Spool => "erased_spool",
            Self::SetAside => "erased_aside",
            Self::Database => "erased_database",
        }
    }
}

fn receipt_number() -> Result<String, getrandom::Error> {
    let mut bytes = [0u8; 8];
    getrandom::fill(&mut bytes)?;
    Ok(const_hex::encode(bytes))
}

fn asked(headers: &HeaderMap, body: &Bytes) -> Option<Asked> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        Some(Asked::form(body, true))
    } else {
        Asked::json(body)
    }
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let mut response = Response::new(Bytes::from_static(text.as_bytes()).into());
    let headers = response.headers_mut();
    let kind = if kind == "application/json" { kind.to_owned() } else { format!("{kind}; charset=utf-8") };
    if let Ok(kind) = HeaderValue::from_str(&kind) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    response
}
