//! The manager, driven by fake mechanisms: what is shared, what runs on, what is forwarded, and what ends.

mod aside;
mod failures;
mod metrics;
mod shared;
mod stops;
mod watches;

use std::sync::Arc;
use std::time::Duration;

use rosterd_discovery::{AnyConfig, Environment, Jobs, Manager, Mechanism, Presence, Registry, System, Update};
use rosterd_model::{Retry, TargetGroup};
use rosterd_tasks::Supervision;
use rosterd_testkit::fake::{self, Probe};
use rosterd_testkit::{addresses, advance_until, group, groups, leak_checked};
use tokio::sync::mpsc;
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);
/// How long discoverers may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

struct Setup {
    manager: Manager,
    updates: mpsc::Receiver<Update>,
    registry: prometheus::Registry,
}

impl Setup {
    fn new() -> Self {
        Self::on("host")
    }

    fn on(machine: &str) -> Self {
        let system = System::new(machine, Environment::default());
        let mechanisms =
            [Mechanism::of::<fake::Config>(), Mechanism::of::<stubborn::Config>(), Mechanism::of::<stubborn::Plain>()];
        let mechanisms = Registry::new(mechanisms, []).expect("one mechanism has one name");
        let ((sink, updates), registry) = (mpsc::channel(1), prometheus::Registry::new());
        let manager =
            Manager::new(&mechanisms, &registry, system, sink, &Supervision::default()).expect("the registry is empty");
        Self { manager, updates, registry }
    }

    async fn apply(&mut self, jobs: &[(&str, &[&fake::Config])]) -> rosterd_discovery::Applied {
        let jobs: Jobs = jobs
            .iter()
            .map(|(job, configs)| {
                let configs = configs.iter().map(|config| Arc::new((*config).clone()) as Arc<dyn AnyConfig>);
                (Arc::from(*job), configs.collect())
            })
            .collect();
        let plan = self.manager.plan(jobs).await;
        self.manager.apply(plan, Instant::now() + PATIENCE).await
    }

    async fn next(&mut self) -> Update {
        self.updates.recv().await.expect("the manager keeps its sink")
    }

    async fn end(self) {
        assert!(self.manager.shutdown(Instant::now() + PATIENCE).await.is_empty());
    }
}

fn sources(update: &Update) -> Vec<&str> {
    update.groups.iter().map(|group| &*group.source).collect()
}

fn provider(setup: &Setup, index: usize) -> rosterd_discovery::ProviderStatus {
    setup.manager.directory().list().swap_remove(index)
}

async fn failed_then_rebuilt(probe: &Probe, fail: impl AsyncFnOnce()) {
    probe.wait_runs(1).await;
    fail().await;
    advance_until(MINUTE, || probe.builds() == 2).await;
}

#[test]
fn equal_configurations_share_a_provider() {
    leak_checked(|| async {
        let (probe, config) = fake::mechanism("a");
        let mut setup = Setup::new();
        let applied = setup.apply(&[("one", &[&config, &config]), ("two", &[&config])]).await;
        assert_eq!(applied.started, 1);
        probe.wait_runs(1).await;
        let status = provider(&setup, 0);
        assert_eq!(status.jobs, [Arc::from("one"), Arc::from("two")]);
        assert_eq!((probe.builds(), status.status.presence), (1, Presence::Unsynced));
        assert_eq!(status.reads.to_string(), "name a", "people know it by what it reads");
        // One that goes on is known by it still.
        setup.apply(&[("one", &[&config])]).await;
        assert_eq!(provider(&setup, 0).reads, status.reads);
        setup.end().await;
        assert!(probe.has_ended());
    });
}

