//! From socket to ClickHouse: the road of a hit.

pub mod outcome;
pub mod pipeline;
