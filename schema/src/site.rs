//! Sites: what is measured, and by which rules.

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use crate::{
    archive::{self, K_MAX, K_MIN},
    db::Db,
    policy::{Policy, Preset},
};

/// The shortest raw retention in days.
pub const RETENTION_DAYS_MIN: u16 = 1;
/// The longest raw retention in days: 25 months (CNIL, audience measurement: collected data at most 25 months).
pub const RETENTION_DAYS_MAX: u16 = 760;
/// Raw retention when none is chosen.
pub const RETENTION_DAYS_DEFAULT: u16 = 90;
/// The longest name of a site, in characters.
pub const NAME_CHARS_MAX: usize = 100;
/// How many host names a site may have.
pub const HOSTNAMES_MAX: usize = 20;

/// A site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Number in the tables; never shown.
    pub id: u64,
    /// Public key in the script tag: 8 characters of `[0-9a-z]`.
    pub key: String,
    /// Name people gave it.
    pub name: String,
    /// Host names whose pages belong to it; sub-domains included.
    pub hostnames: Vec<String>,
    /// IANA time zone in which its days begin.
    pub time_zone: String,
    /// The consent policy it was set up with.
    pub preset: Preset,
    /// The consent policy in force.
    pub policy: Policy,
    /// How many days raw events are kept.
    pub retention_days: u16,
    /// Fewest people that a leaf of the archive describes: [`archive::K_MIN`] to [`archive::K_MAX`].
    #[serde(default = "default_k")]
    pub archive_k: u8,
    /// When it was set up, in milliseconds since 1970-01-01 UTC.
    pub created_ms: i64,
}

/// For copies of the rules that were written before there was an archive.
const fn default_k() -> u8 {
    archive::K_DEFAULT
}

/// Why a site cannot be as it was asked for. The messages are shown to people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SiteError {
    /// See the message.
    #[error("the name must have 1 to {NAME_CHARS_MAX} characters")]
    Name,
    /// See the message.
    #[error("{0:?} is no host name; write it like example.org, without https:// and without a path")]
    Hostname(String),
    /// See the message.
    #[error("a site has 1 to {HOSTNAMES_MAX} host names")]
    Hostnames,
    /// See the message.
    #[error("{0:?} is no time zone of the IANA database; write it like Europe/Paris")]
    TimeZone(String),
    /// See the message.
    #[error("raw events can be kept for {RETENTION_DAYS_MIN} to {RETENTION_DAYS_MAX} days (25 months)")]
    Retention,
    /// See the message.
    #[error("a leaf of the archive describes at least {K_MIN} to {K_MAX} people")]
    ArchiveK,
}

/// Brings a host name into the one form that is compared: lower case, no trailing dot, no `www.`.
///
/// # Errors
/// When it is no host name.
pub fn normalise_hostname(text: &str) -> Result<String, SiteError> {
    let host = text.trim().trim_end_matches('.').to_ascii_lowercase();
    let host = host.strip_prefix("www.").unwrap_or(&host);
    let valid = !host.is_empty()
        && host.len() <= 253
        && host.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        });
    if valid { Ok(host.to_owned()) } else { Err(SiteError::Hostname(text.to_owned())) }
}

/// Eight random characters of `[0-9a-z]`.
fn random_key() -> Result<String, getrandom::Error> {
    let mut bytes = [0u8; 8];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.map(|b| char::from(b"0123456789abcdefghijkmnpqrstuvwx"[usize::from(b & 31)])).iter().collect())
}

/// A random number for a new row. 0 is left free: it stands for "all" or "none".
///
/// # Errors
/// When the operating system has no randomness.
pub fn random_id() -> Result<u64, getrandom::Error> {
    Ok(getrandom::u64()? | 1)
}

/// Now, in milliseconds since 1970-01-01 UTC.
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A version for a changed row: microseconds since 1970-01-01 UTC, so that a later change wins.
pub fn version() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or(0)
}

impl Site {
    /// A new site that is not stored yet.
    ///
    /// # Errors
    /// When a value is not allowed.
    ///
    /// # Panics
    /// When the operating system has no randomness; nothing could be kept secret then.
    pub fn new(name: &str, hostnames: &[&str], time_zone: &str, preset: Preset) -> Result<Self, SiteError> {
        let site = Self {
            id: random_id().expect("the operating system has randomness"),
            key: random_key().expect("the operating system has randomness"),
            name: name.trim().to_owned(),
            hostnames: hostnames.iter().map(|h| normalise_hostname(h)).collect::<Result<_, _>>()?,
            time_zone: time_zone.to_owned(),
            preset,
            policy: preset.policy(),
            retention_days: RETENTION_DAYS_DEFAULT,
            archive_k: archive::K_DEFAULT,
            created_ms: now_ms(),
        };
        site.validate()?;
        Ok(site)
    }

    /// Whether all values are allowed.
    ///
    /// # Errors
    /// The first value that is not.
    pub fn validate(&self) -> Result<(), SiteError> {
        if !(1..=NAME_CHARS_MAX).contains(&self.name.chars().count()) {
            return Err(SiteError::Name);
        }
        if !(1..=HOSTNAMES_MAX).contains(&self.hostnames.len()) {
            return Err(SiteError::Hostnames);
        }
        if jiff::tz::TimeZone::get(&self.time_zone).is_err() {
            return Err(SiteError::TimeZone(self.time_zone.clone()));
        }
        if !(RETENTION_DAYS_MIN..=RETENTION_DAYS_MAX).contains(&self.retention_days) {
            return Err(SiteError::Retention);
        }
        if !(K_MIN..=K_MAX).contains(&self.archive_k) {
            return Err(SiteError::ArchiveK);
        }
        Ok(())
    }

