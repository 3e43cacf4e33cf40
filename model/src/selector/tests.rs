use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> Selector {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn labels(labels: &[(&str, &str)]) -> Labels {
    labels.iter().copied().collect()
}

#[test]
fn a_selector_means_what_it_says() {
    let api = labels(&[("job", "api"), ("env", "prod"), ("a.b", "x\"y")]);
    for (text, expected) in [
        ("{}", true),
        (r#"{job="api"}"#, true),
        (r#"{job!="api"}"#, false),
        (r#" { job = 'api' , env =~ `prod|test` , } "#, true),
        (r#"{env=~"pro"}"#, false),
        (r#"{env!~"pro"}"#, true),
        (r#"{missing=""}"#, true),
        (r#"{missing=~".+"}"#, false),
        (r#"{"a.b"="x\"y"}"#, true),
        (r#"{"a.b"='x\u0022\x79'}"#, true),
        (r#"{"a.b"="x\042\U00000079"}"#, true),
        (r#"not {job="api"}"#, false),
        (r#"not not {job="api"}"#, true),
        (r#"{job="x"} or {env="prod"} and {job="api"}"#, true),
        (r#"({job="api"} or {env="prod"}) and {job="x"}"#, false),
        (r#"{job="api"} and not ({env="prod"} or {env="test"})"#, false),
    ] {
        assert_eq!(parsed(text).matches(&api), expected, "{text}");
    }
}

#[test]
fn only_what_asks_for_values_and_for_nothing_else_names_them() {
    for (text, values) in [
        (r#"{a="1"}"#, Some(vec!["1"])),
        (r#"{a="1",b="2"}"#, Some(vec!["1", "2"])),
        (r#"{a="1"} or {b="2"} and {c="3"}"#, Some(vec!["1", "2", "3"])),
        ("{}", None),
        (r#"{a=""}"#, None),
        (r#"{a!="1"}"#, None),
        (r#"{a="1",b=~"2"}"#, None),
        (r#"{a="1"} or {b!~"2"}"#, None),
        (r#"not {a="1"}"#, None),
    ] {
        assert_eq!(parsed(text).values(), values, "{text}");
    }
}

#[test]
fn a_series_selector_is_that_of_promql() {
    let up = labels(&[("__name__", "a:up"), ("job", "api"), ("name", "ü")]);
    for (text, expected) in [
        ("a:up", true),
        ("up", false),
        (r#" a:up { job = "api" , } "#, true),
        (r#"a:up{job="x"}"#, false),
        (r#"{"a:up"}"#, true),
        (r#"{"a:up", job='api'}"#, true),
        (r#"{job=~`a.*`,"up"}"#, false),
        (r#"not {job="api"}"#, false),
        ("{}", true),
        (r#"{name="\xc3\xbc"}"#, true),
        (r#"{name="\303\274"}"#, true),
    ] {
        assert_eq!(Selector::series(text).map(|selector| selector.matches(&up)), Ok(expected), "{text}");
    }
    for (text, message) in [
        ("", "expected the name of a metric or `{` at byte 0 of the selector"),
        ("1up", "expected the name of a metric or `{` at byte 0 of the selector"),
        ("up or down", "expected the end at byte 3 of the selector"),
        (r#"{} and {job="a"}"#, "expected the end at byte 3 of the selector"),
        ("up[5m]", "expected the end at byte 2 of the selector"),
        ("{job}", "expected `=`, `!=`, `=~` or `!~` at byte 4 of the selector"),
        (r#"{"up""#, "expected `=`, `!=`, `=~` or `!~` at byte 5 of the selector"),
        (r#"{a="\400"}"#, "malformed string at byte 3 of the selector"),
        (r#"{a="\xc3"}"#, "malformed string at byte 3 of the selector"),
    ] {
        assert_eq!(Selector::series(text).unwrap_err().to_string(), message, "{text}");
    }
}

#[test]
fn a_selector_can_be_asked_of_some_labels_only() {
    let selector = parsed(r#"{job="api",hidden=""}"#);
    let target = labels(&[("job", "api"), ("hidden", "x")]);
    assert!(!selector.matches(&target));
    assert!(selector.matches_by(&|name| target.get(name).filter(|_| name != "hidden")));
}

#[test]
fn the_text_is_one_that_reads_well() {
    for (text, shown) in [
        ("{ }", "{}"),
        (r#"{a='1',b=~`\d`,}"#, r#"{a="1",b=~"\\d"}"#),
        (r#"{a="1"} and {b="2"} and not {c="3"}"#, r#"{a="1",b="2"} and not {c="3"}"#),
        (r#"not ({a="1",b="2"}) and {c="3"}"#, r#"not ({a="1",b="2"}) and {c="3"}"#),
        (r#"({a="1"} or {b="2"}) and ({c="3"} or {d="4"})"#, r#"({a="1"} or {b="2"}) and ({c="3"} or {d="4"})"#),
        (r#"{a="1"} or ({b="2"} or {c="3",d="4"})"#, r#"{a="1"} or {b="2"} or {c="3",d="4"}"#),
        (r#"{"not.a"="1"}"#, r#"{"not.a"="1"}"#),
    ] {
        assert_eq!(parsed(text).to_string(), shown, "{text}");
    }
    assert_eq!(Selector::Or(Vec::new()).to_string(), "not {}");
}

#[test]
fn errors_say_where() {
    for (text, message) in [
        ("", "expected `{`, `(` or `not` at byte 0 of the selector"),
        ("{a=\"1\"", "expected `,` or `}` at byte 6 of the selector"),
        ("{a}", "expected `=`, `!=`, `=~` or `!~` at byte 2 of the selector"),
        ("{=\"1\"}", "expected a label name at byte 1 of the selector"),
        ("{,}", "expected a label name at byte 1 of the selector"),
        ("{9=\"1\"}", "expected a label name at byte 1 of the selector"),
        ("{a=1}", "expected a quoted string at byte 3 of the selector"),
        ("{a=\"1}", "malformed string at byte 3 of the selector"),
        (r#"{a="\q"}"#, "malformed string at byte 3 of the selector"),
        (r#"{a="\xff"}"#, "malformed string at byte 3 of the selector"),
        ("{} {}", "expected `and`, `or` or the end at byte 3 of the selector"),
        ("({}", "expected `)` at byte 3 of the selector"),
        (r#"{a="1",b=~"x("}"#, "invalid regex \"x(\" at byte 10 of the selector"),
    ] {
        assert_eq!(text.parse::<Selector>().unwrap_err().to_string(), message, "{text}");
    }
    let deep = "(".repeat(100_000);
    assert_eq!(deep.parse::<Selector>().unwrap_err().code(), "selector_too_deep");
}

#[test]
fn serde_uses_the_text() {
    let selector = parsed(r#"{a="1"}"#);
    let json = serde_json::to_string(&selector).unwrap();
    assert_eq!(json, r#""{a=\"1\"}""#);
    assert_eq!(serde_json::from_str::<Selector>(&json).unwrap(), selector);
}

fn any_selector() -> impl Strategy<Value = Selector> {
    let op = prop_oneof![Just(Op::Eq), Just(Op::Ne), Just(Op::Re), Just(Op::Nre)];
    let matcher = ("[ab.]{1,2}|not|é", op, "[ab\"\n\u{1}]{0,2}")
        .prop_map(|(name, op, value)| Selector::Matcher(Matcher::new(&name, op, &value).unwrap()));
    let leaf = prop_oneof![1 => Just(Selector::All), 8 => matcher];
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Selector::And),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Selector::Or),
            inner.prop_map(|selector| Selector::Not(Box::new(selector))),
        ]
    })
}

proptest! {
    #[test]
    fn each_selector_reads_back(selector in any_selector(), a in "[ab]{0,2}", b in "[ab]{0,2}") {
        let read = parsed(&selector.to_string());
        let labels = labels(&[("a", &a), ("b", &b)]);
        prop_assert_eq!(read.matches(&labels), selector.matches(&labels), "{}", selector);
        prop_assert_eq!(parsed(&read.to_string()), read);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[a{}()=~!\"'`\\\\ué,ornt ]{0,24}") {
        drop(text.parse::<Selector>());
        drop(Selector::series(&text));
    }
}
