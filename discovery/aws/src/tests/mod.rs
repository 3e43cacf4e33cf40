//! What is asked, and what becomes of failures: against a server that verifies signatures.

mod clusters;
mod ecs;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rosterd_client::{Environment, System};
use rosterd_discovery::{AnyConfig, MechanismConfig, Word};
use rosterd_model::{Coded, Priority, Retry};
use rosterd_testkit::contract::Run;
use rosterd_testkit::{
    AwsCall, FakeAws, ScriptedServer, Step, ec2_error, eventually, json_error, leak_checked_live, patience,
};
use serde_json::json;

use crate::error::ServiceError;
use crate::refusal::{Kind, Refusal};
use crate::{Ec2Config, LightsailConfig};

async fn aws() -> FakeAws {
    let aws = FakeAws::start().await;
    aws.know("id", "secret", "");
    aws
}

fn config<C: MechanismConfig>(aws: &FakeAws, more: &str) -> C {
    let text = format!(
        "{{region: eu-west-1, access_key: id, secret_key: secret, endpoint: '{}', refresh_interval: 2s{more}}}",
        aws.url()
    );
    serde_yaml::from_str(&text).expect("a configuration")
}

fn page(hosts: &[&str], next: &str) -> String {
    let instance = |host: &&str| {
        format!(
            "<item><instanceId>i-{host}</instanceId><privateIpAddress>{host}</privateIpAddress><placement><availabilityZone>a</availabilityZone></placement></item>"
        )
    };
    let items: String = hosts.iter().map(instance).collect();
    format!(
        "<DescribeInstancesResponse><reservationSet><item><instancesSet>{items}</instancesSet></item></reservationSet><nextToken>{next}</nextToken></DescribeInstancesResponse>"
    )
}

/// Two pages of instances, in a zone that is known.
fn two_pages(aws: &FakeAws) {
    aws.answer("DescribeInstances", |call: &AwsCall| match call.field("NextToken") {
        None => (200, page(&["10.0.0.1"], "t w/o+")),
        Some("t w/o+") => (200, page(&["10.0.0.2"], "")),
        Some(_) => (400, ec2_error("InvalidNextToken")),
    });
    aws.answer("DescribeAvailabilityZones", |_| {
        (200, "<R><availabilityZoneInfo><item><zoneName>a</zoneName><zoneId>z1</zoneId></item></availabilityZoneInfo></R>".to_owned())
    });
}

async fn next(run: &mut Run) -> Word {
    run.next().await.expect("it speaks")
}

/// The addresses of the next word.
async fn addresses(run: &mut Run) -> BTreeSet<String> {
    next(run).await;
    run.picture()
        .flat_map(|group| &group.targets)
        .filter_map(|target| target.get("__address__"))
        .map(str::to_owned)
        .collect()
}

async fn started(config: &dyn AnyConfig) -> Run {
    Run::start(config).await.expect("it can be built")
}

fn set(addresses: &[&str]) -> BTreeSet<String> {
    addresses.iter().map(|&address| address.to_owned()).collect()
}

#[test]
fn pages_are_asked_for_with_signatures_and_the_same_filters() {
    leak_checked_live(async || {
        let aws = aws().await;
        two_pages(&aws);
        let filters = ", filters: [{name: 'tag:a b', values: [x/y, ü]}, {name: c, values: [d]}]";
        let mut run = started(&config::<Ec2Config>(&aws, filters)).await;
        assert_eq!(addresses(&mut run).await, set(&["10.0.0.1:80", "10.0.0.2:80"]));
        let labels = run.picture().next().expect("a group").targets[0].to_string();
        assert!(labels.contains("availability_zone_id=\"z1\"") && labels.contains("region=\"eu-west-1\""), "{labels}");
        next(&mut run).await;
        run.stop().await.expect("it ends").expect("without an error");
        let calls = aws.calls();
        let operations: Vec<_> = calls.iter().map(|call| &*call.operation).collect();
        assert_eq!(operations[..3], ["DescribeInstances", "DescribeInstances", "DescribeAvailabilityZones"]);
        assert_eq!(operations.iter().filter(|operation| **operation == "DescribeAvailabilityZones").count(), 1);
        for call in &calls[..2] {
            let told =
                ["Version", "MaxResults", "Filter.1.Name", "Filter.1.Value.1", "Filter.1.Value.2", "Filter.2.Value.1"];
            let told = told.map(|name| call.field(name).unwrap_or_default());
            assert_eq!(told, ["2016-11-15", "1000", "tag:a b", "x/y", "ü", "d"]);
            assert_eq!((&*call.service, &*call.region, &*call.key), ("ec2", "eu-west-1", "id"));
        }
        assert_eq!(aws.refused(), [""; 0]);
        aws.finish().await;
    });
}

