//! Salts in the kernel's keyring of this user, each with its death as the key's timeout (keyrings(7), KEYCTL_SET_TIMEOUT).
//!
//! **Promises.** From the second of its death nobody can read a salt, whether the program runs or not; the kernel then
//! overwrites and frees it within `/proc/sys/kernel/keys/gc_delay`, 300 s by default. There is no moment at which a key
//! without a timeout outlives the program: a key is made in the thread's own keyring, which ends with the thread, and is
//! linked to the user's when it has its timeout. (The user's keyring outlives all processes of the user since Linux 5.3;
//! before, it ends with the last of them, which is too early and never too late.)

use std::{io, time::Duration};

use linux_keyutils::{Key, KeyError, KeyPermissionsBuilder, KeyRing, KeyRingIdentifier, Permission};
use sotto_schema::{day::Day, id::SiteId};
use zeroize::Zeroizing;

use super::{HeldSalt, SALT_BYTES, Salt};

/// More keys than a keyring may hold (`/proc/sys/kernel/keys/root_maxkeys`): the kernel says how many there are, and
/// they must fit.
const KEYS_MAX: usize = 1 << 20;
/// How long the key lives with which the keyring is tried.
const TRIED_FOR: Duration = Duration::from_secs(1);

/// The keys of one installation.
#[derive(Debug)]
pub struct Keyring {
    prefix: String,
}

impl Keyring {
    /// Tries whether keys can be made, dated, read and removed here: containers often forbid it.
    ///
    /// # Errors
    /// When they cannot.
    pub fn open(installation: &str) -> io::Result<Self> {
        let keyring = Self { prefix: format!("sotto:{installation}:") };
        // A name that `parse` does not take for a salt's.
        let name = format!("{}try", keyring.prefix);
        let key = make(&name, &Salt::from_bytes([0; SALT_BYTES]), TRIED_FOR)?;
        read(key)?;
        key.invalidate().map_err(other)?;
        Ok(keyring)
    }

    /// All salts that are there.
    ///
    /// # Errors
    /// When the keyring cannot be read.
    pub fn all(&self) -> io::Result<Vec<HeldSalt>> {
        let mut all = Vec::new();
        let links = users()?.get_links(KEYS_MAX).map_err(other)?;
        for key in links.iter().filter_map(|link| link.as_key()) {
            // Other programs' keys, or one that has died since.
            let Ok(metadata) = key.metadata() else { continue };
            let Some((site, day)) = self.parse(metadata.get_description()) else { continue };
            match read(key) {
                Ok(salt) => all.push((site, day, salt)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// Holds a salt for `lives`, in place of the one of the same site and day.
    ///
    /// # Errors
    /// When there is no room for this user, or the kernel refuses.
    pub fn put(&self, site: SiteId, day: Day, salt: &Salt, lives: Duration) -> io::Result<()> {
        make(&self.name(site, day), salt, lives).map(drop)
    }

    /// Destroys a salt.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove(&self, site: SiteId, day: Day) -> io::Result<()> {
        let found = users()?.search(&self.name(site, day)).and_then(|key| key.invalidate());
        found.or_else(|error| if is_gone(error) { Ok(()) } else { Err(other(error)) })
    }

    fn name(&self, site: SiteId, day: Day) -> String {
        format!("{}{:016x}:{}", self.prefix, site.0, day.0)
    }

    fn parse(&self, name: &str) -> Option<(SiteId, Day)> {
        let (site, day) = name.strip_prefix(&self.prefix)?.split_once(':')?;
        Some((SiteId(u64::from_str_radix(site, 16).ok()?), Day(day.parse().ok()?)))
    }
}

/// Makes a key that dies by itself, and only then links it where it outlives the program. A key of the same name is
/// replaced.
fn make(name: &str, salt: &Salt, lives: Duration) -> io::Result<Key> {
    // Rounded down: never later than its time.
    let seconds = usize::try_from(lives.as_secs()).unwrap_or(usize::MAX).max(1);
    let own = KeyRing::from_special_id(KeyRingIdentifier::Thread, true).map_err(other)?;
    let key = own.add_key(name, salt.0.as_slice()).map_err(other)?;
    let linked = dated(key, seconds).and_then(|()| users()?.link_key(key).map_err(other));
    own.unlink_key(key).map_err(other)?;
    linked.map(|()| key)
}

/// Gives a key its timeout, and lets this user's later processes read and remove it, and nobody else.
fn dated(key: Key, seconds: usize) -> io::Result<()> {
    let user = Permission::VIEW | Permission::READ | Permission::SEARCH;
    let permissions = KeyPermissionsBuilder::builder().posessor(Permission::ALL).user(user).build();
    key.set_timeout(seconds).map_err(other)?;
    key.set_perms(permissions).map_err(other)
}

fn read(key: Key) -> io::Result<Salt> {
    let mut bytes = Zeroizing::new([0; SALT_BYTES]);
    let length = key.read(&mut *bytes).map_err(other)?;
    if length == SALT_BYTES {
        Ok(Salt::from_slice(&bytes))
    } else {
        Err(io::Error::other("a key is no salt"))
    }
}

fn users() -> io::Result<KeyRing> {
    KeyRing::from_special_id(KeyRingIdentifier::User, false).map_err(other)
}

const fn is_gone(error: KeyError) -> bool {
    matches!(error, KeyError::KeyDoesNotExist | KeyError::KeyExpired | KeyError::KeyRevoked)
}

fn other(error: KeyError) -> io::Error {
    let kind = if is_gone(error) { io::ErrorKind::NotFound } else { io::ErrorKind::Other };
    io::Error::new(kind, format!("the kernel's keyring: {error}"))
}
