//! `rosterd completions`: completion of subcommands and flags in a shell.

use std::io::Write;

use clap_complete::Shell;

use super::exit::Failure;

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "rosterd", &mut script);
    std::io::stdout().write_all(&script).map_err(Failure::of_output)
}
