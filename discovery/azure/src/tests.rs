//! What the Resource Manager is asked, as whom, and what becomes of its answers.

use std::time::Duration as StdDuration;

use rosterd_credentials::azure::AzureMethod;
use rosterd_discovery::{CheckContext, MechanismConfig as _, System, Word};
use rosterd_model::TargetGroup;
use rosterd_testkit::contract::{Run, failures_in_turn, shared_by};
use rosterd_testkit::{
    ScriptedServer, Step, addresses, assert_golden, eventually, fixture, leak_checked_live, patience,
};
use serde_json::{Value, json};

use super::decode::{self, Interface, Set};
use super::{AzureConfig, Method};

const TOKEN: &str = "/tenant/oauth2/v2.0/token";
const BASE: &str = "/subscriptions/s/providers/Microsoft.Compute";

fn config(text: &str) -> AzureConfig {
    serde_yaml::from_str(text).expect(text)
}

fn of(server: &ScriptedServer, more: &str) -> AzureConfig {
    config(&format!(
        "{{subscription_id: s, tenant_id: tenant, client_id: c, client_secret: hunter2, port: 9, refresh_interval: 1h,
           endpoint: '{0}', authority: '{0}'{more}}}",
        server.url("")
    ))
}

fn token(value: &str) -> String {
    json!({"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": value}).to_string()
}

fn nic(name: &str) -> String {
    format!("/subscriptions/s/resourceGroups/net/providers/Microsoft.Network/networkInterfaces/{name}")
}

/// A machine with these interfaces.
fn machine(name: &str, interfaces: &[&str]) -> Value {
    let interfaces: Vec<_> = interfaces.iter().map(|name| json!({"id": nic(name)})).collect();
    json!({"id": format!("/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/{name}"), "name": name,
        "properties": {"networkProfile": {"networkInterfaces": interfaces}}})
}

fn page(machines: &[Value], next: Option<&str>) -> String {
    json!({"value": machines, "nextLink": next}).to_string()
}

/// An interface that is the primary one, and has this address.
fn at(address: &str) -> String {
    let configuration = json!({"properties": {"privateIPAddress": address}});
    json!({"properties": {"primary": true, "ipConfigurations": [configuration]}}).to_string()
}

fn no_sets() -> Step {
    Step::get(&format!("{BASE}/virtualMachineScaleSets")).any_times().json(r#"{"value": []}"#)
}

fn targets(word: &Word) -> Vec<String> {
    addresses(word.groups()).into_iter().collect()
}

#[test]
fn machines_and_interfaces_become_labels() {
    let config = config("{subscription_id: s, tenant_id: t, port: 9100}");
    let interface = decode::interface(
        br#"{"properties": {"primary": true, "ipConfigurations": [
            {"properties": {"privateIPAddress": "fd00::5", "publicIPAddress": {"properties": {"ipAddress": "203.0.113.7"}}}},
            {"properties": {"privateIPAddress": "10.0.0.6"}}]}}"#,
    );
    let Ok(Interface::Primary(address)) = interface else { panic!("{interface:?}") };
    let set = Set { group: "batch".to_owned(), name: "workers".to_owned(), source: "sets/x".to_owned() };
    let of = |file: &str, set: Option<&Set>| -> Vec<TargetGroup> {
        let body = fixture(&format!("discovery/azure/{file}.json"));
        let page = decode::machines(body.as_bytes(), set).expect("machines");
        page.items.iter().map(|machine| machine.target(&address, &config)).collect()
    };
    for (file, set) in [("machines", None), ("set", Some(&set))] {
        let golden = format!("discovery/azure/{file}.golden.yml");
        assert_golden(&golden, &serde_yaml::to_string(&of(file, set)).expect("writes"));
    }
}

