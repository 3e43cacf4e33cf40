//! One look at all processes, which reads again only what may have changed.
//!
//! A process that still runs what it ran is known. What such a process may change all the same (its folder, its user, what it calls
//! itself) is seen in the first two looks at it, when it settles in, and in each tenth after.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rosterd_discovery::Unreadable;
use rosterd_model::{Labels, Names, TargetGroup};
use rosterd_tasks::Guard;
use rosterd_tasks::files::Stamp;

use crate::config::ProcessConfig;
use crate::error::ProcessError;
use crate::files::{Folder, Unread, processes};
use crate::parse::{Listening, Program, names};
use crate::target;

/// The list of users.
const PASSWD: &str = "/etc/passwd";
/// In so many looks a process settles in.
const SETTLES: u32 = 2;
/// Each time after so many looks everything is read again.
const AGAIN: u32 = 10;

/// Where to look.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) procfs: PathBuf,
    pub(crate) passwd: PathBuf,
}

impl Places {
    /// The processes that are shown here, and the users of this machine.
    pub(crate) fn of(procfs: &Path) -> Self {
        Self { procfs: procfs.to_owned(), passwd: PASSWD.into() }
    }
}

/// What is remembered from one look to the next.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    processes: BTreeMap<u32, Process>,
    /// By the name of the network.
    networks: HashMap<String, Listening>,
    users: HashMap<u32, Box<str>>,
    users_as_of: Option<Stamp>,
    looks: u32,
    names: Names,
}

#[derive(Debug)]
struct Process {
    program: Program,
    /// In which look it was first seen.
    since: u32,
    is: Is,
    network: Option<String>,
    listens_on: BTreeSet<SocketAddr>,
    /// Whether it was read in this look.
    is_fresh: bool,
}

#[derive(Debug)]
enum Is {
    Known(Labels),
    /// Nothing that is discovered.
    Nothing,
    Refused,
}

impl Is {
    /// What it is that was not read. Fails where that is not known.
    fn unread(unread: Unread) -> io::Result<Self> {
        match unread {
            Unread::Gone => Ok(Self::Nothing),
            Unread::Refused => Ok(Self::Refused),
            Unread::Failed(error) => Err(error),
        }
    }
}

/// What a look found.
#[derive(Debug, Default)]
pub(crate) struct ProcessesRead {
    pub(crate) groups: Vec<TargetGroup>,
    pub(crate) unread: Vec<Unreadable>,
    /// How many there are.
    pub(crate) all: usize,
    /// How many may not be read.
    pub(crate) refused: u64,
    /// How many were read, and not known already.
    pub(crate) read: u64,
}

/// Looks at all processes; gives up when nobody waits for it any more.
pub(crate) fn look(
    config: &ProcessConfig,
    places: &Places,
    memory: &mut Memory,
    guard: &Guard,
    given_up: &AtomicBool,
) -> Result<ProcessesRead, ProcessError> {
    let all = processes(&places.procfs)?;
    memory.looks = memory.looks.wrapping_add(1);
    memory.read_users(&places.passwd);
    let mut before = std::mem::take(&mut memory.processes);
    let mut found = ProcessesRead { all: all.len(), ..ProcessesRead::default() };
    let unread = |pid, error| Unreadable::new(target::source(pid), error);
    for pid in all {
        if given_up.load(Ordering::Relaxed) {
            return Ok(found);
        }
        let known = before.remove(&pid);
        match guard.call(&target::source(pid), || memory.process(pid, known, config, places)) {
            Ok(Ok(Some(process))) => drop(memory.processes.insert(pid, process)),
            Ok(Ok(None)) => {}
            Ok(Err(source)) => found.unread.push(unread(pid, ProcessError::Read { pid, source })),
            Err(panicked) => found.unread.push(unread(pid, ProcessError::Panicked { pid, message: panicked.0 })),
        }
    }
    if config.ports {
        for (pid, source) in memory.listen(places, given_up) {
            // What it listens on is asked anew in the next look.
            memory.processes.remove(&pid);
            found.unread.push(unread(pid, ProcessError::Read { pid, source }));
        }
    }
    for (pid, process) in &memory.processes {
        found.read += u64::from(process.is_fresh);
        match &process.is {
            Is::Known(labels) if !config.ports => found.groups.push(target::process(*pid, labels)),
            Is::Known(labels) if !process.listens_on.is_empty() => {
                found.groups.push(target::ports(*pid, labels, &process.listens_on, &mut memory.names));
            }
            Is::Known(_) | Is::Nothing => {}
            Is::Refused => found.refused += 1,
        }
    }
    Ok(found)
}

