//! Clusters of ECS, and what it does not tell of.

use rosterd_client::{Environment, System};
use rosterd_testkit::contract::Run;
use rosterd_testkit::{FakeAws, eventually, json_error, leak_checked_live, patience};
use serde_json::json;

use super::{addresses, aws, config, next, page, set};
use crate::EcsConfig;

/// Clusters `a` and `b` of ECS, each with a task on a machine of EC2.
fn two_clusters(aws: &FakeAws) {
    aws.answer("ListClusters", |call| match call.field("nextToken") {
        None => (200, json!({"clusterArns": ["a"], "nextToken": "two"}).to_string()),
        Some(_) => (200, json!({"clusterArns": ["b"]}).to_string()),
    });
    aws.answer("DescribeClusters", |call| {
        let (known, unknown): (Vec<_>, Vec<_>) = call.json["clusters"]
            .as_array()
            .expect("clusters")
            .iter()
            .map(|cluster| cluster.as_str().expect("a name").to_owned())
            .partition(|cluster| cluster == "a" || cluster == "b");
        let clusters: Vec<_> = known.iter().map(|arn| json!({"clusterArn": arn, "clusterName": arn})).collect();
        let failures: Vec<_> = unknown.iter().map(|arn| json!({"arn": arn, "reason": "MISSING"})).collect();
        (200, json!({"clusters": clusters, "failures": failures}).to_string())
    });
    aws.answer("ListTasks", |call| (200, json!({"taskArns": [call.field("cluster")]}).to_string()));
    aws.answer("DescribeTasks", |call| {
        let cluster = call.field("cluster").unwrap_or_default();
        let task = json!({"taskArn": cluster, "group": "service:s", "containerInstanceArn": format!("ci-{cluster}")});
        (200, json!({"tasks": [task]}).to_string())
    });
    aws.answer("DescribeServices", |_| {
        (200, json!({"services": [{"serviceName": "s", "serviceArn": "arn:s"}]}).to_string())
    });
    aws.answer("DescribeContainerInstances", |call| {
        let arn = call.json["containerInstances"][0].clone();
        let cluster = call.field("cluster").unwrap_or_default();
        (200, json!({"containerInstances": [{"containerInstanceArn": arn, "ec2InstanceId": format!("i-10.0.0.{}", cluster.len())}]}).to_string())
    });
    aws.answer("DescribeInstances", |call| {
        assert_eq!(call.field("Filter.1.Name"), Some("instance-id"));
        let host = call.field("Filter.1.Value.1").unwrap_or_default().trim_start_matches("i-").to_owned();
        (200, page(&[&host], ""))
    });
}

#[test]
fn a_cluster_that_cannot_be_read_hides_no_other() {
    leak_checked_live(async || {
        let aws = aws().await;
        two_clusters(&aws);
        let url = aws.url();
        let system = System::new("host", Environment::from_iter([("AWS_ENDPOINT_URL_EC2", &url)]));
        let config = config::<EcsConfig>(&aws, "");
        let mut run = Run::start_on(&system, &config).await.expect("it can be built");
        assert_eq!(addresses(&mut run).await, set(&["10.0.0.1:80"]), "both are on one machine");
        assert_eq!(run.picture().count(), 2);
        let labels = run.picture().next().expect("a group").targets[0].to_string();
        assert!(labels.contains("service_arn=\"arn:s\"") && labels.contains("network_mode=\"bridge\""), "{labels}");
        aws.answer("ListTasks", |call| match call.field("cluster") {
            Some("a") => (400, json_error("ServerException")),
            _ => (200, json!({"taskArns": []}).to_string()),
        });
        rosterd_testkit::eventually(rosterd_testkit::patience(), "a refresh failed in part", || run.failures() > 0)
            .await;
        while run.unread().next().is_none() {
            next(&mut run).await;
        }
        assert_eq!(run.unread().collect::<Vec<_>>(), ["eu-west-1/a"]);
        let left: Vec<_> =
            run.picture().filter(|group| !group.targets.is_empty()).map(|group| &*group.source).collect();
        assert_eq!(left, ["eu-west-1/a"], "what cannot be read stays, and what is gone is gone");
        run.stop().await.expect("it ends").expect("without an error");
        aws.finish().await;
    });
}

