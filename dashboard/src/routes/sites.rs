//! The list of sites, and adding one.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use jiff::civil::Date;
use serde::Deserialize;
use sotto_schema::{
    id::{SiteId, UserId},
    policy::Preset,
    site::{NAME_CHARS_MAX, Site, SiteError},
};
use sotto_store::{
    account::Role,
    audit::{self, Action},
    sites,
};
use url::form_urlencoded;

use super::policy_choice::{Choice, choices};
use crate::{
    App,
    auth::{Owner, SignedIn},
    figures::{self, Change},
    page::{PageError, Shell, SiteLink, Theme, html, html_with},
    range::now_in,
    report::{
        Metric,
        sites::{Summary, summaries},
    },
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

/// What a list of sites can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Name,
    Visitors,
    Pageviews,
    Change,
}

impl Sort {
    const ALL: [(Self, &'static str, &'static str, &'static str); 4] = [
        (Self::Name, "name", "Site", ""),
        (
            Self::Visitors,
            "visitors",
            "Visitors",
            "Visitors of the last 30 days, today included: the sum of the days",
        ),
        (Self::Change, "change", "Change", "The 30 days that ended yesterday against the 30 before"),
        (Self::Pageviews, "pageviews", "Pageviews", "Pageviews of the last 30 days, today included"),
    ];

    fn from_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|(_, known, ..)| *known == name).map_or(Self::Visitors, |(sort, ..)| sort)
    }
}

/// What is asked of the list.
#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    sort: String,
    /// The client whose sites are listed; empty: all.
    #[serde(default)]
    client: String,
}

struct Column {
    label: &'static str,
    help: &'static str,
    link: String,
    current: bool,
}

struct Listed {
    key: String,
    client: String,
    name: String,
    hostnames: String,
    /// Points of the line of visitors by day, in a space of 120 by 24; empty where there are none.
    line: String,
    visitors: String,
    change: Option<Change>,
    pageviews: String,
    /// The share of pageviews whose visitor agreed.
    agreed: String,
    /// What is to be looked at; empty if all is well.
    status: String,
    /// By what it is sorted.
    size: [f64; 2],
}

/// Sites of a client, or those without one.
struct Folder {
    client: String,
    /// The list of this client alone.
    link: String,
    sites: Vec<Listed>,
    /// Visitors and pageviews of all of them.
    total: [String; 2],
}

/// The clients of sites.
pub(super) fn clients(sites: &[Site]) -> BTreeSet<String> {
    sites.iter().map(|site| &site.client).filter(|client| !client.is_empty()).cloned().collect()
}

#[derive(Template)]
#[template(path = "sites.html")]
struct SitesPage {
    shell: Shell,
    /// By client, those without one last; one folder where there are no clients.
    folders: Vec<Folder>,
    /// Whether clients are named above their sites.
    named: bool,
    /// The client whose sites are listed; empty: all.
    client: String,
    /// The list of all clients.
    everything: String,
    listed: usize,
    columns: Vec<Column>,
    search: String,
    sort: String,
    /// How many sites there are, searched or not.
    all: usize,
    /// Visitors and pageviews of all that are listed.
    total: [String; 2],
    may_add: bool,
    /// Whether figures may be missing because a shard is away.
    away: bool,
}

/// The space of a line of visitors.
const LINE: [f64; 2] = [120.0, 24.0];

/// Points of a line by day.
#[allow(clippy::cast_precision_loss)] // A drawing.
fn line(days: &[u64]) -> String {
    let most = days.iter().copied().max().unwrap_or(0);
    if most == 0 {
        return String::new();
    }
    let step = LINE[0] / (days.len().max(2) - 1) as f64;
    let point = |(n, visitors): (usize, &u64)| {
        format!(
            "{:.1},{:.1}",
            n as f64 * step,
            LINE[1] - 1.0 - (LINE[1] - 2.0) * *visitors as f64 / most as f64
        )
    };
    days.iter().enumerate().map(point).collect::<Vec<_>>().join(" ")
}

/// What is to be looked at.
fn status(last: Option<Date>, today: Date, away: bool) -> String {
    match last {
        None if away => "figures are missing".into(),
        None => "no hits in 60 days".into(),
        Some(last) if last < today.yesterday().unwrap_or(today) => {
            format!("silent since {}", last.strftime("%-d %b %Y"))
        }
        Some(_) => String::new(),
    }
}

#[allow(clippy::cast_precision_loss)] // To be sorted by, and per cent.
fn listed(site: &Site, summary: Option<&Summary>, away: bool) -> Listed {
    let visitors: u64 = summary.map_or(0, |of| of.visitors.iter().sum());
    let pageviews = summary.map_or(0, |of| of.pageviews);
    let [now, before] =
        summary.and_then(|of| of.compared).map_or([None; 2], |both| both.map(|n| Some(n as f64)));
    let consent = summary.map(|of| of.consent).filter(|of| of.pageviews() > 0);
    Listed {
        key: site.key.clone(),
        client: site.client.clone(),
        name: site.name.clone(),
        hostnames: site.hostnames.join(", "),
        // Today is not over: it would always seem to fall.
        line: summary.and_then(|of| of.visitors.split_last()).map(|(_, over)| line(over)).unwrap_or_default(),
        visitors: figures::grouped(visitors),
        change: Change::between(Metric::Visitors, now, before),
        pageviews: figures::grouped(pageviews),
        agreed: consent.map_or_else(|| "–".into(), |of| figures::share(of.granted, of.pageviews())),
        status: status(summary.and_then(|of| of.last), now_in(&site.time_zone).date(), away),
        size: [visitors as f64, pageviews as f64],
    }
}

