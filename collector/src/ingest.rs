//! What the collector answers. Everything else goes to the fallback, the dashboard.
//!
//! | path | answer |
//! |---|---|
//! | `POST /e` | a hit or an array of hits, native format v1: 204, also for hits that are dropped, so that a probe learns nothing and browsers do not send again |
//! | `GET /e.gif` | a pageview without JavaScript: a transparent pixel |
//! | `POST /x` | whether a link that excludes own visits is one of ours: 204 or 403 |
//! | `GET /s.js`, `/s.<modules>.js` | the script |
//! | `/privacy` and below, `/.well-known/gpc.json` | the visitor's own page ([`rights`]) |
//! | `/api/event`, `/api/send`, `/matomo.php`, `/count` and more | the formats of other products ([`dropin`]) |
//!
//! With a token of the site in `Authorization`, `POST /e` says in `X-Sotto-Outcome` what became of each hit.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{Request, body::Incoming};
use sotto_geoip::GeoIp;
use sotto_schema::{
    clock::Clock,
    day::Day,
    event::{Kind, Tier},
    id::SiteId,
    outcome::{DropReason, Outcome},
    policy::Category,
};

use crate::{
    http::script::Scripts,
    http::stack::{self, Response},
    ingest::unmapped_consent::{Report, Unmapped},
    metrics::Metrics,
    peers::Peers,
    pipeline::{
        self, Surroundings,
        device::Classifier,
        hit::{Headers, Hit},
        parse,
    },
    sites::{
        rules::{RuleBook, Rules},
        self_exclusion::Excluder,
        tokens::{self, TokenBook},
    },
    spool::{
        Key,
        sharded::{Appends, Spools},
    },
    visitor::{
        client_ip::{self, ClientIp, Peer, TrustedProxies},
        key::visitor_key,
        objections::Objections,
        page_view_cache::PageViewCache,
        salts::{self, Salt, Salts},
        sessions::Sessions,
    },
};

pub mod dropin;
pub mod unmapped_consent;

/// What all requests share.
pub struct Collector {
    /// Where hits become durable.
    pub spools: Spools,
    /// Rules of all sites.
    pub rules: Arc<RuleBook>,
    /// Tokens in force.
    pub tokens: Arc<TokenBook>,
    /// Salts of the day.
    pub salts: Arc<Salts>,
    /// Visits of the last half hour.
    pub sessions: Arc<Sessions>,
    /// Pages of recent page views.
    pub views: Arc<PageViewCache>,
    /// Places and networks.
    pub geo: Arc<GeoIp>,
    /// Knows browsers and crawlers.
    pub classifier: Classifier,
    /// Counts outcomes.
    pub metrics: Arc<Metrics>,
    /// Counts categories of consent managers that nobody has mapped.
    pub unmapped: Arc<Unmapped>,
    /// Tells the time.
    pub clock: Clock,
    /// Whose word is taken for the client's address.
    pub trusted_proxies: TrustedProxies,
    /// The script and its modules.
    pub scripts: Arc<Scripts>,
    /// Checks links that exclude own visits.
    pub excluder: Excluder,
    /// Visitors who objected today.
    pub objections: Arc<Objections>,
    /// Told when a hit names a site that is not known: it may have been set up a moment ago.
    pub unknown_site: Arc<tokio::sync::Notify>,
    /// The other collectors, if there are any.
    pub peers: Option<Arc<Peers>>,
}

/// What came of the hits of one request.
#[derive(Debug)]
pub struct Admitted {
    /// What is to be made durable.
    pub appends: Appends,
    /// Site and outcome of every hit, in order.
    pub outcomes: Vec<(SiteId, Outcome)>,
    /// Categories of consent managers that nobody has mapped, of hits that are kept.
    pub unmapped: Vec<Report>,
    /// When the request came, in milliseconds since 1970-01-01 UTC.
    pub now_ms: i64,
}

impl Admitted {
    /// Hits that were durable before are not kept twice. `repeats` are places among the kept hits, in order.
    fn settle(&mut self, repeats: &[usize]) {
        let kept =
            |(_, outcome): &&mut (SiteId, Outcome)| matches!(outcome, Outcome::Stored | Outcome::Minimised);
        for (n, (_, outcome)) in self.outcomes.iter_mut().filter(kept).enumerate() {
            if repeats.binary_search(&n).is_ok() {
                *outcome = Outcome::Dropped(DropReason::Duplicate);
            }
        }
    }
}

/// Tells the owner of a token what became of the hits of a request, in order.
const OUTCOME: HeaderName = HeaderName::from_static("x-sotto-outcome");

/// The longest question about a link that excludes a browser.
const EXCLUDE_BYTES_MAX: usize = 1_024;

/// A 1x1 transparent GIF.
const PIXEL: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

