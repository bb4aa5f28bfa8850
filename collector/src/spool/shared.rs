//! State shared by the writer, the reader and observers.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    Settings,
    damage::{Damage, Gap},
};

/// Resolution of arrival timestamps.
const MARK_INTERVAL: Duration = Duration::from_secs(1);
/// Most arrival timestamps that are kept; beyond it every other one is dropped.
const MARKS_MAX: usize = 4096;

/// A segment on disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    /// Its size.
    pub(super) bytes: u64,
    /// Sequence number after its last record; `None` while it is appended to.
    pub(super) end: Option<u64>,
}

/// Batches that ClickHouse refused for what is in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Aside {
    /// Size of their files.
    pub bytes: u64,
    /// How many batches.
    pub batches: u64,
    /// How many records are in them.
    pub records: u64,
}

/// The same as lock-free counters.
#[derive(Debug, Default)]
pub(super) struct AsideCounters {
    pub(super) bytes: AtomicU64,
    batches: AtomicU64,
    records: AtomicU64,
}

impl AsideCounters {
    pub(super) fn load(&self) -> Aside {
        Aside {
            bytes: self.bytes.load(Ordering::Relaxed),
            batches: self.batches.load(Ordering::Relaxed),
            records: self.records.load(Ordering::Relaxed),
        }
    }

    pub(super) fn store(&self, Aside { bytes, batches, records }: Aside) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.batches.store(batches, Ordering::Relaxed);
        self.records.store(records, Ordering::Relaxed);
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    /// All segments by the sequence number of their first record.
    segments: Mutex<BTreeMap<u64, Kept>>,
    /// Sequence number after the last durable record.
    pub(super) durable: AtomicU64,
    /// Sequence number of the first record that is not shipped.
    pub(super) shipped: AtomicU64,
    /// Told whenever `shipped` moved.
    pub(super) shipped_moved: Notify,
    /// Bytes of all segments.
    pub(super) disk_bytes: AtomicU64,
    /// What was set aside.
    pub(super) aside: AsideCounters,
    pub(super) queued_bytes: AtomicUsize,
    /// The last append failed; cleared by the next that works.
    pub(super) failing: AtomicBool,
    /// The last append was refused because the spool or its queue is at its limit.
    pub(super) full: AtomicBool,
    /// Cancelled when the writing thread has ended.
    pub(super) ended: CancellationToken,
    /// Told whenever `durable` moved.
    pub(super) appended: Notify,
    /// Arrival timestamps: the first sequence number of each moment.
    marks: Mutex<VecDeque<(u64, Instant)>>,
    /// What cannot be read: known since the start, and by the sequence numbers of what waits.
    damage: Mutex<(Damage, BTreeMap<u64, u64>)>,
}

impl Shared {
    pub(super) fn new(settings: Settings, segments: BTreeMap<u64, Kept>, durable: u64, shipped: u64) -> Self {
        let disk_bytes = segments.values().map(|kept| kept.bytes).sum();
        let waiting = (durable > shipped).then(|| (shipped, Instant::now()));
        Self {
            settings,
            segments: Mutex::new(segments),
            durable: AtomicU64::new(durable),
            shipped: AtomicU64::new(shipped),
            shipped_moved: Notify::new(),
            disk_bytes: AtomicU64::new(disk_bytes),
            aside: AsideCounters::default(),
            queued_bytes: AtomicUsize::new(0),
            failing: AtomicBool::new(false),
            full: AtomicBool::new(false),
            ended: CancellationToken::new(),
            appended: Notify::new(),
            marks: Mutex::new(waiting.into_iter().collect()),
            damage: Mutex::default(),
        }
    }

    fn segments(&self) -> MutexGuard<'_, BTreeMap<u64, Kept>> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a segment's size and end.
    pub(super) fn keep(&self, first: u64, kept: Kept) {
        let mut segments = self.segments();
        segments.insert(first, kept);
        self.disk_bytes.store(segments.values().map(|kept| kept.bytes).sum(), Ordering::Relaxed);
    }

    pub(super) fn forget(&self, first: u64) {
        let mut segments = self.segments();
        segments.remove(&first);
        self.full.store(false, Ordering::Relaxed);
        self.disk_bytes.store(segments.values().map(|kept| kept.bytes).sum(), Ordering::Relaxed);
    }

