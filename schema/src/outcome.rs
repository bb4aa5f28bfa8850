//! The outcome of a hit. Every hit has exactly one; its name is a metric label, a column value and part of
//! the debug header, so renaming one is a breaking change.

/// The outcome of a hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Kept with all fields that the policy allows.
    Stored,
    /// Kept as an anonymous pageview: essential fields only.
    Minimised,
    /// Not kept, by choice.
    Dropped(DropReason),
}

/// Why a hit was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// The body is longer than the limit.
    BodyTooLarge,
    /// The body is not of the format, or a required field is missing or out of its range.
    InvalidPayload,
    /// No site has this key.
    UnknownSite,
    /// The page's host does not belong to the site.
    ForeignHostname,
    /// The user agent names a crawler or a program.
    BotUserAgent,
    /// The user agent names a crawler that feeds an AI system.
    BotAi,
    /// The browser said that it is automated, or shows itself as headless.
    BotAutomated,
    /// The hit came from a data centre and nothing shows a person behind it.
    BotNetwork,
    /// The referrer is on the spam list.
    ReferrerSpam,
    /// The visitor refused and the site stores nothing from refused visitors, or this kind of hit needs
    /// consent.
    ConsentRefused,
    /// Older than a late hit may be.
    TooOld,
    /// The browser resent it although it had been kept: the first response was lost.
    Duplicate,
}

impl DropReason {
    /// All reasons.
    pub const ALL: [Self; 12] = [
        Self::BodyTooLarge,
        Self::InvalidPayload,
        Self::UnknownSite,
        Self::ForeignHostname,
        Self::BotUserAgent,
        Self::BotAi,
        Self::BotAutomated,
        Self::BotNetwork,
        Self::ReferrerSpam,
        Self::ConsentRefused,
        Self::TooOld,
        Self::Duplicate,
    ];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BodyTooLarge => "body_too_large",
            Self::InvalidPayload => "invalid_payload",
            Self::UnknownSite => "unknown_site",
            Self::ForeignHostname => "foreign_hostname",
            Self::BotUserAgent => "bot_user_agent",
            Self::BotAi => "bot_ai",
            Self::BotAutomated => "bot_automated",
            Self::BotNetwork => "bot_network",
            Self::ReferrerSpam => "referrer_spam",
            Self::ConsentRefused => "consent_refused",
            Self::TooOld => "too_old",
            Self::Duplicate => "duplicate",
        }
    }
}

impl Outcome {
    /// How many outcomes there are.
    pub const COUNT: usize = 2 + DropReason::ALL.len();

    /// A number below [`Self::COUNT`], for tables of counters.
    pub const fn index(self) -> usize {
        match self {
            Self::Stored => 0,
            Self::Minimised => 1,
            Self::Dropped(reason) => 2 + reason as usize,
        }
    }

    /// All outcomes, by [`Self::index`].
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Stored, Self::Minimised].into_iter().chain(DropReason::ALL.map(Self::Dropped))
    }

    /// The stable name of the outcome without the reason.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Minimised => "minimised",
            Self::Dropped(_) => "dropped",
        }
    }

    /// The stable name of the reason; empty when the hit was kept.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Stored | Self::Minimised => "",
            Self::Dropped(reason) => reason.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_own_index_and_name() {
        let all: Vec<_> = Outcome::all().collect();
        assert_eq!(all.len(), Outcome::COUNT);
        for (i, outcome) in all.iter().enumerate() {
            assert_eq!(outcome.index(), i, "{outcome:?}");
        }
        let mut names: Vec<_> = DropReason::ALL.iter().map(|r| r.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DropReason::ALL.len());
    }
}
