//! The page of a site's goals: who completed them, and who may change them.

use sotto_store::goal::{NAME_CHARS_MAX, PATTERN_BYTES_MAX};
use sotto_tests::{Answer, Noon, Sotto, UTC, request};

use crate::{
    quality::{get, sign_in},
    reports::store,
    two_step::audit_log,
};

fn post(sotto: &Sotto, path: &str, cookie: &str, form: &str) -> Answer {
    let headers = [
        ("cookie", cookie),
        ("content-type", "application/x-www-form-urlencoded"),
        ("sec-fetch-site", "same-origin"),
    ];
    request("POST", &format!("{}{path}", sotto.url), &headers, form.as_bytes())
}

/// The row of a goal: its figures, as they are shown.
fn row(page: &str, name: &str) -> Vec<String> {
    let row = page
        .split("<tr>")
        .find(|row| row.contains(&format!(">{name}<")) || row.contains(&format!(">{name} <")));
    let row = row.unwrap_or_else(|| panic!("no row of {name}: {page}"));
    let cells = row.split("<td>").skip(1).map(|cell| cell.split('<').next().unwrap().trim().to_owned());
    cells.filter(|cell| !cell.is_empty()).collect()
}

/// Four visitors yesterday, one of them twice; two paid, one of them in both visits, and one signed up.
fn world() -> (Sotto, String, String) {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &UTC);
    let day = Noon::now().day(1).to_string();
    let event = r#""name":"Sign up","interactive":true"#;
    store(
        &sotto,
        &key,
        &day,
        &[
            (600, "pageview", "/", 11, 11, ""),
            (601, "pageview", "/order/paid", 11, 11, ""),
            (602, "pageview", "/order/paid", 11, 11, ""),
            (700, "pageview", "/order/paid", 11, 12, ""),
            (600, "pageview", "/order/7", 21, 21, ""),
            (601, "pageview", "/order/paid", 21, 21, ""),
            (600, "pageview", "/", 31, 31, ""),
            (601, "custom", "/", 31, 31, event),
            (600, "pageview", "/", 41, 41, ""),
            // Without a visit, nobody completes anything.
            (600, "pageview", "/order/paid", 0, 0, ""),
            (600, "custom", "/", 0, 0, event),
        ],
    );
    (sotto, key, format!("p=custom&from={day}&to={day}&cmp=none"))
}

#[test]
fn goal_added_on_its_page_is_counted_by_visits_and_removed_there() {
    let (sotto, key, days) = world();
    let editor = sign_in(&sotto, "editor@example.org", &["--role", "editor", "--site", &key]);
    let path = format!("/s/{key}/goals");
    let show = || get(&sotto, &format!("{path}?{days}"), &editor).text();
    assert!(show().contains("No goals yet"), "{}", show());
    for proposed in ["Make it a goal: Sign up", "Make it a goal: /order/paid"] {
        assert!(show().contains(proposed), "{proposed}: {}", show());
    }
    for form in [
        "kind=event&pattern=Sign+up",
        "kind=page&pattern=%2Forder%2Fpaid&name=Paid",
        "kind=page&pattern=%2Forder%2F*",
    ] {
        assert_eq!(post(&sotto, &path, &editor, form).status, 303, "{form}");
    }
    let page = show();
    // Visitors, visits, share of the five visits, and how often.
    assert_eq!(row(&page, "Paid")[..4], ["2", "3", "60.0%", "4"]);
    assert_eq!(row(&page, "/order/*")[..4], ["2", "3", "60.0%", "5"]);
    assert_eq!(row(&page, "Sign up")[..4], ["1", "1", "20.0%", "1"]);
    assert!(!page.contains("Make it a goal: Sign up"), "it is one");
    let filtered = get(&sotto, &format!("{path}?{days}&f=page:is:/order/7"), &editor).text();
    assert_eq!(row(&filtered, "Sign up")[..3], ["0", "0", "0.0%"]);

    let id = page.split("name=\"id\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let remove = format!("{path}/remove");
    assert_eq!(post(&sotto, &remove, &editor, &format!("id={id}")).status, 303);
    assert_eq!(post(&sotto, &remove, &editor, &format!("id={id}")).status, 404, "it is gone");
    assert_eq!(post(&sotto, &remove, &editor, "id=x").status, 404);
    let done: Vec<String> = audit_log(&sotto).into_iter().map(|(action, _)| action).take(4).collect();
    assert_eq!(done, ["goal_remove", "goal_add", "goal_add", "goal_add"], "newest first");
    assert_eq!(show().matches("name=\"id\"").count(), 2);
}

#[test]
fn goal_of_a_wrong_form_is_refused_with_what_is_allowed_and_stays_typed() {
    let (sotto, key, _) = world();
    let editor = sign_in(&sotto, "editor@example.org", &["--role", "editor", "--site", &key]);
    let path = format!("/s/{key}/goals");
    let long = |n: usize| format!("/{}", "a".repeat(n - 1));
    for (form, status, says) in [
        ("kind=page&pattern=thanks".to_owned(), 422, "/thank-you"),
        ("kind=event&pattern=+".to_owned(), 422, "name"),
        (format!("kind=page&pattern={}&name=A", long(PATTERN_BYTES_MAX)), 303, ""),
        (format!("kind=page&pattern={}&name=A", long(PATTERN_BYTES_MAX + 1)), 422, "500 bytes"),
        (format!("kind=page&pattern=/b&name={}", "n".repeat(NAME_CHARS_MAX)), 303, ""),
        (format!("kind=page&pattern=/c&name={}", "n".repeat(NAME_CHARS_MAX + 1)), 422, "100 characters"),
    ] {
        let answer = post(&sotto, &path, &editor, &form);
        assert_eq!(answer.status, status, "{form}");
        assert!(answer.text().contains(says), "{form}: {}", answer.text());
    }
    assert!(post(&sotto, &path, &editor, "kind=page&pattern=thanks").text().contains("value=\"thanks\""));
}

#[test]
fn viewer_sees_goals_of_groups_only_and_changes_none() {
    let (sotto, key, days) = world();
    sotto.run(&["goal", "add", &key, "Paid", "--page", "/order/paid"]);
    let viewer = sign_in(&sotto, "viewer@example.org", &["--role", "viewer", "--site", &key]);
    let path = format!("/s/{key}/goals");
    let page = get(&sotto, &format!("{path}?{days}"), &viewer).text();
    assert_eq!(row(&page, "Paid"), ["0", "0", "0.0%", "0"], "two visitors are no group");
    for absent in ["Add a goal", "name=\"id\"", "Make "] {
        assert!(!page.contains(absent), "{absent}");
    }
    assert_eq!(post(&sotto, &path, &viewer, "kind=page&pattern=/x").status, 403);
    assert_eq!(post(&sotto, &format!("{path}/remove"), &viewer, "id=1").status, 403);
    assert_eq!(get(&sotto, &path, "").status, 303, "to the sign-in page");
    let foreign = [("cookie", viewer.as_str()), ("sec-fetch-site", "cross-site")];
    let url = format!("{}{path}", sotto.url);
    assert_eq!(request("POST", &url, &foreign, b"kind=page&pattern=/x").status, 403);
}
