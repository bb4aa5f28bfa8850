//! The layers around the routes, in order, each with its reason.

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
use http::{HeaderValue, Method, StatusCode, header};
use http_body::{Frame, SizeHint};
use http_body_util::{Full, combinators::UnsyncBoxBody};
use hyper::{Request, body::Incoming};
use tower::{BoxError, ServiceBuilder, ServiceExt, util::BoxCloneSyncService};
use tower_http::cors::{Any, CorsLayer};

use crate::metrics::Metrics;

/// A body that is at hand, or one that another part of the program streams.
#[derive(Debug)]
pub enum Body {
    /// At hand.
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
/// Answers every request.
pub type HttpService = BoxCloneSyncService<Request<Incoming>, Response, Infallible>;

/// How long browsers may remember the answer to a preflight request.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Limits of the stack.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests under way; more get 503.
    pub requests_max: usize,
    /// How long a request may take as a whole, a body that never arrives included.
    pub request_timeout: Duration,
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

/// "Try again later": the hit was not kept. Any page may know that, or the script could not tell a busy server from
/// one that is blocked.
pub fn unavailable() -> Response {
    let mut response = empty(StatusCode::SERVICE_UNAVAILABLE);
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// Puts the layers around `inner`.
pub fn around<S, F>(inner: S, limits: Limits, metrics: Arc<Metrics>) -> HttpService
where
    S: tower::Service<Request<Incoming>, Response = Response, Error = Infallible, Future = F>
        + Clone
        + Send
        + Sync
        + 'static,
    F: Future<Output = Result<Response, Infallible>> + Send + 'static,
{
    // A fault in one request must not end the others. Nothing of the request is logged, only where the fault is (by
    // the panic hook).
    let guarded = tower::service_fn(move |request: Request<Incoming>| {
        let (inner, metrics) = (inner.clone(), metrics.clone());
        async move {
            AssertUnwindSafe(inner.oneshot(request)).catch_unwind().await.unwrap_or_else(|_| {
                metrics.panics.fetch_add(1, Ordering::Relaxed);
                Ok(empty(StatusCode::INTERNAL_SERVER_ERROR))
            })
        }
    });
    let layered = ServiceBuilder::new()
        // Sheds load instead of queueing it: a browser that waits is worse off than one told to come back.
        .load_shed()
        .concurrency_limit(limits.requests_max)
        // A request as a whole, whatever it waits for.
        .timeout(limits.request_timeout)
        .service(guarded);
    // Answers what the layers refuse: too many requests (503) and too slow ones (408).
    boxed(tower::service_fn(move |request| {
        let layered = layered.clone();
        async move { Ok(layered.oneshot(request).await.unwrap_or_else(|error| refused(&error))) }
    }))
}

/// Any page may send hits: `*`, and no credentials. Only around the collector's routes, never the dashboard's.
pub fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::CONTENT_TYPE])
        .max_age(PREFLIGHT_MAX_AGE)
}

fn refused(error: &BoxError) -> Response {
    if error.is::<tower::timeout::error::Elapsed>() {
        let mut response = empty(StatusCode::REQUEST_TIMEOUT);
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    } else {
        unavailable()
    }
}

/// Turns any service of the dashboard into one that can stand beside the routes.
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

    #[test]
    fn refusal_can_be_read_by_any_page_and_says_when_to_come_back() {
        let response = refused(&tower::load_shed::error::Overloaded::new().into());
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
}
