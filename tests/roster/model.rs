//! What should be: the same rules as the roster's, on plain sets, without blocks, steps or stores.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use rosterd::roster::Keeping;
use rosterd::roster::brake::{Brake, Confirm};
use rosterd::roster::hold::HoldReason;
use rosterd_discovery::ProviderKey;
use tokio::time::Instant;

use crate::kept::{self, APART, Keepings, KeptTarget, KeptTargets, Sizes};
use crate::truth::{Content, Sources, is_beneath, is_scope};

/// How long what no job uses or holds stays in the store.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// What is known of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Presence {
    Unsynced,
    Restored,
    Synced,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Provider {
    pub(crate) presence: Presence,
    /// Whether all that is known of it was there before a reload, rather than before this process, if it is restored.
    replaced: bool,
    pub(crate) sources: Sources,
    /// Sources that could not be read lately, and whether its discoverer had read them before.
    pub(crate) unread: BTreeMap<String, bool>,
    /// Sources that its discoverer has read, and that were there when it last told a picture.
    read: BTreeSet<String>,
    /// Whether sources that were not there may still come.
    open: bool,
    /// Sources of which what is known is from before its discoverer, although that one has reported.
    before: BTreeSet<String>,
    /// Sources that were never read and have nothing stored, and whether they are overdue.
    pub(crate) missing: BTreeMap<String, bool>,
    /// Whether it was wanted for longer than the time of grace, and has not reported.
    pub(crate) overdue: bool,
    /// Whether anything was ever known of it.
    pub(crate) known: bool,
    /// Whether its discoverer has begun and told no picture yet.
    begins: bool,
    /// Of a first picture that is told in pieces, the sources with targets that were told so far.
    told: BTreeSet<String>,
    /// Whether its discoverer ended by an error, and nothing was read since.
    fails: bool,
    /// The jobs that use or hold it; where they hold it, with the providers that did not come in its place.
    users: BTreeMap<usize, Option<BTreeSet<ProviderKey>>>,
}

impl Provider {
    fn unsynced() -> Self {
        Self {
            presence: Presence::Unsynced,
            replaced: false,
            sources: Sources::new(),
            unread: BTreeMap::new(),
            read: BTreeSet::new(),
            open: false,
            before: BTreeSet::new(),
            missing: BTreeMap::new(),
            overdue: false,
            known: false,
            begins: false,
            told: BTreeSet::new(),
            fails: false,
            users: BTreeMap::new(),
        }
    }

    /// The same after a restart.
    fn restored(&self) -> Self {
        let replaced = self.presence == Presence::Restored && self.replaced;
        Self { replaced, ..self.as_restored() }
    }

    /// The same when nobody uses or holds it any more.
    fn unused(&self) -> Self {
        Self { replaced: false, users: BTreeMap::new(), ..self.as_restored() }
    }

    /// The same after a reload: without its discoverer, or in the place of another one.
    fn left(&self) -> Self {
        let replaced = self.presence != Presence::Restored || self.replaced;
        Self { replaced, ..self.as_restored() }
    }

    fn as_restored(&self) -> Self {
        let presence = match self.presence {
            Presence::Unsynced => Presence::Unsynced,
            Presence::Restored | Presence::Synced => Presence::Restored,
        };
        let (unread, read, before, told) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Self { presence, unread, read, open: false, before, told, ..self.clone() }
    }

    /// What the store has of it, if that is anything. Half of a first picture would pass for all there is.
    fn to_store(&self, unused: Option<Instant>) -> Option<Stored> {
        let sources = match self.presence {
            Presence::Unsynced if !self.overdue => return None,
            Presence::Unsynced => Sources::new(),
            Presence::Restored | Presence::Synced => self.sources.clone(),
        };
        Some(Stored { provider: Self { sources, ..self.clone() }, unused })
    }

    /// Why what is known of a source is held, if it is.
    fn held(&self, source: &String) -> Option<HoldReason> {
        match self.presence {
            Presence::Restored if self.replaced => Some(HoldReason::Replaced),
            Presence::Restored => Some(HoldReason::Restored),
            Presence::Unsynced | Presence::Synced => self.before.contains(source).then_some(HoldReason::Unread),
        }
    }

    fn has(&self, source: &String) -> bool {
        self.sources.get(source).is_some_and(|content| !content.is_empty())
    }

    fn has_any(&self) -> bool {
        self.sources.values().any(|content| !content.is_empty())
    }

    /// Whether a source of which nothing is known keeps nothing away: it had its time, or what was known of the provider was
    /// without it.
    fn counts_as_overdue(&self, source: &String) -> bool {
        let given_up = !self.missing.is_empty() && self.missing.values().all(|overdue| *overdue);
        self.missing.get(source).copied().unwrap_or(self.overdue || self.known || given_up)
    }

    /// Another discoverer begins: it has read nothing yet.
    fn begin(&mut self) {
        (self.begins, self.fails) = (true, false);
        self.forget();
        self.unread.clear();
    }

    /// Forgets what was told of a first picture, and that it was read.
    fn forget(&mut self) {
        self.told.clear();
        self.read.clear();
        self.unread.values_mut().for_each(|known| *known = false);
    }

