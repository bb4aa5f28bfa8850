//! Counts by hour, day or month, without gaps.

use std::collections::HashMap;

use jiff::{ToSpan, civil::Date};

use super::{Counts, Rows};
use crate::range::{Interval, Range};

/// One hour, day or month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// `YYYY-MM-DD HH:00`, `YYYY-MM-DD` or `YYYY-MM`.
    pub at: String,
    /// What was counted.
    pub counts: Counts,
}

/// The points of a period, in chronological order and without gaps, from counts by hour or by day. Months are sums of
/// their days, so that they agree with them.
pub(crate) fn fill(range: Range, interval: Interval, rows: Rows) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    let mut index: HashMap<String, usize> = HashMap::new();
    for at in labels(range, interval) {
        index.insert(at.clone(), points.len());
        points.push(Point { at, counts: Counts::default() });
    }
    for (at, counts) in rows {
        if let Some(point) = index.get(slot(&at, interval)).and_then(|i| points.get_mut(*i)) {
            point.counts += counts;
        }
    }
    points
}

/// The bucket of a timestamp (`YYYY-MM-DD`, with or without an hour).
pub(super) fn slot(at: &str, interval: Interval) -> &str {
    match interval {
        Interval::Hour | Interval::Day => at,
        Interval::Month => at.get(..7).unwrap_or(at),
    }
}

/// The buckets of a period, in chronological order.
pub(super) fn labels(range: Range, interval: Interval) -> Vec<String> {
    let days = range.days();
    match interval {
        Interval::Hour => {
            days.flat_map(|day: Date| (0..24).map(move |hour| format!("{day} {hour:02}:00"))).collect()
        }
        Interval::Day => days.map(|day| day.to_string()).collect(),
        Interval::Month => range
            .from
            .first_of_month()
            .series(1.month())
            .take_while(|month| *month <= range.to)
            .map(|month| month.strftime("%Y-%m").to_string())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn visitors(n: u64) -> Counts {
        Counts { visitors: n, ..Counts::default() }
    }

    #[test]
    fn hour_without_hits_is_a_zero() {
        let range = Range { from: date(2026, 3, 1), to: date(2026, 3, 1) };
        let points = fill(range, Interval::Hour, vec![("2026-03-01 13:00".into(), visitors(2))]);
        assert_eq!(points.len(), 24);
        assert_eq!(points.iter().map(|p| p.counts.visitors).sum::<u64>(), 2);
        assert_eq!((points[13].at.as_str(), points[13].counts.visitors), ("2026-03-01 13:00", 2));
    }

    #[test]
    fn month_is_the_sum_of_its_days() {
        let range = Range { from: date(2025, 12, 31), to: date(2026, 2, 28) };
        let rows = vec![
            ("2025-12-31".into(), visitors(1)),
            ("2026-02-01".into(), visitors(2)),
            ("2026-02-28".into(), visitors(3)),
        ];
        let points = fill(range, Interval::Month, rows);
        let seen: Vec<_> = points.iter().map(|p| (p.at.as_str(), p.counts.visitors)).collect();
        assert_eq!(seen, [("2025-12", 1), ("2026-01", 0), ("2026-02", 5)]);
    }
}
