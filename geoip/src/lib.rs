//! From a network address to a place and a network. A leaf crate: it stores nothing and depends on no other
//! crate of ours.
//!
//! What it is for: country, region and city of a hit, and the network it came through.
//! What it promises: a lookup never blocks, never fails and never writes; a broken or missing file is reported and
//! costs only what it would have answered; a file may be replaced at any time, by rename or in place.
//! What it refuses: private, loopback and link-local addresses have no place.
//! Where the proof is: the tests of each module, all on files that they make themselves.
//!
//! Layouts: MaxMind's and DB-IP's nested one, and the flat one of the npm packages `@ip-location-db/*`.

pub mod asn;
mod db;
mod file;
mod kind;
mod live;

#[cfg(test)]
mod fixture;

use compact_str::CompactString;

pub use db::{GeoDb, GeoError, is_private};
pub use file::{Attribution, FileError, FileKind, FileStatus};
pub use live::{GeoIp, Reload};

/// A place as the database names it, in English; parts that it does not know are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// ISO 3166-1 alpha-2 code in upper case.
    pub country: CompactString,
    /// Name of the first subdivision.
    pub region: CompactString,
    /// Name of the city.
    pub city: CompactString,
}

/// The network (autonomous system) an address belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Network {
    /// Number of the autonomous system.
    pub asn: u32,
    /// Name of its operator.
    pub name: CompactString,
    /// What it is used for, as far as its number and name tell.
    pub kind: NetworkKind,
}

/// What a network is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum NetworkKind {
    /// Not clearly one of the others.
    #[default]
    Unknown,
    /// Connects homes and phones.
    Consumer,
    /// Connects servers: data centres and clouds (which VPNs exit from, too).
    Hosting,
}
