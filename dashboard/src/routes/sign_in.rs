//! Sign-in, in one step or two, and sign-out.

use std::{sync::Arc, time::Duration};

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
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
    App,
    auth::{
        self,
        throttle::{FromBlock, Refused, retry_after},
    },
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
pub(super) struct WayBack {
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

const RECOVERY_USED: &str = "with a recovery code";

/// First path segments of pages that sign-in may return to.
const DESTINATIONS: [&str; 4] = ["s", "sites", "account", "people"];

/// Where to go after signing in: a page of the dashboard, or the start page. What a browser could read as another host
/// is rejected, not repaired: path segments are plain words, and the query has characters of RFC 3986 only.
fn destination(next: Option<&str>) -> String {
    next.filter(|next| is_destination(next)).unwrap_or("/").to_owned()
}

fn is_destination(next: &str) -> bool {
    let (path, query) = next.split_once('?').unwrap_or((next, ""));
    let is_word = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let is_query = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&b);
    let Some(path) = path.strip_prefix('/') else { return false };
    path.split('/').all(is_word)
        && path.split('/').next().is_some_and(|first| DESTINATIONS.contains(&first))
        && query.bytes().all(is_query)
}

fn page(status: StatusCode, theme: Theme, email: String, next: String, error: &str) -> Response {
    let error = error.to_owned();
    html_with(status, &SignInPage { shell: Shell::bare("Sign in", theme), email, next, error })
}

fn code_page(status: StatusCode, theme: Theme, step: SecondStep, error: &str) -> Response {
    let SecondStep { email, ticket, code: _, next } = step;
    let (shell, next) = (Shell::bare("Second step", theme), destination(next.as_deref()));
    html_with(status, &CodePage { shell, email, ticket, next, error: error.to_owned() })
}

pub(super) async fn show(theme: Theme, Query(back): Query<WayBack>) -> Response {
    page(StatusCode::OK, theme, String::new(), destination(back.next.as_deref()), "")
}

/// The form again, and when to send it.
fn refused(refused: Refused, theme: Theme, email: String, next: String) -> Response {
    let (status, wait, text) = refused.answer();
    let mut response = page(status, theme, email, next, &text);
    wait_before_retry(&mut response, wait);
    response
}

/// Adds the header `Retry-After`.
pub(super) fn wait_before_retry(response: &mut Response, wait: Duration) {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after(wait)));
}

pub(super) async fn submit(
    State(app): State<Arc<App>>,
    theme: Theme,
    from: FromBlock,
    Form(typed): Form<Credentials>,
) -> Result<Response, PageError> {
    let next = destination(typed.next.as_deref());
    let _place = match app.attempts.begin(&typed.email, from) {
        Ok(place) => place,
        Err(too_many) => return Ok(refused(too_many, theme, typed.email, next)),
    };
    let db = &app.settings.databases.writer;
    match account::authenticate(db, &app.hasher, &typed.email, &typed.password).await? {
        None => {
            let text = "E-mail address or password is wrong.";
            Ok(page(StatusCode::UNAUTHORIZED, theme, typed.email, next, text))
        }
        Some(Proof::First(pending)) => first_step(&app, theme, &pending, next),
        Some(Proof::Whole(user)) => succeed(&app, &user, from, "", &next).await,
    }
}

/// Asks for the code. The attempts still count, so that codes can be guessed no more often than passwords.
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
    from: FromBlock,
    Form(typed): Form<SecondStep>,
) -> Result<Response, PageError> {
    let next = destination(typed.next.as_deref());
    let _place = match app.attempts.begin(&typed.email, from) {
        Ok(place) => place,
        Err(too_many) => return Ok(refused(too_many, theme, typed.email, next)),
    };
    let (db, key) = (&app.settings.databases.writer, app.settings.account_key.as_ref());
    let confirmed = two_step::confirm(db, key, &typed.email, &typed.ticket, &typed.code).await;
    // Only a right password gets this far. Beyond the limit a right code is refused, too, so that guessing learns nothing.
    if matches!(confirmed, Ok(_) | Err(TwoStepError::Code | TwoStepError::Used))
        && let Err(too_many) = app.attempts.code(&typed.email)
    {
        return Ok(refused(too_many, theme, typed.email, next));
    }
    match confirmed {
        Ok(confirmed) => {
            let how = if confirmed.recovery { RECOVERY_USED } else { "" };
            succeed(&app, &confirmed.user, from, how, &next).await
        }
        Err(error @ (TwoStepError::Code | TwoStepError::Used)) => {
            Ok(code_page(StatusCode::UNAUTHORIZED, theme, typed, &error.to_string()))
        }
        Err(error) => refuse(error, theme, typed.email, next),
    }
}

/// Shows why there is no second step.
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

/// Completes the sign-in.
async fn succeed(
    app: &App,
    user: &User,
    from: FromBlock,
    how: &str,
    next: &str,
) -> Result<Response, PageError> {
    app.attempts.succeeded(&user.email, from);
    audit::append(&app.settings.databases.writer, user.id, Action::SignIn, SiteId::NONE, how).await?;
    begin(app, user.id, next).await
}

/// Starts a session and redirects.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn way_back_leads_to_known_pages_and_never_to_another_site() {
        for kept in [
            "/sites",
            "/sites/new",
            "/s/abc",
            "/s/abc?p=7d&f=page%3Ais%3A%2Fa%20b&cmp=1",
            "/s/abc/list/utm_source?p=custom&from=2026-03-01&to=2026-03-02",
            "/account",
            "/account/two-step",
            "/people",
        ] {
            assert_eq!(destination(Some(kept)), kept);
        }
        for attack in [
            "",
            "//evil.test/",
            "///evil.test",
            "/\t/evil.test",
            "/\n/evil.test",
            "/\r\n/evil.test",
            "/ /evil.test",
            "/\u{a0}/evil.test",
            "/\\evil.test",
            "/\\\\evil.test",
            "\\\\evil.test",
            "/%09/evil.test",
            "/%2f/evil.test",
            "/%2F%2Fevil.test",
            "/%5cevil.test",
            "/.//evil.test",
            "/s/..//evil.test",
            "/s//evil.test",
            "/s/%2e%2e//evil.test",
            "/s/@evil.test",
            "/s/abc/",
            "s/abc",
            " /s/abc",
            "https://evil.test/",
            "https:evil.test",
            "javascript:alert(1)",
            "/s/abc?a\r\nSet-Cookie: x",
            "/s/abc?a=\t",
            "/s/abc?a=\\",
            "/s/abc#//evil.test",
            "/\u{ff0f}evil.test",
            "/evil",
            "/sign-out",
            "/invitation/abc",
            "/sign-in?next=//evil.test",
        ] {
            assert_eq!(destination(Some(attack)), "/", "{attack:?}");
        }
        assert_eq!(destination(None), "/");
    }
}
