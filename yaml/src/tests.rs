//! The YAML layer on its own: places, limits, and input that nobody would write.

use std::path::Path;

use proptest::prelude::*;

use super::problem::code;
use super::{Problem, Tree};

fn read(text: &str) -> Result<serde_json::Value, Vec<String>> {
    let mut tree = Tree::default();
    let shown = |problems: Vec<Problem>| {
        problems.iter().map(|p| format!("{}:{} {}", p.line, p.column, p.code)).collect::<Vec<_>>()
    };
    let root = tree.read(Path::new("t.yml"), text.as_bytes()).sound().map_err(shown)?;
    let decoded = tree.decode(root);
    decoded.value.ok_or_else(|| shown(decoded.problems))
}

#[test]
fn values_are_what_they_are_to_go_yaml() {
    let text = "{a: 0o17, b: [yes, 'no', ~], c: !!str 5, 1: x, <<: {a: 1, d: 2}}";
    let wanted = serde_json::json!({"a": 15, "b": [true, "no", null], "c": "5", "1": "x", "d": 2});
    assert_eq!(read(text), Ok(wanted));
    assert_eq!(read("\u{feff}a: &x [1]\nb: *x"), Ok(serde_json::json!({"a": [1], "b": [1]})));
    assert_eq!(read(""), Ok(serde_json::Value::Null));
}

/// A number as a type has it, or nothing where it is refused.
fn number<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    let mut tree = Tree::default();
    let root = tree.read(Path::new("t.yml"), text.as_bytes()).sound().expect("a scalar");
    tree.decode(root).value
}

#[test]
fn whole_numbers_lose_what_stands_behind_the_point_as_in_go() {
    for (text, unsigned, signed) in [
        ("1.5", Some(1), Some(1)),
        ("1.9999", Some(1), Some(1)),
        ("1e3", Some(1000), Some(1000)),
        ("-0.5", Some(0), Some(0)),
        // Go makes whatever the machine makes of a negative number without a sign.
        ("-1.5", None, Some(-1)),
        ("1e19", Some(10_000_000_000_000_000_000), None),
        ("1.8446744073709552e19", None, None),
        ("-9.3e18", None, None),
        (".nan", None, None),
        (".inf", None, None),
        ("-.inf", None, None),
        ("'1.5'", None, None),
    ] {
        assert_eq!((number::<u64>(text), number::<i64>(text)), (unsigned, signed), "{text}");
    }
    assert_eq!((number::<u16>("80.7"), number::<u16>("65536.0")), (Some(80), None));
}

#[test]
fn what_libyaml_takes_is_taken() {
    let json = |text: &str| read(text).unwrap_or_else(|problems| panic!("{text:?}: {problems:?}"));
    for (text, wanted) in [
        ("a:\t15s\nb: [x,\tz]", serde_json::json!({"a": "15s", "b": ["x", "z"]})),
        ("a: [\nx,\nz\n]\nb: 'x\nz'", serde_json::json!({"a": ["x", "z"], "b": "x z"})),
        ("a: 'x'#z\nb: [x]# c", serde_json::json!({"a": "x", "b": ["x"]})),
        (
            "a: 'x\n\t\n  y'\nb: |\n  x\n  \t\nc: [x,\t\n \tz]",
            serde_json::json!({"a": "x\ny", "b": "x\n\t\n", "c": ["x", "z"]}),
        ),
        ("a: |\n b", serde_json::json!({"a": "b"})),
        ("a: |+\n b\n\n", serde_json::json!({"a": "b\n\n"})),
        ("a: >\n b\n  ", serde_json::json!({"a": "b\n "})),
        ("a: |\n b\n ", serde_json::json!({"a": "b\n"})),
        ("a: |\n b \n ", serde_json::json!({"a": "b \n"})),
        ("\u{feff}a: 1\r\nb: 2\r\n", serde_json::json!({"a": 1, "b": 2})),
        ("a: 1\n---\n", serde_json::json!({"a": 1})),
        ("a: 1\n...\n---\n# nothing\n", serde_json::json!({"a": 1})),
        ("a: !!binary aGVsbG8=\nb: !!binary |\n  aGVs\n  bG8=\n", serde_json::json!({"a": "hello", "b": "hello"})),
        ("a: !what it is\nb: !what [1]\nc: !!set {d}", serde_json::json!({"a": "it is", "b": [1], "c": {"d": null}})),
    ] {
        assert_eq!(json(text), wanted, "{text:?}");
    }
    let utf16: Vec<u8> = "\u{feff}a: é".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut tree = Tree::default();
    let root = tree.read(Path::new("t.yml"), &utf16).sound().unwrap();
    assert_eq!(tree.get(root, "a").and_then(|id| tree.text(id)), Some("é"));
}

#[test]
fn a_text_that_ends_anywhere_breaks_nothing() {
    let text =
        "a: \"\\x41 \\\" b\"\nc: |-\n  d\n e\nf: >+2\n   g\n'h': &i {j: 'k', l: [*i]}\n? !!str m\n: - n\n%O\n---\n";
    for end in 0..=text.len() {
        for more in ["", "\\", "\"\\", "|\n  x", "'"] {
            read(&format!("{}{more}", &text[..end])).ok();
        }
    }
}

