//! The native format: no bytes panic, and what is accepted is within the limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sotto_collector::pipeline::parse::{self, CLICKS_MAX, ENGAGED_MS_MAX, HITS_MAX, NAME_CHARS_MAX, PROPS_MAX, URL_BYTES_MAX};

fuzz_target!(|body: &[u8]| {
    if let Ok(hits) = parse::hits(body) {
        assert!((1..=HITS_MAX).contains(&hits.len()));
        for hit in hits.into_iter().flatten() {
            assert!(!hit.site.is_empty() && hit.url.len() <= URL_BYTES_MAX);
            assert!(hit.name.chars().count() <= NAME_CHARS_MAX && hit.props.len() <= PROPS_MAX);
            assert!(hit.engaged_ms <= ENGAGED_MS_MAX && hit.scroll <= 100 && hit.clicks.len() <= CLICKS_MAX);
        }
    }
    if let Ok(query) = std::str::from_utf8(body) {
        let _ = parse::pixel(query);
    }
});
