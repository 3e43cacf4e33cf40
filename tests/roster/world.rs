//! What is: a manager with fakes, a roster, publications and the stores, in a process that ends and begins again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use rosterd::journal::{Event, Kind};
use rosterd::roster::hold::HoldReason;
use rosterd::roster::holding;
use rosterd::roster::metrics::Metrics;
use rosterd::roster::step::Reason;
use rosterd::roster::target::Entry;
use rosterd::roster::view::JobView;
use rosterd::roster::{Clock, JobSpec, Keeping, Limits, Roster, RosterHandle, Settings};
use rosterd::store::{Block, Blocks, BlocksChange, MemoryBlocks, StoreError};
use rosterd_discovery::{AnyConfig, Environment, Jobs, Manager, Mechanism, ProviderKey, Registry, System};
use rosterd_model::labels::{ADDRESS, JOB, SCRAPE_INTERVAL, SCRAPE_TIMEOUT};
use rosterd_model::relabel::Rules;
use rosterd_model::{Builder, Labels, Retry, TargetGroup};
use rosterd_tasks::{Stopper, Supervision};
use rosterd_testkit::Folder;
use rosterd_testkit::fake::{self, Probe};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::Ends;
use crate::follow::{Became, Follower, shown};
use crate::history::History;
use crate::kept::Keepings;
use crate::model::{Expected, HeldTargets, KeptPlace, MissingThings, Model};
use crate::published::{Files, Published, handed_out};
use crate::truth::{Content, SOURCES, Sources, Truth, Use, is_beneath, is_scope, source};

const GRACE: Duration = Duration::from_secs(24 * 3600);
/// Long enough for whatever an event sets off, the writing of the store included.
const SETTLED: Duration = Duration::from_secs(2);
/// The same when the store has to be tried again.
const TRIED_AGAIN: Duration = Duration::from_secs(300);
/// Where something is kept, events happen at multiples of this: no deadline falls together with any of them.
const BEAT: Duration = Duration::from_millis(13_700);
/// The same between two words: each is an update of its own.
const WORD: Duration = Duration::from_millis(5);
/// What is due is looked at so late, at most.
const LATE: Duration = Duration::from_secs(1);
/// How many jobs there can be.
pub(crate) const JOBS: usize = 3;
/// Within it a file is put right that somebody touched.
const PUT_RIGHT: Duration = Duration::from_secs(60);

/// A store that can be full, and of which a process that crashed writes nothing any more.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    blocks: MemoryBlocks,
    pub(crate) works: Arc<AtomicBool>,
    pub(crate) crashed: Arc<AtomicBool>,
    begun: Instant,
}

#[async_trait]
impl Blocks for Disk {
    async fn apply(&self, changes: Vec<BlocksChange>) -> Result<(), StoreError> {
        self.check()?;
        self.blocks.apply(changes).await
    }

    async fn providers(&self) -> Result<Vec<String>, StoreError> {
        self.blocks.providers().await
    }

    async fn blocks(&self, provider: &str, from: u64, limit: usize) -> Result<Vec<Block>, StoreError> {
        self.blocks.blocks(provider, from, limit).await
    }
}

/// A process.
struct Process {
    manager: Manager,
    roster: RosterHandle,
    work: Stopper,
    disk: Disk,
    follower: Follower,
    published: Published,
    /// Begun when the process before has let go of the folder.
    history: Option<History>,
    /// The provider of each configuration in use.
    providers: BTreeMap<Use, ProviderKey>,
    /// The configurations whose discoverer has said a picture since it was built.
    pictured: BTreeSet<Use>,
    /// What was said of a picture in pieces that has not ended.
    in_pieces: BTreeMap<Use, Sources>,
}

