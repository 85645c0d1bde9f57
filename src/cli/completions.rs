//! `gaung completions`: what a shell completes.

use clap_complete::{Shell, generate};

use super::{Failure, manual, print};

/// For which shell.
#[derive(clap::Args)]
pub(super) struct Completions {
    /// The shell that is to complete
    shell: Shell,
}

impl Completions {
    /// Prints the script; the shell's own manual says where it belongs.
    pub(super) fn run(&self) -> Result<(), Failure> {
        let mut script = Vec::new();
        generate(self.shell, &mut manual::command(), "gaung", &mut script);
        print(String::from_utf8_lossy(&script).trim_end())
    }
}
