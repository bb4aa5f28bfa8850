//! The JSON API, on the same questions as the pages. The only place where anything is serialised to the outside.
//!
//! `Authorization: Bearer` with a token, or the cookie of a signed-in browser. Errors are
//! `{"error": {"code", "message", "hint"}}` with a fitting status.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{FromRequestParts, Path, RawQuery, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use sotto_schema::{
    account,
    site::{self, Site},
};

use crate::{
    App,
    auth::{self, SignedIn},
    page::PageError,
    range::now_in,
    report::{
        Dimension, Metric, Query, ReportError, Scope, Table, TableRow, Typed, consent, first_hit, run, series,
    },
};

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/sites", get(sites))
        .route("/api/v1/sites/{key}/report", get(report))
        .route("/api/v1/sites/{key}/overview", get(overview))
        .route("/api/v1/sites/{key}/first-hit", get(first))
        .route("/api/{*rest}", get(async || Refusal::NOT_FOUND))
}

/// A table as JSON: `{"metrics": [...], "by": ..., "rows": [{"value": ..., "visitors": ...}]}`.
pub fn table(table: &Table) -> Value {
    let row = |row: &TableRow| {
        let mut out = serde_json::Map::new();
        if let Some(by) = table.by {
            out.insert(by.name().to_owned(), json!(row.value));
        }
        for (metric, figure) in table.metrics.iter().zip(&row.figures) {
            out.insert(metric.name().to_owned(), number(*metric, *figure));
        }
        Value::Object(out)
    };
    json!({
        "by": table.by.map(Dimension::name),
        "metrics": table.metrics.iter().map(|m| m.name()).collect::<Vec<_>>(),
        "rows": table.rows.iter().map(row).collect::<Vec<_>>(),
    })
}

/// Counts as whole numbers, ratios with four digits after the point.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Counts are whole and not negative.
fn number(metric: Metric, figure: Option<f64>) -> Value {
    match (metric, figure) {
        (_, None) => Value::Null,
        (Metric::Visitors | Metric::Visits | Metric::Pageviews | Metric::Events, Some(n)) => json!(n as u64),
        (Metric::BounceRate | Metric::EngagedSeconds | Metric::ViewsPerVisit, Some(n)) => {
            json!((n * 10_000.0).round() / 10_000.0)
        }
    }
}

/// Why a request is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: std::borrow::Cow<'static, str>,
    hint: &'static str,
}

impl Refusal {
    const fn new(status: StatusCode, code: &'static str, message: &'static str, hint: &'static str) -> Self {
        Self { status, code, message: std::borrow::Cow::Borrowed(message), hint }
    }

    const NOT_FOUND: Self = Self::new(
        StatusCode::NOT_FOUND,
        "not_found",
        "there is no such thing, or not for you",
        "GET /api/v1/sites lists the sites you may read",
    );
    const UNAUTHORIZED: Self = Self::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "no valid token or sign-in came with the request",
        "send 'Authorization: Bearer TOKEN'; 'sotto token add' makes one",
    );
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({"error": {"code": self.code, "message": self.message, "hint": self.hint}});
        (self.status, Json(body)).into_response()
    }
}

impl From<PageError> for Refusal {
    fn from(error: PageError) -> Self {
        match error {
            PageError::NotFound => Self::NOT_FOUND,
            PageError::SignIn(_) => Self::UNAUTHORIZED,
            PageError::Forbidden | PageError::ForeignForm => {
                Self::new(StatusCode::FORBIDDEN, "forbidden", "your role does not allow this", "ask an owner")
            }
            PageError::Away => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "database_away",
                "the database cannot be reached",
                "try again in a few seconds; visits are still being collected",
            ),
            PageError::Broken => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "broken",
                "something went wrong",
                "the server's log says what",
            ),
        }
    }
}

impl From<ReportError> for Refusal {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Database(error) => PageError::from(error).into(),
            ReportError::Metric(_)
            | ReportError::Dimension(_)
            | ReportError::Filter(_)
            | ReportError::Range(_)
            | ReportError::Limit(_) => Self {
                message: error.to_string().into(),
                ..Self::new(StatusCode::BAD_REQUEST, "bad_request", "", "see the message for what is known")
            },
        }
    }
}

impl From<clickhouse::error::Error> for Refusal {
    fn from(error: clickhouse::error::Error) -> Self {
        PageError::from(error).into()
    }
}

/// Who asks: a browser that is signed in, or a program with a token.
pub(crate) enum Reader {
    Person(SignedIn),
    Program(account::Bearer),
}

impl Reader {
    fn may_read(&self, site: u64) -> bool {
        match self {
            Self::Person(signed_in) => signed_in.role(site).is_some(),
            Self::Program(bearer) => bearer.site == 0 || bearer.site == site,
        }
    }
}

fn bearer_secret(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && secret.len() <= 200).then(|| secret.trim())
}

impl FromRequestParts<Arc<App>> for Reader {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let db = &app.settings.databases.writer;
        if parts.headers.contains_key(header::AUTHORIZATION) {
            let secret = bearer_secret(&parts.headers).ok_or(Refusal::UNAUTHORIZED)?;
            let bearer = account::bearer(db, secret).await.map_err(PageError::from)?;
            return bearer.map(Self::Program).ok_or(Refusal::UNAUTHORIZED);
        }
        let signed_in = auth::signed_in(app, &parts.headers).await?;
        signed_in.map(Self::Person).ok_or(Refusal::UNAUTHORIZED)
    }
}

