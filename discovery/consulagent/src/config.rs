//! What the user writes under `consulagent_sd_configs`.

use std::path::Path;
use std::time::Duration as StdDuration;

use async_trait::async_trait;
use rosterd_client::Secret;
use rosterd_discovery::{
    Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, Polling, Reading, Refresh,
};
use rosterd_discovery_consul::{Access, Consul};
use rosterd_model::{Duration, Problem};

use super::decode;

rosterd_client::with_http_client! {
    /// One entry of `consulagent_sd_configs`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct ConsulAgentConfig {
        /// Where the agent is: host and port, a URL, or `unix://` and the path of a socket.
        pub server: String = "localhost:8500".to_owned(),
        /// `http` or `https`; without it `https` if there are settings of TLS.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub scheme: String = String::new(),
        /// The token, for the header `X-Consul-Token`.
        #[serde(skip_serializing_if = "Secret::is_empty")]
        pub token: Secret = Secret::default(),
        /// Only services of this datacenter, if not that of the agent.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub datacenter: String = String::new(),
        /// The namespace, of Consul Enterprise.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub namespace: String = String::new(),
        /// A user for basic authentication.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub username: String = String::new(),
        /// His password.
        #[serde(skip_serializing_if = "Secret::is_empty")]
        pub password: Secret = Secret::default(),
        /// What stands between tags, before the first and behind the last.
        pub tag_separator: String = ",".to_owned(),
        /// The services that are wanted; all if there are none.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub services: Vec<String> = Vec::new(),
        /// A filter for services, in the language of Consul.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub filter: String = String::new(),
        /// How often the agent is asked.
        pub refresh_interval: Duration = Duration::from_secs(30),
    }
}

impl ConsulAgentConfig {
    fn access(&self) -> Access<'_> {
        let has_tls = self.client.tls_config != Default::default();
        let scheme = match (self.scheme.is_empty(), has_tls) {
            // The URL tells it.
            _ if self.server.starts_with("http://") => "",
            (false, _) => &self.scheme,
            (true, true) => "https",
            (true, false) => "http",
        };
        Access {
            server: &self.server,
            scheme,
            path_prefix: "",
            token: &self.token,
            username: &self.username,
            password: &self.password,
            client: &self.client,
        }
    }
}

impl MechanismConfig for ConsulAgentConfig {
    const MECHANISM: &'static str = "consulagent";

    type Metrics = ();
    type Shared = ();

    fn identity(&self, id: &mut Identity) {
        self.access().identity(id);
        id.text("datacenter", &self.datacenter);
        id.text("namespace", &self.namespace);
        id.value("tag_separator", &self.tag_separator.as_str(), &",");
        id.set("services", &self.services);
        id.text("filter", &self.filter);
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        let mut problems = self.access().check();
        let has_bearer = !self.client.bearer_token.is_empty() || !self.client.bearer_token_file.as_os_str().is_empty();
        if !self.token.is_empty() && has_bearer {
            let message = "only one of token and bearer_token counts: remove the other";
            problems.push(Problem::new("token", "cfg_conflicting_keys", message));
        }
        problems
    }

    fn resolve_paths(&mut self, base: &Path) {
        self.client.resolve_paths(base);
    }

    fn examine(&self, _: &CheckContext) -> Vec<Finding> {
        self.client.examine().into_iter().map(Finding::Missing).collect()
    }

    fn refresh_interval(&self) -> Option<StdDuration> {
        Some(self.refresh_interval.into())
    }

    fn build(&self, cx: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        let interval = self.refresh_interval.into();
        let agent = Agent { consul: self.access().consul(interval, &cx)?, config: self.clone() };
        Ok(Polling::boxed(agent, interval))
    }
}

rosterd_discovery::register!(ConsulAgentConfig);

struct Agent {
    consul: Consul,
    config: ConsulAgentConfig,
}

#[async_trait]
impl Refresh for Agent {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let get = |path: &str| self.consul.get(&["v1", "agent", path]);
        let in_namespace = |path: &str| get(path).parameter_if_set("ns", &self.config.namespace);
        let (agent, services, checks) = tokio::try_join!(
            get("self").read(decode::agent),
            in_namespace("services").parameter_if_set("filter", &self.config.filter).read(decode::services),
            in_namespace("checks").read(decode::checks),
        )?;
        Ok(Reading::Everything(decode::groups(&agent, services, &checks, &self.config)))
    }
}
