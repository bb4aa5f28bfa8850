//! Paths: what visits saw directly before and after a page, and how they went on from it.

use std::{collections::HashMap, sync::Arc};

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};
use sotto_store::settled::STEPS_MAX;

use super::{
    overview::{
        Groups, Subject,
        header::{self, Header},
    },
    period::file,
    steps::{ENTERED, LEFT_HERE, PlaceRow, bar, change, help, row, without_visits},
};
use crate::{
    App,
    figures::{Change, grouped, share},
    page::{PageError, Shell, Theme, html_with},
    range::now_in,
    reading::Reading,
    report::{
        Counts, Dimension, List, Metric, Query, ReportError, Reports, Sources, lists,
        paths::{self, Onward, PAGE_CHARS_MAX, Paths, Place, label},
    },
};

/// Rows of the tables before and after; the file has more.
const ROWS: usize = 12;
/// Places that are shown of journeys, of each step.
const PLACES: [usize; paths::JOURNEY_STEPS] = [5, 3, 2];
/// Pages that are proposed.
const PROPOSED: u64 = 100;

/// The page where most visits begin, and pages to choose from.
const SEEN: [List; 2] = [
    List { by: Dimension::EntryPage, sort: Metric::Visits, limit: 1, entries: false },
    List { by: Dimension::Page, sort: Metric::Visits, limit: PROPOSED, entries: false },
];

/// A table of places.
struct Places {
    title: &'static str,
    rows: Vec<PlaceRow>,
    /// How many rows there are besides.
    more: usize,
}

/// A step of journeys, with those that follow.
struct JourneyRow {
    /// How many steps from the page: 1, 2 or 3.
    step: usize,
    label: String,
    link: Option<String>,
    bar: String,
    visits: String,
    share: String,
}

#[derive(Template)]
#[template(path = "paths.html")]
struct PathsPage {
    shell: Shell,
    header: Header,
    back: String,
    /// The page that all is about; empty if there is none.
    about: String,
    hidden: Vec<(String, String)>,
    proposed: Vec<String>,
    page_max: usize,
    visits: String,
    views: String,
    change: Option<Change>,
    tables: [Places; 2],
    journeys: Vec<JourneyRow>,
    file: String,
    error: String,
    steps_max: u16,
    groups: Groups,
    without_visits: Option<String>,
}

impl PathsPage {
    const VISITS: &str = help::VISITS;
    const VIEWS: &str = help::VIEWS;
    const SHARE: &str = help::VIEW_SHARE;
    const JOURNEY: &str = help::JOURNEY;
}

async fn around(
    db: &Reports,
    sources: &Sources,
    query: &Query,
    page: Option<&String>,
) -> Result<Paths, ReportError> {
    match page {
        Some(page) => paths::around(db, sources, query, page).await,
        None => Ok(Paths::default()),
    }
}

fn table(
    (title, outside): (&'static str, &'static str),
    rows: &[(Place, Counts)],
    before: Option<&[(Place, Counts)]>,
    whole: &Counts,
    link: &dyn Fn(&str) -> String,
) -> Places {
    let views = |counts: &Counts| counts.pageviews;
    let longest = rows.first().map_or(0, |(_, counts)| views(counts));
    let before: HashMap<&Place, u64> =
        before.unwrap_or_default().iter().map(|(place, counts)| (place, counts.visits)).collect();
    let row = |found: &(Place, Counts)| {
        row(found, outside, [longest, views(whole)], views, before.get(&found.0).copied(), link)
    };
    Places { title, rows: rows.iter().take(ROWS).map(row).collect(), more: rows.len().saturating_sub(ROWS) }
}

/// Journeys as rows, each before those that follow it.
fn journeys(
    onward: &[Onward],
    step: usize,
    [longest, whole]: [u64; 2],
    link: &dyn Fn(&str) -> String,
    rows: &mut Vec<JourneyRow>,
) {
    let places = step.checked_sub(1).and_then(|n| PLACES.get(n)).copied().unwrap_or(0);
    for Onward { place, counts, onward } in onward.iter().take(places) {
        rows.push(JourneyRow {
            step,
            label: label(place, LEFT_HERE),
            link: match place {
                Place::Page(page) => Some(link(page)),
                Place::Outside | Place::Beyond => None,
            },
            bar: bar(counts.visits, longest),
            visits: grouped(counts.visits),
            share: share(counts.visits, whole),
        });
        journeys(onward, step + 1, [longest, whole], link, rows);
    }
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    reading: Reading,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let db = &app.reports;
    let site = &reading.site;
    let query = query.unwrap_or_default();
    let now = now_in(&site.time_zone);
    let view = reading.view(&query, now.date());
    let typed = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "page");
    let (typed, error) = match paths::typed(typed.as_ref().map_or("", |(_, value)| value)) {
        Ok(typed) => (typed, String::new()),
        Err(error) => (None, error.to_string()),
    };
    let asked = Subject::new(db, &reading, &view, &now).below("/paths".into());
    let sources = Sources::of(db, &asked.query.scope, asked.query.range).await?;
    let seen = lists(db, &sources, &asked.query, &SEEN, false).await?;
    let about = typed.or_else(|| paths::most_entered(&seen));
    let asked = asked.about("page", about.clone().unwrap_or_default());
    let before = async {
        let Some(query) = &asked.before else { return Ok(None) };
        let sources = Sources::of(db, &query.scope, query.range).await?;
        around(db, &sources, query, about.as_ref()).await.map(Some)
    };
    let (found, before) = tokio::try_join!(around(db, &sources, &asked.query, about.as_ref()), before)?;
    let link = |page: &str| asked.link_about(&view, &[("page", page.to_owned())]);
    let then =
        |rows: fn(&Paths) -> &Vec<(Place, Counts)>| before.as_ref().map(|paths| rows(paths).as_slice());
    let mut rows = Vec::new();
    let longest = found.journeys.first().map_or(0, |onward| onward.counts.visits);
    journeys(&found.journeys, 1, [longest, found.page.visits], &link, &mut rows);
    let status = if error.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let page = PathsPage {
        header: header::build(&asked),
        back: view.link(&reading.base),
        hidden: url::form_urlencoded::parse(view.query().as_bytes()).into_owned().collect(),
        proposed: seen.lists.get(1).map_or_else(Vec::new, |(rows, _)| {
            rows.iter().map(|(page, _)| page.clone()).filter(|page| page.starts_with('/')).collect()
        }),
        page_max: PAGE_CHARS_MAX,
        visits: grouped(found.page.visits),
        views: grouped(found.page.pageviews),
        change: before.as_ref().and_then(|before| change(found.page.visits, before.page.visits)),
        tables: [
            table(("Before", ENTERED), &found.before, then(|paths| &paths.before), &found.page, &link),
            table(("After", LEFT_HERE), &found.after, then(|paths| &paths.after), &found.page, &link),
        ],
        journeys: rows,
        file: file(&site.key, "paths", &asked.query, &[("page", about.as_deref().unwrap_or_default())]),
        about: about.unwrap_or_default(),
        error,
        steps_max: STEPS_MAX,
        groups: Groups::of(&asked, found.withheld),
        without_visits: without_visits(&seen.origin),
        shell: reading.shell(format!("Paths of {}", site.name), theme, view.look),
    };
    Ok(reading.answer(html_with(status, &page)))
}
