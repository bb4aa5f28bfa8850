//! Hit ingestion: decodes the supported formats, sends hits down their road, answers.
//!
//! | path | answer |
//! |---|---|
//! | `POST /e` | a hit or an array of hits, native format v1: 204, also for hits that are dropped, so that a probe learns nothing and browsers do not send again |
//! | `GET /e.gif` | a pageview without JavaScript: a transparent pixel |
//! | `POST /x` | whether a link that excludes own visits is one of ours: 204 or 403 |
//! | `/api/event`, `/api/send`, `/matomo.php`, `/count` and more | the formats of other products ([`dropin`]) |
//!
//! [`native`] and [`dropin`] only decode and answer. In between, every hit goes the same way ([`road`]):
//! read -> site -> claims -> objection -> [`crate::pipeline::process`] -> record -> disk -> outcome.
//!
//! **Promises.** Every acknowledged hit has exactly one outcome ([`held::Held`]); a hit answered with 503 has
//! none yet. With a token of the site in `Authorization`, `POST /e` reports each hit's outcome in
//! `X-Sotto-Outcome`. It reaches no server: what it needs is in memory, and what it keeps goes to the spool. Only a hit of
//! a site that is not known here waits, until the sites have been read again
//! ([`crate::config::sites::lookups`]), and one that came before its pageview, for a moment ([`early`]).

use std::sync::Arc;

use http::{Method, StatusCode};
use hyper::{Request, body::Incoming};
use sotto_geoip::GeoIp;
use sotto_schema::clock::Clock;

use crate::{
    config::sites::{lookups::Lookups, rules::RuleBook, self_exclusion::Excluder, tokens::TokenBook},
    http::{
        script::Scripts,
        stack::{self, Response},
    },
    metrics::Metrics,
    peers::Peers,
    pipeline::device::Classifier,
    spool::sharded::ShardedSpool,
    visitor::{
        client_ip::TrustedProxies, imports::Imports, objections::Objections, page_view_cache::PageViewCache,
        salts::Salts, sessions::Sessions,
    },
};

pub mod dropin;
pub mod early;
pub mod held;
mod native;
pub mod road;
pub mod unmapped_consent;

use early::EarlyHits;
use unmapped_consent::Unmapped;

/// State shared by all requests.
pub struct Collector {
    /// The durable queue of hits.
    pub spools: ShardedSpool,
    /// Rules of all sites.
    pub rules: Arc<RuleBook>,
    /// Active tokens.
    pub tokens: Arc<TokenBook>,
    /// Salts of the day.
    pub salts: Arc<Salts>,
    /// Salts and visits of imports of old hits.
    pub imports: Arc<Imports>,
    /// Visits of the last half hour.
    pub sessions: Arc<Sessions>,
    /// Pages of recent page views.
    pub views: Arc<PageViewCache>,
    /// GeoIP databases.
    pub geo: Arc<GeoIp>,
    /// Detects browsers and crawlers.
    pub classifier: Classifier,
    /// Counts outcomes.
    pub metrics: Arc<Metrics>,
    /// Counts unmapped consent categories.
    pub unmapped: Arc<Unmapped>,
    /// Tells the time.
    pub clock: Clock,
    /// Proxies trusted to report the client's address.
    pub trusted_proxies: TrustedProxies,
    /// The script and its modules.
    pub scripts: Arc<Scripts>,
    /// Verifies self-exclusion links.
    pub excluder: Excluder,
    /// Visitors who objected today.
    pub objections: Arc<Objections>,
    /// Looks up a site that a hit names and nobody knows here: it may have been added a moment ago.
    pub lookups: Arc<Lookups>,
    /// Hits that came before their pageview.
    pub early_hits: EarlyHits,
    /// The other collectors, if there are any.
    pub peers: Option<Arc<Peers>>,
}

impl Collector {
    /// Answers a request to one of the paths above, or for the script.
    pub async fn answer(&self, request: Request<Incoming>) -> Response {
        match (request.method(), request.uri().path()) {
            (&Method::POST, "/e") => self.native(request).await,
            (&Method::GET, "/e.gif") => self.pixel(request).await,
            (&Method::POST, "/x") => self.exclude(request).await,
            (&Method::GET | &Method::HEAD, path) if Scripts::is_script(path) => {
                self.scripts.answer(path, request.headers())
            }
            (method, path) if dropin::is_own(method, path) => self.dropin(request).await,
            _ => stack::empty(StatusCode::METHOD_NOT_ALLOWED),
        }
    }
}
