//! Who may see and change what, and how long a sign-in lasts, over real sockets.

use std::{
    fs::File,
    io::{Read, Write},
    process::Stdio,
};

use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use sotto_tests::{Answer, Sotto, request};

use crate::two_step::audit_log;

pub const PASSWORD: &str = "a long enough password";

pub fn add_user(sotto: &Sotto, email: &str, more: &[&str]) {
    let (ok, out) = sotto.try_run(&[&["user", "add", email], more].concat(), PASSWORD);
    assert!(ok, "{out}");
}

pub fn submit(sotto: &Sotto, path: &str, cookie: &str, form: &str) -> Answer {
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("sec-fetch-site", "same-origin"),
        ("cookie", cookie),
    ];
    request("POST", &format!("{}{path}", sotto.url), &headers, form.as_bytes())
}

pub fn sign_in(sotto: &Sotto, email: &str, password: &str) -> Answer {
    submit(sotto, "/sign-in", "", &credentials(email, password))
}

fn credentials(email: &str, password: &str) -> String {
    ["email=", &email.replace('@', "%40"), "&password=", &password.replace(' ', "+")].concat()
}

/// Signs in from another address, as a trusted proxy reports it.
pub fn sign_in_from(sotto: &Sotto, address: &str, email: &str, password: &str) -> Answer {
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("sec-fetch-site", "same-origin"),
        ("x-forwarded-for", address),
    ];
    let form = credentials(email, password);
    request("POST", &format!("{}/sign-in", sotto.url), &headers, form.as_bytes())
}

pub fn cookie(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

pub fn status(sotto: &Sotto, path: &str, cookie: &str) -> u16 {
    request("GET", &format!("{}{path}", sotto.url), &[("cookie", cookie)], b"").status
}

#[test]
fn role_on_one_site_opens_that_site_only() {
    let sotto = Sotto::start();
    let (a, b) = (sotto.add_site("a.example", &[]), sotto.add_site("b.example", &[]));
    add_user(&sotto, "viewer@example.org", &["--role", "viewer", "--site", &a]);
    add_user(&sotto, "editor@example.org", &["--role", "editor", "--site", &a]);
    add_user(&sotto, "owner@example.org", &["--role", "owner"]);
    let [viewer, editor, owner] = ["viewer", "editor", "owner"]
        .map(|name| cookie(&sign_in(&sotto, &[name, "@example.org"].concat(), PASSWORD)));
    let (see_a, see_b) = (format!("/s/{a}"), format!("/s/{b}"));
    let (set_a, api_b) = (format!("/s/{a}/settings"), format!("/api/v1/sites/{b}/report"));
    for (path, viewer_sees, editor_sees, owner_sees) in [
        (&see_a, 200, 200, 200),
        (&see_b, 404, 404, 200),
        (&api_b, 404, 404, 200),
        (&set_a, 403, 200, 200),
        (&"/sites/new".to_owned(), 403, 403, 200),
    ] {
        let seen = [&viewer, &editor, &owner].map(|cookie| status(&sotto, path, cookie));
        assert_eq!(seen, [viewer_sees, editor_sees, owner_sees], "{path}");
    }
    let form = "name=A&hostnames=a.example&time_zone=UTC&preset=strict&retention_days=30";
    assert_eq!(submit(&sotto, &set_a, &viewer, form).status, 403);
    assert_eq!(submit(&sotto, &set_a, &editor, form).status, 303);
    assert!(sotto.run(&["site", "list", "--json"]).contains("\"strict\""));
}

#[test]
pub fn sign_in_ends_with_sign_out_and_with_another_password() {
    let sotto = Sotto::start();
    add_user(&sotto, "ann@example.org", &["--role", "owner"]);
    let [first, second] = [(); 2].map(|()| cookie(&sign_in(&sotto, "ann@example.org", PASSWORD)));
    assert_eq!(submit(&sotto, "/sign-out", &first, "").status, 303);
    assert_eq!((status(&sotto, "/sites", &first), status(&sotto, "/sites", &second)), (303, 200));
    let (ok, out) = sotto.try_run(&["user", "password", "ann@example.org"], "another long password");
    assert!(ok, "{out}");
    assert_eq!(status(&sotto, "/sites", &second), 303);
    assert_eq!(sign_in(&sotto, "ann@example.org", PASSWORD).status, 401);
    assert_eq!(sign_in(&sotto, "ann@example.org", "another long password").status, 303);
}

#[test]
fn guessing_is_stopped_and_tells_nothing_about_who_exists() {
    let sotto = Sotto::start();
    add_user(&sotto, "ann@example.org", &["--role", "owner"]);
    let [known, unknown] = ["ann@example.org", "bob@example.org"].map(|email| {
        let answer = sign_in(&sotto, email, "wrong password");
        (answer.status, answer.text().replace(email, ""))
    });
    assert_eq!(known, unknown);
    let tried: Vec<u16> =
        (0..10).map(|_| sign_in(&sotto, "ann@example.org", "wrong password").status).collect();
    let last = tried.last().copied();
    assert_eq!(last, Some(429));
    assert_eq!(sign_in(&sotto, "ann@example.org", PASSWORD).status, 429, "the right one waits too");
}

#[test]
fn bogus_attempts_from_one_address_leave_the_owner_free_at_another() {
    let sotto = Sotto::start();
    add_user(&sotto, "ann@example.org", &["--role", "owner"]);
    let statuses: Vec<u16> = (0..125)
        .map(|n| {
            // Half of them on the owner's account, half on accounts that do not exist.
            let email =
                if n % 2 == 0 { "ann@example.org".to_owned() } else { format!("nobody{n}@example.org") };
            // One household of IPv6: every attempt from another address of the same /64.
            sign_in_from(&sotto, &format!("2001:db8:0:1::{n:x}"), &email, "wrong password").status
        })
        .collect();
    assert!(statuses.iter().all(|s| matches!(s, 401 | 429)), "{statuses:?}");
    assert_eq!(statuses.first(), Some(&401));
    assert_eq!(statuses.iter().step_by(2).filter(|s| **s == 401).count(), 10, "{statuses:?}");
    let last = sign_in_from(&sotto, "2001:db8:0:1::ffff", "ann@example.org", PASSWORD);
    assert_eq!(last.status, 429, "the attacker's network waits, with the right password too");
    assert!(last.header("retry-after").is_some_and(|s| s.parse::<u32>().is_ok_and(|s| s > 0)));
    for elsewhere in ["2001:db8:0:2::1", "198.51.100.4"] {
        assert_eq!(sign_in_from(&sotto, elsewhere, "ann@example.org", PASSWORD).status, 303, "{elsewhere}");
    }
}

#[test]
fn parallel_guesses_are_bounded_and_never_an_error() {
    let sotto = Sotto::start();
    add_user(&sotto, "ann@example.org", &["--role", "owner"]);
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let guess = || sign_in_from(&sotto, "203.0.113.9", "ann@example.org", "wrong password");
        let guesses: Vec<_> = (0..100).map(|_| scope.spawn(guess)).collect();
        guesses.into_iter().map(|guess| guess.join().unwrap()).collect()
    });
    let count = |status| answers.iter().filter(|a| a.status == status).count();
    assert_eq!(count(401) + count(429), 100, "{:?}", answers.iter().map(|a| a.status).collect::<Vec<_>>());
    assert!((1..=10).contains(&count(401)), "{} guesses were tried", count(401));
    assert!(answers.iter().filter(|a| a.status == 429).all(|a| a.header("retry-after").is_some()));
    assert_eq!(sign_in_from(&sotto, "198.51.100.4", "ann@example.org", PASSWORD).status, 303);
}

