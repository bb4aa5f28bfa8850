//! What happens right now: who is in it, who may see what of it, and the stream that keeps the page true.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    time::Duration,
};

use serde_json::Value;
use sotto_tests::{Sotto, UTC, connect, request};

use crate::quality::{api, get, sign_in, store};

/// How long a stream may be silent: some times the five seconds between its events, on a machine with much to do.
const PATIENCE: Duration = Duration::from_secs(90);

/// A hit some seconds ago: its visitor, which is its visit, kind, page and country.
type Hit<'a> = (u32, u64, &'a str, &'a str, &'a str);

fn store_hits(sotto: &Sotto, key: &str, hits: &[Hit<'_>]) {
    let rows: Vec<String> = hits
        .iter()
        .map(|(ago, visitor, kind, page, country)| {
            let name = if *kind == "custom" { "Sign up" } else { "" };
            format!("({ago}, {visitor}, '{kind}', '{page}', '{country}', '{name}')")
        })
        .collect();
    let sql = format!(
        "INSERT INTO events (site, day, expires, time, kind, tier, hostname, path, visitor, session, country, city, source, channel, name)
SELECT {{site}}, toDate(moment, 'UTC'), '2099-01-01', moment, kind, if(visitor = 0, 'minimal', 'full'), 'a.example', page, visitor, visitor,
    country, concat('City of ', country), 'Google', 'organic_search', name
FROM (
    SELECT *, now64(3, 'UTC') - toIntervalSecond(ago) AS moment
    FROM VALUES('ago UInt32, visitor UInt64, kind String, page String, country String, name String', {})
)",
        rows.join(", ")
    );
    store(sotto, key, &sql);
}

/// Six visitors from DE on two pages, one of whom signed up, and one from IS, all within the last half hour; one of the six was
/// here an hour ago as well, and somebody from FR only then.
fn world() -> (Sotto, String) {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &UTC);
    let mut hits: Vec<Hit<'_>> =
        (1..=6).map(|n| (60 * n, u64::from(n), "pageview", "/prices", "DE")).collect();
    hits.extend([
        (30, 1, "custom", "/prices", "DE"),
        (20, 1, "pageview", "/thanks", "DE"),
        (90, 7, "pageview", "/grievance", "IS"),
        (100, 0, "pageview", "/anonymous", ""),
        (3_600, 1, "pageview", "/earlier", "DE"),
        (3_700, 8, "pageview", "/earlier", "FR"),
    ]);
    store_hits(&sotto, &key, &hits);
    sotto.run(&["goal", "add", &key, "Registered", "--event", "Sign up"]);
    (sotto, key)
}

fn values(answer: &Value, list: &str) -> Vec<(String, u64)> {
    let rows = answer["lists"][list].as_array().unwrap();
    rows.iter()
        .map(|row| (row["value"].as_str().unwrap().to_owned(), row["visitors"].as_u64().unwrap()))
        .collect()
}

/// What the API says once the hits are in: they count from the end of the five seconds in which they came.
fn told(sotto: &Sotto, key: &str, cookie: &str) -> Value {
    sotto_tests::wait_for("the last minutes", || {
        let answer = api(sotto, key, "realtime", cookie);
        (answer["totals"]["pageviews"] != 0).then_some(answer)
    })
}

