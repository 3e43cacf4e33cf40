//! One label compared with one value.

use std::fmt;
use std::sync::Arc;

use super::SelectorError;
use crate::NameScheme;
use crate::labels::is_valid_name;
use crate::relabel::Pattern;

/// How a label is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// `=`: equal.
    Eq,
    /// `!=`: not equal.
    Ne,
    /// `=~`: matched by the expression from end to end.
    Re,
    /// `!~`: not matched by the expression.
    Nre,
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eq => "=",
            Self::Ne => "!=",
            Self::Re => "=~",
            Self::Nre => "!~",
        })
    }
}

/// A label, a comparison and a value. Equal when these are.
#[derive(Debug, Clone)]
pub struct Matcher {
    name: Box<str>,
    op: Op,
    value: Box<str>,
    pattern: Option<Arc<Pattern>>,
}

impl Matcher {
    /// Makes a matcher. Fails when the value has to be an RE2 expression and is none.
    pub fn new(name: &str, op: Op, value: &str) -> Result<Self, SelectorError> {
        let pattern = match op {
            Op::Eq | Op::Ne => None,
            Op::Re | Op::Nre => Some(Arc::new(Pattern::compile(value).map_err(|source| SelectorError::Regex {
                regex: value.to_owned(),
                at: 0,
                source,
            })?)),
        };
        Ok(Self { name: name.into(), op, value: value.into(), pattern })
    }

    /// The name of the label.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The comparison.
    pub fn op(&self) -> Op {
        self.op
    }

    /// What the label is compared with.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label with this value matches.
    pub fn is_match(&self, value: &str) -> bool {
        let equal = match &self.pattern {
            Some(pattern) => pattern.is_match(value),
            None => *self.value == *value,
        };
        equal == matches!(self.op, Op::Eq | Op::Re)
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_valid_name(&self.name, NameScheme::Legacy) {
            f.write_str(&self.name)?;
        } else {
            write_quoted(&self.name, f)?;
        }
        write!(f, "{}", self.op)?;
        write_quoted(&self.value, f)
    }
}

fn write_quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("\"")?;
    for char in text.chars() {
        match char {
            '"' | '\\' => write!(f, "\\{char}")?,
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            '\r' => f.write_str("\\r")?,
            _ if char.is_control() => write!(f, "\\u{:04x}", char as u32)?,
            _ => write!(f, "{char}")?,
        }
    }
    f.write_str("\"")
}
