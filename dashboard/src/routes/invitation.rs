//! The link of an invitation: whoever opens it chooses a password, and has an account with the roles that the invitation
//! gives. What may be done, and on which sites, is in the database alone: the form does not say.

use std::sync::Arc;

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use sotto_store::{
    account::{
        self, AccountError, Invitation, PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN, Role, USER_NAME_CHARS_MAX,
    },
    audit::{self, Action},
    sites,
};

use super::{dates, sign_in};
use crate::{
    App,
    page::{PageError, Shell, Theme, html_with},
};

/// Length of a link's secret: 32 bytes in hexadecimal.
const SECRET_CHARS: usize = 64;

/// What an open invitation says.
struct Offer {
    secret: String,
    email: String,
    places: Vec<String>,
    may: &'static str,
    expires: String,
    name: String,
}

#[derive(Template)]
#[template(path = "invitation.html")]
struct InvitationPage {
    shell: Shell,
    /// Nothing if the link is not valid.
    offer: Option<Offer>,
    error: String,
    name_max: usize,
    password_min: usize,
    password_max: usize,
}

#[derive(Deserialize, Default)]
pub(super) struct AcceptForm {
    #[serde(default)]
    name: String,
    password: String,
}

fn page(status: StatusCode, theme: Theme, offer: Option<Offer>, error: String) -> Response {
    let page = InvitationPage {
        shell: Shell::bare("Invitation", theme),
        offer,
        error,
        name_max: USER_NAME_CHARS_MAX,
        password_min: PASSWORD_CHARS_MIN,
        password_max: PASSWORD_BYTES_MAX,
    };
    html_with(status, &page)
}

/// The same page for links that never were, are over, were used, and whose sender may not invite any more.
fn not_valid(theme: Theme) -> Response {
    page(StatusCode::NOT_FOUND, theme, None, String::new())
}

/// An open invitation and what it opens, for people. One to sites that are all removed is not valid either.
async fn find(app: &App, secret: &str) -> Result<Option<(Invitation, Vec<String>)>, PageError> {
    if secret.len() != SECRET_CHARS {
        return Ok(None);
    }
    let found = account::invitation(&app.settings.databases.writer, secret).await?;
    let Some(invitation) = found else { return Ok(None) };
    let all = sites::all(&app.settings.databases.reader).await?;
    let mut places: Vec<String> =
        all.into_iter().filter(|site| invitation.sites.contains(&site.id)).map(|site| site.name).collect();
    if invitation.sites.iter().any(|site| site.is_none()) {
        places = vec!["all sites".to_owned()];
    }
    Ok((!places.is_empty()).then_some((invitation, places)))
}

fn offer(secret: String, (invitation, places): (Invitation, Vec<String>), name: String) -> Offer {
    let may = match invitation.role {
        Role::Viewer => "read the reports of",
        Role::Editor => "read the reports, and change goals and settings, of",
        Role::Owner => "own, and so give others access to,",
    };
    let expires = dates::minute(invitation.expires_ms);
    Offer { secret, email: invitation.email, places, may, expires, name }
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    Path(secret): Path<String>,
) -> Result<Response, PageError> {
    let Some(found) = find(&app, &secret).await? else { return Ok(not_valid(theme)) };
    let offer = offer(secret, found, String::new());
    Ok(page(StatusCode::OK, theme, Some(offer), String::new()))
}

pub(super) async fn accept(
    State(app): State<Arc<App>>,
    theme: Theme,
    Path(secret): Path<String>,
    Form(typed): Form<AcceptForm>,
) -> Result<Response, PageError> {
    let _alone = app.people.lock().await;
    let Some(found) = find(&app, &secret).await? else { return Ok(not_valid(theme)) };
    let db = &app.settings.databases.writer;
    let error = match account::accept(db, &app.hasher, &secret, &typed.name, &typed.password).await {
        Ok(None) => return Ok(not_valid(theme)),
        Ok(Some((user, invitation))) => {
            let (role, inviter) = (invitation.role.name(), invitation.inviter);
            let detail = format!("user {} as {role}, invited by user {inviter}", user.id);
            for site in invitation.sites {
                audit::append(db, user.id, Action::InvitationAccept, site, &detail).await?;
            }
            return sign_in::begin(&app, user.id, "/").await;
        }
        Err(AccountError::EmailTaken) => {
            "this address has an account by now; sign in, and ask who invited you to give it access"
                .to_owned()
        }
        Err(error @ (AccountError::Password | AccountError::UserName | AccountError::TooMany(_))) => {
            error.to_string()
        }
        Err(error) => return Err(error.into()),
    };
    let offer = offer(secret, found, typed.name);
    let error = format!("Please check: {error}.");
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, theme, Some(offer), error))
}
