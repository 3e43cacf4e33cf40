//! The same configuration in rosterd and in a real Prometheus in agent mode: equal series at the receiver, which become
//! stale at the same events, and equal words about targets and metadata.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use rosterd_testkit::{Folder, RemoteWriteReceiver, Server, eventually_ok, fixture, leak_checked_live, patience};
use rustix::process::Signal;
use serde_json::Value;

use super::exporter::{Exporter, Page, Pages};
use super::programs::{Wrapper, node_exporter, prometheus_agent, rosterd};
use super::series::{Events, Seen, difference, forget_reload};
use super::targets::{Labels, only_one};

/// As they call themselves.
const PROGRAMS: [&str; 2] = ["rosterd", "Prometheus"];

/// rosterd and the agent, their targets, and a receiver for each.
struct Stage {
    programs: [Server; 2],
    node: Server,
    exporter: Exporter,
    receivers: [RemoteWriteReceiver; 2],
    seen: [Seen; 2],
    folder: Folder,
}

impl Stage {
    async fn start(pages: Pages) -> Self {
        let (folder, exporter, node) = (Folder::new(), Exporter::start(pages).await, node_exporter().await);
        let receivers = [RemoteWriteReceiver::start().await, RemoteWriteReceiver::start().await];
        folder.write("targets.yml", files(&exporter, 2));
        let of = |number: usize| configuration(&exporter, &node, &receivers[number], "{}");
        let ours = rosterd(&folder.write("rosterd.yml", of(0)), Wrapper::default(), &[]).await;
        let theirs = prometheus_agent(&folder.write("prometheus.yml", of(1))).await;
        Self {
            programs: [ours, theirs],
            node,
            exporter,
            receivers,
            seen: [Seen::new(is_stable), Seen::new(is_stable)],
            folder,
        }
    }

    /// Has other pages, and waits until both have seen each of them twice: what the first of a program's requests gave
    /// was taken by then.
    async fn change(&self, pages: Pages) {
        self.exporter.change(pages);
        self.exporter.wait_seen(&PROGRAMS, 2).await;
    }

    fn reload(&self, rule: &str) {
        for (number, name) in ["rosterd.yml", "prometheus.yml"].into_iter().enumerate() {
            let config = configuration(&self.exporter, &self.node, &self.receivers[number], rule);
            self.folder.replace(name, config);
            self.programs[number].signal(Signal::HUP);
        }
    }

    /// What both receivers got.
    fn events(&mut self) -> [Events; 2] {
        for (seen, receiver) in self.seen.iter_mut().zip(&self.receivers) {
            seen.take(receiver);
        }
        let [ours, mut theirs] = self.seen.each_ref().map(|seen| seen.events.clone());
        for (_why, translate) in DIFFERENCES {
            translate(&mut theirs);
        }
        [ours, theirs]
    }

    /// Waits until both got the same, and what `wanted` says.
    async fn agree(&mut self, wanted: impl Fn(&Events) -> bool) {
        let look = async || {
            let [ours, theirs] = self.events();
            match ours == theirs {
                true if wanted(&ours) => Ok(()),
                true => Err(format!("they agree, but not on what was to come:\n{ours:#?}")),
                false => Err(format!("they do not agree:\n{}", difference(&ours, &theirs, PROGRAMS))),
            }
        };
        eventually_ok(patience(), "rosterd and Prometheus tell what was to come", look).await;
    }

    /// Waits until both got the same exemplars, and metadata of the same families.
    async fn agree_on_the_rest(&mut self) {
        let look = async || {
            self.events();
            let [(ours, our_families), (theirs, their_families)] =
                self.seen.each_ref().map(|seen| (seen.exemplars.clone(), seen.families.clone()));
            let theirs = theirs.into_iter().map(|(series, labels, value)| (float_labels(series), labels, value));
            let theirs: BTreeSet<_> = theirs.collect();
            let complete = !ours.is_empty() && our_families.contains("node_memory_MemTotal_bytes");
            if complete && ours == theirs && our_families == their_families {
                return Ok(());
            }
            let families = only_one(&our_families, &their_families, PROGRAMS);
            Err(format!("{}{families}", only_one(&ours, &theirs, PROGRAMS)))
        };
        eventually_ok(patience(), "rosterd and Prometheus agree on exemplars and metadata", look).await;
    }
}