impl Process {
    fn start(disk: &Disk, files: &Files) -> Self {
        let mechanisms = Registry::new([Mechanism::of::<fake::Config>()], []).unwrap();
        let (registry, work) = (prometheus::Registry::new(), Stopper::new());
        let (sink, updates) = mpsc::channel(1);
        let system = System::new("here", Environment::default());
        let manager = Manager::new(&mechanisms, &registry, system, sink, &Supervision::default()).unwrap();
        let disk = Disk { crashed: Arc::default(), ..disk.clone() };
        let metrics = Metrics::register(&registry).unwrap();
        // The calendar goes as fast as time does in tests.
        let begun = disk.begun;
        let clock = Clock::new(move || SystemTime::UNIX_EPOCH + begun.elapsed());
        let roster = Roster::start(&work, Arc::new(disk.clone()), metrics, clock, updates);
        let follower = Follower::of(&roster);
        let published = Published::start(&roster, files, &disk, &work);
        let (providers, pictured, in_pieces) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { manager, roster, work, disk, follower, published, history: None, providers, pictured, in_pieces }
    }

    fn record(&mut self, folder: &Folder) {
        self.history = Some(History::start(&self.work, &self.roster, folder.path("journal")));
    }

    async fn end(self) {
        assert_eq!(self.manager.shutdown(soon()).await, [] as [Arc<str>; 0]);
        assert_eq!(self.work.stop(TRIED_AGAIN).await, [] as [Arc<str>; 0]);
    }
}

/// All there is.
pub(crate) struct World {
    pub(crate) truth: Truth,
    /// All that may be the case: after a crash it shows only later what was written.
    models: Vec<Model>,
    files: Files,
    history: Folder,
    configs: BTreeMap<Use, (Probe, fake::Config)>,
    jobs: Vec<Vec<Use>>,
    disk: Disk,
    process: Process,
    settled: Duration,
    keepings: Keepings,
    /// Whether anything was ever kept: then it matters what is said when.
    keeps: bool,
    /// What was found when it was last compared, unless the configuration was changed since.
    before: Option<BTreeMap<usize, Expected>>,
}

impl World {
    pub(crate) async fn start(jobs: Vec<Vec<Use>>) -> Self {
        let disk = Disk {
            blocks: MemoryBlocks::new(),
            works: Arc::new(true.into()),
            crashed: Arc::default(),
            begun: Instant::now(),
        };
        let files = Files::new();
        let (mut process, history) = (Process::start(&disk, &files), Folder::new());
        process.record(&history);
        let (truth, models, configs) = (Truth::default(), vec![Model::default()], BTreeMap::new());
        let mut world = Self {
            truth,
            models,
            files,
            history,
            configs,
            jobs: Vec::new(),
            disk,
            process,
            settled: SETTLED,
            keepings: Keepings::default(),
            keeps: false,
            before: None,
        };
        world.reload(jobs).await;
        world
    }

    /// The jobs keep something else from the next reload on.
    pub(crate) fn keep(&mut self, keepings: Keepings) {
        self.keeps |= keepings != Keepings::default();
        self.keepings = keepings;
    }

    /// Takes the same jobs into use, with what they keep now.
    pub(crate) async fn reload_same(&mut self) {
        self.reload(self.jobs.clone()).await;
    }

    /// Takes these jobs into use, as a reload does.
    pub(crate) async fn reload(&mut self, jobs: Vec<Vec<Use>>) {
        let mut configured = Jobs::new();
        let mut uses = BTreeMap::new();
        for (number, written) in jobs.iter().enumerate().filter(|(_, written)| !written.is_empty()) {
            let mut once: Vec<Use> = Vec::new();
            for use_ in written {
                if !once.contains(use_) {
                    once.push(*use_);
                }
            }
            let configs = once.iter().map(|use_| Arc::new(self.config(*use_)) as Arc<dyn AnyConfig>).collect();
            configured.insert(name(number), configs);
            uses.insert(number, once);
        }
        let plan = self.process.manager.plan(configured).await;
        let mut keys = BTreeMap::new();
        let before = std::mem::take(&mut self.process.providers);
        for (number, once) in &uses {
            let of_job = plan.jobs[&name(*number)].clone();
            assert_eq!(of_job.len(), once.len());
            self.process.providers.extend(once.iter().copied().zip(of_job.clone()));
            keys.insert(*number, of_job);
        }
        let begin: BTreeSet<_> = plan.start.keys().cloned().collect();
        let stays = |use_: &Use| {
            let key = self.process.providers.get(use_);
            before.contains_key(use_) && key.is_some_and(|key| !begin.contains(key))
        };
        self.process.pictured.retain(stays);
        self.process.in_pieces.retain(|use_, _| stays(use_));
        self.files.set_jobs(keys.keys().copied());
        self.happens(|_| {});
        self.process.published.want(&self.files);
        let specs = keys.iter().map(|(number, of_job)| spec(*number, of_job.clone(), self.keepings.of(*number)));
        let settings = Settings { grace: GRACE, brake: self.keepings.agent };
        self.process.roster.set_jobs(specs.collect(), settings).await;
        assert_eq!(self.process.manager.apply(plan, soon()).await.stragglers, [] as [Arc<str>; 0]);
        self.jobs = jobs;
        self.before = None;
        let keepings = self.keepings.clone();
        self.happens(|model| model.set_jobs(&keys, &keepings, &begin));
    }

