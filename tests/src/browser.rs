//! A real browser: headless Chromium that looks like a person's.

use std::process::{Command, Stdio};

use crate::PATIENCE;

/// The user agent of a person's browser.
pub const PERSON: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

/// Headless Chromium.
pub struct Chromium {
    profile: tempfile::TempDir,
}

impl Default for Chromium {
    fn default() -> Self {
        Self::new()
    }
}

impl Chromium {
    /// A browser with an empty profile.
    pub fn new() -> Self {
        Self { profile: tempfile::tempdir().unwrap() }
    }

    /// Opens a page, lets it run for some virtual time, and returns the resulting document.
    pub fn open(&self, url: &str) -> String {
        let output = Command::new("chromium")
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                // Hides automation: bots are not counted.
                "--disable-blink-features=AutomationControlled",
                "--virtual-time-budget=5000",
                "--dump-dom",
            ])
            .arg(format!("--user-agent={PERSON}"))
            .arg(format!("--timeout={}", PATIENCE.as_millis()))
            .arg(format!("--user-data-dir={}", self.profile.path().display()))
            .arg(url)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .expect("chromium is installed by `make test`");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