    /// Of sources that cannot be read, whether its discoverer had read them before, or anything beneath them.
    fn hear(&self, unreadable: &BTreeSet<String>) -> BTreeMap<String, bool> {
        let has_read = |name: &String| self.read.iter().any(|read| read == name || is_beneath(read, name));
        let known = |name: &String| self.unread.get(name).copied().unwrap_or_else(|| has_read(name));
        unreadable.iter().map(|name| (name.clone(), known(name))).collect()
    }

    /// Whether nobody can say what a source has: it cannot be read, or a scope around it cannot.
    fn is_unreadable(&self, source: &str) -> bool {
        self.unread.keys().any(|unread| unread == source || is_beneath(source, unread))
    }

    /// Whether its discoverer can say what a source has: it was there, or may come no more, and can be read.
    fn knows(&self, source: &String) -> bool {
        !self.is_unreadable(source) && (!self.open || self.read.contains(source))
    }

    /// What is from before its discoverer stays as long as that cannot say otherwise. Of what it never read something is held, or it is
    /// missing.
    fn follow_unread(&mut self) {
        let before = std::mem::take(&mut self.before).into_iter().filter(|source| !self.read.contains(source));
        let (stays, gone): (BTreeSet<_>, BTreeSet<_>) =
            before.partition(|source| self.open || self.is_unreadable(source));
        self.before = stays;
        gone.iter().for_each(|source| _ = self.sources.remove(source));
        let never = self.unread.iter().filter(|(_, known)| !**known).map(|(name, _)| name);
        let is_held = |name: &String| self.before.iter().any(|source| source == name || is_beneath(source, name));
        let missing = never.filter(|name| !is_held(name));
        self.missing = missing.map(|name| (name.clone(), self.counts_as_overdue(name))).collect();
        self.known |= self.missing.is_empty() || self.has_any();
    }
}

#[derive(Debug, Default, Clone)]
struct Job {
    providers: Vec<ProviderKey>,
    /// Providers that it used before and holds.
    former: BTreeMap<ProviderKey, Former>,
    keeping: Keeping,
    kept: KeptTargets,
    /// How many targets it had that its sources said.
    sizes: Sizes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Former {
    /// Providers of the job that did not come in its place.
    beside: BTreeSet<ProviderKey>,
    /// This alone.
    only: Option<Rest>,
}

/// What is held of a provider when those in its place have reported.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Rest {
    sources: BTreeSet<String>,
    /// What could not be read that is held for: the same, and scopes around them.
    missing: BTreeSet<String>,
}

impl Rest {
    /// What a former provider has of that which is missing of a job's own ones, and beneath it, unless they have told that.
    fn of<'a>(former: &Provider, own: impl Iterator<Item = &'a Provider>) -> Self {
        let mut rest = Self::default();
        for (provider, name) in own.flat_map(|it| it.missing.keys().map(move |name| (it, name))) {
            let is_within = |source: &&String| *source == name || is_beneath(source, name);
            let known = former.sources.keys().filter(|it| former.has(it)).filter(is_within);
            let is_told = |source: &&String| is_scope(name) && provider.has(source);
            let known: Vec<_> = known.filter(|source| !is_told(source)).cloned().collect();
            rest.missing.extend((!known.is_empty()).then(|| name.clone()));
            rest.sources.extend(known);
        }
        rest
    }
}

/// All that is known, in memory and on disk.
#[derive(Debug, Default, Clone)]
pub(crate) struct Model {
    pub(crate) providers: BTreeMap<ProviderKey, Provider>,
    jobs: BTreeMap<usize, Job>,
    /// What no job uses or holds, and since when.
    unused: BTreeMap<ProviderKey, (Provider, Instant)>,
    /// What jobs kept that are gone, and since when.
    left: BTreeMap<usize, (KeptTargets, Instant)>,
    /// What a reader of the store sees in this process, what waits to be written included.
    stored: Store,
    /// What is written.
    disk: Store,
    /// What was to be written for a while of an event that has several parts.
    meanwhile: Vec<Store>,
    /// How long the history is.
    pub(crate) now: Duration,
    /// The brake of all jobs that have one together, and how many targets they had.
    agent: (Option<Brake>, Sizes),
}

/// All that is stored.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Store {
    providers: BTreeMap<ProviderKey, Stored>,
    /// What jobs keep, and kept that are gone: since when they are.
    kept: BTreeMap<usize, (KeptTargets, Option<Instant>)>,
}

/// What is stored of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stored {
    provider: Provider,
    /// Since when no job uses or holds it, if that is so.
    unused: Option<Instant>,
}

/// The targets that are held, and why.
pub(crate) type HeldTargets = BTreeMap<String, BTreeSet<HoldReason>>;
/// The providers and sources of which nothing is known, and whether each is overdue.
pub(crate) type MissingThings = BTreeMap<(ProviderKey, Option<String>), bool>;

/// Where a kept target comes from, since when it is, and until when at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptPlace {
    pub(crate) provider: ProviderKey,
    pub(crate) source: String,
    pub(crate) since: SystemTime,
    pub(crate) until: Option<SystemTime>,
}

