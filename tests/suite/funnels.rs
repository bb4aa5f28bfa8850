//! The pages of paths, funnels and missing pages, their files and their answers in the API: what they say, to whom, and who may change them.

use serde_json::Value;
use sotto_store::{
    funnel::{FUNNELS_MAX, NAME_CHARS_MAX, STEPS_MAX},
    settled,
};
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

const SIGN_UP: &str = r#""name":"Sign up","interactive":true"#;

/// Six visits yesterday begin with the home page: five go on to the prices, which two of them load twice; one of those
/// signs up and leaves, four go back to the home page. The sixth leaves for /secret.
fn world() -> (Sotto, String, String) {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &UTC);
    let day = Noon::now().day(1).to_string();
    let mut rows = Vec::new();
    for visitor in 1..=6_u64 {
        let who = 10 * visitor + 1;
        rows.push((600, "pageview", "/", who, who, ""));
        if visitor == 6 {
            rows.push((601, "pageview", "/secret", who, who, ""));
            continue;
        }
        rows.push((601, "pageview", "/prices", who, who, ""));
        if visitor < 3 {
            rows.push((602, "pageview", "/prices", who, who, ""));
        }
        if visitor == 1 {
            rows.push((603, "custom", "/prices", who, who, SIGN_UP));
        } else {
            rows.push((604, "pageview", "/", who, who, ""));
        }
    }
    // Without a visit, nothing is a path.
    rows.push((600, "pageview", "/prices", 0, 0, ""));
    store(&sotto, &key, &day, &rows);
    (sotto, key, day)
}

fn ask(sotto: &Sotto, key: &str, what: &str, day: &str, cookie: &str) -> Value {
    let mark = if what.contains('?') { '&' } else { '?' };
    let answer = get(sotto, &format!("/api/v1/sites/{key}/{what}{mark}from={day}&to={day}"), cookie);
    assert_eq!(answer.status, 200, "{what}: {}", answer.text());
    answer.json()
}

/// Places, visits and views, as text.
fn places(rows: &Value) -> Vec<String> {
    let row = |row: &Value| {
        let place = row["page"].as_str().unwrap_or(row["place"].as_str().unwrap());
        let views = row["views"].as_u64().map_or(String::new(), |views| format!(" {views}"));
        format!("{place} {}{views}", row["visits"])
    };
    rows.as_array().unwrap().iter().map(row).collect()
}

#[test]
fn paths_are_of_the_most_entered_page_or_of_the_one_that_is_asked_for() {
    let (sotto, key, day) = world();
    let editor = sign_in(&sotto, "editor@example.org", &["--role", "editor", "--site", &key]);
    let paths = ask(&sotto, &key, "paths", &day, &editor);
    assert_eq!((&paths["page"], &paths["visits"], &paths["views"]), (&"/".into(), &6.into(), &10.into()));
    assert_eq!(places(&paths["before"]), ["outside 6 6", "/prices 4 4"]);
    assert_eq!(places(&paths["after"]), ["/prices 5 5", "outside 4 4", "/secret 1 1"]);
    assert_eq!(places(&paths["journeys"]), ["/prices 5", "/secret 1"]);
    let onward = &paths["journeys"][0]["onward"];
    assert_eq!(places(onward), ["/ 4", "outside 1"]);
    assert_eq!(places(&onward[0]["onward"]), ["outside 4"]);
    let prices = ask(&sotto, &key, "paths?page=prices", &day, &editor);
    assert_eq!((&prices["visits"], &prices["views"]), (&5.into(), &5.into()), "loaded again is no step");
    assert_eq!(places(&prices["after"]), ["/ 4 4", "outside 1 1"]);
    let filtered = ask(&sotto, &key, "paths?page=/prices&filter=event%3DSign+up", &day, &editor);
    assert_eq!(places(&filtered["after"]), ["outside 1 1"]);

    let page = |more: &str| {
        let path = format!("/s/{key}/paths?p=custom&from={day}&to={day}&cmp=none{more}");
        get(&sotto, &path, &editor)
    };
    let home = page("").text();
    for said in ["(entered here)", "(left here)", "Visits that saw /<", "&#38;page=/prices", "Step 2: "] {
        assert!(home.contains(said), "{said}: {home}");
    }
    assert!(page("&page=/prices").text().contains("Visits that saw /prices<"));
    assert!(page("&page=/nothing").text().contains("No visit saw /nothing in this period"));
    assert!(
        page("&f=page:is:/secret&page=/prices")
            .text()
            .contains("The filters leave no visit that saw /prices")
    );
    let (most, beyond) = ("a".repeat(1_023), "a".repeat(1_024));
    assert_eq!(page(&format!("&page=/{most}")).status, 200);
    let refused = page(&format!("&page=/{beyond}"));
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("at most 1024 characters"));
    let path = format!("/api/v1/sites/{key}/paths?page=/{beyond}");
    assert_eq!(get(&sotto, &path, &editor).status, 400);
    let file = get(&sotto, &format!("/api/v1/sites/{key}/paths?from={day}&to={day}&format=csv"), &editor);
    let expected = "part,pages,visits,views\r\npage,/,6,10\r\nbefore,(entered here),6,6\r\nbefore,/prices,4,4\r\n\
        after,/prices,5,5\r\nafter,(left here),4,4\r\nafter,/secret,1,1\r\njourney,/ > /prices,5,5\r\n\
        journey,/ > /prices > /,4,4\r\njourney,/ > /prices > / > (left here),4,4\r\n\
        journey,/ > /prices > (left here),1,1\r\njourney,/ > /secret,1,1\r\njourney,/ > /secret > (left here),1,1\r\n";
    assert_eq!(file.text(), expected);
}

