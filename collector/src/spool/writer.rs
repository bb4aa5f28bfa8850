//! The one thread that appends: takes what queued, writes it, syncs once, answers all.

use std::{
    fs, io,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
};

use tokio::sync::{Notify, oneshot};

use super::{
    AppendError, RECORD_BYTES_MAX, Settings,
    segment::{self, Segment},
};

/// How many bytes may wait for the disk.
pub const QUEUE_BYTES_MAX: usize = 32 << 20;
/// How many bytes one write may have: bounds the writer's buffer.
const COMMIT_BYTES_MAX: usize = 4 << 20;

/// What is appended together: records in their order, all or none of them acknowledged.
#[derive(Debug, Default)]
pub struct Append {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Append {
    /// Adds a record, written by `encode` into the buffer it is given. An empty or over-long record is left out and
    /// `false` returned.
    pub fn record(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> bool {
        let start = self.bytes.len();
        encode(&mut self.bytes);
        let fits = (1..=RECORD_BYTES_MAX).contains(&(self.bytes.len() - start));
        if fits {
            self.ends.push(self.bytes.len());
        } else {
            self.bytes.truncate(start);
        }
        fits
    }

    /// Adds all records of another.
    pub fn extend(&mut self, other: &Self) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.ends.extend(other.ends.iter().map(|end| start + end));
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is nothing to append.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many bytes of a segment the records take.
    pub fn disk_bytes(&self) -> u64 {
        self.records().map(|record| segment::frame_len(record.len()) as u64).sum()
    }

    fn records(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }
}

struct Waiting {
    append: Append,
    done: oneshot::Sender<Result<(), AppendError>>,
}

/// What the writer and its users share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    /// Sequence number after the last durable record.
    pub(super) durable: AtomicU64,
    /// Bytes of all segments.
    pub(super) disk_bytes: AtomicU64,
    queued_bytes: AtomicUsize,
    /// The last append failed; cleared by the next that works.
    pub(super) failing: AtomicBool,
    /// Told whenever `durable` moved.
    pub(super) appended: Notify,
}

/// A handle to append with; clones share the writer.
#[derive(Debug, Clone)]
pub struct Spool {
    pub(super) shared: Arc<Shared>,
    queue: mpsc::Sender<Waiting>,
}

impl Spool {
    pub(super) fn start(settings: Settings, segment: Segment) -> Self {
        let disk_bytes = disk_bytes(&settings);
        let shared = Arc::new(Shared {
            settings,
            durable: AtomicU64::new(segment.next),
            disk_bytes: AtomicU64::new(disk_bytes),
            queued_bytes: AtomicUsize::new(0),
            failing: AtomicBool::new(false),
            appended: Notify::new(),
        });
        let (queue, waiting) = mpsc::channel();
        let writer = Writer { shared: shared.clone(), segment: Some(segment), buffer: Vec::new() };
        std::thread::Builder::new()
            .name("spool".into())
            .spawn(move || writer.run(&waiting))
            .expect("a thread can be started while the program starts");
        Self { shared, queue }
    }

    /// Appends records; resolves when they are on disk.
    ///
    /// # Errors
    /// See [`AppendError`]; nothing was acknowledged then.
    pub async fn append(&self, append: Append) -> Result<(), AppendError> {
        if append.is_empty() {
            return Ok(());
        }
        let len = append.bytes.len();
        let queued = self.shared.queued_bytes.fetch_add(len, Ordering::Relaxed) + len;
        let on_disk = self.shared.disk_bytes.load(Ordering::Relaxed);
        if queued > QUEUE_BYTES_MAX || on_disk + queued as u64 > self.shared.settings.bytes_max {
            self.shared.queued_bytes.fetch_sub(len, Ordering::Relaxed);
            return Err(AppendError::Full);
        }
        let (done, result) = oneshot::channel();
        if self.queue.send(Waiting { append, done }).is_err() {
            return Err(AppendError::Failed);
        }
        result.await.unwrap_or(Err(AppendError::Failed))
    }

