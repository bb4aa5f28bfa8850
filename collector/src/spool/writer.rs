//! The one thread that appends: takes what queued, writes it, syncs once, answers all.

use std::{
    io,
    sync::{Arc, atomic::Ordering, mpsc},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    Append, AppendError, Repeats, Ticket,
    damage::Damage,
    disk::{Disk, DiskFile},
    frame,
    known::{GENERATION_MAX, Key, Known},
    mailbox::{self, Recipient},
    segment::{self, Segment},
    shared::{Aside, Kept, Shared},
};

/// Maximum bytes queued for the disk.
pub const QUEUE_BYTES_MAX: usize = 32 << 20;
/// Maximum bytes per write: bounds the writer's buffer.
const COMMIT_BYTES_MAX: usize = 4 << 20;
/// Minimum time between the starts of two writes.
const COMMIT_GAP: Duration = Duration::from_millis(2);

pub(super) type Answer = oneshot::Receiver<mailbox::Outcome>;

/// What the writing thread is told.
pub(super) enum Message {
    Append(Waiting),
    Known(Vec<Key>),
    Probe,
    /// Remove what is shipped, and tell when it is done.
    Forget(oneshot::Sender<io::Result<()>>),
}

pub(super) struct Waiting {
    append: Append,
    repeats: Repeats,
    recipient: Recipient,
}

/// A handle to append with; clones share the writer.
#[derive(Debug, Clone)]
pub struct Spool {
    pub(super) shared: Arc<Shared>,
    queue: mpsc::Sender<Message>,
}

impl Spool {
    pub(super) fn new(shared: Arc<Shared>) -> (Self, mpsc::Receiver<Message>) {
        let (queue, waiting) = mpsc::channel();
        (Self { shared, queue }, waiting)
    }

    /// Appends records; resolves when they are on disk, with those that were already durable.
    ///
    /// # Errors
    /// See [`AppendError`]; nothing was acknowledged then.
    pub async fn append(&self, append: Append) -> Result<Repeats, AppendError> {
        if append.is_empty() {
            return Ok(Repeats::NONE);
        }
        self.offer(append)?.await.unwrap_or(Err(AppendError::Failed))
    }

    /// Queues records for the writing thread.
    pub(super) fn offer(&self, append: Append) -> Result<Answer, AppendError> {
        let len = append.bytes.len();
        let queued = self.shared.queued_bytes.fetch_add(len, Ordering::Relaxed) + len;
        let used = self.disk_bytes() + self.shared.aside.bytes.load(Ordering::Relaxed);
        let full = queued > QUEUE_BYTES_MAX || used + queued as u64 > self.shared.settings.bytes_max;
        if full != self.shared.full.load(Ordering::Relaxed) {
            self.shared.full.store(full, Ordering::Relaxed);
            tracing::info!(
                full,
                "the spool reached or dropped below its limit; at the limit, hits are answered 503"
            );
        }
        let result = if full {
            Err(AppendError::Full)
        } else {
            let (recipient, answer) = Recipient::here();
            let waiting = Waiting { append, repeats: Repeats::NONE, recipient };
            self.queue.send(Message::Append(waiting)).map(|()| answer).map_err(|_| {
                self.shared.failing.store(true, Ordering::Relaxed);
                AppendError::Failed
            })
        };
        if result.is_err() {
            self.shared.queued_bytes.fetch_sub(len, Ordering::Relaxed);
        }
        result
    }

    /// Takes over keys of records that were durable before a restart; holds for all appends that come later.
    pub fn remember(&self, keys: Vec<Key>) {
        // Without the writing thread nothing is kept, so nothing is kept twice.
        let _gone = self.queue.send(Message::Known(keys));
    }

    /// Has the writing thread test whether spool writes have recovered.
    pub fn probe(&self) {
        // Without the thread they cannot.
        let _gone = self.queue.send(Message::Probe);
    }

    /// Sequence number of the first record that is not in ClickHouse.
    pub fn shipped(&self) -> u64 {
        self.shared.shipped.load(Ordering::Acquire)
    }

    /// Resolves when everything before `number` is in ClickHouse.
    pub async fn shipped_up_to(&self, number: u64) {
        loop {
            let mut moved = std::pin::pin!(self.shared.shipped_moved.notified());
            moved.as_mut().enable();
            if self.shipped() >= number {
                return;
            }
            moved.await;
        }
    }

    /// Removes what is shipped from the disk, at the latest when all that was appended before is shipped. Without it,
    /// records stay until their segment is full.
    ///
    /// # Errors
    /// When the disk fails; nothing is lost, and the next call tries again.
    pub async fn forget_shipped(&self) -> io::Result<()> {
        let (done, answer) = oneshot::channel();
        self.queue.send(Message::Forget(done)).map_err(|_| io::ErrorKind::BrokenPipe)?;
        answer.await.map_err(|_| io::ErrorKind::BrokenPipe)?
    }

