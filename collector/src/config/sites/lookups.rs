//! Looks up sites that are not known yet. A site that was added by a command, by a dashboard or on another machine a
//! moment ago already sends hits; the copy of the sites here learns of it only when it is read again.
//!
//! One reading serves everybody who waits for it, so the number of queries does not depend on how many names are looked
//! up: invented ones cost what [`READS_PER_SECOND_MAX`] allows and no more. A name counts as unknown only after a reading
//! that began after it was asked for.
//!
//! **Limits**: [`WAITING_MAX`] requests wait at a time, each for at most [`PATIENCE`]. Beyond that, and while the
//! database is away, nobody can say whether the site exists: the sender is told to come back.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use compact_str::CompactString;
use quick_cache::sync::Cache;
use tokio::sync::{Notify, Semaphore, watch};

/// How often the sites are read in one second, at most, whoever asks for what.
pub const READS_PER_SECOND_MAX: u32 = 4;
/// How many requests wait for a reading at a time. Others are told to come back.
pub const WAITING_MAX: usize = 256;
/// How long a request waits.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// How long a key that was looked up in vain counts as unknown without another look. Keys are random and made with
/// their site, so no page can have one before its site exists.
pub const UNKNOWN_FOR: Duration = Duration::from_secs(1);
/// How many such keys are remembered.
const UNKNOWN_MAX: usize = 1_024;

/// Nobody can say now whether a site exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undecided;

/// Connects requests that name an unknown site with the job that reads the sites.
#[derive(Debug)]
pub struct Lookups {
    wanted: Arc<Notify>,
    /// How many readings have begun.
    begun: Mutex<u64>,
    ended: watch::Sender<Ended>,
    waiting: Semaphore,
    patience: Duration,
    unknown: Cache<CompactString, Instant>,
}

/// The last readings, by their number.
#[derive(Debug, Default, Clone, Copy)]
struct Ended {
    last: u64,
    last_good: u64,
}

/// A reading that has begun. Without [`Reading::succeeded`] it has failed.
#[derive(Debug)]
#[must_use = "requests wait for its end"]
pub struct Reading<'a> {
    lookups: &'a Lookups,
    number: u64,
    good: bool,
}

impl Reading<'_> {
    /// The sites that were read are in force.
    pub fn succeeded(mut self) {
        self.good = true;
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.lookups.ended.send_modify(|ended| {
            ended.last = self.number;
            if self.good {
                ended.last_good = self.number;
            }
        });
    }
}

impl Lookups {
    /// Lookups that wake the job that waits for `wanted`.
    pub fn new(wanted: Arc<Notify>) -> Self {
        Self {
            wanted,
            begun: Mutex::default(),
            ended: watch::Sender::default(),
            waiting: Semaphore::new(WAITING_MAX),
            patience: PATIENCE,
            unknown: Cache::new(UNKNOWN_MAX),
        }
    }

    /// Asks for a reading, without waiting for it.
    pub fn ask(&self) {
        self.wanted.notify_one();
    }

    /// Waits until the sites have been read once more from the beginning.
    ///
    /// # Errors
    /// When they cannot be read in time, or too many wait already.
    pub async fn read_again(&self) -> Result<(), Undecided> {
        let Ok(_place) = self.waiting.try_acquire() else { return Err(Undecided) };
        let mut ended = self.ended.subscribe();
        let begun = *self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        self.ask();
        let read = tokio::time::timeout(self.patience, ended.wait_for(|ended| ended.last > begun)).await;
        match read {
            Ok(Ok(ended)) if ended.last_good > begun => Ok(()),
            _ => Err(Undecided),
        }
    }

    /// A reading begins: whatever was stored before is found by it.
    pub fn begin(&self) -> Reading<'_> {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        *begun += 1;
        Reading { lookups: self, number: *begun, good: false }
    }

    /// Whether `key` was looked up in vain less than [`UNKNOWN_FOR`] before `now`.
    pub fn is_unknown(&self, key: &str, now: Instant) -> bool {
        self.unknown.get(key).is_some_and(|noted| now.duration_since(noted) < UNKNOWN_FOR)
    }

    /// Remembers that a reading did not find `key`.
    pub fn note_unknown(&self, key: &str, now: Instant) {
        self.unknown.insert(key.into(), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookups() -> Arc<Lookups> {
        Arc::new(Lookups::new(Arc::default()))
    }

    /// Lets every other task run until it waits for something.
    async fn settle() {
        for _ in 0..WAITING_MAX {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn reading_that_had_begun_before_does_not_answer() {
        let lookups = lookups();
        let early = lookups.begin();
        let asked = tokio::spawn({
            let lookups = lookups.clone();
            async move { lookups.read_again().await }
        });
        settle().await;
        early.succeeded();
        settle().await;
        assert!(!asked.is_finished(), "the site may have been stored after that reading began");
        lookups.begin().succeeded();
        assert_eq!(asked.await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn one_reading_answers_as_many_as_may_wait_and_one_more_is_sent_away() {
        let lookups = lookups();
        let ask = |lookups: Arc<Lookups>| tokio::spawn(async move { lookups.read_again().await });
        let waiting: Vec<_> = (0..WAITING_MAX).map(|_| ask(lookups.clone())).collect();
        settle().await;
        assert_eq!(lookups.read_again().await, Err(Undecided), "one more than the limit");
        lookups.begin().succeeded();
        for asked in waiting {
            assert_eq!(asked.await.unwrap(), Ok(()));
        }
        let next = ask(lookups.clone());
        settle().await;
        lookups.begin().succeeded();
        assert_eq!(next.await.unwrap(), Ok(()), "the places are free again");
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_the_patience() {
        let lookups = Lookups { patience: Duration::from_millis(1), ..Lookups::new(Arc::default()) };
        assert_eq!(lookups.read_again().await, Err(Undecided));
    }

    #[tokio::test]
    async fn reading_that_fails_decides_nothing() {
        let lookups = lookups();
        let asked = tokio::spawn({
            let lookups = lookups.clone();
            async move { lookups.read_again().await }
        });
        settle().await;
        drop(lookups.begin());
        assert_eq!(asked.await.unwrap(), Err(Undecided));
    }

    #[test]
    fn key_that_was_looked_up_in_vain_is_unknown_for_a_moment() {
        let (lookups, noted) = (lookups(), Instant::now());
        assert!(!lookups.is_unknown("nobody", noted));
        lookups.note_unknown("nobody", noted);
        for (key, later, unknown) in [
            ("nobody", UNKNOWN_FOR - Duration::from_nanos(1), true),
            ("nobody", UNKNOWN_FOR, false),
            ("somebody", Duration::ZERO, false),
        ] {
            assert_eq!(lookups.is_unknown(key, noted + later), unknown, "{key} after {later:?}");
        }
    }

    #[test]
    fn remembered_keys_are_bounded() {
        let lookups = lookups();
        for n in 0..10 * UNKNOWN_MAX {
            lookups.note_unknown(&format!("invented-{n}"), Instant::now());
        }
        assert!(lookups.unknown.len() <= UNKNOWN_MAX, "{}", lookups.unknown.len());
    }
}
