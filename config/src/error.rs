//! What can be wrong with a configuration: every code, and problems with their place in the file.

use std::fmt;
use std::path::{Path, PathBuf};

use rosterd_model::{Coded, Priority, Retry};
use serde::Serialize;

/// The codes of problems and warnings. Published in logs, the API and the docs: add codes, never rename or reuse one.
pub mod code {
    /// The whole of what [`ConfigErrors`](super::ConfigErrors) holds.
    pub const INVALID_CONFIG: &str = "cfg_invalid";
    /// A file that cannot be read.
    pub const UNREADABLE: &str = "cfg_unreadable";
    /// Text that is no YAML, or YAML that a configuration has no use for.
    pub const SYNTAX: &str = "cfg_syntax";
    /// More than one YAML document in a file.
    pub const MULTIPLE_DOCUMENTS: &str = "cfg_multiple_documents";
    /// Too deep, or too much by way of aliases.
    pub const TOO_LARGE: &str = "cfg_too_large";
    /// A key twice in one map.
    pub const DUPLICATE_KEY: &str = "cfg_duplicate_key";
    /// A key that does not exist.
    pub const UNKNOWN_KEY: &str = "cfg_unknown_key";
    /// A list where a number should be, and the like.
    pub const INVALID_TYPE: &str = "cfg_invalid_type";
    /// A value that the key does not take.
    pub const INVALID_VALUE: &str = "cfg_invalid_value";
    /// A key that has to be there.
    pub const MISSING_KEY: &str = "cfg_missing_key";
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
    /// A warning: a section that is read and has no effect.
    pub const SECTION_IGNORED: &str = "cfg_section_ignored";
    /// A warning: settings of scraping, and nothing is scraped.
    pub const NOT_SCRAPED: &str = "cfg_not_scraped";
    /// A warning: an external label that names an empty environment variable.
    pub const UNDEFINED_VARIABLE: &str = "cfg_undefined_variable";

    /// All of them.
    pub const ALL: [&str; 25] = [
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
        SECTION_IGNORED,
        NOT_SCRAPED,
        UNDEFINED_VARIABLE,
    ];
}

/// Something wrong in a configuration file, or worth a warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// A stable code, `cfg_...`; those of this crate are in [`code`].
    pub code: &'static str,
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1; 0 when the file as a whole is meant.
    pub line: usize,
    /// The column in characters, counted from 1; 0 when the file as a whole is meant.
    pub column: usize,
    /// The place in the document: `scrape_configs[2].scrape_interval`.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Problem {
    /// A file that cannot be read.
    pub(crate) fn unreadable(file: &Path, error: &std::io::Error) -> Self {
        Self {
            code: code::UNREADABLE,
            file: file.to_owned(),
            line: 0,
            column: 0,
            path: String::new(),
            message: format!("cannot read the file: {error}"),
        }
    }
}

/// `file:line:column: message (code)`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        let named = self.path.is_empty() || self.message.contains(&self.path);
        let path = if named { String::new() } else { format!("{}: ", self.path) };
        write!(f, " {path}{} ({})", self.message, self.code)
    }
}

/// All that is wrong with a configuration, in the order of the files. Never empty. Shown one problem a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(transparent)]
#[error("{}", lines(.problems))]
pub struct ConfigErrors {
    /// The problems.
    pub problems: Vec<Problem>,
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

    #[test]
    fn a_problem_is_one_line_with_its_place() {
        let problem = Problem {
            code: code::INVALID_TYPE,
            file: "a.yml".into(),
            line: 3,
            column: 7,
            path: "global.scrape_interval".into(),
            message: "expected a duration".into(),
        };
        assert_eq!(problem.to_string(), "a.yml:3:7: global.scrape_interval: expected a duration (cfg_invalid_type)");
        let unread = Problem { line: 0, column: 0, path: String::new(), ..problem };
        assert_eq!(unread.to_string(), "a.yml: expected a duration (cfg_invalid_type)");
    }
}
