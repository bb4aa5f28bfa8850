//! Formats figures for display.

use crate::report::Metric;

/// `12,345`.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 day`, `12,345 days`.
pub(crate) fn counted(n: u64, one: &str) -> String {
    format!("{} {one}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// `9,876`, `12.3k`, `4.5M`.
#[allow(clippy::cast_precision_loss)] // One digit after the point is shown.
pub(crate) fn compact(n: u64) -> String {
    let short = |divisor: f64, unit: &str| {
        let value = n as f64 / divisor;
        if value < 99.95 { format!("{value:.1}{unit}") } else { format!("{value:.0}{unit}") }
    };
    match n {
        0..10_000 => grouped(n),
        10_000..999_500 => short(1e3, "k"),
        999_500..999_500_000 => short(1e6, "M"),
        _ => short(1e9, "G"),
    }
}

/// `1m 24s`.
fn duration(seconds: f64) -> String {
    let seconds = whole(seconds);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m {:02}s", seconds % 60),
        _ => format!("{hours}h {minutes:02}m"),
    }
}

/// A count with commas.
pub(crate) fn grouped_of(n: f64) -> String {
    grouped(whole(n))
}

/// Milliseconds: `140 ms`, `2.4 s`.
pub(crate) fn ms(n: f64) -> String {
    if n < 999.5 { format!("{n:.0} ms") } else { format!("{:.1} s", n / 1_000.0) }
}

/// A shift of the layout, which has no unit: `0.08`.
pub(crate) fn shift(n: f64) -> String {
    format!("{n:.2}")
}

/// An amount of money: `1,234.50 EUR`.
pub(crate) fn money(amount: f64, currency: &str) -> String {
    let cents = whole((amount * 100.0).abs());
    let sign = if amount < 0.0 { "−" } else { "" };
    format!("{sign}{}.{:02} {currency}", grouped(cents / 100), cents % 100)
}

/// A count on an average day: `0.4`, `12`, `12.3k`.
pub(crate) fn average(n: f64) -> String {
    if n == 0.0 || n >= 9.95 { compact(whole(n)) } else { format!("{n:.1}") }
}

/// How dark a figure is drawn, from 1 to 5 by the greatest; 0 is nothing.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Clamped.
pub(crate) fn shade(value: f64, most: f64) -> u8 {
    if value <= 0.0 { 0 } else { (5.0 * value / most).ceil().clamp(1.0, 5.0) as u8 }
}

/// A share in per cent: `42%`.
pub(crate) fn percent(part: f64, all: f64) -> String {
    share(whole(part), whole(all))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Clamped to what u64 holds exactly.
pub(crate) fn whole(value: f64) -> u64 {
    value.round().clamp(0.0, 9e15) as u64
}

/// A metric's figure; `–` if there is none.
pub(crate) fn figure(metric: Metric, value: Option<f64>) -> String {
    let Some(value) = value else { return "–".into() };
    match metric {
        Metric::Visitors | Metric::Visits | Metric::Pageviews | Metric::Events => compact(whole(value)),
        Metric::BounceRate => format!("{:.0}%", value * 100.0),
        Metric::EngagedSeconds => duration(value),
        Metric::ViewsPerVisit => format!("{value:.2}"),
    }
}

/// The same in full precision.
pub(crate) fn exact(metric: Metric, value: Option<f64>) -> String {
    match (metric, value) {
        (Metric::Visitors | Metric::Visits | Metric::Pageviews | Metric::Events, Some(value)) => {
            grouped(whole(value))
        }
        (Metric::BounceRate, Some(value)) => format!("{:.1}%", value * 100.0),
        (metric, value) => figure(metric, value),
    }
}

/// A share in per cent: `<1%`, `42%`.
#[allow(clippy::cast_precision_loss)] // Per cent are shown.
pub(crate) fn share(part: u64, whole: u64) -> String {
    if whole == 0 || part == 0 {
        return "0%".into();
    }
    let percent = 100.0 * part as f64 / whole as f64;
    if percent < 1.0 {
        "<1%".into()
    } else if percent > 99.0 && part < whole {
        "99%".into()
    } else {
        format!("{percent:.0}%")
    }
}

/// A share in per cent with one digit after the point, of something rare: `0.7%`; `–` of nothing.
#[allow(clippy::cast_precision_loss)] // One digit after the point is shown.
pub(crate) fn rate(part: u64, whole: u64) -> String {
    if whole == 0 { "–".into() } else { format!("{:.1}%", 100.0 * part as f64 / whole as f64) }
}

/// How a figure changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// `12%`, without a sign; `2 pts` of a rate.
    pub(crate) size: String,
    pub(crate) direction: Direction,
    /// Whether the change is welcome.
    pub(crate) good: bool,
}

/// Where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
    Flat,
}

