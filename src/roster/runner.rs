//! The task that owns the roster. Everything that changes it goes through this one, in order; readers get snapshots.

use std::sync::Arc;

use rosterd_discovery::{ProviderKey, Update};
use rosterd_tasks::{Stopper, blocking};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::job::JobSpec;
use super::metrics::Metrics;
use super::persist::{Outbox, load};
use super::state::{Effect, State};
use super::view::RosterView;
use crate::store::Blocks;

/// Updates with at least this many targets are worked on aside, so that the runtime stays responsive.
const LARGE: usize = 500;

/// How others ask and read the roster. Cloning shares it.
#[derive(Debug, Clone)]
pub struct RosterHandle {
    commands: mpsc::Sender<Command>,
    views: watch::Receiver<Arc<RosterView>>,
}

#[derive(Debug)]
enum Command {
    SetJobs(Vec<JobSpec>, oneshot::Sender<()>),
}

impl RosterHandle {
    /// Takes the jobs of a configuration. Providers that are new to the roster begin with what the store knows of
    /// them. Returns once readers see it.
    pub async fn set_jobs(&self, jobs: Vec<JobSpec>) {
        let (done, wait) = oneshot::channel();
        // When the roster's task is gone, the agent is shutting down and nobody reads any more.
        if self.commands.send(Command::SetJobs(jobs, done)).await.is_ok() {
            wait.await.ok();
        }
    }

    /// The roster as it is now.
    pub fn view(&self) -> Arc<RosterView> {
        Arc::clone(&self.views.borrow())
    }

    /// A receiver that is told of each change; it holds the latest view.
    pub fn watch(&self) -> watch::Receiver<Arc<RosterView>> {
        self.views.clone()
    }
}

/// Starts the roster.
#[derive(Debug)]
pub struct Roster;

impl Roster {
    /// Spawns the tasks of a roster on `stopper`: one that owns it and takes `updates`, one that writes to the store.
    /// The second ends after the first, with everything written. Half a change must be neither served nor stored: when one
    /// of them panics, the agent ends, and starts anew with what is stored.
    pub fn start(
        stopper: &Stopper,
        store: Arc<dyn Blocks>,
        metrics: Metrics,
        updates: mpsc::Receiver<Update>,
    ) -> RosterHandle {
        let (commands, receiver) = mpsc::channel(1);
        let (sender, views) = watch::channel(Arc::default());
        let outbox = Arc::new(Outbox::default());
        let written = CancellationToken::new();
        let owner = Owner {
            state: State::default(),
            metrics,
            views: sender,
            outbox: Arc::clone(&outbox),
            store: Arc::clone(&store),
        };
        let (stop, done) = (stopper.token().clone(), written.clone());
        stopper.spawn_essential("roster", async move {
            // Also when the owner panics.
            let _written = done.drop_guard();
            owner.run(stop, receiver, updates).await;
        });
        stopper.spawn_essential("roster store", async move { outbox.run(&*store, written).await });
        RosterHandle { commands, views }
    }
}

struct Owner {
    state: State,
    metrics: Metrics,
    views: watch::Sender<Arc<RosterView>>,
    outbox: Arc<Outbox>,
    store: Arc<dyn Blocks>,
}

impl Owner {
    async fn run(
        mut self,
        stop: CancellationToken,
        mut commands: mpsc::Receiver<Command>,
        mut updates: mpsc::Receiver<Update>,
    ) {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(Command::SetJobs(jobs, done)) = commands.recv() => {
                    self.set_jobs(jobs).await;
                    // Whoever asked may have gone away.
                    done.send(()).ok();
                }
                Some(update) = updates.recv() => self.update(update).await,
                else => return,
            }
        }
    }

    async fn set_jobs(&mut self, jobs: Vec<JobSpec>) {
        let before = self.views.borrow().clone();
        let known = |key: &ProviderKey| before.jobs().flat_map(|job| job.providers()).any(|(known, _)| known == key);
        let mut new: Vec<_> =
            jobs.iter().flat_map(|job| job.providers.iter()).filter(|key| !known(key)).cloned().collect();
        new.sort();
        new.dedup();
        let first = before.jobs().len() == 0;
        let mut restored = Vec::new();
        for key in new {
            match load(&*self.store, &key).await {
                Ok(Some(blocks)) => restored.push((key, blocks)),
                Ok(None) => {}
                Err(error) => {
                    let error = rosterd_model::Report::of(&error);
                    let provider = key.as_str();
                    warn!(%error, code = error.code, provider, "cannot read what is stored, waiting for the provider");
                }
            }
        }
        let used: Vec<_> = jobs.iter().flat_map(|job| job.providers.iter().cloned()).collect();
        self.step(true, move |state| state.set_jobs(jobs)).await;
        for (key, blocks) in restored {
            self.step(true, move |state| state.restore(&key, blocks)).await;
        }
        if first {
            self.forget_unused(&used).await;
        }
    }

    /// Deletes what the store holds of providers that the configuration lost while rosterd did not run.
    async fn forget_unused(&self, used: &[ProviderKey]) {
        match self.store.providers().await {
            Ok(stored) => {
                let stored = stored.into_iter().map(ProviderKey::new);
                self.outbox.leave(Vec::new(), Vec::new(), stored.filter(|key| !used.contains(key)).collect());
            }
            Err(error) => {
                let error = rosterd_model::Report::of(&error);
                warn!(%error, code = error.code, "cannot list the stored providers");
            }
        }
    }

    async fn update(&mut self, update: Update) {
        let large = update.groups.iter().map(|group| group.targets.len()).sum::<usize>() >= LARGE;
        let provider = update.provider.clone();
        let (groups, whole) = (update.groups.len(), update.whole);
        self.step(large, move |state| state.update(update)).await;
        debug!(provider = provider.as_str(), groups, whole, "update applied");
    }

    /// Applies one event, aside from the runtime when it is large, and makes its effect known.
    async fn step(&mut self, large: bool, event: impl FnOnce(&mut State) -> Effect + Send + 'static) {
        let started = Instant::now();
        let effect = if large {
            let mut state = std::mem::take(&mut self.state);
            // Half a change must not be served: a panic ends the roster, and so the agent, which starts anew with what is stored.
            let (state, effect) = blocking(move || {
                let effect = event(&mut state);
                (state, effect)
            })
            .await;
            self.state = state;
            effect
        } else {
            event(&mut self.state)
        };
        self.publish(effect, started);
    }

    fn publish(&mut self, effect: Effect, started: Instant) {
        let view = Arc::new(self.state.view());
        self.metrics.observe(&effect, &view, self.state.restored(), started.elapsed().as_secs_f64());
        for (job, delta) in &effect.jobs {
            if delta.added + delta.removed > 0 {
                let targets = view.job(job).map_or(0, |job| job.counts().targets);
                info!(job = &**job, added = delta.added, removed = delta.removed, targets, "targets changed");
            }
        }
        for (job, failure) in &effect.tally.failures {
            warn!(job = &**job, error = %failure, "discovered target cannot be used");
        }
        let untold = effect.tally.failed - effect.tally.failures.len() as u64;
        if untold > 0 {
            warn!(count = untold, "more discovered targets cannot be used, see /api/v1/targets/failed");
        }
        let Effect { jobs, blocks, synced, forgotten, .. } = effect;
        if !jobs.is_empty() {
            self.views.send_replace(view);
        }
        self.outbox.leave(blocks, synced, forgotten);
    }
}
