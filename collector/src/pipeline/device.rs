//! Derives browser, operating system and device class from user agent and client hints, and the reason to
//! drop a crawler's hit.
//!
//! What it promises: families and major versions only; the same result for the same headers; a version that
//! browsers freeze (macOS 10.15, Android 10 without a model, Windows 10 for 11) is not reported as if it were
//! true.
//! What it refuses: to keep a user agent. The cache is keyed by a seeded 64-bit hash.
//! Where the proof is: a table with every user agent that woothee gets wrong, and `benches/accuracy.rs`,
//! which measures against labelled traffic from npm.
//!
//! Layers, later ones win: woothee for what has no token of its own; the tokens of `browser.rs`, in-app
//! browsers first; the operating systems of `system.rs`; client hints, the only place where Brave and Windows
//! 11 show.

mod browser;
mod class;
mod model;
mod system;

use std::hash::{BuildHasher, Hash, Hasher};

use compact_str::CompactString;
use foldhash::quality::RandomState;
use quick_cache::sync::Cache;
use sotto_schema::{event::Device, outcome::DropReason};
use woothee::parser::{Parser, WootheeResult};

use super::{
    bots,
    hints::{Hints, cut},
    hit::Headers,
};

/// What a device is, as far as its headers say; what they do not say is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceInfo {
    /// Class of the device.
    pub device: Device,
    /// Browser family; for a page opened inside an app, the app.
    pub browser: CompactString,
    /// Major version of the browser.
    pub browser_version: CompactString,
    /// Family of the operating system.
    pub os: CompactString,
    /// Major version of the operating system; `10/11` where Windows does not say which.
    pub os_version: CompactString,
}

/// A device, or the sign that there is no person at it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Classified {
    /// The device.
    pub info: DeviceInfo,
    /// Why the hit is not kept, if the headers alone say so.
    pub bot: Option<DropReason>,
}

/// Classifies headers and caches the most frequent results.
pub struct Classifier {
    fallback: Parser,
    answers: Cache<u64, Classified>,
    seed: RandomState,
}

/// Cache size. A hundred user agents make up 90 % of most sites' traffic.
pub const ANSWERS_MAX: usize = 4096;
/// User agents are read up to this length.
pub const USER_AGENT_BYTES_MAX: usize = 1024;

impl Classifier {
    /// A classifier that has seen nothing.
    pub fn new() -> Self {
        Self { fallback: Parser::new(), answers: Cache::new(ANSWERS_MAX), seed: RandomState::default() }
    }

    /// What the headers say.
    pub fn classify(&self, headers: &Headers<'_>) -> Classified {
        let key = self.key(headers);
        if let Some(answer) = self.answers.get(&key) {
            return answer;
        }
        let answer = self.classify_anew(headers);
        self.answers.insert(key, answer.clone());
        answer
    }

    /// The same, bypassing the cache.
    pub fn classify_anew(&self, headers: &Headers<'_>) -> Classified {
        let ua = cut(headers.user_agent, USER_AGENT_BYTES_MAX);
        let hints = Hints::of(headers);
        let fallback = self.fallback.parse(ua);
        let system = system::of(ua, &hints);
        let browser = browser::of(ua, &hints, system.name, fallback.as_ref());
        let info = DeviceInfo {
            device: class::of(ua, &hints, system.name, fallback.as_ref()),
            browser: browser.name.into(),
            browser_version: major(browser.version),
            os: system.name.into(),
            os_version: system.version,
        };
        // A sender with a token knows that there was a visitor, and not with which browser.
        let unknown = headers.is_claimed && ua.is_empty();
        let bot = (!unknown)
            .then(|| bots::of_headers(ua, &hints, browser.in_app, is_crawler(fallback.as_ref())))
            .flatten();
        Classified { info, bot }
    }

    fn key(&self, headers: &Headers<'_>) -> u64 {
        let mut hasher = self.seed.build_hasher();
        headers.user_agent.hash(&mut hasher);
        headers.is_claimed.hash(&mut hasher);
        headers.ch_brands.hash(&mut hasher);
        headers.ch_mobile.hash(&mut hasher);
        headers.ch_platform.hash(&mut hasher);
        headers.ch_platform_version.hash(&mut hasher);
        hasher.finish()
    }
}

impl Default for Classifier {
    fn default() -> Self {
        Self::new()
    }
}

fn is_crawler(fallback: Option<&WootheeResult<'_>>) -> bool {
    fallback.is_some_and(|r| r.category == "crawler" || r.name == "HTTP Library")
}

/// The first number of a version.
fn major(version: &str) -> CompactString {
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    cut(&version[..digits], VERSION_CHARS_MAX).into()
}

/// What follows `token` in `text`.
fn after<'a>(text: &'a str, token: &str) -> Option<&'a str> {
    text.find(token).map(|at| &text[at + token.len()..])
}

/// Longer numbers are not versions.
const VERSION_CHARS_MAX: usize = 6;

#[cfg(test)]
mod tests;
