//! What outlives the process, with the real roster and a store that is slow or fails.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use rosterd_discovery::Update;
use rosterd_model::TargetGroup;
use rosterd_model::relabel::Rules;
use rosterd_tasks::Stopper;
use rosterd_testkit::{eventually_ok, everything, leak_checked};
use tokio::sync::{Semaphore, mpsc};

use super::*;
use crate::roster::archive::{Archive, Edit};
use crate::roster::metrics::Metrics;
use crate::roster::step::RosterNews;
use crate::roster::{Clock, JobSpec, Limits, Roster, RosterHandle};
use crate::store::MemoryBlocks;

const GRACE: Duration = Duration::from_secs(300);
/// A little longer than what no job uses is kept.
const DAY: Duration = Duration::from_secs(24 * 3600 + 1);

/// Keeps blocks in memory; writes wait for a permit, and fail while it is broken.
#[derive(Debug)]
struct Slow {
    blocks: MemoryBlocks,
    permits: Semaphore,
    broken: AtomicBool,
}

impl Slow {
    fn new() -> Arc<Self> {
        Arc::new(Self { blocks: MemoryBlocks::new(), permits: Semaphore::new(0), broken: AtomicBool::new(false) })
    }
}

#[async_trait]
impl Blocks for Slow {
    async fn apply(&self, changes: Vec<BlocksChange>) -> Result<(), StoreError> {
        self.permits.acquire().await.expect("it stays open").forget();
        if self.broken.load(Ordering::Relaxed) {
            let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
            return Err(StoreError::Full { path: "x".into(), source });
        }
        self.blocks.apply(changes).await
    }

    async fn providers(&self) -> Result<Vec<String>, StoreError> {
        self.blocks.providers().await
    }

    async fn blocks(&self, provider: &str, from: u64, limit: usize) -> Result<Vec<store::Block>, StoreError> {
        self.blocks.blocks(provider, from, limit).await
    }
}

struct Running {
    stopper: Stopper,
    updates: mpsc::Sender<Update>,
    roster: RosterHandle,
    store: Arc<Slow>,
    metrics: prometheus::Registry,
}

impl Running {
    async fn start(store: &Arc<Slow>, jobs: &[(&str, &str)]) -> Self {
        let stopper = Stopper::new();
        let registry = prometheus::Registry::new();
        let metrics = Metrics::register(&registry).expect("the registry is empty");
        let (updates, received) = mpsc::channel(1);
        let blocks: Arc<dyn Blocks> = Arc::clone(store) as _;
        let roster = Roster::start(&stopper, blocks, metrics, Clock::system(), received);
        let running = Self { stopper, updates, roster, store: Arc::clone(store), metrics: registry };
        running.set_jobs(jobs).await;
        running
    }

    async fn set_jobs(&self, jobs: &[(&str, &str)]) {
        self.roster.set_jobs(jobs.iter().map(|(name, provider)| job(name, provider)).collect(), GRACE).await;
    }

    async fn report(&self, provider: &str, addresses: &[&str]) {
        let mut views = self.roster.watch();
        views.mark_unchanged();
        let targets = addresses.iter().map(|it| [("__address__", *it)].into_iter().collect()).collect();
        let group = TargetGroup { source: "s".into(), targets, ..TargetGroup::default() };
        let groups = if addresses.is_empty() { Vec::new() } else { vec![group] };
        self.updates.send(everything(ProviderKey::new(provider), groups)).await.expect("the roster runs");
        views.changed().await.expect("the roster runs");
    }

    /// The instances of a job; `None` if they may not be handed out.
    fn served(&self, job: &str) -> Option<Vec<String>> {
        let view = self.roster.view();
        let job = view.job(job).expect("the job exists");
        job.servable().ok()?;
        Some(job.targets().map(|slot| slot.labels.get("instance").unwrap_or_default().to_owned()).collect())
    }

    /// The value of a metric of a provider.
    fn metric(&self, name: &str, provider: &str) -> Option<f64> {
        let families = self.metrics.gather();
        let family = families.iter().find(|family| family.name() == name)?;
        let is_its = |metric: &&prometheus::proto::Metric| metric.get_label().iter().any(|it| it.value() == provider);
        family.get_metric().iter().find(is_its).map(|metric| metric.get_gauge().get_value())
    }

    /// How many writes failed.
    fn store_failures(&self) -> f64 {
        let families = self.metrics.gather();
        let family = families.iter().find(|family| family.name() == "rosterd_roster_store_failures_total");
        family.expect("it is registered").get_metric()[0].get_counter().get_value()
    }

    /// Lets so many writes happen, and waits until the store has what `wanted` says.
    async fn write(&self, writes: usize, wanted: &[&str]) {
        self.store.permits.add_permits(writes);
        let look = async || {
            let there = self.store.providers().await.expect("it can be read");
            if there == wanted { Ok(()) } else { Err(format!("{there:?}")) }
        };
        eventually_ok(Duration::from_secs(600), "it is written", look).await;
    }

