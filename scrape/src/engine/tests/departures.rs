//! Targets that go, on a paused clock. Nobody is asked, as the job has too many targets: each is down at each interval.

use rosterd_testkit::{advance_until, leak_checked};
use tokio::time::{Instant, sleep};

use super::*;

/// When the tests begin, in milliseconds since 1970.
const BEGIN: i64 = 1_700_000_000_000;
const INTERVAL: Duration = Duration::from_secs(10);

/// What was handed over of `up`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    is_stale: bool,
    /// The timestamp, and when it came, since the beginning.
    at: Duration,
    came: Duration,
}

/// Remembers what is said of `up`, and counts the stale markers of the other automatic series.
struct Told {
    start: Instant,
    ups: Mutex<Vec<Line>>,
    others: Mutex<usize>,
}

impl Sink for Told {
    fn wants(&self) -> Wants {
        Wants { samples: true, ..Wants::default() }
    }

    fn push(&self, _: u64, block: &Block) {
        each_series(&block.series, |series| {
            let is_up = series.labels().any(|label| label == ("__name__", "up"));
            for (value, at_ms) in series.samples() {
                let is_stale = value.to_bits() == STALE.to_bits();
                let at = Duration::from_millis((at_ms - BEGIN) as u64);
                if is_up {
                    self.ups.lock().unwrap().push(Line { is_stale, at, came: self.start.elapsed() });
                } else {
                    *self.others.lock().unwrap() += usize::from(is_stale);
                }
            }
        })
        .unwrap();
    }
}

impl Told {
    fn ups(&self) -> Vec<Line> {
        self.ups.lock().unwrap().clone()
    }

    fn stale(&self) -> Vec<Line> {
        self.ups().into_iter().filter(|line| line.is_stale).collect()
    }
}

struct Stage {
    scene: Scene,
    told: Arc<Told>,
}

impl Stage {
    fn new() -> Self {
        let start = Instant::now();
        let told = Arc::new(Told { start, ups: Mutex::default(), others: Mutex::default() });
        let clock = Clock::new(move || BEGIN as u64 * 1_000_000 + start.elapsed().as_nanos() as u64);
        let scene = Scene::with(1, clock, |_| Arc::clone(&told));
        Self { scene, told }
    }

    async fn change(&self, job: &Arc<Job>, added: &[&Labels], removed: &[&Labels]) {
        let [added, removed] = [added, removed].map(|all| all.iter().map(|labels| (*labels).clone()).collect());
        self.scene
            .engine
            .change(Change { too_many: Some((2, 1)), removed, added, ..Change::of(Arc::clone(job)) })
            .await;
    }

    async fn hand_over(&self, job: &Arc<Job>, moved: &Labels) {
        let moved = vec![moved.clone()];
        self.scene.engine.change(Change { too_many: Some((2, 1)), moved, ..Change::of(Arc::clone(job)) }).await;
    }

    /// Waits until so much more was said of `up`, and returns when the last of it was scraped.
    async fn wait_more(&self, more: usize) -> Duration {
        let wanted = self.told.ups().len() + more;
        advance_until(10 * INTERVAL, || self.told.ups().len() >= wanted).await;
        self.told.ups().last().expect("it was waited for").at
    }

    async fn end(self) {
        self.scene.end().await;
    }
}

