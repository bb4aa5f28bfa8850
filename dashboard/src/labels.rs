//! What the values of dimensions are called on pages. The API and files keep the stored values.

use sotto_schema::{
    channel::Channel,
    dimension::{Dimension, NOT_MEASURED},
};

use crate::{
    devices::{device, screen},
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
        Dimension::Page
        | Dimension::EntryPage
        | Dimension::ExitPage
        | Dimension::Source
        | Dimension::Referrer
        | Dimension::UtmSource
        | Dimension::UtmMedium
        | Dimension::UtmCampaign
        | Dimension::Region
        | Dimension::City
        | Dimension::Browser
        | Dimension::Os
        | Dimension::Hostname
        | Dimension::Event
        | Dimension::Day
        | Dimension::Hour => None,
    };
    known.map_or_else(|| value.to_owned(), str::to_owned)
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
            (Dimension::Source, "", "Direct"),
            (Dimension::Page, "/", "/"),
        ] {
            assert_eq!(label(dimension, value), expected);
        }
    }

    #[test]
    fn channel_is_found_by_what_is_shown() {
        assert_eq!(search(Dimension::Channel, "Organic s"), "Organic_s");
        assert_eq!(search(Dimension::Page, "/a b"), "/a b");
    }
}
