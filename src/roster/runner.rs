//! The task that owns the roster. Everything that changes it goes through this one, in order; readers get snapshots.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTimeError};

use rosterd_discovery::{ProviderKey, Update, named_jobs};
use rosterd_model::Report;
use rosterd_tasks::{Stopper, blocking};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::brake::Brake;
use super::clock::{Clock, Now};
use super::emptied::Follower;
use super::head::Head;
use super::hold::HoldReason;
use super::job::JobSpec;
use super::metrics::Metrics;
use super::persist::Outbox;
use super::state::{Delta, Effect, Left, State, Stored, Wanted, is_kept};
use super::step::{BrakeStep, Lectern, LetGo, Steps, Teller};
use super::view::RosterView;
use crate::store::{Blocks, StoreError};

/// How others ask and read the roster. Cloning shares it.
#[derive(Debug, Clone)]
pub struct RosterHandle {
    commands: mpsc::Sender<Command>,
    views: watch::Receiver<Arc<RosterView>>,
    lectern: Lectern,
}

/// What holds for all jobs.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Settings {
    /// For how long what never reports keeps the rest of its job from consumers.
    pub grace: Duration,
    /// When removals are held for what they come to in all jobs that have a brake.
    pub brake: Option<Brake>,
}

impl From<Duration> for Settings {
    fn from(grace: Duration) -> Self {
        Self { grace, brake: None }
    }
}

#[derive(Debug)]
enum Command {
    SetJobs { jobs: Vec<JobSpec>, settings: Settings, done: oneshot::Sender<()> },
    Release { job: Option<Arc<str>>, done: oneshot::Sender<BTreeMap<Arc<str>, usize>> },
}

impl RosterHandle {
    /// Takes the jobs of a configuration. Providers that are new to the roster begin with what the store knows of
    /// them. Returns once readers see it.
    pub async fn set_jobs(&self, jobs: Vec<JobSpec>, settings: impl Into<Settings>) {
        let ((done, wait), settings) = (oneshot::channel(), settings.into());
        // When the roster's task is gone, the agent is shutting down and nobody reads any more.
        if self.commands.send(Command::SetJobs { jobs, settings, done }).await.is_ok() {
            wait.await.ok();
        }
    }

