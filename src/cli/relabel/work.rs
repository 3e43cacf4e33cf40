//! Label sets at work, one after the other: by rules alone, or as targets of a job.

use rosterd_model::relabel::{Rules, Scratch, Step};
use rosterd_model::{Labels, Names};
use serde::Serialize;

use super::{Output, input};
use crate::cli::colour::Colour;
use crate::cli::exit::tell;
use crate::cli::{Error, trace};
use crate::explain::{End, Trace};
use crate::publish::encode::object;
use crate::roster::JobSpec;
use crate::roster::target::{Workbench, populate};

/// What is applied.
pub(super) enum Subject {
    /// Rules, and nothing else.
    Rules(Rules),
    /// A job: its rules, and what it gives to each target.
    Job(Box<JobSpec>),
}

/// What is applied, and the memory that is used for one label set after the other.
pub(super) struct Worker {
    subject: Subject,
    explain: bool,
    output: Output,
    colour: Colour,
    bench: Workbench,
    scratch: Scratch,
    names: Names,
}

/// A label set and its steps, for programs.
#[derive(Serialize)]
struct Explanation<'a> {
    input: &'a Labels,
    steps: &'a [Step],
    result: Option<&'a Labels>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl Worker {
    pub(super) fn new(subject: Subject, explain: bool, output: Output, colour: Colour) -> Self {
        let (bench, scratch) = (Workbench::default(), Scratch::default());
        Self { subject, explain, output, colour, bench, scratch, names: Names::new() }
    }

    /// Appends the result for one line.
    pub(super) fn line(&mut self, number: u64, line: &[u8], output: &mut Vec<u8>) -> Result<(), Error> {
        input::read(number, line, &mut self.bench.labels)?;
        // Rules see labels by name, whatever the order of the input.
        self.bench.labels.sort();
        if self.explain {
            self.explained(output);
        } else {
            self.applied(number, output);
        }
        output.push(b'\n');
        Ok(())
    }

    fn applied(&mut self, number: u64, output: &mut Vec<u8>) {
        if let (Subject::Rules(rules), Output::Json) = (&self.subject, self.output) {
            // No label set is made of it: programs send many.
            let labels = &mut self.bench.labels;
            if rules.apply(labels, &mut self.scratch) {
                labels.sort();
                object(labels.iter(), output);
            } else {
                output.extend_from_slice(b"null");
            }
            return;
        }
        let end = self.end();
        match (&end, self.output) {
            (End::Kept { labels }, Output::Json) => write_json(output, labels),
            (End::Kept { labels }, Output::Text) => output.extend_from_slice(labels.to_string().as_bytes()),
            (End::Dropped, Output::Text) => output.extend_from_slice(b"dropped"),
            (End::Impossible { reason }, Output::Text) => {
                output.extend_from_slice(format!("no target: {reason}").as_bytes());
            }
            (End::Dropped, Output::Json) => output.extend_from_slice(b"null"),
            (End::Impossible { reason }, Output::Json) => {
                tell(format_args!("warning: line {number} of the input cannot be a target: {reason}"));
                output.extend_from_slice(b"null");
            }
        }
    }

    fn explained(&mut self, output: &mut Vec<u8>) {
        let given = self.bench.labels.build(&mut self.names);
        let (rules, input) = match &self.subject {
            Subject::Rules(rules) => (rules, given.clone()),
            Subject::Job(job) => {
                job.add_defaults(&mut self.bench.labels);
                (&job.rules, self.bench.labels.build(&mut self.names))
            }
        };
        let steps = rules.explain(&input);
        self.bench.labels.reset(&given);
        let end = self.end();
        match self.output {
            Output::Json => {
                let (result, error) = match &end {
                    End::Kept { labels } => (Some(labels), None),
                    End::Dropped => (None, None),
                    End::Impossible { reason } => (None, Some(reason.as_str())),
                };
                write_json(output, &Explanation { input: &input, steps: &steps, result, error });
            }
            Output::Text => {
                let trace = Trace::new(&given, &input, &steps, end);
                let head = self.colour.paint("1", &given.to_string());
                output.extend_from_slice(format!("{head}\n{}", trace::text(&trace, "  ", self.colour)).as_bytes());
            }
        }
    }

    /// What becomes of the labels on the bench.
    fn end(&mut self) -> End {
        match &self.subject {
            Subject::Rules(rules) => match rules.apply(&mut self.bench.labels, &mut self.scratch) {
                true => End::Kept { labels: self.bench.labels.build(&mut self.names) },
                false => End::Dropped,
            },
            Subject::Job(job) => populate(&mut self.bench, job, &mut self.names).into(),
        }
    }
}

fn write_json(output: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(output, value).expect("labels and rules can be written to memory as JSON");
}
