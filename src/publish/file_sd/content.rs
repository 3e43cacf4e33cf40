//! What should be in the file of an output. Pure.

use std::sync::Arc;

use bytes::Bytes;
use rosterd_model::Report;
use serde::Serialize;
use xxhash_rust::xxh3::Xxh3Default;

use super::{Format, Output};
use crate::publish::encode::{self, Encoding};
use crate::roster::view::{JobView, RosterView};

/// What should be in the file.
#[derive(Debug)]
pub(super) enum Content {
    /// The targets of these jobs.
    Jobs {
        /// Equal for equal content.
        revision: u128,
        /// The jobs.
        jobs: Arc<[Arc<JobView>]>,
    },
    /// Not known yet, or not fit to be handed out: the file is left alone.
    Unknown(Vec<Missing>),
}

/// A job that keeps a file from being written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The job.
    pub job: Arc<str>,
    /// Why its targets cannot be handed out; `None` as long as the roster does not know the job at all.
    pub error: Option<Report>,
}

/// What should be in the file of an output now.
pub(super) fn content(output: &Output, view: &RosterView) -> Content {
    let mut jobs = Vec::with_capacity(output.jobs.len());
    let mut missing = Vec::new();
    for name in &output.jobs {
        let job = view.job(name);
        match job.map(|job| job.servable()) {
            Some(Ok(())) => jobs.extend(job.cloned()),
            Some(Err(error)) => missing.push(Missing { job: Arc::clone(name), error: Some(Report::of(&error)) }),
            None => missing.push(Missing { job: Arc::clone(name), error: None }),
        }
    }
    if !missing.is_empty() {
        return Content::Unknown(missing);
    }
    let mut hasher = Xxh3Default::new();
    for job in &jobs {
        hasher.update(&job.revision().to_le_bytes());
    }
    Content::Jobs { revision: hasher.digest128(), jobs: jobs.into() }
}

/// The content in pieces, encoded as they are taken.
pub(super) fn pieces(format: Format, jobs: &[Arc<JobView>]) -> Box<dyn Iterator<Item = Bytes> + Send> {
    match format {
        Format::Json => encode::list(jobs, Encoding::Identity),
        Format::Yaml => encode::yaml(jobs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_the_roster_does_not_know_is_unknown_not_empty() {
        let output = |jobs: &[&str]| Output {
            path: "/x.json".into(),
            format: Format::Json,
            jobs: jobs.iter().map(|job| (*job).into()).collect(),
        };
        let Content::Unknown(missing) = content(&output(&["a"]), &RosterView::default()) else { panic!("it is known") };
        assert_eq!(missing, [Missing { job: "a".into(), error: None }]);
        let none = content(&output(&[]), &RosterView::default());
        assert!(matches!(none, Content::Jobs { jobs, .. } if jobs.is_empty()));
    }
}
