//! Authenticates API requests: a signed-in browser, or a program with a token.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use sotto_schema::{day::Day, id::SiteId};
use sotto_store::account::{self, Role};

use super::{allowance::Told, refusal::Refusal};
use crate::{
    App,
    auth::{self, SignedIn},
    page::PageError,
    report::Detail,
};

/// Who sent the request: a signed-in browser, or a program with a token.
pub(crate) enum Reader {
    Person(SignedIn),
    Program(account::Bearer),
}

impl Reader {
    pub(super) fn may_read(&self, site: SiteId) -> bool {
        match self {
            Self::Person(signed_in) => signed_in.role(site).is_some(),
            Self::Program(bearer) => bearer.site.is_none() || bearer.site == site,
        }
    }

    /// How closely they may look at a site: viewers at groups. A token reads what the owner reads who made it.
    pub(super) fn detail(&self, site: SiteId) -> Detail {
        match self {
            Self::Person(signed_in) => signed_in.detail(site),
            Self::Program(_) => Detail::All,
        }
    }

    /// Who takes turns at reading reports: a person, or all programs that may read the same sites.
    pub(super) fn number(&self) -> u64 {
        match self {
            Self::Person(signed_in) => signed_in.user.id.0,
            Self::Program(bearer) => bearer.site.0,
        }
    }

    /// Whose questions are counted: those of a person, or of a token.
    pub(super) fn key(&self) -> (bool, u64) {
        match self {
            Self::Person(signed_in) => (true, signed_in.user.id.0),
            Self::Program(bearer) => (false, bearer.token.0),
        }
    }

    /// Whether they own all sites. Only an owner of the installation can make a token for all sites.
    pub(super) fn owns_all(&self) -> bool {
        match self {
            Self::Person(signed_in) => signed_in.role(SiteId::NONE) == Some(Role::Owner),
            Self::Program(bearer) => bearer.site.is_none(),
        }
    }
}

fn bearer_secret(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && secret.len() <= 200).then(|| secret.trim())
}

/// Notes the day on which a token was used, once a day.
async fn note_use(app: &App, bearer: &account::Bearer) -> Result<(), Refusal> {
    let today = Day::of(sotto_schema::clock::now().to_zoned(jiff::tz::TimeZone::UTC).date());
    if bearer.used == Some(today) || !app.tokens_used.is_first(bearer.token, today) {
        return Ok(());
    }
    let noted = account::note_token_use(&app.settings.databases.writer, bearer.token, today).await;
    Ok(noted.map_err(PageError::from)?)
}

impl FromRequestParts<Arc<App>> for Reader {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let reader = authenticate(parts, app).await?;
        if let Some(told) = parts.extensions.get::<Told>() {
            app.allowance.count(&reader.key(), told)?;
        }
        Ok(reader)
    }
}

async fn authenticate(parts: &Parts, app: &App) -> Result<Reader, Refusal> {
    let db = &app.settings.databases.writer;
    if parts.headers.contains_key(header::AUTHORIZATION) {
        let secret = bearer_secret(&parts.headers).ok_or(Refusal::UNAUTHORIZED)?;
        let bearer = account::bearer(db, secret).await.map_err(PageError::from)?;
        let bearer = bearer.ok_or(Refusal::UNAUTHORIZED)?;
        note_use(app, &bearer).await?;
        return Ok(Reader::Program(bearer));
    }
    let signed_in = auth::signed_in(app, &parts.headers).await?;
    signed_in.map(Reader::Person).ok_or(Refusal::UNAUTHORIZED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn token_is_read_from_a_bearer_header_only() {
        for (value, expected) in [
            ("Bearer sotto_abc", Some("sotto_abc")),
            ("bearer  sotto_abc ", Some("sotto_abc")),
            ("Basic abc", None),
            ("Bearer", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            assert_eq!(bearer_secret(&headers), expected, "{value}");
        }
    }

    #[test]
    fn token_for_one_site_reads_no_other() {
        let reader = Reader::Program(account::Bearer {
            token: sotto_schema::id::TokenId(1),
            site: SiteId(7),
            scope: account::Scope::Read,
            expires_ms: i64::MAX,
            used: None,
        });
        assert!(reader.may_read(SiteId(7)) && !reader.may_read(SiteId(8)) && !reader.owns_all());
    }
}
