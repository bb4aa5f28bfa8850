//! What stands below a list instead of in it: what there was none of, and what could not be told, and why.

use sotto_schema::{
    dimension::NOT_MEASURED,
    policy::{Keep, Policy},
};

use crate::{
    figures::counted,
    report::{Counts, Dimension, Rows},
};

// claim: refusal
const ANONYMOUS: &str = "anonymous pageview";

/// The rows of a list that are shown, and what is said of the others.
pub(super) struct Told {
    pub(super) rows: Rows,
    pub(super) notes: Vec<String>,
}

/// Whether a list of `by` needs the list of campaigns beside it: a visit's campaign tells whether it was paid for.
pub(super) const fn needs_campaigns(by: Dimension) -> bool {
    matches!(by, Dimension::Channel)
}

/// Takes out of the rows of a list what is no value of its own; `campaigns` are the rows of [`Dimension::UtmCampaign`]
/// where [`needs_campaigns`] says so.
pub(super) fn tell(by: Dimension, rows: Rows, campaigns: &Rows, policy: &Policy) -> Told {
    let of = |rows: &Rows, value: &str| {
        rows.iter().find(|(v, _)| v == value).map(|(_, counts)| *counts).unwrap_or_default()
    };
    let missing = of(&rows, NOT_MEASURED);
    let none = of(&rows, "");
    let mut notes = match by {
        Dimension::UtmSource
        | Dimension::UtmMedium
        | Dimension::UtmCampaign
        | Dimension::UtmContent
        | Dimension::UtmTerm
        | Dimension::ClickId => of_campaigns(&none, &missing, policy.campaign),
        Dimension::Channel => of_channels(&of(campaigns, NOT_MEASURED), &missing, policy.campaign),
        Dimension::Source | Dimension::Referrer => without_referrer(&missing).into_iter().collect(),
        Dimension::Network | Dimension::NetworkKind => of_networks(&missing, policy.analytics),
        Dimension::Outbound | Dimension::Download => of_links(missing.events, policy.analytics),
        Dimension::Language => of_languages(&none, policy.preference),
        Dimension::Page
        | Dimension::EntryPage
        | Dimension::ExitPage
        | Dimension::Country
        | Dimension::Region
        | Dimension::City
        | Dimension::Device
        | Dimension::Browser
        | Dimension::BrowserVersion
        | Dimension::Os
        | Dimension::OsVersion
        | Dimension::Screen
        | Dimension::Hostname
        | Dimension::Event
        | Dimension::Day
        | Dimension::Hour => Vec::new(),
    };
    let kept = |value: &str| value != NOT_MEASURED && !(value.is_empty() && says_none_below(by));
    let rows: Rows = rows.into_iter().filter(|(value, _)| kept(value)).collect();
    // Nothing but "not known" is nothing.
    let known = |value: &str| !value.is_empty() || matches!(by, Dimension::Source | Dimension::Referrer);
    if !rows.is_empty() && !rows.iter().any(|(value, _)| known(value)) {
        notes.extend(amount(&none).map(|what| format!("Not known of {what}.")));
        return Told { rows: Vec::new(), notes };
    }
    Told { rows, notes }
}

fn of_campaigns(none: &Counts, missing: &Counts, keep: Keep) -> Vec<String> {
    let none = amount(none).map(|what| format!("{what} came without one."));
    let missing =
        amount(missing).map(|what| format!("{what} {} not counted here: {}.", are(missing), why(keep)));
    none.into_iter().chain(missing).collect()
}

/// `unknown` are those of whom no campaign is known.
fn of_channels(unknown: &Counts, missing: &Counts, keep: Keep) -> Vec<String> {
    let paid = (unknown.visits > 0).then(|| {
        format!(
            "Of {} the channel is that of the referrer, and whether somebody paid for the link could not be measured: {}.",
            counted(unknown.visits, "visit"),
            why(keep)
        )
    });
    paid.into_iter().chain(without_referrer(missing)).collect()
}

fn of_languages(none: &Counts, keep: Keep) -> Vec<String> {
    let why = match keep {
        Keep::WithConsent => "their visitors did not agree to preferences",
        Keep::UnlessRefused => "their visitors refused preferences, or their browser named no language",
        Keep::Always => "their browser named no language",
        Keep::Never => "this site keeps no languages",
    };
    let said = amount(none).map(|what| format!("{what} {} not counted here: {why}.", are(none)));
    said.into_iter().collect()
}

fn of_networks(missing: &Counts, keep: Keep) -> Vec<String> {
    let why = match keep {
        Keep::WithConsent => "their visitors did not agree to analytics",
        Keep::UnlessRefused => "their visitors refused analytics, or their network is not known",
        Keep::Always => "their network is not known",
        Keep::Never => "this site keeps no networks",
    };
    let said = amount(missing).map(|what| format!("{what} {} not counted here: {why}.", are(missing)));
    said.into_iter().collect()
}

/// `missing` are events of links without the link.
fn of_links(missing: u64, keep: Keep) -> Vec<String> {
    let why = match keep {
        Keep::WithConsent => "the address of a link is kept of visitors who agreed to analytics",
        Keep::UnlessRefused | Keep::Always => "no address came with them",
        Keep::Never => "this site keeps no addresses of links",
    };
    let are = if missing == 1 { "is" } else { "are" };
    let said = (missing > 0).then(|| format!("{} {are} not counted here: {why}.", counted(missing, "event")));
    said.into_iter().collect()
}

