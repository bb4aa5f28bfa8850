//! The owner's mapping of a consent manager's categories: in the page's URL, as in
//! `map=C0009:4`, and as `data-map` on the tag. Ids come from visitors' browsers.

/// How many ids are mapped on one tag.
pub(super) const IDS_MAX: usize = 50;
/// The longest id in characters; the script tells no more of them apart.
const ID_CHARS_MAX: usize = 64;

/// What a category can stand for: the mask on the tag, and its name.
const MEANINGS: [(&str, &str); 5] =
    [("4", "Analytics"), ("2", "Preferences"), ("8", "Marketing"), ("1", "Essential"), ("0", "None of them")];

/// What stands in the place of personal data. Whoever maps such an id has to know what it was.
const MASKS: [&str; 5] = ["[email]", "[phone]", "[token]", "[ip]", "[id]"];

/// The owner's map. Each id once, in the order of the address.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Map(Vec<(String, &'static str)>);

/// A meaning to choose.
pub(in crate::routes) struct Meaning {
    /// The field's value, as the map reads it.
    pub(in crate::routes) value: String,
    pub(in crate::routes) label: &'static str,
    pub(in crate::routes) chosen: bool,
}

/// An id of the map, with all that it may stand for.
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) meanings: Vec<Meaning>,
}

/// Whether a part of an id is masked: the script would not find it under this name.
fn is_masked(id: &str) -> bool {
    MASKS.iter().any(|mask| id.contains(mask))
}

/// What an id may stand for; nothing where a part of it is masked.
pub(in crate::routes) fn meanings(id: &str, chosen: Option<&str>) -> Vec<Meaning> {
    if is_masked(id) {
        return Vec::new();
    }
    let meaning = |(mask, label): &(&str, &'static str)| Meaning {
        value: format!("{id}:{mask}"),
        label,
        chosen: chosen == Some(mask),
    };
    MEANINGS.iter().map(meaning).collect()
}

impl Map {
    /// Parses values like `C0009:4`; the last colon ends the id. Ignores what is invalid, too long, or too much.
    pub(super) fn read<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let mut map = Self::default();
        for value in values {
            let Some((id, mask)) = value.rsplit_once(':') else { continue };
            let id = id.trim();
            let known = MEANINGS.iter().find(|(m, _)| *m == mask);
            let fits = !id.is_empty() && id.chars().count() <= ID_CHARS_MAX && map.0.len() < IDS_MAX;
            let fits = fits && !is_masked(id);
            if let Some((mask, _)) = known
                && fits
                && !map.0.iter().any(|(other, _)| other == id)
            {
                map.0.push((id.to_owned(), mask));
            }
        }
        map
    }

    /// The attribute of the tag; `None` when there is nothing to say.
    pub(super) fn attribute(&self) -> Option<String> {
        let entries: Vec<_> = self.0.iter().map(|(id, mask)| format!("{}:{mask}", encoded(id))).collect();
        (!entries.is_empty()).then(|| format!("data-map=\"{}\"", entries.join(" ")))
    }

    /// All ids, to choose again.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let entry = |(id, mask): &(String, &'static str)| Entry {
            id: id.clone(),
            meanings: meanings(id, Some(mask)),
        };
        self.0.iter().map(entry).collect()
    }
}

/// Percent-encodes everything but letters, digits and `-._:` of ASCII: whitespace and commas end an entry of the map,
/// quotes and the like mean something in HTML, and a page may have another encoding. The script decodes it.
fn encoded(id: &str) -> String {
    let mut out = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn attribute(values: &[&str]) -> Option<String> {
        Map::read(values.iter().copied()).attribute()
    }

    #[test]
    fn map_becomes_an_attribute() {
        let longest = "a".repeat(ID_CHARS_MAX);
        for (values, expected) in [
            (vec!["C0009:4", "V2STACK42:0"], Some("C0009:4 V2STACK42:0")),
            (vec!["a:b:8"], Some("a:b:8")),
            (vec!["Not mine, \"really\":2"], Some("Not%20mine%2C%20%22really%22:2")),
            (vec!["50%:1"], Some("50%25:1")),
            (vec!["<b>&é:4"], Some("%3Cb%3E%26%C3%A9:4")),
            (vec!["C0009:4", "C0009:8"], Some("C0009:4")),
            (vec![&format!("{longest}:4")], Some(&format!("{longest}:4"))),
            (vec![&format!("{longest}a:4")], None),
            (vec!["", ":4", " :4", "C0009", "C0009:", "C0009:3", "C0009:16", "C0009:x", "a-[id]:4"], None),
        ] {
            let expected = expected.map(|map| format!("data-map=\"{map}\""));
            assert_eq!(attribute(&values), expected, "{values:?}");
        }
    }

    #[test]
    fn map_holds_ids_up_to_the_limit() {
        let values: Vec<_> = (0..=IDS_MAX).map(|n| format!("C{n}:4")).collect();
        let map = Map::read(values.iter().map(String::as_str));
        assert_eq!(map.0.len(), IDS_MAX);
        assert!(map.attribute().unwrap().ends_with(&format!("C{}:4\"", IDS_MAX - 1)));
    }

    #[test]
    fn form_shows_what_was_chosen_and_nothing_to_choose_for_a_masked_id() {
        let entries = Map::read(["C 9:0"].into_iter()).entries();
        let chosen: Vec<_> =
            entries[0].meanings.iter().filter(|m| m.chosen).map(|m| m.value.as_str()).collect();
        assert_eq!((entries[0].id.as_str(), chosen), ("C 9", vec!["C 9:0"]));
        assert!(meanings("customCategory-[id]", None).is_empty());
    }

    proptest! {
        /// The script splits the attribute at whitespace and commas, and an entry at its last colon.
        #[test]
        fn any_id_stays_one_entry_of_one_attribute(id in "\\PC{1,64}", mask in prop::sample::select(vec!["0", "1", "2", "4", "8"])) {
            let value = format!("{id}:{mask}");
            let found = attribute(&[&value]);
            prop_assume!(!id.trim().is_empty() && !is_masked(&id));
            let found = found.unwrap();
            let inner = found.strip_prefix("data-map=\"").and_then(|rest| rest.strip_suffix('"')).unwrap();
            prop_assert!(inner.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:%".contains(&b)), "{inner}");
            let (entry, found_mask) = inner.rsplit_once(':').unwrap();
            prop_assert_eq!(found_mask, mask);
            let decoded: Vec<_> = url::form_urlencoded::parse(entry.as_bytes()).collect();
            prop_assert_eq!(&decoded[0].0, id.trim());
        }
    }
}