impl Memory {
    /// A process as it is now; `None` if it is no more. Fails if it could not be read just now.
    fn process(
        &mut self,
        pid: u32,
        known: Option<Process>,
        config: &ProcessConfig,
        places: &Places,
    ) -> io::Result<Option<Process>> {
        let folder = Folder::of(&places.procfs, pid);
        let program = match folder.program() {
            Ok(program) => program,
            Err(Unread::Gone) => return Ok(None),
            Err(Unread::Refused) => Program::default(),
            Err(Unread::Failed(error)) => return Err(error),
        };
        let known = known.filter(|known| known.program == program);
        let since = known.as_ref().map_or(self.looks, |known| known.since);
        let age = self.looks.wrapping_sub(since);
        // Not all of them in one look.
        let is_due = age < SETTLES || age.wrapping_add(pid).is_multiple_of(AGAIN);
        if let Some(known) = known
            && !is_due
        {
            return Ok(Some(Process { is_fresh: false, ..known }));
        }
        let wanted = &config.discover_config;
        let mut is = match folder.read(wanted) {
            Ok(read) => Is::Known(target::labels(pid, &read, wanted, &self.users, &mut self.names)),
            Err(unread) => Is::unread(unread)?,
        };
        let mut network = None;
        if config.ports && matches!(is, Is::Known(_)) {
            match folder.network() {
                Ok(name) => network = Some(name),
                Err(unread) => is = Is::unread(unread)?,
            }
        }
        Ok(Some(Process { program, since, is, network, listens_on: BTreeSet::new(), is_fresh: true }))
    }

    /// Finds out who listens on what. Of a network where nothing changed only those are asked who are new.
    /// Returns those of whom that could not be read just now.
    fn listen(&mut self, places: &Places, given_up: &AtomicBool) -> Vec<(u32, io::Error)> {
        let mut failed = Vec::new();
        let mut unheard: HashMap<u32, Unread> = HashMap::new();
        let mut networks: HashMap<String, Option<Listening>> = HashMap::new();
        let numbers: Vec<u32> = self.processes.keys().copied().collect();
        for pid in &numbers {
            let Some(network) = self.processes.get(pid).and_then(|process| process.network.as_ref()) else { continue };
            let listening = networks.entry(network.clone()).or_default();
            if listening.is_none() {
                match Folder::of(&places.procfs, *pid).listening() {
                    Ok(tables) => *listening = Some(tables),
                    // Who is no more cannot tell, and then the next one is asked.
                    Err(unread) => drop(unheard.insert(*pid, unread)),
                }
            }
        }
        for pid in numbers {
            if given_up.load(Ordering::Relaxed) {
                return failed;
            }
            let Some(process) = self.processes.get_mut(&pid) else { continue };
            let Some(network) = &process.network else { continue };
            let listens_on = match networks.get(network).and_then(Option::as_ref) {
                Some(same) if !process.is_fresh && self.networks.get(network) == Some(same) => continue,
                Some(listening) if listening.is_empty() => Ok(BTreeSet::new()),
                Some(listening) => Folder::of(&places.procfs, pid).listens_on(listening),
                // Nobody in its network could tell, and so not this one either.
                None => unheard.remove(&pid).map_or_else(|| Ok(BTreeSet::new()), Err),
            };
            process.listens_on = BTreeSet::new();
            match listens_on {
                Ok(listens_on) => process.listens_on = listens_on,
                Err(Unread::Gone) => {}
                Err(Unread::Refused) => process.is = Is::Refused,
                Err(Unread::Failed(error)) => failed.push((pid, error)),
            }
        }
        self.networks = networks.into_iter().filter_map(|(name, listening)| Some((name, listening?))).collect();
        failed
    }

    /// Reads the list of users again if it is another. While it cannot be read, they are called as before.
    fn read_users(&mut self, passwd: &Path) {
        let Ok(now) = Stamp::at(passwd) else { return };
        if self.users_as_of.as_ref() != Some(&now)
            && let Ok(text) = std::fs::read(passwd)
        {
            let users = names(&String::from_utf8_lossy(&text));
            if users != self.users {
                self.users = users;
                self.processes.clear();
            }
            self.users_as_of = Some(now);
        }
    }
}
