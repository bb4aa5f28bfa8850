//! The drop-in format: no bytes panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sotto_collector::pipeline::dropin::goatcounter;

fuzz_target!(|body: &[u8]| {
    let site = goatcounter::Site { key: "k7f3", host: "example.org", page: "" };
    let _ = goatcounter::batch(body, site);
    if let Ok(query) = std::str::from_utf8(body) {
        let _ = goatcounter::count(query, site);
    }
});