    fn config(&mut self, use_: Use) -> fake::Config {
        let made = || {
            let (probe, config) = fake::mechanism(&format!("data-{}", use_.data));
            (probe, fake::Config { revision: use_.revision.into(), ..config })
        };
        self.configs.entry(use_).or_insert_with(made).1.clone()
    }

    fn running(&self, data: u8) -> Vec<(Use, ProviderKey)> {
        let of_data = self.process.providers.iter().filter(|(use_, _)| use_.data == data);
        of_data.map(|(use_, key)| (*use_, key.clone())).collect()
    }

    pub(crate) async fn say_picture(&mut self, data: u8) {
        let (read, unreadable) = (self.truth.readable(data), self.truth.unreadable(data));
        let unread = failing(&unreadable);
        let unread: Vec<_> = unread.iter().map(String::as_str).collect();
        for (use_, key) in self.running(data) {
            let probe = &self.configs[&use_].0;
            match unread.is_empty() {
                true => probe.everything(groups(&read)).await,
                false => probe.everything_but(groups(&read), &unread).await,
            }
            self.process.pictured.insert(use_);
            self.process.in_pieces.remove(&use_);
            self.hears(|model| model.picture(&key, &read, &unreadable, false)).await;
        }
    }

    /// A run that begins says what is there, while others may still come; one that has begun says the whole picture.
    pub(crate) async fn say_found(&mut self, data: u8) {
        let (read, unreadable) = (self.truth.readable(data), self.truth.unreadable(data));
        let unread = failing(&unreadable);
        let unread: Vec<_> = unread.iter().map(String::as_str).collect();
        if self.running(data).iter().any(|(use_, _)| self.process.pictured.contains(use_)) {
            return self.say_picture(data).await;
        }
        for (use_, key) in self.running(data) {
            self.configs[&use_].0.found(groups(&read), &unread).await;
            self.process.pictured.insert(use_);
            self.process.in_pieces.remove(&use_);
            self.hears(|model| model.found(&key, &read, &unreadable, false)).await;
        }
    }

    /// Says so many sources of a picture one by one, all of them if it ends. One that has begun is gone on with, unless it is to be
    /// begun anew. A run that has said a picture ends a later one whole.
    pub(crate) async fn say_pieces(&mut self, data: u8, anew: bool, most: usize, ends: Option<Ends>) {
        let (read, unreadable) = (self.truth.readable(data), self.truth.unreadable(data));
        for (use_, key) in self.running(data) {
            let probe = self.configs[&use_].0.clone();
            let begun = self.process.in_pieces.remove(&use_).filter(|_| !anew);
            let (mut first, mut told) = (begun.is_none(), begun.unwrap_or_default());
            if first {
                self.happens(|model| model.begin_pieces(&key));
            }
            let rest = read.iter().filter(|(source, _)| !told.contains_key(*source));
            let rest: Vec<_> = rest.map(|(source, content)| (source.clone(), content.clone())).collect();
            let most = if ends.is_some() { rest.len() } else { most };
            for (source, content) in rest.into_iter().take(most) {
                let piece = Sources::from([(source.clone(), content.clone())]);
                probe.piece(std::mem::take(&mut first), groups(&piece)).await;
                self.hears(|model| model.piece(&key, &piece)).await;
                told.insert(source, content);
            }
            if first {
                probe.piece(true, Vec::new()).await;
            }
            let Some(ends) = ends else {
                self.process.in_pieces.insert(use_, told);
                continue;
            };
            // Some of which it has said something may be among them.
            let unread = failing(&unreadable);
            let unread: Vec<_> = unread.iter().map(String::as_str).collect();
            if ends == Ends::Found && !self.process.pictured.contains(&use_) {
                probe.found_in_pieces(&unread).await;
                self.hears(|model| model.found(&key, &told, &unreadable, true)).await;
            } else {
                probe.pieced(&unread).await;
                self.hears(|model| model.picture(&key, &told, &unreadable, true)).await;
            }
            self.process.pictured.insert(use_);
        }
    }

