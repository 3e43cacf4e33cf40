//! Relabelling rules and their problems.

use std::error::Error;

use rosterd_model::relabel::{RelabelError, RuleConfig, Rules};
use rosterd_model::{NameScheme, Problem};

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
