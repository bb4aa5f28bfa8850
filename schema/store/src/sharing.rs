//! Reports for people without an account: links by secret, and sites that anybody may read.
//!
//! Promises: only a hash of a link's secret and an argon2id hash of its password are stored; of its use, the last day and
//! nothing else; a link that was withdrawn, has expired or whose site was removed is not found from that moment on. A link
//! belongs to its site and outlives who made it. What it shows is here only: nothing that a reader sends changes it.
//!
//! **Crash.** Each change is one row, so that a link is there as a whole or not at all.

use std::collections::BTreeSet;

use clickhouse::{Row, error::Error};
use serde::{Deserialize, Serialize};
use sotto_schema::{
    clock::{now_ms, version},
    day::Day,
    id::SiteId,
    site::normalise_hostname,
};

use crate::{
    account::{AccountError, Hasher, random_secret, secret_hash},
    db::Db,
};

/// How many links a site may have.
pub const LINKS_MAX: usize = 100;
/// The longest name of a link, in bytes.
pub const LINK_NAME_BYTES_MAX: usize = 200;
/// How many hosts may embed a link.
pub const LINK_HOSTS_MAX: usize = 10;
/// How many filters a link may fix.
pub const LINK_FILTERS_MAX: usize = 5;
/// How many days a link may be valid, unless it has no end.
pub const LINK_DAYS_MAX: u32 = 1_100;
/// When a link without an end expires: 1 January 2100, in milliseconds since 1970-01-01 UTC.
const NO_END_MS: i64 = 4_102_444_800_000;
const DAY_MS: i64 = 86_400_000;

/// What somebody asks for who makes a link.
#[derive(Debug, Clone, Default)]
pub struct NewLink {
    /// What it is called in the list; its readers do not see it.
    pub name: String,
    /// Empty: none is asked for.
    pub password: String,
    /// After how many days it expires; `None`: never.
    pub days: Option<u32>,
    /// Filters as in addresses (`country:is:DE`); their form is for the caller to check.
    pub filters: Vec<String>,
    /// Whether goals are shown, too.
    pub goals: bool,
    /// Whether the report on consent is shown, too.
    pub consent: bool,
    /// Host names whose pages may embed it.
    pub hosts: Vec<String>,
}

/// A link that is neither withdrawn nor expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedLink {
    /// The hash of its secret.
    pub id: [u8; 32],
    /// The site whose reports it shows.
    pub site: SiteId,
    /// What it is called.
    pub name: String,
    /// The argon2id hash of its password; `None` if it has none.
    pub password: Option<String>,
    /// Filters as in addresses, which nothing takes away.
    pub filters: Vec<String>,
    /// Whether goals are shown.
    pub goals: bool,
    /// Whether the report on consent is shown.
    pub consent: bool,
    /// Hosts whose pages may embed it.
    pub hosts: Vec<String>,
    /// When it was made, in milliseconds since 1970-01-01 UTC.
    pub created_ms: i64,
    /// When it expires, in milliseconds since 1970-01-01 UTC; `None`: never.
    pub expires_ms: Option<i64>,
    /// The last day it was used, in UTC.
    pub used: Option<Day>,
}

