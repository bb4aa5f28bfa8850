//! Sites, goals and shared links in the API: who changes them, with what, and what is refused.

use serde_json::{Value, json};
use sotto_tests::{Answer, Sotto, UTC, request, wait_for};

use crate::{
    annotations::{api, token},
    quality::sign_in,
    two_step::audit_log,
};

/// A request about no site in particular; `path` begins after `/sites`.
fn sites(sotto: &Sotto, method: &str, path: &str, token: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    request(method, &format!("{}/api/v1/sites{path}", sotto.url), &headers, body.to_string().as_bytes())
}

/// A token of all sites.
fn token_of_all(sotto: &Sotto, scope: &str) -> String {
    let made = sotto.run(&["token", "add", "ci", "--scope", scope, "--json"]);
    let made: Value = serde_json::from_str(&made).unwrap();
    made.as_array().map_or(&made, |rows| &rows[0])["token"].as_str().unwrap().to_owned()
}

#[test]
fn site_is_added_and_changed_by_who_manages_and_its_hits_are_kept() {
    let sotto = Sotto::start();
    let all = token_of_all(&sotto, "manage");
    let typed = json!({"hostnames": ["www.Shop.example"], "time_zone": "Europe/Berlin", "policy": "strict", "retention_days": 31});
    let added = sites(&sotto, "POST", "", &all, &typed);
    assert_eq!(added.status, 201, "{}", added.text());
    let key = added.json()["key"].as_str().unwrap().to_owned();
    assert_eq!(
        added.json(),
        json!({"key": key, "name": "www.Shop.example", "client": "", "hostnames": ["shop.example"], "time_zone": "Europe/Berlin", "policy": "strict", "retention_days": 31})
    );
    let hit = format!(r#"{{"v":1,"s":"{key}","k":"p","i":"view","q":0,"u":"https://shop.example/"}}"#);
    assert_eq!(sotto.hit(&hit, &[]), 204);
    sotto.wait_for_pageviews(&key, 1);
    let path = format!("/{key}");
    let changed = sites(
        &sotto,
        "PATCH",
        &path,
        &all,
        &json!({"name": "Shop", "client": "Shop Ltd", "retention_days": 90}),
    );
    assert_eq!(changed.status, 200, "{}", changed.text());
    let shown = sites(&sotto, "GET", &path, &all, &Value::Null).json();
    assert_eq!(shown, changed.json());
    assert_eq!((&shown["name"], &shown["retention_days"]), (&json!("Shop"), &json!(90)));
    assert_eq!(
        (&shown["policy"], &shown["hostnames"]),
        (&json!("strict"), &json!(["shop.example"])),
        "as it was"
    );
    assert_eq!(shown["client"], "Shop Ltd");
    // One token of the site, one that may only write, and people.
    let [own, write] = ["manage", "write"].map(|scope| token(&sotto, &key, scope));
    assert_eq!(sites(&sotto, "PATCH", &path, &own, &json!({"name": "Own"})).status, 200);
    for (method, path, token, expected) in [
        ("POST", "", own.as_str(), 403),
        ("POST", "", write.as_str(), 403),
        ("POST", "", "sotto_none", 401),
        ("PATCH", path.as_str(), write.as_str(), 403),
        ("PATCH", "/none", all.as_str(), 404),
    ] {
        let answer = sites(&sotto, method, path, token, &json!({"hostnames": ["b.example"]}));
        assert_eq!(answer.status, expected, "{method} {path}: {}", answer.text());
    }
    let write_all = token_of_all(&sotto, "write");
    assert_eq!(sites(&sotto, "POST", "", &write_all, &typed).status, 403);
    // A token that manages also sends hits for visitors.
    let claimed = [("authorization", format!("Bearer {own}"))];
    let claimed: Vec<_> = claimed.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let hit = hit.replace("view", "other");
    assert_eq!(sotto.hit(&hit, &[&claimed[..], &[("x-forwarded-for", "198.51.100.7")]].concat()), 204);
    let log: Vec<String> = audit_log(&sotto).into_iter().map(|(action, _)| action).collect();
    assert_eq!(log.iter().filter(|action| *action == "site_change").count(), 2, "{log:?}");
}

#[test]
fn what_is_not_allowed_of_a_site_is_refused_and_changes_nothing() {
    let sotto = Sotto::start();
    let all = token_of_all(&sotto, "manage");
    let key = sotto.add_site("a.example", &UTC);
    let before = sites(&sotto, "GET", &format!("/{key}"), &all, &Value::Null).json();
    for typed in [
        json!({"hostnames": []}),
        json!({"hostnames": ["https://a.example/"]}),
        json!({"hostnames": ["a.example"], "time_zone": "Mars/Olympus"}),
        json!({"hostnames": ["a.example"], "policy": "none"}),
        json!({"hostnames": ["a.example"], "retention_days": 0}),
        json!({"hostnames": ["a.example"], "retention_days": 65_536}),
        json!({"hostnames": ["a.example"], "name": ""}),
        json!({"hostnames": ["a.example"], "key": "mine"}),
        json!({"hostnames": "a.example"}),
        json!([]),
    ] {
        for (method, path) in [("POST", String::new()), ("PATCH", format!("/{key}"))] {
            let answer = sites(&sotto, method, &path, &all, &typed);
            assert_eq!(answer.status, 422, "{method} {typed}: {}", answer.text());
            assert!(!answer.json()["error"]["hint"].as_str().unwrap().is_empty());
        }
    }
    // Up to 64 KiB are read.
    let sized = |bytes: usize| {
        let empty = json!({"name": ""}).to_string().len();
        json!({"name": "a".repeat(bytes - empty)})
    };
    for (bytes, expected) in [(64 << 10, 422), ((64 << 10) + 1, 413)] {
        let answer = sites(&sotto, "PATCH", &format!("/{key}"), &all, &sized(bytes));
        assert_eq!(answer.status, expected, "{bytes}: {}", answer.text());
        assert!(answer.json()["error"]["code"].is_string());
    }
    assert_eq!(sites(&sotto, "GET", &format!("/{key}"), &all, &Value::Null).json(), before);
    assert_eq!(sites(&sotto, "GET", "", &all, &Value::Null).json()["sites"].as_array().unwrap().len(), 1);
    assert_eq!(sotto.panics(), 0);
}

#[test]
fn goals_are_added_listed_and_removed_by_who_manages() {
    let sotto = Sotto::start();
    let [key, other] = ["a.example", "b.example"].map(|host| sotto.add_site(host, &UTC));
    let [read, write, manage] = ["read", "write", "manage"].map(|scope| token(&sotto, &key, scope));
    let path = format!("{key}/goals");
    let added = api(&sotto, "POST", &path, &manage, &json!({"kind": "page", "pattern": "/thanks/*"}));
    assert_eq!(added.status, 201, "{}", added.text());
    let id = added.json()["id"].as_str().unwrap().to_owned();
    let expected = json!({"id": id, "name": "/thanks/*", "kind": "page", "pattern": "/thanks/*"});
    assert_eq!(added.json(), expected);
    assert_eq!(api(&sotto, "GET", &path, &read, &Value::Null).json(), json!({"goals": [expected]}));
    let listed: Value = serde_json::from_str(&sotto.run(&["goal", "list", &key, "--json"])).unwrap();
    assert_eq!(listed[0]["id"], id.as_str());
    let one = format!("{path}/{id}");
    for token in [&read, &write] {
        let body = json!({"kind": "event", "pattern": "Signup"});
        assert_eq!(api(&sotto, "POST", &path, token, &body).status, 403);
        assert_eq!(api(&sotto, "DELETE", &one, token, &Value::Null).status, 403);
    }
    for body in [
        json!({"kind": "page", "pattern": "thanks"}),
        json!({"kind": "none", "pattern": "/"}),
        json!({"kind": "event", "pattern": ""}),
        json!({"kind": "event"}),
        json!({"kind": "event", "pattern": "a", "more": 1}),
    ] {
        assert_eq!(api(&sotto, "POST", &path, &manage, &body).status, 422, "{body}");
    }
    let elsewhere = [("POST", format!("{other}/goals")), ("DELETE", format!("{other}/goals/{id}"))];
    for (method, path) in elsewhere {
        let body = json!({"kind": "event", "pattern": "a"});
        assert_eq!(api(&sotto, method, &path, &manage, &body).status, 404, "{path}");
    }
    let viewer = sign_in(&sotto, "viewer@example.org", &["--role", "viewer", "--site", &key]);
    let by_viewer = [("cookie", viewer.as_str()), ("sec-fetch-site", "same-origin")];
    let url = format!("{}/api/v1/sites/{path}", sotto.url);
    assert_eq!(request("POST", &url, &by_viewer, br#"{"kind":"event","pattern":"a"}"#).status, 403);
    assert_eq!(api(&sotto, "DELETE", &one, &manage, &Value::Null).status, 204);
    assert_eq!(api(&sotto, "DELETE", &one, &manage, &Value::Null).status, 404);
    assert_eq!(api(&sotto, "GET", &path, &read, &Value::Null).json(), json!({"goals": []}));
}

#[test]
fn link_is_made_listed_without_its_secret_and_withdrawn_by_who_manages() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &UTC);
    let [read, write, manage] = ["read", "write", "manage"].map(|scope| token(&sotto, &key, scope));
    let path = format!("{key}/links");
    let typed = json!({"name": "Client", "days": 90, "filters": ["country:is:DE"], "goals": true});
    let made = api(&sotto, "POST", &path, &manage, &typed);
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    let link = made["link"].as_str().unwrap().split_once("/shared/").unwrap().1.to_owned();
    let open = || request("GET", &format!("{}/shared/{link}", sotto.url), &[], b"").status;
    assert_eq!(open(), 200);
    let listed = api(&sotto, "GET", &path, &manage, &Value::Null);
    assert!(!listed.text().contains(&link), "{}", listed.text());
    let listed = listed.json()["links"][0].clone();
    assert_eq!((&listed["id"], &listed["name"]), (&made["id"], &json!("Client")));
    assert_eq!((&listed["filters"], &listed["goals"]), (&json!(["country:is:DE"]), &json!(true)));
    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    for token in [&read, &write] {
        assert_eq!(
            api(&sotto, "GET", &path, token, &Value::Null).status,
            403,
            "what they are called is not for readers"
        );
        assert_eq!(api(&sotto, "POST", &path, token, &typed).status, 403);
        assert_eq!(api(&sotto, "DELETE", &one, token, &Value::Null).status, 403);
    }
    for (name, value) in [
        ("name", json!("")),
        ("days", json!(0)),
        ("days", json!(100_000)),
        ("filters", json!(["country"])),
        ("filters", json!(["country:contains:"])),
        ("hosts", json!(["not a host"])),
        ("secret", json!("mine")),
    ] {
        let mut body = typed.clone();
        body[name] = value;
        assert_eq!(api(&sotto, "POST", &path, &manage, &body).status, 422, "{body}");
    }
    assert_eq!(api(&sotto, "DELETE", &one, &manage, &Value::Null).status, 204);
    assert_eq!(api(&sotto, "DELETE", &one, &manage, &Value::Null).status, 404);
    wait_for("the link to be gone", || (open() == 404).then_some(()));
}

#[test]
fn answers_say_how_many_requests_are_left() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &UTC);
    let read = token(&sotto, &key, "read");
    let left = |path: &str| {
        let answer = api(&sotto, "GET", path, &read, &Value::Null);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let number = |name: &str| Some(answer.header(name)?.parse::<u64>().unwrap());
        assert!(number("ratelimit-limit").is_none_or(|limit| limit == 3_000));
        assert!(number("ratelimit-reset").is_none_or(|seconds| (1..=3_600).contains(&seconds)));
        number("ratelimit-remaining")
    };
    let first = left(&key).unwrap();
    // Our own pages ask for these again and again.
    assert_eq!([left(&format!("{key}/now")), left(&format!("{key}/first-hit"))], [None, None]);
    assert!(left(&format!("{key}/report")).unwrap() < first);
}

#[test]
fn change_without_a_token_or_from_a_page_of_another_site_is_refused_as_json() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &UTC);
    let owner = sign_in(&sotto, "owner@example.org", &["--role", "owner"]);
    let url = format!("{}/api/v1/sites/{key}/goals", sotto.url);
    let foreign = [("cookie", owner.as_str()), ("sec-fetch-site", "cross-site")];
    let nobody = [("sec-fetch-site", "cross-site")];
    for (headers, status, code) in
        [(&nobody[..], 401, "unauthorized"), (&[], 401, "unauthorized"), (&foreign, 403, "forbidden")]
    {
        let answer = request("POST", &url, headers, br#"{"kind":"event","pattern":"a"}"#);
        assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (status, Some(code)));
    }
    let own = [("cookie", owner.as_str()), ("sec-fetch-site", "same-origin")];
    assert_eq!(request("POST", &url, &own, br#"{"kind":"event","pattern":"a"}"#).status, 201);
}
