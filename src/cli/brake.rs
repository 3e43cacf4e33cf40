//! `rosterd brake`: what a running rosterd holds of removals that nothing has confirmed, and lets go of on demand.

use std::io::Write;

use clap::ValueEnum;
use rosterd_model::counted;
use serde::{Deserialize, Serialize};

use super::ask::{Question, Running};
use super::exit::{Failure, tell};
use super::print::{plain, seconds};
use crate::roster::confirmation::Until;

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
    /// A line a job, and below it how to let them go, or keep them
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
    #[serde(default)]
    watched: bool,
    #[serde(default)]
    expected: Option<String>,
    #[serde(default, rename = "graceUntil")]
    grace_until: Option<String>,
    // A rosterd that is older than this command line does not say them.
    #[serde(default)]
    release: String,
    #[serde(default)]
    keep: String,
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
    // One that is older does not say them, and has looked at the first job alone.
    #[serde(default)]
    jobs: Vec<JobReleased>,
}

/// What was let go of a job.
#[derive(Debug, Deserialize)]
struct JobReleased {
    job: String,
    released: usize,
    grace: Option<Grace>,
}

/// Targets that are not braked and stay all the same.
#[derive(Debug, Deserialize)]
struct Grace {
    targets: usize,
    until: Option<String>,
    end: String,
}

pub(super) fn run(what: &Brake) -> Result<(), Failure> {
    match what {
        Brake::List(args) => list(args),
        Brake::Release(args) => release(&args.running, &args.jobs),
    }
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let Brakes { brakes } = args.running.data(&Question::get("/api/v1/brake"))?;
    if brakes.is_empty() {
        tell("nothing is braked");
    }
    let lines = brakes.iter().map(|braked| match args.output {
        Output::Text => lines_of(braked).iter().map(|line| plain(line)).collect::<Vec<_>>().join("\n"),
        Output::Json => serde_json::to_string(braked).expect("names and numbers can be written"),
    });
    let text: String = lines.map(|line| line + "\n").collect();
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::of_output)
}

/// What is held of a job, and below it what lets it go and what keeps it.
fn lines_of(braked: &Braked) -> Vec<String> {
    let Braked { job, held, targets, since, confirm, watched, release, keep, providers, .. } = braked;
    let [expected, grace] =
        [&braked.expected, &braked.grace_until].map(|time| Some(format!("at {}", seconds(time.as_deref()?))));
    let (expected, grace) = (expected.as_deref(), grace.as_deref());
    let until = Until { confirm, watched: *watched, expected, grace };
    let of: Vec<_> = providers.iter().map(|of| format!("{} of {}", of.held, of.provider)).collect();
    let since = seconds(since);
    let head =
        format!("{job}: {held} of {} held since {since}, {until}: {}", counted(*targets, "target"), of.join(", "));
    // What nothing but a person ends needs nothing to be kept.
    let keep = (confirm != "never" && !keep.is_empty())
        .then(|| format!("  to keep them:    {keep} in the configuration, and reload"));
    let release = (!release.is_empty()).then(|| format!("  to let them go:  {release}"));
    [head].into_iter().chain(release).chain(keep).collect()
}

/// How many bytes of names are asked for at once: with each of them escaped, and the address of a proxy, a URL is below 8 KiB.
const MOST_IN_A_URL: usize = 2048;

/// Asks for all jobs at once: none is let go of unless there are all of them. More than a URL carries are asked for one after the other.
fn release(running: &Running, jobs: &[String]) -> Result<(), Failure> {
    let too_many = |length: &mut usize, job: &String| {
        *length += job.len();
        Some(*length > MOST_IN_A_URL)
    };
    let fitting = jobs.iter().scan(0, too_many).take_while(|is_too_many| !is_too_many).count();
    let (jobs, later) = jobs.split_at(fitting.max(1).min(jobs.len()));
    release_together(running, jobs)?;
    if later.is_empty() { Ok(()) } else { release(running, later) }
}

fn release_together(running: &Running, jobs: &[String]) -> Result<(), Failure> {
    let [first, others @ ..] = jobs else { return Ok(()) };
    let question = Question::post("/api/v1/brake/release");
    let question = jobs.iter().fold(question, |question, job| question.with("job", Some(job)));
    let Released { released, jobs } = running.data(&question)?;
    if jobs.is_empty() {
        told(&JobReleased { job: first.clone(), released, grace: None })?;
        return release_together(running, others);
    }
    jobs.iter().try_for_each(told)
}

fn told(JobReleased { job, released, grace }: &JobReleased) -> Result<(), Failure> {
    let mut lines = match released {
        0 => format!("{job}: nothing is braked\n"),
        many => format!("{job}: {} released\n", counted(*many, "target")),
    };
    if let Some(Grace { targets, until, end }) = grace {
        let (are, their) = if *targets == 1 { ("is", "its") } else { ("are", "their") };
        let until = until.as_deref().map(|time| format!(" until {}", seconds(time))).unwrap_or_default();
        lines += &format!("  {} {are} in {their} time of grace{until}\n", counted(*targets, "target"));
        lines += &format!("  to let go sooner: {end} in the configuration, and reload\n");
    }
    let lines: String = lines.lines().map(|line| plain(line).to_string() + "\n").collect();
    std::io::stdout().write_all(lines.as_bytes()).map_err(Failure::of_output)
}
