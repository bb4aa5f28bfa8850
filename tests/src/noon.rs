//! The hour of a test. Days end at a site's midnight: a test's "today" must not be split by it, and an hour
//! ago must still be today, at whatever hour and wherever the test runs.

use jiff::{
    Timestamp, ToSpan,
    civil::Date,
    tz::{Offset, TimeZone},
};

/// For a site whose events a test writes directly into the tables, by days and hours of UTC.
pub const UTC: [&str; 2] = ["--time-zone", "UTC"];

/// A time zone in which it is between noon and one o'clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noon {
    /// Its name: whole hours from UTC, without daylight saving time.
    pub zone: String,
    /// Its day.
    pub today: Date,
}

impl Noon {
    /// A time zone where it is noon now.
    pub fn now() -> Self {
        Self::at(sotto_schema::clock::now())
    }

    /// The day `age` days ago, or in the future if that is negative.
    pub fn day(&self, age: i32) -> Date {
        self.today.saturating_sub(age.days())
    }

    fn at(now: Timestamp) -> Self {
        let hours = 12 - now.to_zoned(TimeZone::UTC).hour();
        let zone = TimeZone::fixed(Offset::constant(hours));
        // The signs in these names are inverted: Etc/GMT-3 is three hours ahead.
        Self { zone: format!("Etc/GMT{:+}", -hours), today: now.to_zoned(zone).date() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noon_is_somewhere_at_any_hour() {
        for (now, zone, today) in [
            ("2026-12-31T23:59:59Z", "Etc/GMT+11", "2026-12-31"),
            ("2027-01-01T00:00:00Z", "Etc/GMT-12", "2027-01-01"),
            ("2028-02-29T12:30:00Z", "Etc/GMT+0", "2028-02-29"),
            ("2028-03-01T02:00:00Z", "Etc/GMT-10", "2028-03-01"),
        ] {
            let now: Timestamp = now.parse().unwrap();
            let noon = Noon::at(now);
            assert_eq!((noon.zone.as_str(), noon.today.to_string().as_str()), (zone, today), "{now}");
            let there = now.to_zoned(TimeZone::get(&noon.zone).unwrap());
            assert_eq!((there.hour(), there.date()), (12, noon.today), "{now}: the name means the same");
        }
    }
}
