//! Changes of sources and of the configuration: exactly the affected targets change, in `/api/v1/targets` and `/sd`.

use std::collections::BTreeSet;
use std::fmt::Debug;

use rosterd_testkit::{Folder, Server, eventually_ok, leak_checked_live, patience};
use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::names::Names;
use super::programs::{Wrapper, rosterd};
use super::source::Source;
use super::targets::{Target, Targets};

const RELABELLED: &str = "rosterd_roster_relabelled_total";

/// Both views of the roster: targets by the API, and the lines of `/sd` of all jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Roster {
    targets: BTreeSet<Target>,
    list: BTreeSet<String>,
}

impl Roster {
    async fn of(server: &Server) -> Self {
        let targets = Targets::of(server).await.active;
        let (status, body) = server.page("/sd").await.expect("rosterd is there");
        let list: Value = serde_json::from_str(&body).expect("rosterd answers in JSON");
        let list = list.as_array().filter(|_| status == 200);
        Self { targets, list: list.into_iter().flatten().map(Value::to_string).collect() }
    }

    fn addresses(&self) -> Vec<String> {
        self.targets.iter().map(|target| target.labels["instance"].clone()).collect()
    }
}

/// What came and what went.
fn change<T: Ord + Clone>(before: &BTreeSet<T>, after: &BTreeSet<T>) -> (Vec<T>, Vec<T>) {
    (after.difference(before).cloned().collect(), before.difference(after).cloned().collect())
}

/// Waits until the roster is as wanted.
async fn until(server: &Server, what: &str, wanted: impl Fn(&Roster) -> bool) -> Roster {
    let look = async || {
        let roster = Roster::of(server).await;
        match wanted(&roster) && roster.targets.len() == roster.list.len() {
            true => Ok(roster),
            false => Err(format!("{:#?}\n{}", roster.addresses(), server.log())),
        }
    };
    eventually_ok(patience(), what, look).await
}

/// Asserts that so many targets came and went in both views, and nothing else.
fn assert_changed(before: &Roster, after: &Roster, came: usize, went: usize) {
    fn sizes<T: Ord + Clone + Debug>(before: &BTreeSet<T>, after: &BTreeSet<T>) -> (usize, usize) {
        let (came, went) = change(before, after);
        (came.len(), went.len())
    }
    assert_eq!(sizes(&before.targets, &after.targets), (came, went), "in /api/v1/targets");
    assert_eq!(sizes(&before.list, &after.list), (came, went), "in /sd");
}

