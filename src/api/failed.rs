//! `/api/v1/targets/failed`: discovered targets that cannot be targets, and why.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::State as Extract;
use axum::response::Response;
use http::Uri;
use rosterd_model::{Builder, Labels, Names};
use rosterd_tasks::blocking;
use serde::Serialize;

use super::State;
use super::envelope::success;
use super::query::Query;
use super::sd::{RosterError, unknown_job};
use crate::problem::Problem;
use crate::roster::target::{Entry, Failure};
use crate::roster::view::JobView;

/// How many are listed unless the request says otherwise.
const LISTED: usize = 1000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FailedTargets {
    failed_targets: Vec<FailedTarget>,
    failed_target_count: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FailedTarget {
    discovered_labels: Labels,
    scrape_pool: Arc<str>,
    provider: String,
    source: String,
    error: String,
    #[serde(flatten)]
    failure: Failure,
}

/// Entries of one job, or of all, that relabelling left without an address or with an interval that is none.
pub(super) async fn failed(Extract(state): Extract<Arc<State>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::of(&uri);
    let limit = query.count("limit")?.unwrap_or(LISTED);
    let view = state.roster.view();
    let jobs: Vec<_> = match query.get("scrapePool") {
        Some(pool) => vec![Arc::clone(view.job(pool).ok_or_else(|| -> RosterError { unknown_job(&view, pool) })?)],
        None => view.jobs().cloned().collect(),
    };
    let failed_target_count = jobs.iter().map(|job| job.counts().failed).sum();
    // A few among very many, each in a block that has to be unpacked.
    let failed_targets = blocking(move || {
        let mut listed = Vec::new();
        jobs.iter().filter(|job| job.counts().failed > 0).for_each(|job| list(job, limit, &mut listed));
        listed
    });
    Ok(success(FailedTargets { failed_targets: failed_targets.await, failed_target_count }))
}

fn list(job: &JobView, limit: usize, listed: &mut Vec<FailedTarget>) {
    let (mut labels, mut names) = (Builder::new(), Names::new());
    for block in job.blocks() {
        if listed.len() >= limit || !block.entries().iter().any(|entry| matches!(entry, Entry::Failed(_))) {
            continue;
        }
        block.each_without_target(usize::MAX, job.spec(), &mut labels, |source, labels, entry| {
            let Entry::Failed(failure) = entry else { return ControlFlow::Continue(()) };
            listed.push(FailedTarget {
                discovered_labels: labels.build(&mut names),
                scrape_pool: Arc::clone(&job.spec().name),
                provider: block.provider().to_string(),
                source: source.to_owned(),
                error: failure.to_string(),
                failure: Failure::clone(failure),
            });
            if listed.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
    }
}
