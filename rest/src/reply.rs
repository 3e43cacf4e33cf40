//! Replies in JSON, and in XML: bytes in, values out. Pure.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::{Fault, nulls};

/// Reads JSON. Bytes that are no UTF-8 cost themselves and not the reply, as in Go, and so does a `null`: in a map of whatever keys it is
/// what is empty, and in a list nothing.
pub fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    let text = String::from_utf8_lossy(body);
    let mut from = serde_json::Deserializer::from_str(&text);
    let reply = nulls::read(&mut from)?;
    from.end()?;
    Ok(reply)
}

/// Reads XML, without document types and the entities that these declare. What would take much memory or time is refused before.
#[cfg(feature = "xml")]
pub fn xml(text: &str) -> Result<roxmltree::Document<'_>, Fault> {
    bounds::check(text)?;
    roxmltree::Document::parse(text).map_err(|error| {
        let place = error.pos();
        Fault::new(format!("line {}, column {}: this is not XML: {error}", place.row, place.col))
    })
}

/// How much there may be of what a tree is made of. It takes up to twenty times the memory of the text, and each attribute is compared
/// with all others of its element.
#[cfg(feature = "xml")]
mod bounds {
    use super::Fault;

    const MOST_TAGS: usize = 8 << 20;
    const MOST_ATTRIBUTES: usize = 2 << 20;
    const MOST_OF_ONE: usize = 4096;

    /// Counts more than there are, but for what is no XML: a `<` may be that of a comment, a `=` may stand in a text.
    pub(super) fn check(text: &str) -> Result<(), Fault> {
        let (mut tags, mut attributes, mut of_one) = (0, 0, 0);
        for byte in text.bytes() {
            match byte {
                b'<' => (tags, of_one) = (tags + 1, 0),
                b'=' => (attributes, of_one) = (attributes + 1, of_one + 1),
                _ => continue,
            }
            for (count, most, what) in [
                (tags, MOST_TAGS, "tags"),
                (attributes, MOST_ATTRIBUTES, "attributes"),
                (of_one, MOST_OF_ONE, "attributes of one element"),
            ] {
                if count > most {
                    return Err(Fault::new(format!("it has more than {most} {what}")));
                }
            }
        }
        Ok(())
    }
}

/// What is behind a key without which a reply is none: nothing there is not the same as nothing found.
pub fn present<T>(value: Option<T>, key: &str) -> Result<T, Fault> {
    value.ok_or_else(|| Fault::new(format!("{key} is missing")))
}

/// A value that may be `null`, which stands for what it is when it is left out.
pub fn or_default<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// Declares what is read of a map of a reply, as Go reads it: a key that is missing or `null` is empty, and what is not named here
/// is left alone. The crate needs `serde` and `rosterd-rest`.
///
/// ```
/// rosterd_rest::reply! {
///     /// A host.
///     pub struct Host {
///         /// Its name.
///         pub name: String = "Name",
///         /// Its tags.
///         pub tags: Vec<String> = "Tags",
///     }
/// }
///
/// let host: Host = rosterd_rest::json(br#"{"Name": "a", "Tags": null, "Other": 1}"#).unwrap();
/// assert!(host.name == "a" && host.tags.is_empty());
/// ```
#[macro_export]
macro_rules! reply {
    ($(
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $( $(#[doc = $doc:expr])* $field_vis:vis $field:ident: $type:ty = $key:literal ),* $(,)?
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Default, ::serde::Deserialize)]
        #[serde(default, expecting = "a map of keys and values")]
        $vis struct $name {
            $(
                $(#[doc = $doc])*
                #[serde(rename = $key, deserialize_with = "rosterd_rest::or_default")]
                $field_vis $field: $type,
            )*
        }
    )*};
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::reply! {
        struct Host {
            name: String = "Name",
            slots: Vec<u16> = "Slots",
        }
    }

    fn refused(text: &str) -> String {
        json::<Vec<Host>>(text.as_bytes()).expect_err("must be refused").to_string()
    }

    #[test]
    fn what_is_left_out_or_null_is_empty() {
        let hosts: Vec<Host> = json(br#"[{"Name": null, "Slots": [1]}, {"Name": "a", "More": {}}]"#).expect("hosts");
        assert_eq!((hosts[0].name.as_str(), &*hosts[0].slots), ("", &[1][..]));
        assert_eq!((hosts[1].name.as_str(), &*hosts[1].slots), ("a", &[][..]));
    }

    #[test]
    fn bytes_that_are_no_text_cost_themselves() {
        let hosts: Vec<Host> = json(b"[{\"Name\": \"M\xfcnchen\"}]").expect("hosts");
        assert_eq!(hosts[0].name, "M\u{fffd}nchen");
    }

    #[cfg(feature = "xml")]
    #[test]
    fn xml_that_would_take_all_memory_or_time_is_refused_before_it_is_read() {
        let told = |text: &str| xml(text).map(drop).map_err(|fault| fault.to_string());
        let attributes = |count: usize| (0..count).map(|at| format!(" a{at}=''")).collect::<String>();
        assert_eq!(told(&format!("<a{}>{}</a>", attributes(4000), "=".repeat(90))), Ok(()));
        let wide = format!("<a{}/>", attributes(5000));
        assert_eq!(told(&wide), Err("it has more than 4096 attributes of one element".to_owned()));
        let many = format!("<a>{}</a>", "<b c='' d=''/>".repeat((1 << 20) + 1));
        assert_eq!(told(&many), Err("it has more than 2097152 attributes".to_owned()));
        let large = format!("<a>{}", "<b/>".repeat(8 << 20));
        assert_eq!(told(&large), Err("it has more than 8388608 tags".to_owned()));
        let deep = format!("{}{}", "<a>".repeat(1 << 20), "</a>".repeat(1 << 20));
        assert_eq!(told(&deep), Ok(()));
        let bomb = "<!DOCTYPE a [<!ENTITY b 'bb'><!ENTITY c '&b;&b;'>]><a>&c;</a>";
        assert!(told(bomb).is_err_and(|told| told.starts_with("line 1, column 1: this is not XML: ")));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, want) in [
            ("{}", "line 1, column 0: expected a list"),
            ("[{\"Name\": 1}]", "line 1, column 11: expected text in quotes, found a number"),
            ("[\n1]", "line 2, column 1: expected a map of keys and values, found a number"),
            ("[{", "line 1, column 2: the text ends too early"),
        ] {
            let told = refused(text);
            assert!(told.starts_with(want), "{text}: {told}");
        }
    }
}
