//! What the user writes under `marathon_sd_configs`.

use std::path::{Path, PathBuf};
use std::time::Duration as StdDuration;

use rosterd_client::{SafeUrl, Secret, unreadable};
use rosterd_discovery::{Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, Polling};
use rosterd_model::{Duration, Problem};

use super::discoverer::Marathon;

rosterd_client::with_http_client! {
    /// One entry of `marathon_sd_configs`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct MarathonConfig {
        /// The servers, of which each knows all.
        pub servers: Vec<SafeUrl> = Vec::new(),
        /// How often one of them is asked.
        pub refresh_interval: Duration = Duration::from_secs(30),
        /// A token of DC/OS.
        #[serde(skip_serializing_if = "Secret::is_empty")]
        pub auth_token: Secret = Secret::default(),
        /// A file with it, which is read for each question.
        #[serde(skip_serializing_if = "is_unset")]
        pub auth_token_file: PathBuf = PathBuf::new(),
    }
}

fn is_unset(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

impl MechanismConfig for MarathonConfig {
    const MECHANISM: &'static str = "marathon";

    type Metrics = ();
    type Shared = ();

    fn identity(&self, id: &mut Identity) {
        let mut servers: Vec<_> = self.servers.iter().collect();
        servers.sort_by_key(|server| server.to_string());
        id.urls("servers", servers);
        id.secret("auth_token", &self.auth_token);
        id.quietly(|id| id.path("auth_token_file", &self.auth_token_file));
        self.client.identity(id);
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.servers.is_empty() {
            problems.push(Problem::new("servers", "cfg_missing_key", "servers is empty: give at least one"));
        }
        for (index, server) in self.servers.iter().enumerate() {
            problems.extend(server.check(&format!("servers[{index}]")));
        }
        let (inline, file) = (!self.auth_token.is_empty(), !is_unset(&self.auth_token_file));
        let others = [
            ("auth_token_file", inline && file),
            ("basic_auth", self.client.basic_auth.is_some()),
            ("bearer_token", !self.client.bearer_token.is_empty()),
            ("bearer_token_file", !is_unset(&self.client.bearer_token_file)),
            ("authorization", self.client.authorization.is_some()),
        ];
        for (key, _) in others.iter().filter(|(_, is_set)| *is_set && (inline || file)) {
            let message = format!(
                "only one of {} and {key} counts: remove the other",
                if inline { "auth_token" } else { "auth_token_file" }
            );
            problems.push(Problem::new(*key, "cfg_conflicting_keys", message));
        }
        problems.extend(self.client.check());
        problems
    }

    fn resolve_paths(&mut self, base: &Path) {
        self.client.resolve_paths(base);
        if !is_unset(&self.auth_token_file) {
            self.auth_token_file = base.join(&self.auth_token_file);
        }
    }

    fn examine(&self, _: &CheckContext) -> Vec<Finding> {
        let token = unreadable("auth_token_file", &self.auth_token_file);
        self.client.examine().into_iter().chain(token).map(Finding::Missing).collect()
    }

    fn refresh_interval(&self) -> Option<StdDuration> {
        Some(self.refresh_interval.into())
    }

    fn build(&self, cx: Build<'_, Self>) -> Result<Box<dyn Discoverer>, Error> {
        Ok(Polling::boxed(Marathon::new(self, &cx)?, self.refresh_interval.into()))
    }
}

rosterd_discovery::register!(MarathonConfig);

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let config: MarathonConfig = serde_yaml::from_str(text).expect(text);
        let problems = config.check(&CheckContext::default());
        problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect()
    }

    #[test]
    fn servers_are_needed_and_tokens_exclude_other_credentials() {
        for (text, want) in [
            ("{}", "cfg_missing_key servers"),
            ("servers: [marathon]", "cfg_invalid_value servers[0]"),
            ("{servers: ['http://m'], auth_token: a, auth_token_file: f}", "cfg_conflicting_keys auth_token_file"),
            ("{servers: ['http://m'], auth_token: a, basic_auth: {username: u}}", "cfg_conflicting_keys basic_auth"),
            ("{servers: ['http://m'], auth_token_file: f, bearer_token: b}", "cfg_conflicting_keys bearer_token"),
            ("{servers: ['http://m'], auth_token: a, bearer_token_file: f}", "cfg_conflicting_keys bearer_token_file"),
            (
                "{servers: ['http://m'], auth_token: a, authorization: {credentials: c}}",
                "cfg_conflicting_keys authorization",
            ),
        ] {
            assert_eq!(problems(text), [want], "{text}");
        }
        assert_eq!(problems("{servers: ['https://a:443', 'http://b'], auth_token: t}"), [""; 0]);
    }

    #[test]
    fn servers_are_shown_and_a_token_that_cannot_be_read_is_told() {
        let text = "{servers: ['http://b/', 'http://u:hunter2@a/?token=hunter3'], auth_token_file: /nonexistent/token}";
        let config: MarathonConfig = serde_yaml::from_str(text).expect(text);
        let found = config.examine(&CheckContext::default());
        let [Finding::Missing(problem)] = &found[..] else { panic!("{found:?}") };
        assert_eq!((problem.code, &*problem.path), ("cfg_unreadable", "auth_token_file"));
        let mut identity = Identity::new();
        config.identity(&mut identity);
        let shown = identity.reads().to_string();
        assert!(shown.starts_with("servers ") && shown.contains("http://a/") && !shown.contains("hunter"), "{shown}");
    }
}
