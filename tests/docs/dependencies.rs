//! docs/dependencies.md says of every direct dependency why it is there.

use std::collections::BTreeSet;

use crate::pages::{Page, rows};
use crate::sources::read;

#[test]
fn every_dependency_has_a_reason() {
    let manifest = read("Cargo.toml");
    let (_, after) = manifest.split_once("[workspace.dependencies]\n").unwrap();
    let table = after.split("\n[").next().unwrap_or_default();
    let names = table.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.to_owned());
    let names: BTreeSet<String> = names.filter(|name| !name.starts_with("rosterd-")).collect();
    let rows = rows(Page::read("dependencies.md").text());
    let documented: BTreeSet<String> = rows.keys().cloned().collect();
    let difference: Vec<_> = documented.symmetric_difference(&names).collect();
    assert!(difference.is_empty(), "in Cargo.toml or in docs/dependencies.md, not in both: {difference:?}");
    assert!(rows.values().all(|cells| !cells[0].is_empty()), "every dependency needs a reason");
}