#[test]
fn what_fakes_share_is_one_for_an_agent_and_ends_after_them() {
    leak_checked(|| async {
        let ((one, one_config), (other, other_config)) = (fake::mechanism("one"), fake::mechanism("other"));
        let (mut setup, mut second) = (Setup::new(), Setup::new());
        setup.apply(&[("job", &[&one_config])]).await;
        one.wait_runs(1).await;
        let shared = one.shared().expect("a discoverer was built");
        setup.apply(&[("job", &[&other_config])]).await;
        other.wait_runs(1).await;
        assert!(one.has_ended() && Arc::ptr_eq(&shared, &other.shared().expect("a discoverer was built")));
        assert_eq!((shared.users(), shared.ended_with()), (1, None), "it stays through reloads");
        second.apply(&[("job", &[&one_config])]).await;
        one.wait_runs(2).await;
        assert!(!Arc::ptr_eq(&shared, &one.shared().expect("a discoverer was built")), "another agent has its own");
        setup.end().await;
        assert_eq!(shared.ended_with(), Some(0), "it ends, and only after all who use it");
        second.end().await;
    });
}

#[test]
fn a_configuration_that_differs_only_in_how_it_reads_is_another_provider_with_the_same_data() {
    leak_checked(|| async {
        let (probe, config) = fake::mechanism("a");
        let changed = fake::Config { revision: 1, ..config.clone() };
        let mut setup = Setup::new();
        setup.apply(&[("one", &[&config])]).await;
        probe.wait_runs(1).await;
        let before = provider(&setup, 0).key;
        let applied = setup.apply(&[("one", &[&changed])]).await;
        assert_eq!((applied.started, applied.stopped), (1, 1));
        assert_eq!(provider(&setup, 0).key, before, "the keys of a configuration do not tell what was before it");
        setup.apply(&[("one", &[&config]), ("two", &[&changed])]).await;
        let keys: Vec<_> = setup.manager.directory().list().into_iter().map(|it| (it.key, it.jobs)).collect();
        let second = rosterd_discovery::ProviderKey::new(format!("{before}-2"));
        assert_eq!((second.data(), keys.len()), (before.as_str(), 2));
        assert_eq!(keys, [(before.clone(), vec!["one".into()]), (second, vec!["two".into()])]);
        setup.end().await;
    });
}

#[test]
fn a_reload_touches_only_what_it_changes() {
    leak_checked(|| async {
        let (kept, kept_config) = fake::mechanism("kept");
        let (gone, gone_config) = fake::mechanism("gone");
        let (new, new_config) = fake::mechanism("new");
        let mut setup = Setup::new();
        setup.apply(&[("one", &[&kept_config, &gone_config])]).await;
        kept.wait_runs(1).await;
        gone.wait_runs(1).await;
        let applied = setup.apply(&[("one", &[&kept_config]), ("two", &[&new_config])]).await;
        assert_eq!((applied.started, applied.stopped, applied.stragglers.len()), (1, 1, 0));
        assert!(gone.has_ended(), "a stopped discoverer has ended when apply returns");
        new.wait_runs(1).await;
        assert_eq!((kept.builds(), kept.is_running()), (1, true));
        setup.end().await;
    });
}

#[test]
fn the_first_picture_is_whole_and_what_follows_is_news() {
    leak_checked(|| async {
        let (probe, config) = fake::mechanism("a");
        let mut setup = Setup::new();
        setup.apply(&[("one", &[&config])]).await;
        probe.everything(groups(3)).await;
        let first = setup.next().await;
        assert_eq!((first.whole, first.groups.len()), (true, 3));
        probe.everything(groups(3)).await;
        probe.changed(groups(2)).await;
        probe.unchanged().await;
        probe.changed(vec![group("other", &["h:1"])]).await;
        let second = setup.next().await;
        assert_eq!((second.whole, sources(&second)), (false, vec!["other"]), "equal groups are no news");
        let status = provider(&setup, 0).status;
        assert_eq!((status.presence, status.groups), (Presence::Synced, 4));
        setup.end().await;
    });
}