fn target(path: &str, instance: &str) -> Labels {
    let labels = [
        ("__address__", "h:1"),
        ("__metrics_path__", path),
        ("__scheme__", "http"),
        ("__scrape_interval__", "10s"),
        ("__scrape_timeout__", "10s"),
        ("instance", instance),
        ("job", "j"),
    ];
    labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// It ended at its first scrape that was missed, and this was told after the second one.
fn assert_ended(told: &Told, last: Duration) {
    let stale = told.stale();
    let [line] = &stale[..] else { panic!("it ends once: {stale:?}") };
    assert_eq!(line.at, last + INTERVAL);
    let deadline = last + 2 * INTERVAL + INTERVAL / 10;
    assert!(line.came >= deadline && line.came <= deadline + Duration::from_millis(10), "{line:?}");
}

#[test]
fn a_target_that_is_gone_ends_at_the_scrape_that_it_missed() {
    leak_checked(|| async {
        for removes_job in [false, true] {
            let stage = Stage::new();
            let (job, target) = (stage.scene.job(|_| {}), target("/", "a"));
            stage.change(&job, &[&target], &[]).await;
            let last = stage.wait_more(3).await;
            sleep(INTERVAL / 2).await;
            if removes_job {
                stage.scene.engine.remove_job(&job).await;
            } else {
                stage.change(&job, &[], &[&target]).await;
            }
            sleep(10 * INTERVAL).await;
            assert_ended(&stage.told, last);
            assert_eq!((stage.told.ups().len(), *stage.told.others.lock().unwrap()), (4, 4));
            assert!(stage.scene.engine.statuses().get("j", &target).is_none());
            stage.end().await;
        }
    });
}

#[test]
fn a_target_that_another_agent_scrapes_from_now_on_does_not_end() {
    leak_checked(|| async {
        for ends in [false, true] {
            let stage = Stage::new();
            let (job, moved, removed) = (stage.scene.job(|_| {}), target("/", "a"), target("/", "b"));
            stage.change(&job, &[&moved, &removed], &[]).await;
            stage.wait_more(6).await;
            stage.hand_over(&job, &moved).await;
            stage.change(&job, &[], &[&removed]).await;
            if ends {
                stage.scene.engine.end(true).await;
            }
            sleep(10 * INTERVAL).await;
            assert_eq!(stage.told.stale().len(), 1, "of the one that is removed");
            assert!(stage.scene.engine.statuses().get("j", &moved).is_none());
            stage.end().await;
        }
    });
}

#[test]
fn a_target_that_is_handed_over_and_comes_back_goes_on_and_ends_in_its_time() {
    leak_checked(|| async {
        let stage = Stage::new();
        let (job, target) = (stage.scene.job(|_| {}), target("/", "a"));
        stage.change(&job, &[&target], &[]).await;
        stage.wait_more(2).await;
        stage.hand_over(&job, &target).await;
        stage.change(&job, &[&target], &[]).await;
        let last = stage.wait_more(2).await;
        stage.change(&job, &[], &[&target]).await;
        sleep(10 * INTERVAL).await;
        assert_ended(&stage.told, last);
        stage.end().await;
    });
}

#[test]
fn each_of_thousands_that_come_and_go_begins_and_ends_once() {
    const TARGETS: usize = 2_500;
    leak_checked(|| async {
        let stage = Stage::new();
        let job = stage.scene.job(|_| {});
        let targets: Vec<_> = (0..TARGETS).map(|number| target("/", &number.to_string())).collect();
        let (first, rest) = targets.split_at(TARGETS / 5);
        stage.change(&job, &Vec::from_iter(first), &[]).await;
        stage.wait_more(first.len()).await;
        stage.change(&job, &Vec::from_iter(rest), &Vec::from_iter(first)).await;
        sleep(4 * INTERVAL).await;
        stage.change(&job, &[], &Vec::from_iter(rest)).await;
        sleep(4 * INTERVAL).await;
        assert_eq!(stage.told.stale().len(), TARGETS);
        assert!(targets.iter().all(|target| stage.scene.engine.statuses().get("j", target).is_none()));
        stage.end().await;
    });
}

#[test]
fn a_target_that_was_never_scraped_has_nothing_to_end() {
    leak_checked(|| async {
        let stage = Stage::new();
        let (job, target) = (stage.scene.job(|_| {}), target("/", "a"));
        stage.change(&job, &[&target], &[]).await;
        stage.change(&job, &[], &[&target]).await;
        sleep(10 * INTERVAL).await;
        assert!(stage.told.ups().is_empty());
        stage.end().await;
    });
}

#[test]
fn a_flap_of_discovery_leaves_no_gap() {
    leak_checked(|| async {
        let stage = Stage::new();
        let job = stage.scene.job(|_| {});
        let [target, moved] = ["/", "/moved"].map(|path| target(path, "a"));
        stage.change(&job, &[&target], &[]).await;
        let last = stage.wait_more(3).await;
        // Back before the next scrape: as if nothing had happened.
        stage.change(&job, &[], &[&target]).await;
        sleep(INTERVAL / 2).await;
        stage.change(&job, &[&target], &[]).await;
        assert_eq!(stage.wait_more(1).await, last + INTERVAL);
        // Back after a scrape was missed.
        stage.change(&job, &[], &[&target]).await;
        sleep(INTERVAL * 3 / 2).await;
        stage.change(&job, &[&target], &[]).await;
        let last = stage.wait_more(1).await;
        // Another target with the same series, of another job.
        let other = stage.scene.job(|job| job.name = "other".into());
        stage.scene.engine.remove_job(&job).await;
        sleep(INTERVAL / 2).await;
        stage.change(&other, &[&moved], &[]).await;
        let next = stage.wait_more(1).await;
        assert!(next > last && next < last + 2 * INTERVAL);
        sleep(10 * INTERVAL).await;
        assert!(stage.told.stale().is_empty(), "{:?}", stage.told.stale());
        let last = stage.wait_more(1).await;
        stage.change(&other, &[], &[&moved]).await;
        sleep(10 * INTERVAL).await;
        assert_ended(&stage.told, last);
        stage.end().await;
    });
}

#[test]
fn a_target_that_comes_back_too_late_begins_anew() {
    leak_checked(|| async {
        let stage = Stage::new();
        let (job, target) = (stage.scene.job(|_| {}), target("/", "a"));
        stage.change(&job, &[&target], &[]).await;
        let last = stage.wait_more(3).await;
        stage.change(&job, &[], &[&target]).await;
        sleep(INTERVAL * 5 / 2).await;
        stage.change(&job, &[&target], &[]).await;
        assert_eq!(stage.wait_more(1).await, last + 3 * INTERVAL);
        assert_ended(&stage.told, last);
        stage.end().await;
    });
}

#[test]
fn what_another_target_sends_does_not_end() {
    leak_checked(|| async {
        let stage = Stage::new();
        let job = stage.scene.job(|_| {});
        let [one, two] = ["/one", "/two"].map(|path| target(path, "a"));
        stage.change(&job, &[&one, &two], &[]).await;
        stage.wait_more(6).await;
        stage.change(&job, &[], &[&one]).await;
        sleep(10 * INTERVAL).await;
        assert!(stage.told.stale().is_empty(), "{:?}", stage.told.stale());
        let last = stage.wait_more(1).await;
        stage.change(&job, &[], &[&two]).await;
        sleep(10 * INTERVAL).await;
        assert_ended(&stage.told, last);
        stage.end().await;
    });
}

#[test]
fn the_end_marks_what_is_there_now_and_what_is_gone_then() {
    leak_checked(|| async {
        for stale in [true, false] {
            let stage = Stage::new();
            let job = stage.scene.job(|_| {});
            let [gone, going, there] = ["gone", "going", "there"].map(|instance| target("/", instance));
            stage.change(&job, &[&gone], &[]).await;
            let last = stage.wait_more(1).await;
            stage.change(&job, &[&going, &there], &[&gone]).await;
            sleep(INTERVAL * 3 / 2).await;
            stage.change(&job, &[], &[&going]).await;
            let now = stage.told.start.elapsed();
            stage.scene.engine.end(stale).await;
            let times: Vec<_> = stage.told.stale().iter().map(|line| line.at).collect();
            assert_eq!(times, if stale { vec![last + INTERVAL, now, now] } else { vec![] });
            stage.end().await;
        }
    });
}

#[test]
fn a_scrape_that_is_under_way_when_its_target_goes_counts() {
    leak_checked_live(|| async {
        let slow = |body: &str| text(Step::get("/metrics").delay(Duration::from_millis(300)), body);
        for comes_back in [false, true] {
            let server = ScriptedServer::start([slow("a 1\n")]).await;
            server.then(text(Step::get("/metrics").any_times(), "a 2\n"));
            let scene = Scene::new();
            let (job, target) = (scene.job(|_| {}), super::target(&server, "/metrics", "4s"));
            scene.targets(&job, std::slice::from_ref(&target), &[]).await;
            server.wait_requests(1).await;
            scene.targets(&job, &[], std::slice::from_ref(&target)).await;
            if comes_back {
                scene.targets(&job, std::slice::from_ref(&target), &[]).await;
            }
            scene.wait("a 1").await;
            scene.wait("up 1").await;
            if comes_back {
                scene.wait_health(&target, Health::Up).await;
                scene.wait("a 2").await;
            }
            let lines = scene.notes.of(&["a"]);
            assert_eq!(lines, if comes_back { vec!["a 1", "a 2"] } else { vec!["a 1"] });
            scene.end().await;
            drop(server);
        }
    });
}
