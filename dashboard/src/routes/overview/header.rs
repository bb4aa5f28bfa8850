//! Above the graph: period, comparison, filters, and the key figures.

use super::{Asked, KEY_METRICS, before_label};
use crate::{
    figures::{Change, exact, figure},
    filter::Verb,
    places,
    range::Period,
    report::{Counts, Metric},
};

/// A link that may be the current choice.
pub(super) struct Choice {
    pub(super) label: String,
    pub(super) link: String,
    pub(super) current: bool,
    /// Key that chooses it.
    pub(super) shortcut: &'static str,
}

/// A filter in force.
pub(super) struct Chip {
    pub(super) field: &'static str,
    pub(super) verb: &'static str,
    pub(super) value: String,
    pub(super) remove: String,
}

pub(super) struct Header {
    pub(super) period: String,
    pub(super) periods: Vec<Choice>,
    /// First and last day, for the form.
    pub(super) from: String,
    pub(super) to: String,
    pub(super) today: String,
    /// Days and clock, for people.
    pub(super) days: String,
    pub(super) compared: Option<String>,
    pub(super) compare_link: String,
    pub(super) chips: Vec<Chip>,
    pub(super) clear: String,
    /// The rest of the address, for the form of days.
    pub(super) hidden: Vec<(String, String)>,
}

/// A key figure.
pub(super) struct Key {
    pub(super) label: &'static str,
    pub(super) help: &'static str,
    pub(super) value: String,
    pub(super) exact: String,
    pub(super) change: Option<Change>,
    pub(super) link: String,
    pub(super) current: bool,
}

const SHORTCUTS: [&str; 6] = ["T", "E", "W", "M", "Q", "Y"];

pub(super) fn build(asked: &Asked<'_>) -> Header {
    let (view, key) = (asked.view, asked.key);
    let range = asked.query.range;
    let periods = Period::NAMED
        .into_iter()
        .zip(SHORTCUTS)
        .map(|(period, shortcut)| Choice {
            label: period.label(),
            link: view.with_period(period).link(key),
            current: view.period == period,
            shortcut,
        })
        .collect();
    let chips = view
        .filters
        .iter()
        .map(|filter| Chip {
            field: filter.field.label(),
            verb: filter.verb.label(),
            value: match filter.verb {
                Verb::Has => filter.value.clone(),
                Verb::Is | Verb::Not => places::label(filter.field, &filter.value),
            },
            remove: view.without_filter(filter).link(key),
        })
        .collect();
    let rest = view.with_period(Period::Month).query();
    Header {
        period: view.period.label(),
        periods,
        from: range.from.to_string(),
        to: range.to.to_string(),
        today: asked.now.date().to_string(),
        days: range.label(),
        compared: asked.before.as_ref().map(|q| before_label(view.period, q.range)),
        compare_link: view.with_compare(!view.compare).link(key),
        chips,
        clear: view.without_filters().link(key),
        hidden: url::form_urlencoded::parse(rest.as_bytes()).into_owned().collect(),
    }
}

pub(super) fn keys(asked: &Asked<'_>, (now, before): (Counts, Option<Counts>)) -> Vec<Key> {
    let key = |metric: Metric| {
        let value = metric.of(&now);
        Key {
            label: metric.label(),
            help: metric.help(),
            value: figure(metric, value),
            exact: exact(metric, value),
            change: before.and_then(|b| Change::between(metric, value, metric.of(&b))),
            link: asked.view.with_metric(metric).link(asked.key),
            current: asked.view.metric == metric,
        }
    };
    KEY_METRICS.map(key).into()
}
