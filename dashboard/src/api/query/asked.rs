//! A question as it is sent.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{
    dates::{self, Dates},
    names::{Axis, Bucket, Figure, GOAL, PROP, TIME, Valued, dimensions, why_not},
    problem::Problem,
};
use crate::report::ROWS_MAX;

/// The parts of a question.
pub(super) const PARTS: [&str; 8] =
    ["site_id", "metrics", "date_range", "dimensions", "filters", "order_by", "include", "pagination"];
/// The longest name of a site or a prop, in bytes.
const NAME_BYTES_MAX: usize = 300;

/// A dimension as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    Axis(Axis),
    /// `time`: hours, days, weeks or months.
    Time,
}

/// By what rows are sorted: a figure or a dimension, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Figure(usize),
    Axis(usize),
}

/// A question. What it is about is checked when the site is known.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    pub(super) site: String,
    pub(super) figures: Vec<Figure>,
    pub(super) dates: Dates,
    pub(super) wanted: Vec<Wanted>,
    /// As they are sent: what they mean depends on the goals of the site.
    pub(super) filters: Value,
    /// What rows are sorted by, and whether the greatest come first.
    pub(super) order: Option<Vec<(Key, bool)>>,
    pub(super) time_labels: bool,
    pub(super) total_rows: bool,
    pub(super) imports: bool,
    pub(super) limit: usize,
    pub(super) offset: usize,
}

impl Asked {
    /// Reads a question.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Problem> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| Problem::bad("", format!("the question is no JSON: {error}")))?;
        let Value::Object(parts) = value else {
            return Err(Problem::bad("", "the question is an object").allowing(PARTS));
        };
        if let Some(name) = parts.keys().find(|name| !PARTS.contains(&name.as_str())) {
            return Err(Problem::bad(name, "this is no part of a question").allowing(PARTS));
        }
        let needed = |name: &str| parts.get(name).ok_or_else(|| Problem::bad(name, "this is needed"));
        let site = needed("site_id")?.as_str().filter(|site| (1..=NAME_BYTES_MAX).contains(&site.len()));
        let site = site.ok_or_else(|| Problem::bad("site_id", "this is the key or a host name of a site"))?;
        let figures = figures(needed("metrics")?)?;
        let dates = Dates::parse(needed(dates::FIELD)?)?;
        let wanted = parts.get("dimensions").map_or(Ok(Vec::new()), wanted)?;
        let order = parts.get("order_by").map(|value| order(value, &figures, &wanted)).transpose()?;
        let include = flags(parts.get("include"))?;
        let flag = |name: &str| include.get(name).and_then(Value::as_bool).unwrap_or(false);
        let (limit, offset) = pagination(parts.get("pagination"))?;
        Ok(Self {
            site: site.to_owned(),
            figures,
            dates,
            wanted,
            filters: parts.get("filters").cloned().unwrap_or_else(|| json!([])),
            order,
            time_labels: flag("time_labels"),
            total_rows: flag("total_rows"),
            imports: flag("imports"),
            limit,
            offset,
        })
    }

    /// The dimensions, where `time` is `bucket`.
    pub(super) fn axes(&self, bucket: Bucket) -> Vec<Axis> {
        let axis = |wanted: &Wanted| match wanted {
            Wanted::Axis(axis) => axis.clone(),
            Wanted::Time => Axis::Time(bucket),
        };
        self.wanted.iter().map(axis).collect()
    }

    /// The name of what rows are sorted by.
    pub(super) fn name_of(&self, key: Key, axes: &[Axis]) -> String {
        match key {
            Key::Figure(n) => self.figures.get(n).map_or("", |figure| figure.name()).to_owned(),
            Key::Axis(n) => axes.get(n).map(Axis::name).unwrap_or_default(),
        }
    }
}

fn texts<'a>(field: &str, value: &'a Value) -> Result<Vec<&'a str>, Problem> {
    let all: Option<Vec<&str>> =
        value.as_array().map(|all| all.iter().map(Value::as_str)).and_then(Iterator::collect);
    let all = all.ok_or_else(|| Problem::bad(field, "this is a list of names"))?;
    let mut seen = HashSet::new();
    match all.iter().position(|name| !seen.insert(*name)) {
        Some(n) => Err(Problem::bad(format!("{field}[{n}]"), "each name can be there once")),
        None => Ok(all),
    }
}

fn figures(value: &Value) -> Result<Vec<Figure>, Problem> {
    let names = texts("metrics", value)?;
    if names.is_empty() {
        return Err(Problem::bad("metrics", "name one at least").allowing(Figure::ALL.map(Figure::name)));
    }
    let one = |(n, name): (usize, &&str)| {
        Figure::from_name(name).ok_or_else(|| {
            let field = format!("metrics[{n}]");
            match why_not(name) {
                Some(why) => Problem::bad(field, why),
                None => Problem::bad(field, format!("{name:?} is no metric")),
            }
            .allowing(Figure::ALL.map(Figure::name))
        })
    };
    names.iter().enumerate().map(one).collect()
}

