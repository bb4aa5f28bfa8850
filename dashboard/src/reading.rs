//! Who reads the reports of a site: a member, whoever has a shared link, or anybody where the site is public.
//!
//! The pages of reports are the same for all of them; what differs is here. Promises: whoever is no member sees groups, as
//! viewers do, and of one site only; what a link lays down ([`Reading::fixed`]) is part of every question, whatever the
//! address says; a link that was withdrawn, has expired, never was, or whose site was removed gets one answer
//! ([`PageError::NoLink`]). Outsiders wait for their turn before the database is asked anything
//! ([`crate::gate::Lane`]), so that no number of them takes the turns of members.
//!
//! Proof: `tests/suite/sharing.rs`.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::{HeaderMap, HeaderValue, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use jiff::civil::Date;
use sotto_schema::{day::Day, id::UserId, site::Site};
use sotto_store::{
    account::{PASSWORD_BYTES_MAX, Role},
    sharing::{self, SharedLink, SharingError},
    sites,
};

use crate::{
    App,
    auth::{SignedIn, signed_in},
    filter::Filters,
    gate::{Lane, Turn},
    page::{Embedders, PageError, SecretForm, Shell, SiteLink, Theme, cookie, html_with},
    report::Detail,
    view::{Look, View},
};

/// Length of a link's secret: 32 bytes in hexadecimal.
const SECRET_CHARS: usize = 64;
/// How many days a password that was typed is remembered by the browser.
const PASS_DAYS: i64 = 7;
/// Purpose of the value that shows that a link's password was typed.
const PASS_CONTEXT: &str = "Sotto 2026-11 password of a shared link";

/// Somebody who reads the reports of a site, with their turn.
pub(crate) struct Reading {
    pub(crate) site: Site,
    /// Where the pages of the site are for them: `/s/KEY`, `/shared/SECRET` or `/public/KEY`.
    pub(crate) base: String,
    /// Filters that are part of every question.
    pub(crate) fixed: Filters,
    reader: Reader,
    _turn: Turn,
}

enum Reader {
    Member(Box<SignedIn>),
    Link(SharedLink),
    Anybody,
}

impl Reading {
    /// A member who reads a site.
    pub(crate) async fn of_member(app: &App, member: SignedIn, key: &str) -> Result<Self, PageError> {
        let (site, _) = member.site(key, Role::Viewer)?;
        let turn = app.gate.enter(member.user.id.0).await?;
        let (base, fixed) = (format!("/s/{key}"), Filters::default());
        Ok(Self { site, base, fixed, reader: Reader::Member(Box::new(member)), _turn: turn })
    }

    /// Whoever has the link with that secret.
    async fn of_link(app: &App, secret: &str, headers: &HeaderMap) -> Result<Self, Refused> {
        if secret.len() != SECRET_CHARS {
            return Err(PageError::NoLink.into());
        }
        let turn = app.gate.enter_lane(Lane::Links).await.map_err(PageError::from)?;
        let (link, site) = find(app, secret).await?.ok_or(PageError::NoLink)?;
        if link.password.is_some() && !has_pass(app, &link, headers) {
            return Err(Refused::Password(secret.to_owned()));
        }
        // Rather nothing than more than the link was made for.
        let fixed = Filters::fixed(&link.filters).ok_or(PageError::NoLink)?;
        note_use(app, &link).await?;
        let base = format!("/shared/{secret}");
        Ok(Self { site, base, fixed, reader: Reader::Link(link), _turn: turn })
    }

    /// Anybody, where the site is public.
    async fn of_public(app: &App, key: &str) -> Result<Self, PageError> {
        let turn = app.gate.enter_lane(Lane::Public).await?;
        let site = public_site(app, key).await?.ok_or(PageError::NotFound)?;
        let (base, fixed) = (format!("/public/{key}"), Filters::default());
        Ok(Self { site, base, fixed, reader: Reader::Anybody, _turn: turn })
    }

    /// What the address asks for. Only pages for others are shown in a frame.
    pub(crate) fn view(&self, query: &str, today: Date) -> View {
        let mut view = View::parse(query, today);
        if self.is_member() {
            view.look = Look::default();
        } else {
            // Props are told to members only: others cannot try their values either.
            view.filters = view.filters.without_props();
        }
        view
    }

    /// Whether they have an account and a role on the site.
    pub(crate) const fn is_member(&self) -> bool {
        matches!(self.reader, Reader::Member(_))
    }

    /// Their account, if they have one.
    pub(crate) const fn user(&self) -> Option<UserId> {
        match &self.reader {
            Reader::Member(member) => Some(member.user.id),
            Reader::Link(_) | Reader::Anybody => None,
        }
    }

