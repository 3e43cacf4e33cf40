//! What is shipped to run rosterd uses flags that exist, in files that parse.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use rosterd_testkit::{Folder, need};
use serde::Deserialize;
use serde_json::Value;

use crate::dashboard::{documented, problems};
use crate::links::has_anchor;
use crate::sources::{files, read, root};

const RBAC: &str = "rbac.authorization.k8s.io/v1";

/// The flags of `rosterd run`.
fn flags() -> BTreeSet<String> {
    let command = rosterd::cli::command();
    let run = command.find_subcommand("run").expect("rosterd run exists");
    run.get_arguments().filter_map(|argument| argument.get_long()).map(str::to_owned).collect()
}

/// The flags of rosterd that a text names, wherever in it.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '[' | ']' | '`'));
    let flags = words.filter_map(|word| word.strip_prefix("--"));
    let own = flags.filter(|flag| flag.contains('.')).filter_map(|flag| flag.split('=').next());
    own.map(str::to_owned).collect()
}

fn documents(text: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(text);
    documents.map(|document| Value::deserialize(document).expect("each document is YAML")).collect()
}

fn manifests() -> Vec<(String, Value)> {
    let all = files("deploy/kubernetes", ".yml").into_iter().flat_map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        documents(&std::fs::read_to_string(path).unwrap()).into_iter().map(move |document| (name.clone(), document))
    });
    all.collect()
}

#[test]
fn what_is_shipped_uses_flags_that_exist() {
    let known = flags();
    let mut pages: Vec<_> =
        ["README.md", "Dockerfile", "deploy/systemd/rosterd.service"].map(|page| root().join(page)).into();
    pages.extend(files("deploy/kubernetes", ".yml"));
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        // A container that is not rosterd has flags of its own.
        let text: String =
            text.lines().filter(|line| !line.contains("/etc/prometheus/consumer")).collect::<Vec<_>>().join("\n");
        let unknown: Vec<_> = named(&text).into_iter().filter(|flag| !known.contains(flag)).collect();
        assert!(unknown.is_empty(), "{} uses flags that rosterd run does not have: {unknown:?}", page.display());
    }
}

/// Every container that is rosterd.
fn containers() -> Vec<(String, Value, Value)> {
    let mut found = Vec::new();
    for (name, manifest) in manifests() {
        let pod = match manifest["kind"].as_str().expect("a manifest has a kind") {
            "Deployment" | "DaemonSet" => manifest["spec"]["template"]["spec"].clone(),
            "Pod" => manifest["spec"].clone(),
            _ => continue,
        };
        for container in pod["containers"].as_array().expect("a pod has containers") {
            if container["name"] == "rosterd" {
                found.push((name.clone(), pod.clone(), container.clone()));
            }
        }
    }
    found
}

/// Whether a configuration asks the API of Kubernetes.
fn asks(config: &str) -> bool {
    config.contains("kubernetes_sd_configs")
}

/// The configuration of rosterd in a file, and the account that it runs as there, if it needs one.
fn configured(file: &str) -> (String, Option<String>) {
    let of_file: Vec<_> = manifests().into_iter().filter(|(name, _)| name == file).map(|(_, it)| it).collect();
    let configs: Vec<_> = of_file.iter().filter_map(|it| it["data"]["prometheus.yml"].as_str()).collect();
    assert_eq!(configs.len(), 1, "{file}");
    let accounts = containers().into_iter().filter(|(name, ..)| name == file);
    let account = accounts.filter_map(|(_, pod, _)| Some(pod["serviceAccountName"].as_str()?.to_owned())).next();
    (configs[0].to_owned(), account)
}

