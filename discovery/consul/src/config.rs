//! What the user writes under `consul_sd_configs`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration as StdDuration;

use rosterd_client::Secret;
use rosterd_discovery::{Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig};
use rosterd_model::{Duration, Problem};
use rosterd_rest::{Pace, Servers, Watching};

use super::access::Access;
use super::catalog::Services;
use super::metrics::ConsulMetrics;

/// The longest that Consul is asked to wait.
const WAIT: StdDuration = StdDuration::from_secs(120);
/// The time for an answer that comes at once.
const TIMEOUT: StdDuration = StdDuration::from_secs(30);

rosterd_client::with_http_client! {
    /// One entry of `consul_sd_configs`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct ConsulConfig {
        /// Where Consul is: host and port, a URL, or `unix://` and the path of a socket.
        pub server: String = "localhost:8500".to_owned(),
        /// The path below which its API is.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub path_prefix: String = String::new(),
        /// `http` or `https`.
        pub scheme: String = "http".to_owned(),
        /// The token, for the header `X-Consul-Token`.
        #[serde(skip_serializing_if = "Secret::is_empty")]
        pub token: Secret = Secret::default(),
        /// The datacenter that is asked, if not that of the server.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub datacenter: String = String::new(),
        /// The namespace, of Consul Enterprise.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub namespace: String = String::new(),
        /// The partition, of Consul Enterprise.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub partition: String = String::new(),
        /// A user for basic authentication.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub username: String = String::new(),
        /// His password.
        #[serde(skip_serializing_if = "Secret::is_empty")]
        pub password: Secret = Secret::default(),
        /// Whether a server may answer that is not the leader.
        pub allow_stale: bool = true,
        /// What stands between tags, before the first and behind the last.
        pub tag_separator: String = ",".to_owned(),
        /// The services that are wanted; all if there are none.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub services: Vec<String> = Vec::new(),
        /// Only instances with all of these tags.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub tags: Vec<String> = Vec::new(),
        /// Only on nodes with this metadata.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        pub node_meta: BTreeMap<String, String> = BTreeMap::new(),
        /// A filter for services, in the language of Consul.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub filter: String = String::new(),
        /// A filter for instances, in the language of Consul.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub health_filter: String = String::new(),
        /// The least time from one change of a service to the next that is seen.
        pub refresh_interval: Duration = Duration::from_secs(30),
    }
}

impl ConsulConfig {
    fn access(&self) -> Access<'_> {
        Access {
            server: &self.server,
            scheme: &self.scheme,
            path_prefix: &self.path_prefix,
            token: &self.token,
            username: &self.username,
            password: &self.password,
            client: &self.client,
        }
    }
}

impl MechanismConfig for ConsulConfig {
    const MECHANISM: &'static str = "consul";

    type Metrics = ConsulMetrics;
    type Shared = Servers;

    fn identity(&self, id: &mut Identity) {
        self.access().identity(id);
        id.text("datacenter", &self.datacenter);
        id.text("namespace", &self.namespace);
        id.text("partition", &self.partition);
        id.value("tag_separator", &self.tag_separator.as_str(), &",");
        id.set("services", &self.services);
        id.set("tags", &self.tags);
        id.part("node_meta", |id| self.node_meta.iter().for_each(|(key, value)| id.text(key, value)));
        id.text("filter", &self.filter);
        id.text("health_filter", &self.health_filter);
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        self.access().check()
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
        let consul = self.access().consul(TIMEOUT, &cx)?;
        let pace = Pace { interval, wait: WAIT, least: interval };
        let server = cx.shared.get(&self.access().name());
        Ok(Watching::boxed(Services::new(self, consul, cx.metrics.clone()), server, pace, cx.guard))
    }
}

rosterd_discovery::register!(ConsulConfig);

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let config: ConsulConfig = serde_yaml::from_str(text).expect(text);
        let problems = config.check(&CheckContext::default());
        problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect()
    }

    #[test]
    fn the_defaults_are_those_of_prometheus() {
        let text = "{server: 'localhost:8500', scheme: http, allow_stale: true, tag_separator: ',', refresh_interval: 30s, \
                    follow_redirects: true, enable_http2: true}";
        assert_eq!(serde_yaml::from_str::<ConsulConfig>(text).expect(text), ConsulConfig::default());
        assert_eq!(problems("{}"), [""; 0]);
    }

    #[test]
    fn keys_that_exclude_each_other_are_refused() {
        for (text, want) in [
            ("server: ' '", "cfg_missing_key server"),
            ("server: 'ftp://consul'", "cfg_invalid_value server"),
            ("server: 'unix://'", "cfg_invalid_value server"),
            ("scheme: gopher", "cfg_invalid_value server"),
            ("server: 'consul:x'", "cfg_invalid_value server"),
            ("{username: u, basic_auth: {username: u}}", "cfg_conflicting_keys basic_auth"),
            ("{password: p, bearer_token: t}", "cfg_conflicting_keys bearer_token"),
            ("{token: t, authorization: {credentials: c}}", "cfg_conflicting_keys token"),
            ("{token: t, oauth2: {client_id: i, token_url: 'http://t'}}", "cfg_conflicting_keys token"),
        ] {
            assert_eq!(problems(text), [want], "{text}");
        }
        // As in Prometheus, which looks at bearer tokens later.
        assert_eq!(problems("{token: t, bearer_token: b}"), [""; 0]);
        assert_eq!(problems("{token: t, username: u, password: p}"), [""; 0]);
        assert_eq!(problems("server: 'unix:///run/consul.sock'"), [""; 0]);
    }

    #[test]
    fn a_socket_is_another_server_and_paths_before_its_api_count() {
        let hash = |text: &str| {
            let mut id = Identity::new();
            serde_yaml::from_str::<ConsulConfig>(text).expect(text).identity(&mut id);
            id.hash()
        };
        assert_eq!(hash("server: 'unix:///run/consul.sock'"), hash("server: 'unix:///run/./consul.sock'"));
        let all = [
            "server: localhost",
            "server: 'unix:///run/consul.sock'",
            "server: 'unix:///run/other.sock'",
            "{server: 'unix:///run/consul.sock', path_prefix: /a}",
        ];
        let hashes: std::collections::BTreeSet<_> = all.map(hash).into();
        assert_eq!(hashes.len(), all.len());
    }

    #[test]
    fn what_is_shown_reads_back_without_secrets() {
        let text = "{server: a, token: hunter2, username: u, password: hunter2, node_meta: {rack: '7'}, services: [b]}";
        let config: ConsulConfig = serde_yaml::from_str(text).expect(text);
        let shown = serde_yaml::to_string(&config).expect("serialises");
        assert!(!shown.contains("hunter2") && !format!("{config:?}").contains("hunter2"), "{shown}");
        let again: ConsulConfig = serde_yaml::from_str(&shown).expect("reads back");
        assert_eq!((again.node_meta, again.services), (config.node_meta, config.services));
    }
}
