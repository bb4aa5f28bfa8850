//! `filters`: the tree of conditions of a question, as filters of a report.
//!
//! A report's filters are groups that all have to hold; within a group, alternatives on one field. What cannot be said so
//! exactly (`or` of different fields, what is not like a part of a prop's value, …) is refused. Cases count in `contains`, as
//! they do at Plausible.

use serde_json::Value;
use sotto_schema::dimension::Dimension;
use sotto_store::goal::{Goal, Kind};

use super::{
    names::{GOAL, PROP, Valued, filterable, why_not},
    pattern,
    problem::Problem,
};
use crate::filter::{FILTERS_MAX, Field, Filter, Filters, VALUE_BYTES_MAX, Verb};

pub(super) const FIELD: &str = "filters";
/// How deep conditions may lie in each other.
const DEPTH_MAX: usize = 8;
/// The value of events without a prop.
pub(super) const NO_PROP: &str = "(none)";
/// The name that pageviews have among events at Plausible.
const PAGEVIEW: &str = "pageview";
pub(super) const COMPARISONS: [&str; 6] =
    ["is", "is_not", "contains", "contains_not", "matches", "matches_not"];
const OPERATORS: [&str; 11] = [
    "is",
    "is_not",
    "contains",
    "contains_not",
    "matches",
    "matches_not",
    "and",
    "or",
    "not",
    "has_done",
    "has_not_done",
];

/// What a group chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Chooses {
    /// Visits, by what they have once.
    Visits,
    /// Visits, by what happened in them at any time.
    Done,
    /// Hits, by their page, host name or event.
    Hits(Dimension),
    /// Visits in which goals were completed: at Plausible, the events that complete them.
    Goals(Vec<Goal>),
    /// Visits with a value of a prop: at Plausible, the events that have it.
    Prop(String),
}

/// Filters that are alternatives to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) filters: Vec<Filter>,
    pub(super) chooses: Chooses,
    /// Whether it is one on the name of events that leaves pageviews out.
    pub(super) without_pageviews: bool,
    /// Whether it leaves events out that do not have the prop, and nothing else.
    pub(super) without_no_prop: bool,
    /// Whether it stands inside of another.
    pub(super) nested: bool,
}

impl Group {
    fn new(filters: Vec<Filter>, chooses: Chooses) -> Self {
        Self { filters, chooses, without_pageviews: false, without_no_prop: false, nested: false }
    }
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) groups: Vec<Group>,
}

impl Chosen {
    /// Filters of a report, of the groups to `keep`.
    pub(super) fn filters(&self, keep: impl Fn(&Group) -> bool) -> Filters {
        let groups = self.groups.iter().filter(|group| keep(group));
        groups.fold(Filters::default(), |all, group| all.besides(group.filters.clone()))
    }

    pub(super) fn any(&self, which: impl Fn(&Chooses) -> bool) -> bool {
        self.groups.iter().any(|group| which(&group.chooses))
    }

    /// Whether there is a filter on what events have, which chooses visits.
    pub(super) fn of_events(&self) -> bool {
        self.any(|chooses| matches!(chooses, Chooses::Goals(_) | Chooses::Prop(_)))
    }

    /// The goals that are chosen, where there is a filter on goals.
    pub(super) fn goals(&self) -> Option<&[Goal]> {
        self.groups.iter().find_map(|group| match &group.chooses {
            Chooses::Goals(goals) => Some(goals.as_slice()),
            Chooses::Visits | Chooses::Done | Chooses::Hits(_) | Chooses::Prop(_) => None,
        })
    }
}

/// Where in the question a condition is, and in what.
#[derive(Clone, Copy)]
struct At<'a> {
    path: &'a str,
    depth: usize,
    denied: bool,
}

/// Reads conditions; `goals` are those of the site.
pub(super) fn parse(value: &Value, goals: &[Goal]) -> Result<Chosen, Problem> {
    let Value::Array(all) = value else { return Err(Problem::bad(FIELD, "filters are a list")) };
    let mut chosen = Chosen::default();
    for (n, one) in all.iter().enumerate() {
        let path = format!("{FIELD}[{n}]");
        chosen.groups.extend(condition(one, goals, At { path: &path, depth: 0, denied: false })?);
    }
    let count: usize = chosen.groups.iter().map(|group| group.filters.len()).sum();
    if count > FILTERS_MAX {
        return Err(Problem::bad(
            FIELD,
            format!("a question has at most {FILTERS_MAX} values in its filters"),
        ));
    }
    let of_goals = |group: &&Group| matches!(group.chooses, Chooses::Goals(_));
    if chosen.groups.iter().filter(of_goals).count() > 1 {
        return Err(Problem::bad(FIELD, "there can be one filter on event:goal; it may name several goals"));
    }
    Ok(chosen)
}

