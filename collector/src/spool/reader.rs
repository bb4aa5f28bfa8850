//! Reads what is durable, a sealed batch at a time.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;

use super::{
    aside,
    batch::Batch,
    cursor::{Cursor, State},
    damage::Gap,
    disk::{Disk, OsDisk},
    segment::{self, Walk},
    shared::{Aside, Shared},
};

/// The shipper's end of the spool. There is one.
#[derive(Debug)]
pub struct Reader<D: Disk = OsDisk> {
    shared: Arc<Shared>,
    disk: D,
    cursor: Cursor<D::File>,
    open: Option<Walk<D::File>>,
    /// A file of the batch under way, written to set it aside.
    half_aside: Option<PathBuf>,
}

/// Rows of a segment.
#[derive(Debug, Default)]
struct Read {
    rows: Bytes,
    /// How many.
    count: u64,
    /// Sequence number after the last of them.
    end: u64,
    columns: String,
}

/// Typical row size in bytes (measured: 180 to 215).
const LIKELY_ROW_BYTES: usize = 224;
/// Maximum bytes reserved on estimate alone.
const LIKELY_BATCH_BYTES_MAX: usize = 17 << 20;

impl<D: Disk> Reader<D> {
    pub(super) fn new(shared: Arc<Shared>, disk: D, cursor: Cursor<D::File>) -> io::Result<Self> {
        let reader = Self { shared, disk, cursor, open: None, half_aside: None };
        reader.remove_shipped();
        aside::clean(&reader.disk, &reader.dir(), reader.cursor.state.next)?;
        reader.look_aside();
        Ok(reader)
    }

    /// How many durable records are not shipped.
    pub fn waiting(&self) -> u64 {
        self.shared.durable.load(Ordering::Acquire).saturating_sub(self.cursor.state.next)
    }

    /// Resolves when records may have become durable since the last call.
    pub async fn appended(&self) {
        self.shared.appended.notified().await;
    }

    /// The batch under way, or a new one of at most `rows_max` rows and about `bytes_max` bytes, whose boundaries are
    /// now noted durably. `None` if nothing waits. What is damaged is passed over.
    ///
    /// # Errors
    /// When the disk fails, or less of the batch under way can be read than was sealed.
    pub fn seal(&mut self, rows_max: u64, bytes_max: usize) -> io::Result<Option<Batch>> {
        loop {
            let start = self.cursor.state.next;
            let sealed = self.cursor.state.sealed_end;
            let end_max =
                sealed.unwrap_or_else(|| self.shared.durable.load(Ordering::Acquire).min(start + rows_max));
            if end_max <= start {
                return Ok(None);
            }
            let bytes_max = if sealed.is_some() { usize::MAX } else { bytes_max };
            let Read { rows, count, end, columns } = self.read(start, end_max, bytes_max)?;
            if count == 0 {
                self.go_behind(end)?;
                continue;
            }
            match sealed {
                None => self.cursor.store(State { next: start, sealed_end: Some(end) })?,
                // A token must never be reused for other rows.
                Some(sealed) if sealed != end => return Err(self.damaged(start)),
                Some(_) => {}
            }
            let token = format!("{:016x}-{start}-{end}", self.cursor.id);
            return Ok(Some(Batch { rows, count, columns, token, start, end }));
        }
    }

    /// Notes durably that `batch` is in ClickHouse, and removes segments that are wholly shipped.
    ///
    /// # Errors
    /// When the disk fails; the batch is then sealed and shipped again, under the same token.
    pub fn shipped(&mut self, batch: &Batch) -> io::Result<()> {
        self.go_behind(batch.end)?;
        if let Some(path) = self.half_aside.take() {
            if let Err(error) = self.disk.remove(&path) {
                // Replaying it does nothing: ClickHouse knows its token.
                tracing::warn!(%error, "a batch that was shipped was also set aside");
            }
            self.look_aside();
        }
        Ok(())
    }

    /// Moves a batch that ClickHouse refuses into its own file, durably, and continues after it.
    ///
    /// # Errors
    /// When the disk fails; the batch is then still the one under way.
    pub fn set_aside(&mut self, batch: &Batch, why: &str) -> io::Result<()> {
        // If storing the cursor fails, its state on disk is unknown: the file stays until the batch is
        // shipped or set aside.
        self.half_aside = Some(aside::write(&self.disk, &self.dir(), batch, why)?);
        self.go_behind(batch.end)?;
        self.half_aside = None;
        self.look_aside();
        Ok(())
    }

    fn go_behind(&mut self, end: u64) -> io::Result<()> {
        self.cursor.store(State { next: end, sealed_end: None })?;
        self.shared.shipped_to(end);
        self.remove_shipped();
        Ok(())
    }

