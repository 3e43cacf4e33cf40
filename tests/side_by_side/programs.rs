//! The programs that run side by side, each on a free port of the loopback interface.

use std::path::{Path, PathBuf};
use std::process::Command;

use rosterd_testkit::{Folder, Server, need};

/// What goes before a program, such as another view of the file system; by default nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wrapper(Vec<String>);

impl Wrapper {
    /// Gives the program another `/etc/resolv.conf`, in a mount namespace of its own.
    pub(crate) fn resolv_conf(path: &Path) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "the tests of DNS mount a resolv.conf and bind port 53: run as root"
        );
        let unshare = need("unshare", "util-linux").display().to_string();
        let script = r#"mount --bind "$0" /etc/resolv.conf && exec "$@""#;
        Self(vec![unshare, "--mount".into(), "sh".into(), "-c".into(), script.into(), path.display().to_string()])
    }

    /// With these variables in its environment.
    pub(crate) fn with_environment(variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter().map(|(name, value)| format!("{name}={value}"));
        Self(std::iter::once("env".to_owned()).chain(variables).collect())
    }

    /// Runs the program as in a pod: with the folder of its service account, and told where the API server is.
    pub(crate) fn in_pod(account: &Path, port: u16) -> Self {
        assert!(rustix::process::geteuid().is_root(), "the tests of pods mount a folder: run as root");
        let unshare = need("unshare", "util-linux").display().to_string();
        let script = r#"
            folder=/var/run/secrets/kubernetes.io/serviceaccount
            mount -t tmpfs tmpfs /var/run && mkdir -p $folder && mount --bind "$0" $folder || exit
            KUBERNETES_SERVICE_PORT=$1 && shift && export KUBERNETES_SERVICE_HOST=127.0.0.1 KUBERNETES_SERVICE_PORT
            exec "$@"
        "#;
        let account = account.display().to_string();
        Self(vec![unshare, "--mount".into(), "sh".into(), "-c".into(), script.into(), account, port.to_string()])
    }

    fn command(&self, program: impl AsRef<Path>) -> Command {
        match self.0.split_first() {
            None => Command::new(program.as_ref()),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program.as_ref());
                command
            }
        }
    }
}

/// Features of Prometheus 2.42 that are the default in Prometheus 3.
const DEFAULTS_OF_3: &str = "no-default-scrape-port,new-service-discovery-manager";

/// Debian's Prometheus 2.42, switched to what is the default in Prometheus 3 where it can be.
pub(crate) async fn prometheus(name: &str, config: &Path, wrapper: Wrapper) -> Server {
    let features = format!("--enable-feature={DEFAULTS_OF_3}");
    start_prometheus(name, config, wrapper, "--storage.tsdb.path", vec![features]).await
}

/// The same in agent mode.
pub(crate) async fn prometheus_agent(config: &Path) -> Server {
    let features = format!("--enable-feature=agent,{DEFAULTS_OF_3}");
    start_prometheus("Prometheus agent", config, Wrapper::default(), "--storage.agent.path", vec![features]).await
}

/// Debian's Prometheus 2.42, which scrapes nothing and takes remote write at `/api/v1/write`.
pub(crate) async fn prometheus_receiver(config: &Path) -> Server {
    let flags = vec!["--web.enable-remote-write-receiver".to_owned()];
    start_prometheus("receiving Prometheus", config, Wrapper::default(), "--storage.tsdb.path", flags).await
}

async fn start_prometheus(
    name: &str,
    config: &Path,
    wrapper: Wrapper,
    storage_flag: &'static str,
    flags: Vec<String>,
) -> Server {
    start_prometheus_of(need("prometheus", "prometheus"), name, config, wrapper, storage_flag, flags).await
}

