//! Progress of a long command: one line on standard error that is written over, if that is a terminal. Elsewhere nothing is
//! written.

use std::{
    io::{self, IsTerminal as _, Write},
    time::{Duration, Instant},
};

/// Pause between two changes of the line.
const PAUSE: Duration = Duration::from_millis(100);
/// Puts the cursor at the beginning of the line, and clears it.
const CLEAR: &str = "\r\x1b[K";

/// Shows how far a command is.
pub struct Progress<W: Write> {
    out: Option<W>,
    what: &'static str,
    total: u64,
    shown: Option<Instant>,
}

impl Progress<io::Stderr> {
    /// Of `total` bytes or events, as `what` says.
    pub fn new(what: &'static str, total: u64) -> Self {
        Self::on(io::stderr(), io::stderr().is_terminal(), what, total)
    }
}

impl<W: Write> Progress<W> {
    fn on(out: W, is_terminal: bool, what: &'static str, total: u64) -> Self {
        Self { out: is_terminal.then_some(out), what, total, shown: None }
    }

    /// `done` of the total are done.
    pub fn show(&mut self, done: u64, now: Instant) {
        if self.shown.is_some_and(|shown| now.duration_since(shown) < PAUSE) {
            return;
        }
        self.shown = Some(now);
        let percent = done.min(self.total) * 100 / self.total.max(1);
        let (what, total) = (self.what, self.total);
        self.write(format_args!("{CLEAR}{percent:3} %  {done} of {total} {what}"));
    }

    /// A command that cannot say how far it is goes through steps.
    pub fn step(&mut self, step: &str) {
        self.write(format_args!("{CLEAR}{step} …"));
    }

    /// A terminal that is gone is no reason to fail.
    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        if let Some(out) = &mut self.out {
            let _gone = out.write_fmt(text).and_then(|()| out.flush());
        }
    }
}

impl<W: Write> Drop for Progress<W> {
    fn drop(&mut self) {
        self.write(format_args!("{CLEAR}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(is_terminal: bool, show: impl Fn(&mut Progress<&mut Vec<u8>>)) -> String {
        let mut out = Vec::new();
        let mut progress = Progress::on(&mut out, is_terminal, "events", 200);
        show(&mut progress);
        drop(progress);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn progress_is_one_line_on_a_terminal_and_nothing_elsewhere() {
        let begin = Instant::now();
        let run = |progress: &mut Progress<&mut Vec<u8>>| {
            for (done, after) in [(0, Duration::ZERO), (50, PAUSE / 2), (100, PAUSE), (250, 3 * PAUSE)] {
                progress.show(done, begin + after);
            }
            progress.step("syncing");
        };
        let lines = [
            "  0 %  0 of 200 events",
            " 50 %  100 of 200 events",
            "100 %  250 of 200 events",
            "syncing …",
            "",
        ];
        assert_eq!(shown(true, run), lines.map(|line| format!("{CLEAR}{line}")).concat());
        assert_eq!(shown(false, run), "");
    }

    #[test]
    fn nothing_to_do_is_no_division_by_zero() {
        let mut out = Vec::new();
        Progress::on(&mut out, true, "events", 0).show(0, Instant::now());
        assert!(String::from_utf8(out).unwrap().contains("0 %"));
    }
}
