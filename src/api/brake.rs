//! `/api/v1/brake`: removals of targets that are held until they are confirmed, and what lets go of them.

use std::sync::Arc;

use axum::extract::{Request, State as Extract};
use axum::response::Response;
use rosterd_discovery::ProviderKey;
use rosterd_tasks::by_size;
use serde::Serialize;

use super::envelope::success;
use super::query::Query;
use super::sd::unknown_job;
use super::status::rfc3339;
use super::{Error, State, held, origin};
use crate::journal::{Kind, Note};
use crate::problem::Problem;
use crate::roster::brake::Confirm;
use crate::roster::hold::HoldReason;
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
    providers: Vec<BrakedProvider>,
}

/// Of a provider.
#[derive(Serialize)]
struct BrakedProvider {
    provider: ProviderKey,
    held: usize,
}

#[derive(Serialize)]
struct Released {
    job: Arc<str>,
    released: usize,
}

/// All that is braked, by job.
pub(super) async fn brakes(Extract(state): Extract<Arc<State>>) -> Response {
    let view = state.roster.view();
    let weight = view.jobs().map(|job| held::weight(job)).sum();
    let list = move || view.jobs().filter_map(|job| JobBrake::of(job)).collect();
    success(Brakes { brakes: by_size(weight, list).await })
}

/// Lets go of what is braked of a job.
pub(super) async fn release(Extract(state): Extract<Arc<State>>, request: Request) -> Result<Response, Problem> {
    origin::check(request.uri(), request.headers(), &state.external_url)?;
    let query = Query::of(request.uri());
    let name = query.need("job", "the name of the job whose targets are to go")?;
    let view = state.roster.view();
    let job = Arc::clone(&view.job(name).ok_or_else(|| unknown_job(&view, name))?.spec().name);
    // An agent that stops decides nothing any more.
    let released = state.lifecycle.stopping.run_until_cancelled(state.roster.release(Some(Arc::clone(&job)))).await;
    let released = released.ok_or(Error::Stopping)?.remove(&job).unwrap_or_default();
    if released > 0 {
        let detail = Some(format!("somebody let go of {released} targets").into());
        let (job, reason) = (Some(Arc::clone(&job)), Some("released".into()));
        state.journal.note(Note { job, reason, detail, ..Note::of(Kind::Brake) });
    }
    Ok(success(Released { job, released }))
}

impl JobBrake {
    fn of(job: &JobView) -> Option<Self> {
        let (since, counts, spec) = (job.braked()?, job.counts(), job.spec());
        let providers = job.braked_of().into_iter().map(|(provider, held)| BrakedProvider { provider, held });
        Some(Self {
            job: Arc::clone(&spec.name),
            held: held::by_reason(job).remove(&HoldReason::Braked).unwrap_or_default(),
            targets: counts.targets,
            since: rfc3339(since),
            confirm: match spec.keeping.confirm() {
                Some(Confirm::After(time)) => rosterd_model::Duration::from(time).to_string(),
                Some(Confirm::Never) => "never".to_owned(),
                Some(Confirm::Reading) | None => "reading".to_owned(),
            },
            providers: providers.collect(),
        })
    }
}
