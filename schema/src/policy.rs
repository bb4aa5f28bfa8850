//! Consent: what a visitor decided, what a site's policy requires, and which fields may therefore be kept.
//!
//! Pure. The rules per field come from `datamap.toml`; nothing else decides. Proof: property tests below and
//! `hit_never_stores_a_field_outside_the_allowed_categories` in the collector.

use serde::{Deserialize, Serialize};

use crate::event::{Field, FieldSet};

/// A consent category as the visitor sees it; the value is its bit in a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Category {
    /// Needed to run the site.
    Essential = 1,
    /// Remembers what the visitor prefers.
    Preference = 2,
    /// Measures the audience.
    Analytics = 4,
    /// Measures and targets marketing.
    Marketing = 8,
}

impl Category {
    /// All categories, by bit.
    pub const ALL: [Self; 4] = [Self::Essential, Self::Preference, Self::Analytics, Self::Marketing];
    /// All bits.
    pub const MASK: u8 = 15;

    /// The category's name in the data map.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Essential => "essential",
            Self::Preference => "preference",
            Self::Analytics => "analytics",
            Self::Marketing => "marketing",
        }
    }
}

/// What the visitor said about one category.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Said yes.
    Granted,
    /// Said no, or the browser did (Global Privacy Control).
    Refused,
    /// Was not asked or has not answered.
    Undecided,
}

/// What the visitor said, by category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Consent {
    granted: u8,
    refused: u8,
}

impl Consent {
    /// No answer yet.
    pub const UNDECIDED: Self = Self { granted: 0, refused: 0 };

    /// The visitor decided: the categories of `mask` are granted, all others refused. Unknown bits are ignored.
    pub const fn decided(mask: u8) -> Self {
        let granted = mask & Category::MASK;
        Self { granted, refused: Category::MASK & !granted & !(Category::Essential as u8) }
    }

    /// The browser objects to `category`, whatever was granted before.
    #[must_use]
    pub const fn refuse(self, category: Category) -> Self {
        let bit = category as u8;
        Self { granted: self.granted & !bit, refused: self.refused | bit }
    }

    /// What was said about `category`.
    pub const fn state(self, category: Category) -> State {
        let bit = category as u8;
        if self.refused & bit != 0 {
            State::Refused
        } else if self.granted & bit != 0 {
            State::Granted
        } else {
            State::Undecided
        }
    }

    /// The granted categories as a mask of [`Category`] bits.
    pub const fn granted(self) -> u8 {
        self.granted
    }

    /// The refused categories as a mask of [`Category`] bits.
    pub const fn refused(self) -> u8 {
        self.refused
    }
}

/// The policy rule that governs a field: its category, and within analytics and marketing the part that some
/// laws treat separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Essential fields.
    Essential,
    /// Analytics fields of exempt audience measurement.
    Measurement,
    /// All other analytics fields.
    Analytics,
    /// Preference fields.
    Preference,
    /// Marketing fields that describe a campaign and identify nobody.
    Campaign,
    /// All other marketing fields.
    Marketing,
}

impl Rule {
    /// All rules.
    pub const ALL: [Self; 6] = [
        Self::Essential,
        Self::Measurement,
        Self::Analytics,
        Self::Preference,
        Self::Campaign,
        Self::Marketing,
    ];

    /// The category the visitor is asked about.
    pub const fn category(self) -> Category {
        match self {
            Self::Essential => Category::Essential,
            Self::Measurement | Self::Analytics => Category::Analytics,
            Self::Preference => Category::Preference,
            Self::Campaign | Self::Marketing => Category::Marketing,
        }
    }
}

/// When the fields under a rule are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Always; only for essential fields.
    Always,
    /// Unless the visitor refused.
    UnlessRefused,
    /// Only when the visitor granted it.
    WithConsent,
    /// Never.
    Never,
}

impl Keep {
    /// Whether fields are kept when the visitor said `state`.
    pub const fn allows(self, state: State) -> bool {
        match self {
            Self::Always => true,
            Self::UnlessRefused => !matches!(state, State::Refused),
            Self::WithConsent => matches!(state, State::Granted),
            Self::Never => false,
        }
    }
}

/// What happens to the hit of a visitor whose measurement fields must not be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Minimal {
    /// A pageview is counted without visitor and session: essential fields only.
    #[default]
    Count,
    /// Nothing is kept.
    Drop,
}

/// A site's consent policy. Essential fields are always kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Exempt audience measurement.
    pub measurement: Keep,
    /// Other analytics fields.
    pub analytics: Keep,
    /// Preference fields.
    pub preference: Keep,
    /// Campaign fields.
    pub campaign: Keep,
    /// Other marketing fields.
    pub marketing: Keep,
    /// What a refused visitor's hit becomes.
    pub minimal: Minimal,
    /// Whether Global Privacy Control also refuses analytics (it always refuses marketing).
    pub gpc_refuses_analytics: bool,
}

/// A policy that can be chosen by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Exempt measurement unless refused, everything else with consent.
    #[default]
    Cnil,
    /// Everything with consent.
    Strict,
    /// Analytics and campaign fields unless refused.
    Cookieless,
}

impl Preset {
    /// All presets; the first is the default.
    pub const ALL: [Self; 3] = [Self::Cnil, Self::Strict, Self::Cookieless];

