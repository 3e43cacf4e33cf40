//! What discovery came to, for people: how many targets, what was dropped by which rule, and what cannot be a target and why.

use std::collections::BTreeMap;

use rosterd_discovery::ProviderStatus;
use rosterd_model::relabel::Scratch;
use rosterd_model::{Builder, Names};

use super::collect::Groups;
use crate::roster::target::Entry;
use crate::roster::view::{JobView, RosterView};

/// How many reasons of a kind are told.
const TOLD: usize = 5;

/// Lines on each job.
pub(super) fn targets(view: &RosterView) -> Vec<String> {
    let mut lines: Vec<String> = view.jobs().flat_map(|job| of_job(job)).collect();
    if view.jobs().len() != 1 {
        let targets = view.jobs().map(|job| job.counts().targets).sum();
        lines.push(format!("{}: {}", count(view.jobs().len(), "job"), count(targets, "target")));
    }
    lines
}

/// A line on each provider.
pub(super) fn groups(groups: &Groups, providers: &[ProviderStatus]) -> Vec<String> {
    let line = |provider: &ProviderStatus| {
        let found = groups.get(&provider.key);
        let groups = found.map_or(0, BTreeMap::len);
        let targets = found.map_or(0, |groups| groups.values().map(|group| group.targets.len()).sum());
        format!("{}: {} with {}", provider.jobs.join(", "), count(groups, "group"), count(targets, "target"))
    };
    providers.iter().map(line).collect()
}

/// One of these, or so many.
fn count(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn of_job(job: &JobView) -> Vec<String> {
    let counts = job.counts();
    let mut head = format!("{}: {}", job.spec().name, count(counts.targets, "target"));
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
    if counts.dropped + counts.failed > 0 {
        let (dropped, impossible) = reasons(job);
        lines.extend(told("dropped", dropped));
        lines.extend(told("impossible", impossible));
    }
    lines
}

/// Why, how many times, and for example which.
type Reasons = BTreeMap<String, (usize, String)>;

/// Why entries were dropped, and why others cannot be targets.
fn reasons(job: &JobView) -> (Reasons, Reasons) {
    let (mut dropped, mut impossible) = (Reasons::new(), Reasons::new());
    let (mut labels, mut relabelled, mut scratch) = (Builder::new(), Builder::new(), Scratch::default());
    let rules = &job.spec().rules;
    for block in job.blocks().filter(|block| block.entries().iter().any(|entry| !matches!(entry, Entry::Active(_)))) {
        block.each(job.spec(), &mut labels, |source, labels, entry| {
            let (reasons, why) = match entry {
                Entry::Active(_) => return,
                Entry::Failed(failure) => (&mut impossible, failure.to_string()),
                Entry::Dropped => {
                    relabelled.reset(labels.iter());
                    let rule = rules.dropped_by(&mut relabelled, &mut scratch);
                    let named = rule.and_then(|index| Some((index + 1, rules.iter().nth(index)?.config())));
                    (&mut dropped, named.map(|(number, rule)| format!("by rule {number}: {rule}")).unwrap_or_default())
                }
            };
            let mut example = || format!("{} of {source}", labels.build(&mut Names::new()));
            reasons.entry(why).or_insert_with(|| (0, example())).0 += 1;
        });
    }
    (dropped, impossible)
}

fn told(what: &'static str, reasons: Reasons) -> Vec<String> {
    let mut sorted: Vec<_> = reasons.into_iter().collect();
    sorted.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    let more = sorted.len().saturating_sub(TOLD);
    let mut lines = Vec::new();
    for (why, (count, example)) in sorted.into_iter().take(TOLD) {
        lines.push(format!("  {count} {what}, {why}; for example {example}"));
    }
    if more > 0 {
        lines.push(format!("  and {what} for {}", self::count(more, "more reason")));
    }
    lines
}
