//! The pages on what visitors do beyond pages: events, clicks, web vitals, and how far pages are read.

use serde_json::Value;
use sotto_tests::{Noon, Sotto, UTC};

use crate::{
    quality::{get, sign_in},
    reports::store,
};

/// Rows of one day: minute, kind, path, visitor, visit, and more fields.
type Rows<'r> = [(u32, &'r str, &'r str, u64, u64, &'r str)];

struct World {
    sotto: Sotto,
    key: String,
    day: String,
    editor: String,
    viewer: String,
}

fn world(rows: &Rows<'_>) -> World {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &UTC);
    let day = Noon::now().day(1).to_string();
    store(&sotto, &key, &day, rows);
    let [editor, viewer] = ["editor", "viewer"]
        .map(|role| sign_in(&sotto, &format!("{role}@example.org"), &["--role", role, "--site", &key]));
    World { sotto, key, day, editor, viewer }
}

impl World {
    fn page(&self, cookie: &str, path: &str, more: &str) -> String {
        let days = format!("p=custom&from={day}&to={day}", day = self.day);
        let answer = get(&self.sotto, &format!("/s/{}/{path}?{days}{more}", self.key), cookie);
        assert_eq!(answer.status, 200, "{path}");
        answer.text()
    }

    fn api(&self, cookie: &str, report: &str, more: &str) -> sotto_tests::Answer {
        let days = format!("from={day}&to={day}", day = self.day);
        get(&self.sotto, &format!("/api/v1/sites/{}/details/{report}?{days}{more}", self.key), cookie)
    }

    /// Rows of a report as JSON.
    fn rows(&self, cookie: &str, report: &str, more: &str) -> Vec<Value> {
        let answer = self.api(cookie, report, more);
        assert_eq!(answer.status, 200, "{report}{more}: {}", answer.text());
        answer.json()["rows"].as_array().unwrap().clone()
    }
}

/// The row of a table: its figures, as they are shown.
fn row(page: &str, label: &str) -> Vec<String> {
    let row = page.split("<tr>").find(|row| row.contains(&format!(">{label}</")));
    let row = row.unwrap_or_else(|| panic!("no row of {label}: {page}"));
    let cells = row.split("<td").skip(1).filter_map(|cell| cell.split(['>', '<']).nth(1));
    cells.map(str::to_owned).collect()
}

