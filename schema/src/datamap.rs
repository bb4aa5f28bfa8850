//! The data map as data: what is stored, why, under which category, for how long. Texts are made from it.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// One stored field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Column name.
    pub name: String,
    /// Column type; `Enum8` for one of `values`.
    pub r#type: String,
    /// The values of an `Enum8`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// Consent category.
    pub category: String,
    /// On the list of exempt audience measurement.
    #[serde(default)]
    pub exempt: bool,
    /// Describes a campaign and identifies nobody.
    #[serde(default)]
    pub campaign: bool,
    /// How long it is kept: `raw` stands for the site's raw retention.
    pub retention: String,
    /// What it is for.
    pub purpose: String,
    /// What was done before storing, so that the stored value says less than the sent one.
    pub generalisation: String,
}

#[derive(Deserialize)]
struct File {
    field: Vec<Entry>,
}

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let file: File = toml::from_str(include_str!("../datamap.toml")).expect("the build read the same file");
    file.field
});

/// All fields, in the order of the columns.
pub fn entries() -> &'static [Entry] {
    &ENTRIES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Field;

    #[test]
    fn entries_are_the_fields_and_say_everything() {
        assert_eq!(entries().len(), Field::ALL.len());
        for (entry, field) in entries().iter().zip(Field::ALL) {
            assert_eq!(entry.name, field.name());
            assert_eq!(entry.category, field.rule().category().name(), "{}", entry.name);
            assert_eq!(entry.retention, "raw", "{}", entry.name);
            assert!(entry.purpose.len() > 10 && entry.purpose.ends_with(['.', ')']), "{}", entry.name);
            assert!(!entry.generalisation.is_empty(), "{}", entry.name);
        }
    }
}
