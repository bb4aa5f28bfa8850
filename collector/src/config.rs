//! The configuration file, `sotto.toml`. Every key has a default, so no file is needed to start.
//!
//! An invalid value stops the start with the file, the key and the allowed values. Sizes are written like
//! "600MB", durations like "1s" or "250ms". What is set up per site is in ClickHouse; [`sites`] has the copies that
//! every hit needs.
//!
//! It knows nothing of hits and reaches no server: who reads the sites hands them over.

use std::{
    fmt::Display,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use bytesize::ByteSize;
use jiff::SignedDuration;
use serde::{Deserialize, Deserializer};
use sotto_store::backup::sealed;

use crate::visitor::{client_ip::TrustedProxies, salts::holder::HeldBy};

mod mail;
mod paths;
mod peers;
mod quoted;
mod shards;
pub mod sites;
mod tls;

pub use mail::{Mail, MailTls};
pub use paths::Paths;
pub use peers::{OTHERS_MAX, Peers};
pub use tls::{Acme, CertificateFiles, ChallengeKind, Tls, acme_directory, acme_file};

/// The whole configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The data directory. Default: "data".
    pub data: PathBuf,
    /// The public address: collector and dashboard. Default: "127.0.0.1:8787".
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
    /// The address for health and metrics; keep it private. Default: "127.0.0.1:8788".
    #[serde(deserialize_with = "address")]
    pub admin_listen: SocketAddr,
    /// The URL at which browsers reach Sotto, for the script tag. Default: "http://" or "https://" and `listen`.
    pub public_url: Option<String>,
    /// File of 32 random bytes that encrypts two-step sign-in secrets; machines with dashboards must share
    /// it. Default: "account-key" in `data`, created at the first start; a file named here is never created.
    pub account_key: Option<PathBuf>,
    /// Where events are stored.
    pub clickhouse: ClickHouse,
    /// GeoIP databases.
    pub geoip: GeoIp,
    /// Limits of the public listener.
    pub server: Server,
    /// HTTPS without a proxy.
    pub tls: Tls,
    /// Where hits become durable.
    pub spool: Spool,
    /// How hits get into ClickHouse.
    pub ship: Ship,
    /// The archive.
    pub archive: Archive,
    /// Reports.
    pub reports: Reports,
    /// Backup encryption.
    pub backup: Backup,
    /// The mail server.
    pub mail: Mail,
    /// Visit detection.
    pub sessions: Sessions,
    /// Salts.
    pub salts: SaltsConfig,
    /// The other collectors.
    pub peers: Peers,
}

/// `[clickhouse]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClickHouse {
    /// An external server, like "https://clickhouse.example.org:8443". Default: none, the embedded server is used.
    pub url: Option<String>,
    /// Instead of `url`: several servers. A list of shards, each a list of replicas. Default: none.
    pub shards: Vec<Vec<String>>,
    /// Name of the cluster in the servers' `remote_servers` that lists the same shards in the same order. Must be set
    /// if there are several shards.
    pub cluster: Option<String>,
    /// Database of an external server. Default: "sotto".
    pub database: String,
    /// User of an external server. Default: "default".
    pub user: String,
    /// Password of an external server. Default: empty.
    pub password: Secret,
    /// The embedded server's library. Default: where `make setup` installs it.
    pub library: Option<PathBuf>,
    /// Memory limit of the embedded server. Default: "600MB". Minimum: "300MB".
    #[serde(deserialize_with = "quoted::size")]
    pub memory: ByteSize,
}

/// `[geoip]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GeoIp {
    /// Directory of `.mmdb` files. Default: where `make setup` installs them.
    pub dir: Option<PathBuf>,
}

/// `[server]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Threads that serve the public listener. Default: one per core. Maximum: 256.
    pub workers: Option<usize>,
    /// Open connections per worker; further ones wait to be accepted. Default: 10000. Minimum: 1.
    pub connections_max: usize,
    /// Concurrent requests per worker; further ones get 503. Default: 4096. Minimum: 1.
    pub requests_max: usize,
    /// Timeout for a request's headers. Default: "10s".
    #[serde(deserialize_with = "quoted::duration")]
    pub header_timeout: SignedDuration,
    /// Timeout for a whole request. Default: "30s".
    #[serde(deserialize_with = "quoted::duration")]
    pub request_timeout: SignedDuration,
    /// How long open connections may drain after a stop. Default: "10s".
    #[serde(deserialize_with = "quoted::duration")]
    pub drain_timeout: SignedDuration,
    /// Networks whose `X-Forwarded-For`, `Forwarded` and `X-Real-IP` are trusted. Default: ["loopback"].
    pub trusted_proxies: TrustedProxies,
}

