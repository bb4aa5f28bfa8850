//! `POST /api/v2/query` speaks the grammar of Plausible's Stats API v2: what it answers is right, and everything else is refused
//! with the part that is in the way.

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};
use sotto_tests::{Answer, Noon, Sotto, UTC, request};

use self::model::{GOALS, Hit, Table, World};
use crate::{quality::sign_in, reports::store};

mod model;

/// How many random questions are asked.
const QUESTIONS: u32 = 2_000;

struct Site {
    sotto: Sotto,
    key: String,
    token: String,
    world: World,
}

/// Seventy visits of thirty visitors on five days, made by counting.
fn hits() -> Vec<Hit> {
    let pages = ["/", "/blog/a", "/blog/b", "/order/7", "/order/paid", "/Prices"];
    let mut hits = Vec::new();
    for n in 0..70_u64 {
        let day = usize::try_from(n % 5).unwrap();
        let visitor = 1 + n % 30;
        let (source, country, device) = (
            ["", "Google", "news.example", "Goodle"][usize::try_from(n % 4).unwrap()],
            ["DE", "FR"][usize::try_from(visitor % 2).unwrap()],
            ["mobile", "desktop", "desktop"][usize::try_from(visitor % 3).unwrap()],
        );
        let start = u32::try_from(10 + n * 19).unwrap();
        for step in 0..=(n % 4) {
            let page = pages[usize::try_from((n * 7 + step * 5 + step * step) % 6).unwrap()];
            let view = Hit {
                day,
                minute: start + u32::try_from(step).unwrap(),
                visitor: visitor + 100 * u64::try_from(day).unwrap(),
                session: n + 1,
                page,
                event: "",
                plan: "",
                source,
                country,
                device,
            };
            hits.push(view.clone());
            let event = match (n + step) % 5 {
                0 => Some(("Sign up", ["pro", "free", "Promo"][usize::try_from(n % 3).unwrap()])),
                1 if n % 2 == 0 => Some(("Download", "")),
                _ => None,
            };
            if let Some((event, plan)) = event {
                hits.push(Hit { event, plan, ..view });
            }
        }
    }
    hits
}

fn start() -> Site {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &UTC);
    let world = World { days: (0..5).map(|n| Noon::now().day(34 - n).to_string()).collect(), hits: hits() };
    for (n, day) in world.days.iter().enumerate() {
        let of_day: Vec<&Hit> = world.hits.iter().filter(|hit| hit.day == n).collect();
        let more: Vec<String> = of_day.iter().map(|hit| columns(&world, hit)).collect();
        let rows: Vec<_> = of_day
            .iter()
            .zip(&more)
            .map(|(hit, more)| {
                let kind = if hit.event.is_empty() { "pageview" } else { "custom" };
                (hit.minute, kind, hit.page, hit.visitor, hit.session, more.as_str())
            })
            .collect();
        store(&sotto, &key, day, &rows);
    }
    for (name, event, pattern) in GOALS {
        let kind = if event { "--event" } else { "--page" };
        sotto.run(&["goal", "add", &key, name, kind, pattern]);
    }
    let token = token(&sotto, "all");
    Site { sotto, key, token, world }
}

/// Of a hit, what is not said of all; the source is known of the first pageview.
fn columns(world: &World, hit: &Hit) -> String {
    let first = world.hits.iter().find(|other| other.session == hit.session).unwrap();
    let mut more = json!({"country": hit.country, "device": hit.device});
    if (first.minute, first.page, first.event) == (hit.minute, hit.page, hit.event) {
        more["source"] = hit.source.into();
    }
    if !hit.event.is_empty() {
        more["name"] = hit.event.into();
        more["interactive"] = true.into();
    }
    if !hit.plan.is_empty() {
        more["props"] = json!({"plan": hit.plan});
    }
    let text = more.to_string();
    text[1..text.len() - 1].to_owned()
}

fn token(sotto: &Sotto, site: &str) -> String {
    let site = if site == "all" { vec![] } else { vec!["--site", site] };
    let listed = sotto.run(&[&["token", "add", "reads", "--json"], site.as_slice()].concat());
    let listed: Value = serde_json::from_str(&listed).unwrap();
    listed[0]["token"].as_str().unwrap().to_owned()
}

impl Site {
    fn send(&self, body: &[u8], headers: &[(&str, &str)]) -> Answer {
        request("POST", &format!("{}/api/v2/query", self.sotto.url), headers, body)
    }

