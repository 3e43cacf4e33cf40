//! CPU seconds for a million samples: from blocks of 500 series to a receiver in another process.
//!
//! `cargo bench -p rosterd-ship` prints a line for each version and compression, with the queue on disk.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use prometheus::Registry;
use rosterd_client::System;
use rosterd_model::relabel::Rules;
use rosterd_ship::wire::{Compression, Message, Sends, field::put_bytes, put_label, put_sample};
use rosterd_ship::{Block, Counts, DiskLimits, EndpointConfig, MetadataConfig, Metrics, QueueConfig, Shipper};
use rosterd_tasks::stopper::Stopper;

const SERIES: u32 = 500;
const TARGETS: u64 = 1000;
const ROUNDS: u64 = 20;

fn main() {
    if std::env::args().any(|argument| argument == "sink") {
        return sink();
    }
    for (message, compression) in [
        (Message::V1, Compression::Snappy),
        (Message::V2, Compression::Snappy),
        (Message::V1, Compression::Zstd),
        (Message::V2, Compression::Zstd),
    ] {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.expect("a runtime").block_on(measure(message, compression));
    }
}

async fn measure(message: Message, compression: Compression) {
    let mut child = Command::new(std::env::current_exe().expect("it runs"))
        .arg("sink")
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can run itself");
    let mut address = String::new();
    BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut address).expect("an address");
    let folder = tempfile::tempdir().expect("a folder");
    let (registry, stopper) = (Registry::new(), Stopper::new());
    let metrics = Metrics::register(&registry).expect("an empty registry takes all names");
    let shipper = Shipper::new(Some(folder.path().to_owned()), metrics, &System::default(), &stopper);
    let config = EndpointConfig { message, compression, ..endpoint(&format!("http://{}/write", address.trim())) };
    shipper.configure(vec![config]).await.expect("the configuration is good");
    let mut blocks: Vec<_> = (0..TARGETS).map(block).collect();
    let (before, started) = (cpu(), tokio::time::Instant::now());
    for round in 0..ROUNDS {
        for (key, block) in blocks.iter_mut().enumerate() {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later").as_millis() as i64;
            (block.oldest_ms, block.newest_ms) = (now, now);
            shipper.push((key as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15), block);
            // As scrapes of a second, spread evenly.
            if key % 50 == 49 {
                let at = started + Duration::from_millis(500 * round + 500 * key as u64 / TARGETS);
                tokio::time::sleep_until(at).await;
            }
        }
    }
    shipper.shutdown(tokio::time::Instant::now() + Duration::from_secs(60)).await;
    let (millions, took) = ((ROUNDS * TARGETS * u64::from(SERIES)) as f64 / 1e6, cpu() - before);
    let sum = |name: &str| -> f64 {
        let families = registry.gather();
        let family = families.iter().find(|family| family.name().ends_with(name)).expect("it is a metric");
        family.get_metric().iter().map(|metric| metric.get_counter().get_value()).sum()
    };
    println!(
        "{message:?} {compression:?}: {:.3} CPU s, {:.1} MB sent and {:.0} samples a million; {} kB resident",
        took / millions,
        sum("sent_bytes_total") / 1e6 / millions,
        sum("sent_items_total") / millions,
        resident()
    );
    stopper.stop(Duration::from_secs(1)).await;
    child.kill().ok();
    child.wait().ok();
}

fn endpoint(url: &str) -> EndpointConfig {
    EndpointConfig {
        name: "sink".to_owned(),
        named: true,
        url: url.parse().expect("a URL"),
        client: Default::default(),
        headers: BTreeMap::new(),
        timeout: Duration::from_secs(30),
        message: Message::V1,
        compression: Compression::Snappy,
        rules: Rules::default(),
        sends: Sends::default(),
        queue: QueueConfig {
            capacity: 10_000,
            max_shards: 50,
            min_shards: 1,
            max_samples_per_send: 2000,
            batch_send_deadline: Duration::from_secs(5),
            min_backoff: Duration::from_millis(30),
            max_backoff: Duration::from_secs(5),
            retry_on_http_429: false,
            keep_on: Vec::new(),
            sample_age_limit: Duration::ZERO,
        },
        metadata: MetadataConfig { send: true, interval: Duration::from_secs(60), max_samples_per_send: 2000 },
        round_robin_dns: false,
        sigv4: None,
        azuread: None,
        google_iam: None,
        failed_request_logging: false,
        disk: DiskLimits { max_bytes: 4 << 30, max_age: Duration::ZERO },
    }
}

fn block(target: u64) -> Block {
    let counts = Counts { series: SERIES, samples: SERIES, ..Counts::default() };
    let mut block = Block { counts, ..Block::default() };
    let instance = format!("node-{target:04}.example.org:9100");
    for number in 0..SERIES {
        let (name, mode) = (format!("node_cpu_seconds_total_{}", number / 8), ["idle", "user"][number as usize % 2]);
        let mut series = Vec::new();
        for (label, value) in [
            ("__name__", &*name),
            ("cpu", &(number % 8).to_string()),
            ("instance", &instance),
            ("job", "node"),
            ("mode", mode),
        ] {
            put_label(label.as_bytes(), value.as_bytes(), &mut series);
        }
        let value = (u64::from(number) * 7919 + target * 104_729) as f64 * 0.01;
        put_sample(value, 1_764_000_000_000, &mut series);
        put_bytes(1, &series, &mut block.series);
    }
    block
}

/// User and system time of this process.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = fields.iter().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / 100.0
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

/// Takes everything and says so.
fn sink() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    println!("{}", listener.local_addr().expect("an address"));
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || take(stream));
    }
}

fn take(stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::with_capacity(1 << 16, stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let (mut length, mut line) = (0, String::new());
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let written = "X-Prometheus-Remote-Write-Samples-Written: 2000";
        // In one write: a second one would wait for the other side to confirm the first.
        stream.write_all(format!("HTTP/1.1 204 No Content\r\n{written}\r\n\r\n").as_bytes()).ok()?;
    }
}
