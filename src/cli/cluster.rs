//! `rosterd cluster`: the members that share the targets, as a running rosterd sees them.

use std::fmt::Write as _;
use std::io::{Write, stdout};

use clap::ValueEnum;
use serde::Deserialize;
use serde_json::Value;

use super::ask::{Question, Running};
use super::exit::Failure;
use super::print::plain;

/// List the members that share the targets with a running rosterd, and how much each has.
///
/// Slots are the 4096 parts of all targets that members own. Targets are those of the roster of the rosterd that is asked.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How to tell them
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    running: Running,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A line for each
    Text,
    /// As the API tells it
    Json,
}

#[derive(Deserialize)]
struct Cluster {
    member: Option<String>,
    members: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    name: String,
    slots: u16,
    targets: u64,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let question = Question::get("/api/v1/cluster");
    let told: Value = args.running.data(&question)?;
    let text = match args.output {
        Output::Json => format!("{told:#}\n"),
        Output::Text => {
            let cluster = serde_json::from_value(told);
            text(&cluster.map_err(|source| args.running.unexpected(&question, source))?)
        }
    };
    stdout().lock().write_all(text.as_bytes()).map_err(Failure::of_output)
}

/// A line for each, with a star before the one that was asked.
fn text(cluster: &Cluster) -> String {
    let Some(own) = &cluster.member else {
        return "this rosterd is alone, and scrapes all targets\n".to_owned();
    };
    let names: Vec<_> = cluster.members.iter().map(|it| plain(&it.name)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or_default().max(6);
    let mut text = format!("  {:width$}  {:>5}  {:>9}\n", "MEMBER", "SLOTS", "TARGETS");
    for (member, name) in cluster.members.iter().zip(names) {
        let star = if member.name == *own { '*' } else { ' ' };
        // Writing to memory does not fail.
        writeln!(text, "{star} {name:width$}  {:>5}  {:>9}", member.slots, member.targets).ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_member_is_a_line_and_the_one_that_was_asked_has_a_star() {
        let of = |name: &str, slots, targets| Member { name: name.to_owned(), slots, targets };
        let members = vec![of("rosterd-0", 2000, 50_000), of("rosterd-1", 2096, 7)];
        let told = text(&Cluster { member: Some("rosterd-1".to_owned()), members });
        let expected = "  MEMBER     SLOTS    TARGETS\n  rosterd-0   2000      50000\n* rosterd-1   2096          7\n";
        assert_eq!(told, expected);
        assert!(text(&Cluster { member: None, members: Vec::new() }).contains("alone"));
    }
}
