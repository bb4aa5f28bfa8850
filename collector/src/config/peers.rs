//! `[peers]`: the other collectors of this installation.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

use super::{Wrong, first_wrong, some_address};

/// Longest name of a collector, in characters.
pub const NAME_CHARS_MAX: usize = 64;
/// Maximum number of other collectors.
pub const OTHERS_MAX: usize = 255;

/// `[peers]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Peers {
    /// Name of this collector, like "c1", unique among all. Default: none, it is the only one.
    pub name: String,
    /// Address on which it listens for the others; use a private network. Must be set if there are others.
    #[serde(deserialize_with = "some_address")]
    pub listen: Option<std::net::SocketAddr>,
    /// Name and address of each of the others, like `{ c2 = "10.0.0.2:8790" }`. Default: none. Maximum: 255.
    pub others: BTreeMap<String, String>,
    /// File with the shared key: 64 hexadecimal digits, readable by its owner only. Must be set if there are
    /// others.
    pub key_file: Option<PathBuf>,
}

impl Peers {
    pub(super) fn check(&self) -> Option<Wrong> {
        let Self { name, listen, others, key_file } = self;
        let named = |name: &str| {
            (1..=NAME_CHARS_MAX).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let reachable = |address: &str| {
            address
                .rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|p| p > 0))
        };
        let alone = others.is_empty();
        let stranger = others.keys().find(|other| !named(other) || *other == name);
        let lost = others.values().find(|address| !reachable(address));
        first_wrong([
            (
                "peers.name",
                named(name) || (name.is_empty() && alone),
                name,
                "it must be 1 to 64 small letters, digits and hyphens, and each collector must have its own",
            ),
            (
                "peers.others",
                stranger.is_none(),
                &stranger.map_or("", String::as_str),
                "names must be 1 to 64 small letters, digits and hyphens, and not this collector's own",
            ),
            (
                "peers.others",
                lost.is_none(),
                &lost.map_or("", String::as_str),
                "addresses must be like \"10.0.0.2:8790\"",
            ),
            (
                "peers.others",
                !alone || (listen.is_none() && key_file.is_none()),
                &"{}",
                "peers.listen and peers.key_file are for collectors that have others: name them like { c2 = \"10.0.0.2:8790\" }",
            ),
            ("peers.others", others.len() <= OTHERS_MAX, &others.len(), "there may be at most 255"),
            ("peers.listen", alone || listen.is_some(), &"", "it must be set when there are others"),
            ("peers.key_file", alone || key_file.is_some(), &"", "it must be set when there are others"),
        ])
    }
}
