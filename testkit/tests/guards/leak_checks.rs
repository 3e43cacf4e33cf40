//! The guard of the leak checker: in this workspace no async test runs without it.
//!
//! The rule: test code neither has the test attribute of tokio nor makes a runtime of its own. It is `#[test]` with
//! `leak_checked` or `leak_checked_live` inside. What cannot follow the rule says why, in a comment on the line above:
//! `// not leak checked: <reason>`.

use std::path::Path;

use super::{broken, excuses};

const MARKER: &str = "// not leak checked: ";
/// Forbidden everywhere; put together so that this file passes its own test.
const ATTRIBUTE: &str = concat!("#[tokio", "::test");
/// Forbidden in test code.
const RUNTIMES: [&str; 3] = [concat!(".block", "_on("), concat!("Runtime", "::new("), concat!("runtime::", "Builder")];

/// The lines of a file that break the rule.
fn violations(is_test_file: bool, text: &str) -> Vec<usize> {
    let mut is_test = is_test_file;
    let mut excused = false;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        is_test |=
            line.starts_with("#[cfg(test)]") && !text.lines().nth(index + 1).is_some_and(|next| next.ends_with(';'));
        let is_code = !line.starts_with("//");
        let bare = line.contains(ATTRIBUTE) || (is_test && RUNTIMES.iter().any(|call| line.contains(call)));
        if is_code && bare && !excused {
            lines.push(index + 1);
        }
        excused = excuses(line, MARKER);
    }
    lines
}

/// Whether all of a file is test code.
fn is_test_file(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs")
}

#[test]
fn every_async_test_is_leak_checked() {
    let found = broken(&[], "tasks/src/stopper.rs", |name, text| violations(is_test_file(name), text));
    assert!(
        found.is_empty(),
        "these async tests are not leak checked:\n  {}\nmake each a #[test] with rosterd_testkit::leak_checked(|| async {{ ... }}) \
         inside, or leak_checked_live when it needs sockets or real time, or say why not: {MARKER}<reason>",
        found.join("\n  ")
    );
}

#[test]
fn the_guard_finds_bare_tests_and_nothing_else() {
    let attribute = format!("{ATTRIBUTE}]\nasync fn x() {{}}\n");
    assert_eq!(violations(false, &attribute), [1]);
    assert_eq!(violations(false, &format!("{MARKER}it tests the runtime\n{attribute}")), []);
    assert_eq!(violations(false, &format!("{MARKER} \n{attribute}")), [2]);
    assert_eq!(violations(false, &format!("//! {attribute}")), []);
    for call in RUNTIMES {
        let code = format!("let x = {call};\n");
        assert_eq!(violations(false, &code), []);
        assert_eq!(violations(true, &code), [1]);
        assert_eq!(violations(false, &format!("#[cfg(test)]\nmod tests {{\n{code}}}\n")), [3]);
        assert_eq!(violations(false, &format!("#[cfg(test)]\nmod tests;\n{code}")), []);
    }
    assert!(is_test_file(Path::new("discovery/src/dns/tests.rs")) && is_test_file(Path::new("tests/api/main.rs")));
    assert!(!is_test_file(Path::new("src/main.rs")));
}
