//! The public page of a site about what can be checked: its rules, its claims with their tests, and the heads of what cannot
//! be changed afterwards. To be linked from the site's policy.
//!
//! It says nothing of traffic. Anybody may ask for it, so it is made once a minute at most for a site, and the sites are
//! looked up every ten seconds at most: keys that are invented cost nothing.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use blake3::Hash;
use sotto_schema::{
    claims::{Claim, Language, claims},
    day::Day,
    privacy::{self, Group},
    site::Site,
};
use sotto_store::{
    db::Db,
    ledger,
    releases::{self, Period},
    sharing, sites,
};
use tokio::sync::Mutex;

use super::{
    data_inventory::{RetainedClass, classes},
    install::clock,
};
use crate::{
    App,
    figures::counted,
    page::{PageError, Shell, Theme, html},
    report::groups::GROUP_MIN,
};

/// How long a page stays as it is.
const PAGE_LIFETIME: Duration = Duration::from_secs(60);
/// How long a site that was added is not known.
const SITES_LIFETIME: Duration = Duration::from_secs(10);
/// Lines of the ledger in which the last salt of each kind is looked for.
const LINES: u64 = 200;

/// What is said of a site.
#[derive(Clone)]
struct Facts {
    name: String,
    /// When it was put together, on the site's clock.
    at: String,
    retention: String,
    epsilon: u8,
    /// When the last salt was destroyed, and of which day it was.
    salt_destroyed: Option<String>,
    /// How many salts are alive: of today, and of yesterday for a moment.
    salts_alive: usize,
    /// The last line of each chain of the ledger: its owner, number, and hash.
    heads: Vec<(String, u64, String)>,
    /// The last day that was released, and the digest of the last release.
    released: Option<(String, String)>,
    groups: Vec<Group>,
    classes: Vec<RetainedClass>,
    /// Address of the visitor's page.
    page: String,
    /// Address of the reports, if anybody may read them.
    public: Option<String>,
}

#[derive(Template)]
#[template(path = "trust.html")]
struct TrustPage {
    shell: Shell,
    version: &'static str,
    group_min: u64,
    claims: &'static [Claim],
    groups: Vec<Group>,
    classes: Vec<RetainedClass>,
    facts: Facts,
}

/// Pages that were made lately.
#[derive(Default)]
pub(crate) struct Trust(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    sites: Option<(Instant, Vec<Site>)>,
    facts: HashMap<String, (Instant, Facts)>,
}

impl Trust {
    /// What is said of the site with that key. One request at a time asks ClickHouse; the others wait for it.
    async fn of(&self, db: &Db, key: &str, public_url: &str) -> Result<Facts, PageError> {
        let mut kept = self.0.lock().await;
        if let Some((at, facts)) = kept.facts.get(key)
            && at.elapsed() < PAGE_LIFETIME
        {
            return Ok(facts.clone());
        }
        if kept.sites.as_ref().is_none_or(|(at, _)| at.elapsed() >= SITES_LIFETIME) {
            let all = sites::all(db).await.map_err(away)?;
            // Pages of sites that were removed go.
            kept.facts.retain(|key, _| all.iter().any(|site| site.key.as_str() == key));
            kept.sites = Some((Instant::now(), all));
        }
        let sites = kept.sites.iter().flat_map(|(_, sites)| sites);
        let site =
            sites.into_iter().find(|site| site.key.as_str() == key).cloned().ok_or(PageError::NotFound)?;
        let facts = facts(db, &site, public_url).await.map_err(away)?;
        kept.facts.insert(key.to_owned(), (Instant::now(), facts.clone()));
        Ok(facts)
    }
}

impl Trust {
    /// Makes the page of a site anew when it is asked for: what it says has changed.
    pub(super) async fn forget(&self, key: &str) {
        self.0.lock().await.facts.remove(key);
    }
}

fn away(error: impl std::fmt::Display) -> PageError {
    tracing::warn!(%error, "a page about trust cannot be made");
    PageError::Away
}

async fn facts(db: &Db, site: &Site, public_url: &str) -> Result<Facts, clickhouse::error::Error> {
    let (lines, releases, public) = tokio::try_join!(
        ledger::of_site(db, site.id, LINES),
        releases::of_site(db, site.id),
        sharing::public_sites(db)
    )?;
    let public_url = public_url.trim_end_matches('/');
    let died = lines.iter().find(|line| line.event == ledger::DIED);
    let owners: Vec<&str> =
        lines.iter().map(|line| line.collector.as_str()).fold(Vec::new(), |mut all, owner| {
            if !all.contains(&owner) {
                all.push(owner);
            }
            all
        });
    let mut heads = Vec::new();
    for owner in owners {
        if let Some(head) = ledger::last(db, owner).await? {
            heads.push((head.collector, head.seq, Hash::from(head.hash).to_hex().to_string()));
        }
    }
    // A salt is gone once it has died in every chain in which it was born.
    let alive = |born: &&ledger::Line| {
        let same =
            |line: &&ledger::Line| line.collector == born.collector && line.commitment == born.commitment;
        born.event == ledger::BORN && !lines.iter().filter(same).any(|line| line.event == ledger::DIED)
    };
    let last_day = releases.iter().filter(|r| r.period == Period::Day).map(|r| r.day).max();
    let last = releases.iter().max_by_key(|release| release.release);
    let now = sotto_schema::clock::now();
    Ok(Facts {
        name: site.name.clone(),
        at: clock(now.as_millisecond(), &site.time_zone),
        retention: counted(site.retention_days.into(), "day"),
        epsilon: site.archive_epsilon,
        salt_destroyed: died
            .map(|line| format!("{} (the salt of {})", clock(line.time, &site.time_zone), Day(line.day))),
        salts_alive: lines.iter().filter(alive).count(),
        heads,
        released: last_day
            .zip(last)
            .map(|(day, last)| (Day(day).to_string(), Hash::from(last.digest).to_hex().to_string())),
        groups: privacy::groups(site, Language::En),
        classes: classes(site),
        page: format!("{public_url}/privacy?s={}", site.key),
        public: public.contains(&site.id).then(|| format!("{public_url}/public/{}", site.key)),
    })
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    theme: Theme,
    Path(key): Path<String>,
) -> Result<Response, PageError> {
    let mut facts = app.trust.of(&app.settings.databases.reader, &key, &app.settings.public_url).await?;
    Ok(html(&TrustPage {
        shell: Shell::bare(&format!("What can be checked about {}", facts.name), theme),
        version: env!("CARGO_PKG_VERSION"),
        group_min: GROUP_MIN,
        claims: claims(),
        groups: std::mem::take(&mut facts.groups),
        classes: std::mem::take(&mut facts.classes),
        facts,
    }))
}
