//! The public listener: one thread per core, each with its own socket (SO_REUSEPORT) and its own runtime.
//!
//! **Promises.** A client that sends nothing, half a header or half a body is closed in time; open connections are
//! bounded per worker (more wait in the kernel's queue); a stop drains what is under way within a bound.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config,
    http::stack::{Answer, Response},
    visitor::client_ip::Peer,
};

/// Connections the kernel may hold for us before they are accepted.
const BACKLOG: i32 = 4096;
/// How long to wait after the system could not accept (out of file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Limits of a worker.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open connections; more wait to be accepted.
    pub connections_max: usize,
    /// How long a client may take for a request's headers, also between two requests.
    pub header_timeout: Duration,
    /// How long open connections may go on after a stop.
    pub drain_timeout: Duration,
}

impl From<&config::Server> for Limits {
    fn from(config: &config::Server) -> Self {
        Self {
            connections_max: config.connections_max,
            header_timeout: config.header_timeout.unsigned_abs(),
            drain_timeout: config.drain_timeout.unsigned_abs(),
        }
    }
}

/// A listening socket that shares its port with other workers.
///
/// # Errors
/// When the address cannot be bound.
pub fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A listening socket nobody else may share, so that a second start on the same port fails.
///
/// # Errors
/// When the address cannot be bound.
pub fn listen_alone(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Runs one worker on the calling thread until `stop`.
///
/// # Errors
/// When the runtime cannot be started.
pub fn run_worker<A: Answer>(
    listener: std::net::TcpListener,
    service: A,
    limits: Limits,
    stop: CancellationToken,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        serve(TcpListener::from_std(listener)?, service, limits, stop).await;
        Ok(())
    })
}

/// Serves connections until `stop`, then drains.
pub async fn serve<A: Answer>(listener: TcpListener, service: A, limits: Limits, stop: CancellationToken) {
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(limits.connections_max));
    loop {
        let place = tokio::select! {
            () = stop.cancelled() => break,
            place = places.clone().acquire_owned() => place,
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or the client was gone again. The address is not logged.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection ended before it began");
            continue;
        }
        let (service, stop) = (service.clone(), stop.clone());
        let peer = Peer::new(peer.ip());
        connections.spawn(async move {
            connection(stream, peer, service, limits, stop).await;
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.drain_timeout, connections.wait()).await.is_err() {
        tracing::warn!(open = connections.len(), "connections were cut because they did not end in time");
    }
}

async fn connection<A: Answer>(
    stream: tokio::net::TcpStream,
    peer: Peer,
    service: A,
    limits: Limits,
    stop: CancellationToken,
) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let service = service.clone();
        async move { Ok::<Response, Infallible>(service.answer(request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Clients go away and send garbage all the time; hyper has answered where an answer is possible.
        tracing::trace!(%error, "a connection ended with an error");
    }
}
