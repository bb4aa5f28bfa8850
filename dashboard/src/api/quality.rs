//! Data quality, as the page of that name shows it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{days, period, reader::Reader, refusal::Refusal, scope, site_of};
use crate::{
    App,
    range::now_in,
    report::{
        Scope,
        endings::{self, Fate, Outcomes, Point, Tally},
        health::{self, Warning},
    },
    routes::words,
};

/// A moment as RFC 3339; `null` for none.
fn moment(ms: i64) -> Value {
    let time = (ms > 0).then(|| Timestamp::from_millisecond(ms).ok()).flatten();
    json!(time.map(|t| t.to_string()))
}

fn tally(tally: &Tally) -> Value {
    let ending = &tally.ending;
    json!({
        "outcome": ending.outcome,
        "reason": ending.reason,
        "kind": ending.fate.name(),
        "hits": tally.hits,
        "meaning": ending.meaning,
    })
}

fn point(point: &Point) -> Value {
    let hits = Fate::ALL.iter().zip(point.hits).map(|(fate, hits)| (fate.name().to_owned(), json!(hits)));
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
    let range = days(asked.as_deref().unwrap_or(""), &site)?;
    let scope = scope(&site);
    let now = now_in(&site.time_zone).timestamp();
    let (outcomes, health) =
        tokio::try_join!(endings::run(db, &scope, range), health::run(db, site.id, now))?;
    let unknown: Option<Outcomes> = if reader.owns_all() {
        Some(endings::run(db, &Scope { site: 0, ..scope }, range).await?)
    } else {
        None
    };
    let warnings = health.warnings();
    Ok(Json(json!({
        "query": period(&site, range),
        "hits": outcomes.hits(),
        "outcomes": outcomes.tallies.iter().map(tally).collect::<Vec<_>>(),
        "series": outcomes.points.iter().map(point).collect::<Vec<_>>(),
        "last_kept": moment(health.last_kept),
        "last_hour": moment(health.last_hour),
        "warnings": warnings.into_iter().map(|w| warning(w, &site.time_zone)).collect::<Vec<_>>(),
        "hits_of_no_known_site": unknown.map(|o| o.hits()),
    })))
}
