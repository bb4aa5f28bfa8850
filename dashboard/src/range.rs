//! Periods: which days of a site's time zone a report is about.

use jiff::{
    ToSpan, Zoned,
    civil::{Date, Time},
    tz::TimeZone,
};

/// The most days a report can be about: a little more than three years.
pub const RANGE_DAYS_MAX: i32 = 1_100;

/// Days from `from` to `to`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Range {
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
}

/// The width of a graph's time buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interval {
    /// Hours of a day.
    Hour,
    /// Days.
    Day,
    /// Months.
    Month,
}

/// Why a date range is invalid. The messages are shown to people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// See the message.
    #[error("{0:?} is not a date; write it like 2026-01-31")]
    Day(String),
    /// See the message.
    #[error("the first day is after the last one")]
    Order,
    /// See the message.
    #[error("a report covers {RANGE_DAYS_MAX} days at most")]
    Long,
}

impl Range {
    /// One day.
    pub const fn day(day: Date) -> Self {
        Self { from: day, to: day }
    }

    /// The days from `from` to `to`.
    ///
    /// # Errors
    /// When the order is reversed or the range is too long.
    pub fn new(from: Date, to: Date) -> Result<Self, RangeError> {
        let range = Self { from, to };
        if from > to {
            Err(RangeError::Order)
        } else if range.len() > RANGE_DAYS_MAX {
            Err(RangeError::Long)
        } else {
            Ok(range)
        }
    }

    /// Parses the first and last day. `to` defaults to today, `from` to 29 days before it.
    ///
    /// # Errors
    /// When a date is invalid, the order is reversed, or the range is too long.
    pub fn parse(from: Option<&str>, to: Option<&str>, today: Date) -> Result<Self, RangeError> {
        let day = |text: &str| text.parse().map_err(|_| RangeError::Day(text.to_owned()));
        let to = to.map_or(Ok(today), day)?;
        let from = from.map_or_else(|| Ok(to.saturating_sub(29.days())), day)?;
        Self::new(from, to)
    }

    /// How many days.
    pub fn len(&self) -> i32 {
        self.from.until(self.to).map_or(0, |span| span.get_days()) + 1
    }

    /// Always false: a range has at least one day.
    pub fn is_empty(&self) -> bool {
        self.len() < 1
    }

    /// The days, in order.
    pub fn days(&self) -> impl Iterator<Item = Date> + use<> {
        let to = self.to;
        self.from.series(1.day()).take_while(move |day| *day <= to)
    }

    /// The bucket width of a graph over these days.
    pub fn interval(&self) -> Interval {
        match self.len() {
            ..=1 => Interval::Hour,
            2..=100 => Interval::Day,
            _ => Interval::Month,
        }
    }
}

/// A period as people choose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// The current day.
    Today,
    /// The day before.
    Yesterday,
    /// Seven days, today included.
    Week,
    /// Thirty days, today included.
    Month,
    /// The calendar month before the current one.
    LastMonth,
    /// Ninety days, today included.
    Quarter,
    /// The current month and the eleven before.
    Year,
    /// Days chosen one by one.
    Custom(Range),
}

impl Period {
    /// The periods with a fixed name.
    pub const NAMED: [Self; 7] =
        [Self::Today, Self::Yesterday, Self::Week, Self::Month, Self::LastMonth, Self::Quarter, Self::Year];

