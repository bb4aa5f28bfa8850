//! Authentication and authorisation. A signed-in browser has a cookie with a random value; a program has a token.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, request::Parts},
};
use sotto_schema::{id::SiteId, site::Site};
use sotto_store::{
    account::{self, AccountError, Member, Role, SIGN_IN_DAYS, SignIn, User, role_of},
    db::Databases,
    sites,
};

use crate::{
    App,
    page::{PageError, Who, cookie},
    report::Detail,
};

pub(crate) mod throttle;

/// What forms send in place of a site's key for all sites. Keys are longer.
pub(crate) const ALL_SITES: &str = "all";

/// Somebody who is signed in.
pub(crate) struct SignedIn {
    pub(crate) user: User,
    /// The cookie's value; empty where a signed link takes its place.
    secret: String,
    /// The hash of the cookie's value.
    id: [u8; 32],
    /// Signs links of this browser.
    link_key: [u8; 32],
    roles: Vec<Member>,
    /// All sites, by name.
    sites: Vec<Site>,
}

impl SignedIn {
    /// What they may do on a site (0: on all sites).
    pub(crate) fn role(&self, site: SiteId) -> Option<Role> {
        role_of(&self.roles, site)
    }

    /// How closely they may look at the reports of a site.
    pub(crate) fn detail(&self, site: SiteId) -> Detail {
        if self.role(site) >= Some(Role::Editor) { Detail::All } else { Detail::Groups }
    }

    /// The sites they may see, by name.
    pub(crate) fn sites(&self) -> Vec<Site> {
        self.sites.iter().filter(|s| self.role(s.id).is_some()).cloned().collect()
    }

    /// The site with that key, if they have at least `role` on it. Sites they may not see are reported as not found.
    pub(crate) fn site(&self, key: &str, role: Role) -> Result<(Site, Vec<Site>), PageError> {
        let sites = self.sites();
        let site = sites.iter().find(|s| s.key == key).cloned().ok_or(PageError::NotFound)?;
        if self.role(site.id) < Some(role) {
            return Err(PageError::Forbidden);
        }
        Ok((site, sites))
    }

    /// The cookie's value of this browser.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// The hash of the cookie's value, and what signs links of this browser.
    pub(crate) const fn signs(&self) -> ([u8; 32], &[u8; 32]) {
        (self.id, &self.link_key)
    }

    /// The site with that key, or all sites for [`ALL_SITES`], if they own it.
    pub(crate) fn owned(&self, key: &str) -> Result<SiteId, PageError> {
        if key != ALL_SITES {
            return self.site(key, Role::Owner).map(|(site, _)| site.id);
        }
        if self.owns_all() { Ok(SiteId::NONE) } else { Err(PageError::Forbidden) }
    }

    /// Whether they own all of these sites (0: the installation).
    pub(crate) fn may_invite(&self, sites: &[SiteId]) -> bool {
        account::may_invite(&self.roles, sites)
    }

    /// Whether they own the installation.
    pub(crate) fn owns_all(&self) -> bool {
        self.role(SiteId::NONE) == Some(Role::Owner)
    }

    /// Whether they own a site, or the installation.
    pub(crate) fn owns_any(&self) -> bool {
        self.owns_all() || self.sites.iter().any(|s| self.role(s.id) == Some(Role::Owner))
    }

    /// How the frame of a page shows them.
    pub(crate) fn who(&self) -> Who {
        let name = if self.user.name.is_empty() { &self.user.email } else { &self.user.name };
        Who { name: name.clone(), manages: self.owns_any() }
    }
}

/// The cookie's name. The `__Host-` prefix stops other hosts from setting it, but needs HTTPS.
const fn cookie_name(secure: bool) -> &'static str {
    if secure { "__Host-sotto" } else { "sotto" }
}

/// The sign-in cookie of a request.
pub(crate) fn sign_in_cookie(app: &App, headers: &HeaderMap) -> Option<String> {
    let value = cookie(headers, cookie_name(app.settings.secure_cookies))?;
    (value.len() == 64).then(|| value.to_owned())
}

/// The header that sets (`Some`) or clears (`None`) the sign-in cookie.
pub(crate) fn set_cookie(app: &App, value: Option<&str>) -> HeaderValue {
    let secure = app.settings.secure_cookies;
    let age = if value.is_some() { SIGN_IN_DAYS * 86_400 } else { 0 };
    let text = format!(
        "{}={}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{}",
        cookie_name(secure),
        value.unwrap_or(""),
        if secure { "; Secure" } else { "" }
    );
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Who sent a request, if its cookie is valid.
pub(crate) async fn signed_in(app: &App, headers: &HeaderMap) -> Result<Option<SignedIn>, PageError> {
    let Some(secret) = sign_in_cookie(app, headers) else { return Ok(None) };
    let id = account::secret_hash(&secret);
    find(app, account::resume(&app.settings.databases.writer, &secret), id, secret.clone()).await
}

/// Who signed a link, if they are still signed in.
pub(crate) async fn signed_in_by_id(app: &App, id: [u8; 32]) -> Result<Option<SignedIn>, PageError> {
    find(app, account::signed_in(&app.settings.databases.writer, id), id, String::new()).await
}

async fn find(
    app: &App,
    sign_in: impl Future<Output = Result<Option<SignIn>, AccountError>>,
    id: [u8; 32],
    secret: String,
) -> Result<Option<SignedIn>, PageError> {
    let Databases { writer, reader } = &app.settings.databases;
    // At once: every page needs all three.
    let (sign_in, roles, sites) = tokio::try_join!(
        async { Ok(sign_in.await?) },
        async { Ok(account::roles_of_sign_in(writer, id).await?) },
        async { Ok::<_, PageError>(sites::all(reader).await?) },
    )?;
    Ok(sign_in.map(|SignIn { user, id, link_key, .. }| SignedIn { user, secret, id, link_key, roles, sites }))
}

impl FromRequestParts<Arc<App>> for SignedIn {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Self::Rejection> {
        let path = parts.uri.path_and_query().map_or("/", |p| p.as_str());
        signed_in(app, &parts.headers).await?.ok_or_else(|| PageError::SignIn(path.to_owned()))
    }
}

/// Rejects everybody but owners of the installation.
pub(crate) struct Owner(pub(crate) SignedIn);

impl FromRequestParts<Arc<App>> for Owner {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Self::Rejection> {
        let signed_in = SignedIn::from_request_parts(parts, app).await?;
        if signed_in.owns_all() { Ok(Self(signed_in)) } else { Err(PageError::Forbidden) }
    }
}

/// Rejects everybody who owns no site.
pub(crate) struct Manager(pub(crate) SignedIn);

impl FromRequestParts<Arc<App>> for Manager {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Self::Rejection> {
        let signed_in = SignedIn::from_request_parts(parts, app).await?;
        if signed_in.owns_any() { Ok(Self(signed_in)) } else { Err(PageError::Forbidden) }
    }
}
