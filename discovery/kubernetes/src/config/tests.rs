//! What is accepted, what is refused, and what it means.

use rosterd_discovery::{CheckContext, Finding, Identity, MechanismConfig};
use rosterd_testkit::Folder;

use super::field::{FieldSelector, FieldTerm};
use super::label::{LabelSelector, Needs as Wanted, Requirement};
use super::{KubernetesConfig, Needs, Role};

fn parse(text: &str) -> KubernetesConfig {
    serde_yaml::from_str(text).expect(text)
}

/// Code and path of each problem.
fn problems(text: &str) -> Vec<String> {
    let found = parse(text).check(&CheckContext::default());
    found.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect()
}

#[test]
fn settings_go_together_as_for_prometheus() {
    for (text, wanted) in [
        ("{role: pod}", &[][..]),
        ("{role: pod, namespaces: {own_namespace: true, names: [a, b-c]}}", &[]),
        ("{role: pod, kubeconfig_file: k}", &[]),
        ("{role: pod, kubeconfig_file: k, follow_redirects: true}", &[]),
        ("{role: pod, api_server: 'https://a/k8s/clusters/c-1', bearer_token_file: t, enable_http2: false}", &[]),
        ("{role: pod, api_server: 'a:8080'}", &[]),
        ("{role: pod, api_server: 10.0.0.1}", &[]),
        ("{}", &["cfg_missing_key role"]),
        ("{role: pod, api_server: 'ftp://a'}", &["cfg_invalid_value api_server"]),
        ("{role: pod, api_server: 'https://'}", &["cfg_invalid_value api_server"]),
        ("{role: pod, api_server: 'https://a', kubeconfig_file: k}", &["cfg_conflicting_keys kubeconfig_file"]),
        ("{role: pod, kubeconfig_file: k, bearer_token: t}", &["cfg_conflicting_keys kubeconfig_file"]),
        ("{role: pod, kubeconfig_file: k, follow_redirects: false}", &["cfg_conflicting_keys kubeconfig_file"]),
        ("{role: pod, bearer_token: t}", &["cfg_missing_key api_server"]),
        ("{role: pod, tls_config: {insecure_skip_verify: true}}", &["cfg_missing_key api_server"]),
        (
            "{role: pod, api_server: 'https://a', namespaces: {own_namespace: true}}",
            &["cfg_conflicting_keys namespaces.own_namespace"],
        ),
        (
            "{role: pod, kubeconfig_file: k, namespaces: {own_namespace: true}}",
            &["cfg_conflicting_keys namespaces.own_namespace"],
        ),
        (
            "{role: pod, namespaces: {names: [a, '', A, a/b]}}",
            &[
                "cfg_invalid_value namespaces.names[1]",
                "cfg_invalid_value namespaces.names[2]",
                "cfg_invalid_value namespaces.names[3]",
            ],
        ),
        (
            "{role: pod, api_server: 'https://a', bearer_token: t, bearer_token_file: f}",
            &["cfg_conflicting_keys bearer_token_file"],
        ),
    ] {
        assert_eq!(problems(text), wanted, "{text}");
    }
}

#[test]
fn selectors_take_values_from_elsewhere_before_they_are_checked() {
    let mut config =
        parse("{role: pod, selectors: [{role: node}, {role: pod, label: 'a=$A', field: 'spec.nodeName=$N,'}]}");
    let mut paths = Vec::new();
    config.expand(&mut |path, text| {
        paths.push(path.to_owned());
        *text = text.replace("$A", "b c").replace("$N", "worker-1");
    });
    let wanted = [0, 1].map(|index| ["label", "field"].map(|key| format!("selectors[{index}].{key}"))).concat();
    assert_eq!((paths, &*config.selectors[1].field), (wanted, "spec.nodeName=worker-1,"));
    let found = config.check(&CheckContext::default());
    assert_eq!(found.iter().map(|problem| &*problem.path).collect::<Vec<_>>(), ["selectors[1].label"]);
}

#[test]
fn each_role_has_its_selectors() {
    for (role, allowed) in [
        ("node", &["node"][..]),
        ("pod", &["pod", "node"]),
        ("service", &["service"]),
        ("endpoints", &["pod", "service", "endpoints"]),
        ("endpointslice", &["pod", "service", "endpointslice"]),
        ("ingress", &["ingress"]),
    ] {
        for of in Role::ALL.map(Role::name) {
            let found = problems(&format!("{{role: {role}, selectors: [{{role: {of}, label: a=b}}]}}"));
            let wanted = if allowed.contains(&of) { vec![] } else { vec!["cfg_invalid_value selectors[0].role"] };
            assert_eq!(found, wanted, "{of} in {role}");
        }
    }
    let missing = problems("{role: pod, selectors: [{label: a=b}]}");
    assert_eq!(missing, ["cfg_invalid_value selectors[0].role"]);
    let twice = problems("{role: pod, selectors: [{role: pod, label: a=b}, {role: pod}]}");
    assert_eq!(twice, ["cfg_duplicate_name selectors[1].role"]);
    let broken = problems("{role: pod, selectors: [{role: pod, label: 'a b', field: a}]}");
    assert_eq!(broken, ["cfg_invalid_value selectors[0].field", "cfg_invalid_value selectors[0].label"]);
}

