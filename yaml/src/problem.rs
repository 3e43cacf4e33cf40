//! Something wrong in a file, with its place, and the codes of what is wrong with YAML as such.

use std::fmt;
use std::path::{Path, PathBuf};

use rosterd_model::in_words;
use serde::Serialize;

/// The codes of what is wrong with a file before anybody asks what it means. Published in logs, the API and the docs.
pub mod code {
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
}

/// Something wrong in a file, or worth a warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// A stable code, `cfg_...`.
    pub code: &'static str,
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1; 0 when the file as a whole is meant.
    pub line: usize,
    /// The column in characters, counted from 1; 0 when the file as a whole is meant.
    pub column: usize,
    /// The place in the document: `scrape_configs[2].scrape_interval`.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Problem {
    /// A problem of a file as a whole.
    pub fn of_file(file: &Path, code: &'static str, message: impl Into<String>) -> Self {
        Self { code, file: file.to_owned(), line: 0, column: 0, key: String::new(), message: message.into() }
    }

    /// A file that cannot be read.
    pub fn unreadable(file: &Path, error: &std::io::Error) -> Self {
        Self::of_file(file, code::UNREADABLE, format!("cannot read the file: {}", in_words(error)))
    }

    /// What is wrong, with the key if the message does not name it.
    pub fn words(&self) -> String {
        if self.key.is_empty() || self.message.contains(&self.key) {
            self.message.clone()
        } else {
            format!("{}: {}", self.key, self.message)
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
        write!(f, " {} ({})", self.words(), self.code)
    }
}

/// How many problems of a list a line of the log has room for.
const SHOWN: usize = 3;

/// All that is wrong with a file that somebody else names. Never empty. Shown in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", in_one_line(.0))]
pub struct Problems(pub Vec<Problem>);

fn in_one_line(problems: &[Problem]) -> String {
    let shown = |problem: &Problem| match problem.line {
        0 => problem.words(),
        line => format!("line {line}, column {}: {}", problem.column, problem.words()),
    };
    let mut line = problems.iter().take(SHOWN).map(shown).collect::<Vec<_>>().join("; ");
    if let more @ 1.. = problems.len().saturating_sub(SHOWN) {
        line += &format!("; and {more} more");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line_with_its_place() {
        let problem = Problem {
            code: code::INVALID_TYPE,
            file: "a.yml".into(),
            line: 3,
            column: 7,
            key: "global.scrape_interval".into(),
            message: "expected a duration".into(),
        };
        assert_eq!(problem.to_string(), "a.yml:3:7: global.scrape_interval: expected a duration (cfg_invalid_type)");
        let unread = Problem { line: 0, column: 0, key: String::new(), ..problem };
        assert_eq!(unread.to_string(), "a.yml: expected a duration (cfg_invalid_type)");
    }

    #[test]
    fn a_line_has_room_for_some_problems_and_counts_the_rest() {
        let problem = |line| Problem { line, column: 2, ..Problem::of_file(Path::new("a"), code::SYNTAX, "bad") };
        assert_eq!(Problems(vec![problem(1)]).to_string(), "line 1, column 2: bad");
        let shown = Problems((1..=5).map(problem).collect()).to_string();
        assert!(shown.ends_with("line 3, column 2: bad; and 2 more"), "{shown}");
    }
}
