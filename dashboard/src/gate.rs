//! How many reports run at once, so that readers starve neither hits nor each other.
//!
//! A page of reports waits for its turn in a queue of bounded length; one reader has at most
//! [`RUNNING_OF_ONE_MAX`] turns at a time. What waits too long is refused with a page that says so and tries
//! again. A request that goes away leaves the queue, and its queries are cancelled: ClickHouse notices the closed
//! connection.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Pages of reports that run at once.
pub const RUNNING_MAX: usize = 4;
/// Pages of one reader that run at once.
pub const RUNNING_OF_ONE_MAX: usize = 2;
/// Pages that wait.
pub const WAITING_MAX: usize = 64;
/// Pages that run at once for outsiders of one kind, so that half of the turns are left to members.
pub const RUNNING_OF_LANE_MAX: usize = 1;
/// Pages that wait for outsiders of one kind.
pub const WAITING_OF_LANE_MAX: usize = 16;
/// How long one waits at most.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Refused: too many reports wait, or this one waited too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

/// Outsiders: whoever reads without an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Whoever has a shared link.
    Links,
    /// Anybody, of a public site.
    Public,
}

/// The turns of outsiders of one kind.
#[derive(Debug)]
struct Outside {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Default for Outside {
    fn default() -> Self {
        Self {
            running: Arc::new(Semaphore::new(RUNNING_OF_LANE_MAX)),
            waiting: Arc::new(Semaphore::new(WAITING_OF_LANE_MAX)),
        }
    }
}

/// A page's turn; it ends when dropped.
#[derive(Debug)]
pub struct Turn {
    _running: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
}

/// The gate that all pages of reports go through.
#[derive(Debug)]
pub struct Gate {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    patience: Duration,
    readers: Mutex<HashMap<u64, Arc<Semaphore>>>,
    links: Outside,
    public: Outside,
}

impl Default for Gate {
    fn default() -> Self {
        Self::with_patience(PATIENCE)
    }
}

impl Gate {
    fn with_patience(patience: Duration) -> Self {
        Self {
            running: Arc::new(Semaphore::new(RUNNING_MAX)),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            patience,
            readers: Mutex::default(),
            links: Outside::default(),
            public: Outside::default(),
        }
    }

    /// Waits for a turn of the reader with that number.
    ///
    /// # Errors
    /// When too many wait already, or it takes too long.
    pub async fn enter(&self, reader: u64) -> Result<Turn, Busy> {
        let own = self.of(reader);
        // Nobody has to queue where there is room.
        if let (Ok(own), Ok(running)) =
            (own.clone().try_acquire_owned(), self.running.clone().try_acquire_owned())
        {
            return Ok(Turn { _running: running, _own: own });
        }
        let _waiting = self.waiting.clone().try_acquire_owned().map_err(|_| Busy)?;
        let turn = async {
            // In this order: a reader who waits for their own turn keeps nobody else's.
            let own = own.acquire_owned().await.map_err(|_| Busy)?;
            let running = self.running.clone().acquire_owned().await.map_err(|_| Busy)?;
            Ok(Turn { _running: running, _own: own })
        };
        tokio::time::timeout(self.patience, turn).await.map_err(|_| Busy)?
    }

    /// Waits for a turn of outsiders. However many they are, they have few turns, and wait in no place of members.
    ///
    /// # Errors
    /// When too many of them wait already, or it takes too long.
    pub async fn enter_lane(&self, lane: Lane) -> Result<Turn, Busy> {
        let Outside { running: own, waiting } = match lane {
            Lane::Links => &self.links,
            Lane::Public => &self.public,
        };
        let _waiting = waiting.clone().try_acquire_owned().map_err(|_| Busy)?;
        let turn = async {
            let own = own.clone().acquire_owned().await.map_err(|_| Busy)?;
            let running = self.running.clone().acquire_owned().await.map_err(|_| Busy)?;
            Ok(Turn { _running: running, _own: own })
        };
        tokio::time::timeout(self.patience, turn).await.map_err(|_| Busy)?
    }

    /// The turns of one reader. Those of readers who are not here are forgotten.
    fn of(&self, reader: u64) -> Arc<Semaphore> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.retain(|_, turns| {
            Arc::strong_count(turns) > 1 || turns.available_permits() < RUNNING_OF_ONE_MAX
        });
        readers.entry(reader).or_insert_with(|| Arc::new(Semaphore::new(RUNNING_OF_ONE_MAX))).clone()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::{join_all, poll_immediate};

    use super::*;

    #[tokio::test]
    async fn one_reader_has_two_turns_and_leaves_the_others_to_others() {
        let gate = Gate::default();
        let first = gate.enter(1).await.unwrap();
        let _second = gate.enter(1).await.unwrap();
        let mut third = Box::pin(gate.enter(1));
        assert!(poll_immediate(&mut third).await.is_none(), "waits for one of its own");
        let _others = [gate.enter(2).await.unwrap(), gate.enter(3).await.unwrap()];
        drop(first);
        assert!(third.await.is_ok());
    }

    #[tokio::test]
    async fn queue_at_its_limit_waits_and_one_more_is_refused_at_once() {
        let gate = Gate::with_patience(Duration::from_millis(20));
        let turns = join_all((0..RUNNING_MAX as u64).map(|reader| gate.enter(reader))).await;
        assert!(turns.iter().all(Result::is_ok));
        let mut waiting: Vec<_> = (0..WAITING_MAX as u64).map(|n| Box::pin(gate.enter(100 + n))).collect();
        for one in &mut waiting {
            assert!(poll_immediate(one).await.is_none());
        }
        assert_eq!(gate.enter(1_000).await.err(), Some(Busy), "one more than the queue holds");
        assert!(join_all(waiting).await.iter().all(Result::is_err), "patience ends");
        drop(turns);
        assert!(gate.enter(1_000).await.is_ok());
    }

    #[tokio::test]
    async fn outsiders_of_any_number_leave_members_their_turns_and_places() {
        let gate = Gate::with_patience(Duration::from_millis(20));
        let mut held = Vec::new();
        for lane in [Lane::Links, Lane::Public] {
            held.push(gate.enter_lane(lane).await.unwrap());
            let mut waiting: Vec<_> =
                (0..WAITING_OF_LANE_MAX).map(|_| Box::pin(gate.enter_lane(lane))).collect();
            for one in &mut waiting {
                assert!(poll_immediate(one).await.is_none(), "{lane:?}");
            }
            assert_eq!(gate.enter_lane(lane).await.err(), Some(Busy), "{lane:?}: one more than may wait");
            let members = [gate.enter(1).await, gate.enter(1).await];
            assert!(members.iter().all(Result::is_ok), "{lane:?}: a member has both turns");
        }
        held.clear();
        assert!(gate.enter_lane(Lane::Public).await.is_ok());
    }

    #[tokio::test]
    async fn request_that_goes_away_leaves_the_queue() {
        let gate = Gate::default();
        let _turns = join_all((0..RUNNING_MAX as u64).map(|reader| gate.enter(reader))).await;
        for n in 0..2 * WAITING_MAX as u64 {
            let mut waiting = Box::pin(gate.enter(100 + n));
            assert!(poll_immediate(&mut waiting).await.is_none());
        }
        assert!(gate.readers.lock().unwrap().len() <= RUNNING_MAX + 1, "and is forgotten");
    }
}
