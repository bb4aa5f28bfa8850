//! From referrer and campaign tags to source and channel.
//!
//! What it promises: one source and one channel for every visit; the same for the same words. Campaign tags give the
//! channel of GA4's default channel group. Where its rules leave a visit unassigned, as paid by nobody in particular, or
//! as a referral by an assistant or messenger, ours say more. Facts are in `data/referrers.toml`, `data/click_ids.toml`
//! and `data/referrer_spam.txt`, not here.
//! What it refuses: pages of the same site and pages that visitors are sent to and come back from (payment, sign-in)
//! are no sources.
//! A caller whose visitor does not allow campaign fields passes no tags; then everything comes from the referrer.

pub mod click_ids;
mod facts;

use compact_str::CompactString;
use serde::Deserialize;

use super::sanitise::{self, Tags};
use facts::{FACTS, Kind, Medium, Source};

/// Where a visit came from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attribution {
    /// Name of the source; empty for direct visits and for pages of the same site.
    pub source: CompactString,
    /// Host of the referrer; empty where it is no source.
    pub referrer_host: CompactString,
    /// Path of the referrer, masked; empty where it is no source.
    pub referrer_path: CompactString,
    /// The class of the source.
    pub channel: Channel,
    /// Campaign tags as sent, masked.
    pub tags: Tags,
    /// The referrer is on the spam list.
    pub spam: bool,
}

/// The class of a source. The names are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Typed, bookmarked, or not told.
    #[default]
    Direct,
    /// Search results.
    OrganicSearch,
    /// Advertisements beside search results.
    PaidSearch,
    /// Links in social networks.
    OrganicSocial,
    /// Advertisements in social networks.
    PaidSocial,
    /// Links in videos.
    OrganicVideo,
    /// Advertisements in videos.
    PaidVideo,
    /// Links in shops and price comparisons, and campaigns named after a shop.
    OrganicShopping,
    /// Advertisements in shops and price comparisons.
    PaidShopping,
    /// Answers of AI assistants.
    AiAssistant,
    /// Mail programs and newsletters.
    Email,
    /// Messengers and SMS.
    Messaging,
    /// Notifications of apps and browsers.
    MobilePush,
    /// Other sites.
    Referral,
    /// Other campaigns.
    Campaign,
    /// Banners.
    Display,
    /// Podcasts and radio.
    Audio,
    /// Campaigns that run in several networks at once.
    CrossNetwork,
    /// Affiliate programs.
    Affiliates,
    /// The site itself, or a page that the visitor came back from.
    Internal,
}

impl Channel {
    /// All channels.
    pub const ALL: [Self; 20] = [
        Self::Direct,
        Self::OrganicSearch,
        Self::PaidSearch,
        Self::OrganicSocial,
        Self::PaidSocial,
        Self::OrganicVideo,
        Self::PaidVideo,
        Self::OrganicShopping,
        Self::PaidShopping,
        Self::AiAssistant,
        Self::Email,
        Self::Messaging,
        Self::MobilePush,
        Self::Referral,
        Self::Campaign,
        Self::Display,
        Self::Audio,
        Self::CrossNetwork,
        Self::Affiliates,
        Self::Internal,
    ];

    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::OrganicSearch => "organic_search",
            Self::PaidSearch => "paid_search",
            Self::OrganicSocial => "organic_social",
            Self::PaidSocial => "paid_social",
            Self::OrganicVideo => "organic_video",
            Self::PaidVideo => "paid_video",
            Self::OrganicShopping => "organic_shopping",
            Self::PaidShopping => "paid_shopping",
            Self::AiAssistant => "ai_assistant",
            Self::Email => "email",
            Self::Messaging => "messaging",
            Self::MobilePush => "mobile_push",
            Self::Referral => "referral",
            Self::Campaign => "campaign",
            Self::Display => "display",
            Self::Audio => "audio",
            Self::CrossNetwork => "cross_network",
            Self::Affiliates => "affiliates",
            Self::Internal => "internal",
        }
    }
}

