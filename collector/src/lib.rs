//! From socket to ClickHouse: the road of a hit, and the jobs that age data.
//!
//! The road, in order: [`server`] accepts, [`stack`] guards, [`routes`] reads, [`client_ip`] finds the address,
//! [`pipeline`] decides and reduces, [`spool`] makes durable (and only then is the hit answered), [`ship`] brings it
//! into ClickHouse. Beside it, [`jobs`] and [`admin`].

pub mod admin;
pub mod archive;
pub mod backups;
pub mod client_ip;
pub mod clock;
pub mod config;
pub mod exclude;
pub mod jobs;
pub mod metrics;
pub mod objections;
pub mod outcome;
pub mod peers;
pub mod pipeline;
pub mod routes;
pub mod rules;
pub mod salts;
pub mod server;
pub mod sessions;
pub mod ship;
pub mod spool;
pub mod spools;
pub mod stack;
pub mod throttle;
pub mod tokens;
pub mod unmapped;
pub mod views;
