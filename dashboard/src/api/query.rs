//! `POST /api/v2/query`: reports in the grammar of Plausible's Stats API v2.
//!
//! What it is for: programs that talk to Plausible read Sotto. What it promises: a figure is the one that pages and version 1
//! of the API show, or the question is refused with 400 and the part of it that is in the way; whoever may not read a site
//! reads nothing of it, and viewers see groups. What is like at Plausible and what is not: `docs/api.md`. Proof:
//! `tests/suite/query.rs`.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Map, Value, json};
use sotto_schema::site::Site;

use super::{groups, origin, readable, reader::Reader, refusal::Refusal, write::rounded};
use crate::{
    App,
    guard::{QUESTIONS, from_own_page},
    page::PageError,
    range::{Range, now_in},
    report::{Metric, Scope, Sources},
};

mod asked;
mod dates;
mod exact;
mod filters;
mod names;
pub(super) mod openapi;
mod pattern;
mod problem;
mod rows;

use asked::{Asked, Key};
use dates::{Dates, Period};
use exact::Question;
use names::{Axis, Figure};
use problem::Problem;
use rows::{Found, Line, Reading};

/// The longest question, in bytes.
const BODY_BYTES_MAX: usize = 64 << 10;
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route(QUESTIONS, post(show).fallback(only_post))
        .route("/api/v2/openapi.json", get(async || Json(openapi::document())))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

