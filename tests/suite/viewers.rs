//! What a viewer sees of a site's visitors: groups, whatever is asked and subtracted.

use serde_json::Value;
use sotto_tests::{Noon, Sotto, UTC};

use crate::{
    quality::{get, sign_in},
    reports::store,
};

/// A site with twelve visitors on each of two days, and a thirteenth from Iceland on the second; and who reads it.
struct World {
    sotto: Sotto,
    key: String,
    days: [String; 2],
    viewer: String,
    editor: String,
}

fn world() -> World {
    let days = [31, 30].map(|age| Noon::now().day(age).to_string());
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &UTC);
    let many = r#""country":"DE","city":"Berlin","device":"desktop","browser":"Chrome","source":"Google","channel":"organic_search""#;
    let one = r#""country":"IS","city":"Selfoss","device":"mobile","browser":"Vivaldi","source":"blog.example","channel":"referral""#;
    for (n, day) in days.iter().enumerate() {
        let visitor = |i: u64| 100 * (n as u64 + 1) + i;
        let mut rows: Vec<_> =
            (1..=12).map(|i| (60, "pageview", "/", visitor(i), visitor(i), many)).collect();
        if n == 1 {
            rows.push((100, "pageview", "/grievance", visitor(13), visitor(13), one));
            rows.push((101, "pageview", "/", visitor(13), visitor(13), one));
        }
        store(&sotto, &key, day, &rows);
    }
    let viewer = sign_in(&sotto, "viewer@example.org", &["--role", "viewer", "--site", &key]);
    let editor = sign_in(&sotto, "editor@example.org", &["--role", "editor", "--site", &key]);
    World { sotto, key, days, viewer, editor }
}

impl World {
    /// What the API answers to a reader.
    fn ask(&self, cookie: &str, [from, to]: [usize; 2], more: &str) -> Value {
        let [from, to] = [&self.days[from], &self.days[to]];
        let metrics = "visitors,visits,pageviews,bounce_rate,engaged_seconds,events";
        let path = format!("/api/v1/sites/{}/report?from={from}&to={to}&metrics={metrics}&{more}", self.key);
        let answer = get(&self.sotto, &path, cookie);
        assert_eq!(answer.status, 200, "{more}: {}", answer.text());
        answer.json()
    }

    fn visitors(&self, cookie: &str, days: [usize; 2], filter: &str) -> i64 {
        self.ask(cookie, days, filter)["table"]["rows"][0]["visitors"].as_i64().unwrap()
    }

    fn values(&self, cookie: &str, days: [usize; 2], by: &str) -> Vec<(String, i64)> {
        let answer = self.ask(cookie, days, &format!("by={by}"));
        let rows = answer["table"]["rows"].as_array().unwrap();
        rows.iter()
            .map(|row| (row[by].as_str().unwrap().to_owned(), row["visitors"].as_i64().unwrap()))
            .collect()
    }
}

