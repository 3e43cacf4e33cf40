//! `rosterd discover`: runs discovery once, until all of it has reported, and prints what was found.

mod collect; // providers at work, until they have reported
mod print; // JSON and tables
mod progress; // how far it is, on a terminal
mod summary; // what it came to

use std::io::{IsTerminal, stdout};
use std::time::Duration;

use clap::ValueEnum;
use rosterd_config::Config;
use rosterd_discovery::{Presence, ProviderStatus, Registry, Warning};
use rosterd_model::Report;

use super::exit::{Failure, tell};
use super::flags::{ConfigFiles, duration, known_job, multi_thread};
use super::{Error, log};

/// Run the discovery of one or all jobs once, and print what it finds.
///
/// Returns as soon as all providers have reported. One that has not when the time is over, and a source that one could not
/// read, is named with its last error; what is known is printed all the same, and the exit status is 1. At last, standard
/// error has what is not as it should be although nothing failed, and a summary: how many targets each job has, which rules dropped how many, and what cannot be a target and why.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigFiles,
    /// Only this job; may be repeated
    #[arg(long = "job", value_name = "NAME")]
    jobs: Vec<String>,
    /// How long to wait for providers
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    timeout: Duration,
    /// How to print: a table on a terminal, otherwise json
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    output: Option<Output>,
    /// Print target groups as they were discovered, instead of targets after relabelling
    #[arg(long)]
    groups: bool,
    /// What to log
    #[arg(long = "log.level", value_enum, value_name = "LEVEL", default_value_t = log::Level::Error)]
    log_level: log::Level,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A list with an object a line
    Json,
    /// Columns
    Table,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    log::start(args.log_level, log::Format::Logfmt);
    let registry = Registry::linked()?;
    let mut config = args.config.load(&registry)?.config;
    select(&mut config, &args.jobs)?;
    let runtime = multi_thread()?;
    let output = args.output.unwrap_or(if stdout().is_terminal() { Output::Table } else { Output::Json });
    let (missing, warned, summary) = if args.groups {
        let (groups, providers) =
            runtime.block_on(collect::groups(&config, &registry, args.config.system(), args.timeout))?;
        print::groups(&groups, &providers, output)?;
        (missing(&providers, args.timeout), warned(&providers), summary::groups(&groups, &providers))
    } else {
        let (view, providers) =
            runtime.block_on(collect::targets(&config, &registry, args.config.system(), args.timeout))?;
        print::targets(&view, output)?;
        (missing(&providers, args.timeout) | over_limit(&view), warned(&providers), summary::targets(&view))
    };
    warned.iter().for_each(tell);
    summary.iter().for_each(tell);
    if missing { Err(Failure::Told) } else { Ok(()) }
}

/// Leaves only these jobs in the configuration, if there are any.
fn select(config: &mut Config, jobs: &[String]) -> Result<(), Error> {
    jobs.iter().try_for_each(|job| known_job(config, job).map(drop))?;
    if !jobs.is_empty() {
        config.scrape_configs.retain(|job| jobs.iter().any(|wanted| wanted == job.job_name()));
    }
    Ok(())
}

/// Names the providers that have not reported, and the sources that others could not read. Says whether there are any.
fn missing(providers: &[ProviderStatus], timeout: Duration) -> bool {
    let mut any = false;
    let time = rosterd_model::Duration::from(timeout);
    let why = |report: &Report| format!("{report} ({})", report.code);
    for ProviderStatus { key, jobs, status, .. } in providers {
        let jobs = jobs.join(", ");
        any |= status.presence == Presence::Unsynced || !status.unread.is_empty();
        for (source, unread) in status.unread.iter() {
            let why = why(&unread.report);
            tell(format_args!("error: {key} of {jobs} could not read {source} within {time}: {why}"));
        }
        if status.presence == Presence::Unsynced && status.unread.is_empty() {
            let error = status.last_error.as_ref().map(|failure| why(&failure.report));
            let why = error.unwrap_or_else(|| "no error either".to_owned());
            tell(format_args!("error: {key} of {jobs} has not reported within {time}: {why}"));
        }
    }
    any
}

/// What is not as it should be although nothing failed.
fn warned(providers: &[ProviderStatus]) -> Vec<String> {
    let warned = providers.iter().filter_map(|provider| Some((provider, provider.status.warning.as_ref()?)));
    let line = |(provider, warning): (&ProviderStatus, &Warning)| {
        format!(
            "warning: {} of {}: {} ({})",
            provider.key,
            provider.jobs.join(", "),
            warning.report,
            warning.report.code
        )
    };
    warned.map(line).collect()
}

/// Names the jobs with more targets than they may have, and says whether there are any.
fn over_limit(view: &crate::roster::view::RosterView) -> bool {
    let mut any = false;
    for error in view.jobs().filter_map(|job| job.within_limit().err()) {
        any = true;
        tell(format_args!("error: {error}"));
    }
    any
}
