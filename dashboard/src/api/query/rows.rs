//! The rows of an answer, from the reports that pages show.

use std::collections::{BTreeMap, HashMap};

use sotto_schema::{dimension::Dimension, site::Site};
use sotto_store::goal::Goal;

use super::{
    dates::{self, Period},
    exact::Question,
    filters::{Chooses, Group, event_of},
    names::{Axis, Bucket, Figure, Valued},
    problem::Problem,
};
use crate::{
    filter::{Field, Filter, Filters, Verb},
    report::{
        Answer, Counts, Detail, List, Metric, Origin, Query, ROWS_MAX, Reports, Rows, Scope, Source, Sources,
        Told, archive::REST, details, details::Details, goals::completed, lists,
    },
};

/// With two dimensions: how many values the first of them may have.
pub(super) const ACROSS_MAX: usize = 100;
/// The most values of one prop that a report has.
const PROP_VALUES_MAX: usize = 100;

/// A row: its values in the order of the dimensions, and what was counted.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Line {
    pub(super) values: Vec<String>,
    pub(super) counts: Counts,
    /// How far the page is read, in per cent.
    pub(super) depth: Option<f64>,
    /// Visitors with the same values whether they completed the goal or not.
    pub(super) group: Option<u64>,
}

/// What an answer is made of.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) lines: Vec<Line>,
    pub(super) origin: Origin,
    /// Whether it is empty because it stands for too few visitors to be shown to this reader.
    pub(super) withheld: bool,
    /// Visitors whom all rows stand for.
    pub(super) all: u64,
    /// The same, whether they completed the goal or not.
    pub(super) without_goal: u64,
}

/// Reads what a question asks for.
pub(super) struct Reading<'a> {
    pub(super) db: &'a Reports,
    pub(super) site: &'a Site,
    pub(super) question: Question<'a>,
    pub(super) period: &'a Period,
    pub(super) goals: &'a [Goal],
    pub(super) detail: Detail,
}

/// One part of it: the rows of one dimension.
struct Part {
    rows: Rows,
    depths: HashMap<String, f64>,
    answer: Answer,
}

