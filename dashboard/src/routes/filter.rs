//! All that a report can be filtered by: fields with their commonest values, goals, and the segments that were kept. Works
//! without JavaScript; with it, the form of every page proposes the same values while somebody types.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};
use sotto_schema::id::UserId;
use sotto_store::{goal, segment};
use url::form_urlencoded;

use super::overview::{
    Groups, Subject,
    header::{self, Header},
};
use crate::{
    App,
    figures::grouped,
    filter::Filter,
    page::{PageError, Shell, Theme, html_with},
    range::now_in,
    reading::{Place, Reading},
    view::View,
};

mod kept;
mod suggestions;

use kept::SegmentRow;
pub(super) use kept::{failed, may_change};
use suggestions::{Proposed, Suggestion, link, suggestions};

struct Value {
    text: String,
    count: String,
    link: String,
}

/// The values of a field.
struct Values {
    /// The name of the field in the form, and for people.
    name: String,
    label: String,
    counts: &'static str,
    search: String,
    rows: Vec<Value>,
}

/// A goal that can be a filter.
struct GoalLinks {
    name: String,
    did: String,
    never: String,
}

#[derive(Template)]
#[template(path = "filters.html")]
struct FilterPage {
    shell: Shell,
    place: Place,
    header: Header,
    base: String,
    back: String,
    /// What the address says besides the field.
    state: Vec<(String, String)>,
    /// The field of which values are shown, and they.
    of: String,
    values: Option<Values>,
    goals: Vec<GoalLinks>,
    segments: Vec<SegmentRow>,
    /// The filters that are chosen, as in addresses.
    chosen: Vec<String>,
    /// The name that was typed, and what is wrong with it.
    name: String,
    error: String,
    name_max: usize,
    groups: Groups,
}

/// What the address says of this page alone: the field of which values are shown, and what they have to contain.
fn own(query: &str) -> (String, String) {
    let first = |name: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(n, _)| n == name).map_or_else(String::new, |(_, value)| value.into_owned())
    };
    (first("of"), first("q"))
}

fn goal_links(goal: &goal::Goal, view: &View, base: &str) -> Option<GoalLinks> {
    let did = Filter::of_goal(goal)?;
    let never = did.denied()?;
    let [did, never] = [did, never].map(|filter| view.with_filter(filter).link(base));
    Some(GoalLinks { name: goal.name.clone(), did, never })
}

/// The page; `refused` is a segment's name that could not be given, and why.
pub(super) async fn page(
    (app, theme, reading): (&App, Theme, &Reading),
    query: &str,
    refused: Option<(String, String)>,
) -> Result<Response, PageError> {
    let (site, base) = (&reading.site, &reading.base);
    let now = now_in(&site.time_zone);
    let view = reading.view(query, now.date());
    let (of, search) = own(query);
    let asked = Subject::new(&app.reports, reading, &view, &now).below("/filter".into());
    let asked = if of.is_empty() { asked } else { asked.about("of", of.clone()) };
    let proposed = Proposed::of(&of, reading.is_member());
    let values = async {
        let Some(proposed) = &proposed else { return Ok(None) };
        let found = suggestions(&app.reports, (&asked.query, proposed), &search).await?;
        let value = |found: &Suggestion| Value {
            text: found.text.clone(),
            count: grouped(found.count),
            link: link(&view, base, found),
        };
        Ok::<_, PageError>(Some(Values {
            name: proposed.name(),
            label: proposed.label(),
            counts: proposed.counts(),
            search: search.clone(),
            rows: found.iter().map(value).collect(),
        }))
    };
    let db = &app.settings.databases.writer;
    let goals = async {
        match reading.sees_goals() {
            true => goal::all(&app.settings.databases.reader, site.id).await.map_err(PageError::from),
            false => Ok(Vec::new()),
        }
    };
    let kept = async {
        match reading.user() {
            Some(user) => segment::seen_by(db, site.id, user).await.map_err(failed),
            None => Ok(Vec::new()),
        }
    };
    let (values, goals, kept) = tokio::try_join!(values, goals, kept)?;
    let status = if refused.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let (name, error) = refused.unwrap_or_default();
    let who = reading.user().unwrap_or(UserId::NONE);
    let page = FilterPage {
        header: header::build(&asked),
        back: view.link(base),
        state: form_urlencoded::parse(view.query().as_bytes()).into_owned().collect(),
        of,
        values,
        goals: goals.iter().filter_map(|goal| goal_links(goal, &view, base)).collect(),
        segments: kept
            .iter()
            .map(|kept| SegmentRow::of(kept, (who, reading.may_edit()), &view, base))
            .collect(),
        chosen: view.filters.each().map(ToString::to_string).collect(),
        name,
        error,
        name_max: segment::NAME_CHARS_MAX,
        groups: Groups::of(&asked, false),
        base: base.clone(),
        shell: reading.shell(format!("Filters of {}", site.name), theme, view.look),
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
    page((&app, theme, &reading), query.as_deref().unwrap_or(""), None).await
}
