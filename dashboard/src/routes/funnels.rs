//! The funnels of a site: how far visits came on each, and where editors add and remove them.

use std::{iter, sync::Arc};

use askama::Template;
use axum::{
    extract::{Form, Path, RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use sotto_schema::id::{FunnelId, SiteId, UserId};
use sotto_store::{
    account::Role,
    audit::{self, Action},
    db::Db,
    funnel::{self, Funnel, FunnelError, STEPS_MAX, STEPS_MIN, Step},
    goal::Kind,
};

use super::{
    overview::{
        Groups, Subject,
        header::{self, Header},
    },
    period,
    steps::{LEFT_HERE, PlaceRow, bar, change, help, row, without_visits},
};
use crate::{
    App,
    auth::SignedIn,
    figures::{self, Change, grouped},
    page::{PageError, Shell, Theme, html, html_with},
    range::now_in,
    reading::Reading,
    report::{
        Origin, Query, Reports, Sources,
        funnels::{Reached, reached},
        origin,
    },
};

/// Places that are shown for each step.
const ROWS: usize = 5;

struct FunnelRow {
    id: String,
    name: String,
    link: String,
    /// Its steps, for people.
    way: String,
    entered: String,
    completed: String,
    change: Option<Change>,
    rate: String,
}

/// A step as typed.
struct TypedStep {
    event: bool,
    pattern: String,
    required: bool,
}

#[derive(Template)]
#[template(path = "funnels.html")]
struct FunnelsPage {
    shell: Shell,
    key: String,
    header: Header,
    back: String,
    rows: Vec<FunnelRow>,
    may_edit: bool,
    groups: Groups,
    without_visits: Option<String>,
    file: String,
    name: String,
    strict: bool,
    steps: Vec<TypedStep>,
    error: String,
    name_max: usize,
    pattern_max: usize,
}

impl FunnelsPage {
    const REACHED: &str = help::REACHED;
    const CONVERSION: &str = help::CONVERSION;
}

/// A step of a funnel and how many reached it.
struct StepRow {
    number: usize,
    label: String,
    bar: String,
    visits: String,
    change: Option<Change>,
    of_first: String,
    of_before: String,
    /// Empty for the last step.
    left: String,
    left_share: String,
    places: Vec<PlaceRow>,
    more: usize,
}

#[derive(Template)]
#[template(path = "funnel.html")]
struct FunnelPage {
    shell: Shell,
    key: String,
    header: Header,
    back: String,
    id: String,
    name: String,
    order: &'static str,
    rate: String,
    steps: Vec<StepRow>,
    may_edit: bool,
    groups: Groups,
    without_visits: Option<String>,
    file: String,
}

impl FunnelPage {
    const REACHED: &str = help::REACHED;
    const OF_FIRST: &str = help::OF_FIRST;
    const OF_BEFORE: &str = help::OF_BEFORE;
    const LEFT: &str = help::LEFT;
    const WENT: &str = help::WENT;
    const CONVERSION: &str = help::CONVERSION;
}

/// A funnel as typed: `name`, `order`, and `kind` and `pattern` once for each step.
#[derive(Default)]
struct Typed {
    name: String,
    strict: bool,
    steps: Vec<Step>,
}

impl Typed {
    fn of(form: Vec<(String, String)>) -> Self {
        let mut typed = Self::default();
        let mut kind = Kind::Page;
        for (field, value) in form {
            match field.as_str() {
                "name" => typed.name = value,
                "order" => typed.strict = value == "strict",
                "kind" => kind = Kind::from_name(&value).unwrap_or(Kind::Page),
                "pattern" if !value.trim().is_empty() => {
                    typed.steps.push(Step { kind, pattern: value.trim().to_owned() });
                }
                _ => {}
            }
        }
        typed
    }

    /// The fields of the form.
    fn fields(&self) -> Vec<TypedStep> {
        let typed = self.steps.iter().map(Some).chain(iter::repeat(None)).take(STEPS_MAX);
        let field = |(n, step): (usize, Option<&Step>)| TypedStep {
            event: step.is_some_and(|step| step.kind == Kind::Event),
            pattern: step.map_or_else(String::new, |step| step.pattern.clone()),
            required: n < STEPS_MIN,
        };
        typed.enumerate().map(field).collect()
    }
}

/// The funnel to be removed.
#[derive(Debug, Deserialize)]
pub(super) struct RemoveForm {
    id: String,
}

/// What the pages show of a period.
async fn read(
    db: &Reports,
    query: &Query,
    funnels: &[Funnel],
    places: bool,
) -> Result<Vec<Reached>, PageError> {
    let sources = Sources::of(db, &query.scope, query.range).await?;
    Ok(reached(db, &sources, query, funnels, places).await?)
}

/// The period, the one before where it is compared, and where the figures come from.
async fn read_all(
    db: &Reports,
    asked: &Subject<'_>,
    funnels: &[Funnel],
    places: bool,
) -> Result<(Vec<Reached>, Option<Vec<Reached>>, Origin), PageError> {
    let before = async {
        match &asked.before {
            Some(query) => read(db, query, funnels, false).await.map(Some),
            None => Ok(None),
        }
    };
    let origin = async { Ok(origin(db, &asked.query).await?) };
    tokio::try_join!(read(db, &asked.query, funnels, places), before, origin)
}

fn first(reached: &Reached) -> u64 {
    reached.steps.first().map_or(0, |counts| counts.visits)
}

fn last(reached: &Reached) -> u64 {
    reached.steps.last().map_or(0, |counts| counts.visits)
}

/// A failure that is nobody's mistake on these pages.
fn unreachable(error: FunnelError) -> PageError {
    if let FunnelError::Database(error) = error {
        return error.into();
    }
    tracing::error!(error = &error as &dyn std::error::Error, "funnels cannot be read or changed");
    PageError::Broken
}

/// The page of all funnels, after what was typed was refused or before anything was typed.
async fn page(
    (app, theme, reading): (&App, Theme, &Reading),
    query: &str,
    (typed, error): (Typed, String),
) -> Result<Response, PageError> {
    let db = &app.reports;
    let site = &reading.site;
    let now = now_in(&site.time_zone);
    let view = reading.view(query, now.date());
    let asked = Subject::new(db, reading, &view, &now).below("/funnels".into());
    let funnels = funnel::all(db, site.id).await.map_err(unreachable)?;
    let (found, before, origin) = read_all(db, &asked, &funnels, false).await?;
    let row = |(n, (funnel, found)): (usize, (&Funnel, &Reached))| {
        let before = before.as_ref().and_then(|before| before.get(n));
        let below = Subject::new(db, reading, &view, &now).below(format!("/funnels/{}", funnel.id));
        FunnelRow {
            id: funnel.id.to_string(),
            name: funnel.name.clone(),
            link: below.link(&view),
            way: funnel.steps.iter().map(|step| step.pattern.as_str()).collect::<Vec<_>>().join(" → "),
            entered: grouped(first(found)),
            completed: grouped(last(found)),
            change: before.and_then(|before| change(last(found), last(before))),
            rate: figures::rate(last(found), first(found)),
        }
    };
    let rows = funnels.iter().zip(&found).enumerate().map(row).collect();
    let status = if error.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let page = FunnelsPage {
        header: header::build(&asked),
        back: view.link(&reading.base),
        rows,
        may_edit: asked.may_edit,
        groups: Groups::of(&asked, false),
        without_visits: without_visits(&origin),
        file: period::file(&site.key, "funnels", &asked.query, &[]),
        steps: typed.fields(),
        name: typed.name,
        strict: typed.strict,
        error,
        name_max: funnel::NAME_CHARS_MAX,
        pattern_max: funnel::PATTERN_BYTES_MAX,
        key: site.key.clone(),
        shell: reading.shell(format!("Funnels of {}", site.name), theme, view.look),
    };
    Ok(reading.answer(html_with(status, &page)))
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    theme: Theme,
    reading: Reading,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let nothing = (Typed::default(), String::new());
    page((&app, theme, &reading), query.as_deref().unwrap_or(""), nothing).await
}

fn steps(
    funnel: &Funnel,
    found: &Reached,
    before: Option<&Reached>,
    link: &dyn Fn(&str) -> String,
) -> Vec<StepRow> {
    let visits = |n: usize| found.steps.get(n).map_or(0, |counts| counts.visits);
    let step = |(n, step): (usize, &Step)| {
        let is_last = n + 1 == funnel.steps.len();
        // Rounded for viewers, a step may have as many as the one before.
        let left = visits(n).saturating_sub(visits(n + 1));
        let places = found.left.get(n).map(Vec::as_slice).unwrap_or_default();
        let longest = places.first().map_or(0, |(_, counts)| counts.visits);
        StepRow {
            number: n + 1,
            label: match step.kind {
                Kind::Page => step.pattern.clone(),
                Kind::Event => format!("event {}", step.pattern),
            },
            bar: bar(visits(n), visits(0)),
            visits: grouped(visits(n)),
            change: before
                .and_then(|before| before.steps.get(n))
                .and_then(|before| change(visits(n), before.visits)),
            of_first: figures::rate(visits(n), visits(0)),
            of_before: if n == 0 { String::new() } else { figures::rate(visits(n), visits(n - 1)) },
            left: if is_last { String::new() } else { grouped(left) },
            left_share: if is_last { String::new() } else { figures::rate(left, visits(n)) },
            places: places
                .iter()
                .take(ROWS)
                .map(|place| row(place, LEFT_HERE, [longest, left], |counts| counts.visits, None, link))
                .collect(),
            more: places.len().saturating_sub(ROWS),
        }
    };
    funnel.steps.iter().enumerate().map(step).collect()
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    reading: Reading,
    Path((key, id)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let db = &app.reports;
    let site = &reading.site;
    let now = now_in(&site.time_zone);
    let view = reading.view(query.as_deref().unwrap_or(""), now.date());
    let funnels = funnel::all(db, site.id).await.map_err(unreachable)?;
    let funnel = funnels.into_iter().find(|funnel| funnel.id.to_string() == id);
    let funnel = [funnel.ok_or(PageError::NotFound)?];
    let asked = Subject::new(db, &reading, &view, &now).below(format!("/funnels/{id}"));
    let (found, before, origin) = read_all(db, &asked, &funnel, true).await?;
    let [funnel] = funnel;
    let found = found.into_iter().next().unwrap_or_default();
    let before = before.and_then(|before| before.into_iter().next());
    let around = Subject::new(db, &reading, &view, &now).below("/paths".into());
    let link = |page: &str| around.link_about(&view, &[("page", page.to_owned())]);
    Ok(reading.answer(html(&FunnelPage {
        back: Subject::new(db, &reading, &view, &now).below("/funnels".into()).link(&view),
        name: funnel.name.clone(),
        order: if funnel.strict {
            "Between two steps, no other page is seen."
        } else {
            "Between two steps, anything may happen."
        },
        rate: figures::rate(last(&found), first(&found)),
        steps: steps(&funnel, &found, before.as_ref(), &link),
        may_edit: asked.may_edit,
        groups: Groups::of(&asked, false),
        without_visits: without_visits(&origin),
        file: period::file(&key, &format!("funnels/{id}"), &asked.query, &[]),
        header: header::build(&asked),
        id,
        key,
        shell: reading.shell(format!("{}, a funnel of {}", funnel.name, site.name), theme, view.look),
    })))
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
    Ok(Redirect::to(&format!("/s/{key}/funnels")).into_response())
}

pub(super) async fn add(
    State(app): State<Arc<App>>,
    theme: Theme,
    signed_in: SignedIn,
    Path(key): Path<String>,
    Form(form): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let db = &app.settings.databases.writer;
    let (site, _) = signed_in.site(&key, Role::Editor)?;
    let typed = Typed::of(form);
    match funnel::add(db, site.id, &typed.name, typed.strict, &typed.steps).await {
        Ok(funnel) => {
            let what = format!("funnel {}: {}", funnel.id, funnel.name);
            note(db, signed_in.user.id, Action::FunnelAdd, site.id, &what, &key).await
        }
        Err(error @ (FunnelError::Database(_) | FunnelError::Randomness(_))) => Err(unreachable(error)),
        Err(refused) => {
            let error = refused.to_string();
            let reading = Reading::of_member(&app, signed_in, &key).await?;
            page((&app, theme, &reading), "", (typed, error)).await
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
    let id = form.id.parse().map(FunnelId).map_err(|_| PageError::NotFound)?;
    if !funnel::remove(db, site.id, id).await.map_err(unreachable)? {
        return Err(PageError::NotFound);
    }
    note(db, signed_in.user.id, Action::FunnelRemove, site.id, &format!("funnel {id}"), &key).await
}