#[test]
fn unknown_words_are_refused() {
    for (text, wanted) in [
        (
            "{role: Pod}",
            "\"Pod\" is no role of Kubernetes: use node, pod, service, endpoints, endpointslice or ingress",
        ),
        ("{role: ''}", "is no role"),
        ("{role: pod, kubeconfig: k}", "unknown field `kubeconfig`"),
        ("{role: pod, namespaces: {name: [a]}}", "unknown field `name`"),
        ("{role: pod, selectors: [{role: pod, labels: a}]}", "unknown field `labels`"),
        ("{role: pod, attach_metadata: {pod: true}}", "unknown field `pod`"),
    ] {
        let error = serde_yaml::from_str::<KubernetesConfig>(text).expect_err(text).to_string();
        assert!(error.contains(wanted), "{text}: {error}");
    }
}

#[test]
fn what_is_shown_reads_back() {
    let config = parse(
        "{role: endpoints, api_server: 'https://a', bearer_token: hunter2, namespaces: {names: [a]},
          selectors: [{role: pod, label: a=b}], attach_metadata: {node: true}}",
    );
    let shown = serde_yaml::to_string(&config).expect("serialises");
    assert!(!shown.contains("hunter2"), "{shown}");
    let mut wanted = config;
    wanted.client.bearer_token = rosterd_client::Secret::new(rosterd_model::HIDDEN);
    assert_eq!(parse(&shown), wanted);
    assert_eq!(serde_yaml::to_string(&parse("{role: pod}")).expect("serialises").lines().count(), 3);
}

#[test]
fn label_selectors_are_read_as_kubernetes_does() {
    use Wanted::{Above, Absent, Below, In, NotIn, Present};
    let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    for (text, wanted) in [
        ("", vec![]),
        (" ", vec![]),
        ("a", vec![("a", Present)]),
        ("!a", vec![("a", Absent)]),
        (" ! a , b", vec![("a", Absent), ("b", Present)]),
        ("a=b", vec![("a", In(values(&["b"])))]),
        ("a == b,c!=d", vec![("a", In(values(&["b"]))), ("c", NotIn(values(&["d"])))]),
        ("a=,b", vec![("a", In(values(&[""]))), ("b", Present)]),
        ("a in (b, c),d notin(e)", vec![("a", In(values(&["b", "c"]))), ("d", NotIn(values(&["e"])))]),
        ("a in (b,)", vec![("a", In(values(&["b", ""])))]),
        ("in in (in,notin)", vec![("in", In(values(&["in", "notin"])))]),
        ("a>1,b<2", vec![("a", Above(1)), ("b", Below(2))]),
        ("x.io/y_z.w=A-1", vec![("x.io/y_z.w", In(values(&["A-1"])))]),
    ] {
        let read = LabelSelector::parse(text).expect(text).0;
        let wanted: Vec<_> =
            wanted.into_iter().map(|(key, needs)| Requirement { key: key.to_owned(), needs }).collect();
        assert_eq!(read, wanted, "{text}");
    }
    for text in [
        ",",
        "a,",
        "a,,b",
        "=b",
        "a b",
        "a in b",
        "a in ()",
        "a in (b",
        "a in (b c)",
        "!a=b",
        "!",
        "a!b",
        "a>b",
        "a<-2",
        "a=b=c",
        "-a",
        "a-",
        "x/y/z",
        "/a",
        "X.io/a",
        "a=-b",
        "a=b c",
        "a=(b)",
        &"a".repeat(64),
    ] {
        assert!(LabelSelector::parse(text).is_err(), "{text}");
    }
}

