//! The command line as people and programs use it.

use std::process::Command;

use serde_json::Value;
use sotto_tests::{Sotto, program};

fn rows(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn everything_that_lists_also_lists_json() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &["--name", "Shop"]);
    let (ok, out) =
        sotto.try_run(&["user", "add", "ada@example.org", "--role", "owner"], "a long enough password\n");
    assert!(ok, "{out}");
    sotto.run(&["goal", "add", "Shop", "Thanks", "--page", "/thanks"]);
    sotto.run(&["funnel", "add", "Shop", "Ordered", "--step", "/cart", "--step", "event:Order"]);
    sotto.run(&["token", "add", "ci"]);
    sotto.run(&["share", "add", "Shop", "for Ann"]);
    let hit = format!(r#"{{"v":1,"s":"{key}","k":"p","i":"v1","q":0,"u":"https://a.example/"}}"#);
    assert_eq!(sotto.hit(&hit, &[]), 204);
    for (arguments, columns) in [
        (&["site", "list"][..], &["key", "name", "hostnames", "time_zone", "policy"][..]),
        (&["user", "list"], &["email", "roles"]),
        (&["token", "list"], &["id", "name", "site", "scope"]),
        (&["share", "list", "Shop"], &["id", "name", "expires", "used"]),
        (&["goal", "list", "a.example"], &["id", "name", "kind", "pattern"]),
        (&["funnel", "list", "a.example"], &["id", "name", "order", "steps"]),
        (&["salts", "ledger"], &[]),
        (&["spool", "inspect"], &["segment", "records", "waiting"]),
        (&["report", "Shop"], &["visitors", "pageviews"]),
    ] {
        let listed = rows(&sotto.run(&[arguments, &["--json"]].concat()));
        if let Some(first) = listed.first() {
            for column in columns {
                assert!(!first[column].is_null(), "{arguments:?} lacks {column}: {first}");
            }
        } else {
            assert!(columns.is_empty(), "{arguments:?} lists nothing");
        }
        assert!(!sotto.run(arguments).starts_with('['), "{arguments:?} is a table without --json");
    }
    sotto.run(&["site", "remove", &key]);
    assert_eq!(rows(&sotto.run(&["site", "list", "--json"])).len(), 0);
}

#[test]
fn commands_work_beside_a_running_sotto_and_without_one() {
    let mut sotto = Sotto::start();
    sotto.run(&["site", "add", "a.example"]);
    sotto.stop();
    sotto.run(&["site", "add", "b.example"]);
    assert_eq!(rows(&sotto.run(&["site", "list", "--json"])).len(), 2);
}

#[test]
fn second_sotto_on_the_same_data_is_refused_and_says_what_to_do() {
    let sotto = Sotto::start();
    let (ok, out) = sotto.try_run(&["serve"], "");
    assert!(!ok && out.contains("in use by another sotto") && out.contains("--data"), "{out}");
}

#[test]
fn mistake_is_answered_with_file_key_and_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let run = |config: &str, arguments: &[&str], variables: &[(&str, &str)]| {
        let file = dir.path().join("sotto.toml");
        std::fs::write(&file, config).unwrap();
        let output = Command::new(program())
            .current_dir(dir.path())
            .envs(variables.iter().copied())
            .args(arguments)
            .output()
            .unwrap();
        assert!(!output.status.success(), "{config} {arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for (config, arguments, variables, parts) in [
        ("lisen = \"x\"", &["site", "list"][..], &[][..], &["sotto.toml", "lisen", "listen"][..]),
        ("[ship]\ninterval = \"1ms\"", &["site", "list"], &[], &["sotto.toml", "ship.interval", "\"50ms\""]),
        ("", &["--config", "nowhere.toml", "site", "list"], &[], &["nowhere.toml", "cannot read"]),
        ("", &["--listen", "8787", "serve"], &[], &["--listen", "127.0.0.1:8787"]),
        ("", &["serve"], &[("SOTTO_LISTEN", "8787")], &["SOTTO_LISTEN", "127.0.0.1:8787"]),
        ("", &["--data", "/proc/nowhere", "serve"], &[], &["data = /proc/nowhere", "cannot be made"]),
        ("", &["dashboard"], &[], &["clickhouse.url"]),
    ] {
        let text = run(config, arguments, variables);
        for part in parts {
            assert!(text.contains(part), "{config:?} {arguments:?}: {text:?} lacks {part:?}");
        }
    }
}

#[test]
fn wrong_argument_names_what_is_allowed() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    for (arguments, part) in [
        (&["report", "nobody"][..], "sotto site list"),
        (&["report", &key, "--metrics", "clicks"], "pageviews"),
        (&["report", &key, "--by", "planet"], "country"),
        (&["report", &key, "--filter", "planet=Mars"], "country"),
        (&["site", "add", "https://a.example/"], "example.org"),
        (&["site", "add", "c.example", "--time-zone", "Mars/Base"], "Europe/Paris"),
        (&["site", "add", "c.example", "--retention-days", "761"], "760"),
        (&["token", "remove", "5"], "sotto token list"),
        (&["privacy", "erase", &key, "--visitor", "0"], "no visitor"),
        (&["export", &key, "--from", "yesterday"], "2026-11-01"),
    ] {
        let (ok, out) = sotto.try_run(arguments, "");
        assert!(!ok && out.contains(part), "{arguments:?}: {out:?} lacks {part:?}");
    }
}