#[test]
fn what_passes_by_itself_costs_no_refresh() {
    leak_checked_live(async || {
        let aws = aws().await;
        two_pages(&aws);
        aws.answer_once("DescribeInstances", 503, ec2_error("RequestLimitExceeded"));
        aws.answer_once("DescribeInstances", 200, page(&["10.0.0.1"], "t w/o+"));
        aws.answer_once("DescribeInstances", 503, "<html>busy</html>");
        let mut run = started(&config::<Ec2Config>(&aws, "")).await;
        assert_eq!(addresses(&mut run).await, set(&["10.0.0.1:80", "10.0.0.2:80"]));
        assert_eq!(run.failures(), 0);
        let warning = run.status().warning.map(|warning| warning.report.code);
        assert_eq!(warning.as_deref(), Some("sd_aws_slowed_down"));
        run.stop().await.expect("it ends").expect("without an error");
        let tokens: Vec<_> =
            aws.calls().iter().take(4).map(|call| call.field("NextToken").map(str::to_owned)).collect();
        assert_eq!(tokens, [None, None, Some("t w/o+".to_owned()), Some("t w/o+".to_owned())]);
        aws.finish().await;
    });
}

#[test]
fn that_less_is_wanted_is_shown_while_it_keeps_a_refresh() {
    leak_checked_live(async || {
        let aws = aws().await;
        two_pages(&aws);
        let (ends, asked) = (Arc::new(AtomicBool::new(false)), AtomicUsize::new(0));
        let may_end = Arc::clone(&ends);
        aws.answer("DescribeInstances", move |_| match asked.fetch_add(1, Ordering::Relaxed) {
            _ if may_end.load(Ordering::Relaxed) => (200, page(&["10.0.0.1"], "")),
            number if number % 2 == 0 => (503, ec2_error("RequestLimitExceeded")),
            number => (200, page(&[], &format!("page {number}"))),
        });
        let mut run = started(&config::<Ec2Config>(&aws, "")).await;
        let warned = || run.status().warning.is_some_and(|it| it.report.code == "sd_aws_slowed_down");
        eventually(patience(), "it is shown in the midst of the first refresh", warned).await;
        assert_eq!((run.failures(), run.status().last_success), (0, None));
        ends.store(true, Ordering::Relaxed);
        assert_eq!(addresses(&mut run).await, set(&["10.0.0.1:80"]));
        run.stop().await.expect("it ends").expect("without an error");
        aws.finish().await;
    });
}

/// The failure of a refresh, of which this is the answer on page two.
async fn failure(status: u16, body: &str) -> String {
    let aws = aws().await;
    two_pages(&aws);
    let mut run = started(&config::<Ec2Config>(&aws, "")).await;
    next(&mut run).await;
    let broken = (status, body.to_owned());
    aws.answer("DescribeInstances", move |call: &AwsCall| match call.field("NextToken") {
        None => (200, page(&["10.0.0.9"], "two")),
        Some(_) => broken.clone(),
    });
    rosterd_testkit::eventually(rosterd_testkit::patience(), "a refresh failed", || run.failures() > 0).await;
    assert_eq!(run.picture().flat_map(|group| &group.targets).count(), 2, "the old ones stay");
    let failure = run.status().last_error.expect("a failure");
    run.stop().await.expect("it ends").expect("without an error");
    aws.finish().await;
    format!("{}: {}", failure.report.code, failure.report)
}

