//! Maps and lists as serde walks them: without what is at fault already, and without keys that are not known.

use std::slice;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess};

use super::decode::{Run, element};
use super::fault::Fault;
use super::tree::{Content, Entry, Id};

/// The elements of a list.
pub(super) struct Elements<'a> {
    run: &'a Run<'a>,
    items: slice::Iter<'a, Id>,
}

impl<'a> Elements<'a> {
    pub(super) fn new(run: &'a Run<'a>, items: &'a [Id]) -> Self {
        Self { run, items: items.iter() }
    }
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let run = self.run;
        match self.items.find(|item| !run.leaves_out(**item)) {
            Some(item) => element(run, *item, seed).map(Some),
            None => Ok(None),
        }
    }
}

/// The entries of a map.
pub(super) struct Fields<'a> {
    run: &'a Run<'a>,
    map: Id,
    entries: slice::Iter<'a, Entry>,
    fields: Option<&'static [&'static str]>,
    value: Option<Id>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(run: &'a Run<'a>, map: Id, fields: Option<&'static [&'static str]>) -> Self {
        let entries: &[Entry] = if let Content::Map(entries) = &run.tree.node(map).content { entries } else { &[] };
        Self { run, map, entries: entries.iter(), fields, value: None }
    }

    /// Whether serde gets to see the entry.
    fn takes(&self, entry: Entry) -> bool {
        if self.run.leaves_out(entry.key) || self.run.leaves_out(entry.value) {
            return false;
        }
        let Some(fields) = self.fields else { return true };
        let key = self.run.tree.text(entry.key).unwrap_or_default();
        if self.run.is_read_elsewhere(self.map, key) {
            return false;
        }
        let known = fields.contains(&key);
        if known {
            self.run.named(entry.value);
        } else {
            self.run.unknown_key(self.map, entry.key, fields);
        }
        known
    }
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        while let Some(entry) = self.entries.next().copied() {
            if self.takes(entry) {
                self.value = Some(entry.value);
                return element(self.run, entry.key, seed).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let value = self.value.take().expect("serde asks for a value only after its key");
        element(self.run, value, seed)
    }
}
