//! Looks for salts as an attacker with the rights of Sotto's user does: in the kernel's keyring and with the keeper.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
};

use linux_keyutils::{Key, KeyRing, KeyRingIdentifier};
use sotto_collector::visitor::salts::{
    self,
    holder::{HeldBy, Holder, Place, installation},
};

use crate::{Sotto, program};

/// Length of a salt.
const SALT: usize = 32;
/// Length of a record of the keeper: site, day, salt.
const RECORD: usize = 42;
/// Length of a request to the keeper: operation, site, day, how long, salt.
const REQUEST: usize = 51;

/// Whether this machine lets programs use the kernel's keyring; containers often forbid it.
pub fn keyring_works() -> bool {
    let place = Place { installation: "tried".into(), sockets: None, program: None };
    Holder::open(HeldBy::Keyring, &place).is_ok()
}

/// The keys of all installations in this user's keyring, and what they hold, as far as it can be read.
pub fn keys() -> Vec<(String, Key, Option<Vec<u8>>)> {
    // Where it is forbidden, there are none.
    let Ok(ring) = KeyRing::from_special_id(KeyRingIdentifier::User, false) else { return Vec::new() };
    let Ok(links) = ring.get_links(1 << 20) else { return Vec::new() };
    let keys: Vec<Key> = links.iter().filter_map(|link| link.as_key()).collect();
    let told = |key: Key| {
        let name = key.metadata().ok()?.get_description().to_owned();
        let mut bytes = [0; SALT];
        let read = key.read(&mut bytes).ok().map(|_| bytes.to_vec());
        name.starts_with("sotto:").then_some((name, key, read))
    };
    keys.into_iter().filter_map(told).collect()
}

impl Sotto {
    /// The RAM-backed directory.
    #[allow(clippy::disallowed_methods)] // The harness looks where the program does.
    pub fn ram(&self) -> PathBuf {
        let runtime = std::env::var("XDG_RUNTIME_DIR").map(PathBuf::from).into_iter();
        let candidates: Vec<PathBuf> = runtime.chain(["/dev/shm".into(), "/run".into()]).collect();
        salts::ram_directory(&fs::canonicalize(self.data()).unwrap(), &candidates).expect("there is a tmpfs")
    }

    /// The keys that hold this installation's salts in the kernel's keyring.
    pub fn keys(&self) -> Vec<(Key, Option<Vec<u8>>)> {
        let prefix = format!("sotto:{}:", installation(&self.data()).unwrap());
        let own = keys().into_iter().filter(|(name, _, _)| name.starts_with(&prefix));
        own.map(|(_, key, bytes)| (key, bytes)).collect()
    }

    /// The salts that the keeper tells of; none if it does not run.
    pub fn kept(&self) -> Vec<Vec<u8>> {
        let Ok(mut keeper) = UnixStream::connect(self.ram().join("salts-keeper")) else { return Vec::new() };
        let mut request = [0; REQUEST];
        request[0] = b'a';
        let mut answer = Vec::new();
        // One that is just ending says nothing.
        let _told = keeper.write_all(&request).and_then(|()| keeper.read_to_end(&mut answer));
        answer.get(4..).unwrap_or_default().chunks_exact(RECORD).map(|record| record[10..].to_vec()).collect()
    }

    /// All salts that are held for this installation.
    pub fn salts(&self) -> Vec<Vec<u8>> {
        let mut salts: Vec<Vec<u8>> = self.keys().into_iter().filter_map(|(_, bytes)| bytes).collect();
        salts.extend(self.kept());
        salts.sort_unstable();
        salts
    }

    /// Destroys what an installation that is removed has left.
    pub(crate) fn end_salts(&self) {
        let Ok(installation) = installation(&self.data()) else { return };
        let place = Place { installation, sockets: Some(self.ram()), program: Some(program()) };
        let _gone = Holder::open(HeldBy::Auto, &place).and_then(|holder| holder.end());
        let _gone = fs::remove_dir_all(self.ram());
    }
}
