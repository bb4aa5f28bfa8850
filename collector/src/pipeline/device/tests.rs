mod hard_tests;

use super::*;
use proptest::prelude::*;

type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, Device);

/// User agent, browser, its version, system, its version, class.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36", "Chrome", "141", "Windows", "10/11", Device::Desktop),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15", "Safari", "17", "macOS", "", Device::Desktop),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_13_6) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.1.2 Safari/605.1.15", "Safari", "13", "macOS", "10.13", Device::Desktop),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox", "128", "Linux", "", Device::Desktop),
    ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36", "Chrome", "141", "ChromeOS", "", Device::Desktop),
    ("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36", "Chrome", "141", "Android", "", Device::Mobile),
    ("Mozilla/5.0 (Android 14; Mobile; rv:130.0) Gecko/130.0 Firefox/130.0", "Firefox", "130", "Android", "14", Device::Mobile),
    // In-app browsers.
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [FBAN/FBIOS;FBAV/520.0.0.38.101;FBBV/1;FBDV/iPhone16,2;FBMD/iPhone;FBSN/iOS;FBSV/18.5;FBSS/3]", "Facebook", "520", "iOS", "18", Device::Mobile),
    ("Mozilla/5.0 (Linux; Android 13; SM-S918B Build/TP1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/120.0.0.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/440.0.0.0;]", "Facebook", "440", "Android", "13", Device::Mobile),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/22F76 Instagram 383.0.0.27.99 (iPhone14,5; iOS 26_0; de_DE; de; scale=3.00; 1170x2532)", "Instagram", "383", "iOS", "26", Device::Mobile),
    ("Mozilla/5.0 (Linux; Android 12; M2007J20CG; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/110.0.5481.153 Mobile Safari/537.36 trill_270605 BytedanceWebview/d8a21c6", "TikTok", "", "Android", "12", Device::Mobile),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 16_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 MicroMessenger/8.0.34(0x18002234) NetType/WIFI Language/zh_CN", "WeChat", "8", "iOS", "16", Device::Mobile),
    ("Mozilla/5.0 (Linux; Android 13; Pixel 7 Build/TQ3A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/116.0.0.0 Mobile Safari/537.36", "Android WebView", "116", "Android", "13", Device::Mobile),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) GSA/320.0.638 Mobile/15E148 Safari/604.1", "Google app", "320", "iOS", "17", Device::Mobile),
    ("Mozilla/5.0 (Linux; Android 13; SM-A515F; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/120.0.0.0 Mobile Safari/537.36 Snapchat/12.60", "Snapchat", "12", "Android", "13", Device::Mobile),
    // Browsers that hide behind others.
    ("Mozilla/5.0 (Linux; U; Android 9; en-US; Redmi) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/78.0.3904.108 UCBrowser/13.4.0.1306 Mobile Safari/537.36", "UC Browser", "13", "Android", "9", Device::Mobile),
    ("Mozilla/5.0 (Linux; Android 10; ELE-L29; HMSCore 6.9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/99.0.4844.88 HuaweiBrowser/13.0.2.300 Mobile Safari/537.36", "Huawei Browser", "13", "Android", "10", Device::Mobile),
    ("Mozilla/5.0 (Linux; U; Android 11; zh-cn; Mi 10) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/89.0.4389.72 MQQBrowser/12.8 Mobile Safari/537.36", "QQ Browser", "12", "Android", "11", Device::Mobile),
    ("Mozilla/5.0 (Linux; Android 11; KFTRWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/108.4.6 like Chrome/108.0.5359.220 Safari/537.36", "Silk", "108", "Android", "11", Device::Tablet),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Whale/3.24.223.18 Safari/537.36", "Whale", "3", "Windows", "10/11", Device::Desktop),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 DuckDuckGo/7 Safari/605.1.15", "DuckDuckGo", "7", "iOS", "17", Device::Mobile),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15 Ddg/17.5", "DuckDuckGo", "17", "macOS", "", Device::Desktop),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36 OPR/123.0.0.0", "Opera", "123", "Windows", "10/11", Device::Desktop),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 YaBrowser/25.8.0.0 Safari/537.36", "Yandex", "25", "Windows", "10/11", Device::Desktop),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0", "Edge", "141", "Windows", "10/11", Device::Desktop),
    ("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36", "Samsung Internet", "28", "Android", "", Device::Mobile),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0.7339.101 Mobile/15E148 Safari/604.1", "Chrome", "140", "iOS", "17", Device::Mobile),
    ("Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko", "Internet Explorer", "11", "Windows", "7", Device::Desktop),
    // Tablets, televisions, consoles and others.
    ("Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1", "Safari", "17", "iOS", "17", Device::Tablet),
    ("Mozilla/5.0 (Linux; Android 13; SM-X906C) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Safari/537.36", "Chrome", "119", "Android", "13", Device::Tablet),
    ("Mozilla/5.0 (Linux; Android 9; BRAVIA 4K UR2) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36", "Chrome", "120", "Android", "9", Device::Tv),
    ("Mozilla/5.0 (SMART-TV; LINUX; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) 76.0.3809.146/6.0 TV Safari/537.36", "Safari", "", "Tizen", "", Device::Tv),
    ("Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/94.0.4606.128 Safari/537.36 WebAppManager", "Chrome", "94", "webOS", "", Device::Tv),
    ("Mozilla/5.0 (PlayStation 5 3.20) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari/605.1.15", "Safari", "13", "PlayStation", "", Device::Console),
    ("Mozilla/5.0 (Linux; Android 12; Quest 3) AppleWebKit/537.36 (KHTML, like Gecko) OculusBrowser/32.0.0.6.41 Chrome/122.0.6261.119 VR Safari/537.36", "Meta Quest Browser", "32", "Android", "12", Device::Wearable),
    // Kinds that are told by a word in the name of a model.
    ("Mozilla/5.0 (Linux; Android 12; Acme Tab 3) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36", "Chrome", "120", "Android", "12", Device::Tablet),
    ("Mozilla/5.0 (Linux; Android 12; ACME_PAD7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36", "Chrome", "120", "Android", "12", Device::Tablet),
    ("Mozilla/5.0 (Linux; Android 12; Acme NotePad) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36", "Chrome", "120", "Android", "12", Device::Mobile),
    ("Mozilla/5.0 (Linux; Android 12; Acme Stable) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36", "Chrome", "120", "Android", "12", Device::Mobile),
    ("Mozilla/5.0 (Linux; Android 12; SM-F956B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36", "Chrome", "120", "Android", "12", Device::Mobile),
    ("Mozilla/5.0 (Linux; Android 12; Acme Shell 40) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36", "Chrome", "120", "Android", "12", Device::Tv),
    ("Mozilla/5.0 (Linux; Android 9; H43F8000Q Build/PPR1; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/104.0.0.0 Mobile Safari/537.36", "Android WebView", "104", "Android", "9", Device::Tv),
    ("Mozilla/5.0 (Linux; Android 9; MyPad 2 Build/PPR1; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/104.0.0.0 Mobile Safari/537.36", "Android WebView", "104", "Android", "9", Device::Tablet),
    ("Mozilla/5.0 (Linux; U; en-gb; KFSOWI Build/JDQ39) AppleWebKit/535.19 (KHTML, like Gecko) Silk/3.12 Safari/535.19 Silk-Accelerated=true", "Silk", "3", "Linux", "", Device::Tablet),
    ("Opera/9.80 (Linux mips; ) Presto/2.12.407 Version/12.51 MB95/3.3.6.X (ACME, wireless)", "Opera", "12", "Linux", "", Device::Tv),
    ("UCWEB/2.0 (Linux; U; Adr 4.0.4; zh-CN; K-Touch E806) U2/1.0.0 UCBrowser/9.6.0.378 U2/1.0.0 Mobile", "UC Browser", "9", "Android", "4", Device::Mobile),
    ("Mozilla/5.0 (Linux; Android 4.3; en-us; Acme Build/JLS36C) AppleWebKit/537.36 (KHTML, like Gecko) Version/1.5 Chrome/28.0.1500.94 Mobile Safari/537.36", "Android WebView", "28", "Android", "4", Device::Mobile),
    // Systems that woothee takes for others.
    ("Mozilla/5.0 (Phone; OpenHarmony 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0.0.0 Safari/537.36 ArkWeb/4.1.6.1 Mobile HuaweiBrowser/5.0.3.302", "Huawei Browser", "5", "HarmonyOS", "5", Device::Mobile),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1", "Safari", "26", "iOS", "26", Device::Mobile),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.7 Mobile/15E148 Safari/604.1", "Safari", "18", "iOS", "18", Device::Mobile),
    ("Mozilla/5.0 (Mobile; Nokia_8110_4G; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5", "Firefox", "48", "KaiOS", "", Device::Mobile),
];

