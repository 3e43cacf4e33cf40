//! Discoverers that fail, panic or cannot be built: what they cost, and when they are built again.

use super::*;

#[test]
fn a_failure_keeps_the_groups_and_builds_again() {
    leak_checked(|| async {
        let (probe, config) = fake::mechanism("a");
        let mut setup = Setup::new();
        setup.apply(&[("one", &[&config])]).await;
        probe.everything(groups(2)).await;
        setup.next().await;
        failed_then_rebuilt(&probe, async || probe.fail(Retry::Backoff).await).await;
        let status = provider(&setup, 0).status;
        assert_eq!((status.presence, status.groups), (Presence::Stale, 2));
        assert!(status.last_error.is_some(), "the failure is told until the next success");
        assert!(setup.updates.try_recv().is_err(), "a failure changes no group");
        probe.wait_runs(2).await;
        probe.everything(groups(1)).await;
        let update = setup.next().await;
        assert_eq!((update.whole, update.groups.len(), update.gone), (false, 0, vec![groups(2)[1].id()]));
        setup.end().await;
    });
}

#[test]
fn a_picture_that_is_broken_off_in_the_middle_is_no_report_and_takes_nothing_away() {
    leak_checked(|| async {
        let (probe, config) = fake::mechanism("a");
        let mut setup = Setup::new();
        setup.apply(&[("one", &[&config])]).await;
        let [one, two, three] = [0, 1, 2].map(|index| groups(3).swap_remove(index));
        probe.piece(true, vec![one.clone(), two.clone()]).await;
        let begun = setup.next().await;
        assert_eq!((begun.piece, begun.whole, begun.groups.len()), (true, false, 2));
        failed_then_rebuilt(&probe, async || probe.fail(Retry::Backoff).await).await;
        assert_eq!(provider(&setup, 0).status.presence, Presence::Unsynced);
        assert!(setup.updates.try_recv().is_err(), "a failure changes no group");

        probe.wait_runs(2).await;
        for (first, group) in [(true, two.clone()), (false, three.clone())] {
            probe.piece(first, vec![group]).await;
            let begun = setup.next().await;
            assert_eq!((begun.piece, begun.whole, begun.groups.len()), (true, false, 1));
        }
        probe.pieced(&["elsewhere"]).await;
        let whole = setup.next().await;
        assert_eq!((whole.piece, whole.whole, whole.groups.len(), whole.told.len()), (false, true, 0, 2));
        assert!(!whole.told.contains(&one.id().source), "what the first run has said goes");
        let status = provider(&setup, 0).status;
        assert_eq!((status.presence, status.groups, status.unread.len()), (Presence::Stale, 2, 1));

        // A later picture is a difference, and what it lacks is gone only with its end.
        probe.piece(true, vec![two]).await;
        probe.changed(vec![one.clone()]).await;
        let changed = setup.next().await;
        assert_eq!((changed.whole, changed.piece, sources(&changed)), (false, false, vec![&*one.source]));
        probe.pieced(&[]).await;
        let update = setup.next().await;
        assert_eq!((update.whole, update.gone), (false, vec![three.id()]));
        setup.end().await;
    });
}

#[test]
fn the_error_decides_when_to_build_again() {
    leak_checked(|| async {
        let (probe, config) = fake::mechanism("a");
        let mut setup = Setup::new();
        setup.apply(&[("one", &[&config])]).await;
        probe.wait_runs(1).await;
        let wait = Duration::from_secs(1800);
        probe.fail(Retry::After(wait)).await;
        let waited = advance_until(2 * wait, || probe.builds() == 2).await;
        assert!(waited >= wait - Duration::from_secs(1), "built again after {waited:?}");
        setup.end().await;
    });
}

#[test]
fn machines_with_one_configuration_build_again_at_different_times() {
    leak_checked(|| async {
        let mut waits = Vec::new();
        for machine in ["a", "b", "a"] {
            let (probe, config) = fake::mechanism("same");
            let mut setup = Setup::on(machine);
            setup.apply(&[("one", &[&config])]).await;
            probe.wait_runs(1).await;
            probe.fail(Retry::Backoff).await;
            waits.push(advance_until(Duration::from_secs(2), || probe.builds() == 2).await);
            setup.end().await;
        }
        // A discoverer is built on another thread: it may be seen a step of the clock later.
        let apart = |one: usize, other: usize| waits[one].abs_diff(waits[other]) > Duration::from_millis(2);
        assert!(apart(0, 1), "{waits:?}");
        assert!(!apart(0, 2), "a machine keeps to its own times: {waits:?}");
    });
}