    pub(crate) async fn say_source(&mut self, data: u8, number: u8) {
        let begun = |use_: &Use| self.process.pictured.contains(use_) || self.process.in_pieces.contains_key(use_);
        if self.running(data).iter().any(|(use_, _)| !begun(use_)) {
            return self.say_picture(data).await;
        }
        // Where nobody can look, it is that which fails.
        let number = self.truth.hidden_by(data, &source(number)).unwrap_or(number);
        let name = source(number);
        let (readable, unreadable) = (self.truth.readable(data), self.truth.unreadable(data));
        // A scope that can be read is told with all that is beneath it, and what of that cannot be read before.
        let names = (0..SOURCES).map(source).filter(|it| *it == name || is_beneath(it, &name));
        let (failing_now, told): (Vec<_>, Vec<_>) = match unreadable.contains(&name) {
            true => (vec![name.clone()], Vec::new()),
            false => {
                names.filter(|it| self.truth.hidden_by(data, it).is_none()).partition(|it| unreadable.contains(it))
            }
        };
        let content = |name: &String| (name.clone(), readable.get(name).cloned().unwrap_or_default());
        let (failing_now, told): (BTreeSet<_>, Sources) =
            (failing_now.into_iter().collect(), told.iter().map(content).collect());
        for (use_, key) in self.running(data) {
            let probe = self.configs[&use_].0.clone();
            if !failing_now.is_empty() {
                let unread = failing(&failing_now);
                probe.unread(&unread.iter().map(String::as_str).collect::<Vec<_>>()).await;
                self.hears(|model| model.unread(&key, &failing_now)).await;
            }
            if !told.is_empty() {
                probe.changed(groups(&told)).await;
                self.hears(|model| model.changed(&key, &told)).await;
                if let Some(before) = self.process.in_pieces.get_mut(&use_) {
                    before.extend(told.clone());
                }
            }
        }
    }

    pub(crate) async fn say_unchanged(&mut self, data: u8) {
        for (use_, key) in self.running(data) {
            if self.process.pictured.contains(&use_) {
                self.configs[&use_].0.unchanged().await;
                self.hears(|model| model.unchanged(&key)).await;
            }
        }
    }

    pub(crate) async fn fail(&mut self, data: u8) {
        for (use_, key) in self.running(data) {
            self.configs[&use_].0.fail(Retry::Backoff).await;
            self.process.pictured.remove(&use_);
            self.process.in_pieces.remove(&use_);
            self.happens(|model| model.fail(&key));
        }
        if self.keeps {
            // They run again then.
            self.settled = self.settled.max(TRIED_AGAIN);
        }
    }

    /// All sources of some data answer once that they have nothing.
    pub(crate) async fn say_nothing(&mut self, data: u8) {
        let sources = self.truth.replace(data, Sources::new());
        self.say_picture(data).await;
        self.truth.replace(data, sources);
    }

    /// A source loses a target, and says so.
    pub(crate) async fn drain(&mut self, data: u8, number: u8) {
        let left = self.truth.targets(data, number).and_then(|targets| u8::try_from(targets).ok()?.checked_sub(1));
        self.truth.set(data, number, left);
        self.say_source(data, number).await;
    }