    /// The name as typed and stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cnil => "cnil",
            Self::Strict => "strict",
            Self::Cookieless => "cookieless",
        }
    }

    /// The preset of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name() == name)
    }

    /// What the preset asks for.
    pub const fn policy(self) -> Policy {
        let strict = Policy {
            measurement: Keep::WithConsent,
            analytics: Keep::WithConsent,
            preference: Keep::WithConsent,
            campaign: Keep::WithConsent,
            marketing: Keep::WithConsent,
            minimal: Minimal::Count,
            gpc_refuses_analytics: false,
        };
        match self {
            Self::Strict => strict,
            Self::Cnil => Policy { measurement: Keep::UnlessRefused, ..strict },
            Self::Cookieless => Policy {
                measurement: Keep::UnlessRefused,
                analytics: Keep::UnlessRefused,
                campaign: Keep::UnlessRefused,
                ..strict
            },
        }
    }
}

impl Policy {
    /// When the fields under `rule` are kept.
    pub const fn keep(&self, rule: Rule) -> Keep {
        match rule {
            Rule::Essential => Keep::Always,
            Rule::Measurement => self.measurement,
            Rule::Analytics => self.analytics,
            Rule::Preference => self.preference,
            Rule::Campaign => self.campaign,
            Rule::Marketing => self.marketing,
        }
    }

    /// Whether the fields under `rule` may be kept for a visitor whose consent is `consent`.
    pub const fn allows(&self, rule: Rule, consent: Consent) -> bool {
        self.keep(rule).allows(consent.state(rule.category()))
    }

    /// The fields that may be kept for a visitor whose consent is `consent`.
    pub fn allowed(&self, consent: Consent) -> FieldSet {
        // 64 consent states times 6 rules: cheap enough per hit, and the field set of each rule is constant.
        Rule::ALL
            .into_iter()
            .filter(|rule| self.allows(*rule, consent))
            .fold(FieldSet::EMPTY, |set, rule| set.union(fields_under(rule)))
    }

    /// The visitor's consent with the browser's Global Privacy Control signal applied (W3C Global Privacy
    /// Control, 10 July 2025: only the header value `1` is a signal).
    pub const fn with_gpc(&self, consent: Consent, gpc: bool) -> Consent {
        if !gpc {
            return consent;
        }
        let consent = consent.refuse(Category::Marketing);
        if self.gpc_refuses_analytics { consent.refuse(Category::Analytics) } else { consent }
    }
}

/// The fields of the data map under `rule`.
pub const fn fields_under(rule: Rule) -> FieldSet {
    const SETS: [FieldSet; Rule::ALL.len()] = {
        let mut sets = [FieldSet::EMPTY; Rule::ALL.len()];
        let mut i = 0;
        while i < Field::ALL.len() {
            let field = Field::ALL[i];
            sets[field.rule() as usize] = sets[field.rule() as usize].with(field);
            i += 1;
        }
        sets
    };
    SETS[rule as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decision_leaves_no_category_undecided() {
        for mask in 0..=u8::MAX {
            let consent = Consent::decided(mask);
            for category in &Category::ALL[1..] {
                let expected = if mask & *category as u8 != 0 { State::Granted } else { State::Refused };
                assert_eq!(consent.state(*category), expected, "{mask} {category:?}");
            }
        }
    }

    #[test]
    fn preset_decides_what_each_visitor_leaves_behind() {
        let (none, all, refused) = (Consent::UNDECIDED, Consent::decided(15), Consent::decided(1));
        for (preset, rule, undecided, granted, denied) in [
            (Preset::Cnil, Rule::Essential, true, true, true),
            (Preset::Cnil, Rule::Measurement, true, true, false),
            (Preset::Cnil, Rule::Analytics, false, true, false),
            (Preset::Cnil, Rule::Preference, false, true, false),
            (Preset::Cnil, Rule::Campaign, false, true, false),
            (Preset::Strict, Rule::Essential, true, true, true),
            (Preset::Strict, Rule::Measurement, false, true, false),
            (Preset::Strict, Rule::Campaign, false, true, false),
            (Preset::Cookieless, Rule::Measurement, true, true, false),
            (Preset::Cookieless, Rule::Analytics, true, true, false),
            (Preset::Cookieless, Rule::Campaign, true, true, false),
            (Preset::Cookieless, Rule::Preference, false, true, false),
            (Preset::Cookieless, Rule::Marketing, false, true, false),
        ] {
            let policy = preset.policy();
            for (consent, expected) in [(none, undecided), (all, granted), (refused, denied)] {
                assert_eq!(policy.allows(rule, consent), expected, "{preset:?} {rule:?} {consent:?}");
            }
        }
    }

    #[test]
    fn gpc_refuses_marketing_even_when_it_was_granted() {
        let policy = Preset::Cookieless.policy();
        let consent = policy.with_gpc(Consent::decided(15), true);
        assert_eq!(consent.state(Category::Marketing), State::Refused);
        assert_eq!(consent.state(Category::Analytics), State::Granted);
        let stricter = Policy { gpc_refuses_analytics: true, ..policy };
        assert_eq!(stricter.with_gpc(Consent::UNDECIDED, true).state(Category::Analytics), State::Refused);
        assert_eq!(policy.with_gpc(Consent::UNDECIDED, false), Consent::UNDECIDED);
    }

    #[test]
    fn every_field_is_under_exactly_one_rule() {
        for field in Field::ALL {
            let rules = Rule::ALL.into_iter().filter(|r| fields_under(*r).contains(*field)).count();
            assert_eq!(rules, 1, "{field:?}");
        }
    }

    #[test]
    fn refused_visitor_leaves_only_essential_fields() {
        for preset in Preset::ALL {
            assert_eq!(preset.policy().allowed(Consent::decided(1)), fields_under(Rule::Essential));
        }
    }
}