fn configuration(exporter: &Exporter, node: &Server, receiver: &RemoteWriteReceiver, rule: &str) -> String {
    let config = fixture("side_by_side/scrape.yml").replace("{exporter}", &exporter.address().to_string());
    let config = config.replace("{node}", node.url("").trim_start_matches("http://"));
    let rule = if rule == "{}" { "{source_labels: [a], target_label: a}" } else { rule };
    config.replace("{receiver}", &receiver.url()).replace("{rule}", rule)
}

/// A file_sd file with so many targets.
fn files(exporter: &Exporter, count: usize) -> String {
    let group = |number| format!("- targets: ['{}']\n  labels: {{number: '{number}'}}\n", exporter.address());
    (0..count).map(group).collect()
}

/// Since 3.0 the labels `le` and `quantile` are written as floats (migration guide).
fn float_labels(mut labels: Labels) -> Labels {
    for name in ["le", "quantile"] {
        if let Some(value) = labels.get_mut(name).filter(|value| value.parse::<i64>().is_ok()) {
            value.push_str(".0");
        }
    }
    labels
}

/// Changes what 2.42 sent into what Prometheus 3 sends.
type Translate = fn(&mut Events);

/// In what Prometheus 3.14 differs from 2.42. Where they differ, 3 is right.
const DIFFERENCES: &[(&str, Translate)] = &[
    ("since 3.0 the labels `le` and `quantile` are written as floats (migration guide)", |events| {
        let all = std::mem::take(events).into_iter();
        *events = all.map(|(labels, events)| (float_labels(labels), events)).collect();
    }),
    ("series beyond `sample_limit` were never sent, and yet it marks them as stale", |events| {
        events.retain(|_, events| events != &["stale"]);
    }),
    (
        "what goes on over a reload is marked as stale if a scrape is cancelled or slow; only this job changes",
        |events| {
            forget_reload(events, |job| job == "relabelled");
        },
    ),
];