    /// Somebody lets go of what is braked.
    pub(crate) async fn release(&mut self, job: Option<usize>) {
        let released = self.process.roster.release(job.map(name)).await;
        let now = self.disk.begun.elapsed();
        self.models.retain_mut(|model| {
            model.now = now;
            model.release(job).into_iter().map(|(job, targets)| (name(job), targets)).eq(released.clone())
        });
        assert!(!self.models.is_empty(), "{released:?} were released, of {job:?}");
        self.happens(|_| {});
    }

    pub(crate) async fn wait(&mut self, beats: u32) {
        tokio::time::sleep(BEAT * beats).await;
    }

    /// Ends the process in order and begins another one.
    pub(crate) async fn restart(&mut self, jobs: Option<Vec<Vec<Use>>>) {
        let served: Vec<_> = (0..self.jobs.len()).filter(|job| self.is_servable(*job)).collect();
        let same = jobs.is_none() && self.disk.works.load(Ordering::Relaxed);
        self.begin_again(jobs).await;
        let lost = served.into_iter().find(|job| same && !self.is_servable(*job));
        assert_eq!(lost, None, "a job was served before the restart and is not after it");
    }

    async fn begin_again(&mut self, jobs: Option<Vec<Vec<Use>>>) {
        let next = Process::start(&self.disk, &self.files);
        std::mem::replace(&mut self.process, next).end().await;
        self.process.record(&self.history);
        self.before = None;
        self.models.iter_mut().for_each(Model::restart);
        let jobs = jobs.unwrap_or_else(|| self.jobs.clone());
        self.reload(jobs).await;
    }

    /// The same, but from now on the old process writes nothing.
    pub(crate) async fn crash(&mut self) {
        self.settle().await;
        self.process.disk.crashed.store(true, Ordering::Relaxed);
        self.restart(None).await;
    }

    /// The same, so soon that what happened last need not be written yet, or not all of it.
    pub(crate) async fn crash_soon(&mut self, after: Duration) {
        tokio::time::sleep(after).await;
        self.process.disk.crashed.store(true, Ordering::Relaxed);
        if self.disk.works.load(Ordering::Relaxed) {
            self.models = self.models.iter().flat_map(Model::written_in_part).collect();
        }
        self.begin_again(None).await;
    }

    pub(crate) async fn disk(&mut self, works: bool) {
        self.disk.works.store(works, Ordering::Relaxed);
        self.settled = if works { TRIED_AGAIN } else { SETTLED };
    }

    /// Somebody deletes the file of a job, or writes something else into it.
    pub(crate) fn touch(&mut self, job: usize, deletes: bool) {
        self.files.touch(job, deletes);
        self.settled = self.settled.max(PUT_RIGHT);
    }

    pub(crate) async fn pass_grace(&mut self) {
        tokio::time::sleep(GRACE + SETTLED).await;
        self.happens(Model::pass_grace);
    }

    /// Something happens, which may be published at once.
    fn happens(&mut self, what: impl Fn(&mut Model)) {
        let now = self.disk.begun.elapsed();
        for model in &mut self.models {
            model.now = now;
            what(model);
            self.files.note(&expected(model));
        }
    }

    /// The same, when a word was said.
    async fn hears(&mut self, what: impl Fn(&mut Model)) {
        self.happens(what);
        if self.keeps {
            tokio::time::sleep(WORD).await;
        }
    }

    async fn settle(&mut self) {
        let settles = self.disk.begun.elapsed() + self.settled;
        let beats = settles.as_millis() / BEAT.as_millis() + 1;
        match self.keeps {
            true => tokio::time::sleep_until(self.disk.begun + BEAT * u32::try_from(beats).unwrap()).await,
            false => tokio::time::sleep(self.settled).await,
        }
        self.settled = SETTLED;
        self.happens(|model| model.pass(model.now.saturating_sub(LATE), None));
        let works = self.disk.works.load(Ordering::Relaxed);
        self.models.iter_mut().for_each(|model| model.store(works));
    }

