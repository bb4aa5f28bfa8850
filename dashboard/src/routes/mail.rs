//! What somebody gets by mail about a site, and what a letter looks like. Members choose for themselves; owners of the site
//! see who gets what, and choose for other members of it.

use std::sync::Arc;

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use base64ct::{Base64, Encoding as _};
use serde::Deserialize;
use sotto_schema::{
    id::{SiteId, UserId},
    site::Site,
};
use sotto_store::{
    account::{self, Role, User, role_of},
    audit::{self, Action},
    subscription::{self, Kind},
};

use super::{dates, sites};
use crate::{
    App,
    auth::SignedIn,
    mail::{
        letter::{Letter, Links, kind_label, reports_of},
        schedule, summary,
    },
    page::{LetterInside, PageError, Shell, ShowsLetter, Theme, html},
    range::now_in,
    report::groups::GROUP_MIN,
};

/// A kind of mail, as offered.
struct Offered {
    name: &'static str,
    title: &'static str,
    about: &'static str,
    /// Whether the reader gets it.
    own: bool,
}

/// A subscription, as listed.
struct Listed {
    user: UserId,
    who: String,
    name: &'static str,
    kind: &'static str,
    since: String,
    /// Who subscribed them, if they did not do it.
    by: String,
}

/// A letter that can be looked at.
struct Previewed {
    name: &'static str,
    title: &'static str,
    current: bool,
}

/// The letter that is looked at.
struct Shown {
    name: &'static str,
    subject: String,
    text: String,
}

#[derive(Template)]
#[template(path = "mail.html")]
struct MailPage {
    shell: Shell,
    key: String,
    done: &'static str,
    /// Whether this installation sends mail.
    sends: bool,
    email: String,
    kinds: Vec<Offered>,
    /// Whether the reader chooses for others.
    manages: bool,
    listed: Vec<Listed>,
    members: Vec<(UserId, String)>,
    previews: Vec<Previewed>,
    letter: Option<Shown>,
    group_min: u64,
}

/// Query parameters of the page.
#[derive(Deserialize)]
pub(super) struct Asked {
    done: Option<String>,
    preview: Option<String>,
}

/// Query parameters of a letter.
#[derive(Deserialize)]
pub(super) struct Of {
    of: String,
}

/// What somebody chooses for a member.
#[derive(Deserialize)]
pub(super) struct ForOther {
    user: UserId,
    kind: String,
}

const fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Weekly => "Weekly report",
        Kind::Monthly => "Monthly report",
        Kind::Alerts => "Alerts",
    }
}

const fn about(kind: Kind) -> &'static str {
    match kind {
        Kind::Weekly => "on Mondays at 8:00, of the week before",
        Kind::Monthly => "on the first of a month at 8:00, of the month before",
        Kind::Alerts => {
            "many or few visitors, nothing counted for a day, a goal that is reached or a page that is not found for the first time in four weeks, fewer visitors who agree, slow pages; each at most once a day"
        }
    }
}

/// What people call a user.
fn name_of(user: &User) -> String {
    if user.name.is_empty() { user.email.clone() } else { format!("{} ({})", user.name, user.email) }
}

/// The site's members, by e-mail address.
async fn members(app: &App, site: SiteId) -> Result<Vec<User>, PageError> {
    let db = &app.settings.databases.writer;
    let (users, roles) = tokio::try_join!(account::users(db), account::members(db))?;
    let has_role = |user: &User| {
        let of_user: Vec<_> = roles.iter().filter(|role| role.user == user.id).copied().collect();
        role_of(&of_user, site).is_some()
    };
    Ok(users.into_iter().filter(has_role).collect())
}

/// A letter as it would be sent now, with links that end nothing. `chart` is the address of its picture.
async fn preview(app: &App, site: &Site, kind: Kind, chart: bool) -> Result<Letter, PageError> {
    let now = now_in(&site.time_zone);
    let period = schedule::last_due(kind, &now).ok_or(PageError::NotFound)?;
    let summary = summary::read(&app.reports, site, &period).await.map_err(|error| match error {
        summary::SummaryError::Report(error) => error.into(),
        summary::SummaryError::Goal(error) => {
            tracing::error!(%error, "goals cannot be read for a letter");
            PageError::Broken
        }
    })?;
    let about = [&app.settings.public_url, "/s/", &site.key].concat();
    let settings = [&about, "/mail"].concat();
    let reports = reports_of(&about, summary.range);
    let links = Links { reports, unsubscribe: settings.clone(), settings };
    let picture = || ["data:image/png;base64,", &Base64::encode_string(&summary.picture())].concat();
    let picture = chart.then(picture);
    Letter::report(kind, &summary, &links, picture.as_deref()).map_err(|error| {
        tracing::error!(%error, "a letter cannot be shown");
        PageError::Broken
    })
}

