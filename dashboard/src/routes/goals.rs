//! The goals of a site: how many visits completed each, and where editors add and remove them.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Form, Path, RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use sotto_schema::id::{GoalId, SiteId, UserId};
use sotto_store::{
    account::Role,
    audit::{self, Action},
    db::Db,
    goal::{self, Goal, GoalError, Kind},
};

use super::overview::{
    Groups, Subject,
    header::{self, Header},
};
use crate::{
    App,
    auth::SignedIn,
    figures::{self, Change, grouped},
    filter::Filter,
    page::{PageError, Shell, Theme, html_with},
    range::now_in,
    reading::{Place, Reading},
    report::{
        Answer, Counts, Detail, Dimension, List, Metric, Query, Reports, Sources, goals::completed, lists,
    },
    view::View,
};

/// How many pages and events are proposed as goals, each.
const PROPOSED: usize = 4;

struct GoalRow {
    id: String,
    name: String,
    /// What completes it, for people.
    what: String,
    /// The overview of the visits that completed it, where a filter can say which.
    link: Option<String>,
    visitors: String,
    visits: String,
    change: Option<Change>,
    times: String,
    rate: String,
}

/// Something that was seen and is no goal yet.
struct Proposal {
    kind: &'static str,
    pattern: String,
    seen: String,
}

#[derive(Template)]
#[template(path = "goals.html")]
struct GoalsPage {
    shell: Shell,
    place: Place,
    key: String,
    header: Header,
    back: String,
    rows: Vec<GoalRow>,
    /// All visits, of which the rates are.
    visits: String,
    proposals: Vec<Proposal>,
    may_edit: bool,
    groups: Groups,
    origin: Option<String>,
    form: GoalForm,
    error: String,
    name_max: usize,
    pattern_max: usize,
}

/// A goal as typed.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct GoalForm {
    #[serde(default)]
    name: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    pattern: String,
}

/// The goal to be removed.
#[derive(Debug, Deserialize)]
pub(super) struct RemoveForm {
    id: String,
}

/// What the page shows of a period.
struct Read {
    answer: Answer,
    completed: Vec<Counts>,
}

/// Pages and events, from which goals are proposed.
const SEEN: [List; 2] = [
    List { by: Dimension::Page, sort: Metric::Visitors, limit: 50, entries: false },
    List { by: Dimension::Event, sort: Metric::Visitors, limit: 50, entries: false },
];

async fn read(db: &Reports, query: &Query, goals: &[Goal], seen: &[List]) -> Result<Read, PageError> {
    let sources = Sources::of(db, &query.scope, query.range).await?;
    let (answer, completed) =
        tokio::try_join!(lists(db, &sources, query, seen, false), completed(db, &sources, query, goals))?;
    Ok(Read { answer, completed: of_detail(query.detail, completed) })
}

/// What a reader may see of it.
fn of_detail(detail: Detail, completed: Vec<Counts>) -> Vec<Counts> {
    match detail {
        Detail::All => completed,
        Detail::Groups => completed.iter().map(Counts::of_groups).collect(),
    }
}

fn row(goal: &Goal, now: &Counts, before: Option<&Counts>, visits: u64, view: &View, base: &str) -> GoalRow {
    let size = |counts: &Counts| Metric::Visits.of(counts);
    GoalRow {
        id: goal.id.to_string(),
        name: goal.name.clone(),
        what: match goal.kind {
            Kind::Page => format!("page {}", goal.pattern),
            Kind::Event => format!("event {}", goal.pattern),
        },
        link: Filter::of_goal(goal).map(|filter| view.with_filter(filter).link(base)),
        visitors: grouped(now.visitors),
        visits: grouped(now.visits),
        change: before.and_then(|before| Change::between(Metric::Visits, size(now), size(before))),
        times: grouped(now.events),
        rate: figures::rate(now.visits, visits),
    }
}

