//! What takes long: large bodies, and scrapes that last longer than their interval.

use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::mpsc;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use rosterd_tasks::blocking;
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

/// Holds all threads for what takes long, until it is dropped.
struct Held(Option<mpsc::Sender<()>>, FuturesUnordered<Pin<Box<dyn Future<Output = ()>>>>);

impl Held {
    /// As many as a runtime has.
    const THREADS: usize = 512;

    fn all() -> Self {
        let (release, until) = mpsc::channel();
        let until = Arc::new(Mutex::new(until));
        let hold = |_| {
            let until = Arc::clone(&until);
            let held = blocking(move || assert!(until.lock().unwrap().recv().is_err(), "nobody says anything"));
            Box::pin(held) as Pin<Box<dyn Future<Output = ()>>>
        };
        let mut held: FuturesUnordered<_> = (0..Self::THREADS).map(hold).collect();
        assert!(held.next().now_or_never().is_none(), "all of them wait");
        Self(Some(release), held)
    }

    async fn release(mut self) {
        self.0 = None;
        while self.1.next().await.is_some() {}
    }
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
        let held = Held::all();
        answer(&mut stream, &body).await;
        wait_scrapes(&scene, 2).await;
        let status = scene.engine.statuses().get("j", &large).unwrap();
        assert_eq!(status.health, Health::Unknown, "others were scraped before the body was looked at");
        held.release().await;
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
        let held = Held::all();
        answer(&mut stream, &lines(500_000)).await;
        // By now the body is there, and goes by the rules of its time.
        wait_scrapes(&scene, 2).await;
        scene.targets(&other, &[], &[]).await;
        held.release().await;
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
