//! The random salts behind the visitor keys: one per site and day, alive for the day and half an hour.
//!
//! **Promises.** A salt is 32 bytes from the operating system, never derived from anything stored. It is kept in
//! memory and in a file on a RAM-backed directory (tmpfs), so that a restart within the day keeps the keys; where no
//! such directory exists, in memory only. [`Salts::retire`] overwrites dead salts in both. The ledger gets a
//! commitment of each salt (its hash), its birth and its death, never the salt.
//!
//! **Crash.** The file is replaced whole (rename); a torn file cannot be.
//!
//! **Proof**: tests below; `tests/suite/memory.rs` scans memory, files and logs for a dead salt.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use sotto_schema::{day::Day, id::SiteId};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// How long after the end of its day a salt is kept, to carry visits across midnight.
pub const GRACE_MS: i64 = 30 * 60 * 1000;
/// Whether a salt whose day ended at `day_end_ms` has to die.
pub const fn is_over(day_end_ms: i64, now_ms: i64) -> bool {
    now_ms >= day_end_ms + GRACE_MS
}

/// Length of a salt in bytes.
pub const SALT_BYTES: usize = 32;
const RECORD_BYTES: usize = 8 + 2 + SALT_BYTES;

/// A salt. Has no `Debug`, `Display`, `Serialize` or `Clone`; overwritten when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Salt(Box<[u8; SALT_BYTES]>);

impl Salt {
    /// A salt for tests and imports, where nothing is secret.
    pub fn from_bytes(bytes: [u8; SALT_BYTES]) -> Self {
        let salt = Self(Box::new(bytes));
        keep_out_of_swap(&salt.0);
        salt
    }

    /// The salt that another collector sent.
    pub fn from_slice(bytes: &[u8; SALT_BYTES]) -> Self {
        let mut salt = Self::from_bytes([0; SALT_BYTES]);
        salt.0.copy_from_slice(bytes);
        salt
    }

    /// Appends the salt, for another collector. The caller must overwrite `out` after sending it.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&*self.0);
    }

    pub(super) fn random() -> io::Result<Self> {
        let mut salt = Self::from_bytes([0; SALT_BYTES]);
        getrandom::fill(&mut *salt.0).map_err(|e| io::Error::other(e.to_string()))?;
        Ok(salt)
    }

    /// A keyed hash under this salt of what `feed` gives. Leaves no copy of the salt behind: the hasher and
    /// the stack it used hold the key in the clear (found by a memory scan).
    pub fn hash(&self, feed: impl FnOnce(&mut blake3::Hasher)) -> blake3::Hash {
        let hash = hash_and_clear(blake3::Hasher::new_keyed, &self.0, feed);
        scrub_stack();
        hash
    }

    /// What the ledger keeps: proves which salt it was to whoever has it, and tells nobody else anything.
    pub fn commitment(&self) -> [u8; 32] {
        let new = |_: &[u8; SALT_BYTES]| blake3::Hasher::new_derive_key("sotto 2026-11 salt commitment");
        let hash = hash_and_clear(new, &self.0, |hasher| {
            hasher.update(&*self.0);
        });
        scrub_stack();
        *hash.as_bytes()
    }
}

/// How much of the stack below a caller is overwritten after the salt was used there: a hasher takes two
/// kilobytes, and is moved a few times in unoptimised builds.
const SCRUBBED_WORDS: usize = 2048;

/// A stack frame of its own, so that [`scrub_stack`] covers all that it used.
#[inline(never)]
fn hash_and_clear(
    new: impl FnOnce(&[u8; SALT_BYTES]) -> blake3::Hasher,
    salt: &[u8; SALT_BYTES],
    feed: impl FnOnce(&mut blake3::Hasher),
) -> blake3::Hash {
    let mut hasher = new(salt);
    feed(&mut hasher);
    let hash = hasher.finalize();
    hasher.zeroize();
    hash
}

/// Overwrites what the previous call left on the stack.
#[inline(never)]
fn scrub_stack() {
    let mut area = [0u64; SCRUBBED_WORDS];
    // Keeps the compiler from optimising the write away.
    std::hint::black_box(&mut area);
}

/// Something that happened to a salt, for the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The salt was made (`true`) or destroyed (`false`).
    pub born: bool,
    /// Whose salt.
    pub site: SiteId,
    /// For which day.
    pub day: Day,
    /// Its commitment.
    pub commitment: [u8; 32],
}

