//! A real Prometheus and a real vmagent that get all their targets from rosterd, by http_sd and by file_sd: they scrape what
//! they would have discovered themselves, and lose nothing while rosterd or its sources are away.

use std::collections::BTreeSet;

use rosterd_testkit::{Folder, Server, eventually_ok, fixture, leak_checked_live, patience};
use rustix::process::Signal;
use serde_json::Value;

use super::programs::{Wrapper, prometheus, rosterd, vmagent};
use super::source::Source;
use super::targets::{Labels, Targets, active, only_one};

/// The jobs of `consumers.yml`.
const JOBS: [&str; 3] = ["http", "files", "a/job with \"quotes\" & more"];
/// Longer than Prometheus 2.42 takes from a refresh, of which there is one a second, to its targets.
const REFRESHES: f64 = 8.0;

/// What a consumer knows of a target, as far as all consumers tell it: its labels and URL. What vmagent calls the pool is
/// the label `job`.
type Seen = BTreeSet<(Labels, String)>;

async fn seen(server: &Server) -> Seen {
    let active = active(&server.data("/api/v1/targets").await);
    active.into_iter().map(|target| (target.labels, in_order(&target.url))).collect()
}

/// The URL with its parameters sorted: each consumer has its own order.
fn in_order(url: &str) -> String {
    let mut url = url::Url::parse(url).expect("consumers make valid URLs");
    let mut pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    pairs.sort();
    if !pairs.is_empty() {
        url.query_pairs_mut().clear().extend_pairs(pairs);
    }
    url.into()
}

/// rosterd with `consumers.yml`, its sources, and two pairs of consumers.
struct Stage {
    folder: Folder,
    source: Source,
    exposition: Source,
    rosterd: Server,
    /// Prometheus and vmagent by http_sd, then by file_sd.
    consumers: Vec<Server>,
}

impl Stage {
    async fn start(groups: impl Fn(&str) -> String) -> Self {
        let (folder, exposition) = (Folder::new(), Source::exposition().await);
        let address = exposition.address().to_string();
        let source = Source::json(groups(&address)).await;
        let config = fixture("side_by_side/consumers.yml");
        let config = config.replace("{source}", &source.url("/targets")).replace("{exposition}", &address);
        folder.write("targets.yml", file(&address));
        let config = folder.write("prometheus.yml", config);
        let own = folder.write("rosterd.yml", "publish: {file_sd: [{path: 'published/{job}.json'}]}\n");
        let own = format!("--rosterd.config.file={}", own.display());
        let rosterd = rosterd(&config, Wrapper::default(), &[&own]).await;
        let by_http = folder.write("by_http.yml", consumer(|job| by_http(&rosterd, job)));
        // Of characters that a name of a file may not have rosterd makes underscores.
        let published = folder.path("published");
        let by_files = |job: &str| {
            let name = job.replace(|character: char| !character.is_alphanumeric(), "_");
            format!("file_sd_configs: [{{files: ['{}/{name}.json'], refresh_interval: 1s}}]", published.display())
        };
        let by_files = folder.write("by_files.yml", consumer(by_files));
        let consumers = vec![
            prometheus("prometheus by http_sd", &by_http, Wrapper::default()).await,
            vmagent("vmagent by http_sd", &by_http).await,
            prometheus("prometheus by file_sd", &by_files, Wrapper::default()).await,
            vmagent("vmagent by file_sd", &by_files).await,
        ];
        Self { folder, source, exposition, rosterd, consumers }
    }

    /// Waits until all consumers have so many targets and have scraped each of them.
    async fn settle(&self, count: usize) {
        for consumer in &self.consumers {
            let look = async || {
                let answer = consumer.data("/api/v1/targets").await;
                let targets = answer["activeTargets"].as_array().map_or(&[][..], Vec::as_slice);
                match targets.len() == count && targets.iter().all(|target| target["health"] == "up") {
                    true => Ok(()),
                    false => Err(format!("{answer:#}\n{}", self.rosterd.log())),
                }
            };
            let what = format!("{} has scraped {count} targets", consumer.name());
            eventually_ok(patience(), &what, look).await;
        }
    }

    /// Watches that nobody loses any of its targets while the first consumer refreshes often enough to have lost them.
    async fn nobody_loses_any(&self, count: usize, what: &str) {
        let refreshed = || self.consumers[0].metric("prometheus_sd_refresh_duration_seconds_count", "http");
        let until = refreshed().await + REFRESHES * JOBS.len() as f64;
        let look = async || {
            for consumer in &self.consumers {
                let targets = seen(consumer).await.len();
                assert_eq!(targets, count, "{} lost targets while {what}\n{}", consumer.name(), self.rosterd.log());
            }
            let now = refreshed().await;
            if now >= until { Ok(()) } else { Err(format!("{now} refreshes, and not {until}")) }
        };
        let refreshes = format!("{} goes on to refresh while {what}", self.consumers[0].name());
        eventually_ok(patience(), &refreshes, look).await;
    }

