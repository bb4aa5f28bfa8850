//! Everything that needs the real program, the real ClickHouse or the whole tree.

#![allow(clippy::unwrap_used)] // A test that cannot go on says where.

mod accounts;
mod browser;
mod claims;
mod cli;
mod durability;
mod end_to_end;
mod engine;
mod house;
mod reports;
mod schema;
