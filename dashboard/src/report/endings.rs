//! What became of every hit: kept, kept as an anonymous pageview, or not kept, and why.

use std::collections::HashMap;

use clickhouse::Row;
use serde::Deserialize;
use sotto_store::db::Db;

use super::{
    ReportError, Scope,
    series::{labels, slot},
};
use crate::range::{Interval, Range};

/// The kinds of endings, in the order in which they are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Kept with all fields that the policy allows.
    Stored,
    /// Kept as an anonymous pageview.
    Minimised,
    /// Not kept, because a program sent it.
    Bot,
    /// Not kept for another reason.
    Dropped,
}

impl Fate {
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

/// One way in which a hit can end. `outcome` and `reason` are the names that the collector writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// Name of the outcome.
    pub outcome: &'static str,
    /// Name of the reason; empty when the hit was kept.
    pub reason: &'static str,
    /// Of which kind it is.
    pub fate: Fate,
    /// The name for people.
    pub label: &'static str,
    /// What it means, in one sentence.
    pub meaning: &'static str,
}

impl Ending {
    const fn kept(outcome: &'static str, fate: Fate, label: &'static str, meaning: &'static str) -> Self {
        Self { outcome, reason: "", fate, label, meaning }
    }

    const fn bot(reason: &'static str, label: &'static str, meaning: &'static str) -> Self {
        Self { outcome: "dropped", reason, fate: Fate::Bot, label, meaning }
    }

    const fn dropped(reason: &'static str, label: &'static str, meaning: &'static str) -> Self {
        Self { outcome: "dropped", reason, fate: Fate::Dropped, label, meaning }
    }
}

/// All endings. That they are those of the collector is proven by `page_knows_every_outcome_of_the_collector`.
pub const ENDINGS: [Ending; 16] = [
    Ending::kept("stored", Fate::Stored, "Stored", "Counted with everything that your policy allows."),
    Ending::kept(
        "minimised",
        Fate::Minimised,
        "Stored anonymously",
        "Counted without a visitor: a bare pageview (page, referring host, country, device class), or a consent decision.",
    ),
    Ending::bot(
        "bot_user_agent",
        "Crawler or program",
        "The user agent names a crawler, a monitor or a program.",
    ),
    Ending::bot("bot_ai", "AI crawler", "The user agent names a crawler that feeds an AI system."),
    Ending::bot(
        "bot_automated",
        "Automated browser",
        "The browser said that it is remote-controlled, or shows itself as headless.",
    ),
    Ending::bot(
        "bot_network",
        "Data centre",
        "It came from a data centre and nothing showed a person behind it.",
    ),
    Ending::dropped(
        "foreign_hostname",
        "Foreign host name",
        "The page's host is not among this site's host names.",
    ),
    Ending::dropped(
        "consent_refused",
        "Consent refused",
        "The visitor refused, and your policy keeps nothing of that kind from visitors who refuse.",
    ),
    Ending::dropped("opted_out", "Own visits", "Somebody excluded their own browser from being counted."),
    Ending::dropped(
        "referrer_spam",
        "Referrer spam",
        "The referrer is a site that advertises itself in reports.",
    ),
    Ending::dropped(
        "personal_data",
        "Looks like personal data",
        "A property of an event looked like an e-mail address, a name or a number of a person.",
    ),
    Ending::dropped(
        "duplicate",
        "Sent twice",
        "The browser sent it again although it had arrived: the first answer was lost on the way.",
    ),
    Ending::dropped(
        "too_old",
        "Too late",
        "It happened longer ago than a late hit may, for example on a laptop that slept for days.",
    ),
    Ending::dropped(
        "invalid_payload",
        "Not understood",
        "The message is not of a format that Sotto knows, or a field is missing or out of range.",
    ),
    Ending::dropped("body_too_large", "Too large", "The message is longer than the limit."),
    Ending::dropped("unknown_site", "Unknown site", "No site here has the key that the page sent."),
];

/// What a newer collector may write.
const OTHER: Ending =
    Ending::dropped("other", "Another reason", "A reason that this version of the dashboard does not know.");

