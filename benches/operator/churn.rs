//! What the journal costs a running agent: one with it and one without, on the same files, of which a hundredth of the targets
//! changes a minute.

use std::time::Duration;

use rosterd_testkit::Folder;
use tokio::time::{Instant, sleep_until};

use super::Options;
use super::agent::Agent;
use super::input;

const FILES: usize = 100;

pub(super) async fn run(options: &Options) {
    let (folder, each) = (Folder::new(), options.targets / FILES);
    let mut files: Vec<Vec<usize>> = (0..FILES).map(|file| (file * each..(file + 1) * each).collect()).collect();
    for (file, targets) in files.iter().enumerate() {
        input::write(&folder, &file.to_string(), targets.iter().copied());
    }
    let jobs = [("pods".to_owned(), "*".to_owned(), "")];
    input::configure(&folder, "with.yml", "", &jobs);
    input::configure(&folder, "without.yml", "rosterd: {journal: {enabled: false}}\n", &jobs);
    let with = Agent::start(&folder, "with.yml", each * FILES).await;
    let without = Agent::start(&folder, "without.yml", each * FILES).await;
    let before = (with.cpu(), without.cpu(), size(&folder), events(&with).await, Instant::now());
    let (mut next, mut at) = (each * FILES, Instant::now());
    for change in 0..usize::try_from(options.minutes).unwrap_or(1) * FILES {
        let file = change % FILES;
        // Of each file, as it comes round, another hundredth.
        for changed in 0..each / 100 {
            files[file][(change / FILES * (each / 100) + changed) % each] = next;
            next += 1;
        }
        input::write(&folder, &file.to_string(), files[file].iter().copied());
        at += Duration::from_secs(60) / u32::try_from(FILES).unwrap_or(1);
        sleep_until(at).await;
    }
    let seconds = before.4.elapsed().as_secs_f64();
    let share = |agent: &Agent, before: f64| (agent.cpu() - before) / seconds * 100.0;
    let (one, other) = (share(&with, before.0), share(&without, before.1));
    let (bytes, told) = (size(&folder) - before.2, events(&with).await - before.3);
    println!("of a core: {one:.3} % with a journal, {other:.3} % without: {:.3} % is the journal", one - other);
    println!("{told} events, {:.1} bytes each", bytes as f64 / told);
    let (with, without) = (with.memory().0, without.memory().0);
    println!("memory: {with} MiB with a journal, {without} MiB without");
}

async fn events(agent: &Agent) -> f64 {
    agent.metric("rosterd_journal_events_total{").await.expect("it has a journal")
}

/// How large the journal is on disk.
fn size(folder: &Folder) -> u64 {
    let files = std::fs::read_dir(folder.path("with-data/journal")).expect("there is a journal");
    files.map(|file| file.and_then(|file| file.metadata()).map_or(0, |file| file.len())).sum()
}
