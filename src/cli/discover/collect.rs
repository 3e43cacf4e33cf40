//! Providers at work, until all of them have reported, the time is over, or somebody interrupts.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rosterd_client::System;
use rosterd_config::Config;
use rosterd_discovery::{Directory, Manager, Plan, ProviderKey, ProviderStatus, Registry, Update};
use rosterd_model::{GroupId, SourceId, TargetGroup};
use rosterd_tasks::{Stopper, Supervision};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::progress::Progress;
use crate::agent::{AgentError, jobs};
use crate::roster::metrics::Metrics;
use crate::roster::view::RosterView;
use crate::roster::{Clock, Roster};
use crate::store::MemoryBlocks;

/// How long providers and the roster may take to end.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// The groups of each provider.
pub(super) type Groups = BTreeMap<ProviderKey, BTreeMap<GroupId, TargetGroup>>;

/// Target groups as the providers report them.
pub(super) async fn groups(
    config: &Config,
    registry: &Registry,
    system: System,
    timeout: Duration,
) -> Result<(Groups, Vec<ProviderStatus>), AgentError> {
    let (updates, mut received) = mpsc::channel(1);
    let mut manager = Manager::new(registry, &prometheus::Registry::new(), system, updates, &Supervision::default())?;
    let plan = manager.plan(jobs::discovery(config)).await;
    let mut waiting = keys(&plan);
    manager.apply(plan, Instant::now() + STOP_DEADLINE).await;
    let mut groups = Groups::new();
    let all_reported = async {
        while !waiting.is_empty() {
            let Some(update) = received.recv().await else { return };
            // A source that could not be read is tried again soon.
            match update.unread.is_empty() && !update.piece {
                true => waiting.remove(&update.provider),
                false => waiting.insert(update.provider.clone()),
            };
            take(&mut groups, update);
        }
    };
    let providers = wait(manager.directory(), all_reported, timeout).await;
    drop(received);
    manager.shutdown(Instant::now() + STOP_DEADLINE).await;
    Ok((groups, providers))
}

fn keys(plan: &Plan) -> BTreeSet<ProviderKey> {
    plan.start.keys().cloned().collect()
}

fn take(groups: &mut Groups, update: Update) {
    let known = groups.entry(update.provider).or_default();
    if update.whole {
        known.retain(|id, _| update.told.contains(&id.source));
    }
    if update.piece {
        // What a picture that was broken off had of its sources goes.
        for source in update.groups.iter().map(|group| SourceId::of(&group.source)) {
            let of_source = known.range(GroupId { source, key: 0 }..=GroupId { source, key: u64::MAX });
            let of_source: Vec<_> = of_source.map(|(id, _)| *id).collect();
            of_source.iter().for_each(|id| drop(known.remove(id)));
        }
    }
    for id in update.gone {
        known.remove(&id);
    }
    known.extend(update.groups.into_iter().map(|group| (group.id(), group)));
}

/// Targets after relabelling, as an agent without a past would have them.
pub(super) async fn targets(
    config: &Config,
    registry: &Registry,
    system: System,
    timeout: Duration,
) -> Result<(Arc<RosterView>, Vec<ProviderStatus>), AgentError> {
    let metrics = prometheus::Registry::new();
    let roster_metrics =
        Metrics::register(&metrics).map_err(|source| AgentError::Metrics { part: "roster", source })?;
    let (updates, received) = mpsc::channel(1);
    let mut manager = Manager::new(registry, &metrics, system, updates, &Supervision::default())?;
    let work = Stopper::new();
    let roster = Roster::start(&work, Arc::new(MemoryBlocks::new()), roster_metrics, Clock::system(), received);
    let plan = manager.plan(jobs::discovery(config)).await;
    roster.set_jobs(jobs::roster(config, &plan.jobs), timeout).await;
    manager.apply(plan, Instant::now() + STOP_DEADLINE).await;
    let mut views = roster.watch();
    let complete =
        |view: &Arc<RosterView>| view.waiting_for().is_empty() && view.jobs().all(|job| job.missing().is_empty());
    // When the roster's task is gone, waiting is over too.
    let all_reported = async { drop(views.wait_for(complete).await) };
    let providers = wait(manager.directory(), all_reported, timeout).await;
    let view = roster.view();
    manager.shutdown(Instant::now() + STOP_DEADLINE).await;
    work.stop(STOP_DEADLINE).await;
    Ok((view, providers))
}

/// Waits, shows progress meanwhile, and tells the state of the providers at the end.
async fn wait(directory: Directory, all_reported: impl Future<Output = ()>, timeout: Duration) -> Vec<ProviderStatus> {
    let mut progress = Progress::on_terminal();
    let mut all_reported = pin!(all_reported);
    let mut over = pin!(tokio::time::sleep(timeout));
    let mut interrupted = pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            biased;
            () = &mut all_reported => break,
            () = &mut over => break,
            _ = &mut interrupted => break,
            () = progress.due() => progress.show(&directory.list()),
        }
    }
    progress.end();
    directory.list()
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::{changed, everything, group};

    use super::*;

    fn key() -> ProviderKey {
        ProviderKey::new("p/1")
    }

    fn keyed(key: &str) -> TargetGroup {
        TargetGroup { key: key.into(), ..group("s", &["h:1"]) }
    }

    fn piece(groups: Vec<TargetGroup>) -> Update {
        Update { piece: true, ..changed(key(), groups, Vec::new()) }
    }

    fn after(updates: Vec<Update>) -> Vec<TargetGroup> {
        let mut groups = Groups::new();
        updates.into_iter().for_each(|update| take(&mut groups, update));
        let mut groups: Vec<_> = groups.remove(&key()).unwrap_or_default().into_values().collect();
        groups.sort_by_key(|group| (group.source.clone(), group.key.clone()));
        groups
    }

    #[test]
    fn a_picture_in_pieces_has_of_each_source_what_was_said_last() {
        let rest = Update { told: [SourceId::of("s")].into(), ..everything(key(), vec![group("t", &["h:2"])]) };
        let broken_off = vec![piece(vec![keyed("a"), keyed("b")]), piece(vec![group("gone", &["h:3"])])];
        let anew = vec![piece(vec![keyed("b"), keyed("c")]), rest];
        assert_eq!(after([broken_off, anew].concat()), [keyed("b"), keyed("c"), group("t", &["h:2"])]);
        let later = changed(key(), vec![keyed("d")], vec![keyed("b").id()]);
        assert_eq!(after(vec![everything(key(), vec![keyed("a"), keyed("b")]), later]), [keyed("a"), keyed("d")]);
    }
}
