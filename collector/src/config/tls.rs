//! `[tls]`: HTTPS without a proxy, from files or from an ACME authority such as Let's Encrypt.

use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use serde::Deserialize;

use super::{Wrong, first_wrong, quoted, some_address};

/// Most pairs of files.
pub const CERTIFICATES_MAX: usize = 1_000;
/// Most host names for which certificates are asked of an ACME authority.
pub const ACME_HOSTS_MAX: usize = 100;

/// `[tls]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// File with the certificate and those that signed it, as PEM. With it, or with `acme.hosts`, `listen` speaks TLS only.
    /// Default: none, `listen` speaks plain HTTP.
    pub certificate: Option<PathBuf>,
    /// File with its private key, as PEM, which others must not be able to read. Must be set if there is a certificate.
    pub key: Option<PathBuf>,
    /// Certificates for other host names, like `[{ certificate = "…", key = "…" }]`. Default: none. Maximum: 1000.
    pub more: Vec<CertificateFiles>,
    /// Address for plain HTTP: it sends known host names on to HTTPS and answers ACME. Default: none.
    #[serde(deserialize_with = "some_address")]
    pub http_listen: Option<std::net::SocketAddr>,
    /// How long browsers insist on HTTPS after an answer (HSTS); "0s" makes them forget it. Default: "24h": enough for who
    /// comes back, and a mistake is over after a day. Subdomains are never included. Maximum: "17520h".
    #[serde(deserialize_with = "quoted::duration")]
    pub hsts: SignedDuration,
    /// Timeout for a handshake. Default: "10s". Minimum: "1s".
    #[serde(deserialize_with = "quoted::duration")]
    pub handshake_timeout: SignedDuration,
    /// Handshakes at a time; further connections are closed. Default: 1000. Minimum: 1.
    pub handshakes_max: usize,
    /// How often to look whether the files have changed. Default: "10s". Minimum: "100ms".
    #[serde(deserialize_with = "quoted::duration")]
    pub reload_interval: SignedDuration,
    /// Certificates that Sotto gets by itself.
    pub acme: Acme,
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateFiles {
    /// The certificate and those that signed it.
    pub certificate: PathBuf,
    /// The private key; may be the same file.
    pub key: PathBuf,
}

/// `[tls.acme]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Acme {
    /// Host names that lead to this machine; each gets a certificate of its own. Default: none. Maximum: 100.
    pub hosts: Vec<String>,
    /// E-mail address for the authority. Default: none.
    pub contact: Option<String>,
    /// Whether you accept the authority's terms. Must be true if there are hosts.
    pub accept_terms: bool,
    /// The authority. Default: Let's Encrypt, "https://acme-v02.api.letsencrypt.org/directory".
    pub directory: String,
    /// File with certificates, as PEM, one of which the authority's own must be signed by, for an authority of your own.
    /// Default: none, the usual ones are trusted.
    pub ca_file: Option<PathBuf>,
    /// How hosts are proved: "http-01" (on `http_listen`, port 80 from outside) or "tls-alpn-01" (on `listen`, port 443 from
    /// outside). Default: "http-01" where there is a `http_listen`.
    pub challenge: Option<ChallengeKind>,
    /// Pause after a failure; it doubles with each, up to "24h". Default: "5m". Minimum: "1s".
    #[serde(deserialize_with = "quoted::duration")]
    pub retry: SignedDuration,
}

/// How a host name is proved to lead here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum ChallengeKind {
    /// By a file over plain HTTP (RFC 8555, 8.3).
    #[serde(rename = "http-01")]
    Http01,
    /// By a certificate over TLS (RFC 8737).
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certificate: None,
            key: None,
            more: Vec::new(),
            http_listen: None,
            hsts: SignedDuration::from_hours(24),
            handshake_timeout: SignedDuration::from_secs(10),
            handshakes_max: 1_000,
            reload_interval: SignedDuration::from_secs(10),
            acme: Acme::default(),
        }
    }
}

impl Default for Acme {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            contact: None,
            accept_terms: false,
            directory: "https://acme-v02.api.letsencrypt.org/directory".into(),
            ca_file: None,
            challenge: None,
            retry: SignedDuration::from_mins(5),
        }
    }
}

/// The file in which an ACME host's certificate and key are kept.
pub fn acme_file(data: &Path, host: &str) -> PathBuf {
    acme_directory(data).join(format!("{host}.pem"))
}

