//! Stacked columns over time, and the same data as a table.

use sotto_store::annotation::Annotation;

use super::{
    marks::{self, Note},
    overview::graph::{long_label, short_label, unit},
};
use crate::{
    chart::{self, Stacks, Tick},
    figures::{compact, grouped},
    range::{Interval, Range},
};

/// Labels of the horizontal axis.
const LABELS: usize = 8;

/// A kind of part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// Class of its colour.
    pub(super) class: &'static str,
    pub(super) label: &'static str,
}

/// A row of the columns' table.
pub(super) struct ColumnRow {
    pub(super) label: String,
    pub(super) figures: Vec<String>,
    pub(super) incomplete: bool,
    /// What is written there.
    pub(super) notes: Vec<String>,
}

pub(super) struct Columns {
    /// What they are about.
    pub(super) title: &'static str,
    pub(super) unit: &'static str,
    pub(super) parts: Vec<Part>,
    pub(super) stacks: Stacks,
    pub(super) x: Vec<Tick>,
    pub(super) rows: Vec<ColumnRow>,
    /// Where annotations stand, in per cent.
    pub(super) marks: Vec<String>,
    /// The annotations.
    pub(super) notes: Vec<Note>,
}

/// Draws stacked columns.
pub(super) fn draw(
    title: &'static str,
    parts: &[Part],
    (range, now): (Range, &str),
    points: &[(&str, Vec<u64>)],
    annotations: &[Annotation],
) -> Columns {
    let interval = range.interval();
    let written = marks::at_points(annotations, points.iter().map(|(at, _)| *at), interval);
    let marked = written.iter().enumerate().filter(|(_, texts)| !texts.is_empty());
    let marks = marked.map(|(i, _)| chart::middle_percent(i, points.len())).collect();
    let figures: Vec<&[u64]> = points.iter().map(|(_, figures)| figures.as_slice()).collect();
    let present = present(now, interval);
    let rows = points
        .iter()
        .zip(written)
        .take_while(|((at, _), _)| *at <= present)
        .map(|((at, figures), notes)| ColumnRow {
            label: long_label(at, interval),
            figures: figures.iter().map(|n| grouped(*n)).collect(),
            incomplete: *at == present,
            notes,
        })
        .collect();
    let x = chart::spread(points.len(), LABELS)
        .into_iter()
        .map(|i| Tick {
            at: chart::middle_percent(i, points.len()),
            label: short_label(points[i].0, interval),
        })
        .collect();
    Columns {
        title,
        unit: unit(interval),
        parts: parts.to_vec(),
        stacks: chart::stacks(&figures, compact),
        x,
        rows,
        marks,
        notes: marks::notes(annotations),
    }
}

/// The current bucket, from a clock like `2026-03-01 13:00`.
fn present(now: &str, interval: Interval) -> &str {
    let length = match interval {
        Interval::Hour => 16,
        Interval::Day => 10,
        Interval::Month => 7,
    };
    now.get(..length).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn table_ends_with_the_present_and_says_so() {
        let range = Range { from: date(2026, 3, 1), to: date(2026, 3, 3) };
        let points = [("2026-03-01", vec![1_000]), ("2026-03-02", vec![2]), ("2026-03-03", vec![0])];
        let part = Part { class: "full", label: "All" };
        let columns = draw("Hits", &[part], (range, "2026-03-02 13:00"), &points, &[]);
        let rows: Vec<_> =
            columns.rows.iter().map(|r| (r.label.as_str(), r.figures.join(" "), r.incomplete)).collect();
        assert_eq!(
            rows,
            [("Sun 1 Mar 2026", "1,000".to_owned(), false), ("Mon 2 Mar 2026", "2".to_owned(), true)]
        );
    }
}
