//! One's own account: password, browsers that are signed in, two-step sign-in, and tokens of the API.

use std::sync::Arc;

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use sotto_schema::id::{SiteId, TokenId};
use sotto_store::{
    account::{
        self, AccountError, NewToken, PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN, Role, Scope,
        TOKEN_NAME_CHARS_MAX, Token, secret_hash, two_step,
    },
    audit::{self, Action},
};

use super::{dates, own_password::refused_password};
use crate::{
    App,
    auth::{self, ALL_SITES, SignedIn, throttle::FromBlock},
    page::{PageError, Shell, Theme, html_with},
};

/// A browser that is signed in.
struct SessionRow {
    id: String,
    began: String,
    seen: String,
    is_this: bool,
}

struct TokenRow {
    id: String,
    name: String,
    place: String,
    scope: &'static str,
    made: String,
    ends: Option<String>,
    used: Option<String>,
    /// By whom, unless it was this reader.
    maker: String,
}

/// A site for which a token can be made.
struct SiteChoice {
    key: String,
    name: String,
}

/// A token that was made a moment ago.
struct Issued {
    name: String,
    secret: String,
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    shell: Shell,
    email: String,
    two_step: bool,
    sessions: Vec<SessionRow>,
    tokens: Vec<TokenRow>,
    /// Where tokens can be made; empty for those who own nothing.
    places: Vec<SiteChoice>,
    said: Said,
    password_min: usize,
    password_max: usize,
    token_name_max: usize,
}

/// What a form led to.
#[derive(Default)]
struct Said {
    done: &'static str,
    password_error: String,
    token_error: String,
    issued: Option<Issued>,
}

/// Query parameters of the page.
#[derive(Deserialize)]
pub(super) struct Notice {
    done: Option<String>,
}

impl Notice {
    fn text(&self) -> &'static str {
        match self.done.as_deref() {
            Some("password") => "Your password is changed. Your other browsers are signed out.",
            Some("session") => "That browser is signed out.",
            Some("sessions") => "Your other browsers are signed out.",
            Some("token") => "The token is removed. It is refused from now on.",
            Some(_) | None => "",
        }
    }
}

#[derive(Deserialize)]
pub(super) struct PasswordForm {
    present: String,
    new: String,
}

/// Which session to end: its number, or all others.
#[derive(Deserialize)]
pub(super) struct EndForm {
    id: String,
}

const OTHERS: &str = "others";

#[derive(Deserialize)]
pub(super) struct TokenForm {
    name: String,
    site: String,
    scope: String,
    /// For how many days; empty: without an end.
    #[serde(default)]
    days: String,
}

/// The token to be removed.
#[derive(Deserialize)]
pub(super) struct RemoveForm {
    id: String,
}

/// Whether somebody may see and remove a token: they made it, or they own what it reads.
fn may_remove(signed_in: &SignedIn, token: &Token) -> bool {
    token.user == signed_in.user.id || signed_in.role(token.site) == Some(Role::Owner)
}

async fn token_rows(app: &App, signed_in: &SignedIn) -> Result<Vec<TokenRow>, PageError> {
    let db = &app.settings.databases.writer;
    let mut tokens = account::tokens(db).await?;
    tokens.retain(|token| may_remove(signed_in, token));
    if tokens.is_empty() {
        return Ok(Vec::new());
    }
    let (users, sites) = (account::users(db).await?, signed_in.sites());
    let row = |token: Token| TokenRow {
        id: token.id.to_string(),
        place: match sites.iter().find(|s| s.id == token.site) {
            Some(site) => site.name.clone(),
            None if token.site.is_some() => "a removed site".to_owned(),
            None => "all sites".to_owned(),
        },
        name: token.name,
        scope: match token.scope {
            Scope::Read => "reads reports",
            Scope::Write => "reads reports and sends hits",
            Scope::Manage => "reads reports, sends hits and changes sites, goals and links",
        },
        made: dates::day(token.created_ms),
        ends: token.expires_ms.map(dates::day),
        used: token.used.map(|day| day.date().strftime("%-d %b %Y").to_string()),
        maker: match users.iter().find(|user| user.id == token.user) {
            Some(user) if user.id == signed_in.user.id => String::new(),
            Some(user) => user.email.clone(),
            None => "on the command line".to_owned(),
        },
    };
    Ok(tokens.into_iter().map(row).collect())
}

