//! Annotations: who writes, reads and removes them, on pages, in the API and on the command line, and on which charts they stand.

use serde_json::{Value, json};
use sotto_store::annotation::{ANNOTATIONS_MAX, TEXT_CHARS_MAX};
use sotto_tests::{Answer, Noon, Sotto, UTC, request, wait_for};

use crate::{
    quality::{get, sign_in},
    reports::store,
    two_step::audit_log,
};

fn post(sotto: &Sotto, path: &str, cookie: &str, form: &str, site: &str) -> Answer {
    let headers =
        [("cookie", cookie), ("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", site)];
    request("POST", &format!("{}{path}", sotto.url), &headers, form.as_bytes())
}

pub(crate) fn api(sotto: &Sotto, method: &str, path: &str, token: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    request(method, &format!("{}/api/v1/sites/{path}", sotto.url), &headers, body.as_bytes())
}

/// A token of a site.
pub(crate) fn token(sotto: &Sotto, key: &str, scope: &str) -> String {
    let made = sotto.run(&["token", "add", "ci", "--site", key, "--scope", scope, "--json"]);
    let made: Value = serde_json::from_str(&made).unwrap();
    made.as_array().map_or(&made, |rows| &rows[0])["token"].as_str().unwrap().to_owned()
}

#[test]
fn annotation_stands_on_the_charts_of_members_and_on_nothing_that_is_shared() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &UTC);
    let day = Noon::now().day(1).to_string();
    let rows: Vec<_> = (1..=6_u64).map(|who| (600, "pageview", "/", who, who, "")).collect();
    store(&sotto, &key, &day, &rows);
    let editor = sign_in(&sotto, "editor@example.org", &["--role", "editor", "--site", &key]);
    let viewer = sign_in(&sotto, "viewer@example.org", &["--role", "viewer", "--site", &key]);
    let page = format!("/s/{key}/annotations");
    let form = format!("day={day}&time=13%3A05&text=Sale+%3Cb%3Ebegins%3C%2Fb%3E");
    assert_eq!(post(&sotto, &page, &editor, &form, "same-origin").status, 303);
    assert_eq!(post(&sotto, &page, &viewer, &form, "same-origin").status, 403);
    assert_eq!(post(&sotto, &page, &editor, &form, "cross-site").status, 403);
    // A page of another site has an editor's browser write: with the cookie, it is refused; what looks like a token makes the
    // cookie count for nothing.
    let written = format!("{}/api/v1/sites/{key}/annotations", sotto.url);
    let foreign =
        [("cookie", editor.as_str()), ("sec-fetch-site", "cross-site"), ("content-type", "text/plain")];
    let body = br#"{"text": "Sale"}"#;
    assert_eq!(request("POST", &written, &foreign, body).status, 403);
    let with_token = [&foreign[..], &[("authorization", "Bearer sotto_none")]].concat();
    assert_eq!(request("POST", &written, &with_token, body).status, 401);
    assert_eq!(
        request("POST", &written, &[("cookie", editor.as_str()), ("sec-fetch-site", "same-origin")], body)
            .status,
        201
    );
    let by_viewer = [("cookie", viewer.as_str()), ("sec-fetch-site", "same-origin")];
    assert_eq!(request("POST", &written, &by_viewer, body).status, 403);
    let decision = format!(r#"{{"v":1,"s":"{key}","k":"o","i":"v2","q":0,"c":5,"src":"onetrust"}}"#);
    assert_eq!(sotto.hit(&decision, &[]), 204);
    let text = "13:05: Sale &#60;b&#62;begins&#60;/b&#62;";
    let days = format!("p=custom&from={day}&to={}&cmp=none", Noon::now().day(0));
    for reader in [&editor, &viewer] {
        for chart in ["", "/consent", "/quality"] {
            let shown = wait_for("the chart", || {
                let shown = get(&sotto, &format!("/s/{key}{chart}?{days}"), reader).text();
                shown.contains("<figcaption>").then_some(shown)
            });
            assert!(shown.contains(text), "{chart}: {shown}");
            // The other one is of today.
            assert_eq!(shown.matches("class=\"mark\"").count(), 2, "{chart}");
        }
        assert!(get(&sotto, &page, reader).text().contains("Sale &#60;b&#62;begins"), "escaped");
    }
    // Of other days, there is nothing.
    let other = Noon::now().day(2).to_string();
    let shown = get(&sotto, &format!("/s/{key}?p=custom&from={other}&to={other}&cmp=none"), &editor).text();
    assert!(!shown.contains("Sale") && !shown.contains("class=\"mark\""));
    assert_eq!(
        post(&sotto, &format!("/s/{key}/sharing/public"), &editor, "public=on", "same-origin").status,
        303
    );
    let link = sotto.run(&["share", "add", &key, "client", "--consent", "--json"]);
    let link: Value = serde_json::from_str(&link).unwrap();
    let link = link[0]["link"].as_str().unwrap().split_once("/shared/").unwrap().1.to_owned();
    for path in [
        format!("/public/{key}?{days}"),
        format!("/shared/{link}?{days}"),
        format!("/shared/{link}/consent?{days}"),
    ] {
        let shown = request("GET", &format!("{}{path}", sotto.url), &[], b"");
        assert_eq!(shown.status, 200, "{path}: {}", shown.text());
        assert!(!shown.text().contains("Sale") && !shown.text().contains("class=\"mark\""), "{path}");
    }
    assert_eq!(get(&sotto, &page, "").status, 303, "to the sign-in");
}

