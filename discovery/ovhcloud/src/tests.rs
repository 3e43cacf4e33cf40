//! What OVHcloud is asked, and what becomes of its answers.

use std::time::Duration as StdDuration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rosterd_discovery::{CheckContext, Finding, MechanismConfig as _};
use rosterd_testkit::contract::Run;
use rosterd_testkit::{
    FakeCloud, Paging, Received, Step, assert_golden, eventually, fixture, leak_checked_live, patience,
};
use serde_json::{Value, json};

use super::addresses::Addresses;
use super::{OvhcloudConfig, Service, decode};

const KEYS: &str = "application_key: ak, application_secret: as, consumer_key: ck";
/// A day before all of this was written: the clock of the cloud is far behind.
const TIME: i64 = 1_700_000_000;

fn config(text: &str) -> OvhcloudConfig {
    serde_yaml::from_str(text).expect(text)
}

/// Whether a call is signed, at a time that is about that of the cloud.
fn is_signed(call: &Received) -> bool {
    let header = |name: &str| call.header(name).unwrap_or_default();
    if header("x-ovh-application") != "ak" {
        return false;
    }
    if call.path == "/1.0/auth/time" {
        return call.header("x-ovh-signature").is_none();
    }
    let time = header("x-ovh-timestamp");
    let is_near = time.parse::<i64>().is_ok_and(|time| (time - TIME).abs() < 60);
    let text = format!("as+ck+GET+http://{}{}++{time}", header("host"), call.path);
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    let want: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    is_near && header("x-ovh-consumer") == "ck" && header("x-ovh-signature") == format!("$1${want}")
}

/// With these servers, each of one address.
async fn cloud(path: &str, servers: &[u32]) -> FakeCloud {
    let cloud = FakeCloud::start(&[]).await;
    cloud.list("/1.0/auth/time", Paging::Whole, 1, |_| json!(TIME));
    cloud.list(path, Paging::Whole, 1, |page| json!(page.items));
    cloud.lets_in(is_signed);
    for id in servers {
        serve(&cloud, path, *id);
    }
    name(&cloud, path, servers);
    cloud
}

fn serve(cloud: &FakeCloud, path: &str, id: u32) {
    let name = format!("server-{id}.ovh.net");
    cloud.list(&format!("{path}/{name}/ips"), Paging::Whole, 1, move |_| json!([format!("10.0.0.{id}")]));
    let details = format!("{path}/{name}");
    cloud.list(&details, Paging::Whole, 1, move |_| json!({"name": name, "state": "running"}));
}

fn name(cloud: &FakeCloud, path: &str, servers: &[u32]) {
    cloud.set(path, servers.iter().map(|id| Value::from(format!("server-{id}.ovh.net"))));
}

fn of(cloud: &FakeCloud, service: &str) -> OvhcloudConfig {
    config(&format!("{{endpoint: '{}', {KEYS}, service: {service}, refresh_interval: 1s}}", cloud.url("/1.0")))
}

#[test]
fn servers_become_labels() {
    let texts = ["192.0.2.1".to_owned(), "2001:DB8:0:0::1/32".to_owned(), "2001:db8:1::/64".to_owned()];
    let addresses = Addresses::of(&texts).expect("addresses");
    for (service, file) in [(Service::Vps, "vps"), (Service::DedicatedServer, "dedicated_server")] {
        let body = fixture(&format!("discovery/ovhcloud/{file}.json"));
        let details = decode::details(body.as_bytes(), service).expect("details");
        let group = decode::group("name", &details, &addresses).expect("it has an address");
        let golden = format!("discovery/ovhcloud/{file}.golden.yml");
        assert_golden(&golden, &serde_yaml::to_string(&group).expect("writes"));
        assert!(decode::group("name", &details, &Addresses::default()).is_none());
    }
}

#[test]
fn servers_are_found_and_followed_at_the_time_of_the_cloud() {
    leak_checked_live(async || {
        for (path, service) in [("/1.0/vps", "vps"), ("/1.0/dedicated/server", "dedicated_server")] {
            let cloud = cloud(path, &[1, 2, 3, 4, 5, 6]).await;
            let mut run = Run::start(&of(&cloud, service)).await.expect("it can be built");
            run.finds(&["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]).await;
            serve(&cloud, path, 7);
            name(&cloud, path, &[2, 7]);
            run.finds(&["10.0.0.2", "10.0.0.7"]).await;
            run.stop().await.expect("it ends").expect("in order");
            cloud.finish().await;
        }
    });
}

#[test]
fn a_server_that_cannot_be_read_hides_no_other_and_keeps_its_target() {
    leak_checked_live(async || {
        let cloud = cloud("/1.0/vps", &[1, 2]).await;
        let mut run = Run::start(&of(&cloud, "vps")).await.expect("it can be built");
        run.finds(&["10.0.0.1", "10.0.0.2"]).await;
        for step in [
            Step::get("/1.0/vps/server-1.ovh.net").status(500),
            Step::get("/1.0/vps/server-1.ovh.net/ips").json(r#"["nothing"]"#),
        ] {
            cloud.instead(step);
            eventually(patience(), "it is unread", || {
                while run.try_next().is_some() {}
                run.unread().eq(["server-1.ovh.net"])
            })
            .await;
            serve(&cloud, "/1.0/vps", 3);
            name(&cloud, "/1.0/vps", &[1, 3]);
            run.finds(&["10.0.0.1", "10.0.0.3"]).await;
            cloud.heal();
            name(&cloud, "/1.0/vps", &[1, 2]);
            run.finds(&["10.0.0.1", "10.0.0.2"]).await;
        }
        run.stop().await.expect("it ends").expect("in order");
        cloud.finish().await;
    });
}

#[test]
fn refusals_and_malformed_lists_are_told_and_take_nothing_away() {
    leak_checked_live(async || {
        let cloud = cloud("/1.0/vps", &[1]).await;
        let mut run = Run::start(&of(&cloud, "vps")).await.expect("it can be built");
        run.finds(&["10.0.0.1"]).await;
        for path in ["/1.0/auth/time", "/1.0/vps"] {
            rosterd_testkit::contract::check_faults(&cloud, &mut run, || Step::get(path)).await;
        }
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
    let defaults = OvhcloudConfig::default();
    assert_eq!((&*defaults.endpoint, defaults.refresh_interval()), ("ovh-eu", Some(StdDuration::from_secs(60))));
    let missing = [
        "cfg_missing_key application_key",
        "cfg_missing_key application_secret",
        "cfg_missing_key consumer_key",
        "cfg_missing_key service",
    ];
    assert_eq!(problems("{}"), missing);
    assert_eq!(problems(&format!("{{{KEYS}, service: vps, endpoint: ''}}")), ["cfg_missing_key endpoint"]);
    assert_eq!(problems(&format!("{{{KEYS}, service: dedicated_server}}")), [""; 0]);
    for text in ["{service: fakeservice}", "{port: 80}", "{bearer_token: t}"] {
        assert!(serde_yaml::from_str::<OvhcloudConfig>(text).is_err(), "{text}");
    }
    for (endpoint, is_known) in
        [("ovh-eu", true), ("soyoustart-ca", true), ("http://h/1.0", true), ("ovh-mars", false), ("ftp://h/", false)]
    {
        let found = config(&format!("{{{KEYS}, service: vps, endpoint: '{endpoint}'}}"));
        assert!(found.check(&CheckContext::default()).is_empty(), "{endpoint}");
        let found = found.examine(&CheckContext::default());
        assert_eq!(matches!(*found, [Finding::Idle(_)]), !is_known, "{endpoint}");
    }
}
