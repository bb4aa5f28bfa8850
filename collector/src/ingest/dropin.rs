//! The endpoints of Plausible, Umami, Matomo and GoatCounter, with the responses their clients expect.
//!
//! A site migrates by changing one host name: if the other product's site identifier is unknown here, the
//! page's host identifies the site. An address, user agent or time claimed in a body is trusted only with a
//! token that may write to the site.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use hyper::{Request, body::Incoming};
use serde_json::json;
use sotto_schema::outcome::{DropReason, Outcome};
use sotto_store::account::Bearer;

use super::{
    Collector,
    held::Ended,
    native::{header_text, pixel, unkept},
    road::{Decoded, Submission, Unkept},
};
use crate::{
    config::sites::{rules::Rules, tokens},
    http::stack::{self, Response},
    pipeline::{
        dropin::{BULK_BYTES_MAX, Claimed, goatcounter, matomo, plausible, umami},
        parse::{BODY_BYTES_MAX, ParseError},
        sanitise,
    },
    visitor::client_ip::{Peer, client_ip},
};

/// The paths that are answered here.
pub const PATHS: &[&str] = &[
    "/api/event",
    "/api/health",
    "/api/send",
    "/api/batch",
    "/matomo.php",
    "/piwik.php",
    "/index.php",
    "/count",
    "/api/v0/count",
    "/api/v0/me",
];

/// Where Matomo's script sends with credentials, which a browser lets through to an origin that is named only.
pub const CREDENTIALED_PATHS: &[&str] = &["/matomo.php", "/piwik.php"];

/// Whether a request is one of another product. Matomo's log importer calls the API at the root.
pub fn is_own(method: &Method, path: &str) -> bool {
    PATHS.contains(&path) || (method == Method::POST && path == "/")
}

