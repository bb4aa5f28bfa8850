//! The rights of a visitor, exercised from a browser's point of view on the real program.

use serde_json::{Value, json};
use sotto_tests::{Answer, PERSON, Sotto, files, request, wait_for};

/// What a browser on its own page of ours says.
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
/// A browser's own number.
const ID: &str = "4k2p9x0abz7q";

/// A browser: an address behind a trusted proxy, and a user agent.
#[derive(Clone, Copy)]
struct Browser {
    address: &'static str,
    agent: &'static str,
}

const ANN: Browser = Browser { address: "198.51.100.1", agent: PERSON };
const BOB: Browser = Browser { address: "198.51.100.2", agent: PERSON };

impl Browser {
    fn headers(self) -> [(&'static str, &'static str); 2] {
        [("x-forwarded-for", self.address), ("user-agent", self.agent)]
    }

    fn view(self, sotto: &Sotto, key: &str, view: &str, path: &str, more: &str) {
        let hit = format!(
            r#"{{"v":1,"s":"{key}","k":"p","i":"{view}","q":0,"u":"https://a.example{path}"{more}}}"#
        );
        assert_eq!(sotto.hit(&hit, &self.headers()), 204);
    }

    fn ask(self, sotto: &Sotto, method: &str, path: &str, more: &[(&str, &str)], body: &str) -> Answer {
        let headers = [&self.headers()[..], more].concat();
        request(method, &format!("{}{path}", sotto.url), &headers, body.as_bytes())
    }

    fn page(self, sotto: &Sotto, key: &str) -> String {
        let answer = self.ask(sotto, "GET", &format!("/privacy?s={key}&l=en"), &[], "");
        assert_eq!(answer.status, 200);
        answer.text()
    }

    fn data(self, sotto: &Sotto, form: &str) -> Value {
        self.ask(sotto, "POST", "/privacy/data", &[OWN, FORM], form).json()
    }
}

fn stored(sotto: &Sotto, key: &str) -> Vec<Value> {
    sotto.run(&["export", key]).lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn visitor_erases_under_the_id_and_gets_a_receipt() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let agreed = format!(r#","c":5,"y":"{ID}""#);
    ANN.view(&sotto, &key, "v1", "/before-the-consent", "");
    ANN.view(&sotto, &key, "v2", "/ann", &agreed);
    ANN.view(&sotto, &key, "v3", "/ann/two", &agreed);
    BOB.view(&sotto, &key, "v4", "/bob", "");
    sotto.wait_for_pageviews(&key, 4);

    let form = format!("s={key}&y={ID}&l=en");
    let page = BOB.ask(&sotto, "POST", "/privacy", &[OWN, FORM], &form).text();
    assert!(
        page.contains("a.example/ann/two") && page.contains("Entries: <b>2</b>"),
        "the number is the proof: {page}"
    );
    let data = ANN.data(&sotto, &form);
    assert_eq!(
        (&data["number"]["entries"], &data["number"]["complete"]),
        (&json!(2), &json!(true)),
        "{data}"
    );
    assert_eq!(data["number"]["events"].as_array().unwrap().len(), 2);

    // From the website's own page: another origin, and no cookie or address is needed for it.
    let question = json!({ "s": key, "y": ID }).to_string();
    let cross =
        [("sec-fetch-site", "cross-site"), ("origin", "https://a.example"), ("content-type", "text/plain")];
    let answer = BOB.ask(&sotto, "POST", "/privacy/erase", &cross, &question);
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (200, Some("*")),
        "{}",
        answer.text()
    );
    let erased = answer.json();
    assert_eq!(erased["erased"], 3, "with what lies under the same key of the day: {erased}");
    let left: Vec<Value> = stored(&sotto, &key).into_iter().map(|e| e["path"].clone()).collect();
    assert_eq!(left, ["/bob"]);
    assert_eq!(ANN.data(&sotto, &form)["number"]["entries"], 0);
    let again = ANN.ask(&sotto, "POST", "/privacy/erase", &cross, &question).json();
    assert_eq!(again["erased"], 0);
    assert_ne!(again["receipt"], erased["receipt"]);
    let wrong = json!({ "s": key, "y": "short" }).to_string();
    assert_eq!(
        BOB.ask(&sotto, "POST", "/privacy/erase", &cross, &wrong).status,
        403,
        "no number, no erasure"
    );
}

