//! Above the graph: period, comparison, filters, and the key figures.

use super::{KEY_METRICS, Subject, before_label};
use crate::{
    figures::{Change, exact, figure},
    filter::{self, Filter},
    labels,
    range::Period,
    report::{Counts, Metric},
    routes::period::{self, Choice, periods},
    view::View,
};

/// A filter in force.
pub(in crate::routes) struct Chip {
    pub(in crate::routes) field: String,
    pub(in crate::routes) verb: &'static str,
    pub(in crate::routes) value: String,
    pub(in crate::routes) remove: String,
}

/// A page that stands beside this one.
pub(in crate::routes) struct Beside {
    pub(in crate::routes) label: &'static str,
    pub(in crate::routes) link: String,
    pub(in crate::routes) current: bool,
}

/// The pages on what visitors do, by their place below the overview.
const BEHAVIOUR: [(&str, &str); 9] = [
    ("/goals", "Goals"),
    ("/funnels", "Funnels"),
    ("/paths", "Paths"),
    ("/events", "Events"),
    ("/reading", "Reading"),
    ("/clicks", "Clicks"),
    ("/vitals", "Speed"),
    ("/hours", "Hours"),
    ("/not-found", "Not found"),
];

fn behaviour(asked: &Subject<'_>) -> Vec<Beside> {
    if !asked.member {
        return Vec::new();
    }
    let query = asked.view.query();
    let mark = if query.is_empty() { "" } else { "?" };
    let beside = |(below, label): (&str, &'static str)| Beside {
        label,
        link: format!("{}{below}{mark}{query}", asked.base),
        current: asked.below.starts_with(below),
    };
    BEHAVIOUR.map(beside).into()
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
    /// The other pages about the same period.
    pub(in crate::routes) goals_link: String,
    pub(in crate::routes) consent_link: String,
    pub(in crate::routes) quality_link: String,
    /// The pages on what visitors do, for members.
    pub(in crate::routes) behaviour: Vec<Beside>,
    pub(in crate::routes) chips: Vec<Chip>,
    /// What a shared link lays down, for people.
    pub(in crate::routes) fixed: Vec<String>,
    pub(in crate::routes) clear: String,
    /// The page of all that can be filtered.
    pub(in crate::routes) filter_link: String,
    /// Hidden fields of the form that adds a filter.
    pub(in crate::routes) state: Vec<(String, String)>,
    /// The fields and the conditions to choose from there, with their labels.
    pub(in crate::routes) fields: Vec<(&'static str, &'static str)>,
    pub(in crate::routes) verbs: Vec<(&'static str, &'static str)>,
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

/// The value of a filter, for people.
fn value(filter: &Filter) -> String {
    match filter.field.dimension() {
        Some(dimension) if filter.verb.is_of_values() => labels::label(dimension, &filter.value),
        Some(_) | None => filter.value.clone(),
    }
}

/// A filter, for people.
pub(in crate::routes) fn in_words(filter: &Filter) -> String {
    format!("{} {} {}", filter.field.label(), filter.verb_label(), value(filter))
}

pub(in crate::routes) fn build(asked: &Subject<'_>) -> Header {
    let (view, base) = (asked.view, asked.base);
    let link = |view: View| asked.link(&view);
    let range = asked.query.range;
    let chips = view
        .filters
        .each()
        .map(|filter| Chip {
            field: filter.field.label().into_owned(),
            verb: filter.verb_label(),
            value: value(filter),
            remove: link(view.without_filter(filter)),
        })
        .collect();
    let rest = view.with_period(Period::Month).query();
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
        goals_link: {
            let query = view.query();
            format!("{base}/goals{}{query}", if query.is_empty() { "" } else { "?" })
        },
        consent_link: period::link(base, "consent", view.period),
        quality_link: period::link(base, "quality", view.period),
        behaviour: behaviour(asked),
        chips,
        fixed: asked.fixed.each().map(in_words).collect(),
        clear: link(view.without_filters()),
        filter_link: {
            let query = view.query();
            format!("{base}/filter{}{query}", if query.is_empty() { "" } else { "?" })
        },
        state: fields(&view.query()),
        fields: filter::field::choices(asked.member),
        verbs: filter::verb::choices(),
        hidden: fields(&rest),
    }
}

pub(in crate::routes) fn keys(asked: &Subject<'_>, (now, before): (Counts, Option<Counts>)) -> Vec<Key> {
    let key = |metric: Metric| {
        let value = metric.of(&now);
        let (label, help) = metric.of_chosen(&asked.query.filters);
        Key {
            label,
            help,
            value: figure(metric, value),
            exact: exact(metric, value),
            new: before.is_some_and(|b| metric.of(&b).is_none_or(|v| v == 0.0))
                && value.is_some_and(|v| v > 0.0),
            change: before.and_then(|b| Change::between(metric, value, metric.of(&b))),
            link: asked.view.with_metric(metric).link(asked.base),
            current: asked.view.metric == metric,
        }
    };
    KEY_METRICS.map(key).into()
}
