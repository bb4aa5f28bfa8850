//! The layers around the routes, outermost first, each with its reason.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use http_body::{Frame, SizeHint};
use http_body_util::{Full, combinators::UnsyncBoxBody};
use hyper::{Request, body::Incoming};
use tokio::sync::Semaphore;
use tower::{BoxError, ServiceExt, util::BoxCloneSyncService};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use crate::{config, metrics::Metrics};

/// A body that is at hand, or one that another part of the program streams. By hand: `http_body_util::Either` has no
/// `Default`, which tower-http's CORS layer asks for.
#[derive(Debug)]
pub enum Body {
    /// Buffered.
    Ready(Full<Bytes>),
    /// Streamed.
    Streamed(UnsyncBoxBody<Bytes, BoxError>),
}

impl Default for Body {
    fn default() -> Self {
        Self::Ready(Full::default())
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self::Ready(Full::new(bytes.into()))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Ready(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::Streamed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Ready(body) => body.is_end_stream(),
            Self::Streamed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Ready(body) => body.size_hint(),
            Self::Streamed(body) => body.size_hint(),
        }
    }
}

/// An answer.
pub type Response = http::Response<Body>;
/// A type-erased service that answers every request.
pub type HttpService = BoxCloneSyncService<Request<Incoming>, Response, Infallible>;

/// How long browsers may cache a preflight response.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Limits of the stack.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Concurrent requests; further ones get 503.
    pub requests_max: usize,
    /// Timeout for a whole request, including a body that never arrives.
    pub request_timeout: Duration,
}

impl From<&config::Server> for Limits {
    fn from(config: &config::Server) -> Self {
        Self { requests_max: config.requests_max, request_timeout: config.request_timeout.unsigned_abs() }
    }
}

/// An answer without a body.
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

/// An answer with a short text.
pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// "Try again later": the hit was not kept. Readable by any page, since the script must tell a busy server
/// from a blocked one.
pub fn unavailable() -> Response {
    let mut response = empty(StatusCode::SERVICE_UNAVAILABLE);
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// Answers requests. Unlike a boxed service, it is neither cloned nor moved per request.
pub trait Answer: Clone + Send + Sync + 'static {
    /// The answer to one request.
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Response> + Send;
}

impl Answer for HttpService {
    async fn answer(&self, request: Request<Incoming>) -> Response {
        match self.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// The limits around everything that the public listener answers. Hand-written: tower's layers for the same
/// (`load_shed`, `concurrency_limit`, `timeout`, boxed per request) cost more than parsing the hit.
#[derive(Debug, Clone)]
pub struct Limited<A> {
    inner: A,
    limits: Limits,
    places: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

/// Puts the limits around `inner`.
pub fn around<A: Answer>(inner: A, limits: Limits, metrics: Arc<Metrics>) -> Limited<A> {
    Limited { inner, limits, places: Arc::new(Semaphore::new(limits.requests_max)), metrics }
}

impl<A: Answer> Answer for Limited<A> {
    async fn answer(&self, request: Request<Incoming>) -> Response {
        // Sheds load instead of queueing it: a browser that waits is worse off than one told to come back.
        let Ok(_place) = self.places.try_acquire() else { return unavailable() };
        // A panic in one request must not end the others. Nothing of the request is logged, only the panic's
        // location (by the panic hook).
        let guarded = AssertUnwindSafe(self.inner.answer(request)).catch_unwind();
        // Covers the whole request, including a body that never arrives.
        match tokio::time::timeout(self.limits.request_timeout, guarded).await {
            Ok(Ok(response)) => response,
            Ok(Err(_panic)) => {
                self.metrics.panics.fetch_add(1, Ordering::Relaxed);
                empty(StatusCode::INTERNAL_SERVER_ERROR)
            }
            Err(_elapsed) => {
                let mut response = empty(StatusCode::REQUEST_TIMEOUT);
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                response
            }
        }
    }
}

/// Request headers that clients send and browsers ask about in a preflight. The last three are Umami's.
const HEADERS_OF_CLIENTS: [HeaderName; 4] = [
    header::CONTENT_TYPE,
    HeaderName::from_static("x-umami-cache"),
    HeaderName::from_static("x-umami-hostname"),
    HeaderName::from_static("x-umami-website-id"),
];

/// Any page may send hits: `*`, and no credentials. Only around the collector's routes, never the dashboard's.
pub fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(HEADERS_OF_CLIENTS)
        .max_age(PREFLIGHT_MAX_AGE)
}

/// The same for requests that browsers send with credentials, which `*` does not answer: the sender's origin is named.
/// Nothing here looks at credentials.
pub fn cors_with_credentials() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(HEADERS_OF_CLIENTS)
        .max_age(PREFLIGHT_MAX_AGE)
}

/// Boxes any dashboard service so that it can be the fallback of the routes.
pub fn boxed<S>(service: S) -> HttpService
where
    S: tower::Service<Request<Incoming>, Response = Response, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    BoxCloneSyncService::new(service)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower::ServiceBuilder;

    #[test]
    fn refusal_can_be_read_by_any_page_and_says_when_to_come_back() {
        let response = unavailable();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert_eq!(response.headers()[header::RETRY_AFTER], "5");
    }

    #[tokio::test]
    async fn answers_of_the_collector_can_be_read_by_any_page() {
        let full = tower::service_fn(async |_: Request<Full<Bytes>>| Ok::<_, Infallible>(unavailable()));
        let service = ServiceBuilder::new().layer(cors()).service(full);
        let request =
            Request::post("/e").header("origin", "https://a.example").body(Full::default()).unwrap();
        let response = service.oneshot(request).await.unwrap();
        let allowed: Vec<_> =
            response.headers().get_all(header::ACCESS_CONTROL_ALLOW_ORIGIN).iter().collect();
        assert_eq!(allowed, ["*"], "exactly one: browsers refuse two");
    }

    #[tokio::test]
    async fn any_page_may_send_with_the_headers_of_known_clients() {
        let answer = tower::service_fn(|_: Request<()>| async { Ok::<_, Infallible>(empty(StatusCode::OK)) });
        let service = ServiceBuilder::new().layer(cors()).service(answer);
        for (wanted, allowed) in [
            ("content-type", true),
            ("content-type,x-umami-cache,x-umami-hostname,x-umami-website-id", true),
            ("authorization", false),
        ] {
            let preflight = Request::options("/api/send")
                .header(header::ORIGIN, "https://example.org")
                .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
                .header(header::ACCESS_CONTROL_REQUEST_HEADERS, wanted)
                .body(())
                .unwrap();
            let answer = service.clone().oneshot(preflight).await.unwrap();
            let header = |name| answer.headers().get(name).map(|v: &HeaderValue| v.to_str().unwrap());
            assert_eq!(header(header::ACCESS_CONTROL_ALLOW_ORIGIN), Some("*"));
            assert_eq!(header(header::ACCESS_CONTROL_ALLOW_CREDENTIALS), None);
            let said = header(header::ACCESS_CONTROL_ALLOW_HEADERS).unwrap_or_default();
            assert_eq!(
                wanted.split(',').all(|name| said.split(',').any(|s| s.trim() == name)),
                allowed,
                "{said}"
            );
        }
    }
}
