//! The public listener: one thread per core, each with its own socket (SO_REUSEPORT) and its own runtime.
//!
//! **Promises.** A client that sends nothing, half a header or half a body is timed out; open connections are
//! bounded per worker (further ones wait in the kernel's queue); a stop drains open requests within a time
//! limit.

use std::{
    convert::Infallible,
    io,
    net::{Shutdown, SocketAddr},
    sync::Arc,
    time::Duration,
};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config,
    http::{connection::Requests, stack::Answer, tls::Tls},
    supervise::prompt,
    visitor::client_ip::Peer,
};

/// Listen backlog: connections the kernel queues before they are accepted.
const BACKLOG: i32 = 4096;
/// Pause after a failed accept (out of file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Limits of a worker.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open connections; further ones wait to be accepted.
    pub connections_max: usize,
    /// Timeout for a request's headers, including idle time between two requests.
    pub header_timeout: Duration,
    /// How long open connections may drain after a stop.
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

/// What a worker needs to know of its connections.
#[derive(Clone)]
pub struct Terms {
    /// Limits.
    pub limits: Limits,
    /// What encrypts; plain without.
    pub tls: Option<Tls>,
}

impl From<&config::Server> for Terms {
    /// Plain connections.
    fn from(config: &config::Server) -> Self {
        Self { limits: config.into(), tls: None }
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

/// An exclusive listening socket, so that a second start on the same port fails.
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

/// The listeners of `count` workers (at least one). The first is the socket that reserved the port, with the
/// connections already queued on it. The port becomes shareable only now, so no other process could join
/// before.
///
/// # Errors
/// When the port cannot be shared.
pub fn share(reserved: std::net::TcpListener, count: usize) -> io::Result<Vec<std::net::TcpListener>> {
    let address = reserved.local_addr()?;
    SockRef::from(&reserved).set_reuse_port(true)?;
    let more = (1..count).map(|_| listen(address));
    std::iter::once(Ok(reserved)).chain(more).collect()
}

/// Runs one worker on the calling thread until `stop`, unless `killed` panics.
///
/// # Errors
/// When the runtime cannot be started.
pub fn run_worker<A: Answer>(
    listener: std::net::TcpListener,
    service: A,
    terms: Terms,
    stop: CancellationToken,
    killed: impl Future<Output = Infallible>,
) -> io::Result<()> {
    prompt();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            () = serve(TcpListener::from_std(listener)?, service, terms, stop) => Ok(()),
            never = killed => match never {},
        }
    })
}

/// Serves connections until `stop`, then drains.
pub async fn serve<A: Answer>(listener: TcpListener, service: A, terms: Terms, stop: CancellationToken) {
    let Terms { limits, tls } = terms;
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(limits.connections_max));
    // Shared: cloning a service with boxed parts per request costs as much as parsing the hit.
    let service = Arc::new(service);
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
                // Out of descriptors, or the client already disconnected. The address is not logged.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection ended before it began");
            continue;
        }
        let requests = Requests {
            service: service.clone(),
            peer: Peer::new(peer.ip()),
            hsts: tls.as_ref().map(|tls| tls.hsts.clone()),
        };
        let (tls, stop) = (tls.clone(), stop.clone());
        connections.spawn(async move {
            connection(stream, requests, tls, limits, stop).await;
            drop(place);
        });
    }
    // Another handle on the socket must not keep it open: new connections are refused at once.
    if let Err(error) = SockRef::from(&listener).shutdown(Shutdown::Read) {
        tracing::debug!(%error, "a listener cannot be shut");
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.drain_timeout, connections.wait()).await.is_err() {
        tracing::warn!(
            open = connections.len(),
            "connections were closed because they did not finish in time"
        );
    }
}

async fn connection<A: Answer>(
    stream: tokio::net::TcpStream,
    requests: Requests<A>,
    tls: Option<Tls>,
    limits: Limits,
    stop: CancellationToken,
) {
    let timeout = limits.header_timeout;
    let Some(tls) = tls else { return requests.serve_http1(stream, timeout, stop).await };
    let accepted = tokio::select! {
        () = stop.cancelled() => return,
        accepted = tls.accept(stream) => accepted,
    };
    match accepted {
        Some(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
            requests.serve_http2(stream, timeout, stop).await;
        }
        Some(stream) => requests.serve_http1(stream, timeout, stop).await,
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::http::stack;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn connection_that_waits_on_the_reserved_listener_is_answered_by_the_workers() {
        let reserved = listen_alone(([127, 0, 0, 1], 0).into()).unwrap();
        let address = reserved.local_addr().unwrap();
        let early = move |n: usize| {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            write!(stream, "GET /{n} HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n").unwrap();
            stream
        };
        // Connections the kernel accepted while the program was still starting.
        let waiting: Vec<_> = (0..8).map(early).collect();
        let service =
            stack::boxed(tower::service_fn(async |_| Ok(stack::text(http::StatusCode::OK, "here\n"))));
        let stop = CancellationToken::new();
        let terms: Terms = (&config::Server::default()).into();
        for listener in share(reserved, 3).unwrap() {
            let listener = TcpListener::from_std(listener).unwrap();
            tokio::spawn(serve(listener, service.clone(), terms.clone(), stop.clone()));
        }
        let answers = tokio::task::spawn_blocking(move || {
            let read = |mut stream: std::net::TcpStream| {
                let mut answer = String::new();
                stream.read_to_string(&mut answer).map(|_| answer)
            };
            waiting.into_iter().chain((8..16).map(early)).map(read).collect::<Vec<_>>()
        });
        for (n, answer) in answers.await.unwrap().into_iter().enumerate() {
            let answer = answer.unwrap_or_else(|error| panic!("connection {n}: {error}"));
            assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("here\n"), "{n}: {answer}");
        }
        stop.cancel();
    }

    #[test]
    fn port_that_workers_share_cannot_be_reserved_by_another_start() {
        let reserved = listen_alone(([127, 0, 0, 1], 0).into()).unwrap();
        let address = reserved.local_addr().unwrap();
        let listeners = share(reserved, 2).unwrap();
        assert_eq!(listeners.len(), 2);
        let error = listen_alone(address).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
