//! The same configuration in rosterd and in a real Prometheus: equal `/api/v1/targets` and `/api/v1/scrape_pools`.

use std::collections::BTreeMap;

use rosterd_testkit::{Folder, Server, eventually_ok, fixture, leak_checked_live, patience};

use super::names::Names;
use super::programs::{Wrapper, prometheus, rosterd};
use super::source::Source;
use super::targets::Targets;

/// How many active and dropped targets each job has once all is discovered.
type Expected = BTreeMap<&'static str, (usize, u64)>;

/// Waits until both have all targets, and compares them.
async fn agree(ours: &Server, theirs: &Server, bare: &Server, expected: &Expected) {
    let look = async || {
        let (one, other) = (Targets::of(ours).await, Targets::of_2_42(theirs, bare).await);
        let (found, wanted) = (counts(&other), count_strings(expected));
        if one != other {
            return Err(format!("they do not agree:\n{}", one.difference(&other, ["rosterd", "Prometheus"])));
        }
        if found == wanted { Ok(()) } else { Err(format!("they agree on {found:?}, and not on {wanted:?}")) }
    };
    eventually_ok(patience(), "rosterd and Prometheus have what is in the configuration", look).await;
}

fn counts(targets: &Targets) -> BTreeMap<String, (usize, u64)> {
    let active = |pool: &String| targets.active.iter().filter(|target| target.pool == *pool).count();
    let dropped = |pool: &String| targets.dropped_counts.get(pool).copied().unwrap_or_default();
    targets.pools.iter().map(|pool| (pool.clone(), (active(pool), dropped(pool)))).collect()
}

fn count_strings(expected: &Expected) -> BTreeMap<String, (usize, u64)> {
    expected.iter().map(|(pool, counts)| ((*pool).to_owned(), *counts)).collect()
}

fn without_relabelling(config: &str) -> String {
    let mut config: serde_yaml::Value = serde_yaml::from_str(config).expect("the configuration is YAML");
    let jobs = config["scrape_configs"].as_sequence_mut().expect("there are jobs");
    for job in jobs {
        job.as_mapping_mut().expect("a job is a mapping").remove("relabel_configs");
    }
    serde_yaml::to_string(&config).expect("what was read can be written")
}

const RECORDS: &str = "
web A 127.0.2.1
web A 127.0.2.2
web AAAA ::1
_metrics._tcp SRV 0 0 9100 web
_metrics._tcp SRV 0 0 9101 other
alias CNAME _metrics._tcp
@ MX 10 mail
mail A 127.0.2.3
other A 127.0.2.4";

#[test]
fn the_same_configuration_gives_the_same_targets() {
    leak_checked_live(|| async {
        let source = Source::json(
            r#"[{"targets": ["127.0.3.1:9", "127.0.3.2:9"], "labels": {"__meta_rack": "r1", "team": "a"}},
                {"targets": ["127.0.3.3:9"]}, {"targets": [], "labels": {"x": "y"}}]"#,
        )
        .await;
        let names = Names::start(RECORDS).await;
        let folder = Folder::new();
        folder.write(
            "files/a.json",
            r#"[{"targets": ["127.0.4.1:9"], "labels": {"k": "\u00fc\n"}}, {"targets": ["127.0.4.2:9"]}]"#,
        );
        folder.write(
            "files/b.yml",
            "- targets: [127.0.4.3:9]\n  labels: {version: 1.10, enabled: yes, nothing: ~, big: 0x10}\n",
        );
        folder.write("files/c.yml", "- labels: {}\n  targets:\n  - 127.0.4.4:9\n- targets: []\n");
        folder.write("files/d.json", "this is no JSON");
        folder.write("actions.json", fixture("side_by_side/actions.json"));
        let config = fixture("side_by_side/equality.yml").replace("{source}", &source.url(""));
        let bare = folder.write("bare.yml", without_relabelling(&config));
        let config = folder.write("prometheus.yml", config);

        let ours = rosterd(&config, names.wrapper(), &[]).await;
        let theirs = prometheus("prometheus", &config, names.wrapper()).await;
        let bare = prometheus("prometheus without relabelling", &bare, names.wrapper()).await;
        let expected = Expected::from([
            ("plain", (3, 0)),
            ("ports", (6, 0)),
            ("ports tls", (3, 0)),
            ("params", (3, 0)),
            ("files", (4, 0)),
            ("http", (3, 0)),
            ("http again", (3, 0)),
            ("dns", (10, 0)),
            ("actions", (12, 4)),
            ("labelkeep", (2, 0)),
            ("duplicates", (3, 0)),
            ("limited", (3, 0)),
            ("dropped", (0, 3)),
            ("empty", (0, 0)),
            ("secured", (1, 0)),
        ]);
        agree(&ours, &theirs, &bare, &expected).await;
    });
}

#[test]
fn fewer_dropped_targets_are_kept_when_asked_for() {
    leak_checked_live(|| async {
        let folder = Folder::new();
        // Prometheus 2.42 does not know the key.
        let config = folder.write(
            "prometheus.yml",
            "scrape_configs:\n- job_name: a\n  keep_dropped_targets: 2\n  static_configs:\n  - targets: [127.0.0.1:9, 127.0.0.2:9, 127.0.0.3:9]\n  relabel_configs: [{action: drop}]\n",
        );
        let ours = rosterd(&config, Wrapper::default(), &[]).await;
        let look = async || match Targets::of(&ours).await {
            targets if targets.dropped_counts == BTreeMap::from([("a".to_owned(), 3)]) => Ok(targets),
            targets => Err(format!("{targets:?}")),
        };
        let targets = eventually_ok(patience(), "three targets are dropped", look).await;
        assert_eq!(targets.dropped.len(), 2);
    });
}