#[test]
fn exported_events_can_be_imported_once() {
    let sotto = Sotto::start();
    let (from, to) = (sotto.add_site("a.example", &[]), sotto.add_site("b.example", &[]));
    for n in 0..3 {
        let hit = format!(r#"{{"v":1,"s":"{from}","k":"p","i":"v{n}","q":0,"u":"https://a.example/{n}"}}"#);
        assert_eq!(sotto.hit(&hit, &[]), 204);
    }
    sotto.wait_for_pageviews(&from, 3);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("events.jsonl");
    std::fs::write(&file, sotto.run(&["export", &from])).unwrap();
    let file = file.display().to_string();
    for _again in 0..2 {
        sotto.run(&["import", &file, "--from", "sotto", "--site", &to]);
    }
    assert_eq!(
        sotto.report(&to, &["--metrics", "pageviews"])[0]["pageviews"],
        3,
        "a second import doubles nothing"
    );
    std::fs::write(&file, "{\"site\":1,\"address\":\"192.0.2.1\"}\n").unwrap();
    let (ok, out) = sotto.try_run(&["import", &file, "--from", "sotto"], "");
    assert!(!ok && out.contains("line 1") && out.contains("address"), "{out}");
}

#[test]
fn export_into_a_file_goes_on_where_it_was_cut_off_and_is_the_same_as_on_standard_output() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let hit = format!(r#"{{"v":1,"s":"{key}","k":"p","i":"v1","q":0,"u":"https://a.example/"}}"#);
    assert_eq!(sotto.hit(&hit, &[]), 204);
    sotto.wait_for_pageviews(&key, 1);
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    // The same event on three days, twice on each.
    let event: Value = serde_json::from_str(&sotto.run(&["export", &key])).unwrap();
    let lines: Vec<String> = (1..=6)
        .map(|n| {
            let mut event = event.clone();
            let day = sotto_tests::Noon::now().day(n / 2 + 1).to_string();
            event["time"] = format!("{day} 12:00:00.000").into();
            (event["day"], event["path"]) = (day.into(), format!("/{n}").into());
            event.to_string() + "\n"
        })
        .collect();
    std::fs::write(path("made"), lines.concat()).unwrap();
    sotto.run(&["import", &path("made"), "--from", "sotto"]);
    let whole = sotto.run(&["export", &key]);
    let days: Vec<String> = whole
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["day"].as_str().unwrap().to_owned())
        .collect();
    assert!(days.len() == 7 && days.is_sorted(), "day by day: {days:?}");
    let file = path("out");
    for cut in [0, 9, whole.len() / 2, whole.len() - 1, whole.len()] {
        std::fs::write(&file, &whole[..cut]).unwrap();
        let (ok, out) = sotto.try_run(&["export", &key, "--out", &file], "");
        assert_eq!((ok, out.as_str()), (true, ""), "nothing is shown where there is no terminal");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), whole, "cut at {cut}");
    }
    std::fs::write(&file, "mine\n").unwrap();
    assert!(!sotto.try_run(&["export", &key, "--out", &file], "").0);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine\n");
}

#[test]
fn erased_visitor_is_gone_and_others_stay() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    for (n, language) in ["de", "fr"].iter().enumerate() {
        let hit = format!(r#"{{"v":1,"s":"{key}","k":"p","i":"v{n}","q":0,"u":"https://a.example/{n}"}}"#);
        let agent = format!("{} {language}", sotto_tests::PERSON);
        assert_eq!(sotto.hit(&hit, &[("user-agent", &agent)]), 204);
    }
    sotto.wait_for_pageviews(&key, 2);
    let first: Value = serde_json::from_str(sotto.run(&["export", &key]).lines().next().unwrap()).unwrap();
    let visitor = first["visitor"].as_str().map_or_else(|| first["visitor"].to_string(), str::to_owned);
    let held = sotto.run(&["privacy", "export", &key, "--visitor", &visitor]);
    assert_eq!(held.lines().count(), 1);
    assert!(
        sotto.run(&["privacy", "erase", &key, "--visitor", &visitor]).contains("1 events erased, 0 left")
    );
    assert_eq!(sotto.run(&["privacy", "export", &key, "--visitor", &visitor]), "");
    assert_eq!(sotto.report(&key, &["--metrics", "pageviews"])[0]["pageviews"], 1);
}

