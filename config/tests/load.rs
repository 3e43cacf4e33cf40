//! Loading a configuration from outside: inheritance, places, warnings, several files, and what is shown.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use std::path::PathBuf;

use rosterd_config::{Config, ConfigErrors, EscapingScheme, LoadOptions, Loaded, ScrapeProtocol, code};
use rosterd_discovery::Registry;
// The mechanisms that the files here use.
use rosterd_discovery_http as _;
use rosterd_discovery_kubernetes as _;
use rosterd_discovery_static as _;
use rosterd_model::{Coded, Duration, NameScheme};

struct Folder(tempfile::TempDir);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = folder.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self, own: Option<&str>) -> Result<Loaded, ConfigErrors> {
        self.load_with(own, false)
    }

    fn load_with(&self, own: Option<&str>, examine: bool) -> Result<Loaded, ConfigErrors> {
        self.load_as(own, examine, false)
    }

    fn load_as(&self, own: Option<&str>, examine: bool, commands: bool) -> Result<Loaded, ConfigErrors> {
        let env = |name: &str| (name == "REGION").then(|| "eu".to_owned());
        let own = own.map(|own| self.path(own));
        let options = LoadOptions {
            allow_exec: false,
            allow_template_commands: commands,
            examine,
            impossible: None,
            template: None,
            env: &env,
        };
        Config::load(&self.path("prometheus.yml"), own.as_deref(), &Registry::linked().unwrap(), &options)
    }
}

fn loaded(text: &str) -> Loaded {
    Folder::with(&[("prometheus.yml", text)]).load(None).unwrap_or_else(|errors| panic!("{errors}"))
}

/// `line:column code path` of each problem.
fn places(errors: &ConfigErrors) -> Vec<String> {
    let place = |p: &rosterd_config::Problem| format!("{}:{} {} {}", p.line, p.column, p.code, p.key);
    errors.problems.iter().map(place).collect()
}

fn problems(text: &str) -> Vec<String> {
    let errors = Folder::with(&[("prometheus.yml", text)]).load(None).expect_err(text);
    assert_eq!(errors.code(), code::INVALID_CONFIG);
    places(&errors)
}

#[test]
fn an_empty_file_has_all_defaults() {
    for text in ["", "# nothing\n", "global:\nruntime:\nscrape_configs:\n", "global: {}"] {
        let Loaded { config, warnings, .. } = loaded(text);
        assert_eq!(config, Config::default(), "{text:?}");
        assert_eq!(warnings, [], "{text:?}");
        assert_eq!(config.global.scrape_interval, Duration::from_secs(60));
        assert_eq!(config.global.scrape_timeout, Duration::from_secs(10));
    }
}

#[test]
fn jobs_inherit_from_global() {
    let config = loaded(
        "
global:
  scrape_interval: 5s
  target_limit: 7
  convert_classic_histograms_to_nhcb: yes
  metric_name_validation_scheme: legacy
scrape_configs:
  - job_name: plain
  - job_name: own
    scrape_interval: 2m
    scrape_timeout: 1m
    target_limit: 9
    scrape_native_histograms: true
    convert_classic_histograms_to_nhcb: false
    metric_name_validation_scheme: utf8
  - job_name: 7
    scrape_interval:
    honor_timestamps:
",
    )
    .config;
    let [plain, own, nothing] = config.scrape_configs.as_slice() else { panic!("{config:?}") };
    assert_eq!(plain.settings.scrape_interval, Duration::from_secs(5));
    assert_eq!(plain.settings.scrape_timeout, Duration::from_secs(5));
    assert_eq!((plain.settings.target_limit, plain.convert_classic_histograms_to_nhcb()), (7, true));
    assert_eq!(plain.name_scheme(), NameScheme::Legacy);
    assert_eq!(plain.settings.metric_name_escaping_scheme, Some(EscapingScheme::Underscores));
    assert_eq!(plain.settings.scrape_protocols.as_deref(), Some(&ScrapeProtocol::DEFAULT[..]));
    assert_eq!(own.settings.scrape_timeout, Duration::from_secs(60));
    assert_eq!((own.settings.target_limit, own.convert_classic_histograms_to_nhcb()), (9, false));
    assert_eq!(own.settings.metric_name_escaping_scheme, Some(EscapingScheme::AllowUtf8));
    assert_eq!(own.settings.scrape_protocols.as_ref().unwrap()[0], ScrapeProtocol::PrometheusProto);
    assert_eq!((nothing.job_name(), nothing.settings.honor_timestamps), ("7", false));
    assert_eq!(nothing.settings.scrape_interval, Duration::from_secs(5));
}

