//! The click identifiers of `data/click_ids.toml`, read once. The script is built from the same file.

use std::sync::LazyLock;

use serde::Deserialize;

use super::Channel;

/// A click identifier: the parameter that an advertisement or a mail sender adds to the links to a page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClickId {
    /// Name of the parameter, in lower case. Nothing else of it is ever kept.
    pub name: String,
    /// Whose it is, for people.
    pub network: String,
    /// Name of the source that it tells, among those of `schema/data/referrers.toml`; may be empty.
    pub source: String,
    /// Channel of a visit that nothing but this tells about.
    pub channel: Channel,
}

impl ClickId {
    /// Whether somebody paid for the click or sent the mail. Otherwise the identifier sticks to links that people copy.
    pub(super) fn is_certain(&self) -> bool {
        !matches!(self.channel, Channel::OrganicSearch | Channel::OrganicSocial | Channel::OrganicVideo)
    }
}

/// All click identifiers, those that tell more first.
#[expect(
    clippy::expect_used,
    reason = "the file is part of the binary and read by every test of this module"
)]
pub static CLICK_IDS: LazyLock<Vec<ClickId>> = LazyLock::new(|| {
    let file: File =
        toml::from_str(include_str!("../../../data/click_ids.toml")).expect("data/click_ids.toml");
    file.click_ids
});

/// The place in [`CLICK_IDS`] of a parameter's name, whatever its case.
pub fn position(parameter: &str) -> Option<usize> {
    CLICK_IDS.iter().position(|id| id.name.eq_ignore_ascii_case(parameter))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    click_ids: Vec<ClickId>,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn table_is_well_formed_and_says_each_name_once() {
        let mut names = HashSet::new();
        for id in &*CLICK_IDS {
            assert!(id.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", id.name);
            assert!(names.insert(&id.name), "twice: {}", id.name);
            assert!(!id.network.is_empty(), "{}", id.name);
        }
    }

    #[test]
    fn certain_identifiers_go_before_those_that_links_carry_on() {
        assert!(CLICK_IDS.iter().map(ClickId::is_certain).is_sorted_by(|before, after| before >= after));
    }
}
