//! When a report is due, and which days it is about: by the site's clock, which is an argument.

use jiff::{
    ToSpan, Zoned,
    civil::{Date, time},
};
use sotto_store::subscription::{Attempt, Kind, State};

use crate::range::{Period as Days, Range};

/// The hour of the site's day at which reports go out.
pub(crate) const HOUR: i8 = 8;
/// How late a report may still be sent, in milliseconds: two days. Later, it is left out.
pub(crate) const LATE_MS: i64 = 48 * 60 * MINUTE_MS;
/// Pauses after attempts that the mail server deferred, in milliseconds; after the last there is no other.
const PAUSES_MS: [i64; 5] =
    [5 * MINUTE_MS, 30 * MINUTE_MS, 120 * MINUTE_MS, 360 * MINUTE_MS, 720 * MINUTE_MS];
const MINUTE_MS: i64 = 60_000;

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Period {
    /// Its days.
    pub(crate) range: Range,
    /// The days that they are compared with.
    pub(crate) before: Range,
    /// When it is due, in milliseconds since 1970-01-01 UTC.
    pub(crate) due_ms: i64,
}

/// The report that was due last; none of alerts.
pub(crate) fn last_due(kind: Kind, now: &Zoned) -> Option<Period> {
    let today = now.date();
    let (this, earlier): (Date, Date) = match kind {
        Kind::Weekly => {
            let monday = today.saturating_sub(i32::from(today.weekday().to_monday_zero_offset()).days());
            (monday, monday.saturating_sub(7.days()))
        }
        Kind::Monthly => {
            let first = today.first_of_month();
            (first, first.saturating_sub(1.month()))
        }
        Kind::Alerts => return None,
    };
    let due = |day: Date| {
        let at = day.to_datetime(time(HOUR, 0, 0, 0)).to_zoned(now.time_zone().clone());
        Some(at.ok()?.timestamp().as_millisecond())
    };
    let reached = |day: Date| due(day).filter(|ms| *ms <= now.timestamp().as_millisecond());
    let (day, due_ms) = match reached(this) {
        Some(ms) => (this, ms),
        None => (earlier, due(earlier)?),
    };
    let range = match kind {
        Kind::Weekly => Range { from: day.saturating_sub(7.days()), to: day.saturating_sub(1.day()) },
        Kind::Monthly | Kind::Alerts => {
            Range { from: day.saturating_sub(1.month()), to: day.saturating_sub(1.day()) }
        }
    };
    Some(Period { range, before: Days::Custom(range).previous(day), due_ms })
}

impl Period {
    /// What the letters about it are filed under.
    pub(crate) fn name(&self) -> String {
        self.range.from.to_string()
    }

    /// Whether a letter about it is sent to somebody who subscribed at a moment (both in milliseconds since 1970-01-01 UTC):
    /// not about what was due before, and not too late.
    pub(crate) const fn is_due(&self, subscribed_ms: i64, now_ms: i64) -> bool {
        subscribed_ms <= self.due_ms && now_ms - self.due_ms < LATE_MS
    }
}

/// The number of the next attempt to send a letter, if there is to be one now.
pub(super) fn next_attempt(last: Option<&Attempt>, now_ms: i64) -> Option<u8> {
    let Some(last) = last else { return Some(1) };
    if last.state == State::Deferred { following(last.number, last.time_ms, now_ms) } else { None }
}

/// The number of the attempt that follows another, once its pause is over.
pub(crate) fn following(number: u8, time_ms: i64, now_ms: i64) -> Option<u8> {
    let pause = PAUSES_MS.get(usize::from(number).checked_sub(1)?)?;
    (now_ms.saturating_sub(time_ms) >= *pause).then_some(number + 1)
}

/// The day that was over last, told on the morning after it.
pub(crate) fn day_over(now: &Zoned) -> Option<Period> {
    let today = now.date();
    let due = |day: Date| {
        let at = day.to_datetime(time(HOUR, 0, 0, 0)).to_zoned(now.time_zone().clone());
        Some((day, at.ok()?.timestamp().as_millisecond()))
    };
    let reached = due(today).filter(|(_, ms)| *ms <= now.timestamp().as_millisecond());
    let (morning, due_ms) = reached.or_else(|| due(today.saturating_sub(1.day())))?;
    let range = Range::day(morning.saturating_sub(1.day()));
    Some(Period { range, before: Days::Custom(range).previous(morning), due_ms })
}

