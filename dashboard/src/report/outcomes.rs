//! Outcomes of hits over a period: stored, stored as an anonymous pageview, or dropped, and why.

use std::collections::HashMap;

use clickhouse::Row;
use serde::Deserialize;
use sotto_store::db::Db;

use super::{
    ReportError, Scope,
    patient::Patient as _,
    series::{labels, slot},
};
use crate::range::{Interval, Range};

/// The kinds of outcomes, in the order in which they are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeKind {
    /// Kept with all fields that the policy allows.
    Stored,
    /// Kept as an anonymous pageview.
    Minimised,
    /// Not kept, because a program sent it.
    Bot,
    /// Not kept for another reason.
    Dropped,
}

impl OutcomeKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Stored, Self::Minimised, Self::Bot, Self::Dropped];

    /// The name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Minimised => "minimised",
            Self::Bot => "bots",
            Self::Dropped => "dropped",
        }
    }

    /// The name for people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Stored => "Stored",
            Self::Minimised => "Anonymous",
            Self::Bot => "Bots",
            Self::Dropped => "Dropped",
        }
    }
}

/// An outcome that the dashboard can explain. `name` and `reason` are as the collector writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownOutcome {
    /// Name of the outcome.
    pub name: &'static str,
    /// Name of the reason; empty when the hit was kept.
    pub reason: &'static str,
    /// Its kind.
    pub kind: OutcomeKind,
    /// The name for people.
    pub label: &'static str,
    /// Its meaning, in one sentence.
    pub meaning: &'static str,
}

impl KnownOutcome {
    const fn kept(name: &'static str, kind: OutcomeKind, label: &'static str, meaning: &'static str) -> Self {
        Self { name, reason: "", kind, label, meaning }
    }

    const fn bot(reason: &'static str, label: &'static str, meaning: &'static str) -> Self {
        Self { name: "dropped", reason, kind: OutcomeKind::Bot, label, meaning }
    }

    const fn dropped(reason: &'static str, label: &'static str, meaning: &'static str) -> Self {
        Self { name: "dropped", reason, kind: OutcomeKind::Dropped, label, meaning }
    }
}

/// All outcomes of the collector; `page_knows_every_outcome_of_the_collector` proves it.
pub const OUTCOMES: [KnownOutcome; 14] = [
    KnownOutcome::kept(
        "stored",
        OutcomeKind::Stored,
        "Stored",
        "Counted with everything that your policy allows.",
    ),
    KnownOutcome::kept(
        "minimised",
        OutcomeKind::Minimised,
        "Stored anonymously",
        "Counted without a visitor: a bare pageview (page, referring host, country, device class), or a consent decision.",
    ),
    KnownOutcome::bot(
        "bot_user_agent",
        "Crawler or program",
        "The user agent names a crawler, a monitor or a program.",
    ),
    KnownOutcome::bot("bot_ai", "AI crawler", "The user agent names a crawler that feeds an AI system."),
    KnownOutcome::bot(
        "bot_automated",
        "Automated browser",
        "The browser said that it is remote-controlled, or shows itself as headless.",
    ),
    KnownOutcome::bot(
        "bot_network",
        "Data centre",
        "It came from a data centre and nothing showed a person behind it.",
    ),
    KnownOutcome::dropped(
        "foreign_hostname",
        "Foreign host name",
        "The page's host is not among this site's host names.",
    ),
    KnownOutcome::dropped(
        "consent_refused",
        "Consent refused",
        "The visitor refused, and your policy keeps nothing of that kind from visitors who refuse.",
    ),
    KnownOutcome::dropped(
        "referrer_spam",
        "Referrer spam",
        "The referrer is a site that advertises itself in reports.",
    ),
    KnownOutcome::dropped(
        "duplicate",
        "Sent twice",
        "The browser sent it again although it had arrived: the first answer was lost on the way.",
    ),
    KnownOutcome::dropped(
        "too_old",
        "Too late",
        "It happened longer ago than a late hit may, for example on a laptop that slept for days.",
    ),
    KnownOutcome::dropped(
        "invalid_payload",
        "Not understood",
        "The message is not of a format that Sotto knows, or a field is missing or out of range.",
    ),
    KnownOutcome::dropped("body_too_large", "Too large", "The message is longer than the limit."),
    KnownOutcome::dropped("unknown_site", "Unknown site", "No site here has the key that the page sent."),
];

/// Stands for outcomes that a newer collector writes.
const OTHER: KnownOutcome = KnownOutcome::dropped(
    "other",
    "Another reason",
    "A reason that this version of the dashboard does not know.",
);

/// The hits with one outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutcomeCount {
    /// The outcome.
    pub outcome: KnownOutcome,
    /// How many.
    pub hits: u64,
}