/// What was seen often and is no goal yet.
fn proposals(answer: &Answer, goals: &[Goal]) -> Vec<Proposal> {
    let of = |list: usize, kind: Kind, unit: &'static str| {
        let rows = answer.lists.get(list).map(|(rows, _)| rows.as_slice()).unwrap_or_default();
        let is_goal = move |value: &str| goals.iter().any(|goal| goal.kind == kind && goal.pattern == value);
        // Everybody sees the page where most visits begin.
        let may_be = move |value: &str| match kind {
            Kind::Page => value.starts_with('/') && value.len() > 1,
            Kind::Event => !value.is_empty(),
        };
        rows.iter()
            .filter(move |(value, counts)| counts.visits > 0 && may_be(value) && !is_goal(value))
            .take(PROPOSED)
            .map(move |(value, counts)| Proposal {
                kind: kind.name(),
                pattern: value.clone(),
                seen: format!("{unit} {}", figures::counted(counts.visits, "visit")),
            })
            .collect::<Vec<_>>()
    };
    [of(1, Kind::Event, "sent in"), of(0, Kind::Page, "seen in")].into_iter().flatten().collect()
}

/// The page, after what was typed was refused or before anything was typed.
async fn page(
    (app, theme, reading): (&App, Theme, &Reading),
    query: &str,
    (form, error): (GoalForm, String),
) -> Result<Response, PageError> {
    let db = &app.reports;
    if !reading.sees_goals() {
        return Err(PageError::NotFound);
    }
    let (site, base) = (&reading.site, &reading.base);
    let now = now_in(&site.time_zone);
    let view = reading.view(query, now.date());
    let asked = Subject::new(db, reading, &view, &now).below("/goals".into());
    let goals = goal::all(db, site.id).await?;
    let seen = if asked.may_edit { &SEEN[..] } else { &[] };
    let before = async {
        match &asked.before {
            Some(query) => read(db, query, &goals, &[]).await.map(Some),
            None => Ok(None),
        }
    };
    let (found, before) = tokio::try_join!(read(db, &asked.query, &goals, seen), before)?;
    let visits = found.answer.totals.visits;
    let rows = goals.iter().zip(&found.completed).enumerate().map(|(n, (goal, counts))| {
        let before = before.as_ref().and_then(|before| before.completed.get(n));
        row(goal, counts, before, visits, &view, base)
    });
    let status = if error.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let page = GoalsPage {
        header: header::build(&asked),
        back: view.link(base),
        rows: rows.collect(),
        visits: grouped(visits),
        proposals: proposals(&found.answer, &goals),
        may_edit: asked.may_edit,
        groups: Groups::of(&asked, found.answer.withheld),
        origin: found.answer.origin.sentence(),
        form,
        error,
        name_max: goal::NAME_CHARS_MAX,
        pattern_max: goal::PATTERN_BYTES_MAX,
        key: site.key.clone(),
        shell: reading.shell(format!("Goals of {}", site.name), theme, view.look),
        place: Place::of(reading, view.look),
    };
    Ok(reading.answer(html_with(status, &page)))
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    reading: Reading,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let nothing = (GoalForm::default(), String::new());
    page((&app, theme, &reading), query.as_deref().unwrap_or(""), nothing).await
}

async fn note(
    db: &Db,
    user: UserId,
    action: Action,
    site: SiteId,
    what: &str,
    key: &str,
) -> Result<Response, PageError> {
    audit::append(db, user, action, site, what).await?;
    Ok(Redirect::to(&format!("/s/{key}/goals")).into_response())
}

pub(super) async fn add(
    State(app): State<Arc<App>>,
    theme: Theme,
    signed_in: SignedIn,
    Path(key): Path<String>,
    Form(form): Form<GoalForm>,
) -> Result<Response, PageError> {
    let db = &app.settings.databases.writer;
    let (site, _) = signed_in.site(&key, Role::Editor)?;
    let name = if form.name.trim().is_empty() { form.pattern.trim() } else { form.name.trim() };
    let kind = Kind::from_name(&form.kind).unwrap_or(Kind::Page);
    match goal::add(db, site.id, name, kind, &form.pattern).await {
        Ok(goal) => {
            let what = format!("goal {}: {}", goal.id, goal.name);
            note(db, signed_in.user.id, Action::GoalAdd, site.id, &what, &key).await
        }
        Err(error @ (GoalError::Database(_) | GoalError::Randomness(_))) => Err(error.into()),
        Err(refused) => {
            let error = refused.to_string();
            let reading = Reading::of_member(&app, signed_in, &key).await?;
            page((&app, theme, &reading), "", (form, error)).await
        }
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
    let id = form.id.parse().map(GoalId).map_err(|_| PageError::NotFound)?;
    if !goal::remove(db, site.id, id).await? {
        return Err(PageError::NotFound);
    }
    note(db, signed_in.user.id, Action::GoalRemove, site.id, &format!("goal {id}"), &key).await
}