impl Collector {
    /// Answers a request to one of [`PATHS`].
    pub(super) async fn dropin(&self, request: Request<Incoming>) -> Response {
        let (parts, body) = request.into_parts();
        let limit = if is_bulk_path(parts.uri.path()) { BULK_BYTES_MAX } else { BODY_BYTES_MAX };
        let body = match self.read_body(body, limit).await {
            Ok(body) => body,
            Err(answer) => return answer,
        };
        match (&parts.method, parts.uri.path()) {
            (&Method::POST, "/api/event") => self.plausible(&parts, &body).await,
            (&Method::GET, "/api/health") => stack::text(StatusCode::OK, "ok"),
            (&Method::POST, "/api/send") => self.umami(&parts, &body).await,
            (&Method::POST, "/api/batch") => self.umami_batch(&parts, &body).await,
            (&Method::GET | &Method::POST, "/matomo.php" | "/piwik.php") => self.matomo(&parts, &body).await,
            // The script posts an empty beacon; the image is its fallback where beacons are blocked.
            (&Method::GET | &Method::POST, "/count") => self.goatcounter(&parts).await,
            (&Method::POST, "/api/v0/count") => self.goatcounter_api(&parts, &body).await,
            (&Method::GET, "/api/v0/me") => self.goatcounter_me(&parts).await,
            (&Method::GET | &Method::POST, "/index.php") | (&Method::POST, "/") => {
                self.matomo_api(&parts, &body).await
            }
            _ => stack::empty(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    /// Plausible's Events API: 202 `ok`, `x-plausible-dropped: 1` when a hit is dropped, 400 for invalid input.
    async fn plausible(&self, parts: &Parts, body: &Bytes) -> Response {
        let hits = match plausible::event(body) {
            Ok(hits) => hits,
            Err(error) => {
                return self.refuse(&error, json!({ "errors": { "request": [error.to_string()] } }));
            }
        };
        match self.keep_claimed(hits, parts, tokens::secret_of(&parts.headers)).await {
            Err(answer) => answer,
            Ok(outcomes) => {
                let mut response = stack::text(StatusCode::ACCEPTED, "ok");
                if outcomes.iter().any(is_dropped) {
                    response.headers_mut().insert("x-plausible-dropped", HeaderValue::from_static("1"));
                }
                response
            }
        }
    }

    /// Umami's `/api/send`. `cache` is a dummy value: visits are told apart without one.
    async fn umami(&self, parts: &Parts, body: &Bytes) -> Response {
        let hits = match umami::send(body) {
            Ok(hit) => hit.into_iter().collect(),
            Err(error) => return self.refuse(&error, json!({ "error": { "message": error.to_string() } })),
        };
        match self.keep_claimed(hits, parts, tokens::secret_of(&parts.headers)).await {
            Err(answer) => answer,
            Ok(outcomes) => umami_answer(outcomes.first().map(|ended| ended.outcome)),
        }
    }

    async fn umami_batch(&self, parts: &Parts, body: &Bytes) -> Response {
        let hits = match umami::batch(body) {
            Ok(hits) => hits,
            Err(error) => return self.refuse(&error, json!({ "error": { "message": error.to_string() } })),
        };
        let hits = submissions(hits, tokens::secret_of(&parts.headers));
        match self.keep_each(hits, &parts.headers, parts.extensions.get()).await {
            Err(why) => unkept(why),
            Ok(ended) => {
                let (size, processed) = (ended.len(), ended.iter().flatten().count());
                let undecided = (0..).zip(&ended).filter(|(_, ended)| ended.is_none());
                let details: Vec<_> = undecided
                    .map(|(index, _): (usize, _)| json!({ "index": index, "response": { "error": TRY_AGAIN } }))
                    .collect();
                json_answer(
                    StatusCode::OK,
                    &json!({ "size": size, "processed": processed, "errors": details.len(), "details": details }),
                )
            }
        }
    }

    /// Matomo's tracking API: query or form, one hit or many.
    async fn matomo(&self, parts: &Parts, body: &Bytes) -> Response {
        if matomo::is_bulk(body) {
            return self.matomo_bulk(parts, body).await;
        }
        let request = match matomo::request(&query_and_form(parts, body)) {
            Ok(request) => request,
            Err(error) => {
                return self.refuse(&error, json!({ "status": "error", "message": error.to_string() }));
            }
        };
        match self.keep_claimed(request.hit.into_iter().collect(), parts, request.token.as_deref()).await {
            Err(answer) => answer,
            Ok(_) if request.image => pixel(),
            Ok(_) => stack::empty(StatusCode::NO_CONTENT),
        }
    }

    async fn matomo_bulk(&self, parts: &Parts, body: &Bytes) -> Response {
        let bulk = match matomo::bulk(body) {
            Ok(bulk) => bulk,
            Err(error) => {
                return self.refuse(&error, json!({ "status": "error", "message": error.to_string() }));
            }
        };
        let shared: Option<Arc<str>> = bulk.token.map(Into::into);
        // Clients without a token for the whole bulk send one per request.
        let (mut places, mut hits, mut invalid) = (Vec::new(), Vec::new(), Vec::new());
        for (n, request) in bulk.requests.into_iter().enumerate() {
            match request {
                None => invalid.push(n),
                // It does not ask for recording.
                Some(matomo::Request { hit: None, .. }) => {}
                Some(matomo::Request { hit: Some(hit), token, .. }) => {
                    places.push(n);
                    let token = token.filter(|token| shared.is_none() || self.tokens.find(token).is_some());
                    hits.push(Ok(Submission::claimed(hit, token.map(Into::into).or_else(|| shared.clone()))));
                }
            }
        }
        match self.keep_each(hits, &parts.headers, parts.extensions.get()).await {
            Err(why) => unkept(why),
            Ok(ended) => {
                for _ in &invalid {
                    self.count_unread(DropReason::InvalidPayload);
                }
                let dropped =
                    places.iter().zip(&ended).filter(|(_, hit)| hit.as_ref().is_none_or(is_dropped));
                invalid.extend(dropped.map(|(n, _)| *n));
                invalid.sort_unstable();
                let answer = json!({
                    "status": "success",
                    "tracked": ended.len() - places.iter().filter(|n| invalid.contains(n)).count(),
                    "invalid": invalid.len(),
                    "invalid_indices": invalid,
                });
                json_answer(StatusCode::OK, &answer)
            }
        }
    }

    /// What Matomo's log importer asks before it begins. It names sites by our keys or their host names, and needs a
    /// token that is good for them.
    async fn matomo_api(&self, parts: &Parts, body: &Bytes) -> Response {
        let (call, token) = matomo::api_call(&query_and_form(parts, body));
        let bearer = match self.bearer_of(token.as_deref(), parts).await {
            Ok(bearer) => bearer,
            Err(answer) => return answer,
        };
        let error = |message: &str| json!({ "result": "error", "message": message });
        let site = |name: &str| {
            let rules = self.rules.get(name).or_else(|| self.rules.named(name));
            rules.filter(|rules| tokens::covers(bearer, rules.site.id))
        };
        let answer = match call {
            matomo::ApiCall::SiteFromId(name) => match site(&name) {
                Some(rules) => matomo_site(&rules),
                None => error("no site of this key or host name, or no token that is good for it"),
            },
            matomo::ApiCall::SitesOfUrl(url) => {
                let host = sanitise::page(&url).map_or(url, |page| page.hostname.into());
                let found: Vec<_> =
                    site(&host).map(|rules| json!({ "idsite": rules.site.key })).into_iter().collect();
                json!(found)
            }
            // By their ids, as Matomo writes it.
            matomo::ApiCall::AllSites => {
                let mut sites = self.rules.all();
                sites.retain(|rules| tokens::covers(bearer, rules.site.id));
                let named = sites.iter().map(|rules| (rules.site.key.clone(), matomo_site(rules)));
                serde_json::Value::Object(named.collect())
            }
            matomo::ApiCall::AddSite => error(
                "sites are not added from here: add it on the dashboard or with `sotto site add HOSTNAME`",
            ),
            matomo::ApiCall::Unknown => error("of Matomo's API, only what its log importer needs is here"),
        };
        json_answer(StatusCode::OK, &answer)
    }

    /// GoatCounter's script: a pixel, or 400 with the reason in `X-Goatcounter`.
    async fn goatcounter(&self, parts: &Parts) -> Response {
        let host = page_host(&parts.headers);
        let key = self.rules.of_host(&host).map(|r| r.site.key.clone()).unwrap_or_default();
        let page = header_text(&parts.headers, header::REFERER);
        let site = goatcounter::Site { key: &key, host: &host, page };
        match goatcounter::count(parts.uri.query().unwrap_or_default(), site) {
            Ok(hit) => match self.keep_claimed(vec![hit], parts, None).await {
                Err(answer) => answer,
                Ok(_) => pixel(),
            },
            Err(error) => {
                self.count_unread(DropReason::InvalidPayload);
                let mut response = pixel();
                *response.status_mut() = StatusCode::BAD_REQUEST;
                if let Ok(reason) = HeaderValue::from_str(&error.to_string()) {
                    response.headers_mut().insert("x-goatcounter", reason);
                }
                response
            }
        }
    }

    /// GoatCounter's API: needs a token that may write for one site.
    async fn goatcounter_api(&self, parts: &Parts, body: &Bytes) -> Response {
        let token = tokens::secret_of(&parts.headers);
        let bearer = match self.bearer_of(token, parts).await {
            Ok(bearer) => bearer,
            Err(answer) => return answer,
        };
        let Some(rules) = self.site_of_writer(bearer) else { return writer_needed() };
        let host = rules.site.hostnames.first().map_or("", String::as_str);
        let site = goatcounter::Site { key: &rules.site.key, host, page: "" };
        let batch = match goatcounter::batch(body, site) {
            Ok(batch) => batch,
            Err(error) => return self.refuse(&error, json!({ "error": error.to_string() })),
        };
        if !batch.invalid.is_empty() {
            // Nothing is kept, so that all of it can be sent again when it is mended.
            let errors = batch.invalid.iter().map(|(n, error)| {
                self.count_unread(error.reason());
                (n.to_string(), error.to_string().into())
            });
            let errors: serde_json::Map<String, serde_json::Value> = errors.collect();
            return json_answer(StatusCode::BAD_REQUEST, &json!({ "errors": errors }));
        }
        match self.keep_claimed(batch.hits, parts, token).await {
            Err(answer) => answer,
            Ok(ended) => goatcounter_answer(&ended),
        }
    }

    /// What GoatCounter's importer asks before it begins: whether its token may count.
    async fn goatcounter_me(&self, parts: &Parts) -> Response {
        let bearer = match self.bearer_of(tokens::secret_of(&parts.headers), parts).await {
            Ok(bearer) => bearer,
            Err(answer) => return answer,
        };
        match self.site_of_writer(bearer) {
            Some(rules) => {
                let token = json!({ "name": rules.site.name, "permissions": GOATCOUNTER_MAY_COUNT });
                json_answer(StatusCode::OK, &json!({ "user": {}, "token": token }))
            }
            None => writer_needed(),
        }
    }

    /// The site that a token may write for, if it is one.
    fn site_of_writer(&self, bearer: Option<Bearer>) -> Option<Arc<Rules>> {
        let rules = bearer.and_then(|b| self.rules.by_id(b.site));
        rules.filter(|rules| tokens::may_write(bearer, rules.site.id))
    }

    /// What a request's token allows. An `Err` is the response.
    async fn bearer_of(&self, token: Option<&str>, parts: &Parts) -> Result<Option<Bearer>, Response> {
        let peer = parts.extensions.get::<Peer>().ok_or_else(|| unkept(Unkept::NoPeer))?;
        let client = client_ip(*peer, &parts.headers, &self.trusted_proxies);
        self.bearer(token, &client).await.map_err(|_| unkept(Unkept::SiteUndecided))
    }

    /// Counts an invalid body and reports it in the client's own error format.
    fn refuse(&self, error: &ParseError, answer: serde_json::Value) -> Response {
        self.count_unread(error.reason());
        let status = match error {
            ParseError::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ParseError::TooOld
            | ParseError::Syntax
            | ParseError::HitCount(_)
            | ParseError::Missing(_)
            | ParseError::TooLarge(_)
            | ParseError::Invalid(_) => StatusCode::BAD_REQUEST,
        };
        json_answer(status, &answer)
    }

    /// Sends hits that came with one token, or none, down their road. An `Err` is the response.
    async fn keep_claimed(
        &self,
        hits: Vec<Claimed>,
        parts: &Parts,
        token: Option<&str>,
    ) -> Result<Vec<Ended>, Response> {
        let hits = submissions(hits, token);
        self.keep(hits, &parts.headers, parts.extensions.get()).await.map_err(unkept)
    }
}

/// Hits that came with one token, or none.
fn submissions(hits: Vec<Claimed>, token: Option<&str>) -> Vec<Decoded> {
    let token: Option<Arc<str>> = token.map(Into::into);
    hits.into_iter().map(|hit| Ok(Submission::claimed(hit, token.clone()))).collect()
}

/// What is said of a hit that cannot be judged now.
const TRY_AGAIN: &str = "whether this website exists cannot be found out now: send it again";

fn writer_needed() -> Response {
    let text =
        "a token is needed that may write for one site: sotto token add NAME --site SITE --scope write";
    json_answer(StatusCode::UNAUTHORIZED, &json!({ "error": text }))
}

/// 202, with the indices of what was not kept, as GoatCounter names what it filtered, and why.
fn goatcounter_answer(ended: &[Ended]) -> Response {
    let dropped: Vec<_> = ended.iter().enumerate().filter(|(_, hit)| is_dropped(hit)).collect();
    let why = dropped.iter().map(|(n, hit)| (n.to_string(), hit.outcome.reason().into()));
    let why: serde_json::Map<String, serde_json::Value> = why.collect();
    let mut response = json_answer(
        StatusCode::ACCEPTED,
        &if why.is_empty() { json!({}) } else { json!({ "dropped": why }) },
    );
    let indices = dropped.iter().map(|(n, _)| n.to_string()).collect::<Vec<_>>().join(", ");
    if let Some(indices) = HeaderValue::from_str(&indices).ok().filter(|indices| !indices.is_empty()) {
        response.headers_mut().insert("x-goatcounter-filter", indices);
    }
    response
}

/// A site in the words of Matomo's API.
fn matomo_site(rules: &Rules) -> serde_json::Value {
    let site = &rules.site;
    let url = format!("https://{}", site.hostnames.first().map_or("", String::as_str));
    json!({ "idsite": site.key, "name": site.name, "main_url": url, "timezone": site.time_zone })
}

/// The parameters of a request, in its query or its form.
fn query_and_form(parts: &Parts, body: &Bytes) -> String {
    let query = parts.uri.query().unwrap_or_default();
    let form = std::str::from_utf8(body).unwrap_or_default();
    [query, form].iter().filter(|text| !text.is_empty()).copied().collect::<Vec<_>>().join("&")
}

/// GoatCounter's bit for a token that may count.
const GOATCOUNTER_MAY_COUNT: u8 = 2;

fn is_dropped(ended: &Ended) -> bool {
    matches!(ended.outcome, Outcome::Dropped(_))
}

fn is_bulk_path(path: &str) -> bool {
    matches!(path, "/matomo.php" | "/piwik.php" | "/api/v0/count")
}

fn json_answer(status: StatusCode, value: &serde_json::Value) -> Response {
    let mut response = stack::text(status, value.to_string());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn umami_answer(outcome: Option<Outcome>) -> Response {
    let bot = matches!(
        outcome,
        Some(Outcome::Dropped(
            DropReason::BotUserAgent | DropReason::BotAi | DropReason::BotAutomated | DropReason::BotNetwork
        ))
    );
    if bot {
        return json_answer(StatusCode::OK, &json!({ "beep": "boop" }));
    }
    if outcome == Some(Outcome::Dropped(DropReason::UnknownSite)) {
        return json_answer(
            StatusCode::BAD_REQUEST,
            &json!({ "error": { "message": "Website not found." } }),
        );
    }
    json_answer(StatusCode::OK, &json!({ "cache": "-", "sessionId": "-", "visitId": "-" }))
}

/// The host of the page that a browser's request came from.
fn page_host(headers: &HeaderMap) -> String {
    [header::REFERER, header::ORIGIN]
        .into_iter()
        .find_map(|name| Some(sanitise::page(header_text(headers, name))?.hostname.to_string()))
        .unwrap_or_default()
}
