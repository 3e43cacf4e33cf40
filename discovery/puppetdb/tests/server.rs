//! `puppetdb` at a real PuppetDB: what it finds, and what is said of a query that is none.

use rosterd_discovery_puppetdb::PuppetdbConfig;
use rosterd_testkit::contract::Run;
use rosterd_testkit::{PuppetdbServer, addresses, eventually, leak_checked_live, patience};
use serde_json::json;

async fn start(server: &PuppetdbServer, query: &str) -> Run {
    let text = format!(
        "{{url: '{}', query: '{query}', include_parameters: true, port: 9100, refresh_interval: 30s}}",
        server.url()
    );
    Run::start(&serde_yaml::from_str::<PuppetdbConfig>(&text).expect("a configuration")).await.expect("it can be built")
}

#[test]
fn resources_are_found_and_queries_that_are_none_are_told() {
    leak_checked_live(async || {
        let server = PuppetdbServer::start().await;
        let job = json!({"type": "Scrape_job", "title": "a", "exported": true, "parameters": {"limit": 1_234_567}});
        server.catalog("web1.example.com", &[job, json!({"type": "Class", "title": "Web"})]).await;
        server.catalog("web2.example.com", &[json!({"type": "Class", "title": "Web"})]).await;
        let mut run = start(&server, r#"resources { exported = true }"#).await;
        let word = run.next().await.expect("a word");
        assert_eq!(addresses(word.groups()).into_iter().collect::<Vec<_>>(), ["web1.example.com:9100"]);
        let target = &word.groups()[0].targets[0];
        assert_eq!(target.get("__meta_puppetdb_parameter_limit"), Some("1.234567e+06"));
        run.stop().await.expect("it ends").expect("in order");

        let run = start(&server, "resources { of").await;
        eventually(patience(), "the failure is told", || run.status().last_error.is_some()).await;
        let report = run.status().last_error.expect("it failed").report;
        assert_eq!(report.code.as_str(), "http_status");
        assert!(
            report.causes.iter().any(|cause| cause.starts_with("it says: PQL parse error at line 1")),
            "{report:?}"
        );
        run.stop().await.expect("it ends").expect("in order");
        server.stop().await;
    });
}