#[test]
fn user_agent_tells_browser_system_and_class() {
    let classifier = Classifier::new();
    let mut wrong = Vec::new();
    for (ua, browser, browser_version, os, os_version, device) in ROWS {
        let found = classifier.classify_anew(&Headers { user_agent: ua, ..Headers::default() });
        let expected = DeviceInfo {
            device: *device,
            browser: (*browser).into(),
            browser_version: (*browser_version).into(),
            os: (*os).into(),
            os_version: (*os_version).into(),
        };
        if found.info != expected || found.bot.is_some() {
            wrong.push(format!("{ua}\n  found    {found:?}\n  expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn client_hints_know_better() {
    const WINDOWS: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36";
    const ANDROID: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36";
    const TABLET: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36";
    const MAC: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36";
    let brands = |name: &str| format!(r#""Chromium";v="141", "{name}";v="141", "Not?A_Brand";v="8""#);
    for (ua, brand, platform, version, mobile, expected) in [
        (WINDOWS, "Brave", "\"Windows\"", None, "?0", ("Brave", "141", "Windows", "10/11", Device::Desktop)),
        (
            WINDOWS,
            "Google Chrome",
            "\"Windows\"",
            Some("\"15.0.0\""),
            "?0",
            ("Chrome", "141", "Windows", "11", Device::Desktop),
        ),
        (
            WINDOWS,
            "Google Chrome",
            "\"Windows\"",
            Some("\"10.0.0\""),
            "?0",
            ("Chrome", "141", "Windows", "10", Device::Desktop),
        ),
        (
            MAC,
            "Google Chrome",
            "\"macOS\"",
            Some("\"15.6.1\""),
            "?0",
            ("Chrome", "141", "macOS", "15", Device::Desktop),
        ),
        (
            ANDROID,
            "Google Chrome",
            "\"Android\"",
            Some("\"14.0.0\""),
            "?1",
            ("Chrome", "141", "Android", "14", Device::Mobile),
        ),
        (
            TABLET,
            "Google Chrome",
            "\"Android\"",
            None,
            "?0",
            ("Chrome", "141", "Android", "", Device::Tablet),
        ),
        (
            TABLET,
            "Google Chrome",
            "\"Android\"",
            None,
            "?1",
            ("Chrome", "141", "Android", "", Device::Tablet),
        ),
        (
            WINDOWS,
            "Opera GX",
            "\"Windows\"",
            None,
            "?0",
            ("Opera", "141", "Windows", "10/11", Device::Desktop),
        ),
    ] {
        let brands = brands(brand);
        let headers = Headers {
            user_agent: ua,
            ch_brands: Some(&brands),
            ch_platform: Some(platform),
            ch_platform_version: version,
            ch_mobile: Some(mobile),
            ..Headers::default()
        };
        let i = Classifier::new().classify(&headers).info;
        let found =
            (i.browser.as_str(), i.browser_version.as_str(), i.os.as_str(), i.os_version.as_str(), i.device);
        assert_eq!(found, expected, "{brand} {platform} {version:?}");
    }
}

#[test]
fn cached_answer_is_the_same_and_hints_are_part_of_the_key() {
    let classifier = Classifier::new();
    for (ua, ..) in ROWS {
        let headers = Headers { user_agent: ua, ..Headers::default() };
        assert_eq!(classifier.classify(&headers), classifier.classify(&headers));
        let hinted = Headers { ch_brands: Some("\"Brave\";v=\"1\""), ..headers };
        assert_eq!(classifier.classify(&hinted), classifier.classify_anew(&hinted));
    }
}

proptest! {
    #[test]
    fn arbitrary_headers_never_panic(ua in ".{0,200}", brands in ".{0,80}", platform in ".{0,20}", version in ".{0,10}") {
        let headers = Headers {
            user_agent: &ua,
            ch_brands: Some(&brands),
            ch_platform: Some(&platform),
            ch_platform_version: Some(&version),
            ..Headers::default()
        };
        let info = Classifier::new().classify_anew(&headers).info;
        prop_assert!(info.browser_version.len() <= 6 && info.os_version.len() <= 6);
    }
}

#[test]
fn visitor_of_a_trusted_sender_without_a_user_agent_is_no_robot() {
    let classifier = Classifier::new();
    assert_eq!(classifier.classify(&Headers::default()).bot, Some(DropReason::BotUserAgent));
    let claimed = classifier.classify(&Headers::default().claiming(""));
    assert_eq!((claimed.bot, claimed.info), (None, DeviceInfo::default()));
}
