//! The command line, one file a subcommand. All flags stand in docs/cli.md.

mod ask;
mod brake;
mod check;
mod cluster;
mod colour;
mod completions;
mod discover;
mod error;
mod errors;
pub mod exit;
mod explain;
mod flags;
mod health;
mod hints;
mod journal;
mod log;
mod man;
mod operations;
mod parse;
mod print;
mod problems;
mod rbac;
mod relabel;
mod roster;
mod run;
mod signals;
mod targets;
mod top;
mod trace;
mod version;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ArgMatches, Command, CommandFactory, FromArgMatches, Parser, Subcommand};
pub use error::Error;
use exit::Failure;

use crate::api::Build;

/// Finds targets by your own prometheus.yml, scrapes them, sends samples on, and tells others the targets.
#[derive(Debug, Parser)]
#[command(name = "rosterd", max_term_width = 100, propagate_version = true, subcommand_required = true)]
struct Cli {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    Run(run::Args),
    #[command(subcommand)]
    Check(check::Check),
    Discover(discover::Args),
    Relabel(relabel::Args),
    Parse(parse::Args),
    Health(health::Args),
    Targets(targets::Args),
    Top(top::Args),
    Explain(explain::Args),
    Journal(journal::Args),
    Roster(roster::Args),
    Operations(operations::Args),
    Cluster(cluster::Args),
    #[command(subcommand)]
    Brake(brake::Brake),
    Errors(errors::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// The whole of the command line: subcommands, flags, help. What the documentation is checked against.
pub fn command() -> Command {
    let command = Cli::command().version(env!("CARGO_PKG_VERSION"));
    // Every subcommand takes --help; one more that prints the same is one more to document.
    let command = ["check", "brake"].into_iter().fold(command.disable_help_subcommand(true), |command, name| {
        command.mut_subcommand(name, |subcommand| subcommand.disable_help_subcommand(true))
    });
    with_examples(command, "rosterd")
}

/// The help of each subcommand ends with its examples.
fn with_examples(command: Command, name: &str) -> Command {
    let command = command.mut_subcommands(|subcommand| {
        let name = format!("{name} {}", subcommand.get_name());
        with_examples(subcommand, &name)
    });
    let Some(chapters) = man::chapters::of(name) else { return command };
    let lines = chapters.examples.iter().map(|(what, line)| format!("  {what}\n    {line}\n"));
    command.after_long_help(format!("Examples:\n{}", lines.collect::<String>().trim_end()))
}

/// Runs the command line of this process, with all mechanisms that are linked in. What it was built from is said by
/// [`revision!`](crate::revision), which the binary has to ask for itself.
pub fn main(revision: [&'static str; 3]) -> ExitCode {
    let build = Build::of(revision);
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match parse(&build, &arguments) {
        Ok((cli, matches)) => exit::report(run(cli, &matches, build)),
        Err(mut refused) => {
            let hint = hints::improve(&mut refused, &arguments);
            exit::refused(&refused, hint.as_deref())
        }
    }
}

fn parse(build: &Build, arguments: &[OsString]) -> Result<(Cli, ArgMatches), clap::Error> {
    let mut command = command().long_version(version::long(build));
    if let Some(refused) = hints::single_dash(&command, arguments) {
        return Err(refused);
    }
    let matches = command.try_get_matches_from_mut(arguments)?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    Ok((cli, matches))
}

fn run(cli: Cli, matches: &ArgMatches, build: Build) -> Result<(), Failure> {
    match cli.command {
        Subcommands::Run(args) => run::run(args, flags(matches), build),
        Subcommands::Check(what) => check::run(what),
        Subcommands::Discover(args) => discover::run(&args),
        Subcommands::Relabel(args) => relabel::run(&args),
        Subcommands::Parse(args) => parse::run(&args),
        Subcommands::Health(args) => health::run(&args),
        Subcommands::Targets(args) => targets::run(&args),
        Subcommands::Top(args) => top::run(&args),
        Subcommands::Explain(args) => explain::run(&args),
        Subcommands::Journal(args) => journal::run(&args),
        Subcommands::Roster(args) => roster::run(&args),
        Subcommands::Operations(args) => operations::run(&args),
        Subcommands::Cluster(args) => cluster::run(&args),
        Subcommands::Brake(what) => brake::run(&what),
        Subcommands::Errors(args) => errors::run(&args),
        Subcommands::Completions(args) => completions::run(&args),
        Subcommands::Man(args) => man::run(&args),
    }
}

/// The flags of the subcommand that was given.
fn flags(matches: &ArgMatches) -> BTreeMap<String, String> {
    let command = command();
    let given = matches.subcommand().and_then(|(name, own)| Some((command.find_subcommand(name)?, own)));
    given.map(|(subcommand, own)| run::flags_of(subcommand, own)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
