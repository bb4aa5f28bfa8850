//! Traffic channels: their stored names and display labels.

use serde::Deserialize;

/// A traffic channel. The names are stored, so renaming one is a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Typed, bookmarked, or without a referrer.
    #[default]
    Direct,
    /// Search results.
    OrganicSearch,
    /// Advertisements beside search results.
    PaidSearch,
    /// Links in social networks.
    OrganicSocial,
    /// Advertisements in social networks.
    PaidSocial,
    /// Links in videos.
    OrganicVideo,
    /// Advertisements in videos.
    PaidVideo,
    /// Links in shops and price comparisons, and campaigns named after a shop.
    OrganicShopping,
    /// Advertisements in shops and price comparisons.
    PaidShopping,
    /// Answers of AI assistants.
    AiAssistant,
    /// Mail programs and newsletters.
    Email,
    /// Messengers and SMS.
    Messaging,
    /// Notifications of apps and browsers.
    MobilePush,
    /// Other sites.
    Referral,
    /// Other campaigns.
    Campaign,
    /// Banners.
    Display,
    /// Podcasts and radio.
    Audio,
    /// Campaigns that run in several networks at once.
    CrossNetwork,
    /// Affiliate programs.
    Affiliates,
    /// The site itself, or a page that the visitor came back from.
    Internal,
}

impl Channel {
    /// All channels.
    pub const ALL: [Self; 20] = [
        Self::Direct,
        Self::OrganicSearch,
        Self::PaidSearch,
        Self::OrganicSocial,
        Self::PaidSocial,
        Self::OrganicVideo,
        Self::PaidVideo,
        Self::OrganicShopping,
        Self::PaidShopping,
        Self::AiAssistant,
        Self::Email,
        Self::Messaging,
        Self::MobilePush,
        Self::Referral,
        Self::Campaign,
        Self::Display,
        Self::Audio,
        Self::CrossNetwork,
        Self::Affiliates,
        Self::Internal,
    ];

    /// The stored name.
    pub const fn name(self) -> &'static str {
        self.words().0
    }

    /// The name for people.
    pub const fn label(self) -> &'static str {
        self.words().1
    }

    /// The channel with that stored name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.name() == name)
    }

    /// Stored name and display label.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Direct => ("direct", "Direct"),
            Self::OrganicSearch => ("organic_search", "Organic search"),
            Self::PaidSearch => ("paid_search", "Paid search"),
            Self::OrganicSocial => ("organic_social", "Organic social"),
            Self::PaidSocial => ("paid_social", "Paid social"),
            Self::OrganicVideo => ("organic_video", "Organic video"),
            Self::PaidVideo => ("paid_video", "Paid video"),
            Self::OrganicShopping => ("organic_shopping", "Organic shopping"),
            Self::PaidShopping => ("paid_shopping", "Paid shopping"),
            Self::AiAssistant => ("ai_assistant", "AI assistant"),
            Self::Email => ("email", "Email"),
            Self::Messaging => ("messaging", "Messaging"),
            Self::MobilePush => ("mobile_push", "Mobile push"),
            Self::Referral => ("referral", "Referral"),
            Self::Campaign => ("campaign", "Campaign"),
            Self::Display => ("display", "Display"),
            Self::Audio => ("audio", "Audio"),
            Self::CrossNetwork => ("cross_network", "Cross-network"),
            Self::Affiliates => ("affiliates", "Affiliates"),
            Self::Internal => ("internal", "Internal"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::{IntoDeserializer, value::Error};

    #[test]
    fn channel_reads_as_its_stored_name_everywhere() {
        for channel in Channel::ALL {
            assert_eq!(Channel::from_name(channel.name()), Some(channel));
            let read: Result<Channel, Error> = Channel::deserialize(channel.name().into_deserializer());
            assert_eq!(read, Ok(channel));
            // A list must be searchable by the labels it shows.
            let written = channel.label().to_lowercase().replace([' ', '-'], "_");
            assert_eq!(written, channel.name());
        }
        assert_eq!(Channel::from_name("Organic search"), None);
    }
}
