//! EC2, ECS and RDS by moto, where it is installed, and a fake that verifies signatures: rosterd finds what Debian's Prometheus and vmagent
//! find, as far as they know these, through changes, failures and recovery.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use rosterd_client::{Client, HttpClientConfig, Options, Request};
use rosterd_testkit::{
    AwsCall, FakeAws, Folder, Server, ec2_error, eventually_ok, json_error, leak_checked_live, patience,
};
use serde_json::{Value, json};

use super::programs::{Wrapper, rosterd, vmagent};
use super::registries::{FAILURES, Pair};
use super::targets::{Labels, Targets};

/// Through what all targets are scraped: those that are made up are elsewhere.
const NOWHERE: &str = "proxy_url: 'http://127.0.0.1:9'";

fn access(url: &str, more: &str) -> String {
    // A request may take as long as the interval, and moto takes more than a second with much else to do.
    format!("{{region: eu-west-1, access_key: id, secret_key: secret, endpoint: '{url}', refresh_interval: 3s{more}}}")
}

/// Moto, which is all of AWS.
struct Moto {
    server: Server,
    client: Client,
}

impl Moto {
    /// None where it is not installed, be it by `ci/install`, which sees to it in CI, or otherwise.
    async fn start() -> Option<Self> {
        let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ci/moto");
        let program = move || {
            let mut command = Command::new("python3");
            command.args(["-m", "moto.server"]);
            if installed.exists() {
                command.env("PYTHONPATH", &installed);
            }
            command
        };
        let is_there = program().arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status();
        is_there.ok().filter(|ended| ended.success())?;
        let server = Server::start("moto", "/moto-api/", Folder::new(), move |port| {
            let mut command = program();
            command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
            command
        })
        .await;
        let client = Client::new(&HttpClientConfig::default(), Options::default()).expect("a client");
        Some(Self { server, client })
    }

