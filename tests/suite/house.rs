//! The rules of the house: who may import whom, where an address may occur, where SQL lives.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

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
        ("schema/store", &["sotto-schema"]),
        ("dashboard", &["sotto-schema", "sotto-store"]),
        ("collector", &["sotto-schema", "sotto-store", "sotto-geoip"]),
        (
            "collector/sotto",
            &["sotto-schema", "sotto-store", "sotto-geoip", "sotto-collector", "sotto-dashboard"],
        ),
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

/// Reads a path of modules at the beginning of `text`, with what braces hold, and gives what comes after it.
fn read_paths<'a>(mut text: &'a str, mut path: Vec<String>, found: &mut Vec<Vec<String>>) -> &'a str {
    loop {
        text = text.trim_start();
        let word = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        if word > 0 {
            path.push(text[..word].to_owned());
            text = &text[word..];
            match text.strip_prefix("::") {
                Some(rest) => text = rest,
                None => break,
            }
        } else if let Some(mut inside) = text.strip_prefix('{') {
            loop {
                inside = inside.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
                if let Some(after) = inside.strip_prefix('}') {
                    return after;
                }
                if inside.is_empty() {
                    return inside;
                }
                inside = read_paths(inside, path.clone(), found);
                // Up to the next one: `as another_name`, or what is no path.
                inside = &inside[inside.find([',', '}']).unwrap_or(inside.len())..];
            }
        } else {
            break;
        }
    }
    found.push(path);
    text
}

/// Which modules of a crate's `src` name which others, by paths that begin with `crate` or `super`. A path through a
/// re-export names the module that re-exports. A module and those inside it are not looked at: they are one thing.
fn imports(part: &str) -> BTreeMap<String, BTreeSet<String>> {
    let module =
        |name: &str| name.trim_start_matches(part).trim_matches('/').trim_end_matches(".rs").to_owned();
    let texts: BTreeMap<String, String> = sources(part)
        .into_iter()
        .filter(|(name, _)| !name.ends_with("tests.rs"))
        .map(|(name, text)| (module(&name), text))
        .collect();
    let inside = |a: &str, b: &str| b.strip_prefix(a).is_some_and(|rest| rest.starts_with('/'));
    let mut all = BTreeMap::new();
    for (from, text) in &texts {
        let code: Vec<&str> = text.lines().map(|l| l.split("//").next().unwrap_or_default()).collect();
        let code = code.join("\n");
        let mut found = Vec::new();
        for start in ["crate::", "super::"] {
            for (at, _) in code.match_indices(start) {
                let before = code[..at].chars().next_back().unwrap_or(' ');
                if !before.is_alphanumeric() && before != '_' && before != ':' {
                    read_paths(&code[at..], Vec::new(), &mut found);
                }
            }
        }
        let mut named = BTreeSet::new();
        for path in found {
            let mut full: Vec<&str> = if path[0] == "crate" { Vec::new() } else { from.split('/').collect() };
            for word in &path {
                match word.as_str() {
                    "crate" | "self" => {}
                    "super" => drop(full.pop()),
                    word => full.push(word),
                }
            }
            while !full.is_empty() && !texts.contains_key(&full.join("/")) {
                full.pop();
            }
            let to = full.join("/");
            if !to.is_empty() && to != *from && !inside(&to, from) && !inside(from, &to) {
                named.insert(to);
            }
        }
        all.insert(from.clone(), named);
    }
    all
}

#[test]
fn no_two_modules_of_the_dashboard_import_each_other() {
    let imports = imports("dashboard/src");
    let named: usize = imports.values().map(BTreeSet::len).sum();
    assert!(named > 100, "only {named} imports were found: the reader is broken");
    assert!(imports["routes/consent"].contains("report/receipts"), "{:?}", imports["routes/consent"]);
    assert_none("modules that import each other", &circles(&imports));
}

/// Pairs of modules that import each other.
fn circles(imports: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    imports
        .iter()
        .flat_map(|(a, named)| named.iter().map(move |b| (a, b)))
        .filter(|(a, b)| a < b && imports.get(*b).is_some_and(|back| back.contains(*a)))
        .map(|(a, b)| format!("{a} and {b}"))
        .collect()
}

#[test]
fn only_main_and_what_it_sends_know_the_dashboard() {
    let homes =
        ["collector/sotto/src/main.rs", "collector/sotto/src/post.rs", "collector/sotto/src/webhooks.rs"];
    assert_none(
        "sotto_dashboard outside the program's crate",
        &offences("collector", &["sotto_dashboard"], &homes),
    );
}

