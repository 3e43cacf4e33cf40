//! What should be: the same rules as the roster's, on plain sets, without blocks, steps or stores.

use std::collections::{BTreeMap, BTreeSet};

use rosterd::roster::hold::HoldReason;
use rosterd_discovery::ProviderKey;

/// Which configuration a job uses: those with equal data differ in what does not change the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Use {
    pub(crate) data: u8,
    pub(crate) revision: u8,
}

/// Addresses.
pub(crate) type Content = BTreeSet<String>;
/// What each source has.
pub(crate) type Sources = BTreeMap<String, Content>;

/// What the sources have, whether anybody has said so or not.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    sources: BTreeMap<u8, Sources>,
    unreadable: BTreeSet<(u8, String)>,
}

/// The name of a source.
pub(crate) fn source(number: u8) -> String {
    format!("source-{number}")
}

impl Truth {
    pub(crate) fn set(&mut self, data: u8, number: u8, targets: Option<u8>) {
        let sources = self.sources.entry(data).or_default();
        match targets {
            // Some are found in several sources, some in the sources of several data.
            Some(targets) => {
                let address = |target| {
                    if target == 0 { format!("shared-{number}:1") } else { format!("{data}-{number}-{target}:1") }
                };
                drop(sources.insert(source(number), (0..targets).map(address).collect()));
            }
            None => drop(sources.remove(&source(number))),
        }
    }

    pub(crate) fn set_readable(&mut self, data: u8, number: u8, is: bool) {
        match is {
            true => self.unreadable.remove(&(data, source(number))),
            false => self.unreadable.insert((data, source(number))),
        };
    }

    /// The sources that can be read.
    pub(crate) fn readable(&self, data: u8) -> Sources {
        let mut sources = self.sources.get(&data).cloned().unwrap_or_default();
        sources.retain(|source, _| !self.unreadable.contains(&(data, source.clone())));
        sources
    }

    /// The sources that cannot.
    pub(crate) fn unreadable(&self, data: u8) -> BTreeSet<String> {
        self.unreadable.iter().filter(|(of, _)| *of == data).map(|(_, source)| source.clone()).collect()
    }
}

/// What is known of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Knowledge {
    Unsynced,
    Restored,
    Synced,
}

#[derive(Debug, Clone)]
pub(crate) struct Provider {
    pub(crate) knowledge: Knowledge,
    pub(crate) sources: Sources,
    /// Sources that could not be read lately, and whether this process had read them before.
    pub(crate) unread: BTreeMap<String, bool>,
    /// The sources that were read, as long as others may still come.
    seen: Option<BTreeSet<String>>,
    /// Sources of which what is known is from before this process, although the provider has reported.
    before: BTreeSet<String>,
    /// Sources that were never read and have nothing stored, and whether they are overdue.
    pub(crate) missing: BTreeMap<String, bool>,
    /// Whether it was wanted for longer than the time of grace, and has not reported.
    pub(crate) overdue: bool,
    /// Whether anything was ever known of it.
    pub(crate) known: bool,
    /// The jobs that use or hold it; where they hold it, with the providers that did not come in its place.
    users: BTreeMap<usize, Option<BTreeSet<ProviderKey>>>,
}

impl Provider {
    fn unsynced() -> Self {
        Self {
            knowledge: Knowledge::Unsynced,
            sources: Sources::new(),
            unread: BTreeMap::new(),
            seen: None,
            before: BTreeSet::new(),
            missing: BTreeMap::new(),
            overdue: false,
            known: false,
            users: BTreeMap::new(),
        }
    }

    /// The same after a restart, or in the place of another one.
    fn restored(&self) -> Self {
        let knowledge = match self.knowledge {
            Knowledge::Unsynced => Knowledge::Unsynced,
            Knowledge::Restored | Knowledge::Synced => Knowledge::Restored,
        };
        Self { knowledge, unread: BTreeMap::new(), seen: None, before: BTreeSet::new(), ..self.clone() }
    }

    /// Whether the store has anything of it.
    fn is_stored(&self) -> bool {
        self.knowledge != Knowledge::Unsynced || self.overdue
    }