#[test]
fn speed_is_what_a_quarter_of_page_views_reached_and_of_each_the_last_measurement_counts() {
    let vitals = |view: u32, lcp: u32, cls: u32| {
        format!(r#""view":"{view}","lcp_ms":{lcp},"cls_milli":{cls},"device":"mobile""#)
    };
    let [first, last, second, third, fourth] =
        [vitals(1, 900, 5), vitals(1, 2_000, 300), vitals(2, 1_000, 1), vitals(3, 5_000, 1), vitals(4, 0, 1)];
    let world = world(&[
        (600, "pageview", "/", 11, 11, ""),
        (601, "vitals", "/", 11, 11, &first),
        (602, "vitals", "/", 11, 11, &last),
        (603, "vitals", "/", 21, 21, &second),
        (604, "vitals", "/slow", 21, 21, &third),
        (605, "vitals", "/", 31, 31, &fourth),
    ]);
    let page = world.page(&world.editor, "vitals", "");
    // Of 1.0, 2.0 and 5.0 seconds a quarter are 5.0; a browser that does not know the paint is not counted as quick.
    assert!(page.contains(r#"<b class="figure">5.0 s</b> <span class="rated poor">poor</span>"#), "{page}");
    assert!(page.contains("67% good, 0% need improvement, 33% poor"), "{page}");
    assert_eq!(row(&page, "/"), ["3", "2.0 s", "–", "0.30", "–", "–"]);
    assert_eq!(row(&page, "/slow")[..2], ["1", "5.0 s"]);
    assert_eq!(row(&world.page(&world.editor, "vitals/device", ""), "Phone")[0], "4");
    let of_page = world.page(&world.editor, "vitals", "&f=page:is:/slow");
    assert!(!of_page.contains("2.0 s"), "{of_page}");
    let rows = world.rows(&world.editor, "vitals", "");
    let expected =
        [("views", 4), ("lcp_ms_measured", 3), ("lcp_ms_p75", 5_000), ("lcp_ms_good", 2), ("lcp_ms_poor", 1)];
    for (name, n) in expected {
        assert_eq!(rows[0][name], n, "{name}");
    }
}

#[test]
fn event_is_listed_with_its_props_and_what_it_was_worth() {
    let order = |plan: &str, amount: u32| {
        format!(
            r#""name":"Order","interactive":true,"props":{{"plan":"{plan}"}},"revenue":{amount},"currency":"EUR""#
        )
    };
    let [free, pro] = [order("free", 0), order("pro", 1_250)];
    let world = world(&[
        (600, "pageview", "/", 11, 11, ""),
        (601, "custom", "/", 11, 11, &pro),
        (602, "custom", "/", 11, 11, &pro),
        (603, "custom", "/", 21, 21, &free),
        (604, "custom", "/", 21, 21, r#""name":"Play","interactive":true"#),
        // An event of nobody in particular.
        (605, "custom", "/", 0, 0, r#""name":"Play","interactive":true"#),
    ]);
    let page = world.page(&world.editor, "events", "");
    assert_eq!(row(&page, "Order"), ["2", "2", "3"]);
    assert_eq!(row(&page, "Play"), ["1", "1", "2"]);
    assert_eq!(row(&page, "Order in EUR"), ["1", "1", "2", "2,500.00 EUR", "1,250.00 EUR"]);
    let page = world.page(&world.editor, "events", "&f=event:is:Order");
    assert_eq!(row(&page, "plan: pro"), ["1", "1", "2"]);
    assert_eq!(row(&page, "plan: free"), ["1", "1", "1"]);
    let played = world.rows(&world.editor, "props", "&filter=event%3DPlay");
    assert!(played.is_empty(), "{played:?}");
}

#[test]
fn click_is_counted_by_element_and_one_that_is_repeated_is_told() {
    let clicks = |elements: &str| format!(r#""click_path":{elements}"#);
    let [again, once] = [clicks(r##"["#img","#img","#img","#buy"]"##), clicks(r##"["#buy"]"##)];
    let twice = clicks(r##"["#buy","#buy"]"##);
    let world = world(&[
        (600, "pageview", "/", 11, 11, ""),
        (601, "click", "/", 11, 11, &again),
        (602, "click", "/", 21, 21, &once),
        (603, "click", "/other", 21, 21, &twice),
        (604, "custom", "/", 21, 21, r#""name":"Order""#),
    ]);
    assert_eq!(row(&world.page(&world.editor, "clicks", ""), "/"), ["2", "2", "5"]);
    let page = world.page(&world.editor, "clicks", "&f=page:is:/");
    assert_eq!(row(&page, "#img"), ["1", "1", "3", "60%", "1"]);
    assert_eq!(row(&page, "#buy"), ["2", "2", "2", "40%", "0"]);
    let page = world.page(&world.editor, "clicks", "&f=page:is:/other");
    assert_eq!(row(&page, "#buy"), ["1", "1", "2", "100%", "0"], "twice is not yet again and again");
    // What a click does not have chooses visits.
    let ordered = world.rows(&world.editor, "clicks", "&filter=event%3DOrder");
    assert_eq!((ordered.len(), &ordered[0]["clicks"]), (1, &3.into()), "{ordered:?}");
}

#[test]
fn page_is_read_as_far_as_the_deepest_position_of_a_visit() {
    let scroll = |depth: u8| format!(r#""scroll":{depth}"#);
    let [some, all, half] = [scroll(24), scroll(100), scroll(50)];
    let world = world(&[
        (600, "pageview", "/", 11, 11, ""),
        (601, "engagement", "/", 11, 11, &some),
        (602, "engagement", "/", 11, 11, &all),
        (603, "engagement", "/", 21, 21, &half),
        // Seen, and nothing measured.
        (604, "pageview", "/", 31, 31, ""),
    ]);
    let page = world.page(&world.editor, "reading", "");
    assert_eq!(row(&page, "/"), ["2", "2", "75%", "100%", "100%", "50%", "50%"]);
}

#[test]
fn viewer_sees_no_details_of_fewer_than_five_visitors_and_others_rounded() {
    let event = |name: &str| format!(r#""name":"{name}","country":"IS","revenue":9.99,"currency":"EUR""#);
    let [many, few] = [event("Many"), event("Few")];
    let mut rows: Vec<_> = (1..=6).map(|n| (600, "custom", "/", 10 * n, 10 * n, many.as_str())).collect();
    rows.extend((1..=4).map(|n| (601, "custom", "/", 10 * n, 10 * n, few.as_str())));
    let vitals: Vec<String> = (1..=5).map(|n| format!(r#""view":"{n}","lcp_ms":{}"#, 1_230 + n)).collect();
    rows.extend((1..=5).map(|n| (602, "vitals", "/", 10 * n, 10 * n, vitals[n as usize - 1].as_str())));
    let world = world(&rows);
    for (reader, names) in [(&world.editor, &["Many", "Few"][..]), (&world.viewer, &["Many"])] {
        let rows = world.rows(reader, "events", "");
        let found: Vec<&str> = rows.iter().map(|row| row["event"].as_str().unwrap()).collect();
        assert_eq!(found, names);
    }
    let worth = world.rows(&world.viewer, "revenue", "");
    assert_eq!((worth.len(), &worth[0]["visitors"], &worth[0]["revenue"]), (1, &5.into(), &60.into()));
    let speed = world.rows(&world.viewer, "vitals", "");
    assert_eq!(speed[0]["lcp_ms_p75"], 1_200, "not a figure by which one view is known");
    let page = world.page(&world.viewer, "events", "&f=event:is:Few");
    assert!(page.contains("Too few to be shown"), "{page}");
    assert!(!page.contains("Few in EUR"), "{page}");
}

#[test]
fn details_as_a_file_are_the_same_figures_and_what_visitors_chose_is_no_formula() {
    let world = world(&[
        (600, "custom", "/", 11, 11, r#""name":"=1+1","props":{"a,b":"\"x\""}"#),
        (601, "custom", "/", 21, 21, r#""name":"=1+1""#),
    ]);
    let file = world.api(&world.editor, "events", "&format=csv");
    assert_eq!(file.text(), "event,visitors,visits,events\r\n'=1+1,2,2,2\r\n");
    let name = file.header("content-disposition").unwrap();
    assert!(name.starts_with("attachment; filename=\"a.example-events-"), "{name}");
    let props = world.api(&world.editor, "props", "&format=csv").text();
    assert_eq!(props, "prop,value,visitors,visits,events\r\n\"a,b\",\"\"\"x\"\"\",1,1,1\r\n");
    assert_eq!(world.api(&world.editor, "planets", "").status, 404);
    for unknown in ["planets", "vitals/planet", "events/page"] {
        assert_eq!(
            get(&world.sotto, &format!("/s/{}/{unknown}", world.key), &world.editor).status,
            404,
            "{unknown}"
        );
    }
}
