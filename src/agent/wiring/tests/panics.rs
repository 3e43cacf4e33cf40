//! Every kind of work that docs/operations.md names panics once in an agent that has all of them: what promises to begin again
//! does, what costs itself costs no more, and what ends the agent ends it in order. All panics are counted.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rosterd_testkit::{FakeApiServer, ReceivedSample, RemoteWriteReceiver, ScriptedServer, Step, eventually_ok, get};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;

/// Who attends to signals is not of the agent: `cli::run` has its test. A session needs an ensemble of ZooKeeper: where that is,
/// in the tests of its mechanism, it panics too.
const BESIDE: [&str; 2] = ["signals", "zookeeper session"];
/// Of these there are several in the agent below, all of which have to panic.
const SEVERAL: [(&str, usize); 2] = [("provider", 2), ("discoverer", 2)];

/// The kinds of which this becomes.
fn kinds(means: &str) -> Vec<&'static str> {
    let page = include_str!("../../../../docs/operations.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(&format!(" | {means} |")));
    let kinds: Vec<_> = rows.filter_map(|row| row.split('`').next()).filter(|kind| !BESIDE.contains(kind)).collect();
    assert!(kinds.len() >= 7, "{kinds:?} of those of which the page says {means:?}");
    kinds
}

/// An agent with all kinds of work, and what it works with.
struct World {
    agent: Agent,
    folder: Folder,
    exporter: ScriptedServer,
    receiver: RemoteWriteReceiver,
    cluster: FakeApiServer,
    round: usize,
}

impl World {
    /// The place of remote write's queues is taken at first, if that is asked for.
    async fn start(blocked: bool) -> Self {
        let (folder, exporter) = (Folder::new(), ScriptedServer::start([]).await);
        let exposition = Step::get("/metrics").any_times().reply_header("content-type", "text/plain");
        exporter.then(exposition.body("# TYPE a counter\n# HELP a It counts.\na 1\n"));
        let (receiver, cluster) = (RemoteWriteReceiver::start().await, FakeApiServer::start().await);
        let text = format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\n\
             remote_write:\n- url: '{}'\n  queue_config: {{batch_send_deadline: 100ms, max_backoff: 200ms}}\n  \
             metadata_config: {{send: true, send_interval: 200ms}}\n\
             scrape_configs:\n- job_name: files\n  scrape_failure_log_file: failures.log\n  \
             file_sd_configs: [{{files: [targets.json]}}]\n\
             - job_name: cluster\n  kubernetes_sd_configs: [{{role: pod, api_server: '{}'}}]\n  \
             relabel_configs: [{{source_labels: [__meta_kubernetes_pod_name], target_label: pod}}]\n\
             rosterd: {{publish: {{file_sd: [{{path: 'out/{{job}}.json'}}]}}}}\n",
            receiver.url(),
            cluster.url("")
        );
        folder.write("prometheus.yml", text);
        folder.write("targets.json", "[]");
        if blocked {
            folder.write("data/remote_write", "");
        }
        let agent = Self::agent(&folder).await;
        let mut world = Self { agent, folder, exporter, receiver, cluster, round: 0 };
        world.works("the start").await;
        world
    }

    async fn agent(folder: &Folder) -> Agent {
        started(options(folder, Registry::linked().unwrap(), patience())).await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.agent.addresses()[0])
    }

    /// Says that there are other targets: one that answers and one that does not, and a pod.
    fn change(&mut self) -> String {
        self.round += 1;
        let round = format!("round-{}", self.round);
        let target = |address: &str| json!({"targets": [address], "labels": {"round": round}});
        let dead = json!({"targets": ["127.0.0.1:1"], "labels": {"__metrics_path__": format!("/{round}")}});
        let list = json!([target(&self.exporter.address().to_string()), dead]);
        self.folder.replace("targets.json", list.to_string());
        self.cluster.put(json!({
            "kind": "Pod", "metadata": {"namespace": "a", "name": round},
            "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 1}]}]},
            "status": {"podIP": "127.0.0.1", "phase": "Running"},
        }));
        round
    }

    /// Asks for a page over HTTP/2.
    async fn ask(&self) -> Option<u16> {
        let stream = TcpStream::connect(self.agent.addresses()[0]).await.ok()?;
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.ok()?;
        let request = http::Request::get(self.url("/-/healthy")).body(Empty::<Bytes>::new()).unwrap();
        tokio::select! {
            biased;
            answer = sender.send_request(request) => Some(answer.ok()?.status().as_u16()),
            _ = connection => None,
        }
    }

    /// Fails unless every part does what it is there for, with what is new.
    async fn works(&mut self, after: &str) {
        self.receiver.take_requests();
        let (round, before) = (self.change(), self.receiver.requests().len());
        let has = |name: &str, text: &str| match std::fs::read_to_string(self.folder.path(name)) {
            Ok(content) if content.contains(text) => Ok(()),
            Ok(content) => Err(format!("{name} has no {text:?}: {content}")),
            Err(error) => Err(format!("{name}: {error}")),
        };
        let look = async || {
            has("out/files.json", &round)?;
            has("out/cluster.json", &format!("\"{round}\""))?;
            has("failures.log", &format!("/{round}\""))?;
            let requests = self.receiver.requests();
            let new = || requests[before..].iter();
            let is_new = |it: &ReceivedSample| (it.label("__name__"), it.label("round")) == (Some("a"), Some(&round));
            let sample = new().flat_map(|request| &request.samples).any(is_new);
            let metadata = new().any(|request| !request.metadata.is_empty());
            if !sample || !metadata {
                return Err(format!("the receiver has the sample: {sample}, metadata: {metadata}"));
            }
            let answers = (get(&self.url("/-/healthy")).await.map(|(status, _)| status).ok(), self.ask().await);
            if answers == (Some(200), Some(200)) { Ok(()) } else { Err(format!("it answers {answers:?}")) }
        };
        eventually_ok(patience(), &format!("all goes on after {after}"), look).await;
    }

    /// Lets work of this kind panic while there is all kinds of work.
    async fn provoke(&mut self, kind: &'static str) {
        let supervision = self.agent.supervision.clone();
        let stirred = async {
            if kind == "configuration" {
                let refused = self.agent.reload(Cause::Asked).await.expect_err("it panics");
                assert_eq!(refused.report.code, "agent_config_panicked");
            }
            if kind == "build" {
                supervision.provoke("discoverer").await;
            }
            loop {
                self.change();
                // Whether it is answered is another question.
                drop((get(&self.url("/-/healthy")).await, self.ask().await));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            // It is asked for before anything is stirred.
            biased;
            provoked = timeout(patience(), supervision.provoke(kind)) => {
                provoked.unwrap_or_else(|_| panic!("there is no {kind:?} in this agent: how is one made here?"));
            }
            never = stirred => never,
        }
    }

    /// How many panics of this kind were counted.
    async fn counted(&self, kind: &str) -> Result<usize, String> {
        let (_, metrics) = get(&self.url("/metrics")).await.map_err(|error| error.to_string())?;
        let name = format!("rosterd_task_panics_total{{task=\"{kind}\"}} ");
        let count = metrics.lines().find_map(|line| line.strip_prefix(&name)).ok_or("there is no such metric")?;
        count.parse().map_err(|_| count.to_owned())
    }

    /// Fails when so many panics of this kind are not counted.
    async fn counts(&self, kind: &str, count: usize) {
        let look = async || match self.counted(kind).await {
            Ok(counted) if counted == count => Ok(()),
            other => Err(format!("{other:?}")),
        };
        eventually_ok(patience(), &format!("{count} panics of {kind:?} are counted"), look).await;
    }

    /// Lets all kinds panic one after the other.
    async fn outlives(&mut self, kinds: Vec<&'static str>) {
        for kind in kinds {
            let before = self.counted(kind).await.expect("zeros are visible");
            let times = SEVERAL.iter().find(|(several, _)| *several == kind).map_or(1, |(_, count)| *count);
            for _ in 0..times {
                self.provoke(kind).await;
            }
            self.counts(kind, before + times).await;
            self.works(kind).await;
        }
    }

    async fn end(self) {
        assert_eq!(self.agent.shutdown().await, Vec::<String>::new());
        let open = open_to_others(&self.folder.path("data"));
        assert_eq!(open, [] as [PathBuf; 0], "nobody else may read what is stored");
        self.exporter.finish().await;
        self.cluster.finish().await;
    }
}