/// Names the source of a visit to a page of `page_host` with the referrer that the browser gave and the tags of the
/// page's URL.
pub fn attribute(page_host: &str, referrer: &str, tags: Tags) -> Attribution {
    let (host, path) = sanitise::referrer(referrer).unwrap_or_default();
    let by_host = if host.is_empty() { None } else { FACTS.by_page(&host, &path) };
    let no_source =
        !host.is_empty() && (is_same_site(page_host, &host) || by_host.is_some_and(Source::is_return));
    let spam = FACTS.is_spam(&host);
    let (host, path, by_host) = if no_source { Default::default() } else { (host, path, by_host) };

    let click = FACTS.click(tags.click_id);
    let tagged = source_of_tag(&tags.source);
    let known = match tagged {
        Some(Tagged::Known(source)) => Some(source),
        Some(Tagged::Unknown) => None,
        // A click identifier that is no payment sticks to links that people copy: the referrer knows better.
        None => by_host.or_else(|| click.filter(|c| c.certain || host.is_empty()).and_then(|c| c.source)),
    };
    let source = match (known, tagged) {
        (Some(source), _) => CompactString::from(source.name.as_str()),
        (None, Some(_)) => tags.source.clone(),
        (None, None) => host.strip_prefix("www.").unwrap_or(&host).into(),
    };
    let has_tags = !(tags.source.is_empty() && tags.medium.is_empty() && tags.campaign.is_empty());
    let kind = known.map(|s| s.kind);
    let channel = if has_tags || click.is_some() {
        campaign_channel(&tags, click, kind, !host.is_empty())
    } else if no_source {
        Channel::Internal
    } else if host.is_empty() {
        Channel::Direct
    } else {
        kind.and_then(organic).unwrap_or(Channel::Referral)
    };
    Attribution { source, referrer_host: host, referrer_path: path, channel, tags, spam }
}

