//! What `null` stands for in a reply: in a map, as in Go, for what is empty, whatever is expected there; in a list for nothing. So one odd
//! value costs itself and not the reply.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};

/// Reads what is there, which is no `null` itself.
pub(crate) fn read<'de, T: serde::Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    T::deserialize(Reply { from, is_value: false })
}

/// A reply, or a part of it.
struct Reply<D> {
    from: D,
    /// Whether it is a value in a map.
    is_value: bool,
}

/// What is expected. A type for each, since what reads one is compiled for each type that is read: with a value for each, all of them would be.
trait Kind {
    fn read<'de, D: Deserializer<'de>, V: Visitor<'de>>(self, from: D, visitor: V) -> Result<V::Value, D::Error>;

    /// What is there without a value.
    fn empty<'de, V: Visitor<'de>, E: Error>(self, visitor: V) -> Result<V::Value, E>;

    /// What stands in this text: a reader of its own for what is empty would be compiled for each type, too.
    fn read_of<'de, V: Visitor<'de>, E: Error>(self, text: &'static str, visitor: V) -> Result<V::Value, E>
    where
        Self: Sized,
    {
        self.read(&mut serde_json::Deserializer::from_str(text), visitor).map_err(E::custom)
    }
}

struct Flag;
struct Integer;
struct Fraction;
struct Text;
struct AList;
struct AMap;
struct Struct(&'static str, &'static [&'static str]);

macro_rules! kinds {
    ($($kind:ident $method:ident $visitor:ident => $empty:expr;)*) => {$(
        impl Kind for $kind {
            fn read<'de, D: Deserializer<'de>, V: Visitor<'de>>(self, from: D, visitor: V) -> Result<V::Value, D::Error> {
                from.$method(Within { visitor, is_value: false })
            }

            fn empty<'de, V: Visitor<'de>, E: Error>(self, $visitor: V) -> Result<V::Value, E> {
                $empty
            }
        }
    )*};
}

kinds! {
    Flag deserialize_bool visitor => visitor.visit_bool(false);
    Integer deserialize_i64 visitor => visitor.visit_u64(0);
    Fraction deserialize_f64 visitor => visitor.visit_f64(0.0);
    Text deserialize_string visitor => visitor.visit_borrowed_str("");
    AList deserialize_seq visitor => AList.read_of("[]", visitor);
    AMap deserialize_map visitor => AMap.read_of("{}", visitor);
}

impl Kind for Struct {
    fn read<'de, D: Deserializer<'de>, V: Visitor<'de>>(self, from: D, visitor: V) -> Result<V::Value, D::Error> {
        from.deserialize_struct(self.0, self.1, Fields(visitor))
    }

    fn empty<'de, V: Visitor<'de>, E: Error>(self, visitor: V) -> Result<V::Value, E> {
        self.read_of("{}", visitor)
    }
}

impl<'de, D: Deserializer<'de>> Reply<D> {
    fn expect<V: Visitor<'de>>(self, kind: impl Kind, visitor: V) -> Result<V::Value, D::Error> {
        match self.is_value {
            true => self.from.deserialize_option(Given { kind, visitor }),
            false => kind.read(self.from, visitor),
        }
    }
}

macro_rules! expecting {
    ($($method:ident $kind:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.expect($kind, visitor)
        }
    )*};
}

