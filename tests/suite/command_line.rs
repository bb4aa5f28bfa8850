//! What scripts rely on: exit codes, closed and full outputs, and that a mistyped path makes nothing.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use sotto_tests::{Sotto, program, workspace};

/// Runs the program in a directory of its own.
fn run_in(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(program()).current_dir(dir).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// How a command of a running Sotto ends: its exit code and what it says.
fn ended(sotto: &Sotto, arguments: &[&str]) -> (i32, String) {
    let output = sotto.command().args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), said.into_owned())
}

fn rows(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// The checks of `sotto doctor` by name: result, and what it found.
fn checks(sotto: &Sotto, more: &[&str]) -> BTreeMap<String, (String, String)> {
    let output = sotto.command().args(["doctor", "--json"]).args(more).output().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    rows(&String::from_utf8_lossy(&output.stdout))
        .iter()
        .map(|c| (text(&c["check"]), (text(&c["result"]), text(&c["found"]))))
        .collect()
}

#[test]
fn exit_code_is_that_of_the_table_in_the_help() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let help = sotto.run(&["--help"]);
    let table = help.split("Exit codes:").nth(1).expect("a table of exit codes");
    let told: Vec<i32> =
        table.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    assert_eq!(told, [0, 1, 2, 3, 4, 141]);
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    for code in told {
        assert!(readme.contains(&format!("\n| {code} | ")), "the README does not tell of {code}");
    }
    let (dir, taken) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let taken = taken.path().display().to_string();
    let missing = dir.path().join("missing").display().to_string();
    for (arguments, code) in [
        (&["site", "list"][..], 0),
        (&["--help"], 0),
        (&["serve"], 1),
        (&["site", "add", "https://a.example/"], 2),
        (&["site", "add", "c.example", "--time-zone", "Mars/Base"], 2),
        (&["site", "edit", &key], 2),
        (&["site", "edit", &key, "--retention-days", "761"], 2),
        (&["goal", "add", &key, "Thanks"], 2),
        (&["goal", "add", &key, "Thanks", "--page", "no-slash"], 2),
        (&["funnel", "add", &key, "One", "--step", "/a"], 2),
        (&["funnel", "add", &key, "No slash", "--step", "a", "--step", "/b"], 2),
        (&["funnel", "add", &key, "Long", "--step", "/a", "--step", "/b", "--order", "any"], 2),
        (&["token", "add", ""], 2),
        (&["user", "add", "nobody"], 2),
        (&["report", &key, "--from", "yesterday"], 2),
        (&["report", &key, "--by", "planet"], 2),
        (&["export", &key, "--from", "yesterday"], 2),
        (&["export", &key, "--from", "2026-11-02", "--to", "2026-11-01"], 2),
        (&["privacy", "erase", &key], 2),
        (&["backup", &taken], 2),
        (&["nonsense"], 2),
        (&["--listen", "8787", "site", "list"], 2),
        (&["report", "nobody"], 3),
        (&["site", "edit", "nobody", "--name", "A"], 3),
        (&["site", "remove", "nobody"], 3),
        (&["user", "remove", "nobody@example.org"], 3),
        (&["token", "remove", "5"], 3),
        (&["goal", "remove", &key, "5"], 3),
        (&["funnel", "remove", &key, "5"], 3),
        (&["import", &missing, "--from", "sotto"], 3),
        (&["--config", &missing, "site", "list"], 3),
        (&["--data", &missing, "site", "list"], 3),
        (&["--data", &missing, "restore", &missing], 3),
        (&["--data", &missing, "doctor"], 4),
        (&["archive", "verify"], 0),
        (&["salts", "ledger", "--verify"], 0),
    ] {
        let (ended, said) = ended(&sotto, arguments);
        assert_eq!(ended, code, "{arguments:?}: {said}");
        assert!(code == 0 || !said.contains("panicked"), "{arguments:?}: {said}");
    }
}

