//! Sites, goals and shared links in the API: changed by those who change them on the pages, and by tokens that may manage.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State, rejection::BytesRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{delete, get},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sotto_schema::{
    id::{GoalId, UserId},
    policy::Preset,
    site::{Site, SiteError, normalise_hostname},
};
use sotto_store::{
    account::{Role, Scope},
    audit::{self, Action},
    goal::{self, Goal, GoalError, Kind},
    sharing::{self, NewLink, SharedLink, SharingError},
};

use super::{readable, reader::Reader, refusal::Refusal, site_of};
use crate::{
    App,
    filter::Filter,
    page::PageError,
    routes::{store, store_changed},
};

/// The longest body, in bytes.
const BODY_BYTES_MAX: usize = 64 << 10;

/// A body, unless it is too long.
type Body = Result<Bytes, BytesRejection>;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/sites", get(list).post(add))
        .route("/api/v1/sites/{key}", get(show).patch(change))
        .route("/api/v1/sites/{key}/goals", get(list_goals).post(add_goal))
        .route("/api/v1/sites/{key}/goals/{id}", delete(remove_goal))
        .route("/api/v1/sites/{key}/links", get(list_links).post(add_link))
        .route("/api/v1/sites/{key}/links/{id}", delete(withdraw_link))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// What was sent, or what is wrong with it and what it could be.
fn read<T: DeserializeOwned>(body: Body, hint: &'static str) -> Result<T, Refusal> {
    let body =
        body.map_err(|_| Refusal::too_long(format!("a body has at most {BODY_BYTES_MAX} bytes"), hint))?;
    serde_json::from_slice(&body).map_err(|error| Refusal::unprocessable(error.to_string(), hint))
}

/// The site and who changes it, if they may.
async fn managed(app: &App, reader: &Reader, key: &str) -> Result<(Site, UserId), Refusal> {
    let site = site_of(app, reader, key).await?;
    let (may_manage, user) = match reader {
        Reader::Person(signed_in) => (signed_in.role(site.id) >= Some(Role::Editor), signed_in.user.id),
        Reader::Program(bearer) => (bearer.scope >= Scope::Manage, UserId::NONE),
    };
    if may_manage { Ok((site, user)) } else { Err(PageError::Forbidden.into()) }
}

const SITE: &str = r#"{"hostnames": ["shop.example"], "name": "Shop", "client": "Shop Ltd", "time_zone": "Europe/Berlin", "policy": "cnil", "retention_days": 90}"#;

fn site(site: &Site) -> Value {
    json!({
        "key": site.key,
        "name": site.name,
        "client": site.client,
        "hostnames": site.hostnames,
        "time_zone": site.time_zone,
        "policy": site.preset.name(),
        "retention_days": site.retention_days,
    })
}

/// What is said of a site; of one that is changed, what is not said stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SiteTyped {
    hostnames: Option<Vec<String>>,
    name: Option<String>,
    client: Option<String>,
    time_zone: Option<String>,
    policy: Option<String>,
    retention_days: Option<u16>,
}

fn not_allowed(error: &SiteError) -> Refusal {
    Refusal::unprocessable(error.to_string(), SITE)
}

impl SiteTyped {
    fn preset(&self) -> Result<Option<Preset>, Refusal> {
        let Some(name) = &self.policy else { return Ok(None) };
        let preset = Preset::from_name(name);
        preset.map(Some).ok_or_else(|| {
            Refusal::unprocessable(format!("there is no policy {name:?}"), "cnil, strict or cookieless")
        })
    }

    fn new_site(&self) -> Result<Site, Refusal> {
        let hosts: Vec<&str> = self.hostnames.iter().flatten().map(String::as_str).collect();
        let name = self.name.as_deref().or(hosts.first().copied()).unwrap_or_default();
        let time_zone = self.time_zone.as_deref().unwrap_or("UTC");
        let preset = self.preset()?.unwrap_or_default();
        let mut site = Site::new(name, &hosts, time_zone, preset).map_err(|error| not_allowed(&error))?;
        site.retention_days = self.retention_days.unwrap_or(site.retention_days);
        site.client = self.client.as_deref().unwrap_or_default().trim().to_owned();
        site.validate().map_err(|error| not_allowed(&error))?;
        Ok(site)
    }

