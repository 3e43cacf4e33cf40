//! `/`: how things are, at a glance: what is wrong now, numbers, jobs, remote write.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State as Extract;
use axum::response::Response;
use http::Uri;

use super::super::query::Query;
use super::super::trends::Trends;
use super::super::words::{Moment, Tally, bytes, coarse, grouped};
use super::super::{State, routes};
use super::chart::Chart;
use super::count::Count;
use super::cut::{self, as_fits, line, written};
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

/// How many jobs stand on a page, and about how long all that and what is above it may be, in bytes; those that do not go well come
/// first where there are more.
const JOBS: usize = 100;
const MOST_BYTES: usize = 160_000;
/// What stands around the names of a job and what there is to say of it.
const JOB: usize = 1_450;
/// How many endpoints do, and how many bytes they may have.
const ENDPOINTS: usize = 20;
const ENDPOINTS_BYTES: usize = 20_000;
/// How much of what is wrong is told, in how many bytes, of which one trouble may list so many.
const TROUBLES: usize = 50;
const TROUBLES_BYTES: usize = 40_000;
const LISTED_BYTES: usize = 5_000;
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
    /// Whether any of them has a chart yet.
    is_charted: bool,
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
    let wrong = troubles(&situation);
    let shell = Shell::new(&state, "/", "Overview", &wrong);
    let links = |route: &super::super::Route| {
        route.methods == ["GET"] && route.path.starts_with("/api") && !route.path.contains('{')
    };
    let count = wrong.len();
    let troubles = as_fits(wrong.into_iter().take(TROUBLES).map(shortened), TROUBLES_BYTES, length);
    let more_troubles = count - troubles.len();
    let endpoints = situation.endpoints_by_need();
    let count = endpoints.len();
    let endpoints = endpoints.iter().take(ENDPOINTS).map(|status| Endpoint::of(status, &situation));
    let endpoints = as_fits(endpoints, ENDPOINTS_BYTES, Endpoint::size);
    let more_endpoints = count - endpoints.len();
    let above = troubles.iter().map(length).sum::<usize>() + endpoints.iter().map(Endpoint::size).sum::<usize>();
    let shown = jobs(&situation, number, MOST_BYTES.saturating_sub(above));
    let rows = shown.jobs.iter().map(|(job, tally, standing)| Job::of(job, *tally, standing.clone(), &state.trends));
    let rows: Vec<_> = rows.collect();
    let up = situation.now.duration_since(state.started).unwrap_or_default();
    Ok(page(&Overview {
        shell,
        host: state.external_url.host(),
        revision: state.build.revision.chars().take(7).collect(),
        uptime: rosterd_model::Duration::from(Duration::from_secs(up.as_secs())).to_string(),
        loaded: Moment::of(situation.config.loaded, situation.now),
        idle: situation.config.idle,
        down: situation.jobs.iter().map(|(_, tally)| tally.down).sum(),
        troubles,
        more_troubles,
        tiles: tiles(&situation, &state.trends.points()),
        is_charted: rows.iter().any(|job| job.chart.is_some()),
        jobs: rows,
        before: (number > 1).then(|| number - 1),
        after: (shown.first + shown.jobs.len() < shown.count).then(|| number + 1),
        shown: shown.words(),
        endpoints,
        more_endpoints,
        paths: routes().iter().filter(|route| links(route)).map(|route| route.path).collect(),
    }))
}

/// What is wrong, as far as there is room for each.
fn shortened(trouble: Trouble) -> Trouble {
    let (what, why) = (line(&trouble.what), line(&trouble.why));
    Trouble {
        what,
        why,
        list: cut::lines(trouble.list, usize::MAX, LISTED_BYTES),
        keep: line(&trouble.keep),
        ..trouble
    }
}

/// About how long it is on the page.
fn length(trouble: &Trouble) -> usize {
    let Trouble { what, why, list, keep, path, release, .. } = trouble;
    let listed = list.iter().map(|line| 10 + written(line)).sum::<usize>();
    600 + [what, why, keep, path, release].iter().map(|text| written(text)).sum::<usize>() + listed
}

/// The jobs of a page.
struct Shown<'a> {
    jobs: Vec<(&'a JobView, Tally, Standing)>,
    /// How many are on the pages before.
    first: usize,
    /// How many there are.
    count: usize,
}

