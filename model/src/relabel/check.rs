//! What a rule may and may not say: the conditions of Prometheus, in its order.

use super::{Action, NameScheme, RelabelError, RuleConfig};
use crate::labels::is_valid_name;

/// Finds all that is wrong with a rule, except for its regex.
pub(super) fn check(rule: &RuleConfig, scheme: NameScheme) -> Vec<RelabelError> {
    use Action::{DropEqual, HashMod, KeepEqual, LabelDrop, LabelKeep, LabelMap, Lowercase, Replace, Uppercase};
    let action = rule.action;
    let mut wrong = Vec::new();
    // Source labels are checked as UTF-8 names whatever the scheme: they only read.
    if let Some(name) = rule.source_labels.iter().find(|name| !is_valid_name(name, NameScheme::Utf8)) {
        wrong.push(RelabelError::SourceLabel(name.clone()));
    }
    if action == HashMod && rule.modulus == 0 {
        wrong.push(RelabelError::ZeroModulus);
    }
    if matches!(action, Replace | HashMod | Lowercase | Uppercase | KeepEqual | DropEqual) {
        wrong.extend(check_target(rule, scheme));
    }
    if matches!(action, Lowercase | Uppercase | KeepEqual | DropEqual) && !rule.has_default_replacement() {
        wrong.push(RelabelError::UnusedReplacement(action));
    }
    if action == LabelMap && !is_name_template(&rule.replacement, scheme) {
        wrong.push(RelabelError::Replacement { replacement: rule.replacement.clone(), action });
    }
    if matches!(action, DropEqual | KeepEqual)
        && !(rule.has_default_regex() && rule.has_default_separator() && rule.modulus == 0)
    {
        wrong.push(RelabelError::OnlyLabels(action));
    }
    let only_regex = rule.source_labels.is_empty()
        && rule.target_label.is_empty()
        && rule.modulus == 0
        && rule.has_default_separator()
        && rule.has_default_replacement();
    if matches!(action, LabelDrop | LabelKeep) && !only_regex {
        wrong.push(RelabelError::OnlyRegex(action));
    }
    wrong
}

fn check_target(rule: &RuleConfig, scheme: NameScheme) -> Option<RelabelError> {
    let (label, action) = (&rule.target_label, rule.action);
    if label.is_empty() {
        return Some(RelabelError::NoTargetLabel(action));
    }
    let valid = match action {
        Action::Replace if label.contains('$') => is_name_template(label, scheme),
        _ => is_valid_name(label, scheme),
    };
    (!valid).then(|| RelabelError::TargetLabel { label: label.clone(), action })
}

