//! What relabelling one target costs: ten labels, six rules of the usual kinds.
//! Run with `cargo bench -p rosterd-model`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use rosterd_model::relabel::{NameScheme, RuleConfig, Rules, Scratch};
use rosterd_model::{Builder, Labels, Names};

const RULES: &str = r#"
- {source_labels: [__meta_env], regex: "prod|staging", action: keep}
- {source_labels: [__meta_role], regex: "db-.*", action: drop}
- {source_labels: [__meta_datacenter], target_label: dc}
- {source_labels: [__address__, __meta_port], regex: "([^:]+)(?::\\d+)?;(\\d+)", replacement: "$1:$2", target_label: __address__}
- {regex: "__meta_label_(.+)", action: labelmap}
- {source_labels: [__meta_host], regex: "host-(.*)", target_label: instance}
"#;

fn targets(count: usize) -> Vec<Labels> {
    let target = |index: usize| {
        let number = index.to_string();
        let address = format!("10.0.{}.{}:80", index / 256 % 256, index % 256);
        let host = format!("host-{number}.example.com");
        [
            ("__address__", address.as_str()),
            ("__meta_env", "prod"),
            ("__meta_role", "web"),
            ("__meta_datacenter", "fra1"),
            ("__meta_port", "9100"),
            ("__meta_host", host.as_str()),
            ("__meta_label_team", "core"),
            ("__meta_label_tier", "front"),
            ("__scheme__", "https"),
            ("job", "node"),
        ]
        .into_iter()
        .collect()
    };
    (0..count).map(target).collect()
}

fn relabel(criterion: &mut Criterion) {
    let configs: Vec<RuleConfig> = serde_yaml::from_str(RULES).expect("the rules are well-formed");
    let rules = Rules::compile(&configs, NameScheme::Utf8).expect("the rules are right");
    let targets = targets(1000);
    let (mut builder, mut names, mut scratch) = (Builder::new(), Names::new(), Scratch::default());
    let mut group = criterion.benchmark_group("1000 targets, 10 labels");
    group.bench_function("fill the builder", |bencher| {
        bencher.iter(|| {
            for target in &targets {
                builder.clear();
                builder.extend(target);
                black_box(&builder);
            }
        });
    });
    group.bench_function("fill and apply 6 rules", |bencher| {
        bencher.iter(|| {
            for target in &targets {
                builder.clear();
                builder.extend(target);
                black_box(rules.apply(&mut builder, &mut scratch));
            }
        });
    });
    group.bench_function("fill, apply 6 rules, build", |bencher| {
        bencher.iter(|| {
            for target in &targets {
                builder.clear();
                builder.extend(target);
                if rules.apply(&mut builder, &mut scratch) {
                    black_box(builder.build(&mut names));
                }
            }
        });
    });
    group.finish();
}

criterion_group!(benches, relabel);
criterion_main!(benches);
