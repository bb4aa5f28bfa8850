//! The commonest values of a field, with how many visitors or events they stand for, under the other filters of the page.

use crate::{
    filter::{Field, Filter, Filters, Verb},
    labels,
    page::PageError,
    report::{Dimension, Metric, Query, Reports, Sources, archive, details::Details, run},
    view::View,
};

/// How many values are proposed.
const VALUES_MAX: usize = 40;
/// The longest text that is searched for, in characters.
const SEARCH_CHARS_MAX: usize = 200;

/// What is proposed of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Proposed {
    /// Values by this dimension, for a field that compares the same.
    By(Dimension, Field),
    /// Names of props with their values.
    Props,
}

impl Proposed {
    /// The field that was chosen, by its name in the form; props are for members.
    pub(super) fn of(name: &str, member: bool) -> Option<Self> {
        match Field::from_name(name) {
            Some(Field::Of(dimension)) => Some(Self::By(dimension, dimension.into())),
            Some(Field::Visited) => Some(Self::By(Dimension::Page, Field::Visited)),
            Some(Field::Did) => Some(Self::By(Dimension::Event, Field::Did)),
            Some(Field::Prop(_)) => None,
            None => (name == "prop" && member).then_some(Self::Props),
        }
    }

    /// The name in the form.
    pub(super) fn name(&self) -> String {
        match self {
            Self::By(_, field) => field.name().into_owned(),
            Self::Props => "prop".into(),
        }
    }

    /// For people.
    pub(super) fn label(&self) -> String {
        match self {
            Self::By(_, field) => field.label().into_owned(),
            Self::Props => "Prop of an event".into(),
        }
    }

    /// What their figures are.
    pub(super) const fn counts(&self) -> &'static str {
        match self {
            Self::By(dimension, _) if !dimension.is_of_events() => "Visitors",
            Self::By(..) | Self::Props => "Events",
        }
    }
}

/// A value, and how often there is it.
pub(super) struct Suggestion {
    /// As it is typed.
    pub(super) text: String,
    pub(super) count: u64,
    pub(super) filter: Filter,
}

/// The commonest values that contain `search`.
pub(super) async fn suggestions(
    db: &Reports,
    (query, proposed): (&Query, &Proposed),
    search: &str,
) -> Result<Vec<Suggestion>, PageError> {
    let search: String = search.trim().chars().take(SEARCH_CHARS_MAX).collect();
    match proposed {
        Proposed::By(by, field) => values(db, query, (*by, field), &search).await,
        Proposed::Props => props(db, query, &search).await,
    }
}

async fn values(
    db: &Reports,
    query: &Query,
    (by, field): (Dimension, &Field),
    search: &str,
) -> Result<Vec<Suggestion>, PageError> {
    let sort = if by.is_of_events() { Metric::Events } else { Metric::Visitors };
    // Other values of a field are alternatives to those that are chosen.
    let filters = query.filters.without_field(field).without_field(&by.into());
    let searched =
        Filter::new(by, Verb::Has, &labels::search(by, search)).filter(|_| is_searched_there(by, search));
    let filters = searched.into_iter().fold(filters, Filters::with);
    let query = Query { by: Some(by), filters, metrics: vec![sort], limit: limit(by), ..query.clone() };
    let table = run(db, &query).await?;
    let suggestion = |row: &crate::report::TableRow| {
        let text = labels::label(by, &row.value);
        let count = if sort == Metric::Events { row.counts.events } else { row.counts.visitors };
        let filter = Filter::new(field.clone(), Verb::Is, &row.value)?;
        (row.value != archive::REST && count > 0 && contains(&text, search)).then_some(Suggestion {
            text,
            count,
            filter,
        })
    };
    Ok(table.rows.iter().filter_map(suggestion).take(VALUES_MAX).collect())
}

/// Whether values are stored as people see them, so that ClickHouse finds them by that; the others are few, and are searched
/// here.
fn is_searched_there(by: Dimension, search: &str) -> bool {
    !search.is_empty() && !labels::is_named(by)
}

const fn limit(by: Dimension) -> u64 {
    if labels::is_named(by) { 1_000 } else { 2 * VALUES_MAX as u64 }
}

fn contains(text: &str, search: &str) -> bool {
    text.to_lowercase().contains(&search.to_lowercase())
}

async fn props(db: &Reports, query: &Query, search: &str) -> Result<Vec<Suggestion>, PageError> {
    let sources = Sources::of(db, &query.scope, query.range).await?;
    let rows = Details::Props.run(db, &sources, query).await?;
    let suggestion = |row: &crate::report::Told| {
        let [prop, value] = row.values.as_slice() else { return None };
        let text = format!("{prop}={value}");
        let filter = Filter::new(Field::Prop(prop.clone()), Verb::Is, value)?;
        // The first number of a row is how often.
        let count = row.numbers.first().map_or(0, |times| *times as u64);
        contains(&text, search).then_some(Suggestion { text, count, filter })
    };
    Ok(rows.iter().filter_map(suggestion).take(VALUES_MAX).collect())
}

/// The link that adds a value to the filters.
pub(super) fn link(view: &View, base: &str, suggestion: &Suggestion) -> String {
    view.with_filter(suggestion.filter.clone()).link(base)
}