/// Whether an attempt is followed by another.
pub(super) fn may_follow(last: &Attempt) -> bool {
    next_attempt(Some(last), i64::MAX).is_some()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn at(text: &str) -> Zoned {
        text.parse().unwrap()
    }

    #[test]
    fn week_is_reported_on_monday_at_eight_by_the_sites_clock() {
        for (now, from) in [
            ("2026-11-30T07:59:59[Europe/Berlin]", date(2026, 11, 16)),
            ("2026-11-30T08:00:00[Europe/Berlin]", date(2026, 11, 23)),
            ("2026-12-06T23:59:59[Europe/Berlin]", date(2026, 11, 23)),
            // It is Monday at eight there first.
            ("2026-11-30T08:00:00[Pacific/Auckland]", date(2026, 11, 23)),
            ("2026-11-29T23:00:00[America/New_York]", date(2026, 11, 16)),
            // The clock was changed on the Sunday before.
            ("2026-10-26T08:00:00[Europe/Berlin]", date(2026, 10, 19)),
            ("2026-10-26T07:59:59[Europe/Berlin]", date(2026, 10, 12)),
        ] {
            let period = last_due(Kind::Weekly, &at(now)).unwrap();
            assert_eq!((period.range.from, period.range.len()), (from, 7), "{now}");
            assert_eq!(period.before.to.saturating_add(1.day()), from, "{now}");
        }
    }

    #[test]
    fn month_is_reported_on_its_first_day_after_it() {
        for (now, from, to) in [
            ("2026-12-01T07:59:00[UTC]", date(2026, 10, 1), date(2026, 10, 31)),
            ("2026-12-01T08:00:00[UTC]", date(2026, 11, 1), date(2026, 11, 30)),
            ("2027-01-31T12:00:00[UTC]", date(2026, 12, 1), date(2026, 12, 31)),
            ("2028-03-01T08:00:00[UTC]", date(2028, 2, 1), date(2028, 2, 29)),
        ] {
            let period = last_due(Kind::Monthly, &at(now)).unwrap();
            assert_eq!(period.range, Range { from, to }, "{now}");
        }
        let december = last_due(Kind::Monthly, &at("2027-01-01T08:00:00[UTC]")).unwrap();
        assert_eq!(december.before, Range { from: date(2026, 11, 1), to: date(2026, 11, 30) });
    }

    #[test]
    fn day_is_told_on_the_morning_after_it_by_the_sites_clock() {
        for (now, day) in [
            ("2026-11-30T07:59:59[Europe/Berlin]", date(2026, 11, 28)),
            ("2026-11-30T08:00:00[Europe/Berlin]", date(2026, 11, 29)),
            ("2026-11-30T23:59:59[Europe/Berlin]", date(2026, 11, 29)),
            ("2026-12-01T00:00:00[Europe/Berlin]", date(2026, 11, 29)),
            // The clock is changed at two in the morning.
            ("2026-10-25T08:00:00[Europe/Berlin]", date(2026, 10, 24)),
            ("2026-10-25T07:59:59[Europe/Berlin]", date(2026, 10, 23)),
        ] {
            assert_eq!(day_over(&at(now)).unwrap().range, Range::day(day), "{now}");
        }
    }

    #[test]
    fn report_is_sent_up_to_two_days_late_and_only_to_who_was_subscribed_when_it_was_due() {
        let period = last_due(Kind::Weekly, &at("2026-11-30T09:00:00[UTC]")).unwrap();
        let due = period.due_ms;
        for (subscribed, now, expected) in [
            (due, due, true),
            (due + 1, due + 1, false),
            (due - 1, due + LATE_MS - 1, true),
            (due - 1, due + LATE_MS, false),
        ] {
            assert_eq!(period.is_due(subscribed, now), expected, "{}", now - due);
        }
    }

    #[test]
    fn attempt_follows_a_deferred_one_after_growing_pauses_and_no_other() {
        let attempt = |number, state| Attempt { number, state, secret: [0; 32], time_ms: 1_000 };
        assert_eq!(next_attempt(None, 0), Some(1));
        for state in [State::Begun, State::Refused, State::Sent] {
            assert_eq!(next_attempt(Some(&attempt(1, state)), i64::MAX), None, "{state:?}");
        }
        let mut earlier = 0;
        for (number, pause) in (1..).zip(PAUSES_MS) {
            let last = attempt(number, State::Deferred);
            assert_eq!(next_attempt(Some(&last), 1_000 + pause - 1), None);
            assert_eq!(next_attempt(Some(&last), 1_000 + pause), Some(number + 1));
            assert!(pause > earlier);
            earlier = pause;
        }
        assert_eq!(next_attempt(Some(&attempt(6, State::Deferred)), i64::MAX), None, "the last one");
        assert!(PAUSES_MS.iter().sum::<i64>() < LATE_MS);
    }
}
