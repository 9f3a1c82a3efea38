//! The one binary of Echolog.

use std::process::ExitCode;

/// A message of the broker is some thirty small allocations; the system's allocator takes a third of
/// all processor time for them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    echolog::cli::main()
}
