//! How often the classification of devices and crawlers is right, against labels that do not come from us.
//!
//! `cargo bench -p sotto-collector --bench accuracy [-- DIRECTORY]` installs three npm packages into the directory
//! (default: one under the target directory), labels them with `accuracy_labels.cjs` and prints one table: weighted by
//! traffic, with the worst misses, and with `--list` the crawlers that were let in. Data are fetched when it runs and are no part of the repository.

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
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for row in &rows {
        let headers = Headers { user_agent: &row.ua, accept_language: "en", ..Headers::default() };
        let found = classifier.classify_anew(&headers);
        let bot = if found.bot.is_some() { "bot" } else { "person" };
        if row.kind == "crawler" {
            tallies.entry("7 crawler recognised").or_default().add("bot", bot, row.weight);
            continue;
        }
        let mut tally = |name, expected: &str, found: &str| {
            tallies.entry(name).or_default().add(expected, found, row.weight);
        };
        tally("1 browser family", family(&row.browser), family(&found.info.browser));
        tally("2 browser version", &row.browser_version, &found.info.browser_version);
        if !row.os.is_empty() {
            tally("3 operating system", &row.os, &found.info.os);
        }
        if !row.os_version.is_empty() {
            tally("4 iOS version", ios_version(row), &found.info.os_version);
        }
        tally("5 device class", &row.device, found.info.device.name());
        tally("6 person not taken for a bot", "person", bot);
    }
    print(&tallies);
    if std::env::args().any(|argument| argument == "--list") {
        for row in rows.iter().filter(|row| row.kind == "crawler") {
            let headers = Headers { user_agent: &row.ua, accept_language: "en", ..Headers::default() };
            if classifier.classify_anew(&headers).bot.is_none() {
                println!("let in: {}", row.ua);
            }
        }
    }
    let ai = |ua: &str| classifier.classify_anew(&Headers { user_agent: ua, ..Headers::default() }).bot;
    let ai = rows.iter().filter(|r| r.kind == "crawler" && ai(&r.ua) == Some(DropReason::BotAi)).count();
    println!("crawlers counted as AI: {ai}");
}

fn print(tallies: &BTreeMap<&str, Tally>) {
    println!("{:<30} {:>7} {:>9}  worst misses (share)", "what", "rows", "right %");
    for (name, tally) in tallies {
        let mut misses: Vec<_> = tally.misses.iter().collect();
        misses.sort_by(|a, b| b.1.total_cmp(a.1));
        let worst: Vec<_> = misses
            .iter()
            .take(4)
            .map(|(what, w)| format!("{what} ({:.2} %)", *w / tally.asked * 100.0))
            .collect();
        println!(
            "{:<30} {:>7} {:>9.2}  {}",
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
    let packages = ["user-agents@2", "ua-parser-js@1", "crawler-user-agents@1"];
    if !directory.join("node_modules").is_dir() {
        let npm = Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", "."])
            .args(packages)
            .current_dir(directory)
            .status();
        assert!(npm.is_ok_and(|s| s.success()), "npm install {packages:?}");
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
