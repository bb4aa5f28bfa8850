//! How often the classification of devices and crawlers is right, against labels that do not come from us.
//!
//! `cargo bench -p sotto-collector --bench accuracy [-- DIRECTORY]` installs packages of npm and PyPI into the directory
//! (default: one under the target directory), labels them with `accuracy_labels.cjs` and prints three tables: real
//! traffic by its weight, rare and old devices, and a half of the latter that nobody looks at (`held`), so that rules
//! made for what was seen do not judge themselves. With the worst misses, and with `--list` each miss of what may be
//! looked at. Data are fetched when it runs and are no part of the repository.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;
use sotto_collector::pipeline::{device::Classifier, hit::Headers};
use sotto_schema::outcome::DropReason;

#[derive(Deserialize)]
struct Row {
    kind: String,
    ua: String,
    weight: f64,
    #[serde(default)]
    device: String,
    #[serde(default)]
    os: String,
    #[serde(default)]
    os_version: String,
    #[serde(default)]
    browser: String,
    #[serde(default)]
    browser_version: String,
}

/// What browsers of real visitors sent, and crawlers.
const REAL: &str = "real";
/// Rare and old devices whose misses may be looked at.
const RARE: &str = "rare";
/// The same, of which only the share is known.
const HELD: &str = "held";

impl Row {
    /// The set it belongs to, and whether it is a crawler.
    fn set(&self) -> (&'static str, bool) {
        let set = match self.kind.split(' ').next() {
            Some("rare") => RARE,
            Some("held") => HELD,
            _ => REAL,
        };
        (set, self.kind.ends_with("crawler"))
    }
}

/// What was asked of how much, and what went wrong.
#[derive(Default)]
struct Tally {
    asked: f64,
    right: f64,
    rows: usize,
    misses: BTreeMap<String, f64>,
}

impl Tally {
    fn add(&mut self, expected: &str, found: &str, weight: f64) {
        self.asked += weight;
        self.rows += 1;
        if expected == found {
            self.right += weight;
        } else {
            *self.misses.entry(format!("{expected} -> {found}")).or_default() += weight;
        }
    }
}

fn main() {
    let directory = std::env::args().skip(1).find(|a| !a.starts_with("--")).map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/accuracy")),
        PathBuf::from,
    );
    let rows = rows(&directory);
    let classifier = Classifier::new();
    let list = std::env::args().any(|argument| argument == "--list");
    let mut tallies: BTreeMap<(&str, &str), Tally> = BTreeMap::new();
    for row in &rows {
        let headers = Headers { user_agent: &row.ua, accept_language: "en", ..Headers::default() };
        let found = classifier.classify_anew(&headers);
        let bot = if found.bot.is_some() { "bot" } else { "person" };
        let (set, crawler) = row.set();
        let mut tally = |name, expected: &str, found: &str| {
            tallies.entry((set, name)).or_default().add(expected, found, row.weight);
            if list && set != HELD && expected != found {
                println!("{set} {name}: {expected} -> {found}: {}", row.ua);
            }
        };
        if crawler {
            tally("7 crawler recognised", "bot", bot);
            continue;
        }
        if set == REAL || !row.browser.is_empty() {
            tally("1 browser family", family(&row.browser), family(&found.info.browser));
            tally("2 browser version", &row.browser_version, &found.info.browser_version);
        }
        if !row.os.is_empty() {
            tally("3 operating system", &row.os, &found.info.os);
        }
        if !row.os_version.is_empty() {
            tally("4 iOS version", ios_version(row), &found.info.os_version);
        }
        if !row.device.is_empty() {
            tally("5 device class", &row.device, found.info.device.name());
        }
        tally("6 person not taken for a bot", "person", bot);
    }
    print(&tallies);
    let ai = |ua: &str| classifier.classify_anew(&Headers { user_agent: ua, ..Headers::default() }).bot;
    let ai = rows.iter().filter(|r| r.set() == (REAL, true) && ai(&r.ua) == Some(DropReason::BotAi)).count();
    println!("crawlers counted as AI: {ai}");
}

