//! The environment: variables, and the paths on this machine.

use std::path::{Path, PathBuf};

use sotto_collector::config::{Config, Paths};

/// Version of the embedded server's library that this program was measured with.
pub const LIBCHDB_VERSION: &str = "26.7.3-stable.1";

/// The environment variables that Sotto reads.
#[derive(Debug, Default)]
pub struct Environment {
    /// `SOTTO_DATA`.
    pub data: Option<String>,
    /// `SOTTO_LISTEN`.
    pub listen: Option<String>,
    /// `SOTTO_CLICKHOUSE_URL`.
    pub clickhouse_url: Option<String>,
    /// `SOTTO_LOG`: a filter, like "info" or "sotto_collector=debug".
    pub log: Option<String>,
    cache: Option<PathBuf>,
    runtime: Option<PathBuf>,
}

impl Environment {
    /// Reads the environment.
    #[allow(clippy::disallowed_methods)] // This is main's door to the environment.
    pub fn read() -> Self {
        let get = |name| std::env::var(name).ok().filter(|v: &String| !v.is_empty());
        let cache = get("XDG_CACHE_HOME").map(PathBuf::from);
        let home = get("HOME").map(|home| PathBuf::from(home).join(".cache"));
        Self {
            data: get("SOTTO_DATA"),
            listen: get("SOTTO_LISTEN"),
            clickhouse_url: get("SOTTO_CLICKHOUSE_URL"),
            log: get("SOTTO_LOG"),
            cache: get("SOTTO_CACHE").map(PathBuf::from).or(cache.or(home).map(|dir| dir.join("sotto"))),
            runtime: get("XDG_RUNTIME_DIR").map(PathBuf::from),
        }
    }

    /// Resolves paths outside the data directory.
    pub fn paths(&self, config: &Config) -> Paths {
        let cached = |name: &str| self.cache.as_ref().map(|dir| dir.join(name));
        let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
        let libraries = [
            config.clickhouse.library.clone(),
            beside.as_ref().map(|dir| dir.join("libchdb.so")),
            cached(&format!("libchdb-{LIBCHDB_VERSION}")).map(|dir| dir.join("libchdb.so")),
        ];
        let geoip = [beside.map(|dir| dir.join("geoip")), Some(config.data.join("geoip")), cached("geoip")];
        Paths {
            library: libraries
                .iter()
                .flatten()
                .find(|path| path.exists())
                .or_else(|| libraries.iter().flatten().last())
                .cloned()
                .unwrap_or_else(|| PathBuf::from("libchdb.so")),
            geoip: geoip.into_iter().flatten().collect(),
            program: std::env::current_exe().ok(),
            ram: self.runtime.iter().cloned().chain(["/dev/shm".into(), "/run".into()]).collect(),
        }
    }
}