/// The directory of ACME's account, certificates and keys.
pub fn acme_directory(data: &Path) -> PathBuf {
    data.join("acme")
}

impl Tls {
    /// Whether `listen` speaks TLS.
    pub const fn is_on(&self) -> bool {
        self.certificate.is_some() || !self.more.is_empty() || !self.acme.hosts.is_empty()
    }

    /// All pairs of files that the configuration names.
    pub fn files(&self) -> Vec<CertificateFiles> {
        let first = self.certificate.clone().zip(self.key.clone());
        let first = first.map(|(certificate, key)| CertificateFiles { certificate, key });
        first.into_iter().chain(self.more.iter().cloned()).collect()
    }

    /// How ACME hosts are proved.
    pub fn challenge(&self) -> ChallengeKind {
        let usual = if self.http_listen.is_some() { ChallengeKind::Http01 } else { ChallengeKind::TlsAlpn01 };
        self.acme.challenge.unwrap_or(usual)
    }

    pub(super) fn check(&self, other_ports: [u16; 2]) -> Option<Wrong> {
        let Self { certificate, key, more, http_listen, handshakes_max, .. } = self;
        let hour = SignedDuration::from_hours(1);
        let port = http_listen.map_or(0, |address| address.port());
        first_wrong([
            (
                "tls.key",
                certificate.is_some() == key.is_some(),
                &key.as_deref().unwrap_or(Path::new("")).display(),
                "tls.certificate and tls.key must be set together",
            ),
            ("tls.more", more.len() <= CERTIFICATES_MAX, &more.len(), "there may be at most 1000"),
            (
                "tls.http_listen",
                port == 0 || !other_ports.contains(&port),
                &port,
                "it must be another port than those of listen and admin_listen, like \"0.0.0.0:80\"",
            ),
            (
                "tls.http_listen",
                http_listen.is_none() || self.is_on(),
                &port,
                "it is for HTTPS: set tls.certificate and tls.key, or tls.acme.hosts",
            ),
            (
                "tls.hsts",
                (SignedDuration::ZERO..=hour * 17_520).contains(&self.hsts),
                &format!("{:#}", self.hsts),
                "it must be \"0s\" to \"17520h\"",
            ),
            (
                "tls.handshake_timeout",
                (SignedDuration::from_secs(1)..=hour).contains(&self.handshake_timeout),
                &format!("{:#}", self.handshake_timeout),
                "it must be \"1s\" to \"1h\"",
            ),
            (
                "tls.handshakes_max",
                (1..=1_000_000).contains(handshakes_max),
                handshakes_max,
                "it must be 1 to 1000000",
            ),
            (
                "tls.reload_interval",
                (SignedDuration::from_millis(100)..=hour).contains(&self.reload_interval),
                &format!("{:#}", self.reload_interval),
                "it must be \"100ms\" to \"1h\"",
            ),
        ])
        .or_else(|| self.check_acme())
    }

    fn check_acme(&self) -> Option<Wrong> {
        let Acme { hosts, contact, accept_terms, directory, challenge, retry, .. } = &self.acme;
        let unnamed = hosts.iter().find(|host| !is_host_name(host));
        let contact = contact.as_deref().unwrap_or("a@a");
        first_wrong([
            (
                "tls.acme.hosts",
                unnamed.is_none(),
                &unnamed.map_or("", String::as_str),
                "it must be host names in small letters, like \"stats.example.org\"",
            ),
            ("tls.acme.hosts", hosts.len() <= ACME_HOSTS_MAX, &hosts.len(), "there may be at most 100"),
            (
                "tls.acme.accept_terms",
                hosts.is_empty() || *accept_terms,
                accept_terms,
                "it must be true where certificates are asked for: read the authority's terms",
            ),
            (
                "tls.acme.contact",
                contact.contains('@') && contact.bytes().all(|b| b.is_ascii_graphic()),
                &contact,
                "it must be an address like \"admin@example.org\"",
            ),
            (
                "tls.acme.directory",
                url::Url::parse(directory).is_ok_and(|url| url.scheme() == "https" && url.has_host()),
                directory,
                "it must be like \"https://acme-v02.api.letsencrypt.org/directory\"",
            ),
            (
                "tls.acme.challenge",
                *challenge != Some(ChallengeKind::Http01) || self.http_listen.is_some(),
                &"http-01",
                "that is answered on tls.http_listen, which must be set, like \"0.0.0.0:80\"",
            ),
            (
                "tls.acme.retry",
                (SignedDuration::from_secs(1)..=SignedDuration::from_hours(24)).contains(retry),
                &format!("{retry:#}"),
                "it must be \"1s\" to \"24h\"",
            ),
        ])
    }
}