/// Why a link cannot be made. The messages are shown to people.
#[derive(Debug, thiserror::Error)]
pub enum SharingError {
    /// See the message.
    #[error("the name must have 1 to {LINK_NAME_BYTES_MAX} bytes")]
    Name,
    /// See the message.
    #[error("a link expires after 1 to {LINK_DAYS_MAX} days, or never")]
    Days,
    /// See the message.
    #[error("a link has {LINK_FILTERS_MAX} fixed filters at most")]
    Filters,
    /// See the message.
    #[error("{0:?} is no host name; write it like www.example.org")]
    Host(String),
    /// See the message.
    #[error("{LINK_HOSTS_MAX} hosts at most may embed a link")]
    Hosts,
    /// See the message.
    #[error("a link with a password cannot be embedded: browsers send no cookie there")]
    Embedded,
    /// See the message.
    #[error("the report on consent knows no filters, so a link with fixed filters cannot show it")]
    Consent,
    /// See the message.
    #[error("the site has {LINKS_MAX} links already; withdraw one first")]
    TooMany,
    /// The password is not allowed or cannot be hashed, or there is no randomness.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// ClickHouse refused or cannot be reached; whether anything was stored is unknown.
    #[error("cannot reach the database")]
    Database(#[from] Error),
}

impl SharingError {
    /// Whether what was asked for is not allowed, as opposed to a failure.
    pub const fn is_refusal(&self) -> bool {
        match self {
            Self::Name
            | Self::Days
            | Self::Filters
            | Self::Host(_)
            | Self::Hosts
            | Self::Embedded
            | Self::Consent
            | Self::TooMany
            | Self::Account(AccountError::Password) => true,
            Self::Account(_) | Self::Database(_) => false,
        }
    }
}

#[derive(Row, Serialize, Deserialize)]
struct LinkRow {
    id: [u8; 32],
    site: SiteId,
    name: String,
    password: String,
    filters: Vec<String>,
    goals: u8,
    consent: u8,
    hosts: Vec<String>,
    created: i64,
    expires: i64,
    version: u64,
    deleted: u8,
}

#[derive(Row, Deserialize)]
struct FoundRow {
    id: [u8; 32],
    site: SiteId,
    name: String,
    password: String,
    filters: Vec<String>,
    goals: u8,
    consent: u8,
    hosts: Vec<String>,
    created: i64,
    expires: i64,
    /// 0 if it was not used yet.
    used: u16,
}

impl From<FoundRow> for SharedLink {
    fn from(row: FoundRow) -> Self {
        Self {
            id: row.id,
            site: row.site,
            name: row.name,
            password: (!row.password.is_empty()).then_some(row.password),
            filters: row.filters,
            goals: row.goals != 0,
            consent: row.consent != 0,
            hosts: row.hosts,
            created_ms: row.created,
            expires_ms: (row.expires != NO_END_MS).then_some(row.expires),
            used: (row.used != 0).then_some(Day(row.used)),
        }
    }
}

impl SharedLink {
    /// What lists and the audit log call it: the beginning of its hash, of which nobody makes the link.
    pub fn number(&self) -> String {
        const_hex::encode(&self.id[..4])
    }
}

impl NewLink {
    /// The hosts in the form in which they are compared, if everything is allowed.
    fn check(&self) -> Result<Vec<String>, SharingError> {
        if !(1..=LINK_NAME_BYTES_MAX).contains(&self.name.trim().len()) {
            return Err(SharingError::Name);
        }
        if self.days.is_some_and(|days| !(1..=LINK_DAYS_MAX).contains(&days)) {
            return Err(SharingError::Days);
        }
        if self.filters.len() > LINK_FILTERS_MAX {
            return Err(SharingError::Filters);
        }
        if self.consent && !self.filters.is_empty() {
            return Err(SharingError::Consent);
        }
        let hosts = self.hosts.iter().map(|host| embedder(host)).collect::<Result<BTreeSet<_>, _>>()?;
        if hosts.len() > LINK_HOSTS_MAX {
            return Err(SharingError::Hosts);
        }
        if !hosts.is_empty() && !self.password.is_empty() {
            return Err(SharingError::Embedded);
        }
        Ok(hosts.into_iter().collect())
    }
}

/// A host name as browsers compare it: with `www.` where it was typed, for it is another host.
fn embedder(typed: &str) -> Result<String, SharingError> {
    let typed = typed.trim().to_lowercase();
    let host = normalise_hostname(&typed).map_err(|_| SharingError::Host(typed.clone()))?;
    Ok(if typed.starts_with("www.") { format!("www.{host}") } else { host })
}

/// Makes a link to a site's reports. Returns it and its secret, which is not stored.
///
/// # Errors
/// When a value is not allowed, the site has too many links, or ClickHouse cannot be queried.
pub async fn make(
    db: &Db,
    hasher: &Hasher,
    site: SiteId,
    new: &NewLink,
) -> Result<(SharedLink, String), SharingError> {
    let hosts = new.check()?;
    let password = match new.password.as_str() {
        "" => String::new(),
        password => hasher.hash_new(password).await?,
    };
    if links(db, site).await?.len() >= LINKS_MAX {
        return Err(SharingError::TooMany);
    }
    let (secret, id) = random_secret().map_err(AccountError::from)?;
    let created = now_ms();
    let row = LinkRow {
        id,
        site,
        name: new.name.trim().to_owned(),
        password,
        filters: new.filters.clone(),
        goals: new.goals.into(),
        consent: new.consent.into(),
        hosts,
        created,
        expires: new.days.map_or(NO_END_MS, |days| created + i64::from(days) * DAY_MS),
        version: version(),
        deleted: 0,
    };
    write(db, &row).await?;
    let LinkRow { name, password, filters, hosts, expires, .. } = row;
    let link = SharedLink {
        id,
        site,
        name,
        password: (!password.is_empty()).then_some(password),
        filters,
        goals: new.goals,
        consent: new.consent,
        hosts,
        created_ms: created,
        expires_ms: new.days.map(|_| expires),
        used: None,
    };
    Ok((link, secret))
}

/// The links of a site (0: of all sites), oldest first.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn links(db: &Db, site: SiteId) -> Result<Vec<SharedLink>, SharingError> {
    let query = db.query(include_str!("sharing/links.sql"));
    let rows: Vec<FoundRow> = query.param("site", site).param("now", now_ms()).fetch_all().await?;
    Ok(rows.into_iter().map(SharedLink::from).collect())
}

/// The link of a secret. It is looked up by its hash, so that the secret is in no query.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn link(db: &Db, secret: &str) -> Result<Option<SharedLink>, SharingError> {
    let query = db.query(include_str!("sharing/link.sql"));
    let query = query.param("id", const_hex::encode(secret_hash(secret))).param("now", now_ms());
    let found: Option<FoundRow> = query.fetch_optional().await?;
    Ok(found.map(SharedLink::from))
}

