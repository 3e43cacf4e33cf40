//! Programs that no package has: what `ci/kubernetes/build` has built.

use std::path::{Path, PathBuf};
use std::process::Command;

use rosterd_testkit::{Server, need, skipped};

use super::programs::{Wrapper, start_prometheus_of};

/// What the script says by its status where there is no Go.
const NO_GO: i32 = 77;

/// The programs, in one folder.
#[derive(Debug, Clone)]
pub(crate) struct Built(PathBuf);

impl Built {
    /// Finds them; `None` where they cannot be built, which is said. CI builds them before.
    pub(crate) fn find() -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/kubernetes/build");
        let output = Command::new(need("bash", "bash")).arg(script).arg("--find").output().expect("bash runs");
        let (said, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        match output.status.code() {
            Some(0) => Some(Self(PathBuf::from(said.trim()))),
            Some(NO_GO) => {
                skipped(why.trim());
                None
            }
            _ => panic!("{}", why.trim()),
        }
    }

    pub(crate) fn api_server(&self) -> PathBuf {
        self.0.join("kube-apiserver")
    }

    /// An etcd on which API servers can stream lists.
    pub(crate) fn etcd(&self) -> PathBuf {
        self.0.join("etcd")
    }

    /// A Prometheus 3 in agent mode, with the discovery of Kubernetes and of registries.
    pub(crate) async fn prometheus(&self, config: &Path, wrapper: Wrapper) -> Server {
        let flags = vec!["--agent".to_owned()];
        start_prometheus_of(self.0.join("prometheus"), "Prometheus 3", config, wrapper, "--storage.agent.path", flags)
            .await
    }
}