/// What a job should have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) targets: Content,
    pub(crate) held: HeldTargets,
    /// Of those that are held because their source lost them.
    pub(crate) kept: BTreeMap<String, KeptPlace>,
    /// What is said without what is held, if that is known.
    pub(crate) plain: Option<Content>,
    pub(crate) missing: MissingThings,
    pub(crate) servable: bool,
    /// Nothing at all is known of it, and nothing is waited for any more.
    pub(crate) given_up: bool,
}

/// What a list of these jobs has, if there is one: of jobs that are given up nothing, unless there is no other.
pub(crate) fn list<'a>(jobs: impl Iterator<Item = &'a Expected>) -> Option<Content> {
    let (given_up, known): (Vec<_>, Vec<_>) = jobs.partition(|job| job.given_up);
    let is_there = known.iter().all(|job| job.servable) && (given_up.is_empty() || !known.is_empty());
    is_there.then(|| known.iter().flat_map(|job| job.targets.clone()).collect())
}

impl Model {
    /// A new process: what was not stored is forgotten.
    pub(crate) fn restart(&mut self) {
        self.providers.clear();
        self.jobs.clear();
        self.unused.clear();
        self.left.clear();
        self.meanwhile.clear();
        self.stored = self.disk.clone();
    }

    /// What is known waits to be written, and is if that is possible. What nobody uses is forgotten after a day.
    pub(crate) fn store(&mut self, works: bool) {
        self.unused.retain(|_, (_, since)| since.elapsed() < KEPT);
        self.left.retain(|_, (_, since)| since.elapsed() < KEPT);
        self.stored = self.to_store();
        self.meanwhile.clear();
        if works {
            self.disk = self.stored.clone();
        }
    }

    fn to_store(&self) -> Store {
        let in_use = self.providers.iter().map(|(key, provider)| (key, provider.to_store(None)));
        let unused = self.unused.iter().map(|(key, (provider, since))| (key, provider.to_store(Some(*since))));
        let providers = unused.chain(in_use).filter_map(|(key, stored)| Some((key.clone(), stored?))).collect();
        let kept = self.jobs.iter().filter(|(_, job)| !job.kept.is_empty());
        let kept = kept.map(|(name, job)| (*name, (job.kept.clone(), None)));
        let left = self.left.iter().map(|(name, (kept, since))| (*name, (kept.clone(), Some(*since))));
        Store { providers, kept: kept.chain(left).collect() }
    }

    /// What is known is to be written now, before there is more.
    fn wait_to_be_written(&mut self) {
        self.meanwhile.push(self.to_store());
    }

    /// All that may be on disk when the process ends before everything is written: what was to be written after some part of the
    /// event, after none or after all.
    pub(crate) fn written_in_part(&self) -> Vec<Self> {
        let mut stores = vec![self.disk.clone()];
        for store in self.meanwhile.iter().cloned().chain([self.to_store()]) {
            if !stores.contains(&store) {
                stores.push(store);
            }
        }
        stores.into_iter().map(|disk| Self { disk, ..self.clone() }).collect()
    }

