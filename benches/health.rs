//! Whether rosterd answers while it has a lot to do: large lists are read by `http_sd_configs`, all at once, on a runtime of two
//! threads, and meanwhile `/-/healthy` is asked every few milliseconds.
//!
//! `cargo bench --bench health [-- MEGABYTES [LISTS]] [--scraped]` prints how long the answers took, by default while 300 MB in
//! three lists are read. With `--scraped` the targets are scraped, once a day, and when all are there a reload gives each of them
//! another label, and drops a seventh.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rosterd_testkit::{Folder, Process, free_address};
use tokio::time::Instant;

/// Nobody is given up before.
const PATIENCE: Duration = Duration::from_secs(600);
/// What is asked of rosterd.
const AIM: Duration = Duration::from_millis(50);
const PAUSE: Duration = Duration::from_millis(2);

/// A list of so many bytes, and how many targets it has.
fn list(bytes: usize) -> (String, usize) {
    let (mut text, mut count) = (String::with_capacity(bytes + 1000), 0);
    text.push('[');
    while text.len() < bytes {
        let comma = if count == 0 { "" } else { "," };
        write!(
            text,
            r#"{comma}{{"targets":["host-{count}.example.com:9100"],"labels":{{"zone":"eu-{}","rack":"r{}","team":"team-{}","host_id":"i-{count:012x}"}}}}"#,
            count % 7,
            count % 91,
            count % 23,
        )
        .expect("a string takes all");
        count += 1;
    }
    text.push(']');
    (text, count)
}

/// Serves the list to whoever asks, until the process ends.
fn serve(list: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback interface has free ports");
    let port = listener.local_addr().expect("a bound listener has an address").port();
    let list = Arc::new(list);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let list = Arc::clone(&list);
            thread::spawn(move || answer(stream, &list));
        }
    });
    port
}

/// Whoever goes away half-way is not served.
fn answer(mut stream: TcpStream, list: &str) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    lines.find(|line| line.as_ref().map_or(true, String::is_empty))?.ok()?;
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        list.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(list.as_bytes()).ok()
}

/// The body of a page.
fn get(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Returns when the configuration was read again.
fn reload(port: u16) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    write!(stream, "POST /-/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    Ok(())
}

/// How long each answer took and when it was asked for, until it is told to end.
fn probe(port: u16, started: Instant, end: &AtomicBool) -> Vec<(Duration, Duration)> {
    let mut took = Vec::new();
    while !end.load(Ordering::Relaxed) {
        let asked = Instant::now();
        get(port, "/-/healthy").expect("rosterd answers");
        took.push((asked.elapsed(), asked - started));
        wait();
    }
    took
}

#[expect(clippy::disallowed_methods, reason = "what is measured runs in another process")]
fn wait() {
    thread::sleep(PAUSE);
}

/// How many targets there are by this metric.
fn targets(port: u16, metric: &str) -> usize {
    let text = get(port, "/metrics").unwrap_or_default();
    let series = text.lines().filter(|line| line.strip_prefix(metric).is_some_and(|rest| rest.starts_with('{')));
    series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as usize
}

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let (megabytes, lists) = (numbers.first().copied().unwrap_or(300), numbers.get(1).copied().unwrap_or(3));
    let (body, count) = list((megabytes << 20) / lists);
    let source = serve(body);

    let folder = Folder::new();
    let job = |number| {
        format!(
            "- job_name: job-{number}\n  http_sd_configs: [{{url: 'http://127.0.0.1:{source}/{number}', refresh_interval: 1d}}]\n"
        )
    };
    let jobs: String = (0..lists).map(job).collect();
    let scraped = std::env::args().any(|argument| argument == "--scraped");
    let (head, metric) = match scraped {
        // Nothing is there: what is measured is that there are targets, not what they say.
        true => {
            ("global: {scrape_interval: 1d}\nremote_write: [{url: 'http://127.0.0.1:9/'}]", "rosterd_scrape_targets")
        }
        false => ("rosterd: {}", "rosterd_roster_targets"),
    };
    let text = format!("{head}\nscrape_configs:\n{jobs}");
    let config = folder.write("prometheus.yml", &text);
    let port = free_address().port();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rosterd"));
    command
        .arg("run")
        .arg(format!("--config.file={}", config.display()))
        .args(["--storage.path=".to_owned(), format!("--web.listen-address=127.0.0.1:{port}")])
        .arg("--web.enable-lifecycle")
        .env("TOKIO_WORKER_THREADS", "2");
    let started = Instant::now();
    let mut process = Process::start("rosterd", &mut command);
    while get(port, "/-/healthy").is_err() {
        assert!(process.exited().is_none(), "rosterd ended:\n{}", process.log());
        wait();
    }

    let end = Arc::new(AtomicBool::new(false));
    let prober = thread::spawn({
        let end = Arc::clone(&end);
        move || probe(port, started, &end)
    });
    let mut wait_for = |count: usize| {
        while targets(port, metric) != count {
            assert!(process.exited().is_none(), "rosterd ended:\n{}", process.log());
            assert!(started.elapsed() < PATIENCE, "rosterd does not get to {count} targets:\n{}", process.log());
            thread::park_timeout(Duration::from_millis(500));
        }
    };
    wait_for(count * lists);
    if scraped {
        // That some are gone shows when it is done.
        let rules = "[{target_label: another, replacement: label}, {source_labels: [zone], regex: eu-0, action: drop}]";
        let rules = format!("  relabel_configs: {rules}\n  http_sd_configs:");
        folder.write("prometheus.yml", text.replace("  http_sd_configs:", &rules));
        reload(port).expect("rosterd reloads");
        wait_for((count - count.div_ceil(7)) * lists);
    }
    let took_all = started.elapsed();
    end.store(true, Ordering::Relaxed);
    let mut took = prober.join().expect("the prober goes on");
    took.sort();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].0.as_secs_f64() * 1000.0;
    println!(
        "{megabytes} MB in {lists} lists, {} targets, in {:.1} s; /-/healthy asked {} times: median {:.1} ms, 99 % {:.1} ms, \
         worst {:.1} ms ({})",
        count * lists,
        took_all.as_secs_f64(),
        took.len(),
        at(0.5),
        at(0.99),
        at(1.0),
        if took.last().is_none_or(|(worst, _)| *worst <= AIM) { "within the aim" } else { "beyond the aim of 50 ms" },
    );
    let slow = took.iter().rev().take_while(|(answer, _)| *answer > AIM);
    for (answer, at) in slow.take(10) {
        println!("{:.1} ms at {:.2} s", answer.as_secs_f64() * 1000.0, at.as_secs_f64());
    }
}
