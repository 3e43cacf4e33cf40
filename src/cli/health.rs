//! `rosterd health`: asks a running rosterd how it is, as a HEALTHCHECK does.

use std::io::Write;

use super::ask::{Question, Running};
use super::exit::{Failure, tell};

/// Ask a running rosterd whether it is healthy.
///
/// Exits with 0 when it answers that it is, and with 1 when it answers otherwise, or not in time.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    running: Running,
    /// Ask whether it is ready: whether all providers have reported, or have had the time to
    #[arg(long)]
    ready: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let question = Question::get(if args.ready { "/-/ready" } else { "/-/healthy" });
    let answer = args.running.text(&question).map_err(|failure| match failure {
        // That is what it means here: why has been told.
        Failure::Untold(report) if args.ready && report.code == "http_throttled" => {
            tell("not ready");
            Failure::Told
        }
        other => other,
    })?;
    writeln!(std::io::stdout(), "{}", super::print::plain_lines(answer.trim_end())).map_err(Failure::of_output)
}
