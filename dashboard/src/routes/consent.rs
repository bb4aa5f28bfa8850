//! Consent: what visitors decided, what is counted with and without their consent, and the receipts of decisions.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use jiff::Zoned;
use sotto_store::annotation::Annotation;

mod returning;
mod unmapped_consent;

use super::{
    columns::{self, Columns, Part},
    install::clock,
    marks,
    period::{self, Head},
};
use crate::{
    App,
    figures::{grouped, share},
    filter::Filters,
    page::{PageError, Shell, Theme, html},
    range::now_in,
    reading::{Place, Reading},
    report::{
        Query, Scope,
        consent::{self, Consent},
        decisions::{self, Decided, Decisions},
        receipts::{self, Decision},
        returning as returning_report, unmapped_consent as unmapped_report,
    },
};

/// A part of a whole: its name, what it means, and how much it is.
struct Share {
    class: &'static str,
    label: &'static str,
    help: &'static str,
    count: String,
    share: String,
    /// Where its bar begins and how long it is, in per cent.
    x: String,
    width: String,
}

/// A category, or who asked.
struct BreakdownRow {
    label: String,
    figures: Vec<String>,
}

/// A decision that was looked up.
struct Receipt {
    time: String,
    granted: String,
    refused: String,
    version: String,
    source: String,
    gpc: bool,
}

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage {
    shell: Shell,
    place: Place,
    key: String,
    header: Head,
    /// How many decisions.
    decisions: u64,
    decided: Vec<Share>,
    categories: Vec<BreakdownRow>,
    sources: Vec<BreakdownRow>,
    columns: Columns,
    /// Share of decisions whose browser sent the signal.
    decided_gpc: String,
    pageviews: u64,
    counted: Vec<Share>,
    said: Vec<Share>,
    gpc: String,
    uplift: String,
    unmapped: Vec<unmapped_consent::Category>,
    /// The consent manager whose tag the map is for.
    manager: Option<String>,
    returning: returning::Returning,
    /// The receipt number as typed.
    typed: String,
    /// The decisions found; `None` without a look-up.
    receipts: Option<Vec<Receipt>>,
}

const EVERYTHING: Part = Part { class: "granted", label: "All accepted" };
const SOME: Part = Part { class: "partly", label: "Some accepted" };
const NOTHING: Part = Part { class: "refused", label: "Refused or withdrawn" };

