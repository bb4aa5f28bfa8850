//! What all pages share: the shell around them, and the error pages.

use askama::Template;
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{Html, IntoResponse, Redirect, Response},
};
use sotto_store::account::AccountError;
use sotto_store::error_code::ErrorCode;
use sotto_store::{annotation::AnnotationError, goal::GoalError, hook::HookError};

use crate::{assets, gate::Busy, report::ReportError};

/// Light, dark, or following the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Theme {
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    /// The theme of that name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::System, Self::Light, Self::Dark].into_iter().find(|theme| theme.name() == name)
    }

    /// The value of `data-theme`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    fn of(headers: &HeaderMap) -> Self {
        match cookie(headers, "theme") {
            Some("light") => Self::Light,
            Some("dark") => Self::Dark,
            _ => Self::System,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Theme {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.headers))
    }
}

/// The value of a cookie.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// The hosts whose pages may show an answer in a frame; an answer without it is shown in none.
#[derive(Clone)]
pub(crate) struct Embedders(pub(crate) Vec<String>);

/// An answer with a form under an address that is a secret.
#[derive(Clone)]
pub(crate) struct SecretForm;

/// A letter, shown as it is sent: with the styles and pictures that it holds, in a frame of our own pages.
#[derive(Clone)]
pub(crate) struct LetterInside;

/// A page that shows a letter in a frame.
#[derive(Clone)]
pub(crate) struct ShowsLetter;

/// The frame of a page.
pub(crate) struct Shell {
    pub(crate) title: String,
    pub(crate) theme: Theme,
    /// Who is signed in.
    pub(crate) who: Option<Who>,
    /// Sites to switch between; empty on pages without a switcher.
    pub(crate) sites: Vec<SiteLink>,
}

/// Who is signed in, as the frame shows them.
pub(crate) struct Who {
    /// Name, or e-mail address if there is none.
    pub(crate) name: String,
    /// Whether they own a site, so that they manage its people.
    pub(crate) manages: bool,
}

/// A site in the switcher.
pub(crate) struct SiteLink {
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) current: bool,
}

impl Shell {
    /// For pages before sign-in.
    pub(crate) fn bare(title: &str, theme: Theme) -> Self {
        Self { title: title.to_owned(), theme, who: None, sites: Vec::new() }
    }

    pub(crate) fn current_site(&self) -> Option<&SiteLink> {
        self.sites.iter().find(|s| s.current)
    }

    pub(crate) fn css(&self) -> &'static str {
        assets::APP_CSS
    }

    pub(crate) fn js(&self) -> &'static str {
        assets::APP_JS
    }

    pub(crate) fn icon(&self) -> &'static str {
        assets::FAVICON_SVG
    }
}

/// Renders a template.
pub(crate) fn html(template: &impl Template) -> Response {
    html_with(StatusCode::OK, template)
}

