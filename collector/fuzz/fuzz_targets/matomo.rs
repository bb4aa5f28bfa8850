//! The drop-in format: no bytes panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sotto_collector::pipeline::dropin::matomo;

fuzz_target!(|body: &[u8]| {
    let _ = matomo::bulk(body);
    if let Ok(query) = std::str::from_utf8(body) {
        let _ = matomo::request(query);
    }
});