    /// Takes these jobs; the discoverers of some providers begin.
    pub(crate) fn set_jobs(
        &mut self,
        jobs: &BTreeMap<usize, Vec<ProviderKey>>,
        keepings: &Keepings,
        begin: &BTreeSet<ProviderKey>,
    ) {
        let starts = self.jobs.is_empty();
        let used: BTreeSet<_> = jobs.values().flatten().cloned().collect();
        let is_twin = |key: &ProviderKey| used.iter().any(|used| used.data() == key.data());
        let wanted = |provider: &Provider| provider.users.keys().any(|job| jobs.contains_key(job));
        // What a job waited for when the process ended it waits for still, whoever else knows the same data.
        let all = self.stored.providers.clone();
        let awaits = |key: &ProviderKey, twin: &ProviderKey| {
            let of_job = |(name, own): (&usize, &Vec<ProviderKey>)| {
                let how = |it: &Stored| it.provider.users.get(name).cloned();
                let holds = all.values().any(|it| how(it).flatten().is_some_and(|beside| !beside.contains(key)));
                let gave_up = all.get(twin).and_then(how) == Some(None) && !own.contains(twin);
                own.contains(key) && holds && !gave_up
            };
            starts && jobs.iter().any(of_job)
        };
        let may_adopt = |key: &ProviderKey, other: &ProviderKey| other.data() == key.data() && !awaits(key, other);
        for (key, Stored { provider: stored, .. }) in &self.stored.providers {
            // One that was used knows the same data better than one that was held.
            let is_used = |it: &Provider| it.users.values().any(Option::is_none);
            let better = |(other, it): (&ProviderKey, &Stored)| is_used(&it.provider) && may_adopt(key, other);
            let is_behind =
                starts && used.contains(key) && !is_used(stored) && self.stored.providers.iter().any(better);
            let loads = used.contains(key) || (starts && (is_twin(key) || wanted(stored)));
            if !is_behind && loads && !self.providers.contains_key(key) {
                self.providers.insert(key.clone(), stored.restored());
            }
        }
        if starts {
            // What was found in the store and nobody needs is unused, from now on where it was not.
            let now = Instant::now();
            let left = self.stored.providers.iter().filter(|(_, it)| it.provider.presence != Presence::Unsynced);
            let left = left.map(|(key, it)| (key.clone(), (it.provider.unused(), it.unused.unwrap_or(now))));
            self.unused = left.collect();
            let gone = self.stored.kept.iter().filter(|(name, _)| !jobs.contains_key(*name));
            self.left = gone.map(|(name, (kept, since))| (*name, (kept.clone(), since.unwrap_or(now)))).collect();
        }
        self.unused.retain(|key, _| !used.contains(key));
        let before = std::mem::take(&mut self.jobs);
        for (name, providers) in jobs {
            let mut former: BTreeMap<ProviderKey, Former> = BTreeMap::new();
            if let Some(job) = before.get(name) {
                let stays = providers.iter().filter(|key| job.providers.contains(key)).cloned().collect();
                let replaced = Former { beside: stays, only: None };
                former.extend(job.providers.iter().map(|key| (key.clone(), replaced.clone())));
                former.extend(job.former.clone());
            }
            if starts {
                let stored = || self.stored.providers.iter();
                let of_job = || stored().filter_map(|(key, it)| Some((key, it.provider.users.get(name)?)));
                let used = || of_job().filter(|(_, held)| held.is_none()).map(|(key, _)| key.clone());
                let beside: BTreeSet<_> = used().filter(|key| providers.contains(key)).collect();
                former.extend(used().map(|key| (key, Former { beside: beside.clone(), only: None })));
                let held = of_job().filter_map(|(key, held)| Some((key.clone(), held.clone()?)));
                former.extend(held.map(|(key, beside)| (key, Former { beside, only: None })));
            }
            former.values_mut().for_each(|former| former.beside.retain(|key| providers.contains(key)));
            former.retain(|key, _| !providers.contains(key));
            let left = self.left.remove(name).map(|(kept, _)| kept);
            let stored = || self.stored.kept.get(name).map(|(kept, _)| kept.clone());
            let (kept, sizes) = match before.get(name) {
                Some(job) => (job.kept.clone(), job.sizes.clone()),
                None => {
                    let kept = if starts { stored() } else { left };
                    let kept = kept.into_iter().flatten().map(|(at, it)| (at, it.restored()));
                    (kept.collect(), Sizes::default())
                }
            };
            let job = Job { providers: providers.clone(), former, keeping: keepings.of(*name), kept, sizes };
            self.jobs.insert(*name, job);
        }
        let gone = before.iter().filter(|(name, job)| !jobs.contains_key(*name) && !job.kept.is_empty());
        self.left.extend(gone.map(|(name, job)| (*name, (job.kept.clone(), Instant::now()))));
        let was_used: BTreeSet<_> = before.values().flat_map(|job| job.providers.clone()).collect();
        for key in &used {
            let twins = || self.providers.iter().filter(|(other, _)| other.data() == key.data());
            let is_known = |twin: &Provider| twin.presence != Presence::Unsynced;
            let known = twins().find(|(other, twin)| is_known(twin) && may_adopt(key, other));
            let twin = known.or_else(|| twins().find(|(_, twin)| !is_known(twin))).map(|(_, twin)| twin.clone());
            match self.providers.get_mut(key) {
                // It was stopped and only held: it begins anew.
                Some(provider) if !was_used.contains(key) && provider.presence == Presence::Synced => {
                    *provider = provider.left();
                }
                Some(_) => {}
                None => {
                    let adopted = twin.map(|twin| twin.left());
                    self.providers.insert(key.clone(), adopted.unwrap_or_else(Provider::unsynced));
                }
            }
        }
        for (key, provider) in &mut self.providers {
            if was_used.contains(key) && !used.contains(key) && provider.presence == Presence::Synced {
                *provider = provider.left();
            }
        }
        self.let_go();
        self.unused.retain(|key, _| !self.providers.contains_key(key));
        for key in begin {
            if let Some(provider) = self.providers.get_mut(key) {
                provider.begin();
            }
        }
        self.keep_by_configuration(&before, keepings);
    }

    /// What a configuration removes is not kept, now or later: the sizes of jobs that it changes begin anew.
    fn keep_by_configuration(&mut self, before: &BTreeMap<usize, Job>, keepings: &Keepings) {
        let is_same = |name: &usize, job: &Job| {
            before.get(name).is_some_and(|old| {
                (&old.providers, old.keeping, &old.former) == (&job.providers, job.keeping, &job.former)
            })
        };
        let changed: Vec<_> =
            self.jobs.iter().filter(|(name, job)| !is_same(name, job)).map(|(name, _)| *name).collect();
        self.agent.0 = keepings.agent;
        if !changed.is_empty() || before.keys().any(|name| !self.jobs.contains_key(name)) {
            self.agent.1.begin(self.now, self.braked_size());
        }
        changed.into_iter().for_each(|name| self.follow(name));
        self.pass(self.now, None);
    }

