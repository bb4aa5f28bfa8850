//! Webhooks: who adds them, what real servers are told and when, and that they are no way into the operator's network.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    sync::{Arc, Mutex},
};

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use serde_json::{Value, json};
use sotto_store::hook::HOOKS_MAX;
use sotto_tests::{Sotto, UTC, request, wait_for};

use crate::{
    accounts::submit,
    memory::{in_files, places},
    quality::{get, sign_in},
    reports::store,
    two_step::audit_log,
};

/// A message as a server got it.
#[derive(Debug, Clone)]
struct Got {
    path: String,
    headers: Vec<(String, String)>,
    body: Value,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        &self.headers.iter().find(|(known, _)| known == name).unwrap().1
    }
}

/// A server that keeps what it is told, and answers as it is told to.
struct Server {
    port: u16,
    got: Arc<Mutex<Vec<Got>>>,
    answer: Arc<Mutex<String>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (got, answer) = (Arc::default(), Arc::new(Mutex::new("204 No Content\r\n".to_owned())));
        let server = Self { port, got: Arc::clone(&got), answer: Arc::clone(&answer) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut reader = BufReader::new(stream.unwrap());
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let Some(path) = line.split(' ').nth(1).map(str::to_owned) else { continue };
                let mut headers = Vec::new();
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    let Some((name, value)) = line.trim_end().split_once(": ") else { break };
                    headers.push((name.to_lowercase(), value.to_owned()));
                }
                let length = headers.iter().find(|(name, _)| name == "content-length").unwrap();
                let mut body = vec![0; length.1.parse().unwrap()];
                reader.read_exact(&mut body).unwrap();
                let body = serde_json::from_slice(&body).unwrap();
                got.lock().unwrap().push(Got { path, headers, body });
                let answer = format!("HTTP/1.1 {}content-length: 0\r\n\r\n", answer.lock().unwrap());
                reader.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        });
        server
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn answers(&self, answer: &str) {
        *self.answer.lock().unwrap() = format!("{answer}\r\n");
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

/// Adds a webhook on the command line. Returns its number and secret.
fn add(sotto: &Sotto, key: &str, url: &str, more: &[&str]) -> (String, String) {
    let out = sotto.run(&[&["webhook", "add", key, url, "--json"], more].concat());
    let added: Value = serde_json::from_str(&out).unwrap();
    let of = |name: &str| added[0][name].as_str().unwrap().to_owned();
    (of("id"), of("secret"))
}

fn run(sotto: &Sotto, now: Timestamp) -> (u64, u64) {
    let (_, out) = sotto.try_run(&["webhook", "run", "--json", "--now", &now.to_string()], "");
    let told = out.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("{out}"));
    let told: Value = serde_json::from_str(told).unwrap();
    (told["sent"].as_u64().unwrap(), told["failed"].as_u64().unwrap())
}

