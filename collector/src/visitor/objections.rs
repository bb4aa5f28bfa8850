//! Visitors who objected today (GDPR Art. 21): their hits are taken as refused until the day's key dies with its salt.
//!
//! **Promises.** An objection holds for the rest of the site's day, also across a restart if there is a
//! RAM-backed directory; it is kept beside the salts and expires with them. Their number is bounded; a
//! browser that objects when the limit is reached is told so. Beyond a day an objection has to live in the
//! visitor's browser: nobody is recognised tomorrow.
//!
//! **Crash.** The file is replaced whole (rename).

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use sotto_schema::{
    day::Day,
    id::{SiteId, VisitorKey},
};
use sotto_store::private_file;

/// Most objections that are kept at a time, over all sites.
pub const OBJECTIONS_MAX: usize = 100_000;
const RECORD_BYTES: usize = 8 + 2 + 8;

type Key = (SiteId, Day, VisitorKey);

/// The objections in force.
#[derive(Debug, Default)]
pub struct Objections {
    set: ArcSwap<HashSet<Key>>,
    change: Mutex<()>,
    file: Option<PathBuf>,
}

impl Objections {
    /// Loads what an earlier run today left in `dir`, which must be RAM-backed; `None` keeps them in memory
    /// only.
    ///
    /// # Errors
    /// When the directory or file cannot be read or made.
    pub fn open(dir: Option<&Path>) -> io::Result<Self> {
        let Some(dir) = dir else { return Ok(Self::default()) };
        fs::create_dir_all(dir)?;
        let file = dir.join("objections");
        let bytes = match fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let set = bytes.chunks_exact(RECORD_BYTES).filter_map(decode).collect::<HashSet<Key>>();
        Ok(Self { set: ArcSwap::from_pointee(set), change: Mutex::default(), file: Some(file) })
    }

    /// Whether nobody objected: the usual case, which costs hits nothing.
    pub fn is_empty(&self) -> bool {
        self.set.load().is_empty()
    }

    /// Whether the visitor with this key objected.
    pub fn contains(&self, site: SiteId, day: Day, visitor: VisitorKey) -> bool {
        self.set.load().contains(&(site, day, visitor))
    }

    /// Site, day and key of each.
    pub fn all(&self) -> Vec<(SiteId, Day, VisitorKey)> {
        self.set.load().iter().copied().collect()
    }

    /// Notes an objection; `false` if there is no room.
    ///
    /// # Errors
    /// When the file cannot be written; the objection is in force all the same, until a restart.
    pub fn note(&self, site: SiteId, day: Day, visitor: VisitorKey) -> io::Result<bool> {
        let _turn = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let mut set = HashSet::clone(&self.set.load());
        if set.len() >= OBJECTIONS_MAX && !set.contains(&(site, day, visitor)) {
            return Ok(false);
        }
        set.insert((site, day, visitor));
        self.put(set)?;
        Ok(true)
    }

    /// Forgets those of days for which `dead(site, day)`.
    ///
    /// # Errors
    /// When the file cannot be written; the next call tries again.
    pub fn retire(&self, dead: impl Fn(SiteId, Day) -> bool) -> io::Result<()> {
        let _turn = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.set.load_full();
        let set: HashSet<Key> = before.iter().filter(|(site, day, _)| !dead(*site, *day)).copied().collect();
        if set.len() < before.len() { self.put(set) } else { Ok(()) }
    }

    fn put(&self, set: HashSet<Key>) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(set.len() * RECORD_BYTES);
        for (site, day, visitor) in &set {
            bytes.extend_from_slice(&site.0.to_le_bytes());
            bytes.extend_from_slice(&day.0.to_le_bytes());
            bytes.extend_from_slice(&visitor.0.to_le_bytes());
        }
        self.set.store(Arc::new(set));
        let Some(file) = &self.file else { return Ok(()) };
        private_file::write(file, &bytes)
    }
}

fn decode(record: &[u8]) -> Option<Key> {
    let (site, rest) = record.split_at_checked(8)?;
    let (day, visitor) = rest.split_at_checked(2)?;
    let number = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_le_bytes);
    Some((SiteId(number(site)?), Day(u16::from_le_bytes(day.try_into().ok()?)), VisitorKey(number(visitor)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Day = Day(20_000);

    #[test]
    fn objection_holds_for_its_site_day_and_key_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let objections = Objections::open(Some(dir.path())).unwrap();
        assert!(objections.is_empty());
        assert!(objections.note(SiteId(1), TODAY, VisitorKey(7)).unwrap());
        let again = Objections::open(Some(dir.path())).unwrap();
        for (site, day, visitor, there) in
            [(1, TODAY, 7, true), (2, TODAY, 7, false), (1, Day(20_001), 7, false), (1, TODAY, 8, false)]
        {
            assert_eq!(
                again.contains(SiteId(site), day, VisitorKey(visitor)),
                there,
                "{site} {day:?} {visitor}"
            );
        }
    }

    #[test]
    fn objection_goes_with_its_day() {
        let dir = tempfile::tempdir().unwrap();
        let objections = Objections::open(Some(dir.path())).unwrap();
        objections.note(SiteId(1), TODAY, VisitorKey(7)).unwrap();
        objections.note(SiteId(1), Day(20_001), VisitorKey(8)).unwrap();
        objections.retire(|_, day| day == TODAY).unwrap();
        assert!(
            !objections.contains(SiteId(1), TODAY, VisitorKey(7))
                && objections.contains(SiteId(1), Day(20_001), VisitorKey(8))
        );
        assert_eq!(fs::read(dir.path().join("objections")).unwrap().len(), RECORD_BYTES);
    }

    #[test]
    fn objection_beyond_the_limit_is_refused_and_one_that_is_there_is_not() {
        let objections = Objections::default();
        let full: HashSet<Key> =
            (0..OBJECTIONS_MAX as u64).map(|n| (SiteId(1), TODAY, VisitorKey(n))).collect();
        objections.set.store(Arc::new(full));
        assert!(!objections.note(SiteId(1), TODAY, VisitorKey(u64::MAX)).unwrap());
        assert!(objections.note(SiteId(1), TODAY, VisitorKey(5)).unwrap());
    }
}