    /// Their sign-in, and what signs links of it, if they have an account.
    pub(crate) const fn signs(&self) -> Option<([u8; 32], &[u8; 32])> {
        match &self.reader {
            Reader::Member(member) => Some(member.signs()),
            Reader::Link(_) | Reader::Anybody => None,
        }
    }

    /// Whether they may change the site.
    pub(crate) fn may_edit(&self) -> bool {
        match &self.reader {
            Reader::Member(member) => member.role(self.site.id) >= Some(Role::Editor),
            Reader::Link(_) | Reader::Anybody => false,
        }
    }

    /// How closely they may look.
    pub(crate) fn detail(&self) -> Detail {
        if self.may_edit() { Detail::All } else { Detail::Groups }
    }

    /// Whether they may see the goals.
    pub(crate) const fn sees_goals(&self) -> bool {
        match &self.reader {
            Reader::Member(_) => true,
            Reader::Link(link) => link.goals,
            Reader::Anybody => false,
        }
    }

    /// Whether they may see the report on consent. It has no filters, so it is not for links that lay some down.
    pub(crate) fn sees_consent(&self) -> bool {
        match &self.reader {
            Reader::Member(_) => true,
            Reader::Link(link) => link.consent && self.fixed.is_empty(),
            Reader::Anybody => false,
        }
    }

    /// The frame of a page, in the colours that the address asks for, else in those of the reader.
    pub(crate) fn shell(&self, title: String, theme: Theme, look: Look) -> Shell {
        let theme = look.theme.unwrap_or(theme);
        let Reader::Member(member) = &self.reader else { return Shell::bare(&title, theme) };
        let link = |site: &Site| SiteLink {
            key: site.key.clone(),
            name: site.name.clone(),
            current: site.id == self.site.id,
        };
        Shell { title, theme, who: Some(member.who()), sites: member.sites().iter().map(link).collect() }
    }

    /// A page for them, with who may embed it.
    pub(crate) fn answer(&self, mut response: Response) -> Response {
        if let Reader::Link(link) = &self.reader
            && !link.hosts.is_empty()
        {
            response.extensions_mut().insert(Embedders(link.hosts.clone()));
        }
        response
    }
}

/// What a page of reports is for its reader, for templates.
pub(crate) struct Place {
    pub(crate) key: String,
    pub(crate) member: bool,
    pub(crate) may_edit: bool,
    pub(crate) goals: bool,
    pub(crate) consent: bool,
    /// Whether it is shown without its frame, within another page.
    pub(crate) embed: bool,
}

impl Place {
    pub(crate) fn of(reading: &Reading, look: Look) -> Self {
        Self {
            key: reading.site.key.clone(),
            member: reading.is_member(),
            may_edit: reading.may_edit(),
            goals: reading.sees_goals(),
            consent: reading.sees_consent(),
            embed: look.embed,
        }
    }
}

/// Why somebody does not read.
pub(crate) enum Refused {
    Page(PageError),
    /// The link of that secret asks for its password.
    Password(String),
}

impl From<PageError> for Refused {
    fn from(error: PageError) -> Self {
        Self::Page(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Page(error) => error.into_response(),
            Self::Password(secret) => {
                password_page(StatusCode::UNAUTHORIZED, Theme::System, secret, String::new())
            }
        }
    }
}

impl FromRequestParts<Arc<App>> for Reading {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refused> {
        let named = RawPathParams::from_request_parts(parts, app).await.map_err(|_| PageError::NotFound)?;
        let value = |name| named.iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_owned());
        if let Some(secret) = value("secret") {
            return Self::of_link(app, &secret, &parts.headers).await;
        }
        if let Some(key) = value("public") {
            return Ok(Self::of_public(app, &key).await?);
        }
        let key = value("key").ok_or(PageError::NotFound)?;
        let path = parts.uri.path_and_query().map_or("/", |p| p.as_str());
        let member = signed_in(app, &parts.headers).await?;
        let member = member.ok_or_else(|| PageError::SignIn(path.to_owned()))?;
        Ok(Self::of_member(app, member, &key).await?)
    }
}

/// The link of a secret and its site, which is there.
pub(crate) async fn find(app: &App, secret: &str) -> Result<Option<(SharedLink, Site)>, PageError> {
    if secret.len() != SECRET_CHARS {
        return Ok(None);
    }
    let link = sharing::link(&app.settings.databases.writer, secret).await.map_err(of_sharing)?;
    let Some(link) = link else { return Ok(None) };
    let all = sites::all(&app.settings.databases.reader).await?;
    Ok(all.into_iter().find(|site| site.id == link.site).map(|site| (link, site)))
}