/// Whether a template can make a label name: in the legacy scheme, an identifier in which `$name` and `${name}` stand for
/// any part, the beginning included.
fn is_name_template(template: &str, scheme: NameScheme) -> bool {
    if scheme == NameScheme::Utf8 {
        return is_valid_name(template, scheme);
    }
    let word = |byte: &u8| *byte == b'_' || byte.is_ascii_alphanumeric();
    let mut rest = template.as_bytes();
    if rest.is_empty() || rest[0].is_ascii_digit() {
        return false;
    }
    while let Some((first, after)) = rest.split_first() {
        if word(first) {
            rest = after;
            continue;
        }
        let (braced, after) = match (first, after.strip_prefix(b"{")) {
            (b'$', Some(after)) => (true, after),
            (b'$', None) => (false, after),
            _ => return false,
        };
        let length = after.iter().take_while(|byte| word(byte)).count();
        let closed = !braced || after.get(length) == Some(&b'}');
        if length == 0 || !closed {
            return false;
        }
        rest = &after[length + usize::from(braced)..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Coded;

    fn verdicts(yaml: &str, scheme: NameScheme) -> Vec<&'static str> {
        check(&serde_yaml::from_str(yaml).unwrap(), scheme).iter().map(Coded::code).collect()
    }

    fn verdict(yaml: &str, scheme: NameScheme) -> &'static str {
        verdicts(yaml, scheme).first().unwrap_or(&"ok")
    }

    #[test]
    fn all_that_is_wrong_with_a_rule_is_told() {
        for (yaml, codes) in [
            (
                "{action: hashmod, source_labels: [''], regex: x}",
                &["relabel_invalid_source_label", "relabel_zero_modulus", "relabel_no_target_label"][..],
            ),
            (
                "{action: keepequal, target_label: '', regex: x, replacement: y}",
                &["relabel_no_target_label", "relabel_unused_replacement", "relabel_only_labels"],
            ),
        ] {
            assert_eq!(verdicts(yaml, NameScheme::Utf8), codes, "{yaml}");
        }
    }

    #[test]
    fn each_action_has_its_own_demands() {
        for (yaml, code) in [
            ("{target_label: a}", "ok"),
            ("{}", "relabel_no_target_label"),
            ("{source_labels: [a, ''], target_label: b}", "relabel_invalid_source_label"),
            ("{action: keep}", "ok"),
            ("{action: drop, source_labels: [a], regex: x}", "ok"),
            ("{action: hashmod, target_label: a}", "relabel_zero_modulus"),
            ("{action: hashmod, modulus: 4}", "relabel_no_target_label"),
            ("{action: hashmod, modulus: 4, target_label: a}", "ok"),
            ("{action: lowercase}", "relabel_no_target_label"),
            ("{action: uppercase, target_label: a, replacement: b}", "relabel_unused_replacement"),
            ("{action: keepequal, source_labels: [a]}", "relabel_no_target_label"),
            ("{action: keepequal, source_labels: [a], target_label: b}", "ok"),
            ("{action: keepequal, source_labels: [a], target_label: b, regex: x}", "relabel_only_labels"),
            ("{action: dropequal, source_labels: [a], target_label: b, separator: x}", "relabel_only_labels"),
            ("{action: dropequal, source_labels: [a], target_label: b, modulus: 1}", "relabel_only_labels"),
            ("{action: dropequal, source_labels: [a], target_label: b, replacement: x}", "relabel_unused_replacement"),
            ("{action: labelmap}", "ok"),
            ("{action: labelmap, replacement: ''}", "relabel_invalid_replacement"),
            ("{action: labeldrop, regex: x}", "ok"),
            ("{action: labelkeep, source_labels: [a]}", "relabel_only_regex"),
            ("{action: labelkeep, target_label: a}", "relabel_only_regex"),
            ("{action: labeldrop, modulus: 1}", "relabel_only_regex"),
            ("{action: labeldrop, separator: ''}", "relabel_only_regex"),
            ("{action: labeldrop, replacement: ''}", "relabel_only_regex"),
        ] {
            assert_eq!(verdict(yaml, NameScheme::Utf8), code, "{yaml}");
        }
    }

    #[test]
    fn the_scheme_decides_which_targets_are_names() {
        for (yaml, utf8, legacy) in [
            ("{target_label: a.b}", "ok", "relabel_invalid_target_label"),
            ("{target_label: 'a.${1}'}", "ok", "relabel_invalid_target_label"),
            ("{target_label: '${1}'}", "ok", "ok"),
            ("{target_label: 'a${1}9$b_${c}'}", "ok", "ok"),
            ("{target_label: '9$1'}", "ok", "relabel_invalid_target_label"),
            ("{target_label: '$19'}", "ok", "ok"),
            ("{target_label: 'a$'}", "ok", "relabel_invalid_target_label"),
            ("{target_label: 'a${}'}", "ok", "relabel_invalid_target_label"),
            ("{target_label: 'a${1'}", "ok", "relabel_invalid_target_label"),
            ("{target_label: 'a$$b'}", "ok", "relabel_invalid_target_label"),
            ("{target_label: '${1}-b'}", "ok", "relabel_invalid_target_label"),
            ("{action: lowercase, target_label: '${1}'}", "ok", "relabel_invalid_target_label"),
            ("{action: hashmod, modulus: 2, target_label: a.b}", "ok", "relabel_invalid_target_label"),
            ("{action: labelmap, replacement: 'a-$1'}", "ok", "relabel_invalid_replacement"),
            ("{action: labelmap, replacement: 'a_${1}_9'}", "ok", "ok"),
            ("{source_labels: [a.b], target_label: a}", "ok", "ok"),
        ] {
            assert_eq!(verdict(yaml, NameScheme::Utf8), utf8, "{yaml}");
            assert_eq!(verdict(yaml, NameScheme::Legacy), legacy, "{yaml}");
        }
    }
}
