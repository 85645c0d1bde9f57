//! Why a command did not succeed.

use std::{fmt, process::ExitCode};

use gaung::config::Problems;

/// What stands on stderr, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    code: u8,
    is_lost: bool,
}

impl Failure {
    /// Something went wrong while the command ran: exit code 1.
    pub(crate) fn new(problem: impl fmt::Display) -> Self {
        Self { text: format!("gaung: {problem}"), code: 1, is_lost: false }
    }

    /// The connection is gone, and a client would come back: exit code 1.
    pub(crate) fn lost(problem: impl fmt::Display) -> Self {
        Self { is_lost: true, ..Self::new(problem) }
    }

    /// The configuration or the arguments are wrong: exit code 2, one line per problem.
    pub(crate) fn configuration(problems: Problems) -> Self {
        let lines: Vec<_> = problems.lines().iter().map(|line| format!("gaung: {line}")).collect();
        Self { text: lines.join("\n"), code: 2, is_lost: false }
    }

    /// The arguments are wrong: exit code 2.
    pub(crate) fn usage(problem: impl fmt::Display) -> Self {
        Self { text: format!("gaung: {problem}"), code: 2, is_lost: false }
    }

    /// The same failure, said to be that of one thing among several.
    pub(crate) fn of(self, what: &str) -> Self {
        let problem = self.text.strip_prefix("gaung: ").unwrap_or(&self.text);
        Self { text: format!("gaung: {what}: {problem}"), ..self }
    }

    /// Whether a client would come back after it.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// For the end of the process.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