#[test]
fn viewer_sees_paths_and_drop_offs_of_groups_only_and_changes_no_funnel() {
    let (sotto, key, day) = world();
    sotto.run(&[
        "funnel",
        "add",
        &key,
        "Signed up",
        "--step",
        "/",
        "--step",
        "/prices",
        "--step",
        "event:Sign up",
    ]);
    let viewer = sign_in(&sotto, "viewer@example.org", &["--role", "viewer", "--site", &key]);
    let paths = ask(&sotto, &key, "paths?page=/", &day, &viewer);
    assert_eq!((&paths["visits"], &paths["views"]), (&5.into(), &10.into()), "rounded");
    assert_eq!(places(&paths["before"]), ["outside 5 5"]);
    assert_eq!(places(&paths["after"]), ["/prices 5 5"]);
    assert_eq!(places(&paths["journeys"]), ["/prices 5"]);
    assert_eq!(places(&paths["journeys"][0]["onward"]), Vec::<String>::new());
    let secret = ask(&sotto, &key, "paths?page=/secret", &day, &viewer);
    let nobody = ask(&sotto, &key, "paths?page=/nobody", &day, &viewer);
    assert_eq!(secret["groups"]["withheld"], true);
    for field in ["visits", "views", "before", "after", "journeys", "groups"] {
        assert_eq!(secret[field], nobody[field], "{field}: nobody and one are the same to see");
    }
    // Six visits of one visitor are no group.
    let often: Vec<_> =
        (71..77).map(|visit| (400 + visit as u32, "pageview", "/often", 71, visit, "")).collect();
    store(&sotto, &key, &day, &often);
    assert_eq!(ask(&sotto, &key, "paths?page=/often", &day, &viewer)["groups"]["withheld"], true);
    let list = ask(&sotto, &key, "funnels", &day, &viewer);
    let id = list["funnels"][0]["id"].as_str().unwrap();
    let funnel = &ask(&sotto, &key, &format!("funnels/{id}"), &day, &viewer)["funnel"];
    let visits: Vec<u64> =
        funnel["steps"].as_array().unwrap().iter().map(|step| step["visits"].as_u64().unwrap()).collect();
    assert_eq!(visits, [5, 5, 0]);
    for step in [0, 1] {
        assert_eq!(funnel["steps"][step]["left_for"], serde_json::json!([]), "four and one are no groups");
    }
    let period = format!("p=custom&from={day}&to={day}&cmp=none");
    let path = format!("/s/{key}/funnels");
    for page in [&path, &format!("{path}/{id}"), &format!("/s/{key}/paths")] {
        let page = get(&sotto, &format!("{page}?{period}"), &viewer).text();
        assert!(page.contains("id=\"groups\"") && !page.contains("/secret"), "{page}");
        assert!(!page.contains("Remove") && !page.contains("Add a funnel"), "{page}");
    }
    assert_eq!(post(&sotto, &path, &viewer, "name=A&pattern=/a&pattern=/b").status, 403);
    assert_eq!(post(&sotto, &format!("{path}/remove"), &viewer, &format!("id={id}")).status, 403);
    assert_eq!(get(&sotto, &path, "").status, 303, "to the sign-in page");
    let foreign = [("cookie", viewer.as_str()), ("sec-fetch-site", "cross-site")];
    assert_eq!(request("POST", &format!("{}{path}", sotto.url), &foreign, b"name=A").status, 403);
}

