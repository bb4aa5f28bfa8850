//! Resolves paths outside the data directory.

use std::path::PathBuf;

use super::Config;

/// Paths set by the environment.
#[derive(Debug, Clone, Default)]
pub struct Paths {
    /// The embedded server's library.
    pub library: PathBuf,
    /// Directories that may hold GeoIP files, best first.
    pub geoip: Vec<PathBuf>,
    /// Directories that may be RAM-backed, best first.
    pub ram: Vec<PathBuf>,
    /// This program, which is started as the keeper of salts. `None`: no keeper is started.
    pub program: Option<PathBuf>,
}

impl Config {
    /// The directory of GeoIP files: the configured one, or the first of `paths` that exists.
    pub fn geoip_directory(&self, paths: &Paths) -> Option<PathBuf> {
        self.geoip.dir.clone().or_else(|| paths.geoip.iter().find(|dir| dir.is_dir()).cloned())
    }

    /// How many shards ClickHouse has.
    pub fn shard_count(&self) -> usize {
        self.clickhouse.shards.len().max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configured_directory_of_geoip_files_comes_before_those_that_exist() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths { geoip: vec!["/nowhere".into(), dir.path().into()], ..Paths::default() };
        let mut config = Config::default();
        assert_eq!(config.geoip_directory(&paths).as_deref(), Some(dir.path()));
        assert_eq!(config.geoip_directory(&Paths::default()), None);
        config.geoip.dir = Some("/configured".into());
        assert_eq!(config.geoip_directory(&paths), Some("/configured".into()));
    }
}
