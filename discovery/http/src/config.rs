//! What the user writes under `http_sd_configs`.

use std::path::Path;
use std::time::Duration as StdDuration;

use rosterd_model::{Duration, Size};

use super::discoverer::Http;
use rosterd_client::{Client, Options, SafeUrl};
use rosterd_discovery::{Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, Polling};
use rosterd_model::Problem;

/// Some million targets. A reply beyond it is more likely a mistake of the server than a list.
const LARGEST_BODY: Size = Size::from_bytes(512 << 20);

rosterd_client::with_http_client! {
    /// One entry of `http_sd_configs`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct HttpConfig {
        /// Where the list of target groups is.
        pub url: SafeUrl = SafeUrl::default(),
        /// How often the list is read. A reading that takes longer is given up.
        pub refresh_interval: Duration = Duration::from_secs(60),
        /// rosterd's own: a list that is larger, once unpacked, is refused; 0 for no limit. By default 512 MiB.
        #[serde(skip_serializing_if = "is_default_limit")]
        pub body_size_limit: Size = LARGEST_BODY,
    }
}

fn is_default_limit(limit: &Size) -> bool {
    *limit == LARGEST_BODY
}

impl MechanismConfig for HttpConfig {
    const MECHANISM: &'static str = "http";

    type Metrics = ();
    type Shared = ();

    fn identity(&self, id: &mut Identity) {
        id.url("url", &self.url);
        self.client.identity(id);
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        self.url.check("url").into_iter().chain(self.client.check()).collect()
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
        let options = Options {
            timeout: interval,
            name: cx.provider.to_owned(),
            system: cx.system.clone(),
            ..Options::default()
        };
        let client = Client::new(&self.client, options)?;
        Ok(Polling::boxed(Http::new(self, client)?, interval))
    }
}

rosterd_discovery::register!(HttpConfig);

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let config: HttpConfig = serde_yaml::from_str(text).expect(text);
        let problems = config.check(&CheckContext::default());
        problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect()
    }

    #[test]
    fn the_url_must_be_http_and_have_a_host() {
        for (text, want) in [
            ("{}", "cfg_missing_key url"),
            ("url: ftp://a", "cfg_invalid_value url"),
            ("url: 'http://'", "cfg_invalid_value url"),
            ("url: a", "cfg_invalid_value url"),
            ("{url: 'http://a', bearer_token: t, bearer_token_file: f}", "cfg_conflicting_keys bearer_token_file"),
        ] {
            assert_eq!(problems(text), [want], "{text}");
        }
        assert_eq!(problems("{url: 'https://a/b?c=d', refresh_interval: 5s, body_size_limit: 0}"), [""; 0]);
    }

    #[test]
    fn what_is_shown_reads_back_without_secrets() {
        let text = "{url: 'http://u:hunter2@a/', basic_auth: {username: u, password: hunter2}, body_size_limit: 1MB}";
        let config: HttpConfig = serde_yaml::from_str(text).expect("parses");
        let shown = serde_yaml::to_string(&config).expect("serialises");
        assert!(!shown.contains("hunter2") && !format!("{config:?}").contains("hunter2"), "{shown}");
        assert!(serde_yaml::from_str::<HttpConfig>(&shown).is_ok(), "{shown}");
        assert!(serde_yaml::from_str::<HttpConfig>("{url: 'http://a', interval: 5s}").is_err());
    }
}
