//! When in the week visitors come: the hours of a period, added up by weekday and hour of the site's clock.
//!
//! A figure is the sum of the same hour on all days of a weekday; how many days those are stands beside it, so that five Mondays
//! are not read as more than four Tuesdays. An hour that has not begun is no day's.

use jiff::{
    Zoned,
    civil::{Date, Weekday},
};

use super::{
    Counts, Detail, Dimension, List, Metric, Query, ROWS_MAX, ReportError, Reports, Sources, groups, lists,
};

/// Hours of a day, as a clock tells them.
pub const HOURS: usize = 24;
/// Days of the week.
pub const DAYS: usize = 7;

/// Their names, from Monday on.
pub const WEEKDAYS: [&str; DAYS] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// One hour of a weekday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cell {
    /// What was counted on all of its days.
    pub counts: Counts,
    /// On how many days of the period that hour has begun.
    pub days: u32,
}

impl Cell {
    /// A metric that adds up, on an average day; `None` where the period has no such hour.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // Averages are shown with one digit.
    pub fn average(&self, metric: Metric) -> Option<f64> {
        (self.days > 0).then(|| self.sum(metric) as f64 / f64::from(self.days))
    }

    /// A metric that adds up, on all of its days.
    #[must_use]
    pub fn sum(&self, metric: Metric) -> u64 {
        metric.size(&self.counts)
    }
}

/// The hours of a week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Week {
    /// By hour, and in it by weekday from Monday on.
    pub hours: [[Cell; DAYS]; HOURS],
    /// Whether a filtered report is on too few visitors to be shown.
    pub withheld: bool,
    /// Whether some days are left in the archive only, which has no hours.
    pub archived: bool,
}

impl Week {
    /// Adds up hours (`YYYY-MM-DD HH:00`) of the days from `first` to `last`, up to `now`.
    fn of(hours: &[(String, Counts)], days: impl Iterator<Item = Date>, now: &Zoned) -> Self {
        let mut week = Self { hours: Default::default(), withheld: false, archived: false };
        for day in days.take_while(|day| *day <= now.date()) {
            let begun = if day == now.date() { usize::from(now.hour().unsigned_abs()) + 1 } else { HOURS };
            let weekday = number(day.weekday());
            week.hours.iter_mut().take(begun).for_each(|hour| hour[weekday].days += 1);
        }
        for (at, counts) in hours {
            let (Some(day), Some(hour)) = (at.get(..10), at.get(11..13)) else { continue };
            let (Ok(day), Ok(hour)) = (day.parse::<Date>(), hour.parse::<usize>()) else { continue };
            if let Some(cell) = week.hours.get_mut(hour) {
                cell[number(day.weekday())].counts += *counts;
            }
        }
        week
    }
}

fn number(weekday: Weekday) -> usize {
    usize::from(weekday.to_monday_zero_offset().unsigned_abs())
}

/// The hours of the week in the period of a query.
///
/// # Errors
/// When ClickHouse cannot be asked.
pub async fn week(db: &Reports, sources: &Sources, query: &Query, now: &Zoned) -> Result<Week, ReportError> {
    // Figures of groups are made from sums.
    let whole = Query { detail: Detail::All, ..query.clone() };
    let hours = List { by: Dimension::Hour, sort: Metric::Visitors, limit: ROWS_MAX, entries: false };
    let answer = lists(db, sources, &whole, &[hours], false).await?;
    let rows = answer.lists.first().map_or(&[][..], |(rows, _)| rows);
    let mut week = Week::of(rows, query.range.days(), now);
    week.archived = sources.has_archived_only();
    if query.detail == Detail::Groups && !query.filters.is_empty() {
        week.withheld = !groups::is_group(&answer.totals);
        for cell in week.hours.iter_mut().flatten() {
            cell.counts = if week.withheld { Counts::default() } else { cell.counts.of_groups() };
        }
    }
    Ok(week)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::range::Range;

    fn visitors(n: u64) -> Counts {
        Counts { visitors: n, ..Counts::default() }
    }

    #[test]
    fn hours_of_one_weekday_are_added_up_and_divided_by_its_days() {
        // Two Mondays; the second is today, at half past nine.
        let range = Range { from: date(2026, 11, 23), to: date(2026, 11, 30) };
        let now = date(2026, 11, 30).at(9, 30, 0, 0).in_tz("Europe/Berlin").unwrap();
        let rows: Vec<_> = [("2026-11-23 09:00", 4), ("2026-11-30 09:00", 8), ("2026-11-23 10:00", 6)]
            .map(|(at, n)| (at.to_owned(), visitors(n)))
            .into();
        let week = Week::of(&rows, range.days(), &now);
        let monday = |hour: usize| week.hours[hour][0].average(Metric::Visitors);
        assert_eq!((monday(9), monday(10), monday(8)), (Some(6.0), Some(6.0), Some(0.0)));
        assert_eq!(week.hours[10][0].days, 1, "ten o'clock has not come today");
        assert_eq!(week.hours[9][6].days, 1, "one Sunday");
    }

    #[test]
    fn day_without_such_an_hour_has_no_average() {
        let day = date(2026, 11, 24);
        let now = day.at(0, 0, 0, 0).in_tz("UTC").unwrap();
        let week = Week::of(&[], Range::day(day).days(), &now);
        assert_eq!(week.hours[0][1].average(Metric::Visits), Some(0.0));
        assert_eq!(week.hours[1][1].average(Metric::Visits), None, "it has not begun");
        assert_eq!(week.hours[0][2].average(Metric::Visits), None, "no Wednesday");
    }
}
