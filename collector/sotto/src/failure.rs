//! Why a command failed, as one line for people, with the exit code for scripts.

use std::{fmt, io, io::Write as _, path::Path};

/// How a command ends, besides well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It could not be done, this time.
    Failed,
    /// It cannot be done as it was asked for.
    Usage,
    /// What was named is not there.
    Missing,
    /// A check found something wrong.
    Found,
    /// Whoever read the output has gone, and wants no more of it.
    Closed,
}

impl Exit {
    const ALL: [Self; 5] = [Self::Failed, Self::Usage, Self::Missing, Self::Found, Self::Closed];

    /// The exit code. Scripts rely on it.
    pub const fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Missing => 3,
            Self::Found => 4,
            // As of a program that SIGPIPE ended.
            Self::Closed => 141,
        }
    }

    const fn meaning(self) -> &'static str {
        match self {
            Self::Failed => "failed: the database, the disk, the network or another sotto is in the way",
            Self::Usage => "wrong argument or configuration; the message says what is allowed",
            Self::Missing => "no site, user, token, goal, funnel, file or database of that name",
            Self::Found => "doctor, archive verify or salts ledger --verify found something wrong",
            Self::Closed => "whoever read the output has gone (as in `sotto export SITE | head`)",
        }
    }

    /// All codes with their meanings, for the help.
    pub fn table() -> String {
        let mut text = format!("Exit codes:\n{:>5}  done\n", 0);
        for exit in Self::ALL {
            text.push_str(&format!("{:>5}  {}\n", exit.code(), exit.meaning()));
        }
        text
    }
}

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    message: String,
    /// What its exit code says.
    pub exit: Exit,
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
        Self { message, exit: Exit::Failed }
    }

    /// It could not be done, this time.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { message: message.into(), exit: Exit::Failed }
    }

    /// A usage error.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), exit: Exit::Usage }
    }

    /// What was named is not there.
    pub fn missing(message: impl Into<String>) -> Self {
        Self { message: message.into(), exit: Exit::Missing }
    }

    /// A check found something wrong.
    pub fn found(message: impl Into<String>) -> Self {
        Self { message: message.into(), exit: Exit::Found }
    }

    /// A file that was named cannot be read.
    pub fn file(path: &Path, error: &io::Error) -> Self {
        let exit = if error.kind() == io::ErrorKind::NotFound { Exit::Missing } else { Exit::Failed };
        Self { message: format!("{}: {error}", path.display()), exit }
    }

    /// Standard output cannot be written.
    pub fn output(error: &io::Error) -> Self {
        let exit = if error.kind() == io::ErrorKind::BrokenPipe { Exit::Closed } else { Exit::Failed };
        Self { message: format!("standard output: {error}"), exit }
    }

    /// The same failure with another exit code.
    #[must_use]
    pub fn ending(self, exit: Exit) -> Self {
        Self { exit, ..self }
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

/// Prints what went wrong. Where standard error is closed or full, nobody can be told; the exit code says it.
pub fn complain(failure: &Failure) {
    if failure.exit != Exit::Closed {
        let _unread = writeln!(io::stderr(), "sotto: {failure}");
    }
}
