//! Which days, or which moments, a question is about: `date_range`.

use jiff::{
    RoundMode, Timestamp, ToSpan, Unit, Zoned,
    civil::{Date, Weekday},
    tz::TimeZone,
};
use serde_json::Value;

use super::{names::Bucket, problem::Problem};
use crate::range::Range;

/// The most days that `Nd` may say, and the most months of `Nmo`, as in Plausible; a report covers fewer days than that.
const DAYS_MAX: i32 = 5_000;
const MONTHS_MAX: i32 = 100;
/// The longest period of which `time` is hours, days or weeks, as in Plausible.
const OF_HOURS_MAX: i64 = 48;
const OF_DAYS_MAX: i64 = 40;
const OF_WEEKS_MAX: i64 = 52;
pub(super) const FIELD: &str = "date_range";
/// What can be asked for, for messages.
pub(super) const KNOWN: [&str; 9] = [
    "day",
    "24h",
    "month",
    "year",
    "all",
    "7d (any number of days)",
    "6mo (any number of months)",
    "[\"2026-01-01\", \"2026-01-31\"]",
    "[\"2026-01-01T12:00:00+01:00\", \"2026-01-01T15:59:59+01:00\"]",
];

/// A period as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dates {
    /// Today.
    Day,
    /// The 24 hours up to now.
    LastHours,
    /// So many days, up to yesterday.
    LastDays(i32),
    /// So many months, up to the last one.
    LastMonths(i32),
    /// This month, to its end.
    Month,
    /// This year, to its end.
    Year,
    /// Everything.
    All,
    /// From one day to another.
    Days(Date, Date),
    /// From one moment to another, both included.
    Moments(Timestamp, Timestamp),
}

fn unknown() -> Problem {
    Problem::bad(FIELD, "this is no period that Sotto knows").allowing(KNOWN)
}

impl Dates {
    /// Reads a period.
    pub(super) fn parse(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::String(word) => Self::of_word(word).ok_or_else(unknown),
            Value::Array(pair) => {
                let [Value::String(from), Value::String(to)] = pair.as_slice() else { return Err(unknown()) };
                if let (Ok(from), Ok(to)) = (day(from), day(to)) {
                    return Ok(Self::Days(from, to));
                }
                match (from.parse(), to.parse()) {
                    (Ok(from), Ok(to)) => Ok(Self::Moments(from, to)),
                    (Err(_), _) | (_, Err(_)) => Err(unknown()),
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(unknown()),
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        let number = |text: &str, most| text.parse().ok().filter(|n| (1..=most).contains(n));
        match word {
            "day" => Some(Self::Day),
            "24h" => Some(Self::LastHours),
            "month" => Some(Self::Month),
            "year" => Some(Self::Year),
            "all" => Some(Self::All),
            word => match (word.strip_suffix("mo"), word.strip_suffix('d')) {
                (Some(months), _) => number(months, MONTHS_MAX).map(Self::LastMonths),
                (None, Some(days)) => number(days, DAYS_MAX).map(Self::LastDays),
                (None, None) => None,
            },
        }
    }

    /// The period when it is `now` at the site; `first` is the first day of which there is anything.
    pub(super) fn period(self, now: &Zoned, first: Option<Date>) -> Result<Period, Problem> {
        let today = now.date();
        let month = today.first_of_month();
        let (from, to) = match self {
            Self::Day => (today, today),
            Self::LastDays(days) => (today.saturating_sub(days.days()), today.saturating_sub(1.day())),
            Self::LastMonths(months) => {
                (month.saturating_sub(months.months()), month.saturating_sub(1.day()))
            }
            Self::Month => (month, today.last_of_month()),
            Self::Year => (today.first_of_year(), today.last_of_year()),
            Self::All => (first.unwrap_or(today), today),
            Self::Days(from, to) => (from, to),
            Self::LastHours => {
                let from = now.timestamp().saturating_sub(24.hours()).map_err(|_| unknown())?;
                return Period::moments(from, now.timestamp(), now.time_zone());
            }
            Self::Moments(from, to) => return Period::moments(from, to, now.time_zone()),
        };
        let range = range(from, to)?;
        let zone = now.time_zone();
        let first = range.from.to_zoned(zone.clone()).map_err(|_| unknown())?;
        let end = range.to.tomorrow().and_then(|day| day.to_zoned(zone.clone())).map_err(|_| unknown())?;
        let last = end.saturating_sub(1.second());
        Ok(Period { range, moments: None, first, last })
    }
}

fn range(from: Date, to: Date) -> Result<Range, Problem> {
    Range::new(from, to).map_err(|error| Problem::bad(FIELD, error.to_string()))
}

/// A day as `YYYY-MM-DD` and nothing else.
fn day(text: &str) -> Result<Date, jiff::Error> {
    if text.len() == 10 { text.parse() } else { "".parse() }
}

/// A period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) range: Range,
    /// Milliseconds since 1970-01-01 UTC of the first moment, and of the one after the last, where they are no whole days.
    pub(super) moments: Option<(i64, i64)>,
    /// The first second.
    pub(super) first: Zoned,
    /// The last second.
    pub(super) last: Zoned,
}

impl Period {
    fn moments(from: Timestamp, to: Timestamp, zone: &TimeZone) -> Result<Self, Problem> {
        let (first, last) = (from.to_zoned(zone.clone()), to.to_zoned(zone.clone()));
        let range = range(first.date(), last.date())?;
        if from > to {
            return Err(Problem::bad(FIELD, "the first moment is after the last one"));
        }
        // The last second is in it as a whole.
        let end = to.as_millisecond().div_euclid(1_000) * 1_000 + 1_000;
        Ok(Self { range, moments: Some((from.as_millisecond(), end)), first, last })
    }

