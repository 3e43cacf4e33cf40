//! Groups of what a list has. Pure.

use std::collections::HashSet;

use rosterd_discovery::Sheet;
use rosterd_model::{Names, TargetGroup};

/// A group with one target for each thing, of which it is the source: `label` puts the labels of one together and says what it is
/// called. Of things that it calls nothing there is none. Those whose name is empty, or 0, are told apart by nothing: they are one group.
pub fn each_a_target<T>(
    things: impl IntoIterator<Item = T>,
    mut label: impl FnMut(T, &mut Sheet) -> Option<String>,
) -> Vec<TargetGroup> {
    let (mut sheet, mut names) = (Sheet::default(), Names::new());
    let (mut groups, mut nameless) = (Vec::new(), TargetGroup::default());
    for thing in things {
        let source = label(thing, &mut sheet);
        let target = sheet.build(&mut names);
        match source.as_deref() {
            None => {}
            Some("" | "0") => nameless.targets.push(target),
            Some(source) => {
                groups.push(TargetGroup { source: source.into(), targets: vec![target], ..TargetGroup::default() });
            }
        }
    }
    if !nameless.targets.is_empty() {
        groups.push(nameless);
    }
    distinct(groups)
}

/// One group of each source. What comes or goes while pages are read may stand on two of them.
pub fn distinct(mut groups: Vec<TargetGroup>) -> Vec<TargetGroup> {
    let mut seen = HashSet::new();
    groups.retain(|group| seen.insert((group.source.clone(), group.key.clone())));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_a_target_once_and_what_is_left_out_leaves_no_trace() {
        let label = |thing: &str, sheet: &mut Sheet| {
            if thing == "none" {
                sheet.set("left_over", thing);
                return None;
            }
            sheet.endpoint(thing, 80);
            Some(thing.to_owned())
        };
        let groups = each_a_target(["a", "none", "b", "a"], label);
        let told: Vec<_> = groups.iter().map(|group| format!("{} {}", group.source, group.targets[0])).collect();
        assert_eq!(told, [r#"a {__address__="a:80"}"#, r#"b {__address__="b:80"}"#]);
    }

    #[test]
    fn things_without_a_name_are_not_taken_for_each_other() {
        let label = |(name, host): (&str, &str), sheet: &mut Sheet| {
            sheet.endpoint(host, 80);
            Some(name.to_owned())
        };
        let groups = each_a_target([("", "a"), ("x", "b"), ("0", "c"), ("", "d")], label);
        let told = |group: &TargetGroup| {
            let targets = group.targets.iter().map(|target| target.get("__address__").unwrap_or_default());
            format!("{}: {}", group.source, targets.collect::<Vec<_>>().join(" "))
        };
        assert_eq!(groups.iter().map(told).collect::<Vec<_>>(), ["x: b:80", ": a:80 c:80 d:80"]);
    }
}