impl Reading<'_> {
    fn query(&self, filters: Filters) -> Query {
        let scope = Scope { site: self.site.id, time_zone: self.site.time_zone.clone() };
        let query = Query { detail: self.detail, ..Query::totals(scope, self.period.range, filters) };
        match self.period.moments {
            // The archive and settled days know whole days only.
            Some((since, until)) => {
                Query { since_ms: Some(since), until_ms: Some(until), source: Source::Raw, ..query }
            }
            None => query,
        }
    }

    /// Filters as the dimensions need them.
    fn filters(&self) -> Filters {
        let axes = self.question.axes;
        let by_prop = axes.iter().any(|axis| matches!(axis, Axis::Prop(_)));
        let by_goal = axes.contains(&Axis::Goal);
        let is_goals = |group: &Group| matches!(group.chooses, Chooses::Goals(_));
        // The events of a goal have the props, and of goals it is said which.
        let kept =
            |group: &Group| !(group.without_no_prop && by_prop) && !(is_goals(group) && (by_prop || by_goal));
        let filters = self.question.chosen.filters(kept);
        match self.question.chosen.goals().filter(|_| by_prop) {
            None => filters,
            Some(goals) => {
                let events = goals.iter().filter_map(event_of);
                let one = |event: &str| Filter::new(Field::Of(Dimension::Event), Verb::Is, event);
                filters.besides(events.filter_map(one).collect())
            }
        }
    }

    /// Everything.
    pub(super) async fn run(&self) -> Result<Found, Problem> {
        let (axes, asks) = (self.question.axes, |figure| self.question.asked.figures.contains(&figure));
        let query = self.query(self.filters());
        let (lines, answer) = self.lines(&query, axes).await?;
        let mut found = Found {
            lines,
            withheld: answer.withheld,
            all: answer.totals.visitors,
            origin: answer.origin,
            ..Found::default()
        };
        if asks(Figure::ConversionRate) || asks(Figure::GroupConversionRate) {
            let of_events = |group: &Group| matches!(group.chooses, Chooses::Goals(_) | Chooses::Prop(_));
            let query = self.query(self.question.chosen.filters(|group| !of_events(group)));
            let by_other: Vec<Axis> = axes.iter().filter(|axis| **axis != Axis::Goal).cloned().collect();
            let (lines, answer) = self.lines(&query, &by_other).await?;
            found.without_goal = answer.totals.visitors;
            let of: HashMap<Vec<String>, u64> =
                lines.into_iter().map(|line| (line.values, line.counts.visitors)).collect();
            for line in &mut found.lines {
                let values = line.values.iter().zip(axes).filter(|(_, axis)| **axis != Axis::Goal);
                line.group = of.get(&values.map(|(value, _)| value.clone()).collect::<Vec<_>>()).copied();
            }
        }
        Ok(found)
    }

    /// Rows by up to two dimensions, and the report on everything.
    async fn lines(&self, query: &Query, axes: &[Axis]) -> Result<(Vec<Line>, Answer), Problem> {
        match axes {
            [] => {
                let answer = self.part(query, None).await?.answer;
                let line = Line { counts: answer.totals, ..Line::default() };
                Ok((vec![line], answer))
            }
            [axis] => {
                let Part { rows, mut depths, answer } = self.part(query, Some(axis)).await?;
                let line = |(value, counts): (String, Counts)| {
                    let depth = depths.remove(&value);
                    Line { values: vec![written(axis, &value)], counts, depth, group: None }
                };
                Ok((rows.into_iter().map(line).collect(), answer))
            }
            [first, second, ..] => {
                let swapped = second.is_time() || first.is_of_hits();
                let (outer, inner) = if swapped { (second, first) } else { (first, second) };
                self.across(query, outer, inner, swapped).await
            }
        }
    }

    /// Rows by two dimensions: for each value of the outer one those of the inner.
    async fn across(
        &self,
        query: &Query,
        outer: &Axis,
        inner: &Axis,
        swapped: bool,
    ) -> Result<(Vec<Line>, Answer), Problem> {
        let Part { rows, answer, .. } = self.part(query, None).await?.by(self, query, outer).await?;
        if rows.len() > ACROSS_MAX {
            let place = self.question.axes.iter().position(|axis| axis == outer).unwrap_or_default();
            let detail = format!(
                "with two dimensions this one has at most {ACROSS_MAX} values, not {}: narrow it down with a filter or the period",
                rows.len()
            );
            return Err(Problem::bad(format!("dimensions[{place}]"), detail));
        }
        let spans: HashMap<String, _> = match outer {
            Axis::Time(bucket) => self.period.spans(*bucket).into_iter().collect(),
            Axis::Of(_) | Axis::Goal | Axis::Prop(_) => HashMap::new(),
        };
        let mut lines = Vec::new();
        for (value, _) in rows {
            let of_value = match (outer, spans.get(&value)) {
                (_, Some(range)) => Query { range: *range, ..query.clone() },
                (Axis::Of(valued), None) => {
                    let one = Filter::new(Field::Of(valued.dimension), Verb::Is, &value);
                    let filters = query.filters.clone().besides(one.into_iter().collect());
                    Query { filters, ..query.clone() }
                }
                (Axis::Goal | Axis::Prop(_) | Axis::Time(_), None) => continue,
            };
            for (other, counts) in self.part(&of_value, Some(inner)).await?.rows {
                let (first, second) = (written(outer, &value), written(inner, &other));
                let values = if swapped { vec![second, first] } else { vec![first, second] };
                lines.push(Line { values, counts, ..Line::default() });
            }
        }
        within_bounds(lines.len())?;
        Ok((lines, answer))
    }

    /// Rows by one dimension, and the report on everything.
    async fn part(&self, query: &Query, axis: Option<&Axis>) -> Result<Part, Problem> {
        let sources = Sources::of(self.db, &query.scope, query.range).await?;
        let list = match axis {
            Some(Axis::Of(valued)) => Some(valued.dimension),
            Some(Axis::Time(Bucket::Hour)) => Some(Dimension::Hour),
            Some(Axis::Time(_) | Axis::Goal | Axis::Prop(_)) | None => None,
        };
        let entries = self.question.asked.figures.contains(&Figure::BounceRate);
        let asked = list.map(|by| List { by, sort: Metric::Visitors, limit: ROWS_MAX, entries });
        let mut answer = lists(self.db, &sources, query, asked.as_slice(), false).await?;
        there(&answer.origin)?;
        let mut part = Part { rows: Rows::new(), depths: HashMap::new(), answer: Answer::default() };
        if let Some((rows, origin)) = answer.lists.pop() {
            there(&origin)?;
            part.rows = rows;
            answer.origin = origin;
        }
        match axis {
            None => {}
            Some(Axis::Of(valued)) => Self::tidy(&mut part.rows, *valued),
            Some(Axis::Time(bucket)) => {
                let rows = if *bucket == Bucket::Hour { &part.rows } else { &answer.days };
                part.rows = self.buckets(*bucket, rows);
            }
            Some(Axis::Goal) => part.rows = self.of_goals(&sources, query, &answer).await?,
            Some(Axis::Prop(name)) => part.rows = self.of_prop(&sources, query, name, &answer).await?,
        }
        within_bounds(part.rows.len())?;
        if axis.is_some() && self.question.asked.figures.contains(&Figure::ScrollDepth) && !answer.withheld {
            part.depths = self.depths(&sources, query).await?;
        }
        part.answer = answer;
        Ok(part)
    }

    /// What has no value of its own in the archive is told beside the rows; hits that are no event have no name of one.
    fn tidy(rows: &mut Rows, valued: Valued) {
        rows.retain(|(value, _)| {
            value != REST && (valued.dimension != Dimension::Event || !value.is_empty())
        });
    }

    /// Days or hours as buckets, in order; figures of days add up.
    fn buckets(&self, bucket: Bucket, rows: &Rows) -> Rows {
        let mut all: BTreeMap<String, Counts> = BTreeMap::new();
        for (at, counts) in rows.iter().filter(|(at, _)| at != REST) {
            if let Some(label) = self.period.label(bucket, at) {
                *all.entry(label).or_default() += *counts;
            }
        }
        all.into_iter().collect()
    }

    /// Goals that were completed, by name.
    async fn of_goals(&self, sources: &Sources, query: &Query, answer: &Answer) -> Result<Rows, Problem> {
        only_kept(answer)?;
        let goals = self.question.chosen.goals().unwrap_or(self.goals);
        let found = completed(self.db, sources, query, goals).await?;
        let shown = |counts: Counts| match self.detail {
            Detail::All => counts,
            Detail::Groups => counts.of_groups(),
        };
        let rows = goals.iter().zip(found).map(|(goal, counts)| (goal.name.clone(), shown(counts)));
        Ok(rows.filter(|(_, counts)| counts.visitors > 0 && !answer.withheld).collect())
    }

    /// The values of a prop.
    async fn of_prop(
        &self,
        sources: &Sources,
        query: &Query,
        name: &str,
        answer: &Answer,
    ) -> Result<Rows, Problem> {
        only_kept(answer)?;
        let told = Details::Props.run(self.db, sources, query).await?;
        let whole = told.len() < details::ROWS_MAX;
        let of = told.into_iter().filter(|row| row.values.first().is_some_and(|prop| prop == name));
        let rows: Rows = of.filter_map(|row| value_of(&row)).collect();
        if rows.len() >= PROP_VALUES_MAX || !whole {
            let place = self.question.axes.iter().position(|axis| matches!(axis, Axis::Prop(_)));
            let field = format!("dimensions[{}]", place.unwrap_or_default());
            let detail = "props have too many values to be listed as a whole: narrow them down with a filter";
            return Err(Problem::bad(field, detail));
        }
        Ok(rows.into_iter().filter(|(value, _)| !value.is_empty() && !answer.withheld).collect())
    }

    /// How far pages are read on average, in per cent.
    async fn depths(&self, sources: &Sources, query: &Query) -> Result<HashMap<String, f64>, Problem> {
        let told = Details::Depth.run(self.db, sources, query).await?;
        if told.len() >= details::ROWS_MAX {
            let detail = "too many pages to tell how far each is read: narrow them down with a filter";
            return Err(Problem::bad("metrics", detail));
        }
        let mean = |row: Told| {
            let (measured, depths) = (row.numbers.first()?, row.numbers.get(5)?);
            let page = row.values.first()?.clone();
            (*measured > 0.0).then(|| (page, depths / measured))
        };
        Ok(told.into_iter().filter_map(mean).collect())
    }
}

