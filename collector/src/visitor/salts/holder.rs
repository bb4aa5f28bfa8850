//! Who holds the salts while the program does not run: the kernel's keyring, or a small process of ours.
//!
//! **Promises.** A salt that was given to a holder is there after a restart or a kill of the program, and is gone when
//! its time is over, whether the program runs or not: neither holder writes a salt to a file. What cannot be held is
//! used all the same, and is gone when the program stops.
//!
//! The keyring is preferred: it survives that a supervisor ends all processes of a service. Containers often forbid it;
//! and a user who is not root has room for some two hundred keys (`/proc/sys/kernel/keys/maxkeys`). The keeper process
//! takes what the keyring does not.
//!
//! **Proof**: `tests/suite/salts.rs`, which stops and kills the program and then looks for salts everywhere.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use sotto_schema::{day::Day, id::SiteId};

use super::{HeldSalt, Salt, keeper::Keeper, keyring::Keyring};

/// Who may hold salts: `[salts] held_by` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeldBy {
    /// The kernel's keyring if it works, and the keeper process for what the keyring does not take.
    #[default]
    Auto,
    /// The kernel's keyring alone; where it does not work, the start stops.
    Keyring,
    /// The keeper process alone.
    Keeper,
    /// Nobody: a restart gives today's visitors new keys.
    Memory,
}

/// Who holds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// The kernel's keyring.
    Keyring,
    /// The keeper process.
    Keeper,
    /// Only the program's own memory.
    Memory,
}

impl Means {
    /// Its name in the log and in `sotto doctor`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keyring => "kernel keyring",
            Self::Keeper => "keeper process",
            Self::Memory => "memory only",
        }
    }
}

/// Where an installation's salts are.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// Tells installations of one machine apart; see [`installation`].
    pub installation: String,
    /// The directory of the keeper's socket. `None`: there can be no keeper.
    pub sockets: Option<PathBuf>,
    /// The program that is started as the keeper. `None`: no keeper is started.
    pub program: Option<PathBuf>,
}

/// Holds salts while the program does not run.
#[derive(Debug, Default)]
pub struct Holder {
    keyring: Option<Keyring>,
    keeper: Option<Keeper>,
}

impl Holder {
    /// The holders that `held_by` allows and this machine has. Nothing is started before the first salt.
    ///
    /// # Errors
    /// When the keyring alone may hold salts, and does not work.
    pub fn open(held_by: HeldBy, place: &Place) -> io::Result<Self> {
        let keyring = match held_by {
            HeldBy::Auto => Keyring::open(&place.installation)
                .inspect_err(|error| tracing::debug!(%error, "the kernel's keyring cannot be used"))
                .ok(),
            HeldBy::Keyring => Some(Keyring::open(&place.installation)?),
            HeldBy::Keeper | HeldBy::Memory => None,
        };
        let keeper = match (held_by, &place.sockets) {
            (HeldBy::Auto | HeldBy::Keeper, Some(dir)) => Some(Keeper::new(dir, place.program.clone())),
            _ => None,
        };
        Ok(Self { keyring, keeper })
    }

    /// Who holds the next salt.
    pub const fn means(&self) -> Means {
        match (&self.keyring, &self.keeper) {
            (Some(_), _) => Means::Keyring,
            (None, Some(_)) => Means::Keeper,
            (None, None) => Means::Memory,
        }
    }

    /// All salts that are held.
    ///
    /// # Errors
    /// When a holder cannot be asked: there may be more.
    pub fn all(&self) -> io::Result<Vec<HeldSalt>> {
        let mut all = self.keyring.as_ref().map_or_else(|| Ok(Vec::new()), Keyring::all)?;
        all.extend(self.keeper.as_ref().map_or_else(|| Ok(Vec::new()), Keeper::all)?);
        Ok(all)
    }

    /// Holds a salt for `lives`, in place of the one that is held for this site and day.
    ///
    /// # Errors
    /// When no holder takes it; [`Means::Memory`] takes nothing and does not fail.
    pub fn put(&self, site: SiteId, day: Day, salt: &Salt, lives: Duration) -> io::Result<()> {
        let in_keyring = self.keyring.as_ref().map(|keyring| keyring.put(site, day, salt, lives));
        // Never in both: the other one's would be another salt, or of another time.
        match (in_keyring, &self.keeper) {
            (Some(Ok(())) | None, None) => Ok(()),
            (Some(Ok(())), Some(keeper)) => keeper.remove(site, day),
            (Some(Err(error)), None) => Err(error),
            (Some(Err(_)), Some(keeper)) => {
                self.keyring.as_ref().map_or(Ok(()), |keyring| keyring.remove(site, day))?;
                keeper.put(site, day, salt, lives)
            }
            (None, Some(keeper)) => keeper.put(site, day, salt, lives),
        }
    }

    /// Destroys a salt before its time; one that is not held is no error.
    ///
    /// # Errors
    /// When a holder cannot be asked: the salt is there until its time is over.
    pub fn remove(&self, site: SiteId, day: Day) -> io::Result<()> {
        self.keyring.as_ref().map_or(Ok(()), |keyring| keyring.remove(site, day))?;
        self.keeper.as_ref().map_or(Ok(()), |keeper| keeper.remove(site, day))
    }

    /// Destroys all salts, and ends the keeper: for an installation that is removed, such as a test's.
    ///
    /// # Errors
    /// When a holder cannot be asked.
    pub fn end(&self) -> io::Result<()> {
        for (site, day, _) in self.all()? {
            self.remove(site, day)?;
        }
        self.keeper.as_ref().map_or(Ok(()), Keeper::end)
    }
}

/// A name for the installation in this data directory, which no other on this machine has, in containers either: its
/// path, device and inode.
///
/// # Errors
/// When there is no such directory.
pub fn installation(data: &Path) -> io::Result<String> {
    let data = fs::canonicalize(data)?;
    let there = fs::metadata(&data)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(data.as_os_str().as_encoded_bytes());
    hasher.update(&there.dev().to_le_bytes()).update(&there.ino().to_le_bytes());
    Ok(hasher.finalize().to_hex()[..16].to_owned())
}
