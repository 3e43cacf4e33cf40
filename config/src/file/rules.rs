//! Relabelling rules and their problems.

use std::error::Error;

use rosterd_model::labels::ADDRESS;
use rosterd_model::relabel::{Action, RelabelError, RuleConfig, Rules, Scratch};
use rosterd_model::{Builder, NameScheme, Problem};

use crate::error::code;

/// The rules under `key`, ready for use; without them, when there are problems.
pub(crate) fn compile(rules: &[RuleConfig], scheme: NameScheme, key: &str, problems: &mut Vec<Problem>) -> Rules {
    Rules::compile(rules, scheme).unwrap_or_else(|errors| {
        problems.extend(errors.into_iter().map(|(index, error)| problem(key, index, &error)));
        Rules::default()
    })
}

/// What is wrong with the rules under `key`.
pub(crate) fn check_rules(rules: &[RuleConfig], scheme: NameScheme, key: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    compile(rules, scheme, key, &mut problems);
    problems
}

/// Warnings of rules under `key` that keep or drop all of what they are for, `what`, whatever the labels are.
pub(crate) fn constant_rules(rules: &[RuleConfig], key: &str, what: &str) -> Vec<Problem> {
    let noticed = rules.iter().enumerate().filter_map(|(index, rule)| {
        let (keeps, why) = constant(rule)?;
        let message = match keeps {
            true => format!("this rule keeps all {what}, as without it: {why}"),
            false => format!("this rule drops all {what}: {why}"),
        };
        Some(Problem::new(format!("{key}[{index}]"), code::CONSTANT_RULE, message))
    });
    noticed.collect()
}

/// Whether a rule keeps everything or drops everything, and why, if it does one of them.
fn constant(rule: &RuleConfig) -> Option<(bool, &'static str)> {
    if !matches!(rule.action, Action::Keep | Action::Drop) {
        return None;
    }
    if rule.source_labels.is_empty() {
        // It looks at nothing, and decides the same each time.
        let keeps = rule.compile(NameScheme::Utf8).ok()?.apply(&mut Builder::new(), &mut Scratch::default());
        return Some((
            keeps,
            "it looks at no label; give it source_labels, and the regex that their values are to match",
        ));
    }
    let matches_all = matches!(rule.regex.as_str(), "(.*)" | ".*");
    matches_all.then_some((
        rule.action == Action::Keep,
        "its regex matches every value, also that of a label that is not there; give it another, such as .+",
    ))
}

/// Whether rules may give a target its address. What is refused in them counts as it would by default.
pub(crate) fn may_write_address(rules: &[RuleConfig]) -> bool {
    let writes = |rule: &RuleConfig| match rule.action {
        // Names that become this one are made for it.
        Action::LabelMap => [&rule.regex, &rule.replacement].iter().any(|text| text.contains("address")),
        Action::Replace | Action::Lowercase | Action::Uppercase | Action::HashMod => {
            rule.target_label == ADDRESS || rule.target_label.contains('$')
        }
        Action::Keep | Action::Drop | Action::KeepEqual | Action::DropEqual | Action::LabelDrop | Action::LabelKeep => {
            false
        }
    };
    rules.iter().any(writes)
}

/// Whether rules may drop a target for its address.
pub(crate) fn may_drop_by_address(rules: &[RuleConfig]) -> bool {
    let drops = |rule: &RuleConfig| match rule.action {
        Action::Keep | Action::Drop => rule.source_labels.iter().any(|label| label == ADDRESS),
        Action::KeepEqual | Action::DropEqual => {
            rule.target_label == ADDRESS || rule.source_labels.iter().any(|label| label == ADDRESS)
        }
        _ => false,
    };
    rules.iter().any(drops)
}

fn problem(key: &str, index: usize, error: &RelabelError) -> Problem {
    let field = match error {
        RelabelError::Regex { .. } => ".regex",
        RelabelError::TargetLabel { .. } => ".target_label",
        RelabelError::Replacement { .. } | RelabelError::UnusedReplacement(_) => ".replacement",
        RelabelError::ZeroModulus => ".modulus",
        RelabelError::SourceLabel(_) => ".source_labels",
        _ => "",
    };
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    Problem::new(format!("{key}[{index}]{field}"), code::INVALID_RULE, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(yaml: &str) -> Vec<RuleConfig> {
        serde_yaml::from_str(yaml).unwrap()
    }

    #[test]
    fn a_rule_that_decides_the_same_for_all_is_noticed() {
        for (rule, told) in [
            ("{action: drop}", "drops all targets: it looks at no label"),
            ("{action: keep, regex: a}", "drops all targets: it looks at no label"),
            ("{action: keep}", "keeps all targets, as without it: it looks at no label"),
            ("{action: drop, regex: a}", "keeps all targets, as without it: it looks at no label"),
            ("{action: drop, source_labels: [a]}", "drops all targets: its regex matches every value"),
            ("{action: drop, source_labels: [a], regex: .*}", "drops all targets: its regex matches every value"),
            ("{action: keep, source_labels: [a]}", "keeps all targets, as without it: its regex matches every value"),
        ] {
            let found = constant_rules(&rules(&format!("[{{target_label: x}}, {rule}]")), "relabel_configs", "targets");
            let [found] = &found[..] else { panic!("{rule}: {found:?}") };
            assert_eq!((found.path.as_str(), found.code), ("relabel_configs[1]", code::CONSTANT_RULE), "{rule}");
            assert!(found.message.starts_with(&format!("this rule {told}")), "{rule}: {}", found.message);
        }
        for rule in [
            "{action: drop, source_labels: [a], regex: .+}",
            "{action: keep, source_labels: [a], regex: x|}",
            "{action: dropequal, target_label: a}",
            "{target_label: a}",
            "{action: drop, regex: '('}",
        ] {
            assert_eq!(constant_rules(&rules(&format!("[{rule}]")), "k", "targets"), [], "{rule}");
        }
    }

    #[test]
    fn who_may_give_a_target_its_address_is_known() {
        for (rule, writes, drops) in [
            ("{target_label: __address__}", true, false),
            ("{target_label: '${1}'}", true, false),
            ("{action: labelmap, regex: __meta_(address), replacement: '__${1}__'}", true, false),
            ("{action: labelmap, regex: __meta_(.+)}", false, false),
            ("{target_label: host, source_labels: [__address__]}", false, false),
            ("{action: keep, source_labels: [a, __address__]}", false, true),
            ("{action: dropequal, source_labels: [a], target_label: __address__}", false, true),
            ("{action: labeldrop, regex: a}", false, false),
        ] {
            let rules = rules(&format!("[{rule}]"));
            assert_eq!((may_write_address(&rules), may_drop_by_address(&rules)), (writes, drops), "{rule}");
        }
    }
}
