//! Where a hit becomes durable: a log of segment files, appended by one thread, read by the shipper.
//!
//! **For**: answering 204 only when the hit is on disk, whatever happens to ClickHouse or this process.
//!
//! **Promises.** [`Spool::append`] resolves after `fdatasync` of everything it was given (group commit: whatever
//! queued since the last write began goes into the next one, at most 3 ms later). Records come out in the order they
//! went in. A batch's first and last record are noted durably before it is shipped, so a batch that has to be sent
//! again, after a crash too, has the same bytes and the same token. A record with a [`Key`] that is durable already
//! is not kept twice.
//!
//! **Layout.** A directory with segments `<first sequence number, 20 digits>.seg`:
//!
//! ```text
//! header  magic "SOTSPOOL" | version u32 | columns length u32 | first sequence number u64 | salt u64
//!         | columns | crc32c of all before u32
//! frame   length u32 | crc32c(salt, sequence number, payload) u32 | payload (one row in RowBinary)
//! ```
//!
//! with what was shipped and the batch under way in `cursor`, two slots of 512 bytes at 0 and 4096 that are written in
//! turn (overwriting needs no room, so a full disk can be shipped empty):
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
//! **Limits**: a record has 1 to [`RECORD_BYTES_MAX`] bytes; all segments and batches set aside together have
//! [`Settings::bytes_max`]; what waits for the disk has [`QUEUE_BYTES_MAX`]. Beyond that, [`AppendError::Full`] (503 to
//! the browser) until the shipper has made room. The last [`KEYS_MIN`] keys are known, at most twice as many.
//!
//! **Faults.** A failed write or sync is never taken for success and never repeated on the same file: the segment is
//! cut off behind what was acknowledged, every waiting append fails, and the next append begins a new segment. A
//! segment that has its size, or whose successor cannot be made, is never appended to again.
//!
//! **Forgetting.** A segment is removed when all of it is shipped and another follows; [`Spool::forget_shipped`] begins
//! another one, so that shipped records do not lie on the disk until their segment is full.
//!
//! **Crash.** The last segment's tail may be torn: at the next start it is cut at the first frame that is not whole,
//! which was never acknowledged. What is left of it is written and synced again, since pages whose sync failed before
//! the crash can be read and still not be on disk. The cursor's newest slot likewise. Segments below the cursor may
//! come back and are removed. A broken frame anywhere else, a gap between segments, or a sealed batch whose records are
//! gone stops the start and says where.
//!
//! **Not promised**: a record that was refused (503) may be kept all the same when the process dies before the segment
//! is cut; its key is known then, so that the browser's next attempt is not kept twice.
//!
//! **Proof**: `model.rs` drives the log against a model on a disk that fails on demand (`faults.rs`): short writes,
//! errors, no room, failed syncs, kills, and power cuts at any call that leave any subset of what was not synced.
//! End to end: `tests/suite/durability.rs`.

use std::{io, path::PathBuf, sync::Arc};

mod append;
mod aside;
mod batch;
mod cursor;
mod disk;
#[cfg(test)]
mod faults;
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
pub use disk::{Disk, DiskFile, OsDisk};
pub use known::{GENERATION_MAX as KEYS_MIN, Key};
pub use reader::Reader;
pub use segment::RECORD_BYTES_MAX;
pub use shared::Aside;
pub use writer::{QUEUE_BYTES_MAX, Spool};

/// How a spool is kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its directory; made if missing.
    pub dir: PathBuf,
    /// Size at which a segment is closed.
    pub segment_bytes: u64,
    /// Size of all segments at which appends are refused.
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
    /// Acknowledged hits may be missing or damaged; nothing is guessed.
    #[error(
        "the spool is damaged at {path}, byte {offset}; `sotto spool inspect` shows what can still be read"
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where in it.
        offset: u64,
    },
    /// The end of a batch that is being shipped is gone; nobody knows whether ClickHouse has it.
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
        .spawn(move || writer.run(&queue))
        .map_err(|source| OpenError::Io { path: "the writing thread".into(), source })?;
    Ok((spool, reader))
}

type Parts<D> = (Spool, Reader<D>, writer::Writer<D>, std::sync::mpsc::Receiver<writer::Message>);

/// Opens the spool on any disk, with the writer in hand.
fn open_on<D: Disk>(disk: D, settings: Settings) -> Result<Parts<D>, OpenError> {
    let dir = settings.dir.clone();
    let io_error = |source| OpenError::Io { path: dir.clone(), source };
    disk.make_dir(&dir).map_err(io_error)?;
    let cursor = cursor::Cursor::load(&disk, &dir)?;
    let log = recover::recover(&disk, &settings, cursor.state)?;
    let shared = Arc::new(shared::Shared::new(settings, log.segments, log.durable, cursor.state.next));
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
    /// Its size.
    pub bytes: u64,
    /// What is to be said about it.
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
        let path = segment::path(dir, *first);
        let bytes = std::fs::metadata(&path)?.len();
        let (next, state) = match segment::Walk::open(&disk, &path)? {
            None => (*first, "no whole header"),
            Some(mut walk) => {
                walk.finish()?;
                let state = if walk.is_torn()? { "ends with a record that is not whole" } else { "whole" };
                // What follows the next segment's beginning was given up.
                (firsts.get(i + 1).map_or(walk.next, |follows| walk.next.min(*follows)), state)
            }
        };
        let waiting = next.saturating_sub(shipped.max(*first));
        found.push(Inspected {
            path,
            first: *first,
            records: next - first,
            waiting,
            bytes,
            state: state.into(),
        });
    }
    for file in aside::list(&disk, dir)? {
        let (records, state) = match aside::read(&disk, &file) {
            Ok((batch, why)) => (batch.count, format!("set aside: {why}")),
            Err(error) => (0, format!("set aside: {error}")),
        };
        let AsideFile { path, start: first, bytes, .. } = file;
        found.push(Inspected { path, first, records, waiting: records, bytes, state });
    }
    Ok(found)
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
