//! The page of filters: values with counts, goals, and segments, who keeps them and who sees them.

use sotto_store::segment::{NAME_CHARS_MAX, SEGMENTS_MAX};
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

/// Six visitors from Berlin who see the home page and order with the plan "pro", and one from Selfoss who sees a page of their
/// own.
fn world() -> (Sotto, String, String) {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &UTC);
    let day = Noon::now().day(1).to_string();
    let order = r#""name":"Order","interactive":true,"props":{"plan":"pro"},"country":"DE""#;
    let alone = r#""name":"Order","interactive":true,"props":{"plan":"free"},"country":"IS""#;
    let mut rows = vec![
        (600, "pageview", "/grievance", 71, 71, r#""country":"IS""#),
        (601, "custom", "/grievance", 71, 71, alone),
    ];
    for visitor in 1..=6 {
        rows.push((600, "pageview", "/", visitor, visitor, r#""country":"DE""#));
        rows.push((601, "custom", "/", visitor, visitor, order));
    }
    store(&sotto, &key, &day, &rows);
    (sotto, key, format!("p=custom&from={day}&to={day}&cmp=none"))
}

/// The number of the segment of that name on the page of somebody who may change it.
fn number(page: &str, name: &str) -> String {
    let row = page.split("<li>").find(|row| row.contains(&format!(">{name}</a>")));
    let row = row.unwrap_or_else(|| panic!("no segment {name}: {page}"));
    row.split("name=\"id\" value=\"").nth(1).unwrap_or_default().split('"').next().unwrap().to_owned()
}

#[test]
fn segment_is_for_its_person_or_kept_by_editors_for_everybody() {
    let (sotto, key, days) = world();
    let editor = sign_in(&sotto, "editor@example.org", &["--role", "editor", "--site", &key]);
    let viewer = sign_in(&sotto, "viewer@example.org", &["--role", "viewer", "--site", &key]);
    let path = format!("/s/{key}/segments");
    let show = |who: &str| get(&sotto, &format!("/s/{key}/filter?{days}"), who).text();
    let germans = "name=Germans&f=country%3Ais%3ADE&f=page%3Astarts%3A%2F";
    assert_eq!(post(&sotto, &path, &viewer, germans).status, 303);
    assert!(show(&viewer).contains("Country is Germany, Page starts with /; for you"), "{}", show(&viewer));
    assert!(!show(&editor).contains("Germans"), "nobody else sees it");
    assert_eq!(post(&sotto, &path, &viewer, &format!("{germans}&for=all")).status, 403);

    let buyers = "name=Buyers&for=all&f=did%3Ais%3AOrder&f=visited%3Anot%3A%2Fjobs";
    assert_eq!(post(&sotto, &path, &editor, buyers).status, 303);
    let (seen, own) = (show(&viewer), show(&editor));
    assert!(
        seen.contains("Event in the visit is Order, Visited page is never /jobs; for everybody"),
        "{seen}"
    );
    // Chosen, it is its filters in the address, in the period that is looked at.
    let link = format!("/s/{key}?{days}&f=did:is:Order&f=visited:not:/jobs").replace('&', "&#38;");
    assert!(seen.contains(&link), "{link}: {seen}");

    let of_site = number(&own, "Buyers");
    let of_viewer = number(&seen, "Germans");
    assert_eq!(number(&seen, "Buyers"), "", "no form for who may not change it");
    let change =
        |who: &str, what: &str, form: &str| post(&sotto, &format!("{path}/{what}"), who, form).status;
    for what in ["rename", "remove"] {
        assert_eq!(change(&viewer, what, &format!("id={of_site}&name=B")), 403, "{what}");
        assert_eq!(
            change(&editor, what, &format!("id={of_viewer}&name=B")),
            404,
            "{what}: not seen, not there"
        );
        assert_eq!(change(&editor, what, "id=x&name=B"), 404, "{what}");
    }
    assert_eq!(change(&editor, "rename", &format!("id={of_site}&name=Customers")), 303);
    assert_eq!(change(&viewer, "rename", &format!("id={of_viewer}&name=Mine")), 303);
    assert!(show(&viewer).contains(">Customers</a>") && show(&viewer).contains(">Mine</a>"));
    assert_eq!(change(&viewer, "remove", &format!("id={of_viewer}")), 303);
    assert_eq!(change(&editor, "remove", &format!("id={of_site}")), 303);
    assert!(show(&viewer).contains("No segments yet"), "{}", show(&viewer));
    let log = audit_log(&sotto);
    let done: Vec<&str> = log
        .iter()
        .map(|(action, _)| action.as_str())
        .filter(|action| action.starts_with("segment"))
        .collect();
    assert_eq!(done, ["segment_remove", "segment_rename", "segment_add"], "of the site's, newest first");
}

#[test]
fn segment_beyond_a_limit_is_refused_with_what_is_allowed() {
    let (sotto, key, _) = world();
    let editor = sign_in(&sotto, "editor@example.org", &["--role", "editor", "--site", &key]);
    let path = format!("/s/{key}/segments");
    let name = |n: usize| "n".repeat(n);
    let many: String = (0..21).map(|n| format!("&f=page%3Ais%3A%2F{n}")).collect();
    for (form, status, says) in [
        ("name=A".to_owned(), 422, "1 to 20 filters"),
        ("name=A&f=planet%3Ais%3AMars".into(), 422, "1 to 20 filters"),
        (format!("name=Many{many}"), 303, ""),
        (format!("name={}&f=country%3Ais%3ADE", name(NAME_CHARS_MAX)), 303, ""),
        (format!("name={}&f=country%3Ais%3ADE", name(NAME_CHARS_MAX + 1)), 422, "100 characters"),
        ("name=+&f=country%3Ais%3ADE".into(), 422, "100 characters"),
        (format!("name={}&f=country%3Ais%3ADE", name(NAME_CHARS_MAX)), 422, "of that name already"),
        (format!("name={}&for=all&f=country%3Ais%3ADE", name(NAME_CHARS_MAX)), 303, ""),
    ] {
        let answer = post(&sotto, &path, &editor, &form);
        assert_eq!(answer.status, status, "{form}: {}", answer.text());
        assert!(answer.text().contains(says), "{form}: {}", answer.text());
    }
    for n in 2..SEGMENTS_MAX {
        let form = format!("name={n}&f=country%3Ais%3ADE");
        assert_eq!(post(&sotto, &path, &editor, &form).status, 303);
    }
    let beyond = post(&sotto, &path, &editor, "name=one+more&f=country%3Ais%3ADE");
    assert_eq!(beyond.status, 422);
    assert!(beyond.text().contains("100 segments already") && beyond.text().contains("value=\"one more\""));
}

#[test]
fn segments_go_with_their_person_and_with_their_site() {
    let sotto = Sotto::start();
    let sites = ["a.example", "b.example"].map(|host| sotto.add_site(host, &[]));
    let [ann, bea] =
        ["ann@example.org", "bea@example.org"].map(|who| sign_in(&sotto, who, &["--role", "editor"]));
    for site in &sites {
        for (who, name) in [(&ann, "Ann"), (&bea, "Bea")] {
            let form = format!("name={name}&f=country%3Ais%3ADE");
            assert_eq!(post(&sotto, &format!("/s/{site}/segments"), who, &form).status, 303);
        }
    }
    let left =
        || sotto.ask_clickhouse("SELECT name FROM segments FINAL WHERE deleted = 0 ORDER BY name FORMAT TSV");
    assert_eq!(left().lines().collect::<Vec<_>>(), ["Ann", "Ann", "Bea", "Bea"]);
    sotto.run(&["user", "remove", "ann@example.org"]);
    assert_eq!(left().lines().collect::<Vec<_>>(), ["Bea", "Bea"]);
    sotto.run(&["site", "remove", &sites[0]]);
    assert_eq!(left().lines().collect::<Vec<_>>(), ["Bea"]);
    let removed =
        "SELECT count() FROM segments FINAL WHERE deleted = 1 AND (name != '' OR notEmpty(filters))";
    assert_eq!(sotto.ask_clickhouse(removed).trim(), "0", "without what they were");
}

/// The values on a page with their counts.
fn values(page: &str) -> Vec<String> {
    let rows = page.split("<tr><th scope=\"row\">").skip(1);
    let cell = |text: &str| text.split('<').next().unwrap_or_default().to_owned();
    rows.map(|row| {
        let mut cells = row.split('>').skip(1);
        let value = cell(cells.next().unwrap());
        let count = row.split("<td>").nth(1).map(cell).unwrap_or_default();
        format!("{value} {count}")
    })
    .collect()
}

#[test]
fn values_are_proposed_with_counts_and_to_viewers_in_groups() {
    let (sotto, key, days) = world();
    sotto.run(&["goal", "add", &key, "Thanks", "--page", "/thanks/*"]);
    let editor = sign_in(&sotto, "editor@example.org", &["--role", "editor", "--site", &key]);
    let viewer = sign_in(&sotto, "viewer@example.org", &["--role", "viewer", "--site", &key]);
    let show = |who: &str, more: &str| get(&sotto, &format!("/s/{key}/filter?{days}{more}"), who).text();
    for (more, all, groups) in [
        ("&of=country", &["Germany 6", "Iceland 1"][..], &["Germany 5"][..]),
        ("&of=country&q=ger", &["Germany 6"], &["Germany 5"]),
        ("&of=page", &["/ 6", "/grievance 1"], &["/ 5"]),
        ("&of=page&q=GRIEV", &["/grievance 1"], &[]),
        ("&of=visited&f=visited:is:/", &["/ 6", "/grievance 1"], &["/ 5"]),
        ("&of=page&f=country:is:IS", &["/grievance 1"], &[]),
        ("&of=did", &["Order 7"], &["Order 5"]),
        ("&of=prop", &["plan=pro 6", "plan=free 1"], &["plan=pro 5"]),
        ("&of=prop&q=FREE", &["plan=free 1"], &[]),
        ("&of=planet", &[], &[]),
    ] {
        assert_eq!(values(&show(&editor, more)), all, "{more}");
        assert_eq!(values(&show(&viewer, more)), groups, "{more}, of a viewer");
    }
    let page = show(&editor, "&of=prop");
    for link in ["f=prop:plan:is:pro", "f=visited:like:/thanks/*", "f=visited:unlike:/thanks/*"] {
        assert!(page.contains(link), "{link}: {page}");
    }
    assert!(page.contains("<option value=\"plan=pro\">6</option>"), "for those who type: {page}");
    // What is typed there is a filter of the overview.
    let typed = get(&sotto, &format!("/s/{key}?{days}&field=prop&verb=not&value=plan%3Dpro"), &editor).text();
    assert!(typed.contains("Prop plan is never <b>pro</b>"), "{typed}");
}
