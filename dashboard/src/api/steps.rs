//! Paths, funnels and pages that were not found, as JSON and CSV.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use sotto_schema::site::Site;
use sotto_store::funnel::{self, Funnel, FunnelError};

use super::{
    about, attachment, groups, question, reader::Reader, refusal::Refusal, site_of, wants_csv, write::lines,
};
use crate::{
    App,
    page::PageError,
    report::{
        Counts, Dimension, List, Metric, Query, Sources,
        funnels::{Reached, reached},
        lists,
        not_found::{self, EVENT, From, NotFound},
        paths::{self, Onward, Paths, Place, label},
    },
};

/// What being nowhere else is called in files, before and after.
const OUTSIDE: [&str; 2] = ["(entered here)", "(left here)"];

/// A place with its figures: `{"place": "page", "page": "/a", "visits"}`; a place that is no page is
/// `outside` (the visit began or ended) or `beyond` (more steps than are kept).
fn place(place: &Place, counts: &Counts) -> Value {
    let (kind, page) = match place {
        Place::Page(page) => ("page", Some(page)),
        Place::Outside => ("outside", None),
        Place::Beyond => ("beyond", None),
    };
    json!({"place": kind, "page": page, "visits": counts.visits})
}

/// The same of views of a page.
fn with_views((at, counts): &(Place, Counts)) -> Value {
    let mut out = place(at, counts);
    out["views"] = json!(counts.pageviews);
    out
}

fn journey(step: &Onward) -> Value {
    let mut out = place(&step.place, &step.counts);
    out["onward"] = step.onward.iter().map(journey).collect();
    out
}

/// Rows of a file: `part` is `page`, `before`, `after` or `journey`, of which the pages stand one after the other.
fn paths_file(page: &str, paths: &Paths) -> String {
    fn journeys(first: &str, onward: &[Onward], rows: &mut Vec<Vec<String>>) {
        for step in onward {
            let whole = format!("{first} > {}", label(&step.place, OUTSIDE[1]));
            rows.push(row("journey", whole.clone(), &step.counts));
            journeys(&whole, &step.onward, rows);
        }
    }
    fn row(part: &str, pages: String, counts: &Counts) -> Vec<String> {
        let figures = [counts.visits, counts.pageviews].map(|n| n.to_string());
        [part.to_owned(), pages].into_iter().chain(figures).collect()
    }
    let mut rows = vec![row("page", page.to_owned(), &paths.page)];
    for (part, outside, found) in [("before", OUTSIDE[0], &paths.before), ("after", OUTSIDE[1], &paths.after)]
    {
        rows.extend(found.iter().map(|(place, counts)| row(part, label(place, outside), counts)));
    }
    journeys(page, &paths.journeys, &mut rows);
    lines(&["part", "pages", "visits", "views"], &rows)
}

/// `page` in the address says around which page; without it, it is the one with most entries.
pub(super) async fn show_paths(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(key): Path<String>,
    RawQuery(asked): RawQuery,
) -> Result<Response, Refusal> {
    let db = &app.reports;
    let site = site_of(&app, &reader, &key).await?;
    let _turn = app.gate.enter(reader.number()).await?;
    let asked = asked.unwrap_or_default();
    let query = Query { detail: reader.detail(site.id), ..question(&app, &asked, &site).await? };
    let typed = url::form_urlencoded::parse(asked.as_bytes()).find(|(name, _)| name == "page");
    let typed = paths::typed(typed.as_ref().map_or("", |(_, page)| page))?;
    let sources = Sources::of(db, &query.scope, query.range).await?;
    let page = match typed {
        Some(page) => Some(page),
        None => {
            let entries = List { by: Dimension::EntryPage, sort: Metric::Visits, limit: 1, entries: false };
            paths::most_entered(&lists(db, &sources, &query, &[entries], false).await?)
        }
    };
    let found = match &page {
        Some(page) => paths::around(db, &sources, &query, page).await?,
        None => Paths::default(),
    };
    let name = page.clone().unwrap_or_default();
    if wants_csv(&asked) {
        return Ok(attachment(&site, "paths", &query, paths_file(&name, &found)));
    }
    Ok(Json(json!({
        "query": about(&site, &query),
        "page": page,
        "visits": found.page.visits,
        "views": found.page.pageviews,
        "before": found.before.iter().map(with_views).collect::<Vec<_>>(),
        "after": found.after.iter().map(with_views).collect::<Vec<_>>(),
        "journeys": found.journeys.iter().map(journey).collect::<Vec<_>>(),
        "groups": groups(query.detail, found.withheld),
    }))
    .into_response())
}

/// A page of the site, or the source of visits that began, with its figures; the other one is `null`.
fn origin((from, counts): &(From, Counts)) -> Value {
    let (page, source) = match from {
        From::Page(page) => (Some(page), None),
        From::Source(source) => (None, Some(source)),
    };
    json!({"page": page, "source": source, "visits": counts.visits, "times": counts.pageviews})
}

/// Rows of a file: one for each page, and one for each place from where visitors came to it.
fn not_found_file(found: &NotFound) -> String {
    let mut rows = Vec::new();
    for missing in &found.pages {
        let mut row = |from: [&str; 2], counts: &Counts| {
            let figures = [counts.visits, counts.pageviews].map(|n| n.to_string());
            let names = [missing.page.as_str(), from[0], from[1]].map(str::to_owned);
            rows.push(names.into_iter().chain(figures).collect::<Vec<_>>());
        };
        row(["", ""], &missing.counts);
        for (from, counts) in &missing.from {
            match from {
                From::Page(page) => row([page, ""], counts),
                From::Source(source) if source.is_empty() => row(["", OUTSIDE[0]], counts),
                From::Source(source) => row(["", source], counts),
            }
        }
    }
    lines(&["page", "from_page", "from_source", "visits", "times"], &rows)
}

