//! Counters: outcomes per site and hour for the dashboard, and everything for Prometheus.
//!
//! **Promises.** Counting never fails and takes bounded memory; names are stable, as alerts use them. It knows no
//! visitor: no label holds anything that a request brought.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge, histogram::Histogram},
    registry::Registry,
};
use sotto_schema::{id::SiteId, outcome::Outcome};

use crate::supervise::{Board, Part};

const HOUR_MS: i64 = 60 * 60 * 1000;

/// Counters of one process.
#[derive(Debug)]
pub struct Metrics {
    outcomes: [AtomicU64; Outcome::COUNT],
    /// Counts per site (0: unknown) and hour since the last [`Metrics::take_outcomes`], partitioned so that
    /// workers do not contend.
    recent: [Mutex<Recent>; RECENT_PARTS],
    /// Hits lost on their road: a bug.
    pub hits_without_outcome: AtomicU64,
    /// 503 responses because the spool could not take a hit.
    pub spool_refused: AtomicU64,
    /// Hits inserted into ClickHouse.
    pub shipped_hits: AtomicU64,
    /// Batches inserted into ClickHouse.
    pub shipped_batches: AtomicU64,
    /// Number of shippers that have fallen behind.
    pub ship_behind: AtomicUsize,
    /// Failed attempts to ship.
    pub ship_failures: AtomicU64,
    /// Seconds from sealing a batch to ClickHouse's acknowledgement.
    pub ship_seconds: Histogram,
    /// Reasons why a repeated batch would be counted twice; `None` until ClickHouse was asked.
    pub deduplication_flaws: ArcSwapOption<Vec<String>>,
    /// Requests that panicked.
    pub panics: AtomicU64,
    /// How often the sites were read.
    pub sites_read: AtomicU64,
    /// Requests answered 503 because nobody could say whether their site exists.
    pub sites_undecided: AtomicU64,
    /// Requests that waited for the pageview that they belong to, and it came.
    pub pageviews_awaited: AtomicU64,
    /// Requests that waited for it in vain, or found no place to wait.
    pub pageviews_missed: AtomicU64,
    /// Hits taken while another collector was unreachable.
    pub hits_partitioned: AtomicU64,
    /// Salts made while another collector could not be asked.
    pub salts_alone: AtomicU64,
    /// Salts given up for another collector's.
    pub salts_replaced: AtomicU64,
    /// Visits and page views that another collector was never told about.
    pub peer_notes_lost: AtomicU64,
    /// Letters that the mail server accepted.
    pub mails_sent: AtomicU64,
    /// Letters that it did not accept, or that could not be put together.
    pub mails_failed: AtomicU64,
    /// Rounds of letters that were broken off.
    pub mail_rounds_failed: AtomicU64,
    /// Messages that the servers of webhooks accepted.
    pub webhooks_sent: AtomicU64,
    /// Messages that they did not accept, or that could not be put together.
    pub webhooks_failed: AtomicU64,
    /// Rounds of messages that were broken off.
    pub webhook_rounds_failed: AtomicU64,
    /// TLS handshakes that succeeded.
    pub tls_handshakes: AtomicU64,
    /// TLS handshakes that failed, or took too long.
    pub tls_handshakes_failed: AtomicU64,
    /// Connections closed because too many handshakes were under way.
    pub tls_handshakes_refused: AtomicU64,
    /// Certificate files that could not be used.
    pub certificate_failures: AtomicU64,
    /// Certificates that an ACME authority issued.
    pub acme_certificates: AtomicU64,
    /// Failed attempts to get one.
    pub acme_failures: AtomicU64,
}

/// Bucket bounds of the ship histogram, in seconds: from a small batch to the longest insert.
const SHIP_SECONDS: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0];

type Recent = HashMap<(SiteId, i64, CountedItem), u64, foldhash::fast::RandomState>;

const RECENT_PARTS: usize = 8;

thread_local! {
    /// The partition this thread counts in.
    static PART: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed) % RECENT_PARTS
    };
}

/// How often something happened at one site in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The site's number; 0 when it is unknown.
    pub site: SiteId,
    /// Start of the hour, in milliseconds since 1970-01-01 UTC.
    pub hour_ms: i64,
    /// What is counted: an outcome or, separately, the kind of address the hits came from.
    pub what: CountedItem,
    /// How many.
    pub hits: u64,
}