fn condition(value: &Value, goals: &[Goal], at: At<'_>) -> Result<Vec<Group>, Problem> {
    let unknown = || {
        let detail = "a filter is a list that begins with an operator";
        Problem::bad(at.path, detail).allowing(OPERATORS)
    };
    let Some((Value::String(operator), rest)) = value.as_array().and_then(|all| all.split_first()) else {
        return Err(unknown());
    };
    if at.depth > DEPTH_MAX {
        return Err(Problem::bad(at.path, format!("filters lie at most {DEPTH_MAX} deep in each other")));
    }
    let inner = format!("{}[1]", at.path);
    let within = At { path: &inner, depth: at.depth + 1, denied: at.denied };
    match (operator.as_str(), rest) {
        ("and" | "or", [Value::Array(all)]) if !all.is_empty() => {
            several(all, goals, within, (operator == "and") != at.denied)
        }
        ("not", [one]) => condition(one, goals, At { denied: !at.denied, ..within }),
        ("has_done", [one]) => Ok(vec![done(one, goals, within, at.denied)?]),
        ("has_not_done", [one]) => Ok(vec![done(one, goals, within, !at.denied)?]),
        ("and" | "or", _) => Err(Problem::bad(at.path, "after 'and' and 'or' comes one list of filters")),
        ("not" | "has_done" | "has_not_done", _) => {
            Err(Problem::bad(at.path, format!("after '{operator}' comes one filter")))
        }
        (comparison, rest) if COMPARISONS.contains(&comparison) => {
            Ok(vec![of_comparison(&Comparison::parse(comparison, rest, at)?, goals, at)?])
        }
        (_, _) => Err(unknown()),
    }
}

/// Several conditions that have to hold together, or are alternatives.
fn several(all: &[Value], goals: &[Goal], at: At<'_>, together: bool) -> Result<Vec<Group>, Problem> {
    let mut found: Vec<Vec<Group>> = Vec::new();
    for (n, one) in all.iter().enumerate() {
        let path = format!("{}[{n}]", at.path);
        found.push(condition(one, goals, At { path: &path, ..at })?);
    }
    if together || found.len() == 1 {
        return Ok(found.concat());
    }
    // One group, of which each filter is an alternative to the others.
    let groups: Vec<Group> = found.concat();
    let alike = |filter: &Filter| {
        let first = groups.first().and_then(|group| group.filters.first());
        first.is_some_and(|first| first.field == filter.field && first.verb == filter.verb)
    };
    let positive = |filter: &Filter| !filter.verb.is_negative();
    // Each has one group at least.
    let one_each =
        groups.len() == all.len() && groups.windows(2).all(|pair| pair[0].chooses == pair[1].chooses);
    if one_each && groups.iter().flat_map(|group| &group.filters).all(|f| alike(f) && positive(f)) {
        let mut groups = groups.into_iter();
        if let Some(first) = groups.next() {
            return Ok(vec![groups.fold(first, |mut all, group| {
                all.filters.extend(group.filters);
                all.without_pageviews &= group.without_pageviews;
                all.without_no_prop = false;
                all
            })]);
        }
    }
    let detail = "alternatives have to be on one dimension with one of 'is', 'contains' or 'matches': those of different dimensions cannot be counted exactly; ask for each and show both";
    Err(Problem::bad(at.path, detail))
}

/// `[operator, dimension, values, modifiers]`.
struct Comparison<'a> {
    verb: Verb,
    dimension: &'a str,
    values: Vec<&'a str>,
    /// Whether values are parts of what is sought.
    parts: bool,
    /// Whether values are regular expressions.
    expressions: bool,
}

