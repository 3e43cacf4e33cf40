//! `/`: how things are, at a glance: what is wrong now, numbers, jobs, remote write.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State as Extract;
use axum::response::Response;
use http::Uri;
use rosterd_discovery::ProviderKey;

use super::super::query::Query;
use super::super::trends::Trends;
use super::super::words::{Moment, Tally, bytes, coarse, grouped};
use super::super::{State, routes};
use super::chart::Chart;
use super::count::Count;
use super::discovery;
use super::entries::Wanted;
use super::shell::{Shell, page};
use super::situation::Situation;
use super::standing::Standing;
use super::targets;
use super::tiles::{Tile, tiles};
use super::troubles::{Trouble, troubles};
use crate::problem::Problem;
use crate::roster::view::JobView;
use crate::scrape::RemoteWriteStatus;

/// How many jobs stand on a page; those that do not go well come first where there are more.
const JOBS: usize = 100;
/// How many endpoints do.
const ENDPOINTS: usize = 20;
/// How much of what is wrong is told.
const TROUBLES: usize = 50;
/// How many points the chart of a job has at most.
const JOB_POINTS: usize = 24;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    shell: Shell,
    host: String,
    revision: String,
    uptime: String,
    loaded: Moment,
    idle: Option<&'static str>,
    /// How many targets are down.
    down: usize,
    troubles: Vec<Trouble>,
    /// Those that are not told.
    more_troubles: usize,
    tiles: Vec<Tile>,
    jobs: Vec<Job>,
    /// What stands beside the heading of the jobs.
    shown: String,
    /// The pages before and after.
    before: Option<usize>,
    after: Option<usize>,
    endpoints: Vec<Endpoint>,
    /// Those that are not shown.
    more_endpoints: usize,
    paths: Vec<&'static str>,
}

struct Job {
    name: Arc<str>,
    path: String,
    bar: Bar,
    /// How many targets it had.
    chart: Option<Chart>,
    counts: Vec<Count>,
    standing: Standing,
    /// By what its targets are found.
    mechanisms: String,
}

/// Shares of a whole of 100.
struct Bar {
    up: f64,
    down: f64,
    words: String,
}

struct Endpoint {
    name: String,
    standing: Standing,
    counts: Vec<Count>,
    disk: String,
    behind: String,
    success: Option<Moment>,
}

/// The page.
pub(in crate::api) async fn overview(Extract(state): Extract<Arc<State>>, uri: Uri) -> Result<Response, Problem> {
    let number = Query::of(&uri).count("page")?.unwrap_or(1);
    let situation = Situation::of(&state);
    let mut wrong = troubles(&situation);
    let shell = Shell::new(&state, "/", "Overview", &wrong);
    let links = |route: &super::super::Route| {
        route.methods == ["GET"] && route.path.starts_with("/api") && !route.path.contains('{')
    };
    let more_troubles = wrong.len().saturating_sub(TROUBLES);
    wrong.truncate(TROUBLES);
    let (jobs, count) = (jobs(&situation, number, &state.trends), situation.jobs.len());
    let up = situation.now.duration_since(state.started).unwrap_or_default();
    let endpoints = situation.endpoints_by_need();
    Ok(page(&Overview {
        shell,
        host: state.external_url.host(),
        revision: state.build.revision.chars().take(7).collect(),
        uptime: rosterd_model::Duration::from(Duration::from_secs(up.as_secs())).to_string(),
        loaded: Moment::of(situation.config.loaded, situation.now),
        idle: situation.config.idle,
        down: situation.jobs.iter().map(|(_, tally)| tally.down).sum(),
        troubles: wrong,
        more_troubles,
        tiles: tiles(&situation, &state.trends.points()),
        jobs,
        shown: shown(number, count),
        before: (number > 1).then(|| number - 1),
        after: (number.saturating_mul(JOBS) < count).then(|| number + 1),
        endpoints: endpoints.iter().take(ENDPOINTS).map(|status| Endpoint::of(status, &situation)).collect(),
        more_endpoints: endpoints.len().saturating_sub(ENDPOINTS),
        paths: routes().iter().filter(|route| links(route)).map(|route| route.path).collect(),
    }))
}

