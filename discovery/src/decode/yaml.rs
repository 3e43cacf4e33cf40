//! The YAML half: strict about keys, lenient about what a string is, as Go's YAML package is for Prometheus.

use std::path::Path;

use rosterd_model::{Labels, TargetGroup, did_you_mean};
use rosterd_yaml::{Id, Problem, Problems, Tree, code};

use super::{DecodeError, Decoder};

/// The keys of a group.
const KEYS: [&str; 2] = ["targets", "labels"];

/// Problems of one list that are told; a program that errs, errs everywhere.
const MOST_PROBLEMS: usize = 100;

/// Reads target groups from YAML; `source` is the file that they stand in.
///
/// As [`json_groups`](super::json_groups), but numbers, booleans and dates are taken as they are written where text is
/// wanted, a key must not be there twice, `<<` merges maps, and only the first document counts. No text at all is no
/// group. An error tells all that is wrong.
pub fn yaml_groups(bytes: &[u8], source: &str, extra: &[(&str, &str)]) -> Result<Vec<TargetGroup>, DecodeError> {
    let mut tree = Tree::default();
    let refused = |problems| DecodeError::Yaml { source: Problems(problems) };
    let root = tree.read_list(Path::new(source), bytes).sound().map_err(refused)?;
    let mut list = List { tree: &tree, decoder: Decoder::new(source, extra), problems: Vec::new() };
    let groups = list.groups(root);
    if list.problems.is_empty() { Ok(groups) } else { Err(refused(list.problems)) }
}

struct List<'t, 'a> {
    tree: &'t Tree,
    decoder: Decoder<'a>,
    problems: Vec<Problem>,
}

impl List<'_, '_> {
    fn groups(&mut self, root: Id) -> Vec<TargetGroup> {
        if !self.tree.is_list(root) {
            self.wrong(root, "", code::INVALID_TYPE, "expected a list of target groups");
        }
        let mut groups = Vec::with_capacity(self.tree.items(root).len());
        for (index, item) in self.tree.items(root).iter().enumerate() {
            if self.problems.len() >= MOST_PROBLEMS {
                break;
            }
            groups.push(self.group(*item, index));
        }
        groups
    }

    fn group(&mut self, at: Id, index: usize) -> TargetGroup {
        let key = format!("[{index}]");
        let mut targets = Vec::new();
        self.decoder.labels.clear();
        if self.tree.is_null(at) || !self.tree.is_map(at) {
            self.wrong(at, &key, code::INVALID_TYPE, "expected a target group with targets and labels");
        }
        for (name, place, value) in self.tree.entries(at) {
            match name {
                "targets" => targets = self.targets(value, &format!("{key}.targets")),
                "labels" => self.labels(value, &format!("{key}.labels")),
                other => {
                    let message = format!("unknown key `{other}` in a target group{}", did_you_mean(other, KEYS));
                    self.wrong(place, &format!("{key}.{other}"), code::UNKNOWN_KEY, message);
                }
            }
        }
        self.decoder.group(targets)
    }

    fn targets(&mut self, at: Id, key: &str) -> Vec<Labels> {
        if !self.tree.is_list(at) {
            self.wrong(at, key, code::INVALID_TYPE, "expected a list of addresses");
        }
        let mut targets = Vec::with_capacity(self.tree.items(at).len());
        for (index, item) in self.tree.items(at).iter().enumerate() {
            let Some(address) = self.text(*item, || format!("{key}[{index}]")) else { continue };
            targets.push(self.decoder.target(address));
        }
        targets
    }

    fn labels(&mut self, at: Id, key: &str) {
        if !self.tree.is_map(at) {
            self.wrong(at, key, code::INVALID_TYPE, "expected a map of label names to text");
        }
        for (name, place, value) in self.tree.entries(at) {
            if name.is_empty() {
                self.wrong(place, key, code::INVALID_VALUE, "a label name is empty");
            } else if let Some(text) = self.text(value, || format!("{key}.{name}")) {
                self.decoder.labels.set(name, text);
            }
        }
    }
}

impl<'t> List<'t, '_> {
    /// Any scalar as it is written; nothing, `~` and `null` are the empty text.
    fn text(&mut self, at: Id, key: impl Fn() -> String) -> Option<&'t str> {
        let tree = self.tree;
        if tree.is_null(at) {
            return Some("");
        }
        let text = tree.text(at);
        if text.is_none() {
            self.wrong(at, &key(), code::INVALID_TYPE, "expected text");
        }
        text
    }

    fn wrong(&mut self, at: Id, key: &str, code: &'static str, message: impl Into<String>) {
        self.problems.push(self.tree.problem(at, key.to_owned(), code, message));
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
    fn what_is_no_utf8_costs_one_label_and_not_the_list() {
        let bytes = b"- targets: [a]\n  labels: {city: M\xfcnchen, b: ok}\n";
        let groups = yaml_groups(bytes, "s", &[]).expect("groups");
        assert_eq!(groups[0].labels.to_string(), "{b=\"ok\", city=\"M\u{fffd}nchen\"}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let cases = [
            ("targets: [a]", "line 1, column 1: expected a list of target groups"),
            ("- target: [a]", "line 1, column 3: [0].target: unknown key `target` in a target group; did you mean"),
            ("- Targets: [a]", "line 1, column 3: [0].Targets: unknown key `Targets`"),
            ("- targets: [a]\n- targets: a:1\n", "line 2, column 12: [1].targets: expected a list of addresses"),
            ("- targets: [[a]]\n", "line 1, column 13: [0].targets[0]: expected text"),
            ("- labels: {a: [b]}\n", "line 1, column 15: [0].labels.a: expected text"),
            ("- labels: [a]\n", "expected a map of label names"),
            ("- labels: {a: b, a: c}\n", "line 1, column 18: the key `a` is there already, in line 1"),
            ("- targets: [a]\n  targets: [b]\n", "line 2, column 3: the key `targets` is there already"),
            ("- labels: {'': b}\n", "a label name is empty"),
            ("-\n", "line 1, column 2: [0]: expected a target group"),
            ("- targets: [a\n- b", "the list that begins with `[` in line 1"),
            ("- - a\n", "expected a target group"),
            (
                "- {a: 1}\n- {b: 1}",
                "[0].a: unknown key `a` in a target group; line 2, column 4: [1].b: unknown key `b`",
            ),
        ];
        for (text, want) in cases {
            let told = refused(text);
            assert!(told.starts_with("cannot read the list of target groups: "), "{text:?}: {told}");
            assert!(told.contains(want), "{text:?}: {told}");
        }
    }
}
