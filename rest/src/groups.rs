//! Groups of what a list has. Pure.

use std::collections::HashSet;

use rosterd_discovery::Sheet;
use rosterd_model::{Names, TargetGroup};

/// A group with one target for each thing, of which it is the source: `label` puts the labels of one together and says what it is
/// called. Of things that it calls nothing there is none.
pub fn each_a_target<T>(
    things: impl IntoIterator<Item = T>,
    mut label: impl FnMut(T, &mut Sheet) -> Option<String>,
) -> Vec<TargetGroup> {
    let (mut sheet, mut names) = (Sheet::default(), Names::new());
    let group = |thing| {
        let source = label(thing, &mut sheet);
        let target = sheet.build(&mut names);
        Some(TargetGroup { source: source?.into(), targets: vec![target], ..TargetGroup::default() })
    };
    distinct(things.into_iter().filter_map(group).collect())
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
}
