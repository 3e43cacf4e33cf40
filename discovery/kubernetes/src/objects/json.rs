//! Lists and maps as Go writes them: `null` is an empty one.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, de};

use crate::codec::{Field, In, Out, Str};

/// A list, which `null` is too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> List<T> {
    /// Each of them as what it stands for.
    pub(super) fn convert<U: From<T>>(self) -> Vec<U> {
        self.0.into_iter().map(U::from).collect()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<List<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(List(list))
            }

            fn visit_unit<E: de::Error>(self) -> Result<List<T>, E> {
                Ok(List::default())
            }
        }
        deserializer.deserialize_any(Visitor(PhantomData))
    }
}

/// Texts by name, in the order of the names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Map<'a>(Vec<(Str<'a>, Str<'a>)>);

impl<'a> Map<'a> {
    /// The text of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| **key == *name).map(|(_, value)| &**value)
    }
}

impl<'a> Deref for Map<'a> {
    type Target = [(Str<'a>, Str<'a>)];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<'a> FromIterator<(Str<'a>, Str<'a>)> for Map<'a> {
    fn from_iter<I: IntoIterator<Item = (Str<'a>, Str<'a>)>>(entries: I) -> Self {
        let mut entries = Vec::from_iter(entries);
        // Servers write them in order. Of a name that is there twice, the last text counts.
        if !entries.is_sorted_by(|one, next| one.0 < next.0) {
            entries.reverse();
            entries.sort_by(|one, next| one.0.cmp(&next.0));
            entries.dedup_by(|one, next| one.0 == next.0);
        }
        Self(entries)
    }
}

impl<'a> Field<'a> for Map<'a> {
    fn put(&self, out: &mut Out<'_>) {
        self.0.put(out);
    }

    fn take(from: &mut In<'a>) -> Option<Self> {
        Vec::take(from).map(Self)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Map<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Map<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of strings")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut entries: A) -> Result<Map<'de>, A::Error> {
                let mut map = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    map.push(entry);
                }
                Ok(map.into_iter().collect())
            }

            fn visit_unit<E: de::Error>(self) -> Result<Map<'de>, E> {
                Ok(Map::default())
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
