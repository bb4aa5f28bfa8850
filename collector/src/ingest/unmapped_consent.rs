//! Unmapped consent-manager categories: how often each was seen, by site and day, so that the site's owner
//! can map it.
//!
//! **Promises.** Nothing about a visitor is kept: only the manager's name, the category's id (both masked
//! like event names) and a count. Memory and table are bounded, whatever is sent: ids beyond
//! [`IDS_PER_DAY_MAX`] per site and day, or beyond [`IDS_MAX`] in total, are not counted. A batch that could
//! not be stored is retried with the same rows and token, so ClickHouse keeps it once.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use compact_str::CompactString;
use sotto_schema::{day::Day, id::SiteId};

use crate::pipeline::{hit::Decision, sanitise};

/// Maximum ids counted per site and day.
pub const IDS_PER_DAY_MAX: usize = 100;
/// Maximum ids remembered over all sites and days.
pub const IDS_MAX: usize = 20_000;
/// Days after which a day gets no more hits: hits are at most a day late, and sites' days differ from ours.
const DAYS_OPEN: u16 = 2;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What one hit reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The site's number.
    pub site: SiteId,
    /// The site's day.
    pub day: Day,
    /// The consent manager; may be empty.
    pub source: CompactString,
    /// Ids of its categories, none of them empty.
    pub categories: Vec<CompactString>,
}

impl Report {
    /// What a decision reports, masked; `None` when it reports nothing.
    pub fn of(decision: &Decision, site: SiteId, day: Day) -> Option<Self> {
        let categories = decision.unmapped.iter().map(|id| sanitise::event_name(id));
        let categories: Vec<_> = categories.filter(|id| !id.is_empty()).collect();
        let source = || sanitise::event_name(&decision.source);
        (!categories.is_empty()).then(|| Self { site, day, source: source(), categories })
    }
}

/// How often a category was reported on one day.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count {
    /// The site's number.
    pub site: SiteId,
    /// The site's day, in days since 1970-01-01.
    pub day: u16,
    /// The consent manager.
    pub source: CompactString,
    /// Id of its category.
    pub category: CompactString,
    /// Occurrences since the previous batch.
    pub times: u64,
}

/// Counts that are stored together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Deduplication token: ClickHouse recognises a retry by it.
    pub token: String,
    /// The counts, in order.
    pub counts: Vec<Count>,
}

/// Source and id, with occurrences since the last batch.
type Ids = HashMap<(CompactString, CompactString), u64>;

#[derive(Debug, Default)]
struct Seen {
    /// Ids remain after they are stored, so that the limits hold for the whole day.
    days: HashMap<(SiteId, Day), Ids>,
    ids: usize,
    unsent: Option<Batch>,
}

/// Counts of unmapped categories.
#[derive(Debug, Default)]
pub struct Unmapped {
    seen: Mutex<Seen>,
}

impl Unmapped {
    /// Counts what a hit reported.
    pub fn note(&self, report: Report) {
        let Report { site, day, source, categories } = report;
        let seen = &mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let ids = seen.days.entry((site, day)).or_default();
        for category in categories {
            let key = (source.clone(), category);
            if let Some(times) = ids.get_mut(&key) {
                *times += 1;
            } else if ids.len() < IDS_PER_DAY_MAX && seen.ids < IDS_MAX {
                ids.insert(key, 1);
                seen.ids += 1;
            }
        }
    }

    /// What to store next: the batch given back, or the counts since. `None` if there is nothing. Closed days
    /// are dropped.
    pub fn take(&self, now_ms: i64) -> Option<Batch> {
        let seen = &mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(batch) = seen.unsent.take() {
            return Some(batch);
        }
        let mut counts = Vec::new();
        for ((site, day), ids) in &mut seen.days {
            for ((source, category), times) in ids.iter_mut().filter(|(_, times)| **times > 0) {
                let (source, category) = (source.clone(), category.clone());
                counts.push(Count {
                    site: *site,
                    day: day.0,
                    source,
                    category,
                    times: std::mem::take(times),
                });
            }
        }
        let today = now_ms.div_euclid(DAY_MS);
        seen.days.retain(|(_, day), _| i64::from(day.0) + i64::from(DAYS_OPEN) >= today);
        seen.ids = seen.days.values().map(HashMap::len).sum();
        if counts.is_empty() {
            return None;
        }
        counts.sort_unstable();
        // The random part keeps two collectors' tokens apart.
        let token = format!("unmapped-{now_ms}-{:016x}", getrandom::u64().unwrap_or_default());
        Some(Batch { token, counts })
    }

