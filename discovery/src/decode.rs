//! Target groups as text, the format that `http`, `file` and `exec` share: a list of `{"targets": [...], "labels": {...}}`.
//! Bytes in, groups out; label sets are built while reading, without a document tree in between.

mod fault;
mod json; // the form of the list
mod large;
mod yaml;

use std::collections::HashMap;
use std::io::{self, BufReader, Read};

use rosterd_model::labels::ADDRESS;
use rosterd_model::{Builder, Coded, Labels, Names, Priority, TargetGroup};
use serde::de::DeserializeSeed;
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub use fault::JsonFault;
use json::List;
pub use large::{JsonList, KEPT_WHOLE, ListHash};
pub use yaml::yaml_groups;

/// The text is not a list of target groups. The cause says where, by line and column.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The text as a whole: not JSON, not a list, or something follows the list.
    #[error("cannot read the list of target groups")]
    List {
        /// What is wrong, and where.
        source: JsonFault,
    },
    /// One of the groups.
    #[error("cannot read target group {index}")]
    Group {
        /// Which one, counted from 0.
        index: usize,
        /// What is wrong, and where.
        source: JsonFault,
    },
    /// The text as a whole or one of the groups, in YAML.
    #[error("cannot read the list of target groups")]
    Yaml {
        /// What is wrong, and where.
        source: rosterd_yaml::Problems,
    },
}

impl Coded for DecodeError {
    fn code(&self) -> &'static str {
        "sd_malformed"
    }

    fn priority(&self) -> Priority {
        Priority::Remote
    }
}

/// Reads target groups from JSON.
///
/// All groups belong to `source`, and each is named by what it holds: one that is put in front of them leaves the names of
/// the others as they are. `extra` labels are added to every group and win over the group's own. The rules are those of Prometheus: keys other than `targets` and `labels` are refused, `null` stands for an empty
/// list, map or string but not for a group, and a label name is any text that is not empty.
pub fn json_groups(bytes: &[u8], source: &str, extra: &[(&str, &str)]) -> Result<Vec<TargetGroup>, DecodeError> {
    read_json(serde_json::Deserializer::from_slice(bytes), source, extra)
}

/// The same of a text that is read piece by piece, for one that is too large to be in memory beside its groups. Fails and
/// blocks as `text` does.
pub fn json_groups_from(
    text: impl Read,
    source: &str,
    extra: &[(&str, &str)],
) -> io::Result<Result<Vec<TargetGroup>, DecodeError>> {
    let mut text = Remembering { text, failed: None };
    let read = read_json_from(&mut text, source, extra);
    text.failed.map_or(Ok(read), Err)
}

/// What fails, and is remembered: the decoder knows only that something did.
struct Remembering<R> {
    text: R,
    failed: Option<io::Error>,
}

impl<R: Read> Read for Remembering<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.text.read(into).map_err(|error| {
            let kind = error.kind();
            // A read that was interrupted is tried again.
            if kind != io::ErrorKind::Interrupted {
                self.failed = Some(error);
            }
            kind.into()
        })
    }
}

fn read_json_from(text: impl Read, source: &str, extra: &[(&str, &str)]) -> Result<Vec<TargetGroup>, DecodeError> {
    read_json(serde_json::Deserializer::from_reader(BufReader::new(text)), source, extra)
}

fn read_json<'de>(
    mut reader: serde_json::Deserializer<impl serde_json::de::Read<'de>>,
    source: &str,
    extra: &[(&str, &str)],
) -> Result<Vec<TargetGroup>, DecodeError> {
    let mut decoder = Decoder::new(source, extra);
    let groups = List(&mut decoder).deserialize(&mut reader).map_err(|source| match decoder.reading {
        Some(index) => DecodeError::Group { index, source: source.into() },
        None => DecodeError::List { source: JsonFault::of_beginning(source) },
    })?;
    reader.end().map_err(|source| DecodeError::List { source: source.into() })?;
    Ok(groups)
}

/// What is shared by all groups of one text.
struct Decoder<'a> {
    names: Names,
    labels: Builder,
    address: Builder,
    source: &'a str,
    extra: &'a [(&'a str, &'a str)],
    reading: Option<usize>,
    /// How many groups there were of each hash.
    seen: HashMap<u32, u32>,
}

