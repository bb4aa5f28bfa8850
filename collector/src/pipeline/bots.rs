//! Hits without a person behind them: crawlers, AI crawlers, programs, automated browsers, servers.
//!
//! What it promises: each rule has its own reason, so that the data-quality page can show which rule caught
//! what; no user agent of an ordinary browser is caught (measured against npm's `user-agents`).
//! What it refuses: to drop by network alone. People reach sites through VPNs and corporate networks that
//! exit in data centres, so a hosting network counts only together with a sign that no person's browser gives
//! (see [`of_network`]).
//!
//! Names are taken from what the crawlers' operators publish, and from `data/isbot.txt` what catches nobody's browser.

mod names;

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use regex::bytes::{Regex, RegexBuilder};
use sotto_geoip::NetworkKind;
use sotto_schema::outcome::DropReason;

use super::{
    hints::Hints,
    hit::{Headers, Hit},
};

/// What the hit itself says: a remote-controlled browser sets `navigator.webdriver`.
pub fn of_hit(hit: &Hit) -> Option<DropReason> {
    hit.automated.then_some(DropReason::BotAutomated)
}

/// What the user agent and hints say.
pub(super) fn of_headers(
    ua: &str,
    hints: &Hints<'_>,
    in_app: bool,
    is_known_crawler: bool,
) -> Option<DropReason> {
    if AI.is_match(ua) {
        return Some(DropReason::BotAi);
    }
    if AUTOMATED.is_match(ua) || hints.brands.contains("HeadlessChrome") {
        return Some(DropReason::BotAutomated);
    }
    let browser_like = in_app || BROWSER_PREFIXES.iter().any(|prefix| ua.starts_with(prefix));
    let crawler = is_known_crawler
        || has_bot_word(ua)
        || has_spider_word(ua)
        || has_crawler_form(ua)
        || has_no_engine(ua)
        || CRAWLERS.is_match(ua)
        || ISBOT.is_match(ua.as_bytes());
    (crawler || !browser_like).then_some(DropReason::BotUserAgent)
}

/// What the network says. A hit from a hosting network is dropped only if it has no `Accept-Language`, which
/// every browser and few programs send, or if user agent and platform hint name different systems, as with a
/// server-side browser that impersonates another. A person behind a VPN shows neither.
pub fn of_network(kind: NetworkKind, headers: &Headers<'_>) -> Option<DropReason> {
    let hosting = match kind {
        NetworkKind::Hosting => true,
        NetworkKind::Unknown | NetworkKind::Consumer => false,
    };
    (hosting && is_suspicious(headers)).then_some(DropReason::BotNetwork)
}

fn is_suspicious(headers: &Headers<'_>) -> bool {
    // With a claimed user agent, the missing Accept-Language is the sender's own and says nothing about the
    // visitor.
    (!headers.is_claimed && headers.accept_language.trim().is_empty())
        || is_contradictory(headers.user_agent, Hints::of(headers).platform)
}

/// Whether the platform hint names a different system than the user agent. `Linux` with an Android user agent
/// is a phone's "desktop site" mode the other way round and passes.
fn is_contradictory(ua: &str, platform: &str) -> bool {
    match platform {
        "Windows" => !ua.contains("Windows"),
        "macOS" => !ua.contains("Mac"),
        "Linux" => ua.contains("Windows NT") || ua.contains("Macintosh") || ua.contains("iPhone"),
        "Android" => ua.contains("Windows NT") || ua.contains("Macintosh") || ua.contains("iPhone"),
        _ => false,
    }
}

/// Whether the user agent begins as browsers' do and names no engine, as all browsers since 1998 do; or names somebody
/// else where Chrome and Safari end (`KHTML, like Gecko; Google Search Console`).
fn has_no_engine(ua: &str) -> bool {
    let named = || ENGINES.iter().any(|engine| ua.contains(engine));
    (ua.starts_with("Mozilla/5.0") && !named()) || ua.contains("like Gecko; ")
}