    /// Compares all jobs, as views show them, as steps tell them and as they are published, with the model.
    pub(crate) async fn compare(&mut self, after: &str) {
        self.settle().await;
        let found = self.found();
        for model in &mut self.models {
            found.iter().for_each(|(job, found)| model.see(*job, &found.kept));
        }
        let wanted: Vec<_> = self.models.iter().map(expected).collect();
        let mut fits = wanted.iter().map(|wanted| *wanted == found);
        self.models.retain(|_| fits.next() == Some(true));
        if self.models.is_empty() {
            assert_eq!(found, wanted[0], "after {after}, and none of {} possibilities fits", wanted.len());
        }
        let view = self.process.roster.view();
        for (job, expected) in &found {
            let list = view.job(&name(*job)).and_then(handed_out);
            assert_eq!(
                list,
                expected.servable.then(|| expected.targets.clone()),
                "the list of job {job} after {after}"
            );
        }
        assert_eq!(*self.process.follower.catch_up(), shown(&view), "what steps told after {after}");
        self.compare_holds(&found, after);
        self.compare_reasons(&found, after);
        if let Some(history) = &self.process.history {
            history.compare(&view, after).await;
        }
        self.files.compare(&found, after);
        if self.disk.works.load(Ordering::Relaxed) {
            self.files.compare_decisions(&self.process.published, after).await;
        }
        self.before = Some(found);
    }

    /// Compares why steps told that targets are held with why they are.
    fn compare_holds(&self, found: &BTreeMap<usize, Expected>, after: &str) {
        for (job, expected) in found {
            for (labels, why) in self.process.follower.holds(&name(*job)) {
                let reasons = &expected.held[labels.get(ADDRESS).unwrap()];
                assert!(reasons.contains(&why), "{labels} was told as held {why:?}, and is {reasons:?} after {after}");
            }
        }
    }

    /// Compares why steps told what became of targets with what they were and are, where the configuration stayed as it was.
    fn compare_reasons(&mut self, found: &BTreeMap<usize, Expected>, after: &str) {
        let (news, before) = (self.process.follower.news(), self.before.take());
        let (Some(news), Some(before)) = (news, before) else { return };
        for (job, was, is) in found.iter().filter_map(|(job, is)| Some((*job, before.get(job)?, is))) {
            // What a job holds of a former provider ends by what others say.
            let own = self.own(job);
            let ends = |it: &Expected| {
                let is_replaced = |reason: &HoldReason| *reason == HoldReason::Replaced;
                it.held.values().flatten().any(is_replaced) || it.kept.values().any(|it| !own.contains(&it.provider))
            };
            let ends_former = ends(was) || ends(is);
            for address in was.targets.union(&is.targets) {
                let is_of = |labels: &Labels| labels.get(ADDRESS) == Some(address);
                let mut told = news.iter().filter(|(of, labels, ..)| *of == name(job) && is_of(labels));
                let (told, more) = (told.next().map(|(.., became, reason)| (*became, *reason)), told.next().is_some());
                let kept = |it: &Expected| it.kept.contains_key(address);
                let by = |it: &Expected| (it.targets.contains(address), it.held.contains_key(address));
                let fits = match (by(was), by(is), told) {
                    // Something happened in between.
                    _ if more => true,
                    (before, now, None) => before == now,
                    ((true, true), (true, true), Some((Became::Held(why), _))) => {
                        let (was, is) = (&was.held[address], &is.held[address]);
                        is.contains(&why) && was.iter().any(|reason| !is.contains(reason))
                    }
                    ((true, _), (false, _), Some((Became::Removed, Reason::Over))) => kept(was),
                    ((true, _), (false, _), Some((Became::Removed, Reason::Source))) => !kept(was),
                    ((true, _), (false, _), Some((Became::Removed, Reason::Reload))) => ends_former,
                    ((false, _), (true, false), Some((Became::Added, Reason::Source))) => true,
                    ((true, false), (true, true), Some((Became::Held(why), Reason::Source))) => {
                        is.held[address].contains(&why)
                    }
                    ((true, true), (true, false), Some((Became::Released, Reason::Source))) => true,
                    ((false, _), (true, _), Some((_, Reason::Reload)))
                    | ((true, _), (true, _), Some((_, Reason::Reload))) => ends_former,
                    _ => false,
                };
                assert!(fits, "{address} of job {job} was told as {told:?} after {after}: {was:?}, {is:?}");
            }
        }
    }

