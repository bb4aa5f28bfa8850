//! The snapshot in use, replaced while lookups run.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use arc_swap::{ArcSwap, Guard};

use crate::{
    GeoDb, GeoError,
    file::{DbFile, FileError},
};

/// The databases in use. Lookups take a snapshot and never wait; a changed file is loaded alongside and
/// swapped in.
///
/// A source is a file or a directory, of which every `*.mmdb` is used. If a file is replaced by a broken one,
/// the old one keeps answering; a file that is removed stops answering.
pub struct GeoIp {
    sources: Vec<PathBuf>,
    current: ArcSwap<GeoDb>,
    // Held only while reloading: one reload at a time.
    seen: Mutex<Vec<(PathBuf, Stamp)>>,
}

/// What [`GeoIp::reload_if_changed`] found.
#[derive(Debug)]
pub enum Reload {
    /// Every file is as it was.
    Unchanged,
    /// At least one file was new, changed or gone. The errors name those that could not be used.
    Reloaded(Vec<GeoError>),
}

impl GeoIp {
    /// Opens the sources; errors are reported, and a file is tried again when it changes.
    pub fn open(sources: Vec<PathBuf>) -> (Self, Vec<GeoError>) {
        let geo = Self { sources, current: ArcSwap::default(), seen: Mutex::default() };
        match geo.reload_if_changed() {
            Reload::Unchanged => (geo, Vec::new()),
            Reload::Reloaded(errors) => (geo, errors),
        }
    }

    /// The snapshot to look up in. Cheap; keep it for one hit.
    pub fn load(&self) -> Guard<Arc<GeoDb>> {
        self.current.load()
    }

    /// Reloads the files that changed since the last check, by inode, size and modification time. Reads
    /// files: call it from a thread that may block.
    pub fn reload_if_changed(&self) -> Reload {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let found: Vec<_> =
            scan(&self.sources).into_iter().map(|p| (Stamp::of(&p), p)).map(|(s, p)| (p, s)).collect();
        if *seen == found {
            return Reload::Unchanged;
        }
        let old = self.current.load_full();
        let (mut new, mut errors) = (GeoDb::default(), Vec::new());
        for (path, stamp) in &found {
            let unchanged = seen.iter().any(|(p, s)| p == path && s == stamp);
            let reusable = old.file(path).filter(|_| unchanged);
            match reusable.map_or_else(|| open(path, stamp), |file| Ok(Arc::clone(file))) {
                Ok(file) => new.push(file),
                Err(source) => {
                    if let (Some(file), Stamp::Present { .. }) = (old.file(path), stamp) {
                        new.push(Arc::clone(file));
                    }
                    errors.push(GeoError { path: path.clone(), source });
                }
            }
        }
        self.current.store(Arc::new(new));
        *seen = found;
        Reload::Reloaded(errors)
    }
}

fn open(path: &Path, stamp: &Stamp) -> Result<Arc<DbFile>, FileError> {
    match stamp {
        Stamp::Present { .. } => DbFile::open(path).map(Arc::new),
        Stamp::Absent(kind) => Err(FileError::Read((*kind).into())),
    }
}

/// The files that the sources name, in order.
fn scan(sources: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for source in sources {
        let Ok(entries) = fs::read_dir(source) else {
            files.push(source.clone());
            continue;
        };
        let mut found: Vec<_> = entries
            .filter_map(|e| Some(e.ok()?.path()))
            .filter(|p| p.extension().is_some_and(|e| e == "mmdb"))
            .collect();
        found.sort_unstable();
        files.append(&mut found);
    }
    files
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stamp {
    Present { inode: u64, bytes: u64, modified: SystemTime },
    Absent(io::ErrorKind),
}

impl Stamp {
    fn of(path: &Path) -> Self {
        match fs::metadata(path).and_then(|m| Ok((m.modified()?, m))) {
            Ok((modified, m)) => Self::Present { inode: m.ino(), bytes: m.len(), modified },
            Err(e) => Self::Absent(e.kind()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn country(geo: &GeoIp) -> Option<String> {
        geo.load().place("192.0.2.1".parse().unwrap()).map(|p| p.country.into())
    }

    fn write(path: &Path, country: &str, city: &str) {
        fixture::places(path, fixture::Layout::Flat, 4, &[("192.0.2.0/24", country, "", city)]);
    }

    #[test]
    fn file_that_appears_changes_breaks_and_goes_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (geo, errors) = GeoIp::open(vec![dir.path().to_path_buf()]);
        assert!(errors.is_empty(), "an empty directory is no fault");
        assert_eq!(country(&geo), None);

        let path = dir.path().join("city.mmdb");
        write(&path, "DE", "a");
        assert!(matches!(geo.reload_if_changed(), Reload::Reloaded(e) if e.is_empty()));
        assert_eq!(country(&geo).as_deref(), Some("DE"));
        assert!(matches!(geo.reload_if_changed(), Reload::Unchanged));

        let replacement = dir.path().join("new");
        write(&replacement, "FR", "longer");
        fs::rename(&replacement, &path).unwrap();
        assert!(matches!(geo.reload_if_changed(), Reload::Reloaded(e) if e.is_empty()));
        assert_eq!(country(&geo).as_deref(), Some("FR"));

        fs::write(&path, b"half a file").unwrap();
        assert_eq!(country(&geo).as_deref(), Some("FR"), "what is mapped is not what was overwritten");
        assert!(matches!(geo.reload_if_changed(), Reload::Reloaded(e) if e.len() == 1));
        assert_eq!(country(&geo).as_deref(), Some("FR"), "the last good one keeps answering");
        assert!(matches!(geo.reload_if_changed(), Reload::Unchanged));

        fs::remove_file(&path).unwrap();
        assert!(matches!(geo.reload_if_changed(), Reload::Reloaded(e) if e.is_empty()));
        assert_eq!(country(&geo), None);
    }

    #[test]
    fn named_file_that_is_missing_is_reported_and_used_once_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("city.mmdb");
        let (geo, errors) = GeoIp::open(vec![path.clone()]);
        assert_eq!(errors.len(), 1);
        write(&path, "PT", "");
        assert!(matches!(geo.reload_if_changed(), Reload::Reloaded(e) if e.is_empty()));
        assert_eq!(country(&geo).as_deref(), Some("PT"));
    }

    #[test]
    fn lookups_go_on_while_the_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("city.mmdb");
        write(&path, "DE", "0");
        let (geo, _) = GeoIp::open(vec![path.clone()]);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| (0..20_000).all(|_| country(&geo).is_some()));
            for city in 0..50 {
                write(&dir.path().join("new"), "DE", &city.to_string());
                fs::rename(dir.path().join("new"), &path).unwrap();
                geo.reload_if_changed();
            }
            assert!(reader.join().unwrap());
        });
    }
}