#[test]
fn all_problems_come_at_once_and_each_has_its_place() {
    let found = problems(
        "global:
  scrape_interal: 5s
  scrape_timeout: [10s]
scrape_configs:
  - job_name: a
    scrape_interval: 5sec
    sample_limit: -1
    honor_labels: perhaps
    relabel_configs:
      - {action: keepp, regex: x}
      - {source_labels: [a], regex: '(', action: keep}
      -
  - job_name: a
    gce_sd_configs: [{server: x}]
    metrics_pth: /m
  - {}
scrape_confg: []
",
    );
    assert_eq!(
        found,
        [
            "2:3 cfg_unknown_key global.scrape_interal",
            "3:19 cfg_invalid_type global.scrape_timeout",
            "6:22 cfg_invalid_value scrape_configs[0].scrape_interval",
            "7:19 cfg_invalid_value scrape_configs[0].sample_limit",
            "8:19 cfg_invalid_type scrape_configs[0].honor_labels",
            "10:18 cfg_invalid_value scrape_configs[0].relabel_configs[0].action",
            "11:37 cfg_invalid_rule scrape_configs[0].relabel_configs[1].regex",
            "12:8 cfg_empty_entry scrape_configs[0].relabel_configs[2]",
            "13:15 cfg_duplicate_name scrape_configs[1].job_name",
            "14:5 cfg_not_supported_yet scrape_configs[1].gce_sd_configs",
            "15:5 cfg_unknown_key scrape_configs[1].metrics_pth",
            "16:5 cfg_missing_key scrape_configs[2].job_name",
            "17:1 cfg_unknown_key scrape_confg",
        ]
    );
}

#[test]
fn one_key_of_an_entry_hides_nothing_of_the_others() {
    let entry = "scrape_configs[0].http_sd_configs[0]";
    for (text, found) in [
        ("url: ftp://a, refresh_interval: 0s, proxy_url: ':bad'", &["url", "refresh_interval", "proxy_url"][..]),
        ("url: ftp://a, refresh_intervall: 5s", &["url", "refresh_intervall"]),
        ("url: ftp://a, refresh_interval: [5s]", &["url", "refresh_interval"]),
        // What lacks may be what has a slip, or what is no text.
        ("urll: http://a, refresh_interval: 0s", &["urll", "refresh_interval"]),
        ("url: [http://a], proxy_url: ':bad'", &["url", "proxy_url"]),
    ] {
        let text = format!("scrape_configs:\n- job_name: a\n  http_sd_configs: [{{{text}}}]\n");
        let told: Vec<_> = problems(&text).iter().filter_map(|it| it.rsplit(' ').next().map(str::to_owned)).collect();
        let want: Vec<_> = found.iter().map(|key| format!("{entry}.{key}")).collect();
        assert_eq!(told, want, "{text}");
    }
}

#[test]
fn a_program_of_a_template_that_is_not_there_is_warned_of() {
    let folder = Folder::with(&[
        (
            "prometheus.yml",
            "rosterd: {templates: [{source: t, destination: d, check: [nosuchprogram, '{file}'], reload: [sh], verify: [./no]}]}",
        ),
        ("t", ""),
    ]);
    let warned = |examine| {
        let loaded = folder.load_as(None, examine, true).unwrap_or_else(|errors| panic!("{errors}"));
        loaded.warnings.iter().map(|it| format!("{} {}", it.code, it.key)).collect::<Vec<_>>()
    };
    let of = |key: &str| format!("cfg_no_file rosterd.templates[0].{key}[0]");
    assert_eq!(warned(true), [of("check"), of("verify")]);
    assert_eq!(warned(false), [""; 0]);
}

