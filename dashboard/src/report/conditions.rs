//! Filters as conditions of a query, by what they choose: visits, single hits, or visits by what happened in them.
//!
//! Guarantees: texts hold names of columns and of parameters, and nothing that people type.

use std::{borrow::Cow, fmt::Write as _};

use sotto_schema::dimension::Dimension;
use sotto_store::settled::of_events::{self, Detailed};

use super::{
    Query,
    pattern::{like, literal},
};
use crate::filter::{Field, Filters, Verb};

/// What is read of settled days.
pub(super) const SETTLED: &str =
    "site = {site:UInt64} AND day BETWEEN {from:Date} AND {to:Date} AND settling IN {settled:Array(UInt64)}";
/// Tells a visit of one day from its rest on the next.
pub(super) const VISIT_OF_DAY: &str = "session + toUInt16(day)";

/// Conditions of filters, by what they choose, and their values.
#[derive(Default)]
pub(super) struct Conditions {
    /// On fields that a visit has once: place, device, source, entry, …
    pub(super) visits: String,
    /// On fields of single hits: page, host name, event.
    pub(super) hits: String,
    /// The fields that conditions on visits name.
    pub(super) fields: Vec<&'static str>,
    /// The same of hits.
    pub(super) hit_fields: Vec<&'static str>,
    /// Whether the condition on hits is that a field has one value.
    pub(super) one_value: bool,
    /// What happened at any time in a visit. Hits without a visit have no such time: whether two of them belong together is
    /// not known.
    pub(super) during: Vec<During>,
    /// Names and values of the parameters.
    pub(super) values: Vec<(String, Vec<String>)>,
}

/// What happened, or never did, at any time in a visit.
pub(super) struct During {
    of: Happened,
    never: bool,
    /// The condition on one hit of the visit.
    test: String,
}

#[derive(Clone, Copy)]
enum Happened {
    Page,
    Event,
    Prop,
}

impl Conditions {
    pub(super) fn of(query: &Query) -> Self {
        Self::named(&query.filters, "filter")
    }

    /// Conditions of filters, whose parameters have names of their own.
    pub(super) fn named(filters: &Filters, names: &str) -> Self {
        let mut all = Self::default();
        for (verb, field, values) in filters.parameters() {
            let name = format!("{names}_{}", all.values.len());
            let typed = Values { parameter: &name, first: 1, values: &values };
            let prop = match field {
                Field::Of(field) => {
                    all.add(field, verb, &typed);
                    None
                }
                Field::Visited => {
                    all.happened((Happened::Page, verb), test("page", positive(verb), &typed));
                    None
                }
                Field::Did => {
                    all.happened((Happened::Event, verb), test("event", positive(verb), &typed));
                    None
                }
                // The name of the prop is the first of the values.
                Field::Prop(prop) => {
                    let of_prop = format!("props[{{{name}:Array(String)}}[1]]");
                    let has = format!("mapContains(props, {{{name}:Array(String)}}[1])");
                    let value = test(&of_prop, positive(verb), &Values { first: 2, ..typed });
                    all.happened((Happened::Prop, verb), format!("{has} AND {value}"));
                    Some(prop)
                }
            };
            let values = prop.into_iter().chain(sought(verb, values)).collect();
            all.values.push((name, values));
        }
        all
    }

    /// A condition on a field of hits or visits.
    fn add(&mut self, field: Dimension, verb: Verb, values: &Values<'_>) {
        let of_hit = Field::Of(field).is_of_hits();
        let (text, fields) = match of_hit {
            true => (&mut self.hits, &mut self.hit_fields),
            false => (&mut self.visits, &mut self.fields),
        };
        if of_hit {
            self.one_value = text.is_empty() && verb == Verb::Is && values.values.len() == 1;
        }
        if !fields.contains(&field.name()) {
            fields.push(field.name());
        }
        // Writing to a string cannot fail.
        let _ = write!(text, " AND {}", test(field.name(), verb, values));
    }

    fn happened(&mut self, (of, verb): (Happened, Verb), test: String) {
        self.during.push(During { of, never: verb.is_negative(), test });
    }

    /// Names and values of the parameters, and more of them.
    pub(super) fn parameters(
        &self,
        more: impl IntoIterator<Item = (String, String)>,
    ) -> Vec<(String, Vec<String>)> {
        let more = more.into_iter().map(|(name, value)| (name, vec![value]));
        self.values.iter().cloned().chain(more).collect()
    }

    /// A calculation with each hit of a settled visit for which the condition holds.
    pub(super) fn of_seen(&self, function: &str, more: &[&str], value: &str) -> String {
        let names: Vec<&str> = more.iter().chain(&self.hit_fields).copied().collect();
        let seen: String = names.iter().map(|name| format!(", seen_{name}")).collect();
        format!("{function}(({}) -> {value}(true{}){seen})", names.join(", "), self.hits)
    }

