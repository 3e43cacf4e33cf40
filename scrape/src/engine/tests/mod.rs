//! The engine against servers on the loopback interface.

mod departures;
mod large;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus::Registry;
use rosterd_client::{Budget, Client, HttpClientConfig, Options};
use rosterd_exposition::{Escaping, Protocol};
use rosterd_model::Labels;
use rosterd_ship::wire::{STALE, each_series};
use rosterd_ship::{Block, Wants};
use rosterd_tasks::{Stopper, Supervision};
use rosterd_testkit::{ScriptedServer, Step, eventually, leak_checked_live, patience};

use super::{Change, Clock, Engine, Settings};
use crate::job::{Job, headers};
use crate::schedule::Seed;
use crate::status::Health;
use crate::{Metrics, Sink, ingest};

/// Remembers what it is handed, as lines: name, value, the labels that are not those of every target.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Sink for Notes {
    fn wants(&self) -> Wants {
        Wants { samples: true, ..Wants::default() }
    }

    fn push(&self, _: u64, block: &Block) {
        let mut lines = self.0.lock().unwrap();
        each_series(&block.series, |series| {
            let name = series.labels().find(|(name, _)| *name == "__name__").unwrap().1;
            for (value, _) in series.samples() {
                let stale = value.to_bits() == STALE.to_bits();
                lines.push(format!("{name} {}", if stale { "stale".to_owned() } else { value.to_string() }));
            }
        })
        .unwrap();
    }
}

impl Notes {
    /// Takes what came of these series, and forgets the rest.
    fn of(&self, names: &[&str]) -> Vec<String> {
        let lines = std::mem::take(&mut *self.0.lock().unwrap());
        lines.into_iter().filter(|line| names.iter().any(|name| line.starts_with(&format!("{name} ")))).collect()
    }

    fn has(&self, line: &str) -> bool {
        self.0.lock().unwrap().iter().any(|known| known == line)
    }
}

/// Panics at each series that is called `bad`, and passes on what else there is.
struct Picky(Arc<Notes>);

impl Sink for Picky {
    fn wants(&self) -> Wants {
        self.0.wants()
    }

    fn push(&self, key: u64, block: &Block) {
        let mut bad = false;
        each_series(&block.series, |series| {
            let is_bad = series.labels().any(|label| label == ("__name__", "bad"));
            bad |= is_bad && series.samples().any(|(value, _)| value.to_bits() != STALE.to_bits());
        })
        .unwrap();
        assert!(!bad, "a bad series");
        self.0.push(key, block);
    }
}

/// An engine, and what it needs.
struct Scene {
    engine: Engine,
    notes: Arc<Notes>,
    metrics: Metrics,
    registry: Registry,
    stopper: Stopper,
}

impl Scene {
    fn new() -> Self {
        Self::with(2, Clock::system(), |notes| notes)
    }

    fn with<S: Sink>(shards: usize, clock: Clock, sink: impl FnOnce(Arc<Notes>) -> Arc<S>) -> Self {
        let (notes, registry) = (Arc::<Notes>::default(), Registry::new());
        let stopper = Stopper::under(&Supervision::register(&registry).unwrap());
        let metrics = Metrics::register(&registry).unwrap();
        let sink: Arc<dyn Sink> = sink(notes.clone());
        let settings = Settings { shards, clock };
        let engine = Engine::start(&settings, &sink, &metrics, &stopper);
        Self { engine, notes, metrics, registry, stopper }
    }

    fn job(&self, change: impl FnOnce(&mut Job)) -> Arc<Job> {
        let options = Options { gzip: false, ..Options::default() };
        let mut job = Job {
            name: "j".into(),
            client: Client::new(&HttpClientConfig::default(), options).unwrap(),
            params: Default::default(),
            headers: headers(&[Protocol::PrometheusText0_0_4], Escaping::AllowUtf8, true),
            fallback: None,
            body_limit: u64::MAX,
            budget: Budget::new(1 << 30),
            honor_retry_after: Duration::ZERO,
            seed: Seed::default(),
            rules: ingest::Rules::default(),
            failure_log: None,
            metrics: self.metrics.job("j"),
        };
        change(&mut job);
        Arc::new(job)
    }

    async fn targets(&self, job: &Arc<Job>, added: &[Labels], removed: &[Labels]) {
        let change = Change { removed: removed.to_vec(), added: added.to_vec(), ..Change::of(Arc::clone(job)) };
        self.engine.change(change).await;
    }

