//! Watches: what a mechanism that lists once and then follows changes tells of each thing that it follows, for whoever looks at
//! its providers. Sources are what it reads there; of a large watch they are many thousands.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use crate::Failure;

/// Something that is followed, for one or several discoverers: a resource of an API, a service, a path.
pub trait Watch: Debug + Send + Sync {
    /// How it is now. Called when somebody looks, and answered at once.
    fn status(&self) -> WatchStatus;
}

/// How a watch is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchStatus {
    /// What is followed: `pods`.
    pub resource: Arc<str>,
    /// Where it is followed, such as in a namespace; everywhere, if that is none.
    pub scope: Option<Arc<str>>,
    /// What the other side is asked to leave out, in its own words.
    pub selectors: Vec<Arc<str>>,
    /// How it goes.
    pub state: WatchState,
    /// How many objects are known.
    pub objects: usize,
    /// When anything was last heard, if only that nothing is new.
    pub last_heard: Option<SystemTime>,
    /// How often everything was asked for, by why: a word each.
    pub lists: BTreeMap<&'static str, u64>,
    /// The last failure, also one that is over.
    pub last_error: Option<Failure>,
    /// When it is tried again, if it fails.
    pub next_try: Option<SystemTime>,
}

/// How a watch goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WatchState {
    /// It cannot be read, and nothing is known of it.
    Unread,
    /// What is known of it is getting old: it fails.
    Silent,
    /// Everything is asked for, and not there yet.
    Listing,
    /// Everything is known, and changes are told.
    Watching,
}

impl WatchState {
    /// The state as a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unread => "unread",
            Self::Silent => "silent",
            Self::Listing => "listing",
            Self::Watching => "watching",
        }
    }
}

/// A watch of a provider, and who shares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderWatch {
    /// The same for all providers of one listing that use this watch, and for no other watch.
    pub number: usize,
    /// All jobs that use it, whatever their providers.
    pub jobs: Vec<Arc<str>>,
    /// How it is.
    pub status: WatchStatus,
}

/// The jobs and the watches of a provider.
pub(crate) type Used<'p> = (&'p [Arc<str>], Vec<Weak<dyn Watch>>);

/// The watches of several providers, with all who share them.
pub(crate) fn shared(providers: &[Used<'_>]) -> Vec<Vec<ProviderWatch>> {
    let mut numbers = HashMap::new();
    let mut found: Vec<(Option<WatchStatus>, Vec<Arc<str>>)> = Vec::new();
    let mut used = Vec::with_capacity(providers.len());
    for (jobs, watches) in providers {
        let mut of_provider = Vec::with_capacity(watches.len());
        for watch in watches {
            let number = *numbers.entry(watch.as_ptr().cast::<()>()).or_insert_with(|| {
                found.push((watch.upgrade().map(|watch| watch.status()), Vec::new()));
                found.len() - 1
            });
            found[number].1.extend_from_slice(jobs);
            if !of_provider.contains(&number) {
                of_provider.push(number);
            }
        }
        used.push(of_provider);
    }
    for (_, jobs) in &mut found {
        jobs.sort();
        jobs.dedup();
    }
    let shown = |number: usize| {
        let (status, jobs) = &found[number];
        Some(ProviderWatch { number, jobs: jobs.clone(), status: status.clone()? })
    };
    used.into_iter().map(|numbers| numbers.into_iter().filter_map(shown).collect()).collect()
}
