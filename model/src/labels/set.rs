//! The immutable label set.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use triomphe::ThinArc;

use super::names::NameList;
use super::{Builder, Names};

pub(super) struct Header {
    pub(super) names: Arc<NameList>,
    pub(super) fingerprint: u64,
}

/// A sorted, immutable set of labels. Cloning copies a pointer.
///
/// A label with an empty value is the same as no label, as in Prometheus: such labels are never stored.
#[derive(Clone)]
pub struct Labels(ThinArc<Header, u8>);

impl Labels {
    /// The set without labels.
    pub fn empty() -> Self {
        Builder::new().build(&mut Names::new())
    }

    pub(super) fn from_parts(names: Arc<NameList>, fingerprint: u64, values: &[u8]) -> Self {
        Self(ThinArc::from_header_and_slice(Header { names, fingerprint }, values))
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.0.header.header.names.len()
    }

    /// Whether there are no labels.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a label, if it is there.
    pub fn get(&self, name: &str) -> Option<&str> {
        let index = self.0.header.header.names.position(name)?;
        let mut values = &self.0.slice;
        for _ in 0..index {
            let (length, rest) = split_length(values);
            values = &rest[length..];
        }
        let (length, rest) = split_length(values);
        Some(text(&rest[..length]))
    }

    /// All labels in the order of their names.
    pub fn iter(&self) -> Iter<'_> {
        Iter { names: &self.0.header.header.names, index: 0, values: &self.0.slice }
    }

    /// All values, each behind its length: for whoever wants to know quickly whether a text stands in none of them.
    pub fn packed_values(&self) -> &[u8] {
        &self.0.slice
    }

    /// A hash of names and values (XXH3) that is the same in every process and every release.
    pub fn fingerprint(&self) -> u64 {
        self.0.header.header.fingerprint
    }

    /// How many label sets share this allocation, for tests and accounting.
    pub fn shares_names_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0.header.header.names, &other.0.header.header.names)
    }

    /// Bytes of memory that this set occupies by itself, without its shared list of names.
    pub fn size(&self) -> usize {
        size_of::<usize>() * 2 + size_of::<Header>() + self.0.slice.len()
    }
}

/// Iterates over the labels of a set, sorted by name.
#[derive(Clone)]
pub struct Iter<'a> {
    names: &'a NameList,
    index: usize,
    values: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.index == self.names.len() {
            return None;
        }
        let (length, rest) = split_length(self.values);
        let (value, rest) = rest.split_at(length);
        let name = self.names.get(self.index);
        self.index += 1;
        self.values = rest;
        Some((name, text(value)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.names.len() - self.index;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// Appends a length as LEB128.
pub(super) fn push_length(buffer: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        buffer.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    buffer.push(length as u8);
}

fn text(value: &[u8]) -> &str {
    std::str::from_utf8(value).expect("values are stored from strings")
}

fn split_length(bytes: &[u8]) -> (usize, &[u8]) {
    let mut length = 0;
    if let Some((&byte, rest)) = bytes.split_first().filter(|(byte, _)| **byte < 0x80) {
        return (usize::from(byte), rest);
    }
    for (index, byte) in bytes.iter().enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return (length, &bytes[index + 1..]);
        }
    }
    (0, &[])
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        let (left, right) = (&self.0.header.header, &other.0.header.header);
        left.fingerprint == right.fingerprint
            && self.0.slice == other.0.slice
            && (Arc::ptr_eq(&left.names, &right.names) || left.names == right.names)
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.fingerprint());
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(labels: I) -> Self {
        let mut builder = Builder::new();
        for (name, value) in labels {
            builder.set(name.as_ref(), value.as_ref());
        }
        builder.build(&mut Names::new())
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// As in Prometheus: `{a="b", c="d"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (name, value)) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, value) in self {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Labels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of label names to strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let mut builder = Builder::new();
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    builder.set(&name, &value);
                }
                Ok(builder.build(&mut Names::new()))
            }
        }
        deserializer.deserialize_map(Map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_and_found_by_name() {
        let labels: Labels = [("b", "2"), ("a", "1"), ("empty", "")].into_iter().collect();
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
        assert_eq!((labels.get("b"), labels.get("empty")), (Some("2"), None));
        assert_eq!(labels.to_string(), r#"{a="1", b="2"}"#);
    }

    #[test]
    fn long_values_come_back_whole() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 100_000] {
            let value = "x".repeat(length);
            let labels: Labels = [("a", value.as_str()), ("b", "1")].into_iter().collect();
            assert_eq!(labels.get("a").unwrap_or_default(), value);
            assert_eq!(labels.get("b"), Some("1"));
        }
    }

    #[test]
    fn equality_needs_no_shared_names() {
        let left: Labels = [("a", "1")].into_iter().collect();
        let right: Labels = [("a", "1")].into_iter().collect();
        assert!(!left.shares_names_with(&right));
        assert_eq!(left, right);
        assert_eq!(left.fingerprint(), right.fingerprint());
        assert_ne!(left, [("a", "2")].into_iter().collect());
        assert_ne!(left, [("b", "1")].into_iter().collect());
    }

    #[test]
    fn json_is_a_map() {
        let labels: Labels = [("b", "2"), ("a", "1")].into_iter().collect();
        let json = serde_json::to_string(&labels).expect("labels serialise");
        assert_eq!(json, r#"{"a":"1","b":"2"}"#);
        assert_eq!(serde_json::from_str::<Labels>(&json).expect("labels come back"), labels);
    }
}
