//! Odd expositions, taken or refused alike by rosterd and by a real Prometheus in agent mode. What 2.42 reads in another way
//! than 3 is left out: labels of buckets and quantiles that are no canonical floats, series that are there twice, leading
//! spaces, commas at the end of labels in OpenMetrics, exemplars of gauges, and OpenMetrics without even an end, which is taken
//! since 3.

use std::collections::{BTreeMap, BTreeSet};

use rosterd_testkit::{Folder, RemoteWriteReceiver, eventually_ok, leak_checked_live, patience};

use super::exporter::{Exporter, Page, Pages};
use super::programs::{Wrapper, prometheus_agent, rosterd};
use super::series::{Events, Seen, difference};
use super::targets::Labels;

/// Expositions in Prometheus' text format.
const TEXT: &[&str] = &[
    "a 1",
    "a 1\n",
    "\n\na 1\n\n",
    "a 1\r\n",
    "a\t1\t\n",
    " # HELP a x\na 1\n",
    "a{} 1\n",
    "a{,} 1\n",
    "a{x=\"1\",} 1\n",
    "a{x=\"1\",,} 1\n",
    "a{x=\"1\" y=\"2\"} 1\n",
    "a{ x = \"1\" , y = \"2\" } 1\n",
    "a {x=\"1\"} 1\n",
    "a{x=\"1\"}1\n",
    "a{x=\"1\"\n,y=\"2\"} 1\n",
    "a{x=\"1\",x=\"1\"} 1\n",
    "a{x=\"1\",x=\"2\"} 1\n",
    "a{y=\"2\",x=\"1\"} 1\na{x=\"1\",y=\"2\"} 1\n",
    "a{x='1'} 1\n",
    "a{x=1} 1\n",
    "a{x=\"1} 1\n",
    "a{x=\"\\q\"} 1\n",
    "a{x=\"\\\\\\\"\\n\"} 1\n",
    "a{x=\"a\nb\"} 1\n",
    "a{x=\"\"} 1\n",
    "a{x=\" \"} 1\n",
    "a{__name__=\"b\"} 1\n",
    "a{__x=\"1\"} 1\n",
    "a{job=\"\",instance=\"\"} 1\n",
    "a{1x=\"1\"} 1\n",
    "a{x:y=\"1\"} 1\n",
    "1a 1\n",
    "a:b 1\n",
    ":a 1\n",
    "_a 1\n",
    "a-b 1\n",
    "a.b 1\n",
    "{x=\"1\"} 1\n",
    "a\n",
    "a \n",
    "a{x=\"1\"}\n",
    "a 1 \n",
    "a 1 2 3\n",
    "a 1 x\n",
    "a 1 1.5\n",
    "a 1 # comment\n",
    "a 1 # {x=\"1\"} 1\n",
    "a +Inf\nb -Inf\nc NaN\nd inf\ne nan\nf +inf\ng Infinity\nh -infinity\n",
    "a -NaN\n",
    "a +NaN\n",
    "a 1e3\nb 1E3\nc +1\nd -0\ne .5\nf 5.\ng 1e-400\n",
    "a 1e400\n",
    "a -1e400\n",
    "a 0x1\n",
    "a 0x1p2\n",
    "a 0b1\n",
    "a 1_000\n",
    "a 1,5\n",
    "a 1e\n",
    "a ,\n",
    "a +\n",
    "a 123456789012345678901234567890\n",
    "a 0.1000000000000000055511151231257827\n",
    "a 4.9e-324\nb 2.2250738585072011e-308\n",
    "# TYPE a counter\n# TYPE a gauge\na 1\n",
    "# TYPE a nonsense\na 1\n",
    "# TYPE a\na 1\n",
    "# TYPE\na 1\n",
    "# HELP a\na 1\n",
    "# HELP a \\q \\n \\\\\na 1\n",
    "# HELP\na 1\n",
    "# UNIT a s\na 1\n",
    "# EOF\na 1\n",
    "#a\na 1\n",
    "#\na 1\n",
    "# TYPE 1a counter\na 1\n",
    "# TYPE a counter x\na 1\n",
    "a_bucket{le=\"5\"} 1\n",
    "a{le=\"5\",quantile=\"1\"} 1\n",
    "a{x=\"\u{0}\"} 1\n",
    "a{x=\"Grüße \u{1F600}\"} 1\n",
    "ü 1\n",
    "a 1\n\u{0}",
    "\u{feff}a 1\n",
    "a 1\nb",
];

