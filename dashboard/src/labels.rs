//! What the values of dimensions are called on pages. The API and files keep the stored values.

use sotto_schema::{
    channel::Channel,
    dimension::{Dimension, NOT_MEASURED},
};

use crate::{
    devices::{DEVICES, NETWORK_KINDS, device, network_kind, screen},
    languages::language,
    places::country,
};

/// What a value of a dimension is called.
pub(crate) fn label(dimension: Dimension, value: &str) -> String {
    if value.is_empty() {
        return dimension.none_label().into();
    }
    if value == NOT_MEASURED {
        return "Not measured".into();
    }
    let known = match dimension {
        Dimension::Channel => Channel::from_name(value).map(Channel::label),
        Dimension::Country => country(value),
        Dimension::Language => language(value),
        Dimension::Device => device(value),
        Dimension::Screen => screen(value),
        Dimension::NetworkKind => network_kind(value),
        Dimension::Page
        | Dimension::EntryPage
        | Dimension::ExitPage
        | Dimension::Source
        | Dimension::Referrer
        | Dimension::UtmSource
        | Dimension::UtmMedium
        | Dimension::UtmCampaign
        | Dimension::UtmContent
        | Dimension::UtmTerm
        | Dimension::ClickId
        | Dimension::Region
        | Dimension::City
        | Dimension::Network
        | Dimension::Browser
        | Dimension::BrowserVersion
        | Dimension::Os
        | Dimension::OsVersion
        | Dimension::Hostname
        | Dimension::Event
        | Dimension::Outbound
        | Dimension::Download
        | Dimension::Day
        | Dimension::Hour => None,
    };
    known.map_or_else(|| value.to_owned(), str::to_owned)
}

/// Whether values have names of their own, so that what is stored is not what people see.
pub(crate) const fn is_named(dimension: Dimension) -> bool {
    matches!(
        dimension,
        Dimension::Channel
            | Dimension::Country
            | Dimension::Language
            | Dimension::Device
            | Dimension::Screen
            | Dimension::NetworkKind
    )
}

/// The stored value of what somebody typed as a page shows it, whatever the case; itself if it is none of those.
pub(crate) fn stored(dimension: Dimension, typed: &str) -> String {
    let pairs = || ('a'..='z').flat_map(|a| ('a'..='z').map(move |b| format!("{a}{b}")));
    let codes: Vec<String> = if dimension == Dimension::Channel {
        Channel::ALL.map(|channel| channel.name().to_owned()).into()
    } else if dimension == Dimension::Country {
        pairs().map(|code| code.to_uppercase()).collect()
    } else if dimension == Dimension::Language {
        pairs().collect()
    } else if dimension == Dimension::Device {
        DEVICES.map(str::to_owned).into()
    } else if dimension == Dimension::NetworkKind {
        NETWORK_KINDS.map(str::to_owned).into()
    } else {
        Vec::new()
    };
    let same = |value: &str| label(dimension, value).to_lowercase() == typed.to_lowercase();
    let found = codes.into_iter().chain([String::new(), NOT_MEASURED.to_owned()]).find(|value| same(value));
    found.unwrap_or_else(|| typed.to_owned())
}

/// What is searched for in the stored values, when somebody types what a list shows.
pub(crate) fn search(dimension: Dimension, typed: &str) -> String {
    if dimension == Dimension::Channel { typed.replace([' ', '-'], "_") } else { typed.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_value_has_a_name_and_an_unknown_one_stays_itself() {
        for (dimension, value, expected) in [
            (Dimension::Channel, "organic_search", "Organic search"),
            (Dimension::Channel, "(rest)", "(rest)"),
            (Dimension::Channel, "", "Not known"),
            (Dimension::UtmCampaign, "", "None"),
            (Dimension::UtmCampaign, NOT_MEASURED, "Not measured"),
            (Dimension::Country, "FR", "France"),
            (Dimension::Country, "XX", "XX"),
            (Dimension::Country, "", "Not known"),
            (Dimension::Language, "de", "German"),
            (Dimension::Device, "mobile", "Phone"),
            (Dimension::Screen, "xl", "1440 px and more"),
            (Dimension::NetworkKind, "hosting", "Data centres"),
            (Dimension::BrowserVersion, "Firefox 132", "Firefox 132"),
            (Dimension::Outbound, NOT_MEASURED, "Not measured"),
            (Dimension::Source, "", "Direct"),
            (Dimension::Page, "/", "/"),
        ] {
            assert_eq!(label(dimension, value), expected);
        }
    }

    #[test]
    fn typed_label_is_the_stored_value_whatever_the_case() {
        for (dimension, typed, expected) in [
            (Dimension::Country, "france", "FR"),
            (Dimension::Country, "FR", "FR"),
            (Dimension::Language, "German", "de"),
            (Dimension::Device, "phone", "mobile"),
            (Dimension::NetworkKind, "homes and phones", "consumer"),
            (Dimension::Channel, "ai assistant", "ai_assistant"),
            (Dimension::City, "not known", ""),
            (Dimension::UtmCampaign, "Not measured", NOT_MEASURED),
            (Dimension::Page, "/A", "/A"),
        ] {
            assert_eq!(stored(dimension, typed), expected);
        }
    }

    #[test]
    fn channel_is_found_by_what_is_shown() {
        assert_eq!(search(Dimension::Channel, "Organic s"), "Organic_s");
        assert_eq!(search(Dimension::Page, "/a b"), "/a b");
    }
}