#[test]
fn funnel_added_on_its_page_is_counted_step_by_step_and_removed_there() {
    let (sotto, key, day) = world();
    let editor = sign_in(&sotto, "editor@example.org", &["--role", "editor", "--site", &key]);
    let path = format!("/s/{key}/funnels");
    let show =
        |below: &str| get(&sotto, &format!("{path}{below}?p=custom&from={day}&to={day}&cmp=none"), &editor);
    assert!(show("").text().contains("No funnels yet"));
    let form = "name=Signed+up&order=loose&kind=page&pattern=%2F&kind=page&pattern=%2Fpr*&kind=event&pattern=Sign+up&kind=page&pattern=";
    assert_eq!(post(&sotto, &path, &editor, form).status, 303);
    let form = "name=Back&order=strict&kind=page&pattern=%2Fprices&kind=page&pattern=%2F";
    assert_eq!(post(&sotto, &path, &editor, form).status, 303);
    let list = ask(&sotto, &key, "funnels", &day, &editor);
    let steps = |funnel: &Value| -> Vec<u64> {
        funnel["steps"].as_array().unwrap().iter().map(|step| step["visits"].as_u64().unwrap()).collect()
    };
    let [back, signed_up] = [&list["funnels"][0], &list["funnels"][1]];
    assert_eq!((&back["order"], steps(back)), (&"strict".into(), vec![5, 4]));
    assert_eq!((&signed_up["order"], steps(signed_up)), (&"loose".into(), vec![6, 5, 1]));
    let id = signed_up["id"].as_str().unwrap();
    let one = &ask(&sotto, &key, &format!("funnels/{id}"), &day, &editor)["funnel"];
    assert_eq!(places(&one["steps"][0]["left_for"]), ["/secret 1"]);
    assert_eq!(places(&one["steps"][1]["left_for"]), ["/ 4"]);
    assert!(one["steps"][2].get("left_for").is_none());
    let page = show(&format!("/{id}")).text();
    for said in
        ["16.7% reach the last step", "1. /<", "3. event Sign up", "Left after step 1", "/secret", "80.0%"]
    {
        assert!(page.contains(said), "{said}: {page}");
    }
    let list = show("").text();
    assert!(
        list.contains("/ → /pr* → Sign up") && list.contains("80.0%") && list.contains("16.7%"),
        "{list}"
    );
    let file = format!("/api/v1/sites/{key}/funnels/{id}?from={day}&to={day}&format=csv");
    let expected = "funnel,step,pattern,left_for,visitors,visits\r\nSigned up,1,/,,6,6\r\nSigned up,1,/,/secret,1,1\r\n\
        Signed up,2,/pr*,,5,5\r\nSigned up,2,/pr*,/,4,4\r\nSigned up,3,Sign up,,1,1\r\n";
    assert_eq!(get(&sotto, &file, &editor).text(), expected);
    assert_eq!(show("/7").status, 404);
    assert_eq!(get(&sotto, &format!("/api/v1/sites/{key}/funnels/7"), &editor).status, 404);

    let remove = format!("{path}/remove");
    assert_eq!(post(&sotto, &remove, &editor, &format!("id={id}")).status, 303);
    assert_eq!(post(&sotto, &remove, &editor, &format!("id={id}")).status, 404, "it is gone");
    let done: Vec<String> = audit_log(&sotto).into_iter().map(|(action, _)| action).take(3).collect();
    assert_eq!(done, ["funnel_remove", "funnel_add", "funnel_add"], "newest first");
    let listed = sotto.run(&["funnel", "list", &key, "--json"]);
    assert!(listed.contains("Back") && !listed.contains("Signed up"), "{listed}");
}

