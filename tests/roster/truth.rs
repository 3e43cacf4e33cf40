//! What the sources have, whether anybody has said so or not.

use std::collections::{BTreeMap, BTreeSet};

/// Which configuration a job uses: those with equal data differ in what does not change the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Use {
    pub(crate) data: u8,
    pub(crate) revision: u8,
}

/// Addresses.
pub(crate) type Content = BTreeSet<String>;
/// What each source has.
pub(crate) type Sources = BTreeMap<String, Content>;

/// What the sources have, whether anybody has said so or not.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    sources: BTreeMap<u8, Sources>,
    unreadable: BTreeSet<(u8, String)>,
}

/// How many sources there are.
pub(crate) const SOURCES: u8 = 6;
/// From this one on they are scopes: each may have targets itself, and stands for all beneath it.
pub(crate) const SCOPES: u8 = 3;

/// The name of a source.
pub(crate) fn source(number: u8) -> String {
    ["n/a/0", "n/a/1", "n/b/2", "n/a", "n/b", "n"][usize::from(number)].to_owned()
}

/// Whether a source is a scope.
pub(crate) fn is_scope(name: &str) -> bool {
    (SCOPES..SOURCES).any(|scope| source(scope) == name)
}

/// Whether a source is beneath a scope.
pub(crate) fn is_beneath(name: &str, scope: &str) -> bool {
    is_scope(scope) && name.strip_prefix(scope).is_some_and(|rest| rest.starts_with('/'))
}

impl Truth {
    pub(crate) fn set(&mut self, data: u8, number: u8, targets: Option<u8>) {
        let sources = self.sources.entry(data).or_default();
        match targets {
            // Some are found in several sources, some in the sources of several data.
            Some(targets) => {
                let address = |target| match target {
                    0 => format!("shared-{number}:1"),
                    4 => format!("{data}-all:1"),
                    _ => format!("{data}-{number}-{target}:1"),
                };
                drop(sources.insert(source(number), (0..targets).map(address).collect()));
            }
            None => drop(sources.remove(&source(number))),
        }
    }

    /// How many targets a source has, if it exists.
    pub(crate) fn targets(&self, data: u8, number: u8) -> Option<usize> {
        Some(self.sources.get(&data)?.get(&source(number))?.len())
    }

    /// From now on all sources of some data have these.
    pub(crate) fn replace(&mut self, data: u8, sources: Sources) -> Sources {
        self.sources.insert(data, sources).unwrap_or_default()
    }

    pub(crate) fn set_readable(&mut self, data: u8, number: u8, is: bool) {
        match is {
            true => self.unreadable.remove(&(data, source(number))),
            false => self.unreadable.insert((data, source(number))),
        };
    }

    /// The widest scope around a source that cannot be read. Nobody can look there.
    pub(crate) fn hidden_by(&self, data: u8, name: &str) -> Option<u8> {
        let mut around = (SCOPES..SOURCES).rev().filter(|scope| is_beneath(name, &source(*scope)));
        around.find(|scope| self.unreadable.contains(&(data, source(*scope))))
    }

    /// The sources that can be read.
    pub(crate) fn readable(&self, data: u8) -> Sources {
        let mut sources = self.sources.get(&data).cloned().unwrap_or_default();
        sources.retain(|source, _| {
            !self.unreadable.contains(&(data, source.clone())) && self.hidden_by(data, source).is_none()
        });
        sources
    }

    /// The sources that cannot, where one can look.
    pub(crate) fn unreadable(&self, data: u8) -> BTreeSet<String> {
        let of_data = self.unreadable.iter().filter(|(of, name)| *of == data && self.hidden_by(data, name).is_none());
        of_data.map(|(_, source)| source.clone()).collect()
    }
}