/// What is read as it stands: nobody expects something of its own of `null` there.
macro_rules! passing {
    ($($method:ident($($argument:ident: $type:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.from.$method($($argument,)* visitor)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Reply<D> {
    type Error = D::Error;

    expecting! {
        deserialize_bool Flag
        deserialize_i8 Integer deserialize_i16 Integer deserialize_i32 Integer deserialize_i64 Integer
        deserialize_u8 Integer deserialize_u16 Integer deserialize_u32 Integer deserialize_u64 Integer
        deserialize_f32 Fraction deserialize_f64 Fraction
        deserialize_str Text deserialize_string Text
        deserialize_seq AList
        deserialize_map AMap
    }

    passing! {
        deserialize_any() deserialize_ignored_any() deserialize_identifier() deserialize_unit() deserialize_char()
        deserialize_bytes() deserialize_byte_buf() deserialize_i128() deserialize_u128()
        deserialize_unit_struct(name: &'static str) deserialize_tuple(len: usize)
        deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.expect(Struct(name, fields), visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.from.deserialize_option(Within { visitor, is_value: false })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        self.from.deserialize_newtype_struct(name, Within { visitor, is_value: self.is_value })
    }

    fn is_human_readable(&self) -> bool {
        self.from.is_human_readable()
    }
}

/// Takes what is expected, or `null`.
struct Given<K, V> {
    kind: K,
    visitor: V,
}

impl<'de, K: Kind, V: Visitor<'de>> Visitor<'de> for Given<K, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.kind.empty(self.visitor)
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.kind.empty(self.visitor)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<V::Value, D::Error> {
        self.kind.read(from, self.visitor)
    }
}

/// Takes what is read, and reads what is in it in the same way.
struct Within<V> {
    visitor: V,
    is_value: bool,
}

macro_rules! taking {
    ($($method:ident($type:ty))*) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.visitor.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Within<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    taking! {
        visit_bool(bool) visit_i64(i64) visit_u64(u64) visit_i128(i128) visit_u128(u128) visit_f64(f64)
        visit_str(&str) visit_borrowed_str(&'de str) visit_string(String)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Reply { from, is_value: false })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Reply { from, is_value: self.is_value })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_seq(List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Map(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variants: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(variants)
    }
}

/// Takes a map for the fields of a structure. A list is none, as in Go.
struct Fields<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for Fields<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of keys and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Map(map))
    }
}

/// A list: what is `null` is passed over.
struct List<A>(A);

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for List<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, mut seed: S) -> Result<Option<S::Value>, A::Error> {
        loop {
            seed = match self.0.next_element_seed(Element(seed))? {
                None => return Ok(None),
                Some(Ok(element)) => return Ok(Some(element)),
                Some(Err(seed)) => seed,
            };
        }
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

/// Reads an element, or gives itself back for the next one.
struct Element<S>(S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Element<S> {
    type Value = Result<S::Value, S>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_option(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for Element<S> {
    type Value = Result<S::Value, S>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an element of a list")
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Err(self.0))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Err(self.0))
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        self.0.deserialize(Reply { from, is_value: false }).map(Ok)
    }
}

/// A map.
struct Map<A>(A);

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Map<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Value(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

struct Value<S>(S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Value<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Reply { from, is_value: true })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde::de::DeserializeOwned;

    fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
        crate::json(text.as_bytes()).map_err(|fault| fault.to_string())
    }

    type Of<T> = BTreeMap<String, T>;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Host {
        name: String,
        tags: Vec<String>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Name(String);

    #[test]
    fn in_a_map_it_is_what_is_empty_and_in_a_list_nothing() {
        fn of<T>(value: T) -> Result<Of<T>, String> {
            Ok(Of::from([("a".to_owned(), value)]))
        }
        let text = r#"{"a": null}"#;
        assert_eq!(read(text), of(String::new()));
        assert_eq!(read(text), of(0_u16));
        assert_eq!(read(text), of(0_i64));
        assert_eq!(read(text), of(0.0));
        assert_eq!(read(text), of(false));
        assert_eq!(read(text), of(Vec::<String>::new()));
        assert_eq!(read(text), of(Of::<String>::new()));
        assert_eq!(read(text), of(Host::default()));
        assert_eq!(read(text), of(Name(String::new())));
        assert_eq!(read(text), of(None::<String>));
        assert_eq!(read(text), of(serde_json::Value::Null));
        assert_eq!(read(r#"[null, "a", null, null, "b", null]"#), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(read("[null]"), Ok(Vec::<Host>::new()));
        let deep = r#"{"a": {"name": "n", "tags": ["x", null]}, "b": {"tags": null, "name": null}}"#;
        let host = Host { name: "n".to_owned(), tags: vec!["x".to_owned()] };
        let want = Of::from([("a".to_owned(), Some(host)), ("b".to_owned(), Some(Host::default()))]);
        assert_eq!(read(deep), Ok(want));
        assert_eq!(read(r#"{"a": [null, 1]}"#), of(serde_json::json!([null, 1])), "what is kept as it is");
    }

    #[test]
    fn a_reply_that_is_null_is_none() {
        let told = read::<Vec<String>>("null").expect_err("no list");
        assert!(told.starts_with("line 1, column 4: "), "{told}");
        assert!(read::<String>("null").is_err() && read::<Host>("null").is_err());
        assert_eq!(read("null"), Ok(None::<Vec<String>>));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let told = |text: &str| read::<Of<Vec<u16>>>(text).expect_err("a fault");
        assert!(told(r#"{"a": [1, "x"]}"#).starts_with("line 1, column 13: "), "{}", told(r#"{"a": [1, "x"]}"#));
        assert!(told(r#"{"a": 7}"#).contains("expected a list, found a number"), "{}", told(r#"{"a": 7}"#));
        assert!(told(r#"{"a": [70000]}"#).starts_with("line 1, column "));
        assert!(read::<Of<Vec<u16>>>(r#"{"a": [1]} x"#).is_err());
        let told = read::<Vec<Host>>(r#"[{"name": "n"}, ["n", []]]"#).expect_err("a list for fields");
        assert_eq!(told, "line 1, column 17: expected a map of keys and values, found a list");
    }
}
