//! The overview of a site: key figures, the graph, four panels, and how visitors were counted.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use jiff::Zoned;
use sotto_schema::site::Site;

use super::marks;
use crate::{
    App,
    filter::Filters,
    page::{PageError, Shell, Theme, html},
    range::{Interval, Period, Range, now_in, same_time_on},
    reading::{Place, Reading},
    report::{
        Answer, Counts, Detail, Dimension, List, Metric, Query, ROWS_MAX, Reports, Scope, Sources, first_hit,
        groups::GROUP_MIN, lists, live_visitors, series,
    },
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
    place: Place,
    header: header::Header,
    metrics: Vec<header::Key>,
    graph: graph::Graph,
    strip: strip::Strip,
    panels: Vec<panel::PanelView>,
    /// Whether anything was ever counted.
    empty: bool,
    /// Measured visitors in the last minutes.
    live_visitors: u64,
    groups: Groups,
    attribution: Option<String>,
    /// Which days come from where, unless all come from raw events.
    origin: Option<String>,
}

/// What is said to readers who see groups only.
#[derive(Default)]
pub(super) struct Groups {
    /// How their figures were made.
    pub(super) note: Option<String>,
    /// Why nothing is shown.
    pub(super) withheld: Option<String>,
}

impl Groups {
    pub(super) fn of(asked: &Subject<'_>, withheld: bool) -> Self {
        if asked.query.detail == Detail::All {
            return Self::default();
        }
        Self {
            // claim: groups
            note: Some(format!(
                "{} groups: what stands for fewer than {GROUP_MIN} visitors is left out of lists and filtered reports, and their other figures are rounded to {GROUP_MIN}, so that nobody is singled out.",
                if asked.member { "As a viewer you see" } else { "This page shows" }
            )),
            withheld: withheld.then(|| {
                format!("Fewer than {GROUP_MIN} visitors match these filters. What is shown are groups of visitors, not one of them: remove a filter or choose a longer period.")
            }),
        }
    }
}

/// What the page is about: the inputs of all its parts.
pub(super) struct Subject<'a> {
    db: &'a Reports,
    /// Where the site's pages are for the reader.
    pub(super) base: &'a str,
    pub(super) site: &'a Site,
    /// Whether the reader may change the site.
    pub(super) may_edit: bool,
    /// Whether the reader has an account.
    member: bool,
    /// What a shared link lays down.
    fixed: &'a Filters,
    pub(super) view: &'a View,
    now: &'a Zoned,
    /// The chosen period.
    pub(super) query: Query,
    /// The one before it, when compared.
    pub(super) before: Option<Query>,
    /// The page below the site's overview that is shown; empty for the overview itself.
    below: String,
    /// What its address says besides, names and values.
    own: Vec<(&'static str, String)>,
}

impl<'a> Subject<'a> {
    pub(super) fn new(db: &'a Reports, reading: &'a Reading, view: &'a View, now: &'a Zoned) -> Self {
        let site = &reading.site;
        let scope = Scope { site: site.id, time_zone: site.time_zone.clone() };
        let today = now.date();
        let range = view.period.range(today);
        let (may_edit, member) = (reading.may_edit(), reading.is_member());
        let filters = view.filters.on_top_of(&reading.fixed);
        let query = Query { detail: reading.detail(), ..Query::totals(scope, range, filters) };
        let before = view.compare.then(|| {
            let previous = view.period.previous(today);
            Query { range: previous, until_ms: cut(range, previous, now), ..query.clone() }
        });
        let (base, fixed) = (&reading.base, &reading.fixed);
        Self {
            db,
            base,
            site,
            may_edit,
            member,
            fixed,
            view,
            now,
            query,
            before,
            below: String::new(),
            own: Vec::new(),
        }
    }

    /// The same for a page below the overview, as in `/list/page`.
    pub(super) fn below(self, below: String) -> Self {
        Self { below, ..self }
    }

    /// The same of something that its address says in a field of its own.
    pub(super) fn about(self, name: &'static str, value: String) -> Self {
        Self { own: vec![(name, value)], ..self }
    }

    /// The link to this page in another state.
    pub(super) fn link(&self, view: &View) -> String {
        self.link_about(view, &self.own)
    }

