//! The one binary of Echolog.

use std::process::ExitCode;

fn main() -> ExitCode {
    echolog::cli::main()
}
