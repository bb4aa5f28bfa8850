use super::*;
use crate::pipeline::device::Classifier;

fn classify(ua: &str) -> Option<DropReason> {
    Classifier::new().classify_anew(&Headers { user_agent: ua, ..Headers::default() }).bot
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn user_agent_names_its_rule() {
    use DropReason::{BotAi, BotAutomated, BotUserAgent};
    for (ua, expected) in [
        ("", Some(BotUserAgent)),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", Some(BotUserAgent)),
        (
            "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            Some(BotUserAgent),
        ),
        ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", Some(BotUserAgent)),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15 (Applebot/0.1; +http://www.apple.com/go/applebot)",
            Some(BotUserAgent),
        ),
        (
            "Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)",
            Some(BotUserAgent),
        ),
        ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", Some(BotUserAgent)),
        ("WhatsApp/2.23.20.0 A", Some(BotUserAgent)),
        ("Twitterbot/1.0", Some(BotUserAgent)),
        ("TelegramBot (like TwitterBot)", Some(BotUserAgent)),
        ("Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5", Some(BotUserAgent)),
        ("python-requests/2.31.0", Some(BotUserAgent)),
        ("Go-http-client/2.0", Some(BotUserAgent)),
        ("curl/8.5.0", Some(BotUserAgent)),
        ("Java/17.0.2", Some(BotUserAgent)),
        ("okhttp/4.9.0", Some(BotUserAgent)),
        ("MyApp/1 CFNetwork/1490 Darwin/23.0.0", Some(BotUserAgent)),
        ("Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)", Some(BotUserAgent)),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Safari/537.36 PTST/240101",
            Some(BotUserAgent),
        ),
        (
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
            Some(BotAi),
        ),
        (
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; ChatGPT-User/1.0; +https://openai.com/bot",
            Some(BotAi),
        ),
        (
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)",
            Some(BotAi),
        ),
        (
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; PerplexityBot/1.0; +https://perplexity.ai/perplexitybot)",
            Some(BotAi),
        ),
        (
            "Mozilla/5.0 (Linux; Android 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36 (compatible; Bytespider; spider-feedback@bytedance.com)",
            Some(BotAi),
        ),
        (
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Amazonbot/0.1; +https://developer.amazon.com/support/amazonbot) Chrome/119.0.6045.214 Safari/537.36",
            Some(BotAi),
        ),
        ("CCBot/2.0 (https://commoncrawl.org/faq/)", Some(BotAi)),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/141.0.0.0 Safari/537.36",
            Some(BotAutomated),
        ),
        (
            "Mozilla/5.0 (Unknown; Linux x86_64) AppleWebKit/538.1 (KHTML, like Gecko) PhantomJS/2.1.1 Safari/538.1",
            Some(BotAutomated),
        ),
        ("Mozilla/5.0 (linux) AppleWebKit/537.36 (KHTML, like Gecko) jsdom/22.1.0", Some(BotAutomated)),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
            None,
        ),
        (
            "Mozilla/5.0 (Linux; Android 11; CUBOT X30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/109.0.0.0 Mobile Safari/537.36",
            None,
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1",
            None,
        ),
        ("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", None),
        (
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Mobile Safari/537.36 (Ecosia android@150.0.0.0)",
            None,
        ),
        ("Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0)", None),
        ("Mozilla/5.0 (compatible; Example)", Some(BotUserAgent)),
        ("Mozilla/5.0 (Example/1.0)", Some(BotUserAgent)),
        ("Mozilla/5.0 example/1.2", Some(BotUserAgent)),
        ("Mozilla/5.0 Umami/0.4.0", None),
        ("Mozilla/5.0 (Linux; Android 5.1; Acme 1 Build/LMY47I; wv)", None),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko; Example Console) Chrome/41.0.2272.118 Safari/537.36",
            Some(BotUserAgent),
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/90.0.0.0 Safari/537.36 (team@example.com)",
            Some(BotUserAgent),
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/90.0.0.0 Safari/537.36 example.com",
            Some(BotUserAgent),
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/90.0.0.0 Safari/537.36 NeustarWPM",
            None,
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/90.0.0.0 Safari/537.36 Neustar WPM",
            Some(BotUserAgent),
        ),
        ("Opera/9.80 (J2ME/MIDP; Opera Mini/7.1.32052/191.273; U; en) Presto/2.8.119 Version/11.10", None),
    ] {
        assert_eq!(classify(ua), expected, "{ua}");
    }
}

#[test]
fn hit_and_hints_show_automation() {
    assert_eq!(of_hit(&Hit { automated: true, ..Hit::default() }), Some(DropReason::BotAutomated));
    assert_eq!(of_hit(&Hit::default()), None);
    let headers = Headers {
        user_agent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
        ch_brands: Some(r#""HeadlessChrome";v="141", "Chromium";v="141""#),
        ..Headers::default()
    };
    assert_eq!(Classifier::new().classify(&headers).bot, Some(DropReason::BotAutomated));
}

#[test]
fn hosting_network_needs_a_second_sign() {
    const WINDOWS: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36";
    let hit = |language, platform| Headers {
        user_agent: WINDOWS,
        accept_language: language,
        ch_platform: platform,
        ..Headers::default()
    };
    let vpn = hit("de-DE,de;q=0.9", Some("\"Windows\""));
    let http_site = hit("de-DE,de;q=0.9", None);
    let program = hit("", None);
    let pretender = hit("en-US", Some("\"Linux\""));
    use NetworkKind::{Consumer, Hosting, Unknown};
    let claimed = Headers { is_claimed: true, ..hit("", None) };
    for (kind, headers, dropped, why) in [
        (Hosting, &vpn, false, "a person behind a VPN"),
        (Hosting, &http_site, false, "a person behind a VPN on a site without TLS"),
        (Hosting, &program, true, "no language"),
        (Hosting, &pretender, true, "another system"),
        (Hosting, &claimed, false, "a visitor whom somebody with a token vouches for"),
        (Consumer, &program, false, "a home"),
        (Unknown, &program, false, "not known to be hosting"),
    ] {
        let expected = dropped.then_some(DropReason::BotNetwork);
        assert_eq!(of_network(kind, headers), expected, "{why}");
    }
}
