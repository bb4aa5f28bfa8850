//! When in the week visitors come.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{
    about, attachment, groups, question, reader::Reader, refusal::Refusal, site_of, wants_csv, write::lines,
};
use crate::{
    App,
    range::now_in,
    report::{
        Query, Sources,
        week::{Cell, WEEKDAYS, week},
    },
};

/// `GET /api/v1/sites/{key}/hours`: `from`, `to`, `filter`, `format=csv`. A row is an hour of a weekday: sums, and of how many
/// days.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(key): Path<String>,
    RawQuery(asked): RawQuery,
) -> Result<Response, Refusal> {
    let site = site_of(&app, &reader, &key).await?;
    let _turn = app.gate.enter(reader.number()).await?;
    let asked = asked.unwrap_or_default();
    let query = Query { detail: reader.detail(site.id), ..question(&app, &asked, &site).await? };
    let sources = Sources::of(&app.reports, &query.scope, query.range).await?;
    let week = week(&app.reports, &sources, &query, &now_in(&site.time_zone)).await?;
    let cells: Vec<(&str, usize, &Cell)> = WEEKDAYS
        .into_iter()
        .enumerate()
        .flat_map(|(n, day)| week.hours.iter().enumerate().map(move |(hour, cells)| (day, hour, &cells[n])))
        .collect();
    if wants_csv(&asked) {
        let rows: Vec<Vec<String>> = cells
            .iter()
            .map(|(day, hour, Cell { counts, days })| {
                let numbers = [u64::from(*days), counts.visitors, counts.visits, counts.pageviews];
                let numbers = numbers.iter().map(ToString::to_string);
                [(*day).to_owned(), hour.to_string()].into_iter().chain(numbers).collect()
            })
            .collect();
        let head = ["weekday", "hour", "days", "visitors", "visits", "pageviews"];
        return Ok(attachment(&site, "hours", &query, lines(&head, &rows)));
    }
    let row = |(day, hour, Cell { counts, days }): &(&str, usize, &Cell)| {
        json!({
            "weekday": day,
            "hour": hour,
            "days": days,
            "visitors": counts.visitors,
            "visits": counts.visits,
            "pageviews": counts.pageviews,
        })
    };
    Ok(Json(json!({
        "query": about(&site, &query),
        "rows": cells.iter().map(row).collect::<Vec<_>>(),
        "groups": groups(query.detail, week.withheld),
    }))
    .into_response())
}
