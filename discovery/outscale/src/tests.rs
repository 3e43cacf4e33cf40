//! What Outscale is asked, and what becomes of its answers.

use std::time::Duration as StdDuration;

use rosterd_client::{Request, Secret, Url};
use rosterd_credentials::sigv4::{Keys, sign};
use rosterd_discovery::{CheckContext, MechanismConfig as _};
use rosterd_testkit::contract::{Run, check_faults};
use rosterd_testkit::{FakeCloud, Folder, Paging, Received, Step, assert_golden, fixture, leak_checked_live};
use serde_json::{Value, json};

use super::signer::SCOPE;
use super::{OutscaleConfig, decode};

const MACHINES: &str = "/api/v1/ReadVms";

fn config(text: &str) -> OutscaleConfig {
    serde_yaml::from_str(text).expect(text)
}

fn machine(id: u32) -> Value {
    json!({"VmId": format!("i-{id}"), "PrivateIp": format!("10.0.0.{id}")})
}

/// Whether a call is signed with this secret: signs it once more, at the time that it says.
fn is_signed(call: &Received, secret: &str) -> bool {
    let header = |name: &str| call.header(name).unwrap_or_default().to_owned();
    let url = format!("http://{}{}", header("host"), call.path);
    let mut again = Request::post(Url::parse(&url).expect("a URL"), call.body.clone());
    again.headers.insert("content-type", header("content-type").parse().expect("a value"));
    let now = jiff::fmt::strtime::parse("%Y%m%dT%H%M%SZ", header("x-amz-date"));
    let now = now.and_then(|time| time.to_datetime()).and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC));
    let Ok(now) = now else { return false };
    let keys = Keys { id: "ak".to_owned(), secret: secret.into(), token: Secret::default() };
    sign(&mut again, &keys, SCOPE, now.timestamp()).expect("it can be signed");
    again.headers["authorization"].to_str().ok() == call.header("authorization")
}

#[test]
fn machines_become_labels() {
    let page = decode::page(fixture("discovery/outscale/vms.json").as_bytes()).expect("machines");
    assert_eq!(page.next.as_deref(), Some("bmV4dA=="));
    let groups = decode::groups(page.items, "eu-west-2", 80);
    assert_golden("discovery/outscale/vms.golden.yml", &serde_yaml::to_string(&groups).expect("writes"));
    let told = decode::page(br#"{"Errors": []}"#).expect_err("no list").to_string();
    assert_eq!(told, "Vms is missing");
}

#[test]
fn machines_are_found_on_all_pages_followed_and_kept_through_faults() {
    leak_checked_live(async || {
        let (cloud, folder) = (FakeCloud::start(&[]).await, Folder::new());
        cloud.list(
            MACHINES,
            Paging::Token("NextPageToken"),
            2,
            |page| json!({"Vms": page.items, "NextPageToken": page.next}),
        );
        cloud.lets_in(|call: &Received| is_signed(call, "one"));
        cloud.set(MACHINES, (1..=3).map(machine));
        let file = folder.write("key", "one\n");
        let mut config = config(&format!(
            "{{endpoint: '{}', access_key: ak, secret_key_file: key, port: 9100, refresh_interval: 1s}}",
            cloud.url("/api/v1")
        ));
        config.resolve_paths(&folder.path(""));
        assert_eq!(config.secret_key_file, file);
        let mut run = Run::start(&config).await.expect("it can be built");
        run.finds(&["10.0.0.1:9100", "10.0.0.2:9100", "10.0.0.3:9100"]).await;
        let asked: Vec<_> = cloud.calls().into_iter().map(|call| call.body).collect();
        let second = r#"{"NextPageToken":"c+2==","ResultsPerPage":1000}"#;
        assert_eq!(asked[..2], [r#"{"ResultsPerPage":1000}"#, second]);
        check_faults(&cloud, &mut run, || Step::post(MACHINES).with_body(second)).await;
        folder.write("key", "two");
        cloud.lets_in(|call: &Received| is_signed(call, "two"));
        cloud.set(MACHINES, [2, 4].map(machine));
        run.finds(&["10.0.0.2:9100", "10.0.0.4:9100"]).await;
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

#[test]
fn the_defaults_and_checks_are_those_of_prometheus() {
    let problems = |text: &str| {
        let problems = config(text).check(&CheckContext::default());
        problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect::<Vec<_>>()
    };
    let text = "{endpoint: '', region: eu-west-2, access_key: '', port: 80, refresh_interval: 60s}";
    assert_eq!(config(text), OutscaleConfig::default());
    assert_eq!(OutscaleConfig::default().refresh_interval(), Some(StdDuration::from_secs(60)));
    assert_eq!(problems("{access_key: a, secret_key: s}"), [""; 0]);
    for (text, want) in [
        ("{region: '', access_key: a, secret_key: s}", "cfg_missing_key region"),
        ("{region: 'a b', access_key: a, secret_key: s}", "cfg_invalid_value region"),
        ("{endpoint: 'ftp://e', access_key: a, secret_key: s}", "cfg_invalid_value endpoint"),
        ("{secret_key: s}", "cfg_missing_key access_key"),
        ("{access_key: a}", "cfg_missing_key secret_key"),
        ("{access_key: a, secret_key: s, secret_key_file: f}", "cfg_conflicting_keys secret_key_file"),
    ] {
        assert_eq!(problems(text), [want], "{text}");
    }
}
