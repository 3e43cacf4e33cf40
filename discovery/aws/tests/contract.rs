//! The mechanisms of AWS keep the contract of discoverers.

use rosterd_discovery::MechanismConfig;
use rosterd_discovery_aws::{
    AwsConfig, Ec2Config, EcsConfig, ElasticacheConfig, LightsailConfig, MskConfig, RdsConfig,
};
use rosterd_testkit::contract::{self, Served};
use rosterd_testkit::{AwsAnswer, FakeAws, leak_checked_live};
use serde_json::{Value, json};

async fn aws() -> FakeAws {
    let aws = FakeAws::start().await;
    aws.know("id", "secret", "");
    aws
}

fn config<C: MechanismConfig>(aws: &FakeAws, more: &str) -> impl Fn() -> C + Send + Sync {
    let text = format!(
        "{{region: r, access_key: id, secret_key: secret, endpoint: '{}', refresh_interval: 2s{more}}}",
        aws.url()
    );
    move || serde_yaml::from_str(&text).expect("a configuration")
}

/// This answer, unless nothing can be read.
fn answer(aws: &FakeAws, served: &Served, operation: &str, body: String) {
    // What cannot be mended by asking again.
    let answer: AwsAnswer = if served.is_broken() { (404, String::new()) } else { (200, body) };
    aws.answer(operation, move |_| answer.clone());
}

fn hosts(served: &Served) -> Vec<String> {
    served.groups().flat_map(|group| group.hosts()).map(str::to_owned).collect()
}

fn instances(served: &Served) -> String {
    let instance = |host: &String| {
        format!("<item><instanceId>i-{host}</instanceId><privateIpAddress>{host}</privateIpAddress></item>")
    };
    let items: String = hosts(served).iter().map(instance).collect();
    format!("<R><reservationSet><item><instancesSet>{items}</instancesSet></item></reservationSet></R>")
}

#[test]
fn ec2_keeps_the_contract() {
    leak_checked_live(async || {
        let aws = aws().await;
        contract::check_server(config::<Ec2Config>(&aws, ", port: 9100"), |served| {
            answer(&aws, served, "DescribeInstances", instances(served));
            answer(&aws, served, "DescribeAvailabilityZones", "<R/>".to_owned());
        })
        .await;
        aws.finish().await;
    });
}

#[test]
fn aws_keeps_the_contract() {
    leak_checked_live(async || {
        let aws = aws().await;
        contract::check_server(config::<AwsConfig>(&aws, ", role: ec2, port: 9100"), |served| {
            answer(&aws, served, "DescribeInstances", instances(served));
        })
        .await;
        aws.finish().await;
    });
}

#[test]
fn lightsail_keeps_the_contract() {
    leak_checked_live(async || {
        let aws = aws().await;
        contract::check_server(config::<LightsailConfig>(&aws, ", port: 9100"), |served| {
            let instance = |host: &String| json!({"name": host, "privateIpAddress": host});
            let instances: Value = hosts(served).iter().map(instance).collect();
            answer(&aws, served, "GetInstances", json!({"instances": instances}).to_string());
        })
        .await;
        aws.finish().await;
    });
}

#[test]
fn ecs_keeps_the_contract_with_each_cluster_as_a_source() {
    leak_checked_live(async || {
        let aws = aws().await;
        contract::check_catalog(config::<EcsConfig>(&aws, ", port: 9100"), |served| {
            let names: Value = served.groups().map(|group| group.name.clone()).collect();
            answer(&aws, served, "ListClusters", json!({"clusterArns": names}).to_string());
            let clusters: Value = served.groups().map(|group| json!({"clusterArn": group.name})).collect();
            answer(&aws, served, "DescribeClusters", json!({"clusters": clusters}).to_string());
            let tasks: Vec<_> = served
                .groups()
                .map(|group| {
                    let hosts: Vec<_> = group.hosts().map(str::to_owned).collect();
                    (group.name.clone(), hosts, served.is_broken_of(group))
                })
                .collect();
            let all = tasks.clone();
            aws.answer("ListTasks", move |call| {
                match tasks.iter().find(|(name, ..)| call.field("cluster") == Some(name)) {
                    Some((_, hosts, false)) => (200, json!({"taskArns": hosts}).to_string()),
                    _ => (404, String::new()),
                }
            });
            aws.answer("DescribeTasks", move |call| {
                let hosts = all.iter().find(|(name, ..)| call.field("cluster") == Some(name));
                let task = |host: &String| {
                    let details = json!([{"name": "privateIPv4Address", "value": host}]);
                    json!({"taskArn": host, "attachments": [{"type": "ElasticNetworkInterface", "details": details}]})
                };
                let tasks: Value = hosts.into_iter().flat_map(|(_, hosts, _)| hosts).map(task).collect();
                (200, json!({"tasks": tasks}).to_string())
            });
        })
        .await;
        aws.finish().await;
    });
}

