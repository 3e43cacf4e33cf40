//! Stops, and the four rules of what a panic means.

use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus::Registry;
use rosterd_testkit::leak_checked;

use super::*;
use crate::Fatal;

const SECOND: Duration = Duration::from_secs(1);

/// A stopper whose panics are counted in the registry.
fn counted() -> (Stopper, Registry) {
    let registry = Registry::new();
    (Stopper::under(&Supervision::register(&registry).unwrap()), registry)
}

/// The panics of each kind of task.
fn panics(registry: &Registry) -> Vec<(String, f64)> {
    let families = registry.gather();
    let metrics = families.iter().flat_map(|family| family.get_metric());
    metrics.map(|metric| (metric.get_label()[0].value().to_owned(), metric.get_counter().get_value())).collect()
}

#[test]
fn stop_waits_for_tasks_that_listen() {
    leak_checked(|| async {
        let stopper = Stopper::new();
        let token = stopper.token().clone();
        let task = stopper.spawn("listener", async move {
            token.cancelled().await;
            7
        });
        assert_eq!(stopper.running(), [Arc::from("listener")]);
        assert!(stopper.stop(SECOND).await.is_empty());
        assert_eq!(task.await, Some(Ok(7)));
        assert!(stopper.running().is_empty());
    });
}

#[test]
fn stop_names_and_aborts_who_does_not_listen() {
    leak_checked(|| async {
        let stopper = Stopper::new();
        let task = stopper.spawn(("deaf", 1), std::future::pending::<()>());
        assert_eq!(stopper.stop(SECOND).await, [Arc::from("deaf 1")]);
        assert_eq!(task.await, None);
    });
}

#[test]
fn a_stop_that_is_dropped_leaves_its_tasks_to_the_next() {
    leak_checked(|| async {
        let stopper = Stopper::new();
        let (release, released) = oneshot::channel::<()>();
        let task = stopper.spawn("slow", async move {
            released.await.ok();
            7
        });
        assert!(timeout(SECOND, stopper.stop(SECOND * 60)).await.is_err());
        assert_eq!(stopper.running(), [Arc::from("slow")]);
        release.send(()).unwrap();
        assert!(stopper.stop(SECOND).await.is_empty());
        assert_eq!(task.await, Some(Ok(7)));
    });
}

#[test]
fn two_who_stop_at_once_both_return_when_the_tasks_have_ended() {
    leak_checked(|| async {
        let stopper = Stopper::new();
        let token = stopper.token().clone();
        stopper.spawn_expendable("slow", async move {
            token.cancelled().await;
            tokio::time::sleep(SECOND).await;
        });
        let begun = Instant::now();
        let (left, right) = tokio::join!(stopper.stop(SECOND * 60), stopper.stop(SECOND * 60));
        assert!(left.is_empty() && right.is_empty());
        assert!(begun.elapsed() < SECOND * 2, "{:?}", begun.elapsed());
    });
}

