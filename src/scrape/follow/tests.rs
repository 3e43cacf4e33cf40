//! The engine has what the roster has, whatever way it got there.

use std::time::Duration;

use rosterd_client::{Budget, Client, HttpClientConfig, Options};
use rosterd_config::{Cluster, StaticMembers};
use rosterd_discovery::{ProviderKey, Update};
use rosterd_exposition::{Escaping, Protocol};
use rosterd_model::TargetGroup;
use rosterd_model::relabel::Rules;
use rosterd_scrape::{Clock, Metrics, Seed, Settings, Sink, headers, ingest};
use rosterd_ship::{Block, Wants};
use rosterd_tasks::Stopper;
use rosterd_testkit::{eventually, everything, leak_checked_live, patience};
use tokio::sync::mpsc;

use super::*;
use crate::roster::{self, JobSpec, Limits, Roster, RosterHandle};
use crate::store::MemoryBlocks;

/// Takes samples and forgets them.
struct Nowhere;

impl Sink for Nowhere {
    fn wants(&self) -> Wants {
        Wants::default()
    }

    fn push(&self, _: u64, _: &Block) {}
}

struct Stage {
    stopper: Stopper,
    engine: Engine,
    metrics: Metrics,
    wanted: watch::Sender<Wanted>,
    roster: RosterHandle,
    updates: mpsc::Sender<Update>,
}

impl Stage {
    fn start() -> Self {
        let (stage, wishes) = Self::unfollowed();
        stage.follow(wishes);
        stage
    }

    /// One where nobody follows yet, and who says what is wanted.
    fn unfollowed() -> (Self, watch::Receiver<Wanted>) {
        let (stopper, registry) = (Stopper::new(), prometheus::Registry::new());
        let metrics = Metrics::register(&registry).expect("the registry is empty");
        let (sink, settings): (Arc<dyn Sink>, _) = (Arc::new(Nowhere), Settings { shards: 2, clock: Clock::system() });
        let engine = Engine::start(&settings, &sink, &metrics, &stopper);
        let (updates, received) = mpsc::channel(1);
        let counts = roster::metrics::Metrics::register(&registry).expect("the names are free");
        let blocks = Arc::new(MemoryBlocks::new());
        let roster = Roster::start(&stopper, blocks, counts, roster::Clock::system(), received);
        let (wanted, wishes) = watch::channel(None);
        (Self { stopper, engine, metrics, wanted, roster, updates }, wishes)
    }

    fn follow(&self, wishes: watch::Receiver<Wanted>) {
        let follow = follow(self.engine.clone(), wishes, self.roster.steps(), self.stopper.token().clone());
        self.stopper.spawn_essential("follower", follow);
    }

    /// The jobs of the roster, each with its provider, and the names of those that are scraped.
    async fn set_jobs(&self, jobs: &[(&str, &str)], scraped: &[&str]) {
        self.set_share(jobs, scraped, Share::default()).await;
    }

    /// The same, of whose targets this share is scraped.
    async fn set_share(&self, jobs: &[(&str, &str)], scraped: &[&str], share: Share) {
        self.roster.set_jobs(jobs.iter().map(|(name, provider)| spec(name, provider)).collect(), Duration::ZERO).await;
        let jobs = scraped.iter().map(|name| (Arc::from(*name), self.job(name)));
        self.wanted.send_replace(Some(Arc::new(ToScrape { jobs: jobs.collect(), share })));
    }

    fn job(&self, name: &str) -> Arc<Job> {
        Arc::new(Job {
            name: name.into(),
            client: Client::new(&HttpClientConfig::default(), Options::default()).expect("the defaults are good"),
            params: BTreeMap::new(),
            headers: headers(&[Protocol::PrometheusText0_0_4], Escaping::AllowUtf8, true),
            fallback: None,
            body_limit: 1 << 20,
            budget: Budget::new(1 << 20),
            honor_retry_after: Duration::ZERO,
            seed: Seed::default(),
            rules: ingest::Rules::default(),
            failure_log: None,
            metrics: self.metrics.job(name),
        })
    }

    async fn report(&self, provider: &str, numbers: std::ops::Range<u32>) {
        self.report_as(provider, numbers, "1").await;
    }

    async fn report_as(&self, provider: &str, numbers: std::ops::Range<u32>, version: &str) {
        // An interval so long that none of them is asked.
        let target = |number| {
            let address = format!("127.0.0.1:{number}");
            [("__address__", address.as_str()), ("version", version)].into_iter().collect()
        };
        let group =
            TargetGroup { source: "s".into(), targets: numbers.map(target).collect(), ..TargetGroup::default() };
        self.updates.send(everything(ProviderKey::new(provider), vec![group])).await.expect("the roster runs");
    }

    /// Waits until the engine has all targets of the roster's job, and so many in all.
    async fn has(&self, job: &str, targets: usize) {
        let statuses = self.engine.statuses();
        let agrees = || {
            let view = self.roster.view();
            let all = view.job(job).into_iter().flat_map(|job| job.targets());
            let known = all.filter(|slot| statuses.get(job, &slot.labels).is_some()).count();
            (known, statuses.counts(job).iter().sum()) == (targets, targets)
        };
        eventually(patience(), &format!("{job} has {targets} targets"), agrees).await;
    }

