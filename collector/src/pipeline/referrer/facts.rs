//! The data files, read once.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use serde::Deserialize;
use sotto_schema::referrers::{SOURCES, Source, TEXT};

use super::{
    Channel,
    click_ids::{self, CLICK_IDS},
    registrable,
};

/// What a click identifier tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Click {
    pub(super) source: Option<&'static Source>,
    pub(super) channel: Channel,
    /// Somebody paid for the click or sent the mail.
    pub(super) certain: bool,
}

/// A class of `utm_medium`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Medium {
    Display,
    Affiliates,
    Email,
    Messaging,
    Audio,
    Social,
    Search,
    Referral,
    Paid,
}

/// All facts, by what they are asked for with.
pub(super) struct Facts {
    hosts: HashMap<&'static str, &'static Source>,
    pages: Vec<(&'static str, &'static str, &'static Source)>,
    names: HashMap<&'static str, &'static Source>,
    aliases: HashMap<&'static str, &'static Source>,
    mediums: HashMap<Medium, HashSet<String>>,
    clicks: Vec<Click>,
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

    /// The source that a page belongs to: where some pages of a host are another source than the host.
    pub(super) fn by_page(&self, host: &str, path: &str) -> Option<&'static Source> {
        let host = host.strip_prefix("www.").unwrap_or(host);
        let found = self.pages.iter().find(|(of, below, _)| {
            *of == host
                && path.strip_prefix(below).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        found.map(|(_, _, source)| *source).or_else(|| self.by_host(host))
    }

    /// The source that a campaign tag in lower case names.
    pub(super) fn by_alias(&self, tag: &str) -> Option<&'static Source> {
        self.aliases.get(tag).copied()
    }

    pub(super) fn is_medium(&self, class: Medium, medium: &str) -> bool {
        self.mediums.get(&class).is_some_and(|words| words.contains(medium))
    }

    pub(super) fn click(&self, name: &str) -> Option<Click> {
        self.clicks.get(click_ids::position(name)?).copied()
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
    let file: File = toml::from_str(TEXT).expect("data/referrers.toml");
    let sources: &'static [Source] = &SOURCES;
    let mut facts = Facts {
        hosts: HashMap::new(),
        pages: Vec::new(),
        names: HashMap::new(),
        aliases: HashMap::new(),
        mediums: file.mediums,
        clicks: Vec::new(),
        spam: include_str!("../../../data/referrer_spam.txt")
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect(),
    };
    for source in sources {
        for host in &source.hosts {
            if let Some(name) = host.strip_suffix(".*") {
                facts.names.insert(name, source);
            } else if let Some(at) = host.find('/') {
                let (host, path) = host.split_at(at);
                facts.pages.push((host, path, source));
            } else {
                facts.hosts.insert(host, source);
            }
        }
        facts.aliases.extend(source.aliases.iter().map(|alias| (alias.as_str(), source)));
    }
    facts.clicks = CLICK_IDS
        .iter()
        .map(|id| Click {
            source: sources.iter().find(|source| source.name == id.source),
            channel: id.channel,
            certain: id.is_certain(),
        })
        .collect();
    facts
});

/// What the file has besides the sources.
#[derive(Deserialize)]
struct File {
    mediums: HashMap<Medium, HashSet<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_well_formed_and_said_once() {
        let (mut hosts, mut aliases) = (HashSet::new(), HashSet::new());
        for source in SOURCES.iter() {
            for host in &source.hosts {
                assert_eq!(*host, host.to_ascii_lowercase());
                assert!(hosts.insert(host), "host twice: {host}");
            }
            for alias in &source.aliases {
                assert_eq!(*alias, alias.to_ascii_lowercase());
                assert!(aliases.insert(alias), "alias twice: {alias}");
            }
        }
        for id in &*CLICK_IDS {
            assert!(id.source.is_empty() || SOURCES.iter().any(|s| s.name == id.source), "{}", id.name);
        }
    }

    #[test]
    fn no_spammer_is_a_source() {
        for host in &FACTS.spam {
            assert!(FACTS.by_host(host).is_none(), "{host}");
        }
    }
}
