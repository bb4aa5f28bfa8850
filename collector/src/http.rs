//! HTTP in and out: sockets, TLS, limits, headers, and serving the script.
//!
//! **Promises.** Every size, time and number of connections has a limit; no address leaves it except as the
//! [`Peer`](crate::visitor::client_ip::Peer) of a request. It knows nothing of hits, sites or ClickHouse.

mod connection;
pub mod redirect;
pub mod script;
pub mod server;
pub mod stack;
pub mod tls;
