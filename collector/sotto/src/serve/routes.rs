//! Dispatches requests: hits and the script, the visitor's own page, or the dashboard.
//!
//! | path | answer |
//! |---|---|
//! | `POST /e`, `GET /e.gif`, `/x`, drop-in paths | [`sotto_collector::ingest`] |
//! | `GET /s.js`, `/s.<modules>.js` | the script ([`script`]) |
//! | `/privacy` and below, `/.well-known/gpc.json` | the visitor's own page ([`rights`]) |
//! | everything else | the fallback: the dashboard, or 404 |

use std::{convert::Infallible, sync::Arc};

use http::{HeaderValue, Method, header};
use hyper::{Request, body::Incoming};
use sotto_collector::{
    http::{
        script,
        stack::{self, Answer, HttpService, Response},
    },
    ingest::{Collector, dropin},
    rights,
    visitor::client_ip::{self, BlockKey, Peer, TrustedProxies},
};
use tower::ServiceExt as _;

/// Any page may send hits.
const ANY_ORIGIN: HeaderValue = HeaderValue::from_static("*");

/// The routes: the collector's own, and a fallback for the rest.
#[derive(Clone)]
pub struct Routes {
    collector: Arc<Collector>,
    /// The collector's routes, including preflight responses.
    with_cors: HttpService,
    /// Those among them that browsers ask with credentials.
    with_credentials: HttpService,
    rights: HttpService,
    fallback: HttpService,
}

impl Routes {
    /// The collector's routes and the visitor's page, then `fallback`, which never sees an address.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn new(
        collector: Arc<Collector>,
        rights: rights::Rights,
        fallback: HttpService,
    ) -> std::io::Result<Self> {
        let fallback = without_address(fallback, collector.trusted_proxies.clone())?;
        let rights = Arc::new(rights);
        // Without CORS: what it answers is for its own page.
        let rights = tower::service_fn(move |request| {
            let rights = rights.clone();
            async move { Ok::<_, Infallible>(rights.answer(request).await) }
        });
        let shared = collector.clone();
        let own = tower::service_fn(move |request| {
            let collector = shared.clone();
            async move { Ok::<_, Infallible>(collector.answer(request).await) }
        });
        let with_cors = tower::ServiceBuilder::new().layer(stack::cors()).service(own.clone());
        let with_credentials =
            tower::ServiceBuilder::new().layer(stack::cors_with_credentials()).service(own);
        Ok(Self {
            collector,
            with_cors: stack::boxed(with_cors),
            with_credentials: stack::boxed(with_credentials),
            rights: stack::boxed(rights),
            fallback,
        })
    }
}

/// Hides the client's address from a service that has no business with it, such as the dashboard: it gets
/// only a [`ClientBlock`](sotto_schema::throttle::ClientBlock), for rate limiting.
///
/// # Errors
/// When the operating system has no randomness.
pub fn without_address(service: HttpService, trusted: TrustedProxies) -> std::io::Result<HttpService> {
    let known = Arc::new((trusted, BlockKey::random()?));
    Ok(stack::boxed(service.map_request(move |mut request: Request<Incoming>| {
        if let Some(peer) = request.extensions_mut().remove::<Peer>() {
            let (trusted, key) = &*known;
            let block = client_ip::client_ip(peer, request.headers(), trusted).block(key);
            request.extensions_mut().insert(block);
        }
        request
    })))
}

/// Whether the collector answers this path itself.
fn is_own(method: &Method, path: &str) -> bool {
    matches!(path, "/e" | "/e.gif" | "/x") || script::Scripts::is_script(path) || dropin::is_own(method, path)
}

impl Answer for Routes {
    async fn answer(&self, request: Request<Incoming>) -> Response {
        if request.method() == Method::POST && request.uri().path() == "/e" {
            // Nine of ten requests take this path: the header is set without the layer.
            let mut response = self.collector.native(request).await;
            response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY_ORIGIN);
            return response;
        }
        if dropin::CREDENTIALED_PATHS.contains(&request.uri().path()) {
            return self.with_credentials.answer(request).await;
        }
        if is_own(request.method(), request.uri().path()) {
            return self.with_cors.answer(request).await;
        }
        if rights::is_own(request.uri().path()) {
            return self.rights.answer(request).await;
        }
        self.fallback.answer(request).await
    }
}
