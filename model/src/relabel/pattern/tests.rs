use proptest::prelude::*;

use super::*;

fn translated(regex: &str) -> Translated {
    re2::translate(regex).unwrap()
}

fn shaped(regex: &str, captures: bool) -> bool {
    matches!(Pattern::new(&translated(regex), captures).unwrap(), Pattern::Shape { .. })
}

#[test]
fn common_patterns_need_no_engine() {
    for regex in [
        "",
        "a",
        "a|b|c",
        "(a|b)",
        "foo-(a|bb)-bar",
        "https?",
        "[ab]c",
        "foo.*",
        "foo.+",
        ".*foo",
        ".*foo.*",
        ".*",
        ".+",
        "(.*)",
        "(.+)",
        "foo-(.*)",
        "(.*)-foo",
        "foo-(.+)-bar",
        "^foo$",
        "^(foo)$",
        "(prod|test)-.*",
        "a.*|b.*",
        "(a.*|.*b)",
        "a.+b.*c",
        "(?i)1",
        "a\\.b",
        "(foo)-(.*)",
        "(?:a|b){2}",
        "()",
        "a||b",
    ] {
        assert!(shaped(regex, false), "{regex}");
        // Of these, only the parts of an alternative have captures that depend on the text.
        assert!(shaped(regex, true), "{regex}");
    }
    for regex in ["a|bc-(.*)", "(a)|b", "(a|bc)(d|ef)", ".*foo(.*)", "(.*):(.*)"] {
        assert!(!shaped(regex, true), "{regex}");
    }
    for regex in ["[^:]+", "a*", "(?-s).*", "a.b", ".*.*", r"\w+", "(?i)a.*b|(?-s)x.*", "$a", "a^"] {
        assert!(!shaped(regex, false), "{regex}");
    }
}

#[test]
fn the_whole_text_has_to_match() {
    for (regex, matching, other) in [
        ("", vec![""], vec!["a"]),
        ("a|bc", vec!["a", "bc"], vec!["", "abc", "b"]),
        ("foo.*", vec!["foo", "foo\nx"], vec!["fo", "xfoo"]),
        ("foo.+", vec!["foox", "fooé"], vec!["foo"]),
        (".*foo", vec!["foo", "foofoo"], vec!["foox"]),
        ("ab.*ba", vec!["abba", "ab-ba"], vec!["aba", "ab"]),
        ("a.+b.*c", vec!["axbc", "abbc", "aébxc"], vec!["abc", "axb", "abcb"]),
        (".+é.+", vec!["aéa", "ééé"], vec!["éa", "aé", "é"]),
        ("(prod|prod-x)-.+", vec!["prod-x", "prod-x-y"], vec!["prod-", "prod"]),
    ] {
        let pattern = Pattern::compile(regex).unwrap();
        matching.iter().for_each(|text| assert!(pattern.is_match(text), "{regex} {text:?}"));
        other.iter().for_each(|text| assert!(!pattern.is_match(text), "{regex} {text:?}"));
    }
}

#[test]
fn a_thousand_literals_are_a_set() {
    let regex = (0..1000).map(|index| format!("node{index}")).collect::<Vec<_>>().join("|");
    assert!(shaped(&regex, false));
    let pattern = Pattern::compile(&regex).unwrap();
    assert!((0..1000).all(|index| pattern.is_match(&format!("node{index}"))));
    assert!(!pattern.is_match("node") && !pattern.is_match("node1000") && !pattern.is_match("node01"));
}

#[test]
fn an_expression_can_be_too_large() {
    assert_eq!(Pattern::compile(r"(\pL{100}){10}\pL{1000}\pL{1000}\pL{1000}").unwrap_err(), TOO_LARGE);
}

/// Expressions of the parts that shapes are made of, so that most have one.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        8 => "[ab-]{1,3}",
        1 => Just("é".to_owned()),
        2 => Just(".*".to_owned()),
        2 => Just(".+".to_owned()),
        1 => Just(".*?".to_owned()),
        1 => Just(String::new()),
        1 => Just("[ab]".to_owned()),
        1 => Just("a?".to_owned()),
        1 => Just("^".to_owned()),
        1 => Just("$".to_owned()),
        1 => Just("[^a]".to_owned()),
        1 => Just("b{0,2}".to_owned()),
        1 => Just("a*".to_owned()),
    ];
    leaf.prop_recursive(4, 12, 4, |inner| {
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            2 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| format!("(?:{})", parts.join("|"))),
            2 => inner.clone().prop_map(|part| format!("({part})")),
            1 => prop::collection::vec(inner, 1..4).prop_map(|parts| format!("({})", parts.join("|"))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn shapes_agree_with_the_engine(regex in expression(), texts in prop::collection::vec("[ab\né-]{0,6}", 8)) {
        let translated = translated(&regex);
        let engine = Pattern::engine(parse(&translated).unwrap()).unwrap();
        let (plain, capturing) = (Pattern::new(&translated, false).unwrap(), Pattern::new(&translated, true).unwrap());
        for text in &texts {
            let (mut found, mut expected) = (Captures::default(), Captures::default());
            let matched = engine.captures(text, &mut expected);
            prop_assert_eq!(plain.is_match(text), matched, "{} {:?}", &regex, text);
            prop_assert_eq!(capturing.captures(text, &mut found), matched, "{} {:?}", &regex, text);
            for index in (0..=translated.names.len()).filter(|_| matched) {
                let (group, expected) =
                    (capturing.group(index, text.len(), &found), engine.group(index, text.len(), &expected));
                prop_assert_eq!(group, expected, "{} {:?} {}", &regex, text, index);
            }
        }
    }
}