impl Change {
    /// The word for what happened.
    pub(crate) const fn word(&self) -> &'static str {
        match self.direction {
            Direction::Up => "up",
            Direction::Down => "down",
            Direction::Flat => "flat",
        }
    }

    /// The sign for it.
    pub(crate) const fn arrow(&self) -> char {
        match self.direction {
            Direction::Up => '↑',
            Direction::Down => '↓',
            Direction::Flat => '→',
        }
    }

    /// From `before` to `now`; `None` where there was nothing before.
    pub(crate) fn between(metric: Metric, now: Option<f64>, before: Option<f64>) -> Option<Self> {
        let (now, before) = (now?, before.filter(|b| *b > 0.0)?);
        // A rate that goes from 49 % to 50 % is up by one point, not by two per cent.
        let rate = metric == Metric::BounceRate;
        let percent = if rate {
            (now * 100.0).round() - (before * 100.0).round()
        } else {
            (now - before) / before * 100.0
        };
        let rounded = percent.abs().round();
        let direction = match percent {
            _ if rounded < 1.0 => Direction::Flat,
            p if p > 0.0 => Direction::Up,
            _ => Direction::Down,
        };
        let size = if rate {
            format!("{rounded:.0} {}", if rounded == 1.0 { "pt" } else { "pts" })
        } else if rounded > 999.0 {
            format!("{:.0}×", now / before)
        } else {
            format!("{rounded:.0}%")
        };
        Some(Self { size, direction, good: (percent > 0.0) != metric.less_is_better() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_all_else_plural() {
        for (n, expected) in [(0, "0 days"), (1, "1 day"), (2, "2 days"), (12_345, "12,345 days")] {
            assert_eq!(counted(n, "day"), expected);
        }
    }

    #[test]
    fn number_is_short_and_never_rounds_into_the_next_unit() {
        for (n, expected) in [
            (0, "0"),
            (9_999, "9,999"),
            (10_000, "10.0k"),
            (99_949, "99.9k"),
            (99_950, "100k"),
            (999_499, "999k"),
            (999_500, "1.0M"),
            (1_234_567, "1.2M"),
        ] {
            assert_eq!(compact(n), expected);
        }
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn share_never_hides_something_nor_claims_everything() {
        assert_eq!(share(0, 0), "0%");
        assert_eq!(share(1, 1_000), "<1%");
        assert_eq!(share(999, 1_000), "99%");
        assert_eq!(share(1_000, 1_000), "100%");
        assert_eq!(share(1, 3), "33%");
    }

    #[test]
    fn duration_has_two_parts_at_most() {
        let at = |s| figure(Metric::EngagedSeconds, Some(s));
        assert_eq!([at(0.4), at(59.0), at(61.0), at(3_661.0)], ["0s", "59s", "1m 01s", "1h 01m"]);
        assert_eq!(figure(Metric::EngagedSeconds, None), "–");
    }

    #[test]
    fn smaller_bounce_rate_is_welcome() {
        let change = Change::between(Metric::BounceRate, Some(0.4), Some(0.5)).unwrap();
        assert_eq!((change.direction, change.good, change.size.as_str()), (Direction::Down, true, "10 pts"));
        let point = Change::between(Metric::BounceRate, Some(0.5), Some(0.49)).unwrap();
        assert_eq!((point.direction, point.good, point.size.as_str()), (Direction::Up, false, "1 pt"));
        assert_eq!(Change::between(Metric::Visitors, Some(1.0), Some(0.0)), None);
        let same = Change::between(Metric::Visitors, Some(1000.0), Some(1001.0)).unwrap();
        assert_eq!(same.direction, Direction::Flat);
    }
}
