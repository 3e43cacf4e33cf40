//! The strings of a request of remote write 2.0, each once.

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::field::put_bytes;

/// The symbol table of one request. The first symbol is the empty string.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    /// The `symbols` fields, as they stand in the request.
    fields: Vec<u8>,
    /// Where each symbol's text stands in `fields`.
    spans: Vec<(u32, u32)>,
    index: HashTable<u32>,
}

impl Symbols {
    /// The number of a string.
    pub(super) fn number(&mut self, text: &[u8]) -> u32 {
        if self.spans.is_empty() {
            self.insert(b"");
        }
        let hash = xxh3_64(text);
        let (fields, spans) = (&self.fields, &self.spans);
        let found = self.index.find(hash, |&number| get(fields, spans[number as usize]) == text);
        match found {
            Some(number) => *number,
            None => self.insert(text),
        }
    }

    fn insert(&mut self, text: &[u8]) -> u32 {
        put_bytes(4, text, &mut self.fields);
        let end = self.fields.len();
        // A request stays far below 4 GiB.
        let number = self.spans.len() as u32;
        self.spans.push(((end - text.len()) as u32, end as u32));
        let (fields, spans) = (&self.fields, &self.spans);
        self.index.insert_unique(xxh3_64(text), number, |&number| xxh3_64(get(fields, spans[number as usize])));
        number
    }

    /// Whether this number stands for this text.
    pub(super) fn is(&self, number: u32, text: &[u8]) -> bool {
        self.spans.get(number as usize).is_some_and(|&span| get(&self.fields, span) == text)
    }

    /// How many bytes they take in the request.
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// The fields of the request; the table is empty afterwards.
    pub(super) fn take(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.fields);
        self.fields.clear();
        self.spans.clear();
        self.index.clear();
    }
}

fn get(fields: &[u8], (start, end): (u32, u32)) -> &[u8] {
    &fields[start as usize..end as usize]
}
