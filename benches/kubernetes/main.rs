//! Discovery by the API of Kubernetes in a large cluster: rosterd beside Debian's vmagent, in one table.
//!
//! `cargo bench --bench kubernetes -- SCENARIO... [--pods=N] [--seconds=S] [--only=rosterd,vmagent]`; `docs/benchmarks.md` tells what
//! the scenarios and other options are. The API server is a fake one, in a process of its own on the second core.

mod cluster;
mod events;
mod options;
mod scenario;
mod seen;
mod server;
#[path = "../shared/mod.rs"]
mod shared;

use cluster::Size;
use options::Options;
use scenario::Scenario;
use shared::table::Table;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (options, words) = Options::read(std::env::args().skip(1));
    if let Some(size) = words.iter().find_map(|word| word.strip_prefix(server::ARGUMENT)) {
        return server::serve(Size::read(size)).await;
    }
    let scenarios: Vec<_> = match &words[..] {
        [] => return println!("name scenarios: jobs, selector, rule, or all; or serve"),
        [word] if word == "serve" => return scenario::by_hand(&options).await,
        [word] if word == "all" => Scenario::ALL.to_vec(),
        words => words.iter().map(|word| Scenario::named(word)).collect(),
    };
    for scenario in scenarios {
        let mut table = Table::new(&options.kinds);
        for &kind in &options.kinds {
            eprintln!("{}: {}", kind.name(), scenario.title(options.size));
            for (row, value) in scenario.run(kind, &options).await {
                table.add(row, kind, value);
            }
        }
        println!("\n{}\n\n{table}", scenario.title(options.size));
    }
}