#[test]
fn msk_keeps_the_contract_with_each_cluster_as_a_source() {
    leak_checked_live(async || {
        let aws = aws().await;
        contract::check_catalog(config::<MskConfig>(&aws, ", port: 9100"), |served| {
            let clusters: Value = served.groups().map(|group| json!({"clusterArn": group.name})).collect();
            answer(&aws, served, "v2/clusters", json!({"clusterInfoList": clusters}).to_string());
            for group in served.all_groups() {
                let broken = served.is_broken_of(group);
                let node = |host: &str| json!({"nodeARN": host, "brokerNodeInfo": {"endpoints": [host]}});
                let nodes: Value = group.hosts().map(node).collect();
                let body = json!({"nodeInfoList": nodes}).to_string();
                aws.answer(&format!("clusters/{}/nodes", group.name), move |_| {
                    if broken { (404, String::new()) } else { (200, body.clone()) }
                });
            }
        })
        .await;
        aws.finish().await;
    });
}

#[test]
fn rds_keeps_the_contract() {
    leak_checked_live(async || {
        let aws = aws().await;
        contract::check_server(config::<RdsConfig>(&aws, ", port: 9100"), |served| {
            let cluster = "<DBCluster><DBClusterIdentifier>c</DBClusterIdentifier></DBCluster>";
            let clusters = format!("<R><DescribeDBClustersResult><DBClusters>{cluster}</DBClusters></DescribeDBClustersResult></R>");
            answer(&aws, served, "DescribeDBClusters", clusters);
            let instance = |host: &String| {
                format!("<DBInstance><DBInstanceArn>{host}</DBInstanceArn><DBClusterIdentifier>c</DBClusterIdentifier><Endpoint><Address>{host}</Address><Port>1</Port></Endpoint></DBInstance>")
            };
            let instances: String = hosts(served).iter().map(instance).collect();
            let instances = format!("<R><DescribeDBInstancesResult><DBInstances>{instances}</DBInstances></DescribeDBInstancesResult></R>");
            answer(&aws, served, "DescribeDBInstances", instances);
        })
        .await;
        aws.finish().await;
    });
}

#[test]
fn elasticache_keeps_the_contract() {
    leak_checked_live(async || {
        let aws = aws().await;
        contract::check_server(config::<ElasticacheConfig>(&aws, ""), |served| {
            let cluster = |(host, port): (&str, u16)| {
                let node = format!("<CacheNode><Endpoint><Address>{host}</Address><Port>{port}</Port></Endpoint></CacheNode>");
                format!("<CacheCluster><ARN>{host}</ARN><CacheNodes>{node}</CacheNodes></CacheCluster>")
            };
            let clusters: String = served.groups().flat_map(|group| group.endpoints()).map(cluster).collect();
            let clusters = format!("<R><DescribeCacheClustersResult><CacheClusters>{clusters}</CacheClusters></DescribeCacheClustersResult></R>");
            answer(&aws, served, "DescribeCacheClusters", clusters);
            answer(&aws, served, "DescribeServerlessCaches", "<R><DescribeServerlessCachesResult/></R>".to_owned());
            answer(&aws, served, "ListTagsForResource", "<R><ListTagsForResourceResult/></R>".to_owned());
        })
        .await;
        aws.finish().await;
    });
}
