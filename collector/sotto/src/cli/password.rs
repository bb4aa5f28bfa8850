//! A password, typed or piped.

use std::io::{BufRead, IsTerminal, Stdin};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::output;
use crate::failure::Failure;

/// Reads a password from standard input; on a terminal it prompts, and does not echo what is typed.
pub fn read() -> Result<String, Failure> {
    let stdin = std::io::stdin();
    // Before the prompt: whoever reads it may type at once.
    let hidden = if stdin.is_terminal() { Some(Hidden::on(&stdin)?) } else { None };
    if hidden.is_some() {
        output::print(format_args!("Password: "))?;
    }
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// A terminal with echo switched off until this is dropped.
struct Hidden<'a> {
    terminal: &'a Stdin,
    before: Termios,
}

impl<'a> Hidden<'a> {
    fn on(terminal: &'a Stdin) -> Result<Self, Failure> {
        let before = tcgetattr(terminal)?;
        let mut modes = before.clone();
        modes.local_modes.remove(LocalModes::ECHO);
        // The newline is echoed, so that further output begins on a new line.
        modes.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(terminal, OptionalActions::Now, &modes)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        let _gone = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}