#[test]
fn closed_or_full_output_ends_a_command_quietly() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    let hit = format!(r#"{{"v":1,"s":"{key}","k":"p","i":"v1","q":0,"u":"https://a.example/"}}"#);
    assert_eq!(sotto.hit(&hit, &[]), 204);
    sotto.wait_for_pageviews(&key, 1);
    for arguments in [
        &["privacy", "records"][..],
        &["privacy", "records", "--json"],
        &["privacy", "notice", &key],
        &["privacy", "assessment", &key],
        &["site", "list"],
        &["site", "exclude-link", &key],
        &["report", &key],
        &["export", &key],
        &["salts", "ledger", "--verify"],
        &["archive", "verify"],
        &["retention", "rules"],
        &["spool", "inspect", "--json"],
        &["doctor"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let closed = sotto.command().args(arguments).stdout(writer).output().unwrap();
        assert_eq!(closed.status.code(), Some(141), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&closed.stderr), "", "{arguments:?}");
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let full = sotto.command().args(arguments).stdout(full).output().unwrap();
        assert_eq!(full.status.code(), Some(1), "{arguments:?}");
        let said = String::from_utf8_lossy(&full.stderr).into_owned();
        assert!(said.contains("No space left") && said.lines().count() == 1, "{arguments:?}: {said}");
    }
}

