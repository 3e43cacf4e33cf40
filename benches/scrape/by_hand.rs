//! The simulator alone, for a program that is started by hand: under a profiler, or built another way.

use std::time::Duration;

use rosterd_testkit::Folder;
use tokio::time::sleep;

use super::backend::Backend;
use super::input;
use super::options::Options;
use super::scenario::Scenario;
use super::shared::program::Place;

/// Starts it, prints how to run each program against it, and tells every ten seconds what arrived. It does not end by itself.
pub(super) async fn serve(scenario: Scenario, options: &Options) {
    let shape = scenario.shape(options);
    let backend = Backend::start(shape).await;
    println!("{}\n", scenario.title(options));
    // Kept until the end: the programs read them.
    let mut folders = Vec::new();
    for &kind in &options.kinds {
        let folder = Folder::new();
        input::write(&folder, kind, &backend, shape, shape.targets, options);
        let command = kind.command(&Place::in_folder(&folder, backend.receiver()));
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        println!("{}:\n  {}", kind.name(), words.join(" "));
        folders.push(folder);
    }
    println!("\nfigures: curl {}", backend.url("/figures"));
    println!("forget them, before another program: curl {}", backend.url("/reset"));
    println!("the receiver away and back: curl {} {}", backend.url("/receiver/off"), backend.url("/receiver/on"));
    println!(
        "targets that answer 503, and well again: curl {} {}",
        backend.url("/targets/off"),
        backend.url("/targets/on")
    );
    report(&backend).await;
}

async fn report(backend: &Backend) {
    loop {
        sleep(Duration::from_secs(10)).await;
        let figures = backend.figures().await;
        println!(
            "{} scrapes of {} targets, {} samples served, {} arrived and {} of the agent, {} missing, {} doubled, {} different",
            figures.scrapes,
            figures.seen,
            figures.served,
            figures.arrived,
            figures.automatic,
            figures.missing,
            figures.doubled,
            figures.different
        );
    }
}
