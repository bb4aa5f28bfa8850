//! Annotations on charts: at which point of the horizontal axis each of them stands.

use clickhouse::error::Error;
use jiff::civil::Date;
use sotto_store::{
    annotation::{self, Annotation},
    db::Db,
};

use crate::{
    range::{Interval, Range},
    reading::Reading,
};

/// The annotations that a reader sees on the charts of some days: they are of the people of the site.
pub(super) async fn of_reader(db: &Db, reading: &Reading, range: Range) -> Result<Vec<Annotation>, Error> {
    match reading.is_member() {
        true => annotation::between(db, reading.site.id, [range.from, range.to]).await,
        false => Ok(Vec::new()),
    }
}

/// An annotation below a chart.
pub(super) struct Note {
    /// When, for people.
    pub(super) when: String,
    pub(super) text: String,
}

/// The annotations of a chart, the earliest first.
pub(super) fn notes(annotations: &[Annotation]) -> Vec<Note> {
    annotations.iter().map(|found| Note { when: moment(found), text: found.text.clone() }).collect()
}

/// When something happened, for people.
pub(super) fn moment(annotation: &Annotation) -> String {
    let day = annotation.at.day.strftime("%-d %b %Y").to_string();
    match annotation.at.time {
        Some(time) => format!("{day}, {}", time.strftime("%H:%M")),
        None => day,
    }
}

/// What is written at each of the points, which are named as in [`crate::report::series::Point`].
pub(super) fn at_points<'a>(
    annotations: &[Annotation],
    points: impl Iterator<Item = &'a str>,
    interval: Interval,
) -> Vec<Vec<String>> {
    let written = |point: &str| -> Vec<String> {
        annotations
            .iter()
            .filter(|found| bucket(found, interval) == point)
            .map(|found| text(found, interval))
            .collect()
    };
    points.map(written).collect()
}

/// The point at which an annotation stands; one of a whole day at the day's first hour.
fn bucket(annotation: &Annotation, interval: Interval) -> String {
    let day: Date = annotation.at.day;
    match interval {
        Interval::Hour => format!("{day} {:02}:00", annotation.at.time.map_or(0, |time| time.hour())),
        Interval::Day => day.to_string(),
        Interval::Month => day.strftime("%Y-%m").to_string(),
    }
}

/// What it says, with what its point does not tell.
fn text(annotation: &Annotation, interval: Interval) -> String {
    let words = &annotation.text;
    match (interval, annotation.at.time) {
        (Interval::Month, _) => format!("{}: {words}", annotation.at.day.strftime("%-d %b")),
        (Interval::Hour | Interval::Day, Some(time)) => format!("{}: {words}", time.strftime("%H:%M")),
        (Interval::Hour | Interval::Day, None) => words.clone(),
    }
}

#[cfg(test)]
mod tests {
    use sotto_schema::id::AnnotationId;
    use sotto_store::annotation::Moment;

    use super::*;
    use crate::report::series;

    #[test]
    fn annotation_stands_at_its_hour_its_day_and_its_month_also_where_clocks_change() {
        let of = |at: &str| Annotation {
            id: AnnotationId(1),
            at: Moment::parse(at).unwrap(),
            text: "Sale".into(),
            created_ms: 0,
        };
        // In the night of 29 March, clocks in Berlin have no hour from two to three.
        for (at, interval, from, to, point, says) in [
            ("2026-03-29 02:30", Interval::Hour, "2026-03-29", "2026-03-29", 2, "02:30: Sale"),
            ("2026-03-29", Interval::Hour, "2026-03-29", "2026-03-29", 0, "Sale"),
            ("2026-10-25 23:59", Interval::Hour, "2026-10-25", "2026-10-25", 23, "23:59: Sale"),
            ("2026-03-29 00:00", Interval::Day, "2026-03-28", "2026-03-30", 1, "00:00: Sale"),
            ("2026-03-30", Interval::Day, "2026-03-28", "2026-03-30", 2, "Sale"),
            ("2026-03-31", Interval::Month, "2026-02-10", "2026-05-01", 1, "31 Mar: Sale"),
        ] {
            let range = Range { from: from.parse().unwrap(), to: to.parse().unwrap() };
            let points = series::fill(range, interval, Vec::new());
            let found = at_points(&[of(at)], points.iter().map(|point| point.at.as_str()), interval);
            for (n, texts) in found.iter().enumerate() {
                let expected = if n == point { vec![says.to_owned()] } else { Vec::new() };
                assert_eq!(*texts, expected, "{at}, point {n}");
            }
        }
    }
}
