//! Relabelling: rules that keep, drop and rewrite label sets, with the meaning they have in Prometheus 3.
//!
//! What the user writes is a [`RuleConfig`]; [`Rules`] are compiled from a list of them and applied to a
//! [`Builder`](crate::Builder). Patterns that are literals, prefixes, suffixes or alternations of such never reach the
//! regex engine, and values move within the builder without being copied.

mod apply; // compiled rules at work
mod case; // lower and upper case, one character for one
mod check; // what a rule may and may not say
mod config; // what the user writes
mod error; // why a rule is refused
mod explain; // the effect of each rule on one label set
mod pattern; // matching, with and without the regex engine
mod re2; // RE2 syntax -> that of the regex crates
mod template; // `$1` and `${name}`

#[cfg(test)]
mod tests;

pub use apply::{Leading, Rule, Rules, Scratch};
pub use config::{Action, RuleConfig};
pub use error::RelabelError;
pub use explain::{Look, Step};
pub(crate) use pattern::Pattern;
pub use re2::SyntaxError;

pub use crate::labels::NameScheme;