    /// The link to this page about something else.
    pub(super) fn link_about(&self, view: &View, own: &[(&'static str, String)]) -> String {
        let own = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(own).finish();
        let query = [view.query(), own.replace("%2F", "/")];
        let query = query.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("&");
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{}{mark}{query}", self.base, self.below)
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

/// What the page shows of a period, read at once.
struct Read {
    now: Answer,
    before: Option<Before>,
}

/// The period before.
struct Before {
    /// In full, beyond the present hour: it is drawn as such.
    whole: Answer,
    /// Up to the present time of day, so that it can be compared.
    totals: Counts,
}

/// The list that the graph is drawn from, where it is not the one by day.
fn by_hour(interval: Interval, metric: Metric) -> Option<List> {
    let entries = metric == Metric::BounceRate;
    let hours = List { by: Dimension::Hour, sort: Metric::Visitors, limit: ROWS_MAX, entries };
    (interval == Interval::Hour).then_some(hours)
}

async fn read(asked: &Subject<'_>) -> Result<Read, PageError> {
    let query = &asked.query;
    let first = asked.before.as_ref().map_or(query.range.from, |before| before.range.from);
    let all_days = Range { from: first.min(query.range.from), to: query.range.to };
    let sources = Sources::of(asked.db, &query.scope, all_days).await?;
    let drawn = by_hour(query.range.interval(), asked.view.metric);
    let now = async {
        let shown: Vec<List> = panel::lists(asked).into_iter().chain(drawn).collect();
        Ok::<_, PageError>(lists(asked.db, &sources, query, &shown, true).await?)
    };
    let before = async {
        match &asked.before {
            Some(query) => before(asked.db, &sources, query, drawn).await.map(Some),
            None => Ok(None),
        }
    };
    let (now, before) = tokio::try_join!(now, before)?;
    Ok(Read { now, before })
}

async fn before(
    db: &Reports,
    sources: &Sources,
    query: &Query,
    drawn: Option<List>,
) -> Result<Before, PageError> {
    let drawn: Vec<List> = drawn.into_iter().collect();
    // Figures of groups are made from sums.
    let whole_days = Query { until_ms: None, detail: Detail::All, ..query.clone() };
    let whole = lists(db, sources, &whole_days, &drawn, false);
    let groups = |mut whole: Answer, mut totals: Counts| {
        let filtered = !query.filters.is_empty();
        if query.detail == Detail::Groups {
            whole.by_groups(&drawn, filtered);
            totals = if filtered { totals.of_groups() } else { totals };
        }
        Before { whole, totals }
    };
    if query.until_ms.is_none() {
        let whole = whole.await?;
        let totals = whole.totals;
        return Ok(groups(whole, totals));
    }
    // Only the last day is cut.
    let last = query.range.to;
    let cut = Query { range: Range::day(last), ..whole_days.clone() };
    let cut = Query { until_ms: query.until_ms, ..cut };
    let cut = lists(db, sources, &cut, &[], false);
    let (whole, cut) = tokio::try_join!(whole, cut)?;
    let mut totals = cut.totals;
    let earlier = whole.days.iter().filter(|(day, _)| *day != last.to_string());
    earlier.for_each(|(_, counts)| totals += *counts);
    Ok(groups(whole, totals))
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    reading: Reading,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let db = &app.reports;
    let site = &reading.site;
    let now = now_in(&site.time_zone);
    let view = reading.view(query.as_deref().unwrap_or(""), now.date());
    let asked = Subject::new(db, &reading, &view, &now);
    let live = async {
        // Of all visitors, so not for who may see some.
        if reading.is_member() { Ok(live_visitors::run(db, site.id, now.timestamp()).await?) } else { Ok(0) }
    };
    let annotations = async { Ok(marks::of_reader(db, &reading, asked.query.range).await?) };
    let (mut read, live, annotations) = tokio::try_join!(read(&asked), live, annotations)?;
    let nothing = read.now.totals.pageviews == 0 && reading.is_member();
    let empty = nothing && first_hit::run(db, site.id).await?.is_none();
    let totals = (read.now.totals, read.before.as_ref().map(|before| before.totals));
    let panels = panel::build(&asked, &read.now.lists);
    let origin = read.now.origin.sentence();
    let consent = read.now.consent;
    Ok(reading.answer(html(&OverviewPage {
        header: header::build(&asked),
        metrics: header::keys(&asked, totals),
        graph: graph::build(&asked, &mut read, &annotations),
        strip: strip::build(&consent, site),
        panels: panels.into_iter().map(|p| p.with_total(totals.0)).collect(),
        empty,
        live_visitors: live,
        groups: Groups::of(&asked, read.now.withheld),
        origin,
        attribution: app.settings.geo_attribution.clone(),
        shell: reading.shell(site.name.clone(), theme, view.look),
        place: Place::of(&reading, view.look),
    })))
}

/// The points of the chosen period and of the one before.
fn points(asked: &Subject<'_>, read: &mut Read) -> [Vec<series::Point>; 2] {
    let interval = asked.query.range.interval();
    let points = |range: Range, answer: &mut Answer| {
        // The hours were asked for last.
        let hours = by_hour(interval, asked.view.metric).and_then(|_| answer.lists.pop());
        let rows = hours.map_or_else(|| std::mem::take(&mut answer.days), |(rows, _)| rows);
        series::fill(range, interval, rows)
    };
    let now = points(asked.query.range, &mut read.now);
    let before = asked.before.as_ref().zip(read.before.as_mut());
    [now, before.map_or_else(Vec::new, |(query, before)| points(query.range, &mut before.whole))]
}

/// The name of the period before, for people.
fn before_label(period: Period, range: Range) -> String {
    match period {
        Period::Today => "yesterday".into(),
        Period::Yesterday => "the day before".into(),
        Period::Week
        | Period::Month
        | Period::LastMonth
        | Period::Quarter
        | Period::Year
        | Period::Custom(_) => range.label(),
    }
}
