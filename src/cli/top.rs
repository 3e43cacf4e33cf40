//! `rosterd top`: which targets and jobs of a running rosterd cost most.

use std::io::Write;
use std::time::Duration;

use clap::ValueEnum;

use super::ask::{Question, Running};
use super::exit::{Failure, tell};
use super::print;
use crate::api::words::{bytes, fine, grouped};
use crate::explain::{Cost, Top};

/// Tell which targets and jobs cost most.
///
/// Of each target counts the last scrape; failures are counted since the target came, or rosterd started.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only those whose labels hold these words, or that a selector such as '{job="nodes",instance=~"a.*"}' means
    #[arg(value_name = "WHAT")]
    what: Vec<String>,
    /// By what to sort
    #[arg(long, value_enum, value_name = "COST", default_value_t = By::Samples)]
    by: By,
    /// Only targets of this job
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// How many jobs and targets to tell
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    limit: usize,
    /// How to write
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    running: Running,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// Samples of the last good scrape
    Samples,
    /// The size of the last body, once unpacked
    Bytes,
    /// How long the last scrape took
    Duration,
    /// How many scrapes failed
    Failures,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A table of jobs, and one of targets
    Text,
    /// The data of the answer of /api/v1/top
    Json,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let by = args.by.to_possible_value().map(|by| by.get_name().to_owned());
    let question = Question::get("/api/v1/top")
        .with("by", by)
        .with("job", args.job.as_ref())
        .with("search", (!args.what.is_empty()).then(|| args.what.join(" ")))
        .with("limit", Some(args.limit));
    let (top, infos): (Top, _) = args.running.data_with_infos(&question)?;
    infos.iter().for_each(|info| tell(print::plain(&format!("note: {info}"))));
    match args.output {
        Output::Json => writeln!(std::io::stdout(), "{}", serde_json::json!(top)).map_err(Failure::of_output),
        Output::Text => tables(&top),
    }
}

fn tables(top: &Top) -> Result<(), Failure> {
    let job = |it: &crate::explain::TopJob| {
        let [samples, bytes, duration, failures] = cells(&it.cost);
        [samples, bytes, duration, failures, grouped(it.targets as u64), it.job.clone()]
    };
    let head = ["SAMPLES", "BYTES", "DURATION", "FAILURES", "TARGETS", "JOB"];
    print::table(head, &top.jobs.iter().map(job).collect::<Vec<_>>())?;
    writeln!(std::io::stdout()).map_err(Failure::of_output)?;
    let target = |it: &crate::explain::TopTarget| {
        let [samples, bytes, duration, failures] = cells(&it.cost);
        [samples, bytes, duration, failures, it.health.clone(), it.job.clone(), it.url.clone()]
    };
    let head = ["SAMPLES", "BYTES", "DURATION", "FAILURES", "HEALTH", "JOB", "URL"];
    print::table(head, &top.targets.iter().map(target).collect::<Vec<_>>())
}

fn cells(cost: &Cost) -> [String; 4] {
    let duration = Duration::try_from_secs_f64(cost.duration).unwrap_or_default();
    let failures = format!("{} of {}", grouped(cost.failures), grouped(cost.scrapes));
    [grouped(cost.samples), bytes(cost.bytes), fine(duration), failures]
}
