//! Points in time as accounts show them: they belong to no site, so they are in UTC.

use jiff::Timestamp;

/// The minute of a number of milliseconds since 1970-01-01 UTC.
pub(super) fn minute(ms: i64) -> String {
    shown(ms, "%-d %b %Y, %H:%M UTC")
}

/// The day of a number of milliseconds since 1970-01-01 UTC.
pub(super) fn day(ms: i64) -> String {
    shown(ms, "%-d %b %Y")
}

fn shown(ms: i64, format: &str) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| "–".to_owned(), |time| time.strftime(format).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_shown_in_utc_and_what_is_none_is_a_dash() {
        assert_eq!(minute(1_795_651_199_000), "25 Nov 2026, 23:59 UTC");
        assert_eq!(day(1_795_651_199_000), "25 Nov 2026");
        assert_eq!(day(i64::MAX), "–");
    }
}
