//! `rosterd check`.

use std::io::Write;
use std::process::Stdio;

use rosterd_testkit::assert_golden;

use super::{Ended, rosterd, run};

const GOOD: &str = "check/warned.yml: good, 1 job; nothing is scraped, because there is no remote_write\n";

#[test]
fn all_problems_of_a_configuration_are_told_with_their_places() {
    let ended = run(&["check", "config", "check/bad.yml"]);
    assert_eq!((ended.status, ended.output.as_str()), (Some(1), ""));
    assert_golden("cli/check/bad.golden.txt", &ended.errors);
}

#[test]
fn a_bad_file_does_not_hide_a_good_one() {
    let ended = run(&["check", "config", "check/no-such-file.yml", "check/warned.yml"]);
    assert_eq!((ended.status, ended.output.as_str()), (Some(1), GOOD));
    assert!(ended.errors.contains("check/no-such-file.yml: cannot read the file: "), "{}", ended.errors);
}

#[test]
fn warnings_are_fatal_only_when_that_is_asked_for() {
    let ended = run(&["check", "config", "check/warned.yml"]);
    assert_eq!(ended.status, Some(0));
    assert!(ended.errors.starts_with("warning: check/warned.yml:1:1: rule_files "), "{}", ended.errors);
    let ended = run(&["check", "config", "--fatal-warnings", "check/warned.yml"]);
    assert_eq!((ended.status, ended.output.as_str()), (Some(1), ""));
}