pub(super) async fn show_not_found(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(key): Path<String>,
    RawQuery(asked): RawQuery,
) -> Result<Response, Refusal> {
    let db = &app.reports;
    let site = site_of(&app, &reader, &key).await?;
    let _turn = app.gate.enter(reader.number()).await?;
    let asked = asked.unwrap_or_default();
    let query = Query { detail: reader.detail(site.id), ..question(&app, &asked, &site).await? };
    let sources = Sources::of(db, &query.scope, query.range).await?;
    let found = not_found::pages(db, &sources, &query, EVENT).await?;
    if wants_csv(&asked) {
        return Ok(attachment(&site, "not-found", &query, not_found_file(&found)));
    }
    let page = |missing: &not_found::Missing| {
        json!({
            "page": missing.page,
            "visits": missing.counts.visits,
            "times": missing.counts.pageviews,
            "from": missing.from.iter().map(origin).collect::<Vec<_>>(),
        })
    };
    Ok(Json(json!({
        "query": about(&site, &query),
        "visits": found.all.visits,
        "times": found.all.pageviews,
        "pages": found.pages.iter().map(page).collect::<Vec<_>>(),
        "groups": groups(query.detail, found.withheld),
    }))
    .into_response())
}

/// A funnel and its steps; with `places`, also where those went who went no further.
fn of_funnel(funnel: &Funnel, found: &Reached, places: bool) -> Value {
    let step = |n: usize| {
        let (step, counts) = (&funnel.steps[n], found.steps.get(n).copied().unwrap_or_default());
        let mut out = json!({
            "kind": step.kind.name(),
            "pattern": step.pattern,
            "visitors": counts.visitors,
            "visits": counts.visits,
        });
        if let Some(left) = found.left.get(n).filter(|_| places) {
            out["left_for"] = left.iter().map(|(at, counts)| place(at, counts)).collect();
        }
        out
    };
    json!({
        "id": funnel.id.to_string(),
        "name": funnel.name,
        "order": if funnel.strict { "strict" } else { "loose" },
        "steps": (0..funnel.steps.len()).map(step).collect::<Vec<_>>(),
    })
}

/// Rows of a file: one for each step, and with `places` one for each place to which visits went that went no further.
fn funnels_file(funnels: &[Funnel], found: &[Reached], places: bool) -> String {
    let mut rows = Vec::new();
    for (funnel, found) in funnels.iter().zip(found) {
        for (n, (step, counts)) in funnel.steps.iter().zip(&found.steps).enumerate() {
            let row = |left_for: String, counts: &Counts| {
                let figures = [counts.visitors, counts.visits].map(|n| n.to_string());
                let about = [funnel.name.clone(), (n + 1).to_string(), step.pattern.clone(), left_for];
                about.into_iter().chain(figures).collect::<Vec<_>>()
            };
            rows.push(row(String::new(), counts));
            let left = found.left.get(n).filter(|_| places).into_iter().flatten();
            rows.extend(left.map(|(place, counts)| row(label(place, OUTSIDE[1]), counts)));
        }
    }
    lines(&["funnel", "step", "pattern", "left_for", "visitors", "visits"], &rows)
}

fn unreachable(error: FunnelError) -> Refusal {
    match error {
        FunnelError::Database(error) => error.into(),
        FunnelError::Name
        | FunnelError::Steps(_)
        | FunnelError::Step(_)
        | FunnelError::TooMany
        | FunnelError::Randomness(_) => PageError::Broken.into(),
    }
}

async fn funnels(
    (app, reader): (&App, &Reader),
    site: &Site,
    asked: &str,
    id: Option<&str>,
) -> Result<Response, Refusal> {
    let db = &app.reports;
    let _turn = app.gate.enter(reader.number()).await?;
    let query = Query { detail: reader.detail(site.id), ..question(app, asked, site).await? };
    let mut funnels = funnel::all(db, site.id).await.map_err(unreachable)?;
    funnels.retain(|funnel| id.is_none_or(|id| funnel.id.to_string() == id));
    if id.is_some() && funnels.is_empty() {
        return Err(Refusal::NOT_FOUND);
    }
    let sources = Sources::of(db, &query.scope, query.range).await?;
    let found = reached(db, &sources, &query, &funnels, id.is_some()).await?;
    if wants_csv(asked) {
        let name = if id.is_some() { "funnel" } else { "funnels" };
        return Ok(attachment(site, name, &query, funnels_file(&funnels, &found, id.is_some())));
    }
    let all = funnels.iter().zip(&found).map(|(funnel, found)| of_funnel(funnel, found, id.is_some()));
    let mut all: Vec<Value> = all.collect();
    let mut out = json!({"query": about(site, &query), "groups": groups(query.detail, false)});
    match id {
        Some(_) => out["funnel"] = all.remove(0),
        None => out["funnels"] = all.into(),
    }
    Ok(Json(out).into_response())
}

pub(super) async fn list_funnels(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(key): Path<String>,
    RawQuery(asked): RawQuery,
) -> Result<Response, Refusal> {
    let site = site_of(&app, &reader, &key).await?;
    funnels((&app, &reader), &site, asked.as_deref().unwrap_or(""), None).await
}

pub(super) async fn show_funnel(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path((key, id)): Path<(String, String)>,
    RawQuery(asked): RawQuery,
) -> Result<Response, Refusal> {
    let site = site_of(&app, &reader, &key).await?;
    funnels((&app, &reader), &site, asked.as_deref().unwrap_or(""), Some(&id)).await
}