fn listed(known: &subscription::Subscription, users: &[User]) -> Listed {
    let name = |id: UserId| users.iter().find(|user| user.id == id).map(name_of);
    let by = if known.made_by == known.user { None } else { name(known.made_by) };
    Listed {
        user: known.user,
        who: name(known.user).unwrap_or_else(|| "somebody without access, who gets nothing".to_owned()),
        name: known.kind.name(),
        kind: kind_label(known.kind),
        since: dates::day(known.created_ms),
        by: by.unwrap_or_default(),
    }
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    member: SignedIn,
    Path(key): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let (site, all) = member.site(&key, Role::Viewer)?;
    let manages = member.role(site.id) == Some(Role::Owner);
    let known = subscription::all(&app.settings.databases.writer, site.id).await?;
    let users = if manages { members(&app, site.id).await? } else { Vec::new() };
    let chosen = asked.preview.as_deref().and_then(Kind::from_name);
    let chosen = chosen.filter(|kind| *kind != Kind::Alerts);
    let letter = match chosen {
        None => None,
        Some(kind) => {
            let _turn = app.gate.enter(member.user.id.0).await?;
            let letter = preview(&app, &site, kind, false).await?;
            Some(Shown { name: kind.name(), subject: letter.subject, text: letter.text })
        }
    };
    let own = |kind| known.iter().any(|one| (one.user, one.kind) == (member.user.id, kind));
    let offered =
        |kind| Offered { name: Kind::name(kind), title: title(kind), about: about(kind), own: own(kind) };
    let previewed =
        |kind| Previewed { name: Kind::name(kind), title: title(kind), current: chosen == Some(kind) };
    let page = MailPage {
        done: match asked.done.as_deref() {
            Some("saved") => "Saved.",
            Some("added") => "They get it from now on.",
            Some("removed") => "They get it no more.",
            Some(_) | None => "",
        },
        sends: app.settings.sends_mail,
        email: member.user.email.clone(),
        kinds: Kind::ALL.map(offered).into(),
        manages,
        listed: known.iter().filter(|_| manages).map(|known| listed(known, &users)).collect(),
        members: users.iter().map(|user| (user.id, name_of(user))).collect(),
        previews: [Kind::Weekly, Kind::Monthly].map(previewed).into(),
        letter,
        group_min: GROUP_MIN,
        key,
        shell: Shell {
            title: format!("Mail about {}", site.name),
            theme,
            who: Some(member.who()),
            sites: sites::links(&all, Some(&site)),
        },
    };
    let mut response = html(&page);
    response.extensions_mut().insert(ShowsLetter);
    Ok(response)
}

/// The HTML of a letter, shown in a frame of the page.
pub(super) async fn show_letter(
    State(app): State<Arc<App>>,
    member: SignedIn,
    Path(key): Path<String>,
    Query(of): Query<Of>,
) -> Result<Response, PageError> {
    let (site, _) = member.site(&key, Role::Viewer)?;
    let kind = Kind::from_name(&of.of).ok_or(PageError::NotFound)?;
    let _turn = app.gate.enter(member.user.id.0).await?;
    let letter = preview(&app, &site, kind, true).await?;
    let mut response = (StatusCode::OK, axum::response::Html(letter.html)).into_response();
    response.extensions_mut().insert(LetterInside);
    Ok(response)
}

/// Changes what the reader gets.
pub(super) async fn choose(
    State(app): State<Arc<App>>,
    member: SignedIn,
    Path(key): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let (site, _) = member.site(&key, Role::Viewer)?;
    for kind in Kind::ALL {
        let wanted = fields.iter().any(|(name, _)| name == kind.name());
        change(&app, &member, (site.id, member.user.id, kind), wanted).await?;
    }
    Ok(Redirect::to(&format!("/s/{key}/mail?done=saved")).into_response())
}

/// Subscribes a member of the site.
pub(super) async fn add(
    State(app): State<Arc<App>>,
    owner: SignedIn,
    Path(key): Path<String>,
    Form(form): Form<ForOther>,
) -> Result<Response, PageError> {
    let (site, _) = owner.site(&key, Role::Owner)?;
    let kind = Kind::from_name(&form.kind).ok_or(PageError::NotFound)?;
    let known = members(&app, site.id).await?;
    let user = known.iter().find(|user| user.id == form.user).ok_or(PageError::NotFound)?;
    change(&app, &owner, (site.id, user.id, kind), true).await?;
    Ok(Redirect::to(&format!("/s/{key}/mail?done=added")).into_response())
}

/// Ends the subscription of anybody to the site.
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    owner: SignedIn,
    Path(key): Path<String>,
    Form(form): Form<ForOther>,
) -> Result<Response, PageError> {
    let (site, _) = owner.site(&key, Role::Owner)?;
    let kind = Kind::from_name(&form.kind).ok_or(PageError::NotFound)?;
    change(&app, &owner, (site.id, form.user, kind), false).await?;
    Ok(Redirect::to(&format!("/s/{key}/mail?done=removed")).into_response())
}

async fn change(
    app: &App,
    actor: &SignedIn,
    what: (SiteId, UserId, Kind),
    wanted: bool,
) -> Result<(), PageError> {
    let db = &app.settings.databases.writer;
    let (site, user, kind) = what;
    let (changed, action) = if wanted {
        (subscription::add(db, what, actor.user.id).await?, Action::MailAdd)
    } else {
        (subscription::remove(db, what).await?, Action::MailRemove)
    };
    if changed {
        let detail = format!("{} for user {user}", kind_label(kind));
        audit::append(db, actor.user.id, action, site, &detail).await?;
    }
    Ok(())
}
