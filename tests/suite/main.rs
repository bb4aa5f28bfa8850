//! Everything that needs the real program, the real ClickHouse or the whole tree.

#![allow(clippy::unwrap_used)] // A test that cannot go on says where.
#![allow(clippy::wildcard_enum_match_arm)] // Of other crates' values, a test names those it expects.
#![allow(clippy::disallowed_methods)] // The harness finds what `make setup` fetched as the program does.

mod accounts;
mod acme;
mod annotations;
mod archive;
mod backup;
mod behaviour;
mod browser;
mod claims;
mod cli;
mod cluster;
mod command_line;
mod consent;
mod dates;
mod details;
mod durability;
mod early;
mod end_to_end;
mod engine;
mod fields;
mod funnels;
mod geoip;
mod goals;
mod house;
mod imports;
mod lookups;
mod lost_answers;
mod mail;
mod management;
mod memory;
mod metrics;
mod naming;
mod order;
mod overlay;
mod peers;
mod people;
mod quality;
mod query;
mod realtime;
mod reports;
mod retention;
mod rights;
mod salts;
mod schema;
mod segments;
mod set_up;
mod settled;
mod sharing;
mod shipping;
mod sites;
mod supervision;
mod tls;
mod trust;
mod two_step;
mod viewers;
mod webhooks;
