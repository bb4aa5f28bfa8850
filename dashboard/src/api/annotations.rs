//! Annotations in the API: read by who reads the site; written by its editors, and by tokens that may write.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};
use sotto_schema::{
    id::{AnnotationId, UserId},
    site::Site,
};
use sotto_store::{
    account::{Role, Scope},
    annotation::{self, Annotation, AnnotationError, Moment},
    audit::{self, Action},
};

use super::{days, period, reader::Reader, refusal::Refusal, site_of};
use crate::{App, page::PageError, range::now_in};

/// What is written: by default, it happens now.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    text: String,
    #[serde(default)]
    at: Option<String>,
}

fn one(found: &Annotation) -> Value {
    json!({"id": found.id.to_string(), "at": found.at.to_string(), "text": found.text})
}

fn refused(error: AnnotationError) -> Refusal {
    if error.is_of_reader() {
        return Refusal::unprocessable(
            error.to_string(),
            r#"{"text": "Release 2.1", "at": "2026-11-27 13:05"}"#,
        );
    }
    PageError::from(error).into()
}

/// The site and who writes, if they may.
async fn writable(app: &App, reader: &Reader, key: &str) -> Result<(Site, UserId), Refusal> {
    let site = site_of(app, reader, key).await?;
    let (may_write, user) = match reader {
        Reader::Person(signed_in) => (signed_in.role(site.id) >= Some(Role::Editor), signed_in.user.id),
        Reader::Program(bearer) => (bearer.scope >= Scope::Write, UserId::NONE),
    };
    if may_write { Ok((site, user)) } else { Err(PageError::Forbidden.into()) }
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(key): Path<String>,
    RawQuery(asked): RawQuery,
) -> Result<Json<Value>, Refusal> {
    let site = site_of(&app, &reader, &key).await?;
    let range = days(asked.as_deref().unwrap_or(""), &site)?;
    let db = &app.settings.databases.reader;
    let found = annotation::between(db, site.id, [range.from, range.to]).await.map_err(PageError::from)?;
    let all: Vec<Value> = found.iter().map(one).collect();
    Ok(Json(json!({"query": period(&site, range), "annotations": all})))
}

pub(super) async fn add(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(key): Path<String>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let (site, user) = writable(&app, &reader, &key).await?;
    let typed: Written = serde_json::from_slice(&body)
        .map_err(|e| Refusal::unprocessable(e.to_string(), r#"{"text": "Release 2.1"}"#))?;
    let at = match typed.at {
        Some(at) => Moment::parse(&at).map_err(refused)?,
        None => {
            let now = now_in(&site.time_zone);
            Moment { day: now.date(), time: Some(now.time()) }
        }
    };
    let db = &app.settings.databases.writer;
    let added = annotation::add(db, site.id, at, &typed.text).await.map_err(refused)?;
    let what = format!("annotation {}: {}", added.id, added.text);
    audit::append(db, user, Action::AnnotationAdd, site.id, &what).await.map_err(PageError::from)?;
    Ok((StatusCode::CREATED, Json(one(&added))).into_response())
}

pub(super) async fn remove(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path((key, id)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let (site, user) = writable(&app, &reader, &key).await?;
    let id = id.parse().map(AnnotationId).map_err(|_| Refusal::NOT_FOUND)?;
    let db = &app.settings.databases.writer;
    if !annotation::remove(db, site.id, id).await.map_err(refused)? {
        return Err(Refusal::NOT_FOUND);
    }
    let what = format!("annotation {id}");
    audit::append(db, user, Action::AnnotationRemove, site.id, &what).await.map_err(PageError::from)?;
    Ok(StatusCode::NO_CONTENT)
}
