//! What was found, as JSON or as a table.

use rosterd_discovery::ProviderStatus;
use rosterd_model::labels::ADDRESS;
use rosterd_model::target::{Target, scrape_url};
use rosterd_model::{Labels, TargetGroup};
use serde::Serialize;

use super::Output;
use super::collect::Groups;
use crate::cli::exit::Failure;
use crate::cli::print::{json, table};
use crate::roster::view::RosterView;

/// A target after relabelling.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FoundTarget<'a> {
    job: &'a str,
    scrape_url: String,
    labels: Labels,
}

/// A target group, and who found it.
#[derive(Serialize)]
struct FoundGroup<'a> {
    provider: &'a str,
    jobs: Vec<&'a str>,
    #[serde(flatten)]
    group: &'a TargetGroup,
}

/// Prints all targets, the labels without those that begin with `__`.
pub(super) fn targets(view: &RosterView, output: Output) -> Result<(), Failure> {
    let found = view.jobs().flat_map(|job| {
        let mut all: Vec<_> = job.targets().map(|slot| &slot.labels).collect();
        // The roster's own order is that of hashes.
        all.sort_unstable();
        all.into_iter().map(|labels| {
            let mut url = String::new();
            scrape_url(Target(labels), &job.spec().params, &mut url);
            FoundTarget { job: &job.spec().name, scrape_url: url, labels: Target(labels).public().collect() }
        })
    });
    let row = |found: FoundTarget<'_>| [found.job.to_owned(), found.scrape_url, found.labels.to_string()];
    match output {
        Output::Json => json(found),
        Output::Table => table(["JOB", "SCRAPE URL", "LABELS"], &found.map(row).collect::<Vec<_>>()),
    }
}

/// Prints all groups.
pub(super) fn groups(groups: &Groups, providers: &[ProviderStatus], output: Output) -> Result<(), Failure> {
    let found = groups.iter().flat_map(|(key, groups)| {
        let provider = providers.iter().find(|provider| provider.key == *key);
        let jobs: Vec<&str> = provider.into_iter().flat_map(|it| it.jobs.iter().map(|job| &**job)).collect();
        let mut sorted: Vec<_> = groups.values().collect();
        sorted.sort_unstable_by_key(|group| (&group.source, &group.key));
        sorted.into_iter().map(move |group| FoundGroup { provider: key.as_str(), jobs: jobs.clone(), group })
    });
    let rows = |found: FoundGroup<'_>| {
        let row = |target: &Labels| {
            let others = found.group.labels.iter().chain(target).filter(|(name, _)| *name != ADDRESS);
            let (source, address) = (found.group.source.to_string(), target.get(ADDRESS).unwrap_or_default());
            [found.jobs.join(","), source, address.to_owned(), others.collect::<Labels>().to_string()]
        };
        found.group.targets.iter().map(row).collect::<Vec<_>>()
    };
    match output {
        Output::Json => json(found),
        Output::Table => table(["JOBS", "SOURCE", "ADDRESS", "LABELS"], &found.flat_map(rows).collect::<Vec<_>>()),
    }
}