#[test]
fn funnel_beyond_a_limit_is_refused_with_what_is_allowed_and_stays_typed() {
    let (sotto, key, _) = world();
    let editor = sign_in(&sotto, "editor@example.org", &["--role", "editor", "--site", &key]);
    let path = format!("/s/{key}/funnels");
    let steps = |n: usize| "&kind=page&pattern=/a".repeat(n);
    for (form, status, says) in [
        (format!("name=A{}", steps(1)), 422, "2 to 8 steps, not 1"),
        (format!("name=A{}", steps(STEPS_MAX)), 303, ""),
        (format!("name=A{}", steps(STEPS_MAX + 1)), 422, "2 to 8 steps, not 9"),
        (format!("name=A&kind=page&pattern=a{}", steps(1)), 422, "step 1 needs a path"),
        (format!("name={}{}", "n".repeat(NAME_CHARS_MAX), steps(2)), 303, ""),
        (format!("name={}{}", "n".repeat(NAME_CHARS_MAX + 1), steps(2)), 422, "100 characters"),
    ] {
        let answer = post(&sotto, &path, &editor, &form);
        assert_eq!(answer.status, status, "{form}");
        assert!(answer.text().contains(says), "{form}: {}", answer.text());
    }
    let typed = post(&sotto, &path, &editor, "name=Mine&order=strict&kind=event&pattern=Play").text();
    for kept in ["value=\"Mine\"", "value=\"Play\"", "value=\"strict\" selected"] {
        assert!(typed.contains(kept), "{kept}: {typed}");
    }
    for _ in 2..FUNNELS_MAX {
        assert_eq!(post(&sotto, &path, &editor, &format!("name=A{}", steps(2))).status, 303);
    }
    let beyond = post(&sotto, &path, &editor, &format!("name=A{}", steps(2)));
    assert_eq!(beyond.status, 422);
    assert!(beyond.text().contains("50 funnels already"), "{}", beyond.text());
}

#[test]
fn visit_of_more_steps_than_are_kept_goes_beyond_them_and_one_of_as_many_leaves() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &UTC);
    let day = Noon::now().day(1).to_string();
    let editor = sign_in(&sotto, "editor@example.org", &["--role", "editor", "--site", &key]);
    let most = u32::from(settled::STEPS_MAX);
    let mut rows = Vec::new();
    for (who, steps) in [(11, most), (21, most + 1)] {
        for n in 1..=steps {
            let page = match n {
                n if n == most => "/last",
                n if n % 2 == 0 => "/a",
                _ => "/b",
            };
            rows.push((600 + n, "pageview", page, who, who, ""));
        }
    }
    store(&sotto, &key, &day, &rows);
    let paths = ask(&sotto, &key, "paths?page=/last", &day, &editor);
    assert_eq!(places(&paths["after"]), ["outside 1 1", "beyond 1 1"]);
    let page =
        get(&sotto, &format!("/s/{key}/paths?p=custom&from={day}&to={day}&page=/last"), &editor).text();
    assert!(page.contains("(more than 100 steps)"), "{page}");
}

#[test]
fn steps_of_one_moment_are_in_the_order_in_which_they_were_sent() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &UTC);
    let day = Noon::now().day(1).to_string();
    let editor = sign_in(&sotto, "editor@example.org", &["--role", "editor", "--site", &key]);
    sotto.run(
        &[
            &["funnel", "add", &key, "A", "--order", "strict", "--step", "/"],
            &["--step", "event:Second", "--step", "event:First", "--step", "/end"][..],
        ]
        .concat(),
    );
    // They come to the table in another order, and all have one view and one moment but the last page.
    let hit = |seq, name: &str| format!(r#""name":"{name}","view":"7","seq":{seq}"#);
    let [page, second, first] = [hit(0, ""), hit(1, "Second"), hit(2, "First")];
    let rows = [
        (600, "pageview", "/end", 11, 11, r#""view":"8","seq":0"#),
        (600, "custom", "/", 11, 11, &first),
        (600, "custom", "/", 11, 11, &second),
        (600, "pageview", "/", 11, 11, &page),
    ];
    store(&sotto, &key, &day, &rows);
    let list = ask(&sotto, &key, "funnels", &day, &editor);
    assert_eq!(list["funnels"][0]["steps"][3]["visits"], 1, "{list}");
}

#[test]
fn funnels_go_with_their_site() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let other = sotto.add_site("b.example", &[]);
    for site in [&key, &other] {
        sotto.run(&["funnel", "add", site, "A", "--step", "/", "--step", "event:Order"]);
    }
    sotto.run(&["site", "remove", &key]);
    let access = sotto.data().join("clickhouse/endpoint.json");
    let endpoint: Value = serde_json::from_str(&std::fs::read_to_string(access).unwrap()).unwrap();
    let text = |name: &str| endpoint["writer"][name].as_str().unwrap().to_owned();
    let url = format!("{}/?database={}", text("url"), text("database"));
    let (user, password) = (text("user"), text("password"));
    let who = [("x-clickhouse-user", user.as_str()), ("x-clickhouse-key", password.as_str())];
    let left = request("POST", &url, &who, b"SELECT count() FROM funnels FINAL WHERE deleted = 0");
    assert_eq!(left.text().trim(), "1", "that of the other site");
}

