//! Who may see what: the people of the sites that the reader owns, their roles, and invitations.
//!
//! Only owners come here, and only what they own is shown and changed: an owner of one site neither sees nor changes roles
//! on another. Forms name sites and people; each is checked again when it is sent.

use std::sync::Arc;

use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use sotto_schema::id::{SiteId, UserId};
use sotto_store::{
    account::{self, AccountError, Invitation, Role, User},
    audit::{self, Action},
};

use crate::{
    App,
    auth::{Manager, SignedIn},
    page::{PageError, Theme},
};

mod listing;

use listing::{InviteForm, Link, Said, page};

/// Query parameters of the page.
#[derive(Deserialize)]
pub(super) struct Notice {
    done: Option<String>,
}

impl Notice {
    fn text(&self) -> &'static str {
        match self.done.as_deref() {
            Some("given") => {
                "They have an account already, so they have the role from now on. No invitation is needed."
            }
            Some("role") => "The role is changed.",
            Some("taken") => "They have no access there any more.",
            Some("removed") => "They are removed: signed out everywhere, and their tokens are refused.",
            Some("withdrawn") => "The invitation is withdrawn. Its link is not valid any more.",
            Some(_) | None => "",
        }
    }
}

/// Somebody's role on a site, or on all.
#[derive(Deserialize)]
pub(super) struct RoleForm {
    user: String,
    site: String,
    #[serde(default)]
    role: String,
}

/// Who is to be removed.
#[derive(Deserialize)]
pub(super) struct RemoveForm {
    user: String,
}

/// The invitation to be withdrawn.
#[derive(Deserialize)]
pub(super) struct WithdrawForm {
    id: String,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    Manager(reader): Manager,
    Query(notice): Query<Notice>,
) -> Result<Response, PageError> {
    page(&app, theme, &reader, StatusCode::OK, Said { done: notice.text(), ..Said::default() }).await
}

fn done(what: &str) -> Response {
    Redirect::to(&format!("/people?done={what}")).into_response()
}

/// The page with what was refused.
async fn refused(
    app: &App,
    theme: Theme,
    reader: &SignedIn,
    form: InviteForm,
    error: &str,
) -> Result<Response, PageError> {
    let said = Said { error: format!("Please check: {error}."), form, ..Said::default() };
    page(app, theme, reader, StatusCode::UNPROCESSABLE_ENTITY, said).await
}

/// A user by the number in a form.
async fn user_of(app: &App, number: &str) -> Result<User, PageError> {
    let id = number.parse().map(UserId).map_err(|_| PageError::NotFound)?;
    let users = account::users(&app.settings.databases.writer).await?;
    users.into_iter().find(|user| user.id == id).ok_or(PageError::NotFound)
}