#[derive(Clone, Copy)]
enum Tagged {
    Known(&'static Source),
    Unknown,
}

fn source_of_tag(tag: &str) -> Option<Tagged> {
    if tag.is_empty() {
        return None;
    }
    let tag = tag.to_ascii_lowercase();
    let known = FACTS.by_alias(&tag).or_else(|| if tag.contains('.') { FACTS.by_host(&tag) } else { None });
    Some(known.filter(|s| !s.is_return()).map_or(Tagged::Unknown, Tagged::Known))
}

/// The channel of a visit with campaign tags or a click identifier: GA4's rules in GA4's order.
fn campaign_channel(
    tags: &Tags,
    click: Option<facts::Click>,
    kind: Option<Kind>,
    has_referrer: bool,
) -> Channel {
    let medium = tags.medium.to_ascii_lowercase();
    let campaign = tags.campaign.to_ascii_lowercase();
    let is = |word: Medium| FACTS.is_medium(word, &medium);
    let certain = click.filter(|c| c.certain).map(|c| c.channel);
    let shops = kind == Some(Kind::Shopping) || names_a_shop(&campaign);
    if tags.source.eq_ignore_ascii_case("(direct)") && matches!(&*medium, "(none)" | "(not set)") {
        Channel::Direct
    } else if campaign.contains("cross-network") {
        Channel::CrossNetwork
    } else if medium.is_empty()
        && let Some(channel) = certain
    {
        paid_click(channel, kind)
    } else if is(Medium::Paid) || medium.contains("cp") || medium.starts_with("paid") {
        let by_source = if shops { Some(Channel::PaidShopping) } else { kind.and_then(paid) };
        let by_medium = || if is(Medium::Display) { Some(Channel::Display) } else { paid_by_name(&medium) };
        by_source.or_else(by_medium).or(certain).unwrap_or(Channel::Campaign)
    } else if is(Medium::Display) {
        Channel::Display
    } else if shops {
        Channel::OrganicShopping
    } else if kind == Some(Kind::Social) || is(Medium::Social) {
        Channel::OrganicSocial
    } else if kind == Some(Kind::Video) || medium.contains("video") {
        Channel::OrganicVideo
    } else if kind == Some(Kind::Search) || is(Medium::Search) {
        Channel::OrganicSearch
    } else if let Some(channel) = sent(&medium).or_else(|| kind.and_then(organic)) {
        channel
    } else if is(Medium::Referral) || (has_referrer && tags.source.is_empty() && medium.is_empty()) {
        Channel::Referral
    } else {
        Channel::Campaign
    }
}

/// The channel of a click identifier where no medium is told. A network's advertisements are shown in several places,
/// which the source knows.
fn paid_click(channel: Channel, kind: Option<Kind>) -> Channel {
    match channel {
        Channel::PaidSearch | Channel::PaidSocial | Channel::PaidVideo => {
            kind.and_then(paid).unwrap_or(channel)
        }
        other => other,
    }
}

/// The channel of a paid medium that says where, of a source that does not.
fn paid_by_name(medium: &str) -> Option<Channel> {
    [("social", Channel::PaidSocial), ("search", Channel::PaidSearch), ("video", Channel::PaidVideo)]
        .into_iter()
        .find_map(|(word, channel)| medium.contains(word).then_some(channel))
}

/// The channel of a medium that is sent to people or is on no page.
fn sent(medium: &str) -> Option<Channel> {
    let is = |word: Medium| FACTS.is_medium(word, medium);
    if is(Medium::Email) {
        Some(Channel::Email)
    } else if is(Medium::Affiliates) {
        Some(Channel::Affiliates)
    } else if is(Medium::Audio) {
        Some(Channel::Audio)
    } else if is(Medium::Messaging) {
        Some(Channel::Messaging)
    } else if medium.ends_with("push") || medium.contains("mobile") || medium.contains("notification") {
        Some(Channel::MobilePush)
    } else {
        None
    }
}

/// Whether a campaign in lower case is named after a shop: "shopping", or "shop" behind an "e" or no letter.
fn names_a_shop(campaign: &str) -> bool {
    campaign.match_indices("shop").any(|(at, word)| {
        let (before, from) = campaign.split_at(at);
        from.strip_prefix(word).is_some_and(|rest| rest.starts_with("ping"))
            || !before.ends_with(|c: char| c.is_ascii_lowercase() && c != 'e')
    })
}

fn paid(kind: Kind) -> Option<Channel> {
    match kind {
        Kind::Search | Kind::Ads => Some(Channel::PaidSearch),
        Kind::Social => Some(Channel::PaidSocial),
        Kind::Video => Some(Channel::PaidVideo),
        Kind::Shopping => Some(Channel::PaidShopping),
        Kind::Display => Some(Channel::Display),
        Kind::Ai | Kind::Email | Kind::Messaging | Kind::Push | Kind::Referral | Kind::Return => None,
    }
}

fn organic(kind: Kind) -> Option<Channel> {
    match kind {
        Kind::Search => Some(Channel::OrganicSearch),
        Kind::Social => Some(Channel::OrganicSocial),
        Kind::Video => Some(Channel::OrganicVideo),
        Kind::Shopping => Some(Channel::OrganicShopping),
        Kind::Ads => Some(Channel::PaidSearch),
        Kind::Display => Some(Channel::Display),
        Kind::Ai => Some(Channel::AiAssistant),
        Kind::Email => Some(Channel::Email),
        Kind::Messaging => Some(Channel::Messaging),
        Kind::Push => Some(Channel::MobilePush),
        Kind::Referral => Some(Channel::Referral),
        Kind::Return => None,
    }
}

/// Whether both hosts are the same or under one registrable domain.
fn is_same_site(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || registrable(a).is_some_and(|domain| registrable(b) == Some(domain))
}

/// The part of a host that somebody registered: one label and a public suffix.
pub(crate) fn registrable(host: &str) -> Option<&str> {
    let is_number = host.rsplit('.').next().is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
    if is_number { None } else { psl::domain_str(host) }
}

#[cfg(test)]
mod tests;