/// Whether this is a host name in small letters: of labels with at most 63 letters, digits and hyphens; no address.
fn is_host_name(host: &str) -> bool {
    let fits = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let is_number = |label: &str| label.bytes().all(|b| b.is_ascii_digit());
    host.len() <= 253 && host.split('.').all(fits) && !host.rsplit('.').next().is_some_and(is_number)
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn mistake_in_tls_names_the_key_and_what_is_allowed() {
        for (text, parts) in [
            ("[tls]\ncertificate = \"c.pem\"", vec!["tls.key", "set together"]),
            (
                "[tls]\nhttp_listen = \"0.0.0.0:80\"",
                vec!["tls.http_listen", "tls.certificate", "tls.acme.hosts"],
            ),
            ("[tls]\nhttp_listen = \"80\"", vec!["http_listen", "\"80\", but", "\"127.0.0.1:8787\""]),
            (
                "[tls]\ncertificate = \"c\"\nkey = \"k\"\nhttp_listen = \"0.0.0.0:8787\"",
                vec!["tls.http_listen", "another port"],
            ),
            ("[tls]\nhsts = \"17521h\"", vec!["tls.hsts", "\"0s\" to \"17520h\""]),
            ("[tls]\nhandshake_timeout = \"999ms\"", vec!["tls.handshake_timeout", "\"1s\" to \"1h\""]),
            ("[tls]\nhandshakes_max = 0", vec!["tls.handshakes_max", "1 to 1000000"]),
            ("[tls]\nreload_interval = \"99ms\"", vec!["tls.reload_interval", "\"100ms\" to \"1h\""]),
            ("[tls.acme]\nhosts = [\"a.example\"]", vec!["tls.acme.accept_terms", "must be true"]),
            ("[tls.acme]\nhosts = [\"*.example.org\"]", vec!["tls.acme.hosts", "stats.example.org"]),
            ("[tls.acme]\nhosts = [\"../../a\"]", vec!["tls.acme.hosts", "stats.example.org"]),
            ("[tls.acme]\nhosts = [\"192.0.2.1\"]", vec!["tls.acme.hosts", "stats.example.org"]),
            ("[tls.acme]\ndirectory = \"http://a\"", vec!["tls.acme.directory", "https://"]),
            ("[tls.acme]\nchallenge = \"dns-01\"", vec!["challenge", "http-01", "tls-alpn-01"]),
            ("[tls.acme]\nchallenge = \"http-01\"", vec!["tls.acme.challenge", "tls.http_listen"]),
            ("[tls.acme]\nretry = \"999ms\"", vec!["tls.acme.retry", "\"1s\" to \"24h\""]),
            ("[tls.acme]\ncontact = \"me\"", vec!["tls.acme.contact", "admin@example.org"]),
        ] {
            let message = Config::parse(text, "sotto.toml".as_ref()).unwrap_err().to_string();
            for part in parts {
                assert!(message.contains(part), "{text:?}: {message:?} lacks {part:?}");
            }
        }
    }

    #[test]
    fn files_and_hosts_at_the_limit_are_accepted_and_one_more_is_refused() {
        let accepted = |text: &str| Config::parse(text, "sotto.toml".as_ref()).is_ok();
        for (count, ok) in [(super::CERTIFICATES_MAX, true), (super::CERTIFICATES_MAX + 1, false)] {
            let pairs = vec!["{ certificate = \"c\", key = \"k\" }"; count].join(", ");
            assert_eq!(accepted(&format!("[tls]\nmore = [{pairs}]")), ok, "{count} files");
        }
        for (count, ok) in [(super::ACME_HOSTS_MAX, true), (super::ACME_HOSTS_MAX + 1, false)] {
            let hosts = vec!["\"a.example\""; count].join(", ");
            let text = format!("[tls.acme]\naccept_terms = true\nhosts = [{hosts}]");
            assert_eq!(accepted(&text), ok, "{count} hosts");
        }
        for (length, ok) in [(63, true), (64, false)] {
            let text =
                format!("[tls.acme]\naccept_terms = true\nhosts = [\"{}.example\"]", "a".repeat(length));
            assert_eq!(accepted(&text), ok, "a label of {length}");
        }
    }
}