/// Which of how many jobs these are.
fn shown(page: usize, count: usize) -> String {
    let first = (page - 1).saturating_mul(JOBS);
    match count {
        _ if count <= JOBS => String::new(),
        _ if first >= count => format!("none: there are {}", grouped(count as u64)),
        _ => {
            let [first, last, all] = [first + 1, count.min(first + JOBS), count].map(|number| grouped(number as u64));
            format!("{first} to {last} of {all}, those first that do not go well")
        }
    }
}

fn jobs(situation: &Situation, page: usize, trends: &Trends) -> Vec<Job> {
    let stale = situation.stale();
    let mut sorted: Vec<_> = situation.jobs.iter().collect();
    if sorted.len() > JOBS {
        // The sort is stable, and they come by name.
        sorted.sort_by_key(|(job, tally)| {
            let standing = Standing::of_job(job, &stale);
            (standing.class != "down", standing.class == "up", tally.down == 0)
        });
    }
    let wanted = sorted.into_iter().skip((page - 1).saturating_mul(JOBS)).take(JOBS);
    wanted.map(|(job, tally)| Job::of(job, *tally, &stale, trends)).collect()
}

impl Job {
    fn of(job: &JobView, tally: Tally, stale: &HashSet<&ProviderKey>, trends: &Trends) -> Self {
        let (name, counts) = (&job.spec().name, job.counts());
        let path = |health: &str| targets::path(name, health);
        let mut mechanisms: Vec<_> = job.providers().iter().map(|provider| provider.key.mechanism()).collect();
        mechanisms.sort_unstable();
        mechanisms.dedup();
        Self {
            path: path(""),
            bar: Bar::of(tally),
            chart: Chart::of("Targets over the last day", &trends.of_job(name), JOB_POINTS),
            counts: vec![
                Count::new("up", tally.up, path("up")),
                Count::new("down", tally.down, path("down")),
                Count::new("unknown", tally.unknown, path("unknown")),
                Count::new("held", job.pages().held(), path("held")),
                Count::new("duplicates", counts.duplicates, discovery::path(name, Wanted::Duplicates)),
                Count::new("dropped", counts.dropped, discovery::path(name, Wanted::Dropped)),
                Count::new("impossible", counts.failed, discovery::path(name, Wanted::Impossible)),
            ],
            standing: Standing::of_job(job, stale),
            mechanisms: mechanisms.join(", "),
            name: Arc::clone(name),
        }
    }
}

impl Bar {
    fn of(tally: Tally) -> Self {
        let all = (tally.up + tally.down + tally.unknown).max(1) as f64;
        let share = |count: usize| (count as f64 / all * 1000.0).round() / 10.0;
        let words = format!("{} % up, {} % down", share(tally.up), share(tally.down));
        Self { up: share(tally.up), down: share(tally.down), words }
    }
}

impl Endpoint {
    fn of(status: &RemoteWriteStatus, situation: &Situation) -> Self {
        let waited = status.oldest_pending.and_then(|oldest| situation.now.duration_since(oldest).ok());
        let count = |what, number| Count::new(what, usize::try_from(number).unwrap_or(usize::MAX), "");
        Self {
            name: status.name.clone(),
            standing: Standing::of_endpoint(status.state(situation.now)),
            counts: vec![
                count("sent", status.samples_sent),
                count("refused", status.samples_failed),
                count("given up", status.samples_dropped),
                count("pending", status.pending_samples),
            ],
            disk: bytes(status.bytes_on_disk),
            behind: waited.map(coarse).unwrap_or_default(),
            success: status.last_success.map(|time| Moment::of(time, situation.now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_jobs_it_is_said_which_are_shown() {
        let words = |page, count| shown(page, count).replace('\u{202f}', " ");
        assert_eq!(words(1, 100), "");
        assert_eq!(words(2, 1250), "101 to 200 of 1 250, those first that do not go well");
        assert_eq!(words(2, 101), "101 to 101 of 101, those first that do not go well");
        assert_eq!(words(3, 101), "none: there are 101");
        assert_eq!(words(usize::MAX, 101), "none: there are 101");
    }

    #[test]
    fn bars_are_shares_of_all_targets() {
        let bar = Bar::of(Tally { up: 1, down: 1, unknown: 1 });
        assert_eq!((bar.up, bar.down, bar.words.as_str()), (33.3, 33.3, "33.3 % up, 33.3 % down"));
        assert_eq!(Bar::of(Tally { up: 0, down: 0, unknown: 0 }).up, 0.0);
    }
}
