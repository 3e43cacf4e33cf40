//! `rosterd roster`: the targets of any time that the journal tells of, asked of a running rosterd.

use std::io::{BufWriter, Write, stdout};

use rosterd_model::Labels;
use rosterd_model::target::Target;
use serde::{Deserialize, Serialize};

use super::ask::{Question, Running};
use super::exit::{Failure, tell};
use super::journal::{Output, telling_url, time};
use super::print::plain;
use crate::journal::Time;

/// See the targets as they were at a time, or what changed from then on.
///
/// Asks a running rosterd, whose journal goes back as far as rosterd.journal.retention says.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    running: Running,
    /// Targets that this means, such as {env="prod"}, or an address
    #[arg(value_name = "SELECTOR")]
    selector: Option<String>,
    /// The time, or how long ago; now when left out
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Time>,
    /// Print what changed until this time, or until so long ago
    #[arg(long, value_name = "TIME", value_parser = time)]
    diff: Option<Time>,
    /// Only targets of this job; may be repeated
    #[arg(long = "job", value_name = "NAME")]
    jobs: Vec<String>,
    /// How many targets at most
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000)]
    limit: usize,
    /// How to print
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t = Output::Text)]
    output: Output,
}

/// A target.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    /// What became of it, in what changed.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    change: String,
    job: String,
    labels: Labels,
    held: bool,
}

#[derive(Debug, Deserialize)]
struct Targets {
    complete: bool,
    targets: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Changes {
    complete: bool,
    added: Vec<Row>,
    removed: Vec<Row>,
    held: Vec<Row>,
    released: Vec<Row>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let asked = Question::get("/api/v1/roster").with("selector", args.selector.as_deref());
    let asked = args.jobs.iter().fold(asked, |asked, job| asked.with("job", Some(job)));
    let asked = asked.with("at", args.at).with("diff", args.diff).with("limit", Some(args.limit));
    let (complete, rows) = match args.diff {
        None => {
            let Targets { complete, targets } = args.running.data(&asked)?;
            (complete, targets)
        }
        Some(_) => {
            let Changes { complete, added, removed, held, released } = args.running.data(&asked)?;
            let lists = [("added", added), ("removed", removed), ("held", held), ("released", released)];
            let marked = lists
                .into_iter()
                .flat_map(|(change, rows)| rows.into_iter().map(move |row| Row { change: change.to_owned(), ..row }));
            (complete, marked.collect())
        }
    };
    let mut out = BufWriter::new(stdout().lock());
    rows.iter().try_for_each(|row| print(&mut out, row, args.output)).map_err(Failure::of_output)?;
    out.flush().map_err(Failure::of_output)?;
    if rows.is_empty() {
        tell(none(args));
    }
    if !complete {
        tell(
            "warning: a part of the journal that tells of this time is damaged or missing: there may have been others",
        );
    }
    Ok(())
}

/// What is said in place of targets.
fn none(args: &Args) -> &'static str {
    let is_narrowed = args.selector.is_some() || !args.jobs.is_empty();
    match (args.diff, args.at, is_narrowed) {
        (Some(_), _, true) => "no target like that came, went, or was held or released",
        (Some(_), _, false) => "no target came, went, or was held or released",
        (None, Some(_), true) => "no target was like that",
        (None, Some(_), false) => "there were no targets",
        (None, None, true) => "no target is like that",
        (None, None, false) => "there are no targets",
    }
}

fn print(out: &mut impl Write, row: &Row, output: Output) -> std::io::Result<()> {
    if output == Output::Json {
        serde_json::to_writer(&mut *out, row)?;
        return writeln!(out);
    }
    let labels: Labels = Target(&row.labels).public().collect();
    let change = if row.change.is_empty() { String::new() } else { format!("{:<9} ", row.change) };
    let url = telling_url(&row.labels).map(|url| format!("  {url}")).unwrap_or_default();
    let line = format!("{change}{}  {labels}{url}{}", row.job, if row.held { "  held" } else { "" });
    writeln!(out, "{}", plain(&line))
}
