//! The data-quality page's figures as JSON.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sotto_schema::id::SiteId;

use super::{days, period, reader::Reader, refusal::Refusal, scope, site_of};
use crate::{
    App,
    range::now_in,
    report::{
        Scope,
        health::{self, Warning},
        outcomes::{self, OutcomeCount, OutcomeKind, Outcomes, Point},
    },
    routes::words,
};

/// A timestamp as RFC 3339; `null` for none.
fn moment(ms: i64) -> Value {
    let time = (ms > 0).then(|| Timestamp::from_millisecond(ms).ok()).flatten();
    json!(time.map(|t| t.to_string()))
}

fn count(count: &OutcomeCount) -> Value {
    let outcome = &count.outcome;
    json!({
        "outcome": outcome.name,
        "reason": outcome.reason,
        "kind": outcome.kind.name(),
        "hits": count.hits,
        "meaning": outcome.meaning,
    })
}

fn point(point: &Point) -> Value {
    let hits =
        OutcomeKind::ALL.iter().zip(point.hits).map(|(kind, hits)| (kind.name().to_owned(), json!(hits)));
    let mut out: Map<String, Value> = hits.collect();
    out.insert("at".into(), json!(point.at));
    Value::Object(out)
}

fn warning(warning: Warning, time_zone: &str) -> Value {
    let words = words(warning, time_zone);
    json!({"code": warning.name(), "title": words.title, "seen": words.seen, "remedy": words.remedy})
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(key): Path<String>,
    RawQuery(asked): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let db = &app.settings.databases.reader;
    let site = site_of(&app, &reader, &key).await?;
    let _turn = app.gate.enter(reader.number()).await?;
    let range = days(asked.as_deref().unwrap_or(""), &site)?;
    let scope = scope(&site);
    let now = now_in(&site.time_zone).timestamp();
    let (outcomes, health) =
        tokio::try_join!(outcomes::run(db, &scope, range), health::run(db, site.id, now))?;
    let unknown: Option<Outcomes> = if reader.owns_all() {
        Some(outcomes::run(db, &Scope { site: SiteId::NONE, ..scope }, range).await?)
    } else {
        None
    };
    let warnings = health.warnings();
    Ok(Json(json!({
        "query": period(&site, range),
        "hits": outcomes.hits(),
        "outcomes": outcomes.counts.iter().map(count).collect::<Vec<_>>(),
        "series": outcomes.points.iter().map(point).collect::<Vec<_>>(),
        "last_kept": moment(health.last_kept),
        "last_hour": moment(health.last_hour),
        "warnings": warnings.into_iter().map(|w| warning(w, &site.time_zone)).collect::<Vec<_>>(),
        "hits_of_no_known_site": unknown.map(|o| o.hits()),
    })))
}
