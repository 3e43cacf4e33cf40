//! `/api/v1/brake`: removals of targets that are held until they are confirmed, and what lets go of them.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Request, State as Extract};
use axum::response::Response;
use rosterd_discovery::ProviderKey;
use rosterd_tasks::by_size;
use serde::Serialize;

use super::envelope::success;
use super::query::Query;
use super::sd::unknown_job;
use super::status::rfc3339;
use super::{Error, State, origin};
use crate::problem::Problem;
use crate::roster::confirmation::{self, Confirmation, Readings};
use crate::roster::holding;
use crate::roster::target::Entry;
use crate::roster::view::JobView;

#[derive(Serialize)]
struct Brakes {
    brakes: Vec<JobBrake>,
}

/// What is braked of a job.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JobBrake {
    job: Arc<str>,
    /// How many targets are held.
    held: usize,
    /// Of how many.
    targets: usize,
    since: String,
    /// What confirms it.
    confirm: String,
    /// Whether that is that watched sources do not take it back.
    watched: bool,
    /// When that may be, at the earliest.
    expected: Option<String>,
    /// Until when they stay after that.
    grace_until: Option<String>,
    /// The command that lets go of them, and what of the configuration keeps them.
    release: String,
    keep: String,
    providers: Vec<BrakedProvider>,
}

/// Of a provider.
#[derive(Serialize)]
struct BrakedProvider {
    provider: ProviderKey,
    held: usize,
}

/// What was let go of.
#[derive(Serialize)]
struct Released {
    /// The first of the jobs, which is most often the only one.
    job: Arc<str>,
    /// Of all of them.
    released: usize,
    jobs: Vec<JobReleased>,
}

/// Of a job.
#[derive(Serialize)]
struct JobReleased {
    job: Arc<str>,
    released: usize,
    /// What is not braked and stays all the same.
    grace: Option<Grace>,
}

/// Targets in their time of grace.
#[derive(Serialize)]
struct Grace {
    targets: usize,
    /// When the last of them goes.
    until: Option<String>,
    /// What of the configuration lets them go.
    end: String,
}

/// All that is braked, by job.
pub(super) async fn brakes(Extract(state): Extract<Arc<State>>) -> Response {
    let view = state.roster.view();
    // Of which provider each of them is has to be looked at.
    let weight = view.jobs().map(|job| holding::braked(job)).sum::<usize>() * size_of::<Entry>();
    let (providers, now) = (state.providers.list(), SystemTime::now());
    let list = move || {
        let readings = Readings::of(&providers);
        view.jobs().filter_map(|job| JobBrake::of(job, &readings, now)).collect()
    };
    success(Brakes { brakes: by_size(weight, list).await })
}

/// Lets go of what is braked of jobs: of none, unless there are all of them.
pub(super) async fn release(Extract(state): Extract<Arc<State>>, request: Request) -> Result<Response, Problem> {
    origin::check(request.uri(), request.headers(), &state.external_url)?;
    let query = Query::of(request.uri());
    query.need("job", "the name of the job whose targets are to go")?;
    let view = state.roster.view();
    let known = |name| view.job(name).cloned().ok_or_else(|| unknown_job(&view, name));
    let asked = query.all("job").map(known).collect::<Result<Vec<_>, _>>()?;
    let mut jobs = Vec::new();
    for view in asked {
        let job = Arc::clone(&view.spec().name);
        // An agent that stops decides nothing any more.
        let released = state.lifecycle.stopping.run_until_cancelled(state.roster.release(Some(Arc::clone(&job)))).await;
        let released = released.ok_or(Error::Stopping)?.remove(&job).unwrap_or_default();
        let weight = holding::in_grace(&view) * size_of::<Entry>();
        let view = state.roster.view().job(&job).cloned().unwrap_or(view);
        let grace = by_size(weight, move || Grace::of(&view)).await;
        jobs.push(JobReleased { job, released, grace });
    }
    let (job, released) = (Arc::clone(&jobs[0].job), jobs.iter().map(|job| job.released).sum());
    Ok(success(Released { job, released, jobs }))
}

impl Grace {
    fn of(job: &JobView) -> Option<Self> {
        let targets = Some(holding::in_grace(job)).filter(|targets| *targets > 0)?;
        let end = confirmation::ending_grace(&job.spec().name);
        Some(Self { targets, until: job.grace_until().map(rfc3339), end })
    }
}

impl JobBrake {
    fn of(job: &JobView, readings: &Readings<'_>, now: SystemTime) -> Option<Self> {
        let (since, counts, spec) = (job.braked()?, job.counts(), job.spec());
        let Confirmation { confirm, watched, expected, grace } = Confirmation::of(job, readings, now)?;
        let providers = job.braked_of().into_iter().map(|(provider, held)| BrakedProvider { provider, held });
        Some(Self {
            job: Arc::clone(&spec.name),
            held: holding::braked(job),
            targets: counts.targets,
            since: rfc3339(since),
            confirm,
            watched,
            expected: expected.map(rfc3339),
            grace_until: grace.map(rfc3339),
            release: confirmation::releasing(&spec.name),
            keep: confirmation::keeping(&spec.name),
            providers: providers.collect(),
        })
    }
}