/// What is counted per site and hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CountedItem {
    /// An outcome of a hit.
    Outcome(Outcome),
    /// A hit from an address that is not publicly routable. If all are, a proxy is missing from the trusted
    /// ones.
    PrivateAddress,
    /// A hit from any other address.
    PublicAddress,
}

impl CountedItem {
    /// The stored name and reason.
    pub const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Outcome(outcome) => (outcome.name(), outcome.reason()),
            Self::PrivateAddress => ("address", "private"),
            Self::PublicAddress => ("address", "public"),
        }
    }
}

/// Maximum (site, hour, outcome) entries between two flushes; beyond it only totals are counted.
const RECENT_MAX: usize = 100_000;

impl Default for Metrics {
    fn default() -> Self {
        Self {
            outcomes: [const { AtomicU64::new(0) }; Outcome::COUNT],
            recent: Default::default(),
            hits_without_outcome: AtomicU64::new(0),
            spool_refused: AtomicU64::new(0),
            shipped_hits: AtomicU64::new(0),
            shipped_batches: AtomicU64::new(0),
            ship_behind: AtomicUsize::new(0),
            ship_failures: AtomicU64::new(0),
            ship_seconds: Histogram::new(SHIP_SECONDS),
            deduplication_flaws: ArcSwapOption::empty(),
            panics: AtomicU64::new(0),
            sites_read: AtomicU64::new(0),
            sites_undecided: AtomicU64::new(0),
            pageviews_awaited: AtomicU64::new(0),
            pageviews_missed: AtomicU64::new(0),
            hits_partitioned: AtomicU64::new(0),
            salts_alone: AtomicU64::new(0),
            salts_replaced: AtomicU64::new(0),
            peer_notes_lost: AtomicU64::new(0),
            mails_sent: AtomicU64::new(0),
            mails_failed: AtomicU64::new(0),
            mail_rounds_failed: AtomicU64::new(0),
            webhooks_sent: AtomicU64::new(0),
            webhooks_failed: AtomicU64::new(0),
            webhook_rounds_failed: AtomicU64::new(0),
            tls_handshakes: AtomicU64::new(0),
            tls_handshakes_failed: AtomicU64::new(0),
            tls_handshakes_refused: AtomicU64::new(0),
            certificate_failures: AtomicU64::new(0),
            acme_certificates: AtomicU64::new(0),
            acme_failures: AtomicU64::new(0),
        }
    }
}

impl Metrics {
    /// Counts one hit's outcome.
    pub fn count(&self, site: SiteId, time_ms: i64, outcome: Outcome) {
        self.outcomes[outcome.index()].fetch_add(1, Ordering::Relaxed);
        self.note(site, time_ms, CountedItem::Outcome(outcome));
    }

    /// Counts which kind of address a site's hit came from.
    pub fn count_address(&self, site: SiteId, time_ms: i64, is_private: bool) {
        let what = if is_private { CountedItem::PrivateAddress } else { CountedItem::PublicAddress };
        self.note(site, time_ms, what);
    }

    fn note(&self, site: SiteId, time_ms: i64, what: CountedItem) {
        let hour = time_ms - time_ms.rem_euclid(HOUR_MS);
        let mut recent = self.part();
        let key = (site, hour, what);
        if recent.len() < RECENT_MAX / RECENT_PARTS || recent.contains_key(&key) {
            *recent.entry(key).or_default() += 1;
        }
    }

    /// This thread's partition.
    fn part(&self) -> MutexGuard<'_, Recent> {
        self.recent[PART.with(|part| *part)].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often `outcome` happened since the start.
    pub fn total(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome.index()].load(Ordering::Relaxed)
    }

    /// The counts since the last call.
    pub fn take_outcomes(&self) -> Vec<Count> {
        let mut all = Recent::default();
        for part in &self.recent {
            for (key, hits) in part.lock().unwrap_or_else(PoisonError::into_inner).drain() {
                *all.entry(key).or_default() += hits;
            }
        }
        all.into_iter().map(|((site, hour_ms, what), hits)| Count { site, hour_ms, what, hits }).collect()
    }

    /// Gives back counts that could not be stored.
    pub fn return_outcomes(&self, counts: &[Count]) {
        let mut recent = self.part();
        for count in counts {
            *recent.entry((count.site, count.hour_ms, count.what)).or_default() += count.hits;
        }
    }
}