fn print(tallies: &BTreeMap<(&str, &str), Tally>) {
    println!("{:<11} {:<30} {:>7} {:>9}  worst misses (share)", "set", "what", "rows", "right %");
    for ((set, name), tally) in tallies {
        let mut misses: Vec<_> = tally.misses.iter().collect();
        misses.sort_by(|a, b| b.1.total_cmp(a.1));
        let worst: Vec<_> = misses
            .iter()
            .take(if *set == HELD { 0 } else { 4 })
            .map(|(what, w)| format!("{what} ({:.2} %)", *w / tally.asked * 100.0))
            .collect();
        println!(
            "{:<11} {:<30} {:>7} {:>9.2}  {}",
            set,
            &name[2..],
            tally.rows,
            tally.right / tally.asked * 100.0,
            worst.join(", ")
        );
    }
}

/// One name for what both sides call differently.
fn family(name: &str) -> &str {
    match name {
        "Mobile Safari" => "Safari",
        "Chrome Headless" | "Mobile Chrome" => "Chrome",
        "Mobile Firefox" => "Firefox",
        "Chrome WebView" => "Android WebView",
        "WebKit" => "iOS WebView",
        "Samsung Browser" => "Samsung Internet",
        "GSA" => "Google app",
        "Opera Mobi" | "Opera Touch" | "Opera Mini" | "Opera GX" | "Opera Coast" => "Opera",
        "MIUI Browser" => "MIUI Browser",
        "IE" | "IEMobile" => "Internet Explorer",
        "Avast Secure Browser" => "Avast",
        "AVG Secure Browser" => "AVG",
        "KAKAOTALK" => "KakaoTalk",
        "Android Browser" => "Android Browser",
        "Oculus Browser" => "Meta Quest Browser",
        other => other,
    }
}

/// ua-parser-js reads the token that is frozen at 18; from 26 on, Safari's version is the system's.
fn ios_version(row: &Row) -> &str {
    let safari =
        row.ua.split_once("Version/").and_then(|(_, rest)| rest.split('.').next()).unwrap_or_default();
    if safari.parse::<u32>().is_ok_and(|v| v >= 26) { safari } else { &row.os_version }
}

fn rows(directory: &Path) -> Vec<Row> {
    fs::create_dir_all(directory).expect("directory");
    let run = |program: &str, arguments: &[&str]| {
        let ended = Command::new(program).args(arguments).current_dir(directory).status();
        assert!(ended.is_ok_and(|status| status.success()), "{program} {arguments:?}");
    };
    if !directory.join("node_modules/yaml").is_dir() {
        run(
            "npm",
            &[
                "install",
                "--silent",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--prefix",
                ".",
                "user-agents@2",
                "ua-parser-js@1",
                "crawler-user-agents@1",
                "yaml@2",
            ],
        );
    }
    if !directory.join("device_detector").is_dir() {
        let source = "device_detector-6.5.1";
        run("pip", &["download", "--quiet", "--no-deps", "--no-binary", ":all:", "device_detector==6.5.1"]);
        run("tar", &["xzf", &format!("{source}.tar.gz")]);
        run("mv", &[source, "device_detector"]);
    }
    fs::copy(
        concat!(env!("CARGO_MANIFEST_DIR"), "/benches/accuracy_labels.cjs"),
        directory.join("labels.cjs"),
    )
    .expect("labels.cjs");
    let labels = Command::new("node").arg("labels.cjs").current_dir(directory).output().expect("node");
    assert!(labels.status.success(), "{}", String::from_utf8_lossy(&labels.stderr));
    let lines = String::from_utf8(labels.stdout).expect("labels");
    lines.lines().map(|line| serde_json::from_str(line).expect("row")).collect()
}
