//! What a sample costs on its way from the exposition to remote write, and what is remembered of a series.
//! Run with `cargo bench -p rosterd-scrape`; `EXPOSITION=FILE` reads a real one instead of the one made up here.

#[path = "../../exposition/benches/node_exporter/mod.rs"]
mod node_exporter;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use node_exporter::node_exporter;
use rosterd_exposition::{Dialect, TextParser};
use rosterd_model::{NameScheme, relabel};
use rosterd_scrape::ingest::{Bench, Ingested, Rules, Track};

const TARGET: [(&str, &str); 3] = [("instance", "machine-0001.example.org:9100"), ("job", "node"), ("zone", "a")];

/// One target, scraped again and again.
struct Target<'b> {
    bench: Bench,
    track: Track,
    rules: Rules,
    body: &'b str,
    at_ms: i64,
}

impl<'b> Target<'b> {
    fn new(body: &'b str, rules: Rules) -> Self {
        let mut target =
            Self { bench: Bench::default(), track: Track::default(), rules, body, at_ms: 1_700_000_000_000 };
        target.scrape(body);
        target
    }

    fn scrape(&mut self, body: &str) -> Ingested {
        self.at_ms += 15_000;
        self.bench.begin();
        let make = || TextParser::new(body.as_bytes(), Dialect::Prometheus);
        let ingested = self.bench.ingest(make, &mut self.track, &self.rules, &TARGET, self.at_ms);
        ingested.expect("the exposition is good")
    }

    fn again(&mut self) {
        black_box(self.scrape(self.body));
    }
}

/// What most people have: one rule that drops, and one that renames.
fn relabelling() -> Rules {
    let yaml = "[{source_labels: [__name__], regex: go_.*, action: drop}, {regex: fstype, action: labeldrop}]";
    let rules: Vec<_> = serde_yaml::from_str(yaml).expect("rules are YAML");
    Rules { relabel: relabel::Rules::compile(&rules, NameScheme::Utf8).expect("rules are good"), ..Rules::default() }
}

#[expect(clippy::disallowed_methods, reason = "whoever runs the benchmark may name a file")]
fn ingest(criterion: &mut Criterion) {
    let bodies = match std::env::var("EXPOSITION") {
        Ok(file) => vec![(file.clone(), std::fs::read_to_string(&file).expect("the file can be read"))],
        Err(_) => [8, 64].map(|cpus| (format!("node exporter of {cpus} CPUs"), node_exporter(cpus))).into(),
    };
    for (name, body) in &bodies {
        let mut target = Target::new(body, Rules::default());
        let samples = target.scrape(body).scraped;
        let name = format!("{name}: {samples} samples of {} bytes", body.len() / samples);
        let (sent, kept) = (target.bench.block.series.len(), target.track.size());
        println!(
            "{name}: {} bytes sent a sample, {:.1} bytes remembered a series",
            sent / samples,
            kept as f64 / samples as f64
        );
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(samples as u64));
        group.bench_function("the same series", |bencher| bencher.iter(|| target.again()));
        let others = body.replacen("node_cpu", "node_xpu", 1);
        group.bench_function("a series more or less", |bencher| {
            bencher.iter(|| {
                target.scrape(&others);
                target.again();
            });
        });
        let mut target = Target::new(body, relabelling());
        group.bench_function("the same series, relabelled", |bencher| bencher.iter(|| target.again()));
        group.finish();
    }
}

criterion_group!(benches, ingest);
criterion_main!(benches);
