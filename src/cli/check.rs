//! `gaung check`: what the server would run with.

use gaung::config::{self, Loaded};

use super::{Failure, print};

/// The configuration goes to stdout, warnings to stderr. Problems have ended the command before.
pub fn run(loaded: &Loaded) -> Result<(), Failure> {
    for warning in &loaded.warnings {
        eprintln!("gaung: warning: {warning}");
    }
    print(config::describe(loaded).trim_end())
}
