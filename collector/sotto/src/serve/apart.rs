//! The dashboard's requests are answered on threads of their own, of lower priority: what a page costs (rows to add up,
//! HTML to write and to compress) never holds up the workers that acknowledge hits.
//!
//! A request that goes away takes its work with it. If the system refuses the threads, the workers answer.

use std::{
    convert::Infallible,
    io,
    panic::resume_unwind,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming};
use sotto_collector::http::stack::{self, Body, HttpService, Response};
use tokio::{runtime::Runtime, sync::mpsc};
use tokio_util::task::AbortOnDropHandle;
use tower::ServiceExt;

/// Threads; pages are many small pieces of work between queries.
const THREADS: usize = 2;
/// Their niceness (nice(2)): between the workers (0) and ClickHouse.
const NICENESS: i32 = 5;
/// Pieces of a body that wait to be sent.
const PIECES: usize = 4;

type Piece = Result<Frame<Bytes>, tower::BoxError>;

/// The threads; they end when this is dropped.
struct Apart(Option<Runtime>);

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Apart {
    fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("dashboard")
            .on_thread_start(|| {
                // On Linux, of this thread alone. If it is refused, all have the same priority.
                let _same = rustix::process::nice(NICENESS);
            })
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Runs `answer` on these threads, and what its body costs as well.
    async fn answer(&self, answer: impl Future<Output = Response> + Send + 'static) -> Response {
        let Some(runtime) = &self.0 else { return answer.await };
        let task = runtime.spawn(async {
            let (parts, body) = answer.await.into_parts();
            let body = match body {
                Body::Ready(_) => body,
                Body::Streamed(mut streamed) => {
                    let (sender, pieces) = mpsc::channel(PIECES);
                    tokio::spawn(async move {
                        while let Some(piece) = streamed.frame().await {
                            if sender.send(piece).await.is_err() {
                                return;
                            }
                        }
                    });
                    Body::Streamed(Pieces(pieces).boxed_unsync())
                }
            };
            Response::from_parts(parts, body)
        });
        match AbortOnDropHandle::new(task).await {
            Ok(response) => response,
            Err(ended) => match ended.try_into_panic() {
                // As if it had been answered here.
                Ok(panic) => resume_unwind(panic),
                Err(_stopped) => stack::unavailable(),
            },
        }
    }
}

/// A body whose pieces are made on another thread.
struct Pieces(mpsc::Receiver<Piece>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = tower::BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        self.0.poll_recv(cx)
    }
}

/// The same service, which answers on threads of its own.
pub fn apart(service: HttpService) -> HttpService {
    let threads = match Apart::start() {
        Ok(threads) => Arc::new(threads),
        Err(error) => {
            tracing::warn!(%error, "no threads for the dashboard: its pages are answered beside hits");
            return service;
        }
    };
    stack::boxed(tower::service_fn(move |request: Request<Incoming>| {
        let (service, threads) = (service.clone(), threads.clone());
        async move {
            let answer = async move {
                match service.oneshot(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                }
            };
            Ok::<_, Infallible>(threads.answer(answer).await)
        }
    }))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use tokio::sync::oneshot;

    use super::*;

    fn thread_name() -> String {
        thread::current().name().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn page_and_its_body_are_made_on_other_threads() {
        let threads = Apart::start().unwrap();
        let answer = threads.answer(async {
            let body = http_body_util::Full::from(thread_name()).map_frame(|frame| {
                frame
                    .map_data(|made: Bytes| Bytes::from([&made[..], b" ", thread_name().as_bytes()].concat()))
            });
            Response::new(Body::Streamed(body.map_err(|never| match never {}).boxed_unsync()))
        });
        let text = answer.await.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(text, "dashboard dashboard");
    }

    #[tokio::test]
    async fn request_that_goes_away_takes_its_work_with_it() {
        let threads = Apart::start().unwrap();
        let (began, has_begun) = oneshot::channel();
        let (held, ended) = oneshot::channel::<()>();
        let mut answer = Box::pin(threads.answer(async move {
            let _held = held;
            let _ = began.send(());
            std::future::pending().await
        }));
        tokio::select! {
            _ = &mut answer => unreachable!("it never answers"),
            begun = has_begun => begun.unwrap(),
        }
        drop(answer);
        assert!(ended.await.is_err(), "what it held is gone");
    }
}