#[test]
fn a_list_is_its_first_document_and_mended_where_it_is_not_utf8() {
    let mut tree = Tree::default();
    let root = tree.read_list(Path::new("t.yml"), b"- a\xffb\n---\nnonsense: [\n").sound().unwrap();
    assert_eq!(tree.items(root).iter().map(|item| tree.text(*item)).collect::<Vec<_>>(), [Some("a\u{fffd}b")]);
}

#[test]
fn bytes_that_are_no_text_are_refused_in_files_of_people_and_mended_in_lists() {
    for text in ["!!binary \"/w==\": value", "name: !!binary \"/w==\""] {
        let mut tree = Tree::default();
        let problems = tree.read(Path::new("t.yml"), text.as_bytes()).problems;
        assert!(problems[0].message.contains("is not UTF-8 once it is decoded"), "{text}: {problems:?}");
        let root = tree.read_list(Path::new("t.yml"), text.as_bytes()).sound().unwrap();
        let (key, _, value) = tree.entries(root).next().unwrap();
        assert!(key == "\u{fffd}" || tree.text(value) == Some("\u{fffd}"), "{text}");
    }
}

#[test]
fn what_stands_before_a_broken_line_is_kept() {
    let mut tree = Tree::default();
    let reading = tree.read(Path::new("t.yml"), b"a: {b: 1}\nc:\n- d: x\n  e: [\nf: 1\n");
    assert!(!reading.whole && reading.problems.len() == 1, "{:?}", reading.problems);
    let read = tree.decode::<serde_json::Value>(reading.root).value.unwrap();
    assert_eq!((&read["a"], &read["c"][0]["d"]), (&serde_json::json!({"b": 1}), &serde_json::json!("x")));
}

#[test]
fn a_key_without_a_value_is_left_out_where_its_type_has_nothing_empty() {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(default)]
    struct Settings {
        wait: rosterd_model::Duration,
        name: String,
        on: bool,
    }
    impl Default for Settings {
        fn default() -> Self {
            Self { wait: rosterd_model::Duration::from_secs(5), name: "x".to_owned(), on: true }
        }
    }
    let mut tree = Tree::default();
    let root = tree.read(Path::new("t.yml"), b"wait:\nname:\non: ~\n").sound().unwrap();
    let decoded = tree.decode::<Settings>(root);
    assert_eq!((decoded.problems, decoded.left_out.len()), (Vec::new(), 0));
    assert_eq!(decoded.value, Some(Settings { name: String::new(), on: false, ..Settings::default() }));
}

#[test]
fn the_first_of_several_merged_maps_wins() {
    assert_eq!(read("{<<: [{a: 1}, {a: 2, b: 2}], c: 3}"), Ok(serde_json::json!({"a": 1, "b": 2, "c": 3})));
}

#[test]
fn what_is_missing_is_told_where_it_began_and_never_behind_the_text() {
    for (text, want) in [
        ("a: 1\nb\n", "2:1 cfg_syntax"),
        ("a: 1\nb: 'x\ny\n", "2:4 cfg_syntax"),
        ("a: 1\nb: [x\n\n\n", "2:4 cfg_syntax"),
        ("a: 1\nb: [x,\n\n\n", "2:7 cfg_syntax"),
    ] {
        assert_eq!(read(text).expect_err(text), [want], "{text}");
    }
}

#[test]
fn what_is_refused_has_a_place() {
    let deep = "[".repeat(100) + &"]".repeat(100);
    for (text, want) in [
        ("a: 1\nb: 2\na: 3", "3:1 cfg_duplicate_key"),
        ("a: 1\n---\nb: 2", "2:1 cfg_multiple_documents"),
        ("a: &x [*x]", "1:8 cfg_syntax"),
        ("a: *x", "1:4 cfg_syntax"),
        ("a: !!int x", "1:4 cfg_syntax"),
        ("{[a]: 1}", "1:4 cfg_syntax"),
        ("<<: 1", "1:5 cfg_syntax"),
        ("a:\n\t- b", "2:1 cfg_syntax"),
        (deep.as_str(), "1:65 cfg_too_large"),
    ] {
        let problems = read(text).expect_err(text);
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        let code = want.split(' ').next_back().unwrap();
        assert!(problems[0].ends_with(code), "{text}: {problems:?}");
        let line = want.split(':').next().unwrap();
        assert!(problems[0].starts_with(&format!("{line}:")), "{text}: {problems:?}");
    }
}

#[test]
fn aliases_cannot_make_much_of_little() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        text += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    let problems = read(&text).unwrap_err();
    assert!(problems[0].ends_with(code::TOO_LARGE), "{problems:?}");
}

#[test]
fn text_in_another_encoding_is_refused_with_its_place() {
    let problems = Tree::default().read(Path::new("t.yml"), b"a: b\nc: \xff").problems;
    assert_eq!((problems[0].code, problems[0].line, problems[0].column), (code::SYNTAX, 2, 4));
}

proptest! {
    #[test]
    fn no_input_breaks_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        Tree::default().read(Path::new("t.yml"), &bytes);
        Tree::default().read_list(Path::new("t.yml"), &bytes);
    }

    #[test]
    fn no_yaml_like_input_breaks_the_reader(text in r#"([-:?&*!<>|{}\[\],#'"%@ \n\t~a0é]|<<: |&a|\*a|- |: |---\n){0,60}"#) {
        read(&text).ok();
    }
}