#[test]
fn a_page_that_is_broken_keeps_what_was_known() {
    leak_checked_live(async || {
        let whole = page(&["10.0.0.8"], "");
        for (status, body, want) in [
            (
                403,
                ec2_error("UnauthorizedOperation"),
                "sd_aws_denied: ec2 refuses DescribeInstances: UnauthorizedOperation: as a test wants it",
            ),
            (
                400,
                ec2_error("InvalidParameterValue"),
                "sd_aws_refused: ec2 refuses DescribeInstances: InvalidParameterValue",
            ),
            (200, whole[..whole.len() / 2].to_owned(), "sd_rest_malformed: the reply of http"),
            (200, page(&["10.0.0.8"], "two"), "what names the next page leads back"),
            (200, "<DescribeInstancesResponse/>".to_owned(), "reservationSet is missing"),
            (400, ec2_error("AuthFailure"), "sd_aws_keys_refused: ec2 refuses DescribeInstances: AuthFailure"),
        ] {
            let told = failure(status, &body).await;
            assert!(told.contains(want), "{told}");
        }
    });
}

#[test]
fn who_may_not_know_zones_does_without() {
    leak_checked_live(async || {
        let aws = aws().await;
        two_pages(&aws);
        aws.answer("DescribeAvailabilityZones", |_| (403, ec2_error("UnauthorizedOperation")));
        let mut run = started(&config::<Ec2Config>(&aws, ", port: 9100")).await;
        assert_eq!(addresses(&mut run).await, set(&["10.0.0.1:9100", "10.0.0.2:9100"]));
        assert_eq!(run.failures(), 0);
        run.stop().await.expect("it ends").expect("without an error");
        aws.finish().await;
    });
}

#[test]
fn zones_that_nobody_tells_of_are_not_asked_about_at_each_refresh() {
    leak_checked_live(async || {
        let aws = aws().await;
        two_pages(&aws);
        aws.answer("DescribeAvailabilityZones", |_| (200, "<R><availabilityZoneInfo/></R>".to_owned()));
        let mut run = started(&config::<Ec2Config>(&aws, "")).await;
        for _ in 0..2 {
            assert_eq!(addresses(&mut run).await.len(), 2);
        }
        run.stop().await.expect("it ends").expect("without an error");
        assert_eq!(aws.operations().iter().filter(|operation| *operation == "DescribeAvailabilityZones").count(), 1);
        aws.finish().await;
    });
}

#[test]
fn whoever_is_refused_comes_back_when_that_may_help() {
    let of = |kind, after| {
        let refusal = Refusal { kind, code: "C".to_owned(), message: String::new() };
        let error = ServiceError::Refused { service: "ec2", operation: "DescribeInstances", refusal, after };
        (error.priority(), error.retry())
    };
    let after = Duration::from_secs(7);
    for kind in [Kind::Throttled, Kind::Passing] {
        assert_eq!(of(kind, None), (Priority::Retry, Retry::Backoff), "{kind:?}");
        assert_eq!(of(kind, Some(after)), (Priority::Retry, Retry::After(after)), "{kind:?}");
    }
    for kind in [Kind::Keys, Kind::Denied, Kind::Refused] {
        assert_eq!(of(kind, None), (Priority::Operator, Retry::Interval), "{kind:?}");
    }
    let (name, reason) = ("c".to_owned(), String::new());
    let missing = ServiceError::NoCluster { name: name.clone(), reason: reason.clone() };
    assert_eq!((missing.priority(), missing.retry()), (Priority::Operator, Retry::Interval));
    let not_told = ServiceError::NotTold { operation: "DescribeTasks", name, reason };
    assert_eq!((not_told.priority(), not_told.retry()), (Priority::Remote, Retry::Interval));
}

