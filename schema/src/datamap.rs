//! The data map as data: what is stored, why, in which category and for how long. Privacy texts are generated
//! from it.

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
    /// Whether it belongs to exempt audience measurement.
    #[serde(default)]
    pub exempt: bool,
    /// Whether it describes a campaign and identifies nobody.
    #[serde(default)]
    pub campaign: bool,
    /// How long it is kept: `raw` stands for the site's raw retention.
    pub retention: String,
    /// What it is for.
    pub purpose: String,
    /// How the value was generalised before storing, so that it reveals less than what was sent.
    pub generalisation: String,
}

/// How long something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lifetime {
    /// The site's raw retention.
    Site,
    /// [`Class::days`].
    Days,
    /// Until somebody deletes it.
    Removed,
    /// Until it has been shipped to the database.
    Shipped,
    /// In memory, for the day.
    Memory,
    /// For the lifetime of this installation.
    Installation,
    /// It is not stored.
    Never,
}

/// A kind of data with its own retention rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// The tables that hold it; empty for data in files or memory.
    #[serde(default)]
    pub tables: Vec<String>,
    /// Views that fill the tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub views: Vec<String>,
    /// How long it is kept.
    pub keep: Lifetime,
    /// For [`Lifetime::Days`]: how many days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u16>,
    /// What it is for.
    pub purpose: String,
    /// The legal basis, as far as a program can state it.
    pub basis: String,
    /// Whether it holds personal data, of visitors or staff.
    pub personal: bool,
    /// How it is removed, and when at the latest.
    pub removal: String,
}

#[derive(Deserialize)]
struct File {
    field: Vec<Entry>,
    class: Vec<Class>,
}

static FILE: LazyLock<File> =
    LazyLock::new(|| toml::from_str(include_str!("../datamap.toml")).expect("the build read the same file"));

/// All fields, in the order of the columns.
pub fn entries() -> &'static [Entry] {
    &FILE.field
}

/// Everything that is kept, raw events first.
pub fn classes() -> &'static [Class] {
    &FILE.class
}

/// Retention of the named class in days; `None` if its rule is not a number of days.
pub fn class_days(name: &str) -> Option<u16> {
    classes().iter().find(|class| class.name == name)?.days
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
    #[test]
    fn class_has_days_exactly_when_its_rule_is_a_number_of_days() {
        for class in classes() {
            assert_eq!(class.days.is_some(), class.keep == Lifetime::Days, "{}", class.name);
            assert!(class.purpose.ends_with('.') && !class.removal.is_empty(), "{}", class.name);
        }
        assert_eq!(classes()[0].name, "raw_events");
        assert_eq!(class_days("consent_receipts"), Some(1095));
        assert_eq!(class_days("raw_events"), None);
    }
}