    /// Recounts the set-aside batches; another process may have replayed some.
    pub fn look_aside(&self) {
        match aside::list(&self.disk, &self.dir()) {
            Ok(files) => {
                let now = Aside {
                    bytes: files.iter().map(|f| f.bytes).sum(),
                    batches: files.len() as u64,
                    records: files.iter().map(|f| f.end - f.start).sum(),
                };
                if now.bytes < self.shared.aside.load().bytes {
                    self.shared.full.store(false, Ordering::Relaxed);
                }
                self.shared.aside.store(now);
            }
            Err(error) => tracing::warn!(%error, "set-aside batches cannot be counted"),
        }
    }

    /// Calls `each` with every batch that was set aside.
    ///
    /// # Errors
    /// When the disk fails or a file is damaged.
    pub fn for_each_set_aside(&self, mut each: impl FnMut(&Batch)) -> io::Result<()> {
        for file in aside::list(&self.disk, &self.dir())? {
            each(&aside::read(&self.disk, &file)?.0);
        }
        Ok(())
    }

    /// Calls `each` with the bytes of every durable record that is not shipped and can be read, in order.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn for_each_waiting(&self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let (from, to) = (self.cursor.state.next, self.shared.durable.load(Ordering::Acquire));
        for first in self.shared.firsts() {
            let end = self.shared.holding(first).and_then(|(_, end)| end).unwrap_or(to).min(to);
            let Some(mut walk) = Walk::open(&self.disk, &self.dir(), first)? else { continue };
            self.walk(&mut walk, end, |sequence, payload| {
                if sequence >= from {
                    each(payload);
                }
                true
            })?;
        }
        Ok(())
    }

    fn dir(&self) -> PathBuf {
        self.shared.settings.dir.clone()
    }

    /// Removes segments that are wholly shipped. What cannot be removed is tried again with the next batch.
    fn remove_shipped(&self) {
        for first in self.shared.done(self.cursor.state.next) {
            match self.disk.remove(&segment::path(&self.shared.settings.dir, first)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%error, "a shipped segment cannot be removed");
                }
                Ok(()) | Err(_) => self.shared.forget(first),
            }
        }
    }

    /// Reads rows from `start` to at most `end_max`, within one segment.
    fn read(&mut self, start: u64, end_max: u64, bytes_max: usize) -> io::Result<Read> {
        let Some((first, end)) = self.shared.holding(start) else {
            // The file that had them could not be read.
            let end = self.shared.follows(start).unwrap_or(end_max).min(end_max);
            return Ok(Read { end, ..Read::default() });
        };
        let end_max = end.map_or(end_max, |end| end.min(end_max));
        let mut walk = match self.open.take() {
            Some(walk) if walk.header.first == first && walk.next == start => walk,
            Some(_) | None => match Walk::open(&self.disk, &self.dir(), first)? {
                Some(walk) => walk,
                None => {
                    let path = segment::path(&self.dir(), first);
                    self.shared.note_damage(&Gap { path, offset: 0, records: start..end_max });
                    return Ok(Read { end: end_max, ..Read::default() });
                }
            },
        };
        self.walk(&mut walk, start, |_, _| true)?;
        // Reserved up front: growing would copy megabytes per batch.
        let likely = usize::try_from(end_max - start).unwrap_or(usize::MAX).saturating_mul(LIKELY_ROW_BYTES);
        let mut rows = Vec::with_capacity(likely.min(LIKELY_BATCH_BYTES_MAX));
        let mut count = 0;
        self.walk(&mut walk, end_max, |_, payload| {
            rows.extend_from_slice(payload);
            count += 1;
            rows.len() < bytes_max
        })?;
        let read = Read { rows: rows.into(), count, end: walk.next, columns: walk.header.columns.clone() };
        walk.rest();
        self.open = Some(walk);
        Ok(read)
    }

    /// Calls `each` with the records below `end` that can be read, until it returns false, and notes what cannot.
    fn walk(
        &self,
        walk: &mut Walk<D::File>,
        end: u64,
        mut each: impl FnMut(u64, &[u8]) -> bool,
    ) -> io::Result<()> {
        while walk.next < end {
            let (expected, offset) = (walk.next, walk.at);
            let (found, goes_on) = match walk.readable(end)? {
                Some((sequence, payload)) => (sequence, each(sequence, payload)),
                None => (end, false),
            };
            if found > expected {
                let path = segment::path(&self.dir(), walk.header.first);
                self.shared.note_damage(&Gap { path, offset, records: expected..found });
            }
            if !goes_on {
                break;
            }
        }
        Ok(())
    }

    fn damaged(&self, sequence: u64) -> io::Error {
        let dir = self.shared.settings.dir.display();
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the spool in {dir} is damaged at record {sequence}"),
        )
    }
}
