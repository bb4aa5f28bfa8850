//! Names of sources, channels, campaigns, networks and links of raw events, as reports show them: texts of expressions on
//! `events AS e`.
//!
//! Of a visitor who is counted anonymously the bare referring host is stored, and of one who did not agree to marketing
//! neither channel nor campaign is. What follows from what is stored is derived here when it is asked for: the host's name
//! among [`SOURCES`], and the channel of that name. What does not follow has the value [`NOT_MEASURED`]: the source of an
//! anonymous pageview without a referrer, which may be the tenth of its visit, and whether there was a campaign.

use std::sync::LazyLock;

use sotto_schema::{
    channel::Channel,
    dimension::NOT_MEASURED,
    referrers::{Kind, SOURCES, Source},
};

/// Where the page was linked from.
pub(super) static SOURCE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "multiIf(e.source != '', toString(e.source), e.referrer_host != '', {}, e.session = 0, '{NOT_MEASURED}', '')",
        name_of_host()
    )
});

/// The channel of that source. The name tells it, and of a company with several, such as search and advertisements, the
/// host does.
pub(super) static CHANNEL: LazyLock<String> = LazyLock::new(|| {
    let alone = |source: &Source| SOURCES.iter().filter(|other| other.name == source.name).count() == 1;
    let kept = || SOURCES.iter().filter(|source| source.kind != Kind::Return);
    let channel = |source: &'static Source| source.kind.channel().unwrap_or_default().name();
    let by_name = kept().filter(|source| alone(source)).map(|source| (source.name.as_str(), channel(source)));
    let (names, channels) = by_name
        .chain([("", Channel::Direct.name()), (NOT_MEASURED, NOT_MEASURED)])
        .unzip::<_, _, Vec<_>, Vec<_>>();
    let by_host = kept()
        .filter(|source| !alone(source))
        .flat_map(|source| source.hosts.iter().map(move |host| (host.as_str(), channel(source))));
    format!(
        "if(e.channel != '', toString(e.channel), transform({}, {}, {}, {}))",
        *SOURCE,
        list(&names),
        list(&channels),
        of_host(by_host, &format!("'{}'", Channel::Referral.name())),
    )
});

/// A field of the campaign. Every hit of a visitor of whom campaigns are kept has a channel.
pub(super) fn of_campaign(field: &str) -> String {
    format!("if({field} = '' AND e.channel = '', '{NOT_MEASURED}', toString({field}))")
}

/// The network, by its name or else its number. It is kept of those who agreed to analytics, unless the site's policy keeps
/// it of others as well: then they have one.
pub(super) static NETWORK: LazyLock<String> = LazyLock::new(|| {
    format!(
        "multiIf(e.network != '', toString(e.network), e.asn != 0, concat('AS', toString(e.asn)), {AGREED}, '', '{NOT_MEASURED}')"
    )
});

/// The kind of that network.
pub(super) static NETWORK_KIND: LazyLock<String> = LazyLock::new(|| {
    format!(
        "multiIf(e.network_kind != 'unknown', toString(e.network_kind), e.asn != 0 OR {AGREED}, '', '{NOT_MEASURED}')"
    )
});

/// Whether the visitor agreed to analytics.
const AGREED: &str = "bitAnd(e.granted, 4) != 0";

/// Names of events of links to other sites, in lower case: that of our script, and those which senders to Matomo and
/// Plausible give.
pub(super) const OUTBOUND: [&str; 3] = ["outbound", "outbound link", "outbound link: click"];
/// Names of events of downloads.
pub(super) const DOWNLOAD: [&str; 2] = ["download", "file download"];

/// The address of the link that an event of these names is about; none of other hits. Without consent to analytics the event
/// is kept and the address is not.
pub(super) fn link_of(events: &[&str]) -> String {
    format!(
        "multiIf(e.kind != 'custom' OR NOT has({}, lower(toString(e.name))), '', e.props['url'] != '', e.props['url'], '{NOT_MEASURED}')",
        list(events)
    )
}

/// The name of `e.referrer_host`; its own where it has none.
fn name_of_host() -> String {
    let kept = SOURCES.iter().filter(|source| source.kind != Kind::Return);
    let names =
        kept.flat_map(|source| source.hosts.iter().map(move |host| (host.as_str(), source.name.as_str())));
    let own =
        "if(startsWith(e.referrer_host, 'www.'), substring(e.referrer_host, 5), toString(e.referrer_host))";
    of_host(names, own)
}

/// What is said of `e.referrer_host`, among pairs of hosts and what is said of them: of the longest host that it is or is
/// below, then of its registered name under any public suffix, then `else`.
fn of_host<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>, otherwise: &str) -> String {
    // Of some hosts single pages are another source; no page is stored of an anonymous pageview.
    let (anywhere, exact): (Vec<_>, Vec<_>) =
        pairs.filter(|(host, _)| !host.contains('/')).partition(|(host, _)| host.ends_with(".*"));
    let (hosts, said) = exact.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
    let (names, said_of_names) = anywhere
        .into_iter()
        .map(|(host, said)| (host.trim_end_matches(".*"), said))
        .unzip::<_, _, Vec<_>, Vec<_>>();
    format!(
        "arrayFirst(said -> said != '', arrayPushBack(arrayPushBack(
    arrayMap(host -> transform(host, {}, {}, ''), arrayMap(
        n -> arrayStringConcat(arraySlice(splitByChar('.', toString(e.referrer_host)), n), '.'),
        range(1, 1 + length(splitByChar('.', toString(e.referrer_host)))))),
    transform(firstSignificantSubdomain(concat('https://', toString(e.referrer_host))), {}, {}, '')), {otherwise}))",
        list(&hosts),
        list(&said),
        list(&names),
        list(&said_of_names),
    )
}

/// An array of texts. They are those of the facts, not what people type.
fn list(texts: &[&str]) -> String {
    let quoted: Vec<String> =
        texts.iter().map(|text| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))).collect();
    format!("[{}]", quoted.join(","))
}
