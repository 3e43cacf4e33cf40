//! From outputs to the workers that should run. What is in a file is no part of it. Pure.

use xxhash_rust::xxh3::Xxh3Default;

use super::Output;
use crate::reconcile::{Desired, DesiredSet, WorkerId};
use crate::store::ledger::Revision;

/// A worker for each output.
pub fn desired(outputs: &[Output]) -> DesiredSet<Output> {
    outputs.iter().map(|output| (id(output), Desired { revision: revision(output), spec: output.clone() })).collect()
}

pub(super) fn id(output: &Output) -> WorkerId {
    format!("file_sd:{}", output.path.display()).into()
}

/// Another one when the format or the jobs are others.
pub(super) fn revision(output: &Output) -> Revision {
    let mut hasher = Xxh3Default::new();
    hasher.update(output.path.as_os_str().as_encoded_bytes());
    hasher.update(format!("\0{:?}", output.format).as_bytes());
    for job in &output.jobs {
        hasher.update(b"\0");
        hasher.update(job.as_bytes());
    }
    Revision(hasher.digest128())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::file_sd::Format;

    #[test]
    fn a_revision_tells_settings_apart_and_is_the_same_in_every_version() {
        let of = |path: &str, format, jobs: &[&str]| {
            let jobs = jobs.iter().map(|job| (*job).into()).collect();
            revision(&Output { path: path.into(), format, jobs })
        };
        let revisions = [
            of("/a.json", Format::Json, &["a", "b"]),
            of("/a.json", Format::Json, &["ab"]),
            of("/a.json", Format::Yaml, &["a", "b"]),
            of("/b.json", Format::Json, &["a", "b"]),
        ];
        assert_eq!(revisions.iter().collect::<std::collections::BTreeSet<_>>().len(), revisions.len());
        assert_eq!(revisions[0].to_string(), "1aad7e6797b2113654126fb7f8fe0bd6");
    }
}
