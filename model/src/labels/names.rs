//! Lists of label names, shared by all label sets that have exactly these names.

use std::collections::HashMap;
use std::sync::Arc;

/// The sorted names of a label set.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NameList {
    text: Box<str>,
    ends: Box<[u32]>,
}

impl NameList {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.text[start..self.ends[index] as usize]
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.get(middle).cmp(name) {
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    fn from_sorted<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut text = String::new();
        let mut ends = Vec::new();
        for name in names {
            text.push_str(name);
            ends.push(u32::try_from(text.len()).expect("label names of one set stay under 4 GiB"));
        }
        Self { text: text.into(), ends: ends.into() }
    }

    fn is<'a>(&self, mut names: impl Iterator<Item = &'a str>) -> bool {
        (0..self.len()).all(|index| names.next() == Some(self.get(index))) && names.next().is_none()
    }
}

/// Hands out shared lists of label names.
///
/// Whoever builds many label sets keeps one and passes it to each [`Builder::build`](super::Builder::build). Two label
/// sets built with different `Names` are still equal when their labels are: sharing saves memory, nothing else.
#[derive(Debug, Default)]
pub struct Names {
    lists: HashMap<u64, Vec<Arc<NameList>>>,
    since_sweep: usize,
    held: usize,
}

impl Names {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many distinct lists of names the table holds.
    pub fn len(&self) -> usize {
        self.held
    }

    /// Whether the table holds no list.
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// The list of these names, which must be sorted and distinct; `key` is a hash of them.
    pub(super) fn list<'a>(&mut self, key: u64, names: impl Iterator<Item = &'a str> + Clone) -> Arc<NameList> {
        if let Some(found) = self.lists.get(&key).and_then(|lists| lists.iter().find(|list| list.is(names.clone()))) {
            return Arc::clone(found);
        }
        self.sweep_when_due();
        let list = Arc::new(NameList::from_sorted(names));
        self.lists.entry(key).or_default().push(Arc::clone(&list));
        self.held += 1;
        self.since_sweep += 1;
        list
    }

    /// Drops lists that no label set uses any more, once as many were added as there were before.
    fn sweep_when_due(&mut self) {
        if self.since_sweep < 1024.max(self.held / 2) {
            return;
        }
        self.lists.retain(|_, lists| {
            lists.retain(|list| Arc::strong_count(list) > 1);
            !lists.is_empty()
        });
        self.held = self.lists.values().map(Vec::len).sum();
        self.since_sweep = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_share_one_list() {
        let mut names = Names::new();
        let first = names.list(1, ["a", "b"].into_iter());
        let second = names.list(1, ["a", "b"].into_iter());
        let other = names.list(1, ["ab"].into_iter());
        assert!(Arc::ptr_eq(&first, &second));
        assert!(!Arc::ptr_eq(&first, &other));
        assert_eq!(names.len(), 2);
    }

    #[test]
    fn lists_nobody_uses_are_dropped_in_time() {
        let mut names = Names::new();
        for index in 0..10_000 {
            let name = format!("n{index}");
            names.list(index, [name.as_str()].into_iter());
        }
        assert!(names.len() < 4096, "{} lists are still held", names.len());
    }

    #[test]
    fn a_list_finds_each_of_its_names() {
        let list = Names::new().list(1, ["a", "bb", "c"].into_iter());
        assert_eq!(["a", "bb", "c"].map(|name| list.position(name)), [Some(0), Some(1), Some(2)]);
        assert_eq!(["", "b", "d"].map(|name| list.position(name)), [None; 3]);
    }
}
