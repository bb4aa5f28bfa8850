//! The full list of one dimension's values: search, sorting, paging, and CSV.

use std::{collections::HashSet, sync::Arc};

use askama::Template;
use axum::{
    extract::{Path, RawQuery, State},
    response::Response,
};
use url::form_urlencoded;

use super::{
    overview::{
        Groups, Subject,
        header::{self, Header},
    },
    unmeasured,
};
mod before;
mod map;

use before::{Before, Compared};
use map::Country;

use crate::{
    App,
    figures::exact,
    filter::{Filter, Filters, Verb},
    labels,
    page::{PageError, Shell, Theme, html},
    places,
    range::now_in,
    reading::{Place, Reading},
    report::{Detail, Dimension, Metric, Query, ROWS_MAX, Reports, Rows, Table, TableRow, archive, run},
    view::View,
};

/// Rows of a page.
const PAGE_ROWS: u64 = 50;
const METRICS: [Metric; 6] = [
    Metric::Visitors,
    Metric::Visits,
    Metric::Pageviews,
    Metric::BounceRate,
    Metric::EngagedSeconds,
    Metric::Events,
];

/// Metrics by which the list can be sorted: counts.
const fn sortable(metric: Metric) -> bool {
    matches!(metric, Metric::Visitors | Metric::Visits | Metric::Pageviews | Metric::Events)
}

struct Column {
    label: &'static str,
    help: &'static str,
    /// Empty if the list cannot be sorted by it.
    link: String,
    current: bool,
}

struct ListRow {
    label: String,
    link: String,
    figures: Vec<Cell>,
}

struct Cell {
    text: String,
    /// Of the figure by which the list is sorted.
    compared: Compared,
}

/// The figures of a row.
fn cells(row: &TableRow, before: Option<&Before>, sort: Metric) -> Vec<Cell> {
    let cell = |metric: Metric| {
        let before = before.filter(|_| metric == sort);
        Cell {
            text: exact(metric, metric.of(&row.counts)),
            compared: before.map(|before| before.compare(row, metric)).unwrap_or_default(),
        }
    };
    METRICS.map(cell).into()
}

/// What is asked for a page of the list.
fn question(asked: &Subject<'_>, by: Dimension, state: &ListState) -> Query {
    let searched = Filter::new(by, Verb::Has, &labels::search(by, &state.search));
    let searched = searched.filter(|_| !state.search.is_empty());
    // A search is on top of what a link lays down, as every filter.
    let filters = searched.into_iter().fold(asked.query.filters.clone(), Filters::with);
    let mut metrics = vec![state.sort];
    metrics.extend(METRICS.into_iter().filter(|m| *m != state.sort));
    let limit = match asked.query.detail {
        // One extra row tells whether there is another page.
        Detail::All if by == Dimension::Country => (state.page * PAGE_ROWS + 1).max(map::COUNTRIES_MAX),
        Detail::All => (state.page * PAGE_ROWS + 1).min(ROWS_MAX),
        // Which rows are left of all is known when they are there.
        Detail::Groups => ROWS_MAX,
    };
    Query { by: Some(by), filters, metrics, limit, ..asked.query.clone() }
}

/// Lists that stand beside each other.
const GROUPS: [&[Dimension]; 4] = [
    &[
        Dimension::Page,
        Dimension::EntryPage,
        Dimension::ExitPage,
        Dimension::Hostname,
        Dimension::Event,
        Dimension::Outbound,
        Dimension::Download,
    ],
    &[
        Dimension::Source,
        Dimension::Channel,
        Dimension::Referrer,
        Dimension::UtmCampaign,
        Dimension::UtmSource,
        Dimension::UtmMedium,
        Dimension::UtmContent,
        Dimension::UtmTerm,
        Dimension::ClickId,
    ],
    &[
        Dimension::Country,
        Dimension::Region,
        Dimension::City,
        Dimension::Network,
        Dimension::NetworkKind,
        Dimension::Language,
    ],
    &[
        Dimension::Device,
        Dimension::Browser,
        Dimension::BrowserVersion,
        Dimension::Os,
        Dimension::OsVersion,
        Dimension::Screen,
    ],
];

/// A link to a list.
struct Beside {
    label: &'static str,
    link: String,
    current: bool,
}

