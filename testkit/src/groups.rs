//! Target groups for tests, in few words.

use std::collections::BTreeSet;

use rosterd_model::TargetGroup;
use rosterd_model::labels::ADDRESS;

/// A group of targets that have nothing but an address.
///
/// ```
/// let group = rosterd_testkit::group("rack-1", &["a:9100", "b:9100"]);
/// assert_eq!(group.targets[1].get("__address__"), Some("b:9100"));
/// ```
pub fn group(source: &str, addresses: &[&str]) -> TargetGroup {
    let targets = addresses.iter().map(|address| [(ADDRESS, *address)].into_iter().collect()).collect();
    TargetGroup { source: source.into(), targets, ..TargetGroup::default() }
}

/// `count` groups of one target each: source `0` with `target-0:9100`, and so on.
pub fn groups(count: usize) -> Vec<TargetGroup> {
    (0..count).map(|index| group(&index.to_string(), &[&format!("target-{index}:9100")])).collect()
}

/// The addresses of all targets of the groups.
pub fn addresses<'a>(groups: impl IntoIterator<Item = &'a TargetGroup>) -> BTreeSet<String> {
    let targets = groups.into_iter().flat_map(|group| group.targets.iter().map(|target| (target, &group.labels)));
    targets
        .filter_map(|(target, shared)| target.get(ADDRESS).or_else(|| shared.get(ADDRESS)).map(str::to_owned))
        .collect()
}
