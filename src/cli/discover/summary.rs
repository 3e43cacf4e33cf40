//! What discovery came to, for people: how many targets, and why what is no target is none.

use std::collections::BTreeMap;

use rosterd_discovery::{Presence, ProviderStatus};
use rosterd_model::counted;

use super::collect::Groups;
use crate::roster::reasons::why_no_targets;
use crate::roster::view::{JobView, RosterView};

const NOT_KNOWN: &str = "not known";

/// Lines on each job.
pub(super) fn targets(view: &RosterView) -> Vec<String> {
    let mut lines: Vec<String> = view.jobs().flat_map(|job| of_job(job)).collect();
    if view.jobs().len() != 1 {
        let targets = view.jobs().map(|job| job.counts().targets).sum();
        let unknown = view.jobs().filter(|job| !job.missing().is_empty()).count();
        let beside = if unknown > 0 { format!(", of {unknown} not all is known") } else { String::new() };
        lines.push(format!("{}: {}{beside}", counted(view.jobs().len(), "job"), counted(targets, "target")));
    }
    lines
}

/// A line on each provider.
pub(super) fn groups(groups: &Groups, providers: &[ProviderStatus]) -> Vec<String> {
    let line = |provider: &ProviderStatus| {
        let found = groups.get(&provider.key);
        let groups = found.map_or(0, BTreeMap::len);
        let targets = found.map_or(0, |groups| groups.values().map(|group| group.targets.len()).sum());
        let found = match provider.status.presence {
            Presence::Unsynced => NOT_KNOWN.to_owned(),
            _ => format!("{} with {}", counted(groups, "group"), counted(targets, "target")),
        };
        format!("{}: {found}", provider.jobs.join(", "))
    };
    providers.iter().map(line).collect()
}

fn of_job(job: &JobView) -> Vec<String> {
    let counts = job.counts();
    // Nothing is not the same as nothing that is known.
    let known = match (counts.targets, job.missing()) {
        (0, [_, ..]) => NOT_KNOWN.to_owned(),
        (targets, []) => counted(targets, "target"),
        (targets, [_, ..]) => {
            format!(
                "{} that {known} known",
                counted(targets, "target"),
                known = if targets == 1 { "is" } else { "are" }
            )
        }
    };
    let mut head = format!("{}: {known}", job.spec().name);
    for (count, what) in [
        (counts.dropped, "dropped by relabelling"),
        (counts.failed, "impossible"),
        (counts.duplicates, "equal to another"),
    ] {
        if count > 0 {
            head += &format!(", {count} {what}");
        }
    }
    let mut lines = vec![head];
    lines.extend(why_no_targets(job, usize::MAX).into_iter().map(|line| format!("  {line}")));
    lines
}