const NOT_FOUND: &str = r#""name":"404","interactive":false"#;

/// Pages and where visitors came from to them, as text.
fn missing(found: &Value) -> Vec<String> {
    let figures = |row: &Value| format!("{} {}", row["visits"], row["times"]);
    let mut all = Vec::new();
    for page in found["pages"].as_array().unwrap() {
        all.push(format!("{} {}", page["page"].as_str().unwrap(), figures(page)));
        for from in page["from"].as_array().unwrap() {
            let place = from["page"].as_str().map(str::to_owned);
            let place = place.unwrap_or_else(|| format!("({})", from["source"].as_str().unwrap()));
            all.push(format!("  {place} {}", figures(from)));
        }
    }
    all
}

#[test]
fn page_that_was_not_found_is_listed_with_the_page_that_links_to_it() {
    let (sotto, key, day) = world();
    let mut rows = Vec::new();
    // Five visits follow a broken link, one of them twice; one comes from elsewhere, one is counted anonymously. Where they
    // began does not matter to those who follow it.
    for visitor in 11..=15_u64 {
        let source = if visitor == 12 { r#""source":"Google""# } else { "" };
        rows.push((700, "pageview", "/prices", visitor, visitor, source));
        rows.push((701, "pageview", "/old", visitor, visitor, ""));
        rows.push((702, "custom", "/old", visitor, visitor, NOT_FOUND));
    }
    rows.push((703, "pageview", "/prices", 11, 11, ""));
    rows.push((704, "custom", "/prices", 11, 11, SIGN_UP));
    rows.push((705, "pageview", "/old", 11, 11, ""));
    rows.push((706, "custom", "/old", 11, 11, NOT_FOUND));
    rows.push((700, "pageview", "/old", 16, 16, r#""source":"Google""#));
    rows.push((701, "custom", "/old", 16, 16, NOT_FOUND));
    rows.push((702, "pageview", "/older", 16, 16, ""));
    rows.push((703, "custom", "/older", 16, 16, NOT_FOUND));
    rows.push((700, "pageview", "/old", 0, 0, ""));
    rows.push((701, "custom", "/old", 0, 0, NOT_FOUND));
    store(&sotto, &key, &day, &rows);
    let editor = sign_in(&sotto, "editor@example.org", &["--role", "editor", "--site", &key]);
    let found = ask(&sotto, &key, "not-found", &day, &editor);
    assert_eq!((&found["visits"], &found["times"]), (&6.into(), &8.into()));
    let all = ["/old 6 7", "  /prices 5 6", "  (Google) 1 1", "/older 1 1", "  /old 1 1"];
    assert_eq!(missing(&found), all);
    let filtered = ask(&sotto, &key, "not-found?filter=source%3DGoogle", &day, &editor);
    let from_google = ["/old 2 2", "  (Google) 1 1", "  /prices 1 1", "/older 1 1", "  /old 1 1"];
    assert_eq!(missing(&filtered), from_google);
    let file = get(&sotto, &format!("/api/v1/sites/{key}/not-found?from={day}&to={day}&format=csv"), &editor);
    let lines =
        "page,from_page,from_source,visits,times\r\n/old,,,6,7\r\n/old,/prices,,5,6\r\n/old,,Google,1,1\r\n";
    assert_eq!(file.text(), format!("{lines}/older,,,1,1\r\n/older,/old,,1,1\r\n"));
    let page = format!("/s/{key}/not-found?p=custom&from={day}&to={day}&cmp=none");
    let page = get(&sotto, &page, &editor).text();
    for words in [">/old<", ">/prices<", ">Google<", "paths?p=custom"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    // Viewers see groups.
    let viewer = sign_in(&sotto, "viewer@example.org", &["--role", "viewer", "--site", &key]);
    let seen = ask(&sotto, &key, "not-found", &day, &viewer);
    assert_eq!(missing(&seen), ["/old 5 5", "  /prices 5 5"]);
    let one = ask(&sotto, &key, "not-found?filter=source%3DGoogle", &day, &viewer);
    let nobody = ask(&sotto, &key, "not-found?filter=source%3DBing", &day, &viewer);
    assert_eq!(one["groups"]["withheld"], true);
    for field in ["visits", "times", "pages", "groups"] {
        assert_eq!(one[field], nobody[field], "{field}: nobody and one are the same to see");
    }
}
