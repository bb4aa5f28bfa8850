//! Signing in with a second step, over real sockets and the real database.

use std::fs;

use sotto_schema::id::SiteId;
use sotto_store::{audit, db::Db};
use sotto_tests::{Answer, Sotto, files, request};
use totp_rs::{Builder, Secret, Totp};

const PASSWORD: &str = "a long enough password";
const EMAIL: &str = "ann@example.org";
const STEP: u64 = 30;

fn submit(sotto: &Sotto, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Answer {
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("sec-fetch-site", "same-origin"),
        ("cookie", cookie),
    ];
    request("POST", &format!("{}{path}", sotto.url), &headers, form.as_bytes())
}

fn status(sotto: &Sotto, path: &str, cookie: &str) -> u16 {
    request("GET", &format!("{}{path}", sotto.url), &[("cookie", cookie)], b"").status
}

fn cookie(answer: &Answer) -> String {
    let header =
        answer.header("set-cookie").unwrap_or_else(|| panic!("{}: {}", answer.status, answer.text()));
    header.split(';').next().unwrap().to_owned()
}

fn first_step(sotto: &Sotto) -> Answer {
    submit(sotto, "/sign-in", "", &[("email", EMAIL), ("password", PASSWORD)])
}

/// What stands between two words of a page.
pub(crate) fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let rest = text.split(before).nth(1).unwrap_or_else(|| panic!("no {before:?} in {text}"));
    rest.split(after).next().unwrap()
}

/// The form of the second step, with a code.
fn second_step(sotto: &Sotto, code: &str) -> Answer {
    let first = first_step(sotto);
    assert_eq!((first.status, first.header("set-cookie")), (200, None), "{}", first.text());
    let text = first.text();
    let ticket = between(&text, "name=\"ticket\" value=\"", "\"");
    submit(sotto, "/sign-in/code", "", &[("email", EMAIL), ("ticket", ticket), ("code", code)])
}

/// Somebody with two-step sign-in.
struct Ann {
    base32: String,
    totp: Totp,
    recovery: Vec<String>,
    cookie: String,
}

impl Ann {
    /// The code of a step from now.
    fn code(&self, steps: i64) -> String {
        let now = u64::try_from(sotto_schema::clock::now().as_second()).unwrap();
        self.totp.generate(now.saturating_add_signed(steps * STEP as i64)).to_string()
    }

    /// A code that is not accepted now or soon.
    fn wrong_code(&self) -> String {
        let near: Vec<String> = (-3..6).map(|steps| self.code(steps)).collect();
        (0..).map(|n| format!("{n:06}")).find(|code| !near.contains(code)).unwrap()
    }
}

fn add_ann(sotto: &Sotto, more: &[&str]) {
    let (ok, out) = sotto.try_run(&[&["user", "add", EMAIL], more].concat(), PASSWORD);
    assert!(ok, "{out}");
}

/// What was done, as the audit log has it, with its details.
pub(crate) fn audit_log(sotto: &Sotto) -> Vec<(String, String)> {
    let text = fs::read_to_string(sotto.data().join("clickhouse/endpoint.json")).unwrap();
    let endpoint: serde_json::Value = serde_json::from_str(&text).unwrap();
    let db = Db::new(serde_json::from_value(endpoint["writer"].clone()).unwrap());
    let entries =
        tokio::runtime::Runtime::new().unwrap().block_on(audit::newest(&db, SiteId::NONE, 100)).unwrap();
    entries.into_iter().map(|entry| (entry.action, entry.detail)).collect()
}

fn page(sotto: &Sotto, cookie: &str) -> (String, String) {
    let page = request("GET", &format!("{}/account/two-step", sotto.url), &[("cookie", cookie)], b"").text();
    let sealed = between(&page, "name=\"sealed\" value=\"", "\"").to_owned();
    let address = between(&page, "id=\"otpauth\">", "<");
    assert!(address.starts_with("otpauth://totp/Sotto:ann%40example.org?secret="), "{address}");
    (sealed, between(address, "secret=", "&").to_owned())
}

/// Adds Ann, who switches it on as a browser does.
fn switched_on(sotto: &Sotto) -> Ann {
    switched_on_as(sotto, &["--role", "owner"])
}

