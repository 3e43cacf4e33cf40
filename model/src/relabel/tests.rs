use proptest::prelude::*;

use super::*;
use crate::{Builder, Coded, Labels, Names};

fn rules(yaml: &str) -> Rules {
    let configs: Vec<RuleConfig> = serde_yaml::from_str(yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
    Rules::compile(&configs, NameScheme::Utf8).unwrap_or_else(|errors| panic!("{yaml}: {errors:?}"))
}

/// The labels after the rules as text, or `dropped`.
fn relabelled(rules: &Rules, labels: &[(&str, &str)]) -> String {
    let mut builder = Builder::new();
    builder.extend(labels.iter().copied());
    let kept = rules.apply(&mut builder, &mut Scratch::default());
    if kept { builder.build(&mut Names::new()).to_string() } else { "dropped".to_owned() }
}

#[track_caller]
fn check(yaml: &str, labels: &[(&str, &str)], expected: &str) {
    assert_eq!(relabelled(&rules(yaml), labels), expected, "{yaml}");
}

#[test]
fn replace_writes_what_the_template_makes_of_the_match() {
    for (rule, expected) in [
        ("{source_labels: [a], target_label: c}", r#"{a="foo-1", b="x", c="foo-1"}"#),
        ("{source_labels: [a, b, none], target_label: c}", r#"{a="foo-1", b="x", c="foo-1;x;"}"#),
        ("{source_labels: [a, b], separator: '', target_label: c}", r#"{a="foo-1", b="x", c="foo-1x"}"#),
        ("{source_labels: [a], regex: foo-(.*), target_label: a}", r#"{a="1", b="x"}"#),
        ("{source_labels: [a], regex: foo, target_label: b}", r#"{a="foo-1", b="x"}"#),
        (
            "{source_labels: [a], regex: '(.*)-(\\d)', target_label: b, replacement: '$2-${1}$'}",
            r#"{a="foo-1", b="1-foo$"}"#,
        ),
        // An empty result deletes the label.
        ("{source_labels: [a], regex: '.*', target_label: b}", r#"{a="foo-1"}"#),
        ("{source_labels: [a], target_label: b, replacement: ''}", r#"{a="foo-1"}"#),
        ("{source_labels: [none], target_label: b}", r#"{a="foo-1"}"#),
        ("{target_label: none, replacement: ''}", r#"{a="foo-1", b="x"}"#),
        // Without source labels the text is empty, and the default expression matches it.
        ("{target_label: c, replacement: y}", r#"{a="foo-1", b="x", c="y"}"#),
        ("{target_label: c, regex: .+, replacement: y}", r#"{a="foo-1", b="x"}"#),
        ("{target_label: c, regex: , replacement: y}", r#"{a="foo-1", b="x", c="y"}"#),
        // The target may be a template.
        (
            "{source_labels: [a], regex: (.*)-1, target_label: '${1}_t', replacement: y}",
            r#"{a="foo-1", b="x", foo_t="y"}"#,
        ),
        ("{source_labels: [a], regex: (.*)-(.*), target_label: $1, replacement: $2}", r#"{a="foo-1", b="x", foo="1"}"#),
        ("{source_labels: [a], regex: (.*)-(.*), target_label: b, replacement: $0$$1}", r#"{a="foo-1", b="foo-1$1"}"#),
        // A target without a name is left alone.
        ("{source_labels: [a], regex: foo(x?).*, target_label: '$1', replacement: y}", r#"{a="foo-1", b="x"}"#),
    ] {
        check(&format!("[{rule}]"), &[("a", "foo-1"), ("b", "x")], expected);
    }
}

#[test]
fn the_legacy_scheme_leaves_targets_alone_that_are_no_legacy_names() {
    let config: RuleConfig =
        serde_yaml::from_str("{source_labels: [a], target_label: '${1}', replacement: y}").unwrap();
    for (scheme, expected) in [(NameScheme::Utf8, r#"{a="x.y", x.y="y"}"#), (NameScheme::Legacy, r#"{a="x.y"}"#)] {
        let rules = Rules::compile(std::slice::from_ref(&config), scheme).unwrap();
        assert_eq!(relabelled(&rules, &[("a", "x.y")]), expected);
    }
}

#[test]
fn filters_look_at_the_whole_value() {
    for (rule, kept) in [
        ("{action: keep, source_labels: [a], regex: foo.*}", true),
        ("{action: keep, source_labels: [a], regex: foo}", false),
        ("{action: drop, source_labels: [a], regex: foo}", true),
        ("{action: drop, source_labels: [a, b], regex: foo-1;x}", false),
        ("{action: keep, source_labels: [none], regex: ''}", true),
        ("{action: drop, source_labels: [none]}", false),
        ("{action: keepequal, source_labels: [a], target_label: c}", true),
        ("{action: keepequal, source_labels: [b], target_label: c}", false),
        ("{action: dropequal, source_labels: [a], target_label: c}", false),
        ("{action: dropequal, source_labels: [b], target_label: c}", true),
        ("{action: keepequal, target_label: none}", true),
    ] {
        let labels = [("a", "foo-1"), ("b", "x"), ("c", "foo-1")];
        assert_eq!(relabelled(&rules(&format!("[{rule}]")), &labels) != "dropped", kept, "{rule}");
    }
}

#[test]
fn the_rules_after_a_drop_are_not_applied() {
    let rules = rules("[{action: drop, source_labels: [a], regex: x}, {target_label: b, replacement: y}]");
    assert_eq!(relabelled(&rules, &[("a", "x")]), "dropped");
    assert_eq!(relabelled(&rules, &[("a", "z")]), r#"{a="z", b="y"}"#);
}

/// Expected values: the last eight bytes of `printf '%s' VALUE | md5sum`, modulo.
#[test]
fn hashmod_takes_the_last_eight_bytes_of_md5() {
    let rule = |modulus: u64| format!("[{{action: hashmod, source_labels: [a], target_label: h, modulus: {modulus}}}]");
    // md5("") ends in e9800998ecf8427e, md5("abc") in d6963f7d28e17f72.
    check(&rule(u64::MAX), &[], &format!("{{h=\"{}\"}}", 0xe980_0998_ecf8_427e_u64));
    check(&rule(1000), &[("a", "abc")], &format!("{{a=\"abc\", h=\"{}\"}}", 0xd696_3f7d_28e1_7f72_u64 % 1000));
    check(&rule(1), &[("a", "abc")], r#"{a="abc", h="0"}"#);
}

#[test]
fn labelmap_reads_names_and_values_from_before_it() {
    for (rule, expected) in [
        ("{action: labelmap, regex: m_(.*)}", r#"{a="1", b="2", m_a="1", m_b="2"}"#),
        // What it writes is not mapped again, and a value that it overwrites is still the old one for others.
        (
            "{action: labelmap, regex: (.*), replacement: x_$1}",
            r#"{a="0", m_a="1", m_b="2", x_a="0", x_m_a="1", x_m_b="2"}"#,
        ),
        ("{action: labelmap, regex: (a)|m_(b), replacement: m_a$2}", r#"{a="0", m_a="0", m_ab="2", m_b="2"}"#),
        // Of labels that get the same name, the last one wins.
        ("{action: labelmap, regex: m_.*, replacement: a}", r#"{a="2", m_a="1", m_b="2"}"#),
        ("{action: labelmap, regex: m_(x?).*, replacement: $1}", r#"{a="0", m_a="1", m_b="2"}"#),
        ("{action: labelmap, regex: m_}", r#"{a="0", m_a="1", m_b="2"}"#),
    ] {
        check(&format!("[{rule}]"), &[("a", "0"), ("m_a", "1"), ("m_b", "2")], expected);
    }
}

#[test]
fn labelmap_goes_by_the_order_in_which_labels_came() {
    let map = "{action: labelmap, regex: m_.*, replacement: a}";
    check(&format!("[{map}]"), &[("m_b", "2"), ("m_a", "1")], r#"{a="1", m_a="1", m_b="2"}"#);
    // A label that is deleted and set again comes last; one that is overwritten keeps its place.
    let again = "{target_label: m_b, replacement: ''}, {target_label: m_b, replacement: '3'}";
    check(&format!("[{again}, {map}]"), &[("m_b", "2"), ("m_a", "1")], r#"{a="3", m_a="1", m_b="3"}"#);
    let over = "{target_label: m_b, replacement: '3'}";
    check(&format!("[{over}, {map}]"), &[("m_b", "2"), ("m_a", "1")], r#"{a="1", m_a="1", m_b="3"}"#);
}

#[test]
fn labels_are_dropped_and_kept_by_name() {
    let labels = [("a", "1"), ("m_a", "1"), ("m_b", "2")];
    check("[{action: labeldrop, regex: m_.*}]", &labels, r#"{a="1"}"#);
    check("[{action: labeldrop, regex: m}]", &labels, r#"{a="1", m_a="1", m_b="2"}"#);
    check("[{action: labelkeep, regex: 'm_a|a'}]", &labels, r#"{a="1", m_a="1"}"#);
    check("[{action: labelkeep, regex: x}]", &labels, "{}");
}

#[test]
fn case_is_changed_one_character_at_a_time() {
    check("[{action: lowercase, source_labels: [a, b], target_label: b}]", &[("a", "ÀB")], r#"{a="ÀB", b="àb;"}"#);
    check("[{action: uppercase, source_labels: [a], target_label: a}]", &[("a", "straße")], r#"{a="STRAßE"}"#);
    check("[{action: uppercase, source_labels: [none], target_label: a}]", &[("a", "x")], "{}");
}

#[test]
fn every_bad_rule_of_a_list_is_reported() {
    let configs: Vec<RuleConfig> =
        serde_yaml::from_str("[{target_label: a}, {regex: '('}, {target_label: a, regex: 'x(y'}, {action: hashmod}]")
            .unwrap();
    let errors = Rules::compile(&configs, NameScheme::Utf8).unwrap_err();
    let codes: Vec<_> = errors.iter().map(|(index, error)| (*index, error.code())).collect();
    let wanted = [
        (1, "relabel_no_target_label"),
        (1, "relabel_invalid_regex"),
        (2, "relabel_invalid_regex"),
        (3, "relabel_zero_modulus"),
        (3, "relabel_no_target_label"),
    ];
    assert_eq!(codes, wanted, "and all that is wrong with each");
    assert_eq!(crate::Report::of(&errors[2].1).to_string(), "invalid regex \"x(y\": missing closing ) at byte 1");
}

#[test]
fn rules_are_equal_when_their_configurations_are() {
    let yaml = "[{target_label: a, replacement: x}]";
    let configs: Vec<RuleConfig> = serde_yaml::from_str(yaml).unwrap();
    assert_eq!(rules(yaml), rules(yaml));
    assert_ne!(rules(yaml), Rules::default());
    assert_ne!(rules(yaml), Rules::compile(&configs, NameScheme::Legacy).unwrap());
}

#[test]
fn rules_that_make_too_much_are_found_out_before_they_are_applied() {
    let labels = [("a", "xxxxxxxx")].into_iter().collect();
    let outgrows = |yaml: &str, bytes| rules(yaml).outgrows(&labels, bytes);
    let doubles = "{source_labels: [a], target_label: a, replacement: '$1$1'}";
    let bomb = format!("[{}]", vec![doubles; 60].join(", "));
    assert_eq!(outgrows(&bomb, 1 << 20), Some(15));
    for rule in [
        format!("{{source_labels: [a], target_label: b, replacement: '{}'}}", "$1".repeat(200)),
        format!("{{source_labels: [a], regex: '.*', target_label: b, replacement: {}}}", "y".repeat(1000)),
        format!("{{source_labels: [a], target_label: '{}', replacement: y}}", "$1".repeat(200)),
        format!("{{source_labels: [{}], target_label: b, regex: x}}", vec!["a"; 200].join(", ")),
        format!("{{source_labels: [a, a], separator: {}, regex: x, action: keep}}", "y".repeat(1000)),
        format!("{{source_labels: [{}], target_label: b, action: uppercase}}", vec!["a"; 100].join(", ")),
        format!("{{regex: (.*), replacement: '{}', action: labelmap}}", "$1".repeat(1000)),
    ] {
        assert_eq!(outgrows(&format!("[{{regex: b, action: labeldrop}}, {rule}]"), 1000), Some(1), "{rule}");
    }
    let small = "[{source_labels: [a], target_label: b}, {regex: (.*), replacement: 'c_$1', action: labelmap}]";
    assert_eq!(outgrows(small, 1000), None);
    let dropped = format!("[{{source_labels: [a], action: drop}}, {}]", vec![doubles; 60].join(", "));
    assert_eq!(outgrows(&dropped, 1000), None, "nothing comes to the rules behind");
}

#[test]
fn an_explanation_has_a_step_for_each_rule() {
    let rules = rules(
        "[{target_label: b, replacement: y}, {action: drop, source_labels: [b], regex: y}, {action: labelmap, regex: b}]",
    );
    let steps = rules.explain(&[("a", "x")].into_iter().collect());
    let look = |text: &str, matches| Some(Look { text: text.to_owned(), matches });
    let looks: Vec<_> = steps.iter().map(|step| step.look.clone()).collect();
    assert_eq!(looks, [look("", Some(true)), look("y", Some(true)), None]);
    assert_eq!(
        serde_json::to_value(&steps).unwrap(),
        serde_json::json!([
            {
                "rule": {"separator": ";", "regex": "(.*)", "target_label": "b", "replacement": "y", "action": "replace"},
                "output": {"a": "x", "b": "y"},
                "keep": true
            },
            {
                "rule": {
                    "source_labels": ["b"], "separator": ";", "regex": "y", "replacement": "$1", "action": "drop"
                },
                "output": {},
                "keep": false
            },
            {
                "rule": {"separator": ";", "regex": "b", "replacement": "$1", "action": "labelmap"},
                "output": {},
                "keep": false
            }
        ])
    );
}

fn any_labels() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec(("[abm_]{1,3}", "[ab\né:1]{0,4}"), 0..6)
}

fn any_rule() -> impl Strategy<Value = RuleConfig> {
    let regex =
        prop_oneof![Just("(.*)"), Just("a|b"), Just("m_(.+)"), Just("(a)(b)?.*"), Just("([^:]*):?(1*)"), Just("")];
    let template = prop_oneof![Just("$1"), Just("${2}x"), Just("a"), Just("$0$$"), Just("m_${1}")];
    let action = prop::sample::select(Action::ALL.to_vec());
    (prop::collection::vec("[abm_]{1,2}", 0..3), regex, template.clone(), template, action).prop_map(
        |(source_labels, regex, target, replacement, action)| {
            let rule = RuleConfig { regex: regex.to_owned(), action, ..RuleConfig::default() };
            let (target_label, replacement) = (target.to_owned(), replacement.to_owned());
            match action {
                Action::Replace => RuleConfig { source_labels, target_label, replacement, ..rule },
                Action::LabelMap => RuleConfig { replacement, ..rule },
                Action::LabelDrop | Action::LabelKeep => rule,
                Action::Keep | Action::Drop => RuleConfig { source_labels, ..rule },
                Action::KeepEqual | Action::DropEqual => {
                    RuleConfig { source_labels, target_label, action, ..RuleConfig::default() }
                }
                Action::HashMod => RuleConfig { source_labels, target_label, modulus: 7, ..rule },
                Action::Lowercase | Action::Uppercase => RuleConfig { source_labels, target_label, ..rule },
            }
        },
    )
}

fn builder(labels: &[(String, String)]) -> Builder {
    let mut builder = Builder::new();
    builder.extend(labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    builder
}

proptest! {
    #[test]
    fn rules_never_panic_and_their_explanation_is_their_effect(
        labels in any_labels(),
        configs in prop::collection::vec(any_rule(), 0..6),
    ) {
        let rules = Rules::compile(&configs, NameScheme::Utf8).unwrap();
        let mut sorted = builder(&labels);
        sorted.sort();
        let before = sorted.clone().build(&mut Names::new());
        let kept = rules.apply(&mut sorted, &mut Scratch::default());
        let after = if kept { sorted.build(&mut Names::new()) } else { Labels::empty() };
        let last = rules.explain(&before).pop().map_or((true, before), |step| (step.keep, step.output));
        prop_assert_eq!(last, (kept, after));
    }

    #[test]
    fn keep_and_drop_are_opposites(labels in any_labels(), rule in any_rule()) {
        let RuleConfig { source_labels, regex, .. } = rule;
        let apply = |action| {
            let config = RuleConfig {
                source_labels: source_labels.clone(), regex: regex.clone(), action, ..RuleConfig::default()
            };
            let rules = Rules::compile(&[config], NameScheme::Utf8).unwrap();
            rules.apply(&mut builder(&labels), &mut Scratch::default())
        };
        prop_assert_ne!(apply(Action::Keep), apply(Action::Drop));
    }

    #[test]
    fn labeldrop_undoes_a_labelmap_to_new_names(labels in any_labels()) {
        let rules = rules("[{action: labelmap, regex: (.+), replacement: new.$1}, {action: labeldrop, regex: 'new\\..*'}]");
        let mut mapped = builder(&labels);
        let before = mapped.clone().build(&mut Names::new());
        prop_assert!(rules.apply(&mut mapped, &mut Scratch::default()));
        prop_assert_eq!(mapped.build(&mut Names::new()), before);
    }

    #[test]
    fn a_rule_reads_back_from_what_it_serialises_to(rule in any_rule()) {
        let yaml = serde_yaml::to_string(&rule).unwrap();
        prop_assert_eq!(serde_yaml::from_str::<RuleConfig>(&yaml).unwrap(), rule, "{}", yaml);
    }
}
