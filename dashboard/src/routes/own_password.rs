//! Asks for one's own password again, before a change that nobody should make in a browser that was left open.

use std::time::Duration;

use axum::{http::StatusCode, response::Response};
use sotto_store::account;

use super::sign_in::wait_before_retry;
use crate::{
    App,
    auth::{SignedIn, throttle::FromBlock},
    page::PageError,
};

const WRONG_PASSWORD: &str = "This is not your password.";

/// Why a password was rejected.
pub(super) struct RefusedPassword {
    /// Of the page that says so.
    pub(super) status: StatusCode,
    /// What to say.
    pub(super) text: String,
    retry_after: Option<Duration>,
}

impl RefusedPassword {
    /// The page that says so, with when to try again.
    pub(super) fn answer(self, mut page: Response) -> Response {
        if let Some(wait) = self.retry_after {
            wait_before_retry(&mut page, wait);
        }
        page
    }
}

/// Checks the password of the signed-in user; throttled like sign-in.
pub(super) async fn refused_password(
    app: &App,
    signed_in: &SignedIn,
    from: FromBlock,
    password: &str,
) -> Result<Option<RefusedPassword>, PageError> {
    let email = &signed_in.user.email;
    let _place = match app.attempts.begin(email, from) {
        Ok(place) => place,
        Err(refused) => {
            let (status, wait, text) = refused.answer();
            return Ok(Some(RefusedPassword { status, text, retry_after: Some(wait) }));
        }
    };
    let db = &app.settings.databases.writer;
    if account::authenticate(db, &app.hasher, email, password).await?.is_none() {
        let (status, text) = (StatusCode::UNPROCESSABLE_ENTITY, WRONG_PASSWORD.to_owned());
        return Ok(Some(RefusedPassword { status, text, retry_after: None }));
    }
    app.attempts.password_proved(email, from);
    Ok(None)
}