#[test]
fn erasure_reaches_what_waits_in_the_spool() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let spooled = |needle: &str| {
        let found = files(&sotto.data().join("spool"));
        found.iter().any(|(_, bytes)| bytes.windows(needle.len()).any(|w| w == needle.as_bytes()))
    };
    ANN.view(&sotto, &key, "v1", "/needle-in-the-spool", &format!(r#","c":5,"y":"{ID}""#));
    assert!(spooled("/needle-in-the-spool"), "the control: it is on disk before it is erased");
    let question = json!({ "s": key, "y": ID }).to_string();
    let answer = ANN.ask(&sotto, "POST", "/privacy/erase", &[], &question);
    assert_eq!(answer.json()["erased"], 1, "it was waited for");
    assert_eq!(stored(&sotto, &key).len(), 0);
    assert!(!spooled("/needle-in-the-spool"), "it is in no segment any more");
}

/// The files of the spool and of ClickHouse in which `needle` is.
fn holding(sotto: &Sotto, needle: &str) -> Vec<String> {
    let found = ["spool", "clickhouse"].map(|part| files(&sotto.data().join(part))).concat();
    let holds = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
    let holding = found.into_iter().filter(|(_, bytes)| holds(bytes));
    holding.map(|(path, _)| path.strip_prefix(sotto.data()).unwrap().display().to_string()).collect()
}

/// Entries of Ann and Bob, in parts that were merged and in those from which they were merged.
fn planted(sotto: &Sotto, key: &str, needle: &str) {
    let agreed = format!(r#","c":5,"y":"{ID}""#);
    for n in 0..3 {
        ANN.view(sotto, key, &format!("a{n}"), &format!("/{needle}{n}"), &agreed);
        BOB.view(sotto, key, &format!("b{n}"), "/bob", "");
        sotto.wait_for_pageviews(key, 2 * (n + 1));
        sotto.ask_clickhouse("OPTIMIZE TABLE events FINAL");
    }
    let held = holding(sotto, needle);
    assert!(held.iter().any(|path| path.starts_with("spool")), "the control: {held:?}");
    assert!(held.iter().filter(|path| path.starts_with("clickhouse")).count() > 1, "the control: {held:?}");
}

/// What the files of ClickHouse's mutations say of Ann.
fn mutations_about(sotto: &Sotto, number: &str) -> usize {
    let mutations = holding(sotto, number).into_iter().filter(|path| path.contains("mutation_"));
    mutations.count()
}

#[test]
fn receipt_is_given_when_no_file_holds_the_erased_bytes_any_more() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let needle = "q7needle7q";
    planted(&sotto, &key, needle);
    let number = sotto.ask_clickhouse("SELECT max(returning) FROM events");
    let question = json!({ "s": key, "y": ID }).to_string();
    let answer = ANN.ask(&sotto, "POST", "/privacy/erase", &[], &question);
    let told = answer.json();
    assert_eq!((answer.status, &told["erased"], &told["remains"]), (200, &json!(3), &json!([])), "{told}");
    assert_eq!(holding(&sotto, needle), [""; 0], "after the receipt");
    assert_eq!(mutations_about(&sotto, number.trim()), 0, "nor does the order to erase stay");
    sotto.wait_for_pageviews(&key, 3);
    let said = sotto.ask_clickhouse("SELECT detail FROM audit_log WHERE action = 'visitor_erase'");
    assert!(said.contains(told["receipt"].as_str().unwrap()) && said.contains("no file"), "{said}");
}

#[test]
fn command_that_erases_ends_when_no_file_holds_the_bytes_any_more() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let needle = "q8needle8q";
    planted(&sotto, &key, needle);
    let said = sotto.run(&["privacy", "erase", &key, "--id", ID]);
    assert!(said.contains("3 events erased, 0 left") && said.contains("no file"), "{said}");
    assert_eq!(holding(&sotto, needle), [""; 0], "after the command");
}