    /// Gives back a batch that could not be stored.
    pub fn give_back(&self, batch: Batch) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).unsent = Some(batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 20_000 * DAY_MS;

    fn report(site: SiteId, day: u16, ids: impl IntoIterator<Item = usize>) -> Report {
        let categories = ids.into_iter().map(|n| CompactString::from(n.to_string())).collect();
        Report { site, day: Day(day), source: "onetrust".into(), categories }
    }

    fn times(batch: Option<Batch>) -> Vec<(String, u64)> {
        batch.into_iter().flat_map(|b| b.counts).map(|c| (c.category.into(), c.times)).collect()
    }

    #[test]
    fn report_is_masked_and_bare_of_the_visitor() {
        let decision = Decision {
            source: " onetrust ".into(),
            unmapped: ["C0009", " ", "jane@example.org", "a:b, \"c\""].map(Into::into).into(),
            ..Decision::default()
        };
        let report = Report::of(&decision, SiteId(7), Day(20_000)).unwrap();
        assert_eq!((report.site, report.day, report.source.as_str()), (SiteId(7), Day(20_000), "onetrust"));
        assert_eq!(report.categories, ["C0009", "[email]", "a:b, \"c\""]);
        for unmapped in [vec![], vec![" ".into()]] {
            assert_eq!(Report::of(&Decision { unmapped, ..decision.clone() }, SiteId(7), Day(20_000)), None);
        }
    }

    #[test]
    fn category_is_counted_by_site_and_day_and_stored_once() {
        let unmapped = Unmapped::default();
        for (site, day, ids) in
            [(1, 20_000, vec![1, 2]), (1, 20_000, vec![1]), (1, 19_999, vec![1]), (2, 20_000, vec![1])]
        {
            unmapped.note(report(SiteId(site), day, ids));
        }
        let batch = unmapped.take(NOW).unwrap();
        let rows: Vec<_> =
            batch.counts.iter().map(|c| (c.site, c.day, c.category.as_str(), c.times)).collect();
        assert_eq!(
            rows,
            [
                (SiteId(1), 19_999, "1", 1),
                (SiteId(1), 20_000, "1", 2),
                (SiteId(1), 20_000, "2", 1),
                (SiteId(2), 20_000, "1", 1),
            ]
        );
        assert_eq!(unmapped.take(NOW), None);
        unmapped.note(report(SiteId(1), 20_000, [1]));
        assert_eq!(times(unmapped.take(NOW)), [("1".into(), 1)]);
    }

    #[test]
    fn batch_that_was_given_back_comes_again_as_it_was_and_later_counts_after_it() {
        let unmapped = Unmapped::default();
        unmapped.note(report(SiteId(1), 20_000, [1]));
        let batch = unmapped.take(NOW).unwrap();
        unmapped.give_back(batch.clone());
        unmapped.note(report(SiteId(1), 20_000, [1, 2]));
        assert_eq!(unmapped.take(NOW + 10_000), Some(batch.clone()));
        let later = unmapped.take(NOW + 10_000).unwrap();
        assert_ne!(later.token, batch.token, "it would be taken for the first");
        assert_eq!(times(Some(later)), [("1".into(), 1), ("2".into(), 1)]);
    }

    #[test]
    fn day_of_a_site_counts_ids_up_to_the_limit_even_after_they_were_stored() {
        let unmapped = Unmapped::default();
        unmapped.note(report(SiteId(1), 20_000, 0..IDS_PER_DAY_MAX - 1));
        assert_eq!(times(unmapped.take(NOW)).len(), IDS_PER_DAY_MAX - 1);
        unmapped.note(report(SiteId(1), 20_000, [1_000, 1_001, 0]));
        assert_eq!(times(unmapped.take(NOW)), [("0".into(), 1), ("1000".into(), 1)], "one more fitted");
        unmapped.note(report(SiteId(2), 20_000, [1_001]));
        unmapped.note(report(SiteId(1), 20_001, [1_001]));
        assert_eq!(times(unmapped.take(NOW)).len(), 2, "other sites and days have their own");
    }

    #[test]
    fn ids_of_all_sites_are_remembered_up_to_the_limit_until_their_day_is_over() {
        let unmapped = Unmapped::default();
        for site in 0..(IDS_MAX / IDS_PER_DAY_MAX) as u64 {
            unmapped.note(report(SiteId(site), 20_000, 0..IDS_PER_DAY_MAX));
        }
        unmapped.note(report(SiteId(9_999), 20_000, [0]));
        assert_eq!(times(unmapped.take(NOW)).len(), IDS_MAX);
        let open = i64::from(DAYS_OPEN) * DAY_MS;
        unmapped.note(report(SiteId(9_999), 20_002, [0]));
        assert_eq!(unmapped.take(NOW + open), None, "late hits of that day may still come");
        assert_eq!(unmapped.take(NOW + open + DAY_MS), None);
        unmapped.note(report(SiteId(9_999), 20_003, [0]));
        assert_eq!(times(unmapped.take(NOW)).len(), 1, "the day is over and forgotten");
    }
}