#[test]
fn ledger_tells_of_the_salt_and_verifies() {
    let mut sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let hit = format!(r#"{{"v":1,"s":"{key}","k":"p","i":"v1","q":0,"u":"https://a.example/"}}"#);
    assert_eq!(sotto.hit(&hit, &[]), 204);
    sotto.stop();
    let lines = rows(&sotto.run(&["salts", "ledger", "--json"]));
    assert_eq!((lines.len(), &lines[0]["event"]), (1, &"born".into()));
    assert!(sotto.run(&["salts", "ledger", "--verify"]).contains("chain intact, 1 salts alive"));
}

#[test]
fn doctor_finds_nothing_wrong_with_a_good_installation() {
    let sotto = Sotto::start();
    let checks = rows(&sotto.run(&["doctor", "--json"]));
    assert!(checks.len() >= 5);
    assert!(checks.iter().all(|c| c["result"] == "ok"), "{checks:?}");
}

#[test]
fn demo_fills_a_site_through_the_real_road() {
    let mut sotto = Sotto::start();
    sotto.stop();
    let out = sotto.run(&["demo", "--days", "3", "--visits", "40", "--fill-only"]);
    assert!(out.contains("Sign in as owner@demo.example"), "{out}");
    let totals = &sotto.report("demo.example", &["--metrics", "visitors,visits,pageviews,events"])[0];
    for metric in ["visitors", "visits", "pageviews", "events"] {
        assert!(totals[metric].as_u64().unwrap() > 0, "{metric}: {totals}");
    }
    for dimension in ["source", "country", "device", "browser", "page", "utm_campaign", "channel"] {
        let rows = sotto.report("demo.example", &["--metrics", "pageviews", "--by", dimension]);
        assert!(rows.len() > 1, "{dimension}: {rows:?}");
    }
    let funnels = rows(&sotto.run(&["funnel", "list", "demo.example", "--json"]));
    let names: Vec<_> = funnels.iter().map(|funnel| funnel["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Booking", "From the blog to a room"]);
    let again = sotto.run(&["demo", "--days", "3", "--fill-only"]);
    assert!(!again.contains("hits/s"), "it is filled once: {again}");
}

#[test]
fn hits_that_wait_are_shipped_by_hand_while_no_sotto_runs() {
    let mut own = Sotto::start();
    let key = own.add_site("a.example", &[]);
    let (ok, out) = own.try_run(&["spool", "replay"], "");
    assert!(!ok && out.contains("by itself"), "{out}");
    let hit = format!(r#"{{"v":1,"s":"{key}","k":"p","i":"v1","q":0,"u":"https://a.example/"}}"#);
    assert_eq!(own.hit(&hit, &[]), 204);
    own.kill();
    let shipped = own.run(&["spool", "replay"]);
    assert!(shipped.ends_with("hits shipped\n"), "{shipped}");
    assert_eq!(own.report(&key, &["--metrics", "pageviews"])[0]["pageviews"], 1);
    assert_eq!(own.run(&["spool", "replay"]), "0 hits shipped\n");
}

#[test]
fn removed_site_leaves_nothing_that_people_made_for_it_and_others_keep_theirs() {
    let sotto = Sotto::start();
    let keys = ["a.example", "b.example"].map(|host| sotto.add_site(host, &[]));
    for key in &keys {
        let email = format!("{key}@example.org");
        crate::accounts::add_user(&sotto, &email, &["--role", "editor", "--site", key]);
        for command in [
            &["goal", "add", key, "Sign up", "--event", "Signup"][..],
            &["funnel", "add", key, "Order", "--step", "/a", "--step", "/b"],
            &["annotation", "add", key, "Fair"],
            &["share", "add", key, "client"],
            &["token", "add", "ci", "--site", key],
            &["webhook", "add", key, "https://hooks.example.org/"],
        ] {
            sotto.run(command);
        }
        let site = ["(SELECT id FROM sites FINAL WHERE key = '", key, "')"].concat();
        for insert in [
            "subscriptions (site, user, kind) SELECT SITE, 7, 'weekly'",
            "segments (site, id, name) SELECT SITE, 7, 'Phones'",
            "public_sites (site) SELECT SITE",
        ] {
            sotto.ask_clickhouse(&["INSERT INTO ", &insert.replace("SITE", &site)].concat());
        }
    }
    let left = || -> Vec<String> {
        let tables = sotto.ask_clickhouse(
            "SELECT table FROM system.columns WHERE database = currentDatabase() AND name IN ('site', 'deleted') GROUP BY table HAVING count() = 2 ORDER BY table",
        );
        let count = |table: &str| {
            sotto.ask_clickhouse(&format!("SELECT uniqExact(site) FROM {table} FINAL WHERE deleted = 0"))
        };
        tables.lines().map(|table| format!("{table} {}", count(table).trim())).collect()
    };
    let both = left();
    assert!(both.len() >= 10 && both.iter().all(|count| count.ends_with(" 2")), "{both:?}");
    sotto.run(&["site", "remove", &keys[0]]);
    let one = left();
    assert!(one.iter().all(|count| count.ends_with(" 1")), "{one:?}");
}
