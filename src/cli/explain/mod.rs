//! `rosterd explain`: asks a running rosterd for the whole story of a target that is there, or is not.

mod story; // the story for people

use std::io::Write;
use std::time::SystemTime;

use clap::ValueEnum;
use serde::Deserialize;

use super::ask::{Question, Running};
use super::colour::Colour;
use super::exit::Failure;
use super::flags::system;
use super::print::plain_value;
use crate::explain::Explanation;

/// Tell why a target is there, or is not.
///
/// Asks a running rosterd, and tells for each entry that fits: who discovered it, its discovered labels, what each
/// relabelling rule made of them, what it was merged with, why it is held, how it is scraped, and where it is published.
/// What was dropped or cannot be a target is found too. Where nothing fits, addresses like it are told, and what rosterd
/// does not know at the moment.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// An address, a URL, words that values of its labels hold, env=prod, or a selector such as '{job="nodes",instance=~"a.*"}'
    #[arg(value_name = "WHAT", required = true)]
    what: Vec<String>,
    /// Only in this job
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// How many entries to tell, at most 100
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    limit: usize,
    /// How to write
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    running: Running,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people; in colour on a terminal
    Text,
    /// The data of the answer of /api/v1/explain
    Json,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let question = Question::get("/api/v1/explain")
        .with("q", Some(args.what.join(" ")))
        .with("job", args.job.as_ref())
        .with("limit", Some(args.limit));
    let answer: serde_json::Value = args.running.data(&question)?;
    let read = |answer| Explanation::deserialize(answer).map_err(|source| args.running.unexpected(&question, source));
    let mut out = std::io::stdout();
    let (text, is_empty) = match args.output {
        Output::Text => {
            let explanation = read(plain_value(answer))?;
            let text = story::text(&explanation, SystemTime::now(), Colour::of(&out, &system()));
            (text, explanation.found.is_empty())
        }
        Output::Json => {
            let explanation = read(answer)?;
            (format!("{}\n", serde_json::json!(explanation)), explanation.found.is_empty())
        }
    };
    out.write_all(text.as_bytes()).map_err(Failure::of_output)?;
    if is_empty { Err(Failure::Told) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