/// Whether the values of a series follow from what the pages say.
fn is_stable(labels: &Labels) -> bool {
    let name = labels["__name__"].as_str();
    match labels["job"].as_str() {
        _ if name == "scrape_duration_seconds" => false,
        "node" => {
            name.starts_with("scrape_")
                || name.ends_with("_info")
                || ["up", "node_memory_MemTotal_bytes", "node_boot_time_seconds", "process_start_time_seconds"]
                    .contains(&name)
        }
        _ => true,
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
    i64::try_from(since.as_millis()).expect("it is before the year 200 million")
}

const FIRST_TEXT: &str = r#"# HELP http_requests_total All requests.
# TYPE http_requests_total counter
http_requests_total{code="200",job="own",instance="own"} 1
http_requests_total{code="500"} 2
# HELP latency_seconds How long\nit "took" \\ takes.
# TYPE latency_seconds histogram
latency_seconds_bucket{le="0.1"} 1
latency_seconds_bucket{le="1"} 2
latency_seconds_bucket{le="+Inf"} 3
latency_seconds_sum 0.5
latency_seconds_count 3
# TYPE rpc_seconds summary
rpc_seconds{quantile="0.5"} 1
rpc_seconds{quantile="1"} NaN
rpc_seconds_sum 1e3
rpc_seconds_count 7
# HELP untyped_value
untyped_value{text="Grüße \"quoted\" \\ and\nbroken",empty=""} -Inf
small_values{kind="e"} 1.5e-300
small_values{kind="max"} 1.7976931348623157e308
conflict{exported_job="x",job="y"} 1
conflict{exported_exported_job="x",exported_job="y",job="z",zone="b"} 2
conflict{cluster="own",replica=""} 3
not_written_here 1
# A comment.
going{number="1"} 1
going{number="2"} 1
twice 1
twice 1
"#;

const FIRST_OPEN_METRICS: &str = r#"# HELP requests Requests.
# TYPE requests counter
# UNIT requests_bytes bytes
requests_total{path="/a"} 5 # {trace_id="abc"} 0.5
requests_created{path="/a"} 1700000000.5
# TYPE build info
build_info{version="1"} 1
# TYPE state stateset
state{state="on"} 1
state{state="off"} 0
# TYPE sizes_bytes histogram
# UNIT sizes_bytes bytes
sizes_bytes_bucket{le="1"} 1 # {trace_id="def"} 0.25
sizes_bytes_bucket{le="+Inf"} 2
sizes_bytes_sum 1
sizes_bytes_count 2
# EOF
"#;

/// Pages by path.
fn pages<const N: usize>(pages: [(&str, Page); N]) -> Pages {
    pages.into_iter().map(|(path, page)| (path.to_owned(), page)).collect()
}

/// Everything is as it should be.
fn first(start_ms: i64) -> Pages {
    let timestamps =
        format!("timed_a 1 {start_ms}\ntimed_b 1 {start_ms}\ntimed_ahead 1 {}\nwithout 1\n", start_ms + 3_600_000);
    pages([
        ("/text", Page::text(FIRST_TEXT)),
        ("/openmetrics", Page::open_metrics(FIRST_OPEN_METRICS)),
        ("/timestamps", Page::text(timestamps)),
        ("/plain_timestamps", Page::text(format!("a 1 {start_ms}\nb 1 1\n"))),
        (
            "/relabelled",
            Page::text("dropped 1\nold_name{a=\"1\",secret_key=\"2\"} 1\nkept{a=\"2\"} 1\nlater{a=\"3\"} 1\n"),
        ),
        ("/failing", Page::text("a 1\n")),
        ("/broken", Page::text("a 1\nb 1\nc 1\n")),
        ("/empty", Page::text("a 1\n")),
        ("/damaged", Page::text("a 1\n")),
        ("/moved", Page::text("a 1\n")),
        ("/sample_limit", Page::text("a 1\nb 1\nc 1\n")),
        ("/label_limit", Page::text("a{x=\"1\"} 1\n")),
        ("/label_length", Page::text("a{x=\"1\"} 1\n")),
        ("/body_size", Page::text("a 1\n")),
        ("/parameters", Page::text("a 1\n")),
        ("/files", Page::text("a 1\n")),
    ])
}

/// Something happens to everything.
fn second(start_ms: i64) -> Pages {
    let text = FIRST_TEXT.replace("going{number=\"1\"} 1\n", "").replace("code=\"500\"} 2", "code=\"500\"} 3");
    let timestamps = format!("timed_a 2 {}\ntimed_b 2 {}\nwithout 2\n", start_ms + 1000, start_ms - 1000);
    pages([
        ("/text", Page::text(text)),
        // The end is missing.
        ("/openmetrics", Page::open_metrics(FIRST_OPEN_METRICS.replace("# EOF\n", ""))),
        ("/timestamps", Page::text(timestamps)),
        ("/plain_timestamps", Page::text(format!("a 2 {}\n", start_ms - 1000))),
        ("/relabelled", Page::text("dropped 2\nold_name{a=\"1\",secret_key=\"3\"} 2\nlater{a=\"3\"} 1\n")),
        ("/failing", Page::status(500)),
        ("/broken", Page::text("a 2\nb{ 2\nc 2\n")),
        ("/empty", Page::text("")),
        ("/damaged", Page::text("a 2\n").with("content-encoding", "gzip")),
        ("/moved", Page::status(302).with("location", "/files")),
        ("/sample_limit", Page::text("a 2\nb 2\nc 2\nd 2\n")),
        ("/label_limit", Page::text("a{x=\"1\"} 2\nb{x=\"1\",y=\"2\"} 2\n")),
        ("/label_length", Page::text("a{x=\"1\"} 2\nb{a_long_name=\"1\"} 2\n")),
        ("/body_size", Page::text(format!("# {}\na 2\n", "x".repeat(100)))),
        ("/parameters", Page::status(404)),
    ])
}

/// What is told of each target: whether it is up, whether there is an error, and whether it was scraped.
async fn health(program: &Server) -> BTreeMap<(String, String), (String, bool, bool)> {
    let answer = program.data("/api/v1/targets").await;
    let targets = answer["activeTargets"].as_array().cloned().unwrap_or_default();
    let of = |target: &Value| {
        let key = (target["scrapePool"].to_string(), target["labels"].to_string());
        let scraped = target["lastScrape"].as_str().is_some_and(|at| !at.starts_with("0001"));
        (key, (target["health"].to_string(), target["lastError"] == "", scraped))
    };
    targets.iter().map(of).collect()
}

/// What is told of the metadata, of each target and of all.
async fn metadata(program: &Server) -> BTreeSet<String> {
    let of_targets = program.data("/api/v1/targets/metadata").await;
    let mut lines: BTreeSet<_> = of_targets.as_array().into_iter().flatten().map(Value::to_string).collect();
    let one = program.data("/api/v1/targets/metadata?metric=latency_seconds&match_target={zone=%22a%22}").await;
    lines.extend(one.as_array().into_iter().flatten().map(Value::to_string));
    let families = program.data("/api/v1/metadata").await;
    for (family, said) in families.as_object().into_iter().flatten() {
        let said: BTreeSet<_> = said.as_array().into_iter().flatten().map(Value::to_string).collect();
        lines.insert(format!("{family}: {said:?}"));
    }
    lines
}

/// Waits until both tell the same.
async fn tell_the_same<T: PartialEq>(stage: &Stage, tell: impl AsyncFn(&Server) -> T, differ: impl Fn(T, T) -> String) {
    let look = async || {
        let [ours, theirs] = &stage.programs;
        let (ours, theirs) = (tell(ours).await, tell(theirs).await);
        if ours == theirs { Ok(()) } else { Err(differ(ours, theirs)) }
    };
    eventually_ok(patience(), "both tell the same", look).await;
}

fn has(events: &Events, name: &str, labels: &[(&str, &str)], wanted: &[&str]) -> bool {
    let is = |series: &Labels| {
        series["__name__"] == name
            && labels.iter().all(|(label, value)| series.get(*label).is_some_and(|is| is == value))
    };
    events.iter().any(|(series, events)| is(series) && events == wanted)
}

#[test]
fn the_same_configuration_sends_the_same_series() {
    leak_checked_live(|| async {
        // Prometheus sends nothing from before its start.
        let start_ms = now_ms() + 120_000;
        let mut stage = Stage::start(first(start_ms)).await;
        stage.exporter.wait_seen(&PROGRAMS, 2).await;
        tell_the_same(&stage, metadata, |ours, theirs| only_one(&ours, &theirs, PROGRAMS)).await;
        stage.agree(|events| has(events, "up", &[("job", "dead")], &["0"])).await;

        stage.change(second(start_ms)).await;
        tell_the_same(&stage, health, |ours, theirs| format!("{ours:#?}\n{theirs:#?}")).await;
        stage.agree(|events| has(events, "up", &[("job", "failing")], &["1", "0"])).await;

        stage.change(first(start_ms + 2000)).await;
        stage.agree(|events| has(events, "up", &[("job", "failing")], &["1", "0", "1"])).await;

        stage.folder.replace("targets.yml", files(&stage.exporter, 1));
        let is_gone = |events: &Events| has(events, "up", &[("job", "files"), ("number", "1")], &["1", "stale"]);
        stage.agree(is_gone).await;

        stage.reload("{source_labels: [__name__], regex: later, action: drop}");
        stage.agree(|events| has(events, "later", &[], &["1", "stale"])).await;
        stage.change(first(start_ms + 3000)).await;
        stage.agree(|events| has(events, "up", &[("job", "relabelled")], &["1"])).await;
        stage.agree_on_the_rest().await;
    });
}