impl Part {
    /// With the rows of another dimension.
    async fn by(self, reading: &Reading<'_>, query: &Query, axis: &Axis) -> Result<Self, Problem> {
        Ok(Self { rows: reading.part(query, Some(axis)).await?.rows, ..self })
    }
}

fn value_of(row: &Told) -> Option<(String, Counts)> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A count.
    let events = *row.numbers.first()? as u64;
    let counts = Counts { visitors: row.visitors, visits: row.visits, events, ..Counts::default() };
    Some((row.values.get(1)?.clone(), counts))
}

fn written(axis: &Axis, value: &str) -> String {
    match axis {
        Axis::Of(valued) => valued.written(value),
        Axis::Goal | Axis::Prop(_) | Axis::Time(_) => value.to_owned(),
    }
}

/// Refuses periods with days that cannot be answered any more.
fn there(origin: &Origin) -> Result<(), Problem> {
    let Some(first) = origin.missing.first() else { return Ok(()) };
    let days: i32 = origin.missing.iter().map(|range| range.len()).sum();
    let detail = format!(
        "of {days} days from {} on, only the archive is left, which has totals and some lists by day, without filters",
        first.from
    );
    Err(Problem::bad(dates::FIELD, detail))
}

/// Goals and props are those of days that are not left to the archive.
fn only_kept(answer: &Answer) -> Result<(), Problem> {
    match answer.origin.archive.first() {
        None => Ok(()),
        Some(first) => {
            let detail = format!(
                "of days from {} on, only the archive is left, which has no goals and no props",
                first.from
            );
            Err(Problem::bad(dates::FIELD, detail))
        }
    }
}

fn within_bounds(rows: usize) -> Result<(), Problem> {
    if u64::try_from(rows).is_ok_and(|rows| rows < ROWS_MAX) {
        return Ok(());
    }
    let detail = format!(
        "this has {ROWS_MAX} rows or more, of which the last cannot be told: narrow it down with a filter or the period"
    );
    Err(Problem::bad("dimensions", detail))
}
