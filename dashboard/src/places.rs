//! English names of countries (Unicode CLDR).

const COUNTRIES: &str = include_str!("places.tsv");

/// The name of a country.
pub(crate) fn country(code: &str) -> Option<&'static str> {
    COUNTRIES.lines().find_map(|line| line.strip_prefix(code)?.strip_prefix('\t'))
}
