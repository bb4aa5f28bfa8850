//! The shipping position and the current batch: file `cursor`, two slots written alternately.
//!
//! Overwriting needs no space, so a spool on a full disk can still be drained. A slot is one sector; the
//! newest intact slot wins.

use std::{io, path::Path};

use super::{
    OpenError,
    disk::{Disk, DiskFile},
    frame::{u32_at, u64_at},
    segment,
};

const NAME: &str = "cursor";
const MAGIC: &[u8; 8] = b"SOTCURSR";
const VERSION: u32 = 1;
/// Length of a slot: a sector, which a disk writes atomically.
const SLOT_BYTES: usize = 512;
/// Where the slots begin: on pages of their own.
const SLOTS: [u64; 2] = [0, 4096];
const USED_BYTES: usize = 44;

/// A position in the log and the batch that begins there.
#[derive(Debug)]
pub(super) struct Cursor<F> {
    file: F,
    /// Identity of this spool; part of every token.
    pub(super) id: u64,
    pub(super) state: State,
    /// Number of the newest slot that is durable.
    durable: u64,
    /// Number of the newest slot that was tried.
    tried: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Sequence number of the first record that is not shipped.
    pub(super) next: u64,
    /// End (exclusive) of the batch that is being shipped.
    pub(super) sealed_end: Option<u64>,
}

struct Slot {
    number: u64,
    id: u64,
    state: State,
}

impl Slot {
    fn encode(&self) -> [u8; SLOT_BYTES] {
        let mut out = [0; SLOT_BYTES];
        out[..8].copy_from_slice(MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        let numbers = [self.number, self.id, self.state.next, self.state.sealed_end.unwrap_or(0)];
        for (place, number) in out[12..USED_BYTES].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let crc = crc32c::crc32c(&out[..USED_BYTES]);
        out[USED_BYTES..USED_BYTES + 4].copy_from_slice(&crc.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let crc = crc32c::crc32c(bytes.get(..USED_BYTES)?);
        let whole = &bytes[..8] == MAGIC && u32_at(bytes, 8)? == VERSION && crc == u32_at(bytes, USED_BYTES)?;
        let sealed_end = Some(u64_at(bytes, 36)?).filter(|end| *end != 0);
        let state = State { next: u64_at(bytes, 28)?, sealed_end };
        whole.then_some(Self { number: u64_at(bytes, 12)?, id: u64_at(bytes, 20)?, state })
    }

    /// The newest whole slot of a file.
    fn newest<F: DiskFile>(file: &F) -> io::Result<Option<Self>> {
        let mut newest: Option<Self> = None;
        for at in SLOTS {
            let mut bytes = [0; SLOT_BYTES];
            let filled = file.fill_at(&mut bytes, at)?;
            let slot = Self::decode(&bytes[..filled]);
            newest = newest.into_iter().chain(slot).max_by_key(|slot| slot.number);
        }
        Ok(newest)
    }

    fn write<F: DiskFile>(&self, file: &F) -> io::Result<()> {
        file.write_all_at(&self.encode(), SLOTS[(self.number % 2) as usize])?;
        file.sync()
    }
}

/// Reads the cursor's state without changing anything; `None` if there is none yet.
pub(super) fn peek<D: Disk>(disk: &D, dir: &Path) -> io::Result<Option<State>> {
    match disk.open(&dir.join(NAME)) {
        Ok(file) => match Slot::newest(&file)? {
            Some(slot) => Ok(Some(slot.state)),
            None => Err(io::Error::new(io::ErrorKind::InvalidData, "the spool's cursor is damaged")),
        },
        // Nothing was shipped yet.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

impl<F: DiskFile> Cursor<F> {
    /// Reads the cursor, or creates the first one. The returned state is durable.
    pub(super) fn load<D: Disk<File = F>>(disk: &D, dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join(NAME);
        Self::read(disk, dir, &path).map_err(|source| OpenError::Io { path, source })
    }

    fn read<D: Disk<File = F>>(disk: &D, dir: &Path, path: &Path) -> io::Result<Self> {
        let file = match disk.edit(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Self::create(disk, dir, path)?,
            Err(e) => return Err(e),
        };
        let slot = Slot::newest(&file)?
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "neither slot is whole"))?;
        // What is read after a crash need not be on disk, neither the slot nor any directory entry. The other
        // slot is, so this one may be overwritten.
        slot.write(&file)?;
        disk.sync_dir(dir)?;
        Ok(Self { file, id: slot.id, state: slot.state, durable: slot.number, tried: slot.number })
    }

    fn create<D: Disk<File = F>>(disk: &D, dir: &Path, path: &Path) -> io::Result<F> {
        if disk.names(dir)?.iter().any(|name| name == "cursor.json") {
            let text = "it is of an unreleased version; ship it with that one, then remove the directory";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let id = getrandom::u64().map_err(|e| io::Error::other(e.to_string()))?;
        let next = segment::list(disk, dir)?.first().copied().unwrap_or(1);
        let new = path.with_extension("new");
        let file = disk.create(&new)?;
        for number in [0, 1] {
            Slot { number, id, state: State { next, sealed_end: None } }.write(&file)?;
        }
        disk.rename(&new, path)?;
        disk.sync_dir(dir)?;
        Ok(file)
    }

    /// Stores `state` durably. After a failure the previous state still holds, and the next attempt rewrites
    /// the same slot under a higher number: the other slot is the only one known to be on disk.
    pub(super) fn store(&mut self, state: State) -> io::Result<()> {
        let after = self.tried + 1;
        let number = if after % 2 == self.durable % 2 { after + 1 } else { after };
        self.tried = number;
        Slot { number, id: self.id, state }.write(&self.file)?;
        self.durable = number;
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slot_that_is_not_whole_is_none() {
        let slot = Slot { number: 7, id: 1, state: State { next: 3, sealed_end: Some(9) } };
        let bytes = slot.encode();
        assert_eq!(Slot::decode(&bytes).map(|s| (s.number, s.state)), Some((7, slot.state)));
        for at in 0..USED_BYTES + 4 {
            let mut torn = bytes;
            torn[at] ^= 1;
            assert!(Slot::decode(&torn).is_none(), "byte {at}");
        }
        assert!(Slot::decode(&[]).is_none());
    }
}