    /// Ends; the last write is let happen.
    async fn stop(self) {
        self.store.permits.add_permits(1);
        assert!(self.stopper.stop(Duration::from_secs(5)).await.is_empty());
        self.store.permits.forget_permits(usize::MAX >> 4);
    }
}

fn job(name: &str, provider: &str) -> JobSpec {
    JobSpec {
        name: name.into(),
        rules: Rules::compile(&[], Default::default()).expect("no rules compile"),
        defaults: [("job", name), ("__scrape_interval__", "1m"), ("__scrape_timeout__", "10s")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        interval: "1m".to_owned(),
        timeout: "10s".to_owned(),
        params: BTreeMap::new(),
        limits: Limits::default(),
        keeping: Default::default(),
        providers: vec![ProviderKey::new(provider)],
    }
}

fn list(instances: &[&str]) -> Option<Vec<String>> {
    Some(instances.iter().map(|instance| (*instance).to_owned()).collect())
}

#[test]
fn a_provider_that_comes_back_before_its_deletion_was_written_is_not_known_to_be_empty() {
    leak_checked(async || {
        let store = Slow::new();
        let it = Running::start(&store, &[("a", "p/1")]).await;
        it.report("p/1", &["h:1"]).await;
        it.write(1, &["p/1"]).await;
        it.set_jobs(&[]).await;
        // What is to be written waits, on its way to the store, also when the day is over.
        tokio::time::sleep(Duration::from_secs(10)).await;
        it.set_jobs(&[("a", "p/1")]).await;
        assert_eq!(it.served("a"), list(&["h:1"]), "it is kept for a day");
        it.set_jobs(&[]).await;
        tokio::time::sleep(DAY).await;
        it.set_jobs(&[("a", "p/1")]).await;
        assert_eq!(it.served("a"), None, "it was forgotten");
        it.write(2, &[]).await;
        assert_eq!(it.served("a"), None);
        it.stop().await;
        let it = Running::start(&store, &[("a", "p/1")]).await;
        assert_eq!(it.served("a"), None, "nor does a restart find it empty");
        it.stop().await;
    });
}

#[test]
fn what_waits_to_be_written_is_restored_as_what_is_stored() {
    leak_checked(async || {
        let store = Slow::new();
        let it = Running::start(&store, &[("a", "p/1"), ("b", "p/1")]).await;
        it.report("p/1", &["h:1"]).await;
        let (outbox, key) = (Outbox::default(), ProviderKey::new("p/1"));
        it.write(1, &["p/1"]).await;
        let stored = outbox.load(&*store, &key, &[]).await.expect("it can be read").expect("it was written");
        // Over what is stored: another head, without a block.
        let jobs: BTreeSet<Arc<str>> = ["c".into()].into();
        let head = Head { jobs: jobs.clone(), ..Head::default() };
        let gone = stored.blocks.keys().map(|id| (key.clone(), *id, None)).collect();
        let mut effect = Effect::default();
        (effect.heads, effect.blocks) = (vec![(key.clone(), head)], gone);
        outbox.leave(&mut effect);
        for _ in 0..2 {
            let found = outbox.load(&*store, &key, &[]).await.expect("it can be read").expect("it reported");
            assert_eq!((&found.head.jobs, found.blocks.len()), (&jobs, 0));
            assert_eq!(
                outbox.head(&*store, &key, &[]).await.expect("it can be read").map(|head| head.jobs),
                Some(jobs.clone())
            );
            store.permits.add_permits(1);
            outbox.write(&*store).await.expect("the store takes it");
        }
        effect.forgotten.push(key.clone());
        outbox.leave(&mut effect);
        assert!(outbox.load(&*store, &key, &[]).await.expect("it can be read").is_none());
        assert!(outbox.providers(&*store).await.expect("it can be read").is_empty());
        it.stop().await;
    });
}

#[test]
fn what_is_restored_counts_as_known_until_nobody_uses_it() {
    leak_checked(async || {
        let store = Slow::new();
        let it = Running::start(&store, &[("a", "p/1"), ("b", "p/2")]).await;
        let shown = |it: &Running, provider: &str| {
            ["rosterd_discovery_synced", "rosterd_discovery_targets"].map(|name| it.metric(name, provider))
        };
        assert_eq!(shown(&it, "p/1"), [Some(0.0), Some(0.0)], "zeros are visible");
        it.report("p/1", &["h:1", "h:2"]).await;
        it.write(1, &["p/1"]).await;
        it.stop().await;
        let it = Running::start(&store, &[("a", "p/1"), ("b", "p/2")]).await;
        assert_eq!((shown(&it, "p/1"), shown(&it, "p/2")), ([Some(1.0), Some(2.0)], [Some(0.0), Some(0.0)]));
        it.report("p/1", &["h:1"]).await;
        assert_eq!(shown(&it, "p/1"), [Some(1.0), Some(1.0)]);
        it.set_jobs(&[("b", "p/2")]).await;
        assert_eq!(shown(&it, "p/1"), [None, None]);
        it.write(9, &["p/1"]).await;
        it.stop().await;
    });
}

#[test]
fn a_failure_of_the_store_loses_nothing() {
    leak_checked(async || {
        let store = Slow::new();
        let it = Running::start(&store, &[("a", "p/1")]).await;
        store.broken.store(true, Ordering::Relaxed);
        it.report("p/1", &["h:1"]).await;
        it.write(1, &[]).await;
        tokio::time::sleep(Duration::from_secs(120)).await;
        it.report("p/1", &["h:2"]).await;
        assert_eq!(it.store_failures(), 1.0, "whoever watches the metrics is told");
        store.broken.store(false, Ordering::Relaxed);
        it.write(2, &["p/1"]).await;
        it.stop().await;
        let it = Running::start(&store, &[("a", "p/1")]).await;
        assert_eq!(it.served("a"), list(&["h:2"]));
        it.stop().await;
    });
}

#[test]
fn a_restart_in_the_middle_of_a_reload_loses_no_target() {
    leak_checked(async || {
        let store = Slow::new();
        let it = Running::start(&store, &[("a", "p/1")]).await;
        it.report("p/1", &["h:1"]).await;
        it.write(1, &["p/1"]).await;
        it.set_jobs(&[("a", "q/2"), ("b", "q/2")]).await;
        it.stop().await;
        let it = Running::start(&store, &[("a", "q/2"), ("b", "q/2")]).await;
        assert_eq!((it.served("a"), it.served("b")), (None, None));
        // Past its time of grace; the timer is the roster's own.
        tokio::time::sleep(GRACE + Duration::from_secs(1)).await;
        assert_eq!((it.served("a"), it.served("b")), (list(&["h:1"]), None));
        it.report("q/2", &[]).await;
        assert_eq!((it.served("a"), it.served("b")), (list(&[]), list(&[])));
        it.write(9, &["p/1", "q/2"]).await;
        it.stop().await;
    });
}

#[test]
fn a_configuration_that_changed_over_a_restart_holds_or_adopts_what_its_jobs_used() {
    leak_checked(async || {
        let store = Slow::new();
        let it = Running::start(&store, &[("a", "p/1"), ("b", "p/7"), ("c", "p/8")]).await;
        for (provider, address) in [("p/1", "h:1"), ("p/7", "h:7"), ("p/8", "h:8")] {
            it.report(provider, &[address]).await;
        }
        it.write(3, &["p/1", "p/7", "p/8"]).await;
        it.stop().await;
        // Another token; another interval; no such job any more.
        let it = Running::start(&store, &[("a", "p/2"), ("b", "p/7-2")]).await;
        assert_eq!((it.served("a"), it.served("b")), (None, list(&["h:7"])));
        let held = it.roster.view().job("a").expect("the job exists").pages().held();
        assert_eq!(held, 1);
        it.write(9, &["p/1", "p/7", "p/7-2", "p/8"]).await;
        it.report("p/2", &["h:2"]).await;
        it.write(9, &["p/1", "p/2", "p/7", "p/7-2", "p/8"]).await;
        tokio::time::sleep(DAY).await;
        it.write(9, &["p/2", "p/7-2"]).await;
        it.stop().await;
    });
}

#[test]
fn a_failed_write_is_tried_again_although_nothing_changes() {
    leak_checked(async || {
        let store = Slow::new();
        let it = Running::start(&store, &[("a", "p/1")]).await;
        store.broken.store(true, Ordering::Relaxed);
        it.report("p/1", &["h:1"]).await;
        it.write(1, &[]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(it.store_failures(), 1.0);
        store.broken.store(false, Ordering::Relaxed);
        it.write(1, &["p/1"]).await;
        it.stop().await;
    });
}

#[test]
fn what_is_on_its_way_to_the_store_is_restored_and_what_came_meanwhile_outlives_a_failed_write() {
    leak_checked(async || {
        let store = Slow::new();
        let it = Running::start(&store, &[("a", "p/1")]).await;
        store.broken.store(true, Ordering::Relaxed);
        it.report("p/1", &["h:1"]).await;
        // The write has begun, and does not end.
        tokio::time::sleep(Duration::from_secs(10)).await;
        it.set_jobs(&[]).await;
        it.set_jobs(&[("a", "p/1")]).await;
        assert_eq!(it.served("a"), list(&["h:1"]));
        it.report("p/1", &["h:2"]).await;
        it.store.permits.add_permits(1);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(it.store_failures(), 1.0);
        store.broken.store(false, Ordering::Relaxed);
        it.write(2, &["p/1"]).await;
        it.stop().await;
        let it = Running::start(&store, &[("a", "p/1")]).await;
        assert_eq!(it.served("a"), list(&["h:2"]));
        it.stop().await;
    });
}

#[test]
fn who_reads_the_same_data_in_another_job_begins_with_what_is_stored() {
    leak_checked(async || {
        let store = Slow::new();
        let it = Running::start(&store, &[("a", "p/1-2")]).await;
        it.report("p/1-2", &["h:1"]).await;
        it.write(1, &["p/1-2"]).await;
        it.stop().await;
        let it = Running::start(&store, &[("b", "p/1")]).await;
        assert_eq!(it.served("b"), list(&["h:1"]));
        it.write(9, &["p/1", "p/1-2"]).await;
        it.stop().await;
    });
}

#[test]
fn who_follows_is_told_of_a_change_and_not_of_everything() {
    leak_checked(async || {
        let store = Slow::new();
        let it = Running::start(&store, &[("a", "p/1")]).await;
        let mut steps = it.roster.steps();
        assert!(matches!(steps.next().await, Some(RosterNews::Picture(_))));
        it.report("p/1", &["h:1"]).await;
        let news = steps.next().await;
        assert!(matches!(&news, Some(RosterNews::Step(step)) if step.jobs.len() == 1), "{news:?}");
        it.stop().await;
    });
}

fn block() -> Arc<Block> {
    let targets = vec![[("__address__", "h:1")].into_iter().collect()];
    let group = TargetGroup { source: "s".into(), targets, ..TargetGroup::default() };
    let changes = Archive::default().apply(&Edit { groups: vec![group], ..Edit::default() });
    changes.into_iter().find_map(|change| change.after).expect("a group is in a block")
}

#[test]
fn what_waits_goes_with_its_provider() {
    let key = ProviderKey::new("p/1");
    let mut changes = Changes {
        heads: BTreeMap::from([(key.clone(), Head::default())]),
        blocks: BTreeMap::from([((key.clone(), 1), Some(block()))]),
        ..Changes::default()
    };
    changes.extend(Changes { forgotten: BTreeSet::from([key]), ..Changes::default() });
    let changes = changes.to_write();
    assert!(matches!(&changes[..], [BlocksChange::DeleteProvider(_)]), "{changes:?}");
}

#[test]
fn all_that_is_stored_of_a_provider_is_restored_or_nothing() {
    leak_checked(async || {
        let (store, key) = (MemoryBlocks::new(), ProviderKey::new("p/1"));
        let put = async |id, bytes: Vec<u8>| {
            let blocks = vec![store::Block { id, bytes: bytes.into() }];
            store.apply(vec![BlocksChange::Put { provider: key.shared(), blocks }]).await.expect("memory takes all");
        };
        put(HEAD, Head::default().to_bytes()).await;
        for id in 1..=700 {
            put(id, block().to_bytes()).await;
        }
        let load = async || Outbox::default().load(&store, &key, &[]).await.expect("memory can be read");
        assert_eq!(load().await.map(|stored| stored.blocks.len()), Some(700));
        put(333, b"damaged".to_vec()).await;
        assert!(load().await.is_none(), "half of it would pass for all there is");
    });
}

#[test]
fn what_a_job_kept_and_cannot_be_read_is_forgotten_before_it_keeps_more() {
    leak_checked(async || {
        let kept = "+kept/1/a/p/1";
        // A start with the job, and one without it before a reload.
        let both = [("a", "p/1"), ("b", "q/1")];
        for (first, then) in [(&both[..1], None), (&both[1..], Some(&both[..]))] {
            let store = Slow::new();
            let head = Head { jobs: [Arc::<str>::from("a")].into(), kept: Some("p/1".into()), ..Head::default() };
            let blocks = [(HEAD, head.to_bytes()), (1, b"damaged".to_vec()), (200, block().to_bytes())];
            let blocks = Vec::from(blocks.map(|(id, bytes)| store::Block { id, bytes: bytes.into() }));
            let put = BlocksChange::Put { provider: kept.into(), blocks };
            store.blocks.apply(vec![put]).await.expect("memory takes all");
            let it = Running::start(&store, first).await;
            if let Some(then) = then {
                it.set_jobs(then).await;
            }
            store.permits.add_permits(9);
            let look = async || {
                let there = store.providers().await.expect("it can be read");
                if there.iter().any(|it| it == kept) { Err(format!("{there:?}")) } else { Ok(()) }
            };
            eventually_ok(Duration::from_secs(600), "it is forgotten", look).await;
            it.stop().await;
        }
    });
}
