//! Queries as data: which label sets are meant, and which part of a long list is wanted.
//!
//! A selector is written as in PromQL, `{job="a",env=~"x|y"}`, and composed with `and`, `or`, `not` and parentheses. It is
//! a value: the same one comes from the API, the command line and the pages, and is executed once, where the data is.
//! [`Selector::series`] reads what PromQL itself calls a series selector, and nothing else.

mod matcher; // one label compared with one value
mod page; // offset and limit
mod parse; // text -> selector
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Coded, Labels, Priority, Retry, relabel};

pub use matcher::{Matcher, Op};
pub use page::Page;

/// Which label sets are meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Selector {
    /// All of them.
    #[default]
    All,
    /// Those with a label that matches.
    Matcher(Matcher),
    /// Those that each of these means; all, if there are none.
    And(Vec<Selector>),
    /// Those that any of these means; none, if there are none.
    Or(Vec<Selector>),
    /// Those that this one does not mean.
    Not(Box<Selector>),
}

impl Selector {
    /// What all of these mean. Nested conjunctions become one.
    pub fn and(selectors: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Vec::new();
        for selector in selectors {
            match selector {
                Self::All => {}
                Self::And(mut inner) => all.append(&mut inner),
                other => all.push(other),
            }
        }
        match all.len() {
            0 => Self::All,
            1 => all.remove(0),
            _ => Self::And(all),
        }
    }

    /// What any of these means. Nested disjunctions become one.
    pub fn or(selectors: impl IntoIterator<Item = Self>) -> Self {
        let mut any = Vec::new();
        for selector in selectors {
            match selector {
                Self::Or(mut inner) => any.append(&mut inner),
                other => any.push(other),
            }
        }
        if any.len() == 1 { any.remove(0) } else { Self::Or(any) }
    }

    /// What this one does not mean.
    pub fn negate(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// Reads a series selector of PromQL: `up`, `up{job="a"}`, `{"up",job="a"}`, `{job="a"}`. The name of the metric is the
    /// label `__name__`. Without modifiers; and, or and not are no part of it.
    pub fn series(text: &str) -> Result<Self, SelectorError> {
        parse::series(text)
    }

    /// Whether this label set is meant. A label that is not there counts as empty.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matches_by(&|name| labels.get(name))
    }

    /// Whether a label set is meant of which `value` tells the labels: for those that show only a part of theirs.
    pub fn matches_by<'a>(&self, value: &dyn Fn(&str) -> Option<&'a str>) -> bool {
        match self {
            Self::All => true,
            Self::Matcher(matcher) => matcher.is_match(value(matcher.name()).unwrap_or_default()),
            Self::And(all) => all.iter().all(|selector| selector.matches_by(value)),
            Self::Or(any) => any.iter().any(|selector| selector.matches_by(value)),
            Self::Not(inner) => !inner.matches_by(value),
        }
    }

    /// The values that labels have to be equal to, if nothing else is asked of them: where none of these is, nothing is meant. None
    /// where labels may be meant for another reason.
    pub fn values(&self) -> Option<Vec<&str>> {
        match self {
            Self::Matcher(matcher) if matcher.op() == Op::Eq && !matcher.value().is_empty() => {
                Some(vec![matcher.value()])
            }
            Self::And(all) if !all.is_empty() => values_of(all),
            Self::Or(any) => values_of(any),
            Self::All | Self::Matcher(_) | Self::And(_) | Self::Not(_) => None,
        }
    }
}

fn values_of(selectors: &[Selector]) -> Option<Vec<&str>> {
    Some(selectors.iter().map(Selector::values).collect::<Option<Vec<_>>>()?.concat())
}

/// Why a text is not a selector. Offsets are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// Something else was expected.
    #[error("expected {expected} at byte {at} of the selector")]
    Unexpected {
        /// What would have been right.
        expected: &'static str,
        /// Where.
        at: usize,
    },
    /// A string without its end, or with an escape that does not exist.
    #[error("malformed string at byte {at} of the selector")]
    MalformedString {
        /// Where the string begins.
        at: usize,
    },
    /// A regular expression that is wrong.
    #[error("invalid regex {regex:?} at byte {at} of the selector")]
    Regex {
        /// The expression.
        regex: String,
        /// Where it begins; none of the text, if the matcher was not parsed.
        at: usize,
        /// What is wrong with it, and where within it.
        source: relabel::SyntaxError,
    },
    /// More parentheses within each other than anybody needs.
    #[error("too many nested parentheses at byte {at} of the selector")]
    TooDeep {
        /// Where.
        at: usize,
    },
}

impl Coded for SelectorError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unexpected { .. } => "selector_unexpected",
            Self::MalformedString { .. } => "selector_malformed_string",
            Self::Regex { .. } => "selector_invalid_regex",
            Self::TooDeep { .. } => "selector_too_deep",
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        parse::selector(text)
    }
}

/// A text that reads back as a selector with the same meaning.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("{}"),
            Self::Matcher(matcher) => write!(f, "{{{matcher}}}"),
            Self::And(all) if all.is_empty() => f.write_str("{}"),
            Self::Or(any) if any.is_empty() => f.write_str("not {}"),
            Self::And(all) => write_and(all, f),
            Self::Or(any) => {
                for (index, selector) in any.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { " or " })?;
                    write_operand(selector, matches!(selector, Self::Or(_)), f)?;
                }
                Ok(())
            }
            Self::Not(inner) => {
                f.write_str("not ")?;
                write_operand(inner, matches!(**inner, Self::And(_) | Self::Or(_)), f)
            }
        }
    }
}

/// Matchers that follow one another share their braces.
fn write_and(all: &[Selector], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut in_braces = false;
    for (index, selector) in all.iter().enumerate() {
        let is_matcher = matches!(selector, Selector::Matcher(_));
        if in_braces && !is_matcher {
            f.write_str("}")?;
        }
        f.write_str(match (index, in_braces && is_matcher) {
            (0, _) => "",
            (_, true) => ",",
            (_, false) => " and ",
        })?;
        match selector {
            Selector::Matcher(matcher) if in_braces => write!(f, "{matcher}")?,
            Selector::Matcher(matcher) => write!(f, "{{{matcher}")?,
            other => write_operand(other, matches!(other, Selector::And(_) | Selector::Or(_)), f)?,
        }
        in_braces = is_matcher;
    }
    f.write_str(if in_braces { "}" } else { "" })
}

fn write_operand(selector: &Selector, parentheses: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if parentheses { write!(f, "({selector})") } else { write!(f, "{selector}") }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::parsed(deserializer, "a selector such as {job=\"a\"}")
    }
}
