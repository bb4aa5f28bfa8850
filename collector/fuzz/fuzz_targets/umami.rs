//! The drop-in format: no bytes panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sotto_collector::pipeline::dropin::umami;

fuzz_target!(|body: &[u8]| {
    let _ = (umami::send(body), umami::batch(body));
});
