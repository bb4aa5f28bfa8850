//! The order in which rows lie tells nothing: attacks on receipts and on visitors who refused, by whoever has the database.
//! Each wins no more often than chance. Without the sort key's last column and with the page of a decision they won 30 of
//! 30 and 90 of 90.

use std::collections::BTreeMap;

use sotto_tests::{Sotto, wait_for};

/// How many people there are.
const PEOPLE: usize = 30;
/// Pages that each who refused has looked at, one after the other.
const PAGES: usize = 4;

fn send(sotto: &Sotto, person: usize, hit: &str) {
    let address = format!("198.51.100.{person}");
    assert_eq!(sotto.hit(hit, &[("x-forwarded-for", &address)]), 204);
}

/// Waits until so many rows are stored and lets ClickHouse merge them, as it does by itself in time.
fn merged(sotto: &Sotto, rows: usize) {
    wait_for("the rows", || {
        let stored = sotto.ask_clickhouse("SELECT count() FROM events");
        (stored.trim() == rows.to_string()).then_some(())
    });
    sotto.ask_clickhouse("OPTIMIZE TABLE events FINAL");
    sotto.ask_clickhouse("OPTIMIZE TABLE consent_receipts FINAL");
}

fn lines(sotto: &Sotto, sql: &str) -> Vec<String> {
    sotto.ask_clickhouse(sql).lines().map(str::to_owned).collect()
}

#[test]
fn receipts_are_joined_to_visits_no_more_often_than_by_chance() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let receipt = |person: usize| number(person);
    for person in 0..PEOPLE {
        let page = format!("https://a.example/visit/{person}");
        send(&sotto, person, &format!(r#"{{"v":1,"s":"{key}","k":"p","i":"v{person}","q":0,"u":"{page}"}}"#));
        let decision = format!(
            r#"{{"v":1,"s":"{key}","k":"o","i":"v{person}","q":1,"c":5,"u":"{page}","src":"banner","rc":{{"i":"{}","v":"1","l":"de"}}}}"#,
            receipt(person)
        );
        send(&sotto, person, &decision);
    }
    merged(&sotto, 2 * PEOPLE);
    let truth: BTreeMap<String, String> =
        (0..PEOPLE).map(|person| (receipt(person), format!("/visit/{person}"))).collect();

    // The first receipt in the table belongs to the first visit, and so on.
    let visits =
        lines(&sotto, "SELECT path FROM events WHERE visitor != 0 AND kind = 'pageview' ORDER BY time");
    for table in ["events WHERE kind = 'consent'", "consent_receipts"] {
        let receipts = lines(&sotto, &format!("SELECT receipt FROM {table} ORDER BY _part, _part_offset"));
        assert_eq!((visits.len(), receipts.len()), (PEOPLE, PEOPLE));
        let won = receipts.iter().zip(&visits).filter(|(receipt, visit)| truth[*receipt] == **visit).count();
        // By chance one; seven or more of thirty once in ten thousand times.
        assert!(won < 7, "{won} of {PEOPLE} receipts in {table} are joined to their visits by their place");
    }

    // A receipt belongs to the visit with the same values, where it has any.
    let columns = ["path", "hostname", "referrer_host", "country", "device", "source", "language", "screen"];
    for column in columns {
        let sql = format!("SELECT DISTINCT toString({column}) FROM events WHERE kind = 'consent'");
        let values = lines(&sotto, &sql);
        let none = if matches!(column, "device" | "screen") { "unknown" } else { "" };
        assert_eq!(values.concat(), none, "{column} of decisions");
    }
}

#[test]
fn trail_of_a_visitor_who_refused_is_found_no_more_often_than_by_chance() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    for person in 0..PEOPLE {
        for page in 0..PAGES {
            let url = format!("https://a.example/trail/{person}/{page}");
            let hit =
                format!(r#"{{"v":1,"s":"{key}","k":"p","i":"v{person}x{page}","q":0,"c":1,"u":"{url}"}}"#);
            send(&sotto, person, &hit);
        }
    }
    merged(&sotto, PEOPLE * PAGES);
    assert_eq!(lines(&sotto, "SELECT count() FROM events WHERE visitor = 0"), [(PEOPLE * PAGES).to_string()]);
    let rows = lines(&sotto, "SELECT path FROM events ORDER BY _part, _part_offset");
    let person = |path: &str| path.split('/').nth(2).map(str::to_owned);
    let won = rows.windows(2).filter(|pair| person(&pair[0]) == person(&pair[1])).count();
    // By chance three: each row has three others of 119 that are of the same person.
    assert!(won < 14, "{won} of {} neighbours are one person's trail", PEOPLE * (PAGES - 1));
}

/// A number as a browser makes it.
fn number(person: usize) -> String {
    format!("{:016x}", (person as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
