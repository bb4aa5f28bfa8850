//! English names of languages (Unicode CLDR).

const LANGUAGES: &str = include_str!("languages.tsv");

/// The name of a language.
pub(crate) fn language(tag: &str) -> Option<&'static str> {
    LANGUAGES.lines().find_map(|line| line.strip_prefix(tag)?.strip_prefix('\t'))
}