    fn ask(&self, question: &Value) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.send(question.to_string().as_bytes(), &headers)
    }

    /// A question about all days, unless it says which.
    fn question(&self, more: Value) -> Value {
        let [from, to] = [0, 4].map(|n| self.world.days[n].clone());
        let mut question = json!({"site_id": self.key, "metrics": ["visitors"], "date_range": [from, to]});
        let Value::Object(more) = more else { panic!("no object") };
        question.as_object_mut().unwrap().extend(more);
        question
    }

    /// The answer to a question about all days.
    fn answer(&self, more: Value) -> Value {
        let question = self.question(more);
        let answer = self.ask(&question);
        assert_eq!(answer.status, 200, "{question}: {}", answer.text());
        answer.json()
    }

    fn table(&self, more: Value) -> Table {
        table(&self.answer(more))
    }

    /// The refusal of a question about all days.
    fn refusal(&self, more: Value) -> Value {
        let question = self.question(more);
        let answer = self.ask(&question);
        assert_eq!(answer.status, 400, "{question}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        answer.json()
    }
}

fn table(answer: &Value) -> Table {
    let row = |row: &Value| {
        let values = row["dimensions"].as_array().unwrap().iter();
        let figures = row["metrics"].as_array().unwrap().iter().map(Value::as_f64);
        (values.map(|value| value.as_str().unwrap().to_owned()).collect(), figures.collect())
    };
    answer["results"].as_array().unwrap().iter().map(row).collect()
}

fn any_leaf() -> impl Strategy<Value = Value> {
    let operator =
        prop::sample::select(vec!["is", "is_not", "contains", "contains_not", "matches", "matches_not"]);
    let pages = vec!["/", "/blog/a", "/order/paid", "blog", "/order/", "^/blog", "a$", "/prices"];
    let values = vec![
        ("event:page", pages.clone()),
        ("visit:entry_page", pages.clone()),
        ("visit:exit_page", pages),
        ("event:name", vec!["Sign up", "Download", "pageview", "Sign", "^Down", "p"]),
        ("event:goal", vec!["Paid", "Orders", "Sign up", "Download", "P"]),
        ("event:props:plan", vec!["pro", "free", "(none)", "ro", "Pro", "^fr"]),
        ("event:hostname", vec!["a.example", "b.example"]),
        ("visit:source", vec!["Google", "Direct / None", "news.example", "Goo", "le$"]),
        ("visit:country", vec!["DE", "FR", "D"]),
        ("visit:country_name", vec!["Germany", "France"]),
        ("visit:device", vec!["Mobile", "Desktop"]),
    ];
    let dimension = prop::sample::select(values);
    (operator, dimension, any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..4_u8).prop_map(
        |(operator, (dimension, values), first, second, more)| {
            let mut chosen = vec![values[first.index(values.len())]];
            if more == 1 {
                chosen.push(values[second.index(values.len())]);
            }
            match more {
                2 if operator.starts_with("contains") => {
                    json!([operator, dimension, chosen, {"case_sensitive": false}])
                }
                _ => json!([operator, dimension, chosen]),
            }
        },
    )
}

fn any_filter() -> impl Strategy<Value = Value> {
    let more = prop_oneof![
        4 => any_leaf(),
        1 => any_leaf().prop_map(|leaf| json!(["has_done", leaf])),
        1 => any_leaf().prop_map(|leaf| json!(["has_not_done", leaf])),
    ];
    more.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|one| json!(["not", one])),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|all| json!(["and", all])),
            prop::collection::vec(inner, 1..3).prop_map(|all| json!(["or", all])),
        ]
    })
}

fn any_question() -> impl Strategy<Value = (Value, usize, usize)> {
    let metrics = vec![
        "visitors",
        "visits",
        "pageviews",
        "events",
        "views_per_visit",
        "bounce_rate",
        "percentage",
        "conversion_rate",
        "group_conversion_rate",
    ];
    let dimensions = vec![
        "event:page",
        "event:name",
        "event:goal",
        "event:props:plan",
        "event:hostname",
        "visit:source",
        "visit:country",
        "visit:country_name",
        "visit:device",
        "visit:entry_page",
        "visit:exit_page",
        "time:day",
        "time:hour",
        "time:month",
    ];
    let prepared = prop_oneof![
        3 => Just(Vec::new()),
        1 => Just(vec![json!(["is_not", "event:name", ["pageview"]])]),
        1 => Just(vec![json!(["is_not", "event:props:plan", ["(none)"]])]),
        1 => Just(vec![json!(["is", "event:goal", ["Sign up"]])]),
    ];
    let filters = (prepared, prop::collection::vec(any_filter(), 0..2));
    (
        prop::sample::subsequence(metrics, 1..3),
        prop::sample::subsequence(dimensions, 0..3).prop_shuffle(),
        filters,
        0..5_usize,
        0..5_usize,
    )
        .prop_map(|(metrics, dimensions, (prepared, filters), one, other)| {
            let filters = [prepared, filters].concat();
            let question = json!({"metrics": metrics, "dimensions": dimensions, "filters": filters});
            (question, one.min(other), one.max(other))
        })
}