    /// What a job keeps is of what it uses and holds now, and it begins anew to count.
    fn follow(&mut self, name: usize) {
        let has = self.has(&self.jobs[&name]);
        let (now, Some(job)) = (self.now, self.jobs.get_mut(&name)) else { return };
        let wanted: Vec<_> = job.providers.iter().chain(job.former.keys()).cloned().collect();
        kept::follow(&mut job.kept, &job.keeping, &wanted, &has, self.now);
        job.sizes.begin(now, has.len());
    }

    /// How many targets those jobs have that have a brake.
    fn braked_size(&self) -> usize {
        self.jobs.values().filter(|job| job.keeping.brake.is_some()).map(|job| self.has(job).len()).sum()
    }

    /// A provider says the whole picture, at once or in pieces.
    pub(crate) fn picture(
        &mut self,
        key: &ProviderKey,
        read: &Sources,
        unreadable: &BTreeSet<String>,
        in_pieces: bool,
    ) {
        self.take_picture(key, read, unreadable, (in_pieces, false));
    }

    /// A provider says what is there, while others may still come.
    pub(crate) fn found(&mut self, key: &ProviderKey, read: &Sources, unreadable: &BTreeSet<String>, in_pieces: bool) {
        self.take_picture(key, read, unreadable, (in_pieces, true));
    }

    fn take_picture(
        &mut self,
        key: &ProviderKey,
        read: &Sources,
        unreadable: &BTreeSet<String>,
        (in_pieces, open): (bool, bool),
    ) {
        self.word(key, !open, |provider| {
            provider.fails = false;
            let begins = std::mem::take(&mut provider.begins);
            if begins && !in_pieces {
                provider.forget();
            }
            provider.unread = provider.hear(unreadable);
            provider.open = open;
            if !open {
                let is_unreadable = |source: &String| read.contains_key(source) || provider.is_unreadable(source);
                let gone: Vec<_> = provider.sources.keys().filter(|it| !is_unreadable(it)).cloned().collect();
                let forgotten: Vec<_> = provider.read.iter().filter(|it| !is_unreadable(it)).cloned().collect();
                gone.iter().for_each(|source| _ = provider.sources.remove(source));
                forgotten.iter().for_each(|source| _ = provider.read.remove(source));
            }
            provider.sources.extend(read.clone());
            provider.read.extend(read.keys().cloned());
            if begins {
                provider.before = provider.sources.keys().filter(|it| provider.has(it)).cloned().collect();
            }
            provider.follow_unread();
            provider.presence = Presence::Synced;
        });
    }

    /// A provider begins to say a picture in pieces. What was said of one that was broken off stays until one is whole.
    pub(crate) fn begin_pieces(&mut self, key: &ProviderKey) {
        if let Some(provider) = self.providers.get_mut(key).filter(|provider| provider.begins) {
            provider.forget();
        }
    }

    /// A provider says some sources of a picture of which more follows.
    pub(crate) fn piece(&mut self, key: &ProviderKey, sources: &Sources) {
        self.take_changed(key, sources, false);
    }

    /// A provider says how some sources are, while it says a picture, or afterwards. Of a first picture nothing counts before it is
    /// whole, but a source that has targets there has these, and those no more when it loses them.
    pub(crate) fn changed(&mut self, key: &ProviderKey, sources: &Sources) {
        self.take_changed(key, sources, true);
    }

    fn take_changed(&mut self, key: &ProviderKey, sources: &Sources, works: bool) {
        self.word(key, false, |provider| {
            provider.fails &= !works;
            for (source, content) in sources {
                provider.unread.remove(source);
                provider.read.insert(source.clone());
                if !provider.begins {
                    provider.sources.insert(source.clone(), content.clone());
                } else if !content.is_empty() {
                    provider.told.insert(source.clone());
                    provider.sources.insert(source.clone(), content.clone());
                } else if provider.told.remove(source) {
                    provider.sources.remove(source);
                }
            }
            if !provider.begins {
                provider.follow_unread();
            }
        });
    }

    /// A provider says that some sources could not be read. Before its first picture nothing is missing of it.
    pub(crate) fn unread(&mut self, key: &ProviderKey, unreadable: &BTreeSet<String>) {
        self.word(key, false, |provider| {
            let failed = provider.hear(unreadable);
            provider.unread.extend(failed);
            if !provider.begins {
                provider.follow_unread();
            }
        });
    }

    /// A provider found all as it had said.
    pub(crate) fn unchanged(&mut self, key: &ProviderKey) {
        self.word(key, true, |provider| {
            provider.fails = false;
            provider.unread.retain(|_, known| !*known);
            provider.follow_unread();
        });
    }

    /// A discoverer ended by an error.
    pub(crate) fn fail(&mut self, key: &ProviderKey) {
        if let Some(provider) = self.providers.get_mut(key) {
            provider.fails = true;
        }
    }

