//! User agents that are hard to read, each of a class of mistakes that was made once: tablets that say `Mobile`, TV sets that
//! say so, too, consoles and phones that name another system, apps that hide their version, crawlers in a browser's clothes.
//! The strings are what these programs send; the labels were set by hand. `make bench` measures on far more.

#![allow(clippy::print_stdout)] // The shares are quoted.

use super::super::*;

/// What has to be right, in per cent; of crawlers, what may be let in.
const BROWSERS_MIN: f64 = 99.0;
const VERSIONS_MIN: f64 = 95.0;
const SYSTEMS_MIN: f64 = 99.0;
const DEVICES_MIN: f64 = 95.0;
const LET_IN_MAX: f64 = 1.0;

/// Kind, user agent, browser, its version, system, its version, class. `*`: not asked.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str, Device);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("tablet", "Mozilla/5.0 (Linux; Android 13; SM-X700) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/116.0.0.0 Safari/537.36", "Chrome", "116", "Android", "13", Device::Tablet),
    ("tablet", "Mozilla/5.0 (Linux; Android 9; KFMAWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/112.5.1 like Chrome/112.0.5615.213 Safari/537.36", "Silk", "112", "Android", "9", Device::Tablet),
    ("tablet", "Mozilla/5.0 (Linux; Android 10; Lenovo TB-X606F) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/101.0.4951.61 Safari/537.36", "Chrome", "101", "Android", "10", Device::Tablet),
    ("tablet", "Mozilla/5.0 (Linux; Android 11; SM-T510 Build/RP1A.200720.012; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/103.0.5060.71 Safari/537.36 [FB_IAB/FB4A;FBAV/374.0.0.20.109;]", "Facebook", "374", "Android", "11", Device::Tablet),
    ("tablet", "Mozilla/5.0 (Linux; Android 8.1.0; SM-T580 Build/M1AJQ; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/91.0.4472.120 Mobile Safari/537.36", "Android WebView", "91", "Android", "8", Device::Tablet),
    ("tablet", "Mozilla/5.0 (Linux; Android 10; AGS3-L09; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/110.0.5481.154 Mobile Safari/537.36 Instagram 275.0.0.27.98 Android", "Instagram", "275", "Android", "10", Device::Tablet),
    ("tablet", "Mozilla/5.0 (Linux; Android 12; Lenovo TB-8505F; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/114.0.5735.196 Mobile Safari/537.36", "Android WebView", "114", "Android", "12", Device::Tablet),
    ("tablet", "Mozilla/5.0 (Linux; Android 13; Pixel Tablet Build/TQ3A.230605.012) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0.0.0 Mobile Safari/537.36", "Chrome", "114", "Android", "13", Device::Tablet),
    ("tablet", "Mozilla/5.0 (Linux; Android 5.1.1; KFAUWI Build/LVY48F) AppleWebKit/537.36 (KHTML, like Gecko) Silk/59.3.1 like Chrome/59.0.3071.117 Mobile Safari/537.36", "Silk", "59", "Android", "5", Device::Tablet),
    ("tablet", "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 7 Build/MOB30X) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/70.0.3538.110 Safari/537.36", "Chrome", "70", "Android", "6", Device::Tablet),
    ("tablet", "Mozilla/5.0 (Linux; Android 7.0; inoiPad Build/NRD90M) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/74.0.3729.136 Safari/537.36", "Chrome", "74", "Android", "7", Device::Tablet),
    ("tablet", "Mozilla/5.0 (Linux; Android 11; HiPad X) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/98.0.4758.101 Safari/537.36", "Chrome", "98", "Android", "11", Device::Tablet),
    ("tablet", "Mozilla/5.0 (Android 11; Tablet; rv:109.0) Gecko/115.0 Firefox/115.0", "Firefox", "115", "Android", "11", Device::Tablet),
    ("tablet", "Mozilla/5.0 (iPad; CPU OS 16_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/114.0 Mobile/15E148 Safari/605.1.15", "Firefox", "114", "iOS", "16", Device::Tablet),
    ("tablet", "Mozilla/5.0 (iPad; CPU OS 15_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) GSA/277.0.555192628 Mobile/15E148 Safari/604.1", "Google app", "277", "iOS", "15", Device::Tablet),
    ("tv", "Mozilla/5.0 (Linux; Android 8.0; Build/OPR2.170623.027) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/90.0.4430.225 Safari/537.36, CrKey/1.54.250320", "Chrome", "90", "Android", "8", Device::Tv),
    ("tv", "Mozilla/5.0 (Linux; Android 9; Android TV Build/PTT1; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/83.0.4103.106 Mobile Safari/537.36", "Android WebView", "83", "Android", "9", Device::Tv),
    ("tv", "Mozilla/5.0 (Linux; Android 7.1.2; AFTMM Build/NS6265; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/70.0.3538.110 Mobile Safari/537.36", "Android WebView", "70", "Android", "7", Device::Tv),
    ("tv", "Mozilla/5.0 (Linux; Android 7.1.2; AFTS) AppleWebKit/537.36 (KHTML, like Gecko) Silk/98.6.10 like Chrome/98.0.4758.136 Safari/537.36", "Silk", "98", "Android", "7", Device::Tv),
    ("tv", "Mozilla/5.0 (SMART-TV; Linux; Tizen 5.5) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/3.0 Chrome/69.0.3497.106/5.5 TV Safari/537.36", "Samsung Internet", "3", "Tizen", "", Device::Tv),
    ("tv", "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/79.0.3945.79 Safari/537.36 DMOST/2.0.0 (; LGE; webOSTV; WEBOS6.3.2 03.34.95; W6_lm21a;)", "Chrome", "79", "webOS", "", Device::Tv),
    ("tv", "Mozilla/5.0 (Linux armv7l) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/67.0.3396.99 Safari/537.36 OPR/46.0.2207.0 OMI/4.21.0.305.DIA6.149 Model/Vestel-MB130 VSTVB MB100", "Opera", "46", "Linux", "", Device::Tv),
    ("tv", "Opera/9.80 (Linux armv7l; Opera TV Store/6085; (SonyBDP/BDV11)) Presto/2.12.407 Version/12.51", "Opera", "12", "Linux", "", Device::Tv),
    ("tv", "Mozilla/5.0 (Linux; Android 9; BRAVIA 4K VH2 Build/PTT1.190515.001.S52; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/114.0.5735.196 Mobile Safari/537.36", "Android WebView", "114", "Android", "9", Device::Tv),
    ("tv", "Mozilla/5.0 (Linux; Android 12; MIBOX4 Build/SP1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/108.0.5359.128 Mobile Safari/537.36", "Android WebView", "108", "Android", "12", Device::Tv),
    ("tv", "Roku/DVP-9.10 (519.10E04111A)", "*", "*", "Roku", "", Device::Tv),
    ("console", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; Xbox; Xbox Series X) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/48.0.2564.82 Safari/537.36 Edge/20.02", "Edge", "20", "Xbox", "", Device::Console),
    ("console", "Mozilla/5.0 (PlayStation 4 11.00) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari/605.1.15", "Safari", "13", "PlayStation", "", Device::Console),
    ("console", "Mozilla/5.0 (PlayStation Vita 3.61) AppleWebKit/537.73 (KHTML, like Gecko) Silk/3.2", "Silk", "3", "PlayStation", "", Device::Console),
    ("console", "Mozilla/5.0 (Nintendo Switch; WifiWebAuthApplet) AppleWebKit/609.4 (KHTML, like Gecko) NF/6.0.2.21.3 NintendoBrowser/5.1.0.22474", "*", "*", "Nintendo", "", Device::Console),
    ("console", "Mozilla/5.0 (New Nintendo 3DS like iPhone) AppleWebKit/536.30 (KHTML, like Gecko) NX/3.0.0.5.15 Mobile NintendoBrowser/1.3.10126.EU", "*", "*", "Nintendo", "", Device::Console),
    ("phone", "Mozilla/5.0 (Linux; Android 5.1; TechniPhone 5 Build/LMY47D) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/71.0.3578.99 Mobile Safari/537.36", "Chrome", "71", "Android", "5", Device::Mobile),
    ("phone", "Mozilla/5.0 (Linux; Android 11; Spider 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/96.0.4664.104 Mobile Safari/537.36", "Chrome", "96", "Android", "11", Device::Mobile),
    ("phone", "Mozilla/5.0 (Linux; Android 13; ruby Build/TP1A.220624.014) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/113.0.5672.131 Mobile Safari/537.36", "Chrome", "113", "Android", "13", Device::Mobile),
    ("phone", "Dalvik/2.1.0 (Linux; U; Android 12; SM-A125F Build/SP1A.210812.016)", "*", "*", "Android", "12", Device::Mobile),
    ("phone", "Mozilla/5.0 (Mobile; Windows Phone 8.1; Android 4.0; ARM; Trident/7.0; Touch; rv:11.0; IEMobile/11.0; NOKIA; Lumia 520) like iPhone OS 7_0_3 Mac OS X AppleWebKit/537 (KHTML, like Gecko) Mobile Safari/537", "Internet Explorer", "11", "Windows Phone", "*", Device::Mobile),
    ("phone", "Opera/9.80 (Android; Opera Mini/36.2.2254/191.256; U; en) Presto/2.12.423 Version/12.16", "Opera", "36", "Android", "*", Device::Mobile),
    ("phone", "Mozilla/5.0 (Linux; Android 12; CUBOT NOTE 21) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/109.0.0.0 Mobile Safari/537.36", "Chrome", "109", "Android", "12", Device::Mobile),
    ("phone", "Mozilla/5.0 (Mobile; LYF/F120B/LYF-F120B-001-01-15-130718-i;Android; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5", "Firefox", "48", "KaiOS", "*", Device::Mobile),
    ("wearable", "Mozilla/5.0 (Linux; Android 11; SM-R890 Build/RWE1.210729.001; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/95.0.4638.50 Mobile Safari/537.36", "Android WebView", "95", "Android", "11", Device::Wearable),
    ("wearable", "Mozilla/5.0 (X11; Linux x86_64; Quest 2) AppleWebKit/537.36 (KHTML, like Gecko) OculusBrowser/26.2.0.2.39 Chrome/112.0.5615.186 VR Safari/537.36", "Meta Quest Browser", "26", "Linux", "", Device::Wearable),
    ("car", "Mozilla/5.0 (X11; GNU/Linux) AppleWebKit/537.36 (KHTML, like Gecko) Chromium/79.0.3945.130 Chrome/79.0.3945.130 Safari/537.36 Tesla/2020.16.2.1-e99c70fff409", "Chromium", "79", "Linux", "", Device::Car),
    ("app", "Mozilla/5.0 (iPhone; CPU iPhone OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [FBAN/FBIOS;FBAV/428.0.0.26.108;FBBV/505362561;FBDV/iPhone12,1;FBMD/iPhone;FBSN/iOS;FBSV/16.6;FBSS/2]", "Facebook", "428", "iOS", "16", Device::Mobile),
    ("app", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [FBAN/MessengerForiOS;FBAV/435.0.0.35.108;FBBV/1;FBDV/iPhone14,5;FBSV/17.1]", "Facebook", "435", "iOS", "17", Device::Mobile),
    ("app", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [Pinterest/iOS]", "Pinterest", "", "iOS", "17", Device::Mobile),
    ("app", "Mozilla/5.0 (iPhone; CPU iPhone OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [LinkedInApp]/9.29.8962", "LinkedIn", "9", "iOS", "16", Device::Mobile),
    ("app", "Mozilla/5.0 (iPhone; CPU iPhone OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Twitter for iPhone/10.8.1", "X", "10", "iOS", "16", Device::Mobile),
    ("app", "Mozilla/5.0 (Linux; Android 12; M2101K6G; arm_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/112.0.0.0 YaApp_Android/22.116.1 YaSearchBrowser/22.116.1 BroPP/1.0 SA/3 Mobile Safari/537.36", "Yandex", "22", "Android", "12", Device::Mobile),
    ("app", "Mozilla/5.0 (iPhone; CPU iPhone OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.0 YaBrowser/23.7.6.403.10 SA/3 Mobile/15E148 Safari/604.1", "Yandex", "23", "iOS", "16", Device::Mobile),
    ("app", "Mozilla/5.0 (Linux; Android 13; SM-S911B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/119.0.6045.66 Mobile Safari/537.36 musical_ly_2023201040 JsSdk/1.0 NetType/WIFI Channel/googleplay AppName/musical_ly app_version/32.1.4 ByteLocale/de-DE", "TikTok", "*", "Android", "13", Device::Mobile),
    ("app", "Mozilla/5.0 (Linux; Android 13; SM-G991B) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/116.0.0.0 Mobile DuckDuckGo/5 Safari/537.36", "DuckDuckGo", "5", "Android", "13", Device::Mobile),
    ("app", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Safari Line/13.18.1", "LINE", "13", "iOS", "17", Device::Mobile),
    ("app", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 KAKAOTALK 10.4.3", "KakaoTalk", "10", "iOS", "17", Device::Mobile),
    ("app", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Teams/1.6.00.1381 Chrome/98.0.4758.141 Electron/17.4.2 Safari/537.36", "Microsoft Teams", "1", "Windows", "10/11", Device::Desktop),
    ("app", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Slack/4.35.126 Chrome/118.0.5993.89 Electron/27.0.2 Safari/537.36", "Slack", "4", "macOS", "", Device::Desktop),
    ("old", "Opera/9.80 (Windows NT 6.1; WOW64) Presto/2.12.388 Version/12.18", "Opera", "12", "Windows", "7", Device::Desktop),
    ("old", "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko", "Internet Explorer", "11", "Windows", "10/11", Device::Desktop),
    ("old", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/64.0.3282.140 Safari/537.36 Edge/18.17763", "Edge", "18", "Windows", "10/11", Device::Desktop),
];

#[rustfmt::skip]
const CRAWLERS: &[&str] = &[
    "Mozilla/5.0 (X11; Datanyze; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/65.0.3325.181 Safari/537.36",
    "Mozilla/5.0 (compatible; Google-Site-Verification/1.0)",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko; Google Web Preview Analytics) Chrome/41.0.2272.118 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.6099.199 Mobile Safari/537.36 (compatible; Google-InspectionTool/1.0;)",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/27.0.1453 Safari/537.36 Google-Thumbnail",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 CookieHubScan/3.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/95.0.4638.69 Safari/537.36 Silktide",
    "Mozilla/5.0 (X11; Linux x86_64; Rigor) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/86.0.4240.75 Safari/537.36",
    "Mozilla/5.0 (watchTowr; Windows NT 10.0; Win64; x64; rv:84.0) Gecko/20100101 Firefox/84.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko, Foregenix) Chrome/91.0.4472.77 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/76.0.3809.87 Safari/537.36 LinkTiger",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 11_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Hotjar Version/11.0 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.6422.26 Safari/537.36 TestLocally/1.0",
    "Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; Trident/5.0; AppInsights)",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.6099.28 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Safari/537.36 Prerender (+https://github.com/prerender/prerender)",
    "Mozilla/5.0 (Linux; Android 11; moto g power (2022)) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Mobile Safari/537.36 Chrome-Lighthouse",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0.0.0 Safari/537.36 PTST/230606.160015",
    "ruby/3.2.2",
    "Ruby",
    "rest-client/2.1.0 (linux-gnu x86_64) ruby/2.7.0p0",
    "Baiduspider+(+http://www.baidu.com/search/spider.htm)",
    "Mozilla/5.0 (compatible; Bytespider; spider-feedback@bytedance.com)",
    "Sogou web spider/4.0(+http://www.sogou.com/docs/help/webmasters.htm#07)",
    "Amazon-Route53-Health-Check-Service (ref 1b3a)",
    "ELB-HealthChecker/2.0",
    "GoogleHC/1.0",
    "okhttp/4.12.0",
    "python-requests/2.31.0",
    "curl/8.5.0",
];

/// A share in per cent, and what is wrong.
#[derive(Default)]
struct Share {
    asked: usize,
    wrong: Vec<String>,
}

impl Share {
    fn ask(&mut self, kind: &str, ua: &str, expected: &str, found: &str) {
        if expected != "*" {
            self.asked += 1;
            if expected != found {
                self.wrong.push(format!("{kind}: {expected:?}, found {found:?}: {ua}"));
            }
        }
    }

    fn right(&self) -> f64 {
        (self.asked - self.wrong.len()) as f64 / self.asked as f64 * 100.0
    }
}

#[test]
fn hard_user_agents_are_read_as_well_as_promised() {
    let classifier = Classifier::new();
    let [mut browsers, mut versions, mut systems, mut devices, mut people] =
        [(); 5].map(|()| Share::default());
    for (kind, ua, browser, version, os, os_version, device) in ROWS {
        let found = classifier.classify_anew(&Headers {
            user_agent: ua,
            accept_language: "de",
            ..Headers::default()
        });
        browsers.ask(kind, ua, browser, &found.info.browser);
        versions.ask(kind, ua, version, &found.info.browser_version);
        systems.ask(kind, ua, os, &found.info.os);
        versions.ask(kind, ua, os_version, &found.info.os_version);
        devices.ask(kind, ua, device.name(), found.info.device.name());
        people.ask(kind, ua, "", found.bot.map_or("", DropReason::name));
    }
    for (what, share, min) in [
        ("browsers", browsers, BROWSERS_MIN),
        ("versions", versions, VERSIONS_MIN),
        ("systems", systems, SYSTEMS_MIN),
        ("devices", devices, DEVICES_MIN),
        ("people let in", people, 100.0),
    ] {
        println!("{what}: {:.1} % of {}", share.right(), share.asked);
        assert!(
            share.right() >= min,
            "{what}: {:.1} %, at least {min}:\n{}",
            share.right(),
            share.wrong.join("\n")
        );
    }
}

#[test]
fn hard_crawlers_are_kept_out_as_well_as_promised() {
    let classifier = Classifier::new();
    let is_let_in = |ua: &&&str| {
        let headers = Headers { user_agent: ua, accept_language: "de", ..Headers::default() };
        classifier.classify_anew(&headers).bot.is_none()
    };
    let let_in: Vec<_> = CRAWLERS.iter().filter(is_let_in).collect();
    let share = let_in.len() as f64 / CRAWLERS.len() as f64 * 100.0;
    println!("crawlers let in: {share:.1} % of {}", CRAWLERS.len());
    assert!(share <= LET_IN_MAX, "{share:.1} %: {let_in:#?}");
}
