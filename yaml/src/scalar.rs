//! What a scalar means, by the rules of go-yaml v2, which Prometheus reads its files with: YAML 1.1 booleans, octal and
//! underscored integers.

/// What a tag wants a scalar to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    Str,
    Int,
    Float,
    Bool,
    Null,
    /// Base64, decoded already.
    Binary,
    Merge,
    /// `!` alone, a date, or one that nobody knows: the text is text.
    Other,
}

impl Tag {
    pub(super) fn of(tag: &str) -> Self {
        match tag.strip_prefix("tag:yaml.org,2002:") {
            Some("str") => Self::Str,
            Some("int") => Self::Int,
            Some("float") => Self::Float,
            Some("bool") => Self::Bool,
            Some("null") => Self::Null,
            Some("binary") => Self::Binary,
            Some("merge") => Self::Merge,
            _ => Self::Other,
        }
    }
}

/// A scalar as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scalar {
    pub(super) text: Box<str>,
    /// Neither quoted nor a block.
    pub(super) plain: bool,
    pub(super) tag: Option<Tag>,
}

/// What a scalar stands for where any type would do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meaning<'a> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'a str),
}

impl Scalar {
    /// What stands where nothing was written.
    pub(super) fn nothing() -> Self {
        Self { text: "".into(), plain: true, tag: None }
    }

    pub(super) fn is_null(&self) -> bool {
        match self.tag {
            Some(tag) => tag == Tag::Null,
            None => self.plain && is_null(&self.text),
        }
    }

    /// Whether it is the key `<<`, which brings the entries of other maps.
    pub(super) fn is_merge(&self) -> bool {
        &*self.text == "<<" && (self.tag == Some(Tag::Merge) || self.tag.is_none() && self.plain)
    }

    /// What its tag wants, if it is something else.
    pub(super) fn misfit(&self) -> Option<&'static str> {
        let (fits, kind) = match self.tag? {
            Tag::Int => (integer(&self.text).is_some(), "a whole number"),
            Tag::Float => (integer(&self.text).is_some() || float(&self.text).is_some(), "a number"),
            Tag::Bool => (boolean(&self.text).is_some(), "true or false"),
            Tag::Null => (is_null(&self.text), "nothing, or null"),
            Tag::Str | Tag::Binary | Tag::Merge | Tag::Other => return None,
        };
        (!fits).then_some(kind)
    }

    pub(super) fn meaning(&self) -> Meaning<'_> {
        let found = match self.tag {
            Some(Tag::Null) => return Meaning::Null,
            Some(Tag::Bool) => boolean(&self.text).map(Meaning::Bool),
            Some(Tag::Int) => integer(&self.text),
            Some(Tag::Float) => float(&self.text).map(Meaning::Float).or_else(|| integer(&self.text)),
            Some(Tag::Str | Tag::Binary | Tag::Merge | Tag::Other) => None,
            None if !self.plain => None,
            None if is_null(&self.text) => return Meaning::Null,
            // An underscore may stand within a number, not in front.
            None if self.text.starts_with('_') => None,
            None => boolean(&self.text)
                .map(Meaning::Bool)
                .or_else(|| integer(&self.text))
                .or_else(|| float(&self.text).map(Meaning::Float)),
        };
        found.unwrap_or(Meaning::Text(&self.text))
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn integer(text: &str) -> Option<Meaning<'static>> {
    let digits = text.replace('_', "");
    let (negative, digits) = match digits.as_bytes().first()? {
        b'-' => (true, &digits[1..]),
        b'+' => (false, &digits[1..]),
        _ => (false, digits.as_str()),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    // A second sign would be taken by the standard library.
    if !digits.bytes().next()?.is_ascii_alphanumeric() {
        return None;
    }
    let number = u64::from_str_radix(digits, radix).ok()?;
    if negative { 0i64.checked_sub_unsigned(number).map(Meaning::Signed) } else { Some(Meaning::Unsigned(number)) }
}

fn float(text: &str) -> Option<f64> {
    match text {
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Some(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Some(f64::NEG_INFINITY),
        _ => {}
    }
    let digits = text.replace('_', "");
    // Keeps out `inf`, `nan` and `infinity`, which are text in YAML.
    let numeric = digits.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    (numeric && digits.bytes().any(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Scalar {
        Scalar { text: text.into(), plain: true, tag: None }
    }

    #[test]
    fn plain_scalars_mean_what_they_mean_to_go_yaml() {
        use Meaning::{Bool, Float, Null, Signed, Text, Unsigned};
        for (text, meaning) in [
            ("", Null),
            ("~", Null),
            ("NULL", Null),
            ("yes", Bool(true)),
            ("Off", Bool(false)),
            ("n", Bool(false)),
            ("tRue", Text("tRue")),
            ("7", Unsigned(7)),
            ("+7", Unsigned(7)),
            ("-7", Signed(-7)),
            ("--7", Text("--7")),
            ("1_000", Unsigned(1000)),
            ("0o17", Unsigned(15)),
            ("017", Unsigned(15)),
            ("0x1F", Unsigned(31)),
            ("-0b11", Signed(-3)),
            ("08", Float(8.0)),
            ("18446744073709551615", Unsigned(u64::MAX)),
            ("-9223372036854775808", Signed(i64::MIN)),
            ("1.5", Float(1.5)),
            ("1e3", Float(1000.0)),
            ("-.inf", Float(f64::NEG_INFINITY)),
            ("inf", Text("inf")),
            ("1.2.3", Text("1.2.3")),
            ("0x", Text("0x")),
            ("-", Text("-")),
            ("_", Text("_")),
            ("_1", Text("_1")),
            ("15s", Text("15s")),
            ("é0", Text("é0")),
            ("0é", Text("0é")),
        ] {
            assert_eq!(plain(text).meaning(), meaning, "{text:?}");
        }
    }

    #[test]
    fn quotes_and_tags_decide() {
        assert_eq!(Scalar { plain: false, ..plain("7") }.meaning(), Meaning::Text("7"));
        assert_eq!(Scalar { tag: Some(Tag::Str), ..plain("~") }.meaning(), Meaning::Text("~"));
        assert_eq!(Scalar { plain: false, tag: Some(Tag::Int), ..plain("7") }.meaning(), Meaning::Unsigned(7));
        assert!(!Scalar { plain: false, ..plain("") }.is_null());
    }
}
