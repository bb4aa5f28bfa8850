//! User agents and hints: no text panics.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sotto_collector::pipeline::{device::Classifier, hit::Headers};

static CLASSIFIER: LazyLock<Classifier> = LazyLock::new(Classifier::new);

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (user_agent, hint) = text.split_once('\n').unwrap_or((text, ""));
    let headers = Headers {
        user_agent,
        ch_brands: Some(hint),
        ch_platform: Some(hint),
        ch_platform_version: Some(hint),
        ..Headers::default()
    };
    let info = CLASSIFIER.classify_anew(&headers).info;
    assert!(info.browser_version.len() <= 6 && info.os_version.len() <= 6);
});
