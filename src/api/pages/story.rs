//! The way of a label set through rules, as pages show it. Pure.

use rosterd_model::target::Target;

use super::super::words::counted;
use super::cut::{self, Label, as_fits, line, written};
use crate::explain::{Change, End, Trace, TracedStep};

/// The way, step by step, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Story {
    pub(super) steps: Vec<Chapter>,
    /// What became of it: a word and its class.
    pub(super) word: String,
    pub(super) class: &'static str,
    /// Why, where it is no target.
    pub(super) why: String,
    /// The final labels, with whether series do without.
    pub(super) labels: Vec<Label>,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chapter {
    /// The class of the mark before it.
    pub(super) class: &'static str,
    pub(super) head: String,
    /// The rule without its number, if it is one.
    pub(super) rule: String,
    /// What it looked at, and what came of it.
    pub(super) said: String,
    pub(super) changes: Vec<Changed>,
}

/// How long the changes of all steps are together, in bytes.
const CHANGES: usize = 16_000;
/// And how long all that is told of them may be.
const STEPS: usize = 30_000;

/// A label that changed: `+` it came, `-` it went, `~` it has another value. Or, without any of these, how many more there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) how: &'static str,
    pub(super) name: String,
    pub(super) from: String,
    pub(super) to: String,
}

impl Story {
    /// In words.
    pub(super) fn of(trace: &Trace) -> Self {
        let (mut steps, mut left) = (Vec::new(), CHANGES);
        if !trace.from_job.is_empty() {
            steps.push(Chapter::plain("The job gives it labels", &trace.from_job, &mut left));
        }
        steps.extend(trace.steps.iter().enumerate().map(|(index, step)| Chapter::of(index + 1, step, &mut left)));
        if !trace.at_last.is_empty() {
            steps.push(Chapter::plain("At last", &trace.at_last, &mut left));
        }
        let count = steps.len();
        let mut steps = as_fits(steps.into_iter(), STEPS, Chapter::size);
        if let more @ 1.. = count - steps.len() {
            steps.push(Chapter::more(more));
        }
        let (word, class, why, labels) = match &trace.end {
            End::Kept { labels } => {
                let public = Target(labels).public().map(|(name, value)| (name, value, false));
                let own = labels.iter().filter(|(name, _)| name.starts_with("__"));
                let own = own.map(|(name, value)| (name, value, true));
                ("kept".to_owned(), "up", String::new(), cut::labels(public.chain(own)))
            }
            End::Dropped => {
                let by = trace.dropped_by().map(|number| format!("dropped by rule {number}"));
                (by.unwrap_or_else(|| "dropped".to_owned()), "down", String::new(), Vec::new())
            }
            End::Impossible { reason } => ("no target".to_owned(), "down", line(reason), Vec::new()),
        };
        Self { steps, word, class, why, labels }
    }

    /// About how long it is on a page.
    pub(super) fn size(&self) -> usize {
        let steps = self.steps.iter().map(Chapter::size).sum::<usize>();
        200 + written(&self.why) + cut::size(&self.labels) + steps
    }
}

impl Chapter {
    /// About how long it is on a page.
    fn size(&self) -> usize {
        let changes = self.changes.iter().map(Changed::size).sum::<usize>();
        200 + written(&self.head) + written(&self.rule) + written(&self.said) + changes
    }

    /// That there are more.
    fn more(more: usize) -> Self {
        Self { head: format!("And {}", counted(more, "more step")), ..Self::plain("", &[], &mut 0) }
    }

    fn plain(head: &str, changes: &[Change], left: &mut usize) -> Self {
        let changes = Changed::all(changes, left);
        Self { class: "did", head: head.to_owned(), rule: String::new(), said: String::new(), changes }
    }

    fn of(number: usize, step: &TracedStep, left: &mut usize) -> Self {
        let came = match (step.reached, step.kept, step.changes.is_empty()) {
            (false, ..) => "not reached",
            (_, false, _) => "dropped",
            (_, _, true) if step.decides() => "kept",
            (_, _, true) => "nothing changes",
            _ => "",
        };
        let class = match came {
            "not reached" | "nothing changes" => "",
            "dropped" => "bad",
            "kept" => "good",
            _ => "did",
        };
        let said: Vec<_> = step.saw.as_deref().into_iter().chain(Some(came)).filter(|said| !said.is_empty()).collect();
        Self {
            class,
            head: format!("Rule {number}"),
            rule: line(&step.rule),
            said: line(&said.join(": ")),
            changes: Changed::all(&step.changes, left),
        }
    }
}

impl Changed {
    pub(super) fn of(Change { name, from, to }: &Change) -> Self {
        let how = match (from, to) {
            (None, _) => "+",
            (Some(_), None) => "-",
            (Some(_), Some(_)) => "~",
        };
        let text = |value: &Option<String>| value.as_deref().map(line).unwrap_or_default();
        Self { how, name: line(name), from: text(from), to: text(to) }
    }

    /// That there are more.
    pub(super) fn more(more: usize) -> Self {
        Self { how: "", name: format!("and {}", counted(more, "more label")), from: String::new(), to: String::new() }
    }

    /// As many as there is room for, which is taken.
    fn all(changes: &[Change], left: &mut usize) -> Vec<Self> {
        let changes = cut::changes(changes, *left);
        *left = left.saturating_sub(changes.iter().map(Self::size).sum());
        changes
    }

    /// About how long it is on a page.
    pub(super) fn size(&self) -> usize {
        [&self.name, &self.from, &self.to].iter().map(|text| written(text)).sum::<usize>() + 60
    }
}

#[cfg(test)]
mod tests {
    use rosterd_model::relabel::{RuleConfig, Rules};
    use rosterd_model::{Labels, NameScheme};

    use super::*;

    #[test]
    fn each_step_says_what_came_of_it() {
        let rules = "[{source_labels: [a], target_label: b}, {source_labels: [a], regex: '1', action: keep}, \
                     {target_label: a, replacement: '2'}, {regex: b, action: labeldrop}, {regex: x, action: labeldrop}, \
                     {source_labels: [a], regex: '2', action: drop}, {target_label: c}]";
        let configs: Vec<RuleConfig> = serde_yaml::from_str(rules).unwrap();
        let rules = Rules::compile(&configs, NameScheme::Utf8).unwrap();
        let labels: Labels = [("a", "1")].into_iter().collect();
        let story = Story::of(&Trace::new(&labels, &labels, &rules.explain(&labels), End::Dropped));
        let told = |step: &Chapter| {
            let changes = step.changes.iter().map(|it| format!("{}{} {}>{}", it.how, it.name, it.from, it.to));
            format!("{}|{}|{}", step.class, step.said, changes.collect::<Vec<_>>().join(","))
        };
        let expected = [
            "did|\"1\" matches|+b >1",
            "good|\"1\" matches: kept|",
            "did||~a 1>2",
            "did||-b 1>",
            "|nothing changes|",
            "bad|\"2\" matches: dropped|",
            "|not reached|",
        ];
        assert_eq!(story.steps.iter().map(told).collect::<Vec<_>>(), expected);
        assert_eq!((story.word.as_str(), story.class), ("dropped by rule 6", "down"));
    }
}
