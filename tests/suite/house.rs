//! The rules of the house: who may import whom, where an address may occur, where SQL lives.

use std::{fs, path::PathBuf};

use sotto_tests::{files, workspace};

/// All Rust files of a part of the workspace, as (path from the root, text without test modules).
fn sources(part: &str) -> Vec<(String, String)> {
    fn walk(dir: PathBuf, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("target") && !path.ends_with("node_modules") {
                walk(path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(workspace().join(part), &mut paths);
    assert!(!paths.is_empty(), "{part} has no sources");
    paths
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(workspace()).unwrap().display().to_string();
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
            (name, code)
        })
        .collect()
}

/// Lines of code (no comments) of `part` that contain one of `words`, outside `homes`.
fn offences(part: &str, words: &[&str], homes: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, text) in sources(part) {
        if homes.iter().any(|home| name.contains(home)) || name.ends_with("tests.rs") {
            continue;
        }
        for (n, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| code.contains(word)) {
                found.push(format!("{name}:{}: {}", n + 1, line.trim()));
            }
        }
    }
    found
}

fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn parts_import_only_what_the_house_allows() {
    for (part, allowed) in [
        ("geoip", &[][..]),
        ("schema", &[]),
        ("dashboard", &["sotto-schema"]),
        ("collector", &["sotto-schema", "sotto-geoip", "sotto-dashboard"]),
    ] {
        let text = fs::read_to_string(workspace().join(part).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = text.parse().unwrap();
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let names = manifest.get(section).and_then(|s| s.as_table()).into_iter().flat_map(|s| s.keys());
            for name in names.filter(|n| n.starts_with("sotto-")) {
                assert!(allowed.contains(&name.as_str()), "{part} may not import {name}");
            }
        }
    }
}

#[test]
fn only_main_knows_the_dashboard() {
    assert_none(
        "sotto_dashboard outside main.rs",
        &offences("collector", &["sotto_dashboard"], &["src/main.rs"]),
    );
}

#[test]
fn pipeline_is_synchronous_and_pure() {
    let impure = [
        "tokio::",
        "hyper::",
        "clickhouse::",
        "std::fs",
        "std::net",
        "async ",
        ".await",
        "::now(",
        "getrandom",
    ];
    assert_none("in the pipeline", &offences("collector/src/pipeline", &impure, &[]));
}

#[test]
fn spool_knows_nothing_of_http_or_clickhouse() {
    assert_none("in the spool", &offences("collector/src/spool", &["hyper", "clickhouse::", "http::"], &[]));
}

#[test]
fn address_occurs_only_in_its_homes() {
    let homes = ["client_ip", "collector/src/server.rs", "collector/src/config.rs", "/benches/", "/fuzz/"];
    for part in ["collector", "schema", "dashboard"] {
        assert_none(
            "an address",
            &offences(part, &["IpAddr", "SocketAddr::", "SocketAddr,", "peer_addr"], &homes),
        );
    }
}

#[test]
fn sql_is_never_put_together_from_text() {
    let words = [
        "format!(\"SELECT",
        "format!(\"INSERT",
        "format!(\"ALTER",
        "format!(\"CREATE",
        "format!(\"DELETE",
        "format!(\"WITH",
    ];
    for part in ["collector", "schema", "dashboard"] {
        assert_none("SQL in format!", &offences(part, &words, &[]));
    }
}

/// A server's clock is another than ours, and tests cannot set it.
#[test]
fn sql_is_told_what_time_it_is() {
    let clocks = ["now(", "now64(", "nowInBlock", "today(", "yesterday("];
    let mut found = Vec::new();
    for part in ["collector/src", "dashboard/src"] {
        for (path, bytes) in files(&workspace().join(part)) {
            let text = String::from_utf8_lossy(&bytes);
            let code = text.lines().filter(|line| !line.trim_start().starts_with("--"));
            let is_sql = path.extension().is_some_and(|e| e == "sql");
            let reads = code.filter(|line| is_sql && clocks.iter().any(|clock| line.contains(clock)));
            found.extend(reads.map(|line| format!("{}: {}", path.display(), line.trim())));
        }
    }
    assert_none("a clock in SQL", &found);
}

#[test]
fn only_main_reads_the_environment() {
    for part in ["collector", "schema/src", "dashboard/src", "geoip"] {
        let homes = ["collector/src/main.rs", "collector/src/cli.rs", "build.rs"];
        assert_none("the environment", &offences(part, &["env::var"], &homes));
    }
}

#[test]
fn rooms_have_names() {
    for part in ["collector", "schema", "dashboard", "geoip", "tests"] {
        for (name, _) in sources(part) {
            let bad = ["mod.rs", "utils.rs", "util.rs", "common.rs", "helpers.rs", "misc.rs"];
            assert!(!bad.iter().any(|b| name.ends_with(&format!("/{b}"))), "{name}");
        }
    }
}

#[test]
fn no_file_names_a_registrys_host() {
    // Put together here, so that this file does not name them either.
    let hosts = [
        ["registry.npm", "js.org"].concat(),
        ["static.crates", ".io"].concat(),
        ["deb.deb", "ian.org"].concat(),
    ];
    for file in [
        "Makefile",
        "setup/fetch",
        "setup/prerequisites",
        "package.json",
        "package-lock.json",
        ".npmrc",
        ".ci/run",
        "README.md",
    ] {
        let text = fs::read_to_string(workspace().join(file)).unwrap();
        for host in &hosts {
            assert!(!text.contains(host.as_str()), "{file} names {host}");
        }
    }
}

#[test]
fn nothing_is_left_open() {
    let words = ["todo!(", "unimplemented!(", "#[ignore", concat!("TO", "DO"), concat!("FIX", "ME")];
    for part in ["collector", "schema", "dashboard", "geoip"] {
        assert_none("left open", &offences(part, &words, &[]));
    }
}
