//! Numbers that lead to what they count. Pure.

use super::super::words::grouped;

/// A number that leads to what it counts.
pub(super) struct Count {
    pub(super) what: &'static str,
    pub(super) number: usize,
    pub(super) words: String,
    /// A path below the prefix; empty where there is none.
    pub(super) path: String,
}

impl Count {
    /// The path is given up where there is nothing to count.
    pub(super) fn new(what: &'static str, number: usize, path: impl Into<String>) -> Self {
        Self { what, number, words: grouped(number as u64), path: if number > 0 { path.into() } else { String::new() } }
    }
}
