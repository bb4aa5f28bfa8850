//! What is due goes, from the real tables, and what is not stays.

use std::fs;

use serde_json::{Value, json};
use sotto_tests::{Noon, Sotto, wait_for};

/// A pageview of `age` days ago that expires in `left` days.
fn event(noon: &Noon, path: &str, age: i32, left: i32) -> String {
    let [day, expires] = [age, -left].map(|age| noon.day(age).to_string());
    let time = format!("{day} 12:00:00.000");
    json!({ "day": day, "expires": expires, "time": time, "kind": "pageview", "hostname": "a.example",
            "path": path, "visitor": "7", "session": "7" })
    .to_string()
}

fn import(sotto: &Sotto, key: &str, events: &[String]) {
    let file = sotto.data().join("events.jsonl");
    fs::write(&file, events.join("\n") + "\n").unwrap();
    sotto.run(&["import", &file.display().to_string(), "--from", "sotto", "--site", key]);
    fs::remove_file(file).unwrap();
}

fn paths(sotto: &Sotto, key: &str) -> Vec<String> {
    let mut paths: Vec<String> = sotto
        .run(&["export", key])
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap()["path"].as_str().unwrap().to_owned())
        .collect();
    paths.sort();
    paths
}

fn rows(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn raw_events_are_removed_on_the_day_they_expire() {
    let mut sotto = Sotto::start();
    // One day for the whole test.
    let noon = Noon::now();
    let add = |hostname: &str, days: &str| {
        sotto.add_site(hostname, &["--time-zone", &noon.zone, "--retention-days", days])
    };
    let (short, long) = (add("a.example", "30"), add("b.example", "760"));
    let event = |path: &str, age: i32, left: i32| event(&noon, path, age, left);
    // Not by the running program, which looks once an hour, but at its start: see below.
    let events = [
        event("/whole-week", 120, -30),
        event("/due-today", 30, 0),
        event("/shortened", 40, 50),
        event("/fresh", 28, 2),
        event("/new", 1, 29),
    ];
    import(&sotto, &short, &events);
    import(
        &sotto,
        &long,
        &[event("/ancient", 761, 200), event("/old", 400, 360), event("/neighbour", 40, 50)],
    );

    let planned = rows(&sotto.run(&["retention", "run", "--dry-run", "--json"]));
    assert!(planned.iter().all(|r| r["how"].as_str().unwrap().starts_with("would be")), "{planned:?}");
    assert_eq!(paths(&sotto, &short).len(), 5, "a dry run removes nothing");

    let early = rows(&sotto.run(&["retention", "run", "--json"]));
    assert_eq!(paths(&sotto, &short).len(), 5, "what the archive has not taken over waits for it: {early:?}");
    assert_eq!(paths(&sotto, &long), ["/neighbour", "/old"], "25 months are over, archive or not: {early:?}");
    sotto.run(&["archive", "seal"]);

    let mut removed = rows(&sotto.run(&["retention", "run", "--json"]));
    removed.extend(early.into_iter().filter(|r| !r["how"].as_str().unwrap().starts_with("held")));
    let count: u64 =
        removed.iter().filter(|r| r["class"] == "raw_events").map(|r| r["count"].as_u64().unwrap()).sum();
    assert_eq!(count, 4, "{removed:?}");
    assert!(
        removed.iter().any(|r| r["how"] == "partition dropped" && r["from"] == noon.day(120).to_string()),
        "{removed:?}"
    );
    assert_eq!(paths(&sotto, &short), ["/fresh", "/new"]);
    assert_eq!(paths(&sotto, &long), ["/neighbour", "/old"]);
    assert!(sotto.run(&["retention", "run"]).contains("nothing is due"), "a second run finds nothing");

    let log = sotto.run(&["retention", "log"]);
    assert!(
        log.contains("raw_events: 1 of") && log.contains("partition dropped") && log.contains("rewritten"),
        "{log}"
    );

    import(&sotto, &short, &[event("/again", 31, 10)]);
    sotto.run(&["archive", "seal"]);
    sotto.stop();
    sotto.start_again();
    wait_for("the running program to remove what is due", || {
        (paths(&sotto, &short) == ["/fresh", "/new"]).then_some(())
    });
}

#[test]
fn removed_member_of_staff_is_rewritten_out_of_the_tables() {
    let sotto = Sotto::start();
    let (ok, out) =
        sotto.try_run(&["user", "add", "leaver@example.org", "--role", "owner"], "a long enough password\n");
    assert!(ok, "{out}");
    let (ok, out) =
        sotto.try_run(&["user", "add", "stays@example.org", "--role", "owner"], "a long enough password\n");
    assert!(ok, "{out}");
    sotto.run(&["user", "remove", "leaver@example.org"]);
    sotto.run(&["retention", "run"]);
    assert!(sotto.run(&["user", "list"]).contains("stays@example.org"));
    assert!(!sotto.run(&["user", "list"]).contains("leaver@example.org"), "a removed one must not come back");
    let left = sotto.ask_clickhouse("SELECT count() FROM users WHERE email = 'leaver@example.org'");
    assert_eq!(left.trim(), "0", "also of what marks them as removed");
}

#[test]
fn backup_that_is_too_old_is_deleted_and_that_is_noted() {
    let sotto = Sotto::start();
    sotto.run(&["backup"]);
    let dir = sotto.data().join("backups");
    let old = dir.join("sotto-20200101T000000Z.tar");
    fs::write(&old, b"x").unwrap();
    // By this command or by the running program, whose first look may come a moment before.
    sotto.run(&["retention", "run"]);
    wait_for("the old one to be deleted and noted", || {
        let noted = sotto.run(&["retention", "log"]).contains("backups: 1 of 2020-01-01, deleted");
        (noted && !old.exists()).then_some(())
    });
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "the new one stays");
}

#[test]
fn rules_name_every_class_and_the_days_of_each_site() {
    let sotto = Sotto::start();
    sotto.add_site("a.example", &["--retention-days", "31"]);
    let rules = rows(&sotto.run(&["retention", "rules", "--json"]));
    assert_eq!(rules.len(), sotto_schema::datamap::classes().len());
    assert!(rules.iter().any(|r| r["class"] == "raw_events" && r["days"] == 31), "{rules:?}");
}
