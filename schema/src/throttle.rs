//! A rate limit per key, in bounded memory.
//!
//! A key starts with its full allowance, which refills evenly over the window (GCRA, by `governor`). The
//! states are in a fixed-size cache that evicts the least used keys in constant time. An evicted key starts
//! afresh, so memory pressure can only make the throttle more lenient, never lock anybody out.

use std::{hash::Hash, num::NonZeroU32, sync::Arc, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed, StateStore},
};
use quick_cache::sync::Cache;

/// The network block a request came from, as a hash under a key that lives only as long as the process. Two
/// requests from one block have the same number; nothing else can be learnt from it. It is for counting only:
/// never stored, never logged, and therefore without `Debug`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientBlock(u64);

impl ClientBlock {
    /// The block of requests whose address is not known; they share one allowance.
    pub const UNKNOWN: Self = Self(0);

    /// The block with that keyed hash.
    pub const fn new(keyed_hash: u64) -> Self {
        Self(keyed_hash)
    }
}

/// A rate limit.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Largest burst.
    pub most: NonZeroU32,
    /// Time until the full allowance is available again.
    pub window: Duration,
    /// How many keys are remembered.
    pub keys_max: usize,
}

/// A rate limiter with one state per key.
pub struct Throttle<K: Key, C: Clock = DefaultClock> {
    limiter: RateLimiter<K, States<K>, C, StateInformationMiddleware>,
    states: States<K>,
}

/// A key of the throttle.
pub trait Key: Hash + Eq + Clone {}
impl<T: Hash + Eq + Clone> Key for T {}

impl<K: Key> Throttle<K> {
    /// A throttle with no recorded requests.
    pub fn new(limit: Limit) -> Self {
        Self::with_clock(limit, DefaultClock::default())
    }
}

impl<K: Key, C: Clock> Throttle<K, C> {
    /// The same with the caller's clock, for tests.
    pub fn with_clock(limit: Limit, clock: C) -> Self {
        let each = (limit.window / limit.most.get()).max(Duration::from_nanos(1));
        // `with_period` only rejects a zero period, which the line above rules out.
        let quota = Quota::with_period(each).unwrap_or(Quota::per_hour(limit.most)).allow_burst(limit.most);
        let states = States(Arc::new(Cache::new(limit.keys_max)));
        Self { limiter: RateLimiter::new(quota, states.clone(), clock), states }
    }

    /// Counts one more request of this key.
    ///
    /// # Errors
    /// How long to wait, if the limit is exceeded.
    pub fn allow(&self, key: &K) -> Result<(), Duration> {
        self.count(key).map(|_| ())
    }

    /// The same, and how many more are allowed at once.
    ///
    /// # Errors
    /// How long to wait, if the limit is exceeded.
    pub fn count(&self, key: &K) -> Result<u32, Duration> {
        let counted = self.limiter.check_key(key).map(|state| state.remaining_burst_capacity());
        counted.map_err(|not_until| not_until.wait_time_from(self.limiter.clock().now()))
    }

    /// Resets a key to its full allowance.
    pub fn forget(&self, key: &K) {
        self.states.0.remove(key);
    }

    /// How many keys are remembered.
    pub fn keys(&self) -> usize {
        self.states.0.len()
    }
}

/// The states of all keys, in a cache of fixed size.
struct States<K>(Arc<Cache<K, Arc<InMemoryState>>>);

impl<K> Clone for States<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Key> StateStore for States<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let new = || Ok::<_, std::convert::Infallible>(Arc::default());
        let state = match self.0.get_or_insert_with(key, new) {
            Ok(state) => state,
            Err(never) => match never {},
        };
        state.measure_and_replace(&NotKeyed::NonKey, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;

    const LIMIT: Limit =
        Limit { most: NonZeroU32::new(3).unwrap(), window: Duration::from_secs(60), keys_max: 1_000 };

    static_assertions::assert_not_impl_any!(ClientBlock: std::fmt::Debug, std::fmt::Display, serde::Serialize);

    #[test]
    fn key_is_stopped_after_the_last_allowed_time_and_free_after_the_window() {
        let clock = FakeRelativeClock::default();
        let throttle = Throttle::with_clock(LIMIT, clock.clone());
        for _ in 0..LIMIT.most.get() {
            assert!(throttle.allow(&1).is_ok());
        }
        assert_eq!(throttle.allow(&1), Err(LIMIT.window / 3));
        assert!(throttle.allow(&2).is_ok(), "others are not stopped");
        clock.advance(LIMIT.window / 3);
        assert!(throttle.allow(&1).is_ok(), "one is back");
        assert!(throttle.allow(&1).is_err(), "and only one");
        clock.advance(LIMIT.window);
        for _ in 0..LIMIT.most.get() {
            assert!(throttle.allow(&1).is_ok());
        }
    }

    #[test]
    fn forgotten_key_has_its_whole_allowance() {
        let throttle = Throttle::with_clock(LIMIT, FakeRelativeClock::default());
        while throttle.allow(&1).is_ok() {}
        throttle.forget(&1);
        assert!(throttle.allow(&1).is_ok());
    }

    #[test]
    fn memory_is_bounded_and_a_key_in_use_is_not_dropped_for_new_ones() {
        let throttle = Throttle::with_clock(LIMIT, FakeRelativeClock::default());
        while throttle.allow(&0).is_ok() {}
        for key in 1..LIMIT.keys_max {
            assert!(throttle.allow(&key).is_ok());
        }
        assert!(throttle.keys() <= LIMIT.keys_max);
        for key in LIMIT.keys_max..20 * LIMIT.keys_max {
            assert!(throttle.allow(&key).is_ok());
            assert!(throttle.allow(&0).is_err(), "after {key} others");
        }
        assert!(throttle.keys() <= LIMIT.keys_max, "{}", throttle.keys());
    }
}
