//! An in-memory disk with fault injection, for tests.
//!
//! It keeps what a running program sees separate from what is on the medium. A kill loses nothing that was
//! seen. A power cut keeps only the medium: of unsynced writes, any subset of sectors of 512 bytes, with any
//! length between the old and the new one; of unsynced creates, renames and removals, any subset. A failed
//! sync writes any subset of the sectors and marks the others clean: they can be read until the power is cut,
//! and a later successful sync does not write them (as on Linux).

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use super::disk::{Disk, DiskFile};

const SECTOR: usize = 512;

/// A fault, injected once, at a call it applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A write writes a part.
    ShortWrite,
    /// A write writes a part and fails.
    WriteError,
    /// A sync of a file fails.
    SyncError,
    /// A sync of a directory fails; its changes may still be synced later.
    SyncDirError,
    /// Making or opening a file fails.
    OpenError,
    /// Removing or renaming fails.
    NameError,
    /// The program is killed.
    Kill,
    /// The power is cut.
    PowerCut,
}

#[derive(Debug, Clone, Default)]
struct Inode {
    seen: Vec<u8>,
    medium: Vec<u8>,
    dirty: BTreeSet<usize>,
}

type Names = BTreeMap<PathBuf, usize>;

#[derive(Debug, Clone)]
enum Change {
    Link(PathBuf, usize),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf, usize),
}

impl Change {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Link(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            Self::Unlink(path) => {
                names.remove(path);
            }
            Self::Rename(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
        }
    }
}

#[derive(Debug)]
struct State {
    inodes: Vec<Inode>,
    seen: Names,
    medium: Names,
    changes: Vec<Change>,
    random: fastrand::Rng,
    /// Pending faults, each with the number of calls until it strikes.
    faults: VecDeque<(u32, Fault)>,
    /// Capacity for all files together, in bytes.
    room: usize,
    /// Handles from before a restart are invalid.
    life: u32,
    dead: Option<Fault>,
}

/// The disk. Clones are the same disk in the same life.
#[derive(Debug, Clone)]
pub(super) struct FaultyDisk {
    state: Arc<Mutex<State>>,
    life: u32,
}

/// An open file.
#[derive(Debug)]
pub(super) struct FaultyFile {
    disk: FaultyDisk,
    inode: usize,
}

fn failed(text: &str) -> io::Error {
    io::Error::other(text.to_owned())
}

impl State {
    /// Whether the fault of this kind of call happens now.
    fn strikes(&mut self, kinds: &[Fault]) -> io::Result<Option<Fault>> {
        if self.dead.is_some() {
            return Err(failed("the program is dead"));
        }
        let Some((after, fault)) = self.faults.front_mut() else { return Ok(None) };
        if *after > 0 {
            *after -= 1;
            return Ok(None);
        }
        let fault = *fault;
        if matches!(fault, Fault::Kill | Fault::PowerCut) {
            self.dead = Some(fault);
            return Err(failed("the program dies"));
        }
        if !kinds.contains(&fault) {
            return Ok(None);
        }
        self.faults.pop_front();
        Ok(Some(fault))
    }

    fn used(&self) -> usize {
        let alive: BTreeSet<usize> = self.seen.values().copied().collect();
        alive.into_iter().map(|inode| self.inodes[inode].seen.len()).sum()
    }

    fn write(&mut self, inode: usize, bytes: &[u8], at: usize) {
        let file = &mut self.inodes[inode];
        let end = at + bytes.len();
        if file.seen.len() < end {
            file.seen.resize(end, 0);
        }
        file.seen[at..end].copy_from_slice(bytes);
        file.dirty.extend(at / SECTOR..end.div_ceil(SECTOR));
    }

    /// Writes a subset of the dirty sectors to the medium.
    fn flush(&mut self, inode: usize, all: bool) {
        let file = &mut self.inodes[inode];
        let (old, new) = (file.medium.len(), file.seen.len());
        let len = if all { new } else { self.random.usize(old.min(new)..=old.max(new)) };
        file.medium.resize(len, 0);
        for sector in std::mem::take(&mut file.dirty) {
            let (from, to) = (sector * SECTOR, (sector * SECTOR + SECTOR).min(len).min(new));
            if from < to && (all || self.random.bool()) {
                file.medium[from..to].copy_from_slice(&file.seen[from..to]);
            }
        }
    }
}

impl FaultyDisk {
    pub(super) fn new(seed: u64) -> Self {
        let state = State {
            inodes: Vec::new(),
            seen: Names::new(),
            medium: Names::new(),
            changes: Vec::new(),
            random: fastrand::Rng::with_seed(seed),
            faults: VecDeque::new(),
            room: usize::MAX,
            life: 0,
            dead: None,
        };
        Self { state: Arc::new(Mutex::new(state)), life: 0 }
    }

    /// Schedules faults, each after so many more calls.
    pub(super) fn fail(&self, faults: impl IntoIterator<Item = (u32, Fault)>) {
        self.state.lock().unwrap().faults = faults.into_iter().collect();
    }

    /// Limits the free space to so many bytes.
    pub(super) fn leave(&self, bytes: usize) {
        let mut state = self.state.lock().unwrap();
        state.room = state.used() + bytes;
    }

    /// Unlimited space, no faults.
    pub(super) fn heal(&self) {
        let mut state = self.state.lock().unwrap();
        state.room = usize::MAX;
        state.faults.clear();
    }

    /// Whether the program was killed or the power cut.
    pub(super) fn is_dead(&self) -> bool {
        self.state.lock().unwrap().dead.is_some()
    }