    /// A condition on raw rows: that they are of a visit in which everything happened that has to.
    pub(super) fn during_raw(&self) -> String {
        self.during.iter().map(|during| during.among(&during.raw())).collect()
    }

    /// The same of settled rows.
    pub(super) fn during_settled(&self) -> String {
        self.during.iter().map(|during| during.among(&during.settled())).collect()
    }

    /// The same of settled visits, which have what they saw.
    pub(super) fn during_seen(&self) -> String {
        self.during.iter().map(During::seen).collect()
    }
}

impl During {
    /// Rows of raw hits that are what is sought.
    fn raw(&self) -> String {
        let hits = match self.of {
            Happened::Page => of_events::hits(&["page", "views"]),
            Happened::Event => of_events::hits(&["event", "events"]),
            Happened::Prop => of_events::details(Detailed::Custom, &["props"]),
        };
        format!("({hits}) WHERE session != 0 AND {}", self.counts())
    }

    /// The same of settled days.
    fn settled(&self) -> String {
        match self.of {
            Happened::Page | Happened::Event => {
                format!("settled_page_visits WHERE {SETTLED} AND measured AND {}", self.counts())
            }
            Happened::Prop => {
                let kind = Detailed::Custom.name();
                format!(
                    "settled_details WHERE {SETTLED} AND kind = '{kind}' AND session != 0 AND {}",
                    self.counts()
                )
            }
        }
    }

    /// The condition on a row.
    fn counts(&self) -> Cow<'_, str> {
        match self.of {
            Happened::Page => format!("views > 0 AND {}", self.test).into(),
            Happened::Event => format!("events > 0 AND {}", self.test).into(),
            Happened::Prop => self.test.as_str().into(),
        }
    }

    fn among(&self, rows: &str) -> String {
        let not = if self.never { "NOT " } else { "" };
        format!(" AND session != 0 AND {VISIT_OF_DAY} {not}IN (SELECT {VISIT_OF_DAY} FROM {rows})")
    }

    fn seen(&self) -> String {
        let not = if self.never { "NOT " } else { "" };
        let (names, columns) = match self.of {
            Happened::Page => ("page, views", "seen_page, seen_views"),
            Happened::Event => ("event, events", "seen_event, seen_events"),
            // Visits do not have them.
            Happened::Prop => return self.among(&self.settled()),
        };
        format!(" AND {not}arrayExists(({names}) -> {}, {columns})", self.counts())
    }
}

/// What is asked of a hit of a visit in which something is never to happen.
const fn positive(verb: Verb) -> Verb {
    match verb {
        Verb::Not => Verb::Is,
        Verb::Lacks => Verb::Has,
        Verb::Unlike => Verb::Like,
        Verb::Is | Verb::Has | Verb::Starts | Verb::Like => verb,
    }
}

/// The values of a parameter.
fn sought(verb: Verb, values: Vec<String>) -> Vec<String> {
    match verb {
        Verb::Starts => values.iter().map(|value| literal(value) + "%").collect(),
        Verb::Like | Verb::Unlike => values.iter().map(|value| like(value)).collect(),
        Verb::Is | Verb::Not | Verb::Has | Verb::Lacks => values,
    }
}

/// The values of a filter: those of a parameter from the `first` on, counted from one.
struct Values<'a> {
    parameter: &'a str,
    first: usize,
    values: &'a [String],
}

/// A condition on a column.
fn test(column: &str, verb: Verb, Values { parameter, first, values }: &Values<'_>) -> String {
    let all = format!("{{{parameter}:Array(String)}}");
    let some = if *first == 1 { all.clone() } else { format!("arraySlice({all}, {first})") };
    // With one pattern at a time, ClickHouse prepares it once.
    let any = |function: &str| {
        let numbers = *first..first + values.len();
        let each: Vec<String> =
            numbers.map(|n| format!("toString({column}) {function} {all}[{n}]")).collect();
        format!("({})", each.join(" OR "))
    };
    // Everything contains nothing, which ClickHouse says of some texts only.
    let has = match values.iter().any(String::is_empty) {
        true => "true".to_owned(),
        false => format!("multiSearchAnyCaseInsensitiveUTF8(toString({column}), {some})"),
    };
    match verb {
        Verb::Is => format!("{column} IN {some}"),
        Verb::Not => format!("{column} NOT IN {some}"),
        Verb::Has => has,
        Verb::Lacks => format!("NOT {has}"),
        Verb::Starts => any("ILIKE"),
        Verb::Like => any("LIKE"),
        Verb::Unlike => format!("NOT {}", any("LIKE")),
    }
}
