//! Two-step sign-in for one's own account: switching it on and off.
//!
//! The form carries the new secret, encrypted; it is stored once a code proves that an app has it.

use std::sync::Arc;

use askama::Template;
use axum::{
    Form,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use qrcode::{Color, QrCode};
use serde::Deserialize;
use sotto_schema::id::SiteId;
use sotto_store::{
    account::{
        self,
        two_step::{self, Enrolment, RECOVERY_CODES, TwoStepError},
    },
    audit::{self, Action},
};

use super::own_password::refused_password;
use crate::{
    App,
    auth::{self, SignedIn, throttle::FromBlock},
    page::{PageError, Shell, Theme, html_with},
};

/// Light modules around a QR code (ISO/IEC 18004, 9.1).
const QUIET_ZONE: usize = 4;

#[derive(Template)]
#[template(path = "two_step.html")]
struct TwoStepPage {
    shell: Shell,
    error: String,
    state: Shown,
}

/// What the page is about.
enum Shown {
    /// It can be switched on with this secret.
    Off(Setup),
    /// It is on.
    On,
    /// It was switched on a moment ago: the recovery codes, this once.
    Codes(Vec<String>),
    /// It cannot be switched on here.
    Impossible,
}

struct Setup {
    sealed: String,
    /// In groups of four, for typing.
    base32: Vec<String>,
    url: String,
    code: Option<Qr>,
}

/// A QR code as a path of squares.
struct Qr {
    size: usize,
    path: String,
}

impl Qr {
    fn of(text: &str) -> Option<Self> {
        let code = QrCode::new(text.as_bytes()).ok()?;
        let width = code.width();
        let dark = code.to_colors().into_iter().enumerate().filter(|(_, color)| *color == Color::Dark);
        let path = dark
            .map(|(at, _)| format!("M{} {}h1v1h-1z", at % width + QUIET_ZONE, at / width + QUIET_ZONE))
            .collect();
        Some(Self { size: width + 2 * QUIET_ZONE, path })
    }
}

impl From<Enrolment> for Setup {
    fn from(enrolment: Enrolment) -> Self {
        let letters: Vec<char> = enrolment.base32.chars().collect();
        let base32 = letters.chunks(4).map(|group| group.iter().collect()).collect();
        let code = Qr::of(&enrolment.url);
        Self { sealed: enrolment.sealed, base32, url: enrolment.url, code }
    }
}

#[derive(Deserialize)]
pub(super) struct OnForm {
    sealed: String,
    password: String,
    code: String,
}

#[derive(Deserialize)]
pub(super) struct OffForm {
    password: String,
}

fn page(status: StatusCode, theme: Theme, signed_in: &SignedIn, error: String, state: Shown) -> Response {
    let shell = Shell { who: Some(signed_in.who()), ..Shell::bare("Two-step sign-in", theme) };
    html_with(status, &TwoStepPage { shell, error, state })
}

/// The page's state on opening: with a new secret if it is off.
async fn present(app: &App, signed_in: &SignedIn) -> Result<Shown, PageError> {
    if two_step::is_on(&app.settings.databases.writer, &signed_in.user.email).await? {
        return Ok(Shown::On);
    }
    match two_step::enrol(app.settings.account_key.as_ref(), &signed_in.user) {
        Ok(enrolment) => Ok(Shown::Off(enrolment.into())),
        Err(TwoStepError::Account(error)) => Err(error.into()),
        Err(error) => {
            tracing::error!(%error, "two-step sign-in cannot be switched on");
            Ok(Shown::Impossible)
        }
    }
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    signed_in: SignedIn,
) -> Result<Response, PageError> {
    let state = present(&app, &signed_in).await?;
    Ok(page(StatusCode::OK, theme, &signed_in, String::new(), state))
}

pub(super) async fn switch_on(
    State(app): State<Arc<App>>,
    theme: Theme,
    signed_in: SignedIn,
    from: FromBlock,
    Form(typed): Form<OnForm>,
) -> Result<Response, PageError> {
    let (db, key) = (&app.settings.databases.writer, app.settings.account_key.as_ref());
    let user = &signed_in.user;
    if let Some(refused) = refused_password(&app, &signed_in, from, &typed.password).await? {
        let state = same_secret(&app, &signed_in, &typed.sealed).await?;
        let shown = page(refused.status, theme, &signed_in, refused.text.clone(), state);
        return Ok(refused.answer(shown));
    }
    match two_step::switch_on(db, key, user, &typed.sealed, &typed.code).await {
        Ok(codes) => {
            audit::append(db, user.id, Action::TwoStepOn, SiteId::NONE, "").await?;
            // Switching on ended every session, including one of somebody who only had the password; this browser gets a new one.
            let secret = account::begin(db, user.id).await?;
            let mut response = page(StatusCode::OK, theme, &signed_in, String::new(), Shown::Codes(codes));
            response.headers_mut().insert(header::SET_COOKIE, auth::set_cookie(&app, Some(&secret)));
            Ok(response)
        }
        Err(TwoStepError::Account(error)) => Err(error.into()),
        Err(error) => {
            let state = same_secret(&app, &signed_in, &typed.sealed).await?;
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, theme, &signed_in, error.to_string(), state))
        }
    }
}

/// The page's state with the same secret again, which the app already has.
async fn same_secret(app: &App, signed_in: &SignedIn, sealed: &str) -> Result<Shown, PageError> {
    if two_step::is_on(&app.settings.databases.writer, &signed_in.user.email).await? {
        return Ok(Shown::On);
    }
    match two_step::enrol_again(app.settings.account_key.as_ref(), &signed_in.user, sealed) {
        Ok(enrolment) => Ok(Shown::Off(enrolment.into())),
        Err(_) => present(app, signed_in).await,
    }
}

pub(super) async fn switch_off(
    State(app): State<Arc<App>>,
    theme: Theme,
    signed_in: SignedIn,
    from: FromBlock,
    Form(typed): Form<OffForm>,
) -> Result<Response, PageError> {
    if let Some(refused) = refused_password(&app, &signed_in, from, &typed.password).await? {
        let state = present(&app, &signed_in).await?;
        let shown = page(refused.status, theme, &signed_in, refused.text.clone(), state);
        return Ok(refused.answer(shown));
    }
    let db = &app.settings.databases.writer;
    if two_step::switch_off(db, &signed_in.user.email).await?.is_some() {
        audit::append(db, signed_in.user.id, Action::TwoStepOff, SiteId::NONE, "").await?;
    }
    Ok(Redirect::to("/account/two-step").into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qr_code_has_its_quiet_zone_and_a_corner() {
        let qr = Qr::of("otpauth://totp/Sotto:ann%40example.org?secret=A&issuer=Sotto").unwrap();
        assert!(qr.path.starts_with("M4 4h1v1h-1zM5 4"), "{}", &qr.path[..40]);
        assert!(qr.size >= 21 + 8 && (qr.size - 8 - 21).is_multiple_of(4), "{}", qr.size);
        assert!(qr.path.bytes().all(|b| b.is_ascii_digit() || b"Mhvz -".contains(&b)));
    }

    #[test]
    fn longest_address_still_gets_a_qr_code() {
        let url =
            format!("otpauth://totp/Sotto:{}?secret={}&issuer=Sotto", "%40".repeat(254), "A".repeat(32));
        assert!(Qr::of(&url).is_some());
    }
}
