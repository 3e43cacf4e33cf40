//! What Keystone and the services answer, and what becomes of it.

use std::time::Duration as StdDuration;

use rosterd_model::TargetGroup;
use rosterd_testkit::assert_golden;
use serde_json::json;

use super::read;
use crate::catalog::{self, Service};
use crate::decode::{self, FloatingIps};

fn golden(name: &str, groups: &[TargetGroup]) {
    let text = serde_yaml::to_string(groups).expect("writes");
    assert_golden(&format!("discovery/openstack/{name}.golden.yml"), &text);
}

#[test]
fn servers_become_labels() {
    let (ports, floating) = (decode::ports(&read("ports")), decode::floating_ips(&read("floatingips")));
    let floating = FloatingIps::of(&ports.expect("ports").items, floating.expect("addresses").items);
    golden("servers", &decode::servers(&read("servers"), &floating, 9100).expect("servers").items);
}

#[test]
fn hypervisors_become_labels() {
    golden("hypervisors", &decode::hypervisors(&read("hypervisors"), 80).expect("hypervisors").items);
}

#[test]
fn load_balancers_become_labels() {
    let balancers = decode::load_balancers(&read("loadbalancers")).expect("load balancers").items;
    let listeners = decode::listeners(&read("listeners")).expect("listeners").items;
    let floating = decode::floating_ips(&read("floatingips")).expect("addresses").items;
    golden("loadbalancers", &decode::groups_of_load_balancers(&balancers, &listeners, &floating));
}

#[test]
fn a_page_without_anything_is_the_last_one() {
    let next = |body: &str| decode::ports(body.as_bytes()).expect("ports").next;
    let links = r#""ports_links": [{"rel": "previous", "href": "a"}, {"rel": "next", "href": "b"}]"#;
    assert_eq!(next(&format!(r#"{{"ports": [{{}}], {links}}}"#)).as_deref(), Some("b"));
    assert_eq!(next(&format!(r#"{{"ports": [], {links}}}"#)), None);
    assert_eq!(next(r#"{"ports": [{}], "ports_links": [{"rel": "previous", "href": "a"}]}"#), None);
}

#[test]
fn the_first_endpoint_of_the_interface_and_the_region_counts() {
    let endpoint = |region: &str, url: &str| json!({"interface": "public", "region": region, "region_id": format!("{region}-id"), "url": url});
    let body = json!({"token": {"catalog": [
        {"type": "compute", "endpoints": [endpoint("One", "http://old/v3"), endpoint("One", "http://a/v2.1/project/"), endpoint("One", "http://b/v2.1")]},
        {"type": "network", "endpoints": [endpoint("One", "http://n:9696"), endpoint("Two", "http://n/v2.0/")]},
        {"type": "load-balancer", "endpoints": [endpoint("One", "http://l/load-balancer/"), endpoint("Two", "ftp://l")]},
    ]}});
    let headers = [("x-subject-token".parse().expect("a name"), "t".parse().expect("a value"))].into_iter().collect();
    let issued = catalog::issued(&headers, body.to_string().as_bytes()).expect("a grant");
    assert_eq!(issued.lasts, None);
    let url = |service, region: &str| issued.token.endpoint(service, "public", region).map(String::from);
    for (service, region, want) in [
        (Service::Compute, "One", "http://a/v2.1/project/"),
        (Service::Network, "One", "http://n:9696/v2.0"),
        (Service::Network, "Two", "http://n/v2.0/"),
        (Service::Network, "Two-id", "http://n/v2.0/"),
        (Service::LoadBalancer, "One", "http://l/load-balancer/v2.0"),
    ] {
        assert_eq!(url(service, region).expect("there is one"), want);
    }
    let none = |service, region: &str| url(service, region).expect_err("there is none").to_string();
    assert_eq!(
        none(Service::Compute, "Two"),
        "the catalog of Keystone has no endpoint of version 2 of the service compute, public in Two: there is public in One"
    );
    assert!(none(Service::LoadBalancer, "Two").ends_with("there is public in One, public in Two"));
    assert!(issued.token.endpoint(Service::Compute, "admin", "One").is_err());
    assert!(!format!("{:?}", issued.token).contains("\"t\""), "tokens are not shown");
}

#[test]
fn a_version_is_a_number_or_two_and_nothing_else() {
    let is_version = |segments: &[&str]| segments.iter().map(|it| catalog::is_version(it)).collect::<Vec<_>>();
    assert_eq!(is_version(&["v2", "v2.1", "v3", "v10.25"]), [true; 4]);
    assert_eq!(is_version(&["", "v", "2.1", "v.1", "v2.", "v2.x", "v2.1.1", "vx", "volume"]), [false; 9]);
}

#[test]
fn what_keystone_gives_is_read_or_refused_with_what_is_wrong() {
    let headers = |token: &str| -> http::HeaderMap {
        [("x-subject-token".parse().expect("a name"), token.parse().expect("a value"))].into_iter().collect()
    };
    let told = |token: &str, body: &str| catalog::issued(&headers(token), body.as_bytes()).expect_err(body).to_string();
    assert_eq!(told("", r#"{"token": {}}"#), "the header X-Subject-Token, which has the token, is missing");
    assert_eq!(told("t", r#"{"token": 1}"#), "line 1, column 11: expected a map of keys and values, found a number");
    assert_eq!(
        told("t", r#"{"token": {"issued_at": "2026-01-02T03:04:05Z", "expires_at": "tomorrow"}}"#),
        "token.expires_at is \"tomorrow\", which is no point in time"
    );
    let lasts = |issued: &str, expires: &str| {
        let body = format!(r#"{{"token": {{"issued_at": "{issued}", "expires_at": "{expires}"}}}}"#);
        catalog::issued(&headers("t"), body.as_bytes()).expect("a grant").lasts
    };
    let hour = Some(StdDuration::from_secs(3600));
    assert_eq!(lasts("2026-01-02T03:04:05.000000Z", "2026-01-02T04:04:05.000000Z"), hour);
    assert_eq!(lasts("2026-01-02T03:04:05Z", "2026-01-02T03:04:00Z"), Some(StdDuration::ZERO));
    assert_eq!(lasts("2026-01-02T03:04:05Z", ""), None);
}
