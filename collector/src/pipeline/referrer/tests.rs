use super::*;
use proptest::prelude::*;

fn visit(referrer: &str, query: &str) -> Attribution {
    attribute("www.example.org", referrer, sanitise::tags(query))
}

const REFERRERS: &[(&str, &str, Channel)] = &[
    ("", "", Channel::Direct),
    ("about:blank", "", Channel::Direct),
    ("https://www.google.com/", "Google", Channel::OrganicSearch),
    ("https://www.google.co.uk/search", "Google", Channel::OrganicSearch),
    ("https://google.de", "Google", Channel::OrganicSearch),
    ("https://google.evil.example/", "google.evil.example", Channel::Referral),
    ("https://notgoogle.com/", "notgoogle.com", Channel::Referral),
    ("android-app://com.google.android.googlequicksearchbox/", "Google", Channel::OrganicSearch),
    ("https://news.google.com/", "Google News", Channel::Referral),
    ("https://mail.google.com/mail/u/0/", "Gmail", Channel::Email),
    ("android-app://com.google.android.gm/", "Gmail", Channel::Email),
    ("https://gemini.google.com/app", "Gemini", Channel::AiAssistant),
    ("https://duckduckgo.com/", "DuckDuckGo", Channel::OrganicSearch),
    ("https://search.brave.com/search", "Brave", Channel::OrganicSearch),
    ("https://de.search.yahoo.com/", "Yahoo", Channel::OrganicSearch),
    ("https://cn.bing.com/", "Bing", Channel::OrganicSearch),
    ("https://chatgpt.com/", "ChatGPT", Channel::AiAssistant),
    ("https://claude.ai/chat/550e8400-e29b-41d4-a716-446655440000", "Claude", Channel::AiAssistant),
    ("https://www.perplexity.ai/search/x", "Perplexity", Channel::AiAssistant),
    ("https://copilot.microsoft.com/", "Copilot", Channel::AiAssistant),
    ("https://chat.mistral.ai/", "Mistral", Channel::AiAssistant),
    ("https://www.genspark.ai/", "Genspark", Channel::AiAssistant),
    ("https://felo.ai/search/x", "Felo", Channel::AiAssistant),
    ("https://x.com/i/grok", "Grok", Channel::AiAssistant),
    ("https://www.x.com/i/grok/share/a", "Grok", Channel::AiAssistant),
    ("https://x.com/i/grokking", "X", Channel::OrganicSocial),
    ("https://x.com/", "X", Channel::OrganicSocial),
    ("https://l.facebook.com/l.php", "Facebook", Channel::OrganicSocial),
    ("https://m.facebook.com/", "Facebook", Channel::OrganicSocial),
    ("https://t.co/abc", "X", Channel::OrganicSocial),
    ("https://out.reddit.com/", "Reddit", Channel::OrganicSocial),
    ("https://mastodon.social/@a", "Mastodon", Channel::OrganicSocial),
    ("https://news.ycombinator.com/item", "Hacker News", Channel::OrganicSocial),
    ("https://www.youtube.com/watch", "YouTube", Channel::OrganicVideo),
    ("https://www.tiktok.com/", "TikTok", Channel::OrganicSocial),
    ("https://t.umblr.com/redirect", "Tumblr", Channel::OrganicSocial),
    ("https://disqus.com/", "Disqus", Channel::OrganicSocial),
    ("https://web.whatsapp.com/", "WhatsApp", Channel::Messaging),
    ("https://wa.me/491701234567", "WhatsApp", Channel::Messaging),
    ("https://l.wl.co/l?u=x", "WhatsApp", Channel::Messaging),
    ("android-app://org.telegram.messenger/", "Telegram", Channel::Messaging),
    ("https://www.googleadservices.com/pagead/aclk", "Google", Channel::PaidSearch),
    ("https://syndicatedsearch.goog/", "Google", Channel::PaidSearch),
    ("https://googleads.g.doubleclick.net/", "Google", Channel::Display),
    ("https://www.amazon.de/", "Amazon", Channel::OrganicShopping),
    ("https://sports.yahoo.com/", "Yahoo News", Channel::Referral),
    ("https://maps.yandex.ru/", "Yandex Maps", Channel::Referral),
    ("https://yandex.ru/maps/213/moscow", "Yandex Maps", Channel::Referral),
    ("https://yandex.ru/search", "Yandex", Channel::OrganicSearch),
    ("https://mail.aol.com/", "AOL Mail", Channel::Email),
    ("https://mail.naver.com/", "Naver Mail", Channel::Email),
    ("https://mail.daum.net/", "Daum Mail", Channel::Email),
    ("https://email.seznam.cz/", "Seznam Email", Channel::Email),
    ("https://mail.rambler.ru/", "Rambler Mail", Channel::Email),
    ("https://email.ionos.de/", "IONOS Mail", Channel::Email),
    ("https://email.freenet.de/", "Freenet Mail", Channel::Email),
    ("https://webmail.strato.de/", "STRATO Mail", Channel::Email),
    ("https://wx.mail.qq.com/", "QQ Mail", Channel::Email),
    ("https://mail.163.com/", "163 Mail", Channel::Email),
    ("https://search.naver.com/", "Naver", Channel::OrganicSearch),
    ("https://search.seznam.cz/", "Seznam", Channel::OrganicSearch),
    ("https://blog.example.com/a", "blog.example.com", Channel::Referral),
    ("https://WWW.Example.COM/a", "example.com", Channel::Referral),
    ("https://www.example.org/other", "", Channel::Internal),
    ("https://shop.example.org/other", "", Channel::Internal),
    ("https://checkout.stripe.com/c/pay/cs_live_x", "", Channel::Internal),
    ("https://www.paypal.com/checkoutnow", "", Channel::Internal),
    ("https://pay.klarna.com/eu", "", Channel::Internal),
    ("https://www.mollie.com/checkout", "", Channel::Internal),
    ("https://accounts.google.com/", "", Channel::Internal),
];

