//! The privacy claims that Sotto makes, each with the tests that fail when it is false.
//!
//! Every user-facing text takes these sentences from here, so that no claim is made without a test
//! (`every_claim_names_tests_that_exist`).

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// A language for visitor-facing texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// German.
    De,
}

impl Language {
    /// All languages.
    pub const ALL: [Self; 2] = [Self::En, Self::De];

    /// The tag of RFC 5646.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }

    /// The language of a tag like `de` or `de-AT`, if there are texts in it.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split('-').next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(primary))
    }

    /// The first supported language in an `Accept-Language` header (RFC 9110, 12.5.4; browsers list languages
    /// by preference).
    pub fn of_header(accept: &str) -> Self {
        accept.split(',').find_map(|entry| Self::of_tag(entry.split(';').next()?)).unwrap_or_default()
    }
}

/// A privacy claim.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Identifier by which texts refer to it.
    pub id: String,
    /// In English.
    pub en: String,
    /// In German.
    pub de: String,
    /// The tests that fail when it is false.
    pub tests: Vec<String>,
}

#[derive(Deserialize)]
struct File {
    claim: Vec<Claim>,
}

static FILE: LazyLock<File> =
    LazyLock::new(|| toml::from_str(include_str!("../claims.toml")).expect("a test reads the same file"));

/// All claims.
pub fn claims() -> &'static [Claim] {
    &FILE.claim
}

/// The sentence with that id. An unknown id gives an empty text; a test catches it.
pub fn claim(id: &str, language: Language) -> &'static str {
    claims().iter().find(|claim| claim.id == id).map_or("", |claim| match language {
        Language::En => &claim.en,
        Language::De => &claim.de,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claim_is_said_once_in_every_language_and_names_a_test() {
        for claim in claims() {
            assert!(claim.en.ends_with('.') && claim.de.ends_with('.'), "{}", claim.id);
            assert!(!claim.tests.is_empty(), "{} has no test", claim.id);
            assert_eq!(claims().iter().filter(|c| c.id == claim.id).count(), 1, "{}", claim.id);
        }
        assert_eq!(claim("nothing", Language::En), "");
    }

    #[test]
    fn language_is_the_first_that_there_are_texts_in() {
        for (accept, language) in [
            ("de-DE,de;q=0.9,en;q=0.8", Language::De),
            ("fr-FR,de;q=0.9", Language::De),
            ("en-GB,de;q=0.9", Language::En),
            ("fr", Language::En),
            ("", Language::En),
            ("DE", Language::De),
        ] {
            assert_eq!(Language::of_header(accept), language, "{accept}");
        }
    }
}