    /// What `time` is.
    pub(super) fn bucket(&self) -> Bucket {
        let hours = self.first.until((Unit::Hour, &self.last)).map_or(0, |span| i64::from(span.get_hours()));
        if hours <= OF_HOURS_MAX {
            Bucket::Hour
        } else if hours / 24 <= OF_DAYS_MAX {
            Bucket::Day
        } else if hours / (24 * 7) <= OF_WEEKS_MAX {
            Bucket::Week
        } else {
            Bucket::Month
        }
    }

    /// The value of a day, or of an hour (`2026-01-31 13:00`), in a bucket.
    pub(super) fn label(&self, bucket: Bucket, at: &str) -> Option<String> {
        if bucket == Bucket::Hour {
            return Some(format!("{at}:00"));
        }
        at.parse().ok().map(|day: Date| self.start(bucket, day).to_string())
    }

    /// The day on which a bucket begins.
    fn start(&self, bucket: Bucket, day: Date) -> Date {
        match bucket {
            Bucket::Hour | Bucket::Day => day,
            Bucket::Month => day.first_of_month(),
            Bucket::Week => {
                let since = i64::from(Weekday::Monday.until(day.weekday()));
                day.saturating_sub(since.days()).max(self.range.from)
            }
        }
    }

    /// The days of each bucket, with its value, in order.
    pub(super) fn spans(&self, bucket: Bucket) -> Vec<(String, Range)> {
        let mut all: Vec<(Date, Range)> = Vec::new();
        for day in self.range.days() {
            let start = self.start(bucket, day);
            match all.last_mut() {
                Some((last, range)) if *last == start => range.to = day,
                Some(_) | None => all.push((start, Range::day(day))),
            }
        }
        all.into_iter().map(|(start, range)| (start.to_string(), range)).collect()
    }

