//! Reports and alerts by mail, from the real program to a real mail server.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use base64ct::{Base64, Encoding as _};
use jiff::{Timestamp, ToSpan, Zoned, civil::Date, tz::TimeZone};
use serde_json::{Value, json};
use sotto_tests::{Answer, Sotto, UTC, free_port, request, wait_for, workspace};

use crate::{
    accounts::{PASSWORD, add_user, cookie, sign_in, status, submit},
    quality::get,
    reports::store,
    two_step::{audit_log, between},
};

/// A mail server on loopback, with the letters that it was handed.
struct Server {
    child: Child,
    port: u16,
    letters: Arc<Mutex<Vec<Value>>>,
}

impl Server {
    fn start(options: &Value) -> Self {
        let mut child = Command::new("python3")
            .arg(workspace().join("tests/mail/server.py"))
            .arg(options.to_string())
            .env("PYTHONPATH", workspace().join("tests/mail/.python"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().expect("`make test-suite` fetches the mail server").unwrap();
        let letters: Arc<Mutex<Vec<Value>>> = Arc::default();
        let taken = letters.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                taken.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, port: first.parse().unwrap(), letters }
    }

    /// The configuration that sends to it, with more of `[mail]`.
    fn config(&self, more: &str) -> String {
        format!(
            "[mail]\nserver = \"127.0.0.1\"\nport = {}\nfrom = \"stats@example.org\"\n{more}\n",
            self.port
        )
    }

    /// Starts Sotto, which sends to it.
    fn sotto(&self, more: &str) -> Sotto {
        Sotto::start_on(free_port(), &self.config(more))
    }

    fn letters(&self) -> Vec<Value> {
        self.letters.lock().unwrap().clone()
    }

    /// The letters once there are so many.
    fn wait_for(&self, count: usize) -> Vec<Letter> {
        wait_for(&format!("{count} letters"), || {
            let letters = self.letters();
            (letters.len() >= count).then(|| letters.iter().map(Letter::read).collect())
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// A letter as a mail program reads it.
#[derive(Debug, Clone)]
struct Letter {
    to: String,
    headers: Vec<(String, String)>,
    parts: Vec<Part>,
}

/// A part of a letter that is not made of parts.
#[derive(Debug, Clone)]
struct Part {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

fn value<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// Headers, unfolded, and what comes after them.
fn split(text: &str) -> (Vec<(String, String)>, &str) {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let header = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no header: {line:?} in {head}"));
        (name.to_owned(), value.trim().to_owned())
    };
    (head.lines().map(header).collect(), body)
}

fn parts(text: &str, found: &mut Vec<Part>) {
    let (headers, body) = split(text);
    let kind = value(&headers, "content-type").unwrap_or_default();
    if kind.starts_with("multipart/") {
        let boundary = format!("--{}", between(kind, "boundary=\"", "\""));
        let inner = body.split(&boundary).skip(1).take_while(|part| !part.starts_with("--"));
        inner.for_each(|part| parts(part.trim_start_matches("\r\n"), found));
        return;
    }
    let body = match value(&headers, "content-transfer-encoding").unwrap_or("7bit") {
        "base64" => Base64::decode_vec(&body.split_whitespace().collect::<String>()).unwrap(),
        "quoted-printable" => unquoted(body),
        _ => body.as_bytes().to_vec(),
    };
    found.push(Part { headers, body });
}

fn unquoted(body: &str) -> Vec<u8> {
    let body = body.replace("=\r\n", "");
    let mut bytes = body.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte == b'=' {
            let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
            out.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            out.push(byte);
        }
    }
    out
}

impl Letter {
    fn read(taken: &Value) -> Self {
        let text = taken["letter"].as_str().unwrap();
        let mut found = Vec::new();
        parts(text, &mut found);
        let to = taken["to"].as_array().unwrap();
        assert_eq!(to.len(), 1, "one letter, one reader");
        Self { to: to[0].as_str().unwrap().to_owned(), headers: split(text).0, parts: found }
    }

    fn header(&self, name: &str) -> &str {
        let found: Vec<_> = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).collect();
        assert_eq!(found.len(), 1, "{name}: {:?}", self.headers);
        &found[0].1
    }

    fn part(&self, kind: &str) -> &Part {
        let is = |part: &&Part| value(&part.headers, "content-type").is_some_and(|v| v.starts_with(kind));
        self.parts.iter().find(is).unwrap_or_else(|| panic!("no {kind}: {self:?}"))
    }

    fn text(&self) -> String {
        String::from_utf8(self.part("text/plain").body.clone()).unwrap().replace("\r\n", "\n")
    }

    fn html(&self) -> String {
        String::from_utf8(self.part("text/html").body.clone()).unwrap()
    }

    /// The path of the link that ends its subscription.
    fn unsubscribe(&self) -> String {
        let link = self.header("list-unsubscribe").trim_start_matches('<').trim_end_matches('>');
        let path =
            link.split_once("/unsubscribe/").map(|(_, secret)| format!("/unsubscribe/{secret}")).unwrap();
        assert!(link.starts_with("http://127.0.0.1:"), "{link}");
        assert_eq!(path.len(), "/unsubscribe/".len() + 64, "256 bits: {path}");
        path
    }
}

const NO_TLS: &str = "tls = \"none\"";

/// The next Monday at eight o'clock in UTC: reports are about the week in which it is now.
fn monday() -> Timestamp {
    let today = sotto_schema::clock::now().to_zoned(TimeZone::UTC).date();
    let days = 7 - i32::from(today.weekday().to_monday_zero_offset());
    let at: Zoned = today.saturating_add(days.days()).at(8, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap();
    at.timestamp()
}

/// Sends what is due at a moment. Returns how many were sent and failed.
fn run(sotto: &Sotto, now: Timestamp) -> (u64, u64) {
    let (_, out) = sotto.try_run(&["mail", "run", "--json", "--now", &now.to_string()], "");
    let told = out.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("{out}"));
    let told: Value = serde_json::from_str(told).unwrap();
    (told["sent"].as_u64().unwrap(), told["failed"].as_u64().unwrap())
}

fn member(sotto: &Sotto, key: &str, email: &str, role: &str) -> String {
    add_user(sotto, email, &["--role", role, "--site", key]);
    cookie(&sign_in(sotto, email, PASSWORD))
}

/// Chooses mail on the page.
fn choose(sotto: &Sotto, key: &str, cookie: &str, form: &str) {
    let answer = submit(sotto, &format!("/s/{key}/mail"), cookie, form);
    assert_eq!(answer.status, 303, "{}", answer.text());
}

/// What a mail provider sends when its user unsubscribes: no cookie, no browser's headers (RFC 8058).
fn one_click(sotto: &Sotto, path: &str) -> Answer {
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    request("POST", &format!("{}{path}", sotto.url), &headers, b"List-Unsubscribe=One-Click")
}

/// The Monday of the week of [`monday`]'s report.
fn week() -> Date {
    monday().to_zoned(TimeZone::UTC).date().saturating_sub(7.days())
}

const BERLIN: &str =
    r#""country":"DE","city":"Berlin","browser":"Firefox","source":"Google","channel":"organic_search""#;
const SELFOSS: &str =
    r#""country":"IS","city":"Selfoss","browser":"Vivaldi","source":"blog.example","channel":"referral""#;

/// A site with twelve visitors from Germany and one from Iceland on the Monday of the week, and six in the week before.
fn fill(sotto: &Sotto, key: &str) {
    let rows = |first: u64, count: u64| {
        (first..first + count).map(|i| (600, "pageview", "/", i, i, BERLIN)).collect::<Vec<_>>()
    };
    store(sotto, key, &week().saturating_sub(7.days()).to_string(), &rows(100, 6));
    let mut now = rows(200, 12);
    now.push((601, "pageview", "/grievance", 300, 300, SELFOSS));
    store(sotto, key, &week().to_string(), &now);
}

struct World {
    server: Server,
    sotto: Sotto,
    key: String,
    viewer: String,
}

/// A site that its viewer is subscribed to weekly.
fn world(options: &Value, more: &str) -> World {
    let server = Server::start(options);
    let sotto = server.sotto(more);
    let key = sotto.add_site("a.example", &UTC);
    fill(&sotto, &key);
    let viewer = member(&sotto, &key, "ann@example.org", "viewer");
    choose(&sotto, &key, &viewer, "weekly=yes");
    World { server, sotto, key, viewer }
}

#[test]
fn weekly_report_says_what_viewers_see_in_text_and_html_with_its_chart_and_how_to_end_it() {
    let World { server, sotto, key, .. } = world(&json!({}), NO_TLS);
    let owner = member(&sotto, &key, "owner@example.org", "owner");
    choose(&sotto, &key, &owner, "weekly=yes");
    assert_eq!(run(&sotto, monday() - 1.second()), (0, 0), "it is not due yet");
    assert_eq!(run(&sotto, monday()), (2, 0));
    let letters = server.wait_for(2);
    for letter in &letters {
        let text = letter.text();
        for told in [
            "a.example: weekly report",
            "Visitors: 13 (up 117%)",
            "Pageviews: 13 (up 117%)",
            "/: 10 (up 100%)",
            "Google: 10",
            "Germany: 10",
        ] {
            assert!(text.contains(told), "{told}: {text}");
        }
        let html = letter.html();
        for part in [&text, &html] {
            // The one from Iceland is counted and named nowhere.
            for hidden in ["Iceland", "grievance", "blog.example", "Selfoss", "Vivaldi"] {
                assert!(!part.contains(hidden), "{hidden}: {part}");
            }
            assert!(part.contains(&letter.unsubscribe()), "{part}");
        }
        assert!(html.contains("src=\"cid:chart\""), "{html}");
        let chart = letter.part("image/png");
        assert_eq!(value(&chart.headers, "content-id"), Some("<chart>"));
        assert!(chart.body.starts_with(b"\x89PNG\r\n\x1a\n"));
        let kinds: Vec<_> = letter.parts.iter().map(|p| value(&p.headers, "content-type").unwrap()).collect();
        assert!(kinds[0].starts_with("text/plain") && kinds.len() == 3, "{kinds:?}");
        assert!(letter.header("content-type").starts_with("multipart/alternative"));
        assert_eq!(letter.header("list-unsubscribe-post"), "List-Unsubscribe=One-Click");
        assert_eq!(letter.header("auto-submitted"), "auto-generated");
        assert!(letter.header("from").contains("stats@example.org"));
        assert!(letter.header("message-id").ends_with("@example.org>"));
    }
    let mut readers: Vec<_> = letters.iter().map(|letter| letter.to.as_str()).collect();
    readers.sort_unstable();
    assert_eq!(readers, ["ann@example.org", "owner@example.org"]);
    assert_ne!(letters[0].unsubscribe(), letters[1].unsubscribe());
    assert_eq!(server.letters()[0]["hello"], "127.0.0.1");
}

#[test]
fn report_is_sent_once_whoever_sends_however_often_and_after_a_restart() {
    let World { server, mut sotto, .. } = world(&json!({}), NO_TLS);
    let now = monday().to_string();
    let at_once: Vec<Child> = (0..3)
        .map(|_| {
            let mut command = sotto.command();
            command.args(["mail", "run", "--now", &now]).stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().unwrap()
        })
        .collect();
    for mut child in at_once {
        child.wait().unwrap();
    }
    server.wait_for(1);
    sotto.kill();
    sotto.start_again();
    for hours in [0, 1, 24, 47, 49] {
        assert_eq!(run(&sotto, monday() + hours.hours()), (0, 0), "{hours} hours later");
    }
    assert_eq!(server.letters().len(), 1);
    assert_eq!(run(&sotto, monday() + (7 * 24).hours()), (1, 0), "the week after has its own");
}

#[test]
fn report_that_was_cut_while_it_was_sent_is_not_sent_again() {
    let World { server, sotto, .. } = world(&json!({ "answers": ["cut", "250 taken"] }), NO_TLS);
    assert_eq!(run(&sotto, monday()), (0, 1));
    server.wait_for(1);
    for hours in [0, 1, 24] {
        assert_eq!(run(&sotto, monday() + hours.hours()), (0, 0), "{hours} hours later");
    }
    assert_eq!(server.letters().len(), 1);
}

#[test]
fn report_that_the_server_defers_is_tried_again_after_growing_pauses_and_a_refused_one_is_not() {
    let World { server, sotto, .. } =
        world(&json!({ "answers": ["451 later", "451 later", "250 taken"] }), NO_TLS);
    for (minutes, expected) in
        [(0, (0, 1)), (4, (0, 0)), (5, (0, 1)), (34, (0, 0)), (35, (1, 0)), (600, (0, 0))]
    {
        assert_eq!(run(&sotto, monday() + minutes.minutes()), expected, "{minutes} minutes later");
    }
    assert_eq!(server.letters().len(), 3);
    let World { server, sotto, .. } = world(&json!({ "refuse": "550 5.1.1" }), NO_TLS);
    assert_eq!(run(&sotto, monday()), (0, 1));
    assert_eq!(run(&sotto, monday() + 1.hour()), (0, 0));
    assert!(server.letters().is_empty());
}

#[test]
fn log_of_mail_that_fails_has_no_address_and_no_password() {
    let dir = tempfile::tempdir().unwrap();
    let password = dir.path().join("password");
    fs::write(&password, "correct horse battery\n").unwrap();
    let more = format!("{NO_TLS}\nuser = \"stats\"\npassword_file = \"{}\"", password.display());
    let options = json!({ "refuse": "550 5.1.1", "user": "stats", "password": "correct horse battery" });
    let World { server, sotto, .. } = world(&options, &more);
    let now = monday().to_string();
    let mut told = String::new();
    for password in ["correct horse battery", "another"] {
        fs::write(dir.path().join("password"), password).unwrap();
        for arguments in [vec!["mail", "run", "--now", &now], vec!["doctor"]] {
            let mut command = sotto.command();
            let out =
                command.env("RUST_LOG", "trace").env("SOTTO_LOG", "trace").args(&arguments).output().unwrap();
            told.push_str(&String::from_utf8_lossy(&out.stdout));
            told.push_str(&String::from_utf8_lossy(&out.stderr));
        }
    }
    assert!(told.contains("550") && told.contains("535"), "{told}");
    assert!(server.letters().is_empty());
    for secret in
        ["ann@example", "correct horse", &Base64::encode_string(b"correct horse battery"), "another"]
    {
        assert!(!told.contains(secret), "{secret}: {told}");
        assert!(!sotto.log().contains(secret), "{secret}");
    }
}

#[test]
fn who_may_not_read_the_site_any_more_gets_no_mail() {
    let World { server, sotto, key, .. } = world(&json!({}), NO_TLS);
    for name in ["bob", "eve"] {
        let cookie = member(&sotto, &key, &format!("{name}@example.org"), "viewer");
        choose(&sotto, &key, &cookie, "weekly=yes");
    }
    // The rows that say so are there; only the role is not, and of the other not even the account.
    sotto.ask_clickhouse(
        "INSERT INTO members SELECT user, site, role, version + 1000000000, 1 FROM members FINAL \
         WHERE user IN (SELECT id FROM users FINAL WHERE email = 'bob@example.org')",
    );
    sotto.run(&["user", "remove", "eve@example.org"]);
    assert_eq!(
        sotto.ask_clickhouse("SELECT count() FROM subscriptions FINAL").trim(),
        "2",
        "eve's is removed"
    );
    assert_eq!(run(&sotto, monday()), (1, 0));
    assert_eq!(server.wait_for(1)[0].to, "ann@example.org");
    sotto.run(&["site", "remove", &key]);
    assert_eq!(sotto.ask_clickhouse("SELECT count() FROM subscriptions FINAL").trim(), "0");
    assert_eq!(run(&sotto, monday() + (7 * 24).hours()), (0, 0));
}

#[test]
fn link_in_a_letter_ends_its_mail_with_one_click_and_nothing_else_does() {
    let World { server, sotto, key, viewer } = world(&json!({}), NO_TLS);
    choose(&sotto, &key, &viewer, "weekly=yes&monthly=yes");
    assert_eq!(run(&sotto, monday()), (1, 0));
    let path = server.wait_for(1)[0].unsubscribe();
    let there =
        || sotto.ask_clickhouse("SELECT kind FROM subscriptions FINAL ORDER BY kind").replace('\n', " ");
    // Guessed, cut, or something like it.
    let nearly = format!("{}{}", &path[..path.len() - 1], if path.ends_with('0') { '1' } else { '0' });
    for guess in [&nearly, &path[..path.len() - 1], "/unsubscribe/", &format!("{path}0"), "/unsubscribe/%00"]
    {
        assert_eq!(one_click(&sotto, guess).status, 404, "{guess}");
    }
    // Programs that check mail look at it.
    let page = get(&sotto, &path, "");
    assert_eq!(page.status, 200);
    assert!(page.text().contains("method=\"post\"") && page.text().contains("a.example"), "{}", page.text());
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert!(!page.text().contains("ann@example.org"));
    assert_eq!(there(), "monthly weekly ");
    for _ in 0..2 {
        let answer = one_click(&sotto, &path);
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains("You are unsubscribed"));
        assert_eq!(there(), "monthly ", "the other one stays");
    }
    assert!(get(&sotto, &path, "").text().contains("You are unsubscribed"));
    assert_eq!(run(&sotto, monday() + (7 * 24).hours()), (0, 0));
    let secret = path.trim_start_matches("/unsubscribe/");
    assert!(!sotto.ask_clickhouse("SELECT * FROM mail_deliveries").contains(secret));
    assert!(!sotto.log().contains(secret), "{}", sotto.log());
    let (action, detail) = audit_log(&sotto).remove(0);
    assert_eq!((action.as_str(), detail.as_str()), ("mail_remove", "weekly report by its link"));
}

#[test]
fn name_page_and_source_put_nothing_into_headers_or_html() {
    let World { server, sotto, key, .. } = world(&json!({}), NO_TLS);
    let evil = "<img src=x onerror=alert(1)>\r\nBcc: eve@example.org\r\n\r\n.\r\nMAIL FROM:<x@y.z>";
    let more = json!({ "source": evil, "country": "DE" }).to_string();
    let more = more.trim_start_matches('{').trim_end_matches('}');
    let path = "/<script>alert(1)</script>\\r\\nBcc: eve@example.org\\u202egpj";
    let rows: Vec<_> = (400..420).map(|i| (700, "pageview", path, i, i, more)).collect();
    store(&sotto, &key, &week().to_string(), &rows);
    let name = "Ünser Haus\r\nBcc: eve@example.org\r\n\r\n<b>body</b>";
    sotto.run(&["site", "edit", &key, "--name", name]);
    assert_eq!(run(&sotto, monday()), (1, 0));
    let letters = server.wait_for(1);
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!(letter.to, "ann@example.org");
    let names: Vec<_> = letter.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
    assert!(!names.iter().any(|name| ["bcc", "cc"].contains(&name.as_str())), "{names:?}");
    let (html, text) = (letter.html(), letter.text());
    for tag in ["<script>alert", "<img src=x", "<b>body"] {
        assert!(!html.contains(tag), "{tag}: {html}");
    }
    assert!(html.contains("script&#62;alert(1)") || html.contains("&lt;script&gt;alert(1)"), "{html}");
    assert!(!html.contains('\u{202e}') && !text.contains('\u{202e}'));
    let at = text.lines().find(|line| line.contains("<script>")).unwrap();
    assert!(at.contains("Bcc: eve@example.org"), "in one line with what is before it: {at}");
    assert!(!text.lines().any(|line| line.starts_with("Bcc") || line == "."), "{text}");
    assert_eq!(server.letters()[0]["from"], "stats@example.org");
}

#[test]
fn month_is_reported_on_its_first_day() {
    let World { server, sotto, key, viewer } = world(&json!({}), NO_TLS);
    choose(&sotto, &key, &viewer, "monthly=yes");
    let now = sotto_schema::clock::now().to_zoned(TimeZone::UTC).date();
    let first =
        now.first_of_month().saturating_add(1.month()).at(8, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap();
    assert_eq!(run(&sotto, first.timestamp() - 1.second()), (0, 0));
    assert_eq!(run(&sotto, first.timestamp()), (1, 0));
    assert_eq!(run(&sotto, first.timestamp()), (0, 0));
    let letter = &server.wait_for(1)[0];
    let subject = format!("monthly report, 1 – {}", now.last_of_month().strftime("%-d %b %Y"));
    assert!(letter.text().contains(&subject), "{subject}: {}", letter.text());
}

#[test]
fn running_program_sends_by_itself_what_is_due() {
    let server = Server::start(&json!({}));
    let mut sotto = server.sotto(NO_TLS);
    let key = sotto.add_site("a.example", &UTC);
    // The last of twenty-five visitors a day came 26 hours ago.
    let last = (sotto_schema::clock::now() - 26.hours()).to_zoned(TimeZone::UTC);
    for age in 0..20 {
        let minute = u32::try_from(last.hour()).unwrap() * 60;
        let rows: Vec<_> = (1..=25).map(|i| (minute, "pageview", "/", i, i, BERLIN)).collect();
        store(&sotto, &key, &last.date().saturating_sub(age.days()).to_string(), &rows);
    }
    let viewer = member(&sotto, &key, "ann@example.org", "viewer");
    choose(&sotto, &key, &viewer, "alerts=yes");
    // Who subscribes is told of nothing that was before.
    assert_eq!(run(&sotto, sotto_schema::clock::now()), (0, 0));
    sotto.ask_clickhouse(
        "INSERT INTO subscriptions SELECT site, user, kind, made_by, created - INTERVAL 9 DAY, version + 1, 0 FROM subscriptions FINAL",
    );
    let letter = &server.wait_for(1)[0];
    assert!(letter.text().contains("nothing was counted"), "{}", letter.text());
    let metrics = || request("GET", &format!("{}/metrics", sotto.admin), &[], b"").text();
    wait_for("the count", || metrics().contains("sotto_mails_sent_total 1\n").then_some(()));
    sotto.stop();
    sotto.start_again();
    assert_eq!(run(&sotto, sotto_schema::clock::now()), (0, 0), "once, also after a restart");
    assert_eq!(server.letters().len(), 1);
}

#[test]
fn each_way_of_encryption_reaches_the_server_and_a_wrong_certificate_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args([
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success());
    let password = dir.path().join("password");
    fs::write(&password, "correct horse battery\n").unwrap();
    let signed_in = format!("user = \"stats\"\npassword_file = \"{}\"\n", password.display());
    for tls in ["starttls", "implicit"] {
        let options = json!({
            "tls": tls, "certificate": certificate, "key": key,
            "user": "stats", "password": "correct horse battery",
        });
        let trusted = format!("{signed_in}tls = \"{tls}\"\nca_file = \"{}\"", certificate.display());
        let World { server, sotto, .. } = world(&options, &trusted);
        assert_eq!(run(&sotto, monday()), (1, 0), "{tls}");
        let letters = server.wait_for(1);
        assert_eq!(letters.len(), 1);
        let taken = &server.letters()[0];
        assert_eq!((&taken["encrypted"], &taken["signed_in"]), (&json!(true), &json!(true)), "{tls}");
        let World { server, sotto, .. } = world(&options, &format!("{signed_in}tls = \"{tls}\""));
        let (ok, told) = sotto.try_run(&["mail", "run", "--now", &monday().to_string()], "");
        assert!(!ok && told.contains("the mail server takes nothing"), "{tls}: {told}");
        assert!(server.letters().is_empty(), "{tls}");
    }
}

#[test]
fn members_choose_for_themselves_and_owners_for_members_only() {
    let World { sotto, key, viewer, .. } = world(&json!({}), NO_TLS);
    let other = sotto.add_site("b.example", &UTC);
    let editor = member(&sotto, &key, "editor@example.org", "editor");
    let owner = member(&sotto, &key, "owner@example.org", "owner");
    let stranger = member(&sotto, &other, "eve@example.org", "owner");
    let path = format!("/s/{key}/mail");
    assert_eq!(
        [&viewer, &editor, &owner, &stranger].map(|cookie| status(&sotto, &path, cookie)),
        [200, 200, 200, 404]
    );
    assert_eq!(submit(&sotto, &path, &stranger, "weekly=yes").status, 404);
    let page = |cookie: &str| get(&sotto, &path, cookie).text();
    assert!(!page(&viewer).contains("Who gets mail") && !page(&editor).contains("ann@example.org"));
    let shown = page(&owner);
    assert!(shown.contains("ann@example.org") && !shown.contains("eve@example.org"), "{shown}");
    let id = |email: &str| {
        sotto.ask_clickhouse(&format!("SELECT id FROM users FINAL WHERE email = '{email}'")).trim().to_owned()
    };
    let form = |email: &str| format!("user={}&kind=monthly", id(email));
    for (cookie, email, expected) in [
        (&viewer, "ann@example.org", 403),
        (&editor, "ann@example.org", 403),
        (&stranger, "ann@example.org", 404),
        (&owner, "eve@example.org", 404),
        (&owner, "editor@example.org", 303),
    ] {
        assert_eq!(submit(&sotto, &format!("{path}/add"), cookie, &form(email)).status, expected, "{email}");
    }
    let there = || sotto.ask_clickhouse("SELECT count() FROM subscriptions FINAL WHERE deleted = 0");
    assert_eq!(there().trim(), "2");
    assert_eq!(submit(&sotto, &format!("{path}/remove"), &editor, &form("editor@example.org")).status, 403);
    assert_eq!(submit(&sotto, &format!("{path}/remove"), &owner, &form("editor@example.org")).status, 303);
    choose(&sotto, &key, &viewer, "");
    assert_eq!(there().trim(), "0");
}

#[test]
fn letter_is_shown_as_it_would_be_sent_and_runs_nothing() {
    let World { sotto, key, viewer, .. } = world(&json!({}), NO_TLS);
    let page = get(&sotto, &format!("/s/{key}/mail?preview=weekly"), &viewer);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("frame-src 'self'") && policy.contains("default-src 'none'"), "{policy}");
    assert!(page.text().contains("a.example: weekly report,"), "{}", page.text());
    let letter = get(&sotto, &format!("/s/{key}/mail/preview?of=weekly"), &viewer);
    let policy = letter.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.ends_with("sandbox"), "{policy}");
    assert!(!policy.contains("script-src"), "{policy}");
    assert_eq!(letter.header("x-frame-options"), Some("SAMEORIGIN"));
    assert!(letter.text().contains("src=\"data:image/png;base64,"), "{}", letter.text());
    assert!(!letter.text().contains("/unsubscribe/"), "it ends nothing");
    assert_eq!(get(&sotto, &format!("/s/{key}/mail/preview?of=alerts"), &viewer).status, 404);
    assert_eq!(get(&sotto, &format!("/s/{key}/mail/preview?of=weekly"), "").status, 303);
}

#[test]
fn silent_site_and_many_visitors_are_told_once_a_day() {
    let server = Server::start(&json!({}));
    let sotto = server.sotto(NO_TLS);
    let key = sotto.add_site("a.example", &UTC);
    let viewer = member(&sotto, &key, "ann@example.org", "viewer");
    choose(&sotto, &key, &viewer, "alerts=yes");
    // Twenty-five visitors at ten o'clock on each of twenty days, and two hundred tomorrow.
    let tomorrow = sotto_schema::clock::now().to_zoned(TimeZone::UTC).date().saturating_add(1.day());
    for age in 1..=20 {
        let rows: Vec<_> = (1..=25).map(|i| (600, "pageview", "/", i, i, BERLIN)).collect();
        store(&sotto, &key, &tomorrow.saturating_sub(age.days()).to_string(), &rows);
    }
    let rows: Vec<_> = (1..=200).map(|i| (600, "pageview", "/", i, i, BERLIN)).collect();
    store(&sotto, &key, &tomorrow.to_string(), &rows);
    let at = |day: Date, hour: i8, minute: i8| {
        day.at(hour, minute, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp()
    };
    assert_eq!(run(&sotto, at(tomorrow, 11, 0)), (0, 0), "its last hits may be on their way");
    assert_eq!(run(&sotto, at(tomorrow, 11, 10)), (1, 0));
    assert_eq!(run(&sotto, at(tomorrow, 12, 10)), (0, 0));
    let letter = &server.wait_for(1)[0];
    assert!(
        letter.text().contains("200 visitors came") && letter.text().contains("usually 25"),
        "{}",
        letter.text()
    );
    let after = tomorrow.saturating_add(1.day());
    assert_eq!(run(&sotto, at(after, 10, 10)), (0, 0));
    assert_eq!(run(&sotto, at(after, 11, 10)), (1, 0), "a day after the last hour");
    assert_eq!(run(&sotto, at(after, 15, 10)), (0, 0));
    let letter = &server.wait_for(2)[1];
    assert!(letter.text().contains("nothing was counted"), "{}", letter.text());
    assert!(one_click(&sotto, &letter.unsubscribe()).text().contains("no alerts of a.example"));
}

#[test]
fn morning_tells_of_pages_that_were_not_found_of_refusal_and_of_slow_pages() {
    let server = Server::start(&json!({}));
    let sotto = server.sotto(NO_TLS);
    let key = sotto.add_site("a.example", &UTC);
    let viewer = member(&sotto, &key, "ann@example.org", "viewer");
    choose(&sotto, &key, &viewer, "alerts=yes");
    let tomorrow = sotto_schema::clock::now().to_zoned(TimeZone::UTC).date().saturating_add(1.day());
    let day = |age: i32, granted: u8, lcp_ms: u32| {
        let views: Vec<String> = (1..=100).map(|n| format!(r#""view":"{n}","lcp_ms":{lcp_ms}"#)).collect();
        let decision = format!(r#""granted":{granted}"#);
        let mut rows: Vec<_> =
            (1..).zip(&views).map(|(n, view)| (601, "vitals", "/", n, n, view.as_str())).collect();
        rows.extend((0..50).map(|_| (602, "consent", "/", 0, 0, decision.as_str())));
        // What was not found before is not new.
        for (minute, path) in
            [(603, "/old"), (605, "/gone")].into_iter().filter(|(_, path)| age == 0 || *path == "/old")
        {
            for who in 1..=6 {
                rows.push((minute, "pageview", path, who, who, ""));
                rows.push((minute + 1, "custom", path, who, who, r#""name":"404","interactive":false"#));
            }
        }
        store(&sotto, &key, &tomorrow.saturating_sub(age.days()).to_string(), &rows);
    };
    (1..=20).for_each(|age| day(age, 15, 2_000));
    day(0, 1, 9_000);
    let after = tomorrow.saturating_add(1.day());
    let at = |hour: i8, minute: i8| after.at(hour, minute, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp();
    assert_eq!(run(&sotto, at(7, 50)), (0, 0));
    let told = run(&sotto, at(8, 10));
    assert_eq!(told, (3, 0), "{:?}", server.letters());
    assert_eq!(run(&sotto, at(9, 10)), (0, 0), "once");
    let letters: Vec<String> = server.wait_for(3).iter().map(|letter| letter.text()).collect();
    for (text, page) in [
        ("came in the four weeks before: /gone (5 visits).", "/not-found?"),
        (
            "0 % of 50 decisions agreed to analytics. In the four weeks before, it was usually 100 %.",
            "/consent?",
        ),
        ("Largest Contentful Paint of 9.0 s (usually 2.0 s)", "/vitals?"),
    ] {
        let found =
            letters.iter().filter(|letter| letter.replace('\n', " ").contains(text) && letter.contains(page));
        assert_eq!(found.count(), 1, "{text}: {letters:?}");
    }
}
