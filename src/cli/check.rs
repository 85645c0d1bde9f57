//! `gaung check`: what the server would run with.

use std::io::{self, Write};

use gaung::config::{self, Loaded};

use super::Failure;

/// The configuration goes to stdout, warnings to stderr. Problems have ended the command before.
pub fn run(loaded: &Loaded) -> Result<(), Failure> {
    for warning in &loaded.warnings {
        eprintln!("gaung: warning: {warning}");
    }
    writeln!(io::stdout(), "{}", config::describe(loaded).trim_end()).map_err(Failure::new)
}
