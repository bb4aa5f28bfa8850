//! The sites that refer, of `data/referrers.toml`: their names, kinds and hosts.
//!
//! Facts only. The collector attributes visits with them; reports name with them what was stored as a bare host, and
//! derive the channel of visits of which no campaign was kept.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::channel::Channel;

/// The text of the file; the collector reads the words of campaigns from it, too.
pub const TEXT: &str = include_str!("../data/referrers.toml");

/// What a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Search engines.
    Search,
    /// Social networks.
    Social,
    /// Videos.
    Video,
    /// Shops and price comparisons.
    Shopping,
    /// Advertisements beside search results.
    Ads,
    /// All other advertisements.
    Display,
    /// AI assistants.
    Ai,
    /// Mail programs.
    Email,
    /// Messengers.
    Messaging,
    /// Notifications.
    Push,
    /// Other sites.
    Referral,
    /// Pages that visitors are sent to and come back from: no source.
    Return,
}

impl Kind {
    /// The channel of a link that nobody paid for or tagged; `None` where there is no source.
    pub const fn channel(self) -> Option<Channel> {
        match self {
            Self::Search => Some(Channel::OrganicSearch),
            Self::Social => Some(Channel::OrganicSocial),
            Self::Video => Some(Channel::OrganicVideo),
            Self::Shopping => Some(Channel::OrganicShopping),
            Self::Ads => Some(Channel::PaidSearch),
            Self::Display => Some(Channel::Display),
            Self::Ai => Some(Channel::AiAssistant),
            Self::Email => Some(Channel::Email),
            Self::Messaging => Some(Channel::Messaging),
            Self::Push => Some(Channel::MobilePush),
            Self::Referral => Some(Channel::Referral),
            Self::Return => None,
        }
    }
}

/// A source with a name of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its hosts, as described in the file.
    pub hosts: Vec<String>,
    /// What campaign tags call it, in lower case.
    pub aliases: Vec<String>,
}

/// All sources, in the order of the file.
#[expect(
    clippy::expect_used,
    reason = "the file is part of the binary and read by every test of this module"
)]
pub static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let file: File = toml::from_str(TEXT).expect("data/referrers.toml");
    file.source
});

#[derive(Deserialize)]
struct File {
    source: Vec<Source>,
}