#[test]
fn neighbour_with_the_same_key_sees_numbers_only() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    ANN.view(&sotto, &key, "v1", "/private-matter", r#","r":"https://clinic.example/""#);
    ANN.view(&sotto, &key, "v2", "/private-matter", "");
    sotto.wait_for_pageviews(&key, 2);
    let neighbour = ANN;
    let page = neighbour.page(&sotto, &key);
    assert!(page.contains("Page views</th><td class=\"number\">2</td>"), "{page}");
    let data = neighbour.data(&sotto, &format!("s={key}"));
    assert_eq!(data["today"]["entries"], json!([{ "kind": "pageview", "rows": 2 }]));
    for text in [page, data.to_string()] {
        assert!(!text.contains("private-matter") && !text.contains("clinic"), "{text}");
    }
    assert!(BOB.page(&sotto, &key).contains("Nothing is held under the key"), "another address, another key");
}

#[test]
fn browser_erases_todays_key_from_our_own_page_only() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    ANN.view(&sotto, &key, "v1", "/ann", "");
    BOB.view(&sotto, &key, "v2", "/bob", "");
    sotto.wait_for_pageviews(&key, 2);
    let form = format!("s={key}&what=today&l=en");
    for foreign in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example"), ("x-nothing", "x")]
    {
        let answer = ANN.ask(&sotto, "POST", "/privacy/erase", &[FORM, foreign], &form);
        assert_eq!(answer.status, 403, "{foreign:?}");
    }
    let json = json!({ "s": key, "what": "today" }).to_string();
    assert_eq!(ANN.ask(&sotto, "POST", "/privacy/erase", &[], &json).status, 403);
    assert_eq!(stored(&sotto, &key).len(), 2, "nothing was erased for others");
    let answer = ANN.ask(&sotto, "POST", "/privacy/erase", &[OWN, FORM], &form);
    assert!(
        answer.text().contains(
            "Erased: 1. No file holds any of it any more, but for backups. Receipt of the erasure: <code>"
        ),
        "{}",
        answer.text()
    );
    let left: Vec<Value> = stored(&sotto, &key).into_iter().map(|e| e["path"].clone()).collect();
    assert_eq!(left, ["/bob"]);
}

