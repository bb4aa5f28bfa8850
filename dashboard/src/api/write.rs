//! Tables as JSON and CSV.

use serde_json::{Value, json};

use crate::{
    labels,
    range::Range,
    report::{Detail, Dimension, Metric, Origin, Table, TableRow, groups::GROUP_MIN},
};

/// A table as JSON: `{"metrics": [...], "by": ..., "rows": [{"value": ..., "visitors": ...}]}`.
pub fn table(table: &Table) -> Value {
    let row = |row: &TableRow| {
        let mut out = serde_json::Map::new();
        if let Some(by) = table.by {
            out.insert(by.name().to_owned(), json!(row.value));
        }
        for (metric, figure) in table.metrics.iter().zip(&row.figures) {
            out.insert(metric.name().to_owned(), number(*metric, *figure));
        }
        Value::Object(out)
    };
    json!({
        "by": table.by.map(Dimension::name),
        "metrics": table.metrics.iter().map(|m| m.name()).collect::<Vec<_>>(),
        "rows": table.rows.iter().map(row).collect::<Vec<_>>(),
    })
}

/// Where figures come from: `{"archive": [{"from", "to"}], "raw": …, "missing": …, "folded": {…}}`. `missing` are days
/// that would need raw events, which are gone; `folded` is what the row `(rest)` counts; `margin` says how far figures from
/// the archive may be off, in 95 of 100 cases.
pub fn origin(origin: &Origin) -> Value {
    let days = |ranges: &[Range]| -> Vec<Value> {
        let one = |r: &Range| json!({"from": r.from.to_string(), "to": r.to.to_string()});
        ranges.iter().map(one).collect()
    };
    let folded = &origin.folded;
    json!({
        "archive": days(&origin.archive),
        "raw": days(&origin.raw),
        "settled": days(&origin.settled),
        "missing": days(&origin.missing),
        "folded": {
            "visitors": folded.visitors,
            "visits": folded.visits,
            "pageviews": folded.pageviews,
            "events": folded.events,
        },
        "margin": {"visitors": origin.margin.visitors, "hits": origin.margin.hits},
    })
}

/// What a viewer's figures were done to: `{"visitors_min": 5, "withheld": false}`; null for other readers.
pub fn groups(detail: Detail, withheld: bool) -> Value {
    match detail {
        Detail::All => Value::Null,
        Detail::Groups => json!({"visitors_min": GROUP_MIN, "withheld": withheld}),
    }
}

/// A table as CSV (RFC 4180) with a header row. A value that a spreadsheet would take for a formula is
/// prefixed with an apostrophe, because visitors can choose values. Values are called what they are called on pages: a
/// file is for people, JSON for programs.
pub fn csv(table: &Table) -> String {
    let mut out = String::new();
    let head = table.by.map(Dimension::name).into_iter().chain(table.metrics.iter().map(|m| m.name()));
    out.push_str(&head.collect::<Vec<_>>().join(","));
    out.push_str("\r\n");
    for row in &table.rows {
        let value = table.by.map(|by| csv_field(&labels::label(by, &row.value)));
        let figures = table.metrics.iter().zip(&row.figures).map(|(m, f)| {
            let number = number(*m, *f);
            if number.is_null() { String::new() } else { number.to_string() }
        });
        out.push_str(&value.into_iter().chain(figures).collect::<Vec<_>>().join(","));
        out.push_str("\r\n");
    }
    out
}

/// Rows of texts and whole numbers as CSV, as [`csv`] writes them.
pub(super) fn lines(head: &[&str], rows: &[Vec<String>]) -> String {
    let row = |row: &Vec<String>| {
        let fields: Vec<String> = row.iter().map(|field| csv_field(field)).collect();
        fields.join(",") + "\r\n"
    };
    head.join(",") + "\r\n" + &rows.iter().map(row).collect::<String>()
}

/// A count as a whole number, anything else with four digits after the point.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Whole and not negative.
pub(super) fn rounded(n: f64) -> Value {
    if n.fract() == 0.0 && (0.0..9e15).contains(&n) {
        json!(n as u64)
    } else {
        json!((n * 10_000.0).round() / 10_000.0)
    }
}

fn csv_field(value: &str) -> String {
    let formula = value.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let value = if formula { format!("'{value}") } else { value.to_owned() };
    if value.contains([',', '"', '\n', '\r']) { format!("\"{}\"", value.replace('"', "\"\"")) } else { value }
}

/// Counts as whole numbers, ratios with four digits after the point.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Counts are whole and not negative.
pub(super) fn number(metric: Metric, figure: Option<f64>) -> Value {
    match (metric, figure) {
        (_, None) => Value::Null,
        (Metric::Visitors | Metric::Visits | Metric::Pageviews | Metric::Events, Some(n)) => json!(n as u64),
        (Metric::BounceRate | Metric::EngagedSeconds | Metric::ViewsPerVisit, Some(n)) => {
            json!((n * 10_000.0).round() / 10_000.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Counts;

    #[test]
    fn table_names_its_figures_and_keeps_counts_whole() {
        let answer = Table {
            by: Some(Dimension::Page),
            metrics: vec![Metric::Visitors, Metric::BounceRate],
            rows: vec![TableRow {
                value: "/".into(),
                figures: vec![Some(12.0), None],
                counts: Counts::default(),
            }],
            origin: Origin::default(),
            detail: Detail::All,
            withheld: false,
        };
        let expected = json!({
            "by": "page",
            "metrics": ["visitors", "bounce_rate"],
            "rows": [{"page": "/", "visitors": 12, "bounce_rate": null}],
        });
        assert_eq!(table(&answer), expected);
    }

    #[test]
    fn file_is_written_for_people() {
        let row = |value: &str| TableRow {
            value: value.into(),
            figures: vec![Some(4_070.0)],
            counts: Counts::default(),
        };
        let file = |by, value| {
            csv(&Table {
                by: Some(by),
                metrics: vec![Metric::Visitors],
                rows: vec![row(value)],
                origin: Origin::default(),
                detail: Detail::All,
                withheld: false,
            })
        };
        assert_eq!(file(Dimension::Source, ""), "source,visitors\r\nDirect,4070\r\n");
        assert_eq!(file(Dimension::Channel, "organic_search"), "channel,visitors\r\nOrganic search,4070\r\n");
    }

    #[test]
    fn value_in_csv_is_quoted_and_never_a_formula() {
        for (value, expected) in [
            ("/a", "/a"),
            ("a,\"b\"", "\"a,\"\"b\"\"\""),
            ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
            ("@a,b", "\"'@a,b\""),
        ] {
            assert_eq!(csv_field(value), expected);
        }
    }
}
