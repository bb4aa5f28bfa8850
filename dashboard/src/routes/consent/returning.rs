//! The returning-visitors part of the consent page.

use super::{BreakdownRow, Share, shares};
use crate::{
    figures::{grouped, share},
    report::returning::Returning as Counts,
};

/// The part of the page about them.
pub(super) struct Returning {
    /// How many there are at all; 0 stands for none.
    pub(super) visitors: u64,
    /// The same, for people.
    pub(super) count: String,
    pub(super) returned: String,
    pub(super) new: String,
    pub(super) per_visitor: String,
    pub(super) parts: Vec<Share>,
    pub(super) by_days: Vec<BreakdownRow>,
    /// How many days back a visitor can have been seen.
    pub(super) retention_days: u16,
}

pub(super) fn returning(counts: &Counts, retention_days: u16) -> Returning {
    let row = |days: &str, visitors: u64| BreakdownRow {
        label: match days {
            "1" => "1 day".to_owned(),
            "6+" => "6 days and more".to_owned(),
            days => format!("{} days", days.replace('-', "–")),
        },
        figures: vec![grouped(visitors), share(visitors, counts.visitors)],
    };
    Returning {
        visitors: counts.visitors,
        count: grouped(counts.visitors),
        returned: share(counts.returned(), counts.visitors),
        new: share(counts.first_time(), counts.visitors),
        per_visitor: counts.visits_per_visitor().map_or_else(|| "–".to_owned(), |n| format!("{n:.2}")),
        parts: shares(&[
            ("granted", "seen before", "Visited before this period, too.", counts.known_before),
            (
                "partly",
                "first seen, came back",
                "Came first in this period, and again on another day of it.",
                counts.came_back,
            ),
            (
                "undecided",
                "first seen, one day so far",
                "Came first in this period, on a single day.",
                counts.first_time(),
            ),
        ]),
        by_days: counts.by_days().iter().map(|(days, visitors)| row(days, *visitors)).collect(),
        retention_days,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_those_who_agreed() {
        let counts = Counts {
            visitors: 4,
            known_before: 1,
            came_back: 1,
            visits: 10,
            days_1: 2,
            days_2: 1,
            days_3: 1,
            days_6: 0,
        };
        let shown = returning(&counts, 90);
        assert_eq!(
            [&shown.count, &shown.returned, &shown.new, &shown.per_visitor],
            ["4", "50%", "50%", "2.50"]
        );
        let row = |r: &BreakdownRow| format!("{} {}", r.label, r.figures.join(" "));
        let rows: Vec<_> = shown.by_days.iter().map(row).collect();
        assert_eq!(rows, ["1 day 2 50%", "2 days 1 25%", "3–5 days 1 25%", "6 days and more 0 0%"]);
        assert_eq!(shown.parts.iter().map(|p| p.count.as_str()).collect::<Vec<_>>(), ["1", "1", "2"]);
        assert_eq!(returning(&Counts::default(), 90).per_visitor, "–");
    }
}