#[test]
fn who_asks_is_told_of_each_reading_of_everything() {
    leak_checked(|| async {
        let (probe, config) = fake::mechanism("a");
        let mut setup = Setup::new();
        setup.apply(&[("one", &[&config])]).await;
        probe.everything(groups(3)).await;
        let first = setup.next().await;
        assert!(first.read && !first.attention.is_wanted() && !first.attention.polls());
        first.attention.want(true);
        probe.changed(groups(2)).await;
        probe.unread(&["0"]).await;
        let second = setup.next().await;
        assert_eq!((second.read, second.unread.len()), (false, 1), "only some were looked at");
        for reading in [2, 3] {
            match reading {
                2 => probe.everything(groups(3)).await,
                _ => probe.unchanged().await,
            }
            let again = setup.next().await;
            assert_eq!((again.read, again.whole, again.groups.len()), (true, false, 0), "reading {reading}");
        }
        first.attention.want(false);
        probe.unchanged().await;
        probe.changed(vec![group("other", &["h:1"])]).await;
        assert_eq!(sources(&setup.next().await), ["other"]);
        setup.end().await;
    });
}

#[test]
fn an_empty_first_picture_is_forwarded() {
    leak_checked(|| async {
        let (probe, config) = fake::mechanism("a");
        let mut setup = Setup::new();
        setup.apply(&[("one", &[&config])]).await;
        probe.everything(vec![]).await;
        let update = setup.next().await;
        assert!(update.whole && update.groups.is_empty());
        setup.end().await;
    });
}

#[test]
fn a_storm_is_coalesced_and_loses_nothing() {
    leak_checked(|| async {
        let (probe, config) = fake::mechanism("a");
        let mut setup = Setup::new();
        setup.apply(&[("one", &[&config])]).await;
        // Nobody reads: the first update fills the channel, the others wait as one.
        probe.everything(vec![]).await;
        for number in 0..50 {
            probe.changed(vec![group("s", &[&format!("h:{number}")]), group(&format!("s{number}"), &["h:1"])]).await;
        }
        let mut received = Vec::new();
        let mut known = std::collections::BTreeMap::new();
        while known.len() < 51 {
            let update = setup.next().await;
            received.push(update.groups.len());
            known.extend(update.groups.into_iter().map(|group| (group.source.clone(), group)));
        }
        let newest: Vec<TargetGroup> = known.into_values().filter(|group| &*group.source == "s").collect();
        assert_eq!(addresses(&newest), ["h:49".to_owned()].into());
        assert!(received.len() < 50, "{} updates for a storm of 50", received.len());
        setup.end().await;
    });
}

/// The unread sources of an update, those that were never read in brackets.
fn unread(update: &Update) -> Vec<String> {
    let shown = |(name, known): (&Arc<str>, bool)| if known { name.to_string() } else { format!("({name})") };
    update.unread.iter().map(|(name, unread)| shown((name, unread.known))).collect()
}

#[test]
fn a_source_that_cannot_be_read_hides_no_other_and_is_told_until_it_can() {
    leak_checked(|| async {
        let (probe, config) = fake::mechanism("a");
        let mut setup = Setup::new();
        setup.apply(&[("one", &[&config])]).await;
        let (a, b) = (|address| group("a", &[address]), || group("b", &["b:1"]));

        probe.everything_but(vec![a("a:1")], &["b"]).await;
        let first = setup.next().await;
        assert_eq!((first.whole, sources(&first), unread(&first)), (true, vec!["a"], vec!["(b)".to_owned()]));
        let status = provider(&setup, 0).status;
        assert_eq!((status.presence, &*status.worst().expect("b fails").report.code), (Presence::Stale, "sd_fake"));

        probe.changed(vec![a("a:2")]).await;
        let changed = setup.next().await;
        assert_eq!((sources(&changed), unread(&changed)), (vec!["a"], vec!["(b)".to_owned()]));

        probe.changed(vec![b()]).await;
        let read = setup.next().await;
        assert_eq!((sources(&read), unread(&read)), (vec!["b"], vec![]));
        assert_eq!(provider(&setup, 0).status.presence, Presence::Synced);

        probe.unread(&["b"]).await;
        let stale = setup.next().await;
        assert_eq!((stale.groups.len(), stale.gone.len(), unread(&stale)), (0, 0, vec!["b".to_owned()]));

        probe.everything_but(vec![], &["b"]).await;
        let gone = setup.next().await;
        assert_eq!((gone.gone, gone.unread.len()), (vec![a("a:2").id()], 1));
        assert_eq!(provider(&setup, 0).status.groups, 1, "what is stale stays");

        probe.unchanged().await;
        assert_eq!(unread(&setup.next().await), Vec::<String>::new());
        setup.end().await;
    });
}

