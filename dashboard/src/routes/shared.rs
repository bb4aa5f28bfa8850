//! The password of a shared link. Guessing is slowed down as at sign-in, by link and network block, and the browser
//! remembers a right one for this link alone.

use std::sync::Arc;

use axum::{
    Form,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::sign_in::wait_before_retry;
use crate::{
    App,
    auth::throttle::FromBlock,
    gate::Lane,
    page::{PageError, Theme},
    reading::{find, pass_cookie, password_page},
};

#[derive(Deserialize)]
pub(super) struct Typed {
    password: String,
}

pub(super) async fn unlock(
    State(app): State<Arc<App>>,
    theme: Theme,
    from: FromBlock,
    Path(secret): Path<String>,
    Form(typed): Form<Typed>,
) -> Result<Response, PageError> {
    // Attempts are kept under a hash of it.
    let link = ["link ", &secret].concat();
    let _place = match app.attempts.begin(&link, from) {
        Ok(place) => place,
        Err(refused) => {
            let (status, wait, text) = refused.answer();
            let mut response = password_page(status, theme, secret, text);
            wait_before_retry(&mut response, wait);
            return Ok(response);
        }
    };
    let turn = app.gate.enter_lane(Lane::Links).await?;
    let (found, _) = find(&app, &secret).await?.ok_or(PageError::NoLink)?;
    // Hashing takes long, and has places of its own.
    drop(turn);
    let stored = found.password.as_deref().ok_or(PageError::NoLink)?;
    if !app.hasher.matches(&typed.password, Some(stored)).await? {
        let text = "This is not the password.".to_owned();
        return Ok(password_page(StatusCode::UNAUTHORIZED, theme, secret, text));
    }
    app.attempts.password_proved(&link, from);
    let mut response = Redirect::to(&format!("/shared/{secret}")).into_response();
    response.headers_mut().insert(header::SET_COOKIE, pass_cookie(&app, &found, &secret));
    Ok(response)
}
