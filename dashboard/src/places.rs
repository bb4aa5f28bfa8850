//! English names of countries (Unicode CLDR).

const COUNTRIES: &str = include_str!("places.tsv");
/// Outlines of countries, as paths of SVG in a space of [`WORLD`]; made by `dashboard/web/world.js`.
const OUTLINES: &str = include_str!("world.tsv");
/// Width and height of the map.
pub(crate) const WORLD: [u32; 2] = [1200, 545];

/// Codes of countries and their outlines.
pub(crate) fn outlines() -> impl Iterator<Item = (&'static str, &'static str)> {
    OUTLINES.lines().filter_map(|line| line.split_once('\t'))
}

/// The name of a country.
pub(crate) fn country(code: &str) -> Option<&'static str> {
    COUNTRIES.lines().find_map(|line| line.strip_prefix(code)?.strip_prefix('\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outline_is_of_a_country_with_a_name_and_there_is_one_of_each() {
        let codes: Vec<&str> = outlines().map(|(code, _)| code).collect();
        assert!(codes.is_sorted() && codes.windows(2).all(|two| two[0] != two[1]));
        for (code, outline) in outlines() {
            assert!(country(code).is_some(), "{code} has no name");
            let drawn = |c: char| c.is_ascii_digit() || "Mlhvz -".contains(c);
            assert!(outline.starts_with('M') && outline.chars().all(drawn), "{code}: {outline}");
        }
        assert_eq!(codes.len(), OUTLINES.lines().count());
        let missing = |code: &&str| !codes.contains(code);
        let europe = ["AT", "CH", "CY", "DE", "FR", "GB", "IE", "LI", "LU", "MC", "MT", "SM", "VA"];
        assert_eq!(europe.iter().filter(|code| missing(code)).count(), 0, "small ones are drawn, too");
    }
}
