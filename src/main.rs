//! The `specline` program: everything is a subcommand of it.

use std::process::ExitCode;

fn main() -> ExitCode {
    specline::cli::main()
}