    /// The jobs as the view shows them.
    fn found(&self) -> BTreeMap<usize, Expected> {
        let view = self.process.roster.view();
        let there = (0..JOBS).filter_map(|job| Some((job, view.job(&name(job))?)));
        let found = |(job, of_view): (usize, &Arc<JobView>)| {
            let (targets, held, missing) = (self.targets(job), self.held(job), self.missing(job));
            let (servable, given_up) = (of_view.servable().is_ok(), of_view.is_given_up());
            let plain = of_view.without_held().ok().filter(|plain| plain.servable().is_ok());
            let (kept, plain) = (self.kept(job), plain.map(|plain| addresses(&plain)));
            (job, Expected { targets, held, kept, plain, missing, servable, given_up })
        };
        there.map(found).collect()
    }

    /// The providers that a job uses.
    fn own(&self, job: usize) -> BTreeSet<ProviderKey> {
        let view = self.process.roster.view();
        let own = view.job(&name(job)).into_iter().flat_map(|job| job.providers());
        own.map(|provider| provider.key.clone()).collect()
    }

    /// What the journal tells of a kind.
    pub(crate) async fn events(&self, kind: Kind) -> Vec<Event> {
        self.process.history.as_ref().unwrap().events(kind).await
    }

    /// The addresses that a job has.
    pub(crate) fn targets(&self, job: usize) -> Content {
        self.process.roster.view().job(&name(job)).map(|job| addresses(job)).unwrap_or_default()
    }

    /// Those that are kept, from where and how long. Fails where it is told otherwise since when any are braked, or how many.
    pub(crate) fn kept(&self, job: usize) -> BTreeMap<String, KeptPlace> {
        let view = self.process.roster.view();
        let (mut kept, mut braked, mut since) = (BTreeMap::new(), BTreeMap::<ProviderKey, usize>::new(), None);
        let Some(view) = view.job(&name(job)) else { return kept };
        for block in view.blocks() {
            for (index, entry) in block.entries().iter().enumerate() {
                let (Entry::Active(labels), Some(hold)) = (entry, view.hold(block, index)) else { continue };
                let is_braked = hold.reason == HoldReason::Braked;
                if is_braked {
                    *braked.entry(block.provider().clone()).or_default() += 1;
                    since = since.into_iter().chain([hold.since]).min();
                }
                if is_braked || hold.reason == HoldReason::Grace {
                    let (source, _) = block.load(index, &mut Builder::new()).unwrap();
                    let (provider, since, until) = (block.provider().clone(), hold.since, hold.until);
                    let place = KeptPlace { provider, source, since, until };
                    let before = kept.insert(labels.get(ADDRESS).unwrap().to_owned(), place);
                    assert_eq!(before, None, "it is kept twice");
                }
            }
        }
        assert_eq!(braked, view.braked_of());
        assert_eq!(view.braked(), since);
        kept
    }

