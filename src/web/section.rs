//! Reads sections of a YAML document and notes everything that is wrong, each with the path of its key.

use rosterd_model::{Problem, nearest};
use serde_yaml::{Mapping, Value};

/// The code of a key that nobody knows.
const UNKNOWN_KEY: &str = "cfg_unknown_key";
/// The code of a value that cannot be.
const INVALID_VALUE: &str = "cfg_invalid_value";

/// One mapping of the document. Every key that exists is asked for; [`end`](Self::end) refuses the rest.
pub(super) struct Section<'a> {
    path: String,
    entries: Vec<(String, &'a Value)>,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The mapping at a path; nothing at all is an empty one.
    pub(super) fn new(path: &str, value: Option<&'a Value>, problems: &mut Vec<Problem>) -> Self {
        let mapping: Option<&Mapping> = match value {
            None | Some(Value::Null) => None,
            Some(Value::Mapping(mapping)) => Some(mapping),
            Some(_) => {
                problems.push(invalid(path, "a mapping is needed here"));
                None
            }
        };
        let mut entries = Vec::new();
        for (key, value) in mapping.into_iter().flatten() {
            match scalar(key) {
                Some(key) => entries.push((key, value)),
                None => problems.push(invalid(path, "a key has to be a string")),
            }
        }
        Self { path: path.to_owned(), entries, known: Vec::new() }
    }

    /// The path of a key of this section.
    pub(super) fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The value of a key, unless it is absent or null.
    pub(super) fn value(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        let index = self.entries.iter().position(|(name, _)| name == key)?;
        Some(self.entries.swap_remove(index).1).filter(|value| !value.is_null())
    }

    /// A string that is not empty.
    pub(super) fn string(&mut self, key: &'static str, problems: &mut Vec<Problem>) -> Option<String> {
        let value = self.value(key)?;
        let text = scalar(value);
        if text.is_none() {
            problems.push(invalid(&self.at(key), "a string is needed here"));
        }
        text.filter(|text| !text.is_empty())
    }

    /// A boolean, also as YAML 1.1 spells it.
    pub(super) fn boolean(&mut self, key: &'static str, default: bool, problems: &mut Vec<Problem>) -> bool {
        let Some(value) = self.value(key) else { return default };
        let known = match value {
            Value::Bool(value) => Some(*value),
            Value::String(text) => match text.to_lowercase().as_str() {
                "yes" | "on" | "y" | "true" => Some(true),
                "no" | "off" | "n" | "false" => Some(false),
                _ => None,
            },
            _ => None,
        };
        known.unwrap_or_else(|| {
            problems.push(invalid(&self.at(key), "true or false is needed here"));
            default
        })
    }

    /// A list of strings, `None` when the key is absent.
    pub(super) fn strings(&mut self, key: &'static str, problems: &mut Vec<Problem>) -> Option<Vec<String>> {
        let value = self.value(key)?;
        let Value::Sequence(items) = value else {
            problems.push(invalid(&self.at(key), "a list of strings is needed here"));
            return None;
        };
        let mut strings = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match scalar(item) {
                Some(text) => strings.push(text),
                None => problems.push(invalid(&format!("{}[{index}]", self.at(key)), "a string is needed here")),
            }
        }
        Some(strings)
    }

    /// All entries that were not asked for, for a mapping whose keys are the user's.
    pub(super) fn rest(self) -> Vec<(String, &'a Value)> {
        self.entries
    }

    /// Refuses what was not asked for.
    pub(super) fn end(self, problems: &mut Vec<Problem>) {
        for (key, _) in &self.entries {
            let nearest = nearest(key, self.known.iter().copied());
            let hint = nearest.map_or_else(String::new, |known| format!("; did you mean {known}?"));
            problems.push(Problem::new(self.at(key), UNKNOWN_KEY, format!("there is no such key{hint}")));
        }
    }
}

/// A problem with a value.
pub(super) fn invalid(path: &str, message: impl Into<String>) -> Problem {
    Problem::new(path, INVALID_VALUE, message)
}

/// The text of a scalar. Numbers and booleans are taken where a string is wanted, as Go's YAML does.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}