async fn readable(app: &App, reader: &Reader) -> Result<Vec<Site>, Refusal> {
    let all = site::all(&app.settings.databases.reader).await?;
    Ok(all.into_iter().filter(|s| reader.may_read(s.id)).collect())
}

async fn site_of(app: &App, reader: &Reader, key: &str) -> Result<Site, Refusal> {
    readable(app, reader).await?.into_iter().find(|s| s.key == key).ok_or(Refusal::NOT_FOUND)
}

fn scope(site: &Site) -> Scope {
    Scope { site: site.id, time_zone: site.time_zone.clone() }
}

async fn sites(State(app): State<Arc<App>>, reader: Reader) -> Result<Json<Value>, Refusal> {
    let sites = readable(&app, &reader).await?;
    let one = |s: &Site| {
        json!({
            "key": s.key,
            "name": s.name,
            "hostnames": s.hostnames,
            "time_zone": s.time_zone,
            "policy": s.preset.name(),
            "retention_days": s.retention_days,
        })
    };
    Ok(Json(json!({"sites": sites.iter().map(one).collect::<Vec<_>>()})))
}

/// A question from an address: `from`, `to`, `metrics`, `by`, `limit`, and `filter` as often as needed.
fn question(query: &str, site: &Site) -> Result<Query, ReportError> {
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let all = |name: &'static str| {
        pairs.iter().filter(move |(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    };
    let first = |name: &'static str| all(name).next();
    let typed = Typed {
        from: first("from"),
        to: first("to"),
        metrics: first("metrics"),
        by: first("by"),
        filters: all("filter").collect(),
        limit: first("limit"),
    };
    Query::parse(scope(site), now_in(&site.time_zone).date(), &typed)
}

fn about(site: &Site, query: &Query) -> Value {
    json!({
        "site": site.key,
        "time_zone": site.time_zone,
        "from": query.range.from.to_string(),
        "to": query.range.to.to_string(),
        "filters": query.filters.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

async fn report(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(key): Path<String>,
    RawQuery(asked): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let site = site_of(&app, &reader, &key).await?;
    let query = question(asked.as_deref().unwrap_or(""), &site)?;
    let answer = run(&app.settings.databases.reader, &query).await?;
    Ok(Json(json!({"query": about(&site, &query), "table": table(&answer)})))
}

async fn overview(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(key): Path<String>,
    RawQuery(asked): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let site = site_of(&app, &reader, &key).await?;
    let asked = question(asked.as_deref().unwrap_or(""), &site)?;
    let query = Query::totals(asked.scope, asked.range, asked.filters);
    let db = &app.settings.databases.reader;
    let interval = query.range.interval();
    let (totals, points, consent) =
        tokio::try_join!(run(db, &query), series::run(db, &query, interval), consent::run(db, &query))?;
    let figures = |figures: &mut dyn Iterator<Item = (Metric, Option<f64>)>| {
        figures.map(|(m, f)| (m.name().to_owned(), number(m, f))).collect::<serde_json::Map<_, _>>()
    };
    let row = totals.rows.first().map_or(&[][..], |r| &r.figures);
    let point = |p: &series::Point| {
        let mut out = figures(&mut Metric::ALL.iter().map(|m| (*m, m.of(&p.counts))));
        out.insert("at".into(), json!(p.at));
        Value::Object(out)
    };
    Ok(Json(json!({
        "query": about(&site, &query),
        "totals": figures(&mut totals.metrics.iter().copied().zip(row.iter().copied())),
        "series": points.iter().map(point).collect::<Vec<_>>(),
        "consent": {
            "full": consent.full,
            "anonymous": consent.anonymous,
            "granted": consent.granted,
            "refused": consent.refused,
            "undecided": consent.undecided,
            "gpc": consent.gpc,
        },
    })))
}

async fn first(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(key): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let site = site_of(&app, &reader, &key).await?;
    let hit = first_hit::run(&app.settings.databases.reader, site.id).await?;
    let seen = hit.map(|h| crate::routes::seen(&h, &site.time_zone));
    Ok(Json(json!({"first": seen.map(|s| json!({"page": s.page, "time": s.time}))})))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn table_names_its_figures_and_keeps_counts_whole() {
        let answer = Table {
            by: Some(Dimension::Page),
            metrics: vec![Metric::Visitors, Metric::BounceRate],
            rows: vec![TableRow { value: "/".into(), figures: vec![Some(12.0), None] }],
        };
        let expected = json!({
            "by": "page",
            "metrics": ["visitors", "bounce_rate"],
            "rows": [{"page": "/", "visitors": 12, "bounce_rate": null}],
        });
        assert_eq!(table(&answer), expected);
    }

    #[test]
    fn token_is_read_from_a_bearer_header_only() {
        for (value, expected) in [
            ("Bearer sotto_abc", Some("sotto_abc")),
            ("bearer  sotto_abc ", Some("sotto_abc")),
            ("Basic abc", None),
            ("Bearer", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            assert_eq!(bearer_secret(&headers), expected, "{value}");
        }
    }

    #[test]
    fn token_for_one_site_reads_no_other() {
        let reader = Reader::Program(account::Bearer { site: 7, scope: account::Scope::Read });
        assert!(reader.may_read(7) && !reader.may_read(8));
    }
}
