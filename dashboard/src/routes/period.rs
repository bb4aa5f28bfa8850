//! The period menu, and the head of pages that have no other state.

use jiff::civil::Date;
use url::form_urlencoded;

use crate::{
    range::{Period, Range, RangeError},
    report::Query,
};

/// The address of a report as a file of CSV; `own` is what it asks besides days and filters.
pub(super) fn file(key: &str, report: &str, query: &Query, own: &[(&str, &str)]) -> String {
    let mut out = form_urlencoded::Serializer::new(String::new());
    out.append_pair("from", &query.range.from.to_string()).append_pair("to", &query.range.to.to_string());
    out.extend_pairs(own);
    out.extend_pairs(query.filters.equations().map(|equation| ("filter", equation)));
    format!("/api/v1/sites/{key}/{report}?{}", out.append_pair("format", "csv").finish())
}

/// A link that may be the current choice.
pub(super) struct Choice {
    pub(super) label: String,
    pub(super) link: String,
    pub(super) current: bool,
    /// Key that chooses it.
    pub(super) shortcut: &'static str,
}

/// The head of such a page.
pub(super) struct Head {
    /// The chosen period.
    pub(super) period: String,
    pub(super) periods: Vec<Choice>,
    /// First and last day, for the date form.
    pub(super) from: String,
    pub(super) to: String,
    pub(super) today: String,
    /// The days, for people.
    pub(super) days: String,
    /// The period's query parameters, for other forms.
    pub(super) chosen: Vec<(&'static str, String)>,
    /// Hidden fields of the date form.
    pub(super) hidden: Vec<(String, String)>,
    /// Explains why other days are shown than requested.
    pub(super) refused: Option<String>,
    /// The overview of the same period.
    pub(super) back: String,
    /// The days themselves.
    pub(super) range: Range,
}

const SHORTCUTS: [&str; 7] = ["T", "E", "W", "M", "L", "Q", "Y"];

/// The periods to choose from; `link` says where each leads.
pub(super) fn periods(current: Period, link: impl Fn(Period) -> String) -> Vec<Choice> {
    Period::NAMED
        .into_iter()
        .zip(SHORTCUTS)
        .map(|(period, shortcut)| Choice {
            label: period.label(),
            link: link(period),
            current: period == current,
            shortcut,
        })
        .collect()
}

/// The first value of a query parameter.
pub(super) fn first(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == name).map(|(_, v)| v.into_owned())
}

/// The period that a query string selects.
pub(super) fn parse(query: &str, today: Date) -> Period {
    let [p, from, to] = ["p", "from", "to"].map(|name| first(query, name));
    Period::parse(p.as_deref(), from.as_deref(), to.as_deref(), today)
}

/// The link to a page of the site whose pages begin with `base`, about a period; the overview when `page` is empty.
pub(super) fn link(base: &str, page: &str, period: Period) -> String {
    let slash = if page.is_empty() { "" } else { "/" };
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(period.pairs()).finish();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{base}{slash}{page}{mark}{query}")
}

/// Explains why other days are shown than requested.
pub(super) fn refused(error: &RangeError) -> String {
    format!("Showing the last 30 days: {error}.")
}

/// The head of a page of a site, about the period that the address chooses.
pub(super) fn head(base: &str, page: &str, query: &str, today: Date) -> Head {
    let period = parse(query, today);
    let [p, from, to] = ["p", "from", "to"].map(|name| first(query, name));
    let refusal = Period::refusal(p.as_deref(), from.as_deref(), to.as_deref(), today);
    let range = period.range(today);
    Head {
        period: period.label(),
        periods: periods(period, |period| link(base, page, period)),
        from: range.from.to_string(),
        to: range.to.to_string(),
        today: today.to_string(),
        days: range.label(),
        chosen: period.pairs(),
        hidden: Vec::new(),
        refused: refusal.as_ref().map(refused),
        back: link(base, "", period),
        range,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn reversed_days_are_said_and_not_only_replaced() {
        let today = date(2026, 3, 31);
        let head = head("/s/a", "quality", "p=custom&from=2026-03-09&to=2026-03-01", today);
        assert_eq!(head.range, Period::Month.range(today));
        assert_eq!(
            head.refused.as_deref(),
            Some("Showing the last 30 days: the first day is after the last one.")
        );
    }

    #[test]
    fn link_is_read_as_the_period_it_was_made_for() {
        let today = date(2026, 3, 31);
        let custom = Range { from: date(2026, 3, 1), to: date(2026, 3, 2) };
        for (period, expected) in [
            (Period::Month, "/s/a/quality"),
            (Period::Week, "/s/a/quality?p=7d"),
            (Period::Custom(custom), "/s/a/quality?p=custom&from=2026-03-01&to=2026-03-02"),
        ] {
            let made = link("/s/a", "quality", period);
            assert_eq!(made, expected);
            assert_eq!(parse(made.split_once('?').map_or("", |(_, q)| q), today), period);
        }
        assert_eq!(link("/s/a", "", Period::Today), "/s/a?p=today");
    }
}