async fn page(
    app: &App,
    theme: Theme,
    signed_in: &SignedIn,
    status: StatusCode,
    said: Said,
) -> Result<Response, PageError> {
    let db = &app.settings.databases.writer;
    let user = &signed_in.user;
    let this = secret_hash(signed_in.secret());
    let sessions = account::sessions(db, user.id).await?.into_iter().map(|session| SessionRow {
        id: blake3::Hash::from(session.id).to_string(),
        began: dates::minute(session.created_ms),
        seen: dates::day(session.extended_ms),
        is_this: session.id == this,
    });
    let mut sessions: Vec<SessionRow> = sessions.collect();
    sessions.sort_by_key(|session| !session.is_this);
    let all = signed_in
        .owns_all()
        .then(|| SiteChoice { key: ALL_SITES.to_owned(), name: "all sites, also later ones".to_owned() });
    let owned = signed_in.sites().into_iter().filter(|site| signed_in.role(site.id) == Some(Role::Owner));
    let places = all.into_iter().chain(owned.map(|site| SiteChoice { key: site.key, name: site.name }));
    let page = AccountPage {
        shell: Shell { who: Some(signed_in.who()), ..Shell::bare("Account", theme) },
        email: user.email.clone(),
        two_step: two_step::is_on(db, &user.email).await?,
        sessions,
        tokens: token_rows(app, signed_in).await?,
        places: places.collect(),
        said,
        password_min: PASSWORD_CHARS_MIN,
        password_max: PASSWORD_BYTES_MAX,
        token_name_max: TOKEN_NAME_CHARS_MAX,
    };
    Ok(html_with(status, &page))
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    signed_in: SignedIn,
    Query(notice): Query<Notice>,
) -> Result<Response, PageError> {
    let said = Said { done: notice.text(), ..Said::default() };
    page(&app, theme, &signed_in, StatusCode::OK, said).await
}

fn done(what: &str) -> Response {
    Redirect::to(&format!("/account?done={what}")).into_response()
}

pub(super) async fn change_password(
    State(app): State<Arc<App>>,
    theme: Theme,
    signed_in: SignedIn,
    from: FromBlock,
    Form(typed): Form<PasswordForm>,
) -> Result<Response, PageError> {
    let db = &app.settings.databases.writer;
    if let Some(refused) = refused_password(&app, &signed_in, from, &typed.present).await? {
        let said = Said { password_error: refused.text.clone(), ..Said::default() };
        let shown = page(&app, theme, &signed_in, refused.status, said).await?;
        return Ok(refused.answer(shown));
    }
    match account::set_password(db, &app.hasher, &signed_in.user.email, &typed.new).await {
        Ok(user) => {
            audit::append(db, user, Action::PasswordChange, SiteId::NONE, &format!("user {user}")).await?;
            // Every session has ended, also one of somebody who knew the old password; this browser gets a new one.
            let secret = account::begin(db, user).await?;
            let mut response = done("password");
            response.headers_mut().insert(header::SET_COOKIE, auth::set_cookie(&app, Some(&secret)));
            Ok(response)
        }
        Err(error @ AccountError::Password) => {
            let said = Said { password_error: format!("Please check: {error}."), ..Said::default() };
            page(&app, theme, &signed_in, StatusCode::UNPROCESSABLE_ENTITY, said).await
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn end_sessions(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Form(form): Form<EndForm>,
) -> Result<Response, PageError> {
    let db = &app.settings.databases.writer;
    let user = signed_in.user.id;
    let (what, detail) = if form.id == OTHERS {
        account::end_others(db, user, signed_in.secret()).await?;
        ("sessions", "all other browsers")
    } else {
        let id = blake3::Hash::from_hex(&form.id).map_err(|_| PageError::NotFound)?;
        if !account::end_one(db, user, id.into()).await? {
            return Err(PageError::NotFound);
        }
        ("session", "another browser")
    };
    audit::append(db, user, Action::SignOut, SiteId::NONE, detail).await?;
    Ok(done(what))
}

pub(super) async fn add_token(
    State(app): State<Arc<App>>,
    theme: Theme,
    signed_in: SignedIn,
    Form(form): Form<TokenForm>,
) -> Result<Response, PageError> {
    let db = &app.settings.databases.writer;
    let site = signed_in.owned(&form.site)?;
    let scope = Scope::from_name(&form.scope).ok_or(PageError::NotFound)?;
    // What is no number is as many days as nobody may ask for.
    let days = (!form.days.is_empty()).then(|| form.days.parse().unwrap_or(0));
    let asked = NewToken { name: &form.name, site, scope, days };
    match account::issue(db, signed_in.user.id, asked).await {
        Ok(issued) => {
            let token = issued.token;
            let detail = format!("token {}, {}: {}", token.id, token.scope.name(), token.name);
            audit::append(db, signed_in.user.id, Action::TokenAdd, site, &detail).await?;
            (app.settings.sites_changed)();
            let issued = Some(Issued { name: token.name, secret: issued.secret });
            page(&app, theme, &signed_in, StatusCode::OK, Said { issued, ..Said::default() }).await
        }
        Err(error @ (AccountError::TokenName | AccountError::TokenDays | AccountError::TooMany(_))) => {
            let said = Said { token_error: format!("Please check: {error}."), ..Said::default() };
            page(&app, theme, &signed_in, StatusCode::UNPROCESSABLE_ENTITY, said).await
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn remove_token(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Form(form): Form<RemoveForm>,
) -> Result<Response, PageError> {
    let db = &app.settings.databases.writer;
    let id = form.id.parse().map(TokenId).map_err(|_| PageError::NotFound)?;
    let tokens = account::tokens(db).await?;
    let token = tokens.iter().find(|t| t.id == id && may_remove(&signed_in, t)).ok_or(PageError::NotFound)?;
    account::remove_token(db, id).await?;
    let detail = format!("token {id}");
    audit::append(db, signed_in.user.id, Action::TokenRemove, token.site, &detail).await?;
    (app.settings.sites_changed)();
    Ok(done("token"))
}
