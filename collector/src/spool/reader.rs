//! Reads what is durable, a sealed batch at a time.

use std::{fs::File, io, os::unix::fs::FileExt, path::PathBuf};

use bytes::Bytes;

use super::{
    RECORD_BYTES_MAX,
    cursor::{Cursor, State},
    segment::{self, Header},
    writer::Spool,
};

/// Records that are shipped together. Made again from the same sequence numbers, it is byte-identical.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The rows in RowBinary, one after the other.
    pub rows: Bytes,
    /// How many rows.
    pub count: u64,
    /// Column names of the rows.
    pub columns: String,
    /// The same for the same rows, and for no others: ClickHouse ignores a batch whose token it knows.
    pub token: String,
    end: u64,
}

/// The shipper's end of the spool. There is one.
#[derive(Debug)]
pub struct Reader {
    spool: Spool,
    cursor: Cursor,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    header: Header,
    /// Sequence number and place of the next frame to read.
    next: u64,
    at: u64,
}

/// How many bytes are read from the disk at a time.
const READ_BYTES: usize = RECORD_BYTES_MAX * 4;

impl Reader {
    pub(super) fn new(spool: Spool, cursor: Cursor) -> Self {
        Self { spool, cursor, open: None }
    }

    /// How many durable records are not shipped.
    pub fn waiting(&self) -> u64 {
        self.spool.durable().saturating_sub(self.cursor.state.next)
    }

    /// Resolves when records may have become durable since the last call.
    pub async fn appended(&self) {
        self.spool.shared.appended.notified().await;
    }

    /// The batch under way, or a new one of at most `rows_max` rows and about `bytes_max` bytes, whose boundaries are
    /// now noted durably. `None` if nothing waits.
    ///
    /// # Errors
    /// When the disk fails or a record is damaged.
    pub fn seal(&mut self, rows_max: u64, bytes_max: usize) -> io::Result<Option<Batch>> {
        let start = self.cursor.state.next;
        let sealed = self.cursor.state.sealed_end;
        let end_max = sealed.unwrap_or_else(|| self.spool.durable().min(start + rows_max));
        if end_max <= start {
            return Ok(None);
        }
        let bytes_max = if sealed.is_some() { usize::MAX } else { bytes_max };
        let (rows, end, columns) = self.read(start, end_max, bytes_max)?;
        if sealed.is_none() {
            self.cursor.store(State { next: start, sealed_end: Some(end) })?;
        }
        let token = format!("{}-{start}-{end}", self.cursor.id);
        Ok(Some(Batch { rows, count: end - start, columns, token, end }))
    }

    /// Notes durably that `batch` is in ClickHouse, and removes segments that are wholly shipped.
    ///
    /// # Errors
    /// When the disk fails; the batch is then sealed and shipped again, under the same token.
    pub fn shipped(&mut self, batch: &Batch) -> io::Result<()> {
        self.cursor.store(State { next: batch.end, sealed_end: None })?;
        self.spool.shared.shipped.send_replace(batch.end);
        self.spool.shared.remove_shipped()
    }

    /// Calls `each` with the sequence number and bytes of every durable record that is not shipped.
    ///
    /// # Errors
    /// When the disk fails or a record is damaged.
    pub fn for_each_waiting(&self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let (from, to) = (self.cursor.state.next, self.spool.durable());
        for first in segment::list(&self.dir())? {
            segment::scan(&segment::path(&self.dir(), first), |sequence, payload| {
                if (from..to).contains(&sequence) {
                    each(payload);
                }
            })?;
        }
        Ok(())
    }

    fn dir(&self) -> PathBuf {
        self.spool.shared.settings.dir.clone()
    }

    /// Reads rows from `start` to at most `end_max`, within one segment.
    fn read(&mut self, start: u64, end_max: u64, bytes_max: usize) -> io::Result<(Bytes, u64, String)> {
        let mut open = match self.open.take() {
            Some(open) if open.next == start && !self.follows(&open, start)? => open,
            Some(_) | None => self.open_at(start)?,
        };
        let end_max = self.segment_end(open.header.first)?.map_or(end_max, |end| end.min(end_max));
        let mut rows = Vec::new();
        let mut buffer = Vec::new();
        let mut used = 0;
        while open.next < end_max && rows.len() < bytes_max {
            let Some(payload) = segment::decode_frame(open.header.salt, open.next, &buffer[used..]) else {
                refill(&open.file, open.at, &mut buffer, &mut used)?;
                if segment::decode_frame(open.header.salt, open.next, &buffer).is_none() {
                    return Err(damaged(&self.dir(), &open));
                }
                continue;
            };
            rows.extend_from_slice(payload);
            let len = segment::frame_len(payload.len());
            used += len;
            open.at += len as u64;
            open.next += 1;
        }
        let result = (Bytes::from(rows), open.next, open.header.columns.clone());
        self.open = Some(open);
        Ok(result)
    }

