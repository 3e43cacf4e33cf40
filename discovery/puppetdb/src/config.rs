//! What the user writes under `puppetdb_sd_configs`, and how it is asked for.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use async_trait::async_trait;
use rosterd_client::SafeUrl;
use rosterd_discovery::{
    Build, CheckContext, Discoverer, Error, Finding, Identity, MechanismConfig, Polling, Reading, Refresh,
};
use rosterd_model::{Duration, Problem};
use rosterd_rest::{Api, Last};
use serde::Serialize;

use super::decode::{Settings, groups};

/// The port of targets that are given none.
const PORT: u16 = 80;

rosterd_client::with_http_client! {
    /// One entry of `puppetdb_sd_configs`.
    #[derive(Debug, Clone, PartialEq)]
    pub struct PuppetdbConfig {
        /// Where PuppetDB is, with the path below which its API is.
        pub url: SafeUrl = SafeUrl::default(),
        /// What is asked for, as PQL or as the syntax tree of a query. It has to find resources.
        pub query: String = String::new(),
        /// Whether parameters of resources become labels. All who may see a target see these: there must be no secrets among them.
        pub include_parameters: bool = false,
        /// The port of all targets.
        pub port: u16 = PORT,
        /// How often it is asked. An answer that takes longer is given up.
        pub refresh_interval: Duration = Duration::from_secs(60),
    }
}

impl MechanismConfig for PuppetdbConfig {
    const MECHANISM: &'static str = "puppetdb";

    type Metrics = ();
    type Shared = ();

    fn identity(&self, id: &mut Identity) {
        id.url("url", &self.url);
        id.text("query", &self.query);
        id.value("include_parameters", &self.include_parameters, &false);
        id.value("port", &self.port, &PORT);
        self.client.identity(id);
    }

    fn check(&self, _: &CheckContext) -> Vec<Problem> {
        let query = self.query.is_empty().then(|| {
            let example = r#"resources { type = "Class" and title = "Prometheus::Node_exporter" }"#;
            Problem::new(
                "query",
                "cfg_missing_key",
                format!("query is missing: say which resources are targets, as in {example}"),
            )
        });
        self.url.check("url").into_iter().chain(query).chain(self.client.check()).collect()
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
        let api = Api::new(&self.url, &self.client, interval, &cx)?.with_clean_path();
        let settings =
            Settings { query: self.query.clone(), include_parameters: self.include_parameters, port: self.port };
        Ok(Polling::boxed(Puppetdb { api, settings: Arc::new(settings), last: Last::default() }, interval))
    }
}

rosterd_discovery::register!(PuppetdbConfig);

struct Puppetdb {
    api: Api,
    settings: Arc<Settings>,
    last: Last,
}

/// What PuppetDB is asked.
#[derive(Serialize)]
struct Query<'a> {
    query: &'a str,
}

#[async_trait]
impl Refresh for Puppetdb {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let settings = Arc::clone(&self.settings);
        let query = serde_json::to_vec(&Query { query: &settings.query }).expect("a text can be written");
        let question = self.api.post(["pdb", "query", "v4"], query).only_json();
        let groups = question.read_changed(&mut self.last, move |body| groups(body, &settings)).await?;
        Ok(groups.map_or(Reading::Unchanged, Reading::Everything))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> PuppetdbConfig {
        serde_yaml::from_str(text).expect(text)
    }

    fn problems(text: &str) -> Vec<String> {
        let problems = config(text).check(&CheckContext::default());
        problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect()
    }

    #[test]
    fn a_url_of_http_and_a_query_are_needed() {
        for (text, want) in [
            ("{query: q}", "cfg_missing_key url"),
            ("{url: '', query: q}", "cfg_missing_key url"),
            ("{url: 'http://', query: q}", "cfg_invalid_value url"),
            ("{url: 'ftp://puppet', query: q}", "cfg_invalid_value url"),
            ("{url: 'puppet:8080', query: q}", "cfg_invalid_value url"),
            ("url: http://puppet", "cfg_missing_key query"),
            ("{url: http://puppet, query: ''}", "cfg_missing_key query"),
            (
                "{url: 'http://p', query: q, bearer_token: foo, bearer_token_file: foo}",
                "cfg_conflicting_keys bearer_token_file",
            ),
        ] {
            assert_eq!(problems(text), [want], "{text}");
        }
        assert_eq!(problems("{}"), ["cfg_missing_key url", "cfg_missing_key query"]);
        // What the query means is for PuppetDB to say.
        assert_eq!(problems("{url: 'https://puppet:8081/', query: 'resources {'}"), [""; 0]);
    }

    #[test]
    fn the_defaults_are_those_of_prometheus() {
        let text = "{url: 'http://p', query: q, include_parameters: false, port: 80, refresh_interval: 60s,
            follow_redirects: true, enable_http2: true}";
        assert_eq!(config(text), config("{url: 'http://p', query: q}"));
        for refused in
            ["{url: 'http://p', query: q, pql: r}", "{port: -1}", "{port: 65536}", "{include_parameters: some}"]
        {
            assert!(serde_yaml::from_str::<PuppetdbConfig>(refused).is_err(), "{refused}");
        }
    }
}
