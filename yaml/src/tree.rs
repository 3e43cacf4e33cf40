//! Values and their places. One tree holds all files that make up a configuration.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rosterd_model::bare_key;

use super::problem::Problem;
use super::scalar::Scalar;

/// A value of the tree. An alias is the value that it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id(pub(super) u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodePlace {
    pub(super) file: u32,
    pub(super) line: u32,
    pub(super) column: u32,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    Scalar(Scalar),
    List(Vec<Id>),
    Map(Vec<Entry>),
}

/// The key is a scalar, and no other entry of the map has the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) key: Id,
    pub(super) value: Id,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) content: Content,
    pub(super) place: NodePlace,
    /// How many values there are from here on, each alias counted as what it stands for.
    pub(super) weight: u64,
    pub(super) depth: u32,
}

/// All values of all files.
#[derive(Debug, Default)]
pub struct Tree {
    pub(super) files: Vec<PathBuf>,
    pub(super) nodes: Vec<Node>,
}

impl Tree {
    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[id.0 as usize]
    }

    pub(super) fn push(&mut self, node: Node) -> Id {
        let id = u32::try_from(self.nodes.len()).expect("a file of 4 GiB was refused before");
        self.nodes.push(node);
        Id(id)
    }

    /// The file that a value stands in.
    pub fn file(&self, id: Id) -> &Path {
        &self.files[self.node(id).place.file as usize]
    }

    /// The text of a scalar; nothing for other values.
    pub fn text(&self, id: Id) -> Option<&str> {
        match &self.node(id).content {
            Content::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// Whether nothing was written, or `null`.
    pub fn is_null(&self, id: Id) -> bool {
        matches!(&self.node(id).content, Content::Scalar(scalar) if scalar.is_null())
    }

    /// The keys and values of a map; none for other values.
    pub fn entries(&self, id: Id) -> impl Iterator<Item = (&str, Id, Id)> {
        let entries: &[Entry] = if let Content::Map(entries) = &self.node(id).content { entries } else { &[] };
        entries.iter().map(|entry| (self.text(entry.key).unwrap_or_default(), entry.key, entry.value))
    }

    /// The value of a key of a map.
    pub fn get(&self, id: Id, key: &str) -> Option<Id> {
        self.entries(id).find(|(name, ..)| *name == key).map(|(.., value)| value)
    }

    /// The values of a list; none for other values.
    pub fn items(&self, id: Id) -> &[Id] {
        if let Content::List(items) = &self.node(id).content { items } else { &[] }
    }

    /// Whether the value is a list, or null, which is as good as an empty list.
    pub fn is_list(&self, id: Id) -> bool {
        self.is_null(id) || matches!(self.node(id).content, Content::List(_))
    }

    /// Whether the value is a map, or null, which is as good as an empty map.
    pub fn is_map(&self, id: Id) -> bool {
        self.is_null(id) || matches!(self.node(id).content, Content::Map(_))
    }

    /// A map of the entries of both; maps within are merged too. What else stands in both is told: the value of `second`,
    /// its path, and the value of `first`.
    pub fn merge(&mut self, first: Id, second: Id, path: &str) -> (Id, Vec<(Id, String, Id)>) {
        let (Content::Map(entries), Content::Map(more)) =
            (self.node(first).content.clone(), self.node(second).content.clone())
        else {
            return (first, vec![(second, path.to_owned(), first)]);
        };
        let (mut entries, mut twice) = (entries, Vec::new());
        for entry in more {
            let key = self.text(entry.key).unwrap_or_default().to_owned();
            let same = entries.iter().position(|known| self.text(known.key) == Some(&key));
            match same {
                None => entries.push(entry),
                Some(at) => {
                    let (merged, found) = self.merge(entries[at].value, entry.value, &join_path(path, &key));
                    entries[at].value = merged;
                    twice.extend(found);
                }
            }
        }
        let Node { place, weight, depth, .. } = *self.node(first);
        (self.push(Node { content: Content::Map(entries), place, weight, depth }), twice)
    }

    /// A problem at a value. Of a key that is a URL it is shown where that is.
    pub fn problem(&self, at: Id, key: String, code: &'static str, message: impl Into<String>) -> Problem {
        let place = self.node(at).place;
        Problem {
            line: place.line as usize,
            column: place.column as usize,
            key: bare_key(&key).into_owned(),
            ..Problem::of_file(&self.files[place.file as usize], code, message)
        }
    }

    /// `file:line:column` of a value.
    pub fn place(&self, at: Id) -> String {
        let place = self.node(at).place;
        format!("{}:{}:{}", self.files[place.file as usize].display(), place.line, place.column)
    }

    /// The value nearest to a path such as `tls_config.ca_file` or `files[2]` below `from`, and whether it is the very
    /// value. Elements that were left out when the list was decoded do not count.
    pub fn find(&self, from: Id, path: &str, left_out: &HashSet<Id>) -> (Id, bool) {
        let (mut at, mut rest) = (from, path);
        loop {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            if rest.is_empty() {
                return (at, true);
            }
            let Some((next, after)) = self.step(at, rest, left_out) else { return (at, false) };
            (at, rest) = (next, after);
        }
    }

    fn step<'p>(&self, at: Id, path: &'p str, left_out: &HashSet<Id>) -> Option<(Id, &'p str)> {
        if let Some((index, after)) = path.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            let mut items = self.items(at).iter().filter(|item| !left_out.contains(item));
            return items.nth(index.parse().ok()?).map(|item| (*item, after));
        }
        // Keys may have dots in them: the longest that fits is meant.
        let fits = |key: &str| path.strip_prefix(key).filter(|after| after.is_empty() || after.starts_with(['.', '[']));
        self.entries(at)
            .filter_map(|(key, _, value)| Some((key.len(), value, fits(key)?)))
            .max_by_key(|(length, ..)| *length)
            .map(|(_, value, after)| (value, after))
    }

    /// The path of a value below `from`. Of a value that stands in several places, the first.
    pub fn path_below(&self, from: Id, to: Id) -> Option<String> {
        let mut seen = HashSet::new();
        let mut path = Vec::new();
        self.search(from, to, &mut seen, &mut path).then(|| join_segments(&path))
    }

    fn search(&self, at: Id, to: Id, seen: &mut HashSet<Id>, path: &mut Vec<String>) -> bool {
        if at == to {
            return true;
        }
        if !seen.insert(at) {
            return false;
        }
        match &self.node(at).content {
            Content::Scalar(_) => false,
            Content::List(items) => items.iter().enumerate().any(|(index, item)| {
                path.push(format!("[{index}]"));
                self.search(*item, to, seen, path) || path.pop().is_none()
            }),
            Content::Map(entries) => entries.iter().any(|entry| {
                path.push(self.text(entry.key).unwrap_or_default().to_owned());
                entry.key == to || self.search(entry.value, to, seen, path) || path.pop().is_none()
            }),
        }
    }
}

fn join_segments(segments: &[String]) -> String {
    segments.iter().fold(String::new(), |path, segment| join_path(&path, segment))
}

/// Two paths behind each other.
pub fn join_path(base: &str, path: &str) -> String {
    if base.is_empty() || path.is_empty() || path.starts_with('[') {
        format!("{base}{path}")
    } else {
        format!("{base}.{path}")
    }
}