impl<'a> Decoder<'a> {
    fn new(source: &'a str, extra: &'a [(&'a str, &'a str)]) -> Self {
        Self {
            names: Names::new(),
            labels: Builder::new(),
            address: Builder::new(),
            source,
            extra,
            reading: None,
            seen: HashMap::new(),
        }
    }

    fn target(&mut self, address: &str) -> Labels {
        self.address.clear();
        self.address.set(ADDRESS, address);
        self.address.build(&mut self.names)
    }

    fn group(&mut self, targets: Vec<Labels>) -> TargetGroup {
        self.labels.extend(self.extra.iter().copied());
        let labels = self.labels.build(&mut self.names);
        TargetGroup { source: self.source.into(), key: self.key(&labels, &targets), labels, targets }
    }

    /// Names a group by its labels and its first target, and equal ones by their number. The hash is short because it is
    /// stored with each group; should two groups share it, they are numbered like equal ones.
    fn key(&mut self, labels: &Labels, targets: &[Labels]) -> Box<str> {
        // What holds nothing is not kept.
        let Some(first) = targets.first() else { return "".into() };
        let hash = (xxh3_64_with_seed(&first.fingerprint().to_le_bytes(), labels.fingerprint()) >> 32) as u32;
        let number = self.seen.entry(hash).or_default();
        *number += 1;
        match number {
            1 => format!("{hash:08x}").into(),
            more => format!("{hash:08x}-{more}").into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn decode(text: &str) -> Result<Vec<TargetGroup>, DecodeError> {
        json_groups(text.as_bytes(), "s", &[])
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
        let text = r#"[{"targets": ["a:1", "b:2"], "labels": {"env": "pr\u00f6d", "zone": "x"}}, {"targets": []}]"#;
        let want = [r#"{env="pröd", zone="x"} [{__address__="a:1"}, {__address__="b:2"}]"#, "{} []"];
        assert_eq!(shown(text), want);
    }

    #[test]
    fn a_text_with_nothing_in_it_is_told_as_such() {
        for (text, told) in [
            ("", "there is nothing in it: a list without groups is `[]`"),
            (" \n\n", "there is nothing in it: a list without groups is `[]`"),
            ("[", "the text ends too early"),
            ("[{\"targets\":\n", "the text ends too early"),
        ] {
            let (DecodeError::List { source } | DecodeError::Group { source, .. }) =
                json_groups(text.as_bytes(), "s", &[]).unwrap_err()
            else {
                panic!("{text:?} is no YAML")
            };
            assert!(source.message.starts_with(told), "{text:?}: {source}");
        }
    }

    #[test]
    fn groups_are_named_by_what_they_hold() {
        let names = |text: &str| -> Vec<String> {
            let groups = decode(text).expect("groups");
            assert!(groups.iter().all(|group| &*group.source == "s"));
            groups.iter().map(|group| group.key.to_string()).collect()
        };
        let (a, b) = (r#"{"targets": ["a:1", "x:1"]}"#, r#"{"targets": ["b:1"], "labels": {"l": "1"}}"#);
        let before = names(&format!("[{a}, {b}, {a}]"));
        assert_eq!((before[0].len(), &*before[2]), (8, &*format!("{}-2", before[0])));
        assert_eq!(names(&format!(r#"[{{"targets": ["new:1"]}}, {a}, {b}, {a}]"#))[1..], before);
        assert!(!names(r#"[{"targets": ["b:1"], "labels": {"l": "2"}}]"#).contains(&before[1]));
        assert_eq!(names(r#"[{"targets": ["a:1", "other:1"]}]"#), before[..1], "only the first target counts");
    }

    #[test]
    fn extra_labels_win() {
        let text = br#"[{"targets": ["a:1"], "labels": {"__meta_url": "lie", "x": "y"}}]"#;
        let groups = json_groups(text, "", &[("__meta_url", "http://u")]).expect("groups");
        assert_eq!(groups[0].labels.to_string(), r#"{__meta_url="http://u", x="y"}"#);
    }

    #[test]
    fn label_sets_of_one_text_share_their_names() {
        let groups = decode(r#"[{"targets":["a","b"],"labels":{"x":"1"}},{"targets":["c"],"labels":{"x":"2"}}]"#);
        let groups = groups.expect("groups");
        assert!(groups[0].labels.shares_names_with(&groups[1].labels));
        assert!(groups[0].targets[1].shares_names_with(&groups[1].targets[0]));
    }

    #[test]
    fn null_is_empty_except_for_a_group() {
        assert_eq!(shown("null"), [""; 0]);
        assert_eq!(shown(r#"[{"targets": null, "labels": null}]"#), ["{} []"]);
        assert_eq!(shown(r#"[{"targets": [null], "labels": {"a": null}}]"#), ["{} [{}]"]);
        assert!(
            refused(r#"[{}, null]"#)
                .starts_with("cannot read target group 1: line 1, column 9: expected a target group")
        );
    }

    #[test]
    fn labels_do_not_leak_into_the_next_group() {
        assert_eq!(shown(r#"[{"labels": {"a": "1"}}, {"targets": []}]"#), [r#"{a="1"} []"#, "{} []"]);
    }

    #[test]
    fn the_last_of_equal_keys_wins_and_their_case_does_not_matter() {
        let text = r#"[{"labels": {"a": "1"}, "Labels": {"b": "1", "b": "2"}, "TARGETS": []}]"#;
        assert_eq!(shown(text), [r#"{b="2"} []"#]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let cases = [
            (
                "{}",
                "cannot read the list of target groups: line 1, column 2: expected a list of target groups, found a map",
            ),
            ("[] x", "cannot read the list of target groups: line 1, column 4: something follows the last bracket"),
            ("[{}", "cannot read target group 1: line 1, column 3: the text ends too early"),
            (
                "[\n{\"target\": [\"a\"]}]",
                "cannot read target group 0: line 2, column 17: unknown key `target`: a target",
            ),
            (
                r#"[{"targets": "a"}]"#,
                "cannot read target group 0: line 1, column 16: expected a list of addresses, found",
            ),
            (
                r#"[{}, {"targets": [9100]}]"#,
                "cannot read target group 1: line 1, column 22: expected text in quotes, found",
            ),
            (
                r#"[{"labels": {"a": 1}}]"#,
                "cannot read target group 0: line 1, column 19: expected text in quotes, found",
            ),
            (r#"[{"labels": {"": "x"}}]"#, "cannot read target group 0: line 1, column 21: a label name is empty"),
            ("", "cannot read the list of target groups: line 1, column 0: there is nothing in it"),
        ];
        for (text, want) in cases {
            let got = refused(text);
            assert!(got.starts_with(want), "{text}: {got}");
        }
        let got = refused("[{},\n\n{\"target\": []}]");
        assert!(got.contains("group 1") && got.contains("line 3, column"), "{got}");
    }

    #[test]
    fn what_is_no_unicode_costs_its_label_and_not_the_list() {
        let mut text =
            br#"[{"targets": ["a:1"], "labels": {"city": "M_nchen", "half": "<\ud800>", "ok": "\ud83d\ude00"}},"#
                .to_vec();
        text.extend_from_slice(br#"{"targets": ["b:1", "cut"#);
        text.extend_from_slice(b"\xe2\x82\"]}]");
        let place = text.iter().position(|byte| *byte == b'_').expect("it is there");
        text[place] = 0xfc;
        let groups = json_groups(&text, "", &[]).expect("groups");
        let want = "{city=\"M\u{fffd}nchen\", half=\"<\u{fffd}>\", ok=\"\u{1f600}\"}";
        assert_eq!(groups[0].labels.to_string(), want);
        assert_eq!(groups[1].targets[1].get(ADDRESS), Some("cut\u{fffd}\u{fffd}"), "as many as Go makes of them");
    }

    #[test]
    fn broken_utf8_between_strings_is_refused() {
        let error = json_groups(b"[{\"targets\": [\xff\"a\"]}]", "", &[]).expect_err("not JSON");
        assert_eq!(error.to_string(), "cannot read target group 0");
        assert_eq!(error.code(), "sd_malformed");
    }
}