#[test]
fn problems_come_with_the_warnings_and_a_broken_rule_hides_nothing_that_it_does_not_touch() {
    let text = "
rule_files: [a.yml]
scrape_configs:
- job_name: a
  static_configs: [{targets: ['http://x']}]
  relabel_configs:
  - {action: keepp, regex: '('}
  - {action: drop}
- job_name: b
  static_configs: [{targets: ['http://x']}]
  relabel_configs:
  - {action: keepp, target_label: __address__}
";
    let errors = Folder::with(&[("prometheus.yml", text)]).load(None).unwrap_err();
    let rules = "scrape_configs[0].relabel_configs";
    assert_eq!(
        places(&errors),
        [
            "5:31 cfg_invalid_value scrape_configs[0].static_configs[0].targets[0]".to_owned(),
            format!("7:14 cfg_invalid_value {rules}[0].action"),
            format!("7:28 cfg_invalid_rule {rules}[0].regex"),
            "12:14 cfg_invalid_value scrape_configs[1].relabel_configs[0].action".to_owned(),
        ]
    );
    let warnings: Vec<_> = errors.warnings.iter().map(|w| format!("{} {} {}", w.line, w.code, w.key)).collect();
    assert_eq!(warnings, ["2 cfg_section_ignored rule_files".to_owned(), format!("8 cfg_constant_rule {rules}[1]")]);
    assert_eq!(serde_json::to_value(&errors).unwrap().as_array().map(Vec::len), Some(4), "problems alone are written");
}

#[test]
fn keys_in_the_wrong_file_are_sent_to_the_right_one() {
    let folder = Folder::with(&[
        ("prometheus.yml", "publish: {}\nscrape_config_files: [jobs.yml]\n"),
        ("jobs.yml", "global: {}\n"),
        ("own.yml", "scrape_configs: []\nready_grace_period: 1m\n"),
    ]);
    let errors = folder.load(Some("own.yml")).unwrap_err();
    let told = |name: &str| {
        let mut of_file = errors.problems.iter().filter(|problem| problem.file == folder.path(name));
        of_file.next().map(|problem| problem.message.rsplit("; ").next().unwrap_or_default().to_owned())
    };
    assert_eq!(told("prometheus.yml").as_deref(), Some("it belongs below `rosterd:`"));
    for name in ["jobs.yml", "own.yml"] {
        let wanted = "it belongs at the left margin of the file of --config.file";
        assert_eq!(told(name).as_deref(), Some(wanted), "{name}");
    }
}

#[test]
fn the_message_names_the_key_that_was_meant() {
    let folder = Folder::with(&[("prometheus.yml", "scrape_configs: [{job_name: a, scrape_interal: 5s}]")]);
    let shown = folder.load(None).unwrap_err().to_string();
    let wanted = "unknown key `scrape_interal` in scrape_configs[0]; did you mean `scrape_interval`?";
    assert!(shown.contains(wanted), "{shown}");
    assert!(shown.contains(&format!("{}:1:32:", folder.path("prometheus.yml").display())), "{shown}");
}

#[test]
fn external_labels_take_variables_of_the_environment() {
    let Loaded { config, warnings, .. } = loaded("global: {external_labels: {a: '${REGION}-$$1', b: 'x$NONE', c: 5}}");
    let labels: Vec<_> = config.global.external_labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(labels, ["a=eu-$1", "b=x", "c=5"]);
    let shown: Vec<_> = warnings.iter().map(|warning| (warning.code, warning.key.as_str())).collect();
    assert_eq!(shown, [(code::UNDEFINED_VARIABLE, "global.external_labels.b")]);
}