/// A site where twelve visitors signed up today and four called, and tomorrow at eight.
fn world(server: &Server, more: &[&str]) -> (Sotto, String, Timestamp) {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &UTC);
    sotto.run(&["goal", "add", &key, "Sign <up>", "--event", "Signup"]);
    sotto.run(&["goal", "add", &key, "Call", "--event", "Call"]);
    let today = sotto_schema::clock::now().to_zoned(TimeZone::UTC).date();
    let mut rows: Vec<_> = (1..=12).map(|who| (5, "custom", "/", who, who, r#""name":"Signup""#)).collect();
    rows.extend((1..=4).map(|who| (6, "custom", "/", who, who, r#""name":"Call""#)));
    store(&sotto, &key, &today.to_string(), &rows);
    add(&sotto, &key, &server.url("/in?token=needle-of-the-address"), more);
    let morning = today.saturating_add(1.day()).at(8, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp();
    (sotto, key, morning)
}

#[test]
fn webhook_is_told_each_morning_what_viewers_see_of_goals_and_once() {
    let server = Server::start();
    let (mut sotto, key, morning) = world(&server, &["--tell", "goals"]);
    let day = (morning - 8.hours() - 1.second()).to_zoned(TimeZone::UTC).date().to_string();
    // Before eight, it may be the morning of the day before.
    run(&sotto, morning - 1.second());
    assert!(server.got().iter().all(|message| message.body["day"] != day), "{:?}", server.got());
    assert_eq!(run(&sotto, morning), (1, 0));
    sotto.stop();
    sotto.start_again();
    assert_eq!(run(&sotto, morning + 1.hour()), (0, 0), "once, also after a restart");
    let got = server.got();
    let got: Vec<_> = got.iter().filter(|message| message.body["day"] == day).collect();
    let [message] = got.as_slice() else { panic!("{got:?}") };
    assert_eq!(message.path, "/in?token=needle-of-the-address");
    let body = &message.body;
    assert_eq!(body["type"], "goals");
    assert_eq!(body["site"], json!({"key": key, "name": "a.example"}));
    assert_eq!(body["goals"][1]["name"], "Sign <up>");
    assert_eq!(body["goals"][1]["visits"], 10, "twelve, in groups of five");
    assert_eq!(body["goals"][0]["visits"], 0, "four are no group");
    let url = body["url"].as_str().unwrap();
    assert!(url.contains(&format!("/s/{key}/goals?")) && url.contains(&day), "{url}");
    assert!(message.header("webhook-id").starts_with("msg_"));
    assert!(message.header("webhook-signature").starts_with("v1,"));
    let metrics = request("GET", &format!("{}/metrics", sotto.admin), &[], b"").text();
    assert!(metrics.contains("sotto_webhooks_sent_total"), "{metrics}");
}

#[test]
fn chat_is_told_in_text_that_commands_nothing() {
    let server = Server::start();
    let (sotto, _, morning) = world(&server, &["--tell", "goals", "--format", "slack"]);
    assert_eq!(run(&sotto, morning), (1, 0));
    let got = server.got();
    let text = got[0].body["text"].as_str().unwrap();
    assert!(text.contains("• Sign &lt;up&gt;: 10 visits of 10 visitors"), "{text}");
    assert_eq!(got[0].body.as_object().unwrap().len(), 1);
}

#[test]
fn message_that_is_not_accepted_is_sent_again_under_its_id_and_a_refused_one_is_not() {
    let server = Server::start();
    let (sotto, key, morning) = world(&server, &["--tell", "goals"]);
    server.answers("503 Service Unavailable");
    assert_eq!(run(&sotto, morning), (0, 1));
    assert_eq!(run(&sotto, morning + 299.seconds()), (0, 0), "its pause is not over");
    // What was begun and cut by the end of the program: nobody knows whether it arrived.
    sotto.ask_clickhouse(
        "INSERT INTO hook_deliveries SELECT site, hook, kind, period, attempt, 'begun', 0, time, version + 1 FROM hook_deliveries FINAL",
    );
    assert_eq!(run(&sotto, morning + 300.seconds()), (0, 1));
    server.answers("200 OK");
    assert_eq!(run(&sotto, morning + 3.hours()), (1, 0));
    assert_eq!(run(&sotto, morning + 9.hours()), (0, 0));
    let ids: Vec<String> =
        server.got().iter().map(|message| message.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    for answer in ["404 Not Found", "302 Found\r\nlocation: http://127.0.0.1/"] {
        server.answers(answer);
        let (id, _) = add(&sotto, &key, &server.url("/other"), &["--tell", "goals"]);
        assert_eq!(run(&sotto, morning + 9.hours()), (0, 1), "{answer}");
        assert_eq!(run(&sotto, morning + 24.hours() - 1.second()), (0, 0), "{answer}");
        sotto.run(&["webhook", "remove", &key, &id]);
    }
    assert!(!sotto.log().contains("needle-of-the-address"), "{}", sotto.log());
}

#[test]
fn webhook_into_the_operators_network_is_refused_on_the_command_line_and_on_the_page() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &UTC);
    let owner = sign_in(&sotto, "owner@example.org", &["--role", "owner", "--site", &key]);
    for url in [
        "https://127.0.0.2/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://2130706434/",
        "https://0x7f.2/",
        "https://user@hooks.example.org/",
        "https://hooks.example.org:22/",
        "file:///etc/passwd",
    ] {
        let (ok, out) = sotto.try_run(&["webhook", "add", &key, url], "");
        assert!(!ok, "{url}: {out}");
        let form = ["goals=on&format=json&url=", &url.replace('&', "%26")].concat();
        assert_eq!(submit(&sotto, &format!("/s/{key}/webhooks"), &owner, &form).status, 422, "{url}");
    }
    // A name that leads there: it is looked up when a message goes, and refused then.
    let (id, _) = add(&sotto, &key, "https://localhost:8443/", &[]);
    let (ok, out) = sotto.try_run(&["webhook", "test", &key, &id], "");
    assert!(!ok && !out.contains("8443"), "{out}");
    assert_eq!(sotto.panics(), 0);
}

#[test]
fn webhooks_are_for_owners_of_the_site_and_their_address_and_secret_are_nowhere_in_clear() {
    let server = Server::start();
    let sotto = Sotto::start();
    let [key, other] = ["a.example", "b.example"].map(|host| sotto.add_site(host, &UTC));
    let owner = sign_in(&sotto, "owner@example.org", &["--role", "owner", "--site", &key]);
    let editor = sign_in(&sotto, "editor@example.org", &["--role", "editor", "--site", &key]);
    let page = format!("/s/{key}/webhooks");
    let form = format!("goals=on&alerts=on&format=json&url={}", server.url("/needle-of-the-address"));
    assert_eq!(submit(&sotto, &page, &editor, &form).status, 403);
    assert_eq!(get(&sotto, &page, &editor).status, 403);
    assert_eq!(submit(&sotto, &format!("/s/{other}/webhooks"), &owner, &form).status, 404);
    let headers = [
        ("cookie", owner.as_str()),
        ("content-type", "application/x-www-form-urlencoded"),
        ("sec-fetch-site", "cross-site"),
    ];
    let foreign = request("POST", &format!("{}{page}", sotto.url), &headers, form.as_bytes());
    assert_eq!(foreign.status, 403);
    assert_eq!(
        submit(&sotto, &page, &owner, "format=json&url=https://example.org/").status,
        422,
        "tells nothing"
    );
    let made = submit(&sotto, &page, &owner, &form);
    assert_eq!(made.status, 200, "{}", made.text());
    let text = made.text();
    let secret = text.split("<code id=\"secret\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"), "{secret}");
    let shown = get(&sotto, &page, &owner).text();
    assert!(shown.contains("127.0.0.1") && !shown.contains(&secret) && !shown.contains("needle"), "{shown}");
    let listed = sotto.run(&["webhook", "list", &key, "--json"]);
    assert!(!listed.contains("needle") && !listed.contains("whsec"), "{listed}");
    let id = serde_json::from_str::<Value>(&listed).unwrap()[0]["id"].as_str().unwrap().to_owned();
    let tested = submit(&sotto, &format!("{page}/test"), &owner, &format!("id={id}"));
    assert_eq!(tested.status, 200, "{}", tested.text());
    assert!(tested.text().contains("accepted the test message"), "{}", tested.text());
    assert_eq!(server.got()[0].body["type"], "test");
    assert!(server.got()[0].header("webhook-id").starts_with("msg_"));
    assert_eq!(submit(&sotto, &format!("{page}/test"), &editor, &format!("id={id}")).status, 403);
    sotto.ask_clickhouse("OPTIMIZE TABLE hooks FINAL");
    let places = places(&sotto);
    assert!(!in_files(&places, b"127.0.0.1").is_empty(), "the scan finds what is there");
    for needle in ["needle-of-the-address", &secret["whsec_".len()..]] {
        assert_eq!(in_files(&places, needle.as_bytes()), Vec::<std::path::PathBuf>::new(), "{needle}");
    }
    assert_eq!(submit(&sotto, &format!("{page}/remove"), &owner, &format!("id={id}")).status, 303);
    assert_eq!(submit(&sotto, &format!("{page}/remove"), &owner, &format!("id={id}")).status, 404);
    let log: Vec<_> =
        audit_log(&sotto).into_iter().filter(|(action, _)| action.starts_with("hook")).collect();
    assert_eq!(
        log.iter().map(|(action, _)| action.as_str()).collect::<Vec<_>>(),
        ["hook_remove", "hook_add"]
    );
    assert!(
        log.iter().all(|(_, detail)| detail.contains("127.0.0.1") && !detail.contains("needle")),
        "{log:?}"
    );
    for _ in 0..HOOKS_MAX {
        add(&sotto, &key, &server.url("/"), &[]);
    }
    assert!(!sotto.try_run(&["webhook", "add", &key, &server.url("/")], "").0, "one more than the limit");
    assert_eq!(submit(&sotto, &page, &owner, &form).status, 422);
    // They end with their site.
    sotto.run(&["site", "remove", &key]);
    assert_eq!(sotto.ask_clickhouse("SELECT count() FROM hooks FINAL WHERE deleted = 0").trim(), "0");
}

#[test]
fn running_program_tells_alerts_by_itself() {
    let server = Server::start();
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &UTC);
    // The last of twenty-five visitors a day came 26 hours ago.
    let last = (sotto_schema::clock::now() - 26.hours()).to_zoned(TimeZone::UTC);
    for age in 0..20 {
        let minute = u32::try_from(last.hour()).unwrap() * 60;
        let rows: Vec<_> = (1..=25).map(|who| (minute, "pageview", "/", who, who, "")).collect();
        store(&sotto, &key, &last.date().saturating_sub(age.days()).to_string(), &rows);
    }
    add(&sotto, &key, &server.url("/"), &[]);
    // Who is added is told of nothing that was before.
    assert_eq!(run(&sotto, sotto_schema::clock::now()), (0, 0));
    sotto.ask_clickhouse(
        "INSERT INTO hooks SELECT site, id, host, kinds, format, sealed, made_by, created - INTERVAL 9 DAY, version + 1, 0 FROM hooks FINAL",
    );
    let message = wait_for("the message", || server.got().first().cloned());
    assert_eq!(message.body["type"], "alert");
    assert!(message.body["text"].as_str().unwrap().contains("nothing was counted"), "{:?}", message.body);
    let metrics = || request("GET", &format!("{}/metrics", sotto.admin), &[], b"").text();
    wait_for("the count", || metrics().contains("sotto_webhooks_sent_total 1\n").then_some(()));
}

#[test]
fn tests_of_a_server_that_is_silent_are_bounded_and_take_no_turns_of_reports() {
    // Connections are taken by the system and answered by nobody.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &UTC);
    let owner = sign_in(&sotto, "owner@example.org", &["--role", "owner", "--site", &key]);
    let (id, _) = add(&sotto, &key, &format!("http://{}/", silent.local_addr().unwrap()), &[]);
    let test = || submit(&sotto, &format!("/s/{key}/webhooks/test"), &owner, &format!("id={id}")).status;
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        // One more than may be under way.
        let tests: Vec<_> = (0..5).map(|_| scope.spawn(test)).collect();
        for _ in 0..3 {
            assert_eq!(get(&sotto, &format!("/s/{key}"), &owner).status, 200);
        }
        tests.into_iter().map(|test| test.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [422, 422, 422, 422, 503]);
    assert_eq!(test(), 422, "the places are free again");
}