    /// Removes the files that hold records of now, as soon as all of those are shipped.
    ///
    /// # Errors
    /// As [`Spool::forget_shipped`].
    pub async fn forget_durable(&self) -> io::Result<()> {
        self.forget_shipped().await?;
        self.shipped_up_to(self.durable()).await;
        self.forget_shipped().await
    }

    /// Resolves when the writing thread has ended: it panicked, or nobody can append any more.
    pub async fn ended(&self) {
        self.shared.ended.cancelled().await;
    }

    /// Bytes of all segments on disk.
    pub fn disk_bytes(&self) -> u64 {
        self.shared.disk_bytes.load(Ordering::Relaxed)
    }

    /// Bytes at which appends are refused.
    pub fn bytes_max(&self) -> u64 {
        self.shared.settings.bytes_max
    }

    /// Sequence number after the last durable record.
    pub fn durable(&self) -> u64 {
        self.shared.durable.load(Ordering::Acquire)
    }

    /// How many durable records are not shipped.
    pub fn waiting(&self) -> u64 {
        self.durable().saturating_sub(self.shared.shipped.load(Ordering::Acquire))
    }

    /// How long the first of them has waited, to the second.
    pub fn oldest(&self) -> Option<Duration> {
        self.shared.oldest()
    }

    /// After a restart: sets how long ago the first of them arrived.
    pub fn waits_since(&self, age: Duration) {
        self.shared.waits_since(age);
    }

    /// What was set aside, as of the last look.
    pub fn set_aside(&self) -> Aside {
        self.shared.aside.load()
    }

    /// What could not be read since the start.
    pub fn damage(&self) -> Damage {
        self.shared.damage()
    }

    /// Whether the last append was refused: it could not be written, or the spool is at its limit.
    pub fn is_failing(&self) -> bool {
        self.shared.failing.load(Ordering::Relaxed) || self.shared.full.load(Ordering::Relaxed)
    }
}

/// The thread that appends.
pub(super) struct Writer<D: Disk> {
    shared: Arc<Shared>,
    disk: D,
    /// `None` before the first append, and after a failure: the file is abandoned, because its state on disk
    /// is unknown.
    segment: Option<Segment<D::File>>,
    known: Known,
    /// Fingerprints that the commit under way added.
    added: Vec<u64>,
    buffer: Vec<u8>,
}

impl<D: Disk> Writer<D> {
    pub(super) fn new(shared: Arc<Shared>, disk: D, segment: Option<Segment<D::File>>) -> Self {
        let known = Known::new(GENERATION_MAX);
        Self { shared, disk, segment, known, added: Vec::new(), buffer: Vec::new() }
    }

    #[allow(clippy::disallowed_methods)] // Sleeping is what it is for: hits gather meanwhile, at most for the gap.
    pub(super) fn run(mut self, queue: &mpsc::Receiver<Message>) {
        // Also when it panics.
        let _ended = self.shared.ended.clone().drop_guard();
        let mut group = Vec::new();
        let mut begun = Instant::now();
        while let Ok(first) = queue.recv() {
            // Under load one sync covers many hits: a lone hit after a pause is written at once.
            std::thread::sleep(COMMIT_GAP.saturating_sub(begun.elapsed()));
            begun = Instant::now();
            self.turn(first, queue, &mut group);
        }
    }

    /// Commits `first` and whatever else has queued.
    pub(super) fn turn(&mut self, first: Message, queue: &mpsc::Receiver<Message>, group: &mut Vec<Waiting>) {
        let mut bytes = 0;
        let mut forget = Vec::new();
        let mut message = Some(first);
        while let Some(taken) = message {
            match taken {
                Message::Append(waiting) => {
                    bytes += waiting.append.bytes.len();
                    group.push(waiting);
                }
                Message::Known(keys) => keys.into_iter().for_each(|key| {
                    self.known.add(key);
                }),
                Message::Probe => self.probe(),
                Message::Forget(done) => forget.push(done),
            }
            message = if bytes < COMMIT_BYTES_MAX { queue.try_recv().ok() } else { None };
        }
        if !group.is_empty() {
            self.answer(group, bytes);
        }
        for done in forget {
            // The caller may have gone; the work is done all the same.
            let _gone = done.send(self.forget_shipped());
        }
    }

    fn answer(&mut self, group: &mut Vec<Waiting>, bytes: usize) {
        let result = self.commit(group);
        self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.shared.failing.store(result.is_err(), Ordering::Relaxed);
        mailbox::deliver(
            group.drain(..).map(|waiting| (waiting.recipient, result.map(|()| waiting.repeats))),
        );
    }