/// What became of a salt that another collector sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// There was none; this is it now.
    New,
    /// It was this one already.
    Same,
    /// There was another, which is kept: the other collector will take ours.
    Kept,
    /// There was another, which is destroyed.
    Replaced,
}

type Map = HashMap<(SiteId, Day), Arc<Salt>>;

/// All salts that are alive.
pub struct Salts {
    alive: ArcSwap<Map>,
    /// Taken to make or destroy salts; holds what the ledger has not been told.
    change: Mutex<Vec<Entry>>,
    file: Option<PathBuf>,
}

impl Salts {
    /// Loads what an earlier run today left in `dir`, which must be RAM-backed; `None` keeps salts in memory
    /// only.
    ///
    /// # Errors
    /// When the directory or file cannot be read or made.
    pub fn open(dir: Option<&Path>) -> io::Result<Self> {
        let mut map = Map::new();
        let file = match dir {
            None => None,
            Some(dir) => {
                fs::create_dir_all(dir)?;
                let file = dir.join("salts");
                read_file(&file, &mut map)?;
                Some(file)
            }
        };
        Ok(Self { alive: ArcSwap::from_pointee(map), change: Mutex::default(), file })
    }

    /// The salt of `site` for `day` if it is alive.
    pub fn get(&self, site: SiteId, day: Day) -> Option<Arc<Salt>> {
        self.alive.load().get(&(site, day)).cloned()
    }

    /// The salt of `site` for `day`, made if missing. Only for today: a destroyed salt must not be made
    /// again.
    ///
    /// # Errors
    /// When the operating system has no randomness or the file cannot be written.
    pub fn today(&self, site: SiteId, day: Day) -> io::Result<Arc<Salt>> {
        if let Some(salt) = self.get(site, day) {
            return Ok(salt);
        }
        let mut entries = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(salt) = self.get(site, day) {
            return Ok(salt);
        }
        let salt = Arc::new(Salt::random()?);
        let mut map = Map::clone(&self.alive.load());
        map.insert((site, day), salt.clone());
        self.write_file(&map)?;
        entries.push(Entry { born: true, site, day, commitment: salt.commitment() });
        self.alive.store(Arc::new(map));
        Ok(salt)
    }

    /// Accepts the salt that another collector uses for (site, day). Of two, all collectors keep the one with
    /// the smaller commitment, whatever the order of messages.
    ///
    /// # Errors
    /// When the file cannot be written; nothing has changed then.
    pub fn take_over(&self, site: SiteId, day: Day, salt: Salt) -> io::Result<Taken> {
        let mut entries = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let commitment = salt.commitment();
        let own = self.get(site, day).map(|own| own.commitment());
        match own.map(|own| own.cmp(&commitment)) {
            Some(std::cmp::Ordering::Equal) => return Ok(Taken::Same),
            Some(std::cmp::Ordering::Less) => return Ok(Taken::Kept),
            Some(std::cmp::Ordering::Greater) | None => {}
        }
        let mut map = Map::clone(&self.alive.load());
        map.insert((site, day), Arc::new(salt));
        self.write_file(&map)?;
        entries.extend(own.map(|commitment| Entry { born: false, site, day, commitment }));
        entries.push(Entry { born: true, site, day, commitment });
        self.alive.store(Arc::new(map));
        Ok(if own.is_some() { Taken::Replaced } else { Taken::New })
    }

    /// Site and day of every salt that is alive.
    pub fn keys(&self) -> Vec<(SiteId, Day)> {
        self.alive.load().keys().copied().collect()
    }

    /// Destroys every salt for which `dead(site, day)`; memory is overwritten when the last request that holds one
    /// ends. Returns how many.
    ///
    /// # Errors
    /// When the file cannot be overwritten; nothing is destroyed then, and the next call tries again.
    pub fn retire(&self, dead: impl Fn(SiteId, Day) -> bool) -> io::Result<usize> {
        let mut entries = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let mut map = Map::clone(&self.alive.load());
        let gone: Vec<_> = map.extract_if(|(site, day), _| dead(*site, *day)).collect();
        if gone.is_empty() {
            return Ok(0);
        }
        self.write_file(&map)?;
        self.alive.store(Arc::new(map));
        for ((site, day), salt) in &gone {
            entries.push(Entry { born: false, site: *site, day: *day, commitment: salt.commitment() });
        }
        Ok(gone.len())
    }

