//! `/api/v1/top`: which targets and jobs cost most.

use std::sync::Arc;

use axum::extract::State as Extract;
use axum::response::Response;
use http::Uri;
use rosterd_tasks::blocking;

use super::envelope::success_knowing;
use super::query::Query;
use super::sd::unknown_job;
use super::{Error, State};
use crate::explain::{By, Ranking};
use crate::problem::Problem;

/// How many are told unless the request says otherwise, and at most.
const TOLD: usize = 20;
const MOST_TOLD: usize = 1000;

/// What costs most, by what the request asks for.
pub(super) async fn top(Extract(state): Extract<Arc<State>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::of(&uri);
    let told = query.count("limit")?.unwrap_or(TOLD).min(MOST_TOLD);
    let (by, search) = (query.one_of("by", &By::ALL, By::as_str)?.unwrap_or_default(), query.search("search")?);
    let view = state.roster.view();
    let jobs = match query.get("job") {
        Some(name) => {
            let unknown = || Error::NoSuchJob { name: "job", source: unknown_job(&view, name) };
            vec![Arc::clone(view.job(name).ok_or_else(unknown)?)]
        }
        None => view.jobs().cloned().collect(),
    };
    let mut ranking = Ranking::new(jobs, state.scrapes.clone(), search, by, told);
    loop {
        let more;
        (ranking, more) = blocking(move || {
            let more = ranking.step();
            (ranking, more)
        })
        .await;
        if !more {
            return Ok(success_knowing(ranking.finish(), state.config.borrow().idle));
        }
    }
}
