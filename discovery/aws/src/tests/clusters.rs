//! Clusters of MSK and RDS, and caches.

use rosterd_testkit::{eventually, json_error, leak_checked_live, patience, query_error};
use serde_json::json;

use super::{addresses, aws, config, next, set, started};
use crate::{ElasticacheConfig, MskConfig, RdsConfig};

#[test]
fn names_of_clusters_of_msk_are_one_part_of_a_path() {
    leak_checked_live(async || {
        let aws = aws().await;
        let arn = "arn:aws:kafka:eu-west-1:1:cluster/a b/u-1";
        let cluster = |kind: &str| {
            json!({"clusterInfo": {"clusterArn": arn, "clusterName": "c", "clusterType": kind}}).to_string()
        };
        let (provisioned, serverless) = (cluster("PROVISIONED"), cluster("SERVERLESS"));
        aws.answer(&format!("v2/clusters/{arn}"), move |_| (200, provisioned.clone()));
        aws.answer("v2/clusters/other", move |_| (200, serverless.clone()));
        aws.answer(&format!("clusters/{arn}/nodes"), |call| {
            let node = |host: &str| json!([{"nodeARN": host, "brokerNodeInfo": {"brokerId": 1, "endpoints": [host]}}]);
            match call.field("nextToken") {
                None => (200, json!({"nodeInfoList": node("b-1"), "nextToken": "a/b="}).to_string()),
                Some("a/b=") => (200, json!({"nodeInfoList": node("b-2"), "nextToken": null}).to_string()),
                Some(_) => (400, json_error("BadRequestException")),
            }
        });
        let mut run =
            started(&config::<MskConfig>(&aws, &format!(", port: 11001, clusters: ['{arn}', other, gone]"))).await;
        assert_eq!(addresses(&mut run).await, set(&["b-1:11001", "b-2:11001"]));
        assert_eq!(run.unread().collect::<Vec<_>>(), ["eu-west-1/gone"]);
        run.stop().await.expect("it ends").expect("without an error");
        assert_eq!(aws.refused(), [""; 0], "colons and slashes are signed as they are sent");
        assert!(aws.calls().iter().all(|call| call.service == "kafka"));
        aws.finish().await;
    });
}

fn databases(ids: &[&str], marker: &str) -> String {
    let instance = |id: &&str| {
        format!(
            "<DBInstance><DBInstanceArn>{id}</DBInstanceArn><DBInstanceIdentifier>{id}</DBInstanceIdentifier><DBClusterIdentifier>c</DBClusterIdentifier><Endpoint><Address>{id}</Address><Port>5432</Port></Endpoint></DBInstance>"
        )
    };
    let all: String = ids.iter().map(instance).collect();
    format!(
        "<R><DescribeDBInstancesResult><DBInstances>{all}</DBInstances><Marker>{marker}</Marker></DescribeDBInstancesResult></R>"
    )
}

#[test]
fn databases_are_listed_once_or_by_the_clusters_that_are_written() {
    leak_checked_live(async || {
        let aws = aws().await;
        let cluster =
            "<DBCluster><DBClusterIdentifier>c</DBClusterIdentifier><DBClusterArn>arn:c</DBClusterArn></DBCluster>";
        let clusters =
            format!("<R><DescribeDBClustersResult><DBClusters>{cluster}</DBClusters></DescribeDBClustersResult></R>");
        aws.answer("DescribeDBClusters", move |call| match call.field("DBClusterIdentifier") {
            None | Some("arn:c") => (200, clusters.clone()),
            Some(_) => (404, query_error("DBClusterNotFoundFault")),
        });
        aws.answer("DescribeDBInstances", |call| match call.field("Marker") {
            None => (200, databases(&["one"], "two")),
            Some(_) => (200, databases(&["two"], "")),
        });
        aws.answer_once("DescribeDBInstances", 400, query_error("Throttling"));
        let mut run = started(&config::<RdsConfig>(&aws, ", filters: [{name: engine, values: [e]}]")).await;
        assert_eq!(addresses(&mut run).await, set(&["one:80", "two:80"]));
        run.stop().await.expect("it ends").expect("without an error");
        let calls = aws.calls();
        let listed = calls.iter().find(|call| call.operation == "DescribeDBInstances").expect("a call");
        assert_eq!(listed.field("Filters.Filter.1.Values.Value.1"), Some("e"));
        let mut run = started(&config::<RdsConfig>(&aws, ", clusters: ['arn:c', none]")).await;
        assert_eq!(addresses(&mut run).await.len(), 2);
        assert_eq!(run.unread().collect::<Vec<_>>(), ["eu-west-1/none"]);
        run.stop().await.expect("it ends").expect("without an error");
        let calls = aws.calls();
        let listed = calls.iter().rev().find(|call| call.operation == "DescribeDBInstances").expect("a call");
        let told = ["Filters.Filter.1.Name", "Filters.Filter.1.Values.Value.1"].map(|name| listed.field(name));
        assert_eq!(told, [Some("db-cluster-id"), Some("c")]);
        aws.finish().await;
    });
}

