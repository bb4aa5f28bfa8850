//! One hit, held until it has its outcome.

use std::sync::atomic::Ordering;

use sotto_schema::{
    id::SiteId,
    outcome::{DropReason, Outcome},
};

use crate::{
    metrics::Metrics,
    spool::sharded::{ShardRepeats, ShardTicket},
};

/// A hit on its road. It leaves in one of two ways: with an outcome ([`Held::end`]), or back to its sender,
/// who retries ([`Held::give_back`]).
///
/// A hit dropped without either is a bug: it panics in debug builds and is counted in release builds
/// (`sotto_hits_without_outcome_total`). If the sender disconnects after the decision but before the hit is
/// on disk, the decision is counted: the spool writes the hit all the same.
#[must_use = "a hit ends in exactly one outcome"]
pub struct Held<'a> {
    metrics: &'a Metrics,
    now_ms: i64,
    site: SiteId,
    state: State,
}

enum State {
    /// Still on its road.
    Undecided,
    /// Dropped on purpose.
    Dropped(DropReason),
    /// To be kept as `Outcome` once its record is on disk.
    Recorded(Outcome, ShardTicket),
    /// Already left.
    Gone,
}

/// A hit that has left its road, with its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Its site; none if no site of ours was named.
    pub site: SiteId,
    /// What became of it.
    pub outcome: Outcome,
}

impl<'a> Held<'a> {
    /// A hit that came in at `now_ms`, in milliseconds since 1970-01-01 UTC.
    pub fn new(metrics: &'a Metrics, now_ms: i64) -> Self {
        Self { metrics, now_ms, site: SiteId::NONE, state: State::Undecided }
    }

    /// Sets the site.
    pub fn belongs_to(&mut self, site: SiteId) {
        self.site = site;
    }

    /// Decides to drop the hit.
    pub fn decide_drop(&mut self, reason: DropReason) {
        self.state = State::Dropped(reason);
    }

    /// Decides to keep the hit as `outcome`, once the record with this ticket is on disk.
    pub fn decide_keep(&mut self, outcome: Outcome, ticket: ShardTicket) {
        self.state = State::Recorded(outcome, ticket);
    }

    /// Counts the outcome, once all records are on disk. A record that was already durable is a repeat.
    pub fn end(mut self, repeats: &ShardRepeats) -> Ended {
        let outcome = match &self.state {
            State::Recorded(_, ticket) if repeats.contains(*ticket) => {
                Outcome::Dropped(DropReason::Duplicate)
            }
            State::Recorded(outcome, _) => *outcome,
            State::Dropped(reason) => Outcome::Dropped(*reason),
            State::Undecided | State::Gone => {
                self.note_lost();
                Outcome::Dropped(DropReason::InvalidPayload)
            }
        };
        self.state = State::Gone;
        self.metrics.count(self.site, self.now_ms, outcome);
        Ended { site: self.site, outcome }
    }

    /// Nothing was kept and the sender is told to retry: this attempt has no outcome, its next one does.
    pub fn give_back(mut self) {
        self.state = State::Gone;
    }

    fn note_lost(&self) {
        self.metrics.hits_without_outcome.fetch_add(1, Ordering::Relaxed);
        debug_assert!(std::thread::panicking(), "a hit was lost without an outcome");
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        match self.state {
            State::Gone => {}
            State::Undecided => self.note_lost(),
            State::Dropped(reason) => self.metrics.count(self.site, self.now_ms, Outcome::Dropped(reason)),
            State::Recorded(outcome, _) => self.metrics.count(self.site, self.now_ms, outcome),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        spool::sharded,
        spool::{self, Key},
    };
    use sotto_schema::id::ViewId;

    const SITE: SiteId = SiteId(7);

    fn lost(metrics: &Metrics) -> u64 {
        metrics.hits_without_outcome.load(Ordering::Relaxed)
    }

    fn counted(metrics: &Metrics) -> u64 {
        Outcome::all().map(|outcome| metrics.total(outcome)).sum()
    }

    #[test]
    #[cfg(debug_assertions)]
    fn hit_that_is_lost_without_an_outcome_panics_and_is_counted() {
        let metrics = Metrics::default();
        let lose = std::panic::AssertUnwindSafe(|| drop(Held::new(&metrics, 0)));
        assert!(std::panic::catch_unwind(lose).is_err());
        assert_eq!((lost(&metrics), counted(&metrics)), (1, 0));
    }

    #[test]
    fn hit_that_is_given_back_has_no_outcome() {
        let metrics = Metrics::default();
        let mut held = Held::new(&metrics, 0);
        held.decide_drop(DropReason::TooOld);
        held.give_back();
        assert_eq!((lost(&metrics), counted(&metrics)), (0, 0));
    }

    #[test]
    fn decided_hit_whose_sender_goes_away_is_counted_as_decided() {
        let metrics = Metrics::default();
        let mut held = Held::new(&metrics, 0);
        held.decide_drop(DropReason::TooOld);
        drop(held);
        assert_eq!(metrics.total(Outcome::Dropped(DropReason::TooOld)), 1);
        assert_eq!((lost(&metrics), counted(&metrics)), (0, 1));
    }

    #[tokio::test]
    async fn recorded_hit_is_kept_once_and_then_a_duplicate() {
        let data = tempfile::tempdir().unwrap();
        let settings = spool::Settings {
            dir: data.path().into(),
            segment_bytes: 1 << 20,
            bytes_max: 1 << 24,
            columns: "x".into(),
        };
        let (spools, _readers) = sharded::open(data.path(), 2, &settings).unwrap();
        let metrics = Metrics::default();
        for expected in [Outcome::Stored, Outcome::Dropped(DropReason::Duplicate)] {
            let mut held = Held::new(&metrics, 0);
            held.belongs_to(SITE);
            let mut appends = spools.appends();
            let key = Key { site: SITE, view: ViewId(1), seq: 0 };
            let ticket = appends.record(SITE, Some(key), |out| out.push(1)).unwrap();
            held.decide_keep(Outcome::Stored, ticket);
            let repeats = spools.append(appends).await.unwrap();
            assert_eq!(held.end(&repeats), Ended { site: SITE, outcome: expected });
        }
        assert_eq!((lost(&metrics), counted(&metrics)), (0, 2));
    }
}