#[test]
fn selectors_of_kubernetes_take_variables_of_the_environment() {
    let selectors = "[{role: pod, label: 'region=$REGION', field: 'spec.nodeName=${NONE}'}]";
    let configs = format!("[{{role: node}}, {{role: pod, selectors: {selectors}}}]");
    let text = format!("scrape_configs: [{{job_name: a, kubernetes_sd_configs: {configs}}}]");
    let Loaded { config, warnings, .. } = loaded(&text);
    let shown = serde_json::to_value(&*config.scrape_configs[0].discovery[1]).unwrap();
    assert_eq!(shown["selectors"][0]["label"], "region=eu");
    assert_eq!(shown["selectors"][0]["field"], "spec.nodeName=");
    let told: Vec<_> = warnings.iter().map(|it| format!("{}:{} {} {}", it.line, it.column, it.code, it.key)).collect();
    let column = text.find("'spec").unwrap() + 1;
    let key = "scrape_configs[0].kubernetes_sd_configs[1].selectors[0].field";
    assert_eq!(told, [format!("1:{column} {} {key}", code::UNDEFINED_VARIABLE)]);
}

#[test]
fn what_has_no_effect_is_told_once() {
    let warnings = loaded(
        "
rule_files: [a.rules, b.rules]
alerting: {alertmanagers: [{static_configs: [{targets: [a]}], kubernetes_sd_configs: [{role: pod}]}]}
storage: {tsdb: {out_of_order_time_window: 5m}}
remote_read: [{url: 'http://a'}]
scrape_configs: [{job_name: a, sample_limit: 5, honor_labels: true}]
",
    )
    .warnings;
    let shown: Vec<_> = warnings.iter().map(|w| format!("{} {}", w.code, w.key)).collect();
    assert_eq!(
        shown,
        [
            "cfg_section_ignored rule_files",
            "cfg_section_ignored alerting",
            "cfg_section_ignored storage",
            "cfg_section_ignored remote_read",
            "cfg_not_scraped scrape_configs[0].sample_limit",
        ]
    );
}

#[test]
fn merge_keys_and_anchors_work_in_sections() {
    let config = loaded(
        "
scrape_configs:
  - &base
    job_name: a
    scrape_interval: 7s
    scrape_timeout: 7s
    relabel_configs: &rules [{target_label: x, replacement: y}]
  - <<: *base
    job_name: b
    relabel_configs: *rules
",
    )
    .config;
    let [a, b] = config.scrape_configs.as_slice() else { panic!("{config:?}") };
    assert_eq!((b.job_name(), b.settings.scrape_interval), ("b", a.settings.scrape_interval));
    assert_eq!((a.relabel.len(), b.relabel.len()), (1, 1));
}

#[test]
fn jobs_of_other_files_are_read_and_their_paths_are_their_own() {
    let folder = Folder::with(&[
        ("prometheus.yml", "scrape_config_files: ['jobs/*.yml']\nscrape_configs: [{job_name: main}]"),
        ("jobs/b.yml", "scrape_configs: [{job_name: b, basic_auth: {password_file: pw}}]"),
        ("jobs/a.yml", "scrape_configs: [{job_name: a}]"),
        ("jobs/c.txt", "not yaml: ["),
    ]);
    let loaded = folder.load(None).unwrap_or_else(|errors| panic!("{errors}"));
    let names: Vec<_> = loaded.config.scrape_configs.iter().map(|job| job.job_name()).collect();
    assert_eq!(names, ["main", "a", "b"]);
    let auth = loaded.config.scrape_configs[2].client().basic_auth.clone().unwrap();
    assert_eq!(auth.password_file, folder.path("jobs/pw"));
    assert_eq!(loaded.files, ["prometheus.yml", "jobs/a.yml", "jobs/b.yml"].map(|name| folder.path(name)));
    assert_eq!(folder.load(None).unwrap().checksum, loaded.checksum);
    std::fs::write(folder.path("jobs/a.yml"), "scrape_configs: [{job_name: main}]\nglobal: {}").unwrap();
    let errors = folder.load(None).unwrap_err();
    let shown: Vec<_> = errors.problems.iter().map(|p| (p.file.clone(), p.code)).collect();
    let file = folder.path("jobs/a.yml");
    assert_eq!(shown, [(file.clone(), code::DUPLICATE_NAME), (file, code::UNKNOWN_KEY)]);
}