/// Takes a link of a site back, which takes effect at once; the link, if there was one.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn withdraw(db: &Db, site: SiteId, id: [u8; 32]) -> Result<Option<SharedLink>, SharingError> {
    let Some(link) = links(db, site).await?.into_iter().find(|link| link.id == id) else { return Ok(None) };
    mark_removed(db, &link).await?;
    Ok(Some(link))
}

/// Notes that a link was used on a day.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn note_use(db: &Db, id: [u8; 32], day: Day) -> Result<(), SharingError> {
    #[derive(Row, Serialize)]
    struct DayRow {
        id: [u8; 32],
        day: u16,
    }
    let mut insert = db.client().insert::<DayRow>("shared_link_days").await?;
    insert.write(&DayRow { id, day: day.0 }).await?;
    Ok(insert.end().await?)
}

/// The sites whose reports anybody may read.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn public_sites(db: &Db) -> Result<BTreeSet<SiteId>, Error> {
    let sites: Vec<u64> = db.query(include_str!("sharing/public.sql")).fetch_all().await?;
    Ok(sites.into_iter().map(SiteId).collect())
}

/// Lets anybody read the reports of a site, or nobody.
///
/// # Errors
/// When ClickHouse cannot be queried.
pub async fn set_public(db: &Db, site: SiteId, public: bool) -> Result<(), SharingError> {
    #[derive(Row, Serialize)]
    struct PublicRow {
        site: SiteId,
        version: u64,
        deleted: u8,
    }
    let mut insert = db.client().insert::<PublicRow>("public_sites").await?;
    insert.write(&PublicRow { site, version: version(), deleted: u8::from(!public) }).await?;
    Ok(insert.end().await?)
}

/// Marks a link as removed, without what it said.
async fn mark_removed(db: &Db, link: &SharedLink) -> Result<(), Error> {
    let marked = LinkRow {
        id: link.id,
        site: link.site,
        name: String::new(),
        password: String::new(),
        filters: Vec::new(),
        goals: 0,
        consent: 0,
        hosts: Vec::new(),
        created: link.created_ms,
        expires: link.expires_ms.unwrap_or(NO_END_MS),
        version: version(),
        deleted: 1,
    };
    write(db, &marked).await
}

async fn write(db: &Db, row: &LinkRow) -> Result<(), Error> {
    let mut insert = db.client().insert::<LinkRow>("shared_links").await?;
    insert.write(row).await?;
    insert.end().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> NewLink {
        NewLink { name: name.into(), ..NewLink::default() }
    }

    #[test]
    fn link_at_a_limit_is_made_and_one_beyond_is_not() {
        let hosts = |n: usize| (0..n).map(|i| format!("a{i}.example")).collect::<Vec<_>>();
        let filters = |n: usize| (0..n).map(|i| format!("page:is:/{i}")).collect::<Vec<_>>();
        for (n, allowed) in
            [(0, false), (1, true), (LINK_NAME_BYTES_MAX, true), (LINK_NAME_BYTES_MAX + 1, false)]
        {
            assert_eq!(named(&"a".repeat(n)).check().is_ok(), allowed, "{n} bytes");
        }
        for (days, allowed) in [(0, false), (1, true), (LINK_DAYS_MAX, true), (LINK_DAYS_MAX + 1, false)] {
            let new = NewLink { days: Some(days), ..named("a") };
            assert_eq!(new.check().is_ok(), allowed, "{days} days");
        }
        for (n, allowed) in [(LINK_HOSTS_MAX, true), (LINK_HOSTS_MAX + 1, false)] {
            assert_eq!(NewLink { hosts: hosts(n), ..named("a") }.check().is_ok(), allowed, "{n} hosts");
        }
        for (n, allowed) in [(LINK_FILTERS_MAX, true), (LINK_FILTERS_MAX + 1, false)] {
            assert_eq!(NewLink { filters: filters(n), ..named("a") }.check().is_ok(), allowed, "{n} filters");
        }
    }

    #[test]
    fn what_cannot_work_together_is_refused() {
        let host = || vec!["a.example".to_owned()];
        let with_password = NewLink { password: "long enough, this".into(), hosts: host(), ..named("a") };
        assert!(matches!(with_password.check(), Err(SharingError::Embedded)));
        let filters = vec!["country:is:DE".to_owned()];
        let with_filters = NewLink { consent: true, filters, ..named("a") };
        assert!(matches!(with_filters.check(), Err(SharingError::Consent)));
    }

    #[test]
    fn host_is_exactly_the_one_that_was_typed() {
        for (typed, expected) in [
            (" WWW.Example.org ", Some("www.example.org")),
            ("example.org", Some("example.org")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("*.example.org", None),
            ("*", None),
            ("https://example.org", None),
            ("example.org;", None),
            ("example.org https://evil.test", None),
            ("'self'", None),
        ] {
            assert_eq!(embedder(typed).ok().as_deref(), expected, "{typed:?}");
        }
    }
}
