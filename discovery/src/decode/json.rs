//! The form of a list of target groups in JSON: what serde is told to make of it, while it is read.

use std::borrow::Cow;
use std::fmt;

use rosterd_model::{Builder, Labels, TargetGroup};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Decoder;

/// The list of groups.
pub(super) struct List<'d, 'a>(pub(super) &'d mut Decoder<'a>);

impl<'de> DeserializeSeed<'de> for List<'_, '_> {
    type Value = Vec<TargetGroup>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = Vec<TargetGroup>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of target groups")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut groups = Vec::with_capacity(list.size_hint().unwrap_or_default());
        loop {
            self.0.reading = Some(groups.len());
            match list.next_element_seed(Group(&mut *self.0))? {
                Some(group) => groups.push(group),
                None => break,
            }
        }
        self.0.reading = None;
        Ok(groups)
    }
}

/// One group.
struct Group<'d, 'a>(&'d mut Decoder<'a>);

impl<'de> DeserializeSeed<'de> for Group<'_, '_> {
    type Value = TargetGroup;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Group<'_, '_> {
    type Value = TargetGroup;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"a target group, {"targets": [...], "labels": {...}}"#)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TargetGroup, A::Error> {
        let mut targets = Vec::new();
        self.0.labels.clear();
        while let Some(key) = map.next_key::<Text<'_>>()? {
            // Prometheus ignores the case of these keys, because Go's encoding/json does.
            if key.0.eq_ignore_ascii_case("targets") {
                targets = map.next_value_seed(Targets(self.0))?;
            } else if key.0.eq_ignore_ascii_case("labels") {
                map.next_value_seed(GroupLabels(&mut self.0.labels))?;
            } else {
                map.next_value::<IgnoredAny>()?;
                return Err(A::Error::unknown_field(&key.0, &["targets", "labels"]));
            }
        }
        Ok(self.0.group(targets))
    }
}

/// The addresses of a group.
struct Targets<'d, 'a>(&'d mut Decoder<'a>);

impl<'de> DeserializeSeed<'de> for Targets<'_, '_> {
    type Value = Vec<Labels>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Targets<'_, '_> {
    type Value = Vec<Labels>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of addresses")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut targets = Vec::with_capacity(list.size_hint().unwrap_or_default());
        while let Some(address) = list.next_element::<Text<'_>>()? {
            targets.push(self.0.target(&address.0));
        }
        Ok(targets)
    }
}

/// The labels of a group, into the builder.
struct GroupLabels<'d>(&'d mut Builder);

impl<'de> DeserializeSeed<'de> for GroupLabels<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for GroupLabels<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of label names to strings")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.clear();
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.0.clear();
        while let Some((name, value)) = map.next_entry::<Text<'_>, Text<'_>>()? {
            if name.0.is_empty() {
                return Err(A::Error::custom("a label name is empty"));
            }
            self.0.set(&name.0, &value.0);
        }
        Ok(())
    }
}

/// A string, borrowed from the text where it holds no escapes. What is no Unicode in it becomes U+FFFD, as Go does it: a
/// label in another encoding costs itself and not the list.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyText;
        impl<'de> Visitor<'de> for AnyText {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(Text(std::str::from_utf8(bytes).map_or_else(|_| Cow::Owned(mended(bytes)), Cow::Borrowed)))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(std::str::from_utf8(bytes).map_or_else(|_| mended(bytes), str::to_owned))))
            }

            fn visit_none<E>(self) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed("")))
            }

            // Of text that need not be UTF-8 only the bytes are to be had.
            fn visit_some<D: Deserializer<'de>>(self, text: D) -> Result<Self::Value, D::Error> {
                text.deserialize_bytes(self)
            }
        }
        deserializer.deserialize_option(AnyText)
    }
}

/// Text with U+FFFD for each byte that is no UTF-8, and for each half of a surrogate pair: an escape such as `\ud800`
/// comes as the three bytes that would encode it.
#[cold]
fn mended(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 8);
    let mut rest = bytes;
    while !rest.is_empty() {
        let good = std::str::from_utf8(rest).map_or_else(|error| error.valid_up_to(), str::len);
        text.push_str(&String::from_utf8_lossy(&rest[..good]));
        rest = &rest[good..];
        let is_surrogate = matches!(rest, [0xed, 0xa0..=0xbf, 0x80..=0xbf, ..]);
        let skipped = if is_surrogate { 3 } else { rest.len().min(1) };
        if skipped > 0 {
            text.push('\u{fffd}');
        }
        rest = &rest[skipped..];
    }
    text
}
