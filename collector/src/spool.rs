//! Where a hit becomes durable: a log of segment files, appended by one thread, read by the shipper.
//!
//! **For**: answering 204 only when the hit is on disk, whatever happens to ClickHouse or this process.
//!
//! **Promises.** [`Spool::append`] resolves after `fdatasync` of everything it was given (group commit:
//! whatever queued since the last write began goes into the next one, at most 3 ms later). Records are read
//! in the order they were appended. A batch's boundaries are stored durably before it is shipped, so a batch
//! that has to be sent again, even after a crash, has the same bytes and the same token. A record whose
//! [`Key`] is already durable is not kept twice.
//!
//! It knows records of bytes and their keys: nothing of hits, HTTP or ClickHouse.
//!
//! **Layout.** A directory with segments `<first sequence number, 20 digits>.seg`:
//!
//! ```text
//! header  magic "SOTSPOOL" | version u32 | columns length u32 | first sequence number u64 | salt u64
//!         | columns | crc32c of all before u32
//! frame   length u32 | crc32c(salt, sequence number, payload) u32 | payload (one row in RowBinary)
//! ```
//!
//! The shipping position and the current batch are in `cursor`, two slots of 512 bytes at 0 and 4096 that are
//! written alternately (overwriting needs no space, so a spool on a full disk can still be drained):
//!
//! ```text
//! slot    magic "SOTCURSR" | version u32 | slot's number u64 | id u64 | next u64 | end of the sealed batch or 0 u64
//!         | crc32c of all before u32
//! ```
//!
//! and with batches that ClickHouse refused in `aside/` (`aside.rs`). Numbers are little-endian. The sequence number
//! is implied by the position. The salt, random per segment, keeps bytes of another file from being read as frames.
//! The columns are those of the payloads, so a newer program ships what an older one left. A batch never spans two
//! segments. Its token is `<id, 16 hex digits>-<first>-<after the last>`; the id, random, is made once.
//!
//! **Limits**: a record has 1 to [`RECORD_BYTES_MAX`] bytes; all segments and set-aside batches together have
//! at most [`Settings::bytes_max`]; the write queue has at most [`QUEUE_BYTES_MAX`]. Beyond that,
//! [`AppendError::Full`] (503 to the browser) until the shipper has freed space. At least the last
//! [`KEYS_MIN`] keys are known, at most twice as many.
//!
//! **Faults.** A failed write or sync is never taken for success and never repeated on the same file: the
//! segment is truncated after the last acknowledged record, every waiting append fails, and the next append
//! begins a new segment. A segment that has reached its size, or whose successor cannot be created, is never
//! appended to again.
//!
//! **Forgetting.** A segment is removed when all of it is shipped and another follows;
//! [`Spool::forget_shipped`] starts a new one, so that shipped records do not stay on disk until their
//! segment is full.
//!
//! **Crash.** The last segment's tail may be torn: the next start truncates it behind the last whole frame;
//! what is cut was never acknowledged, and is logged. The rest of that segment is rewritten and synced, since pages
//! whose sync failed before the crash can be readable and still not be on disk. The same holds for the cursor's newest
//! slot. Segments below the cursor may reappear and are removed.
//!
//! **Damage.** A whole frame behind broken bytes tells damage from a torn tail, and so does a following segment or a
//! sealed batch. What is broken is passed over (`damage.rs`): the way back is the next frame whose sum is right, and its
//! sum tells how many records are missing. They are counted ([`Spool::damage`]) and logged once; hits are taken and
//! shipped all the same. A header with one broken byte is put right; a segment whose header has more gets the ending
//! `.unreadable` and is left for the operator. A missing first segment, or a sealed batch of which no file is left, stops
//! the start: a directory that is not ours, or not all of it.
//!
//! **The last records of all** have no frame behind them; their length tells. A record that is there in the length it
//! says, no sector of which holds only zeros, was written whole and is damaged. One that is shorter was torn off. A
//! changed length that says more than there is looks like a torn tail and is logged as one; what a power cut left of an
//! unacknowledged write can look like damage.
//!
//! **Not promised**: a refused record (503) may still be kept if the process dies before the segment is
//! truncated; its key is known then, so the browser's retry is not kept twice.
//!
//! **Proof**: `model.rs` checks the log against a model on a disk with fault injection (`faults.rs`): short
//! writes, errors, a full disk, failed syncs, kills, and power cuts at any call that keep any subset of the
//! unsynced data. End to end: `tests/suite/durability.rs`.

