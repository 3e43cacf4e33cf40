//! Which API server, and as whom.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rosterd_client::{HttpClientConfig, System, Url, UrlError};
use rosterd_discovery::Error;
use rosterd_tasks::files;

use super::http::Http;
use super::plugin::Command;
use super::{Transport, kubeconfig};
use crate::config::{KubernetesConfig, api_server};
use crate::error::{AccessError, KubeconfigError};

/// Where a pod finds what belongs to its service account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const HOST: &str = "KUBERNETES_SERVICE_HOST";
const PORT: &str = "KUBERNETES_SERVICE_PORT";

/// An API server and who asks it: watches of one can be shared.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Access {
    pub(crate) url: Url,
    pub(super) client: HttpClientConfig,
    /// What prints credentials.
    pub(super) command: Option<Command>,
    /// Whether there are credentials that are not sent, since the connection is in the clear.
    pub(crate) withholds: bool,
}

impl Access {
    /// That of a configuration; without settings that of the cluster in which rosterd runs.
    pub(crate) fn of(config: &KubernetesConfig, system: &System) -> Result<Self, AccessError> {
        if !config.kubeconfig_file.as_os_str().is_empty() {
            let access = kubeconfig::read(&config.kubeconfig_file)?;
            return match &access.command {
                Some(Command { program, .. }) if !system.allows_commands() => {
                    let (path, command) = (config.kubeconfig_file.clone(), program.clone());
                    Err(KubeconfigError::Command { path, command }.into())
                }
                _ => Ok(access),
            };
        }
        match api_server(&config.api_server) {
            Some(Ok(url)) => Ok(Self { url, client: config.client.clone(), command: None, withholds: false }),
            Some(Err(reason)) => Err(AccessError::Url { reason }),
            None => Self::in_cluster(system, Path::new(ACCOUNT)),
        }
    }

    /// As every pod is told it. Certificate and token are read again when they change.
    fn in_cluster(system: &System, account: &Path) -> Result<Self, AccessError> {
        let variable = |name: &'static str| {
            let value = system.environment().get(name).filter(|value| !value.is_empty());
            value.ok_or(AccessError::NotInCluster { missing: name })
        };
        let (host, port) = (variable(HOST)?, variable(PORT)?);
        let address = rosterd_discovery::host_port(host, port);
        let unusable = |error: UrlError| AccessError::Url { reason: error.to_string() };
        let url = Url::parse(&format!("https://{address}")).map_err(unusable)?;
        let mut client = HttpClientConfig { bearer_token_file: account.join("token"), ..HttpClientConfig::default() };
        client.tls_config.ca_file = account.join("ca.crt");
        Ok(Self { url, client, command: None, withholds: false })
    }

    /// The command that prints credentials, if there is one.
    pub(crate) fn command(&self) -> Option<&str> {
        self.command.as_ref().map(|command| &*command.program)
    }

    /// The way there.
    pub(crate) fn transport(&self, system: &System) -> Result<Arc<dyn Transport>, Error> {
        Ok(Arc::new(Http::new(&self.url, &self.client, self.command.as_ref(), system)?))
    }
}

/// The namespace of the pod in which rosterd runs.
pub(crate) fn own_namespace() -> Result<String, AccessError> {
    let path = PathBuf::from(ACCOUNT).join("namespace");
    match files::read_text(&path) {
        Ok(text) if text.trim().is_empty() => Err(AccessError::NoNamespace { path }),
        Ok(text) => Ok(text.trim().to_owned()),
        Err(source) => Err(AccessError::OwnNamespace { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use rosterd_client::Environment;

    use super::*;

    fn in_cluster(variables: &[(&str, &str)]) -> Result<Access, AccessError> {
        let environment: Environment = variables.iter().copied().collect();
        Access::in_cluster(&System::new("machine", environment), Path::new("/account"))
    }

    #[test]
    fn a_pod_is_told_where_the_server_is() {
        for (host, url) in [("10.96.0.1", "https://10.96.0.1/"), ("fd00::1", "https://[fd00::1]/")] {
            let access = in_cluster(&[(HOST, host), (PORT, "443")]).expect(host);
            assert_eq!(access.url.to_string(), url);
            assert_eq!(access.client.tls_config.ca_file, Path::new("/account/ca.crt"));
            assert_eq!(access.client.bearer_token_file, Path::new("/account/token"));
        }
    }

    #[test]
    fn outside_of_a_cluster_it_is_said_what_is_missing() {
        for (variables, missing) in [(&[][..], HOST), (&[(HOST, "10.0.0.1")], PORT), (&[(HOST, ""), (PORT, "1")], HOST)]
        {
            let error = in_cluster(variables).expect_err(missing);
            assert!(matches!(error, AccessError::NotInCluster { missing: it } if it == missing), "{error}");
        }
    }
}
