//! Where a JSON text stops being what is expected, and why, in the words of somebody who writes such texts.

use std::path::Path;

use rosterd_yaml::{Problem, code};
use serde_json::error::Category;

use super::DecodeError;

/// A fault of a JSON text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct JsonFault {
    /// Counted from 1.
    pub line: usize,
    /// In bytes, counted from 1; 0 at the end of a line.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

const NO_NUMBER: &str = "this is no number of JSON";

impl JsonFault {
    /// The fault of a text of which nothing was read.
    pub(super) fn of_beginning(error: serde_json::Error) -> Self {
        let is_empty = error.is_eof() && error.to_string().starts_with("EOF while parsing a value");
        let fault = Self::from(error);
        let message = match &*fault.message {
            _ if is_empty => "there is nothing in it: a list without groups is `[]`".to_owned(),
            // A dash is how lists begin there.
            NO_NUMBER => {
                format!(
                    "{NO_NUMBER}; if it is YAML: lists are read as JSON here, and as YAML only from files .yml and .yaml"
                )
            }
            _ => return fault,
        };
        Self { message, ..fault }
    }
}

impl From<serde_json::Error> for JsonFault {
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let reason = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
        let message = match error.classify() {
            Category::Eof => "the text ends too early: a bracket or a quote is not closed".to_owned(),
            Category::Data => data(reason),
            Category::Syntax | Category::Io => syntax(reason).to_owned(),
        };
        Self { line, column, message }
    }
}

/// What is JSON, and not what is expected.
fn data(reason: &str) -> String {
    let kind = |kind: &str| match kind {
        "map" => "a map".to_owned(),
        "sequence" => "a list".to_owned(),
        "null" => "null".to_owned(),
        other => match other.split_once(' ').map_or(other, |(kind, _)| kind) {
            "floating" | "integer" => "a number".to_owned(),
            "boolean" => "true or false".to_owned(),
            "string" => "text".to_owned(),
            kind => kind.to_owned(),
        },
    };
    if let Some((found, expected)) =
        reason.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "))
    {
        let expected = expected.replace("a string", "text in quotes").replace("a sequence", "a list");
        return format!("expected {expected}, found {}", kind(found));
    }
    if let Some((key, _)) = reason.strip_prefix("unknown field ").and_then(|rest| rest.split_once(", expected ")) {
        return format!("unknown key {key}: a target group has `targets` and `labels`");
    }
    reason.to_owned()
}

fn syntax(reason: &str) -> &'static str {
    match reason {
        "trailing characters" => "something follows the last bracket: remove it",
        "trailing comma" => "a comma stands before a closing bracket: remove it",
        "expected `,` or `]`" => "a comma or the end of the list, `]`, is missing before this",
        "expected `,` or `}`" => "a comma or the end of the map, `}`, is missing before this",
        "expected `:`" => "a colon is missing behind a key",
        "key must be a string" => "a key has to be text in double quotes",
        "recursion limit exceeded" => "this is nested too deep",
        "invalid escape" => "there is no such escape: write \\\\ for a backslash",
        "control character (\\u0000-\\u001F) found while parsing a string" => {
            "a text in quotes holds a line break or another control character: write it as an escape such as \\n"
        }
        "invalid number" | "number out of range" => NO_NUMBER,
        _ => "this is not JSON: a list, a map, text in double quotes or a number is expected here",
    }
}

impl DecodeError {
    /// All that is wrong with a list that stands in a file.
    pub fn problems(self, file: &Path) -> Vec<Problem> {
        let (key, JsonFault { line, column, message }) = match self {
            Self::Yaml { source } => return source.0,
            Self::List { source } => (String::new(), source),
            Self::Group { index, source } => (format!("[{index}]"), source),
        };
        vec![Problem { line, column: column.max(1), key, ..Problem::of_file(file, code::SYNTAX, message) }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_words_of_the_library_are_told() {
        let fault =
            |text: &str| JsonFault::from(serde_json::from_str::<Vec<String>>(text).expect_err(text)).to_string();
        for (text, told) in [
            ("[nil]", "line 1, column 3: this is not JSON"),
            ("[\"a\" \"b\"]", "line 1, column 6: a comma or the end of the list"),
            ("[\"a\",]", "line 1, column 6: a comma stands before a closing bracket"),
            ("[\"a\"", "line 1, column 4: the text ends too early"),
            ("[1e400]", "line 1, column 6: this is no number of JSON"),
            ("[\"a\n\"]", "line 2, column 0: a text in quotes holds a line break"),
            ("[] x", "line 1, column 4: something follows the last bracket"),
            ("[1]", "line 1, column 2: expected text in quotes, found a number"),
            ("[true]", "line 1, column 5: expected text in quotes, found true or false"),
            ("[{\"a\" 1}]", "line 1, column 1: expected text in quotes, found a map"),
        ] {
            let shown = fault(text);
            assert!(shown.starts_with(told), "{text}: {shown}");
        }
        let error = serde_json::from_str::<Vec<String>>("- targets: [a:1]").expect_err("it is YAML");
        let shown = JsonFault::of_beginning(error).to_string();
        let told =
            "line 1, column 2: this is no number of JSON; if it is YAML: lists are read as JSON here, and as YAML only";
        assert!(shown.starts_with(told), "{shown}");
    }
}
