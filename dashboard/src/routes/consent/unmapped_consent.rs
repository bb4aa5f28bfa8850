//! Categories of consent managers that no mapping knew, each with what it may stand for.

use jiff::civil::Date;

use crate::{
    figures::grouped,
    report::unmapped_consent::Unmapped,
    routes::install::{self, Meaning},
};

/// A category to map.
pub(super) struct Category {
    pub(super) source: String,
    pub(super) id: String,
    pub(super) times: String,
    pub(super) last: String,
    /// What it may stand for; nothing where a part of its id is masked.
    pub(super) meanings: Vec<Meaning>,
}

pub(super) fn categories(found: &[Unmapped]) -> Vec<Category> {
    let category = |u: &Unmapped| Category {
        source: match install::manager(&u.source) {
            Some(title) => title.to_owned(),
            None if u.source.is_empty() => "Not known".to_owned(),
            None => u.source.clone(),
        },
        id: u.category.clone(),
        times: grouped(u.times),
        last: u
            .last_day
            .parse::<Date>()
            .map_or_else(|_| u.last_day.clone(), |day| day.strftime("%-d %b %Y").to_string()),
        meanings: install::meanings(&u.category, None),
    };
    found.iter().map(category).collect()
}

/// The consent manager with the most reports that there is a module for.
pub(super) fn manager(found: &[Unmapped]) -> Option<String> {
    found.iter().map(|u| &u.source).find(|source| install::manager(source).is_some()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str, category: &str) -> Unmapped {
        Unmapped {
            source: source.into(),
            category: category.into(),
            times: 1_234,
            last_day: "2026-03-01".into(),
        }
    }

    #[test]
    fn category_reads_as_people_write_it_and_can_be_mapped_unless_masked() {
        let shown = categories(&[found("onetrust", "C0009"), found("", "x-[id]")]);
        let words = |c: &Category| [&c.source, &c.id, &c.times, &c.last].map(String::clone).join(" | ");
        assert_eq!(words(&shown[0]), "OneTrust | C0009 | 1,234 | 1 Mar 2026");
        assert_eq!(shown[0].meanings[0].value, "C0009:4");
        assert!(shown[0].meanings.iter().all(|m| !m.chosen), "nobody chose yet");
        assert_eq!(words(&shown[1]), "Not known | x-[id] | 1,234 | 1 Mar 2026");
        assert!(shown[1].meanings.is_empty());
    }

    #[test]
    fn tag_is_for_the_first_manager_that_has_a_module() {
        assert_eq!(manager(&[found("mine", "a"), found("klaro", "b")]).as_deref(), Some("klaro"));
        assert_eq!(manager(&[found("mine", "a")]), None);
    }
}
