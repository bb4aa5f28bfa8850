//! From socket to ClickHouse: the road of a hit.

pub mod client_ip;
pub mod outcome;
pub mod pipeline;
