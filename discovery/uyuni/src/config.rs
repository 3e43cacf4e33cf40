//! What the user writes under `uyuni_sd_configs`.

use std::path::Path;
use std::time::Duration as StdDuration;

use rosterd_client::SafeUrl;
use rosterd_discovery::{Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, Polling};
use rosterd_model::{Duration, Problem, Secret};
use rosterd_rest::Api;

use super::discoverer::Uyuni;

const ENTITLEMENT: &str = "monitoring_entitled";
const SEPARATOR: &str = ",";

rosterd_client::with_http_client! {
    /// One entry of `uyuni_sd_configs`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct UyuniConfig {
        /// Where Uyuni is, with the path below which its API is.
        pub server: SafeUrl = SafeUrl::default(),
        /// Who logs in.
        pub username: String = String::new(),
        /// The password of this user.
        pub password: Secret = Secret::default(),
        /// What systems must be entitled to.
        pub entitlement: String = ENTITLEMENT.to_owned(),
        /// What stands between the groups of a system.
        pub separator: String = SEPARATOR.to_owned(),
        /// How often Uyuni is asked. An answer that takes longer is given up.
        pub refresh_interval: Duration = Duration::from_secs(60),
    }
}

impl MechanismConfig for UyuniConfig {
    const MECHANISM: &'static str = "uyuni";

    type Metrics = ();
    type Shared = ();

    fn identity(&self, id: &mut Identity) {
        id.url("server", &self.server);
        id.quietly(|id| id.text("username", &self.username));
        id.secret("password", &self.password);
        id.value("entitlement", &self.entitlement.as_str(), &ENTITLEMENT);
        id.value("separator", &self.separator.as_str(), &SEPARATOR);
        self.client.identity(id);
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        let missing = [("username", self.username.is_empty()), ("password", self.password.is_empty())];
        let missing = missing.into_iter().filter(|(_, is_missing)| *is_missing).map(|(key, _)| {
            Problem::new(key, "cfg_missing_key", format!("{key} is missing: Uyuni answers nobody who does not log in"))
        });
        self.server.check("server").into_iter().chain(missing).chain(self.client.check()).collect()
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
        let api = Api::new(&self.server, &self.client, interval, &cx)?.with_clean_path();
        Ok(Polling::boxed(Uyuni::new(self, api), interval))
    }
}

rosterd_discovery::register!(UyuniConfig);

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> UyuniConfig {
        serde_yaml::from_str(text).expect(text)
    }

    fn problems(text: &str) -> Vec<String> {
        let problems = config(text).check(&CheckContext::default());
        problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect()
    }

    #[test]
    fn a_server_and_somebody_who_logs_in_are_needed() {
        for (text, want) in [
            ("{username: u, password: p}", "cfg_missing_key server"),
            ("{server: '', username: u, password: p}", "cfg_missing_key server"),
            ("{server: server, username: u, password: p}", "cfg_invalid_value server"),
            ("{server: 'ftp://s', username: u, password: p}", "cfg_invalid_value server"),
            ("{server: 'http://s', password: p}", "cfg_missing_key username"),
            ("{server: 'http://s', username: u}", "cfg_missing_key password"),
            ("{server: 'http://s', username: u, password: ''}", "cfg_missing_key password"),
            (
                "{server: 'http://s', username: u, password: p, bearer_token: foo, bearer_token_file: foo}",
                "cfg_conflicting_keys bearer_token_file",
            ),
        ] {
            assert_eq!(problems(text), [want], "{text}");
        }
        assert_eq!(problems("{}").len(), 3);
        assert_eq!(problems("{server: 'https://localhost:1234', username: gopher, password: hole}"), [""; 0]);
    }

    #[test]
    fn whatever_says_what_is_read_and_as_whom_counts() {
        let hash = |text: &str| {
            let mut identity = Identity::new();
            config(text).identity(&mut identity);
            identity.hash()
        };
        let all = [
            "{}",
            "{server: 'http://s'}",
            "{username: u}",
            "{password: u}",
            "{entitlement: e}",
            "{separator: ;}",
            "{tls_config: {cert_file: c, key_file: k}}",
        ];
        assert_eq!(all.map(hash).iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
        assert_eq!(hash("{}"), hash("{refresh_interval: 5s}"));
    }

    #[test]
    fn the_defaults_are_those_of_prometheus_and_the_password_is_not_shown() {
        let short = "{server: 'http://s', username: u, password: hunter2}";
        let text =
            "{server: 'http://s', username: u, password: hunter2, entitlement: monitoring_entitled, separator: ',',
            refresh_interval: 1m, follow_redirects: true, enable_http2: true}";
        assert_eq!(config(text), config(short));
        let shown = serde_yaml::to_string(&config(short)).expect("serialises");
        assert!(!shown.contains("hunter2") && !format!("{:?}", config(short)).contains("hunter2"), "{shown}");
        assert!(serde_yaml::from_str::<UyuniConfig>("{server: 'http://s', user: u}").is_err());
    }
}
