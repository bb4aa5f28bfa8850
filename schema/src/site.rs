//! Sites: what is measured, and under which rules.

use serde::{Deserialize, Serialize};

use crate::{
    archived::{EPSILON_DEFAULT, EPSILON_MAX, EPSILON_MIN},
    clock::now_ms,
    id::SiteId,
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
    pub id: SiteId,
    /// Public key in the script tag: 8 characters of `[0-9a-z]`.
    pub key: String,
    /// Name people gave it.
    pub name: String,
    /// The client whose site it is, as a folder of the list of sites; empty: none.
    #[serde(default)]
    pub client: String,
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
    /// The most that the archive may tell of one visitor's day: the privacy loss epsilon, [`EPSILON_MIN`] to
    /// [`EPSILON_MAX`].
    #[serde(default = "default_epsilon")]
    pub archive_epsilon: u8,
    /// When it was set up, in milliseconds since 1970-01-01 UTC.
    pub created_ms: i64,
}

/// For copies of the site rules written before a site had one.
const fn default_epsilon() -> u8 {
    EPSILON_DEFAULT
}

/// Why a site's settings are rejected. The messages are shown to people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SiteError {
    /// See the message.
    #[error("the name must have 1 to {NAME_CHARS_MAX} characters")]
    Name,
    /// See the message.
    #[error("the name of a client has at most {NAME_CHARS_MAX} characters, without line breaks")]
    Client,
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
    #[error(
        "the privacy loss of the archive is {EPSILON_MIN} to {EPSILON_MAX}; smaller tells less of a visitor"
    )]
    ArchiveEpsilon,
}

/// Normalises a host name for comparison: lower case, no trailing dot, no `www.`, and in ASCII as browsers send it
/// (`münchen.example` is `xn--mnchen-3ya.example`).
///
/// # Errors
/// When it is no host name.
pub fn normalise_hostname(text: &str) -> Result<String, SiteError> {
    let refused = || SiteError::Hostname(text.to_owned());
    let host = text.trim().trim_end_matches('.');
    let host = idna::domain_to_ascii(host).map_err(|_| refused())?;
    let host = host.strip_prefix("www.").unwrap_or(&host);
    let valid = !host.is_empty()
        && host.len() <= 253
        && host.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        });
    if valid { Ok(host.to_owned()) } else { Err(refused()) }
}

/// Eight random characters of `[0-9a-z]`.
fn random_key() -> Result<String, getrandom::Error> {
    let mut bytes = [0u8; 8];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.map(|b| char::from(b"0123456789abcdefghijkmnpqrstuvwx"[usize::from(b & 31)])).iter().collect())
}

impl Site {
    /// A new site, not stored yet.
    ///
    /// # Errors
    /// When a value is not allowed.
    ///
    /// When the operating system has no randomness: without it, nothing could be kept secret.
    pub fn new(name: &str, hostnames: &[&str], time_zone: &str, preset: Preset) -> Result<Self, SiteError> {
        let mut names = Vec::new();
        for name in hostnames {
            let name = normalise_hostname(name)?;
            // `www.` is no other host.
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let site = Self {
            id: SiteId::random().expect("the operating system has randomness"),
            key: random_key().expect("the operating system has randomness"),
            name: name.trim().to_owned(),
            client: String::new(),
            hostnames: names,
            time_zone: time_zone.to_owned(),
            preset,
            policy: preset.policy(),
            retention_days: RETENTION_DAYS_DEFAULT,
            archive_epsilon: EPSILON_DEFAULT,
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
        if self.client.chars().count() > NAME_CHARS_MAX || self.client.chars().any(char::is_control) {
            return Err(SiteError::Client);
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
        if !(EPSILON_MIN..=EPSILON_MAX).contains(&self.archive_epsilon) {
            return Err(SiteError::ArchiveEpsilon);
        }
        Ok(())
    }

    /// What is different in `after`, for the audit log.
    pub fn changes(&self, after: &Self) -> String {
        let days = if after.retention_days == 1 { "day" } else { "days" };
        let parts = [
            (self.name != after.name, format!("name {:?}", after.name)),
            (self.client != after.client, format!("client {:?}", after.client)),
            (self.hostnames != after.hostnames, format!("host names {}", after.hostnames.join(" "))),
            (self.time_zone != after.time_zone, format!("time zone {}", after.time_zone)),
            (
                self.preset != after.preset,
                format!("policy {} (was {})", after.preset.name(), self.preset.name()),
            ),
            (
                self.retention_days != after.retention_days,
                format!("raw retention {} {days} (was {})", after.retention_days, self.retention_days),
            ),
        ];
        parts.into_iter().filter(|(changed, _)| *changed).map(|(_, text)| text).collect::<Vec<_>>().join("; ")
    }

    /// Whether pages of `host` belong to the site. `host` is lower case.
    pub fn owns(&self, host: &str) -> bool {
        self.hostnames
            .iter()
            .any(|own| host == own || host.strip_suffix(own.as_str()).is_some_and(|sub| sub.ends_with('.')))
    }
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
            ("MÜNCHEN.example", Some("xn--mnchen-3ya.example")),
            ("www.日本.example", Some("xn--wgv71a.example")),
            ("my_shop.example", Some("my_shop.example")),
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
    fn changes_name_what_changed_only() {
        let before = Site::new("A", &["example.org"], "UTC", Preset::Cnil).unwrap();
        let after = Site { retention_days: 30, ..before.clone() };
        assert_eq!(before.changes(&after), "raw retention 30 days (was 90)");
        assert_eq!(before.changes(&before), "");
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
        assert_eq!(with(&|s| s.client = "ä".repeat(NAME_CHARS_MAX)), Ok(()));
        assert_eq!(with(&|s| s.client = "ä".repeat(NAME_CHARS_MAX + 1)), Err(SiteError::Client));
        assert_eq!(with(&|s| s.client = "a\nb".into()), Err(SiteError::Client));
        assert_eq!(with(&|s| s.hostnames = vec!["a".into(); HOSTNAMES_MAX]), Ok(()));
        assert_eq!(with(&|s| s.hostnames = vec!["a".into(); HOSTNAMES_MAX + 1]), Err(SiteError::Hostnames));
        assert_eq!(with(&|s| s.retention_days = RETENTION_DAYS_MAX), Ok(()));
        assert_eq!(with(&|s| s.retention_days = RETENTION_DAYS_MAX + 1), Err(SiteError::Retention));
        assert_eq!(with(&|s| s.retention_days = 0), Err(SiteError::Retention));
        assert_eq!(with(&|s| s.archive_epsilon = EPSILON_MIN), Ok(()));
        assert_eq!(with(&|s| s.archive_epsilon = EPSILON_MIN - 1), Err(SiteError::ArchiveEpsilon));
        assert_eq!(with(&|s| s.archive_epsilon = EPSILON_MAX), Ok(()));
        assert_eq!(with(&|s| s.archive_epsilon = EPSILON_MAX + 1), Err(SiteError::ArchiveEpsilon));
        assert_eq!(with(&|s| s.time_zone = "Mars/Base".into()), Err(SiteError::TimeZone("Mars/Base".into())));
    }
}
