//! The snippet to paste, and the wait for the first visit.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use sotto_schema::account::Role;

use super::sites;
use crate::{
    App,
    auth::SignedIn,
    page::{PageError, Shell, Theme, html},
    report::first_hit::{self, FirstHit},
};

/// The first visit, for people.
pub(crate) struct Seen {
    pub(crate) page: String,
    pub(crate) time: String,
}

#[derive(Template)]
#[template(path = "install.html")]
struct InstallPage {
    shell: Shell,
    key: String,
    hostname: String,
    snippet: String,
    seen: Option<Seen>,
}

/// A first hit, for people.
pub(crate) fn seen(hit: &FirstHit, time_zone: &str) -> Seen {
    Seen { page: format!("{}{}", hit.hostname, hit.path), time: clock(hit.time, time_zone) }
}

/// `21 Nov 2026, 14:03:09` on the site's clock.
pub(super) fn clock(ms: i64, time_zone: &str) -> String {
    let zone = jiff::tz::TimeZone::get(time_zone).unwrap_or(jiff::tz::TimeZone::UTC);
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default().to_zoned(zone);
    time.strftime("%-d %b %Y, %H:%M:%S").to_string()
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    signed_in: SignedIn,
    Path(key): Path<String>,
) -> Result<Response, PageError> {
    let (site, all) = signed_in.site(&app.settings.databases.reader, &key, Role::Viewer).await?;
    let first = first_hit::run(&app.settings.databases.reader, site.id).await?;
    let Settings { public_url, script_path } = Settings::of(&app);
    Ok(html(&InstallPage {
        snippet: format!("<script defer src=\"{public_url}{script_path}\" data-site=\"{key}\"></script>"),
        hostname: site.hostnames.first().cloned().unwrap_or_default(),
        key,
        seen: first.map(|hit| seen(&hit, &site.time_zone)),
        shell: Shell {
            title: format!("Install on {}", site.name),
            theme,
            who: Some(signed_in.who()),
            sites: sites::links(&all, Some(&site)),
        },
    }))
}

struct Settings<'a> {
    public_url: &'a str,
    script_path: &'a str,
}

impl<'a> Settings<'a> {
    fn of(app: &'a App) -> Self {
        let settings = &app.settings;
        Self { public_url: settings.public_url.trim_end_matches('/'), script_path: &settings.script_path }
    }
}