fn beside(base: &str, by: Dimension, view: &View) -> Vec<Beside> {
    let group = GROUPS.into_iter().find(|group| group.contains(&by)).unwrap_or_default();
    let query = view.query();
    let mark = if query.is_empty() { "" } else { "?" };
    let link = |list: &Dimension| Beside {
        label: list.plural(),
        link: format!("{base}/list/{}{mark}{query}", list.name()),
        current: *list == by,
    };
    group.iter().map(link).collect()
}

#[derive(Template)]
#[template(path = "list.html")]
struct ListPage {
    shell: Shell,
    place: Place,
    header: Header,
    title: &'static str,
    column: &'static str,
    columns: Vec<Column>,
    beside: Vec<Beside>,
    rows: Vec<ListRow>,
    /// The countries of the world, where the list is of them.
    map: Vec<Country>,
    search: String,
    hidden: Vec<(String, String)>,
    back: String,
    /// The list as a file, for members.
    file: Option<String>,
    range: String,
    earlier: Option<String>,
    later: Option<String>,
    /// Which days come from where, unless all come from raw events.
    origin: Option<String>,
    groups: Groups,
    /// What is not in the rows, and why.
    notes: Vec<String>,
}

impl ListPage {
    const WORLD: [u32; 2] = places::WORLD;
}

/// What the list adds to the state of the overview.
struct ListState {
    sort: Metric,
    search: String,
    page: u64,
}

impl ListState {
    fn parse(query: &str, by: Dimension) -> Self {
        let first = |name: &str| {
            form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == name).map(|(_, v)| v.into_owned())
        };
        let default = if by.is_of_events() { Metric::Events } else { Metric::Visitors };
        Self {
            sort: first("sort")
                .and_then(|s| Metric::from_name(&s))
                .filter(|m| sortable(*m))
                .unwrap_or(default),
            search: first("q").unwrap_or_default().trim().chars().take(200).collect(),
            page: first("page").and_then(|p| p.parse().ok()).unwrap_or(1).clamp(1, ROWS_MAX / PAGE_ROWS),
        }
    }

    /// The link to this list with another order or page.
    fn link(&self, path: &str, view: &View, sort: Metric, page: u64) -> String {
        let mut out = form_urlencoded::Serializer::new(String::new());
        out.append_pair("sort", sort.name());
        if !self.search.is_empty() {
            out.append_pair("q", &self.search);
        }
        if page > 1 {
            out.append_pair("page", &page.to_string());
        }
        let rest = view.query();
        let mark = if rest.is_empty() { "" } else { "&" };
        format!("{path}?{rest}{mark}{}", out.finish())
    }
}