/// Whether an empty value is said below the list.
const fn says_none_below(by: Dimension) -> bool {
    matches!(
        by,
        Dimension::UtmSource
            | Dimension::UtmMedium
            | Dimension::UtmCampaign
            | Dimension::UtmContent
            | Dimension::UtmTerm
            | Dimension::ClickId
            | Dimension::Language
    )
}

/// `1,204 visits and 12 anonymous pageviews`; none of nothing.
fn amount(counts: &Counts) -> Option<String> {
    let anonymous = counts.pageviews.saturating_sub(counts.measured_views);
    match (counts.visits, anonymous) {
        (0, 0) => None,
        (0, views) => Some(counted(views, ANONYMOUS)),
        (visits, 0) => Some(counted(visits, "visit")),
        (visits, views) => Some(format!("{} and {}", counted(visits, "visit"), counted(views, ANONYMOUS))),
    }
}

const fn are(counts: &Counts) -> &'static str {
    if counts.visits + counts.pageviews.saturating_sub(counts.measured_views) == 1 { "is" } else { "are" }
}

/// Why campaigns are not known.
const fn why(keep: Keep) -> &'static str {
    match keep {
        Keep::WithConsent => "their visitors did not agree to marketing",
        Keep::UnlessRefused | Keep::Always => "their visitors refused marketing",
        Keep::Never => "this site keeps no campaigns",
    }
}

fn without_referrer(missing: &Counts) -> Option<String> {
    (missing.pageviews > 0).then(|| {
        format!(
            "{} {} not counted here: they came from no other site, and of visitors who are counted anonymously nothing tells the first page of a visit from the next.",
            counted(missing.pageviews, ANONYMOUS),
            if missing.pageviews == 1 { "is" } else { "are" },
        )
    })
}

#[cfg(test)]
mod tests {
    use sotto_schema::policy::Preset;

    use super::*;

    fn row(value: &str, visits: u64, anonymous: u64) -> (String, Counts) {
        let counts = Counts {
            visitors: visits,
            visits,
            pageviews: visits + anonymous,
            measured_views: visits,
            ..Counts::default()
        };
        (value.to_owned(), counts)
    }

    #[test]
    fn campaign_that_was_not_measured_is_said_below_the_list_with_the_reason() {
        let rows = || vec![row(NOT_MEASURED, 1_204, 0), row("", 40, 0), row("spring", 7, 0)];
        for (preset, why) in [
            (Preset::Cnil, "their visitors did not agree to marketing"),
            (Preset::Cookieless, "their visitors refused marketing"),
        ] {
            let told = tell(Dimension::UtmCampaign, rows(), &Vec::new(), &preset.policy());
            assert_eq!(told.rows, [row("spring", 7, 0)]);
            let missing = format!("1,204 visits are not counted here: {why}.");
            assert_eq!(told.notes, ["40 visits came without one.".to_owned(), missing]);
        }
    }

    #[test]
    fn channel_says_how_many_may_have_been_paid_for() {
        let campaigns = vec![row(NOT_MEASURED, 1, 3)];
        let rows = vec![row("organic_search", 9, 0), row(NOT_MEASURED, 0, 1)];
        let told = tell(Dimension::Channel, rows, &campaigns, &Preset::Cnil.policy());
        assert_eq!(told.rows, [row("organic_search", 9, 0)]);
        assert!(
            told.notes[0].starts_with("Of 1 visit the channel is that of the referrer"),
            "{:?}",
            told.notes
        );
        assert!(told.notes[1].starts_with("1 anonymous pageview is not counted here"), "{:?}", told.notes);
    }

    #[test]
    fn network_and_link_that_were_not_kept_are_said_below_with_the_reason() {
        let link = |value: &str, events| (value.to_owned(), Counts { events, ..Counts::default() });
        for (preset, networks, links) in [
            (
                Preset::Cnil,
                "their visitors did not agree to analytics",
                "the address of a link is kept of visitors who agreed to analytics",
            ),
            (
                Preset::Cookieless,
                "their visitors refused analytics, or their network is not known",
                "no address came with them",
            ),
        ] {
            let rows = vec![row("Net", 7, 0), row(NOT_MEASURED, 2, 0)];
            let told = tell(Dimension::Network, rows, &Vec::new(), &preset.policy());
            assert_eq!(told.rows, [row("Net", 7, 0)]);
            assert_eq!(told.notes, [format!("2 visits are not counted here: {networks}.")]);
            let rows = vec![link("https://b.example/", 3), link(NOT_MEASURED, 1)];
            let told = tell(Dimension::Outbound, rows, &Vec::new(), &preset.policy());
            assert_eq!(told.rows, [link("https://b.example/", 3)]);
            assert_eq!(told.notes, [format!("1 event is not counted here: {links}.")]);
        }
    }

    #[test]
    fn list_of_nothing_but_unknown_values_is_empty() {
        let policy = Preset::Cnil.policy();
        for by in [Dimension::City, Dimension::UtmCampaign, Dimension::Language, Dimension::Screen] {
            assert_eq!(tell(by, vec![row("", 3, 1)], &Vec::new(), &policy).rows, [], "{by:?}");
        }
        let unknown = tell(Dimension::City, vec![row("", 3, 1)], &Vec::new(), &policy);
        assert_eq!(unknown.notes, ["Not known of 3 visits and 1 anonymous pageview."]);
        let direct = vec![row("", 3, 0)];
        assert_eq!(
            tell(Dimension::Source, direct.clone(), &Vec::new(), &policy).rows,
            direct,
            "direct is one"
        );
        let some = vec![row("Bonn", 1, 0), row("", 3, 1)];
        assert_eq!(tell(Dimension::City, some.clone(), &Vec::new(), &policy).rows, some);
    }
}
