//! Data quality: what became of every hit, and what is probably wrong when visits are missing.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Path, RawQuery, State},
    response::Response,
};
use jiff::Zoned;
use sotto_schema::id::SiteId;
use sotto_store::{
    account::Role,
    annotation::{self, Annotation},
};

use super::{
    columns::{self, Columns, Part},
    install::clock,
    period::{self, Head},
    policy_choice, sites, withheld,
};
use crate::{
    App,
    auth::SignedIn,
    figures::{grouped, share},
    page::{PageError, Shell, Theme, html},
    range::now_in,
    report::{
        Scope,
        health::{self, Warning},
        outcomes::{self, KnownOutcome, OutcomeCount, OutcomeKind, Outcomes},
    },
};

/// A warning in words.
pub(crate) struct Words {
    pub(crate) title: &'static str,
    /// What was seen.
    pub(crate) seen: String,
    /// What to do.
    pub(crate) remedy: &'static str,
    /// Whether the site's settings are the place to do it.
    settings: bool,
}

/// An outcome that occurred.
struct OutcomeRow {
    label: &'static str,
    meaning: &'static str,
    class: &'static str,
    hits: String,
    share: String,
    /// Length of the bar, of 100.
    bar: String,
}

#[derive(Template)]
#[template(path = "quality.html")]
struct QualityPage {
    shell: Shell,
    key: String,
    header: Head,
    warnings: Vec<Words>,
    may_edit: bool,
    hits: String,
    rows: Vec<OutcomeRow>,
    /// Outcomes that did not occur.
    others: Vec<KnownOutcome>,
    columns: Columns,
    /// When the last hit was kept.
    last: Option<String>,
    /// The hour of the last hit, also of one that was not kept.
    last_hour: Option<String>,
    /// The site's answer to how visitors may be counted.
    policy: &'static str,
    /// What it leaves out of hits without consent.
    withheld: Vec<&'static str>,
    /// Hits that named no known site, for those who own all.
    unknown: Option<String>,
}

const fn class(kind: OutcomeKind) -> &'static str {
    match kind {
        OutcomeKind::Stored => "full",
        OutcomeKind::Minimised => "anonymous",
        OutcomeKind::Bot => "undecided",
        OutcomeKind::Dropped => "refused",
    }
}

/// A warning, for people.
pub(crate) fn words(warning: Warning, time_zone: &str) -> Words {
    match warning {
        Warning::Proxy { hits } => Words {
            title: "A proxy is not trusted",
            seen: format!(
                "All {} hits of the last 24 hours came from a private address. Sotto sees your proxy instead of your \
                 visitors, so it knows neither their countries nor how many they are.",
                grouped(hits)
            ),
            remedy: "Name the proxy's address or network in server.trusted_proxies of the configuration, let the proxy send \
                     X-Forwarded-For, and restart. If this site is visited from your own network only, all is well.",
            settings: false,
        },
        Warning::Silence { since } => Words {
            title: "No hits in the last 24 hours",
            seen: format!(
                "There were hits before, but none in the last 24 hours. The last hour with hits began on {}.",
                clock(since, time_zone)
            ),
            remedy: "Check that the snippet is still on the page, that no Content-Security-Policy blocks it, and that \
                     this server can be reached from the internet.",
            settings: false,
        },
        Warning::Foreign { hits, of } => Words {
            title: "Pages of another host send hits",
            seen: format!(
                "{} of the {} hits of the last 24 hours came from pages on host names that are not this site's; they were \
                 not counted.",
                grouped(hits),
                grouped(of)
            ),
            remedy: "Either a host name is missing in the settings of this site, or another website uses this site's key \
                     in its snippet.",
            settings: true,
        },
    }
}

#[allow(clippy::cast_precision_loss)] // Bars are drawn.
fn row(count: &OutcomeCount, whole: u64) -> OutcomeRow {
    OutcomeRow {
        label: count.outcome.label,
        meaning: count.outcome.meaning,
        class: class(count.outcome.kind),
        hits: grouped(count.hits),
        share: share(count.hits, whole),
        bar: format!("{:.2}", 100.0 * count.hits as f64 / whole.max(1) as f64),
    }
}

/// The outcomes that occurred, the kept ones first, then the most frequent; and those that did not.
fn rows(outcomes: &Outcomes) -> (Vec<OutcomeRow>, Vec<KnownOutcome>) {
    let whole = outcomes.hits();
    let (mut seen, others): (Vec<_>, Vec<_>) = outcomes.counts.iter().partition(|t| t.hits > 0);
    let kept = |t: &OutcomeCount| matches!(t.outcome.kind, OutcomeKind::Stored | OutcomeKind::Minimised);
    seen.sort_by_key(|t| (!kept(t), std::cmp::Reverse(t.hits)));
    (
        seen.into_iter().map(|t| row(&t, whole)).collect(),
        // A site's own hits always name it.
        others.into_iter().map(|t| t.outcome).filter(|e| e.reason != "unknown_site").collect(),
    )
}

