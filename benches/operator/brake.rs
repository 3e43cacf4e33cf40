//! A list that goes empty as a whole: what it takes to hold all of its targets, to show them, and to let them go.

use std::time::Duration;

use rosterd_testkit::Folder;
use tokio::time::{Instant, sleep};

use super::Options;
use super::agent::Agent;
use super::input;

const SHOWN: [&str; 9] = [
    "/api/v1/brake",
    "/",
    "/targets?health=held",
    "/targets?health=held&search=nowhere",
    "/service-discovery?job=pods&became=held",
    "/service-discovery?job=pods&became=held&search=nowhere",
    "/explain?q=127.1.3.7:9",
    "/journal",
    "/status",
];

pub(super) async fn run(options: &Options) {
    let (folder, targets) = (Folder::new(), options.targets);
    input::write(&folder, "all", 0..targets);
    input::configure(&folder, "agent.yml", "", &[("pods".to_owned(), "all".to_owned(), "")]);
    let mut agent = Agent::start(&folder, "agent.yml", targets).await;
    let (cpu, memory) = (agent.cpu(), agent.memory().0);
    agent.reset();
    input::write(&folder, "all", []);
    let are_held = async |agent: &Agent| agent.metric("rosterd_roster_held_targets{").await == Some(targets as f64);
    let took = agent.wait("all are held", are_held).await;
    sleep(Duration::from_secs(5)).await;
    let (spent, (now, peak)) = (agent.cpu() - cpu, agent.memory());
    println!(
        "held after {took:.2?}, with what is stored {spent:.2} s of CPU; memory {memory} MiB before, {now} MiB now, {peak} MiB at the peak"
    );
    for path in SHOWN {
        let answer = agent.ask("GET", path).await.expect("it answers");
        println!("{path:<60} first {:>8.1?} {:>9} bytes", answer.first, answer.length);
    }
    let (cpu, since) = (agent.cpu(), Instant::now());
    let released = agent.ask("POST", "/api/v1/brake/release?job=pods").await.expect("it answers");
    assert!(released.text.contains(&format!("\"released\":{targets}")), "{}", released.text);
    agent.wait("none is left", async |agent| agent.targets().await == Some(0)).await;
    let took = since.elapsed();
    sleep(Duration::from_secs(5)).await;
    println!("released after {took:.2?}, with what is stored {:.2} s of CPU", agent.cpu() - cpu);
}
