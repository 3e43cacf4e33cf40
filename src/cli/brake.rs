//! `rosterd brake`: what a running rosterd holds of removals that nothing has confirmed, and lets go of on demand.

use std::io::Write;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::ask::{Question, Running};
use super::exit::Failure;
use super::print::plain;

/// List and release targets whose removal is held.
///
/// When a source takes away so many targets at once that it may be mistaken, they stay until another reading confirms that they
/// are gone, or until they are released.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Brake {
    List(ListArgs),
    Release(ReleaseArgs),
}

/// List the jobs of which a removal is held.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    running: Running,
    /// How to print them
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t = Output::Text)]
    output: Output,
}

/// Let go of the targets of jobs whose removal is held: they are gone.
#[derive(Debug, clap::Args)]
pub(super) struct ReleaseArgs {
    #[command(flatten)]
    running: Running,
    /// The jobs
    #[arg(required = true, value_name = "JOB")]
    jobs: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A line a job
    Text,
    /// An object a job
    Json,
}

#[derive(Debug, Deserialize)]
struct Brakes {
    brakes: Vec<Braked>,
}

/// What is braked of a job.
#[derive(Debug, Deserialize, Serialize)]
struct Braked {
    job: String,
    held: usize,
    targets: usize,
    since: String,
    confirm: String,
    providers: Vec<BrakedProvider>,
}

#[derive(Debug, Deserialize, Serialize)]
struct BrakedProvider {
    provider: String,
    held: usize,
}

#[derive(Debug, Deserialize)]
struct Released {
    released: usize,
}

pub(super) fn run(what: &Brake) -> Result<(), Failure> {
    match what {
        Brake::List(args) => list(args),
        Brake::Release(args) => args.jobs.iter().try_for_each(|job| release(&args.running, job)),
    }
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let Brakes { brakes } = args.running.data(&Question::get("/api/v1/brake"))?;
    let lines = brakes.iter().map(|braked| match args.output {
        Output::Text => plain(&line(braked)).into_owned(),
        Output::Json => serde_json::to_string(braked).expect("names and numbers can be written"),
    });
    let text: String = lines.map(|line| line + "\n").collect();
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::of_output)
}

fn line(braked: &Braked) -> String {
    let Braked { job, held, targets, since, confirm, providers } = braked;
    let confirm = match confirm.as_str() {
        "reading" => "until another reading confirms it".to_owned(),
        "never" => "until it is released".to_owned(),
        time => format!("for {time}"),
    };
    let of: Vec<_> = providers.iter().map(|of| format!("{} of {}", of.held, of.provider)).collect();
    format!("{job}: {held} of {targets} targets held since {since}, {confirm}: {}", of.join(", "))
}

fn release(running: &Running, job: &str) -> Result<(), Failure> {
    let Released { released } = running.data(&Question::post("/api/v1/brake/release").with("job", Some(job)))?;
    let line = match released {
        0 => format!("{job}: nothing was held"),
        1 => format!("{job}: 1 target released"),
        many => format!("{job}: {many} targets released"),
    };
    writeln!(std::io::stdout(), "{}", plain(&line)).map_err(Failure::of_output)
}
