//! Every sentence about privacy names the test that fails when it is false, and that test exists.

use std::fs;

use serde_json::Value;
use sotto_tests::{Sotto, files, workspace};

/// An address and a user agent that occur nowhere else.
const ADDRESS: &str = "203.0.113.77";
const ADDRESS_BYTES: [u8; 4] = [203, 0, 113, 77];
const AGENT: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.31.41 Safari/537.36";

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|w| w == needle)
}

/// Sends some of everything from the address and user agent above.
fn send_all_kinds(sotto: &Sotto, key: &str) {
    for (n, kind) in [
        r#""k":"p","q":0,"u":"https://a.example/page?email=jane%40example.org&utm_source=n","r":"https://b.example/x?token=abcdefabcdef","w":1440"#,
        r#""k":"e","q":1,"e":12000,"d":70"#,
        r#""k":"x","q":2,"n":"Sign up","p":{"plan":"pro"}"#,
        r#""k":"w","q":3,"m":{"LCP":1200}"#,
        r#""k":"o","q":4,"c":15"#,
    ]
    .iter()
    .enumerate()
    {
        for (m, consent) in ["", r#","c":15"#, r#","c":1"#].iter().enumerate() {
            if kind.contains("\"c\"") && !consent.is_empty() {
                continue;
            }
            let hit = format!(r#"{{"v":1,"s":"{key}","i":"view{n}x{m}",{kind}{consent}}}"#);
            assert_eq!(sotto.hit(&hit, &[("user-agent", AGENT), ("x-forwarded-for", ADDRESS)]), 204);
        }
    }
    sotto.wait_for_pageviews(key, 3);
}

#[test]
fn address_and_user_agent_are_nowhere_after_a_load_of_real_hits() {
    let mut sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    send_all_kinds(&sotto, &key);
    sotto.stop();
    let mut places = files(&sotto.data());
    places.extend(fs::read_dir("/dev/shm").into_iter().flatten().flatten().flat_map(|e| files(&e.path())));
    places.push(("the log".into(), sotto.log().into_bytes()));
    assert!(places.len() > 10, "something was scanned");
    for (place, bytes) in &places {
        for (what, needle) in [
            ("the address", ADDRESS.as_bytes()),
            ("the user agent", AGENT.as_bytes()),
            ("a part of the user agent", b"142.0.31.41"),
            ("the e-mail address", b"jane@example.org"),
            ("the e-mail address", b"jane%40example.org"),
        ] {
            assert!(!contains(bytes, needle), "{what} is in {}", place.display());
        }
    }
    // The address as four bytes, next to each other, could be chance in a large file; in what we write ourselves it is
    // not.
    for (place, bytes) in places.iter().filter(|(p, _)| p.starts_with(sotto.data().join("spool"))) {
        assert!(!contains(bytes, &ADDRESS_BYTES), "the address is in {}", place.display());
    }
}

#[test]
fn stored_columns_are_those_of_the_records_of_processing() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    send_all_kinds(&sotto, &key);
    let records: Value = serde_json::from_str(&sotto.run(&["privacy", "records", "--json"])).unwrap();
    let records = records["fields"].as_array().unwrap();
    let named: Vec<&str> = records.iter().map(|r| r["name"].as_str().unwrap()).collect();
    for line in sotto.run(&["export", &key]).lines() {
        let event: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
        assert_eq!(
            event.keys().map(String::as_str).collect::<std::collections::BTreeSet<_>>(),
            named.iter().copied().collect()
        );
    }
}

#[test]
fn tags_value_of_a_click_identifier_is_never_stored() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &["--policy", "cookieless"]);
    let hit =
        format!(r#"{{"v":1,"s":"{key}","k":"p","i":"v1","q":0,"u":"https://a.example/?gclid=SECRET123"}}"#);
    assert_eq!(sotto.hit(&hit, &[]), 204);
    sotto.wait_for_pageviews(&key, 1);
    let stored = sotto.run(&["export", &key]);
    assert!(stored.contains("\"click_id\":\"gclid\"") && !stored.contains("SECRET123"), "{stored}");
}

