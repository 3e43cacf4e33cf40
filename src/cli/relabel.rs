//! `rosterd relabel`: applies relabelling rules to label sets that come as JSON, an object a line.

use std::borrow::Cow;
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

use clap::ValueEnum;
use rosterd_model::relabel::{Rules, Scratch, Step};
use rosterd_model::{Builder, Labels, NameScheme, Names};
use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::Error;
use super::exit::Failure;
use crate::publish::encode::object;

/// How much output is gathered before it is written, while there is more input to read.
const CHUNK: usize = 64 * 1024;

/// Apply relabelling rules to label sets.
///
/// Reads a label set from each line of standard input, a JSON object of strings, and writes a line for each: the labels
/// that the rules leave, sorted by name, or null when they drop it. Empty lines are skipped. A line that is no label
/// set ends the run with an error that names it; the results of the lines before have been written.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A file that is a list of relabelling rules, such as stands under relabel_configs
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Write an object with the input, what each rule made of it, and the result
    #[arg(long)]
    explain: bool,
    /// What counts as a label name
    #[arg(long, value_enum, default_value_t = Scheme::Utf8, value_name = "SCHEME")]
    metric_name_validation_scheme: Scheme,
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
    let rules = rosterd_config::load_rules(&args.config, args.metric_name_validation_scheme.into())?;
    let worker = Worker::new(rules, args.explain);
    stream(worker, BufReader::with_capacity(CHUNK, std::io::stdin().lock()), std::io::stdout().lock())
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

/// Rules, and the memory that is used for one label set after the other.
struct Worker {
    rules: Rules,
    explain: bool,
    labels: Builder,
    scratch: Scratch,
    names: Names,
}

/// What became of a label set.
#[derive(Serialize)]
struct Explained<'a> {
    input: &'a Labels,
    steps: &'a [Step],
    result: Option<&'a Labels>,
}

impl Worker {
    fn new(rules: Rules, explain: bool) -> Self {
        Self { rules, explain, labels: Builder::new(), scratch: Scratch::default(), names: Names::new() }
    }

    /// Appends the result for one line.
    fn line(&mut self, number: u64, line: &[u8], output: &mut Vec<u8>) -> Result<(), Error> {
        self.labels.clear();
        read(line.trim_ascii_end(), &mut self.labels).map_err(|error| malformed(number, &error))?;
        // Rules see labels by name, whatever the order of the input.
        self.labels.sort();
        if self.explain {
            let input = self.labels.build(&mut self.names);
            let steps = self.rules.explain(&input);
            let result = match steps.last() {
                Some(last) => last.keep.then_some(&last.output),
                None => Some(&input),
            };
            write_json(output, &Explained { input: &input, steps: &steps, result });
        } else if self.rules.apply(&mut self.labels, &mut self.scratch) {
            self.labels.sort();
            object(self.labels.iter(), output);
        } else {
            output.extend_from_slice(b"null");
        }
        output.push(b'\n');
        Ok(())
    }
}

fn write_json(output: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(output, value).expect("labels and rules can be written to memory as JSON");
}

fn malformed(line: u64, error: &serde_json::Error) -> Error {
    let text = error.to_string();
    // The line that serde_json counts is always the first.
    let place = format!(" at line {} column {}", error.line(), error.column());
    let reason = text.strip_suffix(&place).unwrap_or(&text).to_owned();
    Error::MalformedLine { line, column: error.column(), reason }
}

/// Reads a label set into the builder, without a detour over maps and strings.
fn read(line: &[u8], labels: &mut Builder) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(line);
    Into(labels).deserialize(&mut deserializer)?;
    deserializer.end()
}

struct Into<'b>(&'b mut Builder);

impl<'de> DeserializeSeed<'de> for Into<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Into<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a label set: an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry::<Text<'de>, Text<'de>>()? {
            if name.0.is_empty() {
                return Err(A::Error::custom("a label cannot be without a name"));
            }
            self.0.set(&name.0, &value.0);
        }
        Ok(())
    }
}

/// Text that stands in the line as it is, unless it has escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use rosterd_model::relabel::RuleConfig;

    use super::*;

    fn relabelled(rules: &str, explain: bool, input: &str) -> (String, Result<(), String>) {
        let configs: Vec<RuleConfig> = serde_yaml::from_str(rules).unwrap();
        let worker = Worker::new(Rules::compile(&configs, NameScheme::Utf8).unwrap(), explain);
        let mut output = Vec::new();
        let end = stream(worker, BufReader::new(input.as_bytes()), &mut output);
        let end = end.map_err(|failure| match failure {
            Failure::Untold(report) => report.to_string(),
            other => format!("{other:?}"),
        });
        (String::from_utf8(output).unwrap(), end)
    }

    #[test]
    fn each_line_has_its_result() {
        let rules = "[{source_labels: [a], regex: x, action: drop}, {source_labels: [a], target_label: B}]";
        let input = "{\"b\": \"2\", \"a\": \"1\"}\n\n{\"a\":\"x\"}\r\n{}\n  {\"a\":\"ü\\n\\u00e4\",\"c\":\"\"}";
        let output = "{\"B\":\"1\",\"a\":\"1\",\"b\":\"2\"}\nnull\n{}\n{\"B\":\"ü\\nä\",\"a\":\"ü\\nä\"}\n";
        assert_eq!(relabelled(rules, false, input), (output.to_owned(), Ok(())));
    }

    #[test]
    fn labelmap_goes_by_name_whatever_the_order_of_the_input() {
        let rules = "[{regex: 'x.*', replacement: y, action: labelmap}]";
        for input in [r#"{"x1":"1","x2":"2"}"#, r#"{"x2":"2","x1":"1"}"#] {
            let (output, _) = relabelled(rules, false, input);
            assert_eq!(output, "{\"x1\":\"1\",\"x2\":\"2\",\"y\":\"2\"}\n");
        }
    }

    #[test]
    fn a_malformed_line_is_named_after_the_results_before_it() {
        for (line, reason) in [
            ("{\"a\": 1}", "column 7: invalid type: integer `1`, expected a string"),
            ("[]", "column 0: invalid type: sequence, expected a label set: an object of strings"),
            ("{\"a\":\"1\"} x", "column 11: trailing characters"),
            ("{\"\":\"1\"}", "column 8: a label cannot be without a name"),
            ("{\"a\":", "column 5: EOF while parsing a value"),
        ] {
            let (output, end) = relabelled("[]", false, &format!("{{\"a\":\"1\"}}\n{line}\n{{}}\n"));
            assert_eq!(output, "{\"a\":\"1\"}\n", "{line}");
            assert_eq!(end, Err(format!("line 2 of the input, {reason}")), "{line}");
        }
    }

    #[test]
    fn explaining_shows_the_way_to_the_same_result() {
        let rules = "[{target_label: b, replacement: '2'}, {source_labels: [a], regex: x, action: drop}]";
        let (output, end) = relabelled(rules, true, "{\"a\":\"1\"}\n{\"a\":\"x\"}");
        assert_eq!(end, Ok(()));
        let lines: Vec<serde_json::Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["input"], serde_json::json!({"a": "1"}));
        assert_eq!(lines[0]["steps"][0]["output"], serde_json::json!({"a": "1", "b": "2"}));
        assert_eq!(lines[0]["result"], serde_json::json!({"a": "1", "b": "2"}));
        assert_eq!((&lines[1]["steps"][1]["keep"], &lines[1]["result"]), (&false.into(), &serde_json::Value::Null));
    }
}