#[test]
fn reports_wait_for_the_memory_that_others_use() {
    let asked = [".fetch_all(", ".fetch_all::<", ".fetch_one(", ".fetch_one::<"];
    let homes = ["dashboard/src/report/patient.rs"];
    let found = offences("dashboard", &asked, &homes);
    let found: Vec<_> = found.into_iter().filter(|place| place.starts_with("dashboard/src/report")).collect();
    assert_none("queries of reports that do not wait", &found);
}

/// The rooms of the collector, and which others each may import. Read from the top: nothing imports upwards, so there
/// are no circles. Who dispatches requests to them is the program (`collector/sotto/src/serve`), above all of them.
const ROOMS: [(&str, &[&str]); 15] = [
    ("background", &["archive", "config", "ingest", "metrics", "spool", "state", "supervise", "visitor"]),
    (
        "state",
        &[
            "config",
            "http",
            "ingest",
            "metrics",
            "peers",
            "pipeline",
            "ship",
            "spool",
            "supervise",
            "visitor",
        ],
    ),
    ("acme", &["config", "http", "metrics"]),
    ("rights", &["config", "http", "ingest", "pipeline", "visitor"]),
    ("ingest", &["config", "http", "metrics", "peers", "pipeline", "spool", "visitor"]),
    ("peers", &["config", "metrics", "supervise", "visitor"]),
    ("http", &["config", "metrics", "supervise", "visitor"]),
    ("ship", &["metrics", "spool"]),
    ("pipeline", &["config", "visitor"]),
    ("config", &["visitor"]),
    ("metrics", &["supervise"]),
    ("archive", &[]),
    ("spool", &["supervise"]),
    ("supervise", &[]),
    ("visitor", &[]),
];

#[test]
fn rooms_of_the_collector_import_only_what_is_below_them() {
    let src = workspace().join("collector/src");
    let found = fs::read_dir(&src).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<String> = found
        .filter(|path| path.extension().is_some_and(|e| e == "rs") && !path.ends_with("lib.rs"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    found.sort_unstable();
    let mut known: Vec<&str> = ROOMS.iter().map(|(room, _)| *room).collect();
    known.sort_unstable();
    assert_eq!(found, known, "every room is in the table");
    let imports = imports("collector/src");
    for (place, (room, allowed)) in ROOMS.iter().enumerate() {
        let above = &ROOMS[..=place];
        assert!(!above.iter().any(|(above, _)| allowed.contains(above)), "{room} may import upwards");
        for (module, named) in imports.iter().filter(|(module, _)| room_of(module) == *room) {
            for import in named.iter().map(|named| room_of(named)) {
                let fits = import == *room || allowed.contains(&import);
                assert!(fits, "{module} imports {import}, which {room} may not");
            }
        }
    }
}

fn room_of(module: &str) -> &str {
    module.split('/').next().unwrap_or_default()
}

#[test]
fn no_two_modules_of_the_collector_import_each_other() {
    for part in ["collector/src", "collector/sotto/src"] {
        assert_none("modules that import each other", &circles(&imports(part)));
    }
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
    let homes = [
        "client_ip",
        "collector/src/http/server.rs",
        "collector/src/config.rs",
        "hook/address.rs",
        "/benches/",
        "/fuzz/",
    ];
    for part in ["collector", "schema", "dashboard"] {
        assert_none(
            "an address",
            &offences(part, &["IpAddr", "SocketAddr::", "SocketAddr,", "peer_addr"], &homes),
        );
    }
}

/// Where queries are made for the lists of a page: from names of columns alone, which
/// `text_of_a_query_holds_nothing_that_people_type` checks.
const MAKERS_OF_SQL: [&str; 3] =
    ["dashboard/src/report/scan.rs", "settled/figures.rs", "settled/of_events.rs"];

#[test]
fn sql_is_put_together_in_its_homes_only() {
    let words = [
        "format!(\"SELECT",
        "format!(\"INSERT",
        "format!(\"ALTER",
        "format!(\"CREATE",
        "format!(\"DELETE",
        "format!(\"WITH",
    ];
    for part in ["collector", "schema", "dashboard"] {
        assert_none("SQL in format!", &offences(part, &words, &MAKERS_OF_SQL));
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
    for part in ["collector", "schema", "dashboard/src", "geoip"] {
        let homes = ["collector/sotto/src/main.rs", "collector/sotto/src/environment.rs", "build.rs"];
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
