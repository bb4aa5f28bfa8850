//! What is stored is shown: every column of `events` has a report, or a reason why it has none.

use std::fs;

use sotto_dashboard::report::Dimension;
use sotto_schema::event::Field;
use sotto_tests::workspace;

/// Columns that reports use and do not group by, and where they do.
const USED: [(&str, &str); 29] = [
    ("site", EVENTS),
    ("day", EVENTS),
    ("time", EVENTS),
    ("kind", EVENTS),
    ("tier", EVENTS),
    ("granted", EVENTS),
    ("refused", EVENTS),
    ("gpc", EVENTS),
    ("visitor", EVENTS),
    ("session", EVENTS),
    ("view", EVENTS),
    ("seq", EVENTS),
    ("interactive", EVENTS),
    ("engaged_ms", EVENTS),
    ("referrer_path", EVENTS),
    ("scroll", EVENTS),
    ("revenue", EVENTS),
    ("currency", EVENTS),
    ("lcp_ms", EVENTS),
    ("fcp_ms", EVENTS),
    ("inp_ms", EVENTS),
    ("ttfb_ms", EVENTS),
    ("cls_milli", EVENTS),
    ("click_path", EVENTS),
    ("asn", "schema/store/src/settled/naming.rs"),
    ("notice_version", "dashboard/src/report/receipts.sql"),
    ("consent_source", "dashboard/src/report/decisions.sql"),
    ("receipt", "dashboard/src/report/receipts.sql"),
    ("returning", "dashboard/src/report/returning.sql"),
];
const EVENTS: &str = "schema/store/src/settled/of_events.rs";

/// Columns without a report, and why they are stored.
const WITHOUT: [(&str, &str); 3] = [
    ("expires", "the day on which the row is removed"),
    ("shuffle", "the order of rows without a visitor"),
    ("click_at", "exported; a picture of where elements are clicked is to come"),
];

/// Whether a text has a word.
fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == word)
}

#[test]
fn every_stored_column_has_a_report_or_a_reason_why_it_has_none() {
    for field in Field::ALL {
        let name = field.name();
        let shown = Dimension::ALL.iter().any(|by| by.column() == name);
        let used = USED.iter().any(|(column, _)| *column == name);
        let without = WITHOUT.iter().any(|(column, _)| *column == name);
        assert!(shown || used || without, "{name} is stored and never shown: a report, or not stored");
        assert!(!without || !(shown || used), "{name} has a report, and a reason why it has none");
    }
}

#[test]
fn list_of_columns_that_are_used_or_not_shown_is_true() {
    let names: Vec<&str> = Field::ALL.iter().map(|field| field.name()).collect();
    for (column, _) in USED.iter().chain(&WITHOUT) {
        assert!(names.contains(column), "{column} is not stored");
    }
    for (column, file) in USED {
        let text = fs::read_to_string(workspace().join(file)).unwrap();
        assert!(has_word(&text, column), "{file} does not use {column}");
    }
}
