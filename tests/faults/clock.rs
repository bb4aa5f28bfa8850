//! A clock that jumps, forwards and back.

use std::fs;

use sotto_tests::Sotto;

use crate::account::{Running, settle};

/// The library that fakes a process's clock (libfaketime), where Debian installs it.
fn faketime() -> String {
    let found =
        fs::read_dir("/usr/lib").unwrap().flatten().map(|e| e.path().join("faketime/libfaketime.so.1"));
    let found = found.filter(|path| path.exists()).max();
    found.expect("libfaketime is installed by `make test`").display().to_string()
}

#[test]
fn clock_that_jumps_loses_and_doubles_nothing() {
    let offset = tempfile::NamedTempFile::new().unwrap();
    let jump = |by: &str| fs::write(offset.path(), format!("{by}\n")).unwrap();
    jump("+0");
    let mut sotto = Sotto::start();
    sotto.stop();
    sotto.with_environment(&[
        ("LD_PRELOAD", faketime()),
        ("FAKETIME_TIMESTAMP_FILE", offset.path().display().to_string()),
        ("FAKETIME_NO_CACHE", "1".into()),
        // The wall clock jumps; the monotonic clock does not, as in a real system.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
    ]);
    sotto.start_again();
    let site = sotto.add_site("a.example", &[]);
    let load = Running::start(&sotto, &site, 500.0);
    for by in ["+3600", "-3600", "+0", "+90000", "+0", "-90000", "+0"] {
        load.goes_on_for(300);
        jump(by);
    }
    load.goes_on_for(300);
    let sent = load.end();
    settle(&sotto, &site, &sent, "a clock that jumps by an hour and by a day");
}
