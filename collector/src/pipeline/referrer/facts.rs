//! The data files, read once.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use serde::Deserialize;

use super::registrable;

/// What a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Search,
    Social,
    Video,
    Ai,
    Email,
    Messaging,
    Referral,
    Return,
}

/// A source with a name of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) kind: Kind,
    hosts: Vec<String>,
    aliases: Vec<String>,
}

impl Source {
    pub(super) fn is_return(&self) -> bool {
        self.kind == Kind::Return
    }
}

/// What a click identifier tells.
#[derive(Debug)]
pub(super) struct ClickId {
    pub(super) source: Option<&'static Source>,
    pub(super) medium: String,
    pub(super) paid: bool,
}

/// A class of `utm_medium`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Medium {
    Display,
    Affiliates,
    Email,
    Messaging,
    Social,
    Video,
    Search,
    Referral,
    Paid,
}

/// All facts, by what they are asked for with.
pub(super) struct Facts {
    hosts: HashMap<&'static str, &'static Source>,
    names: HashMap<&'static str, &'static Source>,
    aliases: HashMap<&'static str, &'static Source>,
    mediums: HashMap<Medium, HashSet<String>>,
    click_ids: HashMap<String, ClickId>,
    spam: HashSet<&'static str>,
}

impl Facts {
    /// The source that `host` belongs to: the longest match, then the name under any public suffix.
    pub(super) fn by_host(&self, host: &str) -> Option<&'static Source> {
        let mut rest = host;
        loop {
            if let Some(source) = self.hosts.get(rest) {
                return Some(source);
            }
            match rest.split_once('.') {
                Some((_, parent)) => rest = parent,
                None => break,
            }
        }
        let (name, _) = registrable(host)?.split_once('.')?;
        self.names.get(name).copied()
    }

    /// The source that a campaign tag in lower case names.
    pub(super) fn by_alias(&self, tag: &str) -> Option<&'static Source> {
        self.aliases.get(tag).copied()
    }

    pub(super) fn is_medium(&self, class: Medium, medium: &str) -> bool {
        self.mediums.get(&class).is_some_and(|words| words.contains(medium))
    }

    pub(super) fn click_id(&self, name: &str) -> Option<&ClickId> {
        self.click_ids.get(name)
    }

    pub(super) fn is_spam(&self, host: &str) -> bool {
        self.spam.contains(host) || registrable(host).is_some_and(|domain| self.spam.contains(domain))
    }
}

/// The facts of the binary.
#[expect(
    clippy::expect_used,
    reason = "the file is part of the binary and read by every test of this module"
)]
pub(super) static FACTS: LazyLock<Facts> = LazyLock::new(|| {
    let file: File =
        toml::from_str(include_str!("../../../data/referrers.toml")).expect("data/referrers.toml");
    // The facts live as long as the process.
    let sources: &'static [Source] = Box::leak(file.source.into_boxed_slice());
    let mut facts = Facts {
        hosts: HashMap::new(),
        names: HashMap::new(),
        aliases: HashMap::new(),
        mediums: file.mediums,
        click_ids: HashMap::new(),
        spam: include_str!("../../../data/referrer_spam.txt")
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect(),
    };
    for source in sources {
        for host in &source.hosts {
            match host.strip_suffix(".*") {
                Some(name) => facts.names.insert(name, source),
                None => facts.hosts.insert(host, source),
            };
        }
        facts.aliases.extend(source.aliases.iter().map(|alias| (alias.as_str(), source)));
    }
    facts.click_ids = file
        .click_ids
        .into_iter()
        .map(|(name, entry)| {
            let source = sources.iter().find(|s| s.name == entry.source);
            (name, ClickId { source, medium: entry.medium, paid: entry.paid })
        })
        .collect();
    facts
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    source: Vec<Source>,
    mediums: HashMap<Medium, HashSet<String>>,
    click_ids: HashMap<String, ClickIdEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClickIdEntry {
    #[serde(default)]
    source: String,
    #[serde(default)]
    medium: String,
    #[serde(default)]
    paid: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::sanitise::CLICK_IDS;

    #[test]
    fn facts_are_well_formed_and_said_once() {
        let file: File = toml::from_str(include_str!("../../../data/referrers.toml")).unwrap();
        let (mut hosts, mut aliases) = (HashSet::new(), HashSet::new());
        for source in &file.source {
            for host in &source.hosts {
                assert_eq!(*host, host.to_ascii_lowercase());
                assert!(hosts.insert(host), "host twice: {host}");
            }
            for alias in &source.aliases {
                assert_eq!(*alias, alias.to_ascii_lowercase());
                assert!(aliases.insert(alias), "alias twice: {alias}");
            }
        }
        for (name, entry) in &file.click_ids {
            assert!(CLICK_IDS.contains(&name.as_str()), "{name}");
            assert!(entry.source.is_empty() || file.source.iter().any(|s| s.name == entry.source), "{name}");
        }
        for id in CLICK_IDS {
            assert!(file.click_ids.contains_key(id), "{id}");
        }
    }

    #[test]
    fn no_spammer_is_a_source() {
        for host in &FACTS.spam {
            assert!(FACTS.by_host(host).is_none(), "{host}");
        }
    }
}
