//! Discovery against the fake API server.

mod commands;
mod contract;
mod faults;
mod front;
mod history;
mod pieces;
mod sharing;
mod status;
mod thin;

use std::time::Duration;

use rosterd_discovery::{AnyConfig, Context, Discoverer, Equipment, Registry, System, Updates, Word};
use rosterd_model::TargetGroup;
use rosterd_tasks::{Stopper, Supervision};
use rosterd_testkit::{FakeApiServer, patience};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::KubernetesConfig;

fn config(server: &FakeApiServer, more: &str) -> KubernetesConfig {
    let text = format!("{{api_server: '{}', {more}}}", server.url(""));
    serde_yaml::from_str(&text).expect(&text)
}

fn pod(namespace: &str, name: &str, ip: &str) -> Value {
    json!({
        "kind": "Pod", "metadata": {"namespace": namespace, "name": name, "labels": {"app": name}},
        "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 9100}]}]},
        "status": {"podIP": ip, "phase": "Running"},
    })
}

/// Several discoverers in one agent.
struct Agent {
    equipment: Equipment,
    metrics: prometheus::Registry,
    supervision: Supervision,
    stopper: Stopper,
}

/// One that runs.
struct Running {
    words: mpsc::Receiver<Word>,
    cx: Context,
}

impl Agent {
    fn new() -> Self {
        Self::on(System::default())
    }

    fn on(system: System) -> Self {
        let metrics = prometheus::Registry::new();
        let mechanisms = Registry::new([config_of("role: pod").registration()], []).expect("one mechanism");
        let supervision = Supervision::default();
        let equipment = Equipment::new(&mechanisms, &metrics, system, &supervision);
        Self { equipment: equipment.expect("an empty registry"), metrics, supervision, stopper: Stopper::new() }
    }

    fn run(&self, config: &KubernetesConfig) -> Running {
        let built = self.equipment.of("kubernetes").build(config, "kubernetes/1");
        let discoverer: Box<dyn Discoverer> = built.expect("a discoverer");
        let cx = Context::detached("kubernetes/1");
        let (up, words) = Updates::channel(&cx);
        self.stopper.spawn_expendable("discoverer", {
            let cx = cx.clone();
            async move { discoverer.run(cx, up).await.expect("it goes on") }
        });
        Running { words, cx }
    }

    fn metric(&self, name: &str) -> f64 {
        let families = self.metrics.gather();
        let family = families.iter().find(|family| family.name() == name);
        let series = family.into_iter().flat_map(|family| family.get_metric());
        series.map(|one| one.get_gauge().get_value() + one.get_counter().get_value()).sum()
    }

    async fn end(self, running: Vec<Running>) {
        running.iter().for_each(|running| running.cx.stop.cancel());
        let deadline = Instant::now() + patience();
        assert!(self.stopper.stop_by(deadline).await.is_empty());
        assert!(self.equipment.end(deadline).await.is_empty());
    }
}

impl Running {
    async fn next(&mut self) -> Word {
        tokio::time::timeout(patience(), self.words.recv()).await.expect("in time").expect("it speaks")
    }
}

fn config_of(text: &str) -> KubernetesConfig {
    serde_yaml::from_str(&format!("{{{text}}}")).expect(text)
}

/// The groups that were said of objects: without those that name what was read.
fn objects(word: &Word) -> Vec<&TargetGroup> {
    word.groups().iter().filter(|group| !group.source.ends_with('*')).collect()
}

/// Lets so much time go by at once.
async fn goes_by(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// What was asked for: `list pods a`, without those that were asked again.
fn asked(server: &FakeApiServer) -> Vec<String> {
    let asked = server.asked();
    let mut asked: Vec<_> = asked.iter().map(|it| format!("{} {} {}", it.verb, it.resource, it.namespace)).collect();
    asked.sort();
    asked
}