    /// A provider says something that changes what it has: what ends by that in a job is kept, or not. Another reading of everything
    /// confirms what is braked.
    fn word(&mut self, key: &ProviderKey, reads_all: bool, change: impl FnOnce(&mut Provider)) {
        let Some(provider) = self.providers.get(key) else { return };
        let (told, was_synced, size) =
            (provider.unread.clone(), provider.presence == Presence::Synced, self.braked_size());
        let concerns = |job: &Job| job.providers.contains(key) || job.former.contains_key(key);
        let names: Vec<_> = self.jobs.iter().filter(|(_, job)| concerns(job)).map(|(name, _)| *name).collect();
        let before: Vec<_> = names.iter().map(|name| self.says(&self.jobs[name], key)).collect();
        if let Some(provider) = self.providers.get_mut(key) {
            change(provider);
        }
        names.iter().for_each(|name| self.relearn(*name, key));
        let after: Vec<_> = names.iter().map(|name| self.has(&self.jobs[name])).collect();
        let confirmed: Vec<_> = (names.iter().zip(&after))
            .map(|(name, has)| self.confirmed(&self.jobs[name], key, has).filter(|_| reads_all).collect::<Vec<_>>())
            .collect();
        if confirmed.iter().any(|over| !over.is_empty()) {
            self.agent.1.begin(self.now, size);
        }
        let braked = |at: &usize| self.jobs[&names[*at]].keeping.brake.is_some();
        let returned: Vec<_> = (names.iter().zip(&after))
            .map(|(name, has)| self.jobs[name].kept.keys().filter(|address| has.contains(*address)).count())
            .collect();
        let (less, more): (Vec<_>, Vec<_>) =
            (0..names.len()).filter(braked).map(|at| (before[at].0.len(), after[at].len())).unzip();
        let counts = |job: &Job, has: Option<&Content>| {
            let counts = |(address, it): &(&String, &KeptTarget)| {
                it.is_braked() || has.is_some_and(|has| has.contains(*address))
            };
            job.kept.iter().filter(counts).count()
        };
        let kept: Vec<_> = names.iter().zip(&after).map(|(name, has)| counts(&self.jobs[name], Some(has))).collect();
        let of_others = self.jobs.iter().filter(|(name, _)| !names.contains(name)).map(|(_, job)| counts(job, None));
        let all_kept = of_others.sum::<usize>() + (0..names.len()).filter(braked).map(|at| kept[at]).sum::<usize>();
        let all_returned = (0..names.len()).filter(braked).map(|at| returned[at]).sum();
        let left = size - less.iter().sum::<usize>() + more.iter().sum::<usize>();
        let (brake, sizes) = &mut self.agent;
        let too_many = brake.is_some_and(|brake| sizes.holds(&brake, self.now, size, (left, all_returned, all_kept)));
        for (at, name) in names.iter().enumerate() {
            let ((has, whence), now, Some(job)) = (&before[at], self.now, self.jobs.get_mut(name)) else { continue };
            if !confirmed[at].is_empty() {
                job.sizes.begin(now, has.len());
            }
            let holds = job
                .keeping
                .brake
                .map(|brake| job.sizes.holds(&brake, now, has.len(), (after[at].len(), returned[at], kept[at])));
            job.sizes.note(now, after[at].len());
            let is_braked = holds.is_some_and(|holds| holds || too_many);
            let grace = (!job.keeping.grace.is_zero()).then_some(HoldReason::Grace);
            job.kept.retain(|address, _| !after[at].contains(address));
            lapse(job, &confirmed[at].iter().cloned().collect(), now);
            let Some(reason) = is_braked.then_some(HoldReason::Braked).or(grace) else { continue };
            job.kept.extend(has.difference(&after[at]).map(|address| {
                let sources = whence[address].clone();
                (address.clone(), KeptTarget { provider: key.clone(), sources, reason, since: now })
            }));
        }
        let former: BTreeMap<_, _> = self.jobs.iter().map(|(name, job)| (*name, job.former.clone())).collect();
        self.let_go();
        let other: Vec<_> =
            self.jobs.iter().filter(|(name, job)| job.former != former[name]).map(|(name, _)| *name).collect();
        other.iter().for_each(|name| self.follow(*name));
        match other.is_empty() {
            true => self.agent.1.note(self.now, self.braked_size()),
            false => self.agent.1.begin(self.now, self.braked_size()),
        }
        if !was_synced || self.providers.get(key).is_some_and(|provider| provider.unread != told) {
            self.pass(self.now, Some(key));
        }
        self.wait_to_be_written();
    }

    /// What a job holds of a former provider follows what that one has.
    fn relearn(&mut self, name: usize, key: &ProviderKey) {
        let Some(job) = self.jobs.get(&name) else { return };
        if job.former.get(key).is_none_or(|former| former.only.is_none()) {
            return;
        }
        let own = job.providers.iter().filter_map(|key| self.providers.get(key));
        let rest = Rest::of(&self.providers[key], own);
        if let Some(former) = self.jobs.get_mut(&name).and_then(|job| job.former.get_mut(key)) {
            former.only = Some(rest);
        }
    }