impl Collector {
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Response {
        match (request.method(), request.uri().path()) {
            (&Method::POST, "/e") => self.native(request).await,
            (&Method::GET, "/e.gif") => self.pixel(request).await,
            (&Method::POST, "/x") => self.exclude(request).await,
            (&Method::GET | &Method::HEAD, path) if Scripts::is_script(path) => {
                self.scripts.answer(path, request.headers())
            }
            (_, path) if dropin::PATHS.contains(&path) => self.dropin(request).await,
            _ => stack::empty(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    pub(crate) async fn native(&self, request: Request<Incoming>) -> Response {
        let (parts, body) = request.into_parts();
        let body = match Limited::new(body, parse::BODY_BYTES_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                self.count_unparsed(DropReason::BodyTooLarge);
                return stack::empty(StatusCode::PAYLOAD_TOO_LARGE);
            }
            // The client went away in mid-body: there is no hit, and nobody to answer.
            Err(_) => return stack::empty(StatusCode::BAD_REQUEST),
        };
        match parse::hits(&body) {
            Ok(hits) => self.keep(hits, &parts.headers, parts.extensions.get()).await,
            Err(_) => {
                self.count_unparsed(DropReason::InvalidPayload);
                stack::empty(StatusCode::NO_CONTENT)
            }
        }
    }

    /// Whether a link that excludes a browser is one of ours: `{"s": site key, "t": token}`.
    async fn exclude(&self, request: Request<Incoming>) -> Response {
        #[derive(serde::Deserialize)]
        struct Asked {
            s: String,
            t: String,
        }
        let Ok(body) = Limited::new(request.into_body(), EXCLUDE_BYTES_MAX).collect().await else {
            return stack::empty(StatusCode::PAYLOAD_TOO_LARGE);
        };
        let good = serde_json::from_slice::<Asked>(&body.to_bytes()).is_ok_and(|asked| {
            self.rules.get(&asked.s).is_some_and(|rules| self.excluder.is_good(&rules.site, &asked.t))
        });
        stack::empty(if good { StatusCode::NO_CONTENT } else { StatusCode::FORBIDDEN })
    }

    async fn pixel(&self, request: Request<Incoming>) -> Response {
        let (parts, _) = request.into_parts();
        let hit = parse::pixel(parts.uri.query().unwrap_or_default());
        let kept = match hit {
            Ok(hit) => self.keep(vec![hit], &parts.headers, parts.extensions.get()).await,
            Err(_) => {
                self.count_unparsed(DropReason::InvalidPayload);
                stack::empty(StatusCode::NO_CONTENT)
            }
        };
        if kept.status() != StatusCode::NO_CONTENT {
            return kept;
        }
        pixel_answer()
    }

    fn count_unparsed(&self, reason: DropReason) {
        self.metrics.count(SiteId::NONE, self.clock.now_ms(), Outcome::Dropped(reason));
    }

    /// Puts hits on their road and answers when they are on disk.
    async fn keep(&self, hits: Vec<Hit>, headers: &HeaderMap, peer: Option<&Peer>) -> Response {
        let Some(peer) = peer else { return stack::empty(StatusCode::INTERNAL_SERVER_ERROR) };
        self.agree_on_salts(hits.iter().filter_map(|hit| self.rules.get(&hit.site))).await;
        let mut admitted = self.admit(hits, headers, *peer);
        let Ok(repeats) = self.spools.append(std::mem::take(&mut admitted.appends)).await else {
            self.metrics.spool_refused.fetch_add(1, Ordering::Relaxed);
            return stack::unavailable();
        };
        // Counted when it is durable: a hit that got 503 has no outcome yet, its next attempt will.
        admitted.settle(&repeats);
        for (site, outcome) in &admitted.outcomes {
            self.metrics.count(*site, admitted.now_ms, *outcome);
        }
        admitted.unmapped.into_iter().for_each(|report| self.unmapped.note(report));
        let mut response = stack::empty(StatusCode::NO_CONTENT);
        if let Some(told) = self.told(&admitted.outcomes, headers) {
            response.headers_mut().insert(OUTCOME, told);
        }
        response
    }

    /// Sees to it that the salts of these sites are those of all collectors, before hits are keyed with them.
    async fn agree_on_salts(&self, sites: impl Iterator<Item = Arc<Rules>>) {
        let Some(peers) = &self.peers else { return };
        for rules in sites {
            peers.agree(rules.site.id, rules.day(self.clock.now_ms())).await;
            if peers.are_apart() {
                self.metrics.hits_apart.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// What became of the hits, for whoever shows a token of their site; nobody else learns it.
    fn told(&self, outcomes: &[(SiteId, Outcome)], headers: &HeaderMap) -> Option<HeaderValue> {
        let bearer = Some(self.tokens.of_headers(headers)?);
        let names: Vec<&str> = outcomes
            .iter()
            .map(|(site, outcome)| match outcome {
                _ if !tokens::covers(bearer, *site) => "unknown",
                Outcome::Dropped(reason) => reason.name(),
                Outcome::Stored | Outcome::Minimised => outcome.name(),
            })
            .collect();
        HeaderValue::from_str(&names.join(", ")).ok()
    }

    /// Room for what comes of `hits` hits.
    fn admitted(&self, hits: usize, now_ms: i64) -> Admitted {
        let (appends, outcomes) = (self.spools.appends(), Vec::with_capacity(hits));
        Admitted { appends, outcomes, unmapped: Vec::new(), now_ms }
    }

    /// The road of some hits of one request, up to the spool.
    pub fn admit(&self, hits: Vec<Hit>, headers: &HeaderMap, peer: Peer) -> Admitted {
        let client = client_ip::client_ip(peer, headers, &self.trusted_proxies);
        let said = said(headers);
        let now_ms = self.clock.now_ms();
        let mut admitted = self.admitted(hits.len(), now_ms);
        for hit in hits {
            let outcome = self.road(hit, &said, &client, &mut admitted);
            admitted.outcomes.push(outcome);
        }
        admitted
    }

    /// One hit's road up to the spool.
    fn road(
        &self,
        mut hit: Hit,
        headers: &Headers<'_>,
        client: &ClientIp,
        admitted: &mut Admitted,
    ) -> (SiteId, Outcome) {
        let now_ms = admitted.now_ms;
        let Some(rules) = self.rules.get(&hit.site) else {
            self.unknown_site.notify_one();
            return (SiteId::NONE, Outcome::Dropped(DropReason::UnknownSite));
        };
        let site = rules.site.id;
        self.metrics.count_address(site, now_ms, client.is_private());
        let time_ms = now_ms - i64::from(hit.age_ms);
        let day = rules.day(time_ms);
        let today = rules.day(now_ms);
        let salt = if day == today { self.todays_salt(site, day) } else { self.salts.get(site, day) };
        let salt_before = self.salt_before(&rules, day, now_ms);
        let key = hit.numbered.then_some(Key { site, view: hit.view, seq: hit.seq });
        if hit.kind != Kind::Consent && self.objected(site, day, salt.as_deref(), client, headers) {
            hit.consent = Some(Category::Essential as u8);
        }
        let surroundings = Surroundings {
            time_ms,
            day,
            rules: &rules,
            salt: salt.as_deref(),
            salt_before: salt_before.as_deref(),
            sessions: &self.sessions,
            views: &self.views,
            geo: &self.geo.load(),
            classifier: &self.classifier,
        };
        let unmapped = hit.decision.as_deref().and_then(|decision| Report::of(decision, site, day));
        match pipeline::process(hit, headers, client, &surroundings) {
            Ok(event) => {
                admitted.unmapped.extend(unmapped);
                let fits = admitted.appends.record(site, key, |out| event.encode(out));
                debug_assert!(fits, "the limits of the parser keep a row far below a record's");
                if let Some(peers) = &self.peers {
                    peers.tell(&event);
                }
                match event.tier {
                    _ if !fits => (site, Outcome::Dropped(DropReason::InvalidPayload)),
                    Tier::Full => (site, Outcome::Stored),
                    Tier::Minimal => (site, Outcome::Minimised),
                }
            }
            Err(reason) => (site, Outcome::Dropped(reason)),
        }
    }

    /// Whether this visitor objected today.
    fn objected(
        &self,
        site: SiteId,
        day: Day,
        salt: Option<&Salt>,
        client: &ClientIp,
        headers: &Headers<'_>,
    ) -> bool {
        !self.objections.is_empty()
            && salt.is_some_and(|salt| {
                let key = visitor_key(salt, site, client, headers.user_agent);
                self.objections.contains(site, day, key)
            })
    }

    /// Today's salt. Without one (no randomness, no room in memory) hits are kept without a visitor.
    fn todays_salt(&self, site: SiteId, day: Day) -> Option<Arc<Salt>> {
        let known = self.salts.get(site, day);
        if known.is_some() {
            return known;
        }
        self.salts
            .today(site, day)
            .inspect(|_| {
                if let Some(peers) = &self.peers {
                    peers.made_alone(site, day);
                }
            })
            .inspect_err(|error| tracing::error!(%error, "no salt can be made; visitors are not counted"))
            .ok()
    }

    /// The salt of the day before, in the half hour in which visits are carried across midnight.
    fn salt_before(&self, rules: &Rules, day: Day, now_ms: i64) -> Option<Arc<Salt>> {
        let before = Day(day.0.checked_sub(1)?);
        let salt = self.salts.get(rules.site.id, before)?;
        (!salts::is_over(rules.day_end_ms(before), now_ms)).then_some(salt)
    }
}

/// The pixel, for a hit that was taken.
fn pixel_answer() -> Response {
    let mut response = Response::new(Bytes::from_static(PIXEL).into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/gif"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    response
}

/// What the headers say, borrowed.
pub(crate) fn said(headers: &HeaderMap) -> Headers<'_> {
    let get = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Headers {
        user_agent: get("user-agent").unwrap_or_default(),
        ch_brands: get("sec-ch-ua"),
        ch_mobile: get("sec-ch-ua-mobile"),
        ch_platform: get("sec-ch-ua-platform"),
        ch_platform_version: get("sec-ch-ua-platform-version"),
        accept_language: get("accept-language").unwrap_or_default(),
        // W3C GPC: only the value 1 is a signal; of several headers, one with it is enough.
        gpc: headers.get_all("sec-gpc").iter().any(|value| value.as_bytes() == b"1"),
    }
}
