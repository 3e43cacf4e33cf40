//! The guard of supervision: outside of `tasks`, nothing of rosterd runs whose panic nobody would see.
//!
//! The rule for code that is not test code: no bare spawn, no `JoinSet` and no thread, and a `Task` that `Stopper::spawn` gives is
//! kept under a name: whoever does not wait for it spawns by another rule. What cannot follow says why, in a comment on the line
//! above: `// supervised: <reason>`. The lints of clippy.toml forbid the bare spawns in all code.

use std::path::Path;

use super::{broken, excuses, is_test_file};

const MARKER: &str = "// supervised: ";
/// Put together so that this file may be looked at, too.
const BARE: [&str; 7] = [
    concat!("tokio::", "spawn("),
    concat!("spawn", "_blocking("),
    concat!("spawn", "_local("),
    concat!("Join", "Set"),
    concat!("thread::", "Builder"),
    concat!("thread::", "spawn("),
    concat!("thread::", "scope("),
];
const SPAWN: &str = concat!(".spawn", "(");
/// Test code, and what owns the spawns.
const SKIPPED: [&str; 3] = ["tests", "testkit", "tasks"];

/// The lines of a file that break the rule. Test code stands at its end.
fn violations(text: &str) -> Vec<usize> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let (mut excused, mut lines) = (false, Vec::new());
    for (index, line) in code.lines().enumerate() {
        let line = line.trim_start();
        let is_code = !line.starts_with("//");
        let bare = BARE.iter().any(|call| line.contains(call));
        if is_code && !excused && (bare || (line.contains(SPAWN) && !is_kept(line))) {
            lines.push(index + 1);
        }
        excused = excuses(line, MARKER);
    }
    lines
}

/// Whether what is spawned gets a name that says that it is used.
fn is_kept(line: &str) -> bool {
    let name = line.strip_prefix("let ").map(|rest| rest.trim_start_matches("mut "));
    name.is_some_and(|name| name.starts_with(|first: char| first.is_ascii_lowercase()))
}

/// The lines that break the rule, unless all of the file is test code.
fn of_file(name: &Path, text: &str) -> Vec<usize> {
    if is_test_file(name) { Vec::new() } else { violations(text) }
}

#[test]
fn every_spawn_is_supervised() {
    let found = broken(&SKIPPED, "src/web/server.rs", of_file);
    assert!(
        found.is_empty(),
        "nobody would see a panic of what is spawned here:\n  {}\nspawn through a Stopper by the rule that fits, call \
         rosterd_tasks::blocking for what blocks, or say why not: {MARKER}<reason>",
        found.join("\n  ")
    );
}

#[test]
fn the_guard_finds_bare_spawns_and_dropped_tasks_and_nothing_else() {
    for bare in BARE {
        assert_eq!(violations(&format!("let x = {bare}work);\n")), [1], "{bare}");
        assert_eq!(violations(&format!("{MARKER}a thread that is joined\nlet x = {bare}work);\n")), []);
        assert_eq!(violations(&format!("{MARKER} \nlet x = {bare}work);\n")), [2]);
        assert_eq!(violations(&format!("//! {bare}\n#[cfg(test)]\nmod tests {{\n{bare}work);\n}}\n")), []);
    }
    for dropped in ["", "drop(", "let _task = ", "let _ = ", "Some(_) = "] {
        assert_eq!(violations(&format!("    {dropped}stopper{SPAWN}name, work);\n")), [1], "{dropped}");
    }
    for kept in ["let task = stopper", "let mut task = self.stopper"] {
        assert_eq!(violations(&format!("    {kept}{SPAWN}name, work);\n")), [], "{kept}");
    }
    assert_eq!(violations("stopper.spawn_restarting(name, || work());\n"), []);
}

#[test]
fn only_what_both_guards_take_for_tests_may_spawn_as_it_likes() {
    let text = format!("let x = {}work);\n", BARE[0]);
    for (name, lines) in [
        ("src/crash.rs", vec![1]),
        ("src/roster_tests.rs", vec![1]),
        ("src/log/tests/crash.rs", vec![]),
        ("src/log/tests.rs", vec![]),
    ] {
        assert_eq!(of_file(Path::new(name), &text), lines, "{name}");
    }
}
