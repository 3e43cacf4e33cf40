//! The same change of the configuration in rosterd and in a real Prometheus agent: the same series go on, end and begin.

use std::collections::BTreeMap;

use rosterd_testkit::{Folder, RemoteWriteReceiver, eventually_ok, fixture, leak_checked_live, patience};
use rustix::process::Signal;

use super::exporter::{Exporter, Page, Pages};
use super::programs::{Wrapper, prometheus_agent, rosterd};
use super::series::{Events, Seen, difference, forget_reload};
use super::targets::Labels;

const PROGRAMS: [&str; 2] = ["rosterd", "Prometheus"];

fn configuration(name: &str, exporter: &Exporter, receiver: &RemoteWriteReceiver) -> String {
    let config = fixture(&format!("side_by_side/{name}.yml"));
    config.replace("{exporter}", &exporter.address().to_string()).replace("{receiver}", &receiver.url())
}

fn pages(value: usize) -> Pages {
    let page = Page::text(format!("a {value}\nb{{job=\"own\"}} {value}\n"));
    BTreeMap::from([("/metrics".to_owned(), page.clone()), ("/other".to_owned(), page)])
}

/// Of the same job, whether a series is there and not stale at the end.
fn lives(events: &Events, job: &str, name: &str) -> bool {
    let of_job = events.iter().filter(|(labels, _)| labels["job"] == job && labels["__name__"] == name);
    of_job.into_iter().any(|(_, events)| events.last().is_some_and(|last| last != "stale"))
}

/// What a receiver got, without what is as it is on purpose: 2.42 forgets more than it has to, and counts what it forgot as
/// added. Its agent never sends a series that came first in a scrape that it refused. And with a new `sample_limit` it leaves
/// series alone that stand before the first one too many, though it does not send them any more; rosterd marks them as stale.
fn told(events: &Events) -> Events {
    let mut events = events.clone();
    events.retain(|labels, _| labels["__name__"] != "a" || !labels["job"].starts_with("sample limit"));
    events
}

fn is_stable(labels: &Labels) -> bool {
    !["scrape_duration_seconds", "scrape_series_added"].contains(&labels["__name__"].as_str())
}

/// A target that is scraped at another time after the reload may be marked as stale by any Prometheus although it goes on: the
/// marker has the time of a scrape that would have been. rosterd does not.
fn forget_gaps(events: &mut Events) {
    let moved = ["interval", "timeout", "path", "parameters", "other mechanism"];
    for (_, events) in events.iter_mut().filter(|(labels, _)| moved.contains(&labels["job"].as_str())) {
        let goes_on = events.iter().rposition(|event| event != "stale").unwrap_or_default();
        let kept: Vec<_> = events.drain(..goes_on).filter(|event| event != "stale").collect();
        events.splice(0..0, kept);
        events.dedup();
    }
}

/// Any Prometheus leaves the series of a job that is gone as they were; rosterd marks them as stale.
fn end_removed_jobs(events: &mut Events) {
    let removed = events.iter_mut().filter(|(labels, _)| ["removed", "named before"].contains(&labels["job"].as_str()));
    removed.for_each(|(_, events)| events.push("stale".to_owned()));
}

/// Waits until both got the same, and what `wanted` says.
async fn agree(
    receivers: &[RemoteWriteReceiver; 2],
    seen: &mut [Seen; 2],
    reloaded: bool,
    wanted: impl Fn(&Events) -> bool,
) {
    let look = async || {
        for (seen, receiver) in seen.iter_mut().zip(receivers) {
            seen.take(receiver);
        }
        let [ours, mut theirs] = seen.each_ref().map(|seen| told(&seen.events));
        if reloaded {
            end_removed_jobs(&mut theirs);
            // Of these targets a scrape fails only for good, by the limits of their jobs.
            forget_reload(&mut theirs, |job| job != "untouched");
            forget_gaps(&mut theirs);
        }
        if ours == theirs && wanted(&ours) { Ok(()) } else { Err(difference(&ours, &theirs, PROGRAMS)) }
    };
    eventually_ok(patience(), "rosterd and Prometheus agree, and on what was to come", look).await;
}

#[test]
fn a_reload_ends_and_begins_the_same_series() {
    leak_checked_live(|| async {
        let (folder, exporter) = (Folder::new(), Exporter::start(pages(1)).await);
        let receivers = [RemoteWriteReceiver::start().await, RemoteWriteReceiver::start().await];
        let mut seen = [Seen::new(is_stable), Seen::new(is_stable)];
        let names = ["rosterd.yml", "prometheus.yml"];
        let write = |which: &str| {
            for (name, receiver) in names.into_iter().zip(&receivers) {
                folder.replace(name, configuration(which, &exporter, receiver));
            }
        };
        folder.write("targets.yml", format!("- targets: ['{}']\n", exporter.address()));
        write("reload_before");
        let ours = rosterd(&folder.path(names[0]), Wrapper::default(), &[]).await;
        let theirs = prometheus_agent(&folder.path(names[1])).await;
        let begun = |events: &Events| lives(events, "untouched", "a") && lives(events, "other mechanism", "a");
        agree(&receivers, &mut seen, false, begun).await;

        write("reload_after");
        for program in [&ours, &theirs] {
            program.signal(Signal::HUP);
        }
        let reloaded = |events: &Events| lives(events, "named after", "a") && !lives(events, "removed", "a");
        agree(&receivers, &mut seen, true, reloaded).await;

        // And all that should goes on.
        exporter.change(pages(2));
        exporter.wait_seen(&PROGRAMS, 1).await;
        let goes_on = |events: &Events| {
            let of_job = |job: &str| {
                let series = events.iter().find(|(labels, _)| labels["job"] == job && labels["__name__"] == "a");
                series.is_some_and(|(_, events)| events == &["1", "2"])
            };
            ["untouched", "interval", "timeout", "path", "parameters", "credentials", "other mechanism"]
                .into_iter()
                .all(of_job)
        };
        agree(&receivers, &mut seen, true, goes_on).await;
    });
}