/// The site with that key, if anybody may read its reports.
pub(crate) async fn public_site(app: &App, key: &str) -> Result<Option<Site>, PageError> {
    let all = sites::all(&app.settings.databases.reader).await?;
    let Some(site) = all.into_iter().find(|site| site.key == key) else { return Ok(None) };
    let public = sharing::public_sites(&app.settings.databases.writer).await?;
    Ok(public.contains(&site.id).then_some(site))
}

/// A failure that is nobody's mistake on a page.
pub(crate) fn of_sharing(error: SharingError) -> PageError {
    match error {
        SharingError::Database(error) => error.into(),
        SharingError::Account(error) => error.into(),
        SharingError::Name
        | SharingError::Days
        | SharingError::Filters
        | SharingError::Host(_)
        | SharingError::Hosts
        | SharingError::Embedded
        | SharingError::Consent
        | SharingError::TooMany => {
            tracing::error!(%error, "a shared link could not be read or changed");
            PageError::Broken
        }
    }
}

/// Notes the day on which a link was used, once a day.
async fn note_use(app: &App, link: &SharedLink) -> Result<(), PageError> {
    let today = Day::of(sotto_schema::clock::now().to_zoned(jiff::tz::TimeZone::UTC).date());
    if link.used == Some(today) || !app.used.is_first(link.id, today) {
        return Ok(());
    }
    sharing::note_use(&app.settings.databases.writer, link.id, today).await.map_err(of_sharing)
}

/// Links or tokens that were used lately, so that each is noted once a day.
#[derive(Default)]
pub(crate) struct Used<Id>(std::sync::Mutex<(u16, std::collections::HashSet<Id>)>);

impl<Id: Eq + std::hash::Hash> Used<Id> {
    pub(crate) fn is_first(&self, link: Id, today: Day) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if noted.0 != today.0 {
            *noted = (today.0, std::collections::HashSet::new());
        }
        noted.1.insert(link)
    }
}

/// The cookie that shows that a link's password was typed. It is for the link's own paths.
const fn pass_name(secure: bool) -> &'static str {
    if secure { "__Secure-sotto-link" } else { "sotto-link" }
}

/// What the cookie holds until a moment (seconds since 1970-01-01 UTC): nobody makes it without the hash of the password,
/// and it is worth nothing for another link or another password.
fn pass(link: &SharedLink, until: i64) -> String {
    let key = blake3::derive_key(PASS_CONTEXT, link.password.as_deref().unwrap_or_default().as_bytes());
    let text = [&link.id[..], &until.to_be_bytes()].concat();
    format!("{until}.{}", blake3::keyed_hash(&key, &text).to_hex())
}

fn now() -> i64 {
    sotto_schema::clock::now().as_second()
}

/// Whether the password of a link was typed in this browser.
fn has_pass(app: &App, link: &SharedLink, headers: &HeaderMap) -> bool {
    let Some(shown) = cookie(headers, pass_name(app.settings.secure_cookies)) else { return false };
    let until = shown.split('.').next().and_then(|until| until.parse::<i64>().ok());
    let Some(until) = until.filter(|until| (now()..=now() + PASS_DAYS * 86_400).contains(until)) else {
        return false;
    };
    // As hashes, they are compared in the same time wherever they differ.
    blake3::hash(shown.as_bytes()) == blake3::hash(pass(link, until).as_bytes())
}

/// The header that remembers that the password of a link was typed.
pub(crate) fn pass_cookie(app: &App, link: &SharedLink, secret: &str) -> HeaderValue {
    let secure = app.settings.secure_cookies;
    let age = PASS_DAYS * 86_400;
    let text = format!(
        "{}={}; Path=/shared/{secret}; Max-Age={age}; HttpOnly; SameSite=Lax{}",
        pass_name(secure),
        pass(link, now() + age),
        if secure { "; Secure" } else { "" }
    );
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[derive(Template)]
#[template(path = "shared_password.html")]
struct PasswordPage {
    shell: Shell,
    secret: String,
    error: String,
    password_max: usize,
}

/// The form for a link's password. It does not say whose reports the link shows.
pub(crate) fn password_page(status: StatusCode, theme: Theme, secret: String, error: String) -> Response {
    let shell = Shell::bare("Shared reports", theme);
    let page = PasswordPage { shell, secret, error, password_max: PASSWORD_BYTES_MAX };
    let mut response = html_with(status, &page);
    response.extensions_mut().insert(SecretForm);
    response
}