#[test]
fn dashboard_asks_no_third_party_for_anything() {
    let sotto = Sotto::start();
    let link = sotto.set_up.clone().unwrap();
    let page = sotto_tests::request("GET", &link, &[], b"");
    let policy = page.header("content-security-policy").unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("http"), "{policy}");
    assert!(!page.text().contains("src=\"http"), "{}", page.text());
    assert_eq!(page.header("referrer-policy"), Some("same-origin"));
}

#[test]
fn processes_dump_no_core() {
    let sotto = Sotto::start();
    let pids = [vec![sotto.pid()], sotto.clickhouse_pids()].concat();
    assert!(pids.len() >= 2, "{pids:?}");
    for pid in pids {
        let limits = fs::read_to_string(format!("/proc/{}/limits", pid.as_raw_nonzero())).unwrap();
        let core = limits.lines().find(|l| l.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    }
}

#[test]
fn decision_is_recorded_under_its_receipt_and_with_no_visitor() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &["--policy", "cookieless"]);
    let decision = format!(
        r#"{{"v":1,"s":"{key}","k":"o","i":"v1","q":0,"c":5,"src":"banner","rc":{{"i":"0123456789abcdef","v":"2026-01","l":"de"}}}}"#
    );
    assert_eq!(sotto.hit(&decision, &[]), 204);
    let stored: Value = sotto_tests::wait_for("the decision to be stored", || {
        serde_json::from_str(sotto.run(&["export", &key]).lines().next()?).ok()
    });
    for (field, value) in [
        ("receipt", "0123456789abcdef"),
        ("notice_version", "2026-01"),
        ("consent_source", "banner"),
        ("kind", "consent"),
    ] {
        assert_eq!(stored[field], value, "{field}");
    }
    assert_eq!((&stored["granted"], &stored["refused"]), (&5.into(), &10.into()));
    for (field, absent) in
        [("visitor", "0"), ("session", "0"), ("view", "0"), ("city", ""), ("browser", ""), ("language", "")]
    {
        assert_eq!(stored[field].to_string().trim_matches('"'), absent, "{field}");
    }
}

/// The names of all tests of the workspace.
fn tests() -> Vec<String> {
    let mut names = Vec::new();
    for part in ["schema", "geoip", "collector", "dashboard", "tests"] {
        for (path, bytes) in files(&workspace().join(part)) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            match path.extension().and_then(|e| e.to_str()) {
                Some("rs") => {
                    let calls = text.split("fn ").skip(1);
                    names.extend(calls.filter_map(|c| c.split(['(', '<']).next()).map(str::to_owned));
                }
                Some("js" | "ts") => {
                    let calls = text.split("test('").skip(1);
                    names.extend(calls.filter_map(|c| c.split('\'').next()).map(str::to_owned));
                }
                _ => {}
            }
        }
    }
    names
}

/// The claims of the README's table, as (sentence, tests).
fn readme_claims() -> Vec<(String, Vec<String>)> {
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    let section = readme.split("## What is honest to claim").nth(1).expect("the README has the section");
    let section = section.split("\n## ").next().unwrap();
    let lines = section.lines().filter(|l| l.starts_with("| ") && !l.starts_with("| claim"));
    lines
        .map(|line| {
            let named = line.split('`').skip(1).step_by(2).filter(|n| n.contains('_'));
            (line.to_owned(), named.map(str::to_owned).collect())
        })
        .collect()
}

#[test]
fn every_claim_names_tests_that_exist() {
    let tests = tests();
    let said = sotto_schema::claims::claims().iter().map(|c| (c.id.clone(), c.tests.clone()));
    let claims: Vec<(String, Vec<String>)> = said.chain(readme_claims()).collect();
    assert!(claims.len() >= 39, "{}", claims.len());
    for (claim, named) in claims {
        assert!(!named.is_empty(), "a claim without a test: {claim}");
        for name in named {
            assert!(tests.contains(&name), "there is no test {name}: {claim}");
        }
    }
}

