//! Masking: no text panics, masking again finds no address, and an address put into any text does not survive.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sotto_collector::pipeline::{parse::NAME_CHARS_MAX, referrer, sanitise};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = (sanitise::page(text), sanitise::referrer(text), sanitise::tags(text));
    let _ = referrer::attribute(text, text, sanitise::tags(text));
    let once = sanitise::event_name(text);
    // What is left between masks may look like a token for the first time, but never like an address.
    let addresses = |text: &str| text.matches(sanitise::EMAIL).count();
    assert!(once.chars().count() == NAME_CHARS_MAX || addresses(&sanitise::event_name(&once)) == addresses(&once));
    let page = sanitise::page(&format!("https://example.org/a/anna@example.com/{text}"));
    assert!(!page.is_some_and(|p| p.path.contains("anna@example.com")));
    assert!(!sanitise::prop("note", &format!("call +49 170 1234567 {text}")).1.starts_with("call +49"));
});
