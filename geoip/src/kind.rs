//! What a network is used for, by its number and its operator's name. The data is in `data/networks.toml`.

use std::{collections::HashSet, sync::LazyLock};

use serde::Deserialize;

use crate::NetworkKind;

/// The kind of the network. A number takes precedence over a name, and hosting over consumer: many operators
/// of both name a subsidiary for their servers.
pub(crate) fn of(asn: u32, name: &str) -> NetworkKind {
    let facts = &*FACTS;
    if facts.hosting_asns.contains(&asn) {
        return NetworkKind::Hosting;
    }
    if facts.consumer_asns.contains(&asn) {
        return NetworkKind::Consumer;
    }
    let words = || name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| w.len() >= 2);
    let named = |set: &HashSet<String>| words().any(|w| set.contains(w.to_ascii_lowercase().as_str()));
    if named(&facts.hosting_words) {
        NetworkKind::Hosting
    } else if named(&facts.consumer_words) {
        NetworkKind::Consumer
    } else {
        NetworkKind::Unknown
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    hosting_asns: HashSet<u32>,
    hosting_words: HashSet<String>,
    consumer_asns: HashSet<u32>,
    consumer_words: HashSet<String>,
}

#[expect(clippy::expect_used, reason = "the file is part of the binary and parsed by a test")]
static FACTS: LazyLock<Facts> =
    LazyLock::new(|| toml::from_str(include_str!("../data/networks.toml")).expect("data/networks.toml"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_and_name_tell_the_kind() {
        for (asn, name, expected) in [
            (16509, "Amazon.com, Inc.", NetworkKind::Hosting),
            (24940, "Hetzner Online GmbH", NetworkKind::Hosting),
            (3320, "Deutsche Telekom AG", NetworkKind::Consumer),
            (7922, "Comcast Cable Communications, LLC", NetworkKind::Consumer),
            (64500, "Example Cloud Hosting B.V.", NetworkKind::Hosting),
            (64500, "EXAMPLE-DATACENTER", NetworkKind::Hosting),
            (64500, "Stadtwerke Broadband", NetworkKind::Consumer),
            (64500, "Universität Musterstadt", NetworkKind::Unknown),
            (64500, "Cloudberry Farms", NetworkKind::Unknown),
            (64500, "", NetworkKind::Unknown),
        ] {
            assert_eq!(of(asn, name), expected, "{asn} {name}");
        }
    }

    #[test]
    fn words_are_lower_case_and_no_fact_is_said_twice() {
        let facts = &*FACTS;
        for word in facts.hosting_words.union(&facts.consumer_words) {
            assert!(word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{word}");
        }
        assert!(facts.hosting_words.is_disjoint(&facts.consumer_words));
        assert!(facts.hosting_asns.is_disjoint(&facts.consumer_asns));
    }
}
