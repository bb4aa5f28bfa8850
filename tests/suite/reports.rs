//! The definitions of the metrics, on events made by hand, through the command line.

use sotto_store::db::Access;
use sotto_tests::{Noon, Sotto, UTC, request};

/// Writes rows of `events`: `(minute, kind, path, visitor, session, more columns, their values)`, on one day.
pub(crate) fn store(sotto: &Sotto, key: &str, day: &str, rows: &[(u32, &str, &str, u64, u64, &str)]) {
    let text = std::fs::read_to_string(sotto.data().join("clickhouse/endpoint.json")).unwrap();
    let endpoint: serde_json::Value = serde_json::from_str(&text).unwrap();
    let access: Access = serde_json::from_value(endpoint["writer"].clone()).unwrap();
    let lines: Vec<String> = rows
        .iter()
        .map(|(minute, kind, path, visitor, session, more)| {
            let (hour, minute) = (minute / 60, minute % 60);
            let comma = if more.is_empty() { "" } else { "," };
            format!(
                r#"{{"day":"{day}","time":"{day} {hour:02}:{minute:02}:00.000","kind":"{kind}","path":"{path}","visitor":{visitor},"session":{session},"tier":"{}","hostname":"a.example"{comma}{more}}}"#,
                if *session == 0 { "minimal" } else { "full" }
            )
        })
        .collect();
    let ask = |sql: &str| {
        let url = format!("{}/?database={}", access.url, access.database);
        let user =
            [("x-clickhouse-user", access.user.as_str()), ("x-clickhouse-key", access.password.as_str())];
        let answer = request("POST", &url, &user, sql.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text()
    };
    let site = ask(&["SELECT id FROM sites FINAL WHERE key = '", key, "'"].concat());
    let rows = lines
        .join("\n")
        .replace("{\"day\"", &["{\"site\":", site.trim(), ",\"expires\":\"2099-01-01\",\"day\""].concat());
    ask(&["INSERT INTO events FORMAT JSONEachRow\n", &rows].concat());
}

/// A site whose visitors all came on one day.
struct Site {
    sotto: Sotto,
    key: String,
    day: String,
}

/// The report's rows as text: `value figure figure …`.
fn report(site: &Site, metrics: &str, more: &[&str]) -> Vec<String> {
    let Site { sotto, key, day } = site;
    let mut arguments = vec!["--from", day, "--to", day, "--metrics", metrics];
    arguments.extend(more);
    let by = more.iter().position(|a| *a == "--by").map(|i| more[i + 1]);
    let figure = |row: &serde_json::Value, name: &str| match &row[name] {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    sotto
        .report(key, &arguments)
        .iter()
        .map(|row| {
            by.into_iter()
                .chain(metrics.split(','))
                .map(|name| figure(row, name))
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect()
}

/// Visitor 1 reads three pages from Google, visitor 2 bounces, visitor 3 sees one page and signs up, visitor 2 comes
/// again from a newsletter, and two people are counted anonymously.
fn one_day() -> Site {
    // Not today, and not so long ago that it is removed.
    let day = Noon::now().day(30).to_string();
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &UTC);
    let google = r#""source":"Google","referrer_host":"google.com","country":"FR""#;
    store(
        &sotto,
        &key,
        &day,
        &[
            (60, "pageview", "/", 1, 11, google),
            (61, "engagement", "/", 1, 11, r#""engaged_ms":30000,"country":"FR""#),
            (62, "pageview", "/pricing", 1, 11, r#""country":"FR""#),
            (63, "pageview", "/contact", 1, 11, r#""country":"FR""#),
            (70, "pageview", "/", 2, 21, r#""country":"DE""#),
            (71, "engagement", "/", 2, 21, r#""engaged_ms":10000,"country":"DE""#),
            (80, "pageview", "/pricing", 3, 31, r#""country":"DE""#),
            (
                81,
                "custom",
                "/pricing",
                3,
                31,
                r#""name":"Sign up","interactive":true,"country":"DE","props":{"plan":"pro"}"#,
            ),
            (
                200,
                "pageview",
                "/pricing",
                2,
                22,
                r#""source":"Newsletter","utm_campaign":"spring","country":"DE""#,
            ),
            (240, "pageview", "/", 0, 0, r#""country":"FR","refused":14"#),
            (
                300,
                "pageview",
                "/pricing",
                0,
                0,
                r#""country":"DE","refused":14,"referrer_host":"google.com""#,
            ),
        ],
    );
    Site { sotto, key, day }
}

#[test]
fn figures_are_what_their_definitions_say() {
    let site = one_day();
    let all = |metrics: &str, more: &[&str]| report(&site, metrics, more);
    // Four visits of three visitors; eight pageviews of which six in visits; two visits bounce; 40 s in four visits.
    assert_eq!(all("visitors,visits,pageviews,events", &[]), ["3 4 8 1"]);
    assert_eq!(all("bounce_rate,engaged_seconds,views_per_visit", &[]), ["0.5 10 1.5"]);
    assert_eq!(all("visitors,pageviews", &["--by", "day"]), [format!("{} 3 8", site.day)]);
    assert_eq!(all("events,visits", &["--by", "event"]), ["Sign up 1 1"]);
}

#[test]
fn page_is_counted_where_it_was_seen_and_bounces_where_visits_began() {
    let site = one_day();
    let all = |metrics: &str, by: &str| report(&site, metrics, &["--by", by]);
    assert_eq!(
        all("pageviews,visits,visitors,bounce_rate", "page"),
        ["/pricing 4 3 3 0.5", "/ 3 2 2 0.5", "/contact 1 1 1 null"]
    );
    assert_eq!(all("visits", "entry_page"), ["/ 2", "/pricing 2"]);
    assert_eq!(all("visits", "exit_page"), ["/pricing 2", "/ 1", "/contact 1"]);
}

#[test]
fn source_of_a_visit_is_that_of_its_first_page() {
    let site = one_day();
    let rows = report(&site, "visits,pageviews", &["--by", "source"]);
    assert_eq!(rows, [" 2 2", "Google 1 4", "Newsletter 1 1", "(not measured) 0 1"]);
    assert_eq!(
        report(&site, "visits", &["--by", "utm_campaign", "--filter", "utm_campaign=spring"]),
        ["spring 1"]
    );
}

#[test]
fn filter_chooses_hits_pages_or_visits() {
    let site = one_day();
    let with = |filter: &str, metrics: &str| report(&site, metrics, &["--filter", filter]);
    for (filter, expected, why) in [
        ("country=FR", "1 1 4", "a place chooses hits, anonymous ones too"),
        ("country!=FR", "2 3 4", "and what is left is the rest"),
        ("page=/contact", "1 1 1", "a page chooses what is counted"),
        ("page~=PRIC", "3 3 4", "a part of it in any case"),
        ("page!~=PRIC", "2 2 4", "or all others"),
        ("page^=/PRI", "3 3 4", "what it begins with in any case"),
        ("page^=pri", "0 0 0", "and only what it begins with"),
        ("page*=/*c*", "3 3 5", "what is like it"),
        ("page*=/_ontact", "0 0 0", "in which only the star has a meaning"),
        ("visited=/contact", "1 1 3", "a visited page chooses the visit with all its pages"),
        ("visited!=/contact", "2 3 3", "and the other visits; who is anonymous has none"),
        ("visited*=/con*", "1 1 3", "it can be a pattern"),
        ("visited!~=con", "2 3 3", "or be never"),
        ("visited!*=/con*", "2 3 3", "in each way"),
        ("did=Sign up", "1 1 1", "an event chooses the visit with its pages"),
        ("did!=Sign up", "2 3 5", "and the visits without it"),
        ("prop:plan^=PR", "1 1 1", "so does a prop of an event"),
        ("prop:plan!=pro", "2 3 5", "and what it never was"),
        ("prop:seats=pro", "0 0 0", "each prop has values of its own"),
        ("source=Google", "1 1 4", "a source chooses visits with all their pages, and anonymous pageviews"),
        ("entry_page=/", "2 2 4", "so does an entry page"),
        ("event=Sign up", "1 1 0", "an event has no pageviews"),
        ("hostname=b.example", "0 0 0", "nothing is nothing"),
    ] {
        assert_eq!(with(filter, "visitors,visits,pageviews"), [expected], "{filter}: {why}");
    }
    assert_eq!(
        with("page=/pricing", "bounce_rate"),
        [format!("{:.4}", 1.0 / 3.0)],
        "bounces look at whole visits"
    );
    let both = ["--by", "page", "--filter", "source=Google", "--filter", "country=FR"];
    assert_eq!(report(&site, "pageviews", &both), ["/ 1", "/contact 1", "/pricing 1"]);
}
