//! SVG graphs, drawn on the server so that they need no JavaScript.
//!
//! The drawing is stretched to the page's width while its text is not: lines live in a nested picture of 1000 by 1000
//! units without an aspect, labels stand beside them at percentages.

use std::fmt::Write as _;

/// One label of an axis, at a percentage of its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tick {
    /// Where, with two digits after the point.
    pub(crate) at: String,
    /// What it says.
    pub(crate) label: String,
}

impl Tick {
    /// Whether the label would stand out beyond the axis if it were centred.
    pub(crate) fn is_end(&self) -> bool {
        self.at.parse::<f64>().is_ok_and(|at| at > 97.0)
    }
}

/// A line with the area below it, its incomplete end, and a line to compare with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plot {
    /// Outline of the area.
    pub(crate) area: String,
    /// The line's complete part.
    pub(crate) line: String,
    /// From the last complete point to the present one; empty when all are complete.
    pub(crate) partial: String,
    /// The line to compare with; empty when there is none.
    pub(crate) before: String,
    /// Labels of the vertical axis, from the bottom.
    pub(crate) y: Vec<Tick>,
    /// The upper end of the vertical axis.
    pub(crate) top: f64,
}

/// What is drawn.
pub(crate) struct Line<'a> {
    /// The values; `None` where there is nothing to divide by.
    pub(crate) now: &'a [Option<f64>],
    /// The values of the period before.
    pub(crate) before: &'a [Option<f64>],
    /// How many points the horizontal axis has.
    pub(crate) points: usize,
    /// Whether the last value of `now` is not complete yet.
    pub(crate) incomplete: bool,
}

const SIZE: f64 = 1000.0;

/// Steps of an axis: 1, 2, 2.5 or 5 times a power of ten, so that about four fit below `max`.
pub(crate) fn axis(max: f64, whole: bool) -> (f64, f64) {
    let least: f64 = if whole { 1.0 } else { 0.000_1 };
    if !max.is_finite() || max <= 0.0 {
        return (least.max(1.0), 4.0 * least.max(1.0));
    }
    let raw = max / 4.0;
    let power = 10f64.powf(raw.log10().floor());
    let factors: &[f64] =
        if whole && power < 10.0 { &[1.0, 2.0, 5.0, 10.0] } else { &[1.0, 2.0, 2.5, 5.0, 10.0] };
    let step =
        factors.iter().map(|f| f * power).find(|s| *s >= raw * 0.999).unwrap_or(10.0 * power).max(least);
    (step, (max / step).ceil().max(1.0) * step)
}

/// Where a point is on the horizontal axis, of 1000.
#[allow(clippy::cast_precision_loss)] // A few hundred points.
fn x(index: usize, points: usize) -> f64 {
    if points < 2 { SIZE / 2.0 } else { SIZE * index as f64 / (points - 1) as f64 }
}

/// The same in per cent.
pub(crate) fn x_percent(index: usize, points: usize) -> String {
    format!("{:.2}", x(index, points) / 10.0)
}

fn path(values: &[Option<f64>], points: usize, top: f64) -> String {
    let mut out = String::new();
    let mut pen_down = false;
    for (i, value) in values.iter().enumerate() {
        if let Some(value) = value {
            let y = SIZE * (1.0 - value / top);
            let command = if pen_down { 'L' } else { 'M' };
            // Writing to a `String` cannot fail.
            let _ = write!(out, "{command}{:.1} {:.1}", x(i, points), y);
        }
        pen_down = value.is_some();
    }
    out
}

fn area(values: &[Option<f64>], points: usize, top: f64) -> String {
    let known: Vec<usize> = (0..values.len()).filter(|i| values[*i].is_some()).collect();
    let (Some(first), Some(last)) = (known.first(), known.last()) else { return String::new() };
    let solid: Vec<_> = values.iter().map(|v| Some(v.unwrap_or(0.0))).collect();
    let line = path(&solid[*first..=*last], points, top);
    if *first == 0 {
        return format!("{line}L{:.1} 1000L0.0 1000Z", x(*last, points));
    }
    let mut from_first = vec![None; *first];
    from_first.extend_from_slice(&solid[*first..=*last]);
    format!("{}L{:.1} 1000L{:.1} 1000Z", path(&from_first, points, top), x(*last, points), x(*first, points))
}

/// Draws a line. `label` writes a value of the vertical axis.
pub(crate) fn plot(line: &Line<'_>, whole: bool, label: impl Fn(f64) -> String) -> Plot {
    let values = || line.now.iter().chain(line.before).flatten().copied();
    let (step, top) = axis(values().fold(0.0, f64::max), whole);
    let complete = line.now.len() - usize::from(line.incomplete && !line.now.is_empty());
    let partial = if line.incomplete && complete > 0 {
        let mut values = vec![None; complete - 1];
        values.extend_from_slice(&line.now[complete - 1..]);
        path(&values, line.points, top)
    } else {
        String::new()
    };
    let mut y = Vec::new();
    let mut value = 0.0;
    while value <= top + step / 2.0 {
        y.push(Tick { at: format!("{:.2}", 100.0 * (1.0 - value / top)), label: label(value) });
        value += step;
    }
    Plot {
        area: area(line.now, line.points, top),
        line: path(&line.now[..complete], line.points, top),
        partial,
        before: path(line.before, line.points, top),
        y,
        top,
    }
}

/// A rectangle of a column: its part, and where it stands, in per cent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    /// Which part of the column.
    pub(crate) part: usize,
    pub(crate) x: String,
    pub(crate) y: String,
    pub(crate) width: String,
    pub(crate) height: String,
}

