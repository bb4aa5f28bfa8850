//! The random salts behind the visitor keys: one per site and day, alive for the day and half an hour.
//!
//! **Promises.** A salt is 32 bytes from the operating system, never derived from anything stored, and in no file. It is
//! in this program's memory and with a [`holder`], so that a restart or a kill within the day keeps the keys. The holder
//! is told when it dies: it does so whatever becomes of the program. [`Salts::retire`] overwrites dead salts in both. The
//! ledger gets a commitment of each salt (its hash), its birth and its death, never the salt.
//!
//! **Crash.** A salt is with the holder before the first hit is keyed with it.
//!
//! **Proof**: tests below; `tests/suite/salts.rs` and `tests/suite/memory.rs` search memory, keyrings, files and logs for
//! dead salts.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use sotto_schema::{day::Day, id::SiteId};
use zeroize::{Zeroize, ZeroizeOnDrop};

pub mod holder;
pub mod keeper;
mod keyring;

use holder::Holder;

/// How long after the end of its day a salt is kept, to carry visits across midnight.
pub const GRACE_MS: i64 = 30 * 60 * 1000;
/// Whether a salt whose day ended at `day_end_ms` has to die.
pub const fn is_over(day_end_ms: i64, now_ms: i64) -> bool {
    now_ms >= day_end_ms + GRACE_MS
}

/// How long a salt has to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// When it dies, in milliseconds since 1970-01-01 UTC.
    dies_ms: i64,
    /// What time it is.
    now_ms: i64,
}

impl Term {
    /// Of the salt of a day that ends at `day_end_ms`.
    pub const fn of_day(day_end_ms: i64, now_ms: i64) -> Self {
        Self { dies_ms: day_end_ms + GRACE_MS, now_ms }
    }

    /// What is left of it; zero if it is over.
    fn left(self) -> Duration {
        Duration::from_millis(u64::try_from(self.dies_ms - self.now_ms).unwrap_or(0))
    }
}

/// Length of a salt in bytes.
pub const SALT_BYTES: usize = 32;
/// Most salts that are alive at a time: the sites of an installation, and once more around midnight.
pub const SALTS_MAX: usize = 100_000;
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// A salt that is held, of which site and day.
pub type HeldSalt = (SiteId, Day, Salt);

type Map = HashMap<(SiteId, Day), Arc<Salt>>;

#[derive(Default)]
struct Changes {
    /// What the ledger has not been told.
    untold: Vec<Entry>,
    /// When the holder believes that they die, as far as we told it in this run.
    dated: HashMap<(SiteId, Day), i64>,
}

/// All salts that are alive.
pub struct Salts {
    alive: ArcSwap<Map>,
    /// Taken to make or destroy salts.
    change: Mutex<Changes>,
    holder: Holder,
    /// What an earlier run of today left; `None` if that is not known.
    left: Option<HashSet<Entry>>,
    salts_max: usize,
}

impl Salts {
    /// Takes over what an earlier run of today left with `holder`. A holder that cannot be asked is logged: today's
    /// visitors get new keys, and the salts die at their time.
    pub fn open(holder: Holder) -> Self {
        let mut map = Map::new();
        let held = holder.all().inspect_err(
            |error| tracing::warn!(%error, "the salts of an earlier run cannot be read; today's visitors get new keys"),
        );
        let left = held.ok().map(|held| {
            let mut left = HashSet::new();
            for (site, day, salt) in held {
                left.insert(Entry { born: true, site, day, commitment: salt.commitment() });
                map.insert((site, day), Arc::new(salt));
            }
            left
        });
        scrub_stack();
        Self {
            alive: ArcSwap::from_pointee(map),
            change: Mutex::default(),
            holder,
            left,
            salts_max: SALTS_MAX,
        }
    }

    /// Salts that end with the program, and of which the ledger hears from now on only.
    pub fn in_memory() -> Self {
        Self { left: None, ..Self::open(Holder::default()) }
    }

