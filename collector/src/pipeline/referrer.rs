//! From referrer and campaign tags to source and channel.
//!
//! What it promises: one source and one channel for every visit; the same for the same words. Facts are in
//! `schema/data/referrers.toml`, `data/click_ids.toml` and `data/referrer_spam.txt`, not here.
//! What it refuses: pages of the same site and pages that visitors are sent to and come back from (payment, sign-in)
//! are no sources.
//! A caller whose visitor does not allow campaign fields passes no tags; then everything comes from the referrer.

mod campaign;
pub mod click_ids;
mod facts;

use compact_str::CompactString;

pub use sotto_schema::channel::Channel;
use sotto_schema::referrers::{Kind, Source};

use super::sanitise::{self, Tags};
use facts::FACTS;

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

/// Names the source of a visit to a page of `page_host` with the referrer that the browser gave and the tags of the
/// page's URL.
pub fn attribute(page_host: &str, referrer: &str, tags: Tags) -> Attribution {
    let (host, path) = sanitise::referrer(referrer).unwrap_or_default();
    let by_host = if host.is_empty() { None } else { FACTS.by_page(&host, &path) };
    let no_source = !host.is_empty() && (is_same_site(page_host, &host) || by_host.is_some_and(is_return));
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
        campaign::channel(&tags, click, kind, !host.is_empty())
    } else if no_source {
        Channel::Internal
    } else if host.is_empty() {
        Channel::Direct
    } else {
        kind.and_then(Kind::channel).unwrap_or(Channel::Referral)
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
    Some(known.filter(|s| !is_return(s)).map_or(Tagged::Unknown, Tagged::Known))
}

/// Whether visitors are sent there and come back, so that it is no source.
fn is_return(source: &Source) -> bool {
    source.kind == Kind::Return
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
