//! Slows down guessing of passwords: so many failures per address, so many attempts altogether. Bounded: when more
//! addresses are attacked than can be remembered, the oldest failures are forgotten, and the common limit holds.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Failures after which an address has to wait.
pub(crate) const FAILURES_MAX: u32 = 10;
/// How long failures count.
pub(crate) const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Attempts of everybody per minute.
pub(crate) const ATTEMPTS_PER_MINUTE_MAX: u32 = 120;
/// How many addresses are remembered.
pub(crate) const ADDRESSES_MAX: usize = 10_000;

#[derive(Clone, Copy)]
struct Failures {
    since: Instant,
    count: u32,
}

/// Counts attempts to sign in.
#[derive(Default)]
pub(crate) struct Throttle {
    /// By hash of the address, so that addresses typed in error are not kept.
    failures: HashMap<u64, Failures>,
    minute: Option<Failures>,
}

fn key(email: &str) -> u64 {
    let hash = blake3::hash(email.trim().to_lowercase().as_bytes());
    hash.as_bytes().iter().take(8).fold(0, |n, b| n << 8 | u64::from(*b))
}

impl Throttle {
    /// Whether an attempt may be made now. Counts it.
    pub(crate) fn allows(&mut self, email: &str, now: Instant) -> bool {
        let minute = match self.minute {
            Some(m) if now.duration_since(m.since) < Duration::from_secs(60) => {
                Failures { count: m.count + 1, ..m }
            }
            _ => Failures { since: now, count: 1 },
        };
        self.minute = Some(minute);
        minute.count <= ATTEMPTS_PER_MINUTE_MAX
            && self
                .failures
                .get(&key(email))
                .is_none_or(|f| f.count < FAILURES_MAX || now.duration_since(f.since) >= WINDOW)
    }

    /// Notes that an attempt failed.
    pub(crate) fn failed(&mut self, email: &str, now: Instant) {
        if self.failures.len() >= ADDRESSES_MAX {
            self.failures.retain(|_, f| now.duration_since(f.since) < WINDOW);
        }
        if self.failures.len() >= ADDRESSES_MAX {
            let oldest = self.failures.iter().min_by_key(|(_, f)| f.since).map(|(k, _)| *k);
            oldest.map(|k| self.failures.remove(&k));
        }
        let entry = self.failures.entry(key(email)).or_insert(Failures { since: now, count: 0 });
        if now.duration_since(entry.since) >= WINDOW {
            *entry = Failures { since: now, count: 0 };
        }
        entry.count += 1;
    }

    /// Notes that an attempt succeeded.
    pub(crate) fn succeeded(&mut self, email: &str) {
        self.failures.remove(&key(email));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_waits_after_the_last_allowed_failure_and_is_free_after_the_window() {
        let mut throttle = Throttle::default();
        let start = Instant::now();
        for _ in 0..FAILURES_MAX {
            assert!(throttle.allows("ann@example.org", start));
            throttle.failed("ann@example.org", start);
        }
        assert!(!throttle.allows(" Ann@example.org", start));
        assert!(throttle.allows("bob@example.org", start));
        assert!(throttle.allows("ann@example.org", start + WINDOW));
    }

    #[test]
    fn success_forgets_failures() {
        let mut throttle = Throttle::default();
        let start = Instant::now();
        for _ in 0..FAILURES_MAX {
            throttle.failed("ann@example.org", start);
        }
        throttle.succeeded("ann@example.org");
        assert!(throttle.allows("ann@example.org", start));
    }

    #[test]
    fn everybody_together_is_limited_per_minute() {
        let mut throttle = Throttle::default();
        let start = Instant::now();
        for i in 0..ATTEMPTS_PER_MINUTE_MAX {
            assert!(throttle.allows(&format!("{i}@example.org"), start));
        }
        assert!(!throttle.allows("ann@example.org", start));
        assert!(throttle.allows("ann@example.org", start + Duration::from_secs(60)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut throttle = Throttle::default();
        let start = Instant::now();
        for i in 0..ADDRESSES_MAX + 1 {
            throttle.failed(&format!("{i}@example.org"), start);
        }
        assert_eq!(throttle.failures.len(), ADDRESSES_MAX);
    }
}
