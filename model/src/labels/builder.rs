//! The scratch space in which label sets are put together and relabelled.

use std::ops::Range;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::set::push_length;
use super::{Labels, Names};

/// A label set under construction.
///
/// Names and values are copied into one buffer that [`clear`](Self::clear) keeps, so that a builder used for many sets
/// soon allocates nothing. Setting a label to an empty value deletes it.
#[derive(Debug, Default, Clone)]
pub struct Builder {
    text: String,
    entries: Vec<Entry>,
    packed_names: Vec<u8>,
    packed_values: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Entry {
    name: Range<u32>,
    value: Range<u32>,
}

impl Builder {
    /// An empty builder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all labels, keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.entries.clear();
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no labels.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of a label, empty if it is not there.
    pub fn get(&self, name: &str) -> &str {
        self.find(name).map_or("", |index| self.str(&self.entries[index].value))
    }

    /// Whether the label is there.
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Sets a label; an empty value deletes it.
    pub fn set(&mut self, name: &str, value: &str) {
        match self.find(name) {
            Some(index) if value.is_empty() => {
                self.entries.swap_remove(index);
            }
            Some(index) => self.entries[index].value = self.push(value),
            None if value.is_empty() => {}
            None => {
                let name = self.push(name);
                let value = self.push(value);
                self.entries.push(Entry { name, value });
            }
        }
    }

    /// Sets a label unless it is there already.
    pub fn set_default(&mut self, name: &str, value: &str) {
        if !self.contains(name) {
            self.set(name, value);
        }
    }

    /// Deletes a label.
    pub fn delete(&mut self, name: &str) {
        self.set(name, "");
    }

    /// Sets all these labels.
    pub fn extend<'a>(&mut self, labels: impl IntoIterator<Item = (&'a str, &'a str)>) {
        for (name, value) in labels {
            self.set(name, value);
        }
    }

    /// Deletes the labels for which `keep` is false.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        let text = &self.text;
        self.entries.retain(|entry| keep(slice(text, &entry.name), slice(text, &entry.value)));
    }

    /// All labels, in no particular order until [`sort`](Self::sort) was called.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        self.entries.iter().map(|entry| (self.str(&entry.name), self.str(&entry.value)))
    }

    /// Sorts the labels by name. The order lasts until the next change.
    pub fn sort(&mut self) {
        let text = &self.text;
        self.entries.sort_unstable_by(|left, right| slice(text, &left.name).cmp(slice(text, &right.name)));
    }

    /// The label set; the builder keeps its labels.
    pub fn build(&mut self, names: &mut Names) -> Labels {
        self.sort();
        self.packed_names.clear();
        self.packed_values.clear();
        for entry in &self.entries {
            self.packed_names.extend_from_slice(slice(&self.text, &entry.name).as_bytes());
            self.packed_names.push(0xff);
            let value = slice(&self.text, &entry.value);
            push_length(&mut self.packed_values, value.len());
            self.packed_values.extend_from_slice(value.as_bytes());
        }
        let key = xxh3_64(&self.packed_names);
        let text = &self.text;
        let list = names.list(key, self.entries.iter().map(|entry| slice(text, &entry.name)));
        Labels::from_parts(list, xxh3_64_with_seed(&self.packed_values, key), &self.packed_values)
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|entry| self.str(&entry.name) == name)
    }

    fn str(&self, range: &Range<u32>) -> &str {
        slice(&self.text, range)
    }

    fn push(&mut self, text: &str) -> Range<u32> {
        let start = self.text.len();
        self.text.push_str(text);
        let end = u32::try_from(self.text.len()).expect("the text of one label set stays under 4 GiB");
        start as u32..end
    }
}

fn slice<'a>(text: &'a str, range: &Range<u32>) -> &'a str {
    &text[range.start as usize..range.end as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_wins_and_an_empty_one_deletes() {
        let mut builder = Builder::new();
        builder.extend([("a", "1"), ("b", "2"), ("a", "3")]);
        builder.set("b", "");
        builder.set_default("a", "4");
        builder.set_default("c", "5");
        assert_eq!(builder.build(&mut Names::new()).to_string(), r#"{a="3", c="5"}"#);
    }

    #[test]
    fn a_cleared_builder_starts_anew() {
        let mut builder = Builder::new();
        builder.set("a", "1");
        builder.clear();
        assert!(builder.build(&mut Names::new()).is_empty());
        assert_eq!(builder.get("a"), "");
    }

    #[test]
    fn values_and_names_do_not_run_into_each_other() {
        let mut names = Names::new();
        let mut build = |labels: &[(&'static str, &'static str)]| {
            let mut builder = Builder::new();
            builder.extend(labels.iter().copied());
            builder.build(&mut names)
        };
        assert_ne!(build(&[("a", "bc")]).fingerprint(), build(&[("ab", "c")]).fingerprint());
        assert_ne!(build(&[("a", "b"), ("c", "d")]).fingerprint(), build(&[("a", "bc"), ("c", "d")]).fingerprint());
    }
}
