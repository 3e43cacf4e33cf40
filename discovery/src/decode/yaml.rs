//! The YAML half: strict about keys, lenient about what a string is, as Go's YAML package is for Prometheus.

use std::fmt;
use std::marker::PhantomData;

use rosterd_model::{Builder, Labels, TargetGroup};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{DecodeError, Decoder};

/// The key whose value is merged into the map: `<<: *anchor`.
const MERGE: &str = "<<";

/// Reads target groups from YAML.
///
/// As [`json_groups`](super::json_groups), but numbers, booleans and dates are taken as they are written where text is
/// wanted, a key must not be there twice, `<<` merges maps, and only the first document counts. No text at all is no
/// group.
pub fn yaml_groups(bytes: &[u8], source: &str, extra: &[(&str, &str)]) -> Result<Vec<TargetGroup>, DecodeError> {
    let Some(document) = serde_yaml::Deserializer::from_slice(bytes).next() else { return Ok(Vec::new()) };
    let mut decoder = Decoder::new(source, extra);
    List(&mut decoder).deserialize(document).map_err(|source| DecodeError::Yaml { source })
}

struct List<'d, 'a>(&'d mut Decoder<'a>);

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

    /// No document at all.
    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut groups = Vec::new();
        while let Some(parts) = list.next_element_seed(Group { decoder: &mut *self.0, merged: false })? {
            self.0.labels = parts.labels.unwrap_or_default();
            groups.push(self.0.group(parts.targets.unwrap_or_default()));
        }
        Ok(groups)
    }
}

/// What a map said about a group.
#[derive(Default)]
struct Parts {
    targets: Option<Vec<Labels>>,
    labels: Option<Builder>,
}

impl Parts {
    fn or(self, other: Self) -> Self {
        Self { targets: self.targets.or(other.targets), labels: self.labels.or(other.labels) }
    }
}

/// A group, or what is merged into one: a map, or a list of maps of which the first that has a key wins.
struct Group<'d, 'a> {
    decoder: &'d mut Decoder<'a>,
    merged: bool,
}

impl<'de> DeserializeSeed<'de> for Group<'_, '_> {
    type Value = Parts;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Parts, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Group<'_, '_> {
    type Value = Parts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a target group with targets and labels")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Parts, A::Error> {
        if !self.merged {
            return Err(A::Error::custom("invalid type: sequence, expected a target group with targets and labels"));
        }
        let mut parts = Parts::default();
        while let Some(next) = list.next_element_seed(Group { decoder: &mut *self.decoder, merged: false })? {
            parts = parts.or(next);
        }
        Ok(parts)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parts, A::Error> {
        let (mut parts, mut merged) = (Parts::default(), Parts::default());
        while let Some(key) = map.next_key::<Text>()? {
            match key.0.as_str() {
                MERGE => merged = merged.or(map.next_value_seed(Group { decoder: &mut *self.decoder, merged: true })?),
                "targets" if parts.targets.is_some() => return Err(A::Error::duplicate_field("targets")),
                "labels" if parts.labels.is_some() => return Err(A::Error::duplicate_field("labels")),
                "targets" => {
                    let addresses = map.next_value::<Option<Vec<Text>>>()?.unwrap_or_default();
                    parts.targets = Some(addresses.iter().map(|address| self.decoder.target(&address.0)).collect());
                }
                "labels" => parts.labels = Some(map.next_value_seed(LabelMap { merged: false })?),
                other => {
                    map.next_value::<IgnoredAny>()?;
                    return Err(A::Error::unknown_field(other, &["targets", "labels"]));
                }
            }
        }
        Ok(parts.or(merged))
    }
}

/// Labels, or what is merged into them.
struct LabelMap {
    merged: bool,
}

impl<'de> DeserializeSeed<'de> for LabelMap {
    type Value = Builder;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Builder, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for LabelMap {
    type Value = Builder;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of label names to strings")
    }