fn switched_on_as(sotto: &Sotto, role: &[&str]) -> Ann {
    add_ann(sotto, role);
    let before = cookie(&first_step(sotto));
    let (sealed, base32) = page(sotto, &before);
    let secret = Secret::try_from_base32(&base32).unwrap();
    let totp = Builder::new().with_secret(secret).build().unwrap();
    let mut ann = Ann { base32, totp, recovery: Vec::new(), cookie: String::new() };
    let send = |password: &str, code: &str| {
        submit(
            sotto,
            "/account/two-step/on",
            &before,
            &[("sealed", &sealed), ("password", password), ("code", code)],
        )
    };
    for (password, code) in [("another password", ann.code(0)), (PASSWORD, ann.wrong_code())] {
        let refused = send(password, &code);
        assert_eq!((refused.status, refused.header("set-cookie")), (422, None));
        assert!(refused.text().contains(&sealed), "the app keeps the secret it has");
    }
    let answer = send(PASSWORD, &ann.code(0));
    let text = answer.text();
    assert_eq!(answer.status, 200, "{text}");
    ann.cookie = cookie(&answer);
    ann.recovery = text.split("<li><code>").skip(1).map(|c| c.split('<').next().unwrap().into()).collect();
    assert_eq!(ann.recovery.len(), 8, "{text}");
    assert_eq!((status(sotto, "/sites", &before), status(sotto, "/sites", &ann.cookie)), (303, 200));
    ann
}

#[test]
fn sign_in_asks_for_a_code_that_works_once() {
    let mut sotto = Sotto::start();
    let ann = switched_on(&sotto);
    let wrong = second_step(&sotto, &ann.wrong_code());
    assert_eq!((wrong.status, wrong.header("set-cookie")), (401, None));
    let none =
        submit(&sotto, "/sign-in/code", "", &[("email", EMAIL), ("ticket", ""), ("code", &ann.code(1))]);
    assert_eq!((none.status, none.header("set-cookie")), (401, None), "the password comes first");
    // The next step's, because the present one was used for switching on.
    let code = ann.code(1);
    let right = second_step(&sotto, &code);
    assert_eq!(right.status, 303, "{}", right.text());
    assert_eq!(status(&sotto, "/sites", &cookie(&right)), 200);
    sotto.kill();
    sotto.start_again();
    let again = second_step(&sotto, &code);
    assert_eq!((again.status, again.header("set-cookie")), (401, None), "also after a crash");
    assert!(again.text().contains("used already"), "{}", again.text());
}

#[test]
fn recovery_code_works_once_in_place_of_a_code() {
    let sotto = Sotto::start();
    let ann = switched_on(&sotto);
    let typed = ann.recovery[3].to_uppercase();
    assert_eq!(second_step(&sotto, &typed).status, 303);
    let again = second_step(&sotto, &ann.recovery[3]);
    assert_eq!((again.status, again.header("set-cookie")), (401, None));
    assert_eq!(second_step(&sotto, &ann.recovery[4]).status, 303, "the others are left");
}

#[test]
fn code_sent_many_times_at_once_signs_in_once_at_most() {
    let sotto = Sotto::start();
    let ann = switched_on(&sotto);
    let text = first_step(&sotto).text();
    let ticket = between(&text, "name=\"ticket\" value=\"", "\"");
    let form = [("email", EMAIL), ("ticket", ticket), ("code", &ann.recovery[0])];
    let signed_in: usize = std::thread::scope(|scope| {
        let send = || submit(&sotto, "/sign-in/code", "", &form).status;
        let all: Vec<_> = (0..8).map(|_| scope.spawn(send)).collect();
        all.into_iter().map(|t| usize::from(t.join().unwrap() == 303)).sum()
    });
    assert!(signed_in <= 1, "{signed_in}");
    assert_eq!(submit(&sotto, "/sign-in/code", "", &form).status, 401, "it is used whoever got on");
}

#[test]
fn guessing_codes_is_stopped_with_the_right_password_too() {
    let sotto = Sotto::start();
    let ann = switched_on(&sotto);
    let text = first_step(&sotto).text();
    let ticket = between(&text, "name=\"ticket\" value=\"", "\"");
    let send = |code: &str| {
        submit(&sotto, "/sign-in/code", "", &[("email", EMAIL), ("ticket", ticket), ("code", code)]).status
    };
    // The password on the way to here counts, too.
    let tried: Vec<u16> = (0..10).map(|_| send(&ann.wrong_code())).collect();
    assert_eq!((tried[8], tried[9]), (401, 429), "{tried:?}");
    assert_eq!(send(&ann.recovery[0]), 429, "the right one waits too");
    assert_eq!(first_step(&sotto).status, 429, "and so does the password");
}