#[test]
fn objection_is_honoured_for_the_rest_of_the_day_also_after_a_restart() {
    let mut sotto = Sotto::start();
    let key = sotto.add_site("a.example", &["--policy", "cookieless"]);
    ANN.view(&sotto, &key, "v1", "/one", "");
    let form = format!("s={key}&l=en");
    assert_eq!(ANN.ask(&sotto, "POST", "/privacy/object", &[FORM], &form).status, 403, "not for others");
    let answer = ANN.ask(&sotto, "POST", "/privacy/object", &[OWN, FORM], &form);
    assert!(answer.status == 200 && answer.text().contains("You have objected"), "{}", answer.text());
    // Even a yes on the wire does not outweigh it.
    ANN.view(&sotto, &key, "v2", "/two", &format!(r#","c":15,"y":"{ID}""#));
    BOB.view(&sotto, &key, "v3", "/bob", "");
    sotto.wait_for_pageviews(&key, 3);
    sotto.stop();
    sotto.start_again();
    assert!(ANN.page(&sotto, &key).contains("You have objected"));
    ANN.view(&sotto, &key, "v4", "/three", "");
    sotto.wait_for_pageviews(&key, 4);
    for event in stored(&sotto, &key) {
        let path = event["path"].as_str().unwrap();
        let anonymous = event["visitor"].to_string().trim_matches('"') == "0";
        assert_eq!(anonymous, matches!(path, "/two" | "/three"), "{event}");
        assert_eq!(event["returning"].to_string().trim_matches('"'), "0", "{event}");
    }
}

#[test]
fn page_of_the_visitor_loads_nothing_from_elsewhere() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let answer = ANN.ask(&sotto, "GET", &format!("/privacy?s={key}"), &[("accept-language", "de-AT")], "");
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    assert_eq!(answer.header("access-control-allow-origin"), None, "no page of others may read it");
    assert_eq!(
        (answer.header("cache-control"), answer.header("x-frame-options")),
        (Some("no-store"), Some("DENY"))
    );
    let page = answer.text();
    assert!(page.contains("<html lang=\"de\">") && page.contains("Ihre Daten"), "{page}");
    for forbidden in ["style=", "<style", "onclick", "src=\"http", "href=\"http://"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    let elsewhere: Vec<&str> =
        page.split("https://").skip(1).filter(|r| !r.starts_with("a.example/#sotto-consent")).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
    for (path, kind) in [("/privacy.css", "text/css"), ("/privacy.js", "text/javascript")] {
        let answer = ANN.ask(&sotto, "GET", path, &[], "");
        assert!(answer.status == 200 && answer.header("content-type").unwrap().starts_with(kind), "{path}");
    }
}

#[test]
fn support_of_global_privacy_control_is_announced() {
    let sotto = Sotto::start();
    let answer = ANN.ask(&sotto, "GET", "/.well-known/gpc.json", &[], "");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let said = answer.json();
    assert_eq!(said["gpc"], true);
    assert!(said["lastUpdate"].as_str().unwrap().parse::<String>().is_ok_and(|d| d.len() == 10), "{said}");
}

#[test]
fn questions_are_bounded() {
    use sotto_collector::rights::{BODY_BYTES_MAX, CHANGES, LOOKS};
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let padded = |len: usize| format!("s={key}&x={}", "a".repeat(len - key.len() - 5));
    for (len, status) in [(BODY_BYTES_MAX, 200), (BODY_BYTES_MAX + 1, 413)] {
        assert_eq!(ANN.ask(&sotto, "POST", "/privacy", &[OWN, FORM], &padded(len)).status, status, "{len}");
    }
    for (method, path, status) in [
        ("GET", "/privacy?s=nobody.example", 404),
        ("GET", "/privacy", 200),
        ("GET", "/privacy/erase", 405),
        ("PUT", "/privacy", 405),
        ("GET", "/privacy/nothing", 404),
    ] {
        assert_eq!(BOB.ask(&sotto, method, path, &[], "").status, status, "{method} {path}");
    }
    assert_eq!(BOB.ask(&sotto, "POST", "/privacy/erase", &[], "no json").status, 400);
    let asker = Browser { address: "198.51.100.77", ..ANN };
    let look = || asker.ask(&sotto, "GET", "/privacy", &[], "").status;
    for _ in 0..LOOKS.most.get() {
        assert_eq!(look(), 200);
    }
    assert_eq!(look(), 429);
    let change = || asker.ask(&sotto, "POST", "/privacy/erase", &[], &json!({ "s": key }).to_string());
    for _ in 0..CHANGES.most.get() {
        assert_eq!(change().status, 403);
    }
    let refused = change();
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("60")));
    assert_eq!(BOB.ask(&sotto, "GET", "/privacy", &[], "").status, 200, "others are not stopped");
}

#[test]
fn page_says_that_earlier_days_cannot_be_found_and_shows_the_salts() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    ANN.view(&sotto, &key, "v1", "/", "");
    wait_for("the ledger to be written", || {
        (sotto.run(&["salts", "ledger", "--json"]).len() > 10).then_some(())
    });
    let page = ANN.page(&sotto, &key);
    assert!(page.contains("GDPR Art. 11") && page.contains("lives</td>"), "{page}");
}
