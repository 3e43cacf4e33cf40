//! What takes long: large bodies, and scrapes that last longer than their interval.

use std::fmt::Write as _;
use std::sync::Condvar;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rosterd_testkit::BusyThreads;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::ScrapeError;
use rosterd_model::Coded;

/// A target behind a listener whose connections the test answers itself.
async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

async fn read_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
}

async fn answer(stream: &mut TcpStream, body: &str) {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
}

fn at(address: &str, instance: &str, interval: &str, timeout: &str) -> Labels {
    [
        ("__address__", address),
        ("__metrics_path__", "/metrics"),
        ("__scheme__", "http"),
        ("__scrape_interval__", interval),
        ("__scrape_timeout__", timeout),
        ("instance", instance),
        ("job", "j"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

fn lines(count: usize) -> String {
    let mut text = String::new();
    for number in 0..count {
        writeln!(text, "s{number} 1").unwrap();
    }
    text
}

/// Waits until a target that answers at once was scraped so many times more.
async fn wait_scrapes(scene: &Scene, count: usize) {
    scene.notes.of(&["quick"]);
    let mut seen = 0;
    eventually(patience(), "the other target is scraped", || {
        seen += scene.notes.of(&["quick"]).len();
        seen >= count
    })
    .await;
}

#[test]
fn a_large_body_holds_nobody_and_arrives_whole() {
    leak_checked_live(|| async {
        let quick = ScriptedServer::start([text(Step::get("/metrics").any_times(), "quick 1\n")]).await;
        let (listener, address) = listener().await;
        let scene = Scene::with(1, Clock::system(), |notes| notes);
        let job = scene.job(|_| {});
        let large = at(&address, "large", "1s", "1h");
        let targets = [at(&quick.address().to_string(), "quick", "50ms", "50ms"), large.clone()];
        scene.targets(&job, &targets, &[]).await;
        let (mut stream, _) = listener.accept().await.unwrap();
        let body = lines(500_000);
        read_request(&mut stream).await;
        let busy = BusyThreads::all();
        answer(&mut stream, &body).await;
        wait_scrapes(&scene, 2).await;
        let status = scene.engine.statuses().get("j", &large).unwrap();
        assert_eq!(status.health, Health::Unknown, "others were scraped before the body was looked at");
        busy.release().await;
        scene.wait_health(&large, Health::Up).await;
        assert_eq!(scene.engine.statuses().get("j", &large).unwrap().samples, 500_000);
        for line in ["s0 1", "s250000 1", "s499999 1"] {
            assert!(scene.notes.has(line), "{line}");
        }
        read_request(&mut stream).await;
        answer(&mut stream, "s1 1\n").await;
        scene.wait("s499999 stale").await;
        scene.wait("s0 stale").await;
        assert!(!scene.notes.has("s1 stale"), "what is remembered is what came");
        scene.end().await;
        drop(quick);
    });
}

#[test]
fn a_large_body_that_a_reload_changes_is_scraped_anew() {
    leak_checked_live(|| async {
        let quick = ScriptedServer::start([text(Step::get("/metrics").any_times(), "quick 1\n")]).await;
        let (listener, address) = listener().await;
        let scene = Scene::with(1, Clock::system(), |notes| notes);
        let job = scene.job(|_| {});
        let other = scene.job(|job| job.rules.external = vec![("x".into(), "y".into())]);
        let targets = [at(&quick.address().to_string(), "quick", "50ms", "50ms"), at(&address, "large", "1s", "1h")];
        scene.targets(&job, &targets, &[]).await;
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        let busy = BusyThreads::all();
        answer(&mut stream, &lines(500_000)).await;
        // By now the body is there, and goes by the rules of its time.
        wait_scrapes(&scene, 2).await;
        scene.targets(&other, &[], &[]).await;
        busy.release().await;
        // The connection is made anew with the settings of the job.
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(!scene.notes.has("s0 1"), "it was made by rules that are not those of now");
        read_request(&mut stream).await;
        answer(&mut stream, "s0 1\n").await;
        scene.wait("s0 1").await;
        assert!(!scene.notes.has("s1 stale"), "it was never told");
        scene.end().await;
        drop(quick);
    });
}

/// Takes what is large only once it may, or when nobody lets it for long.
#[derive(Default)]
struct Slow {
    open: Mutex<bool>,
    opened: Condvar,
    is_busy: AtomicBool,
    /// The target that is large, and what is said of it.
    key: AtomicU64,
    large: Notes,
    others: Arc<Notes>,
}

impl Slow {
    fn scene() -> (Arc<Self>, Scene) {
        let mut slow = None;
        let scene = Scene::with(1, Clock::system(), |others| {
            Arc::clone(slow.insert(Arc::new(Self { others, ..Self::default() })))
        });
        (slow.expect("the scene has a sink"), scene)
    }

    async fn wait_busy(&self) {
        eventually(patience(), "something large is handed over", || self.is_busy.load(Ordering::SeqCst)).await;
    }

    async fn wait(&self, line: &str) {
        eventually(patience(), &format!("{line:?} was handed over"), || self.large.has(line)).await;
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn close(&self) {
        *self.open.lock().unwrap() = false;
        self.is_busy.store(false, Ordering::SeqCst);
    }

    /// These lines came in this order.
    fn assert_order(&self, lines: &[&str]) {
        let notes = self.large.0.lock().unwrap();
        let places: Vec<_> = lines.iter().map(|line| notes.iter().position(|known| known == line)).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{lines:?} came at {places:?}");
    }
}

impl Sink for Slow {
    fn wants(&self) -> Wants {
        self.large.wants()
    }

    fn push(&self, key: u64, block: &Block) {
        if block.counts.series > 1000 {
            self.key.store(key, Ordering::SeqCst);
            self.is_busy.store(true, Ordering::SeqCst);
            let open = self.open.lock().unwrap();
            drop(self.opened.wait_timeout_while(open, Duration::from_secs(20), |open| !*open).unwrap());
        }
        let notes = if key == self.key.load(Ordering::SeqCst) { &self.large } else { &*self.others };
        notes.push(key, block);
    }
}

/// A scene in which a large body is being handed over, while another target is scraped.
async fn handing_over(interval: &str, timeout: &str) -> (Arc<Slow>, Scene, Labels, ScriptedServer, TcpStream) {
    let quick = ScriptedServer::start([text(Step::get("/metrics").any_times(), "quick 1\n")]).await;
    let (listener, address) = listener().await;
    let (slow, scene) = Slow::scene();
    let large = at(&address, "large", interval, timeout);
    let targets = [at(&quick.address().to_string(), "quick", "50ms", "50ms"), large.clone()];
    scene.targets(&scene.job(|_| {}), &targets, &[]).await;
    let (mut stream, _) = listener.accept().await.unwrap();
    read_request(&mut stream).await;
    answer(&mut stream, &lines(150_000)).await;
    slow.wait_busy().await;
    (slow, scene, large, quick, stream)
}

#[test]
fn a_large_body_that_is_handed_over_slowly_holds_nobody() {
    leak_checked_live(|| async {
        let (slow, scene, large, quick, _stream) = handing_over("1s", "1h").await;
        wait_scrapes(&scene, 3).await;
        assert_eq!(scene.engine.statuses().get("j", &large).unwrap().health, Health::Unknown);
        assert!(!slow.large.has("s0 1"), "others were scraped before the sink had taken anything of it");
        slow.open();
        scene.wait_health(&large, Health::Up).await;
        for line in ["s0 1", "s75000 1", "s149999 1"] {
            assert!(slow.large.has(line), "{line}");
        }
        scene.end().await;
        drop(quick);
    });
}

#[test]
fn a_scrape_that_ends_long_after_its_timeout_is_late_at_its_end() {
    leak_checked_live(|| async {
        let (slow, scene, large, quick, _stream) = handing_over("10s", "10s").await;
        let begun = tokio::time::Instant::now();
        let is_over = || begun.elapsed() > Duration::from_secs(13);
        eventually(patience(), "its time is over, and it goes on", is_over).await;
        slow.open();
        scene.wait_health(&large, Health::Up).await;
        let late = || {
            let families = scene.registry.gather();
            let lag = families.iter().find(|family| family.name() == "rosterd_scrape_lag_seconds").unwrap();
            let at_end = lag.get_metric().iter().find(|metric| metric.get_label()[0].value() == "end").unwrap();
            at_end.get_histogram().get_sample_sum()
        };
        eventually(patience(), "the rest of its time is told", || late() >= 2.0).await;
        scene.end().await;
        drop(quick);
    });
}

#[test]
fn what_a_reload_says_of_a_target_whose_body_is_handed_over_comes_behind_it() {
    leak_checked_live(|| async {
        let (slow, scene, _, quick, stream) = handing_over("100ms", "1h").await;
        let other = scene.job(|job| job.rules.external = vec![("x".into(), "y".into())]);
        scene.targets(&other, &[], &[]).await;
        wait_scrapes(&scene, 3).await;
        assert!(!slow.large.has("scrape_samples_scraped stale"), "nothing overtakes it");
        slow.open();
        slow.wait("scrape_samples_scraped stale").await;
        let lines = ["s0 1", "s149999 1", "scrape_samples_scraped 150000", "scrape_samples_scraped stale"];
        slow.assert_order(&lines);
        drop(stream);
        // Nobody listens any more. What was known by the rules of before ends with the next scrape.
        slow.wait("s149999 stale").await;
        scene.end().await;
        drop(quick);
    });
}

#[test]
fn a_target_that_ends_while_its_body_is_handed_over_ends_behind_it() {
    leak_checked_live(|| async {
        let (slow, scene, _, quick, _stream) = handing_over("1s", "1h").await;
        let mut end = Box::pin(scene.engine.end(true));
        // The shard knows of it once there is no other scrape.
        assert!(futures_util::poll!(&mut end).is_pending());
        scene.wait("quick stale").await;
        assert!(!slow.large.has("s149999 stale"));
        assert!(futures_util::poll!(&mut end).is_pending());
        slow.open();
        end.await;
        slow.assert_order(&["s0 1", "s149999 1", "scrape_samples_scraped 150000", "s0 stale", "s149999 stale"]);
        scene.end().await;
        drop(quick);
    });
}

#[test]
fn a_panic_in_the_middle_of_a_large_body_costs_one_scrape() {
    leak_checked_live(|| async {
        let (listener, address) = listener().await;
        let scene = Scene::with(1, Clock::system(), |notes| Arc::new(Picky(notes)));
        let large = at(&address, "large", "50ms", "1h");
        scene.targets(&scene.job(|_| {}), std::slice::from_ref(&large), &[]).await;
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        answer(&mut stream, &(lines(150_000) + "bad 1\n")).await;
        scene.wait_health(&large, Health::Down).await;
        assert_eq!(scene.engine.statuses().get("j", &large).unwrap().error.unwrap().code, "scrape_panicked");
        scene.wait("s149999 stale").await;
        read_request(&mut stream).await;
        answer(&mut stream, "s1 2\n").await;
        scene.wait_health(&large, Health::Up).await;
        assert!(scene.notes.has("s1 2"));
        scene.end().await;
    });
}

#[test]
fn what_a_large_target_leaves_when_it_fails_holds_nobody() {
    leak_checked_live(|| async {
        let (slow, scene, large, quick, mut stream) = handing_over("50ms", "1h").await;
        slow.open();
        scene.wait_health(&large, Health::Up).await;
        slow.close();
        read_request(&mut stream).await;
        answer(&mut stream, "not an exposition\n").await;
        slow.wait_busy().await;
        wait_scrapes(&scene, 3).await;
        assert!(!slow.large.has("s149999 stale"));
        slow.open();
        scene.wait_health(&large, Health::Down).await;
        slow.assert_order(&["s0 stale", "s149999 stale"]);
        scene.end().await;
        drop(quick);
    });
}

#[test]
fn bodies_that_do_not_fit_into_the_memory_fail_alone() {
    leak_checked_live(|| async {
        let quick = ScriptedServer::start([text(Step::get("/metrics").any_times(), "quick 1\n")]).await;
        let (listener, address) = listener().await;
        let scene = Scene::with(1, Clock::system(), |notes| notes);
        let budget = Budget::new(1 << 20);
        let job = scene.job(|job| job.budget = budget.clone());
        let large = at(&address, "large", "1s", "1h");
        scene.targets(&job, &[at(&quick.address().to_string(), "quick", "50ms", "50ms"), large.clone()], &[]).await;
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        let body = lines(200_000);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        // It goes away in the middle.
        stream.write_all(body.as_bytes()).await.ok();
        scene.wait_health(&large, Health::Down).await;
        let error = scene.engine.statuses().get("j", &large).unwrap().error.unwrap();
        assert_eq!(error.code, ScrapeError::Memory { limit: 0 }.code());
        assert!(error.to_string().contains("rosterd.scrape.memory_limit: 1048576 bytes"), "{error}");
        wait_scrapes(&scene, 1).await;
        assert_eq!(scene.engine.statuses().counts("j"), [1, 1, 0]);
        scene.end().await;
        assert_eq!(budget.taken(), 0);
        drop(quick);
    });
}

/// The memory that this process has asked for to write to, in bytes: also what nothing was written to yet.
fn asked_for() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let data = status.lines().find_map(|line| line.strip_prefix("VmData:")).unwrap();
    data.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn scrapes_that_hang_reserve_nothing_for_what_may_come() {
    leak_checked_live(|| async {
        const TARGETS: usize = 150;
        let (listener, address) = listener().await;
        let scene = Scene::with(1, Clock::system(), |notes| notes);
        let job = scene.job(|_| {});
        let hang = async |from: usize| {
            let targets: Vec<_> = (from..from + TARGETS).map(|i| at(&address, &i.to_string(), "1s", "1h")).collect();
            let before = asked_for();
            scene.targets(&job, &targets, &[]).await;
            let mut streams = Vec::new();
            for _ in 0..TARGETS {
                let (mut stream, _) = listener.accept().await.unwrap();
                read_request(&mut stream).await;
                streams.push(stream);
            }
            (streams, (asked_for() - before) / TARGETS as u64)
        };
        // The first have pages, tables and buffers of the engine with them.
        let (_first, _) = hang(0).await;
        let (_second, each) = hang(TARGETS).await;
        // The target itself, what waits for its reply (three times as large as in a release), and this side of its connection.
        assert!(each < 34 << 10, "each takes {each} bytes");
        scene.end().await;
    });
}

#[test]
fn turns_that_a_long_scrape_misses_are_counted() {
    leak_checked_live(|| async {
        let quick = ScriptedServer::start([text(Step::get("/metrics").any_times(), "quick 1\n")]).await;
        let (listener, address) = listener().await;
        let scene = Scene::with(1, Clock::system(), |notes| notes);
        let job = scene.job(|_| {});
        let targets =
            [at(&quick.address().to_string(), "quick", "100ms", "100ms"), at(&address, "slow", "100ms", "1h")];
        scene.targets(&job, &targets, &[]).await;
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        let before = scene.counter("rosterd_scrape_skipped_total", "j");
        wait_scrapes(&scene, 5).await;
        answer(&mut stream, "slow 1\n").await;
        scene.wait("slow 1").await;
        let skipped = || scene.counter("rosterd_scrape_skipped_total", "j") - before;
        eventually(patience(), "the turns are counted", || skipped() >= 3.0).await;
        scene.end().await;
        drop(quick);
    });
}