    /// Bytes of all segments on disk.
    pub fn disk_bytes(&self) -> u64 {
        self.shared.disk_bytes.load(Ordering::Relaxed)
    }

    /// Sequence number after the last durable record.
    pub fn durable(&self) -> u64 {
        self.shared.durable.load(Ordering::Acquire)
    }

    /// Whether the last append could not be written.
    pub fn is_failing(&self) -> bool {
        self.shared.failing.load(Ordering::Relaxed)
    }
}

fn disk_bytes(settings: &Settings) -> u64 {
    let firsts = segment::list(&settings.dir).unwrap_or_default();
    firsts
        .iter()
        .filter_map(|first| fs::metadata(segment::path(&settings.dir, *first)).ok())
        .map(|m| m.len())
        .sum()
}

struct Writer {
    shared: Arc<Shared>,
    /// `None` after a failure: the file is given up, because what the kernel kept of it is unknown.
    segment: Option<Segment>,
    buffer: Vec<u8>,
}

impl Writer {
    fn run(mut self, waiting: &mpsc::Receiver<Waiting>) {
        let mut group = Vec::new();
        while let Ok(first) = waiting.recv() {
            let mut bytes = first.append.bytes.len();
            group.push(first);
            while bytes < COMMIT_BYTES_MAX {
                let Ok(next) = waiting.try_recv() else { break };
                bytes += next.append.bytes.len();
                group.push(next);
            }
            let result = self.commit(&group);
            self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.shared.failing.store(result.is_err(), Ordering::Relaxed);
            for waiting in group.drain(..) {
                // A client that went away does not wait any more; its hit is kept all the same.
                let _gone = waiting.done.send(result);
            }
        }
    }

    fn commit(&mut self, group: &[Waiting]) -> Result<(), AppendError> {
        self.write(group).map_err(|error| {
            self.segment = None;
            tracing::error!(%error, "the spool cannot be written");
            if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
                AppendError::Full
            } else {
                AppendError::Failed
            }
        })
    }

    fn write(&mut self, group: &[Waiting]) -> io::Result<()> {
        let shared = &self.shared;
        let mut segment = match self.segment.take() {
            Some(segment) => segment,
            // Everything acknowledged lies below `durable`; a given-up file is cut there first.
            None => start_again(&shared.settings, shared.durable.load(Ordering::Acquire))?,
        };
        self.buffer.clear();
        let mut sequence = segment.next;
        for record in group.iter().flat_map(|w| w.append.records()) {
            segment::encode_frame(segment.header.salt, sequence, record, &mut self.buffer);
            sequence += 1;
        }
        segment.file.write_all_at(&self.buffer, segment.end)?;
        segment.file.sync_data()?;
        segment.end += self.buffer.len() as u64;
        segment.next = sequence;
        shared.disk_bytes.fetch_add(self.buffer.len() as u64, Ordering::Relaxed);
        shared.durable.store(sequence, Ordering::Release);
        shared.appended.notify_one();
        if segment.end >= shared.settings.segment_bytes {
            match segment::create(&shared.settings, sequence) {
                Ok(next) => {
                    shared.disk_bytes.fetch_add(next.end, Ordering::Relaxed);
                    segment = next;
                }
                // What was written is durable; the next commit tries again.
                Err(error) => tracing::warn!(%error, "cannot begin a new segment; going on with the old one"),
            }
        }
        self.segment = Some(segment);
        Ok(())
    }
}

/// Begins a new segment at `durable` after a failure, and cuts what the failed write may have left behind it.
fn start_again(settings: &Settings, durable: u64) -> io::Result<Segment> {
    let path: PathBuf = segment::path(&settings.dir, durable);
    if path.exists() {
        fs::remove_file(&path)?;
    }
    segment::create(settings, durable)
}
