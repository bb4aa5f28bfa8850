//! The list of sites, and adding one.

use std::{collections::HashMap, sync::Arc};

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use clickhouse::Row;
use serde::Deserialize;
use sotto_schema::{
    id::{SiteId, UserId},
    policy::Preset,
    site::{Site, SiteError},
};
use sotto_store::{
    account::Role,
    audit::{self, Action},
    sites,
};

use super::policy_choice::{Choice, choices};
use crate::{
    App,
    auth::{Owner, SignedIn},
    figures,
    page::{PageError, Shell, SiteLink, Theme, html, html_with},
    range::now_in,
};

/// The switcher's entries.
pub(super) fn links(sites: &[Site], current: Option<&Site>) -> Vec<SiteLink> {
    sites
        .iter()
        .map(|s| SiteLink {
            key: s.key.clone(),
            name: s.name.clone(),
            current: current.is_some_and(|c| c.id == s.id),
        })
        .collect()
}

struct Listed {
    key: String,
    name: String,
    hostnames: String,
    views: String,
}

#[derive(Template)]
#[template(path = "sites.html")]
struct SitesPage {
    shell: Shell,
    sites: Vec<Listed>,
    may_add: bool,
}

#[derive(Row, Deserialize)]
struct Activity {
    site: SiteId,
    pageviews: u64,
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    theme: Theme,
    signed_in: SignedIn,
) -> Result<Response, PageError> {
    let db = &app.settings.databases.reader;
    let sites = signed_in.sites();
    let ids: Vec<SiteId> = sites.iter().map(|s| s.id).collect();
    let query = db.query(include_str!("../report/activity.sql")).param("sites", ids);
    let now = now_in("UTC").timestamp().as_millisecond();
    let rows: Vec<Activity> = query.param("now", now).fetch_all().await?;
    let activity: HashMap<SiteId, u64> = rows.into_iter().map(|r| (r.site, r.pageviews)).collect();
    let listed = |s: &Site| Listed {
        key: s.key.clone(),
        name: s.name.clone(),
        hostnames: s.hostnames.join(", "),
        views: figures::grouped(activity.get(&s.id).copied().unwrap_or(0)),
    };
    Ok(html(&SitesPage {
        sites: sites.iter().map(listed).collect(),
        may_add: signed_in.role(SiteId::NONE) == Some(Role::Owner),
        shell: Shell { title: "Sites".into(), theme, who: Some(signed_in.who()), sites: links(&sites, None) },
    }))
}

#[derive(Deserialize)]
pub(super) struct Switch {
    site: String,
}

/// The site switcher without JavaScript.
pub(super) async fn switch(Query(to): Query<Switch>) -> Result<Response, PageError> {
    let known = to.site.len() <= 32 && to.site.bytes().all(|b| b.is_ascii_alphanumeric());
    if known {
        Ok(Redirect::to(&format!("/s/{}", to.site)).into_response())
    } else {
        Err(PageError::NotFound)
    }
}

/// The form for a new site.
#[derive(Deserialize, Default)]
pub(super) struct SiteForm {
    pub(super) name: String,
    pub(super) hostname: String,
    pub(super) time_zone: String,
    pub(super) preset: String,
}

impl SiteForm {
    pub(super) fn preset(&self) -> Preset {
        Preset::from_name(&self.preset).unwrap_or_default()
    }

    /// The site it describes; the host's name where none is typed.
    pub(super) fn site(&self) -> Result<Site, SiteError> {
        let host = plain_host(&self.hostname);
        let name = if self.name.trim().is_empty() { host } else { &self.name };
        Site::new(name, &[host], &self.time_zone, self.preset())
    }

    pub(super) fn zones(&self) -> Vec<Zone> {
        let chosen = if self.time_zone.is_empty() { "UTC" } else { &self.time_zone };
        zones(chosen)
    }
}

/// The host part of a pasted URL, with or without scheme and path.
pub(super) fn plain_host(typed: &str) -> &str {
    let typed = typed.trim();
    let rest = typed.strip_prefix("https://").or_else(|| typed.strip_prefix("http://")).unwrap_or(typed);
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    host.split_once(':').map_or(host, |(host, _)| host)
}

/// A time zone to choose.
pub(super) struct Zone {
    pub(super) name: String,
    pub(super) chosen: bool,
}

pub(super) fn zones(chosen: &str) -> Vec<Zone> {
    let regions = [
        "Africa/",
        "America/",
        "Antarctica/",
        "Asia/",
        "Atlantic/",
        "Australia/",
        "Europe/",
        "Indian/",
        "Pacific/",
    ];
    let mut names: Vec<String> = jiff::tz::db()
        .available()
        .map(|name| name.to_string())
        .filter(|name| name == "UTC" || regions.iter().any(|r| name.starts_with(r)))
        .collect();
    names.sort();
    names.dedup();
    names.into_iter().map(|name| Zone { chosen: name == chosen, name }).collect()
}

#[derive(Template)]
#[template(path = "site_new.html")]
struct NewPage {
    shell: Shell,
    form: SiteForm,
    zones: Vec<Zone>,
    choices: Vec<Choice>,
    error: String,
}

fn new_page(status: StatusCode, theme: Theme, owner: &SignedIn, form: SiteForm, error: String) -> Response {
    let shell = Shell { who: Some(owner.who()), ..Shell::bare("Add a site", theme) };
    let (zones, choices) = (form.zones(), choices(form.preset()));
    html_with(status, &NewPage { shell, form, zones, choices, error })
}

pub(super) async fn show_new(theme: Theme, Owner(owner): Owner) -> Response {
    new_page(StatusCode::OK, theme, &owner, SiteForm::default(), String::new())
}

pub(super) async fn add(
    State(app): State<Arc<App>>,
    theme: Theme,
    Owner(owner): Owner,
    Form(form): Form<SiteForm>,
) -> Result<Response, PageError> {
    match form.site() {
        Err(error) => Ok(new_page(StatusCode::UNPROCESSABLE_ENTITY, theme, &owner, form, error.to_string())),
        Ok(site) => {
            store(&app, owner.user.id, &site).await?;
            Ok(Redirect::to(&format!("/s/{}/install", site.key)).into_response())
        }
    }
}

/// Stores a new site and tells the collector.
pub(super) async fn store(app: &App, actor: UserId, site: &Site) -> Result<(), PageError> {
    let db = &app.settings.databases.writer;
    sites::save(db, site).await?;
    audit::append(db, actor, Action::SiteAdd, site.id, &site.name).await?;
    (app.settings.sites_changed)();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pasted_address_is_reduced_to_its_host() {
        for (typed, host) in [
            ("https://www.example.org/about?x=1", "www.example.org"),
            ("http://localhost:3000", "localhost"),
            (" example.org ", "example.org"),
            ("example.org#top", "example.org"),
        ] {
            assert_eq!(plain_host(typed), host);
        }
    }

    #[test]
    fn time_zones_include_the_chosen_one() {
        let zones = zones("Europe/Paris");
        assert!(zones.len() > 300);
        assert_eq!(zones.iter().filter(|z| z.chosen).count(), 1);
        assert!(zones.iter().any(|z| z.name == "UTC"));
    }

    #[test]
    fn site_without_a_name_is_called_like_its_host() {
        let form = SiteForm {
            hostname: "https://example.org/".into(),
            time_zone: "UTC".into(),
            ..SiteForm::default()
        };
        let site = form.site().unwrap();
        assert_eq!(
            (site.name.as_str(), site.hostnames.as_slice()),
            ("example.org", &["example.org".to_owned()][..])
        );
    }
}