    /// Records were added to the segment that begins at `first`.
    pub(super) fn grown(&self, first: u64, bytes: u64, durable: u64) {
        {
            // Under the lock: a concurrent sum over all segments would count these bytes, and they would be
            // added again.
            let mut segments = self.segments();
            if let Some(kept) = segments.get_mut(&first) {
                kept.bytes += bytes;
            }
            self.disk_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        let before = self.durable.swap(durable, Ordering::Release);
        self.mark(before);
        self.appended.notify_one();
    }

    /// The segment that holds record `at`, and where it ends if it is not appended to any more.
    pub(super) fn holding(&self, at: u64) -> Option<(u64, Option<u64>)> {
        let segments = self.segments();
        let (first, kept) = segments.range(..=at).next_back()?;
        kept.end.is_none_or(|end| at < end).then_some((*first, kept.end))
    }

    /// Segments with no record from `next` on.
    pub(super) fn done(&self, next: u64) -> Vec<u64> {
        let segments = self.segments();
        segments.iter().filter(|(_, kept)| kept.end.is_some_and(|end| end <= next)).map(|(f, _)| *f).collect()
    }

    /// The first sequence numbers of all segments.
    pub(super) fn firsts(&self) -> Vec<u64> {
        self.segments().keys().copied().collect()
    }

    /// The first record after `at` that a segment has.
    pub(super) fn follows(&self, at: u64) -> Option<u64> {
        self.segments().range(at + 1..).next().map(|(first, _)| *first)
    }

    fn known_damage(&self) -> MutexGuard<'_, (Damage, BTreeMap<u64, u64>)> {
        self.damage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What could not be read since the start.
    pub(super) fn damage(&self) -> Damage {
        self.known_damage().0
    }

    /// Counts and logs damage, once however often it is met.
    pub(super) fn note_damage(&self, gap: &Gap) {
        let from = gap.records.start.max(self.shipped.load(Ordering::Acquire));
        let mut known = self.known_damage();
        let end = known.1.range(..=from).next_back().map_or(0, |(_, end)| *end);
        let (from, to) = (from.max(end), gap.records.end);
        if from >= to && !gap.records.is_empty() {
            return;
        }
        if from < to {
            known.1.insert(from, to);
        }
        known.0.places += 1;
        known.0.records += to.saturating_sub(from);
        tracing::error!(
            file = %gap.path.display(), offset = gap.offset, records = to.saturating_sub(from),
            "the spool is damaged; what is before and behind is read, these hits are lost"
        );
    }

    fn marks(&self) -> MutexGuard<'_, VecDeque<(u64, Instant)>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark(&self, sequence: u64) {
        let now = Instant::now();
        let mut marks = self.marks();
        if marks.back().is_some_and(|(_, last)| now - *last < MARK_INTERVAL) {
            return;
        }
        marks.push_back((sequence, now));
        if marks.len() > MARKS_MAX {
            let mut n = 0;
            marks.retain(|_| {
                n += 1;
                n % 2 == 1
            });
        }
    }

    /// Records below `next` are shipped.
    pub(super) fn shipped_to(&self, next: u64) {
        self.shipped.store(next, Ordering::Release);
        self.known_damage().1.retain(|_, end| *end > next);
        self.shipped_moved.notify_waiters();
        let durable = self.durable.load(Ordering::Acquire);
        let mut marks = self.marks();
        while marks.get(1).is_some_and(|(sequence, _)| *sequence <= next)
            || (next >= durable && !marks.is_empty())
        {
            marks.pop_front();
        }
    }

    /// The first waiting record came this long ago.
    pub(super) fn waits_since(&self, age: Duration) {
        let mut marks = self.marks();
        if let (Some(first), Some(then)) = (marks.front_mut(), Instant::now().checked_sub(age)) {
            first.1 = then.min(first.1);
        }
    }

    /// How long the first waiting record has waited.
    pub(super) fn oldest(&self) -> Option<Duration> {
        let waits = self.durable.load(Ordering::Acquire) > self.shipped.load(Ordering::Acquire);
        self.marks().front().filter(|_| waits).map(|(_, since)| since.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared() -> Shared {
        let settings = Settings { dir: "x".into(), segment_bytes: 1, bytes_max: 1, columns: String::new() };
        Shared::new(settings, BTreeMap::new(), 1, 1)
    }

    #[test]
    fn oldest_record_waits_until_it_is_shipped() {
        let shared = shared();
        assert_eq!(shared.oldest(), None);
        shared.grown(1, 10, 5);
        shared.waits_since(Duration::from_secs(60));
        assert!(shared.oldest() >= Some(Duration::from_secs(60)));
        shared.grown(1, 10, 9);
        shared.shipped_to(4);
        assert!(shared.oldest() >= Some(Duration::from_secs(60)), "record 4 waits still");
        shared.shipped_to(5);
        assert!(shared.oldest() < Some(Duration::from_secs(60)));
        shared.shipped_to(9);
        assert_eq!(shared.oldest(), None);
    }

    #[test]
    fn bytes_on_disk_are_those_of_all_segments_whoever_changes_them_at_once() {
        let shared = shared();
        for first in [1, 2] {
            shared.keep(first, Kept { bytes: 0, end: None });
        }
        // Only the last change can show a wrong sum: a later one would hide it.
        let together = std::sync::Barrier::new(2);
        let mut wrong = 0;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0..10_000 {
                    together.wait();
                    shared.grown(1, 1, n);
                    together.wait();
                }
            });
            for n in 0..10_000 {
                together.wait();
                shared.keep(2, Kept { bytes: 7, end: Some(3) });
                together.wait();
                wrong += u64::from(shared.disk_bytes.load(Ordering::Relaxed) != n + 8);
            }
        });
        assert_eq!(wrong, 0, "rounds with a wrong sum");
    }

    #[test]
    fn moments_never_exceed_their_bound() {
        let shared = shared();
        shared.grown(1, 1, 2);
        for sequence in 2..3 * MARKS_MAX as u64 {
            shared.marks().push_back((sequence, Instant::now() - MARK_INTERVAL));
            shared.mark(sequence);
            assert!(shared.marks().len() <= MARKS_MAX + 1);
        }
    }
}