    /// Clients do not send hits to a collector that reports it cannot keep them, so recovery has to be
    /// probed.
    fn probe(&mut self) {
        let durable = self.shared.durable.load(Ordering::Acquire);
        if self.shared.failing.load(Ordering::Relaxed)
            && (self.segment.is_some() || self.begin(durable).is_ok())
        {
            self.shared.failing.store(false, Ordering::Relaxed);
            tracing::info!("spool writes may have recovered");
        }
    }

    fn commit(&mut self, group: &mut [Waiting]) -> Result<(), AppendError> {
        self.added.clear();
        let result = self.write(group);
        if let Err(error) = &result {
            // Neither written nor synced again: a second sync may succeed although pages were lost.
            self.give_up();
            for fingerprint in self.added.drain(..) {
                self.known.forget(fingerprint);
            }
            if !self.shared.failing.load(Ordering::Relaxed) {
                tracing::error!(%error, "the spool cannot be written; hits are answered 503 until it can");
            }
        } else if self.shared.failing.load(Ordering::Relaxed) {
            tracing::info!("the spool can be written again");
        }
        result.map_err(|error| {
            if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
                AppendError::Full
            } else {
                AppendError::Failed
            }
        })
    }

    fn write(&mut self, group: &mut [Waiting]) -> io::Result<()> {
        let durable = self.shared.durable.load(Ordering::Acquire);
        let (first, salt) = match &self.segment {
            Some(segment) => (segment.header.first, segment.header.salt),
            None => self.begin(durable)?,
        };
        self.buffer.clear();
        let mut next = durable;
        for Waiting { append, repeats, .. } in group {
            for (n, (key, record)) in append.records().enumerate() {
                match key.map(|key| self.known.add(key)) {
                    Some(None) => {
                        repeats.0.push(Ticket(n));
                        continue;
                    }
                    Some(Some(fingerprint)) => self.added.push(fingerprint),
                    None => {}
                }
                frame::encode_frame(salt, next, record, &mut self.buffer);
                next += 1;
            }
        }
        if next == durable {
            return Ok(());
        }
        let Some(segment) = &mut self.segment else { return Err(io::ErrorKind::NotFound.into()) };
        segment.file.write_all_at(&self.buffer, segment.end)?;
        segment.file.sync()?;
        segment.end += self.buffer.len() as u64;
        segment.next = next;
        let is_full = segment.end >= self.shared.settings.segment_bytes;
        self.shared.grown(first, self.buffer.len() as u64, next);
        if is_full {
            self.close();
        }
        Ok(())
    }

    /// Begins a segment at `durable`: everything acknowledged lies below.
    fn begin(&mut self, durable: u64) -> io::Result<(u64, u64)> {
        let settings = &self.shared.settings;
        let segment = Segment::create(&self.disk, &settings.dir, &settings.columns, durable)
            .inspect_err(|_| self.remove_rest(durable))?;
        self.shared.keep(durable, Kept { bytes: segment.end, end: None });
        let names = (segment.header.first, segment.header.salt);
        self.segment = Some(segment);
        Ok(names)
    }

    /// Removes a segment without durable records. If that fails, the next one of that name replaces it.
    fn remove_rest(&self, first: u64) {
        if let Err(error) = self.disk.remove(&segment::path(&self.shared.settings.dir, first)) {
            tracing::debug!(%error, "a segment without records is left for now");
        }
        self.shared.forget(first);
    }

    /// Closes a segment that has reached its size.
    fn close(&mut self) {
        if let Some(segment) = self.segment.take() {
            self.shared.keep(segment.header.first, Kept { bytes: segment.end, end: Some(segment.next) });
        }
    }

    /// Removes segments in which everything is shipped. The one that is appended to is closed if it holds shipped records,
    /// so that it goes with the last of its records; others would be appended for ever.
    fn forget_shipped(&mut self) -> io::Result<()> {
        let shipped = self.shared.shipped.load(Ordering::Acquire);
        if self.segment.as_ref().is_some_and(|s| s.next > s.header.first && s.header.first < shipped) {
            self.close();
        }
        let dir = &self.shared.settings.dir;
        for first in self.shared.done(shipped) {
            match self.disk.remove(&segment::path(dir, first)) {
                // The shipper was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed?,
            }
            self.shared.forget(first);
        }
        // The caller wants them gone even after a power cut.
        self.disk.sync_dir(dir)
    }

    /// Abandons the segment: nothing is appended to it any more; what was acknowledged stays.
    fn give_up(&mut self) {
        let Some(segment) = self.segment.take() else { return };
        if segment.next == segment.header.first {
            return self.remove_rest(segment.next);
        }
        // Frees the space; whether the unacknowledged bytes are really gone does not matter.
        let cut = segment.file.set_len(segment.end);
        let bytes = cut.and_then(|()| segment.file.len()).unwrap_or(segment.end);
        self.shared.keep(segment.header.first, Kept { bytes, end: Some(segment.next) });
    }
}