#[test]
fn containers_run_with_no_rights_that_they_do_not_need() {
    let containers = containers();
    assert_eq!(containers.len(), 4, "the sidecar, two deployments and the daemon set");
    for (name, pod, container) in containers {
        let others = pod["initContainers"].as_array().cloned().unwrap_or_default();
        for one in others.iter().chain([&container]) {
            let own = &one["securityContext"];
            assert_eq!(own["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(own["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(own["capabilities"]["drop"], serde_json::json!(["ALL"]), "{name}");
        }
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
        let asks = asks(&configured(&name).0);
        assert_eq!(pod["automountServiceAccountToken"], asks, "{name}: who asks nothing of the API needs no token");
    }
}

#[test]
fn rights_are_those_that_check_config_prints() {
    for file in ["cluster.yml", "daemonset.yml", "deployment.yml", "sidecar.yml"] {
        let (config, account) = configured(file);
        let folder = Folder::new();
        let mut command = Command::new(env!("CARGO_BIN_EXE_rosterd"));
        command.args(["check", "config", "--syntax-only", "--rbac"]).arg(folder.write("prometheus.yml", config));
        if let Some(account) = account {
            command.arg(format!("--rbac-service-account=monitoring/{account}"));
        }
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
        let printed: Vec<_> = documents(&said).into_iter().filter(|document| !document.is_null()).collect();
        let shipped = manifests().into_iter().filter(|(name, it)| name == file && it["apiVersion"] == RBAC);
        let shipped: Vec<_> = shipped.map(|(_, manifest)| manifest).collect();
        assert_eq!(shipped, printed, "{file} should have these rights:\n{said}");
    }
}

#[test]
fn each_node_asks_for_its_own_pods() {
    let (config, _) = configured("daemonset.yml");
    let container = containers().into_iter().find(|(name, ..)| name == "daemonset.yml").expect("it is shipped").2;
    let variable = &container["env"][0];
    assert_eq!(variable["valueFrom"]["fieldRef"]["fieldPath"], "spec.nodeName");
    let folder = Folder::new();
    let file = folder.write("prometheus.yml", config);
    let check = |name: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rosterd"));
        command.env(name, "worker-1.example").args(["check", "config", "--fatal-warnings"]).arg(&file);
        command
    };
    succeeds(&mut check(variable["name"].as_str().expect("a variable has a name")));
    let output = check("ANOTHER_NAME").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("selectors[0].field"), "{said}");
}

#[test]
fn volumes_that_are_mounted_are_there_and_probes_ask_ports_that_are_open() {
    for (name, pod, container) in containers() {
        let names = |list: &Value| -> BTreeSet<String> {
            let list = list.as_array().cloned().unwrap_or_default();
            list.iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
        };
        let (mounted, volumes) = (names(&container["volumeMounts"]), names(&pod["volumes"]));
        assert!(mounted.is_subset(&volumes), "{name}: {mounted:?} of {volumes:?}");
        for (probe, path) in [("livenessProbe", "/-/healthy"), ("readinessProbe", "/-/ready")] {
            let get = &container[probe]["httpGet"];
            assert_eq!(get["path"], path, "{name}");
            assert!(names(&container["ports"]).contains(get["port"].as_str().unwrap()), "{name}: {probe}");
        }
    }
}

/// How long rosterd takes to end, as it is run: `--shutdown.timeout`, or its default.
fn shutdown(args: &[String]) -> Duration {
    let given = args.iter().find_map(|arg| arg.strip_prefix("--shutdown.timeout="));
    let command = rosterd::cli::command();
    let run = command.find_subcommand("run").expect("rosterd run exists");
    let flag = run.get_arguments().find(|argument| argument.get_long() == Some("shutdown.timeout"));
    let default = flag.expect("there is this flag").get_default_values()[0].to_str().unwrap();
    let duration: rosterd_model::Duration = given.unwrap_or(default).parse().unwrap();
    duration.as_std()
}

/// The value of a key of the unit.
fn unit(key: &str) -> String {
    let text = read("deploy/systemd/rosterd.service");
    let values: Vec<_> = text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect();
    assert_eq!(values.len(), 1, "{key} stands there once: {values:?}");
    values[0].to_owned()
}

#[test]
fn nobody_is_killed_while_ending_in_order() {
    // What is left of the time is for the start of signals and the last wait for threads.
    let enough = |grace: Duration, shutdown: Duration| grace >= shutdown + Duration::from_secs(5);
    for (name, pod, container) in containers() {
        let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
        let args: Vec<String> = serde_json::from_value(container["args"].clone()).unwrap();
        assert!(enough(Duration::from_secs(grace), shutdown(&args)), "{name}: {grace} s");
    }
    let args: Vec<_> = unit("ExecStart").split(' ').map(str::to_owned).collect();
    let grace: rosterd_model::Duration = unit("TimeoutStopSec").parse().unwrap();
    assert!(enough(grace.as_std(), shutdown(&args)));
}

