//! Why entries of a job are no targets, for people: what was dropped by which rule, and what cannot be a target.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use rosterd_model::relabel::Scratch;
use rosterd_model::{Builder, Names, counted};

use super::target::Entry;
use super::view::JobView;

/// How many reasons of a kind are told.
const TOLD: usize = 5;

/// Why, how many times, and for example which.
type Reasons = BTreeMap<String, (usize, String)>;

/// A line on each reason for which entries of the job are no targets, the most frequent first. When so many entries were looked
/// at, the rest is not: the lines say so.
pub fn why_no_targets(job: &JobView, most: usize) -> Vec<String> {
    let (mut dropped, mut impossible, mut looked, mut left) = (Reasons::new(), Reasons::new(), 0, false);
    let (mut labels, mut relabelled, mut scratch) = (Builder::new(), Builder::new(), Scratch::default());
    let rules = &job.spec().rules;
    for block in job.blocks().filter(|block| block.entries().iter().any(|entry| !matches!(entry, Entry::Active(_)))) {
        if looked >= most {
            left = true;
            break;
        }
        let first = block.entries().len().min(most - looked);
        left |= first < block.entries().len();
        looked += first;
        let is_none = |entry: &Entry| !matches!(entry, Entry::Active(_));
        block.each(0..first, is_none, job.spec(), &mut labels, |source, labels, entry| {
            let (reasons, why) = match entry {
                Entry::Active(_) => return ControlFlow::Continue(()),
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
            ControlFlow::Continue(())
        });
    }
    let mut lines = told("dropped", dropped);
    lines.extend(told("impossible", impossible));
    if left {
        lines.push(format!("of the first {looked}; `rosterd discover` looks at all"));
    }
    lines
}

fn told(what: &'static str, reasons: Reasons) -> Vec<String> {
    let mut sorted: Vec<_> = reasons.into_iter().collect();
    sorted.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    let more = sorted.len().saturating_sub(TOLD);
    let mut lines = Vec::new();
    for (why, (count, example)) in sorted.into_iter().take(TOLD) {
        lines.push(format!("{count} {what}, {why}; for example {example}"));
    }
    if more > 0 {
        lines.push(format!("and {what} for {}", counted(more, "more reason")));
    }
    lines
}
