//! Targets that vanish from discovery: rosterd and a real Prometheus in agent mode end their series at the same time, and not
//! at all when they come back in time.

use std::collections::{BTreeMap, BTreeSet};

use rosterd_testkit::{
    Folder, ReceivedSample, RemoteWriteReceiver, Server, eventually, eventually_ok, leak_checked_live, patience,
};

use super::exporter::{Exporter, Page};
use super::programs::{Wrapper, prometheus_agent, rosterd};

const PROGRAMS: [&str; 2] = ["rosterd", "Prometheus"];

/// Prometheus looks at discovery every five seconds: long enough to miss a scrape, and less than two intervals.
const INTERVAL_MS: i64 = 6000;

fn configuration(receiver: &RemoteWriteReceiver) -> String {
    format!(
        "global: {{scrape_interval: {INTERVAL_MS}ms, scrape_timeout: 5s}}\n\
         remote_write: [{{url: '{}', queue_config: {{batch_send_deadline: 100ms}}}}]\n\
         scrape_configs:\n- job_name: files\n  file_sd_configs: [{{files: [targets.yml], refresh_interval: 1s}}]\n",
        receiver.url()
    )
}

/// Waits until both have so many targets.
async fn until_targets(programs: &[Server; 2], count: usize) {
    for (program, name) in programs.iter().zip(PROGRAMS) {
        let look = async || match program.data("/api/v1/targets").await["activeTargets"].as_array() {
            Some(targets) if targets.len() == count => Ok(()),
            _ => Err(program.log()),
        };
        eventually_ok(patience(), &format!("{name} has {count} targets"), look).await;
    }
}

/// The times and values of the target's own series and of `up`, which is `None` when it is stale.
fn samples(receiver: &RemoteWriteReceiver) -> BTreeMap<String, Vec<(i64, Option<f64>)>> {
    let mut found = BTreeMap::<String, Vec<_>>::new();
    let is_stale = |value: f64| value.to_bits() == 0x7ff0_0000_0000_0002;
    for ReceivedSample { labels, timestamp_ms, value } in receiver.samples() {
        let name = labels.into_iter().find(|(name, _)| name == "__name__").map(|(_, name)| name).unwrap_or_default();
        if ["a", "up"].contains(&name.as_str()) {
            found.entry(name).or_default().push((timestamp_ms, value.filter(|value| !is_stale(*value))));
        }
    }
    found
}

#[test]
fn a_target_that_vanishes_ends_at_the_scrape_that_it_missed_unless_it_comes_back() {
    leak_checked_live(|| async {
        let pages = BTreeMap::from([("/metrics".to_owned(), Page::text("a 1\n"))]);
        let (folder, exporter) = (Folder::new(), Exporter::start(pages.clone()).await);
        let receivers = [RemoteWriteReceiver::start().await, RemoteWriteReceiver::start().await];
        let target = format!("- targets: ['{}']\n", exporter.address());
        folder.write("targets.yml", &target);
        let [ours, theirs] = receivers.each_ref().map(configuration);
        let programs = [
            rosterd(&folder.write("rosterd.yml", ours), Wrapper::default(), &[]).await,
            prometheus_agent(&folder.write("prometheus.yml", theirs)).await,
        ];
        exporter.wait_seen(&PROGRAMS, 1).await;

        folder.replace("targets.yml", "[]");
        until_targets(&programs, 0).await;
        folder.replace("targets.yml", &target);
        until_targets(&programs, 1).await;
        exporter.change(pages);
        // By the third scrape the time is over after which it would have ended.
        exporter.wait_seen(&PROGRAMS, 3).await;
        for (receiver, name) in receivers.iter().zip(PROGRAMS) {
            let samples = samples(receiver);
            // Prometheus counts a scrape as failed that was under way when the target vanished.
            let of_up = samples.get("up").into_iter().flatten();
            let failed: BTreeSet<_> = of_up.filter(|(_, value)| *value == Some(0.0)).map(|(at, _)| at).collect();
            let stale = samples.values().flatten().any(|(at, value)| value.is_none() && !failed.contains(at));
            assert!(samples.len() == 2 && !stale && (failed.is_empty() || name == "Prometheus"), "{name}: {samples:?}");
        }

        folder.replace("targets.yml", "[]");
        until_targets(&programs, 0).await;
        let has_ended = |receiver: &RemoteWriteReceiver| {
            samples(receiver).values().all(|series| series.last().is_some_and(|(_, value)| value.is_none()))
        };
        eventually(patience(), "both have ended it", || receivers.iter().all(has_ended)).await;
        for (receiver, name) in receivers.iter().zip(PROGRAMS) {
            for (series, samples) in samples(receiver) {
                let [.., (last, Some(_)), (end, None)] = samples[..] else { panic!("{name}: {series} {samples:?}") };
                assert!((end - last - INTERVAL_MS).abs() < INTERVAL_MS / 2, "{name}: {series} {samples:?}");
            }
        }
    });
}