fn caches(names: &[&str]) -> String {
    let cluster = |name: &&str| {
        format!(
            "<CacheCluster><ARN>arn:{name}</ARN><CacheClusterId>{name}</CacheClusterId><ReplicationGroupId>g-{name}</ReplicationGroupId><CacheNodes><CacheNode><Endpoint><Address>{name}</Address><Port>6379</Port></Endpoint></CacheNode></CacheNodes></CacheCluster>"
        )
    };
    let all: String = names.iter().map(cluster).collect();
    format!("<R><DescribeCacheClustersResult><CacheClusters>{all}</CacheClusters></DescribeCacheClustersResult></R>")
}

#[test]
fn caches_of_one_kind_do_without_the_other_and_tags_are_asked_for_once() {
    leak_checked_live(async || {
        let aws = aws().await;
        aws.answer("DescribeCacheClusters", |_| (200, caches(&["one", "two", "three"])));
        aws.answer("DescribeServerlessCaches", |_| (400, query_error("InvalidAction")));
        aws.answer("ListTagsForResource", |call| {
            let arn = call.field("ResourceName").unwrap_or_default();
            let tag = format!("<Tag><Key>t</Key><Value>{arn}</Value></Tag>");
            (200, format!("<R><ListTagsForResourceResult><TagList>{tag}</TagList></ListTagsForResourceResult></R>"))
        });
        let mut run = started(&config::<ElasticacheConfig>(&aws, "")).await;
        assert_eq!(addresses(&mut run).await, set(&["one:6379", "three:6379", "two:6379"]));
        assert_eq!(run.unread().collect::<Vec<_>>(), ["eu-west-1/serverless"]);
        assert!(run.picture().any(|group| group.labels.to_string().contains("cluster_tag_t=\"arn:one\"")));
        for _ in 0..2 {
            next(&mut run).await;
        }
        run.stop().await.expect("it ends").expect("without an error");
        assert_eq!(aws.operations().iter().filter(|operation| *operation == "ListTagsForResource").count(), 3);
        let arn = |name: &str| format!("arn:aws:elasticache:r:1:{name}");
        let (one, two) = (arn("cluster:one"), arn("replicationgroup:g-two"));
        let only = format!(", clusters: ['{one}', '{two}', '{}', nonsense]", arn("cluster:two"));
        let mut run = started(&config::<ElasticacheConfig>(&aws, &only)).await;
        assert_eq!(addresses(&mut run).await, set(&["one:6379", "two:6379"]));
        assert_eq!(run.unread().count(), 0, "nobody wants serverless ones");
        let found: Vec<_> =
            run.picture().filter(|group| !group.targets.is_empty()).map(|group| &*group.source).collect();
        assert_eq!(found, [format!("eu-west-1/node/{one}"), format!("eu-west-1/node/{two}")]);
        // One that is written and goes keeps its targets, and hides no other.
        aws.answer("DescribeCacheClusters", |_| (200, caches(&["two", "three"])));
        eventually(patience(), "it has gone", || {
            while run.try_next().is_some() {}
            run.unread().eq([&*format!("eu-west-1/node/{one}")])
        })
        .await;
        assert_eq!(run.picture().flat_map(|group| &group.targets).count(), 2);
        // Where none can be listed, none has gone.
        aws.answer("DescribeCacheClusters", |_| (400, query_error("InvalidAction")));
        eventually(patience(), "they cannot be listed", || {
            while run.try_next().is_some() {}
            run.unread().eq(["eu-west-1/node"])
        })
        .await;
        assert_eq!(run.picture().flat_map(|group| &group.targets).count(), 2);
        run.stop().await.expect("it ends").expect("without an error");
        aws.finish().await;
    });
}
