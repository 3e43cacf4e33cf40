//! The memory that scrapes take while they are under way, and what is given back: a target whose body is large and has short
//! lines, scraped a few times and then with a small body; and targets that take the request and never answer.
//!
//! `cargo bench --bench bodies [-- MEGABYTES [TARGETS]]` prints resident memory, by default with 8 MB and 2,000 targets.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rosterd_testkit::{Folder, Process, free_address};
use shared::table::mebibytes;
use shared::usage::resident;
use tokio::time::Instant;

#[expect(dead_code, reason = "other benchmarks need the rest")]
mod shared;

/// Nobody is given up before.
const PATIENCE: Duration = Duration::from_secs(300);
/// So many times the large body is scraped.
const TIMES: usize = 3;

/// What the server on the loopback interface was asked for.
#[derive(Default)]
struct Asked {
    large: AtomicUsize,
    small: AtomicUsize,
    hanging: AtomicUsize,
}

/// Serves the large body a few times at `/large`, then a small one; nothing at `/hang`; and takes all samples.
fn serve(body: String) -> (u16, Arc<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback interface has free ports");
    let port = listener.local_addr().expect("a bound listener has an address").port();
    let (body, asked) = (Arc::new(body), Arc::<Asked>::default());
    let shared = Arc::clone(&asked);
    thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming().flatten() {
            let (body, asked) = (Arc::clone(&body), Arc::clone(&shared));
            let mut reader = BufReader::with_capacity(256, stream.try_clone().expect("sockets can be shared"));
            let mut first = String::new();
            reader.read_line(&mut first).ok();
            if first.starts_with("GET /hang") {
                asked.hanging.fetch_add(1, Ordering::Relaxed);
                kept.push(stream);
                continue;
            }
            thread::spawn(move || answer(stream, reader, first, &body, &asked));
        }
    });
    (port, asked)
}

/// Answers all requests of a connection. Whoever goes away half-way is not served.
fn answer(
    mut stream: TcpStream,
    mut reader: BufReader<TcpStream>,
    mut first: String,
    body: &str,
    asked: &Asked,
) -> Option<()> {
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(told) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = told.trim().parse().ok()?;
            }
            if line == "\r\n" {
                break;
            }
        }
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).ok()?;
        let reply = match first.starts_with("GET /large") {
            false => "",
            true if asked.large.fetch_add(1, Ordering::Relaxed) < TIMES => body,
            true => {
                asked.small.fetch_add(1, Ordering::Relaxed);
                "a 1\n"
            }
        };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", reply.len());
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(reply.as_bytes()).ok()?;
        first.clear();
        reader.read_line(&mut first).ok()?;
    }
}

fn body(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 20);
    let mut number = 0;
    while text.len() < bytes {
        writeln!(text, "s{number} {}", number % 10).expect("a string takes all");
        number += 1;
    }
    text
}

/// Runs rosterd on some targets.
fn start(folder: &Folder, port: u16, job: &str) -> Process {
    let config = format!("remote_write: [{{url: 'http://127.0.0.1:{port}/write'}}]\nscrape_configs:\n{job}");
    let path = folder.path("prometheus.yml");
    std::fs::write(&path, config).expect("the folder is there");
    let listen = free_address();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rosterd"));
    command
        .arg("run")
        .arg(format!("--config.file={}", path.display()))
        .arg(format!("--storage.path={}", folder.path("data").display()))
        .arg(format!("--web.listen-address={listen}"));
    Process::start("rosterd", &mut command)
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        pause(Duration::from_millis(100));
    }
}

#[expect(clippy::disallowed_methods, reason = "nothing else runs on this thread")]
fn pause(time: Duration) {
    thread::sleep(time);
}

fn large(megabytes: usize) {
    let text = body(megabytes << 20);
    let lines = text.lines().count();
    let (port, asked) = serve(text);
    let folder = Folder::new();
    let job = format!(
        "- {{job_name: large, scrape_interval: 10s, metrics_path: /large, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}\n"
    );
    let process = start(&folder, port, &job);
    wait("nothing is scraped", || asked.large.load(Ordering::Relaxed) > 0 || process.log().contains("error"));
    let before = resident(process.id()).0;
    wait("the body stays large", || asked.small.load(Ordering::Relaxed) > 0);
    // What is left of the last large one are stale markers, which go with the first small one.
    wait("it is scraped no more", || asked.small.load(Ordering::Relaxed) > 1);
    let (after, peak) = resident(process.id());
    println!(
        "{megabytes} MB in {lines} lines, {TIMES} times: {} before, {} at the peak, {} afterwards",
        mebibytes(before),
        mebibytes(peak),
        mebibytes(after)
    );
}

fn hanging(count: usize) {
    let (port, asked) = serve(String::new());
    let folder = Folder::new();
    let groups: Vec<_> =
        (0..count).map(|number| format!("{{targets: ['127.0.0.1:{port}'], labels: {{number: '{number}'}}}}")).collect();
    let job = format!(
        "- {{job_name: hanging, scrape_interval: 60s, scrape_timeout: 60s, metrics_path: /hang, static_configs: [{}]}}\n",
        groups.join(", ")
    );
    let process = start(&folder, port, &job);
    wait("nothing is scraped", || asked.hanging.load(Ordering::Relaxed) > 0);
    let (before, first) = (resident(process.id()).0, asked.hanging.load(Ordering::Relaxed));
    wait("not all are asked", || asked.hanging.load(Ordering::Relaxed) >= count * 9 / 10);
    let (after, last) = (resident(process.id()).0, asked.hanging.load(Ordering::Relaxed));
    let each = after.saturating_sub(before) as f64 / 1024.0 / (last - first) as f64;
    println!(
        "{last} targets that do not answer: {} with {first}, {}, {each:.1} KiB each",
        mebibytes(before),
        mebibytes(after)
    );
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    large(numbers.next().unwrap_or(8));
    hanging(numbers.next().unwrap_or(2_000));
}
