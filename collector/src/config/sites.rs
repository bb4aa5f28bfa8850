//! Configuration of sites as the collector needs it per hit: rules, tokens, self-exclusion links. These are
//! copies, each replaced as a whole; the originals are in ClickHouse.

pub mod lookups;
pub mod rules;
pub mod self_exclusion;
pub mod tokens;
