//! What takes long leaves the threads of the runtime: as long as there is no other thread, it is not done.

use futures_util::FutureExt;
use rosterd_testkit::BusyThreads;

use super::*;

/// More than is done in place.
const MANY: usize = 20_000;

/// Lets all tasks do what they can do now.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn plans_are_made_and_discoverers_are_built_aside() {
    leak_checked(|| async {
        let (probe, config) = fake::mechanism("a");
        let mut setup = Setup::new();
        let jobs = || Jobs::from([(Arc::from("one"), vec![Arc::new(config.clone()) as Arc<dyn AnyConfig>])]);
        let plan = setup.manager.plan(jobs()).await;
        let busy = BusyThreads::all();
        assert!(setup.manager.plan(jobs()).now_or_never().is_none());
        setup.manager.apply(plan, Instant::now() + PATIENCE).await;
        settle().await;
        assert_eq!(probe.builds(), 0);
        busy.release().await;
        probe.wait_runs(1).await;
        setup.end().await;
    });
}

#[test]
fn a_provider_whose_discoverer_is_being_built_can_be_stopped() {
    leak_checked(|| async {
        let (probe, config) = fake::mechanism("a");
        let mut setup = Setup::new();
        setup.apply(&[("one", &[&config])]).await;
        let busy = BusyThreads::all();
        settle().await;
        setup.end().await;
        assert_eq!(probe.builds(), 0);
        busy.release().await;
        // Nor afterwards: nobody wants it any more.
        rosterd_tasks::blocking(|| ()).await;
        assert_eq!(probe.builds(), 0);
    });
}

#[test]
fn a_picture_that_ends_many_groups_is_taken_aside() {
    leak_checked(|| async {
        let (probe, config) = fake::mechanism("a");
        let mut setup = Setup::new();
        setup.apply(&[("one", &[&config])]).await;
        probe.everything(groups(MANY)).await;
        setup.next().await;
        let busy = BusyThreads::all();
        probe.everything(Vec::new()).await;
        settle().await;
        assert!(setup.updates.try_recv().is_err());
        busy.release().await;
        assert_eq!(setup.next().await.gone.len(), MANY);
        setup.end().await;
    });
}

#[test]
fn a_large_update_that_waits_takes_others_in_aside() {
    leak_checked(|| async {
        let (probe, config) = fake::mechanism("a");
        let mut setup = Setup::new();
        setup.apply(&[("one", &[&config])]).await;
        let known = |setup: &Setup, count| provider(setup, 0).status.groups == count;
        probe.everything(groups(MANY)).await;
        assert!(setup.next().await.whole);
        // Nobody reads: the first update fills the channel, the second waits.
        probe.changed(vec![group("more", &["h:1"])]).await;
        probe.everything(Vec::new()).await;
        advance_until(MINUTE, || known(&setup, 0)).await;
        settle().await;
        let busy = BusyThreads::all();
        probe.changed(vec![group("other", &["h:1"])]).await;
        settle().await;
        assert!(known(&setup, 1), "little that is new is heard in place");
        assert_eq!(sources(&setup.next().await), ["more"]);
        settle().await;
        assert!(setup.updates.try_recv().is_err());
        busy.release().await;
        let merged = setup.next().await;
        assert_eq!((merged.gone.len(), sources(&merged)), (MANY + 1, vec!["other"]));
        setup.end().await;
    });
}

#[test]
fn what_nobody_took_and_what_was_known_is_let_go_aside() {
    for waits in [true, false] {
        leak_checked(|| async {
            let (probe, config) = fake::mechanism("a");
            let mut setup = Setup::new();
            setup.apply(&[("one", &[&config])]).await;
            probe.everything(groups(MANY)).await;
            setup.next().await;
            if waits {
                // The first update fills the channel, and the second, which ends all groups, waits.
                probe.changed(vec![group("more", &["h:1"])]).await;
                probe.everything(Vec::new()).await;
                advance_until(MINUTE, || provider(&setup, 0).status.groups == 0).await;
            }
            settle().await;
            let busy = BusyThreads::all();
            let Setup { manager, updates, .. } = setup;
            let mut ends = Box::pin(manager.shutdown(Instant::now() + PATIENCE));
            for _ in 0..100 {
                assert!(futures_util::poll!(&mut ends).is_pending(), "waits: {waits}");
                tokio::task::yield_now().await;
            }
            busy.release().await;
            assert!(ends.await.is_empty());
            drop(updates);
        });
    }
}
