//! What relabelling does to one label set: each rule, what it looked at, and what it changed. Pure.

use rosterd_model::relabel::{Action, Look, Step};
use rosterd_model::{Labels, Names};
use serde::{Deserialize, Serialize};

use crate::roster::JobSpec;
use crate::roster::target::{Entry, Workbench, populate};

/// The way of a label set through rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// The labels as they were discovered.
    pub discovered: Labels,
    /// What the job gave to them before the first rule.
    pub from_job: Vec<Change>,
    /// A step for each rule, also for those that were not reached.
    pub steps: Vec<TracedStep>,
    /// What changed after the last rule: what only discovery needs goes, `instance` comes.
    pub at_last: Vec<Change>,
    /// What became of it.
    pub end: End,
}

/// What one rule did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TracedStep {
    /// What the rule does.
    pub action: Action,
    /// The rule in one line, beginning with its action.
    pub rule: String,
    /// What it looked at and whether it matched, in words; nothing where it looks at nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saw: Option<String>,
    /// Whether the rules before left anything for it.
    pub reached: bool,
    /// Whether the labels are still kept after it.
    pub kept: bool,
    /// What it changed.
    pub changes: Vec<Change>,
}

/// A label that came, went, or has another value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// The value before, if it was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The value after, if it is still there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// What became of a label set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum End {
    /// It was kept, with these labels.
    Kept {
        /// The final labels.
        labels: Labels,
    },
    /// A rule dropped it.
    Dropped,
    /// It cannot be a target.
    Impossible {
        /// Why.
        reason: String,
    },
}

impl Trace {
    /// Of labels that came as `given`; the first rule saw them as `input`.
    pub fn new(given: &Labels, input: &Labels, steps: &[Step], end: End) -> Self {
        let (mut traced, mut before) = (Vec::with_capacity(steps.len()), input);
        for step in steps {
            traced.push(TracedStep::of(step, before));
            if step.keep {
                before = &step.output;
            }
        }
        let at_last = match &end {
            End::Kept { labels } => changes(before, labels),
            End::Dropped | End::Impossible { .. } => Vec::new(),
        };
        Self { discovered: given.clone(), from_job: changes(given, input), steps: traced, at_last, end }
    }

    /// Of an entry of a target group in a job.
    pub fn of_job(job: &JobSpec, discovered: &Labels) -> Self {
        let (mut bench, mut names) = (Workbench::default(), Names::new());
        bench.labels.reset(discovered);
        job.add_defaults(&mut bench.labels);
        let input = bench.labels.build(&mut names);
        let steps = job.rules.explain(&input);
        bench.labels.reset(discovered);
        Self::new(discovered, &input, &steps, populate(&mut bench, job, &mut names).into())
    }

    /// The number of the rule that dropped the labels, from 1.
    pub fn dropped_by(&self) -> Option<usize> {
        self.steps.iter().position(|step| !step.kept).map(|index| index + 1)
    }
}

impl From<Entry> for End {
    fn from(entry: Entry) -> Self {
        match entry {
            Entry::Active(labels) => Self::Kept { labels },
            Entry::Dropped => Self::Dropped,
            Entry::Failed(failure) => Self::Impossible { reason: failure.to_string() },
        }
    }
}

impl TracedStep {
    fn of(step: &Step, before: &Labels) -> Self {
        Self {
            action: step.rule.action,
            rule: step.rule.to_string(),
            saw: step.look.as_ref().and_then(|look| saw(step, look)),
            reached: step.look.is_some(),
            kept: step.keep,
            changes: if step.keep { changes(before, &step.output) } else { Vec::new() },
        }
    }

    /// Whether the rule keeps or drops, and changes nothing.
    pub fn decides(&self) -> bool {
        decides(self.action)
    }
}

fn decides(action: Action) -> bool {
    matches!(action, Action::Keep | Action::Drop | Action::KeepEqual | Action::DropEqual)
}

/// What the rule saw, if it looked at anything.
fn saw(step: &Step, Look { text, matches }: &Look) -> Option<String> {
    if step.rule.source_labels.is_empty() && !decides(step.rule.action) {
        return None;
    }
    let matches = match (step.rule.action, matches) {
        (Action::KeepEqual | Action::DropEqual, Some(true)) => format!("equals {}", step.rule.target_label),
        (Action::KeepEqual | Action::DropEqual, _) => format!("differs from {}", step.rule.target_label),
        (_, Some(true)) => "matches".to_owned(),
        (_, Some(false)) => "does not match".to_owned(),
        (_, None) => return Some(format!("of {text:?}")),
    };
    Some(format!("{text:?} {matches}"))
}

/// The labels that differ: those that came or have another value, then those that went.
pub fn changes(before: &Labels, after: &Labels) -> Vec<Change> {
    let owned = |value: Option<&str>| value.map(str::to_owned);
    let here = after.iter().filter(|(name, value)| before.get(name) != Some(value));
    let here = here.map(|(name, value)| Change {
        name: name.to_owned(),
        from: owned(before.get(name)),
        to: Some(value.to_owned()),
    });
    let gone = before.iter().filter(|(name, _)| after.get(name).is_none());
    here.chain(gone.map(|(name, value)| Change { name: name.to_owned(), from: Some(value.to_owned()), to: None }))
        .collect()
}