    /// Whether `start` lies in a later segment than the open one.
    fn follows(&self, open: &Open, start: u64) -> io::Result<bool> {
        Ok(self.segment_end(open.header.first)?.is_some_and(|end| start >= end))
    }

    /// Where the segment that begins at `first` ends, if another follows it.
    fn segment_end(&self, first: u64) -> io::Result<Option<u64>> {
        Ok(segment::list(&self.dir())?.into_iter().find(|f| *f > first))
    }

    fn open_at(&self, start: u64) -> io::Result<Open> {
        let dir = self.dir();
        let first =
            segment::list(&dir)?.into_iter().rev().find(|first| *first <= start).ok_or_else(|| {
                io::Error::new(io::ErrorKind::NotFound, format!("no segment holds record {start}"))
            })?;
        let path = segment::path(&dir, first);
        let file = File::open(&path)?;
        let header = Header::read(&file)?.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{} has no header", path.display()))
        })?;
        let mut open = Open { file, at: header.len(), next: first, header };
        while open.next < start {
            let mut len = [0u8; 4];
            open.file.read_exact_at(&mut len, open.at)?;
            open.at += segment::frame_len(u32::from_le_bytes(len) as usize) as u64;
            open.next += 1;
        }
        Ok(open)
    }
}

fn damaged(dir: &std::path::Path, open: &Open) -> io::Error {
    let path = segment::path(dir, open.header.first);
    io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged at byte {}", path.display(), open.at))
}

