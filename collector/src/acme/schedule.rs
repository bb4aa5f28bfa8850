//! When a host's certificate is asked for.

use std::time::Duration;

/// Longest pause after a failure.
const PAUSE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Part of a certificate's life over which renewals are spread, before the last third.
const SPREAD: f64 = 0.05;

/// When a host's certificate is asked for: at once without one, and else when a third of its life is left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    /// Which of the moments in the spread is this one's, from 0 to 1.
    place: f64,
    failures: u32,
    /// Not before this moment, in milliseconds since 1970-01-01 UTC.
    not_before_ms: i64,
}

impl Schedule {
    pub(super) fn new(place: f64) -> Self {
        Self { place, failures: 0, not_before_ms: i64::MIN }
    }

    /// When to ask, in milliseconds since 1970-01-01 UTC, for a host whose certificate is valid between these seconds.
    pub(super) fn due_ms(&self, validity: Option<(i64, i64)>) -> i64 {
        let due = validity.map_or(i64::MIN, |(from_s, until_s)| {
            let life_ms = until_s.saturating_sub(from_s).saturating_mul(1000);
            let spread_ms = (life_ms as f64 * SPREAD * self.place) as i64;
            until_s.saturating_mul(1000).saturating_sub(life_ms / 3).saturating_sub(spread_ms)
        });
        due.max(self.not_before_ms)
    }

    pub(super) fn succeeded(&mut self) {
        (self.failures, self.not_before_ms) = (0, i64::MIN);
    }

    /// Notes a failure. Returns the pause after it: `first`, twice as long each time, up to a day, and up to a tenth more so
    /// that not all come back together.
    pub(super) fn failed(&mut self, now_ms: i64, first: Duration) -> Duration {
        let doubled = first.saturating_mul(1 << self.failures.min(20)).min(PAUSE_MAX);
        let pause = doubled + doubled.mul_f64(self.place / 10.0);
        self.failures = self.failures.saturating_add(1);
        self.not_before_ms = now_ms.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: i64 = 24 * 60 * 60;

    #[test]
    fn certificate_is_due_when_a_third_of_its_life_is_left_or_a_little_earlier() {
        for (place, validity, due_s) in [
            (0.0, None, i64::MIN / 1000),
            (0.0, Some((0, 90 * DAY_S)), 60 * DAY_S),
            (0.5, Some((0, 90 * DAY_S)), 60 * DAY_S - 90 * DAY_S / 40),
            (0.0, Some((10, 40)), 30),
        ] {
            let due = Schedule::new(place).due_ms(validity);
            assert_eq!(due / 1000, due_s, "{place} {validity:?}");
        }
        // Nonsense in a certificate is no reason to fail.
        for validity in [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (5, 5)] {
            let _due = Schedule::new(1.0).due_ms(Some(validity));
        }
    }

    #[test]
    fn pauses_after_failures_double_up_to_a_day_and_begin_anew_after_a_success() {
        let mut schedule = Schedule::new(0.0);
        let first = Duration::from_secs(5 * 60);
        let mut pause = || schedule.failed(1_000, first).as_secs() / 60;
        let minutes: Vec<u64> = (0..11).map(|_| pause()).collect();
        assert_eq!(minutes, [5, 10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]);
        assert_eq!(schedule.due_ms(None), 1_000 + 24 * 60 * 60 * 1000, "also without a certificate");
        schedule.succeeded();
        assert_eq!(schedule.due_ms(None), i64::MIN);
        assert_eq!(schedule.failed(0, first).as_secs(), 300);
        let late = Schedule::new(1.0).failed(0, first).as_secs();
        assert_eq!(late, 330, "not all come back together");
    }
}
