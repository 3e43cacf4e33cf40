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

/// The name of a source.
pub(crate) fn source(number: u8) -> String {
    format!("source-{number}")
}

impl Truth {
    pub(crate) fn set(&mut self, data: u8, number: u8, targets: Option<u8>) {
        let sources = self.sources.entry(data).or_default();
        match targets {
            // Some are found in several sources, some in the sources of several data.
            Some(targets) => {
                let address = |target| {
                    if target == 0 { format!("shared-{number}:1") } else { format!("{data}-{number}-{target}:1") }
                };
                drop(sources.insert(source(number), (0..targets).map(address).collect()));
            }
            None => drop(sources.remove(&source(number))),
        }
    }

    pub(crate) fn set_readable(&mut self, data: u8, number: u8, is: bool) {
        match is {
            true => self.unreadable.remove(&(data, source(number))),
            false => self.unreadable.insert((data, source(number))),
        };
    }

    /// The sources that can be read.
    pub(crate) fn readable(&self, data: u8) -> Sources {
        let mut sources = self.sources.get(&data).cloned().unwrap_or_default();
        sources.retain(|source, _| !self.unreadable.contains(&(data, source.clone())));
        sources
    }

    /// The sources that cannot.
    pub(crate) fn unreadable(&self, data: u8) -> BTreeSet<String> {
        self.unreadable.iter().filter(|(of, _)| *of == data).map(|(_, source)| source.clone()).collect()
    }
}