/// One hour, day or month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// `YYYY-MM-DD HH:00`, `YYYY-MM-DD` or `YYYY-MM`.
    pub at: String,
    /// Hits, in the order of [`OutcomeKind::ALL`].
    pub hits: [u64; 4],
}

/// What became of the hits of a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcomes {
    /// Every outcome, also those that did not occur, in the order of [`OUTCOMES`].
    pub counts: Vec<OutcomeCount>,
    /// The same by time, without gaps.
    pub points: Vec<Point>,
}

impl Outcomes {
    /// All hits.
    pub fn hits(&self) -> u64 {
        self.counts.iter().map(|t| t.hits).sum()
    }
}

#[derive(Debug, Row, Deserialize)]
struct OutcomeRow {
    at: String,
    ended: String,
    why: String,
    hits: u64,
}

/// The outcomes of a site's hits. Site 0 has the hits that named no known site.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn run(db: &Db, scope: &Scope, range: Range) -> Result<Outcomes, ReportError> {
    let interval = range.interval();
    let rows = db
        .of_site(scope.site)
        .query(include_str!("outcomes.sql"))
        .param("site", scope.site)
        .param("tz", &scope.time_zone)
        .param("from", range.from.to_string())
        .param("to", range.to.to_string())
        .param("hourly", interval == Interval::Hour)
        .rows()
        .await?;
    Ok(count(range, interval, &rows))
}

fn count(range: Range, interval: Interval, rows: &[OutcomeRow]) -> Outcomes {
    let mut counts: Vec<OutcomeCount> =
        OUTCOMES.iter().map(|outcome| OutcomeCount { outcome: *outcome, hits: 0 }).collect();
    let mut other = OutcomeCount { outcome: OTHER, hits: 0 };
    let mut points: Vec<Point> =
        labels(range, interval).into_iter().map(|at| Point { at, hits: [0; 4] }).collect();
    let index: HashMap<String, usize> = points.iter().enumerate().map(|(i, p)| (p.at.clone(), i)).collect();
    for row in rows {
        let known = counts.iter_mut().find(|t| t.outcome.name == row.ended && t.outcome.reason == row.why);
        let count = known.unwrap_or(&mut other);
        count.hits += row.hits;
        let kind = OutcomeKind::ALL.iter().position(|f| *f == count.outcome.kind);
        let point = index.get(slot(&row.at, interval)).and_then(|i| points.get_mut(*i));
        if let (Some(kind), Some(point)) = (kind, point) {
            point.hits[kind] += row.hits;
        }
    }
    counts.extend((other.hits > 0).then_some(other));
    Outcomes { counts, points }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn row(at: &str, ended: &str, why: &str, hits: u64) -> OutcomeRow {
        OutcomeRow { at: at.into(), ended: ended.into(), why: why.into(), hits }
    }

    #[test]
    fn every_hit_is_in_one_tally_and_one_point() {
        let range = Range { from: date(2026, 3, 1), to: date(2026, 3, 3) };
        let rows = [
            row("2026-03-01", "stored", "", 5),
            row("2026-03-03", "stored", "", 1),
            row("2026-03-03", "dropped", "bot_ai", 2),
            row("2026-03-03", "dropped", "of_next_year", 3),
        ];
        let outcomes = count(range, Interval::Day, &rows);
        let hits: Vec<_> = outcomes.points.iter().map(|p| p.hits).collect();
        assert_eq!(hits, [[5, 0, 0, 0], [0; 4], [1, 0, 2, 3]]);
        assert_eq!(outcomes.hits(), 11);
        let other = outcomes.counts.last().unwrap();
        assert_eq!((other.outcome.label, other.hits), ("Another reason", 3));
    }

    #[test]
    fn ending_without_hits_is_listed_and_months_hold_their_days() {
        let range = Range { from: date(2026, 1, 1), to: date(2026, 6, 30) };
        let rows = [row("2026-02-01", "minimised", "", 1), row("2026-02-28", "minimised", "", 2)];
        let outcomes = count(range, Interval::Month, &rows);
        assert_eq!(outcomes.counts.len(), OUTCOMES.len());
        assert_eq!((outcomes.points.len(), outcomes.points[1].hits), (6, [0, 3, 0, 0]));
    }

    #[test]
    fn every_ending_has_a_name_and_one_sentence_of_its_own() {
        for (i, outcome) in OUTCOMES.iter().enumerate() {
            assert!(outcome.meaning.ends_with('.') && !outcome.label.is_empty(), "{outcome:?}");
            assert!(
                OUTCOMES.iter().skip(i + 1).all(|e| e.label != outcome.label && e.meaning != outcome.meaning)
            );
        }
    }
}
