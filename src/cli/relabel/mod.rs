//! `rosterd relabel`: applies relabelling rules to label sets that come as JSON, an object a line.

mod input; // a line -> labels
mod work; // one label set after the other, as rules or a job have it

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::PathBuf;

use clap::ValueEnum;
use rosterd_discovery::Registry;
use rosterd_model::NameScheme;

use self::work::{Subject, Worker};
use super::Error;
use super::colour::Colour;
use super::exit::{Failure, tell};
use super::flags::{ConfigFiles, known_job, system};
use crate::agent::jobs;

/// How much output is gathered before it is written, while there is more input to read.
const CHUNK: usize = 64 * 1024;

/// Apply relabelling rules to label sets.
///
/// Reads a label set from each line of standard input, a JSON object of texts, and writes what the rules leave of it, or
/// that they drop it. With --job the rules are those of a job, and a label set becomes a target of that job: it gets the
/// labels that the job gives to each target, and loses those that begin with __meta_. Empty lines are skipped. A line that
/// is no label set ends the run with an error that names it; the results of the lines before have been written.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A file that is a list of relabelling rules, such as stands under relabel_configs; with --job a configuration
    #[arg(long, value_name = "FILE", alias = "config.file")]
    config: PathBuf,
    /// Take the configuration's job of this name, with its relabel_configs and all else that shapes its targets
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// Tell what each rule looked at and what it changed, and which one dropped the labels
    #[arg(long)]
    explain: bool,
    /// How to write: json, unless --explain is for people
    #[arg(long, value_enum, value_name = "FORMAT")]
    output: Option<Output>,
    /// What counts as a label name; a job has its own
    #[arg(long, value_enum, default_value_t = Scheme::Utf8, value_name = "SCHEME", conflicts_with = "job")]
    metric_name_validation_scheme: Scheme,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A line for each label set: the labels as an object, sorted by name, or null; with --explain an object of all steps
    Json,
    /// For people; in colour on a terminal
    Text,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Scheme {
    /// Any text
    Utf8,
    /// ASCII letters, digits and underscores
    Legacy,
}

impl From<Scheme> for NameScheme {
    fn from(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Utf8 => Self::Utf8,
            Scheme::Legacy => Self::Legacy,
        }
    }
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let subject = match &args.job {
        Some(job) => Subject::Job(job_of(args, job)?.into()),
        None => Subject::Rules(rosterd_config::load_rules(&args.config, args.metric_name_validation_scheme.into())?),
    };
    let output = args.output.unwrap_or(if args.explain { Output::Text } else { Output::Json });
    let colour = Colour::of(&std::io::stdout(), &system());
    let input = std::io::stdin();
    if input.is_terminal() {
        tell("reading label sets, a JSON object a line, such as {\"__address__\": \"a:9100\"}; Ctrl-D ends");
    }
    let worker = Worker::new(subject, args.explain, output, colour);
    stream(worker, BufReader::with_capacity(CHUNK, input.lock()), std::io::stdout().lock())
}

/// The job, as the roster sees it. Nothing is discovered, so commands of the configuration are as good as any source.
fn job_of(args: &Args, name: &str) -> Result<crate::roster::JobSpec, Failure> {
    let files = ConfigFiles { config_file: args.config.clone(), rosterd_config_file: None, enable_exec_sd: true };
    let mut config = files.load(&Registry::linked()?)?.config;
    known_job(&config, name)?;
    config.scrape_configs.retain(|job| job.job_name() == name);
    Ok(jobs::roster(&config, &BTreeMap::new()).remove(0))
}

/// Reads to the end of the input. What was worked out before an error is written.
fn stream(mut worker: Worker, mut input: impl Buffered, mut output: impl Write) -> Result<(), Failure> {
    let (mut line, mut results) = (Vec::new(), Vec::with_capacity(2 * CHUNK));
    for number in 1.. {
        line.clear();
        let read = input.read_until(b'\n', &mut line).map_err(|source| Error::Input { line: number, source });
        let worked = match read {
            Ok(0) => break,
            Ok(_) if line.trim_ascii().is_empty() => Ok(()),
            Ok(_) => worker.line(number, &line, &mut results),
            Err(error) => Err(error),
        };
        // Whoever sends one line and waits for its result gets it.
        if worked.is_err() || results.len() >= CHUNK || input.is_drained() {
            output.write_all(&results).and_then(|()| output.flush()).map_err(Failure::of_output)?;
            results.clear();
        }
        worked?;
    }
    output.write_all(&results).and_then(|()| output.flush()).map_err(Failure::of_output)
}

/// Input of which can be told whether reading more would wait.
trait Buffered: BufRead {
    fn is_drained(&self) -> bool;
}

impl<R: std::io::Read> Buffered for BufReader<R> {
    fn is_drained(&self) -> bool {
        self.buffer().is_empty()
    }
}

#[cfg(test)]
mod tests;