#[test]
fn referrer_names_source_and_channel() {
    for &(referrer, source, channel) in REFERRERS {
        let found = visit(referrer, "");
        assert_eq!((found.source.as_str(), found.channel), (source, channel), "{referrer}");
        assert_eq!(
            found.referrer_host.is_empty(),
            matches!(channel, Channel::Direct | Channel::Internal),
            "{referrer}"
        );
        assert!(!found.spam);
    }
}

#[test]
fn tags_and_click_ids_decide_the_channel() {
    for (referrer, query, source, channel) in [
        ("https://www.google.com/", "gclid=x", "Google", Channel::PaidSearch),
        ("", "gclid=x", "Google", Channel::PaidSearch),
        ("https://www.bing.com/", "msclkid=x", "Bing", Channel::PaidSearch),
        ("https://www.youtube.com/", "gclid=x", "YouTube", Channel::PaidVideo),
        ("", "dclid=x", "Google", Channel::Display),
        ("https://l.facebook.com/", "fbclid=x", "Facebook", Channel::OrganicSocial),
        ("", "fbclid=x", "Facebook", Channel::OrganicSocial),
        ("https://www.example.com/", "fbclid=x", "example.com", Channel::Referral),
        ("", "fbclid=x&utm_source=facebook&utm_medium=cpc", "Facebook", Channel::PaidSocial),
        ("", "ttclid=x", "TikTok", Channel::PaidSocial),
        ("", "gad_source=1&gad_campaignid=2", "Google", Channel::PaidSearch),
        ("https://t.co/a", "gclid=x", "X", Channel::PaidSocial),
        ("", "utm_source=acme&gclid=x", "acme", Channel::PaidSearch),
        ("", "utm_source=acme&utm_medium=cpc&gclid=x", "acme", Channel::PaidSearch),
        ("https://www.example.com/", "gclid=x&fbclid=x", "Google", Channel::PaidSearch),
        ("https://mail.google.com/", "mc_eid=x", "Gmail", Channel::Email),
        ("", "mc_eid=x", "Mailchimp", Channel::Email),
        ("", "_kx=x", "Klaviyo", Channel::Email),
        ("", "mkt_tok=x", "Marketo", Channel::Email),
        ("", "awc=x", "", Channel::Affiliates),
        ("", "utm_source=google&utm_medium=cpc", "Google", Channel::PaidSearch),
        ("", "utm_source=Google&utm_medium=organic", "Google", Channel::OrganicSearch),
        ("", "utm_source=ig&utm_medium=paid_social", "Instagram", Channel::PaidSocial),
        ("", "utm_source=acme&utm_medium=paid-social", "acme", Channel::PaidSocial),
        ("", "utm_source=acme&utm_medium=ppc", "acme", Channel::Campaign),
        ("", "utm_source=acme&utm_medium=cpm", "acme", Channel::Display),
        ("", "utm_source=acme&utm_medium=affiliate", "acme", Channel::Affiliates),
        ("", "utm_source=November+News&utm_medium=email", "November News", Channel::Email),
        ("", "utm_source=newsletter", "Newsletter", Channel::Email),
        ("", "utm_source=whatsapp", "WhatsApp", Channel::Messaging),
        ("", "utm_source=acme&utm_medium=sms", "acme", Channel::Messaging),
        ("", "utm_source=acme&utm_medium=social", "acme", Channel::OrganicSocial),
        ("", "utm_source=chatgpt.com", "ChatGPT", Channel::AiAssistant),
        ("", "utm_source=www.perplexity.ai", "Perplexity", Channel::AiAssistant),
        ("", "ref=producthunt", "Product Hunt", Channel::OrganicSocial),
        ("", "utm_source=partner.example&utm_medium=referral", "partner.example", Channel::Referral),
        ("", "utm_source=flyer&utm_medium=print&utm_campaign=spring", "flyer", Channel::Campaign),
        ("", "utm_campaign=spring", "", Channel::Campaign),
        ("https://www.google.com/", "utm_campaign=spring", "Google", Channel::OrganicSearch),
        ("https://www.google.com/", "utm_source=acme", "acme", Channel::Campaign),
        ("https://www.example.org/", "utm_source=acme", "acme", Channel::Campaign),
        ("", "utm_source=paypal.com", "paypal.com", Channel::Campaign),
    ] {
        let found = visit(referrer, query);
        assert_eq!((found.source.as_str(), found.channel), (source, channel), "{referrer} {query}");
    }
}