    /// The name in an address.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Today => "today",
            Self::Yesterday => "yesterday",
            Self::Week => "7d",
            Self::Month => "30d",
            Self::LastMonth => "last-month",
            Self::Quarter => "90d",
            Self::Year => "12mo",
            Self::Custom(_) => "custom",
        }
    }

    /// The name for people.
    pub fn label(self) -> String {
        match self {
            Self::Today => "Today".into(),
            Self::Yesterday => "Yesterday".into(),
            Self::Week => "Last 7 days".into(),
            Self::Month => "Last 30 days".into(),
            Self::LastMonth => "Last month".into(),
            Self::Quarter => "Last 90 days".into(),
            Self::Year => "Last 12 months".into(),
            Self::Custom(range) => range.label(),
        }
    }

    /// Query parameters that select it; none for the default.
    pub fn pairs(self) -> Vec<(&'static str, String)> {
        match self {
            Self::Month => Vec::new(),
            Self::Custom(range) => vec![
                ("p", self.name().to_owned()),
                ("from", range.from.to_string()),
                ("to", range.to.to_string()),
            ],
            Self::Today | Self::Yesterday | Self::Week | Self::LastMonth | Self::Quarter | Self::Year => {
                vec![("p", self.name().to_owned())]
            }
        }
    }

    /// Parses a period; falls back to the last thirty days.
    pub fn parse(name: Option<&str>, from: Option<&str>, to: Option<&str>, today: Date) -> Self {
        match name {
            Some("custom") => match (from, to) {
                (Some(_), Some(_)) => Range::parse(from, to, today).map_or(Self::Month, Self::Custom),
                _ => Self::Month,
            },
            Some(name) => Self::NAMED.into_iter().find(|p| p.name() == name).unwrap_or(Self::Month),
            None => Self::Month,
        }
    }

    /// Why the requested days cannot be shown, in which case [`Self::parse`] falls back to thirty days.
    pub fn refusal(
        name: Option<&str>,
        from: Option<&str>,
        to: Option<&str>,
        today: Date,
    ) -> Option<RangeError> {
        let (Some("custom"), Some(_), Some(_)) = (name, from, to) else { return None };
        Range::parse(from, to, today).err()
    }

    /// Its days when the site's date is `today`.
    pub fn range(self, today: Date) -> Range {
        let back = |days: i32| Range { from: today.saturating_sub(days.days()), to: today };
        match self {
            Self::Today => Range::day(today),
            Self::Yesterday => Range::day(today.saturating_sub(1.day())),
            Self::Week => back(6),
            Self::Month => back(29),
            Self::LastMonth => {
                let last = today.first_of_month().saturating_sub(1.day());
                Range { from: last.first_of_month(), to: last }
            }
            Self::Quarter => back(89),
            Self::Year => Range { from: today.first_of_month().saturating_sub(11.months()), to: today },
            Self::Custom(range) => range,
        }
    }

    /// The period before it, of the same length; for twelve months the same days a year earlier, and for whole calendar
    /// months as many months.
    pub fn previous(self, today: Date) -> Range {
        let range = self.range(today);
        if self == Self::Year {
            return Range {
                from: range.from.saturating_sub(12.months()),
                to: range.to.saturating_sub(12.months()),
            };
        }
        if range.from.day() == 1 && range.to == range.to.last_of_month() {
            let months = (i32::from(range.to.year()) - i32::from(range.from.year())) * 12
                + i32::from(range.to.month())
                - i32::from(range.from.month())
                + 1;
            return Range {
                from: range.from.saturating_sub(months.months()),
                to: range.from.saturating_sub(1.day()),
            };
        }
        let days = range.len();
        Range { from: range.from.saturating_sub(days.days()), to: range.to.saturating_sub(days.days()) }
    }
}

impl Range {
    /// Display form: `3 Mar 2026` or `3 – 9 Mar 2026`.
    pub fn label(&self) -> String {
        let day = |d: Date| d.strftime("%-d %b %Y").to_string();
        if self.from == self.to {
            return day(self.to);
        }
        let short = match (self.from.year() == self.to.year(), self.from.month() == self.to.month()) {
            (true, true) => self.from.strftime("%-d"),
            (true, false) => self.from.strftime("%-d %b"),
            (false, _) => self.from.strftime("%-d %b %Y"),
        };
        format!("{short} – {}", day(self.to))
    }
}

/// The current time in the site's time zone.
pub fn now_in(time_zone: &str) -> Zoned {
    let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
    sotto_schema::clock::now().to_zoned(zone)
}