#[test]
fn random_question_is_answered_exactly_or_refused_with_the_part_in_the_way() {
    let site = start();
    let (mut answered, mut refused) = (0, 0);
    let mut runner = TestRunner::new(Config {
        cases: QUESTIONS,
        max_shrink_iters: 100,
        failure_persistence: None,
        ..Config::default()
    });
    let asked = std::cell::RefCell::new((&mut answered, &mut refused));
    runner
        .run(&any_question(), |(more, from, to)| {
            let mut question = site.question(more);
            question["date_range"] = json!([site.world.days[from], site.world.days[to]]);
            let answer = site.ask(&question);
            let (answered, refused) = &mut *asked.borrow_mut();
            match answer.status {
                200 => {
                    **answered += 1;
                    let expected = site.world.answer(&question, from, to);
                    prop_assert_eq!(table(&answer.json()), expected, "{}", question);
                }
                400 => {
                    **refused += 1;
                    let problem = answer.json();
                    prop_assert!(!problem["field"].as_str().unwrap().is_empty(), "{}", problem);
                }
                status => prop_assert!(false, "{}: {} {}", question, status, answer.text()),
            }
            Ok(())
        })
        .unwrap();
    assert!(answered > QUESTIONS / 8, "{answered} answered and {refused} refused: too few to mean something");
    assert_eq!(site.sotto.panics(), 0);
}

#[test]
fn answer_is_in_the_form_of_plausible() {
    let site = start();
    let [first, .., last] = site.world.days.as_slice() else { panic!("five days") };
    let answer = site.answer(json!({
        "site_id": "a.example",
        "metrics": ["visitors", "events"],
        "dimensions": ["time"],
        "include": {"time_labels": true, "total_rows": true, "imports": true},
        "pagination": {"limit": 2.0, "offset": 1},
    }));
    assert_eq!(answer["query"]["dimensions"], json!(["time:day"]));
    assert_eq!(answer["query"]["order_by"], json!([["time:day", "asc"], ["visitors", "desc"]]));
    let moments = json!([format!("{first}T00:00:00+00:00"), format!("{last}T23:59:59+00:00")]);
    assert_eq!(answer["query"]["date_range"], moments);
    assert_eq!(answer["query"]["site_id"], "a.example");
    assert_eq!(answer["meta"]["time_labels"], json!(site.world.days));
    assert_eq!(
        (&answer["meta"]["total_rows"], &answer["meta"]["imports_included"]),
        (&json!(5), &json!(false))
    );
    let rows: Vec<&Value> =
        answer["results"].as_array().unwrap().iter().map(|row| &row["dimensions"][0]).collect();
    assert_eq!(rows, [&site.world.days[1], &site.world.days[2]], "the second page of one row each");
    assert!(answer["results"][0]["metrics"].as_array().is_some_and(|all| all.len() == 2));
    // Days are counted apart: whoever comes on two days is two visitors.
    let all = site.answer(json!({"metrics": ["visitors"]}));
    assert_eq!(all["meta"]["metric_warnings"]["visitors"]["code"], "visitors_of_days");
    assert_eq!(answer["meta"].get("metric_warnings"), None, "of each day nothing is added");
    let sum: f64 = site.table(json!({"dimensions": ["time:day"]})).values().filter_map(|row| row[0]).sum();
    assert_eq!(all["results"][0]["metrics"][0].as_f64(), Some(sum));
}

