//! What can be wrong with a configuration: every code, and all problems of its files.

use rosterd_model::{Coded, Priority, Retry};
use rosterd_yaml::Problem;
use serde::Serialize;

/// The codes of problems and warnings. Published in logs, the API and the docs: add codes, never rename or reuse one.
pub mod code {
    pub use rosterd_yaml::code::{
        DUPLICATE_KEY, INVALID_TYPE, INVALID_VALUE, MISSING_KEY, MULTIPLE_DOCUMENTS, SYNTAX, TOO_LARGE, UNKNOWN_KEY,
        UNREADABLE,
    };

    /// The whole of what [`ConfigErrors`](super::ConfigErrors) holds.
    pub const INVALID_CONFIG: &str = "cfg_invalid";
    /// Keys that exclude each other.
    pub const CONFLICTING_KEYS: &str = "cfg_conflicting_keys";
    /// A setting of Prometheus that rosterd will not have.
    pub const UNSUPPORTED: &str = "cfg_unsupported";
    /// A setting of Prometheus that this version of rosterd does not have.
    pub const NOT_SUPPORTED_YET: &str = "cfg_not_supported_yet";
    /// An entry of a list with nothing in it.
    pub const EMPTY_ENTRY: &str = "cfg_empty_entry";
    /// Two jobs or two destinations of one name.
    pub const DUPLICATE_NAME: &str = "cfg_duplicate_name";
    /// A timeout above its interval.
    pub const TIMEOUT_ABOVE_INTERVAL: &str = "cfg_timeout_above_interval";
    /// A refresh interval of 0.
    pub const ZERO_INTERVAL: &str = "cfg_zero_interval";
    /// A label name or value that cannot be.
    pub const INVALID_LABEL: &str = "cfg_invalid_label";
    /// A relabelling rule that cannot work.
    pub const INVALID_RULE: &str = "cfg_invalid_rule";
    /// A job of `rosterd:` that is none of the `scrape_configs`.
    pub const UNKNOWN_JOB: &str = "cfg_unknown_job";
    /// An endpoint of `rosterd:` that is none of `remote_write`.
    pub const UNKNOWN_ENDPOINT: &str = "cfg_unknown_endpoint";
    /// Two outputs that would write the same file.
    pub const OUTPUT_COLLISION: &str = "cfg_output_collision";
    /// A template with commands, and `--templates.allow-commands` is not given.
    pub const COMMANDS_DISABLED: &str = "cfg_template_commands_disabled";
    /// A file that `templates` names and that is no template.
    pub const INVALID_TEMPLATE: &str = "cfg_invalid_template";
    /// What stands in a list and cannot be a target of its job.
    pub const IMPOSSIBLE_TARGET: &str = "cfg_impossible_target";
    /// A warning: a section that is read and has no effect.
    pub const SECTION_IGNORED: &str = "cfg_section_ignored";
    /// A warning: settings of scraping, and nothing is scraped.
    pub const NOT_SCRAPED: &str = "cfg_not_scraped";
    /// A warning: a pattern of files, or the name of one, that stands for no file.
    pub const NO_FILE: &str = "cfg_no_file";
    /// A warning: a rule that drops everything, or nothing, whatever the labels are.
    pub const CONSTANT_RULE: &str = "cfg_constant_rule";
    /// A warning: what a mechanism finds has no address, and no rule of the job gives it one.
    pub const NO_ADDRESS: &str = "cfg_no_address";
    /// A warning: what stands in a list and is a target, but one whose address leads nowhere.
    pub const UNREACHABLE_TARGET: &str = "cfg_unreachable_target";
    /// A warning: a check of a template that does not look at what was rendered.
    pub const BLIND_CHECK: &str = "cfg_blind_check";
    /// A warning: an external label that names an empty environment variable.
    pub const UNDEFINED_VARIABLE: &str = "cfg_undefined_variable";

    /// All of them.
    pub const ALL: [&str; 33] = [
        INVALID_CONFIG,
        UNREADABLE,
        SYNTAX,
        MULTIPLE_DOCUMENTS,
        TOO_LARGE,
        DUPLICATE_KEY,
        UNKNOWN_KEY,
        INVALID_TYPE,
        INVALID_VALUE,
        MISSING_KEY,
        CONFLICTING_KEYS,
        UNSUPPORTED,
        NOT_SUPPORTED_YET,
        EMPTY_ENTRY,
        DUPLICATE_NAME,
        TIMEOUT_ABOVE_INTERVAL,
        ZERO_INTERVAL,
        INVALID_LABEL,
        INVALID_RULE,
        UNKNOWN_JOB,
        UNKNOWN_ENDPOINT,
        OUTPUT_COLLISION,
        COMMANDS_DISABLED,
        INVALID_TEMPLATE,
        IMPOSSIBLE_TARGET,
        SECTION_IGNORED,
        NOT_SCRAPED,
        NO_FILE,
        CONSTANT_RULE,
        NO_ADDRESS,
        UNREACHABLE_TARGET,
        BLIND_CHECK,
        UNDEFINED_VARIABLE,
    ];
}

/// All that is wrong with a configuration, in the order of the files. Never without problems. Shown one problem a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(transparent)]
#[error("{}", lines(.problems))]
pub struct ConfigErrors {
    /// The problems.
    pub problems: Vec<Problem>,
    /// What is not wrong, and still worth telling.
    #[serde(skip)]
    pub warnings: Vec<Problem>,
}

impl ConfigErrors {
    /// Problems without warnings.
    pub(crate) fn of(problems: Vec<Problem>) -> Self {
        Self { problems, warnings: Vec::new() }
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

impl Coded for ConfigErrors {
    fn code(&self) -> &'static str {
        code::INVALID_CONFIG
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_named_alike() {
        let mut sorted = code::ALL.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), code::ALL.len());
        assert!(sorted.iter().all(|code| code.starts_with("cfg_")));
    }
}