impl<'a> Comparison<'a> {
    fn parse(operator: &str, rest: &'a [Value], at: At<'_>) -> Result<Self, Problem> {
        let bad = |n: usize, detail: &str| Problem::bad(format!("{}[{n}]", at.path), detail);
        let (dimension, values, modifiers) = match rest {
            [Value::String(dimension), Value::Array(values)] => (dimension, values, None),
            [Value::String(dimension), Value::Array(values), modifiers] => {
                (dimension, values, Some(modifiers))
            }
            _ => {
                let detail = format!("write [\"{operator}\", \"visit:country\", [\"DE\", \"FR\"]]");
                return Err(Problem::bad(at.path, detail));
            }
        };
        let values: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
        let values = values.ok_or_else(|| bad(2, "values are texts"))?;
        if values.is_empty() || values.len() > FILTERS_MAX {
            return Err(bad(2, &format!("a filter has 1 to {FILTERS_MAX} values")));
        }
        let cases = match modifiers {
            None => true,
            Some(Value::Object(all)) if all.keys().all(|name| name == "case_sensitive") => all
                .get("case_sensitive")
                .map_or(Some(true), Value::as_bool)
                .ok_or_else(|| bad(3, "case_sensitive is true or false"))?,
            Some(_) => return Err(bad(3, "the only modifier is {\"case_sensitive\": true or false}")),
        };
        let denied = operator.ends_with("_not") != at.denied;
        let parts = operator.starts_with("contains");
        let verb = match (operator, cases, denied) {
            ("is" | "is_not", true, false) => Verb::Is,
            ("is" | "is_not", true, true) => Verb::Not,
            ("contains" | "contains_not", false, false) => Verb::Has,
            ("contains" | "contains_not", false, true) => Verb::Lacks,
            (_, true, false) => Verb::Like,
            (_, true, true) => Verb::Unlike,
            (_, false, _) => {
                return Err(bad(3, "cases count in 'is' and 'matches'; in 'contains' they need not"));
            }
        };
        let expressions = operator.starts_with("matches");
        Ok(Self { verb, dimension, values, parts, expressions })
    }

    /// What is sought of a dimension of which values are written as they are stored.
    fn sought(&self, at: At<'_>) -> Result<Vec<String>, Problem> {
        let mut sought = Vec::new();
        for (n, value) in self.values.iter().enumerate() {
            let bad = |detail: String| Problem::bad(format!("{}[2][{n}]", at.path), detail);
            if value.len() > VALUE_BYTES_MAX {
                return Err(bad(format!("a value has at most {VALUE_BYTES_MAX} bytes")));
            }
            if self.expressions {
                let found = pattern::alternatives(value);
                let unknown = || bad(format!("of regular expressions Sotto knows {}", pattern::KNOWN));
                sought.extend(found.ok_or_else(unknown)?);
            } else if self.parts && matches!(self.verb, Verb::Like | Verb::Unlike) {
                if value.contains('*') {
                    return Err(bad("a star cannot be searched for".into()));
                }
                sought.push(format!("*{value}*"));
            } else {
                sought.push((*value).to_owned());
            }
        }
        Ok(sought)
    }

    /// Whether pageviews, which Plausible has among events by that name, are among what is named.
    fn names_pageviews(&self) -> bool {
        let (name, any) =
            (PAGEVIEW, |test: &dyn Fn(&str) -> bool| self.values.iter().any(|value| test(value)));
        match self.verb {
            Verb::Is | Verb::Not => any(&|value| value == name),
            Verb::Has | Verb::Lacks => any(&|value| name.contains(&value.to_lowercase())),
            Verb::Like | Verb::Unlike if self.parts => any(&|value| name.contains(value)),
            Verb::Like | Verb::Unlike | Verb::Starts => any(&|value| may_match(value, name)),
        }
    }
}

/// Whether an expression of those that are known is found in a text.
fn may_match(expression: &str, text: &str) -> bool {
    let like = |pattern: &str| {
        let mut rest = text;
        let parts: Vec<&str> = pattern.split('*').collect();
        parts.iter().enumerate().all(|(n, part)| {
            if n == 0 {
                return match (rest.strip_prefix(part), parts.len()) {
                    (Some(after), 1) => after.is_empty(),
                    (Some(after), _) => {
                        rest = after;
                        true
                    }
                    (None, _) => false,
                };
            }
            if n == parts.len() - 1 {
                return rest.ends_with(part);
            }
            rest.find(part).is_some_and(|found| {
                rest = &rest[found + part.len()..];
                true
            })
        })
    };
    pattern::alternatives(expression).is_none_or(|all| all.iter().any(|pattern| like(pattern)))
}

fn filters(field: &Field, verb: Verb, values: Vec<String>, at: At<'_>) -> Result<Vec<Filter>, Problem> {
    let one = |value: String| Filter::new(field.clone(), verb, &value);
    let all: Option<Vec<Filter>> = values.into_iter().map(one).collect();
    all.ok_or_else(|| Problem::bad(at.path, format!("names and values have at most {VALUE_BYTES_MAX} bytes")))
}

