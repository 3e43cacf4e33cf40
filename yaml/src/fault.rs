//! Why a value was refused, in the words of a configuration rather than of Rust. What was written is not repeated: it may
//! be a secret in the wrong place.

use std::fmt;

use serde::de::{Error, Expected, Unexpected};

use super::problem::code;

/// Why a value was refused. Where, the decoder knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { code: code::INVALID_VALUE, message: message.to_string() }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let (expected, found) = (plainly(expected), kind(found));
        let hint = match (expected.as_str(), found) {
            // What is alone where there may be several.
            ("a list", "text") => ": put brackets around it, as in [a, b]",
            ("a list", "a map") => ": put a dash in front of each entry",
            ("true or false", "text") => ": leave the quotes out",
            ("a map", "a list") => ": write `name: value` without dashes and brackets, as in {a: b}",
            ("a map of keys and values", "text") => ": write keys below it, each with its value, as in `key: value`",
            ("a map of keys and values", "a list") => ": write its keys without a dash in front",
            _ => "",
        };
        Self { code: code::INVALID_TYPE, message: format!("expected {expected}, found {found}{hint}") }
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Unsigned(number) => number.to_string(),
            Unexpected::Signed(number) => number.to_string(),
            Unexpected::Float(number) => number.to_string(),
            other => kind(other).to_owned(),
        };
        Self { code: code::INVALID_VALUE, message: format!("expected {}, found {found}", plainly(expected)) }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let message = format!("{variant:?} is not one of {}", expected.join(", "));
        Self { code: code::INVALID_VALUE, message }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { code: code::MISSING_KEY, message: format!("the key `{field}` is missing") }
    }
}

fn kind(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
        Unexpected::Str(_) | Unexpected::Char(_) | Unexpected::Bytes(_) => "text",
        Unexpected::Unit | Unexpected::Option => "nothing",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a map",
        _ => "something else",
    }
}

fn plainly(expected: &dyn Expected) -> String {
    let expected = expected.to_string();
    match expected.as_str() {
        "a boolean" => "true or false".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative and not too large".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number that is not too large".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a string" => "text".to_owned(),
        "path string" => "a path".to_owned(),
        other if other.starts_with("struct ") => "a map of keys and values".to_owned(),
        _ => expected,
    }
}