/// Link to the list as CSV.
fn file_link(key: &str, query: &Query) -> String {
    let mut out = form_urlencoded::Serializer::new(String::new());
    out.append_pair("from", &query.range.from.to_string()).append_pair("to", &query.range.to.to_string());
    out.append_pair("metrics", &METRICS.map(Metric::name).join(","));
    if let Some(by) = query.by {
        out.append_pair("by", by.name());
    }
    for equation in query.filters.equations() {
        out.append_pair("filter", &equation);
    }
    out.append_pair("limit", &ROWS_MAX.to_string()).append_pair("format", "csv");
    format!("/api/v1/sites/{key}/report?{}", out.finish())
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    reading: Reading,
    Path((_, by)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let by = Dimension::from_name(&by).filter(|d| !d.is_time()).ok_or(PageError::NotFound)?;
    let db = &app.reports;
    let (site, base) = (&reading.site, &reading.base);
    let query = query.unwrap_or_default();
    let now = now_in(&site.time_zone);
    let view = reading.view(&query, now.date());
    let state = ListState::parse(&query, by);
    let asked = Subject::new(db, &reading, &view, &now).below(format!("/list/{}", by.name()));
    let question = question(&asked, by, &state);
    let mut table = run(db, &question).await?;
    let notes = notes(db, &asked, &question, &mut table).await?;
    let before = before::read(db, &asked, &question).await?;
    let path = format!("{base}/list/{}", by.name());
    let skipped = usize::try_from((state.page - 1) * PAGE_ROWS).unwrap_or(usize::MAX);
    let shown = usize::try_from(PAGE_ROWS).unwrap_or(usize::MAX);
    let more = table.rows.len() > skipped.saturating_add(shown);
    let row = |row: &TableRow| ListRow {
        label: labels::label(by, &row.value),
        link: Filter::new(by, Verb::Is, &row.value)
            .filter(|_| row.value != archive::REST)
            .map_or_else(|| view.clone(), |f| view.with_filter(f))
            .link(base),
        figures: cells(row, before.as_ref(), state.sort),
    };
    let rows: Vec<ListRow> = table.rows.iter().skip(skipped).take(shown).map(row).collect();
    Ok(reading.answer(html(&ListPage {
        header: header::build(&asked),
        title: by.plural(),
        column: by.label(),
        columns: columns((&state, &path), by, &asked.query.filters, &view),
        beside: beside(base, by, &view),
        range: if rows.is_empty() {
            String::new()
        } else {
            format!("{} – {}", skipped + 1, skipped + rows.len())
        },
        rows,
        map: if by == Dimension::Country {
            map::countries(&table.rows, state.sort, &view, base)
        } else {
            Vec::new()
        },
        hidden: form_urlencoded::parse(view.query().as_bytes()).into_owned().collect(),
        back: view.link(base),
        file: reading.is_member().then(|| file_link(&site.key, &question)),
        earlier: (state.page > 1).then(|| state.link(&path, &view, state.sort, state.page - 1)),
        origin: table.origin.sentence(),
        notes,
        groups: Groups::of(&asked, table.withheld),
        later: more.then(|| state.link(&path, &view, state.sort, state.page + 1)),
        search: state.search,
        shell: reading.shell(format!("{} of {}", by.plural(), site.name), theme, view.look),
        place: Place::of(&reading, view.look),
    })))
}

/// Takes out of a list what is no value of its own, and says what it was.
async fn notes(
    db: &Reports,
    asked: &Subject<'_>,
    question: &Query,
    table: &mut Table,
) -> Result<Vec<String>, PageError> {
    let Some(by) = question.by else { return Ok(Vec::new()) };
    let counts = |table: &Table| -> Rows {
        let row = |row: &TableRow| (row.value.clone(), row.counts);
        table.rows.iter().map(row).collect()
    };
    let campaigns = if unmeasured::needs_campaigns(by) {
        let beside = Query { by: Some(Dimension::UtmCampaign), limit: 1, ..question.clone() };
        counts(&run(db, &beside).await?)
    } else {
        Vec::new()
    };
    let told = unmeasured::tell(by, counts(table), &campaigns, &asked.site.policy);
    let kept: HashSet<String> = told.rows.into_iter().map(|(value, _)| value).collect();
    table.rows.retain(|row| kept.contains(&row.value));
    Ok(told.notes)
}

fn columns((state, path): (&ListState, &str), by: Dimension, filters: &Filters, view: &View) -> Vec<Column> {
    let column = |metric: Metric| {
        let (label, help) = metric.in_list(by, filters);
        Column {
            label,
            help,
            link: if sortable(metric) { state.link(path, view, metric, 1) } else { String::new() },
            current: metric == state.sort,
        }
    };
    METRICS.map(column).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn page_and_order_outside_the_known_are_the_first_and_the_usual() {
        for (query, page, sort) in [
            ("", 1, Metric::Visitors),
            ("page=0&sort=bounce_rate", 1, Metric::Visitors),
            ("page=3&sort=pageviews", 3, Metric::Pageviews),
            ("page=999999", ROWS_MAX / PAGE_ROWS, Metric::Visitors),
        ] {
            let state = ListState::parse(query, Dimension::Page);
            assert_eq!((state.page, state.sort), (page, sort), "{query}");
        }
        assert_eq!(ListState::parse("", Dimension::Event).sort, Metric::Events);
    }

    #[test]
    fn link_keeps_the_state_of_the_overview() {
        let view = View::parse("p=7d&f=country:is:FR", date(2026, 3, 31));
        let state = ListState::parse("q=blog", Dimension::Page);
        let link = state.link("/s/a/list/page", &view, Metric::Visits, 2);
        assert_eq!(link, "/s/a/list/page?p=7d&f=country:is:FR&sort=visits&q=blog&page=2");
    }
}
