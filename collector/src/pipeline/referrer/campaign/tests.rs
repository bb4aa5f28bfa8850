use super::*;
use crate::pipeline::{referrer::attribute, sanitise};

fn channel_of(query: &str) -> Channel {
    attribute("www.example.org", "", sanitise::tags(query)).channel
}

/// The rules that Google publishes for "manual" traffic (Analytics Help, "Default channel group"), one block a rule, in
/// its order. "Paid Other" and "Unassigned" are [`Channel::Campaign`] here, "SMS" is [`Channel::Messaging`].
const GA4: &[(&str, &str, &str, Channel)] = &[
    ("(direct)", "(none)", "", Channel::Direct),
    ("(direct)", "(not set)", "", Channel::Direct),
    ("(direct)", "email", "", Channel::Email),
    // The campaign's name contains "cross-network".
    ("google", "cpc", "cross-network", Channel::CrossNetwork),
    ("google", "cpc", "Spring Cross-Network 2026", Channel::CrossNetwork),
    ("acme", "", "cross-network", Channel::CrossNetwork),
    // A shop or a campaign named after one, and a paid medium.
    ("amazon", "cpc", "", Channel::PaidShopping),
    ("ebay", "paid", "", Channel::PaidShopping),
    ("igshopping", "ppc", "", Channel::PaidShopping),
    ("google", "cpc", "shopping", Channel::PaidShopping),
    ("google", "cpc", "eshop sale", Channel::PaidShopping),
    ("bing", "ppc", "spring-shop", Channel::PaidShopping),
    ("google", "cpc", "workshop", Channel::PaidSearch),
    ("google", "cpc", "workshops and shops", Channel::PaidShopping),
    // A search engine and a paid medium: ^(.*cp.*|ppc|retargeting|paid.*)$
    ("google", "cpc", "", Channel::PaidSearch),
    ("Google", "CPC", "Brand", Channel::PaidSearch),
    ("google", "cpm", "", Channel::PaidSearch),
    ("google", "ppc", "", Channel::PaidSearch),
    ("google", "paid", "", Channel::PaidSearch),
    ("google", "paidsearch", "", Channel::PaidSearch),
    ("google", "retargeting", "", Channel::PaidSearch),
    ("bing", "cpc", "", Channel::PaidSearch),
    ("yahoo", "paid_search", "", Channel::PaidSearch),
    ("duckduckgo", "cpa", "", Channel::PaidSearch),
    ("yandex", "cpv", "", Channel::PaidSearch),
    ("baidu", "cpc", "", Channel::PaidSearch),
    ("ecosia.org", "cpc", "", Channel::PaidSearch),
    // A social network and a paid medium.
    ("facebook", "cpc", "", Channel::PaidSocial),
    ("facebook", "cpm", "", Channel::PaidSocial),
    ("fb", "paid", "", Channel::PaidSocial),
    ("ig", "paid_social", "", Channel::PaidSocial),
    ("instagram.com", "paidsocial", "", Channel::PaidSocial),
    ("linkedin", "cpc", "", Channel::PaidSocial),
    ("pinterest", "retargeting", "", Channel::PaidSocial),
    ("reddit", "ppc", "", Channel::PaidSocial),
    ("quora.com", "cpc", "", Channel::PaidSocial),
    ("snapchat", "cpc", "", Channel::PaidSocial),
    ("tiktok", "cpc", "", Channel::PaidSocial),
    ("twitter", "cpc", "", Channel::PaidSocial),
    // A video site and a paid medium.
    ("youtube", "cpc", "", Channel::PaidVideo),
    ("youtube.com", "cpm", "", Channel::PaidVideo),
    ("youtube", "paid_social", "", Channel::PaidVideo),
    ("vimeo", "paid", "", Channel::PaidVideo),
    ("twitch", "cpv", "", Channel::PaidVideo),
    // The medium of a banner.
    ("acme", "display", "", Channel::Display),
    ("acme", "banner", "", Channel::Display),
    ("acme", "expandable", "", Channel::Display),
    ("acme", "interstitial", "", Channel::Display),
    ("acme", "cpm", "", Channel::Display),
    ("google", "display", "", Channel::Display),
    ("facebook", "Banner", "", Channel::Display),
    // Paid, and nothing else known.
    ("acme", "cpc", "", Channel::Campaign),
    ("acme", "paid", "", Channel::Campaign),
    ("acme", "retargeting", "", Channel::Campaign),
    // A shop or a campaign named after one.
    ("amazon", "", "", Channel::OrganicShopping),
    ("etsy.com", "referral", "", Channel::OrganicShopping),
    ("acme", "post", "shop-opening", Channel::OrganicShopping),
    ("walmart", "link", "", Channel::OrganicShopping),
    // A social network, or such a medium.
    ("facebook", "", "", Channel::OrganicSocial),
    ("facebook", "referral", "", Channel::OrganicSocial),
    ("facebook", "email", "", Channel::OrganicSocial),
    ("tiktok", "", "", Channel::OrganicSocial),
    ("tiktok", "video", "", Channel::OrganicSocial),
    ("acme", "social", "", Channel::OrganicSocial),
    ("acme", "social-network", "", Channel::OrganicSocial),
    ("acme", "social-media", "", Channel::OrganicSocial),
    ("acme", "sm", "", Channel::OrganicSocial),
    ("acme", "social network", "", Channel::OrganicSocial),
    ("acme", "social media", "", Channel::OrganicSocial),
    ("google", "social", "", Channel::OrganicSocial),
    // A video site, or a medium with "video" in it.
    ("youtube", "", "", Channel::OrganicVideo),
    ("youtube", "organic", "", Channel::OrganicVideo),
    ("acme", "video", "", Channel::OrganicVideo),
    ("acme", "my-videos", "", Channel::OrganicVideo),
    // A search engine, or the medium "organic".
    ("google", "", "", Channel::OrganicSearch),
    ("google", "organic", "", Channel::OrganicSearch),
    ("bing", "referral", "", Channel::OrganicSearch),
    ("google", "email", "", Channel::OrganicSearch),
    ("acme", "organic", "", Channel::OrganicSearch),
    // The rest goes by the medium, or by a source that is called like one.
    ("acme", "referral", "", Channel::Referral),
    ("acme", "app", "", Channel::Referral),
    ("acme", "link", "", Channel::Referral),
    ("acme", "email", "", Channel::Email),
    ("acme", "e-mail", "", Channel::Email),
    ("acme", "e_mail", "", Channel::Email),
    ("acme", "E mail", "", Channel::Email),
    ("email", "", "", Channel::Email),
    ("e-mail", "", "", Channel::Email),
    ("e_mail", "acme", "", Channel::Email),
    ("e mail", "", "", Channel::Email),
    ("acme", "affiliate", "", Channel::Affiliates),
    ("acme", "audio", "", Channel::Audio),
    ("acme", "sms", "", Channel::Messaging),
    ("sms", "", "", Channel::Messaging),
    ("acme", "push", "", Channel::MobilePush),
    ("acme", "web-push", "", Channel::MobilePush),
    ("acme", "mobile", "", Channel::MobilePush),
    ("acme", "in-app notification", "", Channel::MobilePush),
    ("firebase", "", "", Channel::MobilePush),
    ("acme", "print", "", Channel::Campaign),
    ("acme", "", "", Channel::Campaign),
];

