//! Which names a label may have.

use serde::{Deserialize, Serialize};

/// What counts as a label name: `metric_name_validation_scheme` in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NameScheme {
    /// Any text that is not empty.
    #[default]
    Utf8,
    /// ASCII letters, digits and underscores, not beginning with a digit.
    Legacy,
}

/// Whether a label may have this name.
pub fn is_valid_name(name: &str, scheme: NameScheme) -> bool {
    match scheme {
        NameScheme::Utf8 => !name.is_empty(),
        NameScheme::Legacy => {
            !name.is_empty()
                && !name.as_bytes()[0].is_ascii_digit()
                && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legacy_names_are_identifiers_and_the_others_any_text() {
        for (name, utf8, legacy) in [
            ("", false, false),
            ("a", true, true),
            ("__meta_x9", true, true),
            ("9a", true, false),
            ("a-b", true, false),
            ("a:b", true, false),
            ("größe", true, false),
        ] {
            assert_eq!(is_valid_name(name, NameScheme::Utf8), utf8, "{name:?}");
            assert_eq!(is_valid_name(name, NameScheme::Legacy), legacy, "{name:?}");
        }
    }

    #[test]
    fn schemes_are_written_in_lower_case() {
        assert_eq!(serde_yaml::from_str::<NameScheme>("utf8").unwrap(), NameScheme::Utf8);
        assert_eq!(serde_json::to_string(&NameScheme::Legacy).unwrap(), r#""legacy""#);
    }
}
