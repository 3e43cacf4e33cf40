//! What the journal costs: a roster whose targets change all the time, written in batches as the agent writes them.
//!
//! `cargo bench --bench journal [-- TARGETS]` plays an hour in which one of a hundred targets a minute goes, and another one comes
//! in its place, and prints the share of a core that this takes, bytes an event, and how long a roster of the past takes.

use std::time::Duration;

use rosterd_journal::{Kind, Note, Query, Settings, Target, Time, Writer, meaning};
use rosterd_model::Labels;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Events are written together after half a second.
const BATCHES_A_MINUTE: usize = 120;
const MINUTES: usize = 60;

/// A pod, as relabelling leaves it in most clusters.
fn labels(number: usize) -> Labels {
    let (node, app) = (number % 997, number % 131);
    [
        ("__address__", format!("10.{}.{}.{}:9100", number >> 16 & 255, number >> 8 & 255, number & 255)),
        ("__metrics_path__", "/metrics".to_owned()),
        ("__scheme__", "http".to_owned()),
        ("__scrape_interval__", "30s".to_owned()),
        ("__scrape_timeout__", "10s".to_owned()),
        ("app", format!("service-{app}")),
        ("container", "main".to_owned()),
        ("instance", format!("10.{}.{}.{}:9100", number >> 16 & 255, number >> 8 & 255, number & 255)),
        ("job", "pods".to_owned()),
        ("namespace", format!("team-{}", app % 17)),
        ("node", format!("node-{node}.example.internal")),
        ("pod", format!("service-{app}-{:010x}-{:05x}", app * 7_919_113, number * 2_654_435_761 % 0xfffff)),
    ]
    .into_iter()
    .collect()
}

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn note(kind: Kind, number: usize, labels: &Labels) -> Note {
    Note {
        job: Some("pods".into()),
        provider: Some("kubernetes/0123456789abcdef".into()),
        source: Some(format!("pod/team-{}/service-{number}", number % 17).into()),
        reason: Some("source".into()),
        labels: Some(labels.clone()),
        ..Note::of(kind)
    }
}

fn main() {
    let targets = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let mut roster: Vec<Labels> = (0..targets).map(labels).collect();
    let settings = Settings { retention: Duration::from_secs(7 * 24 * 3600), max_size: 1 << 30 };
    let (mut writer, _) = Writer::open(folder.path(), settings, Time(0)).expect("a new folder can be used");
    let begun = cpu();
    begin(&mut writer, Time(0), &roster);
    let (checkpoint, checkpoint_cpu) = (writer.reader().size().0, cpu() - begun);

    let (begun, mut events, mut next) = (cpu(), 0, targets);
    for batch in 0..MINUTES * BATCHES_A_MINUTE {
        let now = Time((batch * 500) as i64);
        let due = targets / 100 * (batch + 1) / BATCHES_A_MINUTE - targets / 100 * batch / BATCHES_A_MINUTE;
        let mut filled = writer.batch();
        for _ in 0..due {
            let at = next * 7_919 % targets;
            let gone = std::mem::replace(&mut roster[at], labels(next));
            filled.push(now, &note(Kind::Removed, next, &gone));
            filled.push(now, &note(Kind::Added, next, &roster[at]));
            (events, next) = (events + 2, next + 1);
        }
        assert!(writer.append(filled, now, || of(&roster)).is_none(), "the disk takes it");
    }
    let spent = cpu() - begun;
    let written = writer.reader().size().0 - checkpoint;
    println!("{targets} targets, {events} events in an hour");
    println!("checkpoint: {checkpoint} bytes, {:.1} a target; {checkpoint_cpu:?}", checkpoint as f64 / targets as f64);
    println!("events: {:.1} bytes each, {:?} each", written as f64 / events as f64, spent / events);
    println!("of a core: {:.3} %", spent.as_secs_f64() / (MINUTES * 60) as f64 * 100.0);
    ask(&writer, &roster);
}

fn of(roster: &[Labels]) -> impl Iterator<Item = Target<'_>> {
    roster.iter().map(|labels| Target { job: "pods", labels, held: None })
}

fn begin(writer: &mut Writer, now: Time, roster: &[Labels]) {
    assert!(writer.begin(now, || of(roster)).is_none(), "the disk takes it");
}

fn ask(writer: &Writer, roster: &[Labels]) {
    let reader = writer.reader();
    let begun = Instant::now();
    let past = reader.at(None, |_, _| true).expect("the journal can be read");
    assert_eq!(past.len(), roster.len(), "it leads to the roster");
    println!("the roster of a time: {:?}", begun.elapsed());
    let begun = Instant::now();
    let selector = meaning(roster[7].get("__address__").unwrap_or_default()).expect("an address is a selector");
    let query = Query { selector, limit: 100, newest_first: true, ..Query::default() };
    let found = reader.query(&query).expect("the journal can be read");
    println!("the story of a target: {} events in {:?}", found.events.len(), begun.elapsed());
}
