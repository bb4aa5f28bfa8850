//! Why a command failed, as one line for people, with the exit code.

use std::fmt;

/// Why a command failed, with the exit code.
#[derive(Debug)]
pub struct Failure {
    message: String,
    /// 1: it failed; 2: wrong usage.
    pub code: u8,
}

impl Failure {
    /// A failure with all its causes.
    pub fn new(error: impl std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            source = cause.source();
        }
        Self { message, code: 1 }
    }

    /// A usage error.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 2 }
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Prints what went wrong.
#[allow(clippy::print_stderr)]
pub fn complain(failure: &Failure) {
    eprintln!("sotto: {failure}");
}
