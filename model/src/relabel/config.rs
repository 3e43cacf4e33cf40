//! What the user writes: one rule of `relabel_configs`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::RelabelError;

/// One relabelling rule, as it stands in the configuration.
///
/// Equal rules do the same. A key that is present without a value is empty, not at its default. What is at its default is
/// not serialised.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuleConfig {
    /// Labels whose values, joined by the separator, are what the rule looks at.
    #[serde(deserialize_with = "or_empty", skip_serializing_if = "Vec::is_empty")]
    pub source_labels: Vec<String>,
    /// Stands between the values of the source labels.
    #[serde(deserialize_with = "or_empty", skip_serializing_if = "is_default_separator")]
    pub separator: String,
    /// The label that is written, or compared with; for `replace` a template.
    #[serde(deserialize_with = "or_empty", skip_serializing_if = "String::is_empty")]
    pub target_label: String,
    /// An RE2 expression that has to match the whole of the text.
    #[serde(deserialize_with = "or_empty", skip_serializing_if = "is_default_regex")]
    pub regex: String,
    /// What `hashmod` divides by.
    #[serde(deserialize_with = "or_empty", skip_serializing_if = "is_zero")]
    pub modulus: u64,
    /// The template of the new value or, for `labelmap`, of the new name.
    #[serde(deserialize_with = "or_empty", skip_serializing_if = "is_default_replacement")]
    pub replacement: String,
    /// What the rule does.
    #[serde(skip_serializing_if = "is_default_action")]
    pub action: Action,
}

const SEPARATOR: &str = ";";
const REGEX: &str = "(.*)";
const REPLACEMENT: &str = "$1";

impl Default for RuleConfig {
    fn default() -> Self {
        Self {
            source_labels: Vec::new(),
            separator: SEPARATOR.to_owned(),
            target_label: String::new(),
            regex: REGEX.to_owned(),
            modulus: 0,
            replacement: REPLACEMENT.to_owned(),
            action: Action::Replace,
        }
    }
}

impl RuleConfig {
    pub(super) fn has_default_separator(&self) -> bool {
        is_default_separator(&self.separator)
    }

    pub(super) fn has_default_regex(&self) -> bool {
        is_default_regex(&self.regex)
    }

    pub(super) fn has_default_replacement(&self) -> bool {
        is_default_replacement(&self.replacement)
    }
}

/// The action and what is not at its default, in one line: `keep source_labels: [a, b], regex: x;y`.
impl fmt::Display for RuleConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.action)?;
        let mut between = " ";
        let mut key = |name: &str, is_default: bool, value: &dyn fmt::Display| {
            if is_default {
                return Ok(());
            }
            write!(f, "{between}{name}: {value}")?;
            between = ", ";
            Ok(())
        };
        let sources = self.source_labels.iter().map(|label| Plain(label).to_string()).collect::<Vec<_>>().join(", ");
        key("source_labels", self.source_labels.is_empty(), &format_args!("[{sources}]"))?;
        key("separator", self.has_default_separator(), &Plain(&self.separator))?;
        key("regex", self.has_default_regex(), &Plain(&self.regex))?;
        key("modulus", self.modulus == 0, &self.modulus)?;
        key("target_label", self.target_label.is_empty(), &Plain(&self.target_label))?;
        key("replacement", self.has_default_replacement(), &Plain(&self.replacement))
    }
}

/// Text as one would write it in a line of YAML, in quotes where it needs them.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = *self;
        if text.contains(char::is_control) {
            write!(f, "{text:?}")
        } else if text.is_empty() || text.contains([' ', ',', '\'', '"', '#']) {
            write!(f, "'{}'", text.replace('\'', "''"))
        } else {
            f.write_str(text)
        }
    }
}

fn is_default_separator(separator: &str) -> bool {
    separator == SEPARATOR
}

fn is_default_regex(regex: &str) -> bool {
    regex == REGEX
}

fn is_default_replacement(replacement: &str) -> bool {
    replacement == REPLACEMENT
}