fn unknown_dimension(name: &str, at: At<'_>) -> Problem {
    let field = format!("{}[1]", at.path);
    match why_not(name) {
        Some(why) => Problem::bad(field, why),
        None if name.starts_with("time") => Problem::bad(field, "time is chosen by date_range"),
        None => Problem::bad(field, format!("{name:?} is no dimension of a filter")).allowing(filterable()),
    }
}

fn of_comparison(comparison: &Comparison<'_>, goals: &[Goal], at: At<'_>) -> Result<Group, Problem> {
    if comparison.dimension == GOAL {
        return of_goals(comparison, goals, at);
    }
    if let Some(name) = comparison.dimension.strip_prefix(PROP).filter(|name| !name.is_empty()) {
        return of_prop(comparison, name, at);
    }
    let valued =
        Valued::from_name(comparison.dimension).ok_or_else(|| unknown_dimension(comparison.dimension, at))?;
    let verb = comparison.verb;
    if valued.is_named() && !matches!(verb, Verb::Is | Verb::Not) {
        let detail = format!("values of {} are compared as a whole", valued.name);
        return Err(Problem::bad(format!("{}[0]", at.path), detail).allowing(["is", "is_not"]));
    }
    let mut sought = comparison.sought(at)?;
    if matches!(verb, Verb::Is | Verb::Not) {
        sought.iter_mut().for_each(|value| *value = valued.stored(value));
    }
    let chooses = if valued.is_of_hits() { Chooses::Hits(valued.dimension) } else { Chooses::Visits };
    let field = Field::Of(valued.dimension);
    if valued.dimension != Dimension::Event {
        return Ok(Group::new(filters(&field, verb, sought, at)?, chooses));
    }
    of_event(comparison, sought, at)
}

/// A condition on the name of events, of which pageviews have none here.
fn of_event(comparison: &Comparison<'_>, sought: Vec<String>, at: At<'_>) -> Result<Group, Problem> {
    let (field, verb) = (Field::Of(Dimension::Event), comparison.verb);
    let pageviews = comparison.names_pageviews();
    if !verb.is_negative() && pageviews || sought.iter().any(String::is_empty) {
        let detail = "pageviews are no event with a name here: ask for the metric pageviews, or name events";
        return Err(Problem::bad(format!("{}[2]", at.path), detail));
    }
    let named = |value: &String| verb != Verb::Not || value != PAGEVIEW;
    let mut all = filters(&field, verb, sought.into_iter().filter(named).collect(), at)?;
    if verb == Verb::Not && pageviews {
        all.extend(filters(&field, Verb::Not, vec![String::new()], at)?);
    }
    if verb != Verb::Not && verb.is_negative() && pageviews {
        let detail = "that leaves out pageviews as well, which can be left out by [\"is_not\", \"event:name\", [\"pageview\"]] only";
        return Err(Problem::bad(format!("{}[2]", at.path), detail));
    }
    let without_pageviews = pageviews || !verb.is_negative();
    Ok(Group { without_pageviews, ..Group::new(all, Chooses::Hits(Dimension::Event)) })
}

/// A condition on goals, which is one on what completes them.
fn of_goals(comparison: &Comparison<'_>, goals: &[Goal], at: At<'_>) -> Result<Group, Problem> {
    if at.depth > 0 {
        return Err(Problem::bad(at.path, "filters on event:goal are not inside of others"));
    }
    let chosen = named_goals(comparison, goals, at)?;
    let filters: Option<Vec<Filter>> = chosen.iter().map(Filter::of_goal).collect();
    let filters = filters.filter(|all| alike(all)).ok_or_else(|| several_goals(at))?;
    Ok(Group::new(filters, Chooses::Goals(chosen)))
}

fn alike(filters: &[Filter]) -> bool {
    filters.windows(2).all(|pair| pair[0].field == pair[1].field && pair[0].verb == pair[1].verb)
}

fn several_goals(at: At<'_>) -> Problem {
    let detail = "several goals of one filter have to be of one kind (events, pages, or patterns of pages): others cannot be counted together exactly";
    Problem::bad(format!("{}[2]", at.path), detail)
}

