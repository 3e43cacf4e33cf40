//! What the user writes under `nomad_sd_configs`.

use std::path::Path;
use std::time::Duration as StdDuration;

use rosterd_client::SafeUrl;
use rosterd_discovery::{Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig};
use rosterd_model::{Duration, Problem};
use rosterd_rest::{Api, Pace, Servers, Watching};

use super::catalog::Nomad;
use super::metrics::NomadMetrics;

/// An answer is not waited for any longer: with the sixteenth that Nomad adds, less than the minute of most proxies.
const MOST: StdDuration = StdDuration::from_secs(50);

/// A service is not asked about more often.
const LEAST: StdDuration = StdDuration::from_secs(1);

rosterd_client::with_http_client! {
    /// One entry of `nomad_sd_configs`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct NomadConfig {
        /// Where Nomad is. A path does not count.
        pub server: SafeUrl = SafeUrl::new("http://localhost:4646"),
        /// The region that is asked.
        pub region: String = "global".to_owned(),
        /// The namespace of the services, or `*` for all.
        pub namespace: String = "default".to_owned(),
        /// Whether a server may answer that is not the leader.
        pub allow_stale: bool = true,
        /// What stands between tags, before the first and behind the last.
        pub tag_separator: String = ",".to_owned(),
        /// The longest that an answer is waited for, up to 50 s: Nomad answers at once when something changes.
        pub refresh_interval: Duration = Duration::from_secs(60),
    }
}

impl MechanismConfig for NomadConfig {
    const MECHANISM: &'static str = "nomad";

    type Metrics = NomadMetrics;
    type Shared = Servers;

    fn identity(&self, id: &mut Identity) {
        id.url("server", &self.server);
        id.value("region", &self.region.as_str(), &"global");
        id.value("namespace", &self.namespace.as_str(), &"default");
        id.value("tag_separator", &self.tag_separator.as_str(), &",");
        self.client.identity(id);
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        self.server.check("server").into_iter().chain(self.client.check()).collect()
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
        let interval: StdDuration = self.refresh_interval.into();
        let api = Api::new(&self.server, &self.client, interval, &cx)?.without_path();
        let pace = Pace { interval, wait: interval.min(MOST), least: LEAST.min(interval) };
        let server = cx.shared.get(&self.server.to_string());
        Ok(Watching::boxed(Nomad::new(self, api, cx.metrics.clone()), server, pace, cx.guard))
    }
}

rosterd_discovery::register!(NomadConfig);

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let config: NomadConfig = serde_yaml::from_str(text).expect(text);
        let problems = config.check(&CheckContext::default());
        problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect()
    }

    #[test]
    fn the_defaults_are_those_of_prometheus() {
        let text = "{server: 'http://localhost:4646', region: global, namespace: default, allow_stale: true, tag_separator: ',', \
                    refresh_interval: 60s, follow_redirects: true, enable_http2: true}";
        assert_eq!(serde_yaml::from_str::<NomadConfig>(text).expect(text), NomadConfig::default());
        assert_eq!(problems("{}"), [""; 0]);
    }

    #[test]
    fn the_server_must_be_a_url_of_http() {
        for (text, want) in [
            ("server: ''", "cfg_missing_key server"),
            ("server: '  '", "cfg_invalid_value server"),
            ("server: 172.30.29.23:4646", "cfg_invalid_value server"),
            ("server: nomad:4646", "cfg_invalid_value server"),
            ("{basic_auth: {username: u}, bearer_token: t}", "cfg_conflicting_keys bearer_token"),
        ] {
            assert_eq!(problems(text), [want], "{text}");
        }
        assert!(serde_yaml::from_str::<NomadConfig>("{servers: 'http://a'}").is_err());
    }

    #[test]
    fn what_is_shown_reads_back_without_secrets() {
        let text = "{server: 'https://u:hunter2@a/', namespace: '*', tag_separator: '|', authorization: {credentials: hunter2}}";
        let config: NomadConfig = serde_yaml::from_str(text).expect(text);
        let shown = serde_yaml::to_string(&config).expect("serialises");
        assert!(!shown.contains("hunter2") && !format!("{config:?}").contains("hunter2"), "{shown}");
        let again: NomadConfig = serde_yaml::from_str(&shown).expect("reads back");
        assert_eq!((again.namespace, again.tag_separator), (config.namespace, config.tag_separator));
    }
}
