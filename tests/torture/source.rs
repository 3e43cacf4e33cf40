//! What jobs read, and how it goes wrong.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use rosterd_testkit::{FakeApiServer, FakeConsul, Fault, Folder, On, ScriptedServer, Step};
use serde_json::{Value, json};

use crate::belief::Targets;
use crate::dice::Dice;

/// How a job learns of its targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Http,
    File,
    Consul,
    Kubernetes,
    Static,
}

/// A source that a test has in its hand.
pub(crate) enum Source {
    Http { address: SocketAddr, server: Option<ScriptedServer>, lists: usize },
    File { folder: Folder, lists: usize },
    Consul(FakeConsul),
    Kubernetes { server: FakeApiServer, pods: Targets },
    Static(Targets),
}

/// Ways of servers that answer over HTTP.
const OF_HTTP: [&str; 12] = [
    "refuses",
    "hangs",
    "500",
    "429",
    "truncated",
    "wrong type",
    "garbage",
    "cut",
    "no list",
    "empty body",
    "closes",
    "204",
];
const OF_FILES: [&str; 3] = ["torn", "garbage", "no list"];
const OF_CONSUL: [&str; 3] = ["500", "503", "403"];
const OF_KUBERNETES: [&str; 6] = ["500", "429", "cut", "short", "silence", "403"];

const LIST: &str = "/list";
const FILE: &str = "list.json";
const SERVICE: &str = "web";
const NAMESPACE: &str = "torture";
const PORT: u16 = 1;

fn host(address: &str) -> &str {
    address.split(':').next().unwrap_or_default()
}

/// A list as files and servers have it, in some groups; of every other list some targets are in both.
fn list(targets: &Targets, number: usize) -> String {
    let targets: Vec<_> = targets.iter().collect();
    let half = targets.len() / 2;
    let again = if number.is_multiple_of(2) { half / 2 } else { half };
    json!([{"targets": &targets[..half]}, {"targets": &targets[again..]}]).to_string()
}

/// Ten megabytes of no JSON.
fn garbage(dice: &mut Dice) -> Bytes {
    let mut garbage = Vec::from(*b"[{\"targets\": [\"a:1\", ");
    garbage.resize(10 << 20, u8::try_from(dice.below(256)).expect("a byte"));
    garbage.into()
}

impl Source {
    pub(crate) async fn start(kind: Kind) -> Self {
        match kind {
            Kind::Http => {
                let server = ScriptedServer::start([Step::get(LIST).any_times().status(503)]).await;
                Self::Http { address: server.address(), server: Some(server), lists: 0 }
            }
            Kind::File => Self::File { folder: Folder::new(), lists: 0 },
            Kind::Consul => Self::Consul(FakeConsul::start().await),
            Kind::Kubernetes => Self::Kubernetes { server: FakeApiServer::start().await, pods: Targets::new() },
            Kind::Static => Self::Static(Targets::new()),
        }
    }

    /// How it stands in a job.
    pub(crate) fn section(&self, interval: &str) -> String {
        match self {
            Self::Http { address, .. } => {
                format!("http_sd_configs: [{{url: 'http://{address}{LIST}', refresh_interval: {interval}}}]")
            }
            Self::File { folder, .. } => {
                let path = folder.path(FILE);
                format!("file_sd_configs: [{{files: ['{}'], refresh_interval: {interval}}}]", path.display())
            }
            Self::Consul(server) => {
                let server = server.address();
                format!(
                    "consul_sd_configs: [{{server: '{server}', services: [{SERVICE}], refresh_interval: {interval}}}]"
                )
            }
            Self::Kubernetes { server, .. } => {
                let url = server.url("");
                format!(
                    "kubernetes_sd_configs: [{{role: pod, api_server: '{url}', namespaces: {{names: [{NAMESPACE}]}}}}]"
                )
            }
            Self::Static(targets) => format!("static_configs: [{{targets: {}}}]", json!(targets)),
        }
    }

