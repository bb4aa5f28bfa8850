//! The one-time link that creates the owner and the first site.

use std::sync::Arc;

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;
use sotto_schema::id::SiteId;
use sotto_store::{
    account::{self, AccountError, Role, secret_hash},
    audit::{self, Action},
};

use super::{
    policy_choice::{Choice, choices},
    sign_in,
    sites::{self, SiteForm, Zone},
};
use crate::{
    App,
    page::{PageError, Shell, Theme, html_with},
};

#[derive(Template)]
#[template(path = "set_up.html")]
struct SetUpPage {
    shell: Shell,
    token: String,
    email: String,
    form: SiteForm,
    zones: Vec<Zone>,
    choices: Vec<Choice>,
    error: String,
}

#[derive(Deserialize, Default)]
pub(super) struct SetUpForm {
    email: String,
    password: String,
    name: String,
    hostname: String,
    time_zone: String,
    preset: String,
}

/// Whether the link is the printed one and nobody owns the installation yet.
async fn check(app: &App, token: &str) -> Result<(), PageError> {
    // Comparing hashes keeps the timing independent of the token.
    let valid = app.settings.setup_token.is_some_and(|hash| blake3::Hash::from(hash) == secret_hash(token));
    if !valid || account::owner_exists(&app.settings.databases.writer).await? {
        return Err(PageError::NotFound);
    }
    Ok(())
}

fn page(status: StatusCode, theme: Theme, token: String, typed: SetUpForm, error: String) -> Response {
    let SetUpForm { email, password: _, name, hostname, time_zone, preset } = typed;
    let form = SiteForm { name, hostname, time_zone, preset };
    let (zones, choices) = (form.zones(), choices(form.preset()));
    let shell = Shell::bare("Welcome", theme);
    html_with(status, &SetUpPage { shell, token, email, form, zones, choices, error })
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    Path(token): Path<String>,
) -> Result<Response, PageError> {
    check(&app, &token).await?;
    Ok(page(StatusCode::OK, theme, token, SetUpForm::default(), String::new()))
}

pub(super) async fn submit(
    State(app): State<Arc<App>>,
    theme: Theme,
    Path(token): Path<String>,
    Form(typed): Form<SetUpForm>,
) -> Result<Response, PageError> {
    let _alone = app.setup.lock().await;
    check(&app, &token).await?;
    let refused =
        |typed, error: String| Ok(page(StatusCode::UNPROCESSABLE_ENTITY, theme, token, typed, error));
    let form = SiteForm {
        name: typed.name.clone(),
        hostname: typed.hostname.clone(),
        time_zone: typed.time_zone.clone(),
        preset: typed.preset.clone(),
    };
    let site = match form.site() {
        Ok(site) => site,
        Err(error) => return refused(typed, error.to_string()),
    };
    let db = &app.settings.databases.writer;
    let user = match account::add_user(db, &app.hasher, &typed.email, "", &typed.password).await {
        Ok(user) => user,
        Err(error @ (AccountError::Email | AccountError::Password)) => {
            return refused(typed, error.to_string());
        }
        // Resumes a set-up that was interrupted after its first step, with the password typed now.
        Err(AccountError::EmailTaken) => {
            account::set_password(db, &app.hasher, &typed.email, &typed.password).await?;
            account::user(db, &typed.email).await?.ok_or(PageError::Broken)?
        }
        Err(error) => return Err(error.into()),
    };
    sites::store(&app, user.id, &site).await?;
    account::grant(db, user.id, SiteId::NONE, Role::Owner).await?;
    audit::append(db, user.id, Action::SetUp, site.id, "").await?;
    // An existing account keeps its second step.
    if account::two_step::is_on(db, &user.email).await? {
        return Ok(Redirect::to("/sign-in").into_response());
    }
    sign_in::begin(&app, user.id, &format!("/s/{}/install", site.key)).await
}
