//! `make bench`: Sotto with everything on against a bare hyper server, under the same load, in the same
//! minute.
//!
//! `load bare ADDRESS` is that bare server; `load` alone is the whole comparison.

#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)] // A tool whose output is its product.

use std::process::ExitCode;

mod bare;
mod commands;
mod compare;
mod process;
mod reports;
mod soak;
mod tls;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["bare", address] => bare::serve(address.parse().expect("an address")),
        ["compare"] => compare::run(&compare::Plan::full()),
        ["compare", "--quick"] => compare::run(&compare::Plan::quick()),
        ["commands"] => commands::run(10_000_000),
        ["commands", events] => commands::run(events.parse().expect("a number of events")),
        ["reports"] => reports::run(None),
        ["reports", events] => reports::run(Some(events.parse().expect("a number of events"))),
        ["site", events, days] => reports::site(&reports::Size {
            events: events.parse().expect("a number of events"),
            days: days.parse().expect("a number of days"),
        }),
        ["soak", minutes] => return soak::run(minutes.parse().expect("minutes")),
        ["tls"] => tls::run(),
        ["profile", seconds] => compare::profile(seconds.parse().expect("seconds"), None),
        ["profile", seconds, rate] => {
            compare::profile(seconds.parse().expect("seconds"), Some(rate.parse().expect("hits per second")));
        }
        _ => {
            eprintln!(
                "load compare [--quick] | load reports [EVENTS] | load site EVENTS DAYS | load commands [EVENTS] | load soak MINUTES | load profile SECONDS [RATE] | load tls | load bare ADDRESS"
            );
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