/// `[spool]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spool {
    /// Total size of all segments beyond which hits get 503. Default: "4GB". Minimum: "64MB".
    #[serde(deserialize_with = "quoted::size")]
    pub size_max: ByteSize,
    /// Size of a segment. Default: "32MB". Minimum: "1MB".
    #[serde(deserialize_with = "quoted::size")]
    pub segment_size: ByteSize,
}

/// `[ship]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ship {
    /// How long hits may wait before they are shipped. Default: "1s". Minimum: "50ms".
    #[serde(deserialize_with = "quoted::duration")]
    pub interval: SignedDuration,
    /// Most hits in a batch. Default: 50000. Minimum: 1.
    pub batch_rows_max: u64,
}

/// `[reports]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reports {
    /// Interval between searches for days to settle; the first one runs after one interval. Default: "1m".
    #[serde(deserialize_with = "quoted::duration")]
    pub settle_interval: SignedDuration,
}

impl Default for Reports {
    fn default() -> Self {
        Self { settle_interval: SignedDuration::from_mins(1) }
    }
}

/// `[archive]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Archive {
    /// Interval between searches for days to seal; the first one runs after one interval. Default: "10m".
    #[serde(deserialize_with = "quoted::duration")]
    pub interval: SignedDuration,
}

impl Default for Archive {
    fn default() -> Self {
        Self { interval: SignedDuration::from_mins(10) }
    }
}

/// `[backup]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backup {
    /// age public keys, "age1…", whose holders can read a backup; the secret keys need not be on this
    /// machine. Default: none, a key is created in the data directory (`backup-key.txt`). Maximum: 20.
    pub recipients: Vec<String>,
}

/// `[sessions]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sessions {
    /// Most visitors remembered at a time. Default: 500000. Minimum: 1000.
    pub visitors_max: usize,
}

/// `[salts]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SaltsConfig {
    /// Who holds the day's salts while Sotto does not run: "auto", "keyring" (the kernel's), "keeper" (a small process) or
    /// "memory" (nobody). Default: "auto", the keyring where it works, and the keeper otherwise.
    pub held_by: HeldBy,
}

/// A value that is never printed.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

/// An address with its port.
fn address<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    quoted::value(from, "an address and a port in quotes, like \"127.0.0.1:8787\" or \"[::]:8787\"")
}

/// The same where there need not be one.
fn some_address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    address(from).map(Some)
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: "data".into(),
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8787),
            admin_listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8788),
            public_url: None,
            account_key: None,
            clickhouse: ClickHouse::default(),
            geoip: GeoIp::default(),
            server: Server::default(),
            tls: Tls::default(),
            spool: Spool::default(),
            ship: Ship::default(),
            archive: Archive::default(),
            reports: Reports::default(),
            backup: Backup::default(),
            mail: Mail::default(),
            sessions: Sessions::default(),
            salts: SaltsConfig::default(),
            peers: Peers::default(),
        }
    }
}

impl Default for ClickHouse {
    fn default() -> Self {
        Self {
            url: None,
            shards: Vec::new(),
            cluster: None,
            database: sotto_store::engine::DATABASE.into(),
            user: "default".into(),
            password: Secret::default(),
            library: None,
            memory: ByteSize::mb(600),
        }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            workers: None,
            connections_max: 10_000,
            requests_max: 4_096,
            header_timeout: SignedDuration::from_secs(10),
            request_timeout: SignedDuration::from_secs(30),
            drain_timeout: SignedDuration::from_secs(10),
            trusted_proxies: TrustedProxies::default(),
        }
    }
}

impl Default for Spool {
    fn default() -> Self {
        Self { size_max: ByteSize::gb(4), segment_size: ByteSize::mb(32) }
    }
}

impl Default for Ship {
    fn default() -> Self {
        Self { interval: SignedDuration::from_secs(1), batch_rows_max: 50_000 }
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self { visitors_max: 500_000 }
    }
}

/// A value that is out of its range.
struct Wrong {
    key: &'static str,
    found: String,
    allowed: &'static str,
}