    fn changed(&self, before: &Site) -> Result<Site, Refusal> {
        let mut site = before.clone();
        if let Some(hosts) = &self.hostnames {
            let hosts: Result<_, _> = hosts.iter().map(|host| normalise_hostname(host)).collect();
            site.hostnames = hosts.map_err(|error| not_allowed(&error))?;
        }
        // A policy that was refined by hand stays unless another one is named.
        if let Some(preset) = self.preset()?.filter(|preset| *preset != before.preset) {
            (site.preset, site.policy) = (preset, preset.policy());
        }
        site.name = self.name.as_ref().map_or(site.name, |name| name.trim().to_owned());
        site.client = self.client.as_ref().map_or(site.client, |client| client.trim().to_owned());
        site.time_zone = self.time_zone.clone().unwrap_or(site.time_zone);
        site.retention_days = self.retention_days.unwrap_or(site.retention_days);
        site.validate().map_err(|error| not_allowed(&error))?;
        Ok(site)
    }
}

async fn list(State(app): State<Arc<App>>, reader: Reader) -> Result<Json<Value>, Refusal> {
    let sites = readable(&app, &reader).await?;
    Ok(Json(json!({"sites": sites.iter().map(site).collect::<Vec<_>>()})))
}

async fn show(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(key): Path<String>,
) -> Result<Json<Value>, Refusal> {
    Ok(Json(site(&site_of(&app, &reader, &key).await?)))
}

async fn add(State(app): State<Arc<App>>, reader: Reader, body: Body) -> Result<Response, Refusal> {
    let user = match &reader {
        Reader::Person(signed_in) if reader.owns_all() => signed_in.user.id,
        Reader::Program(bearer) if reader.owns_all() && bearer.scope >= Scope::Manage => UserId::NONE,
        Reader::Person(_) | Reader::Program(_) => return Err(PageError::Forbidden.into()),
    };
    let added = read::<SiteTyped>(body, SITE)?.new_site()?;
    store(&app, user, &added).await?;
    Ok((StatusCode::CREATED, Json(site(&added))).into_response())
}

async fn change(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(key): Path<String>,
    body: Body,
) -> Result<Json<Value>, Refusal> {
    let (before, user) = managed(&app, &reader, &key).await?;
    let after = read::<SiteTyped>(body, SITE)?.changed(&before)?;
    store_changed(&app, user, &before, &after).await?;
    Ok(Json(site(&after)))
}

const GOAL: &str = r#"{"name": "Sign up", "kind": "event", "pattern": "Signup"}, or of kind "page" with a pattern like "/thanks/*""#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GoalTyped {
    name: Option<String>,
    kind: String,
    pattern: String,
}

fn goal(goal: &Goal) -> Value {
    let kind = match goal.kind {
        Kind::Page => "page",
        Kind::Event => "event",
    };
    json!({"id": goal.id.to_string(), "name": goal.name, "kind": kind, "pattern": goal.pattern})
}

fn of_goal(error: GoalError) -> Refusal {
    match error {
        GoalError::Database(_) | GoalError::Randomness(_) => PageError::from(error).into(),
        GoalError::Name | GoalError::Path | GoalError::Event | GoalError::TooMany => {
            Refusal::unprocessable(error.to_string(), GOAL)
        }
    }
}

async fn list_goals(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(key): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let site = site_of(&app, &reader, &key).await?;
    let goals = goal::all(&app.settings.databases.reader, site.id).await.map_err(of_goal)?;
    Ok(Json(json!({"goals": goals.iter().map(goal).collect::<Vec<_>>()})))
}

async fn add_goal(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(key): Path<String>,
    body: Body,
) -> Result<Response, Refusal> {
    let (site, user) = managed(&app, &reader, &key).await?;
    let typed: GoalTyped = read(body, GOAL)?;
    let kind = Kind::from_name(&typed.kind)
        .ok_or_else(|| Refusal::unprocessable(format!("there is no kind {:?}", typed.kind), GOAL))?;
    let name = typed.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let db = &app.settings.databases.writer;
    let added = goal::add(db, site.id, name.unwrap_or(typed.pattern.trim()), kind, &typed.pattern).await;
    let added = added.map_err(of_goal)?;
    let what = format!("goal {}: {}", added.id, added.name);
    audit::append(db, user, Action::GoalAdd, site.id, &what).await?;
    Ok((StatusCode::CREATED, Json(goal(&added))).into_response())
}