#[test]
fn tasks_that_begin_during_a_stop_are_waited_for() {
    leak_checked(|| async {
        let stopper = Stopper::new();
        let (spawner, ended) = (stopper.clone(), Arc::new(AtomicUsize::new(0)));
        let counter = Arc::clone(&ended);
        stopper.spawn_expendable("first", async move {
            spawner.token().cancelled().await;
            let spawned = spawner.clone();
            spawner.spawn_expendable("second", async move {
                tokio::time::sleep(SECOND).await;
                counter.fetch_add(1, Ordering::Relaxed);
                drop(spawned);
            });
        });
        assert!(stopper.stop(SECOND * 10).await.is_empty());
        assert_eq!(ended.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_child_is_asked_to_end_with_its_parent() {
    leak_checked(|| async {
        let parent = Stopper::new();
        let child = parent.child();
        assert!(parent.stop(SECOND).await.is_empty());
        assert!(child.token().is_cancelled());
    });
}

#[test]
fn a_panic_is_told_to_whoever_holds_the_task() {
    leak_checked(|| async {
        let (stopper, registry) = counted();
        let child = stopper.child();
        let task = child.spawn(("clumsy", 7), async { panic!("oops") });
        assert_eq!(task.await, Some(Err::<(), _>(Panicked("oops".to_owned()))));
        assert_eq!(panics(&registry), [("clumsy".to_owned(), 1.0)]);
        assert!(child.stop(SECOND).await.is_empty());
    });
}

#[test]
fn a_restarting_task_begins_again_after_growing_pauses_until_it_is_stopped() {
    leak_checked(|| async {
        let (stopper, registry) = counted();
        let begun = Arc::new(Mutex::new(Vec::new()));
        let times = Arc::clone(&begun);
        stopper.spawn_restarting("clumsy", move || {
            times.lock().unwrap().push(Instant::now());
            async { panic!("oops") }
        });
        tokio::time::sleep(SECOND * 30).await;
        assert!(stopper.stop(SECOND).await.is_empty());
        let begun = begun.lock().unwrap().clone();
        let pauses: Vec<_> = begun.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
        assert!(pauses.len() >= 4 && pauses.is_sorted(), "{pauses:?}");
        assert_eq!(panics(&registry), [("clumsy".to_owned(), begun.len() as f64)]);
        assert!(timeout(SECOND, stopper.supervision().fatal()).await.is_err(), "nothing else ends for it");
    });
}

#[test]
fn a_restarting_task_that_ran_well_for_long_begins_again_soon() {
    leak_checked(|| async {
        let stopper = Stopper::new();
        let begun = Arc::new(Mutex::new(Vec::new()));
        let times = Arc::clone(&begun);
        stopper.spawn_restarting("clumsy", move || {
            times.lock().unwrap().push(Instant::now());
            async {
                tokio::time::sleep(SECOND * 600).await;
                panic!("oops")
            }
        });
        tokio::time::sleep(SECOND * 6100).await;
        assert!(stopper.stop(SECOND).await.len() == 1, "it sleeps");
        let begun = begun.lock().unwrap().clone();
        assert!(begun.windows(2).all(|pair| pair[1] - pair[0] < SECOND * 602), "{begun:?}");
    });
}

#[test]
fn a_restarting_task_that_returns_has_ended() {
    leak_checked(|| async {
        let (stopper, registry) = counted();
        stopper.spawn_restarting("brief", || async {});
        while !stopper.running().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(panics(&registry), [("brief".to_owned(), 0.0)], "zeros are visible");
        assert!(stopper.stop(SECOND).await.is_empty());
    });
}

#[test]
fn an_essential_task_that_panics_or_ends_unasked_is_fatal_and_the_first_is_told() {
    leak_checked(|| async {
        let (stopper, registry) = counted();
        let child = stopper.child();
        child.spawn_essential("heart", async { panic!("oops") });
        let fatal = stopper.supervision().fatal().await;
        assert_eq!(fatal, Fatal { task: "heart", message: "oops".to_owned() });
        stopper.spawn_essential("lung", async { panic!("later") });
        assert!(stopper.stop(SECOND).await.is_empty() && child.stop(SECOND).await.is_empty());
        assert_eq!(stopper.supervision().fatal().await.task, "heart");
        assert_eq!(panics(&registry), [("heart".to_owned(), 1.0), ("lung".to_owned(), 1.0)]);
        let other = Stopper::new();
        other.spawn_essential(("lung", "left"), async {});
        assert_eq!(other.supervision().fatal().await, Fatal { task: "lung", message: "it returned".to_owned() });
        assert!(other.stop(SECOND).await.is_empty());
    });
}

#[test]
fn an_essential_task_that_ends_when_asked_to_is_not_fatal() {
    leak_checked(|| async {
        let stopper = Stopper::new();
        let token = stopper.token().clone();
        stopper.spawn_essential("heart", async move { token.cancelled().await });
        assert!(stopper.stop(SECOND).await.is_empty());
        assert!(timeout(SECOND, stopper.supervision().fatal()).await.is_err());
    });
}

#[test]
fn a_panic_of_an_expendable_task_costs_only_itself() {
    leak_checked(|| async {
        let (stopper, registry) = counted();
        let token = stopper.token().clone();
        stopper.spawn_expendable(("one", 1), async { panic!("oops") });
        stopper.spawn_expendable(("one", 2), async move { token.cancelled().await });
        while stopper.running().len() > 1 {
            tokio::task::yield_now().await;
        }
        assert_eq!(stopper.running(), [Arc::from("one 2")]);
        assert_eq!(panics(&registry), [("one".to_owned(), 1.0)]);
        assert!(stopper.stop(SECOND).await.is_empty());
    });
}

#[test]
fn a_guard_lets_a_panic_cost_only_the_call() {
    leak_checked(|| async {
        let (stopper, registry) = counted();
        let guard = stopper.supervision().guard("call");
        assert_eq!(panics(&registry), [("call".to_owned(), 0.0)], "zeros are visible");
        assert_eq!(guard.call(&"good", || 7), Ok(7));
        assert_eq!(guard.call(&"bad", || -> u8 { panic!("{}", "oops") }), Err(Panicked("oops".to_owned())));
        assert_eq!(
            guard.run(&"bad", async { std::panic::panic_any(7) }).await,
            Err::<(), _>(Panicked("no message".to_owned()))
        );
        assert_eq!(panics(&registry), [("call".to_owned(), 2.0)]);
    });
}

#[test]
fn a_portion_is_one_of_the_time_that_is_left() {
    leak_checked(|| async {
        let now = Instant::now();
        assert_eq!(portion(now + 10 * SECOND, 0.3), now + 3 * SECOND);
        tokio::time::advance(20 * SECOND).await;
        assert_eq!(portion(now + 10 * SECOND, 0.3), now + 20 * SECOND, "nothing is left");
    });
}
