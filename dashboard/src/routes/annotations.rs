//! The annotations of a site: what stands on its charts, and where editors add and remove it.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Form, Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use sotto_schema::{id::AnnotationId, site::Site};
use sotto_store::{
    account::Role,
    annotation::{self, AnnotationError, Moment, TEXT_CHARS_MAX},
    audit::{self, Action},
};

use super::{marks::moment, sites};
use crate::{
    App,
    auth::SignedIn,
    page::{PageError, Shell, Theme, html_with},
    range::now_in,
};

struct AnnotationRow {
    id: String,
    when: String,
    text: String,
}

#[derive(Template)]
#[template(path = "annotations.html")]
struct AnnotationsPage {
    shell: Shell,
    key: String,
    rows: Vec<AnnotationRow>,
    may_edit: bool,
    form: AnnotationForm,
    error: String,
    text_max: usize,
}

/// An annotation as typed.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct AnnotationForm {
    #[serde(default)]
    day: String,
    #[serde(default)]
    time: String,
    #[serde(default)]
    text: String,
}

impl AnnotationForm {
    fn at(&self) -> Result<Moment, AnnotationError> {
        let (day, time) = (self.day.trim(), self.time.trim());
        Moment::parse(&if time.is_empty() { day.to_owned() } else { format!("{day} {time}") })
    }
}

/// The annotation to be removed.
#[derive(Debug, Deserialize)]
pub(super) struct RemoveForm {
    id: String,
}

async fn page(
    (app, theme, signed_in): (&App, Theme, &SignedIn),
    (site, all): (Site, Vec<Site>),
    (form, error): (AnnotationForm, String),
) -> Result<Response, PageError> {
    let found = annotation::all(&app.settings.databases.reader, site.id).await?;
    // The latest first: those are looked for.
    let row = |found: &annotation::Annotation| AnnotationRow {
        id: found.id.to_string(),
        when: moment(found),
        text: found.text.clone(),
    };
    let status = if error.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok(html_with(
        status,
        &AnnotationsPage {
            rows: found.iter().rev().map(row).collect(),
            may_edit: signed_in.role(site.id) >= Some(Role::Editor),
            form,
            error,
            text_max: TEXT_CHARS_MAX,
            shell: Shell {
                title: format!("Annotations of {}", site.name),
                theme,
                who: Some(signed_in.who()),
                sites: sites::links(&all, Some(&site)),
            },
            key: site.key,
        },
    ))
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    signed_in: SignedIn,
    Path(key): Path<String>,
) -> Result<Response, PageError> {
    let (site, all) = signed_in.site(&key, Role::Viewer)?;
    let day = now_in(&site.time_zone).date().to_string();
    let form = AnnotationForm { day, ..AnnotationForm::default() };
    page((&app, theme, &signed_in), (site, all), (form, String::new())).await
}

pub(super) async fn add(
    State(app): State<Arc<App>>,
    theme: Theme,
    signed_in: SignedIn,
    Path(key): Path<String>,
    Form(form): Form<AnnotationForm>,
) -> Result<Response, PageError> {
    let db = &app.settings.databases.writer;
    let (site, all) = signed_in.site(&key, Role::Editor)?;
    let added = match form.at() {
        Ok(at) => annotation::add(db, site.id, at, &form.text).await,
        Err(error) => Err(error),
    };
    match added {
        Ok(added) => {
            let what = format!("annotation {}: {}", added.id, added.text);
            audit::append(db, signed_in.user.id, Action::AnnotationAdd, site.id, &what).await?;
            Ok(Redirect::to(&format!("/s/{key}/annotations")).into_response())
        }
        Err(error) if error.is_of_reader() => {
            page((&app, theme, &signed_in), (site, all), (form, error.to_string())).await
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn remove(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(key): Path<String>,
    Form(form): Form<RemoveForm>,
) -> Result<Response, PageError> {
    let db = &app.settings.databases.writer;
    let (site, _) = signed_in.site(&key, Role::Editor)?;
    let id = form.id.parse().map(AnnotationId).map_err(|_| PageError::NotFound)?;
    if !annotation::remove(db, site.id, id).await? {
        return Err(PageError::NotFound);
    }
    audit::append(db, signed_in.user.id, Action::AnnotationRemove, site.id, &format!("annotation {id}"))
        .await?;
    Ok(Redirect::to(&format!("/s/{key}/annotations")).into_response())
}
