//! What hits tell beyond pages.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use super::{
    about, attachment, groups, question,
    reader::Reader,
    refusal::Refusal,
    site_of, wants_csv,
    write::{lines, rounded},
};
use crate::{
    App,
    report::{Dimension, Query, Sources, Told, details::Details},
};

/// `GET /api/v1/sites/{key}/details/{report}`: `from`, `to`, `filter`, `by` of web vitals, `format=csv`.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path((key, name)): Path<(String, String)>,
    RawQuery(asked): RawQuery,
) -> Result<Response, Refusal> {
    let site = site_of(&app, &reader, &key).await?;
    let _turn = app.gate.enter(reader.number()).await?;
    let asked = asked.unwrap_or_default();
    let query = Query { detail: reader.detail(site.id), ..question(&app, &asked, &site).await? };
    let details = Details::from_name(&name, query.by).ok_or(Refusal::NOT_FOUND)?;
    let sources = Sources::of(&app.reports, &query.scope, query.range).await?;
    let rows = details.run(&app.reports, &sources, &query).await?;
    if wants_csv(&asked) {
        let by = query.by.map(Dimension::name).filter(|_| matches!(details, Details::Vitals(_)));
        let name: Vec<&str> = [name.as_str()].into_iter().chain(by).collect();
        return Ok(attachment(&site, &name.join("-"), &query, csv(details, &rows)));
    }
    let withheld = rows.is_empty() && !query.filters.is_empty();
    Ok(Json(json!({
        "query": about(&site, &query),
        "rows": rows.iter().map(|row| Value::Object(object(details, row))).collect::<Vec<_>>(),
        "groups": groups(query.detail, withheld),
    }))
    .into_response())
}

fn object(details: Details, row: &Told) -> Map<String, Value> {
    let values =
        details.value_names().into_iter().map(str::to_owned).zip(row.values.iter().map(|v| json!(v)));
    let counts = [("visitors".to_owned(), json!(row.visitors)), ("visits".to_owned(), json!(row.visits))];
    let numbers = details.number_names().into_iter().zip(row.numbers.iter().map(|n| rounded(*n)));
    values.chain(counts).chain(numbers).collect()
}

fn csv(details: Details, rows: &[Told]) -> String {
    let numbers = details.number_names();
    let head = details.value_names().into_iter().chain(["visitors", "visits"]);
    let head: Vec<&str> = head.chain(numbers.iter().map(String::as_str)).collect();
    let row = |row: &Told| {
        let counts = [row.visitors.to_string(), row.visits.to_string()];
        let numbers = row.numbers.iter().map(|n| rounded(*n).to_string());
        row.values.iter().cloned().chain(counts).chain(numbers).collect()
    };
    lines(&head, &rows.iter().map(row).collect::<Vec<Vec<String>>>())
}