    async fn wait(&self, line: &str) {
        eventually(patience(), &format!("{line:?} was handed over"), || self.notes.has(line)).await;
    }

    async fn wait_health(&self, target: &Labels, health: Health) {
        let statuses = self.engine.statuses();
        let is = || statuses.get("j", target).is_some_and(|status| status.health == health);
        eventually(patience(), &format!("the target is {health:?}"), is).await;
    }

    /// The value of a counter that has one label.
    fn counter(&self, name: &str, label: &str) -> f64 {
        let families = self.registry.gather();
        let metrics = families.iter().filter(|family| family.name() == name).flat_map(|family| family.get_metric());
        let mut found = metrics.filter(|metric| metric.get_label().last().is_some_and(|last| last.value() == label));
        found.next().map_or(0.0, |metric| metric.get_counter().get_value())
    }

    async fn end(self) {
        assert!(self.stopper.stop(Duration::from_secs(5)).await.is_empty());
    }
}

/// A target with an interval that makes tests short.
fn target(server: &ScriptedServer, path: &str, interval: &str) -> Labels {
    [
        ("__address__", server.address().to_string().as_str()),
        ("__metrics_path__", path),
        ("__scheme__", "http"),
        ("__scrape_interval__", interval),
        ("__scrape_timeout__", interval),
        ("instance", "i"),
        ("job", "j"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

fn text(step: Step, body: &str) -> Step {
    step.reply_header("content-type", "text/plain; version=0.0.4").body(body.to_owned())
}

#[test]
fn targets_are_scraped_again_and_again_until_they_are_gone() {
    leak_checked_live(|| async {
        let expected = Step::get("/metrics")
            .with_header("accept", "text/plain;version=0.0.4;q=0.6,*/*;q=0.5")
            .with_header("accept-encoding", "gzip")
            .with_header("x-prometheus-scrape-timeout-seconds", "0.1");
        let server = ScriptedServer::start([
            text(expected, "a 1\nb 2\n"),
            text(Step::get("/metrics"), "a 3\n"),
            text(Step::get("/metrics").any_times(), "a 4\n"),
        ])
        .await;
        let scene = Scene::new();
        let (job, target) = (scene.job(|_| {}), target(&server, "/metrics", "100ms"));
        scene.targets(&job, std::slice::from_ref(&target), &[]).await;
        scene.wait("a 4").await;
        let lines = scene.notes.of(&["a", "b", "up", "scrape_series_added"]);
        let first: Vec<_> = lines.iter().take(9).map(String::as_str).collect();
        // The route answers whenever no step is left; steps are called first.
        assert!(first.contains(&"up 1"), "{lines:?}");
        scene.wait_health(&target, Health::Up).await;
        assert_eq!(scene.engine.statuses().counts("j"), [1, 0, 0]);
        scene.targets(&job, &[], std::slice::from_ref(&target)).await;
        scene.wait("a stale").await;
        scene.wait("up stale").await;
        assert!(scene.engine.statuses().get("j", &target).is_none());
        scene.end().await;
        drop(server);
    });
}

#[test]
fn a_password_that_a_target_repeats_is_not_shown() {
    leak_checked_live(|| async {
        let step = Step::get("/metrics").with_header("authorization", "Bearer hunter2").any_times();
        let server = ScriptedServer::start([step.reply_header("content-type", "what/hunter2").body("a 1\n")]).await;
        let scene = Scene::new();
        let settings = "{authorization: {credentials: hunter2}}";
        let settings: HttpClientConfig = serde_yaml::from_str(settings).unwrap();
        let job = scene.job(|job| job.client = Client::new(&settings, Options::default()).unwrap());
        let target = target(&server, "/metrics", "100ms");
        scene.targets(&job, std::slice::from_ref(&target), &[]).await;
        scene.wait_health(&target, Health::Down).await;
        let error = scene.engine.statuses().get("j", &target).unwrap().error.unwrap().to_string();
        assert!(error.contains("what/<secret>") && !error.contains("hunter2"), "{error}");
        scene.end().await;
        drop(server);
    });
}

#[test]
fn a_target_that_fails_is_down_and_its_series_are_stale() {
    leak_checked_live(|| async {
        let server = ScriptedServer::start([
            text(Step::get("/metrics"), "a 1\n"),
            Step::get("/metrics").status(500),
            text(Step::get("/metrics"), "a 1\na{\n"),
            Step::get("/metrics").body("no type"),
        ])
        .await;
        let scene = Scene::new();
        let (job, target) = (scene.job(|_| {}), target(&server, "/metrics", "250ms"));
        scene.targets(&job, std::slice::from_ref(&target), &[]).await;
        scene.wait("a stale").await;
        server.wait_steps().await;
        let error = |code: &'static str| {
            let statuses = scene.engine.statuses().clone();
            let target = target.clone();
            move || statuses.get("j", &target).and_then(|status| status.error).is_some_and(|error| error.code == code)
        };
        eventually(patience(), "the content type is missed", error("scrape_content_type")).await;
        let status = scene.engine.statuses().get("j", &target).unwrap();
        let failed = status.outcomes.failures();
        assert!(failed >= 3 && status.outcomes.scrapes() == failed + 1, "{status:?}");
        assert_eq!(status.outcomes.last().collect::<Vec<_>>()[failed as usize - 1..], [false, true]);
        assert_eq!(status.last_failure.map(|it| it.1.code.clone()).as_deref(), Some("scrape_content_type"));
        scene.targets(&job, &[], std::slice::from_ref(&target)).await;
        scene.wait("up stale").await;
        let lines = scene.notes.of(&["a", "up"]);
        // What stood before the fault was seen, and is stale once it is not seen any more: as in Prometheus.
        assert_eq!(lines[..7], ["a 1", "up 1", "a stale", "up 0", "up 0", "a stale", "up 0"], "{lines:?}");
        let results: Vec<String> = scene
            .registry
            .gather()
            .iter()
            .filter(|family| family.name() == "rosterd_scrapes_total")
            .flat_map(|family| family.get_metric())
            .map(|metric| metric.get_label()[1].value().to_owned())
            .collect();
        assert_eq!(results, ["http_status", "scrape_content_type", "scrape_exposition_invalid", "success"]);
        scene.end().await;
        drop(server);
    });
}

#[test]
fn a_target_that_answers_nothing_is_up_in_every_format() {
    leak_checked_live(|| async {
        let typed = |content_type: &str| Step::get("/metrics").reply_header("content-type", content_type);
        // Gzip of nothing.
        let packed = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let steps = [
            text(Step::get("/metrics"), "a 1\n"),
            Step::get("/metrics"),
            typed("text/html"),
            typed("application/openmetrics-text"),
            typed("application/vnd.google.protobuf"),
            typed("nonsense;").reply_header("content-encoding", "gzip").body(packed.to_vec()),
            typed("text/plain").reply_header("content-encoding", "gzip"),
        ];
        let count = steps.len();
        let server = ScriptedServer::start(steps).await;
        server.then(text(Step::get("/metrics").any_times(), "b 1\n"));
        let scene = Scene::new();
        let job = scene.job(|job| job.rules.extra_metrics = true);
        scene.targets(&job, &[target(&server, "/metrics", "250ms")], &[]).await;
        scene.wait("b 1").await;
        let lines = scene.notes.of(&["a", "b", "up", "scrape_body_size_bytes"]);
        let ups: Vec<_> = lines.iter().filter(|line| line.starts_with("up ")).take(count).collect();
        // The last one says that it is packed, and is not.
        assert_eq!(ups, [&vec!["up 1"; count - 1][..], &["up 0"]].concat(), "{lines:?}");
        assert_eq!(lines.iter().filter(|line| *line == "a stale").count(), 1);
        assert_eq!(lines[..5], ["a 1", "up 1", "scrape_body_size_bytes 4", "a stale", "up 1"]);
        assert_eq!(lines[5], "scrape_body_size_bytes 0");
        scene.end().await;
        drop(server);
    });
}

#[test]
fn a_target_that_asks_for_time_is_asked_again_unless_the_job_lets_it_rest() {
    leak_checked_live(|| async {
        for most in [Duration::ZERO, Duration::from_millis(300)] {
            let busy = || Step::get("/metrics").status(503).reply_header("retry-after", "3600");
            let server = ScriptedServer::start([busy(), busy()]).await;
            server.then(text(Step::get("/metrics").any_times(), "a 1\n"));
            let scene = Scene::new();
            let job = scene.job(|job| job.honor_retry_after = most);
            scene.targets(&job, &[target(&server, "/metrics", "100ms")], &[]).await;
            scene.wait("a 1").await;
            let lines = scene.notes.of(&["a", "up"]);
            let downs = lines.iter().take_while(|line| *line == "up 0").count();
            assert!(if most.is_zero() { downs == 2 } else { downs >= 4 }, "{lines:?}");
            scene.end().await;
            server.wait_steps().await;
            drop(server);
        }
    });
}

#[test]
fn a_target_that_asks_for_time_is_left_alone_and_counts_as_down() {
    leak_checked_live(|| async {
        let busy = Step::get("/metrics").status(503).reply_header("retry-after", "3600");
        let server = ScriptedServer::start([busy]).await;
        let scene = Scene::new();
        let job = scene.job(|job| job.honor_retry_after = Duration::from_secs(3600));
        let target = target(&server, "/metrics", "50ms");
        scene.targets(&job, std::slice::from_ref(&target), &[]).await;
        scene.wait_health(&target, Health::Down).await;
        let ups = || scene.notes.0.lock().unwrap().iter().filter(|line| *line == "up 0").count();
        eventually(patience(), "up is told at each interval", || ups() >= 3).await;
        let status = scene.engine.statuses().get("j", &target).unwrap();
        assert!(status.snoozed_until.is_some());
        assert_eq!(status.error.unwrap().code, "scrape_snoozing");
        // A second request would be a complaint.
        server.finish().await;
        scene.end().await;
    });
}

#[test]
fn a_slow_target_delays_nobody() {
    leak_checked_live(|| async {
        let server = ScriptedServer::start([
            Step::get("/slow").any_times().stall(),
            text(Step::get("/quick").any_times(), "quick 1\n"),
        ])
        .await;
        let scene = Scene::new();
        let job = scene.job(|_| {});
        let slow: Vec<Labels> = (0..50)
            .map(|number: usize| {
                let labels = target(&server, "/slow", "100ms");
                let labels = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
                labels.chain([("number".to_owned(), number.to_string())]).collect()
            })
            .collect();
        scene.targets(&job, &slow, &[]).await;
        server.wait_requests(slow.len()).await;
        scene.targets(&job, &[target(&server, "/quick", "50ms")], &[]).await;
        scene.wait("quick 1").await;
        scene.end().await;
        drop(server);
    });
}

#[test]
fn a_target_with_another_interval_goes_on_with_its_series() {
    leak_checked_live(|| async {
        let server = ScriptedServer::start([text(Step::get("/metrics").any_times(), "a 1\n")]).await;
        let scene = Scene::new();
        let job = scene.job(|_| {});
        let (before, now) = (target(&server, "/metrics", "50ms"), target(&server, "/metrics", "60ms"));
        scene.targets(&job, std::slice::from_ref(&before), &[]).await;
        scene.wait("a 1").await;
        scene.targets(&job, std::slice::from_ref(&now), std::slice::from_ref(&before)).await;
        scene.wait_health(&now, Health::Up).await;
        scene.notes.of(&[]);
        scene.wait("scrape_series_added 0").await;
        let lines = scene.notes.of(&["a", "scrape_series_added"]);
        assert!(!lines.iter().any(|line| line == "a stale" || line == "scrape_series_added 1"), "{lines:?}");
        scene.end().await;
        drop(server);
    });
}

#[test]
fn other_rules_hold_from_the_next_scrape_on_and_mark_what_they_leave_out() {
    leak_checked_live(|| async {
        let server = ScriptedServer::start([text(Step::get("/metrics").any_times(), "a 1\nb 2\n")]).await;
        let scene = Scene::new();
        let job = scene.job(|_| {});
        let target = target(&server, "/metrics", "50ms");
        scene.targets(&job, std::slice::from_ref(&target), &[]).await;
        scene.wait("b 2").await;
        let rules = "[{source_labels: [__name__], regex: b, action: drop}]";
        let rules: Vec<_> = serde_yaml::from_str(rules).unwrap();
        let rules = rosterd_model::relabel::Rules::compile(&rules, Default::default()).unwrap();
        let job = scene.job(|job| job.rules.relabel = rules);
        scene.targets(&job, &[], &[]).await;
        scene.wait("b stale").await;
        scene.notes.of(&[]);
        scene.wait("a 1").await;
        scene.wait("scrape_samples_post_metric_relabeling 1").await;
        scene.engine.remove_job(&job).await;
        scene.wait("a stale").await;
        scene.end().await;
        drop(server);
    });
}

#[test]
fn too_many_targets_are_all_down_without_being_asked() {
    leak_checked_live(|| async {
        let server = ScriptedServer::start([]).await;
        let scene = Scene::new();
        let (job, target) = (scene.job(|_| {}), target(&server, "/metrics", "50ms"));
        let added = vec![target.clone()];
        scene.engine.change(Change { too_many: Some((2, 1)), added, ..Change::of(job) }).await;
        scene.wait("up 0").await;
        scene.wait_health(&target, Health::Down).await;
        let error = scene.engine.statuses().get("j", &target).unwrap().error.unwrap();
        assert_eq!(
            error.message,
            "target_limit exceeded (number of targets: 2, limit: 1): raise it, or drop some by relabel_configs"
        );
        server.finish().await;
        scene.end().await;
    });
}

#[test]
fn the_end_marks_everything_as_stale_if_it_is_asked_to() {
    leak_checked_live(|| async {
        let server = ScriptedServer::start([text(Step::get("/metrics").any_times(), "a 1\n")]).await;
        for stale in [true, false] {
            let scene = Scene::new();
            scene.targets(&scene.job(|_| {}), &[target(&server, "/metrics", "50ms")], &[]).await;
            scene.wait("a 1").await;
            scene.engine.end(stale).await;
            assert_eq!((scene.notes.has("a stale"), scene.notes.has("up stale")), (stale, stale));
            scene.end().await;
        }
    });
}

#[test]
fn a_panic_costs_one_scrape_and_the_target_is_down_until_the_next_good_one() {
    leak_checked_live(|| async {
        let server = ScriptedServer::start([
            text(Step::get("/bad"), "good 1\n"),
            text(Step::get("/bad"), "good 2\nbad 1\n"),
            text(Step::get("/bad").any_times(), "good 3\n"),
            text(Step::get("/neighbour").any_times(), "neighbour 1\n"),
        ])
        .await;
        // One shard: all targets are neighbours.
        let scene = Scene::with(1, Clock::system(), |notes| Arc::new(Picky(notes)));
        let job = scene.job(|_| {});
        let (bad, neighbour) = (target(&server, "/bad", "250ms"), target(&server, "/neighbour", "50ms"));
        scene.targets(&job, std::slice::from_ref(&bad), &[]).await;
        scene.wait_health(&bad, Health::Down).await;
        let error = scene.engine.statuses().get("j", &bad).unwrap().error.unwrap();
        assert_eq!(
            (error.code.as_str(), error.message.as_str()),
            ("scrape_panicked", "the scrape panicked: a bad series")
        );
        scene.targets(&job, std::slice::from_ref(&neighbour), &[]).await;
        scene.wait("neighbour 1").await;
        scene.wait("good 3").await;
        scene.wait_health(&bad, Health::Up).await;
        let lines = scene.notes.of(&["good", "bad", "scrape_series_added"]);
        let good: Vec<_> = lines.iter().filter(|line| line.starts_with("good")).take(3).collect();
        assert_eq!(good, ["good 1", "good stale", "good 3"], "{lines:?}");
        assert_eq!(scene.counter("rosterd_task_panics_total", "scrape"), 1.0);
        assert_eq!(scene.counter("rosterd_scrapes_total", "scrape_panicked"), 1.0);
        scene.end().await;
        drop(server);
    });
}

#[test]
fn a_target_whose_every_scrape_panics_is_told_down_each_time_and_can_go() {
    leak_checked_live(|| async {
        let server = ScriptedServer::start([text(Step::get("/metrics").any_times(), "bad 1\n")]).await;
        let scene = Scene::with(1, Clock::system(), |notes| Arc::new(Picky(notes)));
        let (job, target) = (scene.job(|_| {}), target(&server, "/metrics", "50ms"));
        scene.targets(&job, std::slice::from_ref(&target), &[]).await;
        let downs = || scene.notes.0.lock().unwrap().iter().filter(|line| *line == "up 0").count();
        eventually(patience(), "up is told at each interval", || downs() >= 3).await;
        scene.targets(&job, &[], std::slice::from_ref(&target)).await;
        eventually(patience(), "the target is gone", || scene.engine.statuses().get("j", &target).is_none()).await;
        assert!(scene.counter("rosterd_task_panics_total", "scrape") >= 3.0);
        scene.end().await;
        drop(server);
    });
}

#[test]
fn a_shard_that_dies_is_fatal() {
    leak_checked_live(|| async {
        let server = ScriptedServer::start([]).await;
        let scene = Scene::with(1, Clock::new(|| panic!("no time")), |notes| notes);
        scene.targets(&scene.job(|_| {}), &[target(&server, "/metrics", "50ms")], &[]).await;
        let fatal = scene.stopper.supervision().fatal().await;
        assert_eq!((fatal.task, fatal.message.as_str()), ("scrapes", "no time"));
        scene.end().await;
        drop(server);
    });
}