    async fn ask(&self, service: &str, path: &str, headers: &[(&'static str, &str)], body: String) -> String {
        let mut request = Request::post(self.server.url(path).parse().expect("a URL"), body);
        // Which service it is it knows from this, and believes whoever signs.
        let proof = format!(
            "AWS4-HMAC-SHA256 Credential=id/20260101/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=s"
        );
        for (name, value) in headers.iter().copied().chain([("authorization", &*proof)]) {
            request.headers.insert(name, value.parse().expect("a value"));
        }
        let response = self.client.send(request).await.and_then(|response| response.success()).expect(service);
        String::from_utf8(response.body(None).await.expect("a body")).expect("text")
    }

    /// An operation of a service that takes forms.
    async fn form(&self, service: &str, form: &str) -> String {
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        self.ask(service, "/", &kind, form.to_owned()).await
    }

    /// An operation of ECS.
    async fn ecs(&self, operation: &str, body: Value) -> Value {
        let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", &*target)];
        serde_json::from_str(&self.ask("ecs", "/", &headers, body.to_string()).await).expect("JSON")
    }

    /// Runs so many instances of EC2, and returns their ids.
    async fn instances(&self, count: usize) -> Vec<String> {
        let form = format!(
            "Action=RunInstances&Version=2016-11-15&ImageId=ami-12345678&InstanceType=t3.micro&MinCount={count}&MaxCount={count}"
        );
        let answer = self.form("ec2", &form).await;
        let ids = answer.split("<instanceId>").skip(1).filter_map(|rest| rest.split('<').next());
        ids.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

#[test]
fn prometheus_finds_the_same_instances_of_moto() {
    leak_checked_live(async || {
        let Some(moto) = Moto::start().await else { return };
        let ids = moto.instances(105).await;
        assert_eq!(ids.len(), 105);
        let mut pair =
            Pair::start(&format!("ec2_sd_configs: [{}]\n  {NOWHERE}", access(&moto.server.url(""), ""))).await;
        pair.agree(105, &[]).await;
        let tags = format!(
            "Action=CreateTags&Version=2016-11-15&ResourceId.1={}&Tag.1.Key=a%20b%2Fc&Tag.1.Value=%C3%BC%26",
            ids[0]
        );
        moto.form("ec2", &tags).await;
        moto.instances(2).await;
        pair.agree(107, &["ü&"]).await;
        moto.form("ec2", &format!("Action=StopInstances&Version=2016-11-15&InstanceId.1={}", ids[1])).await;
        moto.instances(1).await;
        pair.agree(108, &["stopped"]).await;
    });
}

/// Waits until rosterd has so many targets, and returns what was discovered of each.
async fn found(ours: &Server, count: usize) -> Vec<Labels> {
    let look = async || {
        let targets = Targets::of(ours).await;
        // Moto lists tasks that were stopped, too, where AWS wants to be asked for them.
        let is_stopped = |labels: &Labels| labels.get("__meta_ecs_desired_status").is_some_and(|it| it == "STOPPED");
        let found: Vec<_> =
            targets.active.into_iter().map(|target| target.discovered).filter(|labels| !is_stopped(labels)).collect();
        if found.len() == count { Ok(found) } else { Err(format!("{found:?}")) }
    };
    eventually_ok(patience(), &format!("rosterd has {count} targets"), look).await
}

fn config(folder: &Folder, discovery: &str) -> std::path::PathBuf {
    let text = format!("global: {{scrape_interval: 10m}}\nscrape_configs:\n- job_name: aws\n  {discovery}\n");
    folder.write("prometheus.yml", text)
}

#[test]
fn tasks_of_moto_are_found_on_their_instances() {
    leak_checked_live(async || {
        let Some(moto) = Moto::start().await else { return };
        // Otherwise a task gets older with each look at it.
        let still = json!({"model_name": "ecs::task", "transition": {"progression": "manual", "times": 99}});
        let kind = [("content-type", "application/json")];
        moto.ask("ecs", "/moto-api/state-manager/set-transition", &kind, still.to_string()).await;
        let instance = moto.instances(1).await.remove(0);
        for cluster in ["web", "api"] {
            moto.ecs("CreateCluster", json!({"clusterName": cluster, "tags": [{"key": "team", "value": cluster}]}))
                .await;
            let document = json!({"instanceId": instance}).to_string();
            moto.ecs("RegisterContainerInstance", json!({"cluster": cluster, "instanceIdentityDocument": document}))
                .await;
        }
        let container = json!({"name": "x", "image": "x", "cpu": 1, "memory": 10});
        moto.ecs("RegisterTaskDefinition", json!({"family": "f", "containerDefinitions": [container]})).await;
        let run = async |cluster: &str, count: usize| {
            let task = json!({"cluster": cluster, "taskDefinition": "f", "count": count, "group": "service:s", "launchType": "EC2"});
            moto.ecs("RunTask", task).await["tasks"][0]["taskArn"].as_str().expect("an ARN").to_owned()
        };
        let service = json!({"cluster": "web", "serviceName": "s", "taskDefinition": "f", "desiredCount": 0, "tags": [{"key": "k", "value": "v"}]});
        moto.ecs("CreateService", service).await;
        let first = run("web", 2).await;
        run("api", 1).await;
        let folder = Folder::new();
        let ids = "relabel_configs: [{target_label: __address__, replacement: '127.0.0.1:9'}, {source_labels: [__meta_ecs_task_arn], target_label: id}]";
        let config = config(&folder, &format!("ecs_sd_configs: [{}]\n  {ids}", access(&moto.server.url(""), "")));
        let environment = Wrapper::with_environment(&[("AWS_ENDPOINT_URL_EC2", &moto.server.url(""))]);
        let ours = rosterd(&config, environment, &[]).await;
        let tasks = found(&ours, 3).await;
        let of = |cluster: &str| {
            tasks.iter().find(|labels| labels["__meta_ecs_cluster"] == cluster).expect("a task of each cluster").clone()
        };
        let (web, api) = (of("web"), of("api"));
        for (name, want) in [
            ("__meta_ecs_service", "s"),
            ("__meta_ecs_tag_service_k", "v"),
            ("__meta_ecs_tag_cluster_team", "web"),
            ("__meta_ecs_network_mode", "bridge"),
            ("__meta_ecs_ec2_instance_id", &*instance),
        ] {
            assert_eq!(web.get(name).map(String::as_str), Some(want), "{name}");
        }
        assert_eq!((api.get("__meta_ecs_service"), &*api["__meta_ecs_task_group"]), (None, "service:s"));
        moto.ecs("StopTask", json!({"cluster": "web", "task": first})).await;
        run("api", 3).await;
        found(&ours, 5).await;
        moto.ecs("DeleteService", json!({"cluster": "web", "service": "s", "force": true})).await;
        for arn in moto.ecs("ListTasks", json!({"cluster": "web"})).await["taskArns"].as_array().expect("a list") {
            moto.ecs("StopTask", json!({"cluster": "web", "task": arn})).await;
        }
        let left = found(&ours, 4).await;
        assert!(left.iter().all(|labels| labels["__meta_ecs_cluster"] == "api"), "{left:?}");
    });
}

#[test]
fn databases_of_moto_are_found_by_their_clusters() {
    leak_checked_live(async || {
        let Some(moto) = Moto::start().await else { return };
        let create = async |cluster: &str, instances: &[&str]| {
            let form = format!(
                "Action=CreateDBCluster&Version=2014-10-31&DBClusterIdentifier={cluster}&Engine=aurora-postgresql&MasterUsername=u&MasterUserPassword=hunter22222&Tags.Tag.1.Key=team&Tags.Tag.1.Value={cluster}"
            );
            moto.form("rds", &form).await;
            for instance in instances {
                let form = format!(
                    "Action=CreateDBInstance&Version=2014-10-31&DBInstanceIdentifier={instance}&DBClusterIdentifier={cluster}&Engine=aurora-postgresql&DBInstanceClass=db.r5.large"
                );
                moto.form("rds", &form).await;
            }
        };
        create("orders", &["orders-1", "orders-2"]).await;
        create("users", &["users-1"]).await;
        let folder = Folder::new();
        let url = moto.server.url("");
        let ids = "relabel_configs: [{target_label: __address__, replacement: '127.0.0.1:9'}, {source_labels: [__meta_rds_instance_identifier], target_label: id}]";
        let discovery = format!("rds_sd_configs: [{}]\n  {ids}", access(&url, ", port: 9104"));
        let ours = rosterd(&config(&folder, &discovery), Wrapper::default(), &[]).await;
        let all = found(&ours, 3).await;
        let one =
            all.iter().find(|labels| labels["__meta_rds_instance_identifier"] == "orders-1").expect("the first one");
        for (name, want) in [
            ("__address__", "orders-1.aaaaaaaaaa.eu-west-1.rds.amazonaws.com:9104"),
            ("__meta_rds_cluster_identifier", "orders"),
            ("__meta_rds_cluster_tag_team", "orders"),
            ("__meta_rds_instance_engine", "aurora-postgresql"),
            ("__meta_rds_instance_endpoint_port", "5432"),
        ] {
            assert_eq!(one.get(name).map(String::as_str), Some(want), "{name}");
        }
        let folder = Folder::new();
        let discovery = format!("aws_sd_configs: [{}]\n  {ids}", access(&url, ", role: rds, clusters: [users]"));
        let only = rosterd(&config(&folder, &discovery), Wrapper::default(), &[]).await;
        found(&only, 1).await;
        moto.form("rds", "Action=DeleteDBInstance&Version=2014-10-31&DBInstanceIdentifier=orders-2").await;
        found(&ours, 2).await;
        create("third", &["third-1"]).await;
        found(&ours, 3).await;
        found(&only, 1).await;
    });
}

/// Instances of EC2 as a page.
fn page(hosts: &[&str], next: &str) -> String {
    let instance = |host: &&str| {
        format!(
            "<item><instanceId>i-{host}</instanceId><imageId>ami</imageId><instanceState><name>running</name></instanceState>\
             <privateDnsName>p-{host}</privateDnsName><dnsName>d-{host}</dnsName><instanceType>t</instanceType>\
             <placement><availabilityZone>a</availabilityZone></placement><subnetId>s</subnetId><vpcId>v</vpcId>\
             <privateIpAddress>{host}</privateIpAddress><ipAddress>192.0.2.1</ipAddress><architecture>arm64</architecture>\
             <tagSet><item><key>a/b ü</key><value>c &amp; d</value></item><item><key>empty</key><value/></item></tagSet>\
             <networkInterfaceSet><item><subnetId>s2</subnetId><attachment><deviceIndex>0</deviceIndex></attachment></item></networkInterfaceSet></item>"
        )
    };
    let items: String = hosts.iter().map(instance).collect();
    format!(
        "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><reservationSet><item><ownerId>1</ownerId>\
         <instancesSet>{items}</instancesSet></item></reservationSet><nextToken>{next}</nextToken></DescribeInstancesResponse>"
    )
}

async fn fake() -> FakeAws {
    let aws = FakeAws::start().await;
    aws.know("id", "secret", "");
    let zones = "<DescribeAvailabilityZonesResponse><availabilityZoneInfo><item><zoneName>a</zoneName><zoneId>z1</zoneId></item></availabilityZoneInfo></DescribeAvailabilityZonesResponse>";
    aws.answer("DescribeAvailabilityZones", move |_| (200, zones.to_owned()));
    aws
}

/// Two pages of instances.
fn serve(aws: &FakeAws, first: &'static [&'static str], second: &'static [&'static str]) {
    aws.answer("DescribeInstances", move |call: &AwsCall| match call.field("NextToken") {
        None => (200, page(first, "t w/o+=")),
        Some("t w/o+=") => (200, page(second, "")),
        Some(_) => (400, ec2_error("InvalidNextToken")),
    });
}

#[test]
fn prometheus_finds_the_same_instances_and_its_signatures_are_verified() {
    leak_checked_live(async || {
        let aws = fake().await;
        serve(&aws, &["127.0.7.1", "127.0.7.2"], &["127.0.7.3"]);
        let filters = ", port: 9, filters: [{name: 'tag:a b', values: ['x/y', 'ü=']}]";
        let mut pair = Pair::start(&format!("ec2_sd_configs: [{}]", access(&aws.url(), filters))).await;
        pair.agree(3, &[]).await;
        serve(&aws, &["127.0.7.2"], &["127.0.7.4", "127.0.7.5", "127.0.7.6"]);
        pair.agree(4, &[]).await;
        aws.answer("DescribeInstances", |_| (403, ec2_error("UnauthorizedOperation")));
        pair.fail(FAILURES, 1).await;
        pair.agree(4, &[]).await;
        serve(&aws, &["127.0.7.6"], &[]);
        pair.agree(1, &[]).await;
        assert_eq!(aws.refused(), [""; 0], "neither signs what cannot be verified");
        aws.finish().await;
    });
}

#[test]
fn prometheus_finds_the_same_instances_of_lightsail() {
    leak_checked_live(async || {
        let aws = fake().await;
        let serve = |hosts: &'static [&'static str]| {
            let instance = |host: &&str| {
                json!({"name": host, "supportCode": "c", "location": {"availabilityZone": "a", "regionName": "eu-west-1"}, "blueprintId": "b",
                       "bundleId": "n", "privateIpAddress": host, "publicIpAddress": "192.0.2.1", "ipv6Addresses": ["2001:db8::1"],
                       "state": {"code": 16, "name": "running"}, "tags": [{"key": "a b", "value": "c"}]})
            };
            let body = json!({"instances": hosts.iter().map(instance).collect::<Vec<_>>()}).to_string();
            aws.answer("GetInstances", move |_| (200, body.clone()));
        };
        serve(&["127.0.7.1", "127.0.7.2"]);
        let mut pair = Pair::start(&format!("lightsail_sd_configs: [{}]", access(&aws.url(), ", port: 9"))).await;
        pair.agree(2, &[]).await;
        serve(&["127.0.7.2", "127.0.7.3", "127.0.7.4"]);
        pair.agree(3, &[]).await;
        aws.answer("GetInstances", |_| (400, json_error("AccessDeniedException")));
        pair.fail(FAILURES, 1).await;
        pair.agree(3, &[]).await;
        serve(&["127.0.7.5"]);
        pair.agree(1, &[]).await;
        assert_eq!(aws.refused(), [""; 0]);
        aws.finish().await;
    });
}

/// The labels of each target that both tell, but for empty ones, which are none.
async fn labels(program: &Server) -> BTreeMap<String, Labels> {
    let answer = program.data("/api/v1/targets").await;
    let mut found = BTreeMap::new();
    for target in answer["activeTargets"].as_array().into_iter().flatten() {
        let all: Labels = serde_json::from_value(target["discoveredLabels"].clone()).expect("labels");
        let address = all["__address__"].clone();
        // vmagent does not tell the region.
        let told = all.into_iter().filter(|(name, value)| {
            name.starts_with("__meta_ec2_") && name != "__meta_ec2_region" && !value.is_empty()
        });
        found.insert(address, told.collect());
    }
    found
}

#[test]
fn vmagent_finds_the_same_instances() {
    leak_checked_live(async || {
        let aws = fake().await;
        serve(&aws, &["127.0.7.1"], &["127.0.7.2", "127.0.7.3"]);
        let folder = Folder::new();
        let config = config(&folder, &format!("ec2_sd_configs: [{}]", access(&aws.url(), ", port: 9")));
        let (ours, theirs) = (rosterd(&config, Wrapper::default(), &[]).await, vmagent("vmagent", &config).await);
        let agree = async |count: usize| {
            let look = async || {
                let (ours, theirs) = (labels(&ours).await, labels(&theirs).await);
                match ours == theirs && ours.len() == count {
                    true => Ok(()),
                    false => Err(format!("{count} are wanted, rosterd has\n{ours:#?}\nand vmagent\n{theirs:#?}")),
                }
            };
            eventually_ok(patience(), "rosterd and vmagent agree", look).await;
        };
        agree(3).await;
        serve(&aws, &["127.0.7.4"], &["127.0.7.2"]);
        agree(2).await;
        assert_eq!(aws.refused(), [""; 0], "neither signs what cannot be verified");
        aws.finish().await;
    });
}