    /// The disk as the next start finds it: after a power cut what is on the medium, otherwise what was seen.
    pub(super) fn next_life(&self, power_cut: bool) -> Self {
        let mut state = self.state.lock().unwrap();
        if power_cut || state.dead == Some(Fault::PowerCut) {
            for inode in 0..state.inodes.len() {
                state.flush(inode, false);
                let file = &mut state.inodes[inode];
                file.seen = file.medium.clone();
            }
            for change in std::mem::take(&mut state.changes) {
                if state.random.bool() {
                    change.apply(&mut state.medium);
                }
            }
            state.seen = state.medium.clone();
        }
        state.dead = None;
        state.faults.clear();
        state.life += 1;
        Self { state: self.state.clone(), life: state.life }
    }

    fn call<T>(
        &self,
        kinds: &[Fault],
        call: impl FnOnce(&mut State, Option<Fault>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.state.lock().unwrap();
        if state.life != self.life {
            return Err(failed("the program is dead"));
        }
        let fault = state.strikes(kinds)?;
        call(&mut state, fault)
    }

    fn find(&self, path: &Path) -> io::Result<FaultyFile> {
        let inode = self.call(&[Fault::OpenError], |state, fault| match fault {
            Some(_) => Err(failed("cannot open")),
            None => state.seen.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into()),
        })?;
        Ok(FaultyFile { disk: self.clone(), inode })
    }

    fn change(state: &mut State, change: Change) {
        change.apply(&mut state.seen);
        state.changes.push(change);
    }
}

impl Disk for FaultyDisk {
    type File = FaultyFile;

    fn make_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.call(&[], |state, _| {
            let names = state.seen.keys().filter(|path| path.parent() == Some(dir));
            Ok(names.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
        })
    }

    fn create(&self, path: &Path) -> io::Result<FaultyFile> {
        let inode = self.call(&[Fault::OpenError], |state, fault| {
            if fault.is_some() {
                return Err(failed("cannot make"));
            }
            if state.seen.contains_key(path) {
                Self::change(state, Change::Unlink(path.to_owned()));
            }
            state.inodes.push(Inode::default());
            let inode = state.inodes.len() - 1;
            Self::change(state, Change::Link(path.to_owned(), inode));
            Ok(inode)
        })?;
        Ok(FaultyFile { disk: self.clone(), inode })
    }

    fn open(&self, path: &Path) -> io::Result<FaultyFile> {
        self.find(path)
    }

    fn edit(&self, path: &Path) -> io::Result<FaultyFile> {
        self.find(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(&[Fault::NameError], |state, fault| {
            if fault.is_some() {
                return Err(failed("cannot rename"));
            }
            let inode = *state.seen.get(from).ok_or(io::ErrorKind::NotFound)?;
            Self::change(state, Change::Rename(from.to_owned(), to.to_owned(), inode));
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(&[Fault::NameError], |state, fault| {
            if fault.is_some() {
                return Err(failed("cannot remove"));
            }
            state.seen.get(path).ok_or(io::ErrorKind::NotFound)?;
            Self::change(state, Change::Unlink(path.to_owned()));
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.call(&[Fault::SyncDirError], |state, fault| {
            if fault.is_some() {
                return Err(failed("cannot sync the directory"));
            }
            let is_here = |path: &PathBuf| path.parent() == Some(dir);
            for change in std::mem::take(&mut state.changes) {
                match &change {
                    Change::Link(path, _) | Change::Unlink(path) | Change::Rename(path, _, _)
                        if is_here(path) =>
                    {
                        change.apply(&mut state.medium);
                    }
                    Change::Link(..) | Change::Unlink(_) | Change::Rename(..) => state.changes.push(change),
                }
            }
            Ok(())
        })
    }
}

impl DiskFile for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        self.disk.call(&[], |state, _| Ok(state.inodes[self.inode].seen.len() as u64))
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.disk.call(&[], |state, _| {
            let rest = state.inodes[self.inode].seen.get(at as usize..).unwrap_or_default();
            let len = rest.len().min(buffer.len());
            buffer[..len].copy_from_slice(&rest[..len]);
            Ok(len)
        })
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        self.disk.call(&[Fault::ShortWrite, Fault::WriteError], |state, fault| {
            let at = at as usize;
            let grows = (at + bytes.len()).saturating_sub(state.inodes[self.inode].seen.len());
            let room = state.room.saturating_sub(state.used());
            if grows > room {
                // As much as there is room for, and then the error.
                let fits = bytes.len() - (grows - room);
                if fits > 0 {
                    state.write(self.inode, &bytes[..fits], at);
                    return Ok(fits);
                }
                return Err(io::ErrorKind::StorageFull.into());
            }
            match fault {
                Some(fault) => {
                    let part = state.random.usize(0..bytes.len());
                    state.write(self.inode, &bytes[..part], at);
                    if fault == Fault::ShortWrite && part > 0 {
                        Ok(part)
                    } else {
                        Err(failed("cannot write"))
                    }
                }
                None => {
                    state.write(self.inode, bytes, at);
                    Ok(bytes.len())
                }
            }
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.call(&[Fault::WriteError], |state, fault| {
            if fault.is_some() {
                return Err(failed("cannot cut"));
            }
            let file = &mut state.inodes[self.inode];
            file.seen.resize(len as usize, 0);
            file.dirty.retain(|sector| sector * SECTOR < len as usize);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.call(&[Fault::SyncError], |state, fault| {
            state.flush(self.inode, fault.is_none());
            if fault.is_some() { Err(failed("cannot sync")) } else { Ok(()) }
        })
    }
}
