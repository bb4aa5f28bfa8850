//! Keeps one address from asking too often. What is remembered is a hash of the address under a key that dies with the
//! process; bounded, the oldest are forgotten.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::visitor::client_ip::ClientIp;

/// How many addresses are remembered.
pub const ADDRESSES_MAX: usize = 20_000;

/// So many times in so long.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// How often.
    pub most: u32,
    /// In how long.
    pub window: Duration,
}

/// Counts by address.
#[derive(Debug)]
pub struct Throttle {
    limit: Limit,
    key: [u8; 32],
    seen: Mutex<HashMap<u64, (Instant, u32)>>,
}

impl Throttle {
    /// A throttle that has seen nobody.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn new(limit: Limit) -> std::io::Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|e| std::io::Error::other(e.to_string()))?;
        Ok(Self { limit, key, seen: Mutex::default() })
    }

    /// Whether this address may ask once more. Counts it.
    pub fn allows(&self, client: &ClientIp, now: Instant) -> bool {
        let hash = client.feed(|bytes| blake3::keyed_hash(&self.key, bytes));
        let key = hash.as_bytes().iter().take(8).fold(0, |n, b| n << 8 | u64::from(*b));
        self.count(key, now)
    }

    fn count(&self, key: u64, now: Instant) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= ADDRESSES_MAX && !seen.contains_key(&key) {
            seen.retain(|_, (since, _)| now.duration_since(*since) < self.limit.window);
            if seen.len() >= ADDRESSES_MAX {
                let oldest = seen.iter().min_by_key(|(_, (since, _))| *since).map(|(key, _)| *key);
                oldest.map(|key| seen.remove(&key));
            }
        }
        let (since, count) = seen.entry(key).or_insert((now, 0));
        if now.duration_since(*since) >= self.limit.window {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= self.limit.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { most: 3, window: Duration::from_secs(60) };

    #[test]
    fn address_is_stopped_after_the_last_allowed_time_and_free_after_the_window() {
        let throttle = Throttle::new(LIMIT).unwrap();
        let [one, other] = ["192.0.2.1", "2001:db8::1"].map(|a| ClientIp::claimed(a).unwrap());
        let start = Instant::now();
        for _ in 0..LIMIT.most {
            assert!(throttle.allows(&one, start));
        }
        assert!(!throttle.allows(&one, start));
        assert!(throttle.allows(&other, start));
        assert!(throttle.allows(&one, start + LIMIT.window));
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::new(LIMIT).unwrap();
        let start = Instant::now();
        for key in 0..=ADDRESSES_MAX as u64 {
            assert!(throttle.count(key, start));
        }
        assert_eq!(throttle.seen.lock().unwrap().len(), ADDRESSES_MAX);
    }
}
