//! Hits of earlier days, sent with a token by a program, as Matomo's log importer and users of GoatCounter's API do.

use serde_json::{Value, json};
use sotto_schema::clock;
use sotto_tests::{Answer, PERSON, Sotto, request, wait_for};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const MINUTE_MS: i64 = 60 * 1000;
/// The default of a site.
const RETENTION_DAYS: i64 = 90;
/// Two visitors, and the same address as one of them with another browser.
const VISITORS: [(&str, &str); 3] = [
    ("198.51.100.7", PERSON),
    ("198.51.100.8", PERSON),
    ("198.51.100.7", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
];

/// A hit of the past: which visitor, on which page, when.
struct Past {
    visitor: usize,
    path: String,
    time_ms: i64,
}

/// Noon at the test's site, three weeks ago: visits there lie within one day.
fn three_weeks_ago() -> i64 {
    clock::now_ms() - 21 * DAY_MS
}

/// Of three visitors: two visits of two pages with an hour between them, one of two pages, one of one page.
fn visits(at_ms: i64) -> Vec<Past> {
    let pages = [(0, 0), (0, 10), (0, 80), (0, 95), (1, 0), (1, 20), (2, 0)];
    let past = |(n, (visitor, minutes)): (usize, &(usize, i64))| Past {
        visitor: *visitor,
        path: format!("/page{n}"),
        time_ms: at_ms + minutes * MINUTE_MS,
    };
    pages.iter().enumerate().map(past).collect()
}

/// The day of a time at the test's site.
fn day_of(time_ms: i64) -> String {
    let zone = jiff::tz::TimeZone::get(&sotto_tests::Noon::now().zone).unwrap();
    jiff::Timestamp::from_millisecond(time_ms).unwrap().to_zoned(zone).date().to_string()
}

fn matomo(sotto: &Sotto, token: &str, key: &str, past: &[Past]) -> Answer {
    let line = |hit: &Past| {
        let (cip, ua) = VISITORS[hit.visitor];
        let cdt = (hit.time_ms / 1000).to_string();
        let url = format!("https://a.example{}", hit.path);
        json!({"rec": "1", "idsite": key, "url": url, "cip": cip, "ua": ua, "cdt": cdt})
    };
    let requests: Vec<_> = past.iter().map(line).collect();
    let body = json!({"token_auth": token, "requests": requests}).to_string();
    let headers = [("user-agent", "Piwik/LogImport"), ("content-type", "application/json")];
    request("POST", &format!("{}/matomo.php", sotto.url), &headers, body.as_bytes())
}

fn goatcounter(sotto: &Sotto, token: &str, _key: &str, past: &[Past]) -> Answer {
    let hit = |hit: &Past| {
        let (ip, user_agent) = VISITORS[hit.visitor];
        let created_at = jiff::Timestamp::from_millisecond(hit.time_ms).unwrap().to_string();
        json!({"path": hit.path, "ip": ip, "user_agent": user_agent, "created_at": created_at})
    };
    let body = json!({"hits": past.iter().map(hit).collect::<Vec<_>>()}).to_string();
    let bearer = format!("Bearer {token}");
    let headers = [("user-agent", "a program"), ("authorization", bearer.as_str())];
    request("POST", &format!("{}/api/v0/count", sotto.url), &headers, body.as_bytes())
}

type Send = fn(&Sotto, &str, &str, &[Past]) -> Answer;
const FORMATS: [(&str, Send); 2] = [("matomo", matomo), ("goatcounter", goatcounter)];

/// A site with a token that may send for it; waits until the collector knows both.
fn set_up(sotto: &Sotto) -> (String, String, String) {
    let key = sotto.add_site("a.example", &["--policy", "cookieless"]);
    let (token, id) = add_token(sotto, &key);
    (key, token, id)
}

fn add_token(sotto: &Sotto, key: &str) -> (String, String) {
    let added = sotto.run(&["token", "add", "import", "--site", key, "--scope", "write", "--json"]);
    let added: Value = serde_json::from_str(&added).unwrap();
    let token = added[0]["token"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    wait_for("the collector to know the token", || {
        let url = format!("{}/api/v0/me", sotto.url);
        (request("GET", &url, &[("authorization", bearer.as_str())], b"").status == 200).then_some(())
    });
    (token, added[0]["id"].as_str().unwrap().to_owned())
}

/// The stored events of a site by path.
fn events(sotto: &Sotto, key: &str, count: usize) -> Vec<Value> {
    wait_for("the events", || {
        let lines = sotto.run(&["export", key]);
        let mut rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        rows.sort_by_key(|row| row["path"].to_string());
        (rows.len() == count).then_some(rows)
    })
}

fn import_salts(sotto: &Sotto) -> f64 {
    let metrics = request("GET", &format!("{}/metrics", sotto.admin), &[], b"").text();
    metrics.lines().find_map(|line| line.strip_prefix("sotto_import_salts ")?.parse().ok()).unwrap()
}

#[test]
fn hits_of_three_weeks_ago_are_the_visits_that_were_claimed() {
    let sotto = Sotto::start();
    for (format, send) in FORMATS {
        let (key, token, _) = set_up(&sotto);
        let (past, before) = (visits(three_weeks_ago()), sotto.outcomes("stored", ""));
        // Visits that are cut in two by a request go on.
        for part in past.chunks(3) {
            let answer = send(&sotto, &token, &key, part);
            assert!(matches!(answer.status, 200 | 202), "{format}: {}", answer.text());
        }
        assert_eq!(sotto.outcomes("stored", "") - before, past.len() as u64, "{format}");
        let rows = events(&sotto, &key, past.len());
        for (row, hit) in rows.iter().zip(&past) {
            let time = jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S%.f", row["time"].as_str().unwrap());
            let time = time.unwrap().to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp();
            assert_eq!(time.as_second(), hit.time_ms / 1000, "{format}: {row}");
            assert_ne!(row["visitor"].to_string().trim_matches('"'), "0", "{format}: {row}");
        }
        let same = |field: &str, a: usize, b: usize| rows[a][field] == rows[b][field];
        for (a, b, visitor, visit) in [
            (0, 1, true, true),
            (1, 2, true, false),
            (2, 3, true, true),
            (4, 5, true, true),
            (0, 4, false, false),
            (0, 6, false, false),
        ] {
            assert_eq!((same("visitor", a, b), same("session", a, b)), (visitor, visit), "{format}: {a} {b}");
        }
        let day = day_of(past[0].time_ms);
        let report =
            sotto.report(&key, &["--from", &day, "--to", &day, "--metrics", "visitors,visits,pageviews"]);
        let figures = ["visitors", "visits", "pageviews"].map(|metric| report[0][metric].as_f64());
        assert_eq!(figures, [Some(3.0), Some(4.0), Some(7.0)], "{format}");
    }
}

#[test]
fn hit_at_the_end_of_the_retention_is_taken_and_an_older_one_is_refused_and_counted() {
    let sotto = Sotto::start();
    for (format, send) in FORMATS {
        let (key, token, _) = set_up(&sotto);
        let before = sotto.outcomes("dropped", "too_old");
        let at = |days: i64, path: &str| Past {
            visitor: 0,
            path: path.into(),
            time_ms: clock::now_ms() - days * DAY_MS,
        };
        let answer =
            send(&sotto, &token, &key, &[at(RETENTION_DAYS - 1, "/kept"), at(RETENTION_DAYS, "/old")]);
        let told = match format {
            "matomo" => answer.json()["invalid_indices"] == json!([1]),
            _ => answer.json()["dropped"]["1"] == "too_old",
        };
        assert!(told, "{format}: {}", answer.text());
        assert_eq!(sotto.outcomes("dropped", "too_old"), before + 1, "{format}");
        assert_eq!(events(&sotto, &key, 1)[0]["path"], "/kept", "{format}");
    }
}

#[test]
fn address_has_other_keys_in_live_traffic_and_in_each_import() {
    let sotto = Sotto::start();
    let (key, token, _) = set_up(&sotto);
    let (other, _) = add_token(&sotto, &key);
    let at = three_weeks_ago();
    let hit = |path: &str, time_ms: i64| [Past { visitor: 0, path: path.into(), time_ms }];
    let now = clock::now_ms();
    // Claimed of now: live traffic, whoever sends it.
    matomo(&sotto, &token, &key, &hit("/a-live", now));
    matomo(&sotto, &other, &key, &hit("/b-live-too", now));
    matomo(&sotto, &token, &key, &hit("/c-import", at));
    matomo(&sotto, &token, &key, &hit("/d-next-day", at + DAY_MS));
    matomo(&sotto, &other, &key, &hit("/e-other-import", at));
    let rows = events(&sotto, &key, 5);
    let visitors: Vec<&Value> = rows.iter().map(|row| &row["visitor"]).collect();
    assert_eq!(visitors[0], visitors[1], "live traffic has one salt");
    for (n, visitor) in visitors.iter().enumerate().skip(1) {
        assert!(!visitors[..n].contains(visitor) || n == 1, "{} has a key of its own", rows[n]["path"]);
    }
    assert_eq!(import_salts(&sotto), 3.0);
}

#[test]
fn salts_of_an_import_are_gone_with_its_token_and_with_the_program_and_in_no_ledger() {
    let mut sotto = Sotto::start();
    let (key, token, id) = set_up(&sotto);
    let past = visits(three_weeks_ago());
    matomo(&sotto, &token, &key, &past[..1]);
    assert_eq!(import_salts(&sotto), 1.0);
    sotto.run(&["token", "remove", &id]);
    wait_for("the end of the import", || {
        // A token that is not known makes the collector read the tokens again.
        request("GET", &format!("{}/api/v0/me", sotto.url), &[("authorization", "Bearer none")], b"");
        (import_salts(&sotto) == 0.0).then_some(())
    });
    let (token, _) = add_token(&sotto, &key);
    matomo(&sotto, &token, &key, &past[1..2]);
    assert_eq!(import_salts(&sotto), 1.0);
    sotto.stop();
    sotto.start_again();
    assert_eq!(import_salts(&sotto), 0.0);
    matomo(&sotto, &token, &key, &past[2..3]);
    let rows = events(&sotto, &key, 3);
    let visitors: std::collections::BTreeSet<String> =
        rows.iter().map(|row| row["visitor"].to_string()).collect();
    assert_eq!(visitors.len(), 3, "one address, three imports");
    let ledger: Value = serde_json::from_str(&sotto.run(&["salts", "ledger", "--json"])).unwrap();
    let day = day_of(past[0].time_ms);
    let days: Vec<&str> = ledger.as_array().unwrap().iter().filter_map(|line| line["day"].as_str()).collect();
    assert!(!days.is_empty() && !days.contains(&day.as_str()), "live salts only: {ledger}");
}
