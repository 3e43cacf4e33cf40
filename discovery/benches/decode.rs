//! How fast target groups are read: 100,000 groups of one target with ten labels each.

use std::fmt::Write;

use criterion::{Criterion, criterion_group, criterion_main};
use rosterd_discovery::decode::json_groups;

const GROUPS: usize = 100_000;

fn document() -> String {
    let mut text = String::from("[");
    for group in 0..GROUPS {
        let comma = if group == 0 { "" } else { "," };
        write!(text, r#"{comma}{{"targets":["host-{group}.example.com:9100"],"labels":{{"__meta_id":"{group}""#)
            .expect("a string takes all");
        for label in 1..10 {
            write!(text, r#","__meta_label_{label}":"value {} of {label}""#, group % 97).expect("a string takes all");
        }
        text.push_str("}}");
    }
    text.push(']');
    text
}

fn decode(criterion: &mut Criterion) {
    let text = document();
    let mut group = criterion.benchmark_group("decode");
    group.sample_size(20).throughput(criterion::Throughput::Bytes(text.len() as u64));
    group.bench_function("json_100k_groups_of_10_labels", |bencher| {
        let read = || {
            json_groups(text.as_bytes(), "http://sd.example.com/targets", &[("__meta_url", "u")])
                .expect("the document is well formed")
        };
        bencher.iter_with_large_drop(read);
    });
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
