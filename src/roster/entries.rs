//! What became of the entries of a block in a job. Pure.

use std::ops::Deref;
use std::sync::Arc;

use super::target::Entry;

/// What became of the entries of a block, in order. Cloning shares it.
///
/// In large clusters most blocks have no entry that a job wants: of these nothing is kept but how many entries they have.
#[derive(Debug, Clone)]
pub(super) struct Entries(Kept);

#[derive(Debug, Clone)]
enum Kept {
    /// All of so many were dropped.
    Dropped(usize),
    Each(Arc<[Entry]>),
}

/// A block of labels as they are found has a few hundred entries; those with more are kept.
const MOST: usize = 1024;
static DROPPED: [Entry; MOST] = [const { Entry::Dropped }; MOST];

impl From<Vec<Entry>> for Entries {
    fn from(entries: Vec<Entry>) -> Self {
        let all_dropped = entries.len() <= MOST && entries.iter().all(|entry| *entry == Entry::Dropped);
        Self(if all_dropped { Kept::Dropped(entries.len()) } else { Kept::Each(entries.into()) })
    }
}

impl Deref for Entries {
    type Target = [Entry];

    fn deref(&self) -> &[Entry] {
        match &self.0 {
            Kept::Dropped(count) => &DROPPED[..*count],
            Kept::Each(entries) => entries,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_block_that_is_dropped_nothing_is_kept() {
        let active = Entry::Active([("a", "1")].into_iter().collect());
        for (entries, kept) in [
            (vec![], false),
            (vec![Entry::Dropped; 3], false),
            (vec![Entry::Dropped; MOST], false),
            (vec![Entry::Dropped; MOST + 1], true),
            (vec![Entry::Dropped, active], true),
        ] {
            let made = Entries::from(entries.clone());
            assert_eq!((&*made, matches!(made.0, Kept::Each(_))), (&entries[..], kept));
        }
        assert_eq!(size_of::<Entries>(), 16);
    }
}