#[allow(clippy::cast_precision_loss)] // Bars are drawn.
fn shares(words: &[(&'static str, &'static str, &'static str, u64)]) -> Vec<Share> {
    let whole: u64 = words.iter().map(|w| w.3).sum();
    let mut x = 0.0;
    words
        .iter()
        .map(|(class, label, help, count)| {
            let width = 100.0 * *count as f64 / whole.max(1) as f64;
            let part = Share {
                class,
                label,
                help,
                count: grouped(*count),
                share: share(*count, whole),
                x: format!("{x:.2}"),
                width: format!("{width:.2}"),
            };
            x += width;
            part
        })
        .collect()
}

fn decided(d: Decided) -> Vec<Share> {
    shares(&[
        (EVERYTHING.class, "accepted all", "Every category was granted.", d.everything),
        (
            SOME.class,
            "accepted some",
            "Some categories were granted: the visitor chose, the banner does not offer all, or the browser objects to marketing.",
            d.some,
        ),
        (NOTHING.class, "refused or withdrew", "Nothing beyond the essential was granted.", d.nothing),
    ])
}

fn categories(d: Decided) -> Vec<BreakdownRow> {
    let row = |label: &str, granted: u64| BreakdownRow {
        label: label.to_owned(),
        figures: vec![grouped(granted), share(granted, d.all())],
    };
    vec![row("Analytics", d.analytics), row("Preferences", d.preference), row("Marketing", d.marketing)]
}

fn sources(decisions: &Decisions) -> Vec<BreakdownRow> {
    let row = |(source, d): &(String, Decided)| BreakdownRow {
        label: if source.is_empty() { "Not known".to_owned() } else { source.clone() },
        figures: vec![
            grouped(d.all()),
            share(d.everything, d.all()),
            share(d.some, d.all()),
            share(d.nothing, d.all()),
        ],
    };
    decisions.sources.iter().map(row).collect()
}

fn counted(c: &Consent) -> Vec<Share> {
    shares(&[
        ("granted", "with consent", "A visit with all that its visitor agreed to.", c.agreed),
        (
            "partly",
            "under the exemption",
            "A visit measured without asking, with the fields that your policy allows for it.",
            c.full - c.agreed.min(c.full),
        ),
        (
            "anonymous",
            "anonymously",
            "A bare pageview: page, referring host, country, device class; no visitor and no visit.",
            c.anonymous,
        ),
    ])
}

fn said(c: &Consent) -> Vec<Share> {
    shares(&[
        ("granted", "agreed", "The visitor agreed to analytics.", c.granted),
        (
            "undecided",
            "not asked or undecided",
            "The visitor has not answered, or the site does not ask.",
            c.undecided,
        ),
        ("refused", "refused", "The visitor, or their browser, refused analytics.", c.refused),
    ])
}

/// What two tiers add over counting with consent only.
fn uplift(c: &Consent) -> String {
    let (all, more) = (c.pageviews(), c.pageviews().saturating_sub(c.agreed));
    if all == 0 {
        return "Nothing was counted in this period.".into();
    }
    if more == 0 {
        return "Every pageview of this period came from a visitor who agreed.".into();
    }
    format!(
        "{} of {} pageviews came from visitors who agreed; a tool that waits for consent would \
         not show you the other {} ({}).",
        grouped(c.agreed),
        grouped(all),
        grouped(more),
        share(more, all)
    )
}

fn receipt(decision: &Decision, time_zone: &str) -> Receipt {
    let words = |mask: u8| {
        let names = receipts::categories(mask);
        if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
    };
    let or_dash = |text: &str| if text.is_empty() { "–".to_owned() } else { text.to_owned() };
    Receipt {
        time: clock(decision.at, time_zone),
        granted: words(decision.granted),
        refused: words(decision.refused),
        version: or_dash(&decision.version),
        source: or_dash(&decision.source),
        gpc: decision.gpc,
    }
}

fn by_time(decisions: &Decisions, header: &Head, now: &Zoned, annotations: &[Annotation]) -> Columns {
    let points: Vec<_> =
        decisions.points.iter().map(|(at, d)| (at.as_str(), vec![d.everything, d.some, d.nothing])).collect();
    let clock = now.strftime("%Y-%m-%d %H:00").to_string();
    columns::draw("Decisions", &[EVERYTHING, SOME, NOTHING], (header.range, &clock), &points, annotations)
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    reading: Reading,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    if !reading.sees_consent() {
        return Err(PageError::NotFound);
    }
    let (db, site) = (&app.reports, &reading.site);
    let query = query.unwrap_or_default();
    let now = now_in(&site.time_zone);
    let today = now.date();
    let look = reading.view(&query, today).look;
    let mut header = period::head(&reading.base, "consent", &query, today);
    // Receipts are for who has to prove a decision, not for who reads figures.
    let typed = period::first(&query, "receipt").filter(|_| reading.is_member()).unwrap_or_default();
    let typed: String = typed.trim().chars().take(200).collect();
    if !typed.is_empty() {
        header.hidden.push(("receipt".into(), typed.clone()));
    }
    let scope = Scope { site: site.id, time_zone: site.time_zone.clone() };
    let question = Query::totals(scope.clone(), header.range, Filters::default());
    let looked_up = async {
        match receipts::number(&typed) {
            Some(number) => receipts::run(db, site.id, number).await,
            None => Ok(Vec::new()),
        }
    };
    let annotations = async { Ok(marks::of_reader(db, &reading, header.range).await?) };
    let (decisions, counts, found, unmapped, returning, annotations) = tokio::try_join!(
        decisions::run(db, &scope, header.range),
        consent::run(db, &question),
        looked_up,
        unmapped_report::run(db, &scope, header.range),
        returning_report::run(db, &scope, header.range),
        annotations
    )?;
    let found = found.iter().map(|d| receipt(d, &site.time_zone)).collect();
    Ok(reading.answer(html(&ConsentPage {
        decisions: decisions.total.all(),
        decided: decided(decisions.total),
        categories: categories(decisions.total),
        sources: sources(&decisions),
        columns: by_time(&decisions, &header, &now, &annotations),
        decided_gpc: share(decisions.total.gpc, decisions.total.all()),
        pageviews: counts.pageviews(),
        counted: counted(&counts),
        said: said(&counts),
        gpc: share(counts.gpc, counts.pageviews()),
        uplift: uplift(&counts),
        manager: unmapped_consent::manager(&unmapped),
        unmapped: unmapped_consent::categories(&unmapped),
        returning: returning::returning(&returning, site.retention_days),
        receipts: (!typed.is_empty()).then_some(found),
        typed,
        header,
        key: site.key.clone(),
        shell: reading.shell(format!("Consent on {}", site.name), theme, look),
        place: Place::of(&reading, look),
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uplift_is_what_was_counted_without_consent() {
        let counts = Consent { full: 60, agreed: 40, anonymous: 40, granted: 40, ..Consent::default() };
        assert!(uplift(&counts).starts_with("40 of 100 pageviews"), "{}", uplift(&counts));
        assert!(uplift(&counts).contains("the other 60 (60%)"));
        let all = Consent { full: 5, agreed: 5, ..Consent::default() };
        assert!(uplift(&all).starts_with("Every pageview"));
        assert!(uplift(&Consent::default()).starts_with("Nothing was counted"));
    }

    #[test]
    fn tiers_fill_the_whole_side_by_side() {
        let parts = counted(&Consent { full: 3, agreed: 1, anonymous: 1, ..Consent::default() });
        let bars: Vec<_> = parts.iter().map(|p| (p.x.as_str(), p.width.as_str())).collect();
        assert_eq!(bars, [("0.00", "25.00"), ("25.00", "50.00"), ("75.00", "25.00")]);
        assert!(counted(&Consent::default()).iter().all(|p| p.width == "0.00"));
    }

    #[test]
    fn receipt_reads_without_gaps() {
        let decision = Decision {
            at: 0,
            granted: 0,
            refused: 12,
            gpc: true,
            version: String::new(),
            source: "klaro".into(),
        };
        let shown = receipt(&decision, "UTC");
        assert_eq!((shown.granted.as_str(), shown.refused.as_str()), ("nothing", "analytics, marketing"));
        assert_eq!((shown.version.as_str(), shown.source.as_str()), ("–", "klaro"));
        assert_eq!(shown.time, "1 Jan 1970, 00:00:00");
    }
}
