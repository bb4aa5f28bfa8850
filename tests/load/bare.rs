//! The baseline: hyper that reads the body and answers 204, with one listener and one runtime per core like
//! ours.

use std::{convert::Infallible, net::SocketAddr};

use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, StatusCode, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use sotto_collector::http::server;
use tokio::net::TcpListener;

pub fn serve(address: SocketAddr) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers: Vec<_> = (0..cores)
        .map(|_| {
            let listener = server::listen(address).expect("the address is free");
            std::thread::spawn(move || {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(async {
                    accept(TcpListener::from_std(listener).expect("a listener")).await;
                });
            })
        })
        .collect();
    for worker in workers {
        worker.join().expect("it does not panic");
    }
}

async fn accept(listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(answer));
            // A client that goes away ends its connection.
            let _ = connection.await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Empty<bytes::Bytes>>, Infallible> {
    // The least that a server can do once it has received the hit.
    let _ = request.into_body().collect().await;
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}
