//! What people set up, as the collector needs it while hits come in: rules of sites, tokens, links that exclude own
//! visits. Copies that are replaced as a whole; ClickHouse has the originals.

pub mod rules;
pub mod self_exclusion;
pub mod tokens;
