//! Queues on disk: whose they are, and what damage costs.

use std::path::PathBuf;

use rosterd_testkit::{Folder, RemoteWriteReceiver, Server, eventually, eventually_ok, leak_checked_live, patience};
use rustix::process::Signal;

use super::arrivals::{Arrivals, wait_all, wait_all_in};
use super::counter::{Counter, SERIES};
use super::rosterd;

/// Scrapes that take longer than anything waits on its way to the disk.
const WHILE: usize = 15;

/// A target that counts and endpoints of one URL, each for a tenant, which all of its samples name.
struct Stage {
    rosterd: Server,
    counter: Counter,
    receiver: RemoteWriteReceiver,
    folder: Folder,
}

impl Stage {
    /// The receiver is away at first.
    async fn start(tenants: &[&str]) -> Self {
        let (folder, counter, mut receiver) =
            (Folder::new(), Counter::start().await, RemoteWriteReceiver::start().await);
        receiver.off().await;
        folder.write("prometheus.yml", config(&receiver, &counter, tenants));
        let rosterd = rosterd(&folder.path("prometheus.yml"), &[]).await;
        Self { rosterd, counter, receiver, folder }
    }

    fn configure(&self, tenants: &[&str]) {
        self.folder.replace("prometheus.yml", config(&self.receiver, &self.counter, tenants));
    }

    async fn reload(&self, tenants: &[&str]) {
        self.configure(tenants);
        self.rosterd.signal(Signal::HUP);
        let expected = tenants.len();
        let reloaded = async || match self.rosterd.data("/api/v1/remote_write").await["remoteWrites"].as_array() {
            Some(endpoints) if endpoints.len() == expected => Ok(()),
            _ => Err(self.rosterd.log()),
        };
        eventually_ok(patience(), "the endpoints are those of the configuration", reloaded).await;
        self.counter.wait_more(WHILE).await;
    }

    /// The newest segment of the only queue.
    fn newest_segment(&self) -> PathBuf {
        let paths =
            |folder: PathBuf| std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        let queue = paths(self.rosterd.stored("remote_write")).next().expect("a queue");
        paths(queue)
            .filter(|path| path.extension().is_some_and(|extension| extension == "segment"))
            .max()
            .expect("a segment")
    }
}

fn config(receiver: &RemoteWriteReceiver, counter: &Counter, tenants: &[&str]) -> String {
    let endpoint = |tenant: &&str| {
        format!(
            "- url: '{}'\n  headers: {{X-Scope-OrgID: {tenant}}}\n  \
             queue_config: {{batch_send_deadline: 100ms, max_backoff: 200ms}}\n  \
             write_relabel_configs: [{{target_label: tenant, replacement: {tenant}}}]\n",
            receiver.url()
        )
    };
    format!(
        "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\nremote_write:\n{}\
         scrape_configs:\n- job_name: counter\n  static_configs: [{{targets: ['{}']}}]\n",
        tenants.iter().map(endpoint).collect::<String>(),
        counter.address()
    )
}

#[test]
fn no_tenant_gets_what_was_queued_for_another() {
    leak_checked_live(|| async {
        let mut stage = Stage::start(&["a", "b"]).await;
        let queued = stage.counter.wait_more(WHILE).await;
        stage.counter.wait_more(WHILE).await;
        stage.reload(&["b"]).await;
        stage.reload(&["c", "b"]).await;
        stage.rosterd.end(Signal::KILL).await;
        stage.configure(&["b", "c", "a"]);
        stage.rosterd.again().await;
        stage.counter.wait_more(WHILE).await;
        stage.reload(&["a", "b"]).await;
        stage.receiver.on().await;
        for tenant in ["a", "b"] {
            let arrived = || Arrivals::those(&stage.receiver, |sample| sample.label("tenant") == Some(tenant));
            wait_all_in(arrived, 1, queued).await;
        }
        for request in stage.receiver.requests() {
            let tenant = request.header("x-scope-orgid");
            let mixed = request.samples.iter().find(|sample| sample.label("tenant") != tenant);
            assert!(mixed.is_none(), "{mixed:?} was sent as of {tenant:?}");
        }
    });
}

#[test]
fn an_endpoint_that_is_gone_leaves_nothing_when_all_was_sent() {
    leak_checked_live(|| async {
        let mut stage = Stage::start(&["a", "b"]).await;
        stage.receiver.on().await;
        let sent = stage.counter.wait_more(WHILE).await;
        for tenant in ["a", "b"] {
            let arrived = || Arrivals::those(&stage.receiver, |sample| sample.label("tenant") == Some(tenant));
            wait_all_in(arrived, 1, sent).await;
        }
        stage.rosterd.end(Signal::TERM).await;
        stage.configure(&["b"]);
        stage.rosterd.again().await;
        let queues = || std::fs::read_dir(stage.rosterd.stored("remote_write")).expect("a folder").count();
        eventually(patience(), "the queue of the endpoint goes", || queues() == 1).await;
        stage.counter.wait_more(5).await;
        assert!(!stage.rosterd.log().contains("level=WARN"), "{}", stage.rosterd.log());
    });
}

#[test]
fn a_damaged_byte_costs_the_batch_that_it_is_in() {
    leak_checked_live(|| async {
        let mut stage = Stage::start(&["a"]).await;
        let queued = stage.counter.wait_more(WHILE).await;
        stage.counter.wait_more(WHILE).await;
        stage.rosterd.end(Signal::KILL).await;
        let newest = stage.newest_segment();
        let mut bytes = std::fs::read(&newest).unwrap();
        // In the body of its first batch, behind the starts of both.
        bytes[16 + 64 + 20] ^= 1;
        std::fs::write(&newest, bytes).unwrap();
        stage.rosterd.again().await;
        let from = stage.counter.count() + 2;
        stage.counter.wait_more(5).await;
        stage.receiver.on().await;
        let sent = stage.counter.wait_more(5).await;
        wait_all(&stage.receiver, from, sent).await;
        let late = Arrivals::of(&stage.receiver).late().len();
        let samples = stage.receiver.samples();
        for number in 0..SERIES {
            let number = number.to_string();
            let own = samples.iter().filter(|sample| sample.label("number") == Some(&*number));
            let values: Vec<_> = own.filter_map(|sample| sample.value).collect();
            let missing = (1..=queued).filter(|count| !values.contains(&(*count as f64))).count();
            assert!(missing <= 2 + late, "{missing} scrapes are missing: {values:?}");
        }
        let lost = stage.rosterd.metric("rosterd_remote_write_dropped_items_total", "reason=\"invalid\"").await;
        assert!(lost >= SERIES as f64, "{}", stage.rosterd.log());
        assert!(stage.rosterd.log().contains(&format!("lost_samples={lost}")), "{}", stage.rosterd.log());
        assert_eq!(stage.rosterd.metric("rosterd_remote_write_queue_corruptions_total", "").await, 1.0);
    });
}