async fn only_post() -> Response {
    let mut response = Problem::only_post().into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

async fn show(
    State(app): State<Arc<App>>,
    reader: Result<Reader, Refusal>,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Response {
    let reader = match reader {
        Ok(reader) => reader,
        Err(refusal) => return Problem::from(refusal).into_response(),
    };
    // A page of another site may send the cookie of its visitor along, and never a token.
    if matches!(reader, Reader::Person(_)) && !from_own_page(&headers) {
        return Problem::from(PageError::ForeignForm).into_response();
    }
    let Ok(body) = body else { return Problem::long(BODY_BYTES_MAX).into_response() };
    match answer(&app, &reader, &body).await {
        Ok(answer) => (StatusCode::OK, Json(answer)).into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// The site of that key, or the only one with that host name.
async fn site_of(app: &App, reader: &Reader, name: &str) -> Result<Site, Problem> {
    let sites = readable(app, reader).await?;
    if let Some(site) = sites.iter().find(|site| site.key == name) {
        return Ok(site.clone());
    }
    let has = |site: &&Site| site.hostnames.iter().any(|host| host.eq_ignore_ascii_case(name));
    let mut found = sites.iter().filter(has);
    match (found.next(), found.next()) {
        (Some(site), None) => Ok(site.clone()),
        (Some(site), Some(other)) => {
            let detail = format!("{name} is a host name of several sites: write a key");
            Err(Problem::bad("site_id", detail).allowing([site.key.clone(), other.key.clone()]))
        }
        (None, _) => Err(Problem::no_site()),
    }
}

/// The days of a question; for everything, it is looked up when that begins.
async fn period(app: &App, site: &Site, dates: Dates) -> Result<Period, Problem> {
    let now = now_in(&site.time_zone);
    if dates != Dates::All {
        return dates.period(&now, None);
    }
    let today = now.date();
    let longest = i64::from(crate::range::RANGE_DAYS_MAX) - 1;
    let range = Range { from: today.saturating_sub(jiff::Span::new().days(longest)), to: today };
    let scope = Scope { site: site.id, time_zone: site.time_zone.clone() };
    let first = Sources::of(&app.settings.databases.reader, &scope, range).await?.first_day();
    if first.is_some_and(|first| first <= range.from) {
        let detail = format!("there may be more than the {} days that a report covers", range.len());
        return Err(Problem::bad(dates::FIELD, detail));
    }
    dates.period(&now, first)
}

async fn answer(app: &App, reader: &Reader, body: &[u8]) -> Result<Value, Problem> {
    let asked = Asked::parse(body)?;
    let site = site_of(app, reader, &asked.site).await?;
    let _turn = app.gate.enter(reader.number()).await.map_err(Refusal::from)?;
    let db = &app.settings.databases.reader;
    let goals = sotto_store::goal::all(db, site.id).await.map_err(PageError::from)?;
    let chosen = filters::parse(&asked.filters, &goals)?;
    let period = period(app, &site, asked.dates).await?;
    let axes = asked.axes(period.bucket());
    let moments = period.moments.is_some();
    let question = Question { asked: &asked, axes: &axes, chosen: &chosen, moments };
    exact::check(&question)?;
    let detail = reader.detail(site.id);
    let reading = Reading { db: &app.reports, site: &site, question, period: &period, goals: &goals, detail };
    let mut found = reading.run().await?;
    sort(&mut found.lines, &asked, &axes, [found.all, found.without_goal]);
    let totals = [found.all, found.without_goal];
    let page = found.lines.iter().skip(asked.offset).take(asked.limit);
    let results: Vec<Value> = page
        .map(|line| {
            let figures = asked.figures.iter().map(|f| written(*f, figure(*f, line, totals)));
            json!({"dimensions": line.values, "metrics": figures.collect::<Vec<_>>()})
        })
        .collect();
    let mut meta = meta(&asked, &axes, &period, &found);
    meta.insert(
        "sotto".into(),
        json!({
            "origin": origin(&found.origin),
            "groups": groups(detail, found.withheld),
        }),
    );
    Ok(json!({"results": results, "meta": meta, "query": echo(&asked, &axes, &period)}))
}

/// What is said about the answer.
fn meta(asked: &Asked, axes: &[Axis], period: &Period, found: &Found) -> Map<String, Value> {
    let mut meta = Map::new();
    if asked.imports {
        meta.insert("imports_included".into(), false.into());
        meta.insert("imports_skip_reason".into(), "no_imported_data".into());
    }
    let bucket = axes.iter().find_map(|axis| match axis {
        Axis::Time(bucket) => Some(*bucket),
        Axis::Of(_) | Axis::Goal | Axis::Prop(_) => None,
    });
    if let Some(bucket) = bucket.filter(|_| asked.time_labels) {
        meta.insert("time_labels".into(), json!(period.labels(bucket)));
    }
    if asked.total_rows {
        meta.insert("total_rows".into(), found.lines.len().into());
    }
    let days = asked.figures.contains(&Figure::Visitors) && period.range.len() > 1;
    let mut warnings = Map::new();
    if days && bucket.is_none_or(|bucket| matches!(bucket, names::Bucket::Week | names::Bucket::Month)) {
        let warning = json!({
            "code": "visitors_of_days",
            "warning": "Sotto forgets at midnight who was who: visitors of several days are the sum of those of each day",
        });
        warnings.insert(Figure::Visitors.name().into(), warning);
    }
    if !found.origin.archive.is_empty() {
        let warning = json!({
            "code": "archived_days",
            "warning": "days that are left in the archive only have rounded figures, and no visits: see meta.sotto.origin",
        });
        for figure in &asked.figures {
            warnings.entry(figure.name()).or_insert_with(|| warning.clone());
        }
    }
    if !warnings.is_empty() {
        meta.insert("metric_warnings".into(), warnings.into());
    }
    meta
}

/// The question as it was understood.
fn echo(asked: &Asked, axes: &[Axis], period: &Period) -> Value {
    let moment = |at: &jiff::Zoned| at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
    let direction = |down: bool| if down { "desc" } else { "asc" };
    let order = order(asked, axes);
    let order: Vec<Value> =
        order.into_iter().map(|(key, down)| json!([asked.name_of(key, axes), direction(down)])).collect();
    let flags =
        [("imports", asked.imports), ("time_labels", asked.time_labels), ("total_rows", asked.total_rows)];
    let include: Map<String, Value> =
        flags.into_iter().filter(|(_, on)| *on).map(|(name, on)| (name.to_owned(), on.into())).collect();
    json!({
        "site_id": asked.site,
        "metrics": asked.figures.iter().map(|figure| figure.name()).collect::<Vec<_>>(),
        "date_range": [moment(&period.first), moment(&period.last)],
        "filters": asked.filters,
        "dimensions": axes.iter().map(Axis::name).collect::<Vec<_>>(),
        "order_by": order,
        "include": include,
        "pagination": {"limit": asked.limit, "offset": asked.offset},
    })
}

/// By what rows are sorted: as asked for, or by time, then the first figure, the greatest first.
fn order(asked: &Asked, axes: &[Axis]) -> Vec<(Key, bool)> {
    asked.order.clone().unwrap_or_else(|| {
        let time = axes.iter().position(Axis::is_time).map(|n| (Key::Axis(n), false));
        time.into_iter().chain([(Key::Figure(0), true)]).collect()
    })
}

/// Sorts rows; those that are alike by their values, so that pages of an answer fit together.
fn sort(lines: &mut [Line], asked: &Asked, axes: &[Axis], totals: [u64; 2]) {
    let order = order(asked, axes);
    lines.sort_by(|a, b| {
        let by = |(key, down): &(Key, bool)| {
            let found = match key {
                Key::Axis(n) => a.values.get(*n).cmp(&b.values.get(*n)),
                Key::Figure(n) => {
                    let of = |line| asked.figures.get(*n).and_then(|f| figure(*f, line, totals));
                    match (of(a), of(b)) {
                        (Some(a), Some(b)) => a.total_cmp(&b),
                        // What is not known comes last.
                        (a, b) if *down => a.is_some().cmp(&b.is_some()),
                        (a, b) => b.is_some().cmp(&a.is_some()),
                    }
                }
            };
            if *down { found.reverse() } else { found }
        };
        let all = order.iter().map(by).find(|found| found.is_ne());
        all.unwrap_or_else(|| a.values.cmp(&b.values))
    });
}

/// A figure of a row; `totals` are the visitors of everything, and those whether they completed a goal or not.
#[allow(clippy::cast_precision_loss)] // Counts stay far below 2^52.
fn figure(figure: Figure, line: &Line, [all, without_goal]: [u64; 2]) -> Option<f64> {
    let counts = &line.counts;
    let percent = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64 * 100.0);
    match figure {
        Figure::Visitors => Metric::Visitors.of(counts),
        Figure::Visits => Metric::Visits.of(counts),
        Figure::Pageviews => Metric::Pageviews.of(counts),
        Figure::ViewsPerVisit => Metric::ViewsPerVisit.of(counts),
        Figure::BounceRate => Metric::BounceRate.of(counts).map(|rate| rate * 100.0),
        Figure::Events => Some((counts.pageviews + counts.events) as f64),
        Figure::Percentage => percent(counts.visitors, all),
        Figure::ConversionRate => percent(counts.visitors, without_goal),
        Figure::GroupConversionRate => percent(counts.visitors, line.group?),
        Figure::ScrollDepth => line.depth,
        Figure::TimeOnPage => Metric::EngagedSeconds.of(counts),
    }
}

/// A figure as Plausible rounds it.
fn written(figure: Figure, value: Option<f64>) -> Value {
    let Some(value) = value else { return Value::Null };
    match figure {
        Figure::Visitors
        | Figure::Visits
        | Figure::Pageviews
        | Figure::Events
        | Figure::BounceRate
        | Figure::ScrollDepth
        | Figure::TimeOnPage => rounded(value.round()),
        Figure::ViewsPerVisit => rounded((value * 100.0).round() / 100.0),
        Figure::Percentage | Figure::ConversionRate | Figure::GroupConversionRate => {
            rounded((value * 10.0).round() / 10.0)
        }
    }
}