#[test]
fn last_minutes_are_those_of_the_hits_in_them() {
    let (sotto, key) = world();
    let editor = sign_in(&sotto, "editor@example.org", &["--role", "editor", "--site", &key]);
    let answer = told(&sotto, &key, &editor);
    let totals = &answer["totals"];
    assert_eq!(
        [&totals["visitors"], &totals["visits"], &totals["pageviews"], &totals["events"]],
        [7, 7, 9, 1],
        "{answer}"
    );
    let minutes = answer["minutes"].as_array().unwrap();
    let sum = |figure: &str| minutes.iter().map(|minute| minute[figure].as_u64().unwrap()).sum::<u64>();
    assert_eq!((minutes.len(), sum("pageviews"), sum("events")), (30, 9, 1), "{answer}");
    assert_eq!(
        values(&answer, "page"),
        [("/prices".into(), 6), ("/grievance".into(), 1), ("/thanks".into(), 1), ("/anonymous".into(), 0)],
        "{answer}"
    );
    assert_eq!(answer["lists"]["event"][0]["value"], "Sign up", "{answer}");
    assert_eq!(answer["goals"][0]["value"], "Registered", "{answer}");
    assert_eq!(answer["goals"][0]["visits"], 1, "{answer}");
    let page = get(&sotto, &format!("/s/{key}/now"), &editor).text();
    for shown in ["/prices", "/thanks", "/grievance", "Registered", "Google", "Germany"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    assert!(!page.contains("/earlier"), "{page}");
    assert!(get(&sotto, &format!("/s/{key}"), &editor).text().contains(&format!("/s/{key}/now\"")));
}

#[test]
fn place_of_too_few_present_visitors_is_shown_to_nobody() {
    let (sotto, key) = world();
    let owner = sign_in(&sotto, "owner@example.org", &["--role", "owner"]);
    let answer = told(&sotto, &key, &owner);
    assert_eq!(values(&answer, "country"), [("DE".to_owned(), 6)], "{answer}");
    assert_eq!(values(&answer, "city"), [("City of DE".to_owned(), 6)], "{answer}");
    let page = get(&sotto, &format!("/s/{key}/now"), &owner).text();
    assert!(
        page.contains("City of DE") && !page.contains("City of IS") && !page.contains("Iceland"),
        "{page}"
    );
}

#[test]
fn viewer_sees_groups_of_who_is_present() {
    let (sotto, key) = world();
    let viewer = sign_in(&sotto, "viewer@example.org", &["--role", "viewer", "--site", &key]);
    let answer = told(&sotto, &key, &viewer);
    assert_eq!(values(&answer, "page"), [("/prices".to_owned(), 5)], "{answer}");
    assert_eq!(answer["totals"]["visitors"], 5, "seven of them, in groups: {answer}");
    assert_eq!(answer["goals"], serde_json::json!([]), "{answer}");
    let of = |figure: &str| -> BTreeSet<u64> {
        let minutes = answer["minutes"].as_array().unwrap();
        minutes.iter().map(|minute| minute[figure].as_u64().unwrap()).collect()
    };
    // No minute has five visitors.
    assert_eq!((of("visitors"), of("pageviews")), ([0].into(), [0].into()), "{answer}");
    let page = get(&sotto, &format!("/s/{key}/now"), &viewer).text();
    assert!(page.contains("As a viewer you see groups") && !page.contains("/grievance"), "{page}");
}

/// Opens a stream: its head, and its lines.
fn watch(sotto: &Sotto, key: &str, cookie: &str) -> (String, impl Iterator<Item = String> + use<>) {
    let mut stream = connect(&sotto.url);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET /s/{key}/now/stream HTTP/1.1\r\nhost: a.example\r\ncookie: {cookie}\r\n\r\n")
        .unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    (head.join("\n"), lines)
}

/// The next figures of a stream, as HTML.
fn next(lines: &mut impl Iterator<Item = String>) -> String {
    let data = lines.find_map(|line| line.strip_prefix("data: ").map(str::to_owned));
    serde_json::from_str(&data.expect("figures")).unwrap()
}

#[test]
fn stream_shows_a_new_hit_and_ends_with_its_reader_s_account() {
    let (sotto, key) = world();
    let editor = sign_in(&sotto, "editor@example.org", &["--role", "editor", "--site", &key]);
    let (head, mut lines) = watch(&sotto, &key, &editor);
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/event-stream"), "{head}");
    assert!(!next(&mut lines).contains("/new"));
    store_hits(&sotto, &key, &[(0, 9, "pageview", "/new", "DE")]);
    // It is in one of the next events: in the first whose five seconds ended after it.
    assert!((0..6).any(|_| next(&mut lines).contains("/new")));
    sotto.run(&["user", "remove", "editor@example.org"]);
    assert!(lines.any(|line| line == "event: end"), "who may read no more is told so");
}

#[test]
fn stream_is_for_members_only_and_each_has_few() {
    let (sotto, key) = world();
    let editor = sign_in(&sotto, "editor@example.org", &["--role", "editor", "--site", &key]);
    let other = sotto.add_site("b.example", &UTC);
    let stranger = sign_in(&sotto, "stranger@example.org", &["--role", "viewer", "--site", &other]);
    let path = format!("/s/{key}/now/stream");
    assert_eq!(request("GET", &format!("{}{path}", sotto.url), &[], b"").status, 303, "to sign in");
    assert_eq!(get(&sotto, &path, &stranger).status, 404);
    for public in [format!("/public/{key}/now"), format!("/public/{key}/now/stream")] {
        assert_eq!(request("GET", &format!("{}{public}", sotto.url), &[], b"").status, 404, "{public}");
    }
    let own: Vec<_> = (0..4).map(|_| watch(&sotto, &key, &editor)).collect();
    assert!(own.iter().all(|(head, _)| head.starts_with("HTTP/1.1 200")));
    let (head, _) = watch(&sotto, &key, &editor);
    assert!(head.starts_with("HTTP/1.1 503"), "one more than a reader has: {head}");
}

#[test]
fn program_with_open_streams_stops_at_once() {
    let (mut sotto, key) = world();
    let editor = sign_in(&sotto, "editor@example.org", &["--role", "editor", "--site", &key]);
    let (_, mut lines) = watch(&sotto, &key, &editor);
    next(&mut lines);
    sotto.stop();
    assert!(!sotto.log().contains("did not finish in time"), "{}", sotto.log());
}