    /// The status of rosterd's list of a job, and how many targets are in it.
    async fn list(&self, job: &str) -> (u16, usize) {
        let (status, body) = self.rosterd.page(&format!("/sd/{job}")).await.expect("rosterd is there");
        let list: Value = serde_json::from_str(&body).expect("rosterd answers in JSON");
        (status, list.as_array().map_or(0, Vec::len))
    }
}

fn by_http(rosterd: &Server, job: &str) -> String {
    let mut url = url::Url::parse(&rosterd.url("/sd")).expect("it is a URL");
    url.path_segments_mut().expect("it has a path").push(job);
    format!("http_sd_configs: [{{url: '{url}', refresh_interval: 1s}}]")
}

/// A configuration of a consumer: of each job it says only where its targets come from.
fn consumer(discovery: impl Fn(&str) -> String) -> String {
    let jobs = JOBS.map(|job| format!("- job_name: '{job}'\n  {}\n", discovery(job)));
    format!("scrape_configs:\n{}", jobs.concat())
}

fn group(address: &str, number: usize) -> String {
    format!(r#"{{"targets": ["{address}"], "labels": {{"name": "n{number}", "__meta_rack": "r{number}"}}}}"#)
}

fn groups(address: &str, count: usize) -> String {
    let groups: Vec<_> = (0..count).map(|number| group(address, number)).collect();
    format!("[{}]", groups.join(","))
}

fn file(address: &str) -> String {
    let group =
        |number| format!("- targets: ['{address}']\n  labels: {{tag_number: 'n{number}', __metrics_path__: /f}}\n");
    (0..5).map(group).collect()
}

#[test]
fn consumers_scrape_what_they_would_have_discovered_themselves() {
    leak_checked_live(|| async {
        let unwanted = r#"[{"targets": ["127.0.0.1:9"], "labels": {"name": "unwanted"}}, "#;
        let stage = Stage::start(|address| groups(address, 3).replacen('[', unwanted, 1)).await;
        let direct = prometheus("prometheus", &stage.folder.path("prometheus.yml"), Wrapper::default()).await;
        stage.settle(3 + 5 + 2).await;
        let look = async || match seen(&direct).await {
            seen if seen.len() >= 3 + 5 + 2 => Ok(seen),
            _ => Err(direct.log()),
        };
        let expected = eventually_ok(patience(), "Prometheus discovers its targets", look).await;
        for consumer in &stage.consumers {
            let difference = only_one(&seen(consumer).await, &expected, [consumer.name(), direct.name()]);
            assert!(difference.is_empty(), "{difference}");
        }
        // vmagent does not tell intervals.
        for consumer in [&stage.consumers[0], &stage.consumers[2]] {
            let intervals = |targets: Targets| -> BTreeSet<_> {
                targets.active.into_iter().map(|target| (target.labels, target.interval, target.timeout)).collect()
            };
            let (ours, theirs) = (intervals(Targets::of(consumer).await), intervals(Targets::of(&direct).await));
            assert_eq!(only_one(&ours, &theirs, [consumer.name(), direct.name()]), "");
        }
    });
}

#[test]
fn consumers_lose_nothing_while_rosterd_or_its_sources_are_away() {
    leak_checked_live(|| async {
        let mut stage = Stage::start(|address| groups(address, 20)).await;
        let all = 20 + 5 + 2;
        stage.settle(all).await;

        stage.source.answer(500, "no");
        stage.folder.replace("targets.yml", "- targets: [");
        stage.nobody_loses_any(all, "the source fails and the file is broken").await;
        assert_eq!(stage.list("http").await, (200, 20));

        stage.source.off().await;
        stage.rosterd.end(Signal::TERM).await;
        stage.nobody_loses_any(all, "rosterd is stopped").await;

        stage.rosterd.again().await;
        assert_eq!(stage.list("http").await, (200, 20), "a restarted rosterd begins with what it knew");
        assert_eq!(stage.list("files").await, (200, 5), "a restarted rosterd begins with what it knew");
        stage.nobody_loses_any(all, "rosterd is back and its sources are not").await;

        stage.rosterd.end(Signal::KILL).await;
        stage.rosterd.again().await;
        assert_eq!(stage.list("http").await, (200, 20), "a killed rosterd begins with what it knew");
        stage.nobody_loses_any(all, "rosterd is back after a crash").await;

        stage.rosterd.end(Signal::TERM).await;
        stage.rosterd.forget();
        stage.rosterd.again().await;
        assert_eq!(stage.list("http").await, (503, 0), "unknown is not empty");
        stage.nobody_loses_any(all, "rosterd knows nothing").await;

        let address = stage.exposition.address().to_string();
        stage.source.answer(200, groups(&address, 21));
        stage.source.on().await;
        stage.folder.replace("targets.yml", file(&address));
        stage.settle(all + 1).await;
    });
}