/// The jobs of a page, of which each has as many as there is room for.
fn jobs(situation: &Situation, page: usize, room: usize) -> Shown<'_> {
    let (stale, warned) = (situation.stale(), situation.warned());
    let standing = |job: &JobView| {
        let standing = Standing::of_job(job, &stale, &warned);
        Standing { detail: line(&standing.detail), ..standing }
    };
    let jobs = situation.jobs.iter().map(|(job, tally)| (&**job, *tally, standing(job)));
    let mut sorted: Vec<_> = jobs.collect();
    let pages = |sorted: &[(&JobView, Tally, Standing)]| {
        paged(sorted.iter().map(|(job, tally, standing)| weight(job, *tally, standing)), room)
    };
    if pages(&sorted).len() > 1 {
        // The sort is stable, and they come by name.
        sorted.sort_by_key(|(_, tally, standing)| (standing.class != "down", standing.class == "up", tally.down == 0));
    }
    let (count, pages) = (sorted.len(), pages(&sorted));
    let range = pages.get(page - 1).cloned().unwrap_or(count..count);
    Shown { first: range.start, jobs: sorted.drain(range).collect(), count }
}

/// About how long a job is on the page: its name stands there, and in the address of each list of its targets that there is.
fn weight(job: &JobView, tally: Tally, standing: &Standing) -> usize {
    let (name, counts) = (&job.spec().name, job.counts());
    let numbers = [tally.up, tally.down, tally.unknown, job.pages().held()];
    let others = [counts.duplicates, counts.dropped, counts.failed];
    let linked = numbers.iter().chain(&others).filter(|number| **number > 0).count();
    let address = written(&targets::path(name, ""));
    JOB + 2 * written(name) + (2 + linked) * address + linked * 40 + written(&standing.detail)
}

/// Which of rows of these lengths are on which page: not too many, and no more than there is room for, but one.
fn paged(lengths: impl Iterator<Item = usize>, room: usize) -> Vec<Range<usize>> {
    let (mut pages, mut start, mut bytes, mut count) = (Vec::new(), 0, 0, 0);
    for length in lengths {
        if count - start == JOBS || (count > start && bytes + length > room) {
            pages.push(start..count);
            (start, bytes) = (count, 0);
        }
        (count, bytes) = (count + 1, bytes + length);
    }
    pages.push(start..count);
    pages
}

impl Shown<'_> {
    /// Which of how many jobs these are.
    fn words(&self) -> String {
        let Self { jobs, first, count } = self;
        match jobs.len() {
            all if all == *count => String::new(),
            0 => format!("none: there are {}", grouped(*count as u64)),
            some => {
                let [first, last, all] = [first + 1, first + some, *count].map(|number| grouped(number as u64));
                format!("{first} to {last} of {all}, those first that do not go well")
            }
        }
    }
}

impl Job {
    fn of(job: &JobView, tally: Tally, standing: Standing, trends: &Trends) -> Self {
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
            standing,
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
    /// About how long it is on the page.
    fn size(&self) -> usize {
        900 + written(&self.name)
    }

    fn of(status: &RemoteWriteStatus, situation: &Situation) -> Self {
        let waited = status.oldest_pending.and_then(|oldest| situation.now.duration_since(oldest).ok());
        let count = |what, number| Count::new(what, usize::try_from(number).unwrap_or(usize::MAX), "");
        Self {
            name: line(&status.name),
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
    fn each_page_has_as_many_jobs_as_there_is_room_for() {
        let pages = |count: usize, length: usize| {
            let pages = paged(std::iter::repeat_n(length, count), 1000);
            pages.into_iter().map(|page| (page.start, page.end)).collect::<Vec<_>>()
        };
        assert_eq!(pages(0, 1), [(0, 0)]);
        assert_eq!(pages(100, 1), [(0, 100)]);
        assert_eq!(pages(250, 1), [(0, 100), (100, 200), (200, 250)]);
        assert_eq!(pages(5, 400), [(0, 2), (2, 4), (4, 5)]);
        assert_eq!(pages(2, 5000), [(0, 1), (1, 2)], "one has its place");
    }

    #[test]
    fn bars_are_shares_of_all_targets() {
        let bar = Bar::of(Tally { up: 1, down: 1, unknown: 1, elsewhere: 5 });
        assert_eq!((bar.up, bar.down, bar.words.as_str()), (33.3, 33.3, "33.3 % up, 33.3 % down"));
        assert_eq!(Bar::of(Tally { up: 0, down: 0, unknown: 0, elsewhere: 0 }).up, 0.0);
    }
}
