//! The overview of a site: key figures, the graph, four panels, and how visitors were counted.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Path, RawQuery, State},
    response::Response,
};
use jiff::Zoned;
use sotto_schema::site::Site;
use sotto_store::{account::Role, db::Db};

use super::sites;
use crate::{
    App,
    auth::SignedIn,
    page::{PageError, Shell, Theme, html},
    range::{Period, Range, now_in, same_time_on},
    report::{self, Counts, Metric, Query, Scope, consent, counts, first_hit, live_visitors, series},
    view::View,
};

pub(super) mod graph;
pub(super) mod header;
mod panel;
mod strip;

/// The metrics of the first row.
const KEY_METRICS: [Metric; 6] = [
    Metric::Visitors,
    Metric::Visits,
    Metric::Pageviews,
    Metric::BounceRate,
    Metric::EngagedSeconds,
    Metric::ViewsPerVisit,
];

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    shell: Shell,
    key: String,
    header: header::Header,
    metrics: Vec<header::Key>,
    graph: graph::Graph,
    strip: strip::Strip,
    panels: Vec<panel::PanelView>,
    /// Whether anything was ever counted.
    empty: bool,
    /// Measured visitors in the last minutes.
    live_visitors: u64,
    may_edit: bool,
    attribution: Option<String>,
    /// Which days come from where, unless all come from raw events.
    origin: Option<String>,
}

/// What the page is about: the inputs of all its parts.
pub(super) struct Subject<'a> {
    db: &'a Db,
    key: &'a str,
    view: &'a View,
    now: &'a Zoned,
    /// The chosen period.
    pub(super) query: Query,
    /// The one before it, when compared.
    before: Option<Query>,
}

impl<'a> Subject<'a> {
    pub(super) fn new(db: &'a Db, site: &'a Site, view: &'a View, now: &'a Zoned) -> Self {
        let scope = Scope { site: site.id, time_zone: site.time_zone.clone() };
        let today = now.date();
        let range = view.period.range(today);
        let query = Query::totals(scope, range, view.filters.clone());
        let before = view.compare.then(|| {
            let previous = view.period.previous(today);
            Query { range: previous, until_ms: cut(range, previous, now), ..query.clone() }
        });
        Self { db, key: &site.key, view, now, query, before }
    }

    /// Whether the period has not ended yet.
    fn incomplete(&self) -> bool {
        self.query.range.to >= self.now.date()
    }
}

/// Cuts the previous period at the present time of day while the current period has not ended.
fn cut(range: Range, previous: Range, now: &Zoned) -> Option<i64> {
    if range.to == now.date() { same_time_on(previous.to, now) } else { None }
}

async fn totals(asked: &Subject<'_>) -> Result<(Counts, Option<Counts>), PageError> {
    let one = async |query: &Query| -> Result<Counts, PageError> {
        let rows = counts(asked.db, query).await?;
        Ok(rows.into_iter().next().map(|(_, c)| c).unwrap_or_default())
    };
    let before = async {
        match &asked.before {
            Some(query) => one(query).await.map(Some),
            None => Ok(None),
        }
    };
    tokio::try_join!(one(&asked.query), before)
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    signed_in: SignedIn,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let db = &app.settings.databases.reader;
    let (site, all) = signed_in.site(db, &key, Role::Viewer).await?;
    let now = now_in(&site.time_zone);
    let view = View::parse(query.as_deref().unwrap_or(""), now.date());
    let asked = Subject::new(db, &site, &view, &now);
    let live = async { Ok(live_visitors::run(db, site.id, now.timestamp()).await?) };
    let origin = async { Ok(report::origin(db, &asked.query).await?) };
    let (totals, graph, strip, panels, live, origin) = tokio::try_join!(
        totals(&asked),
        graph::build(&asked),
        strip::build(&asked, &site),
        panel::build(&asked),
        live,
        origin,
    )?;
    let empty = totals.0.pageviews == 0 && first_hit::run(db, site.id).await?.is_none();
    Ok(html(&OverviewPage {
        header: header::build(&asked),
        metrics: header::keys(&asked, totals),
        graph,
        strip,
        panels: panels.into_iter().map(|p| p.with_total(totals.0)).collect(),
        empty,
        live_visitors: live,
        may_edit: signed_in.role(site.id) >= Some(Role::Editor),
        origin: origin.sentence(),
        attribution: app.settings.geo_attribution.clone(),
        shell: Shell {
            title: site.name.clone(),
            theme,
            who: Some(signed_in.who()),
            sites: sites::links(&all, Some(&site)),
        },
        key,
    }))
}

/// The consent counts of the chosen period.
async fn consent_counts(asked: &Subject<'_>) -> Result<consent::Consent, PageError> {
    Ok(consent::run(asked.db, &asked.query).await?)
}

/// The points of the chosen period and of the one before.
async fn points(asked: &Subject<'_>) -> Result<(Vec<series::Point>, Vec<series::Point>), PageError> {
    let interval = asked.query.range.interval();
    let metrics = vec![asked.view.metric];
    let now = Query { metrics: metrics.clone(), ..asked.query.clone() };
    let before = async {
        match &asked.before {
            // The previous period is drawn in full, beyond the present hour.
            Some(query) => {
                series::run(asked.db, &Query { until_ms: None, metrics, ..query.clone() }, interval).await
            }
            None => Ok(Vec::new()),
        }
    };
    Ok(tokio::try_join!(series::run(asked.db, &now, interval), before)?)
}

/// The name of the period before, for people.
fn before_label(period: Period, range: Range) -> String {
    match period {
        Period::Today => "yesterday".into(),
        Period::Yesterday => "the day before".into(),
        Period::Week | Period::Month | Period::Quarter | Period::Year | Period::Custom(_) => range.label(),
    }
}
