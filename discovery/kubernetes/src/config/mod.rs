//! What the user writes in `kubernetes_sd_configs`.

mod check; // which settings go together
mod field; // field selectors
mod label; // label selectors
mod needs; // which watches a configuration needs
mod role;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use rosterd_client::SafeUrl;
use rosterd_discovery::{
    Build, CheckContext, Discoverer, Error, Expand, Finding, Identity, MechanismConfig, Permission,
};
use rosterd_model::{Problem, in_words};
use rosterd_tasks::files::resolve;
use serde::{Deserialize, Serialize};

use crate::cluster::Clusters;
use crate::error::KubeconfigError;
use crate::metrics::KubernetesMetrics;
use crate::resource::WatchKey;
use crate::transport::{Access, kubeconfig};
use crate::view::View;

pub(crate) use check::api_server;
pub(crate) use needs::{Needs, Part};
pub use role::Role;

rosterd_client::with_http_client! {
    /// One entry of `kubernetes_sd_configs`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct KubernetesConfig {
        /// The API server. Without it and `kubeconfig_file`, that of the cluster in which rosterd runs.
        #[serde(skip_serializing_if = "unset")]
        pub api_server: SafeUrl = SafeUrl::default(),
        /// What becomes targets.
        pub role: Option<Role> = None,
        /// The file that says how to reach the API server.
        #[serde(skip_serializing_if = "unset")]
        pub kubeconfig_file: PathBuf = PathBuf::new(),
        /// Which namespaces are watched; by default all.
        #[serde(skip_serializing_if = "unset")]
        pub namespaces: Namespaces = Namespaces::default(),
        /// Which objects are asked for.
        #[serde(skip_serializing_if = "unset")]
        pub selectors: Vec<SelectorConfig> = Vec::new(),
        /// What targets are told besides.
        #[serde(skip_serializing_if = "unset")]
        pub attach_metadata: AttachMetadata = AttachMetadata::default(),
    }
}

fn unset<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Which namespaces are watched, each by a watch of its own; all, by one, if there are none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Namespaces {
    /// The one in which rosterd runs.
    pub own_namespace: bool,
    /// These.
    pub names: Vec<String>,
}

/// Which objects of one role the API server is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SelectorConfig {
    /// The role.
    pub role: Option<Role>,
    /// A label selector, as `kubectl --selector` takes it.
    #[serde(skip_serializing_if = "unset")]
    pub label: String,
    /// A field selector, as `kubectl --field-selector` takes it.
    #[serde(skip_serializing_if = "unset")]
    pub field: String,
}

/// What targets are told besides what is in their own objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AttachMetadata {
    /// Labels and annotations of the node.
    pub node: bool,
    /// Labels and annotations of the namespace.
    pub namespace: bool,
    /// The deployment of a pod.
    pub deployment: bool,
    /// The job of a pod.
    pub job: bool,
    /// The cron job of a pod.
    pub cronjob: bool,
}

impl MechanismConfig for KubernetesConfig {
    const MECHANISM: &'static str = "kubernetes";

    type Metrics = KubernetesMetrics;
    type Shared = Clusters;

    fn identity(&self, id: &mut Identity) {
        id.text("role", self.role.map(Role::name).unwrap_or_default());
        id.url("api_server", &self.api_server);
        id.path("kubeconfig_file", &self.kubeconfig_file);
        id.value("own_namespace", &self.namespaces.own_namespace, &false);
        id.set("namespaces", &self.namespaces.names);
        let selectors = self.selectors.iter().filter_map(|selector| Some((selector.role?, selector)));
        for (role, selector) in selectors {
            id.part(&format!("selector/{}", role.name()), |id| {
                id.text("label", &selector.label);
                id.text("field", &selector.field);
            });
        }
        id.part("attach_metadata", |id| {
            let AttachMetadata { node, namespace, deployment, job, cronjob } = self.attach_metadata;
            id.value("node", &node, &false);
            id.value("namespace", &namespace, &false);
            id.value("deployment", &deployment, &false);
            id.value("job", &job, &false);
            id.value("cronjob", &cronjob, &false);
        });
        self.client.identity(id);
    }

    fn expand(&mut self, expand: &mut Expand<'_>) {
        for (index, selector) in self.selectors.iter_mut().enumerate() {
            expand(&format!("selectors[{index}].label"), &mut selector.label);
            expand(&format!("selectors[{index}].field"), &mut selector.field);
        }
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        check::check(self)
    }

    fn resolve_paths(&mut self, base: &Path) {
        self.client.resolve_paths(base);
        resolve(base, &mut self.kubeconfig_file);
    }

    fn examine(&self, cx: &CheckContext) -> Vec<Finding> {
        let mut found: Vec<_> = self.client.examine().into_iter().map(Finding::Missing).collect();
        if unset(&self.kubeconfig_file) {
            return found;
        }
        let missing = |code, message| Finding::Missing(Problem::new("kubeconfig_file", code, message));
        match kubeconfig(&self.kubeconfig_file) {
            Ok(access) => found.extend(idle(&access, cx).map(Finding::Idle)),
            Err(KubeconfigError::Read { path, source }) => {
                let message = format!("cannot read {}: {}", path.display(), in_words(source));
                found.push(missing("cfg_unreadable", message));
            }
            Err(KubeconfigError::Malformed { source, .. }) => {
                found.extend(source.0.into_iter().map(Finding::Elsewhere))
            }
            Err(error) => found.push(missing("cfg_invalid_value", error.to_string())),
        }
        found
    }

    fn permissions(&self, own: &str) -> Vec<Permission> {
        let Some(role) = self.role else { return Vec::new() };
        let cluster = match (unset(&self.api_server), unset(&self.kubeconfig_file)) {
            (true, true) => None,
            (false, _) => Some(self.api_server.to_string()),
            (true, false) => Some(self.kubeconfig_file.display().to_string()),
        };
        let parts = Needs::of(self, role, Some(own)).parts;
        let needed = parts.iter().flat_map(|part| &part.watches).map(WatchKey::permission);
        needed.map(|needed| Permission { cluster: cluster.clone(), ..needed }).collect()
    }

    fn build(&self, cx: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        Ok(Box::new(View::new(self, cx.metrics, cx.shared, cx.guard)?))
    }
}

/// What a kubeconfig file has and is not used.
fn idle(access: &Access, cx: &CheckContext) -> impl Iterator<Item = Problem> {
    let warn = |code, message: &str| Problem::new("kubeconfig_file", code, message);
    let command = access.command().filter(|_| !cx.allow_exec).map(|command| {
        let message =
            format!("its user is told by the command {command}: start rosterd with --enable-exec-sd to allow it");
        warn("cfg_exec_disabled", &message)
    });
    let message = "its user has credentials, and none are sent: its server is no https URL";
    let withheld = access.withholds.then(|| warn("cfg_kubernetes_no_https", message));
    command.into_iter().chain(withheld)
}

rosterd_discovery::register!(KubernetesConfig);