/// The greatest first; names from A on.
fn sort_by(sites: &mut [Listed], sort: Sort, change: &HashMap<String, f64>) {
    let name = |site: &Listed| site.name.to_lowercase();
    let size = |site: &Listed| match sort {
        Sort::Name => 0.0,
        Sort::Visitors => site.size[0],
        Sort::Pageviews => site.size[1],
        Sort::Change => change.get(&site.key).copied().unwrap_or(f64::NEG_INFINITY),
    };
    sites.sort_by(|a, b| size(b).total_cmp(&size(a)).then_with(|| name(a).cmp(&name(b))));
}

/// The greatest number of letters of a search that are looked at.
const SEARCH_CHARS_MAX: usize = 100;

#[allow(clippy::cast_precision_loss)] // To be sorted by.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    theme: Theme,
    signed_in: SignedIn,
    Query(asked): Query<Asked>,
) -> Result<Response, PageError> {
    let _turn = app.gate.enter(signed_in.user.id.0).await?;
    let sites = signed_in.sites();
    let (summaries, away) = summaries(&app.settings.databases.reader, &sites).await;
    let client: String = asked.client.trim().chars().take(NAME_CHARS_MAX).collect();
    let search: String = asked.q.trim().chars().take(SEARCH_CHARS_MAX).collect();
    let sought = search.to_lowercase();
    let is_sought = |site: &&Site| {
        let has = |text: &String| text.to_lowercase().contains(&sought);
        let of_client = client.is_empty() || site.client == client;
        of_client && (has(&site.name) || has(&site.client) || site.hostnames.iter().any(has))
    };
    let found: Vec<&Site> = sites.iter().filter(is_sought).collect();
    let change = |site: &&Site| {
        let [now, before] = summaries.get(&site.id)?.compared?;
        (before > 0).then(|| (site.key.clone(), now as f64 / before as f64))
    };
    let changes: HashMap<String, f64> = found.iter().filter_map(change).collect();
    let mut rows: Vec<Listed> =
        found.iter().map(|site| listed(site, summaries.get(&site.id), away)).collect();
    let sort = Sort::from_name(&asked.sort);
    sort_by(&mut rows, sort, &changes);
    let of_found = || found.iter().filter_map(|site| summaries.get(&site.id));
    let visitors: u64 = of_found().flat_map(|of| &of.visitors).sum();
    let pageviews: u64 = of_found().map(|of| of.pageviews).sum();
    let address = |sort: &str, client: &str| {
        let mut link = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("sort", sort), ("q", &search), ("client", client)] {
            if !value.is_empty() {
                link.append_pair(name, value);
            }
        }
        format!("/sites?{}", link.finish())
    };
    let column =
        |(by, name, label, help)| Column { label, help, link: address(name, &client), current: by == sort };
    let listed = rows.len();
    let folders = folders(rows, |client| address(&asked.sort, client));
    Ok(html(&SitesPage {
        named: client.is_empty() && folders.iter().any(|folder| !folder.client.is_empty()),
        folders,
        everything: address(&asked.sort, ""),
        listed,
        columns: Sort::ALL.map(column).into(),
        all: sites.len(),
        total: [visitors, pageviews].map(figures::grouped),
        sort: asked.sort.chars().take(SEARCH_CHARS_MAX).collect(),
        away,
        may_add: signed_in.role(SiteId::NONE) == Some(Role::Owner),
        shell: Shell { title: "Sites".into(), theme, who: Some(signed_in.who()), sites: links(&sites, None) },
        client,
        search,
    }))
}

/// Sites in the folders of their clients, by name, those without one last.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // They were whole.
fn folders(sites: Vec<Listed>, link: impl Fn(&str) -> String) -> Vec<Folder> {
    let mut by_client: BTreeMap<(bool, String, String), Vec<Listed>> = BTreeMap::new();
    for site in sites {
        let client = site.client.clone();
        by_client.entry((client.is_empty(), client.to_lowercase(), client)).or_default().push(site);
    }
    let folder = |((_, _, client), sites): ((bool, String, String), Vec<Listed>)| {
        let sum = |n: usize| figures::grouped(sites.iter().map(|site| site.size[n] as u64).sum());
        Folder { link: link(&client), total: [sum(0), sum(1)], client, sites }
    };
    by_client.into_iter().map(folder).collect()
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
pub(crate) async fn store(app: &App, actor: UserId, site: &Site) -> Result<(), PageError> {
    let db = &app.settings.databases.writer;
    sites::save(db, site).await?;
    audit::append(db, actor, Action::SiteAdd, site.id, &site.name).await?;
    (app.settings.sites_changed)();
    Ok(())
}

/// Stores a site that was changed, if it was, and tells the collector.
pub(crate) async fn store_changed(
    app: &App,
    actor: UserId,
    before: &Site,
    site: &Site,
) -> Result<(), PageError> {
    if before == site {
        return Ok(());
    }
    let db = &app.settings.databases.writer;
    sites::save(db, site).await?;
    audit::append(db, actor, Action::SiteChange, site.id, &before.changes(site)).await?;
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
