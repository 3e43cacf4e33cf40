//! Goldens, checks, and one reading at a time from a kubelet over TLS.

use rosterd_discovery::{CheckContext, MechanismConfig, Word};
use rosterd_model::Priority;
use rosterd_testkit::{FakeKubelet, addresses, assert_golden, contract, fixture, leak_checked_live};
use serde_json::{Value, json};

use super::KubeletConfig;

fn config(text: &str) -> KubeletConfig {
    serde_yaml::from_str(text).expect(text)
}

fn pod(namespace: &str, name: &str, ip: &str) -> Value {
    json!({"metadata": {"namespace": namespace, "name": name}, "status": {"podIP": ip},
           "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 9100}]}]}})
}

async fn start(kubelet: &FakeKubelet, more: &str) -> contract::Run {
    contract::Run::start(&config(&kubelet.config(more))).await.expect("it is built")
}

async fn stop(run: contract::Run) {
    run.stop().await.expect("it ends when asked").expect("and well");
}

#[test]
fn the_pods_of_a_kubelet_have_the_labels_of_the_role_pod() {
    leak_checked_live(async || {
        let kubelet = FakeKubelet::start().await;
        let pods: Value = serde_json::from_str(&fixture("discovery/kubelet/pods.json")).expect("JSON");
        kubelet.set(pods.as_array().expect("a list").clone());
        let mut run = start(&kubelet, "").await;
        let word = run.next().await.expect("the first word");
        assert_golden("discovery/kubelet/pods.golden.yml", &serde_yaml::to_string(word.groups()).expect("serialises"));
        stop(run).await;
        kubelet.finish().await;
    });
}

#[test]
fn an_equal_list_is_unchanged_and_a_list_without_pods_is_empty() {
    leak_checked_live(async || {
        let kubelet = FakeKubelet::start().await;
        kubelet.set(vec![pod("a", "x", "10.0.0.1"), pod("b", "y", "10.0.0.2")]);
        let mut run = start(&kubelet, ", namespaces: [a, c]").await;
        let word = run.next().await.expect("the first word");
        assert_eq!(addresses(word.groups()).into_iter().collect::<Vec<_>>(), ["10.0.0.1:9100"]);
        assert!(matches!(run.next().await, Some(Word::Unchanged)));
        // As a kubelet writes a list without pods.
        kubelet.answer(200, r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":null}"#);
        let empty = async {
            loop {
                match run.next().await.expect("a word") {
                    Word::Unchanged => {}
                    word => return word,
                }
            }
        };
        assert_eq!(empty.await.groups(), []);
        stop(run).await;
        kubelet.finish().await;
    });
}

/// The code of the error of an answer, and when it is tried again.
async fn refused(status: u16, body: &str) -> (String, Priority) {
    let kubelet = FakeKubelet::start().await;
    kubelet.answer(status, body);
    let run = start(&kubelet, "").await;
    rosterd_testkit::eventually(rosterd_testkit::patience(), "it fails", || run.status().last_error.is_some()).await;
    let report = run.status().last_error.expect("it failed").report;
    stop(run).await;
    kubelet.finish().await;
    (report.code.to_string(), report.priority)
}

#[test]
fn an_answer_that_is_no_list_of_pods_takes_nothing_away() {
    leak_checked_live(async || {
        for (status, body, code, priority) in [
            (200, "{}", "sd_rest_malformed", Priority::Remote),
            (200, r#"{"kind": "Status", "items": []}"#, "sd_rest_malformed", Priority::Remote),
            (200, "<html>", "sd_rest_malformed", Priority::Remote),
            (
                403,
                "Forbidden (user=x, verb=get, resource=nodes, subresource=proxy)",
                "http_unauthorized",
                Priority::Operator,
            ),
            (404, "404 page not found", "http_status", Priority::Remote),
        ] {
            assert_eq!(refused(status, body).await, (code.to_owned(), priority), "{status} {body}");
        }
    });
}

#[test]
fn a_kubelet_that_does_not_know_the_token_or_the_authority_is_refused() {
    leak_checked_live(async || {
        let kubelet = FakeKubelet::start().await;
        for (text, code) in [
            (kubelet.config("").replace(FakeKubelet::TOKEN, "other"), "http_unauthorized"),
            (format!("{{url: '{}', bearer_token: '{}'}}", kubelet.url(), FakeKubelet::TOKEN), "http_tls"),
        ] {
            let run = contract::Run::start(&config(&text)).await.expect("it is built");
            let failed = || run.status().last_error.is_some();
            rosterd_testkit::eventually(rosterd_testkit::patience(), "it fails", failed).await;
            assert_eq!(run.status().last_error.expect("it failed").report.code.as_str(), code);
            stop(run).await;
        }
        kubelet.finish().await;
    });
}

#[test]
fn the_defaults_are_those_of_alloy_and_the_url_must_be_one() {
    let text = "{url: 'https://localhost:10250', namespaces: [], refresh_interval: 5s, follow_redirects: true, enable_http2: true}";
    assert_eq!(config(text), KubeletConfig::default());
    let problems = |text: &str| -> Vec<String> {
        let problems = config(text).check(&CheckContext::default());
        problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect()
    };
    assert_eq!(problems("{}"), [""; 0]);
    assert_eq!(problems("url: ''"), ["cfg_missing_key url"]);
    assert_eq!(problems("url: 'localhost:10250'"), ["cfg_invalid_value url"]);
    assert!(serde_yaml::from_str::<KubeletConfig>("{role: pod}").is_err());
}

#[test]
fn who_asks_a_kubelet_over_tls_has_to_be_allowed_that() {
    let rules = |text: &str| -> Vec<String> {
        config(text).permissions("monitoring").iter().map(ToString::to_string).collect()
    };
    assert_eq!(rules("{}"), ["{apiGroups: [\"\"], resources: [nodes/pods], verbs: [get]}"]);
    assert_eq!(rules("{url: 'http://127.0.0.1:10255'}"), [""; 0]);
}