/// A value read at scrape time.
#[derive(Debug, Clone, Copy)]
pub struct Gauge {
    /// Name with unit.
    pub name: &'static str,
    /// Help text.
    pub help: &'static str,
    /// The value.
    pub value: f64,
}

/// The same in the older Prometheus text format (0.0.4), where a counter's family has the name of its
/// samples.
pub fn for_prometheus(open_metrics: &str) -> String {
    let counters: Vec<&str> = open_metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut out = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines().filter(|line| *line != "# EOF") {
        let described = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE "));
        match described.and_then(|rest| rest.split_once(' ')) {
            Some((family, rest)) if counters.contains(&family) => {
                out.extend([&line[..7], family, "_total ", rest, "\n"]);
            }
            Some(_) | None => out.extend([line, "\n"]),
        }
    }
    out
}

/// All metrics in the OpenMetrics text format (1.0.0).
pub fn render(metrics: &Arc<Metrics>, board: &Arc<Board>, gauges: Vec<Gauge>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Snapshot {
        metrics: metrics.clone(),
        board: board.clone(),
        gauges,
    }));
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _written = text::encode(&mut out, &registry);
    out
}

/// The same of TLS.
fn tls_counters(metrics: &Metrics) -> [(&'static str, &'static str, &AtomicU64); 6] {
    [
        ("sotto_tls_handshakes", "TLS handshakes that succeeded.", &metrics.tls_handshakes),
        (
            "sotto_tls_handshakes_failed",
            "TLS handshakes that failed or took too long, also of clients that speak no TLS.",
            &metrics.tls_handshakes_failed,
        ),
        (
            "sotto_tls_handshakes_refused",
            "Connections closed because too many handshakes were under way.",
            &metrics.tls_handshakes_refused,
        ),
        (
            "sotto_certificate_failures",
            "Certificate files that could not be used; the certificates of before stay in use.",
            &metrics.certificate_failures,
        ),
        (
            "sotto_acme_certificates",
            "Certificates that an ACME authority issued.",
            &metrics.acme_certificates,
        ),
        (
            "sotto_acme_failures",
            "Failed attempts to get one; each is followed by another.",
            &metrics.acme_failures,
        ),
    ]
}

#[derive(Debug)]
struct Snapshot {
    metrics: Arc<Metrics>,
    board: Arc<Board>,
    gauges: Vec<Gauge>,
}

/// The same of mail and webhooks.
fn message_counters(metrics: &Metrics) -> [(&'static str, &'static str, &AtomicU64); 6] {
    [
        ("sotto_mails_sent", "Letters that the mail server accepted.", &metrics.mails_sent),
        (
            "sotto_mails_failed",
            "Letters that the mail server did not accept, this time or for good, or that could not be made.",
            &metrics.mails_failed,
        ),
        (
            "sotto_mail_rounds_failed",
            "Rounds of letters that were broken off because the mail server or the database was away.",
            &metrics.mail_rounds_failed,
        ),
        ("sotto_webhooks_sent", "Messages that the servers of webhooks accepted.", &metrics.webhooks_sent),
        (
            "sotto_webhooks_failed",
            "Messages that the servers of webhooks did not accept, this time or for good, or that could not be made.",
            &metrics.webhooks_failed,
        ),
        (
            "sotto_webhook_rounds_failed",
            "Rounds of messages that were broken off because the database was away.",
            &metrics.webhook_rounds_failed,
        ),
    ]
}

