//! Addresses in the zone of a network interface, in all places of a configuration that may name one.

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};

use rosterd_testkit::{
    Folder, RemoteWriteReceiver, ScriptedServer, Step, eventually, eventually_ok, leak_checked_live, patience,
};
use serde_json::Value;

use super::rosterd;

#[test]
fn what_is_in_a_zone_is_discovered_scraped_and_written_to() {
    leak_checked_live(|| async {
        let loopback = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
        let receiver = RemoteWriteReceiver::start_at(loopback).await;
        let server = ScriptedServer::start_at(loopback, []).await;
        let (port, host) = (server.address().port(), server.address().to_string());
        let list = format!(r#"[{{"targets": ["[::1%lo]:{port}", "[::1%no-such]:{port}"]}}]"#);
        let page = Step::get("/metrics").reply_header("content-type", "text/plain").body("in_a_zone 1\n");
        server.then(Step::get("/sd").with_header("host", &host).any_times().json(list));
        server.then(page.with_header("host", &host).any_times());
        let write = receiver.url().replace("[::1]", "[::1%25lo]");
        let folder = Folder::new();
        let file = folder.write(
            "prometheus.yml",
            format!(
                "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
                 remote_write: [{{url: '{write}', queue_config: {{batch_send_deadline: 100ms}}}}]\n\
                 scrape_configs: [{{job_name: j, http_sd_configs: [{{url: 'http://[::1%25lo]:{port}/sd'}}]}}]\n"
            ),
        );
        let rosterd = rosterd(&file, &[]).await;

        let instance = format!("[::1%lo]:{port}");
        let arrived = || {
            receiver.samples().iter().any(|sample| {
                sample.label("__name__") == Some("in_a_zone") && sample.label("instance") == Some(&instance)
            })
        };
        eventually(patience(), "a sample of the target arrives", arrived).await;
        let asked = receiver.requests().first().and_then(|request| request.header("host").map(str::to_owned));
        assert_eq!(asked, Some(receiver.address().to_string()));

        let targets = eventually_ok(patience(), "both targets were scraped", async || {
            let targets = rosterd.data("/api/v1/targets").await["activeTargets"].take();
            let told: BTreeMap<_, _> = targets.as_array().into_iter().flatten().map(told).collect();
            let scraped = told.len() == 2 && told.values().all(|(health, _)| health != "unknown");
            if scraped { Ok(told) } else { Err(format!("{targets:#}\n{}", rosterd.log())) }
        })
        .await;
        let (there, missing) = (scrape_url("lo", port), scrape_url("no-such", port));
        let error = format!("cannot connect to {missing}: there is no network interface \"no-such\" here");
        let wanted = [(there, ("up".to_owned(), String::new())), (missing, ("down".to_owned(), error))];
        assert_eq!(targets, wanted.into());
    });
}

fn scrape_url(zone: &str, port: u16) -> String {
    format!("http://[::1%25{zone}]:{port}/metrics")
}

/// The URL of a target, its health and its error.
fn told(target: &Value) -> (String, (String, String)) {
    let text = |key: &str| target[key].as_str().unwrap_or_default().to_owned();
    (text("scrapeUrl"), (text("health"), text("lastError")))
}
