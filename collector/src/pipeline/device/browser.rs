//! Browsers by their tokens. One pass finds all of them; the one with the highest rank is the browser.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use woothee::parser::WootheeResult;

use super::after;
use crate::pipeline::hints::Hints;

/// A browser that was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Browser<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    /// The page was opened inside an app.
    pub(super) in_app: bool,
}

/// The browser of a user agent and its hints.
pub(super) fn of<'a>(
    ua: &'a str,
    hints: &Hints<'a>,
    system: &str,
    fallback: Option<&WootheeResult<'a>>,
) -> Browser<'a> {
    let told = by_token(ua, system).unwrap_or_else(|| by_engine(ua, system, fallback));
    by_hint(told, hints)
}

fn by_token<'a>(ua: &'a str, system: &str) -> Option<Browser<'a>> {
    let best = TOKENS.automaton.find_overlapping_iter(ua).max_by_key(|m| TABLE[m.pattern().as_usize()].3)?;
    let (token, name, kind, _) = TABLE[best.pattern().as_usize()];
    let rest = &ua[best.end()..];
    let version = match token {
        "Trident/" => after(ua, "rv:").unwrap_or("11"),
        // Opera froze its own token at 9.80.
        "Opera/" => after(ua, "Version/").unwrap_or(rest),
        "FBAN/" => after(ua, "FBAV/").unwrap_or_default(),
        _ => version_behind(rest),
    };
    // An Android WebView with the old version token, which Chrome never had: a page inside an unnamed app.
    if name == "Chrome" && system == "Android" && ua.contains("Version/") {
        return Some(Browser { name: "Android WebView", version, in_app: true });
    }
    let version = if token == "; wv)" { after(ua, "Chrome/").unwrap_or_default() } else { version };
    Some(Browser { name, version, in_app: kind == Within::App })
}

/// The version behind a token: at once, or behind a later slash of the same word (`YaApp_Android/22.116.1`).
fn version_behind(rest: &str) -> &str {
    let rest = rest.trim_start_matches(['/', ' ', ']']);
    let is_version = |text: &&str| text.starts_with(|c: char| c.is_ascii_digit());
    if is_version(&rest) {
        return rest;
    }
    rest.split(' ').next().and_then(|word| word.split('/').skip(1).find(is_version)).unwrap_or_default()
}

/// Browsers without a token of their own.
fn by_engine<'a>(ua: &'a str, system: &str, fallback: Option<&WootheeResult<'a>>) -> Browser<'a> {
    let version = after(ua, "Version/").unwrap_or_default();
    let webkit = ua.contains("AppleWebKit");
    match system {
        "iOS" | "macOS" | "Windows" if ua.contains("Safari/") && !version.is_empty() => {
            Browser { name: "Safari", version, in_app: false }
        }
        "iOS" if webkit || ua.contains("Mobile/") => {
            Browser { name: "iOS WebView", version: "", in_app: true }
        }
        "Android" if ua.contains("ebKit") || ua.contains("ebkit") => {
            // Its version is the system's; the token stayed at 4.0.
            Browser { name: "Android Browser", version: "", in_app: false }
        }
        "macOS" if webkit && ua.contains("Safari/") => Browser { name: "Safari", version: "", in_app: false },
        _ => match fallback {
            Some(r) if r.name != "UNKNOWN" => {
                let version = ua.find(r.version).map_or("", |at| &ua[at..]);
                Browser { name: r.name, version, in_app: false }
            }
            Some(_) | None => Browser::default(),
        },
    }
}

/// Chromium's brand list reveals browsers that hide in the user agent. An app that names itself takes
/// precedence.
fn by_hint<'a>(told: Browser<'a>, hints: &Hints<'a>) -> Browser<'a> {
    let Some((brand, name)) = BRANDS.iter().find(|(brand, _)| hints.brands.contains(brand)) else {
        return told;
    };
    let generic = matches!(*name, "Chrome" | "Android WebView");
    let says_more = told.in_app || (generic && !matches!(told.name, "" | "Chrome" | "Android WebView"));
    if says_more || told.name == *name {
        return told;
    }
    let version = after(hints.brands, brand).and_then(|rest| after(rest, "v=\"")).unwrap_or_default();
    Browser { name, version, in_app: *name == "Android WebView" }
}