#[test]
fn field_selectors_are_read_as_kubernetes_does() {
    for (text, wanted) in [
        ("", vec![]),
        (",", vec![]),
        ("status.phase=Running", vec![("status.phase", true, "Running")]),
        ("a==b,c!=d", vec![("a", true, "b"), ("c", false, "d")]),
        ("a=", vec![("a", true, "")]),
        (r"a=x\,y\=z\\", vec![("a", true, r"x,y=z\")]),
    ] {
        let read = FieldSelector::parse(text).expect(text).0;
        let term = |(field, equal, value): (&str, bool, &str)| FieldTerm {
            field: field.to_owned(),
            equal,
            value: value.to_owned(),
        };
        assert_eq!(read, wanted.into_iter().map(term).collect::<Vec<_>>(), "{text}");
    }
    for text in ["a", "a!b", "a=b=c", r"a=\b", r"a=b\", "a===b"] {
        assert!(FieldSelector::parse(text).is_err(), "{text}");
    }
}

/// What is watched for a configuration, a line for each part.
fn needs(text: &str) -> Vec<String> {
    let config = parse(text);
    let needs = Needs::of(&config, config.role.expect("a role"), Some("own"));
    let part = |part: &super::Part| {
        let watches: Vec<_> = part.watches.iter().map(ToString::to_string).collect();
        format!("{}: {}", part.name(needs.role), watches.join("; "))
    };
    needs.parts.iter().map(part).collect()
}

#[test]
fn what_is_watched_follows_from_role_namespaces_and_metadata() {
    let all = "attach_metadata: {node: true, namespace: true, deployment: true, job: true, cronjob: true}";
    for (text, wanted) in [
        ("role: node".to_owned(), &["node/*: nodes"][..]),
        (format!("role: node, namespaces: {{names: [a]}}, {all}"), &["node/*: nodes"]),
        ("role: pod".to_owned(), &["pod/*/*: pods"]),
        ("role: pod, attach_metadata: {job: true}".to_owned(), &["pod/*/*: pods"]),
        (format!("role: pod, {all}"), &["pod/*/*: pods; nodes; namespaces; replicasets; jobs"]),
        (
            "role: service, namespaces: {names: [a, b, a]}".to_owned(),
            &["svc/a/*: services in a", "svc/b/*: services in b"],
        ),
        (format!("role: service, {all}"), &["svc/*/*: services; namespaces"]),
        (format!("role: ingress, {all}"), &["ingress/*/*: ingresses; namespaces"]),
        (
            "role: endpoints, namespaces: {own_namespace: true}".to_owned(),
            &["endpoints/own/*: endpoints in own; services in own; pods in own"],
        ),
        (
            "role: endpointslice, namespaces: {own_namespace: true, names: [a]}, attach_metadata: {node: true},
             selectors: [{role: endpointslice, label: a=b}, {role: pod, field: c=d}]"
                .to_owned(),
            &[
                "endpointslice/a/*: endpointslices in a where a=b; services in a; pods in a where c=d; nodes",
                "endpointslice/own/*: endpointslices in own where a=b; services in own; pods in own where c=d; nodes",
            ],
        ),
        (
            "role: pod, attach_metadata: {node: true}, selectors: [{role: node, label: a=b}]".to_owned(),
            &["pod/*/*: pods; nodes where a=b"],
        ),
    ] {
        assert_eq!(needs(&format!("{{{text}}}")), wanted, "{text}");
    }
}

#[test]
fn the_identity_is_what_is_read_and_as_whom() {
    let hash = |text: &str| {
        let mut identity = Identity::new();
        parse(text).identity(&mut identity);
        identity.hash()
    };
    let different = [
        "{role: pod}",
        "{role: node}",
        "{role: pod, api_server: 'https://a'}",
        "{role: pod, api_server: 'https://a', bearer_token_file: /t}",
        "{role: pod, kubeconfig_file: /k}",
        "{role: pod, namespaces: {own_namespace: true}}",
        "{role: pod, namespaces: {names: [a]}}",
        "{role: pod, namespaces: {names: [a, b]}}",
        "{role: pod, selectors: [{role: pod, label: a}]}",
        "{role: pod, selectors: [{role: pod, field: a=}]}",
        "{role: pod, selectors: [{role: node, label: a}]}",
        "{role: pod, attach_metadata: {node: true}}",
        "{role: pod, attach_metadata: {cronjob: true}}",
    ];
    let distinct: std::collections::BTreeSet<_> = different.into_iter().map(hash).collect();
    assert_eq!(distinct.len(), different.len());
    for (one, other) in [
        ("{role: pod, namespaces: {names: [a, b]}}", "{role: pod, namespaces: {names: [b, a, b]}}"),
        ("{role: pod, api_server: 'https://a'}", "{role: pod, api_server: 'HTTPS://a/', follow_redirects: false}"),
        (
            "{role: pod, selectors: [{role: pod, label: a}, {role: node, label: b}]}",
            "{role: pod, selectors: [{role: node, label: b}, {role: pod, label: a}]}",
        ),
    ] {
        assert_eq!(hash(one), hash(other), "{one} and {other}");
    }
}

#[test]
fn a_look_at_a_kubeconfig_file_shows_what_has_no_effect() {
    let folder = Folder::new();
    let found = |server: &str, user: &str, allow_exec: bool| {
        let file = format!(
            "{{current-context: a, contexts: [{{name: a, context: {{cluster: c, user: u}}}}],
              clusters: [{{name: c, cluster: {{server: '{server}'}}}}], users: [{{name: u, user: {{{user}}}}}]}}"
        );
        let path = folder.write("kubeconfig", file);
        let config = parse(&format!("{{role: pod, kubeconfig_file: '{}'}}", path.display()));
        let found = config.examine(&CheckContext { allow_exec });
        let warned = found.into_iter().map(|it| match it {
            Finding::Idle(problem) => format!("{} {}", problem.code, problem.path),
            other => panic!("{other:?}"),
        });
        warned.collect::<Vec<_>>()
    };
    let exec = "exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, interactiveMode: Never}";
    assert_eq!(found("https://k", exec, false), ["cfg_exec_disabled kubeconfig_file"]);
    assert_eq!(found("https://k", exec, true), [""; 0]);
    for user in [exec, "token: hunter2", "username: u, password: p"] {
        assert_eq!(found("http://k", user, false), ["cfg_kubernetes_no_https kubeconfig_file"]);
    }
    assert_eq!([found("http://k", "", false), found("https://k", "token: hunter2", false)], [[""; 0], [""; 0]]);
}
