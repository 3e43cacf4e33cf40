//! What providers follow, and who shares it.

use std::collections::BTreeMap;

use rosterd_discovery::{Watch, WatchState, WatchStatus};

use super::*;

#[derive(Debug)]
struct Pods(usize);

impl Watch for Pods {
    fn status(&self) -> WatchStatus {
        WatchStatus {
            resource: "pods".into(),
            scope: None,
            selectors: Vec::new(),
            state: WatchState::Watching,
            objects: self.0,
            last_heard: None,
            lists: BTreeMap::new(),
            last_error: None,
            next_try: None,
        }
    }
}

/// Of each provider: which watch, of what, for whom.
fn shown(setup: &Setup) -> Vec<Vec<(usize, usize, String)>> {
    let list = setup.manager.directory().list();
    let of = |provider: &rosterd_discovery::ProviderStatus| {
        provider.watches.iter().map(|it| (it.number, it.status.objects, it.jobs.join(" "))).collect()
    };
    list.iter().map(of).collect()
}

#[test]
fn a_watch_is_shown_with_all_jobs_that_share_it_and_as_long_as_it_is_used() {
    leak_checked(|| async {
        let ((one, one_config), (two, two_config)) = (fake::mechanism("one"), fake::mechanism("two"));
        let mut setup = Setup::new();
        setup.apply(&[("x", &[&one_config]), ("y", &[&one_config, &two_config]), ("z", &[&two_config])]).await;
        let (shared, own): (Arc<dyn Watch>, Arc<dyn Watch>) = (Arc::new(Pods(5)), Arc::new(Pods(7)));
        let both = || vec![Arc::downgrade(&shared), Arc::downgrade(&own), Arc::downgrade(&shared)];
        one.follow(vec![Arc::downgrade(&shared)]).await;
        two.follow(both()).await;
        let mut all = shown(&setup);
        // Providers stand in the order of their keys, which are hashes.
        all.sort_by_key(Vec::len);
        let [alone, with] = &all[..] else { panic!("{all:?}") };
        let shared_by_all = |it: &(usize, usize, String)| (it.1, &*it.2) == (5, "x y z");
        assert!(alone.len() == 1 && shared_by_all(&alone[0]), "{all:?}");
        assert!(with.len() == 2 && shared_by_all(&with[0]) && (with[1].1, &*with[1].2) == (7, "y z"), "{all:?}");
        assert!(alone[0].0 == with[0].0 && with[0].0 != with[1].0, "{all:?}");
        drop(own);
        assert_eq!(shown(&setup).concat().len(), 2, "what is gone is not kept for being shown");
        // The next run says anew what it follows.
        failed_then_rebuilt(&one, async || one.fail(Retry::Backoff).await).await;
        assert_eq!(shown(&setup).concat().len(), 1);
        setup.end().await;
    });
}
