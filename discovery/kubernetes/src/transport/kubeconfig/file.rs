//! What stands in a kubeconfig file, as far as it is of use.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rosterd_client::Secret;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// A kubeconfig file. What is of no use here is passed over.
#[derive(Debug, Deserialize, Default)]
#[serde(default)]
pub(super) struct File {
    #[serde(rename = "current-context")]
    pub(super) current_context: String,
    pub(super) contexts: Vec<NamedContext>,
    pub(super) clusters: Vec<NamedCluster>,
    pub(super) users: Vec<NamedUser>,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default)]
pub(super) struct NamedContext {
    pub(super) name: String,
    pub(super) context: Context,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default)]
pub(super) struct Context {
    pub(super) cluster: String,
    pub(super) user: String,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default)]
pub(super) struct NamedCluster {
    pub(super) name: String,
    pub(super) cluster: Cluster,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Cluster {
    pub(super) server: String,
    pub(super) certificate_authority: PathBuf,
    pub(super) certificate_authority_data: String,
    pub(super) insecure_skip_tls_verify: bool,
    pub(super) tls_server_name: String,
    pub(super) proxy_url: String,
    pub(super) extensions: Vec<Extension>,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default)]
pub(super) struct Extension {
    pub(super) name: String,
    pub(super) extension: Value,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default)]
pub(super) struct NamedUser {
    pub(super) name: String,
    pub(super) user: User,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct User {
    pub(super) client_certificate: PathBuf,
    pub(super) client_certificate_data: String,
    pub(super) client_key: PathBuf,
    pub(super) client_key_data: Secret,
    pub(super) token: Secret,
    #[serde(rename = "tokenFile")]
    pub(super) token_file: PathBuf,
    pub(super) username: String,
    pub(super) password: Secret,
    #[serde(rename = "as")]
    pub(super) impersonate: String,
    pub(super) as_uid: String,
    pub(super) as_groups: Vec<String>,
    pub(super) as_user_extra: BTreeMap<String, Vec<String>>,
    pub(super) exec: Option<Exec>,
    pub(super) auth_provider: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Exec {
    pub(super) api_version: String,
    pub(super) command: String,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<Variable>,
    pub(super) interactive_mode: String,
    pub(super) provide_cluster_info: bool,
    pub(super) install_hint: String,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: Secret,
}