/// Brands of `Sec-CH-UA`, specific before generic.
const BRANDS: [(&str, &str); 17] = [
    ("\"Brave\"", "Brave"),
    ("\"Microsoft Edge\"", "Edge"),
    ("\"Microsoft Edge WebView2\"", "Edge WebView"),
    ("\"Opera GX\"", "Opera"),
    ("\"Opera\"", "Opera"),
    ("\"Opera Mobile\"", "Opera"),
    ("\"Samsung Internet\"", "Samsung Internet"),
    ("\"YaBrowser\"", "Yandex"),
    ("\"Yandex\"", "Yandex"),
    ("\"DuckDuckGo\"", "DuckDuckGo"),
    ("\"HuaweiBrowser\"", "Huawei Browser"),
    ("\"Vivaldi\"", "Vivaldi"),
    ("\"Whale\"", "Whale"),
    ("\"Avast Secure Browser\"", "Avast"),
    ("\"Ecosia\"", "Ecosia"),
    ("\"Android WebView\"", "Android WebView"),
    ("\"Google Chrome\"", "Chrome"),
];

/// Whether a token names a browser or an app that shows pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Browser,
    App,
}
use Within::{App, Browser as Own};

struct Tokens {
    automaton: AhoCorasick,
}

#[expect(clippy::expect_used, reason = "the table is constant and built by every test of this module")]
static TOKENS: LazyLock<Tokens> = LazyLock::new(|| Tokens {
    automaton: AhoCorasick::new(TABLE.iter().map(|row| row.0)).expect("table of tokens"),
});