use std::{io, path::PathBuf, sync::Arc};

use crate::supervise;

mod append;
mod aside;
mod batch;
mod cursor;
mod damage;
mod disk;
#[cfg(test)]
mod faults;
mod frame;
mod known;
mod mailbox;
#[cfg(test)]
mod model;
mod reader;
mod recover;
mod segment;
pub mod sharded;
mod shared;
#[cfg(test)]
mod tests;
mod writer;

pub use append::{Append, Repeats, Ticket};
pub use aside::AsideFile;
pub use batch::Batch;
pub use damage::Damage;
pub use disk::{Disk, DiskFile, OsDisk};
pub use frame::RECORD_BYTES_MAX;
pub use known::{GENERATION_MAX as KEYS_MIN, Key};
pub use reader::Reader;
pub use shared::Aside;
pub use writer::{QUEUE_BYTES_MAX, Spool};

/// How a spool is kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its directory; made if missing.
    pub dir: PathBuf,
    /// Size at which a segment is closed.
    pub segment_bytes: u64,
    /// Total size of all segments beyond which appends are refused.
    pub bytes_max: u64,
    /// Column names of the records.
    pub columns: String,
}

/// Why the spool cannot be opened; the start stops.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or a file cannot be read or written.
    #[error("cannot open the spool at {path}")]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The end of a batch that is being shipped is missing; whether ClickHouse has it is unknown.
    #[error(
        "records {from} to {to} of the spool were acknowledged and are gone; restore the directory, or move it away to begin anew"
    )]
    Lost {
        /// The first of them.
        from: u64,
        /// After the last of them.
        to: u64,
    },
    /// A file between two others is gone.
    #[error("a segment is missing before {path}; restore it, or move the later ones away and replay them")]
    Gap {
        /// The segment after the gap.
        path: PathBuf,
    },
}

/// Why a record was not kept. The browser gets 503 and may send it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The spool or its queue is at its limit, or the disk is full.
    #[error("the spool is full")]
    Full,
    /// The disk failed; the next append tries a new segment.
    #[error("the spool cannot be written")]
    Failed,
}

/// Opens the spool: recovers the torn tail, starts the writing thread.
///
/// # Errors
/// See [`OpenError`].
pub fn open(settings: Settings) -> Result<(Spool, Reader), OpenError> {
    let (spool, reader, writer, queue) = open_on(OsDisk, settings)?;
    std::thread::Builder::new()
        .name("spool".into())
        .spawn(move || {
            supervise::prompt();
            writer.run(&queue);
        })
        .map_err(|source| OpenError::Io { path: "the writing thread".into(), source })?;
    Ok((spool, reader))
}

type Parts<D> = (Spool, Reader<D>, writer::Writer<D>, std::sync::mpsc::Receiver<writer::Message>);

/// Opens the spool on any disk and returns its writer.
fn open_on<D: Disk>(disk: D, settings: Settings) -> Result<Parts<D>, OpenError> {
    let dir = settings.dir.clone();
    let io_error = |source| OpenError::Io { path: dir.clone(), source };
    disk.make_dir(&dir).map_err(io_error)?;
    let cursor = cursor::Cursor::load(&disk, &dir)?;
    let log = recover::recover(&disk, &settings, cursor.state)?;
    let shared = Arc::new(shared::Shared::new(settings, log.segments, log.durable, cursor.state.next));
    log.gaps.iter().for_each(|gap| shared.note_damage(gap));
    let reader = Reader::new(shared.clone(), disk.clone(), cursor).map_err(io_error)?;
    let writer = writer::Writer::new(shared.clone(), disk, log.segment);
    let (spool, queue) = Spool::new(shared);
    Ok((spool, reader, writer, queue))
}