/// Reads the next piece of the file into `buffer`.
fn refill(file: &File, at: u64, buffer: &mut Vec<u8>, used: &mut usize) -> io::Result<()> {
    buffer.resize(READ_BYTES, 0);
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], at + filled as u64)? {
            0 => break,
            n => filled += n,
        }
    }
    buffer.truncate(filled);
    *used = 0;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Append, AppendError, Settings, Spool, open};
    use super::*;

    fn settings(dir: &std::path::Path) -> Settings {
        Settings { dir: dir.into(), segment_bytes: 2_000, bytes_max: 1 << 20, columns: "x".into() }
    }

    async fn append(spool: &Spool, records: impl IntoIterator<Item = u32>) -> Result<(), AppendError> {
        let mut append = Append::default();
        for record in records {
            assert!(append.record(|out| out.extend_from_slice(format!("[{record}]").as_bytes())));
        }
        spool.append(append).await
    }

    fn text(batch: &Batch) -> String {
        String::from_utf8(batch.rows.to_vec()).unwrap()
    }

    fn expected(range: std::ops::Range<u32>) -> String {
        range.map(|n| format!("[{n}]")).collect()
    }

    #[tokio::test]
    async fn records_come_out_once_and_in_order_across_segments_and_restarts() {
        let dir = tempfile::tempdir().unwrap();
        let (mut all, mut written) = (String::new(), 0);
        for round in 0..20u32 {
            let (spool, mut reader) = open(settings(dir.path())).unwrap();
            for _ in 0..20 {
                append(&spool, written..written + 7).await.unwrap();
                written += 7;
            }
            for _ in 0..=round % 5 {
                if let Some(batch) = reader.seal(50, 100).unwrap() {
                    all += &text(&batch);
                    reader.shipped(&batch).unwrap();
                }
            }
        }
        let (_, mut reader) = open(settings(dir.path())).unwrap();
        while let Some(batch) = reader.seal(1_000, 10_000).unwrap() {
            all += &text(&batch);
            reader.shipped(&batch).unwrap();
        }
        assert_eq!(all, expected(0..written));
        assert_eq!(segment::list(dir.path()).unwrap().len(), 1, "shipped segments are removed");
    }

    #[tokio::test]
    async fn sealed_batch_is_the_same_after_a_restart_although_more_was_appended() {
        let dir = tempfile::tempdir().unwrap();
        let (spool, mut reader) = open(settings(dir.path())).unwrap();
        append(&spool, 0..10).await.unwrap();
        let first = reader.seal(100, 1_000).unwrap().unwrap();
        append(&spool, 10..20).await.unwrap();
        assert_eq!(reader.seal(100, 1_000).unwrap().unwrap(), first);
        drop((spool, reader));
        let (_spool, mut reader) = open(settings(dir.path())).unwrap();
        assert_eq!(reader.seal(1, 1).unwrap().unwrap(), first);
        reader.shipped(&first).unwrap();
        let second = reader.seal(100, 1_000).unwrap().unwrap();
        assert_eq!(text(&second), expected(10..20));
        assert_ne!(second.token, first.token);
    }

    #[tokio::test]
    async fn spool_at_its_limit_refuses_and_recovers_when_shipped() {
        let dir = tempfile::tempdir().unwrap();
        let limited = Settings { bytes_max: 6_000, ..settings(dir.path()) };
        let (spool, mut reader) = open(limited).unwrap();
        let mut accepted = 0;
        while append(&spool, accepted..accepted + 10).await.is_ok() {
            accepted += 10;
        }
        assert_eq!(append(&spool, 0..10).await, Err(AppendError::Full));
        let mut all = String::new();
        while let Some(batch) = reader.seal(1_000, 10_000).unwrap() {
            all += &text(&batch);
            reader.shipped(&batch).unwrap();
        }
        assert_eq!(all, expected(0..accepted));
        append(&spool, 0..10).await.unwrap();
    }

    #[tokio::test]
    async fn shipped_records_are_forgotten_without_waiting_for_a_full_segment() {
        let dir = tempfile::tempdir().unwrap();
        let (spool, mut reader) = open(Settings { segment_bytes: 1 << 20, ..settings(dir.path()) }).unwrap();
        let holds = |needle: &str| {
            segment::list(dir.path()).unwrap().into_iter().any(|first| {
                let bytes = std::fs::read(segment::path(dir.path(), first)).unwrap();
                String::from_utf8_lossy(&bytes).contains(needle)
            })
        };
        append(&spool, 0..10).await.unwrap();
        spool.forget_shipped().await.unwrap();
        assert!(holds("[7]"), "what waits is kept");
        let batch = reader.seal(100, 1_000).unwrap().unwrap();
        reader.shipped(&batch).unwrap();
        spool.shipped_up_to(spool.durable()).await;
        assert!(holds("[7]"), "the control: it stays while its segment has room");
        spool.forget_shipped().await.unwrap();
        assert!(!holds("[7]"));
        let bytes = spool.disk_bytes();
        spool.forget_shipped().await.unwrap();
        assert_eq!(
            (segment::list(dir.path()).unwrap(), spool.disk_bytes()),
            (vec![spool.durable()], bytes),
            "once is enough"
        );
        append(&spool, 10..20).await.unwrap();
        assert_eq!(text(&reader.seal(100, 1_000).unwrap().unwrap()), expected(10..20), "the numbers go on");
    }

    #[tokio::test]
    async fn record_at_the_limit_is_kept_and_one_byte_more_is_not() {
        let mut append = Append::default();
        assert!(append.record(|out| out.resize(RECORD_BYTES_MAX, 1)));
        assert!(!append.record(|out| out.resize(out.len() + RECORD_BYTES_MAX + 1, 1)));
        assert!(!append.record(|_| ()));
        let dir = tempfile::tempdir().unwrap();
        let (spool, mut reader) = open(settings(dir.path())).unwrap();
        spool.append(append).await.unwrap();
        let batch = reader.seal(10, 10).unwrap().unwrap();
        assert_eq!((batch.count, batch.rows.len()), (1, RECORD_BYTES_MAX));
    }

    #[tokio::test]
    async fn waiting_records_can_be_read_without_shipping_them() {
        let dir = tempfile::tempdir().unwrap();
        let (spool, mut reader) = open(settings(dir.path())).unwrap();
        append(&spool, 0..300).await.unwrap();
        let batch = reader.seal(100, 10_000).unwrap().unwrap();
        reader.shipped(&batch).unwrap();
        let mut seen = String::new();
        reader.for_each_waiting(|payload| seen += std::str::from_utf8(payload).unwrap()).unwrap();
        assert_eq!(seen, expected(batch.count as u32..300));
        assert_eq!(reader.waiting(), 300 - batch.count);
    }
}