#[test]
fn a_discoverer_that_panics_or_returns_is_built_again() {
    leak_checked(|| async {
        for panics in [true, false] {
            let (probe, config) = fake::mechanism("a");
            let mut setup = Setup::new();
            setup.apply(&[("one", &[&config])]).await;
            let end = async || if panics { probe.panic().await } else { probe.end().await };
            failed_then_rebuilt(&probe, end).await;
            let code = provider(&setup, 0).status.last_error.map(|failure| failure.report.code);
            assert_eq!(code.as_deref(), Some(if panics { "sd_panicked" } else { "sd_ended_unasked" }));
            setup.end().await;
        }
    });
}

#[test]
fn pauses_grow_although_each_run_begins_well_until_one_goes_well_for_longer() {
    leak_checked(|| async {
        let (probe, config) = fake::mechanism("a");
        let mut setup = Setup::new();
        setup.apply(&[("one", &[&config])]).await;
        let mut pauses = Vec::new();
        for run in 1..=10 {
            probe.wait_runs(run).await;
            probe.everything(groups(1)).await;
            probe.fail(Retry::Backoff).await;
            pauses.push(advance_until(MINUTE, || probe.builds() == run + 1).await);
        }
        assert!(pauses[0] <= Duration::from_secs(2) && pauses[9] >= Duration::from_secs(40), "{pauses:?}");
        probe.wait_runs(11).await;
        probe.everything(groups(1)).await;
        tokio::time::sleep(2 * MINUTE).await;
        probe.fail(Retry::Backoff).await;
        let short = advance_until(MINUTE, || probe.builds() == 12).await;
        assert!(short <= Duration::from_secs(2), "after two good minutes it was built again after {short:?}");
        setup.end().await;
    });
}

#[test]
fn a_build_that_panics_costs_that_provider_an_attempt() {
    leak_checked(|| async {
        let ((bad, bad_config), (good, good_config)) = (fake::mechanism("bad"), fake::mechanism("good"));
        bad.panic_on_build(true);
        let mut setup = Setup::new();
        setup.apply(&[("one", &[&bad_config, &good_config])]).await;
        good.wait_runs(1).await;
        advance_until(MINUTE, || bad.builds() >= 2).await;
        let failing = setup.manager.directory().list().into_iter().find_map(|it| it.status.last_error);
        let report = failing.expect("the panic is told").report;
        assert_eq!(report.code, "sd_panicked");
        assert!(report.message.contains("as it was told to"), "{report}");
        bad.panic_on_build(false);
        advance_until(2 * MINUTE, || bad.runs() == 1).await;
        assert!(good.is_running());
        setup.end().await;
    });
}

#[test]
fn shared_state_that_panics_while_it_is_made_costs_those_who_need_it_an_attempt() {
    leak_checked(|| async {
        let (probe, good) = fake::mechanism("good");
        let mut setup = Setup::new();
        let jobs: Jobs = [
            (Arc::from("one"), vec![Arc::new(stubborn::Config) as Arc<dyn AnyConfig>]),
            (Arc::from("two"), vec![Arc::new(good) as Arc<dyn AnyConfig>]),
        ]
        .into();
        let plan = setup.manager.plan(jobs).await;
        setup.manager.apply(plan, Instant::now() + PATIENCE).await;
        probe.wait_runs(1).await;
        probe.everything(Vec::new()).await;
        assert_eq!(setup.next().await.provider.mechanism(), "fake");
        let error = |setup: &Setup| provider(setup, 1).status.last_error;
        advance_until(MINUTE, || error(&setup).is_some()).await;
        let failing = error(&setup).expect("the panic is told").report;
        assert!(failing.code == "sd_panicked" && failing.to_string().contains("not the first time"), "{failing}");
        assert_eq!(setup.next().await.provider.mechanism(), "stubborn", "the next attempt makes it");
        setup.end().await;
    });
}

#[test]
fn what_cannot_be_built_is_tried_again() {
    leak_checked(|| async {
        let (probe, config) = fake::mechanism("a");
        probe.refuse_builds(Some(Retry::Backoff));
        let mut setup = Setup::new();
        setup.apply(&[("one", &[&config])]).await;
        advance_until(MINUTE, || probe.builds() >= 2).await;
        assert_eq!(provider(&setup, 0).status.presence, Presence::Unsynced);
        probe.refuse_builds(None);
        advance_until(2 * MINUTE, || probe.runs() == 1).await;
        setup.end().await;
    });
}
