//! How discoverers end, and who is named that does not.

use rosterd_testkit::{eventually, leak_checked_live, patience};

use super::*;

/// How many discoverers of a mechanism are built at the same time.
const AT_A_TIME: usize = 16;

#[test]
fn who_ignores_the_stop_is_named_and_aborted() {
    leak_checked(|| async {
        let (probe, config) = fake::mechanism("a");
        let mut setup = Setup::new();
        setup.apply(&[("one", &[&config])]).await;
        probe.wait_runs(1).await;
        probe.ignore_stop();
        let applied = setup.apply(&[]).await;
        assert_eq!((applied.stopped, applied.stragglers.is_empty()), (1, false));
        assert!(setup.manager.directory().list().is_empty());
        setup.end().await;
    });
}

#[test]
fn a_provider_with_a_number_takes_the_place_of_the_one_with_the_same_data_that_goes() {
    leak_checked(|| async {
        let ((first, one), (second, two)) = (fake::mechanism("a"), fake::mechanism("a"));
        let mut setup = Setup::new();
        setup.apply(&[("x", &[&one]), ("y", &[&two])]).await;
        first.wait_runs(1).await;
        second.wait_runs(1).await;
        for (started, stopped) in [(1, 2), (0, 0)] {
            let applied = setup.apply(&[("y", &[&two])]).await;
            assert_eq!((applied.started, applied.stopped), (started, stopped));
        }
        second.wait_runs(2).await;
        assert!(first.has_ended() && second.is_running());
        let key = provider(&setup, 0).key;
        assert_eq!(key.as_str(), key.data(), "as if it had been alone from the start");
        setup.end().await;
    });
}

#[test]
fn all_who_ignore_the_stop_are_named_within_one_deadline_and_who_listens_is_not() {
    leak_checked(|| async {
        let names = ["a", "b", "c", "d"];
        // Whichever comes first.
        for (listener, reloaded) in (0..names.len()).flat_map(|listener| [(listener, true), (listener, false)]) {
            let (probes, configs): (Vec<_>, Vec<_>) = names.iter().map(|name| fake::mechanism(name)).unzip();
            let configs: Vec<_> = configs.iter().collect();
            let mut setup = Setup::new();
            setup.apply(&[("one", &configs)]).await;
            for (index, probe) in probes.iter().enumerate() {
                probe.wait_runs(1).await;
                if index != listener {
                    probe.ignore_stop();
                }
            }
            let began = Instant::now();
            let mut stragglers = if reloaded { setup.apply(&[]).await.stragglers } else { Vec::new() };
            stragglers.extend(setup.manager.shutdown(Instant::now() + PATIENCE).await);
            assert!(began.elapsed() <= PATIENCE, "{:?}", began.elapsed());
            let discoverers = stragglers.iter().filter(|name| name.starts_with("discoverer ")).count();
            assert_eq!(discoverers, names.len() - 1, "{stragglers:?}");
        }
    });
}

#[test]
fn what_a_dropped_apply_was_about_to_stop_is_stopped_by_the_shutdown() {
    leak_checked(|| async {
        let (deaf, first) = fake::mechanism("a");
        let (other, second) = fake::mechanism("b");
        let mut setup = Setup::new();
        setup.apply(&[("one", &[&first, &second])]).await;
        deaf.wait_runs(1).await;
        other.wait_runs(1).await;
        deaf.ignore_stop();
        let applied = tokio::time::timeout(PATIENCE / 2, setup.apply(&[])).await;
        assert!(applied.is_err(), "it waits");
        let stragglers = setup.manager.shutdown(Instant::now() + PATIENCE).await;
        assert!(stragglers.iter().any(|name| name.starts_with("discoverer ")), "{stragglers:?}");
        assert!(deaf.has_ended() && other.has_ended());
    });
}

#[test]
fn builds_that_hang_are_named_when_they_are_stopped_and_cost_other_mechanisms_nothing() {
    leak_checked_live(|| async {
        let hung: Vec<_> = (0..AT_A_TIME + 4).map(|number| fake::mechanism(&format!("hung-{number}"))).collect();
        let held: Vec<_> = hung.iter().map(|(probe, _)| probe.hang_builds()).collect();
        let configs: Vec<_> = hung.iter().map(|(_, config)| config).collect();
        let mut setup = Setup::new();
        setup.apply(&[("one", &configs)]).await;
        let begun = || hung.iter().filter(|(probe, _)| probe.builds() > 0).count();
        eventually(patience(), "as many hang as are built at a time", || begun() == AT_A_TIME).await;

        let (fine, config) = fake::mechanism("fine");
        let configs: Vec<Arc<dyn AnyConfig>> = vec![Arc::new(stubborn::Plain), Arc::new(config)];
        let plan = setup.manager.plan([(Arc::from("two"), configs)].into()).await;
        let applied = setup.manager.apply(plan, Instant::now() + Duration::from_secs(2)).await;
        assert_eq!((applied.started, applied.stopped), (2, AT_A_TIME + 4));
        assert!(applied.stragglers.iter().all(|name| name.starts_with("build fake/")), "{:?}", applied.stragglers);
        assert_eq!(applied.stragglers.len(), AT_A_TIME, "those that only waited have ended");

        let first = tokio::time::timeout(patience(), setup.next()).await.expect("another mechanism is built");
        assert_eq!(first.provider.mechanism(), "plain");
        fine.wait_runs(1).await;
        assert_eq!(begun(), AT_A_TIME, "what was left behind goes on hanging, and holds up nobody");
        drop(held);
        setup.end().await;
    });
}

#[test]
fn builds_that_hang_hold_up_others_of_their_mechanism_for_a_while_only() {
    leak_checked(|| async {
        let hung: Vec<_> = (0..AT_A_TIME).map(|number| fake::mechanism(&format!("hung-{number}"))).collect();
        let held: Vec<_> = hung.iter().map(|(probe, _)| probe.hang_builds()).collect();
        let (fine, config) = fake::mechanism("fine");
        let configs: Vec<_> = hung.iter().map(|(_, config)| config).collect();
        let mut setup = Setup::new();
        setup.apply(&[("a", &configs)]).await;
        let all_hang = || hung.iter().all(|(probe, _)| probe.builds() > 0);
        // The clock stands still while threads are at work.
        while !all_hang() {
            tokio::task::yield_now().await;
        }
        setup.apply(&[("a", &configs), ("b", &[&config])]).await;
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(fine.builds(), 0);
        tokio::time::advance(Duration::from_secs(2)).await;
        fine.wait_runs(1).await;
        drop(held);
        for (probe, _) in &hung {
            probe.wait_runs(1).await;
        }
        setup.end().await;
    });
}
