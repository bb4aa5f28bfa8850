//! What is counted: outcomes per site and hour for the dashboard, and everything for Prometheus.

use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::outcome::Outcome;

const HOUR_MS: i64 = 60 * 60 * 1000;

/// Counters of one process.
#[derive(Debug)]
pub struct Metrics {
    outcomes: [AtomicU64; Outcome::COUNT],
    /// Per site (0: unknown) and hour, since the last [`Metrics::take_outcomes`].
    recent: Mutex<HashMap<(u64, i64, What), u64>>,
    /// Answers 503 because the spool could not take a hit.
    pub spool_refused: AtomicU64,
    /// Hits that are in ClickHouse.
    pub shipped_hits: AtomicU64,
    /// Batches that are in ClickHouse.
    pub shipped_batches: AtomicU64,
    /// Attempts to ship that failed.
    pub ship_failures: AtomicU64,
    /// Requests that failed inside Sotto.
    pub panics: AtomicU64,
    /// Hits taken while another collector was out of reach.
    pub hits_apart: AtomicU64,
    /// Salts made although another collector could not be asked.
    pub salts_alone: AtomicU64,
    /// Salts given up for another collector's.
    pub salts_replaced: AtomicU64,
    /// Visits and page views of which another collector was not told.
    pub peer_notes_lost: AtomicU64,
}

/// How often something happened at one site in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The site's number; 0 when it is unknown.
    pub site: u64,
    /// Start of the hour, in milliseconds since 1970-01-01 UTC.
    pub hour_ms: i64,
    /// What became of the hits; or, counted beside the outcomes, from which kind of address they came.
    pub what: What,
    /// How many.
    pub hits: u64,
}

/// What is counted per site and hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    /// An outcome of a hit.
    Outcome(Outcome),
    /// A hit from an address that the internet does not route. When all are, a proxy is not trusted that should be.
    PrivateAddress,
    /// A hit from any other address.
    PublicAddress,
}

impl What {
    /// The stored name and reason.
    pub const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Outcome(outcome) => (outcome.name(), outcome.reason()),
            Self::PrivateAddress => ("address", "private"),
            Self::PublicAddress => ("address", "public"),
        }
    }
}

/// How many (site, hour, outcome) are counted between two flushes; beyond it only the totals are.
const RECENT_MAX: usize = 100_000;

impl Default for Metrics {
    fn default() -> Self {
        Self {
            outcomes: [const { AtomicU64::new(0) }; Outcome::COUNT],
            recent: Mutex::default(),
            spool_refused: AtomicU64::new(0),
            shipped_hits: AtomicU64::new(0),
            shipped_batches: AtomicU64::new(0),
            ship_failures: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            hits_apart: AtomicU64::new(0),
            salts_alone: AtomicU64::new(0),
            salts_replaced: AtomicU64::new(0),
            peer_notes_lost: AtomicU64::new(0),
        }
    }
}

impl Metrics {
    /// Counts one hit's outcome.
    pub fn count(&self, site: u64, time_ms: i64, outcome: Outcome) {
        self.outcomes[outcome.index()].fetch_add(1, Ordering::Relaxed);
        self.note(site, time_ms, What::Outcome(outcome));
    }

    /// Counts from which kind of address a hit of a site came.
    pub fn count_address(&self, site: u64, time_ms: i64, is_private: bool) {
        let what = if is_private { What::PrivateAddress } else { What::PublicAddress };
        self.note(site, time_ms, what);
    }

    fn note(&self, site: u64, time_ms: i64, what: What) {
        let hour = time_ms - time_ms.rem_euclid(HOUR_MS);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (site, hour, what);
        if recent.len() < RECENT_MAX || recent.contains_key(&key) {
            *recent.entry(key).or_default() += 1;
        }
    }

    /// How often `outcome` happened since the start.
    pub fn total(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome.index()].load(Ordering::Relaxed)
    }

    /// What was counted since the last call.
    pub fn take_outcomes(&self) -> Vec<Count> {
        let recent = std::mem::take(&mut *self.recent.lock().unwrap_or_else(PoisonError::into_inner));
        recent.into_iter().map(|((site, hour_ms, what), hits)| Count { site, hour_ms, what, hits }).collect()
    }

    /// Gives counts back that could not be stored.
    pub fn return_outcomes(&self, counts: &[Count]) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        for count in counts {
            *recent.entry((count.site, count.hour_ms, count.what)).or_default() += count.hits;
        }
    }
}

/// A value that is read when it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Gauge {
    /// Name with unit.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// The value.
    pub value: f64,
}

/// All metrics in the Prometheus text format (version 0.0.4).
pub fn render(metrics: &Metrics, gauges: &[Gauge]) -> String {
    let mut out = String::from(
        "# HELP sotto_hits_total Hits by what became of them.\n# TYPE sotto_hits_total counter\n",
    );
    for outcome in Outcome::all() {
        let (name, reason, total) = (outcome.name(), outcome.reason(), metrics.total(outcome));
        // Writing to a string cannot fail.
        let _written = writeln!(out, "sotto_hits_total{{outcome=\"{name}\",reason=\"{reason}\"}} {total}");
    }
    for (name, help, value) in [
        (
            "sotto_spool_refused_total",
            "Requests answered 503 because the spool could not take them.",
            &metrics.spool_refused,
        ),
        ("sotto_shipped_hits_total", "Hits that are in ClickHouse.", &metrics.shipped_hits),
        ("sotto_shipped_batches_total", "Batches that are in ClickHouse.", &metrics.shipped_batches),
        ("sotto_ship_failures_total", "Attempts to ship that failed.", &metrics.ship_failures),
        ("sotto_panics_total", "Requests that failed inside Sotto.", &metrics.panics),
        (
            "sotto_hits_apart_total",
            "Hits taken while another collector was out of reach; their visitors may count twice.",
            &metrics.hits_apart,
        ),
        (
            "sotto_salts_alone_total",
            "Salts made although another collector could not be asked.",
            &metrics.salts_alone,
        ),
        (
            "sotto_salts_replaced_total",
            "Salts given up for another collector's, after both were apart.",
            &metrics.salts_replaced,
        ),
        (
            "sotto_peer_notes_lost_total",
            "Visits and page views of which another collector was not told.",
            &metrics.peer_notes_lost,
        ),
    ] {
        let value = value.load(Ordering::Relaxed);
        let _written = write!(out, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}\n");
    }
    for Gauge { name, help, value } in gauges {
        let _written = write!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::DropReason;

    #[test]
    fn counted_outcome_shows_in_total_and_recent_once() {
        let metrics = Metrics::default();
        let bot = Outcome::Dropped(DropReason::BotUserAgent);
        metrics.count(7, HOUR_MS + 5, bot);
        metrics.count(7, HOUR_MS + 6, bot);
        assert_eq!(metrics.total(bot), 2);
        let counts = metrics.take_outcomes();
        assert_eq!(counts, [Count { site: 7, hour_ms: HOUR_MS, what: What::Outcome(bot), hits: 2 }]);
        assert_eq!(metrics.take_outcomes(), []);
        metrics.return_outcomes(&counts);
        assert_eq!(metrics.take_outcomes(), counts);
    }

    #[test]
    fn rendered_metrics_name_every_outcome() {
        let text = render(&Metrics::default(), &[Gauge { name: "sotto_x", help: "X.", value: 1.5 }]);
        for outcome in Outcome::all() {
            let line = format!("outcome=\"{}\",reason=\"{}\"}} 0", outcome.name(), outcome.reason());
            assert!(text.contains(&line), "{line}");
        }
        assert!(text.contains("sotto_x 1.5\n"));
    }
}
