//! Days of a site, counted from 1970-01-01.

use std::fmt;

use jiff::{Span, Timestamp, civil, tz::TimeZone};

/// Day 0.
const EPOCH: civil::Date = civil::date(1970, 1, 1);
/// Days of a week.
const WEEK: u16 = 7;
/// Offset that makes the day numbers of Mondays multiples of a week: 1970-01-01 was a Thursday.
const MONDAY_OFFSET: u16 = 3;

/// A day, as its number since 1970-01-01: ClickHouse's `Date`, so 1970-01-01 to 2149-06-06.
///
/// Which hours it spans depends on the site's time zone; the number alone does not tell.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Day(pub u16);

impl Day {
    /// The last day that can be stored.
    pub const MAX: Self = Self(u16::MAX);

    /// The day of a calendar date; dates outside the range are clamped.
    pub fn of(date: civil::Date) -> Self {
        let days = i64::from((date - EPOCH).get_days()).clamp(0, i64::from(u16::MAX));
        Self(u16::try_from(days).unwrap_or(u16::MAX))
    }

    /// The day in a time zone at `time_ms`, in milliseconds since 1970-01-01 UTC; times outside the range are
    /// clamped.
    pub fn at(time_ms: i64, zone: &TimeZone) -> Self {
        Timestamp::from_millisecond(time_ms).map_or(Self(0), |time| Self::of(zone.to_datetime(time).date()))
    }

    /// When it ends in a time zone, in milliseconds since 1970-01-01 UTC.
    pub fn end_ms(self, zone: &TimeZone) -> i64 {
        let next = EPOCH.checked_add(Span::new().days(i64::from(self.0) + 1));
        next.and_then(|date| date.to_zoned(zone.clone())).map_or(i64::MAX, |z| z.timestamp().as_millisecond())
    }

    /// Its date in the calendar.
    pub fn date(self) -> civil::Date {
        EPOCH.saturating_add(Span::new().days(i64::from(self.0)))
    }

    /// The day before; `None` before 1970-01-01.
    pub fn before(self) -> Option<Self> {
        self.0.checked_sub(1).map(Self)
    }

    /// `days` days later, clamped to the last day that can be stored.
    #[must_use]
    pub const fn plus(self, days: u16) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// The Monday of its week (`toMonday`), at least 1970-01-01.
    #[must_use]
    pub const fn monday(self) -> Self {
        Self(self.0.saturating_sub((self.0 % WEEK + MONDAY_OFFSET) % WEEK))
    }
}

/// Formats as an ISO date: 2026-11-26.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.date().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn date_outside_the_range_gives_the_nearest_day() {
        for (date, day) in [
            (civil::date(1970, 1, 1), Day(0)),
            (civil::date(1969, 12, 31), Day(0)),
            (civil::date(2149, 6, 6), Day::MAX),
            (civil::date(2149, 6, 7), Day::MAX),
        ] {
            assert_eq!(Day::of(date), day, "{date}");
        }
    }

    proptest! {
        #[test]
        fn date_of_a_day_leads_back_to_it(number in any::<u16>()) {
            prop_assert_eq!(Day::of(Day(number).date()), Day(number));
        }

        #[test]
        fn monday_is_one_and_at_most_six_days_earlier(number in 7..u16::MAX) {
            let monday = Day(number).monday();
            prop_assert_eq!(monday.date().weekday(), civil::Weekday::Monday);
            prop_assert!(number - monday.0 < 7);
        }
    }
}