/// Renders a template with a status.
pub(crate) fn html_with(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Why a page cannot be shown.
#[derive(Debug)]
pub(crate) enum PageError {
    /// The page does not exist, or the reader may not see it.
    NotFound,
    /// There is no such shared link: there never was, it was withdrawn, or it has expired.
    NoLink,
    /// The role does not allow it.
    Forbidden,
    /// A form was sent from somewhere else.
    ForeignForm,
    /// Sign-in is required; the path to return to.
    SignIn(String),
    /// Too many reports run or wait.
    Busy,
    /// ClickHouse cannot be reached.
    Away,
    /// An internal error.
    Broken,
}

impl From<Busy> for PageError {
    fn from(Busy: Busy) -> Self {
        Self::Busy
    }
}

impl From<clickhouse::error::Error> for PageError {
    fn from(error: clickhouse::error::Error) -> Self {
        use clickhouse::error::Error;
        if matches!(error, Error::Network(_) | Error::TimedOut) {
            tracing::warn!("ClickHouse cannot be reached for a page");
            return Self::Away;
        }
        if ErrorCode::of(&error).is_some_and(|code| ErrorCode::BUSY.contains(&code)) {
            tracing::warn!(code = %ErrorCode::of(&error).unwrap_or(ErrorCode::MEMORY_LIMIT), "ClickHouse has no room for a report");
            return Self::Busy;
        }
        // The text begins with ClickHouse's code and says which part of a query it did not like.
        let text: String = error.to_string().chars().take(300).collect();
        tracing::error!(error = text, "ClickHouse refused a query of a page");
        Self::Broken
    }
}

impl From<GoalError> for PageError {
    fn from(error: GoalError) -> Self {
        if let GoalError::Database(error) = error {
            return error.into();
        }
        tracing::error!(error = &error as &dyn std::error::Error, "goals cannot be read or changed");
        Self::Broken
    }
}

impl From<HookError> for PageError {
    fn from(error: HookError) -> Self {
        if let HookError::Database(error) = error {
            return error.into();
        }
        tracing::error!(error = &error as &dyn std::error::Error, "webhooks cannot be changed");
        Self::Broken
    }
}

impl From<AnnotationError> for PageError {
    fn from(error: AnnotationError) -> Self {
        if let AnnotationError::Database(error) = error {
            return error.into();
        }
        tracing::error!(error = &error as &dyn std::error::Error, "annotations cannot be changed");
        Self::Broken
    }
}

impl From<AccountError> for PageError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Database(error) => error.into(),
            AccountError::Email
            | AccountError::EmailTaken
            | AccountError::Password
            | AccountError::TokenName
            | AccountError::TokenDays
            | AccountError::UserName
            | AccountError::TooMany(_)
            | AccountError::NoUser
            | AccountError::LastOwner
            | AccountError::Randomness(_)
            | AccountError::Hashing => {
                tracing::error!(%error, "an account could not be read or changed");
                Self::Broken
            }
        }
    }
}

impl From<ReportError> for PageError {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Database(error) => error.into(),
            ReportError::Goals(error) => error.into(),
            ReportError::Metric(_)
            | ReportError::Dimension(_)
            | ReportError::Filter(_)
            | ReportError::Range(_)
            | ReportError::Source(_)
            | ReportError::Limit(_)
            | ReportError::Page => Self::NotFound,
        }
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    shell: Shell,
    code: u16,
    heading: &'static str,
    text: &'static str,
    retry: bool,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let (status, heading, text) = match self {
            Self::SignIn(next) => {
                let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
                return Redirect::to(&format!("/sign-in?next={next}")).into_response();
            }
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "There is nothing here",
                "The address may be mistyped, or it belongs to a site you have not been given access to.",
            ),
            Self::NoLink => (
                StatusCode::NOT_FOUND,
                "This link shows nothing",
                "It may be mistyped, have expired, or have been withdrawn. Ask whoever gave it to you for another.",
            ),
            Self::Forbidden => (
                StatusCode::FORBIDDEN,
                "This needs another role",
                "You may look at this, but not change it. Ask an owner of this installation.",
            ),
            Self::ForeignForm => (
                StatusCode::FORBIDDEN,
                "This form came from somewhere else",
                "To protect your account, Sotto accepts changes only from its own pages. Go back, reload the page, and try again.",
            ),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "This is taking long",
                "Many reports are being read at the moment, and this one has waited its time. It tries again by itself; a shorter period or fewer filters are quicker.",
            ),
            Self::Away => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The database is away for a moment",
                "Reports cannot be read right now. Visits are still being collected and none are lost. This page tries again by itself.",
            ),
            Self::Broken => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something went wrong",
                "The server's log says what. Your data is safe, and visits are still being collected.",
            ),
        };
        let page = ErrorPage {
            shell: Shell::bare(heading, Theme::System),
            code: status.as_u16(),
            heading,
            text,
            retry: status == StatusCode::SERVICE_UNAVAILABLE,
        };
        html_with(status, &page)
    }
}

pub(crate) async fn not_found() -> PageError {
    PageError::NotFound
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("xtheme=a; theme=dark; theme2=b"));
        assert_eq!(cookie(&headers, "theme"), Some("dark"));
        assert_eq!(cookie(&headers, "them"), None);
    }
}
