//! `rosterd targets`: what targets a running rosterd has, and how they are.

use std::collections::BTreeMap;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use rosterd_model::Labels;
use rosterd_scrape::Health;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ask::{Question, Running};
use super::exit::{Failure, tell};
use super::print;
use crate::api::condition::Condition;
use crate::api::missing::{MissingSource, unknown};
use crate::api::words::counted;

/// So many are asked for at once.
const PAGE: usize = 5_000;
/// Of so many jobs it is said that their targets are not known.
const MOST_JOBS: usize = 20;

/// List the targets of a running rosterd, and how they are.
///
/// Each is listed once, in the order of discovery. Without --limit, all are.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only those whose labels hold these words, or that a selector such as '{job="nodes",instance=~"a.*"}' means
    #[arg(value_name = "WHAT")]
    what: Vec<String>,
    /// Only those of this job
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// Only those that are so
    #[arg(long, value_enum, value_name = "HEALTH")]
    health: Option<Condition>,
    /// How many to list
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// How to write
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    running: Running,
}

impl ValueEnum for Condition {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Health(Health::Up) => "The last scrape worked",
            Self::Health(Health::Down) => "The last scrape failed",
            Self::Health(Health::Unknown) => "It was not scraped yet, or nobody scrapes it",
            Self::Held => "It is kept although its source does not say so now",
        };
        Some(PossibleValue::new(self.as_str()).help(help))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Columns
    Text,
    /// A list with an object a line, as in the answer of /api/v1/targets
    Json,
}

/// A page of the answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page<T> {
    active_targets: Vec<T>,
    next_cursor: Option<String>,
    /// What is missing of jobs.
    #[serde(default)]
    missing: BTreeMap<String, Vec<MissingSource>>,
}

/// What came of all pages.
struct Listed<T> {
    targets: Vec<T>,
    /// Whether all targets there are were among what was looked at.
    is_whole: bool,
}

/// What a row is made of.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    scrape_pool: String,
    scrape_url: String,
    health: String,
    labels: Labels,
    last_error: String,
    held: Option<Held>,
    /// The member that scrapes it, if that is another one.
    member: Option<String>,
}

#[derive(Deserialize)]
struct Held {
    reason: String,
}

impl Args {
    /// Whether not all targets are asked for.
    fn is_narrowed(&self) -> bool {
        !self.what.is_empty() || self.job.is_some() || self.health.is_some()
    }
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    match args.output {
        Output::Json => print::json(targets::<Value>(args)?.targets.into_iter()),
        Output::Text => {
            let Listed { targets, is_whole } = targets(args)?;
            let rows: Vec<_> = targets.into_iter().map(cells).collect();
            if rows.is_empty() {
                tell(match (args.is_narrowed(), is_whole) {
                    (true, true) => "no target is like that",
                    (false, true) => "there are no targets",
                    (true, false) => "no target that is known is like that",
                    (false, false) => "no targets are known yet",
                });
            }
            print::table(["JOB", "HEALTH", "URL", "LABELS"], &rows)
        }
    }
}

/// The targets, page by page.
fn targets<T: DeserializeOwned>(args: &Args) -> Result<Listed<T>, Failure> {
    let (most, mut cursor) = (args.limit.unwrap_or(usize::MAX), None::<String>);
    let mut listed = Listed { targets: Vec::new(), is_whole: true };
    let search = (!args.what.is_empty()).then(|| args.what.join(" "));
    loop {
        let question = Question::get("/api/v1/targets")
            .with("state", Some("active"))
            .with("job", args.job.as_ref())
            .with("health", args.health.map(Condition::as_str))
            .with("search", search.as_ref())
            .with("limit", Some(PAGE.min(most.saturating_sub(listed.targets.len()))))
            .with("cursor", cursor.as_ref());
        let (page, infos): (Page<T>, _) = args.running.data_with_infos(&question)?;
        if cursor.is_none() {
            infos.iter().for_each(|info| tell(print::plain(&format!("note: {info}"))));
            listed.is_whole = page.missing.is_empty();
            tell_missing(&page.missing);
        }
        listed.targets.extend(page.active_targets);
        cursor = page.next_cursor;
        if cursor.is_none() || listed.targets.len() >= most {
            return Ok(listed);
        }
    }
}

/// Says of which jobs targets are not known yet.
fn tell_missing(missing: &BTreeMap<String, Vec<MissingSource>>) {
    for (job, missing) in missing.iter().take(MOST_JOBS) {
        tell(print::plain(&format!("note: not {}", unknown(job, missing))));
    }
    if let more @ 1.. = missing.len().saturating_sub(MOST_JOBS) {
        tell(format!("note: nor are those of {}", counted(more, "more job")));
    }
}

fn cells(row: Row) -> [String; 4] {
    let held = row.held.map(|held| format!(", held: {}", held.reason)).unwrap_or_default();
    let error = if row.last_error.is_empty() { String::new() } else { format!("  {}", row.last_error) };
    // Whose it is knows how it is.
    let health = row.member.map_or(row.health, |member| format!("scraped by {member}"));
    [row.scrape_pool, format!("{health}{held}"), row.scrape_url, format!("{}{error}", row.labels)]
}
