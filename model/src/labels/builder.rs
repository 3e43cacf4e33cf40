//! The scratch space in which label sets are put together and relabelled.

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

/// A piece of a builder's text. It stays good until the builder is cleared, so that relabelling can move values without
/// copying them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(crate) fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// The part between two offsets into this span.
    pub(crate) fn part(self, start: usize, end: usize) -> Self {
        Self { start: self.start + start as u32, end: self.start + end as u32 }
    }
}

#[derive(Debug, Clone)]
struct Entry {
    name: Span,
    /// What of the name tells it from most others at a glance.
    tag: u32,
    value: Span,
}

/// How long a name is, and how it ends: names of labels begin alike.
fn tag(name: &[u8]) -> u32 {
    let mut tag = [0; 4];
    let end = name.len().min(3);
    tag[..end].copy_from_slice(&name[name.len() - end..]);
    tag[3] = name.len() as u8;
    u32::from_ne_bytes(tag)
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
        self.str(self.span(name))
    }

    /// Whether the label is there.
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Sets a label; an empty value deletes it.
    pub fn set(&mut self, name: &str, value: &str) {
        let value = self.push(value);
        self.set_span(name, value);
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

    /// Starts anew with these labels, whose names are distinct and whose values are not empty, as in a [`Labels`].
    pub fn reset<'a>(&mut self, labels: impl IntoIterator<Item = (&'a str, &'a str)>) {
        self.clear();
        for (name, value) in labels {
            self.append(name, value);
        }
    }

    /// Sets all these labels, whose names are distinct and whose values are not empty, as in a [`Labels`].
    pub fn overlay<'a>(&mut self, labels: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let before = self.entries.len();
        for (name, value) in labels {
            match self.find_among(before, name) {
                Some(index) => self.entries[index].value = self.push(value),
                None => self.append(name, value),
            }
        }
    }

    /// Deletes the labels for which `keep` is false.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        let text = &self.text;
        self.entries.retain(|entry| keep(slice(text, entry.name), slice(text, entry.value)));
    }

    /// All labels, in the order in which they came or, once [`sort`](Self::sort) was called, that of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        self.entries.iter().map(|entry| (self.str(entry.name), self.str(entry.value)))
    }

    /// Sorts the labels by name. The order lasts until the next change.
    pub fn sort(&mut self) {
        let text = &self.text;
        self.entries.sort_unstable_by(|left, right| slice(text, left.name).cmp(slice(text, right.name)));
    }

    /// The label set; the builder keeps its labels.
    pub fn build(&mut self, names: &mut Names) -> Labels {
        self.sort();
        self.packed_names.clear();
        self.packed_values.clear();
        for entry in &self.entries {
            self.packed_names.extend_from_slice(slice(&self.text, entry.name).as_bytes());
            self.packed_names.push(0xff);
            let value = slice(&self.text, entry.value);
            push_length(&mut self.packed_values, value.len());
            self.packed_values.extend_from_slice(value.as_bytes());
        }
        let key = xxh3_64(&self.packed_names);
        let text = &self.text;
        let list = names.list(key, self.entries.iter().map(|entry| slice(text, entry.name)));
        Labels::from_parts(list, xxh3_64_with_seed(&self.packed_values, key), &self.packed_values)
    }

    /// Where the value of a label stands; an empty span if the label is not there.
    pub(crate) fn span(&self, name: &str) -> Span {
        self.find(name).map_or_else(Span::default, |index| self.entries[index].value)
    }

    /// The text of a span.
    pub(crate) fn str(&self, span: Span) -> &str {
        slice(&self.text, span)
    }

    /// Where names and values stand, in the order in which the labels came.
    pub(crate) fn spans(&self) -> impl Iterator<Item = (Span, Span)> {
        self.entries.iter().map(|entry| (entry.name, entry.value))
    }

    /// Sets a label to a text that stands in the builder already; an empty one deletes it.
    pub(crate) fn set_span(&mut self, name: &str, value: Span) {
        match self.find(name) {
            // The order of the others stays: labelmap goes by it.
            Some(index) if value.len() == 0 => {
                self.entries.remove(index);
            }
            Some(index) => self.entries[index].value = value,
            None if value.len() == 0 => {}
            None => {
                let (name, tag) = (self.push(name), tag(name.as_bytes()));
                self.entries.push(Entry { name, tag, value });
            }
        }
    }

    /// As [`set_span`](Self::set_span), where the name stands in the builder, too.
    pub(crate) fn set_spans(&mut self, name: Span, value: Span) {
        match self.find(self.str(name)) {
            Some(index) => self.entries[index].value = value,
            None => self.entries.push(Entry { name, tag: tag(self.str(name).as_bytes()), value }),
        }
    }

    /// Appends to the text, as part of what [`since`](Self::since) returns.
    pub(crate) fn write(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Appends a copy of a span to the text, as part of what [`since`](Self::since) returns.
    pub(crate) fn write_span(&mut self, span: Span) {
        self.text.extend_from_within(span.start as usize..span.end as usize);
    }

    /// Where the text ends.
    pub(crate) fn end(&self) -> usize {
        self.text.len()
    }

    /// What was written since the text ended here.
    pub(crate) fn since(&self, start: usize) -> Span {
        let end = u32::try_from(self.text.len()).expect("the text of one label set stays under 4 GiB");
        Span { start: start as u32, end }
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.find_among(self.entries.len(), name)
    }

    /// Finds a label among the first ones.
    fn find_among(&self, count: usize, name: &str) -> Option<usize> {
        // Bytes need no check for character boundaries.
        let (text, name, wanted) = (self.text.as_bytes(), name.as_bytes(), tag(name.as_bytes()));
        self.entries[..count].iter().position(|Entry { name: known, tag, .. }| {
            *tag == wanted && text[known.start as usize..known.end as usize] == *name
        })
    }

    fn append(&mut self, name: &str, value: &str) {
        let tag = tag(name.as_bytes());
        let (name, value) = (self.push(name), self.push(value));
        self.entries.push(Entry { name, tag, value });
    }

    fn push(&mut self, text: &str) -> Span {
        let start = self.end();
        self.write(text);
        self.since(start)
    }
}

fn slice(text: &str, span: Span) -> &str {
    &text[span.start as usize..span.end as usize]
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
    fn labels_laid_over_others_win_whatever_their_names_are_like() {
        let mut builder = Builder::new();
        builder.reset([("a_abc", "1"), ("b_abc", "2"), ("c", "3")]);
        builder.overlay([("b_abc", "4"), ("d_abc", "5"), ("", "6")]);
        assert_eq!((builder.get("a_abc"), builder.get("b_abc"), builder.get("abc")), ("1", "4", ""));
        assert_eq!((builder.get("d_abc"), builder.get(""), builder.len()), ("5", "6", 5));
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