pub(super) async fn invite(
    State(app): State<Arc<App>>,
    theme: Theme,
    Manager(reader): Manager,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let form = InviteForm::of(fields);
    let sites = form.sites.iter().map(|key| reader.owned(key)).collect::<Result<Vec<_>, _>>()?;
    if !reader.may_invite(&sites) {
        return refused(&app, theme, &reader, form, "choose at least one site").await;
    }
    let role = Role::from_name(&form.role).ok_or(PageError::NotFound)?;
    // All sites include each, and each counts once however often it is sent.
    let mut sites = if sites.contains(&SiteId::NONE) { vec![SiteId::NONE] } else { sites };
    sites.sort_unstable();
    sites.dedup();
    let _alone = app.people.lock().await;
    let db = &app.settings.databases.writer;
    if let Some(user) = account::user(db, &form.email).await? {
        for site in sites {
            match give(&app, &reader, &user, site, Some(role)).await {
                Err(error @ AccountError::LastOwner) => {
                    return refused(&app, theme, &reader, form, &error.to_string()).await;
                }
                given => given?,
            }
        }
        return Ok(done("given"));
    }
    match account::invite(db, reader.user.id, &form.email, &sites, role).await {
        Ok((invitation, secret)) => {
            for site in &invitation.sites {
                note_invitation(&app, &reader, Action::InvitationAdd, &invitation, *site).await?;
            }
            let url = [&app.settings.public_url, "/invitation/", &secret].concat();
            let link = Some(Link { email: invitation.email, url });
            page(&app, theme, &reader, StatusCode::OK, Said { link, ..Said::default() }).await
        }
        Err(error @ (AccountError::Email | AccountError::TooMany(_))) => {
            refused(&app, theme, &reader, form, &error.to_string()).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Notes what was done with an invitation. Its number is a part of the hash; the address is in no log.
async fn note_invitation(
    app: &App,
    reader: &SignedIn,
    action: Action,
    invitation: &Invitation,
    site: SiteId,
) -> Result<(), PageError> {
    let number: String = blake3::Hash::from(invitation.id).to_hex().chars().take(8).collect();
    let detail = format!("invitation {number} as {}", invitation.role.name());
    Ok(audit::append(&app.settings.databases.writer, reader.user.id, action, site, &detail).await?)
}

pub(super) async fn withdraw(
    State(app): State<Arc<App>>,
    Manager(reader): Manager,
    Form(form): Form<WithdrawForm>,
) -> Result<Response, PageError> {
    let id = blake3::Hash::from_hex(&form.id).map_err(|_| PageError::NotFound)?;
    let _alone = app.people.lock().await;
    let db = &app.settings.databases.writer;
    let open = account::invitations(db).await?;
    let mut own = open.iter().filter(|i| listing::may_withdraw(&reader, i));
    let invitation = own.find(|i| id == i.id).ok_or(PageError::NotFound)?;
    account::withdraw(db, invitation.id).await?;
    for site in &invitation.sites {
        note_invitation(&app, &reader, Action::InvitationWithdraw, invitation, *site).await?;
    }
    Ok(done("withdrawn"))
}

/// Gives a role, or takes it with `None`, and notes it.
async fn give(
    app: &App,
    reader: &SignedIn,
    user: &User,
    site: SiteId,
    role: Option<Role>,
) -> Result<(), AccountError> {
    let db = &app.settings.databases.writer;
    account::change_role(db, user.id, site, role).await?;
    let detail = format!("user {} as {}", user.id, role.map_or("nobody", Role::name));
    audit::append(db, reader.user.id, Action::RoleChange, site, &detail).await?;
    // Their tokens may have ended with it.
    (app.settings.sites_changed)();
    Ok(())
}

/// Changes a role that somebody has.
async fn change(
    (app, theme, reader): (&App, Theme, &SignedIn),
    form: &RoleForm,
    role: Option<Role>,
    what: &str,
) -> Result<Response, PageError> {
    let site = reader.owned(&form.site)?;
    let _alone = app.people.lock().await;
    let user = user_of(app, &form.user).await?;
    let members = account::members(&app.settings.databases.writer).await?;
    if !members.iter().any(|m| m.user == user.id && m.site == site) {
        return Err(PageError::NotFound);
    }
    match give(app, reader, &user, site, role).await {
        // Who lowered themselves may not come back to this page.
        Ok(()) if user.id == reader.user.id => Ok(Redirect::to("/").into_response()),
        Ok(()) => Ok(done(what)),
        Err(error @ AccountError::LastOwner) => {
            refused(app, theme, reader, InviteForm::default(), &error.to_string()).await
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn give_role(
    State(app): State<Arc<App>>,
    theme: Theme,
    Manager(reader): Manager,
    Form(form): Form<RoleForm>,
) -> Result<Response, PageError> {
    let role = Role::from_name(&form.role).ok_or(PageError::NotFound)?;
    change((&app, theme, &reader), &form, Some(role), "role").await
}

pub(super) async fn take_role(
    State(app): State<Arc<App>>,
    theme: Theme,
    Manager(reader): Manager,
    Form(form): Form<RoleForm>,
) -> Result<Response, PageError> {
    change((&app, theme, &reader), &form, None, "taken").await
}

pub(super) async fn remove(
    State(app): State<Arc<App>>,
    theme: Theme,
    Manager(reader): Manager,
    Form(form): Form<RemoveForm>,
) -> Result<Response, PageError> {
    if !reader.owns_all() {
        return Err(PageError::Forbidden);
    }
    let _alone = app.people.lock().await;
    let db = &app.settings.databases.writer;
    let user = user_of(&app, &form.user).await?;
    match account::remove_user(db, &user.email).await {
        Ok(id) => {
            audit::append(db, reader.user.id, Action::UserRemove, SiteId::NONE, &format!("user {id}"))
                .await?;
            (app.settings.sites_changed)();
            Ok(done("removed"))
        }
        Err(error @ AccountError::LastOwner) => {
            refused(&app, theme, &reader, InviteForm::default(), &error.to_string()).await
        }
        Err(error) => Err(error.into()),
    }
}
