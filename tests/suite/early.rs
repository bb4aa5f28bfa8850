//! Hits that come before the pageview they belong to, as they may on another connection.

use std::io::{Read, Write};

use serde_json::{Value, json};
use sotto_tests::{PERSON, Sotto, connect, request, wait_for};

/// How many requests waited for their pageview: it came, and it did not.
fn waited(sotto: &Sotto) -> (u64, u64) {
    let metrics = request("GET", &format!("{}/metrics", sotto.admin), &[], b"").text();
    let of = |name: &str| {
        let prefix = format!("sotto_pageviews_{name}_total ");
        metrics.lines().find_map(|line| line.strip_prefix(&prefix)?.parse().ok()).unwrap()
    };
    (of("awaited"), of("missed"))
}

#[test]
fn events_that_overtake_their_pageviews_are_stored_with_their_pages() {
    const VISITS: u64 = 10;
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    for visit in 0..VISITS {
        let from = format!("198.51.100.{visit}");
        let hit = |kind, seq| json!({"v": 1, "s": key, "i": format!("view{visit}"), "k": kind, "q": seq});
        let mut event = hit("x", 1);
        event["n"] = "Sign up".into();
        let mut pageview = hit("p", 0);
        pageview["u"] = format!("https://a.example/{visit}").into();
        let mut first = connect(&sotto.url);
        let event = event.to_string();
        write!(
            first,
            "POST /e HTTP/1.1\r\nhost: a\r\nuser-agent: {PERSON}\r\nx-forwarded-for: {from}\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{event}",
            event.len()
        )
        .unwrap();
        assert_eq!(sotto.hit(&pageview.to_string(), &[("x-forwarded-for", &from)]), 204);
        let mut answer = String::new();
        first.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    }
    let count = |what: &str| -> u64 {
        sotto.ask_clickhouse(&format!("SELECT count() FROM events WHERE {what}")).trim().parse().unwrap()
    };
    wait_for("all hits", || (count("1") == 2 * VISITS).then_some(()));
    let (awaited, missed) = waited(&sotto);
    // On a machine that stops for a third of a second a pageview may come too late.
    assert_eq!(count("kind = 'custom' AND path = ''"), missed);
    assert!(awaited > 0, "no event came before its pageview in {VISITS} visits; {missed} waited in vain");
}

#[test]
fn only_hits_that_would_be_stored_with_the_page_of_a_missing_view_wait_for_it() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &["--policy", "cookieless"]);
    let strict = sotto.add_site("strict.example", &["--policy", "strict"]);
    assert_eq!(waited(&sotto), (0, 0));
    let hit = |more: Value| {
        let mut hit = json!({"v": 1, "s": key, "k": "x", "n": "A", "q": 1, "c": 15});
        hit.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        hit.to_string()
    };
    for (what, body, waits) in [
        ("an event", hit(json!({"i": "a"})), true),
        ("engagement", hit(json!({"i": "b", "k": "e", "e": 1000, "d": 10})), true),
        ("the last that waits", hit(json!({"i": "c", "q": 7})), true),
        ("one that comes much later", hit(json!({"i": "d", "q": 8})), false),
        ("an event that names its page", hit(json!({"i": "e", "u": "https://a.example/e"})), false),
        ("a visitor who refused", hit(json!({"i": "f", "c": 1})), false),
        ("a program", hit(json!({"i": "g", "b": 1})), false),
        ("a site that does not exist", hit(json!({"i": "h", "s": "AAAAAAAAAAAA"})), false),
        ("a pageview", hit(json!({"i": "j", "k": "p", "q": 0, "u": "https://a.example/"})), false),
        ("an event of that view", hit(json!({"i": "j"})), false),
        (
            "a pageview before the visitor agrees",
            hit(json!({"s": strict, "i": "m", "k": "p", "q": 0, "c": null, "u": "https://strict.example/"})),
            false,
        ),
        ("an event of that view after it", hit(json!({"s": strict, "i": "m"})), false),
        ("an event of another view after it", hit(json!({"s": strict, "i": "n"})), true),
        (
            "an event and its pageview in one request",
            format!(
                "[{},{}]",
                hit(json!({"i": "k"})),
                hit(json!({"i": "k", "k": "p", "q": 0, "u": "https://a.example/"}))
            ),
            false,
        ),
    ] {
        let before = waited(&sotto);
        assert_eq!(sotto.hit(&body, &[]), 204, "{what}");
        let after = waited(&sotto);
        assert_eq!((after.0 - before.0, after.1 - before.1), (0, u64::from(waits)), "{what}");
    }
}
