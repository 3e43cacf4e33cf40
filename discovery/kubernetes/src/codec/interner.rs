//! Texts that several records have in common, each kept once.

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

/// How many of the texts that were seen once are remembered, by a piece of their hash: at first, and when there were many. One that
/// comes back after others took its place has to come once more.
const SEEN: (usize, usize) = (1 << 8, 1 << 13);
/// The longest text that is worth a look.
const LONGEST: usize = 512;

/// Texts that several records have in common. A text is entered when it comes the second time: what is unique costs no more
/// than its bytes in its record.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    entries: Vec<Entry>,
    free: Vec<u32>,
    table: HashTable<u32>,
    seen: Vec<u32>,
    /// How many came that were not remembered.
    unseen: usize,
}

#[derive(Debug, Default)]
struct Entry {
    text: Box<str>,
    users: u32,
}

impl Interner {
    /// The number of a text, if it is one that repeats. Whoever gets a number uses the text until it is
    /// [released](Self::release).
    pub(super) fn offer(&mut self, text: &str) -> Option<u32> {
        if text.len() > LONGEST {
            return None;
        }
        let hash = xxh3_64(text.as_bytes());
        let entries = &mut self.entries;
        if let Some(number) = self.table.find(hash, |number| *entries[*number as usize].text == *text) {
            entries[*number as usize].users += 1;
            return Some(*number);
        }
        if !self.has_seen(hash) {
            return None;
        }
        let entry = Entry { text: text.into(), users: 1 };
        let number = match self.free.pop() {
            Some(number) => {
                self.entries[number as usize] = entry;
                number
            }
            None => {
                self.entries.push(entry);
                u32::try_from(self.entries.len() - 1).ok()?
            }
        };
        let entries = &self.entries;
        self.table.insert_unique(hash, number, |number| xxh3_64(entries[*number as usize].text.as_bytes()));
        Some(number)
    }

    /// The text of a number.
    pub(super) fn text(&self, number: u32) -> Option<&str> {
        self.entries.get(number as usize).map(|entry| &*entry.text)
    }

    /// A record that used these is gone.
    pub(crate) fn release(&mut self, numbers: &[u32]) {
        for number in numbers {
            let Some(entry) = self.entries.get_mut(*number as usize) else { continue };
            entry.users = entry.users.saturating_sub(1);
            if entry.users > 0 {
                continue;
            }
            let hash = xxh3_64(entry.text.as_bytes());
            if let Ok(found) = self.table.find_entry(hash, |other| other == number) {
                found.remove();
                *entry = Entry::default();
                self.free.push(*number);
            }
        }
    }

    /// How many texts there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether a text with this hash was offered before, as far as that is remembered.
    fn has_seen(&mut self, hash: u64) -> bool {
        if self.unseen >= self.seen.len() / 2 && self.seen.len() < SEEN.1 {
            // There are many watches where each has a namespace: those of a few objects take little.
            self.seen = vec![0; (self.seen.len() * 8).clamp(SEEN.0, SEEN.1)];
        }
        // Never zero, which stands for nothing.
        let (piece, place) = ((hash >> 32) as u32 | 1, hash as usize % self.seen.len());
        let seen = std::mem::replace(&mut self.seen[place], piece) == piece;
        self.unseen += usize::from(!seen);
        seen
    }
}