#[test]
fn campaign_tags_give_the_channels_of_ga4() {
    for &(source, medium, campaign, channel) in GA4 {
        let query = |key: &str, value: &str| format!("{key}={}", value.replace(' ', "+"));
        let tags =
            [query("utm_source", source), query("utm_medium", medium), query("utm_campaign", campaign)];
        assert_eq!(channel_of(&tags.join("&")), channel, "{source} / {medium} / {campaign}");
    }
}

/// Where the channels of GA4 end in "Paid Other", "Referral" or "Unassigned".
#[test]
fn campaign_tags_say_more_than_ga4_where_it_says_little() {
    for (source, medium, channel) in [
        ("acme", "paid_social", Channel::PaidSocial),
        ("acme", "paid-search", Channel::PaidSearch),
        ("acme", "paid video", Channel::PaidVideo),
        ("taboola", "cpc", Channel::Display),
        ("taboola", "referral", Channel::Display),
        ("acme", "native", Channel::Display),
        ("acme", "programmatic", Channel::Display),
        ("acme", "newsletter", Channel::Email),
        ("klaviyo", "flow", Channel::Email),
        ("acme", "partner", Channel::Affiliates),
        ("chatgpt.com", "", Channel::AiAssistant),
        ("chatgpt.com", "referral", Channel::AiAssistant),
        ("whatsapp", "referral", Channel::Messaging),
        ("acme", "telegram", Channel::Messaging),
    ] {
        let query = format!("utm_source={source}&utm_medium={}", medium.replace(' ', "+"));
        assert_eq!(channel_of(&query), channel, "{source} / {medium}");
    }
}
