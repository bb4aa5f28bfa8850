//! Segments: filters that are kept under a name. Everybody with an account keeps them for themselves, editors also for all
//! who read the site. A segment that is chosen is its filters in the address, so that the address means the same whatever
//! becomes of the segment.

use std::sync::Arc;

use axum::{
    extract::{Form, Path, State},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use sotto_schema::{
    id::{SegmentId, UserId},
    site::Site,
};
use sotto_store::{
    account::Role,
    audit::{self, Action},
    segment::{self, Segment, SegmentError},
};
use url::form_urlencoded;

use super::filter::{failed, may_change, page};
use crate::{
    App,
    auth::SignedIn,
    filter::Filters,
    page::{PageError, Theme},
    reading::Reading,
};

/// A new segment as typed: its name, whose it is, and its filters as in addresses.
#[derive(Default)]
struct Typed {
    name: String,
    for_all: bool,
    filters: Vec<String>,
}

impl Typed {
    fn of(fields: Vec<(String, String)>) -> Self {
        let mut typed = Self::default();
        for (name, value) in fields {
            match name.as_str() {
                "name" => typed.name = value,
                "for" => typed.for_all = value == "all",
                "f" => typed.filters.push(value),
                _ => {}
            }
        }
        typed
    }
}

/// Back to the page of filters, with those that were chosen.
fn address(key: &str, filters: &Filters) -> String {
    let pairs = filters.each().map(|filter| ("f", filter.to_string()));
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    format!("/s/{key}/filter{}{query}", if query.is_empty() { "" } else { "?" })
}

fn back(key: &str) -> Response {
    Redirect::to(&format!("/s/{key}/filter#segments")).into_response()
}

pub(super) async fn add(
    State(app): State<Arc<App>>,
    theme: Theme,
    signed_in: SignedIn,
    Path(key): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let typed = Typed::of(fields);
    let needed = if typed.for_all { Role::Editor } else { Role::Viewer };
    let (site, _) = signed_in.site(&key, needed)?;
    let filters = Filters::parse(typed.filters.iter().map(String::as_str));
    let db = &app.settings.databases.writer;
    let owner = if typed.for_all { UserId::NONE } else { signed_in.user.id };
    let texts = filters.each().map(ToString::to_string).collect();
    match segment::add(db, site.id, owner, &typed.name, texts).await {
        Ok(segment) => {
            note(&app, signed_in.user.id, Action::SegmentAdd, &segment).await?;
            Ok(Redirect::to(&format!("{}#segments", address(&key, &filters))).into_response())
        }
        Err(error @ (SegmentError::Database(_) | SegmentError::Randomness(_))) => Err(failed(error)),
        Err(refused) => {
            let address = address(&key, &filters);
            let query = address.split_once('?').map_or("", |(_, query)| query).to_owned();
            refuse((&app, theme, signed_in), &key, &query, (typed.name, refused)).await
        }
    }
}

/// The page of filters with what is wrong with a name.
async fn refuse(
    (app, theme, signed_in): (&App, Theme, SignedIn),
    key: &str,
    query: &str,
    (name, error): (String, SegmentError),
) -> Result<Response, PageError> {
    let reading = Reading::of_member(app, signed_in, key).await?;
    page((app, theme, &reading), query, Some((name, error.to_string()))).await
}

/// What people do with segments of the site is in the log, what they do with their own is not.
async fn note(app: &App, user: UserId, action: Action, segment: &Segment) -> Result<(), PageError> {
    if segment.is_of_site() {
        let what = format!("segment {}: {}", segment.id, segment.name);
        audit::append(&app.settings.databases.writer, user, action, segment.site, &what).await?;
    }
    Ok(())
}

/// The segment to be changed.
#[derive(Deserialize)]
pub(super) struct ChangeForm {
    id: String,
    #[serde(default)]
    name: String,
}

/// A segment that somebody may change. One that they do not see is not there.
async fn changed(app: &App, who: &SignedIn, site: &Site, id: &str) -> Result<Segment, PageError> {
    let id = id.parse().map(SegmentId).map_err(|_| PageError::NotFound)?;
    let seen =
        segment::seen_by(&app.settings.databases.writer, site.id, who.user.id).await.map_err(failed)?;
    let segment = seen.into_iter().find(|segment| segment.id == id).ok_or(PageError::NotFound)?;
    let may_edit = who.role(site.id) >= Some(Role::Editor);
    if may_change(&segment, who.user.id, may_edit) { Ok(segment) } else { Err(PageError::Forbidden) }
}

pub(super) async fn rename(
    State(app): State<Arc<App>>,
    theme: Theme,
    signed_in: SignedIn,
    Path(key): Path<String>,
    Form(form): Form<ChangeForm>,
) -> Result<Response, PageError> {
    let (site, _) = signed_in.site(&key, Role::Viewer)?;
    let segment = changed(&app, &signed_in, &site, &form.id).await?;
    match segment::rename(&app.settings.databases.writer, &segment, &form.name).await {
        Ok(renamed) => {
            note(&app, signed_in.user.id, Action::SegmentRename, &renamed).await?;
            Ok(back(&key))
        }
        Err(error @ (SegmentError::Database(_) | SegmentError::Randomness(_))) => Err(failed(error)),
        Err(refused) => refuse((&app, theme, signed_in), &key, "", (String::new(), refused)).await,
    }
}

pub(super) async fn remove(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(key): Path<String>,
    Form(form): Form<ChangeForm>,
) -> Result<Response, PageError> {
    let (site, _) = signed_in.site(&key, Role::Viewer)?;
    let segment = changed(&app, &signed_in, &site, &form.id).await?;
    segment::remove(&app.settings.databases.writer, &segment).await.map_err(failed)?;
    note(&app, signed_in.user.id, Action::SegmentRemove, &segment).await?;
    Ok(back(&key))
}
