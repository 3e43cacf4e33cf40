//! All that mechanisms ask: servers, files, a made-up `/proc`, and a real ZooKeeper. Each mechanism is to find the same numbers of hosts.

use std::path::PathBuf;

use rosterd_testkit::{
    FakeApiServer, FakeAws, FakeCloud, FakeConsul, FakeEngine, FakeKubelet, FakeProc, FakeProcess, Fault, Folder,
    Nameserver, On, ScriptedServer, Step, ZookeeperServer, fixture,
};
use serde_json::{Value, json};

use super::entries::{MECHANISMS, PORT, addresses, hosts, job};
use super::{aws, clouds, scripted};

pub(super) struct World {
    folder: Folder,
    pub(super) cloud: FakeCloud,
    pub(super) aws: FakeAws,
    pub(super) scripted: ScriptedServer,
    pub(super) triton: ScriptedServer,
    pub(super) consul: FakeConsul,
    pub(super) engine: FakeEngine,
    pub(super) kubelet: FakeKubelet,
    pub(super) kubernetes: FakeApiServer,
    pub(super) zookeeper: ZookeeperServer,
    pub(super) nameserver: Nameserver,
    pub(super) proc: FakeProc,
    shown: Vec<u8>,
    /// Is another one with each change, by which who waits sees that there is news.
    index: u64,
    is_down: bool,
}

/// A file for the agent, and what its environment has to say.
pub(super) struct Configuration {
    pub(super) place: PathBuf,
    pub(super) text: String,
    pub(super) metadata: String,
}

/// A thread of the kernel, without which a machine is none.
const KERNEL: FakeProcess<'_> = FakeProcess {
    pid: 9,
    started: 1,
    exe: "",
    cwd: "/",
    cmdline: "",
    uid: 0,
    cgroup: "0::/",
    network: 1,
    sockets: &[],
};
/// In ZooKeeper members have numbers of their own, and so have processes.
const MEMBERS: u8 = 100;

impl World {
    /// What the nameserver is asked for.
    pub(super) const NAME: &str = "everything.test";

    /// All of it, and nothing to be found.
    pub(super) async fn start() -> Self {
        let folder = Folder::new();
        folder.write("key.pem", fixture("sign/rfc7515.pkcs8.pem"));
        let engine = FakeEngine::start().await;
        for list in ["networks", "services", "nodes"] {
            engine.set(list, json!([]));
        }
        let zookeeper = ZookeeperServer::start().await;
        let mut session = zookeeper.session().await;
        for tree in ["/nerve/web", "/serverset/web"] {
            session.set(tree, "").await;
        }
        session.close().await;
        let proc = FakeProc::new();
        proc.show(&KERNEL);
        Self {
            folder,
            cloud: clouds::start().await,
            aws: aws::start().await,
            scripted: ScriptedServer::start([]).await,
            triton: ScriptedServer::with_tls([]).await,
            consul: FakeConsul::start().await,
            engine,
            kubelet: FakeKubelet::start().await,
            kubernetes: FakeApiServer::start().await,
            zookeeper,
            nameserver: Nameserver::start().await,
            proc,
            shown: Vec::new(),
            index: 1,
            is_down: false,
        }
    }

    /// A file without a mechanism that asks anybody.
    pub(super) fn alone(&self) -> Configuration {
        self.configuration(
            "- job_name: static\n  proxy_url: 'http://127.0.0.1:9'\n  static_configs: [{targets: ['a:1']}]\n",
        )
    }

    /// A file with all mechanisms, each of which looks so often.
    pub(super) fn all(&self, interval: &str) -> Configuration {
        self.configuration(&MECHANISMS.map(|mechanism| job(self, mechanism, interval)).concat())
    }

    fn configuration(&self, jobs: &str) -> Configuration {
        let head = "global: {scrape_interval: 1d}\nrosterd: {ready_grace_period: 1h}\nscrape_configs:\n";
        let place = self.folder.path("prometheus.yml");
        Configuration { place, text: format!("{head}{jobs}"), metadata: self.address_of_cloud() }
    }

    pub(super) fn address_of_cloud(&self) -> String {
        self.cloud.url("").strip_prefix("http://").expect("it is a URL").to_owned()
    }

    /// The numbers that are to be found.
    pub(super) fn shown(&self) -> &[u8] {
        &self.shown
    }

    /// A list in a file.
    pub(super) fn listed(&self) -> String {
        self.folder.path("listed.json").display().to_string()
    }

    /// A list that a command prints.
    pub(super) fn printed(&self) -> String {
        self.folder.path("printed.json").display().to_string()
    }

    pub(super) fn key(&self) -> String {
        self.folder.path("key.pem").display().to_string()
    }

    /// From now on there is this to be found, by everybody, whatever was before. What is told one by one comes before anything goes: at no
    /// time is there nothing.
    pub(super) async fn show(&mut self, numbers: &[u8]) {
        if std::mem::take(&mut self.is_down) {
            self.comes_up().await;
        }
        self.index += 1;
        for (name, mechanism) in [("listed.json", "file"), ("printed.json", "exec")] {
            self.folder.replace(name, json!([{"targets": addresses(mechanism, numbers)}]).to_string());
        }
        let ips: Vec<_> = hosts("dns", numbers).iter().map(|host| host.parse().expect("an address")).collect();
        self.nameserver.knows(Self::NAME, &ips);
        self.show_processes(numbers);
        let instance = |host: String| json!({"Node": {"Address": host}, "Service": {"Port": PORT}});
        self.consul.set("web", hosts("consul", numbers).into_iter().map(instance).collect());
        self.show_containers(numbers);
        self.show_pods(numbers);
        self.show_members(numbers).await;
        clouds::show(&self.cloud, numbers);
        aws::show(&self.aws, numbers);
        scripted::show(&self.scripted, self.index, numbers);
        let container = |host: &String| json!({"vm_uuid": host, "vm_brand": "lx"});
        let containers: Value = hosts("triton", numbers).iter().map(container).collect();
        let body = json!({"containers": containers}).to_string();
        self.triton.then(Step::get("/v1/discover").any_times().json(body));
        self.shown = numbers.to_vec();
    }

