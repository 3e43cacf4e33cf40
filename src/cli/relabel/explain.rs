//! What rules did to a label set, for people: each rule, what it looked at, and what it changed.

use std::fmt::Write;

use rosterd_model::Labels;
use rosterd_model::relabel::{Action, Look, Step};

use super::work::End;
use crate::cli::colour::Colour;

/// A label set on its way.
pub(super) struct Explained<'a> {
    /// As it came.
    pub(super) given: &'a Labels,
    /// What the first rule saw: also what the job gives to each target.
    pub(super) input: &'a Labels,
    pub(super) steps: &'a [Step],
    pub(super) end: &'a End,
}

/// All of it, with an empty line at the end.
pub(super) fn text(explained: &Explained<'_>, colour: Colour) -> String {
    let Explained { given, input, steps, end } = *explained;
    let mut shown = Shown { text: format!("{}\n", colour.paint("1", &given.to_string())), colour };
    if input != given {
        shown.line("  from the job");
        shown.changes(given, input);
    }
    let mut before = input;
    for (index, step) in steps.iter().enumerate() {
        let rule = step.rule.to_string();
        let (action, rest) = rule.split_once(' ').unwrap_or((&rule, ""));
        shown.line(format!("  {}. {} {rest}", index + 1, colour.paint("1", action)).trim_end());
        let saw = step.look.as_ref().and_then(|look| saw(step, look));
        if !step.keep {
            let dropped = colour.paint("31", "dropped");
            shown.line(&format!("     {}: {dropped}", saw.unwrap_or_default()));
            let more = steps.len() - index - 1;
            let unreached = if more > 0 { format!(", before {more} more") } else { String::new() };
            shown.line(&format!("  = {dropped} by rule {}{unreached}", index + 1));
            return shown.text;
        }
        let same = (*before == step.output).then(|| if decides(step.rule.action) { "kept" } else { "nothing changes" });
        let said: Vec<_> = saw.into_iter().chain(same.map(str::to_owned)).collect();
        if !said.is_empty() {
            shown.line(&format!("     {}", said.join(": ")));
        }
        shown.changes(before, &step.output);
        before = &step.output;
    }
    match end {
        End::Kept(labels) => {
            if labels != before {
                shown.line("  at last");
                shown.changes(before, labels);
            }
            shown.line(&format!("  = {}", colour.paint("32", &labels.to_string())));
        }
        // Without rules nothing is dropped, and a rule that drops has been told.
        End::Dropped => {}
        End::Impossible(why) => shown.line(&format!("  = {}: {why}", colour.paint("31", "no target"))),
    }
    shown.text
}

/// Whether an action keeps or drops, and changes nothing.
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

struct Shown {
    text: String,
    colour: Colour,
}

impl Shown {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// A line for each label that differs.
    fn changes(&mut self, before: &Labels, after: &Labels) {
        for (name, value) in after {
            let line = match before.get(name) {
                Some(old) if old == value => continue,
                Some(old) => self.colour.paint("33", &format!("~ {name}={value:?}, was {old:?}")),
                None => self.colour.paint("32", &format!("+ {name}={value:?}")),
            };
            writeln!(self.text, "     {line}").expect("a string takes what is written");
        }
        for (name, value) in before.iter().filter(|(name, _)| after.get(name).is_none()) {
            let line = self.colour.paint("31", &format!("- {name}={value:?}"));
            writeln!(self.text, "     {line}").expect("a string takes what is written");
        }
    }
}