/// The same local time as `now`, on `day`. Where a clock change skips it, the moment after the gap.
pub fn same_time_on(day: Date, now: &Zoned) -> Option<i64> {
    // The same for a minute, so that it is counted once in it.
    let time: Time = now.time().with().second(0).subsec_nanosecond(0).build().ok()?;
    let zoned = day.to_datetime(time).to_zoned(now.time_zone().clone()).ok()?;
    Some(zoned.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn period_includes_today_and_its_predecessor_has_as_many_days() {
        let today = date(2026, 3, 31);
        for (period, from, before) in [
            (Period::Today, today, (date(2026, 3, 30), date(2026, 3, 30))),
            (Period::Week, date(2026, 3, 25), (date(2026, 3, 18), date(2026, 3, 24))),
            (Period::Month, date(2026, 3, 2), (date(2026, 1, 31), date(2026, 3, 1))),
            (Period::Year, date(2025, 4, 1), (date(2024, 4, 1), date(2025, 3, 31))),
        ] {
            assert_eq!(period.range(today), Range { from, to: today }, "{period:?}");
            assert_eq!(period.previous(today), Range { from: before.0, to: before.1 }, "{period:?}");
        }
        assert_eq!(Period::Yesterday.range(today), Range::day(date(2026, 3, 30)));
    }

    #[test]
    fn calendar_month_is_compared_with_the_calendar_month_before() {
        let range = |from, to| Range { from, to };
        for (today, this, before) in [
            (
                date(2026, 11, 26),
                (date(2026, 10, 1), date(2026, 10, 31)),
                (date(2026, 9, 1), date(2026, 9, 30)),
            ),
            (
                date(2026, 1, 1),
                (date(2025, 12, 1), date(2025, 12, 31)),
                (date(2025, 11, 1), date(2025, 11, 30)),
            ),
            (date(2028, 3, 31), (date(2028, 2, 1), date(2028, 2, 29)), (date(2028, 1, 1), date(2028, 1, 31))),
        ] {
            assert_eq!(Period::LastMonth.range(today), range(this.0, this.1), "{today}");
            assert_eq!(Period::LastMonth.previous(today), range(before.0, before.1), "{today}");
            let chosen = Period::Custom(range(this.0, this.1));
            assert_eq!(chosen.previous(today), range(before.0, before.1), "{today}");
        }
        let quarter = Period::Custom(range(date(2026, 1, 1), date(2026, 3, 31)));
        assert_eq!(quarter.previous(date(2026, 5, 5)), range(date(2025, 10, 1), date(2025, 12, 31)));
    }

    #[test]
    fn leap_day_has_a_previous_year() {
        let today = date(2028, 2, 29);
        assert_eq!(Period::Year.range(today).from, date(2027, 3, 1));
        assert_eq!(Period::Year.previous(today).to, date(2027, 2, 28));
    }

    #[test]
    fn day_of_the_clock_change_is_one_day_of_the_range() {
        // Europe/Paris left summer time on 2026-10-25 and entered it on 2026-03-29.
        for today in [date(2026, 10, 26), date(2026, 3, 30)] {
            let range = Period::Week.range(today);
            assert_eq!((range.len(), range.days().count()), (7, 7));
        }
    }

    #[test]
    fn same_time_in_the_skipped_hour_is_the_moment_after() {
        let now: Zoned = "2026-03-30T02:30:00[Europe/Paris]".parse().unwrap();
        let skipped = same_time_on(date(2026, 3, 29), &now).unwrap();
        let after: Zoned = "2026-03-29T03:30:00[Europe/Paris]".parse().unwrap();
        assert_eq!(skipped, after.timestamp().as_millisecond());
    }

    #[test]
    fn range_at_the_limit_is_accepted_and_one_day_more_is_not() {
        let from = date(2024, 1, 1);
        let last = from.saturating_add((RANGE_DAYS_MAX - 1).days());
        assert!(Range::new(from, last).is_ok());
        assert_eq!(Range::new(from, last.saturating_add(1.day())), Err(RangeError::Long));
        assert_eq!(Range::new(last, from), Err(RangeError::Order));
    }

    #[test]
    fn unreadable_period_is_thirty_days() {
        let today = date(2026, 3, 31);
        for (name, from, to) in [
            (None, None, None),
            (Some("week"), None, None),
            (Some("custom"), None, None),
            (Some("custom"), Some("2026-02-30"), Some("2026-03-01")),
            (Some("custom"), Some("2026-03-02"), Some("2026-03-01")),
        ] {
            assert_eq!(Period::parse(name, from, to, today), Period::Month, "{name:?} {from:?}");
        }
    }

    #[test]
    fn days_that_cannot_be_shown_are_refused_with_the_reason() {
        let refusal = |name, from, to| Period::refusal(Some(name), from, to, date(2026, 3, 31));
        for (from, to, expected) in [
            (Some("2026-03-02"), Some("2026-03-01"), Some(RangeError::Order)),
            (Some("2026-02-30"), Some("2026-03-01"), Some(RangeError::Day("2026-02-30".into()))),
            (Some("2016-01-01"), Some("2026-03-01"), Some(RangeError::Long)),
            (Some("2026-03-01"), Some("2026-03-01"), None),
            (None, None, None),
        ] {
            assert_eq!(refusal("custom", from, to), expected, "{from:?} {to:?}");
        }
        assert_eq!(refusal("7d", Some("2026-03-02"), Some("2026-03-01")), None);
    }

    #[test]
    fn label_says_each_part_of_a_date_once() {
        let label = |from, to| Range { from, to }.label();
        assert_eq!(label(date(2026, 3, 3), date(2026, 3, 3)), "3 Mar 2026");
        assert_eq!(label(date(2026, 3, 3), date(2026, 3, 9)), "3 – 9 Mar 2026");
        assert_eq!(label(date(2026, 2, 3), date(2026, 3, 9)), "3 Feb – 9 Mar 2026");
        assert_eq!(label(date(2025, 12, 3), date(2026, 3, 9)), "3 Dec 2025 – 9 Mar 2026");
    }
}
