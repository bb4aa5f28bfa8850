//! The ClickHouse in which Sotto keeps what [`sotto_schema`] allows: how it is reached or started, its tables
//! and migrations, and everything stored besides events: accounts, sites, goals, funnels, segments, annotations, the audit log, the ledger of
//! salts.
//!
//! It knows no HTTP request of a visitor and no address.

pub mod account;
pub mod annotation;
pub mod audit;
pub mod backup;
pub mod cluster;
pub mod db;
pub mod deduplication;
pub mod engine;
pub mod error_code;
pub mod funnel;
pub mod goal;
pub mod hook;
pub mod ledger;
pub mod migrate;
pub mod patience;
pub mod private_file;
pub mod releases;
pub mod retention;
pub mod rights;
pub mod segment;
pub mod settled;
pub mod sharing;
pub mod sites;
pub mod subscription;
