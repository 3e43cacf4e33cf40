//! `/api/v1/scrape_pools` and `/api/v1/targets/relabel_steps`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State as Extract;
use axum::response::Response;
use http::Uri;
use rosterd_model::Labels;
use rosterd_model::relabel::Step;
use serde::Serialize;

use super::Error;
use super::State;
use super::envelope::success;
use super::missing::{Causes, MissingSource};
use super::query::Query;
use super::sd::unknown_job;
use crate::problem::Problem;
use crate::roster::presence::{self, Presence};
use crate::roster::view::JobView;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScrapePools {
    scrape_pools: Vec<Arc<str>>,
    /// How much is known of each.
    presence: BTreeMap<Arc<str>, Presence>,
    /// What is missing of pools, by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    missing: BTreeMap<Arc<str>, Vec<MissingSource>>,
}

/// The names of all jobs, and how much is known of them.
pub(super) async fn scrape_pools(Extract(state): Extract<Arc<State>>) -> Response {
    let (view, causes) = (state.roster.view(), Causes::of(&state));
    let name = |job: &Arc<JobView>| Arc::clone(&job.spec().name);
    let missing = view.jobs().filter(|job| !job.missing().is_empty());
    success(ScrapePools {
        missing: missing.map(|job| (name(job), causes.explain(job.missing()))).collect(),
        presence: presence::of_jobs(&view, &state.providers.list()).into_iter().collect(),
        scrape_pools: view.jobs().map(name).collect(),
    })
}

#[derive(Serialize)]
struct RelabelSteps {
    steps: Vec<Step>,
}

/// What each rule of a job makes of a label set.
pub(super) async fn relabel_steps(Extract(state): Extract<Arc<State>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::of(&uri);
    let pool = query.need("scrapePool", "the name of a job")?;
    let expected = "a JSON object of label names to values";
    let given = query.need("labels", expected)?;
    let labels: Labels = serde_json::from_str(given).map_err(|_| Error::BadParameter {
        name: "labels",
        value: given.to_owned(),
        expected,
    })?;
    let view = state.roster.view();
    let unknown = || Error::NoSuchJob { name: "scrapePool", source: unknown_job(&view, pool) };
    let job = view.job(pool).ok_or_else(unknown)?;
    Ok(success(RelabelSteps { steps: job.spec().rules.explain(&labels) }))
}
