//! Explains the outcomes of a site's most recent hits in plain words, and what to do about them.

use crate::report::recent_outcomes::RecentOutcome;

/// One line of "what the server saw".
pub(super) struct Verdict {
    pub(super) hits: u64,
    pub(super) what: &'static str,
    /// What to do; empty if all is well.
    pub(super) hint: &'static str,
}

pub(super) fn verdicts(counts: &[RecentOutcome]) -> Vec<Verdict> {
    counts
        .iter()
        .map(|count| {
            let (what, hint) = words(&count.outcome, &count.reason);
            Verdict { hits: count.hits, what, hint }
        })
        .collect()
}

/// Names are those of the collector's outcomes and reasons.
fn words(outcome: &str, reason: &str) -> (&'static str, &'static str) {
    match (outcome, reason) {
        ("stored", _) => ("counted", ""),
        ("minimised", _) => ("counted without a visitor, as they had not agreed", ""),
        (_, "foreign_hostname") => (
            "came from a host that is not this site’s",
            "Add the host in the settings, or use the tag of the site that it belongs to.",
        ),
        (_, "unknown_site") => (
            "named a site that does not exist here (on the whole server)",
            "Compare data-site in the page with the tag above.",
        ),
        (_, "consent_refused") => ("were not kept, as the visitor had refused", ""),
        (_, "bot_user_agent" | "bot_ai" | "bot_automated" | "bot_network") => {
            ("came from robots or from browsers that a program drives", "")
        }
        (_, "referrer_spam") => ("were referrer spam", ""),
        (_, "too_old") => ("came more than a day late", ""),
        (_, "invalid_payload" | "body_too_large") => {
            ("could not be read", "Something between the page and this server changes requests.")
        }
        _ => ("were not kept", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_repaired_says_how() {
        let count = |outcome: &str, reason: &str| RecentOutcome {
            outcome: outcome.into(),
            reason: reason.into(),
            hits: 2,
        };
        let found = verdicts(&[count("dropped", "foreign_hostname"), count("stored", "")]);
        assert!(found[0].hint.contains("settings") && found[0].hits == 2);
        assert_eq!((found[1].what, found[1].hint), ("counted", ""));
    }
}
