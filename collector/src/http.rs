//! HTTP in and out: sockets, limits, headers, and serving the script.
//!
//! It knows nothing of hits, sites or ClickHouse.

pub mod script;
pub mod server;
pub mod stack;