    /// What another reading of a provider confirms in a job that has these targets now.
    fn confirmed(&self, job: &Job, key: &ProviderKey, has: &Content) -> impl Iterator<Item = String> {
        let provider = &self.providers[key];
        let reads = job.keeping.confirm() == Some(Confirm::Reading);
        let is_confirmed = |(address, it): &(&String, &KeptTarget)| {
            let is_readable = it.sources.iter().all(|source| provider.knows(source));
            let is_apart = it.since + APART <= self.now;
            reads && it.provider == *key && it.is_braked() && is_apart && is_readable && !has.contains(*address)
        };
        job.kept.iter().filter(is_confirmed).map(|(address, _)| address.clone()).collect::<Vec<_>>().into_iter()
    }

    /// What is kept and had its time by then goes, of one provider or of all. What is braked does only while its source can be read.
    pub(crate) fn pass(&mut self, by: Duration, of: Option<&ProviderKey>) {
        let reads = |it: &KeptTarget| {
            self.providers.get(&it.provider).is_some_and(|provider| {
                let is_readable = it.sources.iter().all(|source| provider.knows(source));
                provider.presence == Presence::Synced && !provider.fails && is_readable
            })
        };
        let goes = |job: &Job, it: &KeptTarget| {
            let is_of = of.is_none_or(|key| *key == it.provider);
            is_of && it.is_over(&job.keeping, by) && (!it.is_braked() || reads(it))
        };
        let ends = |job: &Job| {
            let ends = job.kept.iter().filter(|(_, it)| goes(job, it));
            ends.map(|(address, _)| address.clone()).collect::<BTreeSet<_>>()
        };
        let ends: Vec<_> = self.jobs.iter().map(|(name, job)| (*name, ends(job))).collect();
        ends.iter().for_each(|(name, ends)| self.end_kept(*name, |job, now| lapse(job, ends, now)));
    }

    /// Somebody lets go of what is braked, of a job or of all. Returns how many targets of each that were.
    pub(crate) fn release(&mut self, only: Option<usize>) -> BTreeMap<usize, usize> {
        let braked = |job: &Job| {
            let braked = job.kept.iter().filter(|(_, it)| it.is_braked());
            braked.map(|(address, _)| address.clone()).collect::<BTreeSet<_>>()
        };
        let names = self.jobs.iter().filter(|(name, _)| only.is_none_or(|only| only == **name));
        let released: BTreeMap<_, _> = names.map(|(name, job)| (*name, braked(job))).collect();
        for (name, ends) in &released {
            self.end_kept(*name, |job, _| job.kept.retain(|address, _| !ends.contains(address)));
        }
        released.into_iter().map(|(name, ends)| (name, ends.len())).filter(|(_, ends)| *ends > 0).collect()
    }

    /// Ends what is kept of a job; when nothing of it is braked any more, its size is what it is from then on.
    fn end_kept(&mut self, name: usize, end: impl FnOnce(&mut Job, Duration)) {
        let has = self.has(&self.jobs[&name]).len();
        let (now, Some(job)) = (self.now, self.jobs.get_mut(&name)) else { return };
        let is_braked = |job: &Job| job.kept.values().any(KeptTarget::is_braked);
        let was_braked = is_braked(job);
        end(job, now);
        if was_braked && !is_braked(job) {
            job.sizes.begin(now, has);
            self.agent.1.begin(now, self.braked_size());
        }
    }

    /// Of what several sources lost at once it is seen now of which it counts.
    pub(crate) fn see(&mut self, name: usize, kept: &BTreeMap<String, KeptPlace>) {
        let Some(job) = self.jobs.get_mut(&name) else { return };
        for (address, it) in &mut job.kept {
            if let Some(place) = kept.get(address).filter(|place| it.sources.contains(&place.source)) {
                it.sources = [place.source.clone()].into();
            }
        }
    }

