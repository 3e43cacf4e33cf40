//! What is asked by the mechanisms of AWS.

use rosterd_testkit::{AwsCall, FakeAws};
use serde_json::{Value, json};

use super::entries::{PORT, hosts};

pub(super) async fn start() -> FakeAws {
    let aws = FakeAws::start().await;
    aws.know("id", "secret", "");
    let constant = |operation: &str, body: String| aws.answer(operation, move |_| (200, body.clone()));
    constant("DescribeAvailabilityZones", "<R/>".to_owned());
    constant("ListClusters", json!({"clusterArns": ["c"]}).to_string());
    constant("DescribeClusters", json!({"clusters": [{"clusterArn": "c"}]}).to_string());
    constant("v2/clusters", json!({"clusterInfoList": [{"clusterArn": "c"}]}).to_string());
    let cluster = "<DBCluster><DBClusterIdentifier>c</DBClusterIdentifier></DBCluster>";
    constant("DescribeDBClusters", result("DescribeDBClusters", &format!("<DBClusters>{cluster}</DBClusters>")));
    constant("DescribeServerlessCaches", result("DescribeServerlessCaches", ""));
    constant("ListTagsForResource", result("ListTagsForResource", ""));
    aws
}

fn result(operation: &str, body: &str) -> String {
    format!("<R><{operation}Result>{body}</{operation}Result></R>")
}

/// Each service has its hosts of these numbers.
pub(super) fn show(aws: &FakeAws, numbers: &[u8]) {
    let (by_role, by_name) = (hosts("aws", numbers), hosts("ec2", numbers));
    aws.answer("DescribeInstances", move |call: &AwsCall| {
        // The two that ask EC2 do so in different regions.
        let hosts = if call.region == "other" { &by_role } else { &by_name };
        let instance = |host: &String| {
            format!("<item><instanceId>i-{host}</instanceId><privateIpAddress>{host}</privateIpAddress></item>")
        };
        let items: String = hosts.iter().map(instance).collect();
        (200, format!("<R><reservationSet><item><instancesSet>{items}</instancesSet></item></reservationSet></R>"))
    });
    let answer = |operation: &str, body: String| aws.answer(operation, move |_| (200, body.clone()));
    let json_of =
        |mechanism: &str, item: fn(&String) -> Value| -> Value { hosts(mechanism, numbers).iter().map(item).collect() };
    let instances = json_of("lightsail", |host| json!({"name": host, "privateIpAddress": host}));
    answer("GetInstances", json!({"instances": instances}).to_string());
    answer("ListTasks", json!({"taskArns": hosts("ecs", numbers)}).to_string());
    let tasks = json_of("ecs", |host| {
        let details = json!([{"name": "privateIPv4Address", "value": host}]);
        json!({"taskArn": host, "attachments": [{"type": "ElasticNetworkInterface", "details": details}]})
    });
    answer("DescribeTasks", json!({"tasks": tasks}).to_string());
    let nodes = json_of("msk", |host| json!({"nodeARN": host, "brokerNodeInfo": {"endpoints": [host]}}));
    answer("clusters/c/nodes", json!({"nodeInfoList": nodes}).to_string());
    let xml_of = |mechanism: &str, item: fn(&String) -> String| -> String {
        hosts(mechanism, numbers).iter().map(item).collect()
    };
    let instances = xml_of("rds", |host| {
        let endpoint = format!("<Endpoint><Address>{host}</Address><Port>{PORT}</Port></Endpoint>");
        format!(
            "<DBInstance><DBInstanceArn>{host}</DBInstanceArn><DBClusterIdentifier>c</DBClusterIdentifier>{endpoint}</DBInstance>"
        )
    });
    let instances = format!("<DBInstances>{instances}</DBInstances>");
    answer("DescribeDBInstances", result("DescribeDBInstances", &instances));
    let caches = xml_of("elasticache", |host| {
        let endpoint = format!("<Endpoint><Address>{host}</Address><Port>{PORT}</Port></Endpoint>");
        format!(
            "<CacheCluster><ARN>{host}</ARN><CacheNodes><CacheNode>{endpoint}</CacheNode></CacheNodes></CacheCluster>"
        )
    });
    let caches = format!("<CacheClusters>{caches}</CacheClusters>");
    answer("DescribeCacheClusters", result("DescribeCacheClusters", &caches));
}