    /// What happened since the last call, for the ledger.
    pub fn take_entries(&self) -> Vec<Entry> {
        std::mem::take(&mut self.change.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives entries back that could not be written to the ledger.
    pub fn return_entries(&self, earlier: Vec<Entry>) {
        let mut entries = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let later = std::mem::replace(&mut *entries, earlier);
        entries.extend(later);
    }

    /// How many salts are alive.
    pub fn count(&self) -> usize {
        self.alive.load().len()
    }

    /// Replaces the file; the one before is overwritten with zeros first, so that its pages hold nothing.
    fn write_file(&self, map: &Map) -> io::Result<()> {
        let Some(path) = &self.file else { return Ok(()) };
        let mut bytes = Vec::with_capacity(map.len() * RECORD_BYTES);
        for ((site, day), salt) in map {
            bytes.extend_from_slice(&site.0.to_le_bytes());
            bytes.extend_from_slice(&day.0.to_le_bytes());
            bytes.extend_from_slice(&*salt.0);
        }
        let new = path.with_extension("new");
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
        let written = file.write_all(&bytes);
        bytes.zeroize();
        written?;
        let old = OpenOptions::new().write(true).open(path);
        fs::rename(&new, path)?;
        match old {
            Ok(old) => overwrite(&old),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        }
    }
}

/// Locks a salt's memory, so that it is never swapped out. If the system's limit on locked memory is reached,
/// the salt is used all the same; the next start logs it again.
#[allow(unsafe_code)] // The system call takes an address; this is the only place that makes it.
fn keep_out_of_swap(salt: &[u8; SALT_BYTES]) {
    // SAFETY: the address and length are those of a live allocation; locking changes no contents.
    if let Err(error) = unsafe { rustix::mm::mlock(salt.as_ptr().cast_mut().cast(), SALT_BYTES) } {
        tracing::warn!(%error, "the memory of a salt cannot be locked; raise RLIMIT_MEMLOCK");
    }
}

fn overwrite(file: &File) -> io::Result<()> {
    let len = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    file.write_all_at(&vec![0; len], 0)
}

fn read_file(path: &Path, map: &mut Map) -> io::Result<()> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(mut file) => {
            // Allocated in full at once: growing would leave copies.
            bytes.reserve_exact(usize::try_from(file.metadata()?.len()).unwrap_or(0) + RECORD_BYTES);
            file.read_to_end(&mut bytes)?
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    for record in bytes.chunks_exact(RECORD_BYTES) {
        let (site, rest) = record.split_at(8);
        let (day, salt) = rest.split_at(2);
        let numbers = (site.try_into().map(u64::from_le_bytes), day.try_into().map(u16::from_le_bytes));
        if let (Ok(site), Ok(day)) = numbers {
            // Filled in place: an intermediate copy would be left behind.
            let mut kept = Salt::from_bytes([0; SALT_BYTES]);
            kept.0.copy_from_slice(salt);
            map.insert((SiteId(site), Day(day)), Arc::new(kept));
        }
    }
    bytes.zeroize();
    scrub_stack();
    Ok(())
}

/// A directory in memory that survives this process but not a reboot: for `data`, under `candidates`. `None`
/// when none of them is a tmpfs.
pub fn ram_directory(data: &Path, candidates: &[PathBuf]) -> Option<PathBuf> {
    /// `TMPFS_MAGIC` of linux/magic.h.
    const TMPFS: i64 = 0x0102_1994;
    let name = blake3::hash(data.as_os_str().as_encoded_bytes()).to_hex();
    candidates
        .iter()
        .find(|dir| rustix::fs::statfs(dir.as_path()).is_ok_and(|fs| fs.f_type == TMPFS))
        .map(|dir| dir.join(format!("sotto-{}", &name[..16])))
}

#[cfg(test)]
mod tests {
    use super::*;

    static_assertions::assert_not_impl_any!(Salt: std::fmt::Debug, std::fmt::Display, serde::Serialize, Clone);

    const TODAY: Day = Day(20_000);
    const YESTERDAY: Day = Day(19_999);

    #[test]
    fn collectors_that_met_apart_keep_the_same_salt_whoever_tells_first() {
        let salt = |n: u8| Salt::from_bytes([n; SALT_BYTES]);
        let winner = (1..=2).min_by_key(|n| salt(*n).commitment()).unwrap();
        let loser = 3 - winner;
        let (ahead, behind) = (Salts::open(None).unwrap(), Salts::open(None).unwrap());
        assert_eq!(ahead.take_over(SiteId(1), TODAY, salt(winner)).unwrap(), Taken::New);
        assert_eq!(behind.take_over(SiteId(1), TODAY, salt(loser)).unwrap(), Taken::New);
        assert_eq!(ahead.take_over(SiteId(1), TODAY, salt(loser)).unwrap(), Taken::Kept);
        assert_eq!(behind.take_over(SiteId(1), TODAY, salt(winner)).unwrap(), Taken::Replaced);
        assert_eq!(behind.take_over(SiteId(1), TODAY, salt(winner)).unwrap(), Taken::Same);
        assert_eq!(
            bytes(&behind.get(SiteId(1), TODAY).unwrap()),
            bytes(&ahead.get(SiteId(1), TODAY).unwrap())
        );
        let told: Vec<_> = behind.take_entries().iter().map(|e| (e.born, e.commitment)).collect();
        let (winner, loser) = (salt(winner).commitment(), salt(loser).commitment());
        assert_eq!(told, [(true, loser), (false, loser), (true, winner)], "the ledger is told of both");
    }

    fn bytes(salt: &Salt) -> [u8; 32] {
        *salt.hash(|_| {}).as_bytes()
    }

    #[test]
    fn salt_differs_by_site_and_day_and_stays_within_them() {
        let salts = Salts::open(None).unwrap();
        let first = bytes(&salts.today(SiteId(1), TODAY).unwrap());
        assert_eq!(bytes(&salts.today(SiteId(1), TODAY).unwrap()), first);
        assert_ne!(bytes(&salts.today(SiteId(2), TODAY).unwrap()), first);
        assert_ne!(bytes(&salts.today(SiteId(1), YESTERDAY).unwrap()), first);
    }

    #[test]
    fn restart_keeps_the_salt_of_the_day() {
        let dir = tempfile::tempdir().unwrap();
        let first = bytes(&Salts::open(Some(dir.path())).unwrap().today(SiteId(1), TODAY).unwrap());
        let again = Salts::open(Some(dir.path())).unwrap();
        assert_eq!(bytes(&again.get(SiteId(1), TODAY).unwrap()), first);
        assert_eq!(again.take_entries(), [], "it was not born again");
    }

    #[test]
    fn retired_salt_is_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let salts = Salts::open(Some(dir.path())).unwrap();
        let dead = salts.today(SiteId(1), YESTERDAY).unwrap();
        salts.today(SiteId(1), TODAY).unwrap();
        // A hard link to the file's pages: the old content must be gone from them, too.
        let old = File::open(dir.path().join("salts")).unwrap();
        assert_eq!(salts.retire(|_, day| day == YESTERDAY).unwrap(), 1);
        assert!(salts.get(SiteId(1), YESTERDAY).is_none());
        let mut left = fs::read(dir.path().join("salts")).unwrap();
        (&old).read_to_end(&mut left).unwrap();
        assert!(!left.windows(SALT_BYTES).any(|w| w == *dead.0));
        assert_eq!(salts.count(), 1);
    }

    #[test]
    fn day_is_kept_for_half_an_hour_after_its_end_and_no_longer() {
        let end = 1_800_000_000_000;
        for (now, over) in [(end, false), (end + 1_799_999, false), (end + 1_800_000, true), (end - 1, false)]
        {
            assert_eq!(is_over(end, now), over, "{}", now - end);
        }
    }

    #[test]
    fn ledger_hears_of_birth_and_death() {
        let salts = Salts::open(None).unwrap();
        let commitment = salts.today(SiteId(1), YESTERDAY).unwrap().commitment();
        salts.retire(|_, _| true).unwrap();
        let entry = Entry { born: true, site: SiteId(1), day: YESTERDAY, commitment };
        assert_eq!(salts.take_entries(), [entry, Entry { born: false, ..entry }]);
        assert_eq!(salts.take_entries(), []);
    }

    #[test]
    fn commitment_is_not_the_salt() {
        let salt = Salt::from_bytes([7; 32]);
        assert_ne!(salt.commitment(), *salt.0);
        assert_ne!(salt.commitment(), Salt::from_bytes([8; 32]).commitment());
    }

    #[test]
    fn directory_on_a_disk_is_no_ram_directory() {
        assert_eq!(ram_directory(Path::new("/x"), &[PathBuf::from("/proc")]), None);
        let shm = PathBuf::from("/dev/shm");
        if shm.exists() {
            assert!(ram_directory(Path::new("/x"), std::slice::from_ref(&shm)).unwrap().starts_with(shm));
        }
    }
}