#[test]
fn an_answer_without_the_list_is_no_empty_list() {
    let missing = "value is missing";
    for (text, told) in [
        ("{}", missing),
        ("[]", "line 1, column 2: expected a map of keys and values, found a list"),
        (r#"{"error": {"code": "Unknown"}}"#, missing),
        (r#"{"value": null}"#, missing),
    ] {
        let refused = decode::machines(text.as_bytes(), None).map(drop).map_err(|fault| fault.to_string());
        assert_eq!(refused, Err(told.to_owned()), "{text}");
        let refused = decode::sets(text.as_bytes()).map(drop).map_err(|fault| fault.to_string());
        assert_eq!(refused, Err(told.to_owned()), "{text}");
    }
    assert!(decode::machines(br#"{"value": []}"#, None).expect("none").items.is_empty());
}

#[test]
fn an_interface_says_where_a_machine_is_or_that_it_is_nowhere() {
    let says = |text: &str| match decode::interface(text.as_bytes()) {
        Ok(Interface::Primary(address)) => address.private,
        Ok(other) => format!("{other:?}"),
        Err(fault) => fault.to_string(),
    };
    for (text, want) in [
        ("{}", "properties is missing"),
        (
            r#"{"properties": {"primary": false, "ipConfigurations": [{"properties": {"privateIPAddress": "a"}}]}}"#,
            "Other",
        ),
        (r#"{"properties": {"primary": true}}"#, "Other"),
        (r#"{"properties": {"ipConfigurations": [{"properties": {"privateIPAddress": "a"}}]}}"#, "Deallocated"),
        (r#"{"properties": {"primary": true, "ipConfigurations": [{}]}}"#, ""),
        (&at("a"), "a"),
        ("7", "line 1, column 1: expected a map of keys and values, found a number"),
    ] {
        assert_eq!(says(text), want, "{text}");
    }
}

#[test]
fn tokens_are_shared_by_those_who_ask_for_them_as_the_same_by_the_same_way_and_by_no_others() {
    let with =
        |more: &str| config(&format!("{{subscription_id: s, tenant_id: t, client_id: c, client_secret: s{more}}}"));
    let kept = |more: &[&str]| format!("{:?}", shared_by(more.iter().copied().map(with)).tokens);
    let same =
        ["", "", ", port: 9", ", refresh_interval: 7m", ", authorization: {credentials: c}", ", resource_group: g"];
    assert_eq!(kept(&same), "1 kept");
    let others = [
        "",
        ", proxy_url: 'http://u:one@proxy'",
        ", proxy_url: 'http://u:two@proxy'",
        ", proxy_url: 'http://proxy', proxy_connect_header: {x: [one]}",
        ", proxy_url: 'http://proxy', proxy_connect_header: {x: [two]}",
        ", tls_config: {insecure_skip_verify: true}",
        ", environment: AzureChinaCloud",
        ", authentication_method: SDK",
    ];
    assert_eq!(kept(&others), "8 kept");
}

#[test]
fn machines_are_read_in_pages_and_those_of_scale_sets_by_their_set() {
    leak_checked_live(async || {
        let azure = ScriptedServer::start([]).await;
        let bearer = |step: Step| step.with_header("authorization", "Bearer t1").any_order();
        let get = |path: &str| bearer(Step::get(path));
        let scope: String = url_encoded(&format!("{}/.default", azure.url("")));
        let form = format!("grant_type=client_credentials&client_id=c&client_secret=hunter2&scope={scope}");
        let form_type = "application/x-www-form-urlencoded";
        azure.then(
            Step::post(TOKEN).any_order().with_header("content-type", form_type).with_body(form).json(token("t1")),
        );
        let machines = format!("{BASE}/virtualMachines?api-version=2024-03-01");
        let link = azure.url(&format!("{machines}&%24skiptoken=x%2Fy"));
        azure.then(
            get(&machines).json(page(&[machine("one", &["one"]), machine("none", &[])], Some(&link))).in_parts(11),
        );
        azure.then(
            get(&format!("{machines}&%24skiptoken=x%2Fy")).json(page(&[machine("two", &["second", "two"])], None)),
        );
        let set = |name: &str, mode: &str| {
            json!({"id": format!("/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachineScaleSets/{name}"),
                "name": name, "properties": {"orchestrationMode": mode}})
        };
        let sets = json!({"value": [set("flex", "Flexible"), set("uniform", "Uniform")]}).to_string();
        azure.then(get(&format!("{BASE}/virtualMachineScaleSets?api-version=2024-03-01")).json(sets));
        let of_set = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachineScaleSets/uniform/virtualMachines";
        let instance = json!({"id": format!("{of_set}/7"), "instanceId": "7", "name": "uniform_7",
            "properties": {"networkProfile": {"networkInterfaces": [{"id": format!("{of_set}/7/networkInterfaces/nic")}]}}});
        azure.then(get(&format!("{of_set}?api-version=2024-03-01")).json(page(&[instance], None)));
        let expand = "%24expand=IPConfigurations%2FPublicIPAddress&api-version";
        for (path, body) in [
            (format!("{}?{expand}=2023-05-01", nic("one")), at("10.0.0.1")),
            (format!("{}?{expand}=2023-05-01", nic("second")), r#"{"properties": {"primary": false}}"#.to_owned()),
            (format!("{}?{expand}=2023-05-01", nic("two")), at("10.0.0.2")),
            (
                format!(
                    "/subscriptions/s/resourceGroups/g/providers/microsoft.Compute/virtualMachineScaleSets/uniform/virtualMachines/7/networkInterfaces/nic?{expand}=2018-10-01"
                ),
                at("10.0.0.7"),
            ),
        ] {
            azure.then(get(&path).json(body));
        }
        let mut run = Run::start(&of(&azure, "")).await.expect("it can be built");
        let word = run.next().await.expect("a word");
        assert_eq!(targets(&word), ["10.0.0.1:9", "10.0.0.2:9", "10.0.0.7:9"]);
        let asked = ["get interface ok 4", "get token ok 1", "list machines of scale set ok 1", "list machines ok 2"];
        assert_eq!(run.requests_that_came(), [&asked[..], &["list scale sets ok 1"]].concat());
        run.stop().await.expect("it ends").expect("in order");
        azure.finish().await;
    });
}

fn url_encoded(text: &str) -> String {
    text.replace(':', "%3A").replace('/', "%2F")
}

#[test]
fn a_resource_group_bounds_what_is_listed() {
    leak_checked_live(async || {
        let base = "/subscriptions/s/resourceGroups/my%20group/providers/Microsoft.Compute";
        let azure = ScriptedServer::start([
            Step::post(TOKEN).any_order().json(token("t")),
            Step::get(&format!("{base}/virtualMachines")).any_order().json(page(&[], None)),
            Step::get(&format!("{base}/virtualMachineScaleSets")).any_order().json(page(&[], None)),
        ])
        .await;
        let mut run = Run::start(&of(&azure, ", resource_group: my group")).await.expect("it can be built");
        assert!(targets(&run.next().await.expect("a word")).is_empty());
        run.stop().await.expect("it ends").expect("in order");
        azure.finish().await;
    });
}

#[test]
fn interfaces_that_are_known_are_not_asked_about_again() {
    leak_checked_live(async || {
        let list = || Step::get(&format!("{BASE}/virtualMachines"));
        let azure = ScriptedServer::start([
            Step::post(TOKEN).any_times().json(token("t")),
            no_sets(),
            list().any_times().json(page(&[machine("one", &["one"]), machine("gone", &["gone"])], None)),
            Step::get(&nic("one")).any_order().json(at("10.0.0.1")),
            // What is not there is looked for again.
            Step::get(&nic("gone")).any_times().status(404).json(r#"{"error": {"code": "NotFound", "message": "no"}}"#),
        ])
        .await;
        let mut azure_config = of(&azure, "");
        // They are known for some of them.
        azure_config.refresh_interval = "3s".parse().expect("a duration");
        let mut run = Run::start(&azure_config).await.expect("it can be built");
        assert_eq!(targets(&run.next().await.expect("a word")), ["10.0.0.1:9"]);
        let new = page(&[machine("one", &["one"]), machine("two", &["two"])], None);
        azure.then(Step::get(&nic("two")).any_times().json(at("10.0.0.2")));
        azure.then(list().any_times().json(new));
        loop {
            let word = run.next().await.expect("a word");
            if targets(&word).len() == 2 {
                assert_eq!(targets(&word), ["10.0.0.1:9", "10.0.0.2:9"]);
                break;
            }
        }
        run.stop().await.expect("it ends").expect("in order");
        let asked = azure.requests().iter().filter(|request| request.path.starts_with(&nic("one"))).count();
        assert_eq!(asked, 1);
        azure.finish().await;
    });
}

fn unread(word: &Word) -> Vec<String> {
    let mut unread: Vec<_> =
        word.unread().iter().map(|unread| format!("{} {}", unread.source, unread.error.code())).collect();
    unread.sort();
    unread
}

#[test]
fn what_may_not_be_read_hides_nothing_else() {
    leak_checked_live(async || {
        let set = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachineScaleSets/w";
        let sets = json!({"value": [{"id": set, "name": "w"}]}).to_string();
        let machines = Step::get(&format!("{BASE}/virtualMachines")).any_times();
        let all_sets = Step::get(&format!("{BASE}/virtualMachineScaleSets")).any_times();
        let of_set = Step::get(&format!("{set}/virtualMachines")).any_times();
        let denied = r#"{"error": {"code": "AuthorizationFailed", "message": "not allowed"}}"#;
        let good = page(&[machine("one", &["one"]), machine("two", &["two"])], None);
        for (steps, want, found) in [
            (
                vec![machines.clone().json(good.clone()), all_sets.clone().json(sets.clone()), of_set.clone().status(403).json(denied)],
                vec![format!("sets{} http_unauthorized", set.to_lowercase())],
                vec!["10.0.0.1:9", "10.0.0.2:9"],
            ),
            (
                vec![machines.clone().json(good.clone()), all_sets.clone().status(403).json(denied)],
                vec!["sets http_unauthorized".to_owned()],
                vec!["10.0.0.1:9", "10.0.0.2:9"],
            ),
            (
                vec![machines.clone().status(500), all_sets.clone().json(sets.clone()), of_set.clone().json(page(&[], None))],
                vec!["machines http_status".to_owned()],
                vec![],
            ),
            (
                vec![
                    machines.clone().json(good.clone()),
                    all_sets.clone().json(r#"{"value": []}"#),
                    Step::get(&nic("two")).any_times().status(403).json(denied),
                ],
                vec!["machines/subscriptions/s/resourcegroups/g/providers/microsoft.compute/virtualmachines/two http_unauthorized".to_owned()],
                vec!["10.0.0.1:9"],
            ),
        ] {
            let azure = ScriptedServer::start([
                Step::post(TOKEN).any_times().json(token("t")),
                Step::get(&nic("one")).any_times().json(at("10.0.0.1")),
                Step::get(&nic("two")).any_times().json(at("10.0.0.2")),
            ])
            .await;
            steps.into_iter().for_each(|step| azure.then(step));
            let mut run = Run::start(&of(&azure, "")).await.expect("it can be built");
            let word = run.next().await.expect("a word");
            assert_eq!((unread(&word), targets(&word)), (want, found.into_iter().map(str::to_owned).collect()));
            run.stop().await.expect("it ends").expect("in order");
            azure.finish().await;
        }
    });
}

/// The code of the failure, and all that is told of it.
async fn failure(config: &AzureConfig) -> (String, String) {
    let run = Run::start(config).await.expect("it can be built");
    eventually(patience(), "the failure is told", || run.status().last_error.is_some()).await;
    let report = run.status().last_error.expect("there is one").report;
    run.stop().await.expect("it ends").expect("in order");
    (report.code.clone(), report.to_string())
}

#[test]
fn a_subscription_that_cannot_be_read_is_told_and_takes_nothing_away() {
    leak_checked_live(async || {
        let machines = || Step::get(&format!("{BASE}/virtualMachines")).any_times();
        let sets = || Step::get(&format!("{BASE}/virtualMachineScaleSets")).any_times();
        let both = |make: fn(Step) -> Step| vec![make(machines()), make(sets())];
        let denied = r#"{"error": {"code": "AuthorizationFailed", "message": "client 'c' has no right"}}"#;
        for (steps, code, words) in [
            (
                both(|step| {
                    step.status(403)
                        .json(r#"{"error": {"code": "AuthorizationFailed", "message": "client 'c' has no right"}}"#)
                }),
                "http_unauthorized",
                "client 'c' has no right",
            ),
            (both(|step| step.status(401).json("{}")), "sd_rest_token_refused", "401"),
            (both(|step| step.status(429).reply_header("retry-after", "300")), "http_throttled", "429"),
            (both(|step| step.json(r#"{"value": []}"#).truncate(5)), "http_broken", ""),
            (both(|step| step.json(r#"{"value": {}}"#)), "sd_rest_malformed", "expected a list"),
            (
                vec![
                    Step::post(TOKEN)
                        .any_times()
                        .status(401)
                        .json(r#"{"error": "invalid_client", "error_description": "AADSTS7000215: hunter2"}"#),
                ],
                "sd_rest_no_token",
                "invalid_client: AADSTS7000215: <secret>",
            ),
        ] {
            let azure = ScriptedServer::start([Step::post(TOKEN).any_times().json(token("t"))]).await;
            steps.into_iter().for_each(|step| azure.then(step));
            let (told, message) = failure(&of(&azure, "")).await;
            assert_eq!(told, code, "{message}");
            assert!(message.contains(words) && !message.contains("hunter2"), "{denied} {message}");
            azure.finish().await;
        }
    });
}

fn problems(text: &str) -> Vec<String> {
    let problems = config(text).check(&CheckContext::default());
    problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect()
}

#[test]
fn what_a_method_needs_is_needed_and_clouds_have_names() {
    let missing = |keys: &[&str]| keys.iter().map(|key| format!("cfg_missing_key {key}")).collect::<Vec<_>>();
    assert_eq!(problems("{}"), missing(&["subscription_id", "tenant_id", "client_id", "client_secret"]));
    for method in ["ManagedIdentity", "SDK", "WorkloadIdentity"] {
        assert_eq!(problems(&format!("{{subscription_id: s, authentication_method: {method}}}")), [""; 0], "{method}");
    }
    let of = |more: &str| problems(&format!("{{subscription_id: s, authentication_method: SDK, {more}}}"));
    assert_eq!(of("environment: AZURECHINACLOUD"), [""; 0]);
    assert_eq!(of("environment: AzureStackCloud"), ["cfg_invalid_value environment"]);
    assert_eq!(
        of("endpoint: 'management:1', authority: 'ftp://a'"),
        ["cfg_invalid_value endpoint", "cfg_invalid_value authority"]
    );
    assert_eq!(of("bearer_token: t, basic_auth: {username: u}"), ["cfg_conflicting_keys bearer_token"]);
    for text in ["{authentication_method: invalid}", "{authentication_method: sdk}", "{client_secret_file: f}"] {
        assert!(serde_yaml::from_str::<AzureConfig>(text).is_err(), "{text}");
    }
}

#[test]
fn each_cloud_is_asked_where_it_is() {
    let of = |text: &str| {
        let config = config(text);
        [config.server().to_string(), config.authority(), config.scope()]
    };
    let public = [
        "https://management.azure.com",
        "https://login.microsoftonline.com",
        "https://management.core.windows.net//.default",
    ];
    assert_eq!(of("{}"), public);
    let government = [
        "https://management.usgovcloudapi.net",
        "https://login.microsoftonline.us",
        "https://management.core.usgovcloudapi.net/.default",
    ];
    assert_eq!(of("{environment: AzureUSGovernment}"), government);
    let own = [
        "https://management.local.azurestack.external",
        "https://login.local/",
        "https://management.local.azurestack.external/.default",
    ];
    assert_eq!(of("{endpoint: 'https://management.local.azurestack.external', authority: 'https://login.local'}"), own);
}

#[test]
fn the_defaults_are_those_of_prometheus() {
    let text = "{environment: AzurePublicCloud, port: 80, subscription_id: '', refresh_interval: 5m, authentication_method: OAuth}";
    assert_eq!(config(text), AzureConfig::default());
    assert_eq!(AzureConfig::default().refresh_interval(), Some(StdDuration::from_secs(300)));
    assert_eq!(AzureConfig::default().authentication_method, Method::OAuth);
    let client = config("{proxy_url: 'http://p', basic_auth: {username: u}}").token_client();
    assert!(client.basic_auth.is_none() && !client.proxy_from_environment, "tokens are asked for with nothing of it");
    assert!(AzureConfig::default().token_client().proxy_from_environment);
}

#[test]
fn each_method_has_what_it_needs_and_what_the_environment_alone_says_stays_open() {
    let of = |method: &str| {
        let keys = "tenant_id: t, client_id: c, client_secret: s";
        config(&format!("{{{keys}, authentication_method: {method}}}")).method()
    };
    let (tenant_id, client_id, nobody) = ("t".to_owned(), "c".to_owned(), String::new());
    let client_secret = "s".into();
    let secret = AzureMethod::Secret { tenant_id: tenant_id.clone(), client_id: client_id.clone(), client_secret };
    assert_eq!(of("OAuth"), secret);
    assert_eq!(of("ManagedIdentity"), AzureMethod::ManagedIdentity { client_id });
    assert_eq!(of("SDK"), AzureMethod::Sdk { tenant_id });
    let (tenant_id, client_id, token_file) = (nobody.clone(), nobody, Default::default());
    assert_eq!(of("WorkloadIdentity"), AzureMethod::WorkloadIdentity { tenant_id, client_id, token_file });
}

#[test]
fn a_subscription_that_is_asked_too_much_is_asked_less_by_all_who_ask_as_the_same() {
    leak_checked_live(async || {
        let azure = ScriptedServer::start([Step::post(TOKEN).any_times().json(token("t"))]).await;
        for kind in ["virtualMachines", "virtualMachineScaleSets"] {
            for subscription in ["s", "other"] {
                let path = format!("/subscriptions/{subscription}/providers/Microsoft.Compute/{kind}");
                azure.then(Step::get(&path).any_times().status(429).reply_header("retry-after", "300"));
            }
        }
        let configs = [
            of(&azure, ""),
            of(&azure, ", resource_group: g"),
            AzureConfig { subscription_id: "other".to_owned(), ..of(&azure, "") },
            AzureConfig { client_secret: "another".into(), ..of(&azure, "") },
        ];
        let told = failures_in_turn(&System::default(), &configs).await;
        assert_eq!(told, ["http_throttled", "sd_rest_slowed_down", "http_throttled", "http_throttled"]);
        azure.finish().await;
    });
}
