//! The pages on data quality and consent, and the API on the same questions, over real sockets.

use std::collections::BTreeSet;

use serde_json::Value;
use sotto_schema::outcome::Outcome;
use sotto_store::db::Access;
use sotto_tests::{Answer, Noon, Sotto, UTC, request, wait_for};

const PASSWORD: &str = "a long enough password";

/// Adds somebody and signs them in; their cookie.
pub(crate) fn sign_in(sotto: &Sotto, email: &str, more: &[&str]) -> String {
    let (ok, out) = sotto.try_run(&[&["user", "add", email], more].concat(), PASSWORD);
    assert!(ok, "{out}");
    let form = ["email=", &email.replace('@', "%40"), "&password=", &PASSWORD.replace(' ', "+")].concat();
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "same-origin")];
    let answer = request("POST", &format!("{}/sign-in", sotto.url), &headers, form.as_bytes());
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

pub(crate) fn get(sotto: &Sotto, path: &str, cookie: &str) -> Answer {
    request("GET", &format!("{}{path}", sotto.url), &[("cookie", cookie)], b"")
}

pub(crate) fn api(sotto: &Sotto, key: &str, what: &str, cookie: &str) -> Value {
    let answer = get(sotto, &format!("/api/v1/sites/{key}/{what}"), cookie);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Asks ClickHouse itself, as the collector does. `{site}` stands for the number of the site.
pub(crate) fn store(sotto: &Sotto, key: &str, sql: &str) {
    let text = std::fs::read_to_string(sotto.data().join("clickhouse/endpoint.json")).unwrap();
    let endpoint: Value = serde_json::from_str(&text).unwrap();
    let access: Access = serde_json::from_value(endpoint["writer"].clone()).unwrap();
    let ask = |sql: &str| {
        let url = format!("{}/?database={}", access.url, access.database);
        let user =
            [("x-clickhouse-user", access.user.as_str()), ("x-clickhouse-key", access.password.as_str())];
        let answer = request("POST", &url, &user, sql.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text()
    };
    let site = ask(&["SELECT id FROM sites FINAL WHERE key = '", key, "'"].concat());
    ask(&sql.replace("{site}", site.trim()));
}

fn pageview(key: &str, view: &str, url: &str, more: &str) -> String {
    format!(r#"{{"v":1,"s":"{key}","k":"p","i":"{view}","q":0,"u":"{url}"{more}}}"#)
}

/// How many hits ended in `outcome` for `reason`, as the API says.
fn hits(quality: &Value, outcome: &str, reason: &str) -> u64 {
    let all = quality["outcomes"].as_array().unwrap();
    let found = all.iter().find(|o| o["outcome"] == outcome && o["reason"] == reason);
    found.unwrap_or_else(|| panic!("{outcome} {reason} is not listed"))["hits"].as_u64().unwrap()
}

fn warnings(quality: &Value) -> Vec<&str> {
    quality["warnings"].as_array().unwrap().iter().map(|w| w["code"].as_str().unwrap()).collect()
}

#[test]
fn page_knows_every_outcome_of_the_collector() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let owner = sign_in(&sotto, "owner@example.org", &["--role", "owner"]);
    let quality = api(&sotto, &key, "quality", &owner);
    let known: BTreeSet<(String, String)> = quality["outcomes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| (o["outcome"].as_str().unwrap().to_owned(), o["reason"].as_str().unwrap().to_owned()))
        .collect();
    let written: BTreeSet<_> = Outcome::all().map(|o| (o.name().to_owned(), o.reason().to_owned())).collect();
    assert_eq!(known, written);
}

#[test]
fn every_hit_is_on_the_page_with_what_became_of_it() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let owner = sign_in(&sotto, "owner@example.org", &["--role", "owner"]);
    let viewer = sign_in(&sotto, "viewer@example.org", &["--role", "viewer", "--site", &key]);
    let page = "https://a.example/";
    for (view, body, headers) in [
        ("stored", pageview(&key, "stored", page, ""), &[][..]),
        ("refused", pageview(&key, "refused", page, r#","c":1"#), &[]),
        ("crawler", pageview(&key, "crawler", page, ""), &[("user-agent", "Googlebot/2.1")]),
        ("foreign1", pageview(&key, "foreign1", "https://b.example/", ""), &[]),
        ("foreign2", pageview(&key, "foreign2", "https://c.example/", ""), &[]),
        ("nowhere", pageview("nosuchsite", "nowhere", page, ""), &[]),
    ] {
        assert_eq!(sotto.hit(&body, headers), 204, "{view}");
    }
    let quality = wait_for("the outcomes of all hits", || {
        let quality = api(&sotto, &key, "quality", &owner);
        // The page asks several times: outcomes may come between two questions.
        let all = hits(&quality, "dropped", "foreign_hostname") == 2 && quality["last_hour"].is_string();
        all.then_some(quality)
    });
    for (outcome, reason, expected) in
        [("stored", "", 1), ("minimised", "", 1), ("dropped", "bot_user_agent", 1), ("dropped", "too_old", 0)]
    {
        assert_eq!(hits(&quality, outcome, reason), expected, "{outcome} {reason}");
    }
    let series: u64 = quality["series"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|p| ["stored", "minimised", "bots", "dropped"].map(|kind| p[kind].as_u64().unwrap()))
        .sum();
    assert_eq!(Some(series), quality["hits"].as_u64());
    assert!(quality["hits_of_no_known_site"].as_u64() > Some(0), "{quality}");
    assert!(quality["last_hour"].is_string());

    let shown = get(&sotto, &format!("/s/{key}/quality"), &viewer);
    assert_eq!(shown.status, 200);
    for label in ["Stored anonymously", "Crawler or program", "Foreign host name", "What did not occur"] {
        assert!(shown.text().contains(label), "{label}");
    }
    // What is about all sites is for those who own them.
    assert!(!shown.text().contains("named no site"));
    assert_eq!(api(&sotto, &key, "quality", &viewer)["hits_of_no_known_site"], Value::Null);
    assert!(get(&sotto, &format!("/s/{key}/quality"), &owner).text().contains("named no site"));
    assert_eq!(get(&sotto, &format!("/s/{key}/quality"), "").status, 303);
    assert!(get(&sotto, &format!("/s/{key}"), &viewer).text().contains(&format!("/s/{key}/quality")));
}

#[test]
fn hits_are_counted_also_when_a_batch_of_counts_is_like_one_before() {
    let mut sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let owner = sign_in(&sotto, "owner@example.org", &["--role", "owner"]);
    // The probe that added the site is counted by now, so that each batch below has the same two rows.
    const BATCHES: u64 = 3;
    for batch in 0..BATCHES {
        sotto.stop();
        sotto.start_again();
        let view = pageview(&key, &format!("v{batch}"), "https://a.example/", "");
        assert_eq!(sotto.hit(&view, &[]), 204);
    }
    sotto.stop();
    sotto.start_again();
    assert_eq!(hits(&api(&sotto, &key, "quality", &owner), "stored", ""), BATCHES);
}

#[test]
fn faults_of_the_set_up_are_warned_of_with_the_remedy() {
    let sotto = Sotto::start();
    // Without a probe: nothing has arrived yet.
    let added: Value = serde_json::from_str(&sotto.run(&["site", "add", "a.example", "--json"])).unwrap();
    let key = added[0]["key"].as_str().unwrap();
    let owner = sign_in(&sotto, "owner@example.org", &["--role", "owner"]);
    let warned = |expected: &[&str], words: &[&str]| {
        let quality = api(&sotto, key, "quality", &owner);
        assert_eq!(warnings(&quality), expected);
        let page = get(&sotto, &format!("/s/{key}/quality"), &owner).text();
        for word in words {
            assert!(page.contains(word), "{word}");
        }
        assert_eq!(page.contains("card warning"), !expected.is_empty());
    };
    let now = sotto_schema::clock::now().as_second();
    let insert = |hours: i64, outcome: &str, reason: &str, hits: u32| {
        let at = now - hours * 3_600;
        let row =
            format!("({{site}}, toStartOfHour(toDateTime({at}, 'UTC')), '{outcome}', '{reason}', {hits})");
        store(
            &sotto,
            key,
            &["INSERT INTO outcomes (site, hour, outcome, reason, hits) VALUES ", &row].concat(),
        );
    };
    warned(&[], &[]);
    insert(30, "stored", "", 100);
    warned(&["silence"], &["No hits in the last 24 hours"]);
    insert(0, "stored", "", 19);
    insert(0, "address", "private", 19);
    warned(&[], &[]);
    insert(0, "stored", "", 1);
    insert(0, "address", "private", 1);
    warned(&["proxy_not_trusted"], &["A proxy is not trusted", "server.trusted_proxies"]);
    // Rows about addresses count the same hits a second time.
    assert_eq!(api(&sotto, key, "quality", &owner)["hits"], 120);
    insert(0, "address", "public", 1);
    warned(&[], &[]);
    insert(0, "dropped", "foreign_hostname", 5);
    warned(&[], &[]);
    insert(0, "dropped", "foreign_hostname", 1);
    let settings = format!("href=\"/s/{key}/settings\"");
    warned(&["foreign_hostname"], &["6 of the 26 hits", &settings]);
}

#[test]
fn consent_is_counted_by_decision_and_a_receipt_leads_to_its_own() {
    let sotto = Sotto::start();
    let (key, other) = (sotto.add_site("a.example", &UTC), sotto.add_site("b.example", &UTC));
    let viewer = sign_in(&sotto, "viewer@example.org", &["--role", "viewer", "--site", &key]);
    let noon = Noon::now();
    let [day, next] = [30, 29].map(|age| noon.day(age).to_string());
    let row = |kind: &str, more: &str| {
        let row = r#"{"site":{site},"day":"DAY","expires":"2099-01-01","time":"DAY 10:00:00.000","kind":""#;
        [&row.replace("DAY", &day), kind, "\",", more, "}"].concat()
    };
    let rows = [
        row(
            "consent",
            r#""tier":"minimal","granted":15,"receipt":"3f9a8b7c6d5e4f3a","notice_version":"2026-03","consent_source":"klaro""#,
        ),
        row("consent", r#""tier":"minimal","granted":5,"refused":10,"gpc":true,"consent_source":"klaro""#),
        row("consent", r#""tier":"minimal","granted":1,"refused":14,"consent_source":"sotto-banner""#),
        row("pageview", r#""tier":"full","granted":15,"session":1,"visitor":1"#),
        row("pageview", r#""tier":"full","session":2,"visitor":2"#),
        row("pageview", r#""tier":"minimal","refused":14,"gpc":true"#),
    ];
    store(&sotto, &key, &["INSERT INTO events FORMAT JSONEachRow\n", &rows.join("\n")].concat());

    let asked = format!("consent?from={day}&to={next}&receipt=3f9a8b7c6d5e4f3a");
    let consent = api(&sotto, &key, &asked, &viewer);
    let counts =
        |of: &Value, names: &[&str]| names.iter().map(|n| of[*n].as_u64().unwrap()).collect::<Vec<_>>();
    let names = ["decisions", "everything", "some", "nothing", "analytics", "marketing", "gpc"];
    assert_eq!(counts(&consent["total"], &names), [3, 1, 1, 1, 2, 1, 1]);
    assert_eq!(consent["sources"][0]["source"], "klaro");
    assert_eq!(counts(&consent["sources"][0], &names[..2]), [2, 1]);
    assert_eq!(counts(&consent["series"][0], &names[..1]), [3]);
    assert_eq!(counts(&consent["series"][1], &names[..1]), [0]);
    let names = ["full", "full_with_consent", "anonymous", "undecided", "gpc"];
    assert_eq!(counts(&consent["pageviews"], &names), [2, 1, 1, 1, 1]);
    let receipt = &consent["receipt"];
    assert_eq!(receipt.as_array().unwrap().len(), 1);
    assert_eq!(receipt[0]["time"], format!("{day}T10:00:00Z"));
    assert_eq!(
        receipt[0]["granted"],
        serde_json::json!(["essential", "preference", "analytics", "marketing"])
    );
    assert_eq!((&receipt[0]["notice_version"], &receipt[0]["source"]), (&"2026-03".into(), &"klaro".into()));

    let day = format!("p=custom&from={day}&to={day}");
    let page = get(&sotto, &format!("/s/{key}/consent?{day}&receipt=3f9a8b7c6d5e4f3a"), &viewer);
    assert_eq!(page.status, 200);
    for words in ["1 of 3 pageviews came from visitors who agreed", "sotto-banner", "2026-03", "Granted"] {
        assert!(page.text().contains(words), "{words}");
    }
    let wrong = get(&sotto, &format!("/s/{key}/consent?receipt=%3Cb%3E"), &viewer).text();
    assert!(wrong.contains("Nothing was recorded under") && !wrong.contains("<b>”"));
    // Not on another site, and not for those who may not see the site.
    let owner = sign_in(&sotto, "owner@example.org", &["--role", "owner"]);
    let elsewhere = api(&sotto, &other, "consent?receipt=3f9a8b7c6d5e4f3a", &owner);
    assert_eq!(elsewhere["receipt"], serde_json::json!([]));
    for path in [
        format!("/s/{other}/consent"),
        format!("/api/v1/sites/{other}/consent"),
        format!("/s/{other}/quality"),
    ] {
        assert_eq!(get(&sotto, &path, &viewer).status, 404, "{path}");
    }
    let asked = get(&sotto, &format!("/api/v1/sites/{key}/quality?from=yesterday"), &viewer);
    assert_eq!((asked.status, &asked.json()["error"]["code"]), (400, &"bad_request".into()));
}

#[test]
fn page_on_what_is_stored_follows_data_map_and_settings() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &["--retention-days", "31", "--policy", "cookieless"]);
    let cookie = sign_in(&sotto, "ada@example.org", &["--role", "viewer"]);
    let answer = get(&sotto, &format!("/s/{key}/stored"), &cookie);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let page = answer.text();
    for field in sotto_schema::event::Field::ALL {
        assert!(page.contains(&format!("<th scope=\"row\">{}</th>", field.name())), "{}", field.name());
    }
    for part in ["<td>31 days</td>", "not met", "Wie wir die Nutzung", &format!("/privacy?s={key}")] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("style=") && !page.contains("<script>"));
}

#[test]
fn owner_learns_what_the_policy_leaves_out_of_hits_without_consent() {
    let sotto = Sotto::start();
    let asked = sotto.add_site("a.example", &[]);
    let open = sotto.add_site("b.example", &["--policy", "cookieless"]);
    let cookie = sign_in(&sotto, "ada@example.org", &["--role", "owner"]);
    let event = |host: &str, key: &str| {
        let body = format!(
            r#"{{"d":"{key}","n":"Order","u":"https://{host}/?utm_source=x","p":{{"plan":"pro"}},"$":{{"currency":"EUR","amount":5}}}}"#
        );
        let headers = [("user-agent", sotto_tests::PERSON), ("accept-language", "de")];
        assert_eq!(
            request("POST", &format!("{}/api/event", sotto.url), &headers, body.as_bytes()).status,
            202
        );
        let lines = wait_for("the event", || Some(sotto.run(&["export", key])).filter(|l| !l.is_empty()));
        serde_json::from_str::<Value>(lines.lines().next().unwrap()).unwrap()
    };
    let (kept_of_asked, kept_of_open) = (event("a.example", &asked), event("b.example", &open));
    for page in ["install", "quality"] {
        let told = get(&sotto, &format!("/s/{asked}/{page}"), &cookie).text();
        let not_told = get(&sotto, &format!("/s/{open}/{page}"), &cookie).text();
        for (field, none) in
            [("props", serde_json::json!({})), ("revenue", 0.into()), ("utm_source", "".into())]
        {
            let named = format!("<code>{field}</code>");
            assert!(
                told.contains("id=\"withheld\"") && told.contains(&named),
                "{page} does not name {field}"
            );
            assert!(!not_told.contains(&named), "{page} names {field}");
            assert_eq!(kept_of_asked[field], none);
            assert_ne!(kept_of_open[field], none);
        }
    }
}

#[test]
fn event_whose_name_is_too_long_is_told_to_its_site_however_the_site_is_named() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let owner = sign_in(&sotto, "owner@example.org", &["--role", "owner"]);
    for (view, site) in [("v1", key.as_str()), ("v2", "a.example")] {
        for (name, more) in [("n".repeat(64), ""), ("n".repeat(65), "x")] {
            let hit = format!(
                r#"{{"v":1,"s":"{site}","k":"x","i":"{view}{more}","q":1,"n":"{name}","u":"https://a.example/"}}"#
            );
            assert_eq!(sotto.hit(&hit, &[]), 204);
        }
    }
    wait_for("both to be counted under the site", || {
        let quality = api(&sotto, &key, "quality", &owner);
        let found = (hits(&quality, "dropped", "invalid_payload"), hits(&quality, "stored", ""));
        (found == (2, 2)).then_some(())
    });
}

#[test]
fn what_a_visitor_erased_is_among_what_was_removed_without_how_much() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let owner = sign_in(&sotto, "owner@example.org", &["--role", "owner"]);
    let page = || get(&sotto, &format!("/s/{key}/stored"), &owner).text();
    assert!(page().contains("Nothing has been removed yet."));
    store(
        &sotto,
        &key,
        "INSERT INTO audit_log (time, actor, action, site, detail)
        VALUES (now64(3), 0, 'visitor_erase', {site}, '17 events, receipt abcdef')",
    );
    let page = page();
    assert!(page.contains("what was held about a visitor, by themselves"));
    assert!(
        !page.contains("Nothing has been removed yet.")
            && !page.contains("abcdef")
            && !page.contains("17 events")
    );
}
