//! The dashboard: server-rendered reports, a JSON API on the same queries, and sign-in.
//!
//! Guarantees: every page works without JavaScript and keeps its state in its URL; nobody sees a site without a
//! role on it; a change needs a request from our own pages. Refuses, with the same "not found", sites that do not
//! exist and sites one may not see. When ClickHouse is away, pages say so and ask to be tried again.

use std::sync::Arc;

use axum::{Router, middleware};
use sotto_store::{
    account::{AccountKey, Hasher},
    db::Databases,
};
use tokio_util::sync::CancellationToken;

pub mod api;
mod assets;
mod auth;
mod chart;
mod compress;
mod devices;
mod figures;
pub mod filter;
mod gate;
mod guard;
pub mod hook;
mod labels;
mod languages;
pub mod mail;
mod page;
mod places;
pub mod range;
mod reading;
pub mod report;
mod routes;
#[cfg(test)]
mod tests;
mod view;

use report::Reports;

/// Configuration of the dashboard.
#[derive(Clone)]
pub struct Settings {
    /// The connections to ClickHouse.
    pub databases: Databases,
    /// Base URL of the collector for visitors' browsers, without a trailing slash; printed in snippets.
    pub public_url: String,
    /// Called after a site was added or changed, so that the collector reloads its rules.
    pub sites_changed: Arc<dyn Fn() + Send + Sync>,
    /// Hash ([`sotto_store::account::secret_hash`]) of the one-time set-up link's token. The link is valid until
    /// somebody owns the installation.
    pub setup_token: Option<[u8; 32]>,
    /// Encrypts the secrets of two-step sign-in. Without it, users with two-step sign-in cannot sign in.
    pub account_key: Option<AccountKey>,
    /// Whether browsers reach the dashboard over HTTPS, so that cookies can be bound to it.
    pub secure_cookies: bool,
    /// The modules that a script can have.
    pub modules: Vec<ScriptModule>,
    /// Describes combinations of them.
    pub script: DescribeScript,
    /// Path on `public_url` that accepts events.
    pub event_path: String,
    /// Whether mail is sent, so that subscribing to it is worth something.
    pub sends_mail: bool,
    /// Attribution required by the licence of the GeoIP database.
    pub geo_attribution: Option<String>,
    /// Cancelled when the program stops: answers without an end end then.
    pub stopping: CancellationToken,
}

/// Describes the script with some modules; `None` if a module does not exist.
pub type DescribeScript = Arc<dyn Fn(&[&str]) -> Option<ScriptInfo> + Send + Sync>;

/// A module of the script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptModule {
    /// Its name, as in the script's path.
    pub name: String,
    /// Its own size in bytes, compressed.
    pub brotli: usize,
    /// The modules that come with it.
    pub requires: Vec<String>,
}

/// The script with some modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptInfo {
    /// Path of the current version, on `public_url`.
    pub path: String,
    /// Path of this version only.
    pub versioned_path: String,
    /// Value of the attribute `integrity` for this version.
    pub integrity: String,
    /// What a visitor's browser fetches, in bytes.
    pub brotli_bytes: usize,
}

/// State shared by all requests.
pub(crate) struct App {
    pub(crate) settings: Settings,
    /// Where reports are read from.
    pub(crate) reports: Reports,
    pub(crate) hasher: Hasher,
    pub(crate) attempts: auth::throttle::Attempts,
    /// Bounds how many reports run at once.
    pub(crate) gate: gate::Gate,
    /// Bounds how many questions programs ask.
    pub(crate) allowance: api::Allowance,
    /// Shared links that were used today.
    pub(crate) used: reading::Used<[u8; 32]>,
    /// Tokens that were used today.
    pub(crate) tokens_used: reading::Used<sotto_schema::id::TokenId>,
    /// Figures of badges that were counted lately.
    pub(crate) badges: routes::Badges,
    /// Public pages that were made lately.
    pub(crate) trust: routes::Trust,
    /// What happened in the last minutes.
    pub(crate) moments: report::realtime::Moments,
    /// Who watches what happens.
    pub(crate) watchers: routes::Watchers,
    /// Bounds how many test messages are under way to webhooks.
    pub(crate) hook_tests: tokio::sync::Semaphore,
    /// Held while the owner is created, so that a link opened twice makes one owner.
    pub(crate) setup: tokio::sync::Mutex<()>,
    /// Held while roles, people and invitations are changed and links are made, so that a link used twice at once makes one account, and two
    /// owners who remove each other at once leave one.
    pub(crate) people: tokio::sync::Mutex<()>,
}

/// The dashboard's pages and API. Everything under `/api/v1` is JSON; the rest is for people.
///
/// # Panics
/// When the operating system has no randomness; nothing could be kept secret then.
pub fn router(settings: Settings) -> Router {
    let app = Arc::new(App {
        reports: Reports::new(settings.databases.reader.clone()),
        settings,
        hasher: Hasher::new().expect("the operating system has randomness"),
        attempts: auth::throttle::Attempts::default(),
        gate: gate::Gate::default(),
        allowance: api::Allowance::default(),
        used: reading::Used::default(),
        tokens_used: reading::Used::default(),
        badges: routes::Badges::default(),
        trust: routes::Trust::default(),
        moments: report::realtime::Moments::default(),
        watchers: routes::Watchers::default(),
        hook_tests: tokio::sync::Semaphore::new(hook::TESTS_MAX),
        setup: tokio::sync::Mutex::new(()),
        people: tokio::sync::Mutex::new(()),
    });
    routes::pages()
        .merge(api::routes())
        .fallback(page::not_found)
        .layer(middleware::from_fn(guard::own_pages_only))
        .layer(compress::layer())
        .layer(middleware::from_fn(guard::headers))
        .with_state(app)
}
