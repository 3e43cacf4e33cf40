//! A list of upstreams with all targets: what it takes to render it, when the template changes and when a target does.

use std::time::Duration;

use rosterd_testkit::Folder;
use tokio::time::{Instant, sleep};

use super::Options;
use super::agent::Agent;
use super::input;

const TEMPLATE: &str = "upstream pods {\n{% for target in targets %}\n    server {{ target.address }}; # {{ target.labels.service | word }}\n{% endfor %}\n}\n";

pub(super) async fn run(options: &Options) {
    let folder = Folder::new();
    let [template, rendered] = ["upstreams.tmpl", "upstreams.conf"].map(|name| folder.path(name).display().to_string());
    folder.write("upstreams.tmpl", TEMPLATE);
    input::write(&folder, "all", 0..options.targets);
    let own = format!("rosterd: {{templates: [{{source: {template}, destination: {rendered}}}]}}\n");
    input::configure(&folder, "agent.yml", &own, &[("pods".to_owned(), "all".to_owned(), "")]);
    let mut agent = Agent::start(&folder, "agent.yml", options.targets).await;
    println!("{} bytes", wait(&mut agent, &folder, "svc-1").await.len());
    let change: [(&str, &dyn Fn()); 2] = [
        ("template", &|| drop(folder.replace("upstreams.tmpl", format!("# again\n{TEMPLATE}")))),
        ("target", &|| input::write(&folder, "all", 1..=options.targets)),
    ];
    let new = input::address(options.targets);
    for ((what, change), wanted) in change.into_iter().zip(["# again", new.as_str()]) {
        sleep(Duration::from_secs(6)).await;
        let (cpu, memory) = (agent.cpu(), agent.memory().0);
        agent.reset();
        change();
        let since = Instant::now();
        wait(&mut agent, &folder, wanted).await;
        let (took, peak) = (since.elapsed(), agent.memory().1);
        sleep(Duration::from_secs(1)).await;
        let spent = agent.cpu() - cpu;
        println!(
            "another {what}: after {took:.2?}, {spent:.2} s of CPU; memory {memory} MiB before, {peak} MiB at the peak"
        );
    }
}

/// What was rendered, once this is in it.
async fn wait(agent: &mut Agent, folder: &Folder, wanted: &str) -> String {
    let path = folder.path("upstreams.conf");
    let read = || std::fs::read_to_string(&path).unwrap_or_default();
    agent.wait("it is rendered", async |_| read().contains(wanted)).await;
    read()
}
