//! Real processes, killed, starved and confused under load: whatever happens, what was acknowledged is stored
//! exactly once.
//!
//! `LONG=1` runs each test for longer. The seed of the random points is printed, and can be set with `SEED`.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod account;
mod away;
mod clock;
mod hostile;
mod kills;

/// `short`, or `long` with `LONG=1`.
fn extent(short: usize, long: usize) -> usize {
    if std::env::var_os("LONG").is_some() { long } else { short }
}
