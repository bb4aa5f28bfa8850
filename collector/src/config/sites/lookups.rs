//! Looks up sites and tokens that are not known yet. What was added by a command, by a dashboard or on another machine a
//! moment ago is already used; the copy of the sites and tokens here learns of it only when it is read again.
//!
//! One reading serves everybody who waits for it, so the number of queries does not depend on how many names are looked
//! up: invented ones cost what [`READS_PER_SECOND_MAX`] allows and no more. A name counts as unknown only after a reading
//! that began after it was asked for.
//!
//! **Limits**: [`WAITING_MAX`] requests wait at a time, at most [`WAITING_PER_BLOCK_MAX`] of them from one address (or
//! /64), each for at most [`PATIENCE`]. Beyond that, and while the database is away, nobody can say whether the site
//! exists: the sender is told to come back.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use compact_str::CompactString;
use quick_cache::sync::Cache;
use sotto_schema::throttle::ClientBlock;
use tokio::sync::{Notify, Semaphore, watch};

use crate::visitor::client_ip::{BlockKey, ClientIp};

/// How often the sites are read in one second, at most, whoever asks for what.
pub const READS_PER_SECOND_MAX: u32 = 4;
/// How many requests wait for a reading at a time. Others are told to come back.
pub const WAITING_MAX: usize = 256;
/// How many of them may come from one network block: invented keys from one place leave room for others.
pub const WAITING_PER_BLOCK_MAX: usize = 16;
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
pub struct Lookups {
    wanted: Arc<Notify>,
    /// How many readings have begun.
    begun: Mutex<u64>,
    ended: watch::Sender<Ended>,
    waiting: Semaphore,
    /// How many wait by network block.
    by_block: Mutex<HashMap<ClientBlock, usize>>,
    block_key: BlockKey,
    patience: Duration,
    unknown: Cache<CompactString, Instant>,
}

/// A place of one network block among those that wait; free again when dropped.
struct Place<'a> {
    lookups: &'a Lookups,
    block: ClientBlock,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut by_block = self.lookups.by_block.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = by_block.get_mut(&self.block) {
            *waiting -= 1;
            if *waiting == 0 {
                by_block.remove(&self.block);
            }
        }
    }
}

/// The last readings, by their number.
#[derive(Debug, Default, Clone, Copy)]
struct Ended {
    last: u64,
    last_good: u64,
}

/// A reading that has begun. Without [`Reading::succeeded`] it has failed.
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
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn new(wanted: Arc<Notify>) -> io::Result<Self> {
        Ok(Self {
            wanted,
            begun: Mutex::default(),
            ended: watch::Sender::default(),
            waiting: Semaphore::new(WAITING_MAX),
            by_block: Mutex::default(),
            block_key: BlockKey::random()?,
            patience: PATIENCE,
            unknown: Cache::new(UNKNOWN_MAX),
        })
    }

    fn place(&self, client: &ClientIp) -> Option<Place<'_>> {
        let block = client.block(&self.block_key);
        let mut by_block = self.by_block.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = by_block.entry(block).or_default();
        if *waiting >= WAITING_PER_BLOCK_MAX {
            return None;
        }
        *waiting += 1;
        Some(Place { lookups: self, block })
    }

    /// Waits until sites and tokens have been read once more from the beginning, for a request of `client`.
    ///
    /// # Errors
    /// When they cannot be read in time, or too many wait already.
    pub async fn read_again(&self, client: &ClientIp) -> Result<(), Undecided> {
        let _of_block = self.place(client).ok_or(Undecided)?;
        let Ok(_place) = self.waiting.try_acquire() else { return Err(Undecided) };
        let mut ended = self.ended.subscribe();
        let begun = *self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        self.wanted.notify_one();
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
        Arc::new(Lookups::new(Arc::default()).unwrap())
    }

    /// A client; every [`WAITING_PER_BLOCK_MAX`] of them share a network block.
    fn client(n: usize) -> ClientIp {
        let block = n / WAITING_PER_BLOCK_MAX;
        ClientIp::claimed(&format!("2001:db8:0:{block:x}::{n:x}")).unwrap()
    }

    fn ask(lookups: &Arc<Lookups>, n: usize) -> tokio::task::JoinHandle<Result<(), Undecided>> {
        let lookups = lookups.clone();
        tokio::spawn(async move { lookups.read_again(&client(n)).await })
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
        let asked = ask(&lookups, 0);
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
        let waiting: Vec<_> = (0..WAITING_MAX).map(|n| ask(&lookups, n)).collect();
        settle().await;
        assert_eq!(lookups.read_again(&client(WAITING_MAX)).await, Err(Undecided), "one more than the limit");
        lookups.begin().succeeded();
        for asked in waiting {
            assert_eq!(asked.await.unwrap(), Ok(()));
        }
        let next = ask(&lookups, 0);
        settle().await;
        lookups.begin().succeeded();
        assert_eq!(next.await.unwrap(), Ok(()), "the places are free again");
        assert!(lookups.by_block.lock().unwrap().is_empty(), "nobody is remembered");
    }

    #[tokio::test]
    async fn block_at_its_limit_waits_and_one_more_of_it_is_sent_away_but_not_another() {
        let lookups = lookups();
        let waiting: Vec<_> = (0..WAITING_PER_BLOCK_MAX).map(|n| ask(&lookups, n)).collect();
        settle().await;
        assert_eq!(lookups.read_again(&client(0)).await, Err(Undecided), "one more of this block");
        let other = ask(&lookups, WAITING_PER_BLOCK_MAX);
        settle().await;
        lookups.begin().succeeded();
        for asked in waiting.into_iter().chain([other]) {
            assert_eq!(asked.await.unwrap(), Ok(()));
        }
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_the_patience() {
        let lookups = Lookups { patience: Duration::from_millis(1), ..Lookups::new(Arc::default()).unwrap() };
        assert_eq!(lookups.read_again(&client(0)).await, Err(Undecided));
    }

    #[tokio::test]
    async fn reading_that_fails_decides_nothing() {
        let lookups = lookups();
        let asked = ask(&lookups, 0);
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
