//! What reading an exposition costs, in bytes a second, next to counting its lines.
//! Run with `cargo bench -p rosterd-exposition`; `EXPOSITION=FILE` reads a real one instead of the one made up here.

mod node_exporter;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use node_exporter::node_exporter;
use rosterd_exposition::{Dialect, Entry, Parse, TextParser};

fn read(body: &str, dialect: Dialect) -> usize {
    let mut parser = TextParser::new(body.as_bytes(), dialect).expect("it is UTF-8");
    let mut samples = 0;
    loop {
        // An entry is looked at where it is: it is large to move.
        match &parser.next() {
            Ok(Some(Entry::Sample(sample))) => {
                samples += 1;
                black_box((sample.identity, sample.name, sample.value, sample.timestamp_ms));
                sample.labels.iter().for_each(|label| {
                    black_box(label);
                });
            }
            Ok(Some(other)) => {
                black_box(other);
            }
            Ok(None) => return samples,
            Err(fault) => panic!("it is well-formed: {fault}"),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "whoever runs the benchmark may name a file")]
fn parse(criterion: &mut Criterion) {
    let (name, prometheus) = match std::env::var("EXPOSITION") {
        Ok(file) => (file.clone(), std::fs::read_to_string(&file).expect("the file can be read")),
        Err(_) => ("node exporter of 32 CPUs".to_owned(), node_exporter(32)),
    };
    let openmetrics = prometheus.clone() + "# EOF\n";
    let samples = read(&prometheus, Dialect::Prometheus);
    let mut group = criterion.benchmark_group(format!("{name}: {} bytes, {samples} samples", prometheus.len()));
    group.throughput(Throughput::BytesDecimal(prometheus.len() as u64));
    group.bench_function("count lines", |bencher| {
        bencher.iter(|| memchr::memchr_iter(b'\n', black_box(prometheus.as_bytes())).count());
    });
    group.bench_function("check UTF-8", |bencher| {
        bencher.iter(|| std::str::from_utf8(black_box(prometheus.as_bytes())).is_ok());
    });
    group.bench_function("text", |bencher| bencher.iter(|| read(black_box(&prometheus), Dialect::Prometheus)));
    group.bench_function("openmetrics", |bencher| {
        bencher.iter(|| read(black_box(&openmetrics), Dialect::OpenMetrics));
    });
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);