fn is_default_action(action: &Action) -> bool {
    *action == Action::Replace
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn or_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Action {
    /// Writes the expanded replacement to the target label if the regex matches.
    #[default]
    Replace,
    /// Drops what the regex does not match.
    Keep,
    /// Drops what the regex matches.
    Drop,
    /// Drops what differs from the target label.
    KeepEqual,
    /// Drops what equals the target label.
    DropEqual,
    /// Writes the hash of the source labels, modulo the modulus, to the target label.
    HashMod,
    /// Copies each label whose name matches to the name that the replacement makes of it.
    LabelMap,
    /// Removes the labels whose names match.
    LabelDrop,
    /// Removes the labels whose names do not match.
    LabelKeep,
    /// Writes the source labels in lower case to the target label.
    Lowercase,
    /// Writes the source labels in upper case to the target label.
    Uppercase,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 11] = [
        Self::Replace,
        Self::Keep,
        Self::Drop,
        Self::KeepEqual,
        Self::DropEqual,
        Self::HashMod,
        Self::LabelMap,
        Self::LabelDrop,
        Self::LabelKeep,
        Self::Lowercase,
        Self::Uppercase,
    ];

    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Keep => "keep",
            Self::Drop => "drop",
            Self::KeepEqual => "keepequal",
            Self::DropEqual => "dropequal",
            Self::HashMod => "hashmod",
            Self::LabelMap => "labelmap",
            Self::LabelDrop => "labeldrop",
            Self::LabelKeep => "labelkeep",
            Self::Lowercase => "lowercase",
            Self::Uppercase => "uppercase",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Upper and lower case do not matter.
impl FromStr for Action {
    type Err = RelabelError;

    fn from_str(name: &str) -> Result<Self, RelabelError> {
        Self::ALL
            .into_iter()
            .find(|action| action.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| RelabelError::UnknownAction(name.to_owned()))
    }
}

impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Option::<String>::deserialize(deserializer)?;
        name.ok_or(RelabelError::EmptyAction).and_then(|name| name.parse()).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(yaml: &str) -> RuleConfig {
        serde_yaml::from_str(yaml).unwrap()
    }

    #[test]
    fn what_is_not_written_is_at_its_default() {
        assert_eq!(rule("{}"), RuleConfig::default());
        assert_eq!(serde_json::to_string(&RuleConfig::default()).unwrap(), "{}");
        let written = rule("{source_labels: [a, b], separator: '', regex: x, target_label: c, action: LabelDrop}");
        assert_eq!(
            serde_json::to_string(&written).unwrap(),
            r#"{"source_labels":["a","b"],"separator":"","target_label":"c","regex":"x","action":"labeldrop"}"#
        );
    }

    #[test]
    fn a_rule_is_shown_in_one_line() {
        for (yaml, shown) in [
            ("{}", "replace"),
            ("{source_labels: [a, b], action: keep, regex: 'x;y\\d+'}", "keep source_labels: [a, b], regex: x;y\\d+"),
            (
                "{source_labels: [a], modulus: 4, target_label: b, action: hashmod}",
                "hashmod source_labels: [a], modulus: 4, target_label: b",
            ),
            (
                "{separator: '', regex: \"it's\", target_label: x, replacement: \"\\n\"}",
                "replace separator: '', regex: 'it''s', target_label: x, replacement: \"\\n\"",
            ),
        ] {
            assert_eq!(rule(yaml).to_string(), shown);
        }
    }

    #[test]
    fn a_key_without_a_value_is_empty() {
        let written =
            rule("{source_labels: , separator: , regex: , replacement: ~, target_label: null, modulus: null}");
        let empty = RuleConfig {
            separator: String::new(),
            regex: String::new(),
            replacement: String::new(),
            ..RuleConfig::default()
        };
        assert_eq!(written, empty);
    }

    #[test]
    fn actions_are_read_in_any_case() {
        for action in Action::ALL {
            for name in [action.to_string(), action.to_string().to_uppercase()] {
                assert_eq!(rule(&format!("action: {name}")).action, action);
            }
        }
        for (yaml, message) in [
            ("action: keepp", "unknown relabel action \"keepp\""),
            ("action: ''", "unknown relabel action \"\""),
            ("action:", "the action is empty: leave the key out for replace"),
            ("regexp: x", "unknown field `regexp`"),
        ] {
            let error = serde_yaml::from_str::<RuleConfig>(yaml).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
