//! Sign-in, in one step or two, and sign-out.

use std::{sync::Arc, time::Instant};

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use sotto_schema::id::{SiteId, UserId};
use sotto_store::{
    account::{
        self, Proof, User,
        two_step::{self, Pending, TwoStepError},
    },
    audit::{self, Action},
};

use crate::{
    App, auth,
    page::{PageError, Shell, Theme, html_with},
};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    shell: Shell,
    email: String,
    next: String,
    error: String,
}

#[derive(Template)]
#[template(path = "sign_in_code.html")]
struct CodePage {
    shell: Shell,
    email: String,
    ticket: String,
    next: String,
    error: String,
}

#[derive(Deserialize)]
pub(super) struct Asked {
    next: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Credentials {
    email: String,
    password: String,
    next: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct SecondStep {
    email: String,
    ticket: String,
    code: String,
    next: Option<String>,
}

/// Said to whoever tried too often.
pub(super) const TOO_MANY: &str = "Too many attempts. Wait a quarter of an hour, then try again.";
const RECOVERY_USED: &str = "with a recovery code";

/// Only a path of ours: never another site's address.
fn own_path(next: Option<&str>) -> String {
    let ours = |n: &&str| n.starts_with('/') && !n.starts_with("//") && !n.contains(['\\', '\r', '\n']);
    next.filter(ours).unwrap_or("/").to_owned()
}

fn page(status: StatusCode, theme: Theme, email: String, next: String, error: &str) -> Response {
    let error = error.to_owned();
    html_with(status, &SignInPage { shell: Shell::bare("Sign in", theme), email, next, error })
}

fn code_page(status: StatusCode, theme: Theme, step: SecondStep, error: &str) -> Response {
    let SecondStep { email, ticket, code: _, next } = step;
    let (shell, next) = (Shell::bare("Second step", theme), own_path(next.as_deref()));
    html_with(status, &CodePage { shell, email, ticket, next, error: error.to_owned() })
}

pub(super) async fn show(theme: Theme, Query(asked): Query<Asked>) -> Response {
    page(StatusCode::OK, theme, String::new(), own_path(asked.next.as_deref()), "")
}

pub(super) async fn submit(
    State(app): State<Arc<App>>,
    theme: Theme,
    Form(typed): Form<Credentials>,
) -> Result<Response, PageError> {
    let next = own_path(typed.next.as_deref());
    let allowed = locked(&app).allows(&typed.email, Instant::now());
    if !allowed {
        return Ok(page(StatusCode::TOO_MANY_REQUESTS, theme, typed.email, next, TOO_MANY));
    }
    let db = &app.settings.databases.writer;
    match account::authenticate(db, &app.hasher, &typed.email, &typed.password).await? {
        None => {
            locked(&app).failed(&typed.email, Instant::now());
            let text = "E-mail address and password do not belong together.";
            Ok(page(StatusCode::UNAUTHORIZED, theme, typed.email, next, text))
        }
        Some(Proof::First(pending)) => first_step(&app, theme, &pending, next),
        Some(Proof::Whole(user)) => succeed(&app, &user, "", &next).await,
    }
}

/// Asks for the code. Failures are not forgotten yet, so that codes are guessed no more often than passwords.
fn first_step(app: &App, theme: Theme, pending: &Pending, next: String) -> Result<Response, PageError> {
    let email = pending.user.email.clone();
    match two_step::ticket(app.settings.account_key.as_ref(), pending) {
        Ok(ticket) => {
            let step = SecondStep { email, ticket, code: String::new(), next: Some(next) };
            Ok(code_page(StatusCode::OK, theme, step, ""))
        }
        Err(error) => refuse(error, theme, email, next),
    }
}

pub(super) async fn submit_code(
    State(app): State<Arc<App>>,
    theme: Theme,
    Form(typed): Form<SecondStep>,
) -> Result<Response, PageError> {
    let next = own_path(typed.next.as_deref());
    let allowed = locked(&app).allows(&typed.email, Instant::now());
    if !allowed {
        return Ok(page(StatusCode::TOO_MANY_REQUESTS, theme, typed.email, next, TOO_MANY));
    }
    let (db, key) = (&app.settings.databases.writer, app.settings.account_key.as_ref());
    match two_step::confirm(db, key, &typed.email, &typed.ticket, &typed.code).await {
        Ok(confirmed) => {
            let how = if confirmed.recovery { RECOVERY_USED } else { "" };
            succeed(&app, &confirmed.user, how, &next).await
        }
        Err(error @ (TwoStepError::Code | TwoStepError::Used)) => {
            locked(&app).failed(&typed.email, Instant::now());
            Ok(code_page(StatusCode::UNAUTHORIZED, theme, typed, &error.to_string()))
        }
        Err(error) => refuse(error, theme, typed.email, next),
    }
}

/// Why there is no second step, on the page of the first.
fn refuse(error: TwoStepError, theme: Theme, email: String, next: String) -> Result<Response, PageError> {
    let text = error.to_string();
    let status = match error {
        TwoStepError::Account(error) => return Err(error.into()),
        TwoStepError::Key(why) => {
            tracing::error!(error = %why, "nobody with two-step sign-in can sign in here");
            StatusCode::SERVICE_UNAVAILABLE
        }
        TwoStepError::Ticket | TwoStepError::Code | TwoStepError::Used | TwoStepError::Changed => {
            StatusCode::UNAUTHORIZED
        }
    };
    Ok(page(status, theme, email, next, &text))
}

/// Nothing more is asked for.
async fn succeed(app: &App, user: &User, how: &str, next: &str) -> Result<Response, PageError> {
    locked(app).succeeded(&user.email);
    audit::append(&app.settings.databases.writer, user.id, Action::SignIn, SiteId::NONE, how).await?;
    begin(app, user.id, next).await
}

/// Signs somebody in who has proved all that is asked for, and sends them on.
pub(super) async fn begin(app: &App, user: UserId, next: &str) -> Result<Response, PageError> {
    let secret = account::begin(&app.settings.databases.writer, user).await?;
    let mut response = Redirect::to(next).into_response();
    response.headers_mut().insert(header::SET_COOKIE, auth::set_cookie(app, Some(&secret)));
    Ok(response)
}

pub(super) async fn sign_out(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, PageError> {
    if let Some(secret) = auth::sign_in_cookie(&app, &headers) {
        account::end(&app.settings.databases.writer, &secret).await?;
    }
    let mut response = Redirect::to("/sign-in").into_response();
    response.headers_mut().insert(header::SET_COOKIE, auth::set_cookie(&app, None));
    Ok(response)
}

pub(super) fn locked(app: &App) -> std::sync::MutexGuard<'_, auth::throttle::Throttle> {
    // Counting attempts cannot leave half a change behind.
    app.throttle.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn way_back_never_leads_to_another_site() {
        for (next, expected) in [
            (Some("/s/abc?p=7d"), "/s/abc?p=7d"),
            (Some("//evil.test/"), "/"),
            (Some("https://evil.test/"), "/"),
            (Some("/\\evil.test"), "/"),
            (Some("/a\r\nSet-Cookie: x"), "/"),
            (None, "/"),
        ] {
            assert_eq!(own_path(next), expected, "{next:?}");
        }
    }
}
