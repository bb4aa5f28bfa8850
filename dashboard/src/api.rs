//! The JSON API, on the same queries as the pages. The only place that serialises data for the outside.
//!
//! `Authorization: Bearer` with a token, or the cookie of a signed-in browser. Errors are
//! `{"error": {"code", "message", "hint"}}` with a matching status.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, RawQuery, State},
    http::header,
    middleware::from_fn,
    response::{IntoResponse, Response},
    routing::{delete, get},
};
use serde_json::{Value, json};
use sotto_schema::site::Site;
use sotto_store::sites;

use crate::{
    App,
    filter::goals,
    range::{Interval, Range, now_in},
    report::{
        Dimension, List, Metric, Query, ROWS_MAX, ReportError, Scope, Sources, Typed, first_hit, lists,
        live_visitors, run, series,
    },
};

mod allowance;
mod annotations;
mod consent;
mod details;
mod hours;
mod manage;
mod openapi;
mod quality;
mod query;
mod reader;
mod realtime;
mod refusal;
mod steps;
mod write;

pub(crate) use allowance::Allowance;
pub use write::{csv, groups, origin, table};

use reader::Reader;
pub(crate) use refusal::Refusal;
use write::number;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .merge(manage::routes())
        .route("/api/v1/sites/{key}/report", get(report))
        .route("/api/v1/sites/{key}/overview", get(overview))
        .route("/api/v1/sites/{key}/details/{report}", get(details::show))
        .route("/api/v1/sites/{key}/annotations", get(annotations::list).post(annotations::add))
        .route("/api/v1/sites/{key}/annotations/{id}", delete(annotations::remove))
        .route("/api/v1/sites/{key}/hours", get(hours::show))
        .route("/api/v1/sites/{key}/not-found", get(steps::show_not_found))
        .route("/api/v1/sites/{key}/paths", get(steps::show_paths))
        .route("/api/v1/sites/{key}/funnels", get(steps::list_funnels))
        .route("/api/v1/sites/{key}/funnels/{id}", get(steps::show_funnel))
        .route("/api/v1/sites/{key}/quality", get(quality::show))
        .route("/api/v1/sites/{key}/consent", get(consent::show))
        .route("/api/v1/sites/{key}/realtime", get(realtime::show))
        .merge(query::routes())
        .layer(from_fn(allowance::tell))
        .route("/api/v1/openapi.json", get(async || Json(openapi::document())))
        // Our own pages ask for these again and again: they are not counted.
        .route("/api/v1/sites/{key}/first-hit", get(first))
        .route("/api/v1/sites/{key}/now", get(now))
        .route("/api/{*rest}", get(async || Refusal::NOT_FOUND))
}

async fn readable(app: &App, reader: &Reader) -> Result<Vec<Site>, Refusal> {
    let all = sites::all(&app.settings.databases.reader).await?;
    Ok(all.into_iter().filter(|s| reader.may_read(s.id)).collect())
}

async fn site_of(app: &App, reader: &Reader, key: &str) -> Result<Site, Refusal> {
    readable(app, reader).await?.into_iter().find(|s| s.key == key).ok_or(Refusal::NOT_FOUND)
}

fn scope(site: &Site) -> Scope {
    Scope { site: site.id, time_zone: site.time_zone.clone() }
}

/// Parses a query string: `from`, `to`, `metrics`, `by`, `limit`, `source`, and `filter` as often as needed.
async fn question(app: &App, query: &str, site: &Site) -> Result<Query, ReportError> {
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let all = |name: &'static str| {
        pairs.iter().filter(move |(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    };
    let first = |name: &'static str| all(name).next();
    let filters = all("filter").map(str::to_owned).collect();
    let filters = goals::resolved(&app.settings.databases.reader, site.id, filters).await?;
    let typed = Typed {
        from: first("from"),
        to: first("to"),
        metrics: first("metrics"),
        by: first("by"),
        filters: filters.iter().map(String::as_str).collect(),
        limit: first("limit"),
        source: first("source"),
    };
    Query::parse(scope(site), now_in(&site.time_zone).date(), &typed)
}

/// Parses `from` and `to` of a query string.
fn days(query: &str, site: &Site) -> Result<Range, ReportError> {
    let first = |name: &str| {
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.into_owned().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v)
    };
    Ok(Range::parse(first("from").as_deref(), first("to").as_deref(), now_in(&site.time_zone).date())?)
}

