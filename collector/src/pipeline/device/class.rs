//! Classes of devices.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use sotto_schema::event::Device;
use woothee::parser::WootheeResult;

use crate::pipeline::hints::Hints;

/// The class of the device of a user agent and its hints.
pub(super) fn of(ua: &str, hints: &Hints<'_>, system: &str, fallback: Option<&WootheeResult<'_>>) -> Device {
    let told = by_token(ua, system).unwrap_or_else(|| by_category(fallback));
    match hints.mobile {
        Some(true) if told != Device::Tablet && told != Device::Wearable => Device::Mobile,
        Some(false) if told == Device::Mobile && system == "Android" => Device::Tablet,
        Some(_) | None => told,
    }
}

fn by_token(ua: &str, system: &str) -> Option<Device> {
    let has = |token: &str| ua.contains(token);
    match system {
        "Xbox" | "PlayStation" | "Nintendo" => return Some(Device::Console),
        "tvOS" | "VIDAA" | "Roku" => return Some(Device::Tv),
        "watchOS" => return Some(Device::Wearable),
        _ if has("iPad") => return Some(Device::Tablet),
        _ if WEARABLE.iter().any(|t| has(t)) => return Some(Device::Wearable),
        _ if CAR.iter().any(|t| has(t)) => return Some(Device::Car),
        _ if !has("Mobile Safari") && TV.is_match(ua) => return Some(Device::Tv),
        _ => {}
    }
    match system {
        "iOS" | "Windows Phone" | "KaiOS" | "BlackBerry" | "Symbian" => Some(Device::Mobile),
        "Android" | "HarmonyOS" if has("Tablet") || has("tablet") => Some(Device::Tablet),
        "Android" | "HarmonyOS" => {
            let mobile = has("Mobile") || has("mobile") || has("Opera Mini") || has("Opera Mobi");
            Some(if mobile || has("Phone;") { Device::Mobile } else { Device::Tablet })
        }
        "Tizen" | "webOS" => Some(if has("Mobile") { Device::Mobile } else { Device::Tv }),
        "Windows" | "macOS" | "Linux" | "ChromeOS" | "FreeBSD" | "OpenBSD" => Some(Device::Desktop),
        _ => None,
    }
}

fn by_category(fallback: Option<&WootheeResult<'_>>) -> Device {
    match fallback.map(|r| r.category) {
        Some("mobilephone" | "smartphone") => Device::Mobile,
        Some("pc") => Device::Desktop,
        Some("appliance") => Device::Console,
        Some(_) | None => Device::Unknown,
    }
}

const WEARABLE: [&str; 5] = ["Quest", "OculusBrowser", "Apple Watch", "Wear OS", "SM-R9"];
const CAR: [&str; 5] = ["QtCarBrowser", "Tesla/", "Android Automotive", "Polestar", "CarPlay"];

/// Names of television sets, boxes and their systems.
#[expect(clippy::expect_used, reason = "the list is constant and built by every test of this module")]
static TV: LazyLock<AhoCorasick> = LazyLock::new(|| AhoCorasick::new(TV_TOKENS).expect("list of tokens"));

#[rustfmt::skip]
const TV_TOKENS: &[&str] = &[
    "SmartTV", "SMART-TV", "Smart-TV", "Smart TV", "HbbTV", "GoogleTV", "Google TV", "Android TV", "AndroidTV", "BRAVIA", "NetCast",
    "NETTV", "Tizen; TV", "Tizen 2.", "Web0S", "WebOS; Linux/SmartTV", "webOS.TV", "CrKey", "AFT", "DTV", "ADT-",
    "MIBOX", "Mi Box", "TV Box", "Viera", "AQUOS", "InettvBrowser", "Chromecast", "SmartHub", " TV ", " TV)", " TV;",
    "STB", "TCL TV", "Large Screen", "Maple", "Foxxum", "Opera TV", "DuneHD", "VIERA", "OMI/", "VSTVB", "VIZIO",
    "ViziOS", "Vestel", "Smart Box", "_TV", "-TV", "BeyondTV", "KIVI", "Rombica", "Hisense", "Philips",
];
