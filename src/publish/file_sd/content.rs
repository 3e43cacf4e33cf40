//! What should be in the file of an output. Pure.

use std::sync::Arc;

use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3Default;

use super::{Format, Output};
use crate::publish::encode::{self, Encoding};
use crate::roster::view::{self, JobView, RosterView};

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
    Unknown,
}

/// What should be in the file of an output now.
pub(super) fn content(output: &Output, view: &RosterView) -> Content {
    let Some(jobs) = output.jobs.iter().map(|name| view.job(name).cloned()).collect::<Option<Vec<_>>>() else {
        return Content::Unknown;
    };
    let Ok(jobs) = view::servable(&jobs) else { return Content::Unknown };
    let mut hasher = Xxh3Default::new();
    for job in &*jobs {
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
        assert!(matches!(content(&output(&["a"]), &RosterView::default()), Content::Unknown));
        let none = content(&output(&[]), &RosterView::default());
        assert!(matches!(none, Content::Jobs { jobs, .. } if jobs.is_empty()));
    }
}
