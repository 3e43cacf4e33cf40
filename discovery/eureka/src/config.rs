//! What the user writes under `eureka_sd_configs`, and how it is asked for.

use std::path::Path;
use std::time::Duration as StdDuration;

use async_trait::async_trait;
use rosterd_client::SafeUrl;
use rosterd_discovery::{
    Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, Polling, Reading, Refresh,
};
use rosterd_model::{Duration, Problem};
use rosterd_rest::Api;

use super::decode;

rosterd_client::with_http_client! {
    /// One entry of `eureka_sd_configs`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct EurekaConfig {
        /// Where Eureka is, with the path below which its API is.
        pub server: SafeUrl = SafeUrl::default(),
        /// How often it is asked.
        pub refresh_interval: Duration = Duration::from_secs(30),
    }
}

impl MechanismConfig for EurekaConfig {
    const MECHANISM: &'static str = "eureka";

    type Metrics = ();
    type Shared = ();

    fn identity(&self, id: &mut Identity) {
        id.url("server", &self.server);
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
        let interval = self.refresh_interval.into();
        Ok(Polling::boxed(Eureka { api: Api::new(&self.server, &self.client, interval, &cx)? }, interval))
    }
}

rosterd_discovery::register!(EurekaConfig);

struct Eureka {
    api: Api,
}

#[async_trait]
impl Refresh for Eureka {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        Ok(Reading::Everything(self.api.get(["apps"]).read(decode::groups).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let config: EurekaConfig = serde_yaml::from_str(text).expect(text);
        let problems = config.check(&CheckContext::default());
        problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect()
    }

    #[test]
    fn the_server_must_be_a_url_of_http() {
        for (text, want) in [
            ("{}", "cfg_missing_key server"),
            ("server: ''", "cfg_missing_key server"),
            ("server: eureka.com", "cfg_invalid_value server"),
            ("server: 'http://'", "cfg_invalid_value server"),
            (
                "{server: 'http://e', oauth2: {client_id: i, token_url: 'http://t'}, bearer_token: t}",
                "cfg_conflicting_keys bearer_token",
            ),
        ] {
            assert_eq!(problems(text), [want], "{text}");
        }
        assert_eq!(problems("server: 'http://eureka.example.com:8761/eureka'"), [""; 0]);
        assert_eq!(StdDuration::from(EurekaConfig::default().refresh_interval), StdDuration::from_secs(30));
    }
}