    /// Those that are held, and why. Fails where counts, slots and entries disagree.
    pub(crate) fn held(&self, job: usize) -> HeldTargets {
        let (view, name) = (self.process.roster.view(), name(job));
        let (mut held, mut counts) = (HeldTargets::new(), BTreeMap::<HoldReason, usize>::new());
        let Some(view) = view.job(&name) else { return held };
        for block in view.blocks() {
            for (index, entry) in block.entries().iter().enumerate() {
                let (Entry::Active(labels), Some(hold)) = (entry, view.hold(block, index)) else { continue };
                *counts.entry(hold.reason).or_default() += 1;
                held.entry(labels.get(ADDRESS).unwrap().to_owned()).or_default().insert(hold.reason);
            }
        }
        for reason in HoldReason::ALL {
            let (counted, found) = (view.counts().held.of(reason), counts.get(&reason).copied().unwrap_or_default());
            // An entry counts, too, whose target another one says now: no kept one.
            let is_kept = matches!(reason, HoldReason::Braked | HoldReason::Grace);
            assert!(
                counted == found || (counted > found && view.counts().duplicates > 0 && !is_kept),
                "{reason:?} {counted} {found}"
            );
        }
        let of = |reasons: &[HoldReason]| held.values().filter(|why| reasons.iter().any(|it| why.contains(it))).count();
        let [braked, grace] = [HoldReason::Braked, HoldReason::Grace].map(|reason| of(&[reason]));
        assert_eq!((holding::braked(view), holding::in_grace(view)), (braked, grace));
        assert_eq!(holding::unsaid(view), of(&[HoldReason::Restored, HoldReason::Unread, HoldReason::Replaced]));
        let mut firsts = BTreeMap::<_, usize>::new();
        held.values().filter_map(BTreeSet::first).for_each(|reason| *firsts.entry(*reason).or_default() += 1);
        assert_eq!(holding::by_reason(view), firsts);
        assert_eq!(view.targets().filter(|slot| slot.is_held()).count(), held.len());
        held
    }

    /// What nothing is known of.
    fn missing(&self, job: usize) -> MissingThings {
        let view = self.process.roster.view();
        let missing = view.job(&name(job)).into_iter().flat_map(|job| job.missing());
        missing.map(|it| ((it.provider.clone(), it.source.as_ref().map(|it| it.to_string())), it.overdue)).collect()
    }

    /// Whether its list is handed out.
    pub(crate) fn is_servable(&self, job: usize) -> bool {
        self.process.roster.view().job(&name(job)).is_some_and(|job| job.servable().is_ok())
    }

    pub(crate) async fn end(self) {
        self.process.end().await;
    }
}

/// When whatever is asked to end has ended.
fn soon() -> Instant {
    Instant::now() + TRIED_AGAIN
}

/// What a model says of all jobs.
fn expected(model: &Model) -> BTreeMap<usize, Expected> {
    (0..JOBS).filter_map(|job| Some((job, model.expected(job)?))).collect()
}

/// The addresses of the targets of a job.
fn addresses(view: &JobView) -> Content {
    view.targets().map(|slot| slot.labels.get(ADDRESS).unwrap().to_owned()).collect()
}

pub(crate) fn name(job: usize) -> Arc<str> {
    format!("job-{job}").into()
}

fn spec(job: usize, providers: Vec<ProviderKey>, keeping: Keeping) -> JobSpec {
    let defaults = [(JOB, &*name(job)), (SCRAPE_INTERVAL, "1m"), (SCRAPE_TIMEOUT, "10s")];
    JobSpec {
        name: name(job),
        rules: Rules::default(),
        defaults: defaults.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        interval: "1m".to_owned(),
        timeout: "10s".to_owned(),
        params: BTreeMap::new(),
        limits: Limits::default(),
        keeping,
        providers,
    }
}

/// Sources that fail, as the fake is told of them: scopes end with a slash.
fn failing(unreadable: &BTreeSet<String>) -> Vec<String> {
    unreadable.iter().map(|name| format!("{name}{}", if is_scope(name) { "/" } else { "" })).collect()
}

/// Sources as groups: two of each that has several targets, and one without targets of one that has none.
fn groups(sources: &Sources) -> Vec<TargetGroup> {
    let target = |address: &String| -> Labels { [(ADDRESS, address.as_str())].into_iter().collect() };
    let of_source = |(source, content): (&String, &Content)| {
        let (first, rest): (Vec<_>, Vec<_>) = content.iter().enumerate().partition(|(index, _)| *index == 0);
        let group = |key: &str, part: Vec<(usize, &String)>| TargetGroup {
            source: source.as_str().into(),
            key: key.into(),
            targets: part.into_iter().map(|(_, address)| target(address)).collect(),
            ..TargetGroup::default()
        };
        let more = (!rest.is_empty()).then(|| group("rest", rest));
        [group("first", first)].into_iter().chain(more).collect::<Vec<_>>()
    };
    sources.iter().flat_map(of_source).collect()
}