/// The plain counters: name, help and value.
fn counters(metrics: &Metrics) -> [(&'static str, &'static str, &AtomicU64); 14] {
    [
        (
            "sotto_hits_without_outcome",
            "Hits that were lost without an outcome: a mistake in Sotto, please report it.",
            &metrics.hits_without_outcome,
        ),
        (
            "sotto_spool_refused",
            "Requests answered 503 because the spool could not take them.",
            &metrics.spool_refused,
        ),
        ("sotto_shipped_hits", "Hits that are in ClickHouse.", &metrics.shipped_hits),
        ("sotto_shipped_batches", "Batches that are in ClickHouse.", &metrics.shipped_batches),
        (
            "sotto_ship_failures",
            "Attempts to ship that failed; each is followed by another.",
            &metrics.ship_failures,
        ),
        ("sotto_panics", "Requests that failed inside Sotto.", &metrics.panics),
        ("sotto_sites_read", "How often the sites were read from ClickHouse.", &metrics.sites_read),
        (
            "sotto_sites_undecided",
            "Requests answered 503 because nobody could say whether their site exists.",
            &metrics.sites_undecided,
        ),
        (
            "sotto_pageviews_awaited",
            "Requests that came before the pageview they belong to and waited until it was there.",
            &metrics.pageviews_awaited,
        ),
        (
            "sotto_pageviews_missed",
            "Requests whose pageview did not come in time, or that found no place to wait for it; their hits are stored without a page.",
            &metrics.pageviews_missed,
        ),
        (
            "sotto_hits_partitioned",
            "Hits taken while another collector was out of reach; their visitors may count twice.",
            &metrics.hits_partitioned,
        ),
        (
            "sotto_salts_alone",
            "Salts made although another collector could not be asked.",
            &metrics.salts_alone,
        ),
        (
            "sotto_salts_replaced",
            "Salts given up for another collector's, after both were apart.",
            &metrics.salts_replaced,
        ),
        (
            "sotto_peer_notes_lost",
            "Visits and page views of which another collector was not told.",
            &metrics.peer_notes_lost,
        ),
    ]
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let metrics = &*self.metrics;
        let mut hits = encoder.encode_descriptor(
            "sotto_hits",
            "Hits by what became of them.",
            None,
            MetricType::Counter,
        )?;
        for outcome in Outcome::all() {
            let labels = [("outcome", outcome.name()), ("reason", outcome.reason())];
            ConstCounter::new(metrics.total(outcome)).encode(hits.encode_family(&labels)?)?;
        }
        let help = "Tasks and threads that ended without being told to.";
        let mut ended = encoder.encode_descriptor("sotto_tasks_ended", help, None, MetricType::Counter)?;
        for part in Part::ALL {
            let labels = [("task", part.name())];
            ConstCounter::new(self.board.ends(part)).encode(ended.encode_family(&labels)?)?;
        }
        let all_counters =
            counters(metrics).into_iter().chain(message_counters(metrics)).chain(tls_counters(metrics));
        for (name, help, value) in all_counters {
            let counter = ConstCounter::new(value.load(Ordering::Relaxed));
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        let help = "Seconds from when a batch was sealed until ClickHouse answered, failures included.";
        let histogram = encoder.encode_descriptor("sotto_ship_seconds", help, None, MetricType::Histogram)?;
        metrics.ship_seconds.encode(histogram)?;
        for Gauge { name, help, value } in &self.gauges {
            let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(*value).encode(gauge)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sotto_schema::outcome::DropReason;

    #[test]
    fn counted_outcome_shows_in_total_and_recent_once() {
        let metrics = Metrics::default();
        let bot = Outcome::Dropped(DropReason::BotUserAgent);
        metrics.count(SiteId(7), HOUR_MS + 5, bot);
        metrics.count(SiteId(7), HOUR_MS + 6, bot);
        assert_eq!(metrics.total(bot), 2);
        let counts = metrics.take_outcomes();
        assert_eq!(
            counts,
            [Count { site: SiteId(7), hour_ms: HOUR_MS, what: CountedItem::Outcome(bot), hits: 2 }]
        );
        assert_eq!(metrics.take_outcomes(), []);
        metrics.return_outcomes(&counts);
        assert_eq!(metrics.take_outcomes(), counts);
    }

    #[test]
    fn rendered_metrics_name_every_outcome() {
        let metrics = Arc::new(Metrics::default());
        metrics.ship_seconds.observe(0.3);
        let board = Arc::new(Board::default());
        drop(board.ended(Part::Sealing));
        let text = render(&metrics, &board, vec![Gauge { name: "sotto_x", help: "X.", value: 1.5 }]);
        for outcome in Outcome::all() {
            let line = format!("outcome=\"{}\",reason=\"{}\"}} 0", outcome.name(), outcome.reason());
            assert!(text.contains(&line), "{line}");
        }
        for line in [
            "sotto_x 1.5\n",
            "sotto_ship_seconds_bucket{le=\"0.5\"} 1\n",
            "sotto_panics_total 0\n",
            "sotto_tasks_ended_total{task=\"sealing\"} 1\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(text.ends_with("# EOF\n"), "OpenMetrics, 5.1");
        let older = for_prometheus(&text);
        for line in ["# TYPE sotto_panics_total counter\n", "# HELP sotto_x X.\n", "sotto_panics_total 0\n"] {
            assert!(older.contains(line), "{line}: {older}");
        }
        assert!(!older.contains("EOF"));
    }
}
