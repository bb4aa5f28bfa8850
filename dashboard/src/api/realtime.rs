//! What happens right now, as JSON.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::{Value, json};

use super::{Refusal, groups, reader::Reader, site_of};
use crate::{
    App,
    page::PageError,
    range::now_in,
    report::{
        Counts,
        realtime::{LISTS, MINUTES},
    },
};

fn figures(value: &str, counts: &Counts) -> Value {
    json!({
        "value": value,
        "visitors": counts.visitors,
        "visits": counts.visits,
        "pageviews": counts.pageviews,
        "events": counts.events,
    })
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(key): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let site = site_of(&app, &reader, &key).await?;
    let _turn = app.gate.enter(reader.number()).await?;
    let now = now_in(&site.time_zone);
    let detail = reader.detail(site.id);
    let goals =
        sotto_store::goal::all(&app.settings.databases.reader, site.id).await.map_err(PageError::from)?;
    let found = app.moments.of(&app.reports, &site, goals, detail, &now).await?;
    let rows = |rows: &[(String, Counts)]| -> Vec<Value> {
        rows.iter().map(|(value, counts)| figures(value, counts)).collect()
    };
    let lists: serde_json::Map<String, Value> =
        LISTS.iter().zip(&found.lists).map(|(by, list)| (by.name().to_owned(), json!(rows(list)))).collect();
    let minute = |(n, minute): (usize, &crate::report::realtime::Minute)| {
        json!({
            "minutes_ago": MINUTES - n,
            "visitors": minute.visitors,
            "pageviews": minute.pageviews,
            "events": minute.events,
        })
    };
    let Counts { visitors, visits, pageviews, events, .. } = found.totals;
    Ok(Json(json!({
        "totals": {"visitors": visitors, "visits": visits, "pageviews": pageviews, "events": events},
        "minutes": found.minutes.iter().enumerate().map(minute).collect::<Vec<_>>(),
        "lists": lists,
        "goals": rows(&found.goals),
        "groups": groups(detail, false),
    })))
}