/// Whether `bot` ends a word or part of one. Cubot makes phones.
fn has_bot_word(ua: &str) -> bool {
    BOT.find_iter(ua).any(|found| {
        let bytes = ua.as_bytes();
        let ends = bytes.get(found.end()).is_none_or(|b| !b.is_ascii_lowercase());
        let phone = found.start() >= 2 && bytes[found.start() - 2..found.start()].eq_ignore_ascii_case(b"cu");
        ends && !phone
    })
}

/// Whether something calls itself a spider. `; Spider 8` is a phone.
fn has_spider_word(ua: &str) -> bool {
    SPIDER.find_iter(ua).any(|found| {
        let (before, after) = (&ua[..found.start()], &ua[found.end()..]);
        let number =
            after.strip_prefix(' ').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        !(before.ends_with("; ") && number)
    })
}

/// Whether the user agent has the usual form of a crawler's: `compatible`, unless from one of the old
/// browsers that also said so, or a host name or mail address.
fn has_crawler_form(ua: &str) -> bool {
    let compatible = ua.contains("compatible") && !OLD_BROWSERS.iter().any(|name| ua.contains(name));
    let host = |top: &str| ua.match_indices(top).any(|(at, _)| !ends_in_word(ua, at + top.len()));
    let mail =
        ua.match_indices('@').any(|(at, _)| ua[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic()));
    compatible || mail || HOST_ENDS.iter().any(|top| host(top))
}

fn ends_in_word(ua: &str, at: usize) -> bool {
    ua.as_bytes().get(at).is_some_and(|b| b.is_ascii_alphanumeric() || b".-_".contains(b))
}

/// Old browsers that say `compatible`.
const OLD_BROWSERS: [&str; 4] = ["MSIE", "Konqueror", "Opera", "Trident"];
/// Host name suffixes. App package names start with these words but do not end with them.
const HOST_ENDS: [&str; 6] = [".com", ".net", ".org", ".co", ".io", ".de"];

/// Prefixes of browsers' user agents.
const BROWSER_PREFIXES: [&str; 7] = ["Mozilla/", "Opera/", "Dalvik/", "UCWEB", "Nokia", "SAMSUNG", "Roku/"];

/// What browsers that say `Mozilla/5.0` name: their engine, or as old phones do, their maker. Umami's client for servers
/// says it, too, and reports what people do.
const ENGINES: [&str; 21] = [
    "ebKit",
    "ebkit",
    "Gecko",
    "gecko",
    "Trident",
    "MSIE",
    "Opera",
    "Presto",
    "KHTML",
    "NetFront",
    "Obigo",
    "UP.Browser",
    "Symbian",
    "Servo",
    "SAMSUNG",
    "Browser/",
    "Android",
    "Safari/",
    "Firefox/",
    "iPad",
    "Umami/",
];

static BOT: LazyLock<AhoCorasick> = LazyLock::new(|| list(&["bot"]));
static SPIDER: LazyLock<AhoCorasick> = LazyLock::new(|| list(&["spider"]));
static AI: LazyLock<AhoCorasick> = LazyLock::new(|| list(names::AI));
static AUTOMATED: LazyLock<AhoCorasick> = LazyLock::new(|| list(names::AUTOMATED));
static CRAWLERS: LazyLock<AhoCorasick> = LazyLock::new(|| list(names::CRAWLERS));
static ISBOT: LazyLock<Regex> = LazyLock::new(|| {
    let lines = include_str!("../../data/isbot.txt").lines().filter(|line| !line.starts_with('#'));
    one_of(&lines.collect::<Vec<_>>().join("|"))
});

#[expect(clippy::expect_used, reason = "the lists are constant and built by the tests")]
fn list(names: &[&str]) -> AhoCorasick {
    AhoCorasick::builder().ascii_case_insensitive(true).build(names).expect("list of names")
}

#[expect(clippy::expect_used, reason = "the list is constant and built by the tests")]
fn one_of(patterns: &str) -> Regex {
    RegexBuilder::new(patterns).case_insensitive(true).unicode(false).build().expect("list of patterns")
}

#[cfg(test)]
mod tests;