#[test]
fn a_folder_of_jobs_that_cannot_be_read_is_not_a_folder_without_jobs() {
    let folder = Folder::with(&[("prometheus.yml", "scrape_config_files: ['jobs/*.yml']")]);
    assert_eq!(folder.load(None).unwrap().config.scrape_configs.len(), 0, "it is not there, as in Prometheus");
    // Whoever runs the tests may be allowed to read every folder; a name of this length cannot be looked up by anybody.
    let text = format!("scrape_config_files: ['{}/*.yml']", "x".repeat(300));
    std::fs::write(folder.path("prometheus.yml"), text).unwrap();
    let errors = folder.load(None).unwrap_err();
    assert_eq!((errors.problems.len(), errors.problems[0].code), (1, code::UNREADABLE), "{errors}");
}

#[test]
fn a_check_looks_into_files_that_are_named() {
    let folder = Folder::with(&[
        (
            "prometheus.yml",
            "scrape_configs:\n- job_name: a\n  scheme: htps\n  authorization: {credentials_file: no}\n  http_sd_configs:\n  \
             - {url: 'http://a', tls_config: {ca_file: ca.pem}, basic_auth: {username: x, password_file: pw}}\n\
             remote_write:\n- {url: 'http://b', tls_config: {cert_file: c.pem, key_file: k.pem}}\n",
        ),
        ("pw", "x"),
    ]);
    assert!(folder.load(None).is_ok(), "who runs waits for files");
    let wanted = [
        "3:11 cfg_invalid_value scrape_configs[0].scheme",
        "4:37 cfg_unreadable scrape_configs[0].authorization.credentials_file",
        "6:45 cfg_unreadable scrape_configs[0].http_sd_configs[0].tls_config.ca_file",
        "8:45 cfg_unreadable remote_write[0].tls_config.cert_file",
        "8:62 cfg_unreadable remote_write[0].tls_config.key_file",
    ];
    assert_eq!(places(&folder.load_with(None, true).unwrap_err()), wanted);
}

#[test]
fn a_broken_line_or_a_key_twice_hides_nothing_else() {
    let found = problems(
        "global: {scrape_timeot: 1s}\nglobal: {}\nscrape_configs:\n- job_name: a\n  scrape_interval: 1x\n- scheme: [\n\
         remote_write:\n- {ur: 'http://a'}\n",
    );
    let wanted = [
        "1:10 cfg_unknown_key global.scrape_timeot",
        "2:1 cfg_duplicate_key global",
        "5:20 cfg_invalid_value scrape_configs[0].scrape_interval",
        "8:1 cfg_syntax ",
        "8:4 cfg_unknown_key remote_write[0].ur",
    ];
    assert_eq!(found, wanted);
}

#[test]
fn patterns_are_those_of_go_and_what_is_none_is_refused() {
    let job = |name: &str| format!("scrape_configs: [{{job_name: '{name}'}}]");
    let folder = Folder::with(&[
        ("prometheus.yml", "scrape_config_files: ['[!a].yml', '**1.yml', 'x\\[1\\].yaml']"),
        ("b.yml", &job("no")),
        ("!.yml", &job("exclamation")),
        ("y1.yml", &job("star")),
        ("x[1].yaml", &job("escaped")),
        ("x1.yaml", &job("no")),
    ]);
    let loaded = folder.load(None).unwrap_or_else(|errors| panic!("{errors}"));
    let names: Vec<_> = loaded.config.scrape_configs.iter().map(|job| job.job_name()).collect();
    assert_eq!(names, ["exclamation", "star", "escaped"]);
    let found = problems("scrape_config_files: ['jobs/[a', 'jobs/x\\', 'j*/a.yml']\nrule_files: ['[]']");
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(found.iter().all(|problem| problem.contains("cfg_invalid_value")), "{found:#?}");
}

#[test]
fn own_settings_come_from_either_file_or_from_both() {
    let folder = Folder::with(&[
        ("prometheus.yml", "scrape_configs: [{job_name: a}, {job_name: b}]\nrosterd: {jobs: {a: {scrape: false}}}\n"),
        ("conf/rosterd.yml", "publish: {file_sd: [{path: 'out/{job}.json'}]}\njobs: {b: {scrape: false}}\n"),
        ("twice.yml", "jobs: {a: {scrape: true}}"),
    ]);
    let config = folder.load(Some("conf/rosterd.yml")).unwrap_or_else(|errors| panic!("{errors}")).config;
    assert_eq!(config.scrape_configs.iter().map(|job| job.scrape).collect::<Vec<_>>(), [false, false]);
    assert_eq!(config.rosterd.file_outputs(["a"])[0].path, folder.path("conf/out/a.json"));
    let errors = folder.load(Some("twice.yml")).unwrap_err();
    assert_eq!(places(&errors), ["1:20 cfg_conflicting_keys rosterd.jobs.a.scrape"]);
    assert!(errors.to_string().contains("prometheus.yml:2:"), "{errors}");
}

