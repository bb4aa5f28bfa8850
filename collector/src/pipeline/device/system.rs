//! Operating systems.

use compact_str::CompactString;

use super::{after, major};
use crate::pipeline::hints::Hints;

/// An operating system that was recognised.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct System {
    pub(super) name: &'static str,
    pub(super) version: CompactString,
}

/// The operating system of a user agent and its hints.
pub(super) fn of(ua: &str, hints: &Hints<'_>) -> System {
    let name = by_hint(hints.platform).filter(|hinted| !is_finer(ua, hinted)).unwrap_or_else(|| by_token(ua));
    let version = match name {
        "Windows" => windows(ua, hints),
        "iOS" => ios(ua),
        "Android" => android(ua, hints),
        "macOS" => macos(ua, hints),
        "HarmonyOS" => harmony(ua),
        _ => CompactString::default(),
    };
    System { name, version }
}

fn by_hint(platform: &str) -> Option<&'static str> {
    match platform {
        "Windows" => Some("Windows"),
        "macOS" => Some("macOS"),
        "Android" => Some("Android"),
        "Chrome OS" | "Chromium OS" => Some("ChromeOS"),
        "Linux" => Some("Linux"),
        "iOS" => Some("iOS"),
        _ => None,
    }
}

/// Whether the user agent names a derivative of the hinted system.
fn is_finer(ua: &str, hinted: &str) -> bool {
    let told = by_token(ua);
    match hinted {
        "Android" => told == "HarmonyOS",
        "Linux" => matches!(told, "Tizen" | "webOS" | "KaiOS"),
        _ => false,
    }
}

/// The first matching token, specific before generic.
fn by_token(ua: &str) -> &'static str {
    TOKENS.iter().find(|(token, _)| names(ua, token)).map_or("", |(_, name)| name)
}

/// Whether the user agent has a token. Apple's are words: other makers have an inoiPad and a TechniPhone.
fn names(ua: &str, token: &str) -> bool {
    let is_word = |at: usize| !ua[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
    ua.match_indices(token).any(|(at, _)| !token.starts_with("iP") || is_word(at))
}

const TOKENS: [(&str, &str); 40] = [
    ("Windows Phone", "Windows Phone"),
    ("Xbox", "Xbox"),
    ("Nintendo", "Nintendo"),
    ("Windows", "Windows"),
    ("like Mac OS X", "iOS"),
    ("iPhone", "iOS"),
    ("iPad", "iOS"),
    ("iPod", "iOS"),
    ("AppleTV", "tvOS"),
    ("Apple TV", "tvOS"),
    ("watchOS", "watchOS"),
    ("CFNetwork/", "iOS"),
    ("CrOS ", "ChromeOS"),
    ("OpenHarmony", "HarmonyOS"),
    ("HarmonyOS", "HarmonyOS"),
    ("Harmony", "HarmonyOS"),
    ("Tizen", "Tizen"),
    ("Web0S", "webOS"),
    ("webOS", "webOS"),
    ("hpwOS", "webOS"),
    ("KAIOS", "KaiOS"),
    ("KaiOS", "KaiOS"),
    ("VIDAA", "VIDAA"),
    ("Roku", "Roku"),
    ("Android", "Android"),
    ("; Adr ", "Android"),
    ("PlayStation", "PlayStation"),
    ("PLAYSTATION", "PlayStation"),
    ("BlackBerry", "BlackBerry"),
    ("BB10", "BlackBerry"),
    ("Mac OS X", "macOS"),
    ("Macintosh", "macOS"),
    ("Darwin", "macOS"),
    ("FreeBSD", "FreeBSD"),
    ("OpenBSD", "OpenBSD"),
    ("Fuchsia", "Fuchsia"),
    ("Ubuntu", "Linux"),
    ("Linux", "Linux"),
    ("Series40", "Symbian"),
    ("X11", "Linux"),
];

/// Windows 11 reports 10 in the user agent; its platform version hint is 13 or higher.
fn windows(ua: &str, hints: &Hints<'_>) -> CompactString {
    if let Ok(platform) = major(hints.platform_version).parse::<u32>() {
        return CompactString::const_new(match platform {
            13.. => "11",
            1..=12 => "10",
            0 if hints.platform_version.starts_with("0.3") => "8.1",
            0 if hints.platform_version.starts_with("0.2") => "8",
            0 => "7",
        });
    }
    let nt = after(ua, "Windows NT ").unwrap_or_default();
    let known =
        [("10.", "10/11"), ("6.3", "8.1"), ("6.2", "8"), ("6.1", "7"), ("6.0", "Vista"), ("5.", "XP")];
    known.iter().find(|(token, _)| nt.starts_with(token)).map_or("", |(_, name)| name).into()
}

/// Safari 26 and later freeze the system version at 18, but there the browser's version equals the system's.
/// Apps report it separately.
fn ios(ua: &str) -> CompactString {
    for token in ["; iOS ", ";FBSV/", " iOS/"] {
        let version = after(ua, token).map(major).unwrap_or_default();
        if !version.is_empty() {
            return version;
        }
    }
    let told = after(ua, " OS ").map(major).unwrap_or_default();
    let safari = after(ua, "Version/").map(major).unwrap_or_default();
    let frozen = told == "18" && safari.parse::<u32>().is_ok_and(|v| v >= 26);
    if frozen { safari } else { told }
}

/// Chrome freezes the version at 10 and the model at `K`.
fn android(ua: &str, hints: &Hints<'_>) -> CompactString {
    if !hints.platform_version.is_empty() {
        return major(hints.platform_version);
    }
    if ua.contains("Android 10; K)") {
        return CompactString::default();
    }
    after(ua, "Android")
        .or_else(|| after(ua, "; Adr"))
        .map(|rest| major(rest.trim_start_matches([' ', '-', '/'])))
        .unwrap_or_default()
}

/// Every browser freezes the version at 10.15 (Safari at 10_15_7, Firefox at 10.15).
fn macos(ua: &str, hints: &Hints<'_>) -> CompactString {
    if !hints.platform_version.is_empty() {
        return major(hints.platform_version);
    }
    let told = after(ua, "Mac OS X ").unwrap_or_default();
    match told.strip_prefix("10_").or_else(|| told.strip_prefix("10.")) {
        Some(rest) if major(rest) == "15" => CompactString::default(),
        Some(rest) => compact_str::format_compact!("10.{}", major(rest)),
        None => major(told),
    }
}

fn harmony(ua: &str) -> CompactString {
    ["OpenHarmony ", "HarmonyOS ", "HarmonyOS/"]
        .iter()
        .find_map(|token| after(ua, token))
        .map(major)
        .unwrap_or_default()
}
