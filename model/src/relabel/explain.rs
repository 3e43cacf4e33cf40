//! The effect of each rule on one label set.

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::{RuleConfig, Rules, Scratch};
use crate::{Builder, Labels, Names};

/// What a rule made of the labels that the rules before it left.
///
/// Serialises as in Prometheus' `/api/v1/targets/relabel_steps`: the rule with what is at its default, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The rule.
    pub rule: RuleConfig,
    /// The labels after the rule; none once they were dropped.
    pub output: Labels,
    /// Whether the labels are still kept after the rule.
    pub keep: bool,
    /// What the rule looked at; nothing where it was not reached. Not serialised: Prometheus does not tell it.
    pub look: Option<Look>,
}

/// What a rule looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The values of the source labels, joined.
    pub text: String,
    /// Whether that is what the rule looks for: the regex matches, or the target label is equal. Nothing where a rule does
    /// not ask.
    pub matches: Option<bool>,
}

impl Rules {
    /// Applies the rules to a label set and tells what each one did. There is a step for every rule: those after the one
    /// that dropped the labels have nothing left to work on.
    pub fn explain(&self, labels: &Labels) -> Vec<Step> {
        let (mut builder, mut names, mut scratch) = (Builder::new(), Names::new(), Scratch::default());
        builder.extend(labels);
        let mut keep = true;
        let step = |rule: &super::Rule| {
            let look = keep.then(|| rule.look(&mut builder));
            keep = keep && rule.apply(&mut builder, &mut scratch);
            // Building sorts, and the order in which labels came matters to the next rule.
            let output = if keep { builder.clone().build(&mut names) } else { Labels::empty() };
            Step { rule: rule.config().clone(), output, keep, look }
        };
        self.iter().map(step).collect()
    }

    /// The index of the first rule by which these labels may come to have more than so many bytes, in names and values. Rules that
    /// anybody may send are asked that before they are applied: some of them, each of which doubles a value, fill any memory.
    pub fn outgrows(&self, labels: &Labels, bytes: usize) -> Option<usize> {
        let (mut builder, mut scratch) = (Builder::new(), Scratch::default());
        builder.extend(labels);
        for (index, rule) in self.iter().enumerate() {
            let length: usize = builder.iter().map(|(name, value)| name.len() + value.len()).sum();
            if length.saturating_add(rule.writes(&builder)) > bytes {
                return Some(index);
            }
            if !rule.apply(&mut builder, &mut scratch) {
                break;
            }
        }
        None
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut step = serializer.serialize_struct("Step", 3)?;
        step.serialize_field("rule", &InFull(&self.rule))?;
        step.serialize_field("output", &self.output)?;
        step.serialize_field("keep", &self.keep)?;
        step.end()
    }
}

/// A rule with all that applies to it, as Prometheus shows it in JSON.
struct InFull<'a>(&'a RuleConfig);

impl Serialize for InFull<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rule = self.0;
        let mut map = serializer.serialize_struct("RuleConfig", 7)?;
        if !rule.source_labels.is_empty() {
            map.serialize_field("source_labels", &rule.source_labels)?;
        }
        map.serialize_field("separator", &rule.separator)?;
        map.serialize_field("regex", &rule.regex)?;
        if rule.modulus != 0 {
            map.serialize_field("modulus", &rule.modulus)?;
        }
        if !rule.target_label.is_empty() {
            map.serialize_field("target_label", &rule.target_label)?;
        }
        map.serialize_field("replacement", &rule.replacement)?;
        map.serialize_field("action", &rule.action)?;
        map.end()
    }
}
