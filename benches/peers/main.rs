//! rosterd beside Debian's Prometheus agent and vmagent: time, CPU and memory for the same targets, in one table.
//!
//! `cargo bench --bench peers -- SCENARIO... [--idle=SECONDS] [--only=rosterd,prometheus,vmagent]`; `docs/benchmarks.md`
//! tells what the scenarios are. All targets are on the loopback interface, and scraped once a day.

mod input;
mod scenario;
#[path = "../shared/mod.rs"]
mod shared;

use std::time::Duration;

use scenario::{Options, Scenario};
use shared::program::Kind;
use shared::table::Table;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut options = Options { idle: Duration::from_secs(20), kinds: Kind::ALL.to_vec() };
    let mut scenarios = Vec::new();
    for argument in std::env::args().skip(1) {
        if let Some(seconds) = argument.strip_prefix("--idle=") {
            options.idle = Duration::from_secs(seconds.parse().expect("--idle is a number of seconds"));
        } else if let Some(names) = argument.strip_prefix("--only=") {
            options.kinds = names.split(',').map(Kind::named).collect();
        } else if argument == "all" {
            scenarios.extend(
                ["targets-100k", "targets-500k", "change-100k", "dropped-500k", "http-100k"].map(Scenario::named),
            );
        } else if !argument.starts_with("--") {
            scenarios.push(Scenario::named(&argument));
        }
    }
    if scenarios.is_empty() {
        println!(
            "name a scenario: targets-100k, targets-500k, change-100k, dropped-500k, http-100k (any number), or all"
        );
    }
    for scenario in scenarios {
        let mut table = Table::new(&options.kinds);
        for &kind in &options.kinds {
            for (row, value) in scenario.run(kind, &options).await {
                table.add(row, kind, value);
            }
        }
        println!("\n{scenario}\n\n{table}");
    }
}