#[test]
fn all_of_a_provider_was_read_when_its_last_source_was() {
    leak_checked(|| async {
        let (probe, config) = fake::mechanism("a");
        let mut setup = Setup::new();
        setup.apply(&[("one", &[&config])]).await;
        let status = |setup: &Setup| provider(setup, 0).status;
        probe.everything_but(groups(2), &["b"]).await;
        setup.next().await;
        probe.changed(vec![group("a", &["a:1"])]).await;
        setup.next().await;
        assert_eq!(status(&setup).last_success, None, "other sources do not make up for it");
        probe.changed(vec![group("b", &["b:1"])]).await;
        setup.next().await;
        let read = status(&setup).last_success;
        assert!(read.is_some());
        probe.unread(&["b"]).await;
        setup.next().await;
        probe.changed(vec![group("a", &["a:2"])]).await;
        setup.next().await;
        assert_eq!(status(&setup).last_success, read, "what is known is as old as its oldest part");
        setup.end().await;
    });
}

#[test]
fn a_failure_is_told_with_its_last_time_and_its_first() {
    leak_checked(|| async {
        let (probe, config) = fake::mechanism("a");
        let mut setup = Setup::new();
        setup.apply(&[("one", &[&config])]).await;
        probe.everything_but(groups(1), &["b"]).await;
        setup.next().await;
        let first = provider(&setup, 0).status.worst().expect("b fails");
        assert_eq!(first.at, first.since);
        let is_later = |setup: &Setup| {
            let worst = provider(setup, 0).status.worst().expect("it fails");
            assert_eq!(worst.since, first.since);
            worst.at > first.at
        };
        // The calendar is the system's: it may take some words until it shows another time.
        while !is_later(&setup) {
            probe.unread(&["b"]).await;
        }
        probe.changed(vec![TargetGroup::gone("b")]).await;
        setup.next().await;
        probe.report_failure(Retry::Backoff).await;
        let whole = |setup: &Setup| provider(setup, 0).status.last_error.clone();
        advance_until(MINUTE, || whole(&setup).is_some()).await;
        let first = whole(&setup).expect("it failed");
        while whole(&setup).is_none_or(|failure| failure.at == first.at) {
            probe.report_failure(Retry::Backoff).await;
        }
        assert_eq!(whole(&setup).expect("it fails").since, first.since);
        setup.end().await;
    });
}

#[test]
fn a_discoverer_that_is_built_again_knows_what_was_read_before() {
    leak_checked(|| async {
        let (probe, config) = fake::mechanism("a");
        let mut setup = Setup::new();
        setup.apply(&[("one", &[&config])]).await;
        probe.everything_but(groups(2), &["b"]).await;
        setup.next().await;
        failed_then_rebuilt(&probe, async || probe.fail(Retry::Backoff).await).await;
        probe.everything_but(vec![], &["0", "b"]).await;
        let update = setup.next().await;
        assert_eq!((update.whole, unread(&update)), (false, vec!["0".to_owned(), "(b)".to_owned()]));
        assert_eq!(update.gone, [groups(2)[1].id()]);
        setup.end().await;
    });
}

