//! `/api/v1/explain`: the whole story of targets that are there, or are not.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::State as Extract;
use axum::response::Response;
use http::Uri;
use rosterd_tasks::blocking;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::State;
use super::envelope::success;
use super::journal::are_known;
use super::query::Query;
use super::sd::unknown_job;
use crate::explain::{Explanation, Finder, Known, Search};
use crate::journal;
use crate::problem::Problem;

/// How many entries are told unless the request says otherwise, and at most.
const TOLD: usize = 10;
const MOST_TOLD: usize = 100;
/// How long is searched unless the request says otherwise, and at most.
const PATIENCE: Duration = Duration::from_secs(5);
pub(super) const MOST_PATIENCE: Duration = Duration::from_secs(60);

/// How many nanoseconds it takes about to unpack a byte of discovered labels, and to search it.
const UNPACKED_IN: u64 = 3;

/// What is known of what the request searches for.
pub(super) async fn explain(Extract(state): Extract<Arc<State>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::of(&uri);
    query.need("q", "an address, words or a selector such as {instance=\"a:9100\"}")?;
    let search = query.search("q")?;
    let told = query.count("limit")?.unwrap_or(TOLD).min(MOST_TOLD);
    let patience = query.duration("timeout")?.unwrap_or(PATIENCE).min(MOST_PATIENCE);
    Ok(success(with_past(&state, search, query.get("job"), told, patience).await?))
}

/// The same as [`of`], and what the journal tells of it, for which half as much time is taken.
pub(super) async fn with_past(
    state: &State,
    search: Search,
    job: Option<&str>,
    told: usize,
    patience: Duration,
) -> Result<Explanation, Problem> {
    if let Some(job) = job {
        is_known(state, job).await?;
    }
    let mut explanation = of(state, search.clone(), job, told, patience).await;
    if let Some(question) = explanation.question(&search, job) {
        let question = journal::Query { patience: Some(patience / 2), ..question };
        // A journal that is off, or has nothing yet, tells of no past.
        let past = state.journal.query(question).await.ok();
        explanation.past_reached = past.as_ref().and_then(|page| page.reached);
        explanation.past = past.map(|page| page.events);
        // What was there once was no slip of the pen.
        if explanation.gone().is_some() {
            explanation.similar.clear();
            explanation.hints.clear();
        }
    }
    Ok(explanation)
}

/// Refuses a job that is neither there nor in the journal: of one that is gone, its past is told.
pub(super) async fn is_known(state: &State, job: &str) -> Result<(), Problem> {
    let known = are_known(state, std::iter::once(job)).await;
    // Where the journal has no answer, nobody knows that there was one.
    known.map_err(|_| unknown_job(&state.roster.view(), job).into())
}

/// Searches all jobs or one, for so long at most, and tells so many entries. The journal is not asked.
async fn of(state: &State, search: Search, job: Option<&str>, told: usize, patience: Duration) -> Explanation {
    let view = state.roster.view();
    let (end, gone) = (Instant::now() + patience, CancellationToken::new());
    // Who went away is searched for no longer.
    let _until_it_is_told = gone.clone().drop_guard();
    let mut finder = Finder::new(view.jobs().cloned().collect(), job, search, told);
    loop {
        // Each step is aside, and short where groups are.
        let gone = gone.clone();
        let more;
        (finder, more) = blocking(move || {
            let more = finder.step(&|bytes| {
                let unpacked = Duration::from_nanos(bytes as u64 * UNPACKED_IN);
                gone.is_cancelled() || Instant::now() + unpacked >= end
            });
            (finder, more)
        })
        .await;
        if !more {
            break;
        }
    }
    let known = Known {
        view,
        providers: state.providers.list(),
        scrapes: state.scrapes.clone(),
        publications: state.publications.list(),
        served: state.served.clone(),
        idle: state.config.borrow().idle,
        scraped: state.scraped.now(),
        now: SystemTime::now(),
    };
    blocking(move || known.explain(finder)).await
}