#[test]
fn what_ecs_does_not_tell_of_is_not_taken_for_gone() {
    leak_checked_live(async || {
        let aws = aws().await;
        two_clusters(&aws);
        let url = aws.url();
        let system = System::new("host", Environment::from_iter([("AWS_ENDPOINT_URL_EC2", &url)]));
        let mut run = Run::start_on(&system, &config::<EcsConfig>(&aws, "")).await.expect("it can be built");
        assert_eq!(addresses(&mut run).await, set(&["10.0.0.1:80"]));
        for (operation, answer, unread) in [
            ("DescribeTasks", json!({"message": "busy"}), &["eu-west-1/a", "eu-west-1/b"][..]),
            ("DescribeTasks", json!({"tasks": []}), &["eu-west-1/a", "eu-west-1/b"]),
            (
                "DescribeTasks",
                json!({"tasks": [], "failures": [{"arn": "a", "reason": "BUSY"}]}),
                &["eu-west-1/a", "eu-west-1/b"],
            ),
            ("DescribeContainerInstances", json!({}), &["eu-west-1/a", "eu-west-1/b"]),
            (
                "DescribeClusters",
                json!({"clusters": [], "failures": [{"arn": "a", "reason": "BUSY"}, {"arn": "b", "reason": "BUSY"}]}),
                &["eu-west-1/a", "eu-west-1/b"],
            ),
            ("DescribeClusters", json!({"clusters": [{"clusterArn": "b", "clusterName": "b"}]}), &["eu-west-1/a"]),
            (
                "DescribeClusters",
                json!({"clusters": [{"clusterArn": "a", "clusterName": "a"}], "failures": [{"arn": "b", "reason": "BUSY"}]}),
                &["eu-west-1/b"],
            ),
        ] {
            let answer = answer.to_string();
            aws.answer(operation, move |_| (200, answer.clone()));
            eventually(patience(), "it is told", || {
                while run.try_next().is_some() {}
                run.unread().eq(unread.iter().copied())
            })
            .await;
            assert_eq!(run.picture().flat_map(|group| &group.targets).count(), 2, "{operation}");
            two_clusters(&aws);
            eventually(patience(), "it is read again", || {
                while run.try_next().is_some() {}
                run.unread().next().is_none()
            })
            .await;
        }
        aws.answer("DescribeTasks", |call| {
            let arn = call.field("cluster").unwrap_or_default();
            (200, json!({"tasks": [], "failures": [{"arn": arn, "reason": "MISSING"}]}).to_string())
        });
        eventually(patience(), "what is missing has gone", || {
            while run.try_next().is_some() {}
            run.picture().all(|group| group.targets.is_empty())
        })
        .await;
        assert_eq!(run.unread().count(), 0);
        run.stop().await.expect("it ends").expect("without an error");
        aws.finish().await;
    });
}

#[test]
fn a_cluster_that_is_written_and_goes_keeps_its_targets_and_one_that_was_listed_does_not() {
    leak_checked_live(async || {
        for (more, want) in [("", &[][..]), (", clusters: [a]", &["eu-west-1/a"])] {
            let aws = aws().await;
            two_clusters(&aws);
            let url = aws.url();
            let system = System::new("host", Environment::from_iter([("AWS_ENDPOINT_URL_EC2", &url)]));
            let mut run = Run::start_on(&system, &config::<EcsConfig>(&aws, more)).await.expect("it can be built");
            assert_eq!(addresses(&mut run).await, set(&["10.0.0.1:80"]));
            aws.answer("ListTasks", |_| (400, json_error("ClusterNotFoundException")));
            eventually(patience(), "it has gone", || {
                while run.try_next().is_some() {}
                match want.is_empty() {
                    true => run.picture().all(|group| group.targets.is_empty()),
                    false => run.unread().eq(want.iter().copied()),
                }
            })
            .await;
            assert_eq!(run.unread().collect::<Vec<_>>(), want);
            let targets = run.picture().flat_map(|group| &group.targets).count();
            assert_eq!(targets, want.len());
            run.stop().await.expect("it ends").expect("without an error");
            aws.finish().await;
        }
    });
}

#[test]
fn clusters_of_ecs_that_are_written_have_to_be_there() {
    leak_checked_live(async || {
        let aws = aws().await;
        two_clusters(&aws);
        let url = aws.url();
        let system = System::new("host", Environment::from_iter([("AWS_ENDPOINT_URL", &url)]));
        let config = config::<EcsConfig>(&aws, ", clusters: [b, none]");
        let mut run = Run::start_on(&system, &config).await.expect("it can be built");
        next(&mut run).await;
        assert_eq!(run.picture().map(|group| &*group.source).collect::<Vec<_>>(), ["eu-west-1/b"]);
        assert_eq!(run.unread().collect::<Vec<_>>(), ["eu-west-1/none"]);
        run.stop().await.expect("it ends").expect("without an error");
        aws.finish().await;
    });
}

#[test]
fn a_cluster_of_which_ecs_refuses_to_tell_costs_no_other() {
    leak_checked_live(async || {
        let aws = aws().await;
        two_clusters(&aws);
        let told: Vec<_> = ["a", "b"].map(|name| json!({"clusterArn": name, "clusterName": name})).into();
        aws.answer("DescribeClusters", move |call| {
            let asked = call.json["clusters"].as_array().expect("clusters");
            if asked.contains(&json!("arn:elsewhere")) {
                return (400, json_error("InvalidParameterException"));
            }
            let told: Vec<_> = told.iter().filter(|cluster| asked.contains(&cluster["clusterArn"])).collect();
            (200, json!({"clusters": told}).to_string())
        });
        let url = aws.url();
        let system = System::new("host", Environment::from_iter([("AWS_ENDPOINT_URL", &url)]));
        let config = config::<EcsConfig>(&aws, ", clusters: [a, 'arn:elsewhere', b]");
        let mut run = Run::start_on(&system, &config).await.expect("it can be built");
        next(&mut run).await;
        assert_eq!(run.picture().map(|group| &*group.source).collect::<Vec<_>>(), ["eu-west-1/a", "eu-west-1/b"]);
        assert_eq!(run.unread().collect::<Vec<_>>(), ["eu-west-1/arn:elsewhere"]);
        run.stop().await.expect("it ends").expect("without an error");
        aws.finish().await;
    });
}