    /// Waits until the engine has the targets of the roster's job that belong to this share, and no others. Returns how many they are.
    async fn has_share(&self, job: &str, share: &Share) -> usize {
        let statuses = self.engine.statuses();
        let own = || {
            let view = self.roster.view();
            let all: Vec<_> = view.job(job).into_iter().flat_map(|job| job.targets()).cloned().collect();
            all.into_iter().filter(|slot| share.has(job, &slot.labels)).collect::<Vec<_>>()
        };
        let agrees = || {
            let own = own();
            own.iter().all(|slot| statuses.get(job, &slot.labels).is_some())
                && statuses.counts(job).iter().sum::<usize>() == own.len()
        };
        eventually(patience(), &format!("{job} has its share"), agrees).await;
        own().len()
    }

    async fn stop(self) {
        assert!(self.stopper.stop(patience()).await.is_empty());
    }
}

fn spec(name: &str, provider: &str) -> JobSpec {
    JobSpec {
        name: name.into(),
        rules: Rules::compile(&[], Default::default()).expect("no rules compile"),
        defaults: [("job", name), ("__scrape_interval__", "52w"), ("__scrape_timeout__", "10s")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        interval: "52w".to_owned(),
        timeout: "10s".to_owned(),
        params: BTreeMap::new(),
        limits: Limits::default(),
        keeping: Default::default(),
        providers: vec![ProviderKey::new(provider)],
    }
}

#[test]
fn the_engine_has_the_targets_of_the_jobs_that_are_scraped() {
    leak_checked_live(|| async {
        let stage = Stage::start();
        let jobs = [("a", "p/1"), ("b", "p/2")];
        stage.set_jobs(&jobs, &["a"]).await;
        stage.report("p/1", 0..3).await;
        stage.report("p/2", 5..6).await;
        stage.has("a", 3).await;
        stage.set_jobs(&jobs, &["a", "b"]).await;
        stage.has("b", 1).await;
        // More steps than a reader may be behind.
        for number in 0..200 {
            stage.report("p/1", number..number + 4).await;
        }
        stage.has("a", 4).await;
        stage.set_jobs(&jobs, &["b"]).await;
        let statuses = stage.engine.statuses().clone();
        eventually(patience(), "the other is gone", || statuses.counts("a") == [0; 3]).await;
        stage.set_jobs(&jobs, &["a", "b"]).await;
        stage.has("a", 4).await;
        // Another provider of which nothing is known: what was there is held, and scraped.
        stage.set_jobs(&[("a", "p/3"), ("b", "p/2")], &["a", "b"]).await;
        stage.has("a", 4).await;
        stage.report("p/3", 1..2).await;
        stage.has("a", 1).await;
        stage.stop().await;
    });
}

#[test]
fn who_begins_late_has_the_targets_that_are_there() {
    leak_checked_live(|| async {
        let (stage, wishes) = Stage::unfollowed();
        stage.set_jobs(&[("a", "p/1")], &["a"]).await;
        stage.report("p/1", 0..3).await;
        let there = || stage.roster.view().job("a").is_some_and(|job| job.targets().count() == 3);
        eventually(patience(), "the roster has them", there).await;
        stage.follow(wishes);
        stage.has("a", 3).await;
        stage.stop().await;
    });
}

#[test]
fn of_several_members_each_scrapes_its_share_also_when_members_come_and_go() {
    leak_checked_live(|| async {
        let share = |members: &[&str]| {
            let members = members.iter().map(|name| (*name).to_owned()).collect();
            let cluster = Cluster { fixed: Some(StaticMembers { members }), ..Cluster::default() };
            Share::by(&cluster, &["a"]).expect("it is a member")
        };
        let stage = Stage::start();
        let jobs = [("j", "p/1")];
        let shares = [share(&["a", "b"]), share(&["a", "b", "c"]), Share::default(), share(&["a", "c"])];
        stage.set_share(&jobs, &["j"], shares[0].clone()).await;
        stage.report("p/1", 0..100).await;
        let mut counts = Vec::new();
        for (share, last) in shares.iter().zip([90, 110, 120, 80]) {
            stage.set_share(&jobs, &["j"], share.clone()).await;
            counts.push(stage.has_share("j", share).await);
            // Whoever comes and goes afterwards belongs to the same share.
            stage.report("p/1", 0..last).await;
            let all = || stage.roster.view().job("j").is_some_and(|job| job.targets().count() == last as usize);
            eventually(patience(), "the roster has them", all).await;
            stage.has_share("j", share).await;
        }
        assert!(counts[0] < 100 && counts[1] < counts[0] && counts[2] == 110, "{counts:?}");
        stage.stop().await;
    });
}

#[test]
fn a_target_that_changed_is_one_and_not_two() {
    leak_checked_live(|| async {
        let stage = Stage::start();
        stage.set_jobs(&[("a", "p/1")], &["a"]).await;
        stage.report("p/1", 0..3).await;
        stage.has("a", 3).await;
        stage.report_as("p/1", 0..3, "2").await;
        let changed = || {
            stage
                .roster
                .view()
                .job("a")
                .is_some_and(|job| job.targets().all(|slot| slot.labels.get("version") == Some("2")))
        };
        eventually(patience(), "the roster has the others", changed).await;
        stage.has("a", 3).await;
        stage.stop().await;
    });
}

#[test]
fn a_job_that_went_and_came_back_has_nothing_of_before() {
    leak_checked_live(|| async {
        let stage = Stage::start();
        stage.set_jobs(&[("a", "p/1")], &["a"]).await;
        stage.report("p/1", 0..3).await;
        stage.has("a", 3).await;
        // Nobody says that it is not to be scraped.
        stage.roster.set_jobs(Vec::new(), Duration::ZERO).await;
        stage.roster.set_jobs(vec![spec("a", "p/2")], Duration::ZERO).await;
        stage.report("p/2", 5..6).await;
        stage.has("a", 1).await;
        stage.stop().await;
    });
}