#[test]
fn mistyped_data_directory_is_not_made_by_a_command() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    for arguments in [
        &["site", "list"][..],
        &["site", "add", "a.example"],
        &["site", "exclude-link", "a.example"],
        &["user", "list"],
        &["report", "a.example"],
        &["export", "a.example"],
        &["import", "file", "--from", "sotto"],
        &["archive", "seal"],
        &["salts", "ledger"],
        &["retention", "run"],
        &["privacy", "erase", "a.example", "--visitor", "1"],
        &["spool", "replay"],
        &["spool", "inspect"],
        &["backup", "backup.age"],
        &["doctor"],
    ] {
        let output = run_in(dir.path(), &[&["--data", "mistyped"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("mistyped") && !output.status.success(), "{arguments:?}: {said}");
        let made: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(made, ["file"], "{arguments:?} made something");
    }
}

#[test]
fn backup_does_not_replace_a_file() {
    let sotto = Sotto::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kept");
    fs::write(&file, "the only copy").unwrap();
    let (code, said) = ended(&sotto, &["backup", &file.display().to_string()]);
    assert!(code == 2 && said.contains("exists already"), "{code} {said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "the only copy");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn edited_site_has_what_was_given_and_keeps_the_rest() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &["--name", "Shop"]);
    let other = sotto.add_site("b.example", &[]);
    let site = |key: &str| {
        let sites = rows(&sotto.run(&["site", "list", "--json"]));
        sites.into_iter().find(|site| site["key"] == key).unwrap()
    };
    let before = site(&key);
    let changed = rows(&sotto.run(&["site", "edit", &key, "--policy", "strict", "--json"]));
    assert_eq!(changed[0]["policy"], "strict");
    sotto.run(&["site", "edit", "Shop", "--hostname", "c.example", "--hostname", "www.d.example"]);
    sotto.run(&["site", "edit", "c.example", "--name", "Market", "--retention-days", "30"]);
    let after = site(&key);
    assert_eq!(after["hostnames"], serde_json::json!(["c.example", "d.example"]));
    assert_eq!((&after["name"], &after["retention_days"]), (&"Market".into(), &30.into()));
    assert_eq!((&after["time_zone"], &after["created"]), (&before["time_zone"], &before["created"]));
    let (code, said) = ended(&sotto, &["site", "edit", &key, "--hostname", "b.example"]);
    assert!(
        code == 0 && said.contains(&format!("b.example is of the site b.example ({other}), too")),
        "{code} {said}"
    );
    let (code, said) = ended(&sotto, &["site", "edit", &key, "--hostname", "c.example"]);
    assert!(code == 0 && !said.contains("too"), "{code} {said}");
    let hit = format!(r#"{{"v":1,"s":"{key}","k":"p","i":"v1","q":0,"u":"https://c.example/","c":15}}"#);
    sotto_tests::wait_for("the collector to know the new host name", || {
        assert_eq!(sotto.hit(&hit, &[]), 204);
        (sotto.outcomes("stored", "") > 0).then_some(())
    });
}

#[test]
fn host_name_outside_ascii_is_taken_in_the_form_that_browsers_send() {
    let sotto = Sotto::start();
    let listed = rows(&sotto.run(&["site", "add", "München.example", "--json"]));
    assert_eq!(listed[0]["hostnames"], serde_json::json!(["xn--mnchen-3ya.example"]));
    sotto.run(&["report", "münchen.example"]);
}

#[test]
fn events_of_a_site_that_is_not_here_are_not_imported() {
    let sotto = Sotto::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("events.jsonl");
    fs::write(&file, "{\"site\":\"5\",\"day\":\"2026-11-01\"}\n").unwrap();
    let (code, said) = ended(&sotto, &["import", &file.display().to_string(), "--from", "sotto"]);
    assert!(code == 3 && said.contains("line 1") && said.contains("--site"), "{code} {said}");
}

#[test]
fn token_of_a_removed_site_goes_with_it_and_is_never_shown_as_one_of_all_sites() {
    let sotto = Sotto::start();
    let key = sotto.add_site("a.example", &[]);
    sotto.run(&["token", "add", "narrow", "--site", &key]);
    sotto.run(&["token", "add", "wide"]);
    sotto.run(&["site", "remove", &key]);
    let of = |name: &str| {
        let listed = rows(&sotto.run(&["token", "list", "--json"]));
        listed.iter().find(|token| token["name"] == name).map(|token| token["site"].clone())
    };
    assert_eq!((of("narrow"), of("wide")), (None, Some("all sites".into())));
    // An earlier Sotto left it.
    sotto.ask_clickhouse(
        "INSERT INTO tokens SELECT * REPLACE (version + 3600000000 AS version, 0 AS deleted) FROM tokens WHERE name = 'narrow' AND deleted = 0",
    );
    assert_eq!((of("narrow"), of("wide")), (Some("(removed)".into()), Some("all sites".into())));
}

#[test]
fn missing_argument_names_all_that_would_do() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, parts) in [
        (&["goal", "add", "a.example", "Thanks"][..], ["--page", "--event"]),
        (&["privacy", "export", "a.example"], ["--visitor", "--id"]),
        (&["geoip", "update"], ["--npm", "--account"]),
        (&["site", "edit", "a.example"], ["--name", "--policy"]),
    ] {
        let output = run_in(dir.path(), arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        for part in parts {
            assert!(said.contains(part), "{arguments:?}: {said:?} lacks {part}");
        }
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn doctor_tells_what_is_wrong_with_directories_keys_and_peers() {
    let mut sotto = Sotto::start();
    sotto.stop();
    let good = checks(&sotto, &[]);
    assert!(good.values().all(|(result, _)| result == "ok"), "{good:?}");
    let key = sotto.data().join("account-key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let (result, found) = &checks(&sotto, &[])["account key"];
    assert!(result == "wrong" && found.contains("others may read it"), "{found}");
    fs::write(&key, "short").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(checks(&sotto, &[])["account key"].0, "wrong");
    fs::remove_file(&key).unwrap();
    let (result, found) = &checks(&sotto, &[])["account key"];
    assert!(result == "wrong" && found.contains("not there"), "{found}");
    for (data, part) in [("/dev/null/sotto", "/dev/null"), ("/proc/sotto", "cannot be written")] {
        let (result, found) = &checks(&sotto, &["--data", data])["data directory"];
        assert!(result == "wrong" && found.contains(part), "{data}: {found}");
    }
    let dir = tempfile::tempdir().unwrap();
    let (config, peers) = (dir.path().join("peers.toml"), dir.path().join("peers.key"));
    fs::write(
        &config,
        format!(
            "listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n[peers]\nname = \"c1\"\nlisten = \"127.0.0.1:0\"\nothers = {{ c2 = \"127.0.0.1:9\" }}\nkey_file = {peers:?}\n"
        ),
    )
    .unwrap();
    let config = config.display().to_string();
    assert_eq!(checks(&sotto, &["--config", &config])["peers"].0, "wrong", "the key file is missing");
    fs::write(&peers, "0".repeat(64)).unwrap();
    let (result, found) = &checks(&sotto, &["--config", &config])["peers"];
    assert!(result == "wrong" && found.contains("others may read it"), "{found}");
    fs::set_permissions(&peers, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(checks(&sotto, &["--config", &config])["peers"].0, "ok");
}
