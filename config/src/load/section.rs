//! One value of the tree: decoded, checked, its problems put in their places.

use std::collections::HashSet;

use rosterd_model::Problem as Found;
use serde::de::DeserializeOwned;

use super::Loader;
use crate::error::code;
use rosterd_yaml::{Cursor, Fault, Id, Problem, decode, join_path};

/// A value that was decoded and may be checked.
pub(super) struct Section<T> {
    pub(super) value: T,
    at: Id,
    path: String,
    left_out: HashSet<Id>,
}

impl<T> Section<T> {
    /// Whether nothing of it was refused.
    pub(super) fn is_whole(&self) -> bool {
        self.left_out.is_empty()
    }
}

impl Loader<'_> {
    /// Decodes a value. `elsewhere` are keys of its map that somebody else reads.
    pub(super) fn section<T: DeserializeOwned>(
        &mut self,
        at: Id,
        path: &str,
        elsewhere: &[String],
    ) -> Option<Section<T>> {
        self.section_by(at, path, elsewhere, |value| T::deserialize(value))
    }

    /// The same of a value that `read` decodes.
    pub(super) fn section_by<T>(
        &mut self,
        at: Id,
        path: &str,
        elsewhere: &[String],
        read: impl Fn(Cursor<'_>) -> Result<T, Fault>,
    ) -> Option<Section<T>> {
        let decoded = decode(&self.tree, at, path, elsewhere, read);
        self.problems.extend(decoded.problems);
        let value = decoded.value?;
        Some(Section { value, at, path: path.to_owned(), left_out: decoded.left_out })
    }

    /// Puts what a check found in its place. What follows from a value that was refused before is not told again.
    pub(super) fn found<T>(&mut self, section: &Section<T>, found: Vec<Found>) {
        for problem in found {
            let place = self.tree.find(section.at, &problem.path, &section.left_out).0;
            let is_empty_entry = problem.path.ends_with(']') && self.tree.is_null(place);
            let lacks_a_part = place != section.at
                && (self.tree.entries(place).any(|(_, _, value)| section.left_out.contains(&value))
                    || self.tree.items(place).iter().any(|item| section.left_out.contains(item)));
            if !is_empty_entry && !lacks_a_part && !section.left_out.contains(&place) {
                self.found_at(section.at, &section.path, &section.left_out, problem);
            }
        }
    }

    /// Puts warnings in their places. What something is wrong with may be meant otherwise: of that nothing is noticed.
    pub(super) fn noticed<T>(&mut self, section: &Section<T>, noticed: Vec<Found>) {
        for one in noticed {
            let (place, path) = self.place_of(section.at, &section.path, &section.left_out, one.path);
            let file = self.tree.file(place);
            let is_wrong = |problem: &Problem| problem.file == file && problem.key.starts_with(&path);
            if !self.problems.iter().any(is_wrong) {
                self.warn(place, path, one.code, one.message);
            }
        }
    }

    pub(super) fn found_at(&mut self, at: Id, path: &str, left_out: &HashSet<Id>, found: Found) {
        let (place, path) = self.place_of(at, path, left_out, found.path);
        self.problems.push(self.tree.problem(place, path, found.code, found.message));
    }

    /// Where a path below a value leads, and what it is called from the root on.
    fn place_of(&self, at: Id, path: &str, left_out: &HashSet<Id>, below: String) -> (Id, String) {
        let (place, is_there) = self.tree.find(at, &below, left_out);
        // Where elements were left out, those behind them are counted as they stand in the file.
        let written = (is_there && !left_out.is_empty()).then(|| self.tree.path_below(at, place)).flatten();
        (place, join_path(path, &written.unwrap_or(below)))
    }

    /// A problem at a value.
    pub(super) fn wrong(&mut self, at: Id, path: impl Into<String>, code: &'static str, message: impl Into<String>) {
        self.problems.push(self.tree.problem(at, path.into(), code, message));
    }

    pub(super) fn warn(&mut self, at: Id, path: impl Into<String>, code: &'static str, message: impl Into<String>) {
        self.warnings.push(self.tree.problem(at, path.into(), code, message));
    }

    /// The elements of the list under a key, with their paths. What is no list is a problem, and so is an empty element.
    pub(super) fn list(&mut self, map: Id, path: &str, key: &str) -> Vec<(Id, String)> {
        let Some(list) = self.tree.get(map, key) else { return Vec::new() };
        let path = join_path(path, key);
        if !self.tree.is_list(list) {
            let found = if self.tree.is_map(list) { "a map" } else { "text" };
            let message = format!("expected a list, found {found}: put a dash in front of each entry");
            self.wrong(list, path, code::INVALID_TYPE, message);
            return Vec::new();
        }
        let items = self.tree.items(list).to_vec();
        let (empty, full): (Vec<_>, Vec<_>) = items
            .into_iter()
            .enumerate()
            .map(|(index, item)| (item, format!("{path}[{index}]")))
            .partition(|(item, _)| self.tree.is_null(*item));
        for (item, path) in empty {
            self.wrong(item, path, code::EMPTY_ENTRY, "an empty entry: fill it in, or remove the dash");
        }
        full
    }

    /// Complains of empty elements in these lists, which decoding takes for defaults.
    pub(super) fn refuse_empty_entries(&mut self, map: Id, path: &str, keys: &[&str]) {
        for key in keys {
            // Whether it is a list at all, decoding tells.
            if self.tree.get(map, key).is_some_and(|list| self.tree.is_list(list)) {
                self.list(map, path, key);
            }
        }
    }
}