#[test]
fn problems_hide_no_warnings_and_no_other_problems() {
    let folder = rosterd_testkit::Folder::new();
    let text = "rule_files: [a.yml]
scrape_configs:
- job_name: a
  static_configs: [{targets: ['http://a', 'http://b@c']}]
  relabel_configs:
  - {action: keepp, regex: '('}
  metric_relabel_configs:
  - {action: drop}
";
    let file = folder.write("prometheus.yml", text);
    let name = file.to_str().expect("folders have plain names");
    let ended = run(&["check", "config", name]);
    let told = ended.errors;
    for place in ["warning: {}:1:1: ", "{}:4:31: ", "{}:4:43: ", "{}:6:14: ", "{}:6:28: ", "warning: {}:8:5: "] {
        let place = place.replace("{}", name);
        assert!(told.lines().any(|line| line.starts_with(&place)), "{place} is not told:\n{told}");
    }
    let caret = told.lines().skip_while(|line| !line.contains(":4:43: ")).nth(2);
    assert_eq!(caret, Some(format!("   | {}^", " ".repeat(18)).as_str()), "it points at what is hidden:\n{told}");
    let ended = run(&["check", "config", "--output=json", name]);
    let told: serde_json::Value = serde_json::from_str(&ended.output).expect("it is JSON");
    let codes = |key: &str| {
        let list = told[key].as_array().cloned().unwrap_or_default();
        list.iter().map(|one| one["code"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert!(codes("warnings").contains(&"cfg_constant_rule".to_owned()), "{told}");
    assert_eq!(codes("problems"), ["cfg_invalid_value", "cfg_invalid_value", "cfg_invalid_value", "cfg_invalid_rule"]);
}

#[test]
fn files_that_are_named_are_looked_into_and_all_of_it_is_a_list_for_programs() {
    let folder = rosterd_testkit::Folder::new();
    let list = folder.write("list.yml", "- targets: [a:1]\n  labls: {a: b}\n");
    let text = "scrape_configs:\n- job_name: a\n  file_sd_configs: [{files: [list.yml, none.json]}]\n";
    let file = folder.write("prometheus.yml", text);
    let name = file.to_str().expect("folders have plain names");
    let ended = run(&["check", "config", name]);
    let list = list.display();
    let wanted = format!(
        "{list}:2:3: [0].labls: unknown key `labls` in a target group; did you mean `labels`? (cfg_unknown_key)\n 2 |   labls: {{a: b}}\n   |   ^\n"
    );
    assert!(ended.status == Some(1) && ended.errors.contains(&wanted), "{}", ended.errors);
    let ended = run(&["check", "config", "--output=json", name]);
    let told: serde_json::Value = serde_json::from_str(&ended.output).expect("it is JSON");
    let problem = &told["problems"][0];
    assert_eq!((&problem["line"], &problem["key"]), (&2.into(), &"[0].labls".into()), "{told}");
    let ended = run(&["check", "config", "--syntax-only", name]);
    assert_eq!(ended.status, Some(0), "{}", ended.errors);
}

#[test]
fn what_cannot_be_a_target_of_its_job_is_told_at_its_place() {
    let folder = rosterd_testkit::Folder::new();
    folder.write(
        "list.json",
        "[\n {\"targets\": [\"a:1\", \"a/b\"]},\n {\"targets\": [\"a:1\"],\n  \"labels\": {\"__scrape_timeout__\": \"2h\"}}]",
    );
    folder.write("list.yml", "- targets: [a:1]\n  labels: {__scrape_interval__: 0s}\n- targets:\n  - a:1\n  - ''\n");
    let text = "
scrape_configs:
- job_name: plain
  static_configs:
  - targets: [a:1]
  - targets: ['b:1', '', 'http://c']
- job_name: listed
  file_sd_configs: [{files: [list.json, list.yml]}]
- job_name: emptied
  static_configs: [{targets: [gone, a:1]}]
  relabel_configs:
  - {source_labels: [__address__], regex: gone, target_label: __address__, replacement: ''}
- job_name: slashed
  static_configs: [{targets: [a:1]}]
  relabel_configs: [{target_label: __address__, replacement: a/b}]
- job_name: mended
  static_configs: [{targets: ['', 'http://a']}]
  relabel_configs: [{target_label: __address__, replacement: blackbox:9115}]
- job_name: dropped
  static_configs: [{targets: ['']}]
  relabel_configs: [{source_labels: [__address__], regex: '', action: drop}]
";
    let file = folder.write("prometheus.yml", text);
    let name = file.to_str().expect("folders have plain names");
    let told = |flags: &[&str]| {
        let ended = run(&[&["check", "config", "--output=json"], flags, &[name]].concat());
        let told: serde_json::Value = serde_json::from_str(&ended.output).expect("it is JSON");
        let line = |problem: &serde_json::Value| {
            let text = |key: &str| problem[key].as_str().unwrap_or_default().to_owned();
            let file = text("file").rsplit('/').next().unwrap_or_default().to_owned();
            let why = text("message").replace("this cannot be a target of the job ", "");
            format!("{file}:{}:{} {} {} {why}", problem["line"], problem["column"], text("key"), text("code"))
        };
        let problems: Vec<_> = told["problems"].as_array().expect("a list").iter().map(line).collect();
        assert_eq!(ended.status, Some(1), "{problems:#?}");
        problems
    };
    let code = "cfg_impossible_target";
    let as_left = "as the rules leave it (`rosterd relabel --job --explain` shows how)";
    let here = [
        format!("prometheus.yml:6:22 scrape_configs[0].static_configs[1].targets[1] {code} \"plain\": no address: write host:port, or remove it"),
        "prometheus.yml:6:26 scrape_configs[0].static_configs[1].targets[2] cfg_invalid_value \"http://c\" is not a host and port: leave out the scheme, and move the path to metrics_path or to the label __metrics_path__".to_owned(),
        format!("prometheus.yml:10:31 scrape_configs[2].static_configs[0].targets[0] {code} \"emptied\": no address, {as_left}"),
        format!("prometheus.yml:14:31 scrape_configs[3].static_configs[0].targets[0] {code} \"slashed\": \"a/b\" is not a host and port: the scheme goes into __scheme__, the path into __metrics_path__, {as_left}"),
    ];
    let lists = [
        format!(
            "list.json:2:22 [0].targets[1] {code} \"listed\": \"a/b\" is not a host and port: the scheme goes into __scheme__, the path into __metrics_path__"
        ),
        format!(
            "list.json:3:15 [1].targets[0] {code} \"listed\": the timeout 2h is greater than the interval 1m: lower it, or scrape less often"
        ),
        format!("list.yml:1:13 [0].targets[0] {code} \"listed\": __scrape_interval__ cannot be 0"),
        format!("list.yml:5:5 [1].targets[1] {code} \"listed\": no address: write host:port, or remove it"),
    ];
    let mut all = told(&[]);
    all.sort();
    let mut wanted = [&here[..], &lists].concat();
    wanted.sort();
    assert_eq!(all, wanted);
    assert_eq!(told(&["--syntax-only"]), here);
}

#[test]
fn targets_that_can_never_be_reached_are_warned_of_at_their_places() {
    let folder = rosterd_testkit::Folder::new();
    folder.write("list.yml", "- targets: ['a:70000', 'a:1']\n");
    let text = "
scrape_configs:
- job_name: plain
  static_configs:
  - targets: ['127.0.0.1:99999', '127.0.0.1:http', 'a b:1', '“127.0.0.1:1”', ':9100', 'no.such.host', '[::1]:1']
- job_name: listed
  file_sd_configs: [{files: [list.yml]}]
- job_name: mended
  static_configs: [{targets: ['a:http']}]
  relabel_configs: [{target_label: __address__, replacement: blackbox:9115}]
- job_name: by-socket
  static_configs: [{targets: ['a:http'], labels: {__unix_socket__: /run/a}}]
";
    let file = folder.write("prometheus.yml", text);
    let ended = run(&["check", "config", "--output=json", file.to_str().expect("folders have plain names")]);
    let told: serde_json::Value = serde_json::from_str(&ended.output).expect("it is JSON");
    let of_targets = |warning: &&serde_json::Value| warning["code"] == "cfg_unreachable_target";
    let line = |warning: &serde_json::Value| {
        let text = |key: &str| warning[key].as_str().unwrap_or_default().to_owned();
        text("key") + " " + text("message").rsplit("://").next().unwrap_or_default()
    };
    let mut warnings: Vec<_> =
        told["warnings"].as_array().expect("a list").iter().filter(of_targets).map(line).collect();
    warnings.sort_by_key(|warning| warning.starts_with('['));
    let (port, host) =
        ("the port of the URL is not a number up to 65535", "the host of the URL is neither a name nor an address");
    let wanted = [
        format!("scrape_configs[0].static_configs[0].targets[0] 127.0.0.1:99999/metrics: {port}"),
        format!("scrape_configs[0].static_configs[0].targets[1] 127.0.0.1:http/metrics: {port}"),
        format!("scrape_configs[0].static_configs[0].targets[2] a%20b:1/metrics: {host}"),
        format!("scrape_configs[0].static_configs[0].targets[3] %E2%80%9C127.0.0.1:1%E2%80%9D/metrics: {host}"),
        format!("[0].targets[0] a:70000/metrics: {port}"),
    ];
    assert_eq!((ended.status, warnings.as_slice()), (Some(0), &wanted[..]), "{told:#}");
}

#[test]
fn of_urls_that_cannot_be_used_no_secret_is_told() {
    const BROKEN: [&str; 6] = [
        "http://u:hunter2@h:99999/p?sid=hunter2",
        "u:hunter2@h:99999/p?sid=hunter2",
        "ftp://u:hunter2@h/p?sid=hunter2",
        "http:/u:hunter2@h/p",
        "http://u:hun/hunter2@h/p?sid=hunter2",
        "h:99999/p?sid=hunter2#hunter2",
    ];
    let folder = rosterd_testkit::Folder::new();
    for url in BROKEN {
        // Without a scheme it may be a file.
        let file = if url.contains(":/") { url } else { "list.yml" };
        folder.write("list.yml", format!("- targets: ['{url}']\n"));
        let text = format!(
            "
scrape_configs:
- job_name: targets
  metrics_path: '/probe?sid=hunter2'
  params: {{sid: [hunter2]}}
  scheme: '{url}'
  proxy_url: '{url}'
  tls_config: {{server_name: '{url}'}}
  static_configs: [{{targets: ['{url}', 'u:hunter2@h:99999']}}]
  oauth2: {{client_id: a, token_url: '{url}', tls_config: {{server_name: '{url}'}}, proxy_url: '{url}'}}
- job_name: found
  static_configs:
  - targets: ['{url}']
  relabel_configs: [{{target_label: __scheme__, replacement: '{url}'}}]
  file_sd_configs: [{{files: [list.yml, '{file}']}}]
  http_sd_configs: [{{url: '{url}'}}, '{url}']
  consul_sd_configs: [{{server: '{url}'}}]
  dns_sd_configs: [{{names: ['{url}'], type: A, port: 1, nameservers: ['{url}']}}]
  kubernetes_sd_configs: [{{role: pod, api_server: '{url}'}}]
  docker_sd_configs: [{{host: '{url}'}}]
  ec2_sd_configs: [{{region: a, endpoint: '{url}'}}]
  nerve_sd_configs: [{{servers: ['{url}'], paths: ['{url}']}}]
  eureka_sd_configs: [{{server: '{url}'}}]
  marathon_sd_configs: [{{servers: ['{url}']}}]
  openstack_sd_configs: [{{role: instance, region: a, identity_endpoint: '{url}'}}]
  ovhcloud_sd_configs: [{{service: vps, application_key: a, application_secret: b, consumer_key: c, endpoint: '{url}'}}]
remote_write: [{{url: '{url}', proxy_url: '{url}'}}]
"
        );
        let of_keys = format!("rosterd:\n  remote_write: {{'{url}': {{compression: none}}}}\n  '{url}': 1\n");
        let text = text + if url.contains("://") { &of_keys } else { "" };
        let file = folder.write("prometheus.yml", &text);
        for output in ["text", "json"] {
            let flags = ["check", "config", "--output", output, file.to_str().expect("folders have plain names")];
            let ended = run(&flags);
            let told = ended.output + &ended.errors;
            assert_eq!((ended.status, told.contains("hunter2")), (Some(1), false), "{url}: {told}");
        }
    }
}

#[test]
fn of_one_list_a_few_impossible_targets_are_told_and_the_others_counted() {
    let folder = rosterd_testkit::Folder::new();
    let targets = vec!["''"; 1000].join(", ");
    let text = format!("scrape_configs:\n- job_name: a\n  static_configs: [{{targets: [{targets}]}}]\n");
    let file = folder.write("prometheus.yml", text);
    let ended = run(&["check", "config", file.to_str().expect("folders have plain names")]);
    assert_eq!(ended.errors.matches("no address").count(), 20, "{}", ended.errors);
    assert_eq!(ended.errors.matches("; and so it is with 980 more of this list").count(), 1, "{}", ended.errors);
}

#[test]
fn a_configuration_may_come_out_of_a_pipe_but_not_out_of_a_device() {
    for subcommand in ["config", "web-config"] {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let mut command = rosterd(&["check", subcommand, "/dev/stdin"]);
        let checking = command.stdin(reader).stdout(Stdio::piped()).spawn().expect("the binary starts");
        drop(command);
        writer.write_all(b"{}\n").expect("it reads");
        drop(writer);
        let output = checking.wait_with_output().expect("it ends");
        assert!(output.status.success() && output.stdout.starts_with(b"/dev/stdin: good"), "{output:?}");
        let refused = run(&["check", subcommand, "/dev/zero"]);
        assert!(refused.errors.contains("it is a device, not a file"), "{}", refused.errors);
    }
}

#[test]
fn web_configurations_are_checked() {
    let ended = run(&["check", "web-config", "check/web-bad.yml", "check/web-good.yml"]);
    assert_eq!((ended.status, ended.output.as_str()), (Some(1), "check/web-good.yml: good, without TLS\n"));
    assert_golden("cli/check/web-bad.golden.txt", &ended.errors);
    let output = "check/web-good.yml: good, without TLS\n".to_owned();
    let good = Ended { status: Some(0), output, errors: String::new() };
    assert_eq!(run(&["check", "web-config", "check/web-good.yml"]), good);
}

#[test]
fn a_command_line_that_cannot_be_meant_has_a_status_of_its_own() {
    for (arguments, hint) in [
        (&["--agent", "--config.file=x"][..], "rosterd is always an agent: leave --agent out"),
        (&["run", "--storage.agent.path=x"], "is set by --storage.path"),
        (&["--config.file=x"], "put `run` in front of it"),
        (&["run", "--storage.tsdb.retention.time=1d"], "rosterd stores no series"),
        (&["run", "--enable-feature=auto-reload-config"], "read by --config.auto-reload"),
        (&["run", "-promscrape.config=x"], "named by --config.file"),
    ] {
        let ended = run(arguments);
        assert_eq!(ended.status, Some(2), "{arguments:?}");
        assert!(ended.errors.contains(hint), "{}", ended.errors);
    }
    for arguments in [&["check", "config"][..], &["check", "config", "--no-such-flag", "x"], &["chekc"], &[]] {
        let ended = run(arguments);
        assert_eq!((ended.status, ended.output.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(ended.errors.contains("Usage: rosterd"), "{}", ended.errors);
    }
}

#[test]
fn the_rights_that_a_configuration_needs_are_printed_and_nothing_else() {
    let folder = rosterd_testkit::Folder::new();
    let jobs = "scrape_configs:
- job_name: a
  kubernetes_sd_configs:
  - {role: pod, namespaces: {own_namespace: true, names: [shop]}, attach_metadata: {node: true, deployment: true}}
  - {role: endpointslice, api_server: 'https://elsewhere.test'}
- job_name: b
  kubernetes_sd_configs: [{role: service}]
";
    let (good, bad) = (folder.write("good.yml", jobs), folder.write("bad.yml", jobs.replace("service", "servants")));
    let ended = run(&["check", "config", "--rbac", good.to_str().unwrap(), "--rbac-service-account=agents/roster"]);
    assert_eq!(ended.status, Some(0), "{}", ended.errors);
    assert_golden("cli/check/rbac.golden.yml", &ended.output);
    let ended = run(&["check", "config", "--rbac", good.to_str().unwrap(), bad.to_str().unwrap()]);
    assert_eq!((ended.status, ended.output.as_str()), (Some(1), ""), "half of the rights are not printed");
    let ended = run(&["check", "config", "--rbac", "--output=json", good.to_str().unwrap()]);
    assert!(ended.status != Some(0) && ended.errors.contains("cannot be used with"), "{}", ended.errors);
    let ended = run(&["check", "config", "--rbac", "check/warned.yml"]);
    assert!(ended.status == Some(0) && ended.output.starts_with("# Nothing is asked"), "{}", ended.output);
}

#[test]
fn templates_are_looked_at_unless_the_syntax_alone_is() {
    let folder = rosterd_testkit::Folder::new();
    let text = "scrape_configs: [{job_name: a}]
rosterd:
  templates:
  - {source: bad.tmpl, destination: a.conf, check: ['true']}
  - {source: none.tmpl, destination: b.conf}
";
    let file = folder.write("prometheus.yml", text);
    let bad = folder.write("bad.tmpl", "fine\n{% for x in %}\n");
    let name = file.to_str().expect("folders have plain names");
    let ended = run(&["check", "config", name]);
    assert!(ended.errors.contains("cfg_template_commands_disabled"), "{}", ended.errors);
    let ended = run(&["check", "config", "--templates.allow-commands", name]);
    assert_eq!(ended.status, Some(1));
    let none = folder.path("none.tmpl");
    let key = format!("{name}:5:14: rosterd.templates[1].source: {}: cannot read the file: ", none.display());
    for told in [format!("{}:2:1: syntax error: ", bad.display()), key] {
        assert!(ended.errors.contains(&told), "{told} is not told:\n{}", ended.errors);
    }
    let ended = run(&["check", "config", "--templates.allow-commands", "--syntax-only", name]);
    assert_eq!(ended.status, Some(0), "{}", ended.errors);
    assert!(ended.errors.contains("the check does not look at what was rendered"), "{}", ended.errors);
}