#[test]
fn the_image_is_built_from_all_crates() {
    let (manifest, sent) = (read("Cargo.toml"), read(".dockerignore"));
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = [")).expect("there are members");
    let members: Vec<_> = members.trim_end_matches(']').split(", ").map(|member| member.trim_matches('"')).collect();
    assert!(members.contains(&"model"), "{members:?}");
    let missing: Vec<_> =
        members.iter().filter(|member| !sent.lines().any(|line| line == format!("!{member}"))).collect();
    assert!(missing.is_empty(), ".dockerignore keeps {missing:?} out of the image");
    // And from the pages that are part of the binary.
    let texts = files("src", ".rs").into_iter().map(read).collect::<String>();
    let pages = texts.split("const PAGE: &str = include_str!(\"../../").skip(1);
    let pages: Vec<_> = pages.filter_map(|rest| rest.split('"').next()).collect();
    assert!(
        !pages.is_empty() && pages.iter().all(|page| sent.lines().any(|line| line == format!("!{page}"))),
        "{pages:?}"
    );
}

/// A size of Kubernetes.
fn quantity(text: &str) -> u64 {
    let (number, unit) = text.split_at(text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len()));
    let unit = match unit {
        "" => 1,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => panic!("{unit} is not known here"),
    };
    number.parse::<u64>().unwrap() * unit
}

#[test]
fn the_volume_has_room_for_a_full_queue() {
    let (queue, manifests) = (rosterd_config::DiskQueue::default().max_size.bytes(), manifests());
    let claims = manifests.iter().filter(|(_, manifest)| manifest["kind"] == "PersistentVolumeClaim");
    let sizes: Vec<_> = claims
        .map(|(_, claim)| quantity(claim["spec"]["resources"]["requests"]["storage"].as_str().unwrap()))
        .collect();
    assert_eq!(sizes.len(), 2);
    let nodes = containers().into_iter().filter(|(name, ..)| name == "daemonset.yml");
    let of_pods = nodes.flat_map(|(_, pod, _)| pod["volumes"].as_array().cloned().unwrap_or_default());
    let of_pods = of_pods.filter_map(|volume| Some(quantity(volume["emptyDir"]["sizeLimit"].as_str()?)));
    let sizes: Vec<_> = sizes.into_iter().chain(of_pods).collect();
    assert_eq!(sizes.len(), 3, "that of the daemon set");
    let least = queue + (1 << 30);
    assert!(sizes.iter().all(|size| *size >= least), "{sizes:?} for a queue of {queue} and what was discovered");
    // Where there is a smaller one, nothing is sent.
    for (name, manifest) in &manifests {
        let sends = manifest["data"].as_object().into_iter().flat_map(|data| data.values());
        let sends = sends.filter_map(Value::as_str).any(|text| text.contains("remote_write:"));
        let looked_at = ["cluster.yml", "deployment.yml", "daemonset.yml"].contains(&&**name);
        assert!(!sends || looked_at, "{name} sends, and its volume is not looked at");
    }
}

#[test]
fn there_are_as_many_open_files_as_targets() {
    assert!(unit("LimitNOFILE").parse::<u64>().unwrap() >= 1 << 20, "a target keeps a connection");
}

fn alerts() -> Vec<Value> {
    let rules = documents(&read("deploy/alerts/rosterd.yml")).remove(0);
    rules["groups"][0]["rules"].as_array().expect("a list of alerts").clone()
}

/// The labels that the texts of an alert name, as a legend does.
fn named_labels(alert: &Value) -> String {
    let texts = alert["annotations"].as_object().into_iter().flat_map(|texts| texts.values()).filter_map(Value::as_str);
    let labels = texts.flat_map(|text| text.split("$labels.").skip(1)).filter_map(|rest| {
        let end = rest.find(|it: char| !(it.is_ascii_alphanumeric() || it == '_')).unwrap_or(rest.len());
        (end > 0).then(|| format!("{{{{{}}}}}", &rest[..end]))
    });
    labels.collect()
}

#[test]
fn alerts_ask_for_metrics_and_labels_that_exist_and_name_those_that_are_left() {
    let known = documented();
    let alerts = alerts();
    assert!(!alerts.is_empty());
    for alert in &alerts {
        let expression = alert["expr"].as_str().unwrap();
        // Whether it is there at all is known to who scrapes it.
        if expression.starts_with("up{") {
            continue;
        }
        assert_eq!(problems(&known, expression, &named_labels(alert)), [""; 0], "{}", alert["alert"]);
    }
    let text = read("deploy/alerts/rosterd.yml");
    let braked = rosterd::roster::hold::HoldReason::Braked;
    assert!(text.contains(&format!("held_targets{{reason=\"{}\"}}", braked.as_str())), "that is what it is called");
}

