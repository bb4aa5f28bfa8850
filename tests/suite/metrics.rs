//! What supervisors read: the metrics' formats, and that the dashboard and the alerts ask for what there is.

use std::{collections::BTreeSet, fs};

use serde_json::Value;
use sotto_tests::{Sotto, request, workspace};

/// The names of metrics in a text.
fn named(text: &str) -> BTreeSet<String> {
    let is_name = |c: &char| c.is_ascii_lowercase() || *c == '_';
    text.match_indices("sotto_").map(|(at, _)| text[at..].chars().take_while(is_name).collect()).collect()
}

/// Every sample's name in an answer of `/metrics`.
fn samples(metrics: &str) -> BTreeSet<String> {
    let lines = metrics.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(['{', ' ']).next().unwrap().to_owned()).collect()
}

#[test]
fn dashboard_and_alerts_name_metrics_that_exist_and_the_dashboard_shows_all() {
    let sotto = Sotto::start();
    let there = samples(&request("GET", &format!("{}/metrics", sotto.admin), &[], b"").text());
    let dashboard = fs::read_to_string(workspace().join("docs/grafana.json")).unwrap();
    let alerts = fs::read_to_string(workspace().join("docs/alerts.yml")).unwrap();
    for (file, text) in [("grafana.json", &dashboard), ("alerts.yml", &alerts)] {
        let asked = named(text);
        assert!(asked.len() > 8, "{file}: {asked:?}");
        let unknown: Vec<_> = asked.difference(&there).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}; there is {there:?}");
    }
    let hidden: Vec<_> = there.difference(&named(&dashboard)).cloned().collect();
    assert!(hidden.is_empty(), "grafana.json does not show {hidden:?}");
    let parsed: Value = serde_json::from_str(&dashboard).unwrap();
    assert!(parsed["panels"].as_array().is_some_and(|panels| panels.len() > 10));
}

#[test]
fn metrics_are_told_in_the_format_that_is_asked_for() {
    let sotto = Sotto::start();
    let url = format!("{}/metrics", sotto.admin);
    for (accept, content_type) in [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/html, */*", "text/plain; version=0.0.4; charset=utf-8"),
        (
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
    ] {
        let answer = request("GET", &url, &[("accept", accept)], b"");
        assert_eq!(answer.header("content-type"), Some(content_type), "{accept}");
        let text = answer.text();
        let is_open = content_type.starts_with("application/openmetrics-text");
        assert_eq!(text.ends_with("\n# EOF\n"), is_open);
        for name in samples(&text) {
            let suffixes: &[_] = if is_open {
                &["_total", "_bucket", "_sum", "_count"]
            } else {
                &["_bucket", "_sum", "_count"]
            };
            let family = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(&name);
            for word in ["HELP", "TYPE"] {
                assert_eq!(text.matches(&format!("# {word} {family} ")).count(), 1, "{word} of {family}");
            }
        }
    }
}

#[test]
fn ages_are_told_in_seconds() {
    let sotto = Sotto::start();
    let site = sotto.add_site("a.example", &[]);
    let hit = format!(r#"{{"v":1,"s":"{site}","k":"p","i":"v1","q":0,"u":"https://a.example/"}}"#);
    assert_eq!(sotto.hit(&hit, &[]), 204);
    sotto.wait_for_pageviews(&site, 1);
    let text = request("GET", &format!("{}/metrics", sotto.admin), &[], b"").text();
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is missing")).parse().unwrap()
    };
    assert!((0.0..=25.5 * 3600.0).contains(&value("sotto_salt_age_seconds")), "the salt is today's");
    let files = value("sotto_geoip_files");
    assert!(files > 0.0 && value("sotto_geoip_age_seconds") > 0.0, "the files are from the past");
    assert!(value("sotto_ship_seconds_count") >= 1.0 && value("sotto_ship_seconds_sum") > 0.0);
    assert_eq!(value("sotto_spool_oldest_hit_seconds"), 0.0, "nothing waits");
}
