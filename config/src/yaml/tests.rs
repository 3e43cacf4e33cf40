//! The YAML layer on its own: places, limits, and input that nobody would write.

use std::path::Path;

use proptest::prelude::*;

use super::{Tree, decode};
use crate::error::code;

fn read(text: &str) -> Result<serde_json::Value, Vec<String>> {
    let mut tree = Tree::default();
    let shown = |problems: Vec<crate::Problem>| {
        problems.iter().map(|p| format!("{}:{} {}", p.line, p.column, p.code)).collect::<Vec<_>>()
    };
    let root = tree.read(Path::new("t.yml"), text.as_bytes()).map_err(shown)?;
    let decoded = decode(&tree, root, "", &[], |from| erased_serde::deserialize(from));
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

#[test]
fn the_first_of_several_merged_maps_wins() {
    assert_eq!(read("{<<: [{a: 1}, {a: 2, b: 2}], c: 3}"), Ok(serde_json::json!({"a": 1, "b": 2, "c": 3})));
}

#[test]
fn what_is_refused_has_a_place() {
    let deep = "[".repeat(100) + &"]".repeat(100);
    for (text, want) in [
        ("a: 1\nb: 2\na: 3", "3:1 cfg_duplicate_key"),
        ("a: 1\n---\nb: 2", "2:1 cfg_multiple_documents"),
        ("a: &x [*x]", "1:8 cfg_syntax"),
        ("a: *x", "1:4 cfg_syntax"),
        ("a: !x 1", "1:4 cfg_syntax"),
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
    let problems = Tree::default().read(Path::new("t.yml"), b"a: b\nc: \xff").unwrap_err();
    assert_eq!((problems[0].code, problems[0].line, problems[0].column), (code::SYNTAX, 2, 4));
}

proptest! {
    #[test]
    fn no_input_breaks_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        Tree::default().read(Path::new("t.yml"), &bytes).ok();
    }

    #[test]
    fn no_yaml_like_input_breaks_the_reader(text in r#"([-:?&*!<>|{}\[\],#'"%@ \n\t~a0é]|<<: |&a|\*a|- |: |---\n){0,60}"#) {
        read(&text).ok();
    }
}
