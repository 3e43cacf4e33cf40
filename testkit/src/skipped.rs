//! What is not tested here, told where it is seen.

use std::io::Write;

/// What such a line begins with.
const SKIPPED: &str = "SKIPPED: ";

/// Tells that a test skips something, and why. It is told also of a test that passes, of which nobody sees what it prints.
pub fn skipped(why: &str) {
    // A test that cannot say so skips it all the same.
    writeln!(std::io::stderr(), "{SKIPPED}{why}").ok();
}

/// Tells once more what a test told in a process of its own.
pub(crate) fn tell_again(printed: &str) {
    printed.lines().filter_map(|line| line.strip_prefix(SKIPPED)).for_each(skipped);
}