    /// The values of all buckets, in order.
    pub(super) fn labels(&self, bucket: Bucket) -> Vec<String> {
        if bucket != Bucket::Hour {
            return self.spans(bucket).into_iter().map(|(label, _)| label).collect();
        }
        let whole = jiff::ZonedRound::new().smallest(Unit::Hour).mode(RoundMode::Trunc);
        let Ok(mut at) = self.first.round(whole) else { return Vec::new() };
        let mut all: Vec<String> = Vec::new();
        while at <= self.last {
            let label = at.strftime("%Y-%m-%d %H:00:00").to_string();
            // The hour that comes twice when clocks are set back is one value.
            if all.last() != Some(&label) {
                all.push(label);
            }
            at = at.saturating_add(1.hour());
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use serde_json::json;

    use super::*;

    fn now() -> Zoned {
        "2026-11-27T12:30:00[Europe/Paris]".parse().unwrap()
    }

    fn period(value: &Value) -> Result<Period, Problem> {
        Dates::parse(value)?.period(&now(), Some(date(2026, 1, 5)))
    }

    #[test]
    fn words_are_the_days_that_plausible_means() {
        for (word, from, to) in [
            ("day", date(2026, 11, 27), date(2026, 11, 27)),
            ("7d", date(2026, 11, 20), date(2026, 11, 26)),
            ("28d", date(2026, 10, 30), date(2026, 11, 26)),
            ("91d", date(2026, 8, 28), date(2026, 11, 26)),
            ("month", date(2026, 11, 1), date(2026, 11, 30)),
            ("6mo", date(2026, 5, 1), date(2026, 10, 31)),
            ("12mo", date(2025, 11, 1), date(2026, 10, 31)),
            ("year", date(2026, 1, 1), date(2026, 12, 31)),
            ("all", date(2026, 1, 5), date(2026, 11, 27)),
        ] {
            let found = period(&json!(word)).unwrap();
            assert_eq!((found.range, found.moments), (Range { from, to }, None), "{word}");
        }
        let days = period(&json!(["2026-01-01", "2026-01-31"])).unwrap();
        assert_eq!(days.first.to_string(), "2026-01-01T00:00:00+01:00[Europe/Paris]");
        assert_eq!(days.last.to_string(), "2026-01-31T23:59:59+01:00[Europe/Paris]");
    }

    #[test]
    fn moments_are_kept_to_the_second() {
        let found = period(&json!(["2026-11-26T23:30:00Z", "2026-11-27T10:59:59+02:00"])).unwrap();
        assert_eq!(found.range, Range::day(date(2026, 11, 27)));
        let ms = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        assert_eq!(found.moments, Some((ms("2026-11-26T23:30:00Z"), ms("2026-11-27T09:00:00Z"))));
        let day = period(&json!("24h")).unwrap();
        assert_eq!(day.range, Range { from: date(2026, 11, 26), to: date(2026, 11, 27) });
    }

    #[test]
    fn what_is_no_period_is_refused() {
        for value in [
            json!("week"),
            json!("0d"),
            json!("5001d"),
            json!("1200d"),
            json!("101mo"),
            json!("-1d"),
            json!("d"),
            json!("mo"),
            json!(7),
            json!(null),
            json!([]),
            json!(["2026-01-01"]),
            json!(["2026-01-01", "2026-01-02", "2026-01-03"]),
            json!(["2026-02-30", "2026-03-01"]),
            json!(["2026-02-02", "2026-02-01"]),
            json!(["2026-02-01", "2026-02-02T00:00:00Z"]),
            json!(["2026-02-02T00:00:00Z", "2026-02-01T00:00:00Z"]),
            json!(["2026-02-02T00:00:01Z", "2026-02-02T00:00:00Z"]),
            json!(["2026-02-02T00:00:00", "2026-02-03T00:00:00"]),
            json!(["1900-01-01", "2026-01-01"]),
        ] {
            assert!(period(&value).is_err(), "{value}");
        }
    }

    #[test]
    fn time_is_hours_days_weeks_or_months_by_the_length_of_the_period() {
        for (value, expected) in [
            (json!("day"), Bucket::Hour),
            (json!(["2026-01-01", "2026-01-02"]), Bucket::Hour),
            (json!("7d"), Bucket::Day),
            (json!("30d"), Bucket::Day),
            (json!("91d"), Bucket::Week),
            (json!("6mo"), Bucket::Week),
            (json!("24mo"), Bucket::Month),
        ] {
            assert_eq!(period(&value).unwrap().bucket(), expected, "{value}");
        }
    }

    #[test]
    fn week_begins_on_monday_and_not_before_the_period() {
        let found = period(&json!(["2026-11-04", "2026-11-17"])).unwrap();
        assert_eq!(found.labels(Bucket::Week), ["2026-11-04", "2026-11-09", "2026-11-16"]);
        assert_eq!(found.label(Bucket::Week, "2026-11-08").unwrap(), "2026-11-04");
        assert_eq!(found.label(Bucket::Week, "2026-11-17").unwrap(), "2026-11-16");
        assert_eq!(found.labels(Bucket::Month), ["2026-11-01"]);
        assert_eq!(found.labels(Bucket::Day).len(), 14);
    }

    #[test]
    fn day_with_an_hour_more_or_less_has_each_hour_once() {
        for (day, hours) in [("2026-10-25", 24), ("2026-03-29", 23), ("2026-03-30", 24)] {
            let labels = period(&json!([day, day])).unwrap().labels(Bucket::Hour);
            assert_eq!(labels.len(), hours, "{day}");
            assert_eq!(labels[0], format!("{day} 00:00:00"));
        }
    }
}
