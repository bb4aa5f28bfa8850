//! Above the graph: period, comparison, filters, and the key figures.

use super::{KEY_METRICS, Subject, before_label};
use crate::{
    figures::{Change, exact, figure},
    filter::Verb,
    labels,
    range::Period,
    report::{Counts, Dimension, Metric},
    routes::period::{self, Choice, periods},
    view::View,
};

/// A filter in force.
pub(in crate::routes) struct Chip {
    pub(in crate::routes) field: &'static str,
    pub(in crate::routes) verb: &'static str,
    pub(in crate::routes) value: String,
    pub(in crate::routes) remove: String,
}

pub(in crate::routes) struct Header {
    pub(in crate::routes) period: String,
    pub(in crate::routes) periods: Vec<Choice>,
    /// First and last day, for the date form.
    pub(in crate::routes) from: String,
    pub(in crate::routes) to: String,
    pub(in crate::routes) today: String,
    /// Days and clock, for people.
    pub(in crate::routes) days: String,
    /// Explains why other days are shown than requested.
    pub(in crate::routes) refused: Option<String>,
    pub(in crate::routes) compared: Option<String>,
    pub(in crate::routes) compare_link: String,
    pub(in crate::routes) today_link: String,
    /// The other pages about the same period.
    pub(in crate::routes) goals_link: String,
    pub(in crate::routes) paths_link: String,
    pub(in crate::routes) funnels_link: String,
    pub(in crate::routes) consent_link: String,
    pub(in crate::routes) quality_link: String,
    pub(in crate::routes) chips: Vec<Chip>,
    pub(in crate::routes) clear: String,
    /// Hidden fields of the form that adds a filter.
    pub(in crate::routes) state: Vec<(String, String)>,
    /// The fields to choose from there, with their labels.
    pub(in crate::routes) fields: Vec<(&'static str, &'static str)>,
    /// Hidden fields of the date form.
    pub(in crate::routes) hidden: Vec<(String, String)>,
}

/// A key figure.
pub(in crate::routes) struct Key {
    pub(in crate::routes) label: &'static str,
    pub(in crate::routes) help: &'static str,
    pub(in crate::routes) value: String,
    pub(in crate::routes) exact: String,
    pub(in crate::routes) change: Option<Change>,
    /// Whether there was nothing before.
    pub(in crate::routes) new: bool,
    pub(in crate::routes) link: String,
    pub(in crate::routes) current: bool,
}

pub(in crate::routes) fn build(asked: &Subject<'_>) -> Header {
    let (view, key) = (asked.view, asked.key);
    let link = |view: View| asked.link(&view);
    let range = asked.query.range;
    let chips = view
        .filters
        .iter()
        .map(|filter| Chip {
            field: filter.field.label(),
            verb: filter.verb.label(),
            value: match filter.verb {
                Verb::Has => filter.value.clone(),
                Verb::Is | Verb::Not => labels::label(filter.field, &filter.value),
            },
            remove: link(view.without_filter(filter)),
        })
        .collect();
    let rest = view.with_period(Period::Month).query();
    let beside = |page: &str| {
        let query = view.query();
        format!("/s/{key}/{page}{}{query}", if query.is_empty() { "" } else { "?" })
    };
    let fields = |query: &str| {
        let own = asked.own.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        url::form_urlencoded::parse(query.as_bytes()).into_owned().chain(own).collect()
    };
    Header {
        period: view.period.label(),
        periods: periods(view.period, |period| link(view.with_period(period))),
        from: range.from.to_string(),
        to: range.to.to_string(),
        today: asked.now.date().to_string(),
        days: range.label(),
        refused: view.refused.as_ref().map(period::refused),
        compared: asked.before.as_ref().map(|q| before_label(view.period, q.range)),
        compare_link: link(view.with_compare(!view.compare)),
        today_link: view.with_period(Period::Today).link(key),
        goals_link: beside("goals"),
        paths_link: beside("paths"),
        funnels_link: beside("funnels"),
        consent_link: period::link(key, "consent", view.period),
        quality_link: period::link(key, "quality", view.period),
        chips,
        clear: link(view.without_filters()),
        state: fields(&view.query()),
        fields: Dimension::ALL.into_iter().filter(|d| !d.is_time()).map(|d| (d.name(), d.label())).collect(),
        hidden: fields(&rest),
    }
}

pub(in crate::routes) fn keys(asked: &Subject<'_>, (now, before): (Counts, Option<Counts>)) -> Vec<Key> {
    let key = |metric: Metric| {
        let value = metric.of(&now);
        let (label, help) = metric.of_chosen(&asked.view.filters);
        Key {
            label,
            help,
            value: figure(metric, value),
            exact: exact(metric, value),
            new: before.is_some_and(|b| metric.of(&b).is_none_or(|v| v == 0.0))
                && value.is_some_and(|v| v > 0.0),
            change: before.and_then(|b| Change::between(metric, value, metric.of(&b))),
            link: asked.view.with_metric(metric).link(asked.key),
            current: asked.view.metric == metric,
        }
    };
    KEY_METRICS.map(key).into()
}