#[test]
fn rows_are_sorted_as_asked_for_and_pages_fit_together() {
    let site = start();
    let order = |order: Value| -> Vec<String> {
        let answer = site.answer(json!({"metrics": ["visits", "bounce_rate"], "dimensions": ["visit:entry_page"], "order_by": order}));
        let rows = answer["results"].as_array().unwrap().iter();
        rows.map(|row| row["dimensions"][0].as_str().unwrap().to_owned()).collect()
    };
    let mut names = order(json!([["visit:entry_page", "asc"]]));
    assert!(names.is_sorted() && names.len() == 6, "{names:?}");
    names.reverse();
    assert_eq!(order(json!([["visit:entry_page", "desc"]])), names);
    let by_rate = order(json!([["bounce_rate", "asc"], ["visit:entry_page", "asc"]]));
    let by_visits = order(json!([["visits", "desc"]]));
    let table = site.table(json!({"metrics": ["visits", "bounce_rate"], "dimensions": ["visit:entry_page"]}));
    let of = |names: &[String], n: usize| {
        names.iter().map(|name| table[&vec![name.clone()]][n].unwrap()).collect::<Vec<_>>()
    };
    assert!(of(&by_rate, 1).is_sorted(), "{by_rate:?}");
    assert!(of(&by_visits, 0).iter().rev().is_sorted(), "{by_visits:?}");
    let page = |offset: usize| {
        site.table(json!({"metrics": ["visits", "bounce_rate"], "dimensions": ["visit:entry_page"], "pagination": {"limit": 4, "offset": offset}}))
    };
    let mut pages = page(0);
    pages.extend(page(4));
    assert_eq!(pages, table);
}