    /// The same, with room for `salts_max` of them.
    #[cfg(test)]
    pub(crate) fn in_memory_at_most(salts_max: usize) -> Self {
        Self { salts_max, ..Self::in_memory() }
    }

    /// Who holds salts while the program does not run.
    pub const fn means(&self) -> holder::Means {
        self.holder.means()
    }

    /// The salt of `site` for `day` if it is alive.
    pub fn get(&self, site: SiteId, day: Day) -> Option<Arc<Salt>> {
        self.alive.load().get(&(site, day)).cloned()
    }

    /// The salt of `site` for `day`, made if missing. Only for today: a destroyed salt must not be made again.
    ///
    /// # Errors
    /// When the operating system has no randomness, or [`SALTS_MAX`] salts are alive.
    pub fn today(&self, site: SiteId, day: Day, term: Term) -> io::Result<Arc<Salt>> {
        if let Some(salt) = self.get(site, day) {
            return Ok(salt);
        }
        let mut changes = self.changes();
        if let Some(salt) = self.get(site, day) {
            return Ok(salt);
        }
        self.make_sure_of_room()?;
        let salt = Arc::new(Salt::random()?);
        let mut map = Map::clone(&self.alive.load());
        map.insert((site, day), salt.clone());
        self.hold(&mut changes, (site, day), &salt, term);
        changes.untold.push(Entry { born: true, site, day, commitment: salt.commitment() });
        self.alive.store(Arc::new(map));
        Ok(salt)
    }

    /// Accepts the salt that another collector uses for (site, day). Of two, all collectors keep the one with
    /// the smaller commitment, whatever the order of messages.
    ///
    /// # Errors
    /// When [`SALTS_MAX`] salts are alive; nothing has changed then.
    pub fn take_over(&self, site: SiteId, day: Day, salt: Salt, term: Term) -> io::Result<Taken> {
        let mut changes = self.changes();
        let commitment = salt.commitment();
        let own = self.get(site, day).map(|own| own.commitment());
        match own.map(|own| own.cmp(&commitment)) {
            Some(std::cmp::Ordering::Equal) => return Ok(Taken::Same),
            Some(std::cmp::Ordering::Less) => return Ok(Taken::Kept),
            Some(std::cmp::Ordering::Greater) => {}
            None => self.make_sure_of_room()?,
        }
        let mut map = Map::clone(&self.alive.load());
        self.hold(&mut changes, (site, day), &salt, term);
        map.insert((site, day), Arc::new(salt));
        changes.untold.extend(own.map(|commitment| Entry { born: false, site, day, commitment }));
        changes.untold.push(Entry { born: true, site, day, commitment });
        self.alive.store(Arc::new(map));
        Ok(if own.is_some() { Taken::Replaced } else { Taken::New })
    }