#[test]
fn whether_targets_are_scraped_is_a_flag_or_a_map() {
    for (text, enabled, rest) in [
        ("true", Some(true), "0s"),
        ("off", Some(false), "0s"),
        ("", None, "0s"),
        ("{}", None, "0s"),
        ("{honor_retry_after: 1m}", None, "1m"),
        ("{enabled: , honor_retry_after: 90s}", None, "1m30s"),
        ("{enabled: no}", Some(false), "0s"),
    ] {
        let config = loaded(&format!("rosterd: {{scrape: {text}}}")).config;
        let scrape = config.rosterd.scrape;
        assert_eq!((scrape.enabled, scrape.honor_retry_after.to_string().as_str()), (enabled, rest), "{text}");
        assert_eq!(loaded(&config.to_yaml()).config.rosterd, config.rosterd, "{text}");
    }
    for (text, place, words) in [
        ("{enable: true}", "1:20 cfg_unknown_key rosterd.scrape.enable", "did you mean `enabled`?"),
        ("[true]", "1:19 cfg_invalid_type rosterd.scrape", "expected true, false, or a map of keys and values"),
        ("5", "1:19 cfg_invalid_type rosterd.scrape", "expected true, false, or a map of keys and values"),
        ("{enabled: 5}", "1:29 cfg_invalid_type rosterd.scrape.enabled", "expected true or false"),
    ] {
        let folder = Folder::with(&[("prometheus.yml", &format!("rosterd: {{scrape: {text}}}"))]);
        let errors = folder.load(None).unwrap_err();
        assert_eq!(places(&errors), [place]);
        assert!(errors.to_string().contains(words), "{errors}");
    }
}

#[test]
fn what_is_shown_hides_secrets_and_reads_back() {
    let text = "
global: {scrape_interval: 5s, scrape_timeout: 4s, external_labels: {a: b}}
scrape_configs:
  - job_name: a
    params: {z: ['1'], a: [b]}
    basic_auth: {username: u, password: hunter2}
    relabel_configs: [{target_label: x, replacement: y}]
remote_write:
  - url: http://u:hunter2@host/w
    headers: {X-Key: hunter2}
    sigv4: {access_key: k, secret_key: hunter2}
";
    let shown = loaded(text).config.to_yaml();
    assert!(!shown.contains("hunter2") && shown.contains("password: <secret>"), "{shown}");
    let keys =
        ["global:", "runtime:", "scrape_configs:", "job_name:", "basic_auth:", "relabel_configs:", "remote_write:"];
    let order = keys.map(|key| shown.find(key).unwrap_or_else(|| panic!("{key} in {shown}")));
    assert!(order.is_sorted(), "{shown}");
    assert_eq!(loaded(&shown).config.to_yaml(), shown);
}

#[test]
fn equal_jobs_are_equal_and_others_are_not() {
    let text = "scrape_configs: [{job_name: a, basic_auth: {password: p}}, {job_name: b}]";
    let (one, same) = (loaded(text).config, loaded(&format!("# moved\n{text}")).config);
    assert_eq!(one.scrape_configs, same.scrape_configs);
    let other = loaded(&text.replace("password: p", "password: q")).config;
    assert_ne!(one.job("a"), other.job("a"));
    assert_eq!(one.job("b"), other.job("b"));
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let folder = Folder::with(&[]);
    let errors = folder.load(None).unwrap_err();
    assert_eq!(errors.problems[0].code, code::UNREADABLE);
    assert!(errors.to_string().starts_with(&folder.path("prometheus.yml").display().to_string()), "{errors}");
}