#[test]
fn two_dimensions_are_counted_together_up_to_a_hundred_values() {
    let site = start();
    for dimensions in [
        ["visit:country_name", "visit:device"],
        ["event:page", "visit:source"],
        ["time:day", "event:goal"],
        ["visit:device", "time:month"],
    ] {
        let question =
            site.question(json!({"metrics": ["visitors", "visits", "events"], "dimensions": dimensions}));
        let answer = site.ask(&question);
        assert_eq!(answer.status, 200, "{question}: {}", answer.text());
        assert_eq!(table(&answer.json()), site.world.answer(&question, 0, 4), "{question}");
    }
    let refusal = site.refusal(json!({"dimensions": ["visit:country", "visit:device", "visit:source"]}));
    assert_eq!(refusal["field"], "dimensions[2]");
    let (sotto, key) = (&site.sotto, &site.key);
    let day = &site.world.days[0];
    let more: Vec<String> = (0..101).map(|n| format!(r#""source":"s{n}""#)).collect();
    let rows: Vec<_> = (0..101)
        .map(|n| (900, "pageview", "/", 5_000 + n, 5_000 + n, more[usize::try_from(n).unwrap()].as_str()))
        .collect();
    store(sotto, key, day, &rows);
    let refusal = site.refusal(json!({"dimensions": ["visit:source", "visit:device"]}));
    assert_eq!(refusal["field"], "dimensions[0]");
    assert!(refusal["detail"].as_str().unwrap().contains("at most 100 values"), "{refusal}");
}

#[test]
fn moments_are_counted_to_the_second() {
    let site = start();
    let day = &site.world.days[0];
    let between = |from: &str, to: &str| {
        let range = json!([format!("{day}T{from}"), format!("{day}T{to}")]);
        site.table(json!({"metrics": ["pageviews"], "date_range": range}))[&vec![]][0].unwrap()
    };
    let views = |from: u32, to: u32| {
        let there = |hit: &&Hit| hit.day == 0 && hit.event.is_empty() && (from..=to).contains(&hit.minute);
        site.world.hits.iter().filter(there).count() as f64
    };
    assert_eq!(between("00:00:00Z", "23:59:59Z"), views(0, 1_440));
    let first = site.world.hits.iter().find(|hit| hit.day == 0).unwrap().minute;
    let at = format!("{:02}:{:02}", first / 60, first % 60);
    assert_eq!(
        between(&format!("{at}:00Z"), &format!("{at}:00Z")),
        views(first, first),
        "both ends are in it"
    );
    assert_eq!(between(&format!("{at}:01Z"), "23:59:59Z"), views(first + 1, 1_440));
    assert_eq!(between("02:00:00+02:00", "13:59:59+02:00"), views(0, 719));
}

#[test]
fn how_far_and_how_long_pages_are_read_is_told_by_page() {
    let site = start();
    let day = &site.world.days[4];
    let engaged = r#""engaged_ms":30000,"scroll":80"#;
    store(
        &site.sotto,
        &site.key,
        day,
        &[
            (1_000, "pageview", "/read", 9_001, 9_001, ""),
            (1_001, "engagement", "/read", 9_001, 9_001, engaged),
            (1_000, "pageview", "/read", 9_002, 9_002, ""),
            (1_001, "engagement", "/read", 9_002, 9_002, r#""engaged_ms":10000,"scroll":40"#),
        ],
    );
    let table = site.table(json!({
        "metrics": ["scroll_depth", "time_on_page", "visits"],
        "dimensions": ["event:page"],
        "filters": [["is", "event:page", ["/read"]]],
    }));
    assert_eq!(table[&vec!["/read".to_owned()]], [Some(60.0), Some(20.0), Some(2.0)]);
}

#[test]
fn what_cannot_be_answered_exactly_is_refused_with_its_place() {
    let site = start();
    for (more, field) in [
        (json!({"metrics": ["visit_duration"]}), "metrics[0]"),
        (json!({"metrics": ["visitors", "exit_rate"]}), "metrics[1]"),
        (json!({"metrics": ["total_revenue"]}), "metrics[0]"),
        (json!({"metrics": ["clicks"]}), "metrics[0]"),
        (json!({"metrics": []}), "metrics"),
        (json!({"metrics": ["visits", "visits"]}), "metrics[1]"),
        (json!({"metrics": "visits"}), "metrics"),
        (json!({"metrics": ["percentage"]}), "metrics[0]"),
        (json!({"metrics": ["conversion_rate"]}), "metrics[0]"),
        (json!({"metrics": ["scroll_depth"]}), "metrics[0]"),
        (json!({"metrics": ["views_per_visit"], "dimensions": ["visit:source"]}), "metrics[0]"),
        (json!({"metrics": ["pageviews"], "filters": [["is", "event:goal", ["Paid"]]]}), "metrics[0]"),
        (json!({"metrics": ["bounce_rate"], "filters": [["is", "event:page", ["/"]]]}), "metrics[0]"),
        (json!({"date_range": "fortnight"}), "date_range"),
        (json!({"date_range": ["2026-01-01", "2000-01-01"]}), "date_range"),
        (json!({"dimensions": ["visit:planet"]}), "dimensions[0]"),
        (json!({"dimensions": ["visit:city"]}), "dimensions[0]"),
        (json!({"dimensions": ["time:minute"]}), "dimensions[0]"),
        (json!({"dimensions": ["event:name"]}), "dimensions[0]"),
        (json!({"dimensions": ["event:props:plan"]}), "dimensions[0]"),
        (json!({"dimensions": ["event:page", "event:name"]}), "dimensions[1]"),
        (json!({"dimensions": ["event:page"], "filters": [["is", "event:goal", ["Paid"]]]}), "dimensions[0]"),
        (json!({"filters": {}}), "filters"),
        (json!({"filters": ["visit:country==DE"]}), "filters[0]"),
        (json!({"filters": [["equals", "visit:country", ["DE"]]]}), "filters[0]"),
        (json!({"filters": [["is", "visit:planet", ["Mars"]]]}), "filters[0][1]"),
        (json!({"filters": [["is", "time:day", ["2026-01-01"]]]}), "filters[0][1]"),
        (json!({"filters": [["is", "segment", ["1"]]]}), "filters[0][1]"),
        (json!({"filters": [["is", "visit:country", []]]}), "filters[0][2]"),
        (json!({"filters": [["is", "visit:country", ["DE"], {"case_sensitive": false}]]}), "filters[0][3]"),
        (json!({"filters": [["contains", "visit:device", ["Mob"]]]}), "filters[0][0]"),
        (json!({"filters": [["contains", "event:page", ["/a*"]]]}), "filters[0][2][0]"),
        (json!({"filters": [["matches", "event:page", ["^/user/\\d+$"]]]}), "filters[0][2][0]"),
        (json!({"filters": [["is", "event:goal", ["Nobody"]]]}), "filters[0][2][0]"),
        (json!({"filters": [["is", "event:goal", ["Paid", "Sign up"]]]}), "filters[0][2]"),
        (json!({"filters": [["is_not", "event:goal", ["Paid"]]]}), "filters[0][0]"),
        (json!({"filters": [["not", ["is", "event:goal", ["Paid"]]]]}), "filters[0][1]"),
        (json!({"filters": [["is", "event:name", ["pageview"]]]}), "filters[0][2]"),
        (
            json!({"filters": [["or", [["is", "visit:country", ["DE"]], ["is", "visit:device", ["Mobile"]]]]]}),
            "filters[0][1]",
        ),
        (json!({"filters": [["and", []]]}), "filters[0]"),
        (json!({"filters": [["has_done", ["is", "visit:country", ["DE"]]]]}), "filters[0][1][1]"),
        (json!({"order_by": [["visits", "desc"]]}), "order_by[0][0]"),
        (json!({"order_by": [["visitors", "up"]]}), "order_by[0][1]"),
        (json!({"include": {"time_labels": true}}), "include.time_labels"),
        (json!({"include": {"comparisons": {"mode": "previous_period"}}}), "include.comparisons"),
        (json!({"pagination": {"limit": 0}}), "pagination.limit"),
        (json!({"pagination": {"limit": 10_001}}), "pagination.limit"),
        (json!({"compare": true}), "compare"),
        (json!({"site_id": 7}), "site_id"),
    ] {
        let problem = site.refusal(more.clone());
        assert_eq!(problem["field"], field, "{more}: {problem}");
        assert_eq!(
            (&problem["status"], &problem["title"], &problem["type"]),
            (&json!(400), &json!("Bad Request"), &json!("about:blank"))
        );
        assert_eq!(problem["error"], problem["detail"], "where clients of Plausible read it");
    }
    assert_eq!(site.sotto.panics(), 0);
}

#[test]
fn question_is_for_who_may_read_the_site_and_pages_of_others_ask_nothing() {
    let site = start();
    let other = site.sotto.add_site("b.example", &UTC);
    let question = site.question(json!({})).to_string();
    let kind = ("content-type", "application/json");
    let ask = |headers: &[(&str, &str)]| site.send(question.as_bytes(), &[headers, &[kind]].concat());
    let bearer = |token: &str| format!("Bearer {token}");
    let (own, foreign) = (bearer(&token(&site.sotto, &site.key)), bearer(&token(&site.sotto, &other)));
    assert_eq!(ask(&[("authorization", &own)]).status, 200);
    for (headers, status) in [
        (vec![("authorization", foreign.as_str())], 404),
        (vec![("authorization", "Bearer nothing")], 401),
        (vec![("authorization", "")], 401),
        (vec![], 401),
    ] {
        let answer = ask(&headers);
        assert_eq!(answer.status, status, "{headers:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.json()["status"], status);
    }
    // A browser that is signed in asks from our own pages only.
    let cookie = sign_in(&site.sotto, "viewer@example.org", &["--role", "viewer", "--site", &site.key]);
    assert_eq!(ask(&[("cookie", &cookie), ("sec-fetch-site", "same-origin")]).status, 200);
    for from in ["cross-site", "same-site", "none"] {
        let answer = ask(&[("cookie", &cookie), ("sec-fetch-site", from)]);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (403, Some("application/problem+json")),
            "{from}"
        );
    }
    // No other origin may read answers, or send tokens.
    let origin = ("origin", "https://evil.example");
    let names =
        [("access-control-request-method", "POST"), ("access-control-request-headers", "authorization")];
    let url = format!("{}/api/v2/query", site.sotto.url);
    let allowed =
        |answer: &Answer| answer.headers.iter().any(|(name, _)| name.starts_with("access-control-"));
    assert!(!allowed(&request("OPTIONS", &url, &[&[origin], &names[..]].concat(), b"")));
    assert!(!allowed(&ask(&[("authorization", &own), origin])));
    // What is no question.
    for (body, status) in
        [(b"".to_vec(), 400), (b"[]".to_vec(), 400), (vec![b'['; 3_000], 400), (vec![b' '; 65 << 10], 413)]
    {
        let answer = site.send(&body, &[("authorization", &own)]);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, Some("application/problem+json"))
        );
    }
}

#[test]
fn answer_says_how_many_questions_are_left() {
    let site = start();
    let number = |answer: &Answer, name: &str| answer.header(name).unwrap().parse::<u64>().unwrap();
    let first = site.ask(&site.question(json!({})));
    let second = site.ask(&site.question(json!({"metrics": ["nothing"]})));
    assert_eq!(number(&first, "ratelimit-limit"), 3_000);
    assert!(number(&second, "ratelimit-remaining") < number(&first, "ratelimit-remaining"));
    assert!((1..=3_600).contains(&number(&second, "ratelimit-reset")));
}

#[test]
fn viewer_sees_groups_in_answers_to_questions() {
    let site = start();
    let viewer = sign_in(&site.sotto, "viewer@example.org", &["--role", "viewer", "--site", &site.key]);
    let ask = |more: Value| {
        let headers = [("cookie", viewer.as_str()), ("sec-fetch-site", "same-origin")];
        let answer = site.send(site.question(more).to_string().as_bytes(), &headers);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    for dimensions in
        [json!(["visit:source"]), json!(["event:goal"]), json!(["visit:entry_page", "visit:source"])]
    {
        let answer = ask(json!({"metrics": ["visitors", "visits"], "dimensions": dimensions}));
        for (values, figures) in table(&answer) {
            let shown = |figure: &Option<f64>| figure.is_some_and(|n| n >= 5.0 && n % 5.0 == 0.0);
            assert!(figures.iter().all(shown), "{values:?} {figures:?}");
        }
    }
    let few = ask(json!({"filters": [["is", "event:page", ["/nowhere"]]]}));
    assert_eq!(few["meta"]["sotto"]["groups"]["withheld"], true, "{few}");
    let props =
        json!({"dimensions": ["event:props:plan"], "filters": [["is_not", "event:props:plan", ["(none)"]]]});
    assert!(table(&ask(props)).values().all(|row| row[0].is_some_and(|n| n >= 5.0 && n % 5.0 == 0.0)));
}

#[test]
fn pageview_without_a_visit_is_counted_as_everywhere() {
    let site = start();
    let day = &site.world.days[2];
    let figures = || site.table(json!({"metrics": ["visitors", "visits", "pageviews"]}))[&vec![]].clone();
    let before = figures();
    store(&site.sotto, &site.key, day, &[(700, "pageview", "/", 0, 0, "")]);
    let expected = [before[0], before[1], before[2].map(|n| n + 1.0)];
    assert_eq!(figures(), expected);
    let sources = site.table(json!({"metrics": ["visitors", "pageviews"], "dimensions": ["visit:source"]}));
    assert_eq!(sources.values().filter_map(|row| row[1]).sum::<f64>(), expected[2].unwrap());
}

#[test]
fn token_ends_on_its_day_and_the_last_day_of_its_use_is_shown() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &UTC);
    let made = sotto.run(&["token", "add", "short", "--site", &key, "--days", "30", "--json"]);
    let made: Value = serde_json::from_str(&made).unwrap();
    let bearer = format!("Bearer {}", made[0]["token"].as_str().unwrap());
    let question = json!({"site_id": key, "metrics": ["visitors"], "date_range": "day"}).to_string();
    let url = format!("{}/api/v2/query", sotto.url);
    let ask = || request("POST", &url, &[("authorization", &bearer)], question.as_bytes()).status;
    let listed = || -> Value { serde_json::from_str(&sotto.run(&["token", "list", "--json"])).unwrap() };
    assert_eq!(listed()[0]["used"], "never");
    assert_eq!((ask(), ask()), (200, 200));
    assert_eq!(listed()[0]["used"], Noon::now().day(0).to_string());
    assert_eq!(sotto.ask_clickhouse("SELECT count() FROM token_days").trim(), "1", "once a day");
    let days = "SELECT dateDiff('hour', created, expires) FROM tokens FINAL";
    assert_eq!(sotto.ask_clickhouse(days).trim(), "720");
    for days in ["0", "1101"] {
        let (made, said) = sotto.try_run(&["token", "add", "x", "--days", days], "");
        assert!(!made && said.contains("1 to 1100 days"), "{said}");
    }
    // The day has come.
    sotto.ask_clickhouse("ALTER TABLE tokens REMOVE TTL");
    sotto.ask_clickhouse("ALTER TABLE tokens UPDATE expires = now64(3) - INTERVAL 1 SECOND WHERE 1 SETTINGS mutations_sync = 2");
    assert_eq!(ask(), 401);
    assert_eq!(listed(), json!([]));
}

#[test]
fn description_for_programs_says_what_is_asked_and_answered() {
    let sotto = Sotto::start();
    let answer = request("GET", &format!("{}/api/v2/openapi.json", sotto.url), &[], b"");
    assert_eq!((answer.status, &answer.json()["openapi"]), (200, &json!("3.1.0")));
    let other = request("GET", &format!("{}/api/v2/query", sotto.url), &[], b"");
    assert_eq!((other.status, other.header("allow")), (405, Some("POST")));
}
