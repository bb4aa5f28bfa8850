//! English names of codes (Unicode CLDR): countries, languages, device and screen classes.

use crate::report::Dimension;

const COUNTRIES: &str = include_str!("places.tsv");
const LANGUAGES: &str = include_str!("languages.tsv");

fn look_up(table: &'static str, code: &str) -> Option<&'static str> {
    table.lines().find_map(|line| line.strip_prefix(code)?.strip_prefix('\t'))
}

/// What a value of a dimension is called.
pub(crate) fn label(dimension: Dimension, value: &str) -> String {
    if value.is_empty() {
        return dimension.none_label().into();
    }
    let known = match dimension {
        Dimension::Country => look_up(COUNTRIES, value),
        Dimension::Language => look_up(LANGUAGES, value),
        Dimension::Device => device(value),
        Dimension::Screen => screen(value),
        Dimension::Page
        | Dimension::EntryPage
        | Dimension::ExitPage
        | Dimension::Source
        | Dimension::Channel
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

fn device(class: &str) -> Option<&'static str> {
    Some(match class {
        "desktop" => "Desktop",
        "mobile" => "Phone",
        "tablet" => "Tablet",
        "tv" => "Television",
        "console" => "Game console",
        "wearable" => "Wearable",
        "car" => "Car",
        _ => return None,
    })
}

fn screen(class: &str) -> Option<&'static str> {
    Some(match class {
        "xs" => "Under 576 px",
        "sm" => "576 – 767 px",
        "md" => "768 – 991 px",
        "lg" => "992 – 1439 px",
        "xl" => "1440 px and more",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_has_a_name_and_an_unknown_one_stays_itself() {
        for (dimension, value, expected) in [
            (Dimension::Country, "FR", "France"),
            (Dimension::Country, "XX", "XX"),
            (Dimension::Country, "", "Not known"),
            (Dimension::Language, "de", "German"),
            (Dimension::Device, "mobile", "Phone"),
            (Dimension::Screen, "xl", "1440 px and more"),
            (Dimension::Source, "", "Direct or none"),
            (Dimension::Page, "/", "/"),
        ] {
            assert_eq!(label(dimension, value), expected);
        }
    }
}
