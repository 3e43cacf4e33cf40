//! docs/operations.md knows every kind of work whose panics are counted, and what becomes of it: what the rule says by which it
//! is spawned. `agent::wiring::tests::panics` shows that it is so.

use std::collections::{BTreeMap, BTreeSet};

use crate::pages::{Page, rows};
use crate::sources::sources;

/// How work is begun, and what its panic means; `None` where whoever begins it decides.
const RULES: [(&str, Option<&str>); 5] = [
    (".spawn_restarting(", Some("begins again")),
    (".spawn_essential(", Some("ends rosterd")),
    (".spawn_expendable(", Some("costs itself")),
    (".spawn(", None),
    ("guard(", None),
];

/// The kind that begins what stands behind a call: the literal that comes first, also in a pair.
fn kind(call: &str) -> Option<&str> {
    call.trim_start().trim_start_matches('(').strip_prefix('"')?.split('"').next()
}

/// All kinds with what their rules say.
fn kinds() -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut kinds: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for text in sources().values() {
        for (rule, means) in RULES {
            for kind in text.split(rule).skip(1).filter_map(kind) {
                kinds.entry(kind.to_owned()).or_default().extend(means);
            }
        }
    }
    kinds
}

#[test]
fn every_kind_of_work_is_documented_with_what_its_panic_means() {
    let (page, kinds) = (Page::read("operations.md"), kinds());
    assert!(kinds.len() > 20 && kinds.contains_key("reload"), "the search finds them: {kinds:?}");
    let documented = rows(page.section("## When a part panics"));
    let missing: Vec<_> = kinds.keys().filter(|kind| !documented.contains_key(*kind)).collect();
    assert!(missing.is_empty(), "docs/operations.md has no row for the tasks {missing:?}");
    let words = RULES.iter().filter_map(|(_, means)| *means).collect::<BTreeSet<_>>();
    for (kind, cells) in documented.iter().filter(|(_, cells)| cells.len() == 2) {
        let Some(means) = kinds.get(kind) else {
            panic!("docs/operations.md tells of {kind:?}, which is no kind of task")
        };
        assert!(words.contains(&*cells[1]), "what {:?} means for {kind:?} is not said before", cells[1]);
        // Work of one name may be a task and a guard in it.
        let restarts = means.contains("begins again") || means.contains("ends rosterd");
        assert!(!restarts || means.contains(&*cells[1]), "{kind:?} is spawned by another rule: {means:?}");
    }
}