/// Token, browser, what it names, rank.
#[rustfmt::skip]
const TABLE: &[(&str, &str, Within, u8)] = &[
    // Apps: they also carry the engine's tokens.
    ("Instagram ", "Instagram", App, 95), ("Barcelona ", "Threads", App, 94), ("FBAN/", "Facebook", App, 90),
    ("FBAV/", "Facebook", App, 89), ("FB_IAB/", "Facebook", App, 89), ("musical_ly", "TikTok", App, 95),
    ("BytedanceWebview", "TikTok", App, 95), ("TikTok", "TikTok", App, 95), ("trill_", "TikTok", App, 94),
    ("ByteLocale", "TikTok", App, 94), ("WhatsApp/", "WhatsApp", App, 95), ("GSA/", "Google app", App, 90),
    ("Snapchat", "Snapchat", App, 95), ("Pinterest", "Pinterest", App, 92), ("LinkedInApp", "LinkedIn", App, 95),
    ("MicroMessenger/", "WeChat", App, 95), (" Line/", "LINE", App, 93), ("KAKAOTALK", "KakaoTalk", App, 95),
    ("Twitter for", "X", App, 95), ("TwitterAndroid", "X", App, 95), ("Reddit/", "Reddit", App, 92),
    ("Telegram", "Telegram", App, 92), ("NAVER(inapp", "Naver", App, 95), ("YJApp", "Yahoo", App, 90),
    ("Weibo", "Weibo", App, 92), ("baiduboxapp", "Baidu", App, 92), ("AlipayClient", "Alipay", App, 92),
    ("QQ/", "QQ", App, 60), ("DingTalk/", "DingTalk", App, 92), ("Lark/", "Lark", App, 91), ("Feishu", "Lark", App, 92),
    ("Slack/", "Slack", App, 92), ("Slack_SSB/", "Slack", App, 92), ("Teams/", "Microsoft Teams", App, 92),
    ("discord/", "Discord", App, 92), ("Bluesky", "Bluesky", App, 90), ("YaApp", "Yandex", App, 81),
    ("YaSearch", "Yandex", App, 81), ("YandexSearch", "Yandex", App, 81), ("YandexMobileSearch", "Yandex", App, 81),
    ("DuckDuckGo/", "DuckDuckGo", Own, 82), ("Ddg/", "DuckDuckGo", Own, 82),
    // Browsers that also carry Chrome's or Safari's token.
    ("EdgA/", "Edge", Own, 80), ("EdgiOS/", "Edge", Own, 80), ("Edg/", "Edge", Own, 80), ("Edge/", "Edge", Own, 80),
    ("OPR/", "Opera", Own, 80), ("OPiOS/", "Opera", Own, 80), ("OPT/", "Opera", Own, 80), ("OPX/", "Opera", Own, 81),
    ("OPRGX/", "Opera", Own, 81), ("Opera Mini/", "Opera", Own, 82), ("Opera/", "Opera", Own, 79),
    ("Opera ", "Opera", Own, 78), ("SamsungBrowser/", "Samsung Internet", Own, 82), ("YaBrowser/", "Yandex", Own, 82),
    ("Yowser/", "Yandex", Own, 77), ("Vivaldi/", "Vivaldi", Own, 82), ("UCBrowser/", "UC Browser", Own, 82),
    ("UCWEB", "UC Browser", Own, 81), ("UBrowser/", "UC Browser", Own, 82),
    ("HuaweiBrowser/", "Huawei Browser", Own, 82), ("ArkWeb/", "Huawei Browser", Own, 79),
    ("MiuiBrowser/", "MIUI Browser", Own, 82), ("HeyTapBrowser/", "HeyTap", Own, 82),
    ("VivoBrowser/", "Vivo Browser", Own, 82), ("MQQBrowser/", "QQ Browser", Own, 83),
    ("QQBrowser/", "QQ Browser", Own, 82), ("Whale/", "Whale", Own, 82), ("Silk/", "Silk", Own, 82),
    ("Brave/", "Brave", Own, 82), ("Brave Chrome", "Brave", Own, 82), ("Ecosia android@", "Ecosia", Own, 82), ("Ecosia ios@", "Ecosia", Own, 82), ("Ecosia", "Ecosia", Own, 81),
    ("AvastSecureBrowser/", "Avast", Own, 81), ("Avast/", "Avast", Own, 81), ("AVG/", "AVG", Own, 81),
    ("CCleaner/", "CCleaner", Own, 81), ("Norton/", "Norton", Own, 81), ("SE 2.X MetaSr", "Sogou", Own, 81),
    ("SogouMobileBrowser/", "Sogou", Own, 82), ("SogouMSE", "Sogou", Own, 81),
    ("coc_coc_browser/", "Coc Coc", Own, 82), ("PaleMoon/", "Pale Moon", Own, 82),
    ("SeaMonkey/", "SeaMonkey", Own, 82), ("Waterfox/", "Waterfox", Own, 82), ("LibreWolf/", "LibreWolf", Own, 82),
    ("Puffin/", "Puffin", Own, 82), ("Maxthon/", "Maxthon", Own, 81), ("Sleipnir/", "Sleipnir", Own, 81),
    ("Iron/", "Iron", Own, 81), ("Epiphany/", "Epiphany", Own, 81), ("Konqueror/", "Konqueror", Own, 81),
    ("Falkon/", "Falkon", Own, 81), ("QtWebEngine/", "QtWebEngine", Own, 70), ("Electron/", "Electron", Own, 70),
    ("Phoenix/", "Phoenix", Own, 81), ("PHX/", "Phoenix", Own, 82), ("AlohaBrowser/", "Aloha", Own, 82), ("Quark/", "Quark", Own, 82),
    ("Kiwi ", "Kiwi", Own, 81), ("Cromite", "Cromite", Own, 81), ("Mint Browser/", "Mint", Own, 82),
    ("OculusBrowser/", "Meta Quest Browser", Own, 82), ("Focus/", "Firefox", Own, 60), ("Klar/", "Firefox", Own, 60),
    ("Sailfish", "Sailfish", Own, 60), ("Ladybird/", "Ladybird", Own, 81), ("Arc/", "Arc", Own, 81),
    ("Instabridge/", "Instabridge", Own, 81), ("360SE", "360 Browser", Own, 81), ("QIHU", "360 Browser", Own, 81),
    ("Chromium/", "Chromium", Own, 30), ("CriOS/", "Chrome", Own, 50), ("FxiOS/", "Firefox", Own, 82),
    ("Firefox/", "Firefox", Own, 49), ("MSIE ", "Internet Explorer", Own, 45),
    ("Trident/", "Internet Explorer", Own, 44), ("IEMobile/", "Internet Explorer", Own, 46),
    ("HeadlessChrome/", "Chrome", Own, 40), ("; wv)", "Android WebView", App, 35), ("Chrome/", "Chrome", Own, 20),
    ("CrMo/", "Chrome", Own, 20),
];
