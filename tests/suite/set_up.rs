//! What `make setup` does when a download is not what it should be.

use std::{fs, process::Command};

use sotto_tests::workspace;

/// Fetches a small package of npm as the Makefile does; whether it succeeded, and what it said.
fn fetch(cache: &std::path::Path, version: &str, checksum: &str, file: &str) -> (bool, String) {
    let output = Command::new(workspace().join("setup/fetch"))
        .env("SOTTO_CACHE", cache)
        .args(["is-number", version, checksum, "small", "1", file])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text.into_owned())
}

#[test]
fn broken_or_missing_download_is_thrown_away_and_says_how_to_mend_it() {
    let cache = tempfile::tempdir().unwrap();
    for (version, checksum, file, said) in [
        ("7.0.0", "00", "index.js", "not what it should be"),
        ("7.0.99999", "00", "index.js", "could not fetch"),
    ] {
        let (ok, text) = fetch(cache.path(), version, checksum, file);
        assert!(!ok && text.contains(said) && text.contains("make setup again"), "{text}");
        assert!(!cache.path().join("small").exists(), "nothing of it is kept");
    }
    let (_, text) = fetch(cache.path(), "7.0.0", "00", "index.js");
    let checksum = text.split("(sha512 ").nth(1).unwrap().split(',').next().unwrap().to_owned();
    let (ok, text) = fetch(cache.path(), "7.0.0", &checksum, "index.js");
    assert!(ok, "{text}");
    assert!(fs::metadata(cache.path().join("small/index.js")).unwrap().len() > 0);
    assert_eq!(
        fetch(cache.path(), "7.0.0", &checksum, "index.js"),
        (true, String::new()),
        "the second time is silent"
    );
}
