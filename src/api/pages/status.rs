//! `/status`, `/config` and `/flags`: the process, its configuration and its flags, under the addresses that Prometheus has for them.

use std::sync::Arc;

use askama::Template;
use axum::extract::State as Extract;
use axum::response::Response;
use http::Uri;

use super::super::State;
use super::super::query::Query;
use super::super::words::{Moment, coarse, grouped};
use super::cut::{self, line, written};
use super::shell::{Shell, page};
use super::situation::Situation;
use super::troubles::troubles;
use crate::problem::Problem;

/// How much of a configuration stands on a page, in bytes; lines are whole where they are no longer than that.
const PART: usize = 100_000;
/// How much of what is wrong does.
const REFUSED: usize = 40_000;

#[derive(Template)]
#[template(path = "status.html")]
struct Status {
    shell: Shell,
    /// Name and value, by what they are about.
    tables: Vec<(&'static str, Vec<(&'static str, String)>)>,
    started: Moment,
    loaded: Moment,
    is_refused: bool,
}

#[derive(Template)]
#[template(path = "config.html")]
struct Config {
    shell: Shell,
    loaded: Moment,
    /// What is wrong with the files that the last reload refused.
    refused: Vec<String>,
    text: String,
    /// Which part of how many this is.
    part: usize,
    parts: usize,
}

#[derive(Template)]
#[template(path = "flags.html")]
struct Flags {
    shell: Shell,
    flags: Vec<(String, String)>,
}

/// The process.
pub(in crate::api) async fn status(Extract(state): Extract<Arc<State>>) -> Response {
    let situation = Situation::of(&state);
    let shell = Shell::new(&state, "/status", "Status", &troubles(&situation));
    let (build, runtime) = (&state.build, tokio::runtime::Handle::current().metrics());
    let up = situation.now.duration_since(state.started).unwrap_or_default();
    let process = vec![
        ("up for", coarse(up)),
        ("host", rustix::system::uname().nodename().to_string_lossy().into_owned()),
        ("working directory", state.directory.display().to_string()),
        ("threads", runtime.num_workers().to_string()),
        ("tasks", grouped(runtime.num_alive_tasks() as u64)),
    ];
    let built = vec![
        ("version", build.version.clone()),
        ("revision", build.revision.clone()),
        ("branch", build.branch.clone()),
        ("compiler", build.go_version.clone()),
        ("built by", format!("{}, {}", build.build_user, build.build_date)),
    ];
    let sum = |of: fn(&crate::roster::view::Counts) -> usize| {
        grouped(situation.jobs.iter().map(|(job, _)| of(&job.counts())).sum::<usize>() as u64)
    };
    let roster = vec![
        ("jobs", grouped(situation.jobs.len() as u64)),
        ("targets", sum(|counts| counts.targets)),
        ("duplicates", sum(|counts| counts.duplicates)),
        ("dropped by relabelling", sum(|counts| counts.dropped)),
        ("impossible", sum(|counts| counts.failed)),
        ("providers", grouped(situation.providers.len() as u64)),
        ("publications", grouped(situation.publications.len() as u64)),
    ];
    page(&Status {
        shell: shell.with_json("/api/v1/status/runtimeinfo"),
        tables: vec![("Process", process), ("Roster", roster), ("Build", built)],
        started: Moment::of(state.started, situation.now),
        loaded: Moment::of(situation.config.loaded, situation.now),
        is_refused: situation.config.refused.is_some(),
    })
}

/// The configuration in use, without secrets.
pub(in crate::api) async fn config(Extract(state): Extract<Arc<State>>, uri: Uri) -> Result<Response, Problem> {
    let part = Query::of(&uri).count("page")?.unwrap_or(1);
    let situation = Situation::of(&state);
    let shell = Shell::new(&state, "/status", "Configuration", &troubles(&situation));
    let parts = parts(&situation.config.yaml);
    let refused = situation.config.refused.as_ref();
    let refused = refused.map(|refused| match &refused.problems[..] {
        [] => vec![refused.report.to_string()],
        problems => problems.iter().map(ToString::to_string).collect(),
    });
    Ok(page(&Config {
        shell: shell.with_json("/api/v1/status/config"),
        loaded: Moment::of(situation.config.loaded, situation.now),
        refused: cut::lines(refused.unwrap_or_default(), usize::MAX, REFUSED),
        text: parts.get(part - 1).copied().unwrap_or_default().to_owned(),
        part,
        parts: parts.len(),
    }))
}

/// The flags of the command line.
pub(in crate::api) async fn flags(Extract(state): Extract<Arc<State>>) -> Response {
    page(&Flags {
        shell: Shell::of(&state, "/status", "Flags").with_json("/api/v1/status/flags"),
        flags: state.flags.iter().map(|(name, value)| (name.clone(), line(value))).collect(),
    })
}

/// A text in parts of whole lines; a line that is longer than a part is cut.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut end, mut bytes) = (Vec::new(), 0, 0, 0);
    for line in text.split_inclusive('\n').flat_map(pieces) {
        let more = written(line);
        if end > start && bytes + more > PART {
            parts.push(&text[start..end]);
            (start, bytes) = (end, 0);
        }
        (end, bytes) = (end + line.len(), bytes + more);
    }
    parts.push(&text[start..]);
    parts
}

/// A line, in pieces where it is longer than a part.
fn pieces(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let piece = cut::first_written(rest, PART);
        rest = &rest[piece.len()..];
        Some(piece).filter(|piece| !piece.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_whole_lines_and_together_the_text() {
        assert_eq!(parts(""), [""]);
        assert_eq!(parts("a\nb"), ["a\nb"]);
        let long = "x".repeat(PART + 1);
        for text in ["0123456789\n".repeat(25_000), "<>\n".repeat(25_000), format!("a\n{long}\nb\n"), long] {
            let parts = parts(&text);
            assert_eq!(parts.concat(), text);
            assert!(parts.len() > 1 || !text.contains('\n'));
            assert!(parts.iter().all(|part| written(part) <= PART), "{}", parts.len());
            assert!(text.contains("xx") || parts[..parts.len() - 1].iter().all(|part| part.ends_with('\n')));
        }
    }
}