#[test]
fn every_click_id_alone_gives_its_channel_whatever_the_case() {
    for id in &*click_ids::CLICK_IDS {
        for name in [id.name.clone(), id.name.to_ascii_uppercase()] {
            let found = visit("", &format!("a=b&{name}=SECRET"));
            assert_eq!((found.tags.click_id, found.channel), (id.name.as_str(), id.channel), "{name}");
            assert_eq!(found.source, id.source, "{name}");
        }
    }
}

#[test]
fn customers_of_one_platform_are_not_one_site() {
    for (page, referrer, same) in [
        ("anna.github.io", "https://ben.github.io/", false),
        ("shop.co.uk", "https://other.co.uk/", false),
        ("www.shop.co.uk", "https://blog.shop.co.uk/", true),
        ("localhost", "http://localhost:3000/", true),
        ("192.0.2.1", "http://192.0.2.1/", true),
        ("192.0.2.1", "http://198.51.2.1/", false),
    ] {
        let found = attribute(page, referrer, Tags::default());
        assert_eq!(found.channel == Channel::Internal, same, "{page} {referrer}");
    }
}

#[test]
fn spammer_is_recognised_under_every_host() {
    for (referrer, expected) in [
        ("http://semalt.com/", true),
        ("http://best.semalt.com/x", true),
        ("http://notsemalt.com/", false),
        ("", false),
    ] {
        assert_eq!(visit(referrer, "").spam, expected, "{referrer}");
    }
}

#[test]
fn referrer_path_is_masked() {
    let found = visit("https://blog.example.com/u/anna@example.com?q=secret#x", "");
    assert_eq!(
        (found.referrer_host.as_str(), found.referrer_path.as_str()),
        ("blog.example.com", "/u/[email]")
    );
}

#[test]
fn every_channel_has_its_own_name() {
    let names: std::collections::HashSet<_> = Channel::ALL.iter().map(|c| c.name()).collect();
    assert_eq!(names.len(), Channel::ALL.len());
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(host in ".{0,40}", referrer in ".{0,80}", query in ".{0,80}") {
        attribute(&host, &referrer, sanitise::tags(&query));
        attribute(&host, &format!("https://{referrer}"), sanitise::tags(&query));
    }
}
