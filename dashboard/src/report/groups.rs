//! What people may see who read reports of a site and do nothing else there: groups of visitors, and not one of them.
//!
//! **What is done.** For viewers ([`Detail::Groups`]):
//! * a row of a list that stands for fewer than [`GROUP_MIN`] visitors is not there;
//! * a filtered report on fewer than [`GROUP_MIN`] visitors is withheld, also if there was nobody;
//! * every other figure of a list and of a filtered report is rounded to a multiple of [`GROUP_MIN`], and the time for
//!   which pages were visible to [`TIME_MS`]. So somebody who stands in one figure and not in another (`country=IS` and
//!   `country!=IS`; thirty days and the first twenty-nine; everything and the sum of a list) is not their difference.
//!
//! An anonymous pageview has no visitor and stands for itself.
//!
//! **What it does not do.** Totals of days and hours without a filter are exact: on a quiet site they may be those of one
//! visitor, of whom they say neither place nor page nor device. A rounded figure changes when one visitor more crosses
//! the border between two multiples, and one visitor with many pageviews moves rounded pageviews: whoever knows all
//! others of a group can tell that somebody was there. Tokens are made by whoever runs the installation and read what
//! an owner reads.
//!
//! Proof: the tests below, and `viewer_cannot_single_out_one_visitor` with the real program.

use super::{Answer, Consent, Counts, List, Rows};

/// The fewest visitors for whom a figure stands that a viewer sees.
pub const GROUP_MIN: u64 = 5;
/// What engaged time is rounded to for viewers: a minute for each of the fewest visitors.
pub const TIME_MS: u64 = 60_000 * GROUP_MIN;

/// How closely a reader may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// At everything.
    #[default]
    All,
    /// At groups of visitors.
    Groups,
}

impl Answer {
    /// Leaves what may be seen of groups, of a report with these lists.
    pub(crate) fn by_groups(&mut self, lists: &[List], filtered: bool) {
        for (list, (rows, _)) in lists.iter().zip(&mut self.lists) {
            // Without a filter, moments are totals.
            if filtered || !list.by.is_time() {
                keep_groups(rows);
            }
            if !list.by.is_time() {
                // Their order must not tell what rounding took away.
                rows.sort_by(|(a, x), (b, y)| {
                    list.sort.size(y).cmp(&list.sort.size(x)).then_with(|| a.cmp(b))
                });
            }
        }
        if !filtered {
            return;
        }
        keep_groups(&mut self.days);
        // Nobody is as few as one: whether somebody was there is not told either.
        self.withheld = !is_group(&self.totals);
        if self.withheld {
            self.lists.iter_mut().for_each(|(rows, _)| rows.clear());
            self.days.clear();
        }
        self.totals = self.totals.of_groups();
        self.consent = if self.withheld { Consent::default() } else { self.consent.rounded(round) };
    }
}

impl Counts {
    /// The counts as a viewer sees them; nothing if they stand for too few.
    pub(crate) fn of_groups(&self) -> Self {
        if !is_group(self) {
            return Self { coarse: self.coarse, ..Self::default() };
        }
        Self {
            visitors: round(self.visitors),
            visits: round(self.visits),
            pageviews: round(self.pageviews),
            measured_views: round(self.measured_views),
            events: round(self.events),
            entries: round(self.entries),
            bounces: round(self.bounces),
            engaged_ms: to_multiple(self.engaged_ms, TIME_MS),
            coarse: self.coarse,
        }
    }
}

/// Leaves rows as a viewer sees them, the greatest by `size` first: their order must not tell what rounding took away.
pub(super) fn keep_groups_by<T: Ord>(rows: &mut Vec<(T, Counts)>, size: impl Fn(&Counts) -> u64) {
    rows.retain(|(_, counts)| is_group(counts));
    rows.iter_mut().for_each(|(_, counts)| *counts = counts.of_groups());
    rows.sort_by(|(a, x), (b, y)| size(y).cmp(&size(x)).then_with(|| a.cmp(b)));
}