    /// Why what is known of a source is held, if it is.
    fn held(&self, source: &String) -> Option<HoldReason> {
        match self.knowledge {
            Knowledge::Restored => Some(HoldReason::Restored),
            Knowledge::Unsynced | Knowledge::Synced => self.before.contains(source).then_some(HoldReason::Unread),
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

    /// Of sources that cannot be read, whether this process had read them before.
    fn heard(&self, unreadable: &BTreeSet<String>) -> BTreeMap<String, bool> {
        let pictured = self.knowledge == Knowledge::Synced;
        // One that was not there may have something from before this process.
        let was_read = |source: &String| pictured && self.seen.as_ref().is_none_or(|seen| seen.contains(source));
        let known = |source: &String| self.unread.get(source).copied().unwrap_or_else(|| was_read(source));
        unreadable.iter().map(|source| (source.clone(), known(source))).collect()
    }

    /// Takes note of sources that cannot be read, and whether this process had read them before.
    fn fail(&mut self, unread: BTreeMap<String, bool>, stored: impl Fn(&Self, &String) -> bool) {
        let never: Vec<_> = unread.iter().filter(|(_, known)| !**known).map(|(source, _)| source.clone()).collect();
        let (before, never): (Vec<_>, Vec<_>) = never.into_iter().partition(|source| stored(self, source));
        self.missing = never.into_iter().map(|source| (source.clone(), self.counts_as_overdue(&source))).collect();
        self.before.retain(|source| self.seen.as_ref().is_some_and(|seen| !seen.contains(source)));
        self.before.extend(before);
        self.unread = unread;
        self.known |= self.missing.is_empty() || self.has_any();
    }
}

#[derive(Debug, Default, Clone)]
struct Job {
    providers: Vec<ProviderKey>,
    /// Providers that it used before and holds.
    former: BTreeMap<ProviderKey, Former>,
}

#[derive(Debug, Clone)]
struct Former {
    /// Providers of the job that did not come in its place.
    beside: BTreeSet<ProviderKey>,
    /// These sources alone.
    only: Option<BTreeSet<String>>,
}

/// All that is known, in memory and on disk.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) providers: BTreeMap<ProviderKey, Provider>,
    jobs: BTreeMap<usize, Job>,
    /// What a reader of the store sees in this process, what waits to be written included.
    stored: BTreeMap<ProviderKey, Provider>,
    /// What is written.
    disk: BTreeMap<ProviderKey, Provider>,
}

/// The targets that are held, and why.
pub(crate) type HeldTargets = BTreeMap<String, BTreeSet<HoldReason>>;
/// The providers and sources of which nothing is known, and whether each is overdue.
pub(crate) type MissingThings = BTreeMap<(ProviderKey, Option<String>), bool>;

/// What a job should have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) targets: Content,
    pub(crate) held: HeldTargets,
    pub(crate) missing: MissingThings,
    pub(crate) servable: bool,
}

impl Model {
    /// A new process: what was not stored is forgotten.
    pub(crate) fn restart(&mut self) {
        self.providers.clear();
        self.jobs.clear();
        self.stored = self.disk.clone();
    }

    /// What is known waits to be written, and is if that is possible.
    pub(crate) fn store(&mut self, works: bool) {
        self.stored = self.providers.clone();
        self.stored.retain(|_, provider| provider.is_stored());
        if works {
            self.disk = self.stored.clone();
        }
    }

