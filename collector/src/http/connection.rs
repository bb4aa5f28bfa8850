//! One connection: HTTP/1.1 on plain and encrypted ones, HTTP/2 where TLS agreed on it.
//!
//! **Promises.** A connection on which nothing is asked ends after the header timeout; the service behind sees HTTP/2
//! requests as it sees those of HTTP/1.1.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{HeaderMap, HeaderValue, Uri, header};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::{
    Request,
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::stack::{Answer, Body, Response};
use crate::visitor::client_ip::Peer;

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Requests that one HTTP/2 connection has open at a time.
pub const STREAMS_MAX: u32 = 100;
/// Bytes of bodies that one HTTP/2 request, and one connection, may send before they are read.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;

/// Answers the requests of one connection.
pub(super) struct Requests<A> {
    pub service: Arc<A>,
    pub peer: Peer,
    /// Value of `Strict-Transport-Security`, on encrypted connections.
    pub hsts: Option<HeaderValue>,
}

impl<A: Answer> Requests<A> {
    async fn answer(&self, mut request: Request<Incoming>) -> Response {
        request.extensions_mut().insert(self.peer);
        let mut response = self.service.answer(request).await;
        if let Some(hsts) = &self.hsts {
            response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, hsts.clone());
        }
        response
    }

    /// Serves HTTP/1.1 until the connection ends, or after `stop` until nothing is under way.
    pub async fn serve_http1<S>(self, stream: S, header_timeout: Duration, stop: CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let requests = Arc::new(self);
        let service = service_fn(move |request: Request<Incoming>| {
            let requests = requests.clone();
            async move { Ok::<_, Infallible>(requests.answer(request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(header_timeout)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        log(ended);
    }

    /// The same for HTTP/2. hyper has no time limit there: a connection without an open request is told to end after
    /// `header_timeout`, and cut when it has not after another.
    pub async fn serve_http2<S>(self, stream: S, header_timeout: Duration, stop: CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (requests, activity) = (Arc::new(self), Arc::new(Activity::default()));
        let seen = activity.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let (requests, open) = (requests.clone(), Open::new(&seen));
            async move {
                let response = requests.answer(like_http1(request)).await;
                Ok::<_, Infallible>(response.map(|body| counted(body, open)))
            }
        });
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEAD_BYTES_MAX as u32)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return log(ended),
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                return log(connection.await);
            }
            () = activity.idle_for(header_timeout) => connection.as_mut().graceful_shutdown(),
        }
        if let Ok(ended) = tokio::time::timeout(header_timeout, connection).await {
            log(ended);
        }
    }
}

fn log(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        // Clients disconnect and send garbage all the time; hyper has responded where that was possible.
        tracing::trace!(%error, "a connection ended with an error");
    }
}

/// Requests of one connection: how many were begun and how many are over.
#[derive(Default)]
struct Activity {
    begun: AtomicU64,
    over: AtomicU64,
}

impl Activity {
    /// Resolves when no request was open for `time`; at the latest, twice as long.
    async fn idle_for(&self, time: Duration) {
        let mut before = 0;
        loop {
            tokio::time::sleep(time).await;
            let begun = self.begun.load(Ordering::Relaxed);
            if begun == before && self.over.load(Ordering::Relaxed) == begun {
                return;
            }
            before = begun;
        }
    }
}

/// A request that is open until its answer is sent, or nobody waits for it any more.
struct Open(Arc<Activity>);

impl Open {
    fn new(activity: &Arc<Activity>) -> Self {
        activity.begun.fetch_add(1, Ordering::Relaxed);
        Self(activity.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.over.fetch_add(1, Ordering::Relaxed);
    }
}

/// A body that keeps its request open until it is sent.
fn counted(body: Body, open: Open) -> Body {
    if body.is_end_stream() {
        return body;
    }
    Body::Streamed(
        body.map_frame(move |frame| {
            let _still = &open;
            frame
        })
        .boxed_unsync(),
    )
}

/// HTTP/2 names the host in the request's URI and may split cookies over several lines (RFC 9113, 8.2.3 and 8.3.1).
fn like_http1<B>(mut request: Request<B>) -> Request<B> {
    let uri = request.uri();
    let host = uri.authority().map(|authority| authority.as_str().rsplit('@').next().unwrap_or_default());
    let host = host.and_then(|host| HeaderValue::from_str(host).ok());
    let path = uri.path_and_query().cloned().map(Uri::from);
    if let Some(host) = host {
        request.headers_mut().insert(header::HOST, host);
    }
    *request.uri_mut() = path.unwrap_or_default();
    join_cookies(request.headers_mut());
    request
}

fn join_cookies(headers: &mut HeaderMap) {
    let lines: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if lines.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b"; "[..]))
    {
        headers.insert(header::COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_of_http2_looks_like_one_of_http1() {
        let request = Request::get("https://someone@stats.example.org:8443/a?b=c")
            .header("host", "other.example")
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .body(())
            .unwrap();
        let request = like_http1(request);
        assert_eq!(request.uri(), "/a?b=c");
        assert_eq!(request.headers()["host"], "stats.example.org:8443");
        let cookies: Vec<_> = request.headers().get_all("cookie").iter().collect();
        assert_eq!(cookies, ["a=1; b=2"]);
    }

    #[tokio::test]
    async fn connection_is_idle_when_no_request_is_open_or_new() {
        let time = Duration::from_millis(10);
        let activity = Arc::new(Activity::default());
        let open = Open::new(&activity);
        let idle = activity.idle_for(time);
        let mut idle = std::pin::pin!(idle);
        assert!(tokio::time::timeout(time * 10, idle.as_mut()).await.is_err(), "a request is open");
        drop(open);
        tokio::time::timeout(Duration::from_secs(30), idle).await.expect("nothing is open");
    }
}
