//! Classes of devices.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use sotto_schema::event::Device;
use woothee::parser::WootheeResult;

use super::model;
use crate::pipeline::hints::Hints;

/// Systems whose user agents name the model.
const ANDROIDS: [&str; 2] = ["Android", "HarmonyOS"];

/// What Apple's own client names on computers; on phones and tablets it names no processor.
const MAC_PROCESSORS: [&str; 3] = ["(x86_64)", "(i386)", "(Power%20Macintosh)"];

/// What only phones say that are older than smartphones, or whose browser hides the system.
#[rustfmt::skip]
const PHONE_TOKENS: [&str; 23] = [
    "UCWEB/", "MIDP", "CLDC", "UP.Browser", "MAUI", "Nokia", "NOKIA", "SonyEricsson", "Bada/", "PalmOS", "dv(iPh", "IEMobile", "wds ", "WPDesktop",
    "Windows CE", "Symb", "J2ME", "Opera Mini", "Obigo", "NetFront", "WAP-Browser", "; ARM; Lumia", "bada/",
];

/// The class of the device of a user agent and its hints.
pub(super) fn of(ua: &str, hints: &Hints<'_>, system: &str, fallback: Option<&WootheeResult<'_>>) -> Device {
    let told = by_token(ua, system).unwrap_or_else(|| by_category(fallback));
    let told = if matches!(told, Device::Mobile | Device::Tablet) && ANDROIDS.contains(&system) {
        model::class(ua, told).unwrap_or(told)
    } else if ua.contains("CFNetwork/") && MAC_PROCESSORS.iter().any(|token| ua.contains(token)) {
        Device::Desktop
    } else if matches!(told, Device::Desktop | Device::Unknown)
        && PHONE_TOKENS.iter().any(|token| ua.contains(token))
    {
        Device::Mobile
    } else {
        told
    };
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
        "iOS" if has("iPad") => return Some(Device::Tablet),
        _ if WEARABLE.iter().any(|t| has(t)) => return Some(Device::Wearable),
        _ if is_fire_tablet(ua) && has("Silk") => return Some(Device::Tablet),
        _ if CAR.iter().any(|t| has(t)) => return Some(Device::Car),
        _ if TV_SYSTEMS.iter().any(|t| has(t)) => return Some(Device::Tv),
        _ if TV_MODELS.iter().any(|t| has(t)) => return Some(Device::Tv),
        _ if !has("Mobile Safari") && TV.is_match(ua) => return Some(Device::Tv),
        _ => {}
    }
    match system {
        "iOS" | "Windows Phone" | "KaiOS" | "BlackBerry" | "Symbian" => Some(Device::Mobile),
        "Android" | "HarmonyOS" if has("Tablet") || has("tablet") || is_tablet_model(ua) => {
            Some(Device::Tablet)
        }
        // Folded out, they ask for pages as tablets do.
        "Android" if has("SM-F9") || has("SM-F7") => Some(Device::Mobile),
        "Android" | "HarmonyOS" => {
            let mobile = has("Mobile") || has("mobile") || has("Opera Mini") || has("Opera Mobi");
            // Android's own client names the model only.
            Some(if mobile || has("Phone;") || ua.starts_with("Dalvik/") {
                Device::Mobile
            } else {
                Device::Tablet
            })
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

/// Models of tablets: apps on them send `Mobile`, as on phones.
fn is_tablet_model(ua: &str) -> bool {
    TABLET_MODELS.iter().any(|model| ua.contains(model)) || is_called_tablet(ua) || is_fire_tablet(ua)
}

/// Most makers call their tablets so: `Beeline Tab 2`, `BV_TAB7`, `Smart Pad 10`.
fn is_called_tablet(ua: &str) -> bool {
    let is_letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphabetic);
    let model = ua.split_once(')').map_or(ua, |(before, _)| before);
    TABLET_WORDS.iter().any(|word| {
        model.match_indices(word).any(|(at, _)| {
            let bytes = model.as_bytes();
            let before = at.checked_sub(1).and_then(|at| bytes.get(at));
            !is_letter(before) && !is_letter(bytes.get(at + word.len()))
        })
    })
}

/// Amazon's tablets are called KF and a few capitals.
fn is_fire_tablet(ua: &str) -> bool {
    ua.match_indices("; KF").any(|(at, before)| {
        let rest = &ua.as_bytes()[at + before.len()..];
        let capitals = rest.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
        (2..=5).contains(&capitals) && rest.get(capitals).is_some_and(|byte| b" );".contains(byte))
    })
}

/// Words in names of tablets; part of a longer word, they mean something else (`Table`, `iPad`, `Notepad`).
const TABLET_WORDS: [&str; 5] = ["Tab", "TAB", "tab", "Pad", "PAD"];

#[rustfmt::skip]
const TABLET_MODELS: &[&str] = &[
    "SM-T", "SM-X", "SM-P", "GT-P", "GT-N51", "GT-N80", "Lenovo TB", "Lenovo YT", "; TB-", "; TB3", "; YT-", "Nexus 7", "Nexus 9", "Nexus 10",
    "Pixel C ", "Pixel C)", "Pixel Tablet", "MediaPad", "MatePad", "; AGS", "; BAH", "; BTV-", "; SCM-", "; MRX-", "; VRD-",
    "; DBY-", "; KOB", "; CMR-", "; SHT-", "; JDN", "MI PAD", "Mi Pad", "Xiaomi Pad", "Redmi Pad", "; OPD", "realme Pad", "; RMP",
    "Xperia Tablet", "; SGP", "inoiPad", "HiPad", "Galaxy Tab", "ThinkPad Tablet", "Iconia", "; A3-A", "; B3-A", "; P00", "; P01", "; P02",
];

const WEARABLE: [&str; 4] = ["OculusBrowser", "Apple Watch", "Wear OS", "; SM-R"];
const CAR: [&str; 5] = ["QtCarBrowser", "Tesla/", "Android Automotive", "Polestar", "CarPlay"];

/// Systems of television sets and displays that say `Linux` and nothing else.
const TV_SYSTEMS: [&str; 6] = ["(Linux mips", "(Linux sh4", "HBBTV", "BrightSign", "stbapp", "TiVo"];

/// Models of television sets, boxes and sticks whose apps send `Mobile Safari`.
#[rustfmt::skip]
const TV_MODELS: &[&str] = &[
    "Android TV", "AndroidTV", "Google TV", "GoogleTV", "Smart TV", "SmartTV", "SMART-TV", "BRAVIA", "; AFT", "MIBOX", "Mi Box", "MiTV",
    "MITV", "TV Box", "Chromecast", "; ADT-", "BeyondTV", "CrKey/", "Nexus Player", "SHIELD Android TV", "SmarterTV", "SmartATV", "wv-atv", " ATV", " Shell ", "_shell_",
    "Quick Search TV", "TVBro", "TV Bro", "BrowseHere", " Box Build/", " Box)", "; X96", "; H96", "; X98", "; TX3", "; TX6", "; T95", "; MXQ",
];

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