/// Posts, and returns the status.
async fn post(server: &Server, path: &str) -> u16 {
    let url = url::Url::parse(&server.url(path)).expect("it is a URL");
    let address = url.socket_addrs(|| None).expect("it is an address");
    let mut stream = tokio::net::TcpStream::connect(&*address).await.expect("rosterd listens");
    let request = format!("POST {path} HTTP/1.1\r\nHost: rosterd\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("rosterd reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("rosterd answers");
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("an answer begins with its status")
}

fn file(numbers: impl Iterator<Item = usize>, version: usize) -> String {
    numbers
        .map(|n| format!("- targets: ['127.0.5.{n}:9']\n  labels: {{version: v{}}}\n", version * usize::from(n == 7)))
        .collect()
}

#[test]
fn a_changed_file_changes_only_its_targets() {
    leak_checked_live(|| async {
        let folder = Folder::new();
        let config = folder.write(
            "prometheus.yml",
            "rosterd: {brake: false}\nscrape_configs:\n- job_name: a\n  file_sd_configs: [{files: ['sd/*.yml'], refresh_interval: 1h}]\n",
        );
        folder.write("sd/one.yml", file(1..=50, 1));
        folder.write("sd/two.yml", file(51..=60, 1));
        let rosterd = rosterd(&config, Wrapper::default(), &[]).await;
        let before = until(&rosterd, "60 targets", |roster| roster.targets.len() == 60).await;
        let relabelled = rosterd.metric(RELABELLED, "").await;

        folder.replace("sd/one.yml", file(1..=51, 2).replace("127.0.5.51", "127.0.5.99"));
        let after = until(&rosterd, "one more target", |roster| roster.targets.len() == 61).await;
        assert_changed(&before, &after, 2, 1);
        assert_eq!(rosterd.metric(RELABELLED, "").await - relabelled, 2.0, "only what changed is relabelled");

        folder.write("sd/two.yml", "- targets: {");
        folder.remove("sd/one.yml");
        let after = until(&rosterd, "only the broken file's old targets", |roster| roster.targets.len() == 10).await;
        assert!(before.targets.is_superset(&after.targets), "a broken file keeps its old targets");
    });
}

#[test]
fn a_changed_record_changes_only_its_targets() {
    leak_checked_live(|| async {
        let mut names = Names::start("web A 127.0.2.1\nweb A 127.0.2.2\nother A 127.0.2.3").await;
        let folder = Folder::new();
        let config = folder.write(
            "prometheus.yml",
            "scrape_configs:\n- job_name: a\n  dns_sd_configs:\n  - {names: [web.example.test, other], type: A, port: 9, refresh_interval: 1s}\n",
        );
        let rosterd = rosterd(&config, names.wrapper(), &[]).await;
        let before = until(&rosterd, "three targets", |roster| roster.targets.len() == 3).await;
        let relabelled = rosterd.metric(RELABELLED, "").await;
        names.replace("web A 127.0.2.1\nweb A 127.0.2.9\nother A 127.0.2.3").await;
        let has_new = |roster: &Roster| roster.addresses().contains(&"127.0.2.9:9".to_owned());
        let after = until(&rosterd, "the new record's target", has_new).await;
        assert_changed(&before, &after, 1, 1);
        let relabelled = rosterd.metric(RELABELLED, "").await - relabelled;
        assert!((1.0..=2.0).contains(&relabelled), "only the group of the name is relabelled: {relabelled}");
    });
}

fn configuration(source: &Source, rule: &str, more: &str) -> String {
    format!(
        "scrape_configs:\n- job_name: kept\n  http_sd_configs: [{{url: '{}', refresh_interval: 1h}}]\n- job_name: changed\n  \
         static_configs: [{{targets: [127.0.0.1:9, 127.0.0.2:9]}}]\n  relabel_configs: [{rule}]\n{more}",
        source.url("/kept")
    )
}

/// Reloads by turns: a bad configuration changes nothing and shows, a good one changes only what is new in it.
async fn reload_is_exact(flags: &[&str], mut reload: impl AsyncFnMut(&Server, bool)) {
    let source = Source::json(r#"[{"targets": ["127.0.6.1:9", "127.0.6.2:9", "127.0.6.3:9"]}]"#).await;
    let folder = Folder::new();
    let config = folder.write("prometheus.yml", configuration(&source, "", ""));
    let rosterd = rosterd(&config, Wrapper::default(), flags).await;
    let before = until(&rosterd, "five targets", |roster| roster.targets.len() == 5).await;
    assert_eq!(source.requests(), 1);

    folder.replace("prometheus.yml", configuration(&source, "", "  no_such_key: 1\n"));
    reload(&rosterd, false).await;
    until_reloaded(&rosterd, false).await;
    assert_eq!(Roster::of(&rosterd).await, before, "a bad file changes nothing");

    let relabelled = rosterd.metric(RELABELLED, "").await;
    let more = "- job_name: new\n  static_configs: [{targets: [127.0.0.9:9]}]\n";
    folder.replace("prometheus.yml", configuration(&source, "{target_label: rule, replacement: new}", more));
    reload(&rosterd, true).await;
    until_reloaded(&rosterd, true).await;
    let after = until(&rosterd, "the new job's target", |roster| roster.targets.len() == 6).await;
    assert_changed(&before, &after, 3, 2);
    let kept = |roster: &Roster| -> BTreeSet<_> {
        roster.targets.iter().filter(|target| target.pool == "kept").cloned().collect()
    };
    assert_eq!(kept(&before), kept(&after));
    assert_eq!(source.requests(), 1, "an unchanged provider is not restarted");
    assert_eq!(rosterd.metric(RELABELLED, "").await - relabelled, 3.0, "an unchanged job is not relabelled");
}

async fn until_reloaded(server: &Server, successfully: bool) {
    let look = async || match server.data("/api/v1/status/runtimeinfo").await["reloadConfigSuccess"] == successfully {
        true => Ok(()),
        false => Err(server.log()),
    };
    eventually_ok(patience(), &format!("the API tells a reload ({successfully})"), look).await;
}

#[test]
fn a_hangup_reloads_exactly() {
    leak_checked_live(|| async {
        reload_is_exact(&[], async |rosterd, _| rosterd.signal(Signal::HUP)).await;
    });
}

#[test]
fn a_request_reloads_exactly_and_tells_what_is_wrong() {
    leak_checked_live(|| async {
        reload_is_exact(&["--web.enable-lifecycle"], async |rosterd, good| {
            let status = post(rosterd, "/-/reload").await;
            assert_eq!(status == 200, good, "{status}");
        })
        .await;
    });
}

#[test]
fn a_changed_configuration_is_reloaded_by_itself() {
    leak_checked_live(|| async {
        reload_is_exact(&["--config.auto-reload"], async |_, _| {}).await;
    });
}
