//! Goldens: expected output in files below `testdata/`, rewritten by a command and reviewed like code.

use std::path::Path;

use similar::TextDiff;

use crate::files::testdata;

/// Compares a text with the file at `path` below `testdata/` of the workspace. `UPDATE_GOLDEN=1` writes the file
/// instead, which is refused where `CI` is set.
///
/// # Panics
///
/// When they differ, with a diff and the command that rewrites the file.
pub fn assert_golden(path: &str, actual: &str) {
    let file = testdata(path);
    match Mode::of(is_set("UPDATE_GOLDEN"), is_set("CI")) {
        Mode::Compare => {
            if let Err(report) = compare(&file, actual) {
                panic!("{report}");
            }
        }
        Mode::Write => write(&file, actual),
        Mode::Refuse => panic!("UPDATE_GOLDEN is refused because CI is set: goldens are rewritten and reviewed before"),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Mode {
    Compare,
    Write,
    Refuse,
}

impl Mode {
    fn of(update: bool, ci: bool) -> Self {
        match (update, ci) {
            (false, _) => Self::Compare,
            (true, false) => Self::Write,
            (true, true) => Self::Refuse,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the tests says by the environment what they do with goldens"
)]
fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !matches!(value.to_str(), Some("" | "0" | "false")))
}

#[expect(clippy::disallowed_methods, reason = "cargo tells tests where they are")]
fn compare(file: &Path, actual: &str) -> Result<(), String> {
    let found = std::fs::read_to_string(file);
    if found.as_deref().is_ok_and(|expected| expected == actual) {
        return Ok(());
    }
    let test = std::thread::current().name().filter(|name| *name != "main").unwrap_or("").to_owned();
    let package = std::env::var("CARGO_PKG_NAME").map(|name| format!(" -p {name}")).unwrap_or_default();
    let command = format!("UPDATE_GOLDEN=1 cargo test{package} {test}");
    let difference = match found {
        Ok(expected) => {
            let diff = TextDiff::from_lines(&*expected, actual);
            format!("{}", diff.unified_diff().context_radius(3).header("golden", "actual"))
        }
        Err(error) => format!("the golden cannot be read: {error}\nactual:\n{actual}"),
    };
    Err(format!("{} differs:\n{difference}\nIf the new text is right: {}", file.display(), command.trim_end()))
}

fn write(file: &Path, actual: &str) {
    let folder = file.parent().expect("a golden is in a folder");
    std::fs::create_dir_all(folder).unwrap_or_else(|error| panic!("cannot create {}: {error}", folder.display()));
    std::fs::write(file, actual).unwrap_or_else(|error| panic!("cannot write {}: {error}", file.display()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Folder;

    #[test]
    fn goldens_are_never_rewritten_in_ci() {
        assert_eq!(Mode::of(true, true), Mode::Refuse);
        assert_eq!(Mode::of(true, false), Mode::Write);
        assert_eq!(Mode::of(false, true), Mode::Compare);
    }

    #[test]
    fn a_difference_comes_with_the_command_that_fixes_it() {
        let folder = Folder::new();
        let file = folder.path("x/y.golden");
        let missing = compare(&file, "new\n").expect_err("there is no file yet");
        assert!(missing.contains("cannot be read") && missing.contains("actual:\nnew\n"), "{missing}");
        write(&file, "same\nold\n");
        assert_eq!(compare(&file, "same\nold\n"), Ok(()));
        let report = compare(&file, "same\nnew\n").expect_err("the texts differ");
        let wanted =
            [" same\n-old\n+new\n", "UPDATE_GOLDEN=1 cargo test -p rosterd-testkit golden::tests::a_difference"];
        assert!(wanted.iter().all(|part| report.contains(part)), "{report}");
    }

    #[test]
    fn goldens_are_found_below_testdata() {
        assert_golden("testkit/example.golden.txt", "A golden is reviewed like code.\n");
    }
}