    /// Whether pages of `host` belong to the site. `host` is lower case.
    pub fn owns(&self, host: &str) -> bool {
        self.hostnames
            .iter()
            .any(|own| host == own || host.strip_suffix(own.as_str()).is_some_and(|sub| sub.ends_with('.')))
    }
}

#[derive(Row, Serialize, Deserialize)]
struct SiteRow {
    id: u64,
    key: String,
    name: String,
    hostnames: Vec<String>,
    time_zone: String,
    preset: String,
    policy: String,
    retention_days: u16,
    archive_k: u8,
    created: i64,
    version: u64,
    deleted: u8,
}

impl From<SiteRow> for Site {
    fn from(row: SiteRow) -> Self {
        let preset = Preset::from_name(&row.preset).unwrap_or_default();
        Self {
            // A policy that cannot be read is replaced by its preset's, never by a laxer one.
            policy: serde_json::from_str(&row.policy).unwrap_or_else(|_| preset.policy()),
            id: row.id,
            key: row.key,
            name: row.name,
            hostnames: row.hostnames,
            time_zone: row.time_zone,
            preset,
            retention_days: row.retention_days,
            archive_k: row.archive_k,
            created_ms: row.created,
        }
    }
}

/// All sites, by name.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn all(db: &Db) -> Result<Vec<Site>, clickhouse::error::Error> {
    let rows: Vec<SiteRow> = db.query(include_str!("site/all.sql")).fetch_all().await?;
    Ok(rows.into_iter().map(Site::from).collect())
}

/// Stores a new or changed site.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn save(db: &Db, site: &Site) -> Result<(), clickhouse::error::Error> {
    write(db, site, 0).await
}

/// Removes a site; its events go with their retention or by `sotto privacy erase`.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn remove(db: &Db, site: &Site) -> Result<(), clickhouse::error::Error> {
    write(db, site, 1).await
}

async fn write(db: &Db, site: &Site, deleted: u8) -> Result<(), clickhouse::error::Error> {
    let policy = serde_json::to_string(&site.policy)
        .map_err(|e| clickhouse::error::Error::InvalidParams(Box::new(e)))?;
    let mut insert = db.client().insert::<SiteRow>("sites").await?;
    insert
        .write(&SiteRow {
            id: site.id,
            key: site.key.clone(),
            name: site.name.clone(),
            hostnames: site.hostnames.clone(),
            time_zone: site.time_zone.clone(),
            preset: site.preset.name().into(),
            policy,
            retention_days: site.retention_days,
            archive_k: site.archive_k,
            created: site.created_ms,
            version: version(),
            deleted,
        })
        .await?;
    insert.end().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostname_is_compared_in_one_form() {
        for (typed, expected) in [
            ("Example.ORG", Some("example.org")),
            ("www.example.org.", Some("example.org")),
            (" shop.example.org ", Some("shop.example.org")),
            ("127.0.0.1", Some("127.0.0.1")),
            ("localhost", Some("localhost")),
            ("https://example.org", None),
            ("example.org/path", None),
            ("example..org", None),
            ("", None),
        ] {
            assert_eq!(normalise_hostname(typed).ok().as_deref(), expected, "{typed:?}");
        }
    }

    #[test]
    fn site_owns_its_hosts_and_their_subdomains_only() {
        let site = Site::new("A", &["example.org"], "Europe/Paris", Preset::Cnil).unwrap();
        for (host, owned) in [
            ("example.org", true),
            ("www.example.org", true),
            ("a.b.example.org", true),
            ("notexample.org", false),
            ("example.org.evil.test", false),
            ("org", false),
        ] {
            assert_eq!(site.owns(host), owned, "{host}");
        }
    }

    #[test]
    fn value_at_a_limit_is_accepted_and_one_beyond_is_not() {
        let site = Site::new("A", &["example.org"], "UTC", Preset::Cnil).unwrap();
        let with = |change: &dyn Fn(&mut Site)| {
            let mut site = site.clone();
            change(&mut site);
            site.validate()
        };
        assert_eq!(with(&|s| s.name = "ä".repeat(NAME_CHARS_MAX)), Ok(()));
        assert_eq!(with(&|s| s.name = "ä".repeat(NAME_CHARS_MAX + 1)), Err(SiteError::Name));
        assert_eq!(with(&|s| s.name = String::new()), Err(SiteError::Name));
        assert_eq!(with(&|s| s.hostnames = vec!["a".into(); HOSTNAMES_MAX]), Ok(()));
        assert_eq!(with(&|s| s.hostnames = vec!["a".into(); HOSTNAMES_MAX + 1]), Err(SiteError::Hostnames));
        assert_eq!(with(&|s| s.retention_days = RETENTION_DAYS_MAX), Ok(()));
        assert_eq!(with(&|s| s.retention_days = RETENTION_DAYS_MAX + 1), Err(SiteError::Retention));
        assert_eq!(with(&|s| s.retention_days = 0), Err(SiteError::Retention));
        assert_eq!(with(&|s| s.archive_k = K_MIN), Ok(()));
        assert_eq!(with(&|s| s.archive_k = K_MIN - 1), Err(SiteError::ArchiveK));
        assert_eq!(with(&|s| s.archive_k = K_MAX), Ok(()));
        assert_eq!(with(&|s| s.archive_k = K_MAX + 1), Err(SiteError::ArchiveK));
        assert_eq!(with(&|s| s.time_zone = "Mars/Base".into()), Err(SiteError::TimeZone("Mars/Base".into())));
    }
}
