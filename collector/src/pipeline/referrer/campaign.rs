//! From campaign tags and click identifiers to a channel.
//!
//! What it promises: the channel of GA4's default channel group, by its published rules in their order. Where those end in
//! "Paid Other" or "Unassigned", and of assistants, mail senders and messengers, which they call referrals, ours say more.
//! Where the proof is: a table of those rules.

use sotto_schema::referrers::Kind;

use super::{
    Channel, Tags,
    facts::{Click, FACTS, Medium},
};

/// The channel of a visit with campaign tags or a click identifier.
pub(super) fn channel(tags: &Tags, click: Option<Click>, kind: Option<Kind>, has_referrer: bool) -> Channel {
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
    } else if let Some(channel) = sent(&medium).or_else(|| kind.and_then(Kind::channel)) {
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
    let somewhere = matches!(channel, Channel::PaidSearch | Channel::PaidSocial | Channel::PaidVideo);
    kind.filter(|_| somewhere).and_then(paid).unwrap_or(channel)
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

/// The channel of an advertisement in a source of a kind.
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

#[cfg(test)]
mod tests;
