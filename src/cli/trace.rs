//! What rules did to a label set, for people: each rule, what it looked at, and what it changed.

use std::fmt::Write;

use super::colour::Colour;
use crate::explain::{Change, End, Trace};

/// All of it but the labels that came, each line behind the margin.
pub(super) fn text(trace: &Trace, margin: &str, colour: Colour) -> String {
    let mut shown = Shown { text: String::new(), margin, colour };
    if !trace.from_job.is_empty() {
        shown.line("from the job");
        shown.changes(&trace.from_job);
    }
    for (index, step) in trace.steps.iter().enumerate() {
        let (action, rest) = step.rule.split_once(' ').unwrap_or((&step.rule, ""));
        shown.line(format!("{}. {} {rest}", index + 1, colour.paint("1", action)).trim_end());
        if !step.kept {
            let dropped = colour.paint("31", "dropped");
            shown.line(&format!("   {}: {dropped}", step.saw.as_deref().unwrap_or_default()));
            let more = trace.steps.len() - index - 1;
            let unreached = match more {
                0 => String::new(),
                1 => ", 1 more is not reached".to_owned(),
                more => format!(", {more} more are not reached"),
            };
            shown.line(&format!("= {dropped} by rule {}{unreached}", index + 1));
            return shown.text;
        }
        let same = step.changes.is_empty().then(|| if step.decides() { "kept" } else { "nothing changes" });
        let said: Vec<_> = step.saw.as_deref().into_iter().chain(same).collect();
        if !said.is_empty() {
            shown.line(&format!("   {}", said.join(": ")));
        }
        shown.changes(&step.changes);
    }
    match &trace.end {
        End::Kept { labels } => {
            if !trace.at_last.is_empty() {
                shown.line("at last");
                shown.changes(&trace.at_last);
            }
            shown.line(&format!("= {}", colour.paint("32", &labels.to_string())));
        }
        // Without rules nothing is dropped, and a rule that drops has been told.
        End::Dropped => {}
        End::Impossible { reason } => shown.line(&format!("= {}: {reason}", colour.paint("31", "no target"))),
    }
    shown.text
}

struct Shown<'m> {
    text: String,
    margin: &'m str,
    colour: Colour,
}

impl Shown<'_> {
    fn line(&mut self, line: &str) {
        writeln!(self.text, "{}{line}", self.margin).expect("a string takes what is written");
    }

    /// A line for each label that differs.
    fn changes(&mut self, changes: &[Change]) {
        for Change { name, from, to } in changes {
            let line = match (from, to) {
                (Some(from), Some(to)) => self.colour.paint("33", &format!("~ {name}={to:?}, was {from:?}")),
                (None, Some(to)) => self.colour.paint("32", &format!("+ {name}={to:?}")),
                (from, None) => self.colour.paint("31", &format!("- {name}={:?}", from.as_deref().unwrap_or_default())),
            };
            self.line(&format!("   {line}"));
        }
    }
}