#[test]
fn password_that_is_typed_is_not_shown() {
    let sotto = Sotto::start();
    let (terminal, keyboard) = terminal();
    let mut adding = sotto.command();
    adding.args(["user", "add", "ann@example.org", "--role", "owner"]);
    let mut child = adding.stdin(keyboard).stdout(Stdio::piped()).spawn().unwrap();
    // The end of the command that this process would hold open.
    drop(adding);
    let mut out = child.stdout.take().unwrap();
    let mut asked = [0; 10];
    out.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"Password: ");
    let (mut typing, mut screen) = (terminal.try_clone().unwrap(), terminal);
    typing.write_all([PASSWORD, "\n"].concat().as_bytes()).unwrap();
    let mut shown = Vec::new();
    // Ends with an error when the last of its other ends is closed.
    let _hung_up = screen.read_to_end(&mut shown);
    assert!(child.wait().unwrap().success());
    assert_eq!(String::from_utf8_lossy(&shown), "\r\n", "only the end of the line");
    cookie(&sign_in(&sotto, "ann@example.org", PASSWORD));
}

/// A terminal: its screen with a keyboard before it, and what a program gets of it.
fn terminal() -> (File, File) {
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let name = ptsname(&screen, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let program = rustix::fs::open(name, flags, Mode::empty()).unwrap();
    (File::from(screen), File::from(program))
}

#[test]
fn everything_that_the_command_line_changes_is_in_the_audit_log_without_names_of_people() {
    let sotto = Sotto::start();
    let site = sotto.add_site("a.example", &[]);
    add_user(&sotto, "owner@example.org", &["--role", "owner"]);
    add_user(&sotto, "ann@example.org", &["--role", "viewer", "--site", &site]);
    assert!(sotto.try_run(&["user", "password", "ann@example.org"], "another long password").0);
    sotto.run(&["user", "remove", "ann@example.org"]);
    let number = |listed: &str| -> String {
        let rows: serde_json::Value = serde_json::from_str(listed).unwrap();
        rows.as_array().map_or(&rows, |rows| &rows[0])["id"].as_str().unwrap().to_owned()
    };
    let token = sotto.run(&["token", "add", "ci", "--site", &site, "--json"]);
    sotto.run(&["token", "remove", &number(&token)]);
    sotto.run(&["goal", "add", &site, "Order", "--page", "/order"]);
    sotto.run(&["goal", "remove", &site, &number(&sotto.run(&["goal", "list", &site, "--json"]))]);
    sotto.run(&["funnel", "add", &site, "Ordered", "--step", "/cart", "--step", "/order"]);
    sotto.run(&["funnel", "remove", &site, &number(&sotto.run(&["funnel", "list", &site, "--json"]))]);
    let mut log = audit_log(&sotto);
    log.reverse();
    let done: Vec<&str> = log.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(
        done,
        [
            "site_add",
            "user_add",
            "user_add",
            "password_change",
            "user_remove",
            "token_add",
            "token_remove",
            "goal_add",
            "goal_remove",
            "funnel_add",
            "funnel_remove"
        ]
    );
    let secret = token.split('"').find(|part| part.starts_with("sotto_")).unwrap();
    for (action, detail) in &log {
        assert!(!detail.contains('@') && !detail.contains(secret), "{action}: {detail}");
    }
    assert!(log[2].1.ends_with("as viewer") && log[5].1.ends_with("read: ci"), "{log:?}");
}