/// Words by which a sentence promises something about privacy.
const PROMISES: [&str; 14] = [
    "never stored",
    "not stored",
    "stored nowhere",
    "nothing is stored",
    "no cookie ",
    "without cookies",
    "cannot be joined",
    "knowing anybody",
    "anonymous pageview",
    "overwritten",
    "are destroyed",
    "honoured",
    "encrypted",
    "third party",
];

/// The texts that visitors and staff read, as (file, line number, line): templates, words, the banner.
fn texts_for_people() -> Vec<(String, usize, String)> {
    let mut found = Vec::new();
    for (dir, kinds) in [
        ("dashboard/web/templates", &["html"][..]),
        ("dashboard/src/routes", &["rs"]),
        ("collector/web", &["html", "toml"]),
        ("collector/tracker/src/banner", &["ts"]),
    ] {
        for (path, bytes) in files(&workspace().join(dir)) {
            if !path.extension().and_then(|e| e.to_str()).is_some_and(|e| kinds.contains(&e)) {
                continue;
            }
            let name = path.strip_prefix(workspace()).unwrap().display().to_string();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
            // A claim of a source stands in a comment on the line before.
            let before = std::iter::once("").chain(code.lines());
            for (n, (line, before)) in code.lines().zip(before).enumerate() {
                let claim = before.trim_start().strip_prefix("// claim: ").unwrap_or_default();
                let comment = line.trim_start().starts_with("//") || line.trim_start().starts_with('#');
                if !comment {
                    let mark = if claim.is_empty() { String::new() } else { format!(" claim: {claim}") };
                    found.push((name.clone(), n + 1, format!("{line}{mark}")));
                }
            }
        }
    }
    assert!(found.len() > 500, "texts were read");
    found
}

#[test]
fn every_promise_in_a_text_is_marked_with_its_claim() {
    let known = |id: &str| sotto_schema::claims::claims().iter().any(|c| c.id == id);
    let mut open = Vec::new();
    for (file, number, line) in texts_for_people() {
        // In HTML as data-claim="id", in other sources as a comment: claim: id.
        let marks = line.split("data-claim=\"").nth(1).map(|r| r.split('"').next().unwrap_or_default());
        let marks = marks.or_else(|| line.split("claim: ").nth(1).map(str::trim));
        // A mark that a template fills in names the claims that the source takes from the file.
        let written = marks.filter(|m| !m.contains("{{"));
        for id in written.into_iter().flat_map(str::split_whitespace) {
            assert!(known(id), "{file}:{number}: there is no claim {id}");
        }
        let promise = PROMISES.iter().find(|p| line.to_lowercase().contains(**p));
        if let (Some(promise), None) = (promise, marks) {
            open.push(format!("{file}:{number}: {promise:?} in {}", line.trim()));
        }
    }
    assert!(open.is_empty(), "promises without a claim (data-claim or `claim: id`):\n{}", open.join("\n"));
}

#[test]
fn hit_of_a_program_is_counted_and_not_stored() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let hit = |view: &str| {
        format!(r#"{{"v":1,"s":"{key}","k":"p","i":"{view}","q":0,"u":"https://a.example/{view}"}}"#)
    };
    let dropped = || sotto.outcomes("dropped", "bot_user_agent");
    let before = dropped();
    let agent = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
    assert_eq!(sotto.hit(&hit("bot"), &[("user-agent", agent)]), 204);
    assert_eq!(dropped(), before + 1);
    assert_eq!(sotto.hit(&hit("person"), &[]), 204);
    sotto.wait_for_pageviews(&key, 1);
    assert_eq!(sotto.run(&["export", &key]).lines().count(), 1);
}

#[test]
fn configuration_examples_of_the_readme_are_valid() {
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    let examples: Vec<&str> =
        readme.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(examples.len() >= 2);
    for example in examples {
        let config = sotto_collector::config::Config::parse(example, "README.md".as_ref());
        assert!(config.is_ok(), "{example}\n{config:?}");
    }
}