    /// What a job has of its providers, and of those that it holds: provider, source, targets, and why they are held.
    fn contents<'a>(
        &'a self,
        job: &'a Job,
    ) -> impl Iterator<Item = (&'a ProviderKey, &'a String, &'a Content, Option<HoldReason>)> {
        let own = job.providers.iter().map(|key| (key, None));
        let all = own.chain(job.former.iter().map(|(key, former)| (key, Some(former))));
        all.filter_map(|(key, former)| Some((key, self.providers.get(key)?, former))).flat_map(
            |(key, provider, former)| {
                let only = former.and_then(|former| former.only.as_ref());
                let known = provider.sources.iter();
                let known = known.filter(move |(source, _)| only.is_none_or(|only| only.sources.contains(*source)));
                known.map(move |(source, content)| {
                    let hold = if former.is_some() { Some(HoldReason::Replaced) } else { provider.held(source) };
                    (key, source, content, hold)
                })
            },
        )
    }

    /// The targets that a job has without those that it keeps.
    fn has(&self, job: &Job) -> Content {
        self.contents(job).flat_map(|(.., content, _)| content.iter().cloned()).collect()
    }

    /// The same, and for those of a provider in which of its sources they are.
    fn says(&self, job: &Job, key: &ProviderKey) -> (Content, BTreeMap<String, BTreeSet<String>>) {
        let mut whence: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (_, source, content, _) in self.contents(job).filter(|(of, ..)| *of == key) {
            content.iter().for_each(|address| _ = whence.entry(address.clone()).or_default().insert(source.clone()));
        }
        (self.has(job), whence)
    }

    /// All that is waited for is overdue.
    pub(crate) fn pass_grace(&mut self) {
        let used: BTreeSet<_> = self.jobs.values().flat_map(|job| job.providers.clone()).collect();
        for (_, provider) in self.providers.iter_mut().filter(|(key, _)| used.contains(*key)) {
            provider.overdue |= provider.presence == Presence::Unsynced;
            provider.missing.values_mut().for_each(|overdue| *overdue = true);
        }
    }

    /// Jobs hold only what they need, and what no job uses or holds is forgotten.
    fn let_go(&mut self) {
        let providers = &self.providers;
        for job in self.jobs.values_mut() {
            let own = || job.providers.iter().filter_map(|key| Some((key, providers.get(key)?)));
            let knows_nothing =
                |key: &ProviderKey| providers.get(key).is_some_and(|it| it.presence == Presence::Unsynced);
            let adopted: Vec<_> = own()
                .filter(|(_, it)| it.presence != Presence::Unsynced)
                .map(|(key, _)| key.data().to_owned())
                .collect();
            let awaits = |beside: &BTreeSet<ProviderKey>| {
                job.providers.iter().any(|key| !beside.contains(key) && knows_nothing(key))
            };
            job.former.retain(|key, Former { beside, only }| {
                let Some(provider) = providers.get(key).filter(|it| it.presence != Presence::Unsynced) else {
                    return false;
                };
                if adopted.iter().any(|data| data == key.data()) {
                    return false;
                }
                if !awaits(beside) {
                    *only = Some(Rest::of(provider, own().map(|(_, own)| own)));
                }
                only.as_ref().is_none_or(|only| !only.sources.is_empty())
            });
        }
        for (key, provider) in &mut self.providers {
            let how = |job: &Job| match job.former.get(key) {
                Some(former) => Some(Some(former.beside.clone())),
                None => job.providers.contains(key).then_some(None),
            };
            provider.users = self.jobs.iter().filter_map(|(name, job)| Some((*name, how(job)?))).collect();
        }
        for (key, provider) in self.providers.extract_if(.., |_, provider| provider.users.is_empty()) {
            if provider.presence != Presence::Unsynced {
                self.unused.entry(key).or_insert((provider.unused(), Instant::now()));
            }
        }
    }

    /// What a job should have; `None` when it is not configured.
    pub(crate) fn expected(&self, job: usize) -> Option<Expected> {
        let job = self.jobs.get(&job)?;
        let (mut said, mut held) = (Content::new(), HeldTargets::new());
        let mut hold = |address: &String, reason| held.entry(address.clone()).or_default().extend([reason]);
        for (.., content, reason) in self.contents(job) {
            match reason {
                Some(reason) => content.iter().for_each(|address| hold(address, reason)),
                None => said.extend(content.iter().cloned()),
            }
        }
        job.kept.iter().for_each(|(address, it)| hold(address, it.reason));
        let own = || job.providers.iter().map(|key| &self.providers[key]);
        // What a former provider has of a source is known of it.
        let is_held = |source: &String| {
            job.former.values().any(|former| former.only.as_ref().is_some_and(|only| only.missing.contains(source)))
        };
        let mut missing = MissingThings::new();
        for key in &job.providers {
            let provider = &self.providers[key];
            if provider.presence == Presence::Unsynced {
                missing.insert((key.clone(), None), provider.overdue);
                continue;
            }
            let sources = provider.missing.iter().filter(|(source, _)| !is_held(source));
            missing.extend(sources.map(|(source, overdue)| ((key.clone(), Some(source.clone())), *overdue)));
        }
        let nothing_known = job.former.is_empty() && !own().any(|provider| provider.known);
        let targets = said.iter().chain(held.keys()).cloned().collect();
        held.retain(|address, _| !said.contains(address));
        let in_time = missing.values().all(|overdue| *overdue);
        let (servable, given_up) = (in_time && !nothing_known, in_time && nothing_known);
        // What has not reported to this process does not say how it is now.
        let reports = own().all(|provider| provider.presence != Presence::Restored);
        let plain = (servable && reports).then_some(said);
        let at = |time| SystemTime::UNIX_EPOCH + time;
        let place = |it: &KeptTarget| KeptPlace {
            provider: it.provider.clone(),
            source: it.sources.first().cloned().unwrap_or_default(),
            since: at(it.since),
            until: it.until(&job.keeping).map(at),
        };
        let kept = job.kept.iter().map(|(address, it)| (address.clone(), place(it))).collect();
        Some(Expected { targets, held, kept, plain, missing, servable, given_up })
    }
}

/// The time of these is over, or another reading has confirmed that they are gone: what was braked has its time of grace still.
fn lapse(job: &mut Job, over: &BTreeSet<String>, now: Duration) {
    let keeping = job.keeping;
    job.kept
        .retain(|address, it| !over.contains(address) || it.graced(&keeping, now).map(|graced| *it = graced).is_some());
}
