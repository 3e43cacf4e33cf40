//! Patterns that match the whole of a text: by comparing strings where that is enough, else by the regex engine.

mod shape; // patterns that need no regex engine
#[cfg(test)]
mod tests;

use std::ops::Range;

use regex_automata::Input;
use regex_automata::meta::Regex;
use regex_automata::util::primitives::NonMaxUsize;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, Look};

use super::re2::{self, SyntaxError, Translated};
use shape::{Groups, Shape};

/// The most memory that a compiled expression may take.
const SIZE_LIMIT: usize = 16 << 20;

/// A compiled RE2 expression, anchored at both ends, in which `.` matches line feeds.
#[derive(Debug)]
pub(crate) enum Pattern {
    /// Compares strings.
    Shape { shape: Shape, groups: Groups },
    /// Anything else.
    Engine(Box<Regex>),
}

/// Where the groups of a match are. Kept to be used again.
#[derive(Debug, Default)]
pub(super) struct Captures(Vec<Option<NonMaxUsize>>);

impl Pattern {
    /// Compiles an expression that only has to tell whether it matches.
    pub(crate) fn compile(regex: &str) -> Result<Self, SyntaxError> {
        Self::new(&re2::translate(regex)?, false)
    }

    /// Compiles a translated expression. Groups can only be asked for when it was compiled with captures.
    pub(super) fn new(translated: &Translated, captures: bool) -> Result<Self, SyntaxError> {
        let hir = parse(translated)?;
        match shape::of(&hir, captures) {
            Some((shape, groups)) => Ok(Self::Shape { shape, groups }),
            None => Self::engine(hir),
        }
    }

    fn engine(hir: Hir) -> Result<Self, SyntaxError> {
        let anchored = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
        let config = Regex::config().nfa_size_limit(Some(SIZE_LIMIT));
        let regex = Regex::builder().configure(config).build_from_hir(&anchored);
        regex.map(|regex| Self::Engine(Box::new(regex))).map_err(|_| TOO_LARGE)
    }

    /// Whether the pattern matches the whole text.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        match self {
            Self::Shape { shape, .. } => shape.is_match(text.as_bytes()),
            Self::Engine(regex) => regex.is_match(text),
        }
    }

    /// Whether the pattern matches the whole text; where its groups are is noted for [`group`](Self::group).
    pub(super) fn captures(&self, text: &str, found: &mut Captures) -> bool {
        match self {
            Self::Shape { shape, .. } => shape.is_match(text.as_bytes()),
            Self::Engine(regex) => {
                found.0.clear();
                found.0.resize(regex.group_info().slot_len(), None);
                regex.search_slots(&Input::new(text), &mut found.0).is_some()
            }
        }
    }

    /// Where a group of the last match is, if it took part in it.
    pub(super) fn group(&self, index: usize, length: usize, found: &Captures) -> Option<Range<usize>> {
        match self {
            Self::Shape { groups, .. } => groups.get(index).map(|(start, end)| start.at(length)..end.at(length)),
            // The whole match is the whole text.
            Self::Engine(_) if index == 0 => Some(0..length),
            Self::Engine(_) => {
                let slot = |slot: usize| found.0.get(slot).copied().flatten().map(NonMaxUsize::get);
                Some(slot(2 * index)?..slot(2 * index + 1)?)
            }
        }
    }
}

const TOO_LARGE: SyntaxError =
    SyntaxError { problem: "the expression is too large, counted from its beginning", at: 0 };

/// Reads what the translation wrote, which is well-formed except for its size.
fn parse(translated: &Translated) -> Result<Hir, SyntaxError> {
    ParserBuilder::new().nest_limit(8 * 1024).build().parse(&translated.text).map_err(|_| TOO_LARGE)
}
