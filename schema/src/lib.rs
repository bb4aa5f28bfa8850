//! What Sotto may store, and where: the data map, events, consent policies, sites, migrations, and the ClickHouse
//! they live in. A leaf of the house: it knows no HTTP request and no address.

pub mod account;
pub mod archive;
pub mod claims;
pub mod cluster;
pub mod datamap;
pub mod db;
pub mod deduplication;
pub mod engine;
pub mod event;
pub mod goal;
pub mod ledger;
pub mod migrate;
pub mod policy;
pub mod privacy;
pub mod retention;
pub mod rights;
pub mod rowbinary;
pub mod site;