    pub(crate) fn set_jobs(&mut self, jobs: &BTreeMap<usize, Vec<ProviderKey>>) {
        let starts = self.jobs.is_empty();
        let used: BTreeSet<_> = jobs.values().flatten().cloned().collect();
        let is_twin = |key: &ProviderKey| used.iter().any(|used| used.data() == key.data());
        let wanted = |provider: &Provider| provider.users.keys().any(|job| jobs.contains_key(job));
        for (key, stored) in &self.stored {
            // One that was used knows the same data better than one that was held.
            let is_used = |it: &Provider| it.users.values().any(Option::is_none);
            let better = |(other, it): (&ProviderKey, &Provider)| is_used(it) && other.data() == key.data();
            let is_behind = starts && used.contains(key) && !is_used(stored) && self.stored.iter().any(better);
            let loads = used.contains(key) || (starts && (is_twin(key) || wanted(stored)));
            if !is_behind && loads && !self.providers.contains_key(key) {
                self.providers.insert(key.clone(), stored.restored());
            }
        }
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
                let of_job = || self.stored.iter().filter_map(|(key, it)| Some((key, it.users.get(name)?)));
                let used = || of_job().filter(|(_, held)| held.is_none()).map(|(key, _)| key.clone());
                let beside: BTreeSet<_> = used().filter(|key| providers.contains(key)).collect();
                former.extend(used().map(|key| (key, Former { beside: beside.clone(), only: None })));
                let held = of_job().filter_map(|(key, held)| Some((key.clone(), held.clone()?)));
                former.extend(held.map(|(key, beside)| (key, Former { beside, only: None })));
            }
            former.values_mut().for_each(|former| former.beside.retain(|key| providers.contains(key)));
            former.retain(|key, _| !providers.contains(key));
            self.jobs.insert(*name, Job { providers: providers.clone(), former });
        }
        let was_used: BTreeSet<_> = before.values().flat_map(|job| job.providers.clone()).collect();
        for key in &used {
            let twins = || self.providers.iter().filter(|(other, _)| other.data() == key.data()).map(|(_, twin)| twin);
            let twin = twins().find(|twin| twin.knowledge != Knowledge::Unsynced).or_else(|| twins().next()).cloned();
            match self.providers.get_mut(key) {
                // It was stopped and only held: it begins anew.
                Some(provider) if !was_used.contains(key) && provider.knowledge == Knowledge::Synced => {
                    *provider = provider.restored();
                }
                Some(_) => {}
                None => {
                    let adopted = twin.map(|twin| twin.restored());
                    self.providers.insert(key.clone(), adopted.unwrap_or_else(Provider::unsynced));
                }
            }
        }
        for (key, provider) in &mut self.providers {
            if was_used.contains(key) && !used.contains(key) && provider.knowledge == Knowledge::Synced {
                *provider = provider.restored();
            }
        }
        self.let_go();
    }

    /// A provider says the whole picture.
    pub(crate) fn picture(&mut self, key: &ProviderKey, read: &Sources, unreadable: &BTreeSet<String>) {
        let Some(provider) = self.providers.get_mut(key) else { return };
        let unread = provider.heard(unreadable);
        provider.seen = None;
        provider.before.clear();
        provider.sources.retain(|source, _| unreadable.contains(source));
        provider.sources.extend(read.clone());
        provider.fail(unread, Provider::has);
        provider.knowledge = Knowledge::Synced;
        self.let_go();
    }

    /// A provider says what is there, while others may still come.
    pub(crate) fn found(&mut self, key: &ProviderKey, read: &Sources, unreadable: &BTreeSet<String>) {
        let Some(provider) = self.providers.get_mut(key) else { return };
        let first = provider.knowledge != Knowledge::Synced;
        let of_before = |it: &Provider, source: &String| it.before.contains(source);
        let said = provider.sources.keys().filter(|it| !first && provider.has(it) && !of_before(provider, it));
        let said = said.cloned().collect();
        provider.seen.get_or_insert(said);
        let unread = provider.heard(unreadable);
        provider.seen.iter_mut().for_each(|seen| seen.extend(read.keys().cloned()));
        provider.sources.extend(read.clone());
        if first {
            provider.before = provider.sources.keys().filter(|it| provider.has(it)).cloned().collect();
        }
        provider.fail(unread, if first { Provider::has } else { of_before });
        provider.knowledge = Knowledge::Synced;
        self.let_go();
    }

    /// A provider that has said its picture says how one source is: what it has, or that it could not be read.
    pub(crate) fn source(&mut self, key: &ProviderKey, source: &str, content: Option<Content>) {
        let Some(provider) = self.providers.get_mut(key) else { return };
        match content {
            Some(content) => {
                provider.seen.iter_mut().for_each(|seen| seen.extend([source.to_owned()]));
                provider.unread.remove(source);
                provider.missing.remove(source);
                provider.before.remove(source);
                provider.sources.insert(source.to_owned(), content);
                provider.known |= provider.missing.is_empty() || provider.has_any();
            }
            None => {
                let known = provider.heard(&BTreeSet::from([source.to_owned()]));
                let mut unread = provider.unread.clone();
                unread.extend(known);
                provider.fail(unread, |it, source| it.before.contains(source));
            }
        }
        self.let_go();
    }

    /// A provider found all as it had said.
    pub(crate) fn unchanged(&mut self, key: &ProviderKey) {
        if let Some(provider) = self.providers.get_mut(key) {
            provider.unread.retain(|_, known| !*known);
        }
    }

    /// All that is waited for is overdue.
    pub(crate) fn pass_grace(&mut self) {
        let used: BTreeSet<_> = self.jobs.values().flat_map(|job| job.providers.clone()).collect();
        for (_, provider) in self.providers.iter_mut().filter(|(key, _)| used.contains(*key)) {
            provider.overdue |= provider.knowledge == Knowledge::Unsynced;
            provider.missing.values_mut().for_each(|overdue| *overdue = true);
        }
    }

    /// Jobs hold only what they need, and what no job uses or holds is forgotten.
    fn let_go(&mut self) {
        let providers = &self.providers;
        for job in self.jobs.values_mut() {
            let own = || job.providers.iter().filter_map(|key| Some((key, providers.get(key)?)));
            let knows_nothing =
                |key: &ProviderKey| providers.get(key).is_some_and(|it| it.knowledge == Knowledge::Unsynced);
            let missing: BTreeSet<_> = own().flat_map(|(_, provider)| provider.missing.keys().cloned()).collect();
            let adopted: Vec<_> = own()
                .filter(|(_, it)| it.knowledge != Knowledge::Unsynced)
                .map(|(key, _)| key.data().to_owned())
                .collect();
            let awaits = |beside: &BTreeSet<ProviderKey>| {
                job.providers.iter().any(|key| !beside.contains(key) && knows_nothing(key))
            };
            job.former.retain(|key, Former { beside, only }| {
                let Some(provider) = providers.get(key).filter(|it| it.knowledge != Knowledge::Unsynced) else {
                    return false;
                };
                if adopted.iter().any(|data| data == key.data()) {
                    return false;
                }
                if !awaits(beside) {
                    let has =
                        |source: &&String| provider.sources.get(*source).is_some_and(|content| !content.is_empty());
                    *only = Some(missing.iter().filter(has).cloned().collect());
                }
                only.as_ref().is_none_or(|only| !only.is_empty())
            });
        }
        for (key, provider) in &mut self.providers {
            let how = |job: &Job| match job.former.get(key) {
                Some(former) => Some(Some(former.beside.clone())),
                None => job.providers.contains(key).then_some(None),
            };
            provider.users = self.jobs.iter().filter_map(|(name, job)| Some((*name, how(job)?))).collect();
        }
        self.providers.retain(|_, provider| !provider.users.is_empty());
    }

    /// What a job should have; `None` when it is not configured.
    pub(crate) fn expected(&self, job: usize) -> Option<Expected> {
        let job = self.jobs.get(&job)?;
        let (mut said, mut held) = (Content::new(), HeldTargets::new());
        let mut hold = |address: &String, reason| held.entry(address.clone()).or_default().extend([reason]);
        for provider in job.providers.iter().map(|key| &self.providers[key]) {
            for (source, content) in &provider.sources {
                match provider.held(source) {
                    Some(reason) => content.iter().for_each(|address| hold(address, reason)),
                    None => said.extend(content.iter().cloned()),
                }
            }
        }
        for (key, Former { only, .. }) in &job.former {
            let sources = self.providers[key].sources.iter();
            let kept = sources.filter(|(source, _)| only.as_ref().is_none_or(|only| only.contains(*source)));
            kept.flat_map(|(_, content)| content).for_each(|address| hold(address, HoldReason::Replaced));
        }
        let own = || job.providers.iter().map(|key| &self.providers[key]);
        // What a former provider has of a source is known of it.
        let is_held = |source: &String| {
            job.former.values().any(|former| former.only.as_ref().is_some_and(|only| only.contains(source)))
        };
        let mut missing = MissingThings::new();
        for key in &job.providers {
            let provider = &self.providers[key];
            if provider.knowledge == Knowledge::Unsynced {
                missing.insert((key.clone(), None), provider.overdue);
                continue;
            }
            let sources = provider.missing.iter().filter(|(source, _)| !is_held(source));
            missing.extend(sources.map(|(source, overdue)| ((key.clone(), Some(source.clone())), *overdue)));
        }
        let nothing_known = job.former.is_empty() && !own().any(|provider| provider.known);
        let targets = said.iter().chain(held.keys()).cloned().collect();
        held.retain(|address, _| !said.contains(address));
        let servable = missing.values().all(|overdue| *overdue) && !nothing_known;
        Some(Expected { targets, held, missing, servable })
    }
}
