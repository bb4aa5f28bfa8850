//! The drop-in format: no bytes panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sotto_collector::pipeline::dropin::plausible;

fuzz_target!(|body: &[u8]| {
    let _ = plausible::event(body);
});