/// How many hits ended in a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// The way.
    pub ending: Ending,
    /// How many.
    pub hits: u64,
}

/// One hour, day or month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// `YYYY-MM-DD HH:00`, `YYYY-MM-DD` or `YYYY-MM`.
    pub at: String,
    /// Hits, in the order of [`Fate::ALL`].
    pub hits: [u64; 4],
}

/// What became of the hits of a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcomes {
    /// Every ending, also those that did not occur, in the order of [`ENDINGS`].
    pub tallies: Vec<Tally>,
    /// The same by time, without gaps.
    pub points: Vec<Point>,
}

impl Outcomes {
    /// All hits.
    pub fn hits(&self) -> u64 {
        self.tallies.iter().map(|t| t.hits).sum()
    }
}

#[derive(Debug, Row, Deserialize)]
struct OutcomeRow {
    at: String,
    ended: String,
    why: String,
    hits: u64,
}

/// What became of the hits of a site. Site 0 stands for hits that named no known one.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn run(db: &Db, scope: &Scope, range: Range) -> Result<Outcomes, ReportError> {
    let interval = range.interval();
    let rows = db
        .of_site(scope.site)
        .query(include_str!("endings.sql"))
        .param("site", scope.site)
        .param("tz", &scope.time_zone)
        .param("from", range.from.to_string())
        .param("to", range.to.to_string())
        .param("hourly", interval == Interval::Hour)
        .fetch_all()
        .await?;
    Ok(tally(range, interval, &rows))
}

fn tally(range: Range, interval: Interval, rows: &[OutcomeRow]) -> Outcomes {
    let mut tallies: Vec<Tally> = ENDINGS.iter().map(|ending| Tally { ending: *ending, hits: 0 }).collect();
    let mut other = Tally { ending: OTHER, hits: 0 };
    let mut points: Vec<Point> =
        labels(range, interval).into_iter().map(|at| Point { at, hits: [0; 4] }).collect();
    let index: HashMap<String, usize> = points.iter().enumerate().map(|(i, p)| (p.at.clone(), i)).collect();
    for row in rows {
        let known = tallies.iter_mut().find(|t| t.ending.outcome == row.ended && t.ending.reason == row.why);
        let tally = known.unwrap_or(&mut other);
        tally.hits += row.hits;
        let fate = Fate::ALL.iter().position(|f| *f == tally.ending.fate);
        let point = index.get(slot(&row.at, interval)).and_then(|i| points.get_mut(*i));
        if let (Some(fate), Some(point)) = (fate, point) {
            point.hits[fate] += row.hits;
        }
    }
    tallies.extend((other.hits > 0).then_some(other));
    Outcomes { tallies, points }
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
        let outcomes = tally(range, Interval::Day, &rows);
        let hits: Vec<_> = outcomes.points.iter().map(|p| p.hits).collect();
        assert_eq!(hits, [[5, 0, 0, 0], [0; 4], [1, 0, 2, 3]]);
        assert_eq!(outcomes.hits(), 11);
        let other = outcomes.tallies.last().unwrap();
        assert_eq!((other.ending.label, other.hits), ("Another reason", 3));
    }

    #[test]
    fn ending_without_hits_is_listed_and_months_hold_their_days() {
        let range = Range { from: date(2026, 1, 1), to: date(2026, 6, 30) };
        let rows = [row("2026-02-01", "minimised", "", 1), row("2026-02-28", "minimised", "", 2)];
        let outcomes = tally(range, Interval::Month, &rows);
        assert_eq!(outcomes.tallies.len(), ENDINGS.len());
        assert_eq!((outcomes.points.len(), outcomes.points[1].hits), (6, [0, 3, 0, 0]));
    }

    #[test]
    fn every_ending_has_a_name_and_one_sentence_of_its_own() {
        for (i, ending) in ENDINGS.iter().enumerate() {
            assert!(ending.meaning.ends_with('.') && !ending.label.is_empty(), "{ending:?}");
            assert!(
                ENDINGS.iter().skip(i + 1).all(|e| e.label != ending.label && e.meaning != ending.meaning)
            );
        }
    }
}