/// The files below a folder that others may read or write.
fn open_to_others(folder: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let open = paths.flat_map(|path| match path.is_dir() {
        true => open_to_others(&path),
        false => Some(path).filter(|path| path.metadata().unwrap().mode() & 0o077 != 0).into_iter().collect(),
    });
    open.collect()
}

#[test]
fn what_begins_again_after_a_panic_does_its_work_again() {
    leak_checked_live(async || {
        let mut world = World::start(false).await;
        world.outlives(kinds("begins again")).await;
        world.end().await;
    });
}

#[test]
fn a_queue_that_could_not_be_opened_is_tried_again_also_after_a_panic_of_who_tries() {
    leak_checked_live(async || {
        let mut world = World::start(true).await;
        world.outlives(vec!["remote write queues"]).await;
        world.folder.remove("data/remote_write");
        let queues = || std::fs::read_dir(world.folder.path("data/remote_write")).map_or(0, Iterator::count);
        eventually(patience(), "the queue is on disk", || queues() == 1).await;
        world.works("the queue is on disk").await;
        world.end().await;
    });
}

#[test]
fn a_panic_that_costs_itself_costs_nothing_else() {
    leak_checked_live(async || {
        let mut world = World::start(false).await;
        world.outlives(kinds("costs itself")).await;
        world.end().await;
    });
}

#[test]
fn what_cannot_begin_again_ends_the_agent_in_order_and_another_goes_on_with_what_is_stored() {
    leak_checked_live(async || {
        let mut world = World::start(false).await;
        for kind in kinds("ends rosterd").into_iter().filter(|kind| *kind != "reload") {
            world.provoke(kind).await;
            let fatal = timeout(patience(), world.agent.supervision.fatal()).await;
            assert_eq!(fatal.map(|fatal| fatal.task), Ok(kind));
            if kind != "http listener" {
                world.counts(kind, 1).await;
            }
            let next = async |agent: Agent| {
                assert_eq!(agent.shutdown().await, Vec::<String>::new(), "in order, after {kind:?}");
                World::agent(&world.folder).await
            };
            world = World { agent: next(world.agent).await, ..world };
            world.works(kind).await;
        }
        world.end().await;
    });
}

#[test]
fn a_panic_while_a_configuration_is_taken_into_use_ends_the_agent() {
    leak_checked_live(async || {
        let folder = Folder::new();
        let agent = agent(&folder, &[], patience()).await;
        let supervision = agent.supervision.clone();
        let (ended, ()) = tokio::join!(agent.run(CancellationToken::new()), supervision.provoke("reload"));
        let Err(AgentError::TaskEnded { task, .. }) = ended else { panic!("{ended:?}") };
        assert_eq!(task, "reload");
    });
}
