//! The endpoints of Plausible, Umami, Matomo and GoatCounter, with the answers that their clients expect.
//!
//! A site switches by changing one host name: where the other product's site identifier is not one of ours, the host of
//! the page says which site is meant. What a body claims of address, user agent and time is believed only with a token
//! that may write for the site.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{Request, body::Incoming};
use serde_json::json;
use sotto_schema::{
    id::SiteId,
    outcome::{DropReason, Outcome},
};
use sotto_store::account::Bearer;

use super::{Admitted, Collector, pixel_answer, said};
use crate::{
    http::stack::{self, Response},
    pipeline::{
        dropin::{BULK_BYTES_MAX, Claimed, goatcounter, matomo, plausible, umami},
        hit::{Headers, Hit},
        parse::{AGE_MS_MAX, BODY_BYTES_MAX, ParseError},
        sanitise,
    },
    sites::{rules::Rules, tokens},
    visitor::client_ip::{self, ClientIp, Peer},
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

/// A hit, and what the token that came with it may do.
type Vouched = (Claimed, Option<Bearer>);

/// Hits that are in the spool, or why they are not.
type Kept = Result<Vec<(SiteId, Outcome)>, Response>;

impl Collector {
    /// Answers a request to one of [`PATHS`].
    pub(super) async fn dropin(&self, request: Request<Incoming>) -> Response {
        let (parts, body) = request.into_parts();
        let limit = if is_bulk_path(parts.uri.path()) { BULK_BYTES_MAX } else { BODY_BYTES_MAX };
        let body = match Limited::new(body, limit).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                self.count_unparsed(DropReason::BodyTooLarge);
                return stack::empty(StatusCode::PAYLOAD_TOO_LARGE);
            }
            Err(_) => return stack::empty(StatusCode::BAD_REQUEST),
        };
        match (&parts.method, parts.uri.path()) {
            (&Method::POST, "/api/event") => self.plausible(&parts, &body).await,
            (&Method::GET, "/api/health") => stack::text(StatusCode::OK, "ok"),
            (&Method::POST, "/api/send") => self.umami(&parts, &body).await,
            (&Method::POST, "/api/batch") => self.umami_batch(&parts, &body).await,
            (&Method::GET | &Method::POST, "/matomo.php" | "/piwik.php") => self.matomo(&parts, &body).await,
            // The script posts an empty beacon; the image is for those whose browser refuses it.
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
                if outcomes.iter().any(|(_, o)| matches!(o, Outcome::Dropped(_))) {
                    response.headers_mut().insert("x-plausible-dropped", HeaderValue::from_static("1"));
                }
                response
            }
        }
    }

    /// Umami's `/api/send`. `cache` is a word without meaning: visits are told apart without one.
    async fn umami(&self, parts: &Parts, body: &Bytes) -> Response {
        let hits = match umami::send(body) {
            Ok(hit) => hit.into_iter().collect(),
            Err(error) => return self.refuse(&error, json!({ "error": { "message": error.to_string() } })),
        };
        match self.keep_claimed(hits, parts, self.tokens.of_headers(&parts.headers)).await {
            Err(answer) => answer,
            Ok(outcomes) => umami_answer(outcomes.first().map(|(_, outcome)| *outcome)),
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
            Ok(_) if request.image => pixel_answer(),
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
            self.count_unparsed(DropReason::InvalidPayload);
        }
        let find = |token: Option<&str>| token.and_then(|token| self.tokens.find(token));
        let shared = find(bulk.token.as_deref());
        // Clients that know no token for the whole send one with each request.
        let hits: Vec<Vouched> = bulk
            .requests
            .into_iter()
            .filter_map(|r| Some((r.hit?, find(r.token.as_deref()).or(shared))))
            .collect();
        let tracked = hits.len();
        match self.keep_vouched(hits, parts).await {
            Err(answer) => answer,
            Ok(_) => json_answer(
                StatusCode::OK,
                &json!({ "status": "success", "tracked": tracked, "invalid": bulk.invalid }),
            ),
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
                Ok(_) => pixel_answer(),
            },
            Err(error) => {
                self.count_unparsed(DropReason::InvalidPayload);
                let mut response = pixel_answer();
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

    /// An invalid body: counted, and said in the words the client knows.
    fn refuse(&self, error: &ParseError, answer: serde_json::Value) -> Response {
        let (reason, status) = match error {
            ParseError::BodyTooLarge => (DropReason::BodyTooLarge, StatusCode::PAYLOAD_TOO_LARGE),
            ParseError::TooOld => (DropReason::TooOld, StatusCode::BAD_REQUEST),
            ParseError::Syntax
            | ParseError::HitCount
            | ParseError::Missing(_)
            | ParseError::TooLarge(_)
            | ParseError::Invalid(_) => (DropReason::InvalidPayload, StatusCode::BAD_REQUEST),
        };
        self.count_unparsed(reason);
        json_answer(status, &answer)
    }

    async fn keep_claimed(&self, hits: Vec<Claimed>, parts: &Parts, bearer: Option<Bearer>) -> Kept {
        self.keep_vouched(hits.into_iter().map(|hit| (hit, bearer)).collect(), parts).await
    }

    /// Puts hits on their road, with their claims where the token allows, and waits until they are on disk.
    async fn keep_vouched(&self, hits: Vec<Vouched>, parts: &Parts) -> Kept {
        let Some(peer) = parts.extensions.get::<Peer>() else {
            return Err(stack::empty(StatusCode::INTERNAL_SERVER_ERROR));
        };
        self.agree_on_salts(hits.iter().filter_map(|(claimed, _)| self.rules_of(&claimed.hit))).await;
        let mut admitted = self.admit_claimed(hits, &parts.headers, *peer);
        let Ok(repeats) = self.spools.append(std::mem::take(&mut admitted.appends)).await else {
            self.metrics.spool_refused.fetch_add(1, Ordering::Relaxed);
            return Err(stack::unavailable());
        };
        admitted.settle(&repeats);
        for (site, outcome) in &admitted.outcomes {
            self.metrics.count(*site, admitted.now_ms, *outcome);
        }
        Ok(admitted.outcomes)
    }

    fn admit_claimed(&self, hits: Vec<Vouched>, headers: &HeaderMap, peer: Peer) -> Admitted {
        let client = client_ip::client_ip(peer, headers, &self.trusted_proxies);
        let said = said(headers);
        let now_ms = self.clock.now_ms();
        let mut admitted = self.admitted(hits.len(), now_ms);
        for (claimed, bearer) in hits {
            let outcome = self.road_claimed(claimed, &said, &client, bearer, &mut admitted);
            admitted.outcomes.push(outcome);
        }
        admitted
    }

    /// The rules of the site that another product's hit is for: by key, by name, or by the host of the page.
    fn rules_of(&self, hit: &Hit) -> Option<Arc<Rules>> {
        let by_name = || {
            let host = sanitise::page(&hit.url).map(|page| page.hostname).unwrap_or_default();
            self.rules.named(&hit.site).or_else(|| self.rules.of_host(&host))
        };
        self.rules.get(&hit.site).or_else(by_name)
    }

    fn road_claimed(
        &self,
        claimed: Claimed,
        said: &Headers<'_>,
        client: &ClientIp,
        bearer: Option<Bearer>,
        admitted: &mut Admitted,
    ) -> (SiteId, Outcome) {
        let Claimed { mut hit, claims } = claimed;
        let rules = self.rules_of(&hit);
        let site = rules.as_ref().map_or(SiteId::NONE, |rules| rules.site.id);
        if let Some(rules) = rules {
            hit.site = rules.site.key.as_str().into();
        }
        if claims.is_empty() || !tokens::may_write(bearer, site) {
            return self.road(hit, said, client, admitted);
        }
        if let Some(time_ms) = claims.time_ms {
            // A time to come is now: clocks differ.
            let age = admitted.now_ms.saturating_sub(time_ms).max(0).cast_unsigned();
            hit.age_ms = match u32::try_from(age) {
                Ok(age_ms) if age <= AGE_MS_MAX => age_ms,
                _ => return (site, Outcome::Dropped(DropReason::TooOld)),
            };
        }
        let address = claims.address.as_deref().and_then(ClientIp::claimed);
        let said = match claims.user_agent.as_deref() {
            // The sender's hints are not the visitor's.
            Some(user_agent) => Headers {
                user_agent,
                ch_brands: None,
                ch_mobile: None,
                ch_platform: None,
                ch_platform_version: None,
                ..*said
            },
            None => *said,
        };
        self.road(hit, &said, address.as_ref().unwrap_or(client), admitted)
    }
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
        .iter()
        .filter_map(|name| headers.get(name)?.to_str().ok())
        .find_map(|url| Some(sanitise::page(url)?.hostname.to_string()))
        .unwrap_or_default()
}
