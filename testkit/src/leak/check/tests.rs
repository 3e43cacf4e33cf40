//! The leak checker must find what leaks, and only that.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rosterd_tasks::stopper::Stopper;
use tokio::task::JoinSet;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// The report of a test that should leak.
fn report(test: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(test)).expect_err("the leak must be found");
    panic.downcast_ref::<String>().cloned().expect("reports are text")
}

#[test]
fn a_stopped_stopper_is_no_leak() {
    leak_checked(|| async {
        let stopper = Stopper::new();
        let token = stopper.token().clone();
        stopper.spawn_expendable("listener", async move { token.cancelled().await });
        assert!(stopper.stop(SECOND).await.is_empty());
    });
}

#[test]
fn a_running_task_is_named() {
    let kept = std::cell::OnceCell::new();
    let report = report(|| {
        leak_checked(|| async {
            let stopper = Stopper::new();
            stopper.spawn_expendable("forgotten one", std::future::pending::<()>());
            kept.set(stopper).expect("the cell is empty");
        });
    });
    assert!(report.contains("the task \"forgotten one\" still runs"), "{report}");
}

#[test]
fn a_dropped_stopper_is_named() {
    let leak = || async { drop(Stopper::new().spawn("cut off", std::future::pending::<()>())) };
    let report = report(|| leak_checked(leak));
    assert!(report.contains("a Stopper was dropped while its task \"cut off\" ran"), "{report}");
    Leaks::none().allow_task("cut").check(leak);
}

#[test]
fn a_task_without_a_stopper_is_counted() {
    let leak = || async {
        let mut set = JoinSet::new();
        set.spawn(std::future::pending::<()>());
        set.detach_all();
    };
    let report = report(|| leak_checked(leak));
    assert!(report.contains("1 task(s) that no Stopper spawned"), "{report}");
    Leaks::none().allow_unnamed_tasks(1).check(leak);
}

#[test]
fn the_panic_of_the_test_comes_first() {
    let report = catch_unwind(|| leak_checked(|| async { panic!("the test itself") })).expect_err("it panics");
    assert_eq!(report.downcast_ref::<&str>(), Some(&"the test itself"));
}

#[test]
fn a_live_test_may_use_sockets() {
    leak_checked_live(|| async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, server) = tokio::join!(tokio::net::TcpStream::connect(address), listener.accept());
        assert_eq!(client.unwrap().peer_addr().unwrap(), server.unwrap().0.local_addr().unwrap());
    });
}

#[test]
fn a_descriptor_that_stays_open_is_named() {
    leak_checked_live(|| async {
        let before = descriptors::open();
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let leaked = descriptors::new_since(&before);
        assert!(matches!(&leaked[..], [one] if one.starts_with("socket:[")), "{leaked:?}");
        assert!(Leaks::none().allow_descriptors("socket:").leaked_descriptors(&before).is_empty());
        drop(socket);
        assert!(descriptors::new_since(&before).is_empty());
    });
}

#[test]
fn a_failure_in_the_other_process_is_a_failure_here() {
    // The inner process runs this very test, in which the assertion about the clock is made and fails.
    if alone::is_alone() {
        Leaks::none().run(Clock::Real, true, || async { assert_eq!(1, 2) });
    } else {
        let report = report(alone::run_alone);
        assert!(report.contains("failed in its own process"), "{report}");
    }
}
