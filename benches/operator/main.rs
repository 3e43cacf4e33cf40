//! What an operator waits for, and what it costs to be told: each page, an explanation, the journal, the brake and a template, of
//! the program itself, with 100,000 targets.
//!
//! `cargo bench --bench operator -- SCENARIO... [--targets=100000] [--minutes=3]`; `docs/benchmarks.md` tells what the scenarios are.
//! Nothing is scraped.

mod agent;
mod brake;
mod churn;
mod input;
mod pages;
mod template;
#[path = "../shared/usage.rs"]
mod usage;

/// What may be set on the command line.
struct Options {
    targets: usize,
    minutes: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut options = Options { targets: 100_000, minutes: 3 };
    let mut scenarios = Vec::new();
    for argument in std::env::args().skip(1) {
        if let Some(targets) = argument.strip_prefix("--targets=") {
            options.targets = targets.parse().expect("--targets is a number");
        } else if let Some(minutes) = argument.strip_prefix("--minutes=") {
            options.minutes = minutes.parse().expect("--minutes is a number");
        } else if argument == "all" {
            scenarios.extend(["pages", "churn", "brake", "template"].map(str::to_owned));
        } else if !argument.starts_with("--") {
            scenarios.push(argument);
        }
    }
    if scenarios.is_empty() {
        println!("name a scenario: pages, churn, brake, template (any number), or all");
    }
    for scenario in scenarios {
        println!("\n{scenario}, {} targets\n", options.targets);
        match scenario.as_str() {
            "pages" => pages::run(&options).await,
            "churn" => churn::run(&options).await,
            "brake" => brake::run(&options).await,
            "template" => template::run(&options).await,
            other => panic!("{other} is none of pages, churn, brake, template"),
        }
    }
}
