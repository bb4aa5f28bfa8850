//! Command output: a table for people, JSON for programs.

use std::{fmt, io::Write as _};

use serde_json::Value;

use crate::failure::Failure;

/// Prints a line on standard output; it ends the command where nobody can read it any more.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::output::line(format_args!($($text)*)) };
}
pub(crate) use say;

/// See [`say`].
pub fn line(text: fmt::Arguments<'_>) -> Result<(), Failure> {
    print(format_args!("{text}\n"))
}

/// The same without a line end.
pub fn print(text: fmt::Arguments<'_>) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_fmt(text).and_then(|()| out.flush()).map_err(|e| Failure::output(&e))
}

/// Rows with named columns.
#[derive(Debug)]
pub struct Listing {
    columns: Vec<&'static str>,
    rows: Vec<Vec<Value>>,
}

impl Listing {
    /// A listing without rows.
    pub fn new(columns: &[&'static str]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; one value per column.
    pub fn row(&mut self, values: Vec<Value>) {
        debug_assert_eq!(values.len(), self.columns.len());
        self.rows.push(values);
    }

    /// Prints it.
    pub fn print(&self, json: bool) -> Result<(), Failure> {
        if json { say!("{}", self.json()) } else { print(format_args!("{}", self.table())) }
    }

    fn json(&self) -> Value {
        let object = |row: &Vec<Value>| {
            let pairs = self.columns.iter().zip(row).map(|(c, v)| ((*c).to_owned(), v.clone()));
            Value::Object(pairs.collect())
        };
        Value::Array(self.rows.iter().map(object).collect())
    }

    fn table(&self) -> String {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Array(values) => values
                .iter()
                .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
                .collect::<Vec<_>>()
                .join(", "),
            Value::Null => String::new(),
            Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
        };
        let text = |value: &Value| harmless(&text(value));
        let mut lines: Vec<Vec<String>> = vec![self.columns.iter().map(|c| (*c).to_owned()).collect()];
        lines.extend(self.rows.iter().map(|row| row.iter().map(text).collect()));
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|i| lines.iter().map(|line| line[i].chars().count()).max().unwrap_or(0))
            .collect();
        let mut out = String::new();
        for line in lines {
            let cells: Vec<String> = line
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.chars().count())))
                .collect();
            out.push_str(cells.join("  ").trim_end());
            out.push('\n');
        }
        out
    }
}

/// A text without what a terminal would take for a command, as an imported path or a name may have it, or for another direction
/// of writing (Unicode TR 36, 2.8).
fn harmless(text: &str) -> String {
    let acts = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.replace(acts, "\u{fffd}")
}

/// Prints a remark that is not part of the output.
pub fn note(text: &str) {
    // Where standard error is closed or full, the remark is lost, and nothing else.
    let _unread = writeln!(std::io::stderr(), "{text}");
}

/// A figure: a count as a whole number, otherwise with its fraction; null if there is none.
pub fn number(figure: Option<f64>) -> Value {
    match figure {
        Some(n) if n.fract() == 0.0 && n.abs() < 9e15 => Value::from(n as i64),
        Some(n) => Value::from((n * 10_000.0).round() / 10_000.0),
        None => Value::Null,
    }
}

/// A time for people and programs: RFC 3339 in UTC.
pub fn time(ms: i64) -> Value {
    jiff::Timestamp::from_millisecond(ms)
        .map_or(Value::Null, |t| Value::String(t.round(jiff::Unit::Second).unwrap_or(t).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_a_table_commands_no_terminal() {
        let mut listing = Listing::new(&["name"]);
        listing.row(vec!["a\u{1b}]0;title\u{7}b\nc\r\td\u{9b}31m\u{202e}e\u{7f}".into()]);
        listing.row(vec![vec!["\u{1b}[2J", "café 東京"].into()]);
        assert_eq!(
            listing.table(),
            "name\na\u{fffd}]0;title\u{fffd}b\u{fffd}c\u{fffd}\u{fffd}d\u{fffd}31m\u{fffd}e\u{fffd}\n\u{fffd}[2J, café 東京\n"
        );
    }

    #[test]
    fn listing_is_a_table_for_people_and_objects_for_programs() {
        let mut listing = Listing::new(&["name", "n"]);
        listing.row(vec!["ä".into(), 1.into()]);
        listing.row(vec!["longer".into(), Value::Null]);
        assert_eq!(listing.table(), "name    n\nä       1\nlonger\n");
        assert_eq!(listing.json().to_string(), r#"[{"n":1,"name":"ä"},{"n":null,"name":"longer"}]"#);
    }
}
