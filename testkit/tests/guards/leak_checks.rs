//! The guard of the leak checker: in this workspace no async test runs without it.
//!
//! The rule: test code neither has the test attribute of tokio nor makes a runtime of its own. It is `#[test]` with
//! `leak_checked` or `leak_checked_live` inside. What cannot follow the rule says why, in a comment on the line above:
//! `// not leak checked: <reason>`.

use std::path::Path;

use super::{broken, excuses, is_test_file};

const MARKER: &str = "// not leak checked: ";
/// Forbidden everywhere; put together so that this file passes its own test.
const ATTRIBUTE: &str = concat!("#[tokio", "::test");
const TEST: &str = concat!("#[", "test]");
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

/// The lines of tests that no guard takes for such: they stand at the end of a file under `#[cfg(test)]`, in `tests.rs`, or
/// below a folder `tests`.
fn hidden_tests(is_test_file: bool, text: &str) -> Vec<usize> {
    let lines = text.lines().map(str::trim_start).take_while(|line| !line.starts_with("#[cfg(test)]"));
    let tests = lines.enumerate().filter(|(_, line)| !is_test_file && *line == TEST);
    tests.map(|(index, _)| index + 1).collect()
}

#[test]
fn files_of_tests_have_one_name() {
    let found = broken(&[], "tasks/src/stopper.rs", |name, text| hidden_tests(is_test_file(name), text));
    assert!(
        found.is_empty(),
        "no guard sees that these are tests: call the files tests.rs, or put them into a folder tests:\n  {}",
        found.join("\n  ")
    );
}

#[test]
fn tests_are_seen_wherever_they_stand() {
    let tests = format!("use super::*;\n\n{TEST}\nfn x() {{}}\n");
    for name in ["src/api/tests_roster.rs", "src/roster_tests.rs", "src/log/crash.rs"] {
        assert_eq!(hidden_tests(is_test_file(Path::new(name)), &tests), [3], "{name}");
    }
    for name in ["src/api/tests.rs", "src/api/tests/roster.rs", "tests/api.rs"] {
        assert_eq!(hidden_tests(is_test_file(Path::new(name)), &tests), [], "{name}");
    }
    assert_eq!(hidden_tests(false, &format!("fn x() {{}}\n#[cfg(test)]\nmod tests {{\n    {tests}}}\n")), []);
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
