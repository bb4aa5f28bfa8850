//! The countries of a list on a map of the world.

use std::collections::HashMap;

use crate::{
    figures::{exact, shade},
    filter::{Filter, Verb},
    labels, places,
    report::{Dimension, Metric, TableRow},
    view::View,
};

/// The most countries there are: what is read of a list that has a map.
pub(super) const COUNTRIES_MAX: u64 = 300;

/// A country as it is drawn.
pub(super) struct Country {
    pub(super) outline: &'static str,
    /// From 0 to 5.
    pub(super) shade: u8,
    /// Name and figure; empty if nobody came from there.
    pub(super) title: String,
    /// The overview of those who came from there.
    pub(super) link: String,
}

/// All countries that can be drawn, those with visitors shaded by a metric. Nothing if there are none.
#[allow(clippy::cast_precision_loss)] // Shades are few.
pub(super) fn countries(rows: &[TableRow], metric: Metric, view: &View, base: &str) -> Vec<Country> {
    let found: HashMap<&str, f64> = rows
        .iter()
        .filter_map(|row| Some((row.value.as_str(), metric.of(&row.counts)?)))
        .filter(|(_, value)| *value > 0.0)
        .collect();
    let most = found.values().copied().fold(0.0, f64::max);
    let country = |(code, outline): (&'static str, &'static str)| {
        let value = found.get(code).copied();
        let from = Filter::new(Dimension::Country, Verb::Is, code).filter(|_| value.is_some());
        Country {
            outline,
            // By the square root: a country at home often has twenty times as many as the next.
            shade: value.map_or(0, |value| shade(value.sqrt(), most.sqrt())),
            title: value.map_or_else(String::new, |value| {
                let (label, number) = (labels::label(Dimension::Country, code), exact(metric, Some(value)));
                format!("{label}: {number} {}", metric.label().to_lowercase())
            }),
            link: from.map_or_else(String::new, |from| view.with_filter(from).link(base)),
        }
    };
    let any = places::outlines().any(|(code, _)| found.contains_key(code));
    if any { places::outlines().map(country).collect() } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::report::Counts;

    #[test]
    fn country_with_most_visitors_is_darkest_and_one_without_has_no_link() {
        let row = |code: &str, visitors| TableRow {
            value: code.into(),
            figures: Vec::new(),
            counts: Counts { visitors, ..Counts::default() },
        };
        let view = View::parse("p=7d", date(2026, 3, 31));
        let rows = [row("DE", 1_000), row("AT", 30), row("", 7), row("(rest)", 9)];
        let drawn = countries(&rows, Metric::Visitors, &view, "/s/a");
        let titles: Vec<_> =
            drawn.iter().filter(|c| c.shade > 0).map(|c| (c.shade, &*c.title, &*c.link)).collect();
        assert_eq!(
            titles,
            [
                (1, "Austria: 30 visitors", "/s/a?p=7d&f=country:is:AT"),
                (5, "Germany: 1,000 visitors", "/s/a?p=7d&f=country:is:DE"),
            ]
        );
        assert!(drawn.iter().filter(|c| c.shade == 0).all(|c| c.link.is_empty() && c.title.is_empty()));
        assert_eq!(countries(&rows[2..], Metric::Visitors, &view, "/s/a").len(), 0, "nothing to be seen");
    }
}