    /// Nothing can be read any more but for the machine.
    pub(super) async fn goes_down(&mut self) {
        self.is_down = true;
        self.folder.replace("listed.json", "[");
        self.folder.remove("printed.json");
        self.nameserver.fails(Self::NAME);
        self.consul.refuse(Some(503));
        for list in ["containers/json", "tasks"] {
            self.engine.fail(list, 503, "not now");
        }
        self.kubelet.answer(503, "not now");
        self.kubernetes.fail(On::all(), Fault::Status(503));
        self.kubernetes.cut_watches();
        self.zookeeper.kill().await;
        self.cloud.refuse(Some(503));
        self.aws.refuse(Some(503));
        scripted::fail(&self.scripted);
        self.triton.then(Step::get("/v1/discover").any_times().status(503));
    }

    /// What is not brought back by telling what there is.
    async fn comes_up(&mut self) {
        self.consul.refuse(None);
        self.kubernetes.heal();
        self.zookeeper.again().await;
        self.cloud.refuse(None);
        self.aws.refuse(None);
    }

    /// A process for each host, which listens there. Those that stay are not touched.
    fn show_processes(&self, numbers: &[u8]) {
        for (&number, host) in numbers.iter().zip(hosts("process", numbers)) {
            let (pid, socket) = (u32::from(MEMBERS + number), u64::from(number));
            if self.proc.path().join(pid.to_string()).exists() {
                continue;
            }
            let ip = host.parse::<std::net::Ipv4Addr>().expect("an address").octets();
            let listens = format!("{:08X}:{PORT:04X}", u32::from_ne_bytes(ip));
            self.proc.show(&FakeProcess { pid, network: pid, sockets: &[socket], ..FakeProcess::default() });
            self.proc.sockets(pid, "net/tcp", &[(&*listens, "0A", socket)]);
        }
        for &gone in self.shown.iter().filter(|number| !numbers.contains(number)) {
            self.proc.remove(u32::from(MEMBERS + gone));
        }
    }

    /// A container for each host, and a task.
    fn show_containers(&self, numbers: &[u8]) {
        let container = |host: String| {
            let mut networks = serde_json::Map::new();
            networks.insert(host.clone(), json!({"NetworkID": host, "IPAddress": host}));
            json!({"Id": host, "Names": [format!("/{host}")], "NetworkSettings": {"Networks": networks}})
        };
        self.engine.set("containers/json", hosts("docker", numbers).into_iter().map(container).collect());
        let task = |host: String| {
            let attached = json!([{"Network": {"ID": "n"}, "Addresses": [format!("{host}/24")]}]);
            json!({"ID": host, "NetworksAttachments": attached})
        };
        self.engine.set("tasks", hosts("dockerswarm", numbers).into_iter().map(task).collect());
    }

    /// A pod for each host, on the node and in the cluster.
    fn show_pods(&self, numbers: &[u8]) {
        let pod = |host: &String| {
            let container = json!({"name": "c", "ports": [{"containerPort": PORT}]});
            json!({"kind": "Pod", "metadata": {"namespace": "a", "name": host}, "status": {"podIP": host},
                   "spec": {"containers": [container]}})
        };
        self.kubelet.set(hosts("kubelet", numbers).iter().map(pod).collect());
        let new: Vec<_> = numbers.iter().copied().filter(|number| !self.shown.contains(number)).collect();
        for host in hosts("kubernetes", &new) {
            self.kubernetes.put(pod(&host));
        }
        let gone: Vec<_> = self.shown.iter().copied().filter(|number| !numbers.contains(number)).collect();
        for host in hosts("kubernetes", &gone) {
            self.kubernetes.delete("pods", "a", &host);
        }
    }

    /// A member for each host, in the tree of each of the two.
    async fn show_members(&self, numbers: &[u8]) {
        let mut session = self.zookeeper.session().await;
        for mechanism in ["nerve", "serverset"] {
            let path = |number: u8| format!("/{mechanism}/web/{}", MEMBERS + number);
            for (&number, host) in numbers.iter().zip(hosts(mechanism, numbers)) {
                let endpoint = json!({"host": host, "port": PORT});
                let member = if mechanism == "nerve" { endpoint } else { json!({"serviceEndpoint": endpoint}) };
                session.set(&path(number), &member.to_string()).await;
            }
            for &gone in self.shown.iter().filter(|number| !numbers.contains(number)) {
                session.delete(&path(gone)).await;
            }
        }
        session.close().await;
    }

    /// Ends it.
    pub(super) async fn finish(self) {
        self.cloud.finish().await;
        self.scripted.finish().await;
        self.triton.finish().await;
        assert_eq!(self.aws.refused(), [""; 0], "all is signed as it has to be");
        self.aws.finish().await;
        self.consul.finish().await;
        self.engine.finish().await;
        self.kubelet.finish().await;
        self.kubernetes.finish().await;
        self.nameserver.stop().await;
    }
}