    fn visit_unit<E>(self) -> Result<Builder, E> {
        Ok(Builder::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Builder, A::Error> {
        if !self.merged {
            return Err(A::Error::custom("invalid type: sequence, expected a map of label names to strings"));
        }
        let mut labels = Builder::new();
        while let Some(next) = list.next_element_seed(Self { merged: false })? {
            next.iter().for_each(|(name, value)| labels.set_default(name, value));
        }
        Ok(labels)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Builder, A::Error> {
        let (mut labels, mut merged) = (Builder::new(), Builder::new());
        while let Some(Text(name)) = map.next_key()? {
            if name == MERGE {
                let more = map.next_value_seed(Self { merged: true })?;
                more.iter().for_each(|(name, value)| merged.set_default(name, value));
                continue;
            }
            let Text(value) = map.next_value()?;
            if name.is_empty() {
                return Err(A::Error::custom("a label name is empty"));
            }
            if labels.contains(&name) {
                return Err(A::Error::custom(format_args!("label {name:?} is there twice")));
            }
            labels.set(&name, &value);
        }
        merged.iter().for_each(|(name, value)| labels.set_default(name, value));
        Ok(labels)
    }
}

/// Any scalar as it is written; nothing, `~` and `null` are the empty text.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalar<'de>(PhantomData<&'de ()>);
        impl<'de> Visitor<'de> for Scalar<'de> {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_none<E>(self) -> Result<Text, E> {
                Ok(Text(String::new()))
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Text, D::Error> {
                String::deserialize(deserializer).map(Text)
            }
        }
        deserializer.deserialize_option(Scalar(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn decode(text: &str) -> Result<Vec<TargetGroup>, DecodeError> {
        yaml_groups(text.as_bytes(), "s", &[("__meta_filepath", "f")])
    }

    fn shown(text: &str) -> Vec<String> {
        let show = |group: &TargetGroup| format!("{} {:?}", group.labels, group.targets);
        decode(text).expect("groups").iter().map(show).collect()
    }

    fn refused(text: &str) -> String {
        let error = decode(text).expect_err("must be refused");
        format!("{error}: {}", error.source().expect("has a cause"))
    }

    #[test]
    fn groups_become_labels() {
        let text = "- targets: [a:1, 'b:2']\n  labels:\n    env: prod\n- targets:\n  - c:3\n- {}\n";
        let want = [
            r#"{__meta_filepath="f", env="prod"} [{__address__="a:1"}, {__address__="b:2"}]"#,
            r#"{__meta_filepath="f"} [{__address__="c:3"}]"#,
            r#"{__meta_filepath="f"} []"#,
        ];
        assert_eq!(shown(text), want);
    }

    #[test]
    fn scalars_are_text_as_written() {
        let text =
            "- targets: [9100, 1.50]\n  labels: {a: 010, b: yes, c: 1e3, d: 2020-01-02, e: ~, f: , 7: '~', g: null}";
        let want = r#"{7="~", __meta_filepath="f", a="010", b="yes", c="1e3", d="2020-01-02"} [{__address__="9100"}, {__address__="1.50"}]"#;
        assert_eq!(shown(text), [want]);
    }

    #[test]
    fn nothing_is_no_group() {
        for text in ["", "\n", "# only a comment\n", "---\n", "null", "[]"] {
            assert_eq!(shown(text), [""; 0], "{text:?}");
        }
        assert_eq!(shown("- targets:\n  labels:\n"), [r#"{__meta_filepath="f"} []"#]);
    }

    #[test]
    fn anchors_and_merges_are_followed() {
        let text = "- targets: [a]\n  labels: &l {x: '1', y: '2'}\n- targets: [b]\n  labels: {<<: *l, y: '3'}\n- &g\n  targets: [c]\n  labels: *l\n- <<: *g\n  targets: [d]\n";
        let want = [
            r#"{__meta_filepath="f", x="1", y="2"} [{__address__="a"}]"#,
            r#"{__meta_filepath="f", x="1", y="3"} [{__address__="b"}]"#,
            r#"{__meta_filepath="f", x="1", y="2"} [{__address__="c"}]"#,
            r#"{__meta_filepath="f", x="1", y="2"} [{__address__="d"}]"#,
        ];
        assert_eq!(shown(text), want);
        let text = "- labels: &a {x: '1'}\n- labels: &b {x: '2', z: '2'}\n- labels: {<<: [*a, *b]}\n";
        assert_eq!(shown(text)[2], r#"{__meta_filepath="f", x="1", z="2"} []"#);
    }

    #[test]
    fn only_the_first_document_counts() {
        assert_eq!(shown("- targets: [a]\n---\nnonsense: [\n").len(), 1);
    }

    #[test]
    fn label_sets_of_one_text_share_their_names() {
        let groups = decode("- targets: [a, b]\n  labels: {x: 1}\n- targets: [c]\n  labels: {x: 2}\n").expect("groups");
        assert!(groups[0].labels.shares_names_with(&groups[1].labels));
        assert!(groups[0].targets[1].shares_names_with(&groups[1].targets[0]));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let cases = [
            ("targets: [a]", "invalid type: map, expected a list of target groups"),
            ("- target: [a]", "[0]: unknown field `target`, expected `targets` or `labels` at line 1 column 3"),
            ("- Targets: [a]", "unknown field `Targets`"),
            ("- targets: [a]\n- targets: a:1\n", "[1].targets: invalid type"),
            ("- targets: [[a]]\n", "[0].targets[0]: invalid type: sequence, expected a string at line 1 column 13"),
            ("- labels: {a: [b]}\n", "[0].labels.a: invalid type: sequence, expected a string at line 1 column 15"),
            ("- labels: [a]\n", "expected a map of label names"),
            ("- labels: {a: b, a: c}\n", "label \"a\" is there twice at line 1"),
            ("- targets: [a]\n  targets: [b]\n", "duplicate field `targets` at line 1"),
            ("- labels: {'': b}\n", "a label name is empty"),
            ("-\n", "invalid type: unit value, expected a target group"),
            ("- targets: [a\n- b", "while parsing a flow sequence at line 1 column 12"),
            ("- - a\n", "expected a target group"),
        ];
        for (text, want) in cases {
            let told = refused(text);
            assert!(told.starts_with("cannot read the list of target groups: "), "{text:?}: {told}");
            assert!(told.contains(want), "{text:?}: {told}");
        }
    }
}
