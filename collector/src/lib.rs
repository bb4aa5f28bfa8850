//! From socket to ClickHouse: the road of a hit, and the jobs that age data.
//!
//! The road, in order: [`http`] accepts and guards, the program dispatches (`sotto/src/serve/routes.rs`), [`ingest`]
//! decodes and keeps by the rules in [`config`], [`visitor`] finds the address and derives the key, [`pipeline`] decides and reduces, [`spool`] makes the
//! hit durable (only then is it acknowledged), [`ship`] inserts it into ClickHouse. Beside it run
//! [`background`], [`archive`], [`acme`] and [`peers`]; [`rights`] serves visitors' requests. All of them share one
//! [`state`] and are watched by [`supervise`].

pub mod acme;
pub mod archive;
pub mod background;
pub mod config;
pub mod http;
pub mod ingest;
pub mod metrics;
pub mod peers;
pub mod pipeline;
pub mod rights;
pub mod ship;
pub mod spool;
pub mod state;
pub mod supervise;
pub mod visitor;
