//! The command line. One file per command in `cli`; every problem is one line on stderr and a non-zero exit code.

#![cfg_attr(not(test), warn(unreachable_pub, clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used))]

mod cli;

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    match cli::Cli::of_process().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            cli::complain(&failure);
            failure.exit_code()
        }
    }
}
