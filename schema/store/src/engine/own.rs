//! Connections to the embedded server, and to nobody who took its port.
//!
//! When the server is killed, its port is free for anybody on this machine until it runs again. Another user's program that
//! listens there would be sent the password and hits, and could answer that they are stored. So before anything is sent, the
//! kernel is asked whose the listening socket is (`/proc/net/tcp`, proc_pid_net(5)). Programs of our own user are not told
//! apart: they can read the password from our files anyway.
//!
//! Proof: `stranger_on_the_port_of_a_killed_server_is_told_nothing` in `tests/suite/engine.rs`.

use std::{
    fs, io,
    net::Ipv4Addr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use clickhouse::Client;
use http::Uri;
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::{net::TcpStream, task::spawn_blocking};
use tower::{BoxError, Service};

/// How long an unused connection is kept: shorter than the server keeps it.
const IDLE: Duration = Duration::from_secs(2);
/// The state of a listening socket in the kernel's table.
const LISTENS: &str = "0A";

/// A client that talks to programs of our own user only.
pub(crate) fn client() -> Client {
    let connector = Connector(HttpConnector::new());
    let http = legacy::Client::builder(TokioExecutor::new()).pool_idle_timeout(IDLE).build(connector);
    Client::with_http_client(http)
}

#[derive(Clone)]
struct Connector(HttpConnector);

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let port = uri.port_u16().unwrap_or_default();
        let connecting = self.0.call(uri);
        Box::pin(async move {
            let stream = connecting.await?;
            spawn_blocking(move || check(port)).await??;
            Ok(stream)
        })
    }
}

/// Checks that a program of our own user listens on that port of 127.0.0.1.
fn check(port: u16) -> io::Result<()> {
    let table = fs::read_to_string("/proc/net/tcp")?;
    let own = rustix::process::geteuid().as_raw();
    let listeners = listeners(&table, port);
    if listeners.is_empty() || listeners.iter().any(|user| *user != own) {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "another user's program answers on the port of the embedded ClickHouse; nothing was sent",
        ));
    }
    Ok(())
}

/// The users who listen on that port, at 127.0.0.1 or all addresses.
fn listeners(table: &str, port: u16) -> Vec<u32> {
    // Addresses are printed as the numbers that they are in memory.
    let at = |address: Ipv4Addr| format!("{:08X}:{port:04X}", u32::from_ne_bytes(address.octets()));
    let places = [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED].map(at);
    let user = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, state, _, _, _, user, ..] = fields[..] else { return None };
        (state == LISTENS && places.iter().any(|place| place == local)).then(|| user.parse().ok())?
    };
    table.lines().filter_map(user).collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn users_who_listen_on_a_port_are_found() {
        let line = |local: &str, state: &str, user: u32| {
            format!(
                "   0: {local} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 {user:>5}        0 6156711 1 00000000cc6fca30 100 0 0 10 0\n"
            )
        };
        let loopback = format!("{:08X}", u32::from_ne_bytes([127, 0, 0, 1]));
        let at = |address: &str, port: &str| format!("{address}:{port}");
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
        for (lines, expected) in [
            (String::new(), vec![]),
            (line(&at(&loopback, "1F90"), "0A", 7), vec![7]),
            (line(&at("00000000", "1F90"), "0A", 7), vec![7]),
            (line(&at(&loopback, "1F90"), "0A", 7) + &line(&at("00000000", "1F90"), "0A", 8), vec![7, 8]),
            (line(&at(&loopback, "1F91"), "0A", 7), vec![]),
            (line(&at(&loopback, "1F90"), "01", 7), vec![]),
            ("garbage\n".into(), vec![]),
        ] {
            assert_eq!(listeners(&format!("{head}{lines}"), 8080), expected, "{lines}");
        }
    }

    #[test]
    fn own_listener_is_known_and_a_port_without_one_is_refused() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        check(port).unwrap();
        drop(listener);
        assert_eq!(check(port).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