fn by_time(outcomes: &Outcomes, header: &Head, now: &Zoned, annotations: &[Annotation]) -> Columns {
    let parts = OutcomeKind::ALL.map(|kind| Part { class: class(kind), label: kind.label() });
    let points: Vec<_> = outcomes.points.iter().map(|p| (p.at.as_str(), p.hits.to_vec())).collect();
    let clock = now.strftime("%Y-%m-%d %H:00").to_string();
    columns::draw("Hits", &parts, (header.range, &clock), &points, annotations)
}

fn moment(ms: i64, time_zone: &str) -> Option<String> {
    (ms > 0).then(|| clock(ms, time_zone))
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    signed_in: SignedIn,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let db = &app.settings.databases.reader;
    let (site, all) = signed_in.site(&key, Role::Viewer)?;
    let _turn = app.gate.enter(signed_in.user.id.0).await?;
    let now = now_in(&site.time_zone);
    let today = now.date();
    let header = period::head(&format!("/s/{key}"), "quality", query.as_deref().unwrap_or(""), today);
    let scope = Scope { site: site.id, time_zone: site.time_zone.clone() };
    let owner = signed_in.role(SiteId::NONE) == Some(Role::Owner);
    let unknown = async {
        let nowhere = Scope { site: SiteId::NONE, time_zone: site.time_zone.clone() };
        if owner { outcomes::run(db, &nowhere, header.range).await.map(|o| Some(o.hits())) } else { Ok(None) }
    };
    let annotations =
        async { Ok(annotation::between(db, site.id, [header.range.from, header.range.to]).await?) };
    let (outcomes, health, unknown, annotations) = tokio::try_join!(
        outcomes::run(db, &scope, header.range),
        health::run(db, site.id, now.timestamp()),
        unknown,
        annotations
    )?;
    let (rows, others) = rows(&outcomes);
    Ok(html(&QualityPage {
        warnings: health.warnings().into_iter().map(|w| words(w, &site.time_zone)).collect(),
        may_edit: signed_in.role(site.id) >= Some(Role::Editor),
        hits: grouped(outcomes.hits()),
        rows,
        others,
        columns: by_time(&outcomes, &header, &now, &annotations),
        last: moment(health.last_kept, &site.time_zone),
        last_hour: moment(health.last_hour, &site.time_zone),
        unknown: unknown.map(grouped),
        policy: policy_choice::choices(site.preset).into_iter().find(|c| c.checked).map_or("", |c| c.title),
        withheld: withheld::names(&site.policy),
        header,
        shell: Shell {
            title: format!("Data quality of {}", site.name),
            theme,
            who: Some(signed_in.who()),
            sites: sites::links(&all, Some(&site)),
        },
        key,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::outcomes::OUTCOMES;

    #[test]
    fn kept_hits_come_first_and_every_other_ending_is_explained() {
        let counts = OUTCOMES.iter().enumerate().map(|(i, e)| {
            let hits = if e.reason == "unknown_site" { 0 } else { [1, 2, 40, 0, 50][i % 5] };
            OutcomeCount { outcome: *e, hits }
        });
        let outcomes = Outcomes { counts: counts.collect(), points: Vec::new() };
        let (rows, others) = rows(&outcomes);
        let labels: Vec<_> = rows.iter().take(3).map(|r| r.label).collect();
        assert_eq!(labels, ["Stored anonymously", "Stored", "Automated browser"]);
        // A site's own hits always name it.
        assert_eq!(rows.len() + others.len(), OUTCOMES.len() - 1);
        assert!(rows.iter().all(|r| r.bar.parse::<f64>().unwrap() <= 100.0));
    }

    #[test]
    fn warning_says_what_was_seen_and_what_to_do() {
        let proxy = words(Warning::Proxy { hits: 1_234 }, "UTC");
        assert!(proxy.seen.contains("1,234") && proxy.remedy.contains("server.trusted_proxies"));
        let foreign = words(Warning::Foreign { hits: 3, of: 10 }, "UTC");
        assert!(foreign.seen.contains("3 of the 10") && foreign.settings);
        let silence = words(Warning::Silence { since: 1_772_373_600_000 }, "Europe/Paris");
        assert!(silence.seen.contains("1 Mar 2026, 15:00:00"), "{}", silence.seen);
    }
}
