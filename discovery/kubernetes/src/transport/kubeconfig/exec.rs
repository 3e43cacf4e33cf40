//! `exec` of a user: a command that prints credentials, and what it is told.

use std::path::{Path, PathBuf};

use rosterd_client::TlsConfig;
use serde_json::{Map, Value};

use super::file::{Cluster, Exec};
use crate::transport::plugin::{Command, VERSIONS};

/// The extension of a cluster that a command is told of.
const EXTENSION: &str = "client.authentication.k8s.io/exec";

impl Exec {
    /// The command; fails if it cannot be run here.
    pub(super) fn command(self, cluster: &Cluster, tls: &TlsConfig, base: &Path) -> Result<Command, String> {
        let Self { api_version: version, command: mut program, args, env, interactive_mode, .. } = self;
        if !VERSIONS.contains(&version.as_str()) {
            let [newest, older] = VERSIONS;
            return Err(format!("apiVersion of exec is {version:?}, and should be {newest:?} or {older:?}"));
        }
        if program.is_empty() {
            return Err("exec has no command".to_owned());
        }
        let nul = |text: &str| text.contains('\0');
        if nul(&program) || args.iter().any(|text| nul(text)) || env.iter().any(|one| nul(one.value.expose())) {
            return Err("a NUL byte cannot be part of the command of exec".to_owned());
        }
        if env.iter().any(|one| one.name.is_empty() || one.name.contains(['=', '\0'])) {
            return Err("env of exec has a name that no variable can have".to_owned());
        }
        match interactive_mode.as_str() {
            "Never" | "IfAvailable" => {}
            "" if version == VERSIONS[1] => {}
            "" => return Err("exec has no interactiveMode: set Never or IfAvailable".to_owned()),
            "Always" => return Err("interactiveMode of exec is Always, and there is nobody to be asked".to_owned()),
            other => return Err(format!("interactiveMode of exec is {other:?}, and should be Never or IfAvailable")),
        }
        // One without a slash is looked for in PATH.
        if program.contains('/') {
            program = base.join(&program).to_string_lossy().into_owned();
        }
        Ok(Command {
            program,
            arguments: args,
            environment: env.into_iter().map(|one| (one.name, one.value)).collect(),
            version,
            hint: self.install_hint.chars().filter(|c| !c.is_control() || *c == '\n').collect(),
            cluster: self.provide_cluster_info.then(|| told(cluster)),
            ca_file: if self.provide_cluster_info { tls.ca_file.clone() } else { PathBuf::new() },
        })
    }
}

/// The cluster, as a command is told of it.
fn told(cluster: &Cluster) -> Value {
    let mut told = Map::new();
    let config = cluster.extensions.iter().find(|one| one.name == EXTENSION).map(|one| one.extension.clone());
    for (key, value) in [
        ("server", Value::from(cluster.server.as_str())),
        ("tls-server-name", cluster.tls_server_name.as_str().into()),
        ("insecure-skip-tls-verify", cluster.insecure_skip_tls_verify.into()),
        ("certificate-authority-data", cluster.certificate_authority_data.as_str().into()),
        ("proxy-url", cluster.proxy_url.as_str().into()),
        ("config", config.unwrap_or_default()),
    ] {
        if !(value.is_null() || value == "" || value == false) {
            told.insert(key.to_owned(), value);
        }
    }
    Value::Object(told)
}
