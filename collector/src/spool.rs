//! Where a hit becomes durable: a log of segment files, appended by one thread, read by the shipper.
//!
//! **For**: answering 204 only when the hit is on disk, whatever happens to ClickHouse or this process.
//!
//! **Promises.** [`Spool::append`] resolves after `fdatasync` of everything it was given (group commit: whatever
//! queued while the last sync ran goes into the next one; no timer). Records come out in the order they went in.
//! A batch's first and last record are noted durably before it is shipped, so a batch that has to be sent again,
//! after a crash too, has the same bytes and the same token.
//!
//! **Layout.** Directory: `id` (16 hex digits, made once, part of every token), `cursor.json` (what was shipped, and
//! the batch under way), and segments `<first sequence number, 20 digits>.seg`:
//!
//! ```text
//! header  magic "SOTSPOOL" | version u32 | columns length u32 | first sequence number u64 | salt u64
//!         | columns | crc32c of all before u32
//! frame   length u32 | crc32c(salt, sequence number, payload) u32 | payload (one row in RowBinary)
//! ```
//!
//! Numbers are little-endian. The sequence number is implied by the position. The salt, random per segment, keeps
//! bytes of another file from being read as frames. The columns are those of the payloads, so a newer program ships
//! what an older one left. A batch never spans two segments.
//!
//! **Limits**: a record has 1 to [`RECORD_BYTES_MAX`] bytes; all segments together have [`Settings::bytes_max`];
//! what waits for the disk has [`QUEUE_BYTES_MAX`]. Beyond that, [`AppendError::Full`] (503 to the browser).
//!
//! **Forgetting.** A segment is removed when all of it is shipped and another follows; [`Spool::forget_shipped`] begins
//! another one, so that shipped records do not lie on the disk until their segment is full.
//!
//! **Crash.** The last segment's tail may be torn: at the next start it is cut at the first frame that is not whole,
//! which was never acknowledged. A broken frame anywhere else, or a gap between segments, stops the start with the
//! file's name. A failed sync is never taken for success and never repeated on the same file: the segment is given
//! up, every waiting append fails, and the next append starts a new segment.
//!
//! **Proof**: tests in `segment.rs`, `writer.rs` and `reader.rs`; end to end `tests/tests/durability.rs`.

use std::{io, path::PathBuf};

mod cursor;
mod reader;
mod segment;
mod writer;

pub use reader::{Batch, Reader};
pub use segment::RECORD_BYTES_MAX;
pub use writer::{Append, QUEUE_BYTES_MAX, Spool};

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
    let opened = segment::recover(&settings)?;
    let cursor = cursor::Cursor::load(&settings.dir)?;
    let spool = Spool::start(settings, opened, cursor.state.next);
    let reader = Reader::new(spool.clone(), cursor);
    Ok((spool, reader))
}

/// One segment as [`inspect`] finds it.
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
    pub state: &'static str,
}

/// Reads all segments of the spool in `dir` without changing anything.
///
/// # Errors
/// When the directory or a file cannot be read.
pub fn inspect(dir: &std::path::Path) -> io::Result<Vec<Inspected>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let shipped = match std::fs::read(dir.join("cursor.json")) {
        Ok(bytes) => serde_json::from_slice::<cursor::State>(&bytes)?.next,
        // Nothing was shipped yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for first in segment::list(dir)? {
        let path = segment::path(dir, first);
        let bytes = std::fs::metadata(&path)?.len();
        let (next, state) = match segment::scan(&path, |_, _| ())? {
            None => (first, "no whole header"),
            Some(scan) if scan.torn => (scan.next, "ends with a record that is not whole"),
            Some(scan) => (scan.next, "whole"),
        };
        let waiting = next.saturating_sub(shipped.max(first));
        found.push(Inspected { path, first, records: next - first, waiting, bytes, state });
    }
    Ok(found)
}
