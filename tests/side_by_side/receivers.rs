//! rosterd writes what it scrapes from real targets to real receivers, which tell what they have.

use rosterd_testkit::{Folder, Server, eventually_ok, leak_checked_live, patience};
use rustix::process::Signal;
use serde_json::Value;
use url::form_urlencoded::byte_serialize;

use super::programs::{Wrapper, node_exporter, prometheus_receiver, rosterd, victoria_metrics};

/// A receiver, and rosterd with a node exporter and itself as targets.
struct Stage {
    rosterd: Server,
    node: Server,
    receiver: Server,
    folder: Folder,
}

impl Stage {
    /// `endpoint` is what is configured of the endpoint besides its URL, `own` what `rosterd.yml` says.
    async fn start(folder: Folder, receiver: Server, endpoint: &str, own: &str) -> Self {
        let node = node_exporter().await;
        let url = receiver.url("/api/v1/write");
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, external_labels: {{replica: a}}}}\n\
             remote_write:\n- {{name: receiver, url: '{url}', queue_config: {{batch_send_deadline: 100ms}}{endpoint}}}\n\
             scrape_configs:\n\
             - {{job_name: node, file_sd_configs: [{{files: [node.yml], refresh_interval: 1s}}]}}\n\
             - {{job_name: rosterd, file_sd_configs: [{{files: [rosterd_itself.yml], refresh_interval: 1s}}]}}\n"
        );
        folder.write("node.yml", target(&node));
        folder.write("rosterd_itself.yml", "[]");
        let own = format!("--rosterd.config.file={}", folder.write("rosterd.yml", own).display());
        let rosterd = rosterd(&folder.write("prometheus.yml", config), Wrapper::default(), &[&own]).await;
        folder.replace("rosterd_itself.yml", target(&rosterd));
        Self { rosterd, node, receiver, folder }
    }

    /// The values that the receiver has for an expression.
    async fn query(&self, expression: &str) -> Vec<f64> {
        let query: String = byte_serialize(expression.as_bytes()).collect();
        let answer = self.receiver.data(&format!("/api/v1/query?query={query}")).await;
        let values = answer["result"].as_array().into_iter().flatten().filter_map(|series| series["value"][1].as_str());
        values.map(|value| value.parse().expect("a value is a number")).collect()
    }

    /// Waits until the values are as wanted.
    async fn until(&self, expression: &str, wanted: impl Fn(&[f64]) -> bool) {
        let look = async || {
            let values = self.query(expression).await;
            if wanted(&values) { Ok(()) } else { Err(format!("{values:?}")) }
        };
        eventually_ok(patience(), &format!("{} has what is wanted of {expression}", self.receiver.name()), look).await;
    }

    /// Waits until the receiver has all there is of real targets, and all of it is stale once they have stopped.
    async fn receives_everything(&mut self) {
        for job in ["node", "rosterd"] {
            self.until(&format!("up{{job=\"{job}\",replica=\"a\"}}"), |values| values == [1.0]).await;
            let scraped = self.query(&format!("scrape_samples_post_metric_relabeling{{job=\"{job}\"}}")).await;
            self.until(&format!("count({{job=\"{job}\"}})"), |values| values[0] >= scraped[0]).await;
        }
        self.until("rosterd_build_info", |values| values == [1.0]).await;
        self.until("node_memory_MemTotal_bytes", |values| values.len() == 1 && values[0] > 1e6).await;
        self.until("count(node_cpu_seconds_total{mode=\"idle\"})", |values| values.len() == 1).await;

        self.node.end(Signal::TERM).await;
        self.until("up{job=\"node\"}", |values| values == [0.0]).await;
        self.until("{job=\"node\",__name__=~\"node_.*\"}", <[f64]>::is_empty).await;
        self.until("scrape_samples_scraped{job=\"node\"}", |values| values == [0.0]).await;

        self.folder.replace("node.yml", "[]");
        self.until("up{job=\"node\"}", <[f64]>::is_empty).await;
        let scrapes = self.rosterd.metric("rosterd_scrapes_total", "job=\"node\"").await;
        self.until("count_over_time(up{job=\"node\"}[1h])", |values| values == [scrapes]).await;
        let lost = self.rosterd.metric("rosterd_remote_write_dropped_items_total", "").await;
        assert_eq!(lost, 0.0, "{}", self.rosterd.log());
    }

    /// What rosterd tells about the endpoint.
    async fn endpoint(&self) -> Value {
        self.rosterd.data("/api/v1/remote_write").await
    }
}

fn target(server: &Server) -> String {
    format!("- targets: ['{}']\n", server.url("").trim_start_matches("http://"))
}

async fn prometheus(folder: &Folder) -> Server {
    prometheus_receiver(&folder.write("receiver.yml", "global: {}\n")).await
}

#[test]
fn a_prometheus_receives_everything() {
    leak_checked_live(|| async {
        let folder = Folder::new();
        let receiver = prometheus(&folder).await;
        let mut stage = Stage::start(folder, receiver, "", "{}").await;
        stage.receives_everything().await;
    });
}

#[test]
fn a_prometheus_that_knows_version_1_alone_receives_everything_from_version_2() {
    leak_checked_live(|| async {
        let folder = Folder::new();
        let receiver = prometheus(&folder).await;
        let version = ", protobuf_message: io.prometheus.write.v2.Request";
        let mut stage = Stage::start(folder, receiver, version, "{}").await;
        stage.receives_everything().await;
        assert!(stage.endpoint().await.to_string().contains("\"1.0\""), "{}", stage.endpoint().await);
    });
}

#[test]
fn victoria_metrics_receives_everything() {
    leak_checked_live(|| async {
        let mut stage = Stage::start(Folder::new(), victoria_metrics().await, "", "{}").await;
        stage.receives_everything().await;
    });
}

/// Debian's version does not take zstd yet.
#[test]
fn victoria_metrics_receives_everything_from_zstd() {
    leak_checked_live(|| async {
        let own = "remote_write: {receiver: {compression: zstd}}\n";
        let mut stage = Stage::start(Folder::new(), victoria_metrics().await, "", own).await;
        stage.receives_everything().await;
        assert!(stage.endpoint().await.to_string().contains("\"snappy\""), "{}", stage.endpoint().await);
    });
}
