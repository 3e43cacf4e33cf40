//! The rosterd binary. A program with more mechanisms is this file, with a `use my_mechanism as _;` for each crate.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    rosterd::cli::main(rosterd::revision!())
}