fn axis(name: &str) -> Option<Wanted> {
    if name == TIME {
        return Some(Wanted::Time);
    }
    let bucket = Bucket::ALL.into_iter().find(|bucket| bucket.name() == name).map(Axis::Time);
    let prop = || {
        let prop = name.strip_prefix(PROP).filter(|prop| (1..=NAME_BYTES_MAX).contains(&prop.len()));
        prop.map(|prop| Axis::Prop(prop.to_owned()))
    };
    let goal = || (name == GOAL).then_some(Axis::Goal);
    bucket.or_else(goal).or_else(prop).or_else(|| Valued::from_name(name).map(Axis::Of)).map(Wanted::Axis)
}

fn wanted(value: &Value) -> Result<Vec<Wanted>, Problem> {
    let one = |(n, name): (usize, &&str)| {
        axis(name).ok_or_else(|| {
            let field = format!("dimensions[{n}]");
            match why_not(name) {
                Some(why) => Problem::bad(field, why),
                None => Problem::bad(field, format!("{name:?} is no dimension")),
            }
            .allowing(dimensions())
        })
    };
    texts("dimensions", value)?.iter().enumerate().map(one).collect()
}

fn order(value: &Value, figures: &[Figure], wanted: &[Wanted]) -> Result<Vec<(Key, bool)>, Problem> {
    let Value::Array(all) = value else {
        return Err(Problem::bad("order_by", "write [[\"visitors\", \"desc\"]]"));
    };
    let one = |(n, pair): (usize, &Value)| {
        let field = format!("order_by[{n}]");
        let Some([Value::String(name), Value::String(direction)]) = pair.as_array().map(Vec::as_slice) else {
            return Err(Problem::bad(field, "write [\"visitors\", \"desc\"]"));
        };
        let figure = figures.iter().position(|figure| figure.name() == name).map(Key::Figure);
        let by_axis = || {
            let sought = axis(name)?;
            wanted.iter().position(|wanted| *wanted == sought).map(Key::Axis)
        };
        let key = figure.or_else(by_axis).ok_or_else(|| {
            Problem::bad(
                format!("{field}[0]"),
                "this is neither among the metrics nor the dimensions of the question",
            )
        })?;
        match direction.as_str() {
            "desc" => Ok((key, true)),
            "asc" => Ok((key, false)),
            _ => Err(Problem::bad(format!("{field}[1]"), "this is no direction").allowing(["asc", "desc"])),
        }
    };
    all.iter().enumerate().map(one).collect()
}

/// What more is to be in the answer.
fn flags(value: Option<&Value>) -> Result<Map<String, Value>, Problem> {
    let known = ["imports", "time_labels", "total_rows"];
    let Some(value) = value else { return Ok(Map::new()) };
    let Value::Object(all) = value else {
        return Err(Problem::bad("include", "this is an object").allowing(known));
    };
    for (name, value) in all {
        let field = format!("include.{name}");
        if !known.contains(&name.as_str()) {
            return Err(Problem::bad(field, "Sotto does not include that").allowing(known));
        }
        if !value.is_boolean() {
            return Err(Problem::bad(field, "this is true or false"));
        }
    }
    Ok(all.clone())
}

/// A whole number, also as `10.0`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Whole, not negative, and small.
fn whole(value: &Value) -> Option<u64> {
    let float = || value.as_f64().filter(|n| n.fract() == 0.0 && (0.0..1e9).contains(n));
    value.as_u64().or_else(|| float().map(|n| n as u64))
}

fn pagination(value: Option<&Value>) -> Result<(usize, usize), Problem> {
    let most = usize::try_from(ROWS_MAX).unwrap_or(usize::MAX);
    let known = ["limit", "offset"];
    let Some(value) = value else { return Ok((most, 0)) };
    let Value::Object(all) = value else {
        return Err(Problem::bad("pagination", "this is an object").allowing(known));
    };
    if let Some(name) = all.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(Problem::bad(format!("pagination.{name}"), "this is no part of it").allowing(known));
    }
    let number = |name: &str, least: usize, missing: usize| match all.get(name) {
        None => Ok(missing),
        Some(value) => {
            let number = whole(value).and_then(|n| usize::try_from(n).ok());
            number.filter(|n| (least..=most).contains(n)).ok_or_else(|| {
                Problem::bad(format!("pagination.{name}"), format!("this is a number from {least} to {most}"))
            })
        }
    };
    Ok((number("limit", 1, most)?, number("offset", 0, 0)?))
}
