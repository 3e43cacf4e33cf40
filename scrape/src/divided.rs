//! A hash table that grows and shrinks by small steps. A table in one piece moves all its entries when it is full: with half a
//! million of them, its thread does nothing else for a quarter of a second. This one is many small tables, and splits one of
//! them at a time, in turn (linear hashing).

use hashbrown::{HashTable, hash_table};

/// So many entries a table has on average before the next one is split.
const ENTRIES: usize = 4096;

/// Entries by hashes that the caller knows, or can tell from an entry.
#[derive(Debug)]
pub(crate) struct Divided<T> {
    /// Never empty. Those from the last power of two on were split off the ones at the same distance from the first.
    parts: Vec<HashTable<T>>,
    len: usize,
}

impl<T> Default for Divided<T> {
    fn default() -> Self {
        Self { parts: vec![HashTable::new()], len: 0 }
    }
}

impl<T> Divided<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All entries, in any order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.parts.iter().flatten()
    }

    /// The entries with this hash, and perhaps others.
    pub(crate) fn iter_hash(&self, hash: u64) -> impl Iterator<Item = &T> {
        self.parts[self.part(hash)].iter_hash(hash)
    }

    pub(crate) fn find(&self, hash: u64, equal: impl FnMut(&T) -> bool) -> Option<&T> {
        self.parts[self.part(hash)].find(hash, equal)
    }

    pub(crate) fn find_mut(&mut self, hash: u64, equal: impl FnMut(&T) -> bool) -> Option<&mut T> {
        let part = self.part(hash);
        self.parts[part].find_mut(hash, equal)
    }

    /// Puts an entry in. Equal ones stay where they are.
    pub(crate) fn insert(&mut self, hash: u64, entry: T, hash_of: impl Fn(&T) -> u64) {
        let part = self.part(hash);
        self.parts[part].insert_unique(hash, entry, &hash_of);
        self.len += 1;
        if self.len > ENTRIES * self.parts.len() {
            let split = self.twin(self.parts.len());
            self.parts.push(HashTable::new());
            self.divide(split, hash_of);
        }
    }

    /// Takes an entry out.
    pub(crate) fn remove(
        &mut self,
        hash: u64,
        equal: impl FnMut(&T) -> bool,
        hash_of: impl Fn(&T) -> u64,
    ) -> Option<T> {
        let part = self.part(hash);
        let (entry, _) = self.parts[part].find_entry(hash, equal).ok()?.remove();
        self.len -= 1;
        // Later than it was split, so that one that comes and goes moves nothing.
        if self.parts.len() > 1
            && self.len < ENTRIES / 4 * self.parts.len()
            && let Some(last) = self.parts.pop()
        {
            let twin = self.twin(self.parts.len());
            let into = &mut self.parts[twin];
            into.reserve(last.len(), &hash_of);
            for entry in last {
                into.insert_unique(hash_of(&entry), entry, &hash_of);
            }
        }
        Some(entry)
    }

    /// Takes some of the entries out, until there are none.
    pub(crate) fn take_some(&mut self) -> Option<hash_table::IntoIter<T>> {
        if self.len == 0 {
            return None;
        }
        let some = if self.parts.len() > 1 { self.parts.pop()? } else { std::mem::take(&mut self.parts[0]) };
        self.len -= some.len();
        Some(some.into_iter())
    }

    /// Moves to the last table what belongs there of the one that it is split off.
    fn divide(&mut self, split: usize, hash_of: impl Fn(&T) -> u64) {
        let all = std::mem::take(&mut self.parts[split]);
        self.parts[split].reserve(all.len() / 2, &hash_of);
        for entry in all {
            let hash = hash_of(&entry);
            let part = self.part(hash);
            self.parts[part].insert_unique(hash, entry, &hash_of);
        }
    }

    /// The table for a hash. By bits that say neither the place within a table nor, mostly, how entries came together here.
    fn part(&self, hash: u64) -> usize {
        let bits = (hash >> 32) as usize;
        let round = self.parts.len().next_power_of_two();
        let part = bits & (round - 1);
        if part < self.parts.len() { part } else { part - round / 2 }
    }

    /// The table that this one is split off.
    fn twin(&self, part: usize) -> usize {
        let round = (part + 1).next_power_of_two();
        part - round / 2
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    fn hash(number: &u64) -> u64 {
        xxh3_64(&number.to_le_bytes())
    }

    fn numbers(divided: &Divided<u64>) -> BTreeSet<u64> {
        divided.iter().copied().collect()
    }

    #[test]
    fn what_is_put_in_is_found_until_it_is_taken_out() {
        const COUNT: u64 = 20 * ENTRIES as u64;
        let mut divided = Divided::default();
        for number in 0..COUNT {
            divided.insert(hash(&number), number, hash);
        }
        assert_eq!(divided.parts.len(), 20);
        assert_eq!(numbers(&divided), (0..COUNT).collect());
        assert!((0..COUNT).all(|number| divided.find(hash(&number), |other| *other == number).is_some()));
        assert!((0..COUNT).all(|number| divided.iter_hash(hash(&number)).any(|other| *other == number)));
        for number in (0..COUNT).filter(|number| number % 10 > 0) {
            assert_eq!(divided.remove(hash(&number), |other| *other == number, hash), Some(number));
            assert_eq!(divided.remove(hash(&number), |other| *other == number, hash), None);
        }
        assert_eq!(numbers(&divided), (0..COUNT).filter(|number| number % 10 == 0).collect());
        assert!(divided.parts.len() < 9, "{} tables for two full ones", divided.parts.len());
        let mut taken = BTreeSet::new();
        while let Some(some) = divided.take_some() {
            taken.extend(some);
        }
        assert_eq!(taken, (0..COUNT).filter(|number| number % 10 == 0).collect());
        assert!(divided.is_empty() && divided.iter().next().is_none());
    }

    #[test]
    fn one_that_comes_and_goes_moves_nothing() {
        let mut divided = Divided::default();
        for number in 0..=ENTRIES as u64 {
            divided.insert(hash(&number), number, hash);
        }
        assert_eq!(divided.parts.len(), 2);
        let moved = |_: &u64| -> u64 { panic!("it is moved") };
        for _ in 0..3 {
            assert_eq!(divided.remove(hash(&0), |number| *number == 0, moved), Some(0));
            divided.insert(hash(&0), 0, hash);
            assert_eq!(divided.parts.len(), 2);
        }
    }

    #[test]
    fn no_table_becomes_large() {
        let mut divided = Divided::default();
        for number in 0..100 * ENTRIES as u64 {
            divided.insert(hash(&number), number, hash);
        }
        let largest = divided.parts.iter().map(HashTable::len).max();
        assert!(largest < Some(3 * ENTRIES), "{largest:?}");
    }
}