/// The first of (key, whether its value is in range, the value, what is allowed) that is out of range.
fn first_wrong<const N: usize>(
    checks: [(&'static str, bool, &dyn Display, &'static str); N],
) -> Option<Wrong> {
    let wrong = checks.into_iter().find(|(_, ok, _, _)| !ok);
    wrong.map(|(key, _, found, allowed)| Wrong { key, found: found.to_string(), allowed })
}

fn is_url(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|u| matches!(u.scheme(), "http" | "https") && u.has_host())
}

/// Whether a host is this machine, whatever its resolver says.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Why the configuration cannot be used; the start stops.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML, or has an unknown key or a value of the wrong type.
    #[error("{path}: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What, where, and what is allowed.
        message: String,
    },
    /// A value is out of its range.
    #[error("{origin}: {key} = {found}, but {allowed}")]
    Range {
        /// The file, variable or option.
        origin: String,
        /// The key.
        key: &'static str,
        /// Its value.
        found: String,
        /// What is allowed.
        allowed: &'static str,
    },
}

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.into(), source })?;
        Self::parse(&text, path)
    }

    /// Reads and checks the text of a configuration file.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|e| ConfigError::Parse {
            path: path.into(),
            message: e.to_string().trim_end().to_owned(),
        })?;
        config.check(&path.display().to_string())?;
        Ok(config)
    }

    /// Checks that every value is in its range. `origin` says where the values come from.
    ///
    /// # Errors
    /// The first value out of range.
    pub fn check(&self, origin: &str) -> Result<(), ConfigError> {
        let checks = [
            self.check_addresses(),
            self.check_server(),
            self.tls.check([self.listen.port(), self.admin_listen.port()]),
            self.check_storage(),
            self.clickhouse.check_shards(),
            self.peers.check(),
            self.check_backup(),
            self.mail.check(self.public_url.as_deref()),
        ];
        let wrong = checks.into_iter().flatten().next();
        match wrong {
            None => Ok(()),
            Some(Wrong { key, found, allowed }) => {
                Err(ConfigError::Range { origin: origin.to_owned(), key, found, allowed })
            }
        }
    }

    fn check_addresses(&self) -> Option<Wrong> {
        let url = self.clickhouse.url.as_deref();
        let public = self.public_url.as_deref();
        let (one, other) = (self.listen, self.admin_listen);
        let meet = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
        first_wrong([
            (
                "admin_listen",
                one.port() != other.port() || one.port() == 0 || !meet,
                &other,
                "it must be another port than that of listen, like \"127.0.0.1:8788\"",
            ),
            (
                "clickhouse.url",
                url.is_none_or(is_url),
                &url.unwrap_or_default(),
                "it must be like \"http://host:8123\"",
            ),
            (
                "public_url",
                public.is_none_or(is_url),
                &public.unwrap_or_default(),
                "it must be like \"https://stats.example.org\"",
            ),
        ])
    }

    fn check_server(&self) -> Option<Wrong> {
        let Server {
            workers,
            connections_max,
            requests_max,
            header_timeout,
            request_timeout,
            drain_timeout,
            ..
        } = &self.server;
        let (zero, second, hour) =
            (SignedDuration::ZERO, SignedDuration::from_secs(1), SignedDuration::from_hours(1));
        let (header, request, drain) =
            (format!("{header_timeout:#}"), format!("{request_timeout:#}"), format!("{drain_timeout:#}"));
        let workers_ok = workers.is_none_or(|n| (1..=256).contains(&n));
        first_wrong([
            ("server.workers", workers_ok, &workers.unwrap_or_default(), "it must be 1 to 256"),
            ("server.connections_max", *connections_max >= 1, connections_max, "it must be at least 1"),
            ("server.requests_max", *requests_max >= 1, requests_max, "it must be at least 1"),
            (
                "server.header_timeout",
                (second..=hour).contains(header_timeout),
                &header,
                "it must be \"1s\" to \"1h\"",
            ),
            (
                "server.request_timeout",
                (second..=hour).contains(request_timeout),
                &request,
                "it must be \"1s\" to \"1h\"",
            ),
            (
                "server.drain_timeout",
                (zero..=hour).contains(drain_timeout),
                &drain,
                "it must be \"0s\" to \"1h\"",
            ),
        ])
    }

    fn check_storage(&self) -> Option<Wrong> {
        let memory = self.clickhouse.memory;
        let Spool { size_max, segment_size } = self.spool;
        let Ship { interval, batch_rows_max } = self.ship;
        let visitors_max = self.sessions.visitors_max;
        let intervals = SignedDuration::from_millis(50)..=SignedDuration::from_hours(1);
        let segments = ByteSize::mb(1)..=ByteSize::gb(1);
        let seal_interval = self.archive.interval;
        let seal_intervals = SignedDuration::from_millis(100)..=SignedDuration::from_hours(24);
        let settle_interval = self.reports.settle_interval;
        first_wrong([
            (
                "archive.interval",
                seal_intervals.contains(&seal_interval),
                &format!("{seal_interval:#}"),
                "it must be \"100ms\" to \"24h\"",
            ),
            (
                "reports.settle_interval",
                seal_intervals.contains(&settle_interval),
                &format!("{settle_interval:#}"),
                "it must be \"100ms\" to \"24h\"",
            ),
            ("clickhouse.memory", memory >= ByteSize::mb(300), &memory, "it must be at least \"300MB\""),
            ("spool.size_max", size_max >= ByteSize::mb(64), &size_max, "it must be at least \"64MB\""),
            (
                "spool.segment_size",
                segments.contains(&segment_size),
                &segment_size,
                "it must be \"1MB\" to \"1GB\"",
            ),
            (
                "ship.interval",
                intervals.contains(&interval),
                &format!("{interval:#}"),
                "it must be \"50ms\" to \"1h\"",
            ),
            (
                "ship.batch_rows_max",
                (1..=1_000_000).contains(&batch_rows_max),
                &batch_rows_max,
                "it must be 1 to 1000000",
            ),
            ("sessions.visitors_max", visitors_max >= 1_000, &visitors_max, "it must be at least 1000"),
        ])
    }

    fn check_backup(&self) -> Option<Wrong> {
        let key = "backup.recipients";
        let named = &self.backup.recipients;
        if named.len() > sealed::RECIPIENTS_MAX {
            return Some(Wrong { key, found: format!("{} keys", named.len()), allowed: "20 is the most" });
        }
        let wrong = |(n, text): (usize, &String)| sealed::recipient(text).err().map(|why| (n + 1, why));
        // Reports its position, not its text: it may be a secret key.
        let (n, allowed) = named.iter().enumerate().find_map(wrong)?;
        Some(Wrong { key, found: format!("(entry {n})"), allowed })
    }

    /// The public URL, without a trailing slash.
    pub fn public_url(&self) -> String {
        match &self.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None if self.tls.is_on() => format!("https://{}", self.listen),
            None => format!("http://{}", self.listen),
        }
    }

    /// Host names, in small letters, that are sent on to HTTPS besides those of certificates.
    pub fn https_hosts(&self) -> Vec<String> {
        let own = self.public_url.as_deref().and_then(|url| url::Url::parse(url).ok());
        let own = own.as_ref().and_then(url::Url::host_str).map(str::to_ascii_lowercase);
        self.tls.acme.hosts.iter().cloned().chain(own).collect()
    }

    /// The port of HTTPS as browsers see it: that of `public_url`, because something in between may lead from it to `listen`.
    pub fn https_port(&self) -> u16 {
        let Some(own) = &self.public_url else { return self.listen.port() };
        url::Url::parse(own)
            .ok()
            .filter(|url| url.scheme() == "https")
            .and_then(|url| url.port())
            .unwrap_or(443)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("sotto.toml"))
    }

    #[test]
    fn empty_file_gives_the_defaults() {
        let config = parse("").unwrap();
        assert_eq!(config.public_url(), "http://127.0.0.1:8787");
        assert_eq!(config.ship.interval, SignedDuration::from_secs(1));
    }

    #[test]
    fn mistake_names_the_file_the_key_and_what_is_allowed() {
        for (text, parts) in [
            ("listne = \"a\"", vec!["sotto.toml", "listne", "expected one of", "listen"]),
            ("listen = \"8787\"", vec!["sotto.toml", "listen", "\"127.0.0.1:8787\""]),
            ("listen = \"localhost\"", vec!["listen", "\"localhost\", but", "\"127.0.0.1:8787\""]),
            ("listen = 8787", vec!["listen", "8787", "in quotes, like \"127.0.0.1:8787\""]),
            ("[ship]\ninterval = \"1\"", vec!["interval", "\"1\", but", "\"250ms\""]),
            ("[ship]\ninterval = 1", vec!["interval", "integer `1`", "in quotes, like \"250ms\""]),
            ("[clickhouse]\nmemory = \"lots\"", vec!["memory", "\"lots\", but", "\"600MB\""]),
            ("[clickhouse]\nmemory = 600", vec!["memory", "600", "in quotes, like \"600MB\""]),
            ("[peers]\nlisten = \"c1\"", vec!["listen", "\"c1\", but", "\"127.0.0.1:8787\""]),
            ("admin_listen = \"127.0.0.1:8787\"", vec!["admin_listen", "another port", "127.0.0.1:8788"]),
            ("listen = \"0.0.0.0:8788\"", vec!["admin_listen", "another port"]),
            (
                "[ship]\ninterval = \"10ms\"",
                vec!["sotto.toml", "ship.interval", "10ms", "\"50ms\" to \"1h\""],
            ),
            ("[clickhouse]\nurl = \"localhost:8123\"", vec!["clickhouse.url", "http://host:8123"]),
            ("[clickhouse]\nmemory = \"299MB\"", vec!["clickhouse.memory", "at least \"300MB\""]),
            ("[spool]\nsize_max = \"63MB\"", vec!["spool.size_max", "at least \"64MB\""]),
            ("[server]\nworkers = 0", vec!["server.workers", "1 to 256"]),
            ("[server]\nworkers = 257", vec!["server.workers", "1 to 256"]),
            (
                "[reports]\nsettle_interval = \"99ms\"",
                vec!["reports.settle_interval", "\"100ms\" to \"24h\""],
            ),
            ("[archive]\ninterval = \"99ms\"", vec!["archive.interval", "\"100ms\" to \"24h\""]),
            ("[sessions]\nvisitors_max = 999", vec!["sessions.visitors_max", "at least 1000"]),
            (
                "[clickhouse]\nurl = \"http://a\"\nshards = [[\"http://a\"]]",
                vec!["clickhouse.url = http://a", "either", "clickhouse.shards"],
            ),
            ("[clickhouse]\nshards = [[\"http://a\"], []]", vec!["clickhouse.shards", "at least one server"]),
            ("[clickhouse]\nshards = [[\"a:8123\"]]", vec!["clickhouse.shards", "a:8123", "http://a1:8123"]),
            (
                "[clickhouse]\nshards = [[\"http://a\"], [\"http://b\"]]",
                vec!["clickhouse.cluster", "remote_servers"],
            ),
            ("[peers]\nlisten = \"10.0.0.1:8790\"", vec!["peers.others", "c2 = \"10.0.0.2:8790\""]),
            ("[peers]\nname = \"c1\"\nkey_file = \"k\"", vec!["peers.others", "c2 = \"10.0.0.2:8790\""]),
            ("[peers]\nothers = { c2 = \"b:1\" }", vec!["peers.name", "1 to 64"]),
            ("[peers]\nname = \"c1\"\nothers = { c1 = \"b:1\" }", vec!["peers.others", "c1", "own"]),
            ("[peers]\nname = \"c1\"\nothers = { c2 = \"b\" }", vec!["peers.others", "10.0.0.2:8790"]),
            ("[peers]\nname = \"c1\"\nothers = { c2 = \"b:1\" }", vec!["peers.listen", "must be set"]),
            (
                "[peers]\nname = \"c1\"\nlisten = \"10.0.0.1:8790\"\nothers = { c2 = \"b:1\" }",
                vec!["peers.key_file", "must be set"],
            ),
            ("[mail]\nport = 25", vec!["mail.server", "must be set", "smtp.example.org"]),
            ("[mail]\nserver = \"https://a\"", vec!["mail.server", "host name"]),
            ("[mail]\nserver = \"a.example\"\nport = 0", vec!["mail.port", "1 to 65535"]),
            ("[mail]\ntls = \"ssl\"", vec!["tls", "starttls", "implicit"]),
            ("[mail]\nserver = \"mail.example\"\ntls = \"none\"", vec!["mail.tls", "on this machine only"]),
            ("[mail]\nserver = \"10.0.0.1\"\ntls = \"none\"", vec!["mail.tls", "on this machine only"]),
            ("[mail]\nserver = \"a.example\"\nuser = \"a\"", vec!["mail.password_file", "together"]),
            ("[mail]\nserver = \"a.example\"\nfrom = \"me\"", vec!["mail.from", "stats@example.org"]),
            ("[mail]\nserver = \"a.example\"\nfrom = \"a@b.org\"", vec!["public_url", "letters have links"]),
        ] {
            let message = parse(text).unwrap_err().to_string();
            for part in parts {
                assert!(message.contains(part), "{text:?}: {message:?} lacks {part:?}");
            }
        }
    }

    #[test]
    fn value_at_a_limit_is_accepted() {
        for text in [
            "[ship]\ninterval = \"50ms\"",
            "[clickhouse]\nmemory = \"300MB\"",
            "[spool]\nsize_max = \"64MB\"",
            "[server]\nworkers = 256",
            "[archive]\ninterval = \"100ms\"",
            "[sessions]\nvisitors_max = 1000",
            "[clickhouse]\nshards = [[\"http://a1\", \"http://a2\"]]",
            "[clickhouse]\ncluster = \"stats\"\nshards = [[\"http://a\"], [\"http://b\"]]",
            "listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"",
            "[tls]\nhsts = \"17520h\"\nhandshake_timeout = \"1s\"\nhandshakes_max = 1\nreload_interval = \"100ms\"",
            "[tls]\ncertificate = \"c\"\nkey = \"k\"\nhttp_listen = \"0.0.0.0:80\"\n[tls.acme]\nretry = \"1s\"",
            "[tls.acme]\nhosts = [\"a.example\"]\naccept_terms = true\nchallenge = \"tls-alpn-01\"",
            "listen = \"192.0.2.1:8788\"",
            "public_url = \"http://a\"\n[mail]\nserver = \"[::1]\"\ntls = \"none\"\nfrom = \"a@b.org\"",
            "public_url = \"http://a\"\n[mail]\nserver = \"localhost\"\ntls = \"none\"\nfrom = \"a@b.org\"",
            "public_url = \"http://a\"\n[mail]\nserver = \"m.example\"\nport = 65535\nfrom = \"a@b.org\"",
            "[peers]\nname = \"c1\"\nlisten = \"10.0.0.1:8790\"\nkey_file = \"k\"\nothers = { c2 = \"b:1\" }",
        ] {
            assert!(parse(text).is_ok(), "{text:?}: {:?}", parse(text));
        }
    }

    #[test]
    fn number_of_other_collectors_and_shards_is_bounded() {
        for (count, ok) in [(255, true), (256, false)] {
            let others: Vec<String> = (0..count).map(|n| format!("n{n} = \"h:1\"")).collect();
            let peers = format!(
                "[peers]\nname = \"c\"\nlisten = \"10.0.0.1:8790\"\nkey_file = \"k\"\nothers = {{ {} }}",
                others.join(", ")
            );
            assert_eq!(parse(&peers).is_ok(), ok, "{count} others");
            let shards = vec!["[\"http://a\"]"; count].join(", ");
            let clickhouse = format!("[clickhouse]\ncluster = \"stats\"\nshards = [{shards}]");
            assert_eq!(parse(&clickhouse).is_ok(), ok, "{count} shards");
        }
        for (len, ok) in [(64, true), (65, false)] {
            assert_eq!(parse(&format!("[peers]\nname = \"{}\"", "c".repeat(len))).is_ok(), ok, "{len}");
        }
    }

    #[test]
    fn recipient_of_backups_is_a_public_key_and_a_secret_one_is_not_repeated() {
        let secret = age::x25519::Identity::generate();
        let shown = secret.to_string();
        let shown = age::secrecy::ExposeSecret::expose_secret(&shown);
        let public = format!("\"{}\"", secret.to_public());
        let with = |keys: &[&str]| parse(&format!("[backup]\nrecipients = [{}]", keys.join(", ")));
        let max = sealed::RECIPIENTS_MAX;
        assert!(with(&vec![public.as_str(); max]).is_ok());
        for (keys, part) in [
            (vec![public.as_str(); max + 1], "20 is the most"),
            (vec![&public, "\"age1nobody\""], "(entry 2), but it must be a public key"),
            (vec![&public[..], &format!("\"{shown}\"")], "(entry 2), but it is a secret key"),
        ] {
            let message = with(&keys).unwrap_err().to_string();
            assert!(message.contains("backup.recipients") && message.contains(part), "{message}");
            assert!(!message.contains(shown), "{message}");
        }
    }

    #[test]
    fn password_is_not_shown() {
        let config = parse("[clickhouse]\npassword = \"hunter2\"").unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