    /// Ways in which it can go wrong.
    pub(crate) fn faults(&self) -> &'static [&'static str] {
        match self {
            Self::Http { .. } => &OF_HTTP,
            Self::File { .. } => &OF_FILES,
            Self::Consul(_) => &OF_CONSUL,
            Self::Kubernetes { .. } => &OF_KUBERNETES,
            Self::Static(_) => &[],
        }
    }

    /// Whether it tells all it has in one piece, so that it can lie.
    pub(crate) fn tells_at_once(&self) -> bool {
        !matches!(self, Self::Kubernetes { .. } | Self::Static(_))
    }

    /// It answers with all of these, whole.
    pub(crate) async fn tell(&mut self, targets: &Targets) {
        let list = self.list(targets);
        match self {
            Self::Http { .. } => self.answer(Step::get(LIST).json(list)).await,
            Self::File { folder, .. } => drop(folder.replace(FILE, list)),
            Self::Consul(server) => {
                let instance =
                    |address: &String| json!({"Node": {"Address": host(address)}, "Service": {"Port": PORT}});
                server.set(SERVICE, targets.iter().map(instance).collect());
                server.refuse(None);
            }
            Self::Kubernetes { server, pods } => {
                for address in targets.difference(pods) {
                    server.put(pod(address));
                }
                for address in pods.difference(targets) {
                    server.delete("pods", NAMESPACE, host(address));
                }
                pods.clone_from(targets);
                server.heal();
            }
            Self::Static(now) => now.clone_from(targets),
        }
    }

    /// What it answers where it is a list.
    fn list(&mut self, targets: &Targets) -> String {
        let number = match self {
            Self::Http { lists, .. } | Self::File { lists, .. } => {
                *lists += 1;
                *lists
            }
            _ => 1,
        };
        list(targets, number)
    }

    /// The same, byte by byte, or in another way that needs patience.
    pub(crate) async fn tell_slowly(&mut self, targets: &Targets) {
        let list = self.list(targets);
        match self {
            Self::Http { .. } => {
                let pause = Duration::from_millis(20);
                let part = list.len() / 20 + 1;
                self.answer(Step::get(LIST).json(list).in_parts(part).pause(pause)).await;
            }
            // One that is written in place is not whole for a moment.
            Self::File { folder, .. } => {
                folder.write(FILE, "[");
                folder.write(FILE, list);
            }
            Self::Kubernetes { server, .. } => {
                server.cut_watches();
                self.tell(targets).await;
            }
            _ => self.tell(targets).await,
        }
    }

    /// What it tells is nothing; of a file in a way that is no list at all.
    pub(crate) async fn vanish(&mut self, dice: &mut Dice) {
        let Self::File { folder, .. } = self else { return self.tell(&Targets::new()).await };
        if !folder.path(FILE).exists() {
            return;
        }
        match dice.below(3) {
            0 => folder.remove(FILE),
            1 => drop(std::fs::rename(folder.path(FILE), folder.path("elsewhere.json"))),
            _ => drop(folder.write(FILE, "")),
        }
    }

    /// It goes wrong from now on.
    pub(crate) async fn fail(&mut self, how: &str, targets: &Targets, dice: &mut Dice) {
        let whole = list(targets, 1);
        match self {
            Self::Http { server, .. } => {
                let step = Step::get(LIST);
                let step = match how {
                    "refuses" => {
                        if let Some(server) = server.take() {
                            server.finish().await;
                        }
                        return;
                    }
                    "hangs" => step.stall(),
                    "429" => step.status(429).reply_header("retry-after", "1").json(whole),
                    "truncated" => {
                        let at = dice.below(whole.len());
                        step.json(whole).truncate(at)
                    }
                    "wrong type" => step.reply_header("content-type", "text/html").body(whole),
                    "garbage" => step.json(garbage(dice)),
                    "cut" => step.json(whole[..dice.below(whole.len() - 1)].to_owned()),
                    "no list" => step.json(r#"{"error": "not now"}"#),
                    "empty body" => step.json(""),
                    "closes" => step.close(),
                    "204" => step.status(204),
                    _ => step.status(500).json("[]"),
                };
                self.answer(step).await;
            }
            Self::File { folder, .. } => drop(match how {
                "torn" => folder.write(FILE, &whole[..1 + dice.below(whole.len() - 2)]),
                "garbage" => folder.write(FILE, garbage(dice)),
                _ => folder.write(FILE, r#"{"error": "not now"}"#),
            }),
            Self::Consul(server) => server.refuse(Some(how.parse().unwrap_or(500))),
            Self::Kubernetes { server, .. } => {
                let fault = match how {
                    "429" => Fault::RetryAfter(429, 1),
                    "cut" => Fault::Cut(dice.below(2000)),
                    "short" => Fault::Short(dice.below(2000)),
                    "silence" => Fault::Silence,
                    status => Fault::Status(status.parse().unwrap_or(500)),
                };
                server.heal();
                server.fail(On::all(), fault);
                if dice.one_in(2) {
                    server.compact();
                }
                server.cut_watches();
            }
            Self::Static(_) => {}
        }
    }

    async fn answer(&mut self, step: Step) {
        let Self::Http { address, server, .. } = self else { return };
        let step = step.any_times();
        match server {
            Some(server) => server.then(step),
            None => *server = Some(ScriptedServer::start_at(*address, [step]).await),
        }
    }

    /// How many of so many readings there are as long as it tells the same: one that is watched is asked again once it has answered, and
    /// then no more.
    pub(crate) fn readings(&self, readings: usize) -> usize {
        if matches!(self, Self::Consul(_)) { readings.min(1) } else { readings }
    }

    /// How often it was asked, where it knows.
    pub(crate) fn requests(&self) -> Option<usize> {
        match self {
            Self::Http { server, .. } => Some(server.as_ref()?.request_count()),
            Self::Consul(server) => Some(server.requests()),
            _ => None,
        }
    }

    pub(crate) async fn finish(self) {
        match self {
            Self::Http { server: Some(server), .. } => server.finish().await,
            Self::Consul(server) => server.finish().await,
            Self::Kubernetes { server, .. } => server.finish().await,
            _ => {}
        }
    }
}

fn pod(address: &str) -> Value {
    let container = json!({"name": "c", "ports": [{"containerPort": PORT}]});
    json!({"kind": "Pod", "metadata": {"namespace": NAMESPACE, "name": host(address)},
           "status": {"podIP": host(address), "phase": "Running"}, "spec": {"containers": [container]}})
}

/// The address with a number, of a job with a number.
pub(crate) fn address(job: usize, number: usize) -> String {
    let part = |number: usize| u8::try_from(number).expect("it is a part of an address");
    let host = Ipv4Addr::new(127, part(10 + job), part(number / 200), part(1 + number % 200));
    format!("{host}:{PORT}")
}