/// What a report without filters is about.
fn period(site: &Site, range: Range) -> Value {
    json!({
        "site": site.key,
        "time_zone": site.time_zone,
        "from": range.from.to_string(),
        "to": range.to.to_string(),
    })
}

fn about(site: &Site, query: &Query) -> Value {
    json!({
        "site": site.key,
        "time_zone": site.time_zone,
        "from": query.range.from.to_string(),
        "to": query.range.to.to_string(),
        "filters": query.filters.each().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

async fn report(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(key): Path<String>,
    RawQuery(asked): RawQuery,
) -> Result<Response, Refusal> {
    let site = site_of(&app, &reader, &key).await?;
    let _turn = app.gate.enter(reader.number()).await?;
    let asked = asked.unwrap_or_default();
    let query = Query { detail: reader.detail(site.id), ..question(&app, &asked, &site).await? };
    let answer = run(&app.reports, &query).await?;
    if wants_csv(&asked) {
        return Ok(attachment(&site, query.by.map_or("totals", Dimension::name), &query, csv(&answer)));
    }
    let origin = origin(&answer.origin);
    let groups = groups(answer.detail, answer.withheld);
    Ok(Json(
        json!({"query": about(&site, &query), "table": table(&answer), "origin": origin, "groups": groups}),
    )
    .into_response())
}

fn wants_csv(asked: &str) -> bool {
    url::form_urlencoded::parse(asked.as_bytes()).any(|(n, v)| n == "format" && v == "csv")
}

/// A file of CSV, named by its site, what it is about, and its days.
fn attachment(site: &Site, what: &str, query: &Query, text: String) -> Response {
    let site = file_part(site.hostnames.first().unwrap_or(&site.key));
    let (from, to) = (query.range.from, query.range.to);
    let name = format!("attachment; filename=\"{site}-{what}-{from}-{to}.csv\"");
    let kind = (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned());
    ([kind, (header::CONTENT_DISPOSITION, name)], text).into_response()
}

/// A text as part of a file's name.
fn file_part(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    text.chars().map(|c| if allowed(c) { c } else { '-' }).collect()
}

async fn overview(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(key): Path<String>,
    RawQuery(asked): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let site = site_of(&app, &reader, &key).await?;
    let _turn = app.gate.enter(reader.number()).await?;
    let asked = question(&app, asked.as_deref().unwrap_or(""), &site).await?;
    let detail = reader.detail(site.id);
    let query =
        Query { source: asked.source, detail, ..Query::totals(asked.scope, asked.range, asked.filters) };
    let db = &app.reports;
    let interval = query.range.interval();
    let sources = Sources::of(db, &query.scope, query.range).await?;
    let hours = List { by: Dimension::Hour, sort: Metric::Visitors, limit: ROWS_MAX, entries: true };
    let drawn: &[List] = if interval == Interval::Hour { &[hours] } else { &[] };
    let mut answer = lists(db, &sources, &query, drawn, true).await?;
    let rows = answer.lists.pop().map_or(answer.days, |(hours, _)| hours);
    let points = series::fill(query.range, interval, rows);
    let figures = |figures: &mut dyn Iterator<Item = (Metric, Option<f64>)>| {
        figures.map(|(m, f)| (m.name().to_owned(), number(m, f))).collect::<serde_json::Map<_, _>>()
    };
    let point = |p: &series::Point| {
        let mut out = figures(&mut Metric::ALL.iter().map(|m| (*m, m.of(&p.counts))));
        out.insert("at".into(), json!(p.at));
        Value::Object(out)
    };
    Ok(Json(json!({
        "query": about(&site, &query),
        "totals": figures(&mut query.metrics.iter().map(|m| (*m, m.of(&answer.totals)))),
        "series": points.iter().map(point).collect::<Vec<_>>(),
        "consent": consent::pageviews(&answer.consent),
        "origin": origin(&answer.origin),
        "groups": groups(query.detail, answer.withheld),
    })))
}

async fn now(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(key): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let site = site_of(&app, &reader, &key).await?;
    let visitors =
        live_visitors::run(&app.settings.databases.reader, site.id, now_in(&site.time_zone).timestamp())
            .await?;
    Ok(Json(json!({"visitors": visitors})))
}

async fn first(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(key): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let site = site_of(&app, &reader, &key).await?;
    let hit = first_hit::run(&app.settings.databases.reader, site.id).await?;
    let seen = hit.map(|h| crate::routes::seen(&h, &site.time_zone, reader.detail(site.id)));
    Ok(Json(json!({"first": seen.map(|s| json!({"page": s.page, "time": s.time}))})))
}
