//! What the suites of both contracts have in common.

mod crash; // a writer that is killed
pub(crate) mod disk; // a disk that fails, and a folder with stores on it
pub(crate) mod failing; // any backend, told to fail

use std::fmt;

/// A backend under test, starting empty.
pub(crate) struct Tested<S> {
    pub(crate) store: S,
    /// Makes its writes fail from now on, or no longer.
    pub(crate) fail: Box<dyn Fn(bool) + Send + Sync>,
}

impl<S: fmt::Debug> fmt::Debug for Tested<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

/// Makes a test of each case of a suite. `make` is an expression of a closure that returns a future of a [`Tested`] and
/// of whatever has to outlive it.
macro_rules! cases {
    ($suite:path, $source:expr; $make:expr; $($case:ident,)*) => {
        $(
            #[test]
            fn $case() {
                use $suite as suite;
                rosterd_testkit::leak_checked_live(|| async {
                    let make = $make;
                    let (it, _kept) = make().await;
                    suite::$case(&it).await;
                });
            }
        )*

        #[test]
        fn no_case_of_the_suite_is_left_out() {
            crate::store::tests::assert_all_cases($source, &[$(stringify!($case)),*]);
        }
    };
}
pub(crate) use cases;

/// Fails when a case of the source of a suite is not in the list.
pub(crate) fn assert_all_cases(source: &str, cases: &[&str]) {
    let defined = source.lines().filter_map(|line| line.strip_prefix("pub(crate) async fn "));
    let defined: Vec<_> = defined.filter_map(|line| line.split(['(', '<']).next()).collect();
    assert!(!defined.is_empty());
    for case in &defined {
        assert!(cases.contains(case), "add `{case}` to the list in for_backend!");
    }
}

/// A future on a runtime of its own.
pub(crate) fn block_on(future: impl Future<Output = ()>) {
    // not leak checked: each case of a property would need a process of its own
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}
