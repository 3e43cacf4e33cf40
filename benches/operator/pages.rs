//! The first byte and the size of each page, and what is asked of the API in their place.

use std::time::Duration;

use rosterd_testkit::Folder;

use super::Options;
use super::agent::Agent;
use super::input;

/// What no page may exceed.
const FIRST: Duration = Duration::from_millis(50);
const LARGEST: usize = 200_000;
/// How often each is asked for.
const TIMES: usize = 5;
/// How many pages of a long list are turned.
const TURNED: usize = 20;
/// Half of the targets are in jobs of their own.
const JOBS: usize = 100;

/// Rules as there are in most jobs; one of six entries is dropped.
const RULES: &str = "
  relabel_configs:
  - {source_labels: [service], regex: 'svc-.*[05]', action: drop}
  - {source_labels: [__address__], regex: '([^:]+):.*', target_label: host}
  - {regex: 'tag_(.+)', action: labelmap}
  - {regex: 'tag_.+', action: labeldrop}
  - {source_labels: [team], action: lowercase, target_label: team}";

const PAGES: [&str; 38] = [
    "/",
    "/?page=2",
    "/targets",
    "/targets?job=big",
    "/targets?health=down",
    "/targets?health=unknown",
    "/targets?health=held",
    "/targets?search=nowhere",
    "/targets?search=svc-399",
    "/targets?search=%7Bhost_id%3D~%22.*nowhere.*%22%7D",
    "/service-discovery",
    "/service-discovery?job=big",
    "/service-discovery?job=big&became=dropped",
    "/service-discovery?job=big&became=impossible",
    "/service-discovery?job=big&became=duplicate",
    "/service-discovery?job=big&search=nowhere",
    "/service-discovery?job=big&search=svc-399",
    "/service-discovery?job=big&search=%7B__address__%3D%22nowhere%22%7D",
    "/explain",
    "/explain?q=127.1.3.7:9",
    "/explain?q=127.1.3.7:90",
    "/explain?q=nowhere",
    "/explain?q=prod",
    "/explain?q=%7Bservice%3D%22svc-5%22%7D",
    "/explain?q=%7Bservise%3D%22svc-5%22%7D",
    "/journal",
    "/journal?selector=nowhere",
    "/journal?selector=%7Bhost_id%3D~%22.*nowhere.*%22%7D",
    "/journal?kind=removed",
    "/relabel",
    "/relabel?job=big",
    "/relabel/metrics",
    "/publications",
    "/remote-write",
    "/status",
    "/config",
    "/flags",
    "/nowhere",
];

const ANSWERS: [&str; 11] = [
    "/api/v1/explain?q=127.1.3.7:9",
    "/api/v1/explain?q=nowhere",
    "/api/v1/explain?q=127.1.3.7:90",
    "/api/v1/explain?q=%7Bservise%3D%22svc-5%22%7D",
    "/api/v1/top",
    "/api/v1/journal",
    "/api/v1/journal?selector=nowhere",
    "/api/v1/roster",
    "/api/v1/roster?selector=nowhere",
    "/api/v1/targets?search=nowhere",
    "/metrics",
];

pub(super) async fn run(options: &Options) {
    let folder = Folder::new();
    let (half, each) = (options.targets / 2, options.targets / 2 / JOBS);
    let mut jobs: Vec<_> = (0..JOBS).map(|job| (format!("job-{job:03}"), format!("job-{job:03}"), "")).collect();
    for (job, (name, ..)) in jobs.iter().enumerate() {
        input::write(&folder, name, job * each..(job + 1) * each);
    }
    let (large, is_kept) = (half..half + half / 4 * 5, |number: &usize| !(number % 400).is_multiple_of(5));
    let kept = large.clone().filter(is_kept).count();
    input::write(&folder, "big", large);
    jobs.push(("big".to_owned(), "big".to_owned(), RULES));
    input::configure(&folder, "agent.yml", "", &jobs);
    let agent = Agent::start(&folder, "agent.yml", each * JOBS + kept).await;
    let (mut missed, before) = (0, agent.memory().0);
    agent.reset();
    for path in PAGES {
        missed += usize::from(tell(&agent, path, true).await);
    }
    for path in [
        "/targets",
        "/targets?search=svc-399",
        "/service-discovery?job=big",
        "/service-discovery?job=big&search=nowhere",
        "/journal",
    ] {
        missed += usize::from(turn(&agent, path).await);
    }
    for path in ANSWERS {
        tell(&agent, path, false).await;
    }
    println!(
        "\n{missed} over the bounds of {FIRST:?} and {LARGEST} bytes; memory {before} MiB, at the peak {} MiB",
        agent.memory().1
    );
}

/// Asks again and again, and tells the first and the worst; whether that is over a bound.
async fn tell(agent: &Agent, path: &str, is_bounded: bool) -> bool {
    let (cpu, mut answers) = (agent.cpu(), Vec::new());
    for _ in 0..TIMES {
        answers.push(agent.ask("GET", path).await.expect("it answers"));
    }
    let (cold, worst) = (answers[0].first, answers.iter().map(|answer| answer.first).max().unwrap_or_default());
    let length = answers.iter().map(|answer| answer.length).max().unwrap_or_default();
    let whole = answers.iter().map(|answer| answer.whole).max().unwrap_or_default();
    let is_over = is_bounded && (worst > FIRST || length > LARGEST);
    let cpu = (agent.cpu() - cpu) * 1000.0 / TIMES as f64;
    let mark = if is_over { "!" } else { " " };
    println!(
        "{mark} {path:<70} first {cold:>8.1?}, worst {worst:>8.1?}, whole {whole:>8.1?}, CPU {cpu:>5.0} ms {length:>9} bytes"
    );
    is_over
}

/// Turns the pages of a list, and tells the worst; whether that is over a bound.
async fn turn(agent: &Agent, path: &str) -> bool {
    let (mut next, mut worst, mut largest, mut pages) = (path.to_owned(), Duration::ZERO, 0, 0);
    while pages < TURNED {
        let answer = agent.ask("GET", &next).await.expect("it answers");
        (worst, largest, pages) = (worst.max(answer.first), largest.max(answer.length), pages + 1);
        let link = answer.text.rsplit_once("\" rel=\"next\"").and_then(|(before, _)| before.rsplit_once("href=\""));
        match link {
            Some((_, link)) => next = link.replace("&amp;", "&").replace("&#38;", "&"),
            None => break,
        }
    }
    let is_over = worst > FIRST || largest > LARGEST;
    println!("{} {pages} pages of {path:<58} worst {worst:>8.1?} {largest:>9} bytes", if is_over { "!" } else { " " });
    is_over
}