#[test]
fn annotation_is_written_by_editors_and_writing_tokens_and_by_nobody_else() {
    let sotto = Sotto::start();
    let [key, neighbour] = ["a.example", "b.example"].map(|host| sotto.add_site(host, &UTC));
    let day = Noon::now().day(1).to_string();
    let [read, write] = ["read", "write"].map(|scope| token(&sotto, &key, scope));
    let body = json!({"text": "Release 2.1", "at": format!("{day} 09:30")});
    let path = format!("{key}/annotations");
    let added = api(&sotto, "POST", &path, &write, &body);
    assert_eq!(added.status, 201, "{}", added.text());
    let id = added.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(api(&sotto, "POST", &path, &read, &body).status, 403);
    assert_eq!(api(&sotto, "POST", &path, "sotto_none", &body).status, 401);
    let elsewhere = format!("{neighbour}/annotations");
    for (method, path) in
        [("POST", elsewhere.clone()), ("GET", elsewhere), ("DELETE", format!("{neighbour}/annotations/{id}"))]
    {
        assert_eq!(api(&sotto, method, &path, &write, &body).status, 404, "{method} {path}");
    }
    let all = api(&sotto, "GET", &format!("{path}?from={day}&to={day}"), &read, &Value::Null).json();
    let expected = json!([{"id": id, "at": format!("{day} 09:30"), "text": "Release 2.1"}]);
    assert_eq!(all["annotations"], expected);
    for (what, body) in [
        ("no text", json!({})),
        ("an unknown field", json!({"text": "a", "when": day})),
        ("no day", json!({"text": "a", "at": "soon"})),
        ("too long", json!({"text": "ä".repeat(TEXT_CHARS_MAX + 1)})),
        ("another direction", json!({"text": "a\u{202e}b"})),
    ] {
        let answer = api(&sotto, "POST", &path, &write, &body);
        assert_eq!(
            (answer.status, answer.json()["error"]["code"].as_str()),
            (422, Some("unprocessable")),
            "{what}"
        );
    }
    assert_eq!(api(&sotto, "DELETE", &format!("{path}/{id}"), &read, &Value::Null).status, 403);
    assert_eq!(api(&sotto, "DELETE", &format!("{path}/{id}"), &write, &Value::Null).status, 204);
    assert_eq!(api(&sotto, "DELETE", &format!("{path}/{id}"), &write, &Value::Null).status, 404);
    // Without a moment, it is now; and the command line does the same.
    assert_eq!(api(&sotto, "POST", &path, &write, &json!({"text": "Now"})).status, 201);
    sotto.run(&["annotation", "add", &key, "Fair", "--at", &day]);
    let listed = sotto.run(&["annotation", "list", &key, "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[0]["text"], "Fair");
    assert_eq!(listed[0]["at"], day.as_str());
    assert_eq!(listed[1]["text"], "Now");
    sotto.run(&["annotation", "remove", &key, listed[0]["id"].as_str().unwrap()]);
    let log = audit_log(&sotto).into_iter().map(|(action, _)| action);
    let done: Vec<String> = log.filter(|action| action.starts_with("annotation")).collect();
    let expected =
        ["annotation_remove", "annotation_add", "annotation_add", "annotation_remove", "annotation_add"];
    assert_eq!(done, expected, "newest first");
    // They go with their site.
    sotto.run(&["site", "remove", &key]);
    let left = sotto.ask_clickhouse("SELECT count() FROM annotations FINAL WHERE deleted = 0");
    assert_eq!(left.trim(), "0");
}

#[test]
fn annotations_at_the_limit_are_kept_and_one_more_is_refused() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &UTC);
    let write = token(&sotto, &key, "write");
    let site = ["(SELECT id FROM sites FINAL WHERE key = '", &key, "')"].concat();
    let row = ["SELECT number + 1, ", &site, ", today(), -1, 'a', now64(3), 1, 0 FROM numbers("].concat();
    sotto.ask_clickhouse(
        &["INSERT INTO annotations ", &row, &(ANNOTATIONS_MAX - 1).to_string(), ")"].concat(),
    );
    let path = format!("{key}/annotations");
    assert_eq!(api(&sotto, "POST", &path, &write, &json!({"text": "the last"})).status, 201);
    let beyond = api(&sotto, "POST", &path, &write, &json!({"text": "one more"}));
    assert_eq!(beyond.status, 422);
    assert!(beyond.text().contains("1000 annotations already"), "{}", beyond.text());
}