#[test]
fn keys_that_end_between_two_pages_are_renewed() {
    leak_checked_live(async || {
        let aws = aws().await;
        two_pages(&aws);
        aws.know("first", "s", "t");
        let container = ScriptedServer::start([
            Step::get("/keys").json(r#"{"AccessKeyId": "first", "SecretAccessKey": "s", "Token": "t"}"#),
            Step::get("/keys").json(r#"{"AccessKeyId": "second", "SecretAccessKey": "s2", "Token": "t2"}"#),
        ])
        .await;
        aws.know("second", "s2", "t2");
        aws.answer_once("DescribeInstances", 200, page(&["10.0.0.1"], "t w/o+"));
        aws.answer_once("DescribeInstances", 400, ec2_error("RequestExpired"));
        let system = System::new(
            "host",
            Environment::from_iter([("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.url("/keys"))]),
        );
        let text = format!("{{region: r, endpoint: '{}', refresh_interval: 1h}}", aws.url());
        let config: Ec2Config = serde_yaml::from_str(&text).expect("a configuration");
        let mut run = Run::start_on(&system, &config).await.expect("it can be built");
        assert_eq!(addresses(&mut run).await, set(&["10.0.0.1:80", "10.0.0.2:80"]));
        run.stop().await.expect("it ends").expect("without an error");
        let keys: Vec<_> = aws.calls().into_iter().map(|call| call.key).collect();
        assert_eq!(keys[..3], ["first", "first", "second"]);
        container.finish().await;
        aws.finish().await;
    });
}

#[test]
fn a_clock_that_is_wrong_is_found_out() {
    leak_checked_live(async || {
        let aws = aws().await;
        two_pages(&aws);
        aws.set_clock(7200);
        let mut run = started(&config::<Ec2Config>(&aws, "")).await;
        assert_eq!(addresses(&mut run).await.len(), 2);
        assert_eq!(run.failures(), 0);
        run.stop().await.expect("it ends").expect("without an error");
        assert_eq!(aws.refused(), ["RequestExpired"], "once, and not for each page");
        aws.finish().await;
    });
}

#[test]
fn the_environment_says_where_and_who_and_the_machine_where_it_is() {
    leak_checked_live(async || {
        let aws = aws().await;
        two_pages(&aws);
        let machine = ScriptedServer::start([
            Step::of(http::Method::PUT, "/latest/api/token").any_times().body("T"),
            Step::get("/latest/dynamic/instance-identity/document").any_times().json(r#"{"region": "us-east-2"}"#),
        ])
        .await;
        let (url, metadata) = (aws.url(), machine.url(""));
        let system = System::new(
            "host",
            Environment::from_iter([
                ("AWS_ACCESS_KEY_ID", "id"),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
                ("AWS_ENDPOINT_URL_EC2", &url),
                ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata),
            ]),
        );
        let config: Ec2Config = serde_yaml::from_str("{refresh_interval: 1h}").expect("a configuration");
        let mut run = Run::start_on(&system, &config).await.expect("it can be built");
        assert_eq!(addresses(&mut run).await.len(), 2);
        assert!(run.picture().all(|group| &*group.source == "us-east-2"));
        assert!(aws.calls().iter().all(|call| call.region == "us-east-2"));
        let requests = run.requests();
        assert_eq!((requests["DescribeInstances ok"], requests["sts ok"]), (2, 0));
        assert_eq!(requests["metadata ok"], machine.requests().len() as u64, "the machine is asked for its region");
        run.stop().await.expect("it ends").expect("without an error");
        machine.finish().await;
        aws.finish().await;
    });
}

#[test]
fn lightsail_is_read_to_its_last_page() {
    leak_checked_live(async || {
        let aws = aws().await;
        aws.answer("GetInstances", |call| {
            let one = |host: &str| json!([{"name": host, "privateIpAddress": host}]);
            match call.field("pageToken") {
                None => (200, json!({"instances": one("10.0.0.1"), "nextPageToken": "two"}).to_string()),
                Some("two") => (200, json!({"instances": one("10.0.0.2")}).to_string()),
                Some(_) => (400, json_error("InvalidInputException")),
            }
        });
        aws.answer_once("GetInstances", 400, json_error("ThrottlingException"));
        let mut run = started(&config::<LightsailConfig>(&aws, "")).await;
        assert_eq!(addresses(&mut run).await, set(&["10.0.0.1:80", "10.0.0.2:80"]));
        run.stop().await.expect("it ends").expect("without an error");
        aws.finish().await;
    });
}