async fn remove_goal(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path((key, id)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let (site, user) = managed(&app, &reader, &key).await?;
    let id = id.parse().map(GoalId).map_err(|_| Refusal::NOT_FOUND)?;
    let db = &app.settings.databases.writer;
    if !goal::remove(db, site.id, id).await.map_err(of_goal)? {
        return Err(Refusal::NOT_FOUND);
    }
    audit::append(db, user, Action::GoalRemove, site.id, &format!("goal {id}")).await?;
    Ok(StatusCode::NO_CONTENT)
}

const LINK: &str = r#"{"name": "Client", "password": "…", "days": 90, "filters": ["country:is:DE"], "goals": true, "consent": false, "hosts": ["client.example"]}; only the name is needed"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkTyped {
    name: String,
    #[serde(default)]
    password: String,
    days: Option<u32>,
    #[serde(default)]
    filters: Vec<String>,
    #[serde(default)]
    goals: bool,
    #[serde(default)]
    consent: bool,
    #[serde(default)]
    hosts: Vec<String>,
}

impl LinkTyped {
    fn new_link(self) -> Result<NewLink, Refusal> {
        let filters = self.filters.iter().map(|typed| {
            let parsed = Filter::parse(typed).filter(|filter| !filter.lays_down_nothing());
            parsed.map(|filter| filter.to_string()).ok_or_else(|| {
                Refusal::unprocessable(format!("{typed:?} is no filter that lays something down"), LINK)
            })
        });
        Ok(NewLink {
            filters: filters.collect::<Result<_, _>>()?,
            name: self.name,
            password: self.password,
            days: self.days,
            goals: self.goals,
            consent: self.consent,
            hosts: self.hosts,
        })
    }
}

fn link(link: &SharedLink) -> Value {
    let expires = link.expires_ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    json!({
        "id": blake3::Hash::from(link.id).to_hex().as_str(),
        "name": link.name,
        "has_password": link.password.is_some(),
        "expires": expires.map(|time| time.to_string()),
        "filters": link.filters,
        "goals": link.goals,
        "consent": link.consent,
        "hosts": link.hosts,
        "last_used": link.used.map(|day| day.date().to_string()),
    })
}

fn of_sharing(error: SharingError) -> Refusal {
    if error.is_refusal() {
        return Refusal::unprocessable(error.to_string(), LINK);
    }
    crate::reading::of_sharing(error).into()
}

/// Links are listed for those who make them: what they are called is not for all who read.
async fn list_links(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(key): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let (site, _) = managed(&app, &reader, &key).await?;
    let links = sharing::links(&app.settings.databases.writer, site.id).await.map_err(of_sharing)?;
    Ok(Json(json!({"links": links.iter().map(link).collect::<Vec<_>>()})))
}

async fn add_link(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path(key): Path<String>,
    body: Body,
) -> Result<Response, Refusal> {
    let (site, user) = managed(&app, &reader, &key).await?;
    let new = read::<LinkTyped>(body, LINK)?.new_link()?;
    let db = &app.settings.databases.writer;
    let _alone = app.people.lock().await;
    let (made, secret) = sharing::make(db, &app.hasher, site.id, &new).await.map_err(of_sharing)?;
    audit::append(db, user, Action::LinkAdd, site.id, &format!("link {}", made.number())).await?;
    let mut told = link(&made);
    // Shown this once: only its hash is kept.
    told["link"] = json!([&app.settings.public_url, "/shared/", &secret].concat());
    Ok((StatusCode::CREATED, Json(told)).into_response())
}

async fn withdraw_link(
    State(app): State<Arc<App>>,
    reader: Reader,
    Path((key, id)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let (site, user) = managed(&app, &reader, &key).await?;
    let id = blake3::Hash::from_hex(&id).map_err(|_| Refusal::NOT_FOUND)?;
    let db = &app.settings.databases.writer;
    let withdrawn = sharing::withdraw(db, site.id, id.into()).await.map_err(of_sharing)?;
    let withdrawn = withdrawn.ok_or(Refusal::NOT_FOUND)?;
    audit::append(db, user, Action::LinkWithdraw, site.id, &format!("link {}", withdrawn.number())).await?;
    Ok(StatusCode::NO_CONTENT)
}