    fn make_sure_of_room(&self) -> io::Result<()> {
        if self.count() < self.salts_max { Ok(()) } else { Err(io::Error::other("too many salts are alive")) }
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.change.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a salt to the holder. One that it does not take is used all the same, and ends with the program.
    fn hold(&self, changes: &mut Changes, key: (SiteId, Day), salt: &Salt, term: Term) {
        changes.dated.insert(key, term.dies_ms);
        let (site, day) = key;
        let held = match term.left() {
            Duration::ZERO => self.holder.remove(site, day),
            left => self.holder.put(site, day, salt, left),
        };
        scrub_stack();
        if let Err(error) = held {
            tracing::warn!(%error, "a salt cannot be held; a restart gives today's visitors of its site new keys");
        }
    }

    /// Tells the holder of every salt that was left by an earlier run, or whose site has another time zone now, when it
    /// dies.
    pub fn date(&self, term: impl Fn(SiteId, Day) -> Option<Term>) {
        let mut changes = self.changes();
        for ((site, day), salt) in self.alive.load().iter() {
            let Some(term) = term(*site, *day) else { continue };
            if changes.dated.get(&(*site, *day)) != Some(&term.dies_ms) {
                self.hold(&mut changes, (*site, *day), salt, term);
            }
        }
    }

    /// Site and day of every salt that is alive.
    pub fn keys(&self) -> Vec<(SiteId, Day)> {
        self.alive.load().keys().copied().collect()
    }

    /// Destroys every salt for which `dead(site, day)`; memory is overwritten when the last request that holds one
    /// ends. Returns how many.
    ///
    /// # Errors
    /// When a holder cannot be asked to destroy its copy, which then dies by itself; the next call tries again.
    pub fn retire(&self, dead: impl Fn(SiteId, Day) -> bool) -> io::Result<usize> {
        let mut changes = self.changes();
        let mut map = Map::clone(&self.alive.load());
        let mut failed = Ok(());
        let mut destroy = |site: SiteId, day: Day| {
            dead(site, day)
                && self.holder.remove(site, day).inspect_err(|error| failed = Err(error.kind())).is_ok()
        };
        let gone: Vec<_> = map.extract_if(|(site, day), _| destroy(*site, *day)).collect();
        if !gone.is_empty() {
            self.alive.store(Arc::new(map));
        }
        for ((site, day), salt) in &gone {
            changes.dated.remove(&(*site, *day));
            changes.untold.push(Entry { born: false, site: *site, day: *day, commitment: salt.commitment() });
        }
        failed.map_err(io::Error::from)?;
        Ok(gone.len())
    }

    /// What the ledger has to hear of the time before this run, in which these salts were `alive` by it: salts died while
    /// the program did not run, and one may have been made just before it was killed.
    pub fn since_the_last_run(&self, alive: &[Entry]) -> Vec<Entry> {
        let Some(left) = &self.left else { return Vec::new() };
        let died = alive.iter().filter(|entry| !left.contains(*entry)).map(|e| Entry { born: false, ..*e });
        let unknown = left.iter().filter(|entry| !alive.contains(entry)).copied();
        died.chain(unknown).collect()
    }

    /// What happened since the last call, for the ledger.
    pub fn take_entries(&self) -> Vec<Entry> {
        std::mem::take(&mut self.changes().untold)
    }

    /// Gives entries back that could not be written to the ledger.
    pub fn return_entries(&self, earlier: Vec<Entry>) {
        let mut changes = self.changes();
        let later = std::mem::replace(&mut changes.untold, earlier);
        changes.untold.extend(later);
    }

    /// How many salts are alive.
    pub fn count(&self) -> usize {
        self.alive.load().len()
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

/// A salt as it is sent and stored: site, day, salt.
fn encode(site: SiteId, day: Day, salt: &Salt, out: &mut Vec<u8>) {
    out.extend_from_slice(&site.0.to_le_bytes());
    out.extend_from_slice(&day.0.to_le_bytes());
    out.extend_from_slice(&*salt.0);
}

fn decode(record: &[u8; RECORD_BYTES]) -> Option<HeldSalt> {
    let (site, rest) = record.split_at(8);
    let (day, bytes) = rest.split_at(2);
    // Filled in place: an intermediate copy would be left behind.
    let mut salt = Salt::from_bytes([0; SALT_BYTES]);
    salt.0.copy_from_slice(bytes);
    Some((
        SiteId(u64::from_le_bytes(site.try_into().ok()?)),
        Day(u16::from_le_bytes(day.try_into().ok()?)),
        salt,
    ))
}

/// Overwrites and removes the file of salts that earlier versions left on the RAM disk.
///
/// # Errors
/// When it is there and cannot be overwritten.
pub fn remove_old_file(dir: &Path) -> io::Result<()> {
    let path = dir.join("salts");
    match OpenOptions::new().write(true).open(&path) {
        Ok(file) => {
            let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
            file.write_all_at(&vec![0; length], 0)?;
            fs::remove_file(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
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
    const DAY: Term = Term::of_day(24 * 60 * 60 * 1000, 0);

    #[test]
    fn collectors_that_met_apart_keep_the_same_salt_whoever_tells_first() {
        let salt = |n: u8| Salt::from_bytes([n; SALT_BYTES]);
        let winner = (1..=2).min_by_key(|n| salt(*n).commitment()).unwrap();
        let loser = 3 - winner;
        let (ahead, behind) = (Salts::in_memory(), Salts::in_memory());
        assert_eq!(ahead.take_over(SiteId(1), TODAY, salt(winner), DAY).unwrap(), Taken::New);
        assert_eq!(behind.take_over(SiteId(1), TODAY, salt(loser), DAY).unwrap(), Taken::New);
        assert_eq!(ahead.take_over(SiteId(1), TODAY, salt(loser), DAY).unwrap(), Taken::Kept);
        assert_eq!(behind.take_over(SiteId(1), TODAY, salt(winner), DAY).unwrap(), Taken::Replaced);
        assert_eq!(behind.take_over(SiteId(1), TODAY, salt(winner), DAY).unwrap(), Taken::Same);
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
        let salts = Salts::in_memory();
        let first = bytes(&salts.today(SiteId(1), TODAY, DAY).unwrap());
        assert_eq!(bytes(&salts.today(SiteId(1), TODAY, DAY).unwrap()), first);
        assert_ne!(bytes(&salts.today(SiteId(2), TODAY, DAY).unwrap()), first);
        assert_ne!(bytes(&salts.today(SiteId(1), YESTERDAY, DAY).unwrap()), first);
    }

    #[test]
    fn ledger_hears_what_happened_while_the_program_did_not_run() {
        let entry = |site, born| {
            let commitment = Salt::from_bytes([site; SALT_BYTES]).commitment();
            Entry { born, site: SiteId(site.into()), day: TODAY, commitment }
        };
        let mut salts = Salts::in_memory();
        let alive = [entry(1, true), entry(2, true)];
        assert_eq!(salts.since_the_last_run(&alive), [], "it is not known what is left");
        salts.left = Some([entry(2, true), entry(3, true)].into());
        assert_eq!(
            salts.since_the_last_run(&alive),
            [entry(1, false), entry(3, true)],
            "one has died, and one was made a moment before a kill"
        );
    }

    #[test]
    fn salts_are_made_and_taken_over_up_to_their_limit_and_no_more() {
        let salts = Salts::in_memory_at_most(2);
        salts.today(SiteId(1), TODAY, DAY).unwrap();
        salts.take_over(SiteId(2), TODAY, Salt::from_bytes([7; SALT_BYTES]), DAY).unwrap();
        assert!(salts.today(SiteId(3), TODAY, DAY).is_err());
        assert!(salts.take_over(SiteId(3), TODAY, Salt::from_bytes([7; SALT_BYTES]), DAY).is_err());
        assert!(salts.today(SiteId(1), TODAY, DAY).is_ok(), "it is there");
        assert_eq!(salts.count(), 2);
    }

    #[test]
    fn file_of_earlier_versions_is_overwritten_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("salts");
        fs::write(&path, [7; RECORD_BYTES]).unwrap();
        // Holds on to the file's pages.
        let mut old = fs::File::open(&path).unwrap();
        remove_old_file(dir.path()).unwrap();
        remove_old_file(dir.path()).unwrap();
        let mut left = Vec::new();
        std::io::Read::read_to_end(&mut old, &mut left).unwrap();
        assert_eq!((path.exists(), left), (false, vec![0; RECORD_BYTES]));
    }

    #[test]
    fn salt_lives_until_half_an_hour_after_its_day() {
        let end = 1_800_000_000_000;
        for (now, seconds) in
            [(end - 1_000, 1_801), (end + 1_799_000, 1), (end + 1_800_000, 0), (end + GRACE_MS + 1, 0)]
        {
            assert_eq!(Term::of_day(end, now).left(), Duration::from_secs(seconds), "{}", now - end);
        }
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
        let salts = Salts::in_memory();
        let commitment = salts.today(SiteId(1), YESTERDAY, DAY).unwrap().commitment();
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
