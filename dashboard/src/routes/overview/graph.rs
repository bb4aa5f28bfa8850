//! The graph, and the same data as a table.

use jiff::civil::{Date, DateTime};

use sotto_store::annotation::Annotation;

use super::{
    super::marks::{self, Note},
    Read, Subject, before_label, points,
};
use crate::{
    chart::{self, Line, Plot, Tick},
    figures::{exact, figure},
    range::Interval,
    report::{Metric, series::Point},
};

/// Labels of the horizontal axis.
const LABELS: usize = 8;

pub(super) struct Graph {
    pub(super) metric: &'static str,
    pub(super) unit: &'static str,
    pub(super) plot: Plot,
    pub(super) x: Vec<Tick>,
    pub(super) rows: Vec<GraphRow>,
    pub(super) before: Option<String>,
    pub(super) incomplete: bool,
    /// A summary for screen readers.
    pub(super) summary: String,
    /// Where annotations stand, in per cent.
    pub(super) marks: Vec<String>,
    /// The annotations.
    pub(super) notes: Vec<Note>,
    /// The page of annotations, for members.
    pub(super) annotate: Option<String>,
}

/// A row of the graph's table. `x` and `y` are the point's position, in per cent.
pub(super) struct GraphRow {
    pub(super) label: String,
    pub(super) value: String,
    pub(super) before: String,
    pub(super) x: String,
    pub(super) y: String,
    pub(super) incomplete: bool,
    /// What is written there.
    pub(super) notes: Vec<String>,
}

pub(super) fn build(asked: &Subject<'_>, read: &mut Read, annotations: &[Annotation]) -> Graph {
    let [now, before] = points(asked, read);
    draw(asked, &now, &before, annotations)
}

fn draw(asked: &Subject<'_>, now: &[Point], before: &[Point], annotations: &[Annotation]) -> Graph {
    let (metric, interval) = (asked.view.metric, asked.query.range.interval());
    let reached = reached(asked, now, interval);
    let values: Vec<_> = now.iter().take(reached).map(|p| metric.of(&p.counts)).collect();
    let earlier: Vec<_> = before.iter().take(now.len()).map(|p| metric.of(&p.counts)).collect();
    let incomplete = asked.incomplete();
    let (name, _) = metric.of_chosen(&asked.query.filters);
    let whole = matches!(metric, Metric::Visitors | Metric::Visits | Metric::Pageviews | Metric::Events);
    let line = Line { now: &values, before: &earlier, points: now.len(), incomplete };
    let plot = chart::plot(&line, whole, |v| figure(metric, Some(v)));
    let written = marks::at_points(annotations, now.iter().map(|point| point.at.as_str()), interval);
    let marked = written.iter().enumerate().filter(|(_, texts)| !texts.is_empty());
    let marks = marked.map(|(i, _)| chart::x_percent(i, now.len())).collect();
    let rows = now
        .iter()
        .zip(written)
        .enumerate()
        .take(reached)
        .map(|(i, (point, notes))| {
            let value = metric.of(&point.counts);
            GraphRow {
                label: long_label(&point.at, interval),
                value: exact(metric, value),
                before: earlier.get(i).map_or_else(String::new, |v| exact(metric, *v)),
                x: chart::x_percent(i, now.len()),
                y: format!("{:.2}", 100.0 * (1.0 - value.unwrap_or(0.0) / plot.top)),
                incomplete: incomplete && i + 1 == reached,
                notes,
            }
        })
        .collect();
    let x = chart::spread(now.len(), LABELS)
        .into_iter()
        .map(|i| Tick { at: chart::x_percent(i, now.len()), label: short_label(&now[i].at, interval) })
        .collect();
    Graph {
        metric: name,
        unit: unit(interval),
        plot,
        x,
        rows,
        before: asked.before.as_ref().map(|q| before_label(asked.view.period, q.range)),
        incomplete,
        summary: format!("{} by {}, {}", name, unit(interval), asked.query.range.label()),
        marks,
        notes: marks::notes(annotations),
        annotate: asked.member.then(|| format!("{}/annotations", asked.base)),
    }
}

pub(in crate::routes) const fn unit(interval: Interval) -> &'static str {
    match interval {
        Interval::Hour => "hour",
        Interval::Day => "day",
        Interval::Month => "month",
    }
}

/// How many buckets have begun.
fn reached(asked: &Subject<'_>, points: &[Point], interval: Interval) -> usize {
    let now = asked.now.datetime();
    let present = match interval {
        Interval::Hour => now.strftime("%Y-%m-%d %H:00").to_string(),
        Interval::Day => now.strftime("%Y-%m-%d").to_string(),
        Interval::Month => now.strftime("%Y-%m").to_string(),
    };
    points.iter().take_while(|p| p.at <= present).count()
}

fn parse(at: &str, interval: Interval) -> Option<DateTime> {
    match interval {
        Interval::Hour => DateTime::strptime("%Y-%m-%d %H:%M", at).ok(),
        Interval::Day => at.parse::<Date>().ok().map(DateTime::from),
        Interval::Month => format!("{at}-01").parse::<Date>().ok().map(DateTime::from),
    }
}

fn label(at: &str, interval: Interval, format: &str) -> String {
    parse(at, interval).map_or_else(|| at.to_owned(), |t| t.strftime(format).to_string())
}

pub(in crate::routes) fn short_label(at: &str, interval: Interval) -> String {
    label(
        at,
        interval,
        match interval {
            Interval::Hour => "%H:%M",
            Interval::Day => "%-d %b",
            Interval::Month => "%b %y",
        },
    )
}

pub(in crate::routes) fn long_label(at: &str, interval: Interval) -> String {
    label(
        at,
        interval,
        match interval {
            Interval::Hour => "%a %-d %b, %H:%M",
            Interval::Day => "%a %-d %b %Y",
            Interval::Month => "%B %Y",
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn point_has_a_short_and_a_long_label() {
        for (at, interval, short, long) in [
            ("2026-03-01 13:00", Interval::Hour, "13:00", "Sun 1 Mar, 13:00"),
            ("2026-03-01", Interval::Day, "1 Mar", "Sun 1 Mar 2026"),
            ("2026-03", Interval::Month, "Mar 26", "March 2026"),
            ("odd", Interval::Day, "odd", "odd"),
        ] {
            assert_eq!(short_label(at, interval), short);
            assert_eq!(long_label(at, interval), long);
        }
    }
}