/// Expositions as OpenMetrics.
const OPEN_METRICS: &[&str] = &[
    "a 1\n# EOF\n",
    "a 1\n# EOF",
    "a 1\n",
    "# EOF\n",
    "a 1\n# EOF\n\n",
    "a 1\n# EOF\nb 1\n",
    "\na 1\n# EOF\n",
    " a 1\n# EOF\n",
    "a  1\n# EOF\n",
    "a\t1\n# EOF\n",
    "a 1 \n# EOF\n",
    "a 1\r\n# EOF\n",
    "a{} 1\n# EOF\n",
    "a{ x=\"1\"} 1\n# EOF\n",
    "a{x=\"1\", y=\"2\"} 1\n# EOF\n",
    "a +Inf\nb NaN\nc -0\n# EOF\n",
    "# a comment\na 1\n# EOF\n",
    "# TYPE a counter\na 1\n# EOF\n",
    "# TYPE a counter\na_total 1\na_created 5\n# EOF\n",
    "# TYPE a counter\na_total 1 # {}\n# EOF\n",
    "# TYPE a counter\na_total 1 # {} 1\n# EOF\n",
    "# TYPE a counter\na_total 1 # {x=\"1\"} 1 1.5\n# EOF\n",
    "# TYPE a counter\na_total 1 # {x=\"1\"} 1 1.5 3\n# EOF\n",
    "# TYPE a counter\na_total 1 # {y=\"2\",x=\"1\"} 1\n# EOF\n",
    "# TYPE a counter\na_total 1 # {y=\"\",x=\"1\"} 1\n# EOF\n",
    "# TYPE a counter\na_total 1 # {x=\"1\",x=\"1\"} 1\n# EOF\n",
    "# TYPE a counter\na_total 1 # {x=\"\",x=\"1\"} 1\n# EOF\n",
    "# TYPE a gaugehistogram\na_bucket{le=\"1\"} 1\na_gcount 1\na_gsum 1\n# EOF\n",
    "# TYPE a stateset\na{a=\"x\"} 1\n# EOF\n",
    "# TYPE a info\na_info{x=\"1\"} 1\n# EOF\n",
    "# TYPE a unknown\na 1\n# EOF\n",
    "# TYPE a untyped\na 1\n# EOF\n",
    "# UNIT a_seconds seconds\na_seconds 1\n# EOF\n",
    "# UNIT a seconds\na 1\n# EOF\n",
    "# UNIT a \na 1\n# EOF\n",
    "# HELP a\na 1\n# EOF\n",
    "# HELP a x\\n\\\"y\na 1\n# EOF\n",
    "#TYPE a gauge\na 1\n# EOF\n",
    "#  TYPE a gauge\na 1\n# EOF\n",
];

/// Expositions in Prometheus' text format that are not UTF-8.
const BYTES: &[&[u8]] = &[
    b"# caf\xe9\na 1\n",
    b"#\xe9\na 1\n",
    b"a{x=\"1\"} 1\n \t# \xff HELP \na{x=\"2\"} 1\n",
    b"# TYPE a counter\n# HELPa \xff\na 1\n#\xff\n#\xff\nb 1\n",
    b"# HELP a \xff\na 1\n",
    b"# TYPE a \xff\na 1\n",
    b"a{x=\"\xff\"} 1\n",
    b"a 1\nb \xff\n",
    b"a 1 # \xff\n",
    b"\xff 1\n",
];

