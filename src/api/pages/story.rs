//! The way of a label set through rules, as pages show it. Pure.

use rosterd_model::target::Target;

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
    pub(super) labels: Vec<(String, String, bool)>,
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

/// A label that changed: `+` it came, `-` it went, `~` it has another value.
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
        let mut steps = Vec::new();
        if !trace.from_job.is_empty() {
            steps.push(Chapter::plain("The job gives it labels", &trace.from_job));
        }
        steps.extend(trace.steps.iter().enumerate().map(|(index, step)| Chapter::of(index + 1, step)));
        if !trace.at_last.is_empty() {
            steps.push(Chapter::plain("At last", &trace.at_last));
        }
        let (word, class, why, labels) = match &trace.end {
            End::Kept { labels } => {
                let public = Target(labels).public().map(|(name, value)| (name.to_owned(), value.to_owned(), false));
                let own = labels.iter().filter(|(name, _)| name.starts_with("__"));
                let own = own.map(|(name, value)| (name.to_owned(), value.to_owned(), true));
                ("kept".to_owned(), "up", String::new(), public.chain(own).collect())
            }
            End::Dropped => {
                let by = trace.dropped_by().map(|number| format!("dropped by rule {number}"));
                (by.unwrap_or_else(|| "dropped".to_owned()), "down", String::new(), Vec::new())
            }
            End::Impossible { reason } => ("no target".to_owned(), "down", reason.clone(), Vec::new()),
        };
        Self { steps, word, class, why, labels }
    }
}

impl Chapter {
    fn plain(head: &str, changes: &[Change]) -> Self {
        let changes = changes.iter().map(Changed::of).collect();
        Self { class: "did", head: head.to_owned(), rule: String::new(), said: String::new(), changes }
    }

    fn of(number: usize, step: &TracedStep) -> Self {
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
            rule: step.rule.clone(),
            said: said.join(": "),
            changes: step.changes.iter().map(Changed::of).collect(),
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
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        Self { how, name: name.clone(), from: text(from), to: text(to) }
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