/// Starts a Prometheus that is not Debian's.
pub(crate) async fn start_prometheus_of(
    program: PathBuf,
    name: &str,
    config: &Path,
    wrapper: Wrapper,
    storage_flag: &'static str,
    flags: Vec<String>,
) -> Server {
    let (config, data) = (config.to_owned(), Folder::new());
    let storage = data.path(Server::DATA);
    Server::start(name, "/-/ready", data, move |port| {
        let mut command = wrapper.command(&program);
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("{storage_flag}={}", storage.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(&flags);
        command
    })
    .await
}

/// Debian's VictoriaMetrics, which takes remote write at `/api/v1/write`.
pub(crate) async fn victoria_metrics() -> Server {
    let (program, data) = (need("victoria-metrics", "victoria-metrics"), Folder::new());
    let storage = data.path(Server::DATA);
    Server::start("VictoriaMetrics", "/health", data, move |port| {
        let mut command = Command::new(&program);
        command
            .arg(format!("-storageDataPath={}", storage.display()))
            .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
            // What was just written is found at once.
            .args(["-search.latencyOffset=0s", "-search.disableCache"]);
        command
    })
    .await
}

/// Collectors whose series follow what other programs on the machine do.
const RESTLESS: [&str; 11] = [
    "arp",
    "cpufreq",
    "diskstats",
    "filesystem",
    "hwmon",
    "netclass",
    "netdev",
    "rapl",
    "schedstat",
    "systemd",
    "thermal_zone",
];

/// Debian's node exporter, with those collectors whose series are the same at each scrape.
pub(crate) async fn node_exporter() -> Server {
    let program = need("prometheus-node-exporter", "prometheus-node-exporter");
    Server::start("node exporter", "/", Folder::new(), move |port| {
        let mut command = Command::new(&program);
        command
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(RESTLESS.map(|name| format!("--no-collector.{name}")));
        command
    })
    .await
}

/// What a job of vmagent needs in which discovery tells something new of targets: as long as the labels of a target are the same, it goes
/// on with the target, and goes on telling what it had discovered when the target came.
pub(crate) const SHOWS_NEWS: &str = "relabel_configs: [{regex: __meta_(.*), replacement: found_$1, action: labelmap}]";

/// Debian's vmagent, which writes to nobody.
pub(crate) async fn vmagent(name: &str, config: &Path) -> Server {
    let (program, config, data) = (need("vmagent", "victoria-metrics"), config.to_owned(), Folder::new());
    let queue = data.path(Server::DATA);
    Server::start(name, "/health", data, move |port| {
        let mut command = Command::new(&program);
        command
            .arg(format!("-promscrape.config={}", config.display()))
            .arg(format!("-remoteWrite.tmpDataPath={}", queue.display()))
            .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
            .args(["-remoteWrite.url=http://127.0.0.1:9/", "-promscrape.httpSDCheckInterval=1s"])
            .args(["-promscrape.openstackSDCheckInterval=1s", "-promscrape.digitaloceanSDCheckInterval=1s"])
            .arg("-promscrape.ec2SDCheckInterval=1s")
            // It knows intervals only as flags, and refuses those of Prometheus.
            .args(["-promscrape.fileSDCheckInterval=1s", "-promscrape.config.strictParse=false"])
            .args(["-promscrape.consulSDCheckInterval=1s", "-promscrape.dockerSDCheckInterval=1s"])
            .args(["-promscrape.dockerswarmSDCheckInterval=1s", "-promscrape.eurekaSDCheckInterval=1s"]);
        command
    })
    .await
}

/// A running rosterd, with a store that outlives [`Server::again`].
pub(crate) async fn rosterd(config: &Path, wrapper: Wrapper, more: &[&str]) -> Server {
    let (config, data) = (config.to_owned(), Folder::new());
    let storage = data.path(Server::DATA);
    let more: Vec<String> = more.iter().map(|&argument| argument.to_owned()).collect();
    Server::start("rosterd", "/-/healthy", data, move |port| {
        let mut command = wrapper.command(env!("CARGO_BIN_EXE_rosterd"));
        command
            .arg("run")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", storage.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(&more);
        command
    })
    .await
}