/// Types of bodies, and bodies.
const TYPED: &[(&str, &str)] = &[
    ("", ""),
    ("text/html", ""),
    ("nonsense;;", ""),
    ("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited", ""),
    ("text/plain; charset=utf-8; charset=utf-8", "a 1\n"),
    ("application/openmetrics-text; charset=utf-8; charset=utf-8", "a 1\n# EOF\n"),
];

fn pages() -> Pages {
    let text = TEXT.iter().map(|body| ("text", Page::text(*body)));
    let open = OPEN_METRICS.iter().map(|body| ("open_metrics", Page::open_metrics(*body)));
    let bytes = BYTES.iter().map(|body| ("bytes", Page::text(*body)));
    let typed = TYPED.iter().map(|(content_type, body)| ("typed", Page::typed(content_type, *body)));
    let all = text.chain(open).chain(bytes).chain(typed).enumerate();
    all.map(|(number, (list, page))| (format!("/{list}/{number}"), page)).collect()
}

fn configuration(exporter: &Exporter, receiver: &RemoteWriteReceiver) -> String {
    let target = |path: &String| {
        format!("  - targets: ['{}']\n    labels: {{page: '{path}', __metrics_path__: '{path}'}}\n", exporter.address())
    };
    let targets: String = pages().keys().map(target).collect();
    format!(
        "global: {{scrape_interval: 2s, scrape_timeout: 2s}}\n\
         remote_write: [{{url: '{}', send_exemplars: true, queue_config: {{batch_send_deadline: 100ms}}}}]\n\
         scrape_configs:\n- job_name: odd\n  static_configs:\n{targets}",
        receiver.url()
    )
}

/// The exemplars of a page.
fn exemplars<'a>(seen: &'a Seen, page: &'a str) -> BTreeSet<&'a (Labels, Labels, String)> {
    seen.exemplars.iter().filter(|(series, ..)| series["page"] == page).collect()
}

/// What was said of each page.
fn by_page(seen: &Seen) -> BTreeMap<String, Events> {
    let mut pages = BTreeMap::<_, Events>::new();
    for (labels, events) in &seen.events {
        pages.entry(labels["page"].clone()).or_default().insert(labels.clone(), events.clone());
    }
    pages
}

fn is_stable(labels: &Labels) -> bool {
    labels["__name__"] != "scrape_duration_seconds"
}

#[test]
fn odd_expositions_are_taken_or_refused_alike() {
    leak_checked_live(|| async {
        let (folder, exporter) = (Folder::new(), Exporter::start(pages()).await);
        let receivers = [RemoteWriteReceiver::start().await, RemoteWriteReceiver::start().await];
        let config = |number: usize| configuration(&exporter, &receivers[number]);
        let _rosterd = rosterd(&folder.write("rosterd.yml", config(0)), Wrapper::default(), &[]).await;
        let _prometheus = prometheus_agent(&folder.write("prometheus.yml", config(1))).await;
        exporter.wait_seen(&["rosterd", "Prometheus"], 2).await;
        let mut seen = [Seen::new(is_stable), Seen::new(is_stable)];
        let look = async || {
            for (seen, receiver) in seen.iter_mut().zip(&receivers) {
                seen.take(receiver);
            }
            let [ours, theirs] = seen.each_ref().map(by_page);
            let pages = pages();
            let differences = pages.iter().filter_map(|(path, page)| {
                let [ours, theirs] = [&ours, &theirs].map(|all| all.get(path).cloned().unwrap_or_default());
                let difference = difference(&ours, &theirs, ["rosterd", "Prometheus"]);
                let exemplars = seen.each_ref().map(|seen| exemplars(seen, path));
                let differs = ours != theirs || exemplars[0] != exemplars[1];
                differs.then(|| format!("{path}: {page:?}\n{difference}{exemplars:?}\n"))
            });
            let differences = differences.collect::<String>();
            if differences.is_empty() { Ok(()) } else { Err(differences) }
        };
        eventually_ok(patience(), "both write the same", look).await;
    });
}
