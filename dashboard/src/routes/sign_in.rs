//! Sign-in and sign-out.

use std::{sync::Arc, time::Instant};

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use sotto_schema::account::{
    self,
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
    error: &'static str,
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

/// Only a path of ours: never another site's address.
fn own_path(next: Option<&str>) -> String {
    let ours = |n: &&str| n.starts_with('/') && !n.starts_with("//") && !n.contains(['\\', '\r', '\n']);
    next.filter(ours).unwrap_or("/").to_owned()
}

fn page(status: StatusCode, theme: Theme, email: String, next: String, error: &'static str) -> Response {
    html_with(status, &SignInPage { shell: Shell::bare("Sign in", theme), email, next, error })
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
        let text = "Too many attempts. Wait a quarter of an hour, then try again.";
        return Ok(page(StatusCode::TOO_MANY_REQUESTS, theme, typed.email, next, text));
    }
    let db = &app.settings.databases.writer;
    let Some(user) = account::authenticate(db, &app.hasher, &typed.email, &typed.password).await? else {
        locked(&app).failed(&typed.email, Instant::now());
        let text = "E-mail address and password do not belong together.";
        return Ok(page(StatusCode::UNAUTHORIZED, theme, typed.email, next, text));
    };
    locked(&app).succeeded(&typed.email);
    audit::append(db, user.id, Action::SignIn, 0, "").await?;
    begin(&app, user.id, &next).await
}

/// Signs somebody in and sends them on.
pub(super) async fn begin(app: &App, user: u64, next: &str) -> Result<Response, PageError> {
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

fn locked(app: &App) -> std::sync::MutexGuard<'_, auth::throttle::Throttle> {
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