#[test]
fn what_an_operator_has_to_see_of_the_journal_publications_and_held_targets_is_asked_for() {
    let asked = read("deploy/alerts/rosterd.yml") + &read("deploy/grafana/rosterd.json");
    let words: BTreeSet<_> = asked.split(|it: char| !(it.is_ascii_alphanumeric() || it == '_')).collect();
    let parts = ["journal_", "reconcile_", "roster_brakes_", "roster_held_", "roster_job_presence", "roster_store_"];
    let missing: Vec<_> = documented()
        .into_keys()
        .filter(|name| {
            parts.iter().any(|part| name.strip_prefix("rosterd_").is_some_and(|name| name.starts_with(part)))
        })
        .filter(|name| !words.contains(&**name))
        .collect();
    assert_eq!(missing, [""; 0], "no alert and no panel asks for these");
}

/// An alert that fires on what rosterd can say is one that can fire.
#[test]
fn every_alert_is_seen_to_fire_on_series_that_rosterd_has() {
    let (known, mut fired) = (documented(), BTreeSet::new());
    for path in files("testdata/alerts", ".yml") {
        let file: Value = serde_yaml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for test in file["tests"].as_array().expect("there are tests") {
            for series in test["input_series"].as_array().expect("there are series") {
                let series = series["series"].as_str().unwrap();
                if !series.starts_with("up{") {
                    assert_eq!(problems(&known, series, ""), [""; 0], "{series} in {}", path.display());
                }
            }
            let fires = |case: &&Value| case["exp_alerts"].as_array().is_some_and(|alerts| !alerts.is_empty());
            let cases = test["alert_rule_test"].as_array().expect("there are cases").iter().filter(fires);
            fired.extend(cases.map(|case| case["alertname"].as_str().unwrap().to_owned()));
        }
    }
    let all: BTreeSet<_> = alerts().iter().map(|alert| alert["alert"].as_str().unwrap().to_owned()).collect();
    assert_eq!(fired, all, "promtool is told when each fires, in testdata/alerts");
}

fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said));
}

#[test]
fn promtool_takes_the_alerts() {
    succeeds(
        Command::new(need("promtool", "prometheus"))
            .arg("check")
            .arg("rules")
            .arg(root().join("deploy/alerts/rosterd.yml")),
    );
}

#[test]
fn every_alert_leads_to_a_page_that_says_more() {
    for alert in alerts() {
        let name = &alert["alert"];
        let link = alert["annotations"]["runbook_url"].as_str().unwrap_or_else(|| panic!("{name} has no runbook_url"));
        let pages = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/");
        let (page, anchor) = link.strip_prefix(pages).and_then(|rest| rest.split_once('#')).expect(link);
        assert!(has_anchor(&read(format!("docs/{page}")), anchor), "{name}: there is no {link}");
    }
}

#[test]
fn alerts_fire_in_words_that_name_whom_they_are_about_and_others_stay_quiet() {
    let folder = root().join("testdata/alerts");
    let mut command = Command::new(need("promtool", "prometheus"));
    command.args(["test", "rules"]);
    for entry in std::fs::read_dir(folder).unwrap() {
        command.arg(entry.unwrap().path());
    }
    succeeds(&mut command);
}

#[test]
fn systemd_calls_the_unit_safe() {
    let mut command = Command::new(need("systemd-analyze", "systemd"));
    // From 0, nothing is exposed, to 10.
    command.args(["security", "--offline=true", "--threshold=20"]).arg(root().join("deploy/systemd/rosterd.service"));
    succeeds(&mut command);
}

#[test]
fn templates_that_are_shipped_are_templates_and_their_settings_are_good() {
    let folder = root().join("deploy/templates");
    let mut templates = files("deploy/templates", ".tmpl");
    templates.sort();
    assert_eq!(templates.len(), 2);
    for template in &templates {
        let examined = rosterd::publish::templates::examine(template);
        examined.unwrap_or_else(|error| panic!("{error}"));
    }
    let own = Folder::new();
    let main = own.write("prometheus.yml", "scrape_configs: [{job_name: web}]\n");
    let (registry, env) = (rosterd_discovery::Registry::linked().unwrap(), |_: &str| None);
    let options = rosterd_config::LoadOptions {
        allow_exec: false,
        allow_template_commands: true,
        examine: false,
        impossible: None,
        template: None,
        env: &env,
    };
    let loaded = rosterd_config::Config::load(&main, Some(&folder.join("rosterd.yml")), &registry, &options);
    let loaded = loaded.unwrap_or_else(|errors| panic!("{errors}"));
    let sources: Vec<_> = loaded.config.rosterd.templates.iter().map(|template| template.source.clone()).collect();
    assert_eq!(sources, templates, "each is used once");
}
