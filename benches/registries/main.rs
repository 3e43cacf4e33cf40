//! Discovery by a large Consul and by a Docker Engine with many containers: rosterd beside Debian's Prometheus and vmagent, in one table.
//!
//! `cargo bench --bench registries -- consul docker [--services=N] [--containers=N] [--only=rosterd,prometheus,vmagent]`;
//! `docs/benchmarks.md` tells what is measured and which other options there are. What is asked is a fake, in a process of its own on
//! the second core.

mod consul;
mod docker;
mod options;
mod registry;
mod scenario;
mod server;
#[path = "../shared/mod.rs"]
mod shared;

use options::Options;
use registry::Kind;
use shared::table::Table;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (options, words) = Options::read(std::env::args().skip(1));
    if let Some(what) = words.iter().find_map(|word| word.strip_prefix(server::ARGUMENT)) {
        return server::serve(what).await;
    }
    let kinds: Vec<_> = match &words[..] {
        [] => return println!("name what to discover by: consul, docker, or all"),
        [word] if word == "all" => Kind::ALL.to_vec(),
        words => words.iter().map(|word| Kind::named(word)).collect(),
    };
    for kind in kinds {
        let programs: Vec<_> =
            kind.programs().into_iter().filter(|program| options.programs.contains(program)).collect();
        let mut table = Table::new(&programs);
        for program in programs {
            eprintln!("{}: {}", program.name(), kind.title(&options));
            for (row, value) in scenario::run(kind, program, &options).await {
                table.add(row, program, value);
            }
        }
        println!("\n{}\n\n{table}", kind.title(&options));
    }
}
