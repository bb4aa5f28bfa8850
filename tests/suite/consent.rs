//! The page about consent: categories that nobody has mapped, from a real hit to the tag, and visitors who agreed to
//! be known again, over several days.

use jiff::ToSpan;
use serde_json::{Value, json};
use sotto_dashboard::report::returning::NUMBER_DAYS_MAX;
use sotto_schema::id::ReturningId;
use sotto_tests::{Noon, Sotto, UTC, wait_for};

use crate::quality::{api, get, sign_in, store};

/// A report of categories that nobody has mapped, as the script sends it.
fn report(key: &str, seq: u32, source: &str, categories: &Value) -> String {
    json!({"v": 1, "s": key, "k": "o", "i": "v1", "q": seq, "c": 5, "src": source, "un": categories})
        .to_string()
}

/// What is listed: source, id and how often.
fn listed(consent: &Value) -> Vec<(String, String, u64)> {
    let text = |of: &Value, name: &str| of[name].as_str().unwrap().to_owned();
    let all = consent["unmapped"].as_array().unwrap();
    all.iter().map(|u| (text(u, "source"), text(u, "category"), u["times"].as_u64().unwrap())).collect()
}

#[test]
fn unmapped_category_goes_from_the_hit_to_the_page_and_from_there_onto_the_tag() {
    let sotto = Sotto::start();
    let (key, other) = (sotto.add_site("a.example", &[]), sotto.add_site("b.example", &[]));
    let owner = sign_in(&sotto, "owner@example.org", &["--role", "owner"]);
    assert_eq!(api(&sotto, &key, "consent", &owner)["unmapped"], json!([]));
    let masked = "customCategory-da1466e9-42f6-4845-88ef-14d3080feb97";
    for (seq, source, categories) in [
        (0, "onetrust", json!(["C0009", "\"><b>Not mine, \u{e9}"])),
        (1, "onetrust", json!(["C0009"])),
        (2, "usercentrics", json!([masked])),
    ] {
        assert_eq!(sotto.hit(&report(&key, seq, source, &categories), &[]), 204);
    }
    // Whoever is not counted is not counted here either.
    let crawler = [("user-agent", "Googlebot/2.1")];
    assert_eq!(sotto.hit(&report(&key, 3, "onetrust", &json!(["C0010"])), &crawler), 204);
    let decision = format!(r#"{{"v":1,"s":"{key}","k":"o","i":"v2","q":0,"c":5,"src":"onetrust"}}"#);
    assert_eq!(sotto.hit(&decision, &[]), 204);

    let consent = wait_for("the categories and the decision", || {
        let consent = api(&sotto, &key, "consent", &owner);
        let all = consent["unmapped"].as_array().is_some_and(|u| u.len() == 3);
        (all && consent["total"]["decisions"].as_u64() > Some(0)).then_some(consent)
    });
    let expected =
        [("onetrust", "C0009", 2), ("onetrust", "\"><b>Not mine, é", 1), ("usercentrics", "[token]", 1)];
    assert_eq!(listed(&consent), expected.map(|(s, c, n)| (s.to_owned(), c.to_owned(), n)));
    assert_eq!(consent["total"]["decisions"], 1, "a report of categories is no decision");
    assert_eq!(consent["unmapped"][0]["last_day"], consent["query"]["to"]);
    assert_eq!(api(&sotto, &other, "consent", &owner)["unmapped"], json!([]));

    let page = get(&sotto, &format!("/s/{key}/consent?p=today"), &owner).text();
    assert!(page.contains("Seen but unmapped") && page.contains("OneTrust"), "{page}");
    assert!(page.contains(r#"name="consent" value="onetrust""#), "{page}");
    assert!(!page.contains("<b>Not mine"), "an id is text: {page}");
    assert!(page.contains("masked; write its whole id"), "{page}");
    assert!(
        !get(&sotto, &format!("/s/{key}/consent?p=custom&from=2020-01-01&to=2020-01-02"), &owner)
            .text()
            .contains("Seen but unmapped")
    );

    let query = url_of(&["C0009:4", "\"><b>Not mine, é:0", "", "[token]:4", "evil:99"]);
    let install = get(&sotto, &format!("/s/{key}/install?m=auto&consent=onetrust&{query}"), &owner).text();
    let tag = "data-map=&#34;C0009:4 %22%3E%3Cb%3ENot%20mine%2C%20%C3%A9:0&#34;";
    assert!(install.contains(tag), "{install}");
    assert!(!install.contains("<b>Not mine") && !install.contains("evil"), "{install}");
}

fn url_of(values: &[&str]) -> String {
    let encoded = |text: &str| text.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
    values.iter().map(|value| format!("map={}", encoded(value))).collect::<Vec<_>>().join("&")
}

#[test]
fn unmapped_categories_are_stored_once_however_often_clickhouse_is_asked() {
    let mut sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let owner = sign_in(&sotto, "owner@example.org", &["--role", "owner"]);
    // Counts of the same size in two batches are no repetition of one.
    for seq in 0..2 {
        assert_eq!(sotto.hit(&report(&key, seq, "onetrust", &json!(["C0009"])), &[]), 204);
        sotto.stop();
        sotto.start_again();
        let times = u64::from(seq) + 1;
        assert_eq!(
            listed(&api(&sotto, &key, "consent", &owner)),
            [("onetrust".into(), "C0009".into(), times)]
        );
    }
}

/// A hit of `visitor` on a day, `returning` being the number that its browser keeps.
fn hit(day: &str, returning: ReturningId, visit: u64) -> String {
    let granted = if returning.is_none() { 0 } else { 5 };
    json!({
        "site": "{site}", "day": day, "expires": "2099-01-01", "time": format!("{day} 10:00:00.000"),
        "kind": "pageview", "tier": "full", "granted": granted, "visitor": visit, "session": visit, "returning": returning,
    })
    .to_string()
    .replace("\"{site}\"", "{site}")
}

#[test]
fn returning_visitors_are_those_who_agreed_and_came_on_another_day() {
    let sotto = Sotto::start();
    let (key, other) = (sotto.add_site("a.example", &UTC), sotto.add_site("b.example", &UTC));
    let owner = sign_in(&sotto, "owner@example.org", &["--role", "owner"]);
    // A period of twenty days, of which this is the first; nothing is so long ago that it is removed.
    let first = Noon::now().day(40);
    const OLDEST: i32 = NUMBER_DAYS_MAX as i32;
    let days = |n: i32| first.saturating_add((n - 1).days()).to_string();
    let mut rows = vec![
        // 1: seen a month before, one day in the period with two visits and three hits.
        hit(&days(-27), ReturningId(1), 100),
        hit(&days(2), ReturningId(1), 101),
        hit(&days(2), ReturningId(1), 101),
        hit(&days(2), ReturningId(1), 102),
        // 2: two days of the period.
        hit(&days(3), ReturningId(2), 201),
        hit(&days(4), ReturningId(2), 202),
        // 3: one day.
        hit(&days(5), ReturningId(3), 301),
        // 6: seen as long ago as a number can be old, and on six days below.
        hit(&days(1 - OLDEST), ReturningId(6), 600),
        // Only before the period, and only after it.
        hit(&days(-3), ReturningId(7), 700),
        hit(&days(21), ReturningId(8), 800),
        // Longer ago than a number can be old: another visitor's, by chance.
        hit(&days(-OLDEST), ReturningId(3), 300),
        // Nobody agreed: known on one day only.
        hit(&days(3), ReturningId::NONE, 901),
        hit(&days(4), ReturningId::NONE, 902),
    ];
    // 4: three days. 5: five days. 6: six days.
    for (returning, count) in [(4, 3), (5, 5), (6, 6)] {
        rows.extend(
            (0..count).map(|n| hit(&days(6 + n), ReturningId(returning), returning * 100 + 10 + n as u64)),
        );
    }
    let insert = |key: &str, rows: &[String]| {
        store(&sotto, key, &["INSERT INTO events FORMAT JSONEachRow\n", &rows.join("\n")].concat());
    };
    insert(&key, &rows);
    insert(&other, &[hit(&days(3), ReturningId(9), 1)]);

    let asked = format!("from={}&to={}", days(1), days(20));
    assert_eq!(
        api(&sotto, &key, &format!("consent?{asked}"), &owner)["returning"],
        json!({
            "visitors": 6, "new": 1, "returning": 5, "known_before": 2, "came_back": 3,
            "visits": 19, "visits_per_visitor": 19.0 / 6.0,
            "by_days": {"1": 2, "2": 1, "3-5": 2, "6+": 1},
        })
    );
    let page = get(&sotto, &format!("/s/{key}/consent?p=custom&{asked}"), &owner).text();
    for words in [
        "<b>6</b> visitors agreed to be known again",
        "83% returned",
        "3.17 visits each",
        "without consent nobody is known on another day",
    ] {
        assert!(page.contains(words), "{words}");
    }
    let none = api(&sotto, &key, "consent?from=2020-01-01&to=2020-01-02", &owner);
    assert_eq!(
        (&none["returning"]["visitors"], &none["returning"]["visits_per_visitor"]),
        (&json!(0), &Value::Null)
    );
    let page =
        get(&sotto, &format!("/s/{key}/consent?p=custom&from=2020-01-01&to=2020-01-02"), &owner).text();
    assert!(page.contains("Nobody can be told in this period"), "{page}");
}