/// For how many a figure stands: visitors, or hits that nobody can put together.
pub(super) fn is_group(counts: &Counts) -> bool {
    let measured = counts.visitors.max(counts.visits.min(1));
    let stands_for = if measured > 0 { counts.visitors } else { counts.pageviews.max(counts.events) };
    stands_for >= GROUP_MIN
}

fn keep_groups(rows: &mut Rows) {
    rows.retain(|(_, counts)| is_group(counts));
    rows.iter_mut().for_each(|(_, counts)| *counts = counts.of_groups());
}

fn round(count: u64) -> u64 {
    to_multiple(count, GROUP_MIN)
}

fn to_multiple(n: u64, step: u64) -> u64 {
    (n + step / 2) / step * step
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::{Dimension, Metric, Origin};

    fn visitors(visitors: u64) -> Counts {
        Counts { visitors, visits: visitors, entries: visitors, pageviews: visitors, ..Counts::default() }
    }

    #[test]
    fn group_at_the_limit_is_shown_and_one_less_is_not() {
        assert_eq!(visitors(GROUP_MIN).of_groups().visitors, GROUP_MIN);
        assert_eq!(visitors(GROUP_MIN - 1).of_groups(), Counts::default());
        let anonymous = |pageviews| Counts { pageviews, ..Counts::default() }.of_groups().pageviews;
        assert_eq!((anonymous(GROUP_MIN), anonymous(GROUP_MIN - 1)), (GROUP_MIN, 0));
        let mixed = Counts { visitors: 1, visits: 1, pageviews: 100, ..Counts::default() };
        assert_eq!(mixed.of_groups(), Counts::default(), "anonymous pageviews hide nobody");
    }

    #[test]
    fn filtered_report_on_too_few_or_nobody_is_withheld() {
        let list = List { by: Dimension::City, sort: Metric::Visitors, limit: 9, entries: false };
        let answer = |n| Answer {
            totals: visitors(n),
            lists: vec![(vec![("Bonn".into(), visitors(n))], Origin::default())],
            ..Answer::default()
        };
        for (n, filtered, withheld, rows, total) in [
            (4, true, true, 0, 0),
            (4, false, false, 0, 4),
            (5, true, false, 1, 5),
            (8, true, false, 1, 10),
            (8, false, false, 1, 8),
            (0, true, true, 0, 0),
            (0, false, false, 0, 0),
        ] {
            let mut answer = answer(n);
            answer.by_groups(&[list], filtered);
            let found = (answer.withheld, answer.lists[0].0.len(), answer.totals.visitors);
            assert_eq!(found, (withheld, rows, total), "{n} {filtered}");
        }
    }

    #[test]
    fn order_of_rows_tells_nothing_that_was_rounded_away() {
        let list = List { by: Dimension::City, sort: Metric::Visitors, limit: 9, entries: false };
        let rows = [("Bonn", 12), ("Aachen", 11), ("Ulm", 30)];
        let rows: Rows = rows.into_iter().map(|(city, n)| (city.to_owned(), visitors(n))).collect();
        let mut answer = Answer { lists: vec![(rows, Origin::default())], ..Answer::default() };
        answer.by_groups(&[list], false);
        let cities: Vec<&str> = answer.lists[0].0.iter().map(|(city, _)| city.as_str()).collect();
        assert_eq!(cities, ["Ulm", "Aachen", "Bonn"]);
    }

    proptest! {
        #[test]
        fn figures_are_multiples_and_agree_with_each_other(visitors in 0..200u64, more in 0..50u64, bounces in 0..200u64, ms in 0..9_000_000u64) {
            let visits = visitors + more;
            let counts = Counts { visitors, visits, entries: visits, bounces: bounces.min(visits), engaged_ms: ms, ..Counts::default() };
            let shown = counts.of_groups();
            prop_assert!(shown.visitors <= shown.visits && shown.bounces <= shown.entries);
            for n in [shown.visitors, shown.visits, shown.bounces] {
                prop_assert_eq!(n % GROUP_MIN, 0);
            }
            prop_assert_eq!(shown.engaged_ms % TIME_MS, 0);
        }
    }
}
