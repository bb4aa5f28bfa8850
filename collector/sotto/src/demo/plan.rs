//! Which days the demo covers. The current time is an argument, so the result depends on neither the day nor
//! the machine's time zone.

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};

use super::{DemoArgs, TIME_ZONE};

/// What is sent: the visits of some days, up to a moment.
#[derive(Debug, PartialEq)]
pub struct Plan {
    /// See [`DemoArgs`].
    pub seed: u64,
    /// In order; the last one is not over yet.
    pub days: Vec<Day>,
    /// The end of the traffic, in milliseconds since 1970-01-01 UTC.
    pub until_ms: i64,
}

/// A day of the site's calendar: 23 or 25 hours long where the clocks change.
#[derive(Debug, PartialEq)]
pub struct Day {
    /// Its date.
    pub date: Date,
    /// Where it ends, in milliseconds since 1970-01-01 UTC.
    pub end_ms: i64,
    /// About how many.
    pub visits: f64,
}

impl Plan {
    /// Whole days, and the day of `now_ms` up to that moment.
    pub fn until(now_ms: i64, args: &DemoArgs) -> Result<Self, jiff::Error> {
        let zone = TimeZone::get(TIME_ZONE)?;
        let today = Timestamp::from_millisecond(now_ms)?.to_zoned(zone.clone()).date();
        let day = |age: u16| {
            let date = today.checked_sub(i32::from(age).days())?;
            let end = date.tomorrow()?.to_zoned(zone.clone())?;
            let trend = 1.0 - f64::from(age) / f64::from(args.days) * 0.35;
            let visits = f64::from(args.visits) * trend;
            Ok(Day { date, end_ms: end.timestamp().as_millisecond(), visits })
        };
        let days = (0..=args.days).rev().map(day).collect::<Result<_, jiff::Error>>()?;
        Ok(Self { seed: args.seed, days, until_ms: now_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(now: Timestamp, days: u16) -> Plan {
        let args = DemoArgs { days, visits: 100, seed: 1, fill_only: true };
        Plan::until(now.as_millisecond(), &args).unwrap()
    }

    #[test]
    fn plan_is_of_whole_days_of_the_site_and_of_today_until_now() {
        for (now, dates, hours) in [
            // Minutes before and after midnight in Berlin; in UTC both are of the day before.
            ("2026-12-31T22:59:59Z", ["2026-12-30", "2026-12-31"], [24, 24]),
            ("2026-12-31T23:00:00Z", ["2026-12-31", "2027-01-01"], [24, 24]),
            ("2028-02-29T12:00:00Z", ["2028-02-28", "2028-02-29"], [24, 24]),
            ("2028-03-01T12:00:00Z", ["2028-02-29", "2028-03-01"], [24, 24]),
            // Both daylight saving time changes.
            ("2027-03-28T01:00:00Z", ["2027-03-27", "2027-03-28"], [24, 23]),
            ("2027-10-31T00:30:00Z", ["2027-10-30", "2027-10-31"], [24, 25]),
        ] {
            let now: Timestamp = now.parse().unwrap();
            let plan = plan(now, 1);
            assert_eq!(plan.until_ms, now.as_millisecond());
            assert_eq!(plan.days.iter().map(|d| d.date.to_string()).collect::<Vec<_>>(), dates, "{now}");
            let mut before =
                plan.days[0].date.to_zoned(TimeZone::get(TIME_ZONE).unwrap()).unwrap().timestamp();
            for (day, hours) in plan.days.iter().zip(hours) {
                let end = Timestamp::from_millisecond(day.end_ms).unwrap();
                assert_eq!(before.duration_until(end).as_hours(), hours, "{}", day.date);
                before = end;
            }
            assert!(before > now, "{now} is of the last day");
        }
    }

    #[test]
    fn plan_grows_towards_today() {
        let visits: Vec<f64> =
            plan("2026-11-24T12:00:00Z".parse().unwrap(), 2).days.iter().map(|d| d.visits).collect();
        assert_eq!(visits, [65.0, 82.5, 100.0]);
    }
}
