//! `rosterd operations`: what a running rosterd has to do for its publications, and what became of it.

use std::fmt::Write as _;
use std::io::{Write, stdout};

use clap::ValueEnum;
use serde::Deserialize;
use serde_json::Value;

use super::ask::{Question, Running};
use super::exit::Failure;
use super::print::{plain, seconds};

/// List what a running rosterd does for files and templates: what waits, what is under way, what failed and what is done.
///
/// What is under way survives a crash. What failed is told with its reason; a file that could not be put to use is as it was. Each change
/// of a template is an operation. Of a file of file_sd only its beginning, a change of its settings, its end and what cannot be written
/// are: when it was last written the page /publications tells.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only those of this worker, such as template:/etc/haproxy/haproxy.cfg
    #[arg(value_name = "WORKER")]
    worker: Option<String>,
    /// Only those in this state
    #[arg(long, value_enum, value_name = "STATE")]
    state: Option<State>,
    /// How to tell them
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    running: Running,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum State {
    /// They wait for their turn or for their next try
    Enqueued,
    /// A step of them is at work
    InFlight,
    /// They were given up, and what they were for was not reached since
    Failed,
    /// They have reached what they were for
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A line for each, and the error below it
    Text,
    /// The list of the API
    Json,
}

#[derive(Deserialize)]
struct Operations {
    operations: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Operation {
    worker: String,
    action: String,
    state: String,
    step: u32,
    step_name: Option<String>,
    attempt: u32,
    begun: String,
    ended: Option<String>,
    last_error: Option<rosterd_model::Report>,
    next_try: Option<String>,
    /// It failed, and what it was for has been reached since.
    #[serde(default)]
    over: bool,
}

/// Where there is nothing at all.
const NOTHING: &str = "nothing to do, and nothing was done since rosterd started";
/// Where there is nothing of what was asked for.
const NONE_SUCH: &str = "there is no such operation: without a worker and --state all are listed";

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let state = args.state.and_then(|state| Some(state.to_possible_value()?.get_name().to_owned()));
    let question =
        Question::get("/api/v1/operations").with("worker", args.worker.as_ref()).with("state", state.as_ref());
    let Operations { operations } = args.running.data(&question)?;
    let text = match args.output {
        Output::Json => format!("{:#}\n", Value::from(operations)),
        Output::Text => {
            let told = operations.into_iter().map(serde_json::from_value::<Operation>);
            let told: Vec<_> =
                told.collect::<Result<_, _>>().map_err(|source| args.running.unexpected(&question, source))?;
            text(&told, args.state.is_some() || args.worker.is_some())
        }
    };
    stdout().lock().write_all(text.as_bytes()).map_err(Failure::of_output)
}

/// A line for each, and below it why it failed.
fn text(operations: &[Operation], is_asked: bool) -> String {
    if operations.is_empty() {
        return format!("{}\n", if is_asked { NONE_SUCH } else { NOTHING });
    }
    let mut text = String::new();
    for it in operations {
        // People count from one, and where there is one step alone it is nothing to tell.
        let step = match (&it.step_name, it.step) {
            (Some(name), _) => format!(" at step {name}"),
            (None, 0) => String::new(),
            (None, step) => format!(" at step {}", u64::from(step) + 1),
        };
        let tries = match it.attempt {
            0 => String::new(),
            1 => ", 1 try failed".to_owned(),
            many => format!(", {many} tries failed"),
        };
        let next = it.next_try.as_ref().map(|next| seconds(next));
        let when = match (it.ended.as_ref().map(|ended| seconds(ended)), next) {
            (Some(ended), None) if it.over => format!("ended {ended}, mended since"),
            (Some(ended), None) => format!("ended {ended}"),
            (Some(ended), Some(next)) => format!("ended {ended}, tried again {next} at the latest"),
            (None, Some(next)) => format!("tried again {next}"),
            (None, None) => format!("since {}", seconds(&it.begun)),
        };
        // Writing to memory does not fail.
        let line = format!("{:9}  {}  {}{step}{tries}, {when}", it.state, it.worker, it.action);
        writeln!(text, "{}", plain(&line)).ok();
        if let Some(error) = &it.last_error {
            writeln!(text, "           {}", plain(&format!("{error} ({})", error.code))).ok();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_operation_is_a_line_and_its_error_stands_below() {
        let error =
            json!({ "code": "c", "message": "no", "priority": "operator", "retry": "backoff", "causes": ["why"] });
        let mut forged = error.clone();
        forged["causes"] = json!(["why\n\x1b[2J"]);
        let of = |state: &str, attempt: u32, ended: Value, next: Value, error: Value| {
            let operation = json!({
                "id": 1, "kind": "template", "worker": "template:/a", "action": "update", "state": state, "step": 1,
                "stepName": "check", "attempt": attempt, "begun": "B", "ended": ended, "lastError": error, "nextTry": next,
            });
            serde_json::from_value::<Operation>(operation).unwrap()
        };
        let told = text(
            &[
                of("in_flight", 0, Value::Null, Value::Null, Value::Null),
                of("enqueued", 2, Value::Null, json!("N"), error.clone()),
                of("enqueued", 1, Value::Null, json!("N"), Value::Null),
                of("failed", 0, json!("E"), json!("2026-01-02T03:04:05.123456789Z"), error),
                of("failed", 0, json!("E"), Value::Null, forged),
            ],
            false,
        );
        let expected = "in_flight  template:/a  update at step check, since B\n\
                        enqueued   template:/a  update at step check, 2 tries failed, tried again N\n           no: why (c)\n\
                        enqueued   template:/a  update at step check, 1 try failed, tried again N\n\
                        failed     template:/a  update at step check, ended E, tried again 2026-01-02T03:04:05Z at the latest\n           no: why (c)\n\
                        failed     template:/a  update at step check, ended E\n           no: why\\n\\u{1b}[2J (c)\n";
        assert_eq!(told, expected);
        assert_eq!((text(&[], false), text(&[], true)), (format!("{NOTHING}\n"), format!("{NONE_SUCH}\n")));
    }
}
