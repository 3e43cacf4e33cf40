//! `rosterd.scrape`: whether targets are scraped, and how where Prometheus has no setting.

use std::fmt;

use rosterd_client::unset;
use rosterd_model::{Duration, Problem, Size};
use serde::de::value::MapDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, forward_to_deserialize_any};

use crate::error::code;

/// Whether and how targets are scraped. `true` and `false` stand for the key `enabled` alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scraping {
    /// Whether targets are scraped, or only published; by default when there is a `remote_write`.
    #[serde(skip_serializing_if = "unset", deserialize_with = "flag")]
    pub enabled: Option<bool>,
    /// How long at most a target is left alone that asks for it by `Retry-After`. 0 asks it at each interval.
    pub honor_retry_after: Duration,
    /// The memory for all scrapes under way: their bodies, and what becomes of them.
    pub memory_limit: Size,
}

impl Default for Scraping {
    fn default() -> Self {
        Self { enabled: None, honor_retry_after: Duration::ZERO, memory_limit: Size::from_bytes(256 << 20) }
    }
}

impl Scraping {
    pub(super) fn check(self) -> Option<Problem> {
        let none = self.memory_limit == Size::ZERO;
        let message = "without memory nothing can be scraped: give a size, such as 256MiB";
        none.then(|| Problem::new("scrape.memory_limit", code::INVALID_VALUE, message))
    }
}

/// Reads the settings, or the short form of them.
pub(super) fn scraping<'de, D: Deserializer<'de>>(from: D) -> Result<Scraping, D::Error> {
    Scraping::deserialize(OrFlag(from))
}

/// Reads a boolean, or nothing as nothing.
pub(super) fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    struct Flag;
    impl Visitor<'_> for Flag {
        type Value = Option<bool>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("true or false")
        }

        fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Option<bool>, E> {
            Ok(Some(flag))
        }

        fn visit_unit<E: de::Error>(self) -> Result<Option<bool>, E> {
            Ok(None)
        }
    }
    from.deserialize_any(Flag)
}

/// Hands a boolean to a map as its key `enabled`.
pub(super) struct OrFlag<T>(pub(super) T);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for OrFlag<D> {
    type Error = D::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_struct(name, fields, OrFlag(visitor))
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for OrFlag<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false, or a map of keys and values")
    }

    fn visit_bool<E: de::Error>(self, enabled: bool) -> Result<V::Value, E> {
        self.0.visit_map(MapDeserializer::new(std::iter::once(("enabled", enabled))))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(map)
    }
}
