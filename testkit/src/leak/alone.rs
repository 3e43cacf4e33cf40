//! A process of its own for one test, so that what the process owns can be compared before and after.

use std::process::Command;

/// Set for the process that runs just one test.
const ALONE: &str = "ROSTERD_TESTKIT_ALONE";

/// Whether no other test runs in this process at the same time.
#[expect(clippy::disallowed_methods, reason = "the checker tells its child process what to do")]
pub(super) fn is_alone() -> bool {
    // Tests run on the main thread only when they run one after the other; examples and documentation tests, always.
    std::env::var_os(ALONE).is_some() || std::thread::current().name() == Some("main")
}

/// Lets this process end with the one that started it, however that ended.
#[expect(clippy::disallowed_methods, reason = "the checker tells its child process what to do")]
pub(super) fn die_with_parent() {
    if std::env::var_os(ALONE).is_some() {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
            .expect("any signal may be chosen");
    }
}

/// Runs the test that calls this once more, alone in a new process of the same binary.
pub(super) fn run_alone() {
    let thread = std::thread::current();
    let Some(name) = thread.name() else {
        panic!("leak_checked_live has to be called by the thread of a test, whose name tells which test it is");
    };
    let binary = std::env::current_exe().expect("the test binary is still there");
    let output = Command::new(binary)
        .args([name, "--exact", "--nocapture", "--include-ignored", "--test-threads=1"])
        .env(ALONE, "1")
        .output()
        .expect("a test binary can be started again");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    print!("{out}");
    eprint!("{err}");
    crate::skipped::tell_again(&err);
    assert!(output.status.success(), "{name} failed in its own process ({}), see its output above", output.status);
    assert!(
        out.contains("test result: ok. 1 passed"),
        "{name} is not the name of a test: call it from a test's thread"
    );
}