#[test]
fn viewer_cannot_single_out_one_visitor() {
    let world = world();
    let both = [0, 1];
    // Narrowed down until one is left: withheld, and as if nothing were there.
    for filter in [
        "filter=country%3DIS",
        "filter=city%3DSelfoss&filter=device%3Dmobile&filter=browser%3DVivaldi",
        "filter=page%3D/grievance",
        "filter=source~%3Dblog",
        "filter=country!%3DDE",
    ] {
        assert_eq!(world.visitors(&world.editor, [1, 1], filter), 1, "{filter}");
        let answer = world.ask(&world.viewer, [1, 1], filter);
        assert_eq!(answer["groups"]["withheld"], true, "{filter}");
        assert_eq!(answer["table"]["rows"][0]["pageviews"], 0, "{filter}");
        // Nobody and one are the same to see.
        let nobody = world.ask(&world.viewer, [0, 0], filter);
        assert_eq!((&nobody["table"], &nobody["groups"]), (&answer["table"], &answer["groups"]), "{filter}");
        for by in ["page", "hour", "day", "city"] {
            let answer = world.ask(&world.viewer, both, &format!("{filter}&by={by}"));
            assert_eq!(answer["table"]["rows"], serde_json::json!([]), "{filter} by {by}");
        }
    }
    // Subtracted: everything without the others, one list without another, two days without the first.
    assert_eq!(world.visitors(&world.viewer, [1, 1], ""), 13, "totals are exact");
    assert_eq!(world.visitors(&world.viewer, [1, 1], "filter=country!%3DIS"), 10);
    assert_eq!(world.visitors(&world.viewer, [1, 1], "filter=country%3DDE"), 10);
    for (by, value) in [("country", "DE"), ("city", "Berlin"), ("page", "/"), ("channel", "organic_search")] {
        let of = |cookie: &str, days| world.values(cookie, days, by);
        let exact = if by == "page" { 13 } else { 12 };
        assert!(of(&world.editor, [1, 1]).contains(&(value.into(), exact)), "{by}");
        let shown = if by == "page" { 15 } else { 10 };
        assert_eq!(of(&world.viewer, [1, 1]), [(value.to_owned(), shown)], "{by}");
        assert_eq!(of(&world.viewer, both), [(value.to_owned(), 25)], "{by}: of two days");
    }
    assert_eq!(world.ask(&world.editor, [1, 1], "")["groups"], Value::Null);
    // By hour of the week: groups of what is summed up.
    let hours = |cookie: &str, filter: &str| {
        let World { sotto, key, days: [from, to], .. } = &world;
        let answer =
            get(sotto, &format!("/api/v1/sites/{key}/hours?from={from}&to={to}&{filter}"), cookie).json();
        let rows = answer["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 7 * 24);
        let cells: Vec<u64> =
            rows.iter().map(|row| row["visitors"].as_u64().unwrap()).filter(|n| *n > 0).collect();
        (cells, answer["groups"]["withheld"].clone())
    };
    let (of_one, withheld) = hours(&world.viewer, "filter=country%3DIS");
    assert_eq!((of_one, withheld), (vec![], true.into()));
    assert_eq!(hours(&world.editor, "filter=country%3DIS").0, [1]);
    assert_eq!(hours(&world.editor, "filter=country%3DDE").0, [12, 12]);
    assert_eq!(hours(&world.viewer, "filter=country%3DDE").0, [10, 10]);
}

#[test]
fn viewers_pages_and_files_say_that_they_show_groups() {
    let world = world();
    let World { sotto, key, viewer, editor, days: [_, day] } = &world;
    let page = |path: &str, cookie: &str| get(sotto, &format!("/s/{key}{path}"), cookie).text();
    let period = format!("p=custom&from={day}&to={day}");
    let overview = format!("?{period}&places=city");
    assert!(
        page(&overview, editor).contains("Selfoss") && !page(&overview, editor).contains("id=\"groups\"")
    );
    assert!(
        !page(&overview, viewer).contains("Selfoss") && page(&overview, viewer).contains("id=\"groups\"")
    );
    let filtered = format!("?{period}&f=city:is:Selfoss");
    assert!(page(&filtered, viewer).contains("Fewer than 5 visitors match these filters"));
    assert!(!page(&filtered, editor).contains("Fewer than"));
    let list = format!("/list/page?{period}");
    assert!(page(&list, editor).contains("/grievance") && !page(&list, viewer).contains("/grievance"));
    let searched = format!("/list/city?{period}&q=self");
    assert!(
        page(&searched, editor).contains("Selfoss")
            && page(&searched, viewer).contains("Fewer than 5 visitors")
    );
    let file = format!("/api/v1/sites/{key}/report?from={day}&to={day}&by=page&format=csv");
    assert!(get(sotto, &file, editor).text().contains("/grievance,1,"));
    assert_eq!(get(sotto, &file, viewer).text(), "page,visitors,visits,pageviews\r\n/,15,15,15\r\n");
    let first = format!("/api/v1/sites/{key}/first-hit");
    let first_page = |cookie| get(sotto, &first, cookie).json()["first"]["page"].as_str().unwrap().to_owned();
    assert_eq!([first_page(editor), first_page(viewer)], ["a.example/", "a page of a.example"]);
    let install = |cookie| page("/install", cookie);
    assert!(install(editor).contains("a.example/</span>") && !install(viewer).contains("a.example/</span>"));
}