#[test]
fn second_step_is_never_left_out_when_the_key_is_missing_or_another() {
    let mut sotto = Sotto::start();
    let ann = switched_on(&sotto);
    let file = sotto.data().join("account-key");
    let key = fs::read(&file).unwrap();
    assert_eq!(key.len(), 32);
    for (found, said) in [(None, "another"), (Some(vec![1; 32]), "another"), (Some(vec![1; 31]), "missing")] {
        sotto.stop();
        match &found {
            Some(bytes) => fs::write(&file, bytes).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        sotto.start_again();
        let answer = first_step(&sotto);
        assert_eq!((answer.status, answer.header("set-cookie")), (503, None), "{found:?}");
        assert!(answer.text().contains(said), "{}", answer.text());
    }
    sotto.stop();
    fs::write(&file, key).unwrap();
    sotto.start_again();
    assert_eq!(second_step(&sotto, &ann.recovery[0]).status, 303);
}

#[test]
fn two_step_is_switched_off_with_the_password_or_by_the_operator() {
    let sotto = Sotto::start();
    let ann = switched_on(&sotto);
    let off =
        |password: &str| submit(&sotto, "/account/two-step/off", &ann.cookie, &[("password", password)]);
    assert_eq!(off("another password").status, 422);
    assert_eq!(first_step(&sotto).status, 200, "still on");
    assert_eq!(off(PASSWORD).status, 303);
    let alone = first_step(&sotto);
    assert_eq!(alone.status, 303);
    let (ok, out) = sotto.try_run(&["user", "totp-reset", EMAIL], "");
    assert!(!ok && out.contains("no two-step"), "{out}");
}

#[test]
fn operator_resets_the_second_step_of_somebody_who_lost_it() {
    let sotto = Sotto::start();
    let ann = switched_on(&sotto);
    assert!(sotto.run(&["user", "totp-reset", EMAIL]).contains(EMAIL));
    assert_eq!(status(&sotto, "/sites", &ann.cookie), 303, "sign-ins ended");
    assert_eq!(first_step(&sotto).status, 303);
    let log: Vec<String> = audit_log(&sotto).into_iter().map(|(action, _)| action).collect();
    assert_eq!(log.iter().filter(|action| *action == "two_step_reset").count(), 1, "{log:?}");
    assert!(log.contains(&"two_step_on".to_owned()), "{log:?}");
}

#[test]
fn set_up_link_does_not_leave_out_the_second_step() {
    let sotto = Sotto::start();
    let ann = switched_on_as(&sotto, &["--role", "editor"]);
    let path = sotto.set_up.as_deref().unwrap().strip_prefix(&sotto.url).unwrap();
    let form = [
        ("email", EMAIL),
        ("password", PASSWORD),
        ("name", "A"),
        ("hostname", "a.example"),
        ("time_zone", "UTC"),
        ("preset", "cnil"),
    ];
    let answer = submit(&sotto, path, "", &form);
    assert_eq!((answer.status, answer.header("set-cookie")), (303, None), "{}", answer.text());
    assert_eq!(answer.header("location"), Some("/sign-in"));
    assert_eq!(second_step(&sotto, &ann.recovery[0]).status, 303);
}

#[test]
fn second_step_secret_is_nowhere_in_clear() {
    let mut sotto = Sotto::start();
    let ann = switched_on(&sotto);
    assert_eq!(second_step(&sotto, &ann.code(1)).status, 303);
    assert_eq!(second_step(&sotto, &ann.recovery[0]).status, 303);
    // What is stored in clear is found by the same search: a name of the same shape.
    let control = "JBSWY3DPEHPK4QXZAMRUV62GTCNL5OF7";
    let (ok, out) = sotto.try_run(&["user", "add", "bob@example.org", "--name", control], PASSWORD);
    assert!(ok, "{out}");
    sotto.stop();
    let mut places = files(&sotto.data());
    places.push(("the log".into(), sotto.log().into_bytes()));
    let found = |needle: &[u8]| -> Vec<String> {
        let holds = |bytes: &[u8]| bytes.windows(needle.len()).any(|w| w == needle);
        places.iter().filter(|(_, b)| holds(b)).map(|(p, _)| p.display().to_string()).collect()
    };
    let stored = found(control.as_bytes());
    assert!(stored.iter().any(|place| place.ends_with(".bin")), "the search finds what is there: {stored:?}");
    let key = fs::read(sotto.data().join("account-key")).unwrap();
    assert_eq!(found(&key).len(), 1, "the key is in its file alone");
    let secret = Secret::try_from_base32(&ann.base32).unwrap();
    let grouped = ann.base32.as_bytes().chunks(4).collect::<Vec<_>>().join(&b' ');
    let hex: String = secret.as_bytes().iter().map(|b| format!("{b:02x}")).collect();
    let lower = ann.base32.to_lowercase();
    let secrets = [ann.base32.as_bytes(), lower.as_bytes(), &grouped, hex.as_bytes(), secret.as_bytes()];
    for needle in secrets {
        assert_eq!(found(needle), Vec::<String>::new(), "{}", String::from_utf8_lossy(needle));
    }
    for code in &ann.recovery {
        let plain = code.replace('-', "");
        let raw: Vec<u8> =
            (0..8).map(|i| u8::from_str_radix(&plain[2 * i..2 * i + 2], 16).unwrap()).collect();
        for needle in [code.as_bytes(), plain.as_bytes(), &raw] {
            assert_eq!(found(needle), Vec::<String>::new(), "{code}");
        }
    }
}