    /// Lets go of the targets whose removal is held by the brake, of one job or of all. Returns how many of each that were,
    /// once readers see it.
    pub async fn release(&self, job: Option<Arc<str>>) -> BTreeMap<Arc<str>, usize> {
        let (done, wait) = oneshot::channel();
        match self.commands.send(Command::Release { job, done }).await {
            Ok(()) => wait.await.unwrap_or_default(),
            Err(_) => BTreeMap::new(),
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

    /// Follows the roster step by step, from now on.
    pub fn steps(&self) -> Steps {
        self.lectern.follow(self.views.clone())
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
        clock: Clock,
        updates: mpsc::Receiver<Update>,
    ) -> RosterHandle {
        let (commands, receiver) = mpsc::channel(1);
        let (sender, views) = watch::channel(Arc::default());
        let outbox = Arc::new(Outbox::default());
        let failures = metrics.store_failures().clone();
        let written = CancellationToken::new();
        let teller = Teller::new();
        let lectern = teller.lectern();
        let owner = Owner {
            state: State::default(),
            metrics,
            clock,
            teller,
            views: sender,
            outbox: Arc::clone(&outbox),
            store: Arc::clone(&store),
            untold: BTreeMap::new(),
            emptied: Follower::default(),
        };
        let (stop, done) = (stopper.token().clone(), written.clone());
        stopper.spawn_essential("roster", async move {
            // Also when the owner panics.
            let _written = done.drop_guard();
            owner.run(stop, receiver, updates).await;
        });
        stopper.spawn_essential("roster store", async move { outbox.run(&*store, &failures, written).await });
        RosterHandle { commands, views, lectern }
    }
}

/// What is stored that the roster does not have.
struct Found {
    stored: Vec<Stored>,
    left: Vec<Left>,
    kept: Vec<Stored>,
}

struct Owner {
    state: State,
    metrics: Metrics,
    clock: Clock,
    teller: Teller,
    views: watch::Sender<Arc<RosterView>>,
    outbox: Arc<Outbox>,
    store: Arc<dyn Blocks>,
    /// What changed in jobs by pieces of pictures that are not whole yet.
    untold: BTreeMap<Arc<str>, Delta>,
    emptied: Follower,
}

impl Owner {
    async fn run(
        mut self,
        stop: CancellationToken,
        mut commands: mpsc::Receiver<Command>,
        mut updates: mpsc::Receiver<Update>,
    ) {
        loop {
            let deadline = self.state.deadline();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(command) = commands.recv() => self.obey(command).await,
                () = until(deadline) => self.step(self.state.is_pass_large(), State::pass).await,
                Some(update) = updates.recv() => self.update(update).await,
                else => return,
            }
        }
    }

    async fn obey(&mut self, command: Command) {
        // Whoever asked may have gone away.
        match command {
            Command::SetJobs { jobs, settings, done } => {
                self.set_jobs(jobs, settings).await;
                done.send(()).ok();
            }
            Command::Release { job, done } => {
                let released = self.release(job).await;
                done.send(released).ok();
            }
        }
    }

    async fn set_jobs(&mut self, jobs: Vec<JobSpec>, Settings { grace, brake }: Settings) {
        let Found { stored, left, kept } = self.stored(&jobs).await;
        let wanted = Wanted { jobs, grace, stored, left, kept, brake };
        self.step(true, move |state, now| state.set_jobs(wanted, now)).await;
    }

    async fn release(&mut self, job: Option<Arc<str>>) -> BTreeMap<Arc<str>, usize> {
        let (told, released) = oneshot::channel();
        let event = move |state: &mut State, now| {
            let (mut effect, released) = state.release(job.as_deref(), now);
            for job in effect.step.iter_mut().flat_map(|step| &mut step.jobs) {
                let targets = released.get(&job.name).copied();
                job.brakes.extend(targets.map(|targets| BrakeStep::Released { targets }));
            }
            told.send(released).ok();
            effect
        };
        self.step(true, event).await;
        let released = released.await.unwrap_or_default();
        for (job, targets) in &released {
            let left = left(&self.views.borrow(), job);
            info!(job = &**job, targets, left, "braked removal released, somebody asked for it");
        }
        released
    }

    /// What is stored of providers that the roster does not have and these jobs need: those that they use, others with
    /// the same data, and at the start what they used when rosterd ran before. And which others are stored.
    async fn stored(&self, jobs: &[JobSpec]) -> Found {
        let used: BTreeSet<_> = jobs.iter().flat_map(|job| &job.providers).filter(|key| !self.state.has(key)).collect();
        let (mut stored, mut left, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        for key in &used {
            stored.extend(self.restored(key, &users(jobs, key)).await);
        }
        if self.views.borrow().jobs().len() > 0 {
            for key in self.state.left_of(jobs) {
                kept.extend(self.restored(&key, &[]).await);
            }
            return Found { stored, left, kept };
        }
        let listed = self.outbox.providers(&*self.store).await.unwrap_or_else(|error| {
            let error = Report::of(&error);
            warn!(%error, code = error.code, "cannot list the stored providers");
            BTreeSet::new()
        });
        for key in listed.into_iter().filter(|key| !used.contains(key)) {
            let users = users(jobs, &key);
            let read = self.outbox.head(&*self.store, &key, &users).await;
            let Some(head) = self.told(&key, &users, read) else { continue };
            let users = head.as_ref().map_or(users, |head| head.jobs.iter().cloned().collect());
            let is_of = |head: &Head| jobs.iter().any(|job| head.jobs.contains(&job.name));
            let held = head.as_ref().is_some_and(is_of);
            // Of a job that is gone only now it has to be known what goes.
            match (is_kept(&key), held) {
                (true, true) => {
                    match self.restored(&key, &users).await {
                        Some(stored) => kept.push(stored),
                        // It is forgotten: what is kept from now on would be mixed with it.
                        None => left.push(Left { key, head: None, bytes: 0 }),
                    }
                    continue;
                }
                (true, false) if head.as_ref().is_some_and(|head| head.unused.is_none()) => {
                    // What cannot be read stays for its day as well, and is forgotten when its job comes back.
                    if let Some(stored) = self.load(&key, &users).await {
                        kept.push(stored);
                        continue;
                    }
                }
                _ => {}
            }
            if held || used.iter().any(|used| used.data() == key.data()) {
                stored.extend(self.restored(&key, &users).await);
                continue;
            }
            let bytes = match &head {
                Some(Head { unused: None, .. }) => self.told(&key, &users, self.outbox.size(&*self.store, &key).await),
                Some(_) | None => Some(0),
            };
            left.extend(bytes.map(|bytes| Left { key, head, bytes }));
        }
        Found { stored, left, kept }
    }

    /// What is stored of a provider or of what a job keeps of one, which is had again: that is told.
    async fn restored(&self, key: &ProviderKey, jobs: &[Arc<str>]) -> Option<Stored> {
        let stored = self.load(key, jobs).await?;
        let targets: usize = stored.blocks.values().map(|block| block.len()).sum();
        let jobs = named_jobs(stored.head.jobs.iter());
        match &stored.head.kept {
            None => info!(provider = key.as_str(), jobs, targets, "restored what the provider reported before"),
            Some(provider) => info!(provider = &**provider, jobs, targets, "restored what was kept of what is gone"),
        }
        Some(stored)
    }

    async fn load(&self, key: &ProviderKey, jobs: &[Arc<str>]) -> Option<Stored> {
        self.told(key, jobs, self.outbox.load(&*self.store, key, jobs).await).flatten()
    }

    /// What was read of the store; a failure is told.
    fn told<T>(&self, key: &ProviderKey, jobs: &[Arc<str>], read: Result<T, StoreError>) -> Option<T> {
        read.inspect_err(|error| {
            let (error, provider, jobs) = (Report::of(error), key.as_str(), named_jobs(jobs.iter()));
            warn!(%error, code = error.code, provider, jobs, "cannot read what is stored, waiting for the provider");
        })
        .ok()
    }

    async fn update(&mut self, update: Update) {
        let large = self.state.is_large(&update);
        let provider = update.provider.clone();
        let (groups, whole) = (update.groups.len(), update.whole);
        self.step(large, move |state, now| state.update(update, now)).await;
        debug!(provider = provider.as_str(), groups, whole, "update applied");
    }

    /// Applies one event, aside from the runtime when it is large, and makes its effect known.
    async fn step(&mut self, large: bool, event: impl FnOnce(&mut State, Now) -> Effect + Send + 'static) {
        let (started, now) = (Instant::now(), self.clock.now());
        self.state.set_telling(self.teller.is_heard());
        let effect = if large {
            let mut state = std::mem::take(&mut self.state);
            // Half a change must not be served: a panic ends the roster, and so the agent, which starts anew with what is stored.
            let (state, effect) = blocking(move || {
                let effect = event(&mut state, now);
                (state, effect)
            })
            .await;
            self.state = state;
            effect
        } else {
            event(&mut self.state, now)
        };
        let replaced = self.publish(effect, started, now);
        if large {
            // Whoever lets go of many targets last frees them one by one.
            blocking(move || drop(replaced)).await;
        }
    }

    /// Makes an effect known; returns the view that is not shown any more.
    fn publish(&mut self, mut effect: Effect, started: Instant, now: Now) -> Option<Arc<RosterView>> {
        let view = self.state.view();
        self.emptied.follow(&effect, &view, now.wall);
        let view = Arc::new(RosterView { emptied: self.emptied.empty(), ..view });
        let (restored, unused) = (self.state.restored(), self.state.unused());
        self.metrics.observe(&effect, &view, restored, unused, started.elapsed().as_secs_f64());
        for (job, delta) in &effect.jobs {
            let delta = *delta + self.untold.remove(job).unwrap_or_default();
            if effect.more_follows {
                self.untold.insert(Arc::clone(job), delta);
            } else if delta.added + delta.removed > 0 {
                let targets = view.job(job).map_or(0, |job| job.counts().targets);
                info!(job = &**job, added = delta.added, removed = delta.removed, targets, "targets changed");
            }
        }
        tell_of_brakes(&effect, &view, now);
        for (job, failure) in &effect.tally.failures {
            warn!(job = &**job, error = %failure, "discovered target cannot be used");
        }
        let untold = effect.tally.failed.values().sum::<u64>() - effect.tally.failures.len() as u64;
        if untold > 0 {
            warn!(count = untold, "more discovered targets cannot be used, see /api/v1/targets/failed");
        }
        self.outbox.leave(&mut effect);
        if effect.jobs.is_empty() {
            return None;
        }
        let replaced = self.views.send_replace(view);
        self.teller.tell(effect.step);
        Some(replaced)
    }
}

/// Tells of what is held, and of what goes although it was: who looks for what became of their targets looks for that.
fn tell_of_brakes(Effect { brakes, .. }: &Effect, view: &RosterView, now: Now) {
    for (job, (provider, held, of)) in &brakes.held {
        let provider = provider.as_str();
        let confirm = view.job(job).and_then(|job| job.spec().keeping.confirm()).map(|confirm| confirm.to_string());
        warn!(
            job = &**job,
            provider,
            held,
            of,
            confirm,
            "so many targets are gone at once that their removal is held, `rosterd brake list` tells until when and how to keep them"
        );
    }
    for (job, (held, since)) in &brakes.again {
        let (job, age) = (&**job, in_seconds(now.wall.duration_since(*since)));
        warn!(job, held, age, "targets are braked as before their job was gone, `rosterd brake list` tells until when");
    }
    let ends = |job: &str, LetGo { targets, stay }: &LetGo, what: &str| {
        let (left, grace) = (left(view, job), stay.map(|stay| stay.targets));
        let ends_in = stay.map(|stay| in_seconds(stay.until.duration_since(now.wall)));
        warn!(job, targets, left, grace, ends_in, "{what}");
    };
    for (job, ended) in &brakes.confirmed {
        ends(job, ended, "braked removal confirmed by another reading");
    }
    for (job, ended) in &brakes.still {
        ends(job, ended, "braked removal confirmed, its source has not taken it back for a minute");
    }
    for (job, over) in &brakes.over {
        if let Some(ended) = over.get(&HoldReason::Braked) {
            ends(job, ended, "braked removal over, its time has come");
        }
        if let Some(ended) = over.get(&HoldReason::Grace).filter(|_| left(view, job) == 0) {
            ends(job, ended, "the last targets are gone, their time of grace is over");
        }
    }
    for (job, ended) in &brakes.configured {
        let is_there = view.job(job).is_some();
        if let Some(ended) = ended.get(&HoldReason::Braked) {
            let what = match is_there {
                true => "braked removal over, the configuration does not hold it any more",
                false => "braked removal over, its job is gone: it is held again if that comes back within a day",
            };
            ends(job, ended, what);
        }
        if let Some(ended) = ended.get(&HoldReason::Grace) {
            let what = match (is_there, left(view, job)) {
                (false, _) => "targets are gone that were in their time of grace, as their job is",
                (true, 0) => "the last targets are gone, the configuration does not hold them any more",
                (true, _) => {
                    "targets are gone that were in their time of grace, the configuration does not hold them any more"
                }
            };
            ends(job, ended, what);
        }
    }
}

/// A time between two of the calendar, for people.
fn in_seconds(time: Result<Duration, SystemTimeError>) -> String {
    rosterd_model::Duration::from(Duration::from_secs(time.unwrap_or_default().as_secs())).to_string()
}

/// How many targets a job has left.
fn left(view: &RosterView, job: &str) -> usize {
    view.job(job).map_or(0, |job| job.counts().targets)
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The jobs that read what a provider has, by name.
fn users(jobs: &[JobSpec], key: &ProviderKey) -> Vec<Arc<str>> {
    let uses = |job: &&JobSpec| job.providers.iter().any(|used| used.data() == key.data());
    let users: BTreeSet<_> = jobs.iter().filter(uses).map(|job| Arc::clone(&job.name)).collect();
    users.into_iter().collect()
}