fn named_goals(comparison: &Comparison<'_>, goals: &[Goal], at: At<'_>) -> Result<Vec<Goal>, Problem> {
    let names = || goals.iter().map(|goal| goal.name.clone());
    let is = |goal: &Goal, value: &str| match comparison.verb {
        Verb::Is => goal.name == value,
        Verb::Has => goal.name.to_lowercase().contains(&value.to_lowercase()),
        Verb::Like | Verb::Not | Verb::Lacks | Verb::Unlike | Verb::Starts => goal.name.contains(value),
    };
    if comparison.verb.is_negative() || comparison.expressions {
        let detail = "of goals Sotto knows 'is' and 'contains', as Plausible does; for visits without a goal write [\"has_not_done\", [\"is\", \"event:goal\", [\"NAME\"]]]";
        return Err(Problem::bad(format!("{}[0]", at.path), detail).allowing(["is", "contains"]));
    }
    for (n, value) in comparison.values.iter().enumerate() {
        if !goals.iter().any(|goal| is(goal, value)) {
            let detail = format!("the site has no such goal: {value:?}");
            return Err(Problem::bad(format!("{}[2][{n}]", at.path), detail).allowing(names()));
        }
    }
    let any = |goal: &&Goal| comparison.values.iter().any(|value| is(goal, value));
    Ok(goals.iter().filter(any).cloned().collect())
}

/// A condition on a prop of events.
fn of_prop(comparison: &Comparison<'_>, name: &str, at: At<'_>) -> Result<Group, Problem> {
    let (field, verb) = (Field::Prop(name.to_owned()), comparison.verb);
    let chooses = Chooses::Prop(name.to_owned());
    if verb == Verb::Not && comparison.values == [NO_PROP] {
        let all = filters(&field, Verb::Has, vec![String::new()], at)?;
        return Ok(Group { without_no_prop: true, nested: at.depth > 0, ..Group::new(all, chooses) });
    }
    if verb.is_negative() || comparison.values.iter().any(|value| [NO_PROP, ""].contains(value)) {
        let detail = "events without a value of a prop cannot be told: write ['is_not', …, ['(none)']] to leave them out, or ['has_not_done', ['is', …]] for visits in which it never was";
        return Err(Problem::bad(at.path, detail));
    }
    let all = filters(&field, verb, comparison.sought(at)?, at)?;
    Ok(Group { nested: at.depth > 0, ..Group::new(all, chooses) })
}

/// `has_done` and `has_not_done`: visits by what happened in them.
fn done(value: &Value, goals: &[Goal], at: At<'_>, denied: bool) -> Result<Group, Problem> {
    let at = At { denied: false, ..at };
    let detail = "inside of 'has_done' and 'has_not_done' is one filter on event:page, event:name, event:goal or event:props:NAME";
    let Some((Value::String(operator), rest)) = value.as_array().and_then(|all| all.split_first()) else {
        return Err(Problem::bad(at.path, detail));
    };
    if !["is", "contains", "matches"].contains(&operator.as_str()) {
        let field = format!("{}[0]", at.path);
        return Err(Problem::bad(field, detail).allowing(["is", "contains", "matches"]));
    }
    let comparison = Comparison::parse(operator, rest, at)?;
    let all = match comparison.dimension {
        "event:page" => filters(&Field::Visited, comparison.verb, comparison.sought(at)?, at)?,
        "event:name" if comparison.names_pageviews() => {
            return Err(Problem::bad(format!("{}[2]", at.path), "pageviews are no event with a name here"));
        }
        "event:name" => filters(&Field::Did, comparison.verb, comparison.sought(at)?, at)?,
        GOAL => {
            let chosen = named_goals(&comparison, goals, at)?;
            let all: Option<Vec<Filter>> = chosen.iter().map(Filter::of_goal).collect();
            all.filter(|all| alike(all)).ok_or_else(|| several_goals(at))?
        }
        name => match name.strip_prefix(PROP).filter(|name| !name.is_empty()) {
            Some(_) if comparison.values.iter().any(|value| [NO_PROP, ""].contains(value)) => {
                return Err(Problem::bad(at.path, detail));
            }
            Some(prop) => filters(&Field::Prop(prop.into()), comparison.verb, comparison.sought(at)?, at)?,
            None => return Err(Problem::bad(format!("{}[1]", at.path), detail)),
        },
    };
    let all: Option<Vec<Filter>> = if denied { all.iter().map(Filter::denied).collect() } else { Some(all) };
    Ok(Group::new(all.ok_or_else(|| Problem::bad(at.path, detail))?, Chooses::Done))
}

/// The kind of a goal's pattern that events have as their name.
pub(super) fn event_of(goal: &Goal) -> Option<&str> {
    match goal.kind {
        Kind::Event => Some(&goal.pattern),
        Kind::Page => None,
    }
}