/// One segment or batch set aside as [`inspect`] finds it.
#[derive(Debug)]
pub struct Inspected {
    /// The file.
    pub path: PathBuf,
    /// Sequence number of its first record.
    pub first: u64,
    /// Whole records in it.
    pub records: u64,
    /// Records of those that are not shipped.
    pub waiting: u64,
    /// Records that cannot be read; 1 if nothing can and how many there were is unknown.
    pub damaged: u64,
    /// Its size.
    pub bytes: u64,
    /// Its condition, in words.
    pub state: String,
}

/// Reads all segments of the spool in `dir`, and the batches set aside, without changing anything.
///
/// # Errors
/// When the directory or a file cannot be read.
pub fn inspect(dir: &std::path::Path) -> io::Result<Vec<Inspected>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let disk = OsDisk;
    let shipped = cursor::peek(&disk, dir)?.map_or(0, |state| state.next);
    let mut found = Vec::new();
    let firsts = segment::list(&disk, dir)?;
    for (i, first) in firsts.iter().enumerate() {
        found.push(inspect_segment(&disk, dir, *first, firsts.get(i + 1).copied(), shipped)?);
    }
    for first in segment::list_unreadable(&disk, dir)? {
        let path = segment::unreadable(dir, first);
        let (bytes, state) = (std::fs::metadata(&path)?.len(), UNREADABLE.into());
        found.push(Inspected { path, first, records: 0, waiting: 0, damaged: 1, bytes, state });
    }
    for file in aside::list(&disk, dir)? {
        let (records, damaged, state) = match aside::read(&disk, &file) {
            Ok((batch, why)) => (batch.count, 0, format!("set aside: {why}")),
            Err(error) => (0, 1, format!("set aside: {error}")),
        };
        let AsideFile { path, start: first, bytes, .. } = file;
        found.push(Inspected { path, first, records, waiting: records, damaged, bytes, state });
    }
    Ok(found)
}

const UNREADABLE: &str = "the header is damaged: what is in it cannot be read; restore it, or remove it";

fn inspect_segment(
    disk: &OsDisk,
    dir: &std::path::Path,
    first: u64,
    follows: Option<u64>,
    shipped: u64,
) -> io::Result<Inspected> {
    let path = segment::path(dir, first);
    let bytes = std::fs::metadata(&path)?.len();
    let Some(mut walk) = segment::Walk::open(disk, dir, first)? else {
        let state = UNREADABLE.into();
        return Ok(Inspected { path, first, records: 0, waiting: 0, damaged: 1, bytes, state });
    };
    let mut gaps = Vec::new();
    match follows {
        // Anything past the start of the next segment was abandoned, never acknowledged.
        Some(follows) => recover::walk_to(&mut walk, &path, follows, &mut gaps)?,
        None => recover::walk_on(&mut walk, &path, &mut gaps)?,
    }
    let below = |at: u64| {
        let lost = gaps.iter().map(|gap| gap.records.end.min(at).saturating_sub(gap.records.start.min(at)));
        at.saturating_sub(first) - lost.sum::<u64>()
    };
    let (records, damaged) = (below(walk.next), gaps.iter().map(|g| g.records.end - g.records.start).sum());
    let state = match gaps.first() {
        Some(gap) => format!("damaged at byte {}: {damaged} records cannot be read", gap.offset),
        None if follows.is_none() && walk.is_torn()? => "ends with a record that is not whole".into(),
        None => "whole".into(),
    };
    let waiting = records - below(shipped.clamp(first, walk.next));
    Ok(Inspected { path, first, records, waiting, damaged, bytes, state })
}

/// The batches that were set aside in `dir`.
///
/// # Errors
/// When the directory cannot be read.
pub fn set_aside(dir: &std::path::Path) -> io::Result<Vec<AsideFile>> {
    aside::list(&OsDisk, dir)
}

/// Reads a batch that was set aside.
///
/// # Errors
/// When the file is damaged or cannot be read.
pub fn read_aside(file: &AsideFile) -> io::Result<Batch> {
    aside::read(&OsDisk, file).map(|(batch, _)| batch)
}
