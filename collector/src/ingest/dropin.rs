//! The endpoints of Plausible, Umami, Matomo and GoatCounter, with the responses their clients expect.
//!
//! A site migrates by changing one host name: if the other product's site identifier is unknown here, the
//! page's host identifies the site. An address, user agent or time claimed in a body is trusted only with a
//! token that may write to the site.

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
    road::{Decoded, Submission},
};
use crate::{
    config::sites::tokens,
    http::stack::{self, Response},
    pipeline::{
        dropin::{BULK_BYTES_MAX, Claimed, goatcounter, matomo, plausible, umami},
        parse::{BODY_BYTES_MAX, ParseError},
        sanitise,
    },
};

/// The paths that are answered here.
pub const PATHS: &[&str] = &[
    "/api/event",
    "/api/health",
    "/api/send",
    "/api/batch",
    "/matomo.php",
    "/piwik.php",
    "/count",
    "/api/v0/count",
];

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
        match self.keep_claimed(hits, parts, self.tokens.of_headers(&parts.headers)).await {
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
        match self.keep_claimed(hits, parts, self.tokens.of_headers(&parts.headers)).await {
            Err(answer) => answer,
            Ok(outcomes) => umami_answer(outcomes.first().map(|ended| ended.outcome)),
        }
    }

    async fn umami_batch(&self, parts: &Parts, body: &Bytes) -> Response {
        let hits = match umami::batch(body) {
            Ok(hits) => hits,
            Err(error) => return self.refuse(&error, json!({ "error": { "message": error.to_string() } })),
        };
        match self.keep_claimed(hits, parts, self.tokens.of_headers(&parts.headers)).await {
            Err(answer) => answer,
            Ok(outcomes) => {
                let size = outcomes.len();
                json_answer(
                    StatusCode::OK,
                    &json!({ "size": size, "processed": size, "errors": 0, "details": [] }),
                )
            }
        }
    }

    /// Matomo's tracking API: query or form, one hit or many.
    async fn matomo(&self, parts: &Parts, body: &Bytes) -> Response {
        if matomo::is_bulk(body) {
            return self.matomo_bulk(parts, body).await;
        }
        let query = parts.uri.query().unwrap_or_default();
        let form = std::str::from_utf8(body).unwrap_or_default();
        let joined = [query, form].iter().filter(|t| !t.is_empty()).copied().collect::<Vec<_>>().join("&");
        let request = match matomo::request(&joined) {
            Ok(request) => request,
            Err(error) => {
                return self.refuse(&error, json!({ "status": "error", "message": error.to_string() }));
            }
        };
        let bearer = request.token.as_deref().and_then(|token| self.tokens.find(token));
        match self.keep_claimed(request.hit.into_iter().collect(), parts, bearer).await {
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
        for _ in 0..bulk.invalid {
            self.count_unread(DropReason::InvalidPayload);
        }
        let find = |token: Option<&str>| token.and_then(|token| self.tokens.find(token));
        let shared = find(bulk.token.as_deref());
        // Clients without a token for the whole bulk send one per request.
        let hits = bulk.requests.into_iter().filter_map(|r| {
            let bearer = find(r.token.as_deref()).or(shared);
            Some(Ok(Submission::claimed(r.hit?, bearer)))
        });
        match self.keep(hits.collect(), &parts.headers, parts.extensions.get()).await {
            Err(why) => unkept(why),
            Ok(ended) => {
                let dropped = ended.iter().filter(|hit| is_dropped(hit)).count();
                let (tracked, invalid) = (ended.len() - dropped, bulk.invalid + dropped);
                let answer = json!({ "status": "success", "tracked": tracked, "invalid": invalid });
                json_answer(StatusCode::OK, &answer)
            }
        }
    }

    /// GoatCounter's script: a pixel, or 400 with the reason in `X-Goatcounter`.
    async fn goatcounter(&self, parts: &Parts) -> Response {
        let host = page_host(&parts.headers);
        let key = self.rules.of_host(&host).map(|r| r.site.key.clone()).unwrap_or_default();
        let site = goatcounter::Site { key: &key, host: &host };
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
        let bearer = self.tokens.of_headers(&parts.headers);
        let rules = bearer.and_then(|b| self.rules.by_id(b.site));
        let Some(rules) = rules.filter(|r| tokens::may_write(bearer, r.site.id)) else {
            self.unknown_site.notify_one();
            let text = "a token is needed that may write for one site: sotto token add NAME --site SITE --scope write";
            return json_answer(StatusCode::UNAUTHORIZED, &json!({ "error": text }));
        };
        let host = rules.site.hostnames.first().map_or("", String::as_str);
        let batch = match goatcounter::batch(body, goatcounter::Site { key: &rules.site.key, host }) {
            Ok(batch) => batch,
            Err(error) => return self.refuse(&error, json!({ "error": error.to_string() })),
        };
        match self.keep_claimed(batch.hits, parts, bearer).await {
            Err(answer) => answer,
            Ok(_) => json_answer(StatusCode::ACCEPTED, &json!({})),
        }
    }

    /// Counts an invalid body and reports it in the client's own error format.
    fn refuse(&self, error: &ParseError, answer: serde_json::Value) -> Response {
        self.count_unread(error.reason());
        let status = match error {
            ParseError::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ParseError::TooOld
            | ParseError::Syntax
            | ParseError::HitCount
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
        bearer: Option<Bearer>,
    ) -> Result<Vec<Ended>, Response> {
        let hits: Vec<Decoded> = hits.into_iter().map(|hit| Ok(Submission::claimed(hit, bearer))).collect();
        self.keep(hits, &parts.headers, parts.extensions.get()).await.map_err(unkept)
    }
}

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