/// Columns, each cut into parts that stand on each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stacks {
    pub(crate) blocks: Vec<Block>,
    /// Labels of the vertical axis, from the bottom.
    pub(crate) y: Vec<Tick>,
}

/// Draws columns; the first part stands at the bottom. `label` writes a value of the vertical axis.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Columns are drawn.
pub(crate) fn stacks(columns: &[&[u64]], label: impl Fn(u64) -> String) -> Stacks {
    let tallest = columns.iter().map(|parts| parts.iter().sum::<u64>()).max().unwrap_or(0);
    let (step, top) = axis(tallest as f64, true);
    let slot = 100.0 / columns.len().max(1) as f64;
    let mut blocks = Vec::new();
    for (i, parts) in columns.iter().enumerate() {
        let mut height = 0.0;
        for (part, value) in parts.iter().enumerate().filter(|(_, value)| **value > 0) {
            let share = 100.0 * *value as f64 / top;
            height += share;
            blocks.push(Block {
                part,
                x: format!("{:.2}", slot * (i as f64 + 0.12)),
                y: format!("{:.2}", 100.0 - height),
                width: format!("{:.2}", slot * 0.76),
                height: format!("{share:.2}"),
            });
        }
    }
    let steps = (top / step).round() as u64;
    let y = (0..=steps)
        .map(|n| Tick {
            at: format!("{:.2}", 100.0 - 100.0 * n as f64 / steps as f64),
            label: label(n * step as u64),
        })
        .collect();
    Stacks { blocks, y }
}

/// The middle of a column, in per cent.
#[allow(clippy::cast_precision_loss)] // A few hundred columns.
pub(crate) fn middle_percent(index: usize, columns: usize) -> String {
    format!("{:.2}", 100.0 * (index as f64 + 0.5) / columns.max(1) as f64)
}

/// Which of `points` labels to print so that at most `labels` stand evenly on the axis.
pub(crate) fn spread(points: usize, labels: usize) -> Vec<usize> {
    if points == 0 {
        return Vec::new();
    }
    let step = points.div_ceil(labels.max(1)).max(1);
    (0..points).step_by(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn line_of_three_points_is_drawn_as_expected() {
        let now = [Some(0.0), Some(50.0), Some(100.0)];
        let drawn =
            plot(&Line { now: &now, before: &[Some(100.0)], points: 3, incomplete: true }, true, |v| {
                format!("{v}")
            });
        assert_eq!(drawn.line, "M0.0 1000.0L500.0 500.0");
        assert_eq!(drawn.partial, "M500.0 500.0L1000.0 0.0");
        assert_eq!(drawn.area, "M0.0 1000.0L500.0 500.0L1000.0 0.0L1000.0 1000L0.0 1000Z");
        assert_eq!(drawn.before, "M0.0 0.0");
        let labels: Vec<_> = drawn.y.iter().map(|t| t.label.as_str()).collect();
        assert_eq!(labels, ["0", "25", "50", "75", "100"]);
    }

    #[test]
    fn gap_interrupts_the_line() {
        assert_eq!(path(&[Some(1.0), None, Some(1.0)], 3, 1.0), "M0.0 0.0M1000.0 0.0");
    }

    #[test]
    fn graph_of_nothing_is_empty() {
        let drawn =
            plot(&Line { now: &[], before: &[], points: 0, incomplete: true }, true, |v| v.to_string());
        assert_eq!((drawn.line.as_str(), drawn.area.as_str()), ("", ""));
        assert_eq!(drawn.y.len(), 5);
    }

    #[test]
    fn labels_of_the_horizontal_axis_are_even_and_few() {
        assert_eq!(spread(24, 8), [0, 3, 6, 9, 12, 15, 18, 21]);
        assert_eq!(spread(7, 8), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(spread(0, 8), [0usize; 0]);
    }

    #[test]
    fn parts_of_a_column_stand_on_each_other() {
        let drawn = stacks(&[&[1, 0, 3], &[0, 0, 0]], |n| n.to_string());
        let blocks: Vec<_> =
            drawn.blocks.iter().map(|b| (b.part, b.x.as_str(), b.y.as_str(), b.height.as_str())).collect();
        assert_eq!(blocks, [(0, "6.00", "75.00", "25.00"), (2, "6.00", "0.00", "75.00")]);
        let labels: Vec<_> = drawn.y.iter().map(|t| (t.at.as_str(), t.label.as_str())).collect();
        assert_eq!(labels, [("100.00", "0"), ("75.00", "1"), ("50.00", "2"), ("25.00", "3"), ("0.00", "4")]);
        assert_eq!(stacks(&[], |n| n.to_string()).blocks, []);
        assert_eq!((middle_percent(0, 2), middle_percent(0, 0)), ("25.00".to_owned(), "50.00".to_owned()));
    }

    proptest! {
        #[test]
        fn axis_has_few_steps_and_holds_its_greatest_value(max in 0.001f64..1e9, whole in any::<bool>()) {
            let (step, top) = axis(max, whole);
            prop_assert!(top >= max * 0.999_999);
            let steps = (top / step).round();
            prop_assert!((1.0..=5.0).contains(&steps), "{steps}");
            prop_assert!(!whole || step.fract() == 0.0, "{step}");
        }

        #[test]
        fn every_point_is_inside_the_picture(values in proptest::collection::vec(0.0f64..1e6, 1..60)) {
            let now: Vec<_> = values.iter().map(|v| Some(*v)).collect();
            let drawn = plot(&Line { now: &now, before: &[], points: now.len(), incomplete: false }, true, |v| v.to_string());
            for number in drawn.line.split(['M', 'L', ' ']).filter(|n| !n.is_empty()) {
                let number: f64 = number.parse().unwrap();
                prop_assert!((-0.1..=1000.1).contains(&number));
            }
        }
    }
}
