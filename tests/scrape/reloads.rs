//! What a reload does to series: they go on wherever they can, and end at once where they cannot.

use rosterd_testkit::{
    Folder, ReceivedSample, RemoteWriteReceiver, ScriptedServer, Server, Step, eventually, eventually_ok,
    leak_checked_live, patience,
};
use rustix::process::Signal;

use super::arrivals::is_stale;
use super::counter::Counter;
use super::rosterd;

/// rosterd, a target, and a receiver.
struct Stage {
    rosterd: Server,
    counter: Counter,
    receiver: RemoteWriteReceiver,
    folder: Folder,
}

impl Stage {
    /// `job` is the rest of the job, `{target}` in it the address of the target.
    async fn start(global: &str, job: &str) -> Self {
        let (folder, counter, receiver) = (Folder::new(), Counter::start().await, RemoteWriteReceiver::start().await);
        folder.write("prometheus.yml", config(&receiver, &counter, global, job));
        let rosterd = rosterd(&folder.path("prometheus.yml"), &[]).await;
        let stage = Self { rosterd, counter, receiver, folder };
        stage.until("the target is up", |sample| is(sample, "up") && sample.value == Some(1.0)).await;
        stage
    }

    fn reload(&self, global: &str, job: &str) {
        self.folder.replace("prometheus.yml", config(&self.receiver, &self.counter, global, job));
        self.rosterd.signal(Signal::HUP);
    }

    /// Waits until such a sample has arrived.
    async fn until(&self, what: &str, wanted: impl Fn(&ReceivedSample) -> bool) {
        eventually(patience(), what, || self.receiver.samples().iter().any(&wanted)).await;
    }

    /// The names of series that were marked as stale, each once.
    fn stale(&self) -> Vec<String> {
        let samples = self.receiver.samples();
        let stale = samples.iter().filter(|sample| is_stale(sample)).filter_map(|sample| sample.label("__name__"));
        let mut names: Vec<_> = stale.map(str::to_owned).collect();
        names.sort();
        names.dedup();
        names
    }
}

fn config(receiver: &RemoteWriteReceiver, counter: &Counter, global: &str, job: &str) -> String {
    format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms{global}}}\n\
         remote_write: [{{url: '{}', queue_config: {{batch_send_deadline: 100ms}}}}]\n\
         scrape_configs:\n- job_name: j\n{}",
        receiver.url(),
        job.replace("{target}", &counter.address().to_string())
    )
}

fn is(sample: &ReceivedSample, name: &str) -> bool {
    sample.label("__name__") == Some(name)
}

#[test]
fn a_target_is_scraped_until_its_new_source_has_reported() {
    leak_checked_live(|| async {
        let stage = Stage::start("", "  static_configs: [{targets: ['{target}']}]\n").await;
        let source = ScriptedServer::start([Step::get("/sd").status(500).any_times()]).await;
        let from_source = format!("  http_sd_configs: [{{url: '{}', refresh_interval: 1s}}]\n", source.url("/sd"));
        stage.reload("", &from_source);
        source.wait_requests(2).await;
        let targets = stage.rosterd.data("/api/v1/targets").await;
        assert_eq!(targets["activeTargets"][0]["held"]["reason"], "replaced", "{targets}");
        let before = stage.receiver.samples().len();
        stage.counter.wait_more(4).await;
        eventually(patience(), "samples go on", || stage.receiver.samples().len() > before + 20).await;

        // The same target: nothing happened.
        let list = format!(r#"[{{"targets": ["{}"]}}]"#, stage.counter.address());
        source.then(Step::get("/sd").any_times().json(list));
        let held = |target: &serde_json::Value| target["held"]["reason"] == "replaced";
        let heard = async || match stage.rosterd.data("/api/v1/targets").await["activeTargets"].as_array() {
            Some(all) if !all.iter().any(held) => Ok(()),
            _ => Err(stage.rosterd.log()),
        };
        eventually_ok(patience(), "the source is heard", heard).await;
        stage.counter.wait_more(4).await;
        assert!(stage.stale().is_empty(), "{:?}", stage.stale());

        // It has none.
        source.then(Step::get("/sd").any_times().json("[]"));
        stage.until("the target is gone", |sample| is(sample, "up") && is_stale(sample)).await;
    });
}

#[test]
fn a_new_source_that_knows_other_targets_ends_those_of_the_old_one() {
    leak_checked_live(|| async {
        let stage = Stage::start("", "  static_configs: [{targets: ['{target}'], labels: {version: '1'}}]\n").await;
        let source = ScriptedServer::start([Step::get("/sd").status(500).any_times()]).await;
        let from_source = format!("  http_sd_configs: [{{url: '{}', refresh_interval: 1s}}]\n", source.url("/sd"));
        stage.reload("", &from_source);
        source.wait_requests(2).await;
        stage.counter.wait_more(4).await;
        assert!(stage.stale().is_empty(), "{:?}", stage.stale());
        let list = format!(r#"[{{"targets": ["{}"], "labels": {{"version": "2"}}}}]"#, stage.counter.address());
        source.then(Step::get("/sd").any_times().json(list));
        let old = |sample: &ReceivedSample| sample.label("version") == Some("1");
        stage.until("the old target is gone", |sample| old(sample) && is(sample, "up") && is_stale(sample)).await;
        stage.until("the new one is up", |sample| !old(sample) && sample.value == Some(1.0)).await;
    });
}

#[test]
fn other_external_labels_end_all_series_with_those_before() {
    leak_checked_live(|| async {
        let job = "  static_configs: [{targets: ['{target}']}]\n";
        let stage = Stage::start(", external_labels: {replica: a}", job).await;
        stage.reload(", external_labels: {replica: b}", job);
        stage.until("it goes on", |sample| is(sample, "up") && sample.label("replica") == Some("b")).await;
        stage.until("the series are stale", |sample| is(sample, "count") && is_stale(sample)).await;
        let automatic = [
            "scrape_duration_seconds",
            "scrape_samples_post_metric_relabeling",
            "scrape_samples_scraped",
            "scrape_series_added",
            "up",
        ];
        assert_eq!(stage.stale(), [&["count"], &automatic[..]].concat());
        let samples = stage.receiver.samples();
        assert!(samples.iter().filter(|sample| is_stale(sample)).all(|sample| sample.label("replica") == Some("a")));
    });
}

#[test]
fn another_memory_limit_holds_for_jobs_that_stay_as_they_are() {
    leak_checked_live(|| async {
        // What comes with the head is not counted.
        let body: String = (0..10_000).map(|number| format!("s{number} 1\n")).collect();
        let text = Step::get("/metrics").any_times().reply_header("content-type", "text/plain").body(body);
        let server = ScriptedServer::start([text]).await;
        let job = format!("  static_configs: [{{targets: ['{}']}}]\n", server.address());
        let stage = Stage::start("", &job).await;
        stage.reload("", &format!("{job}rosterd: {{scrape: {{memory_limit: 1B}}}}\n"));
        stage.until("nothing fits", |sample| is(sample, "up") && sample.value == Some(0.0)).await;
        let target = stage.rosterd.data("/api/v1/targets").await["activeTargets"][0].clone();
        let error = target["lastError"].as_str().unwrap_or_default();
        assert!(error.contains("rosterd.scrape.memory_limit: 1 bytes"), "{target}");
        let before = stage.receiver.samples().len();
        stage.reload("", &job);
        let is_up = |sample: &ReceivedSample| is(sample, "up") && sample.value == Some(1.0);
        eventually(patience(), "it fits again", || stage.receiver.samples()[before..].iter().any(is_up)).await;
    });
}
