//! rosterd beside Debian's Prometheus agent and vmagent: what scraping and shipping costs, in one table.
//!
//! `cargo bench --bench scrape -- SCENARIO... [--only=rosterd,prometheus,vmagent] [--warmup=S] [--seconds=S]`, or
//! `serve SCENARIO` for a program that is started by hand; `docs/benchmarks.md` tells what the scenarios and other options
//! are. Targets and receiver are on the loopback interface. It fails when samples got lost on the way.

mod backend;
mod by_hand;
mod input;
mod options;
mod scenario;
#[path = "../shared/mod.rs"]
mod shared;
mod simulator;
mod window;

use std::process::ExitCode;

use options::Options;
use scenario::Scenario;
use shared::table::Table;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Whoever ends this ends the programs it has started: what holds them is dropped.
    let mut terminated = signal(SignalKind::terminate()).expect("a signal can be waited for");
    tokio::select! {
        code = run() => code,
        _ = tokio::signal::ctrl_c() => ExitCode::FAILURE,
        _ = terminated.recv() => ExitCode::FAILURE,
    }
}

async fn run() -> ExitCode {
    simulator::raise_descriptors();
    let (options, words) = Options::read(std::env::args().skip(1));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => println!("name scenarios: dense, wide, start, outage, or all; or serve and one of them"),
        [word] if word.starts_with(backend::ARGUMENT) => simulate(&word[backend::ARGUMENT.len()..]).await,
        ["serve", name] => by_hand::serve(Scenario::named(name), &options).await,
        ["all"] => return measure(&Scenario::ALL, &options).await,
        _ => {
            let scenarios: Vec<_> = words.into_iter().map(Scenario::named).collect();
            return measure(&scenarios, &options).await;
        }
    }
    ExitCode::SUCCESS
}

/// Runs the scenarios one after another, and prints a table after each.
async fn measure(scenarios: &[Scenario], options: &Options) -> ExitCode {
    let mut incomplete = Vec::new();
    for &scenario in scenarios {
        let mut table = Table::new(&options.kinds);
        for &kind in &options.kinds {
            eprintln!("{}: {}", kind.name(), scenario.title(options));
            let outcome = scenario.run(kind, options).await;
            for (row, value) in outcome.rows {
                table.add(row, kind, value);
            }
            if !outcome.complete {
                incomplete.push(format!("{scenario:?} of {}", kind.name()));
            }
        }
        println!("\n{}\n\n{table}", scenario.title(options));
    }
    if incomplete.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("not complete, or not in order: {}", incomplete.join(", "));
    ExitCode::FAILURE
}

async fn simulate(shape: &str) {
    let (targets, series) = shape.split_once('x').expect("a shape is TARGETSxSERIES");
    let number = |text: &str| text.parse().expect("a shape is two numbers");
    simulator::serve(number(targets), number(series)).await;
}
