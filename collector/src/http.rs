//! How requests come in and answers go out: sockets, limits, headers, and the script as a file.
//!
//! It knows nothing of hits, sites or ClickHouse.

pub mod script;
pub mod server;
pub mod stack;
