//! The self-assessment for audience measurement without consent, filled in from a site's settings.
//!
//! Source: CNIL, "Cookies: solutions pour les outils de mesure d'audience" (4 July 2025) and its
//! self-assessment tool, taken from secondary sources and in our own words: check the tool itself before
//! relying on it. The list of evaluated tools was withdrawn on 1 January 2026; what remains is
//! self-assessment.

use serde::Serialize;

use super::kept_unasked;
use crate::{
    policy::Rule,
    site::{RETENTION_DAYS_MAX, Site},
};

/// Whether a criterion is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// By the program or by the site's settings.
    Met,
    /// Not with these settings.
    NotMet,
    /// Only the operator can say.
    Operator,
}

impl Verdict {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::NotMet => "not met",
            Self::Operator => "for you to say",
        }
    }
}

/// A criterion and its verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Criterion {
    /// The question asked.
    pub criterion: &'static str,
    /// Whether it is met.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
}

fn of(criterion: &'static str, verdict: Verdict, reason: impl Into<String>) -> Criterion {
    Criterion { criterion, verdict, reason: reason.into() }
}

fn if_met(criterion: &'static str, met: bool, yes: impl Into<String>, no: impl Into<String>) -> Criterion {
    if met { of(criterion, Verdict::Met, yes) } else { of(criterion, Verdict::NotMet, no) }
}

/// The criteria for a site, in the order of the CNIL's page.
pub fn assess(site: &Site) -> Vec<Criterion> {
    [purposes(site), data(site), people(site)].concat()
}

fn purposes(site: &Site) -> Vec<Criterion> {
    vec![
        of(
            "The purpose is strictly the measurement of the site's own audience.",
            Verdict::Operator,
            "Reports cover pages, referrers, devices, places and times. Do not use exports for anything else.",
        ),
        if_met(
            "Campaigns, acquisition channels and advertising are not measured without consent.",
            !kept_unasked(site, Rule::Campaign) && !kept_unasked(site, Rule::Marketing),
            "Campaign and marketing fields wait for consent or are never kept.",
            "The policy keeps campaign fields from visitors who were not asked. Choose `cnil` or `strict`.",
        ),
        if_met(
            "No click maps, session recordings or profiles without consent.",
            !kept_unasked(site, Rule::Analytics),
            "Click maps and properties of events wait for consent; there is no session recording.",
            "The policy keeps click maps and properties of events from visitors who were not asked.",
        ),
        of(
            "It is done for the sole account of the publisher.",
            Verdict::Operator,
            "Sotto runs on your systems and tells nobody anything. If you run it for others, make a processor's contract.",
        ),
    ]
}

fn data(site: &Site) -> Vec<Criterion> {
    vec![
        if_met(
            "Without consent only what is strictly necessary is kept.",
            !kept_unasked(site, Rule::Analytics) && !kept_unasked(site, Rule::Preference),
            "Without consent only essential fields and those of the exempt list in the data map are kept.",
            "The policy keeps analytics fields beyond the exempt list from visitors who were not asked.",
        ),
        of(
            "No tracking across sites or applications; no identifier that two sites share.",
            Verdict::Met,
            "The visitor key is made with a salt of this site and day.",
        ),
        of(
            "No crossing with other processing, no passing on of data that are not anonymous.",
            Verdict::Operator,
            "Sotto sends nothing elsewhere. Do not join exports with customer data.",
        ),
        of(
            "The place is no finer than the city, and the address is not kept.",
            Verdict::Met,
            "City at most; the network address is stored nowhere.",
        ),
        of(
            "The referrer is reduced.",
            if kept_unasked(site, Rule::Analytics) { Verdict::NotMet } else { Verdict::Met },
            "Without consent the host of the referring site, with its path only where other analytics fields are kept.",
        ),
        of(
            "The output is anonymous statistics.",
            Verdict::Operator,
            "Reports on few visitors may describe one of them: read raw reports with care and keep access narrow.",
        ),
    ]
}

fn people(site: &Site) -> Vec<Criterion> {
    vec![
        of(
            "Visitors are informed.",
            Verdict::Operator,
            "`sotto privacy notice` writes the paragraphs for this site; put them into your policy.",
        ),
        of(
            "There is a simple way to object, on every device.",
            Verdict::Operator,
            "The visitor's page takes objections; link it from your policy.",
        ),
        of(
            "Trackers live for at most 13 months and are not renewed by visits.",
            Verdict::Met,
            "Without consent nothing is written to the device. With consent the random id lives for 13 months at most.",
        ),
        if_met(
            "Collected data are kept for at most 25 months.",
            site.retention_days <= RETENTION_DAYS_MAX,
            format!(
                "{} days, then removed; no setting can exceed {RETENTION_DAYS_MAX} days.",
                site.retention_days
            ),
            format!("{} days are more than {RETENTION_DAYS_MAX}.", site.retention_days),
        ),
    ]
}

/// The assessment as Markdown.
pub fn markdown(site: &Site) -> String {
    let criteria = assess(site);
    let count = |verdict| criteria.iter().filter(|c| c.verdict == verdict).count();
    let mut out = format!(
        "# Self-assessment: audience measurement without consent (CNIL)\n\n\
         Site: {}. {} met, {} not met, {} for you to say.\n\n\
         Criteria in our words after the CNIL's page of 4 July 2025; check its self-assessment tool before you rely on them. \
         Not legal advice, and no certificate: there is none since 1 January 2026.\n\n| criterion | verdict | why |\n|---|---|---|\n",
        site.name,
        count(Verdict::Met),
        count(Verdict::NotMet),
        count(Verdict::Operator)
    );
    for c in &criteria {
        out.push_str(&format!("| {} | {} | {} |\n", c.criterion, c.verdict.words(), c.reason));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Preset;

    fn not_met(preset: Preset) -> usize {
        let site = Site::new("A", &["a.example"], "UTC", preset).unwrap();
        assess(&site).iter().filter(|c| c.verdict == Verdict::NotMet).count()
    }

    #[test]
    fn verdicts_follow_the_policy() {
        assert_eq!(not_met(Preset::Cnil), 0);
        assert_eq!(not_met(Preset::Strict), 0);
        assert_eq!(not_met(Preset::Cookieless), 4, "campaigns, click maps, extra fields, referrer");
    }

    #[test]
    fn there_are_as_many_criteria_as_the_tool_has_and_each_has_a_reason() {
        let mut site = Site::new("A", &["a.example"], "UTC", Preset::Cnil).unwrap();
        let criteria = assess(&site);
        assert_eq!(criteria.len(), 14);
        assert!(criteria.iter().all(|c| !c.reason.is_empty()));
        let lines = markdown(&site).lines().filter(|l| l.starts_with("| ")).count();
        assert_eq!(lines, 1 + criteria.len(), "a heading and every criterion");
        site.retention_days = RETENTION_DAYS_MAX + 1;
        assert!(
            assess(&site).iter().any(|c| c.verdict == Verdict::NotMet),
            "a setting beyond the law is found"
        );
    }
}