#[test]
fn nothing_but_failures_is_no_report() {
    leak_checked(|| async {
        let (probe, config) = fake::mechanism("a");
        let mut setup = Setup::new();
        setup.apply(&[("one", &[&config])]).await;
        probe.everything_but(vec![], &["a", "b"]).await;
        let update = setup.next().await;
        assert_eq!((update.whole, unread(&update)), (true, vec!["(a)".to_owned(), "(b)".to_owned()]));
        assert_eq!(provider(&setup, 0).status.presence, Presence::Unsynced);
        setup.end().await;
    });
}

#[test]
fn of_two_providers_of_a_job_one_that_is_down_hides_nothing_of_the_other() {
    leak_checked(|| async {
        let ((up, up_config), (down, down_config)) = (fake::mechanism("up"), fake::mechanism("down"));
        let mut setup = Setup::new();
        setup.apply(&[("one", &[&up_config, &down_config])]).await;
        down.report_failure(Retry::Backoff).await;
        up.everything(groups(2)).await;
        let update = setup.next().await;
        assert_eq!((update.whole, update.groups.len()), (true, 2));
        let presences: Vec<_> = setup.manager.directory().list().iter().map(|it| it.status.presence).collect();
        assert!(presences.contains(&Presence::Synced) && presences.contains(&Presence::Unsynced), "{presences:?}");
        assert!(setup.updates.try_recv().is_err(), "of the other one nothing is known, and nothing is said");
        setup.end().await;
    });
}

#[test]
fn a_large_picture_is_taken_in_aside_and_whole() {
    leak_checked(|| async {
        let (probe, config) = fake::mechanism("a");
        let mut setup = Setup::new();
        setup.apply(&[("one", &[&config])]).await;
        probe.everything(groups(20_000)).await;
        assert_eq!(setup.next().await.groups.len(), 20_000);
        probe.everything(groups(19_999)).await;
        let update = setup.next().await;
        assert_eq!((update.groups.len(), update.gone.len()), (0, 1));
        setup.end().await;
    });
}

/// A mechanism whose shared state cannot be made the first time, and one that shares none.
mod stubborn {
    use std::sync::atomic::{AtomicBool, Ordering};

    use async_trait::async_trait;
    use rosterd_discovery::{
        Build, Context, Discoverer, Error, Identity, MechanismConfig, MechanismShared, System, Updates,
    };
    use rosterd_tasks::Stopper;
    use serde::{Deserialize, Serialize};

    static TRIED: AtomicBool = AtomicBool::new(false);

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(super) struct Config;

    #[derive(Debug)]
    pub(super) struct Shared;

    impl MechanismShared for Shared {
        fn start(owner: &Stopper, _: &System) -> Self {
            let stop = owner.token().clone();
            owner.spawn_expendable("stubborn", async move { stop.cancelled().await });
            assert!(TRIED.swap(true, Ordering::Relaxed), "not the first time");
            Self
        }
    }

    struct Nothing;

    #[async_trait]
    impl Discoverer for Nothing {
        async fn run(self: Box<Self>, cx: Context, up: Updates) -> Result<(), Error> {
            up.everything(Vec::new()).await?;
            cx.stop.cancelled().await;
            Ok(())
        }
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(super) struct Plain;

    impl MechanismConfig for Plain {
        const MECHANISM: &'static str = "plain";
        type Metrics = ();
        type Shared = ();

        fn identity(&self, _: &mut Identity) {}

        fn build(&self, _: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
            Ok(Box::new(Nothing))
        }
    }

    impl MechanismConfig for Config {
        const MECHANISM: &'static str = "stubborn";
        type Metrics = ();
        type Shared = Shared;

        fn identity(&self, _: &mut Identity) {}

        fn build(&self, _: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
            Ok(Box::new(Nothing))
        }
    }
}
