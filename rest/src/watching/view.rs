//! What is known of a catalog, and what has still to be said of it.
//!
//! A server that is not well fails whatever it is asked. Once the question about the names shows it, or all questions where the names
//! are known, those that failed wait, and one after the other is asked for all of them. When one works, or the question about the
//! names, all are asked again at once.

mod hints; // those that have to take turns are looked at sooner

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use rosterd_discovery::{Context, Error, Stopped, Unreadable, Updates};
use rosterd_model::{Retry, TargetGroup};
use rosterd_tasks::Schedule;
use tokio::time::Instant;

use super::Watching;
use super::questions::{Asked, Event, Outcome, Questions};
use super::sweeps::Sweeps;
use crate::pace::{Answered, Rhythm, is_behind, next_index};
use crate::turns::Wanted;
use crate::{Answer, Catalog, Known, Pace, RestError};

pub(super) struct View<C: Catalog> {
    cx: Context,
    pace: Pace,
    questions: Questions<C>,
    wanted: Wanted,
    /// The question about the names, while they are not known without.
    _lists: Wanted,
    /// The names, where they are known without asking.
    fixed: Option<BTreeSet<C::Name>>,
    naming: Naming,
    names: BTreeMap<C::Name, Watched>,
    /// Those that the whole picture still waits for; `None` once it was said.
    awaited: Option<BTreeSet<C::Name>>,
    is_listed: bool,
    /// Those that could not be read the last time.
    failing: BTreeSet<C::Name>,
    /// Those of them that failed as all do at a server that is not well, and whether they wait until it is.
    down: BTreeSet<C::Name>,
    waits: bool,
    /// The last one that was asked for all of them, and when one could be read again.
    probed: Option<C::Name>,
    revived: Option<Instant>,
    /// Whether the server waits for news.
    holds: bool,
    /// Whether it hears of changes of those that have to take turns.
    listens: bool,
    sweeps: Sweeps,
    /// Those that a sweep has still to look at, and how many it looks at.
    unseen: Vec<C::Name>,
    looked_at: usize,
    /// What has still to be said of each.
    news: BTreeMap<C::Name, Result<TargetGroup, Error>>,
    /// An answer tells that all is as it was, or the names can be asked for again.
    confirmed: bool,
    started: Instant,
    last_word: Instant,
}

/// How the question about the names goes, and any other that is asked for all of them.
struct Naming {
    schedule: Schedule,
    rhythm: Rhythm,
    /// When the last one failed.
    failed: Option<Instant>,
    is: Is,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Is {
    Well,
    /// The question about the names fails.
    Failing,
    /// As all do.
    Down,
}

/// A name that is wanted.
struct Watched {
    schedule: Schedule,
    rhythm: Rhythm,
    /// The content that was learnt last, as a hash.
    known: Option<u64>,
    /// The index with which it is asked about.
    index: u64,
    /// `None` while it waits for the server.
    question: Option<Asked>,
}

impl<C: Catalog> View<C> {
    pub(super) fn new(watching: Watching<C>, cx: Context) -> Self {
        let now = Instant::now();
        let schedule = cx.schedule(watching.pace.interval);
        let fixed = watching.catalog.fixed();
        Self {
            pace: watching.pace,
            wanted: Wanted::new(&watching.server.groups, 0),
            _lists: Wanted::new(&watching.server.lists, usize::from(fixed.is_none())),
            fixed,
            naming: Naming { schedule, rhythm: Rhythm::default(), failed: None, is: Is::Well },
            names: BTreeMap::new(),
            awaited: Some(BTreeSet::new()),
            is_listed: false,
            failing: BTreeSet::new(),
            down: BTreeSet::new(),
            waits: false,
            probed: None,
            revived: None,
            holds: true,
            listens: false,
            sweeps: Sweeps::new(now),
            unseen: Vec::new(),
            looked_at: 0,
            news: BTreeMap::new(),
            confirmed: false,
            started: now,
            last_word: now,
            questions: Questions::new(watching),
            cx,
        }
    }

    /// Asks, and says what comes, until it is stopped.
    pub(super) async fn follow(&mut self, up: &Updates) -> Result<(), Stopped> {
        self.questions.prepare(Duration::ZERO);
        loop {
            self.speak(up).await?;
            for answer in self.questions.answers().await {
                self.take(answer);
            }
        }
    }

    fn take(&mut self, Event { asked, known, outcome }: Event<C::Name>) {
        match outcome {
            Outcome::Prepared(Ok(())) => match self.fixed.clone() {
                Some(names) => self.want(names),
                None => self.questions.ask_for_names(0, Duration::ZERO),
            },
            Outcome::Prepared(Err(error)) => {
                let pause = self.naming.schedule.failed(error.retry());
                self.cx.failed(&error, Some(pause));
                self.questions.prepare(pause);
            }
            Outcome::Names(Ok(answer)) => {
                self.naming_works();
                let index = answer.index;
                let names = answer.news_since(known.index);
                let is_news = names.as_ref().is_some_and(|names| !names.iter().eq(self.names.keys()));
                let answered = Answered { known, index, taken: asked.elapsed(), is_news };
                let pause = self.naming.rhythm.pause(&self.pace, answered);
                self.see_whether_held(self.naming.rhythm.holds());
                self.questions.ask_for_names(next_index(known.index, index), pause);
                match names {
                    Some(names) if is_news || !self.is_listed => self.want(names),
                    _ => self.confirmed |= !is_behind(known.index, index),
                }
            }
            Outcome::Names(Err(error)) => {
                let pause = self.naming.fails(&error);
                // Not if something else could be read meanwhile.
                let reads = self.revived.is_some_and(|revived| revived >= asked);
                self.naming.is = if is_down(&error) && !reads { Is::Down } else { Is::Failing };
                self.cx.keeps_failing(&error, Some(pause));
                self.questions.ask_for_names(0, pause);
                self.settle();
                if self.waits {
                    self.probe(pause);
                }
            }
            // Another one was asked in its place: what came of this one at the same time changes nothing.
            Outcome::Group(number, name, Err(_)) if !self.is_latest(&name, number) => {}
            Outcome::Group(_, name, Ok(answer)) => self.learn(name, known, asked, answer),
            Outcome::Group(_, name, Err(error)) => self.miss(name, error),
            Outcome::Hint(number, ear) => self.heed(number, ear),
            Outcome::Sweep => self.sweep(),
            Outcome::Glance(name, answer) => self.glance(name, known, asked, answer),
        }
    }

    /// What is asked for all of them can be answered.
    fn naming_works(&mut self) {
        // What fails again soon goes on failing.
        if self.naming.failed.is_none_or(|failed| failed.elapsed() >= self.pace.interval) {
            self.naming.schedule.succeeded();
        }
        if std::mem::replace(&mut self.naming.is, Is::Well) != Is::Well {
            self.cx.recovered();
            self.confirmed = true;
            self.wake();
        }
    }

    /// These names are wanted, and no others.
    fn want(&mut self, names: BTreeSet<C::Name>) {
        self.is_listed = true;
        let gone: Vec<_> = self.names.keys().filter(|name| !names.contains(*name)).cloned().collect();
        for name in gone {
            if let Some(question) = self.names.remove(&name).and_then(|watched| watched.question) {
                question.abort();
            }
            self.failing.remove(&name);
            self.down.remove(&name);
            match &mut self.awaited {
                Some(awaited) => {
                    awaited.remove(&name);
                    self.news.remove(&name);
                }
                None => drop(self.news.insert(name.clone(), Ok(TargetGroup::gone(name.to_string())))),
            }
        }
        self.wanted.set(names.len());
        self.listen();
        for name in names {
            if !self.names.contains_key(&name) {
                let schedule = self.cx.schedule(self.pace.interval);
                if let Some(awaited) = &mut self.awaited {
                    awaited.insert(name.clone());
                }
                let watched = Watched { schedule, rhythm: Rhythm::default(), known: None, index: 0, question: None };
                self.names.insert(name.clone(), watched);
                self.ask_about(name, 0, Duration::ZERO);
            }
        }
    }

    /// Whether no other question about this name was asked after the one of this number.
    fn is_latest(&self, name: &C::Name, number: u64) -> bool {
        self.names.get(name).and_then(|watched| watched.question.as_ref()).is_some_and(|question| question.is(number))
    }

    /// Asks about a name that is wanted, in place of the question before.
    fn ask_about(&mut self, name: C::Name, index: u64, pause: Duration) {
        let Some(watched) = self.names.get_mut(&name) else { return };
        watched.index = index;
        let question = self.questions.ask_about(name, index, pause);
        if let Some(before) = watched.question.replace(question) {
            before.abort();
        }
    }

    /// An answer about one name.
    fn learn(&mut self, name: C::Name, known: Known, asked: Instant, answer: Answer<TargetGroup>) {
        let Some(watched) = self.names.get_mut(&name) else { return };
        let index = answer.index;
        let (group, content) = answer.news_since(known.index).map(|group| content(&name, group)).unzip();
        let has_failed = self.failing.remove(&name);
        let is_news = content.is_some() && (has_failed || content != watched.known);
        watched.known = content.or(watched.known);
        watched.schedule.succeeded();
        let pause = watched.rhythm.pause(&self.pace, Answered { known, index, taken: asked.elapsed(), is_news });
        let holds = watched.rhythm.holds();
        match group {
            Some(group) if is_news => drop(self.news.insert(name.clone(), Ok(group))),
            _ => self.confirmed |= !is_behind(known.index, index),
        }
        self.is_answered(&name);
        self.see_whether_held(holds);
        self.ask_about(name.clone(), next_index(known.index, index), pause);
        let was_down = self.down.remove(&name);
        if self.fixed.is_some() {
            self.naming_works();
        } else if was_down {
            self.revived = Some(Instant::now());
            if self.naming.is == Is::Down {
                self.naming.is = Is::Failing;
            }
        }
        self.settle();
    }

    /// One name could not be read.
    fn miss(&mut self, name: C::Name, error: Error) {
        let Some(watched) = self.names.get_mut(&name) else { return };
        let (pause, is_down) = (watched.schedule.failed(error.retry()), is_down(&error));
        watched.question = None;
        self.is_answered(&name);
        self.failing.insert(name.clone());
        if is_down {
            self.down.insert(name.clone());
        } else {
            self.down.remove(&name);
        }
        self.settle();
        match (is_down && self.waits, self.fixed.is_some()) {
            (false, _) => self.ask_about(name.clone(), 0, pause),
            (true, true) => {
                let pause = self.naming.fails(&error);
                self.probe(pause);
            }
            // The next failure of the question about the names is early enough.
            (true, false) => {}
        }
        self.news.insert(name, Err(error));
    }

    /// The whole picture does not wait for this one any more.
    fn is_answered(&mut self, name: &C::Name) {
        if let Some(awaited) = &mut self.awaited {
            awaited.remove(name);
        }
    }

    /// Lets those wait that failed, if the server is not well, and no longer if it is.
    fn settle(&mut self) {
        let is_down = match &self.fixed {
            None => self.naming.is == Is::Down,
            Some(_) => !self.names.is_empty() && self.down.len() == self.names.len(),
        };
        match (self.waits, is_down) {
            (false, true) => {
                self.waits = true;
                let questions = self.down.iter().filter_map(|name| self.names.get_mut(name)?.question.take());
                questions.for_each(Asked::abort);
            }
            (true, false) => self.wake(),
            (true, true) | (false, false) => {}
        }
    }

    /// Asks about one of those that wait, for all of them, unless one is asked about already: it may take longer to answer than others
    /// to fail.
    fn probe(&mut self, pause: Duration) {
        let is_asked = |name: &C::Name| self.names.get(name).is_some_and(|watched| watched.question.is_some());
        if self.probed.as_ref().is_some_and(|name| self.down.contains(name) && is_asked(name)) {
            return;
        }
        let later = self.probed.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.down.range((later, Bound::Unbounded)).next().or_else(|| self.down.first()).cloned();
        if let Some(next) = next {
            self.probed = Some(next.clone());
            self.ask_about(next, 0, pause);
        }
    }

    /// Asks about all that failed at once.
    fn wake(&mut self) {
        self.waits = false;
        for name in self.failing.clone() {
            self.ask_about(name, 0, Duration::ZERO);
        }
    }

    /// Tells when it turns out that the server does not wait for news, and when it does.
    fn see_whether_held(&mut self, holds: Option<bool>) {
        let Some(holds) = holds.filter(|holds| *holds != self.holds) else { return };
        self.holds = holds;
        let unheld = (!holds).then(|| RestError::Unheld.into());
        self.cx.warning(unheld.as_ref());
    }

    /// Says what there is to say.
    async fn speak(&mut self, up: &Updates) -> Result<(), Stopped> {
        if self.awaited.as_ref().is_some_and(|awaited| !self.is_listed || !awaited.is_empty()) {
            return Ok(());
        }
        let confirmed = std::mem::take(&mut self.confirmed) && self.naming.is == Is::Well;
        let (mut groups, mut unread) = (Vec::new(), Vec::new());
        for (name, news) in std::mem::take(&mut self.news) {
            match news {
                Ok(group) => groups.push(group),
                Err(error) => unread.push(Unreadable::new(name.to_string(), error)),
            }
        }
        if self.awaited.take().is_some() {
            self.cx.took(self.started.elapsed());
            self.last_word = Instant::now();
            return up.everything_but(groups, unread).await;
        }
        let confirms = groups.is_empty() && confirmed && self.is_due();
        if confirms || !groups.is_empty() || !unread.is_empty() {
            self.last_word = Instant::now();
        }
        match confirms && self.failing.is_empty() {
            true => up.unchanged().await?,
            // Without any it says that the names were read again, and none of them changed.
            false if confirms || !groups.is_empty() => up.changed(groups).await?,
            false => {}
        }
        if unread.is_empty() { Ok(()) } else { up.unread(unread).await }
    }

    /// Whether it is time to say that everything is as it was: after a failure of the whole, and now and then.
    fn is_due(&self) -> bool {
        self.cx.status().last_error.is_some() || self.last_word.elapsed() >= self.pace.interval
    }
}

impl Naming {
    /// The pause after a failure.
    fn fails(&mut self, error: &Error) -> Duration {
        self.failed = Some(Instant::now());
        self.schedule.failed(error.retry())
    }
}

/// A group under its name, and what is in it, as a hash.
fn content(name: &impl std::fmt::Display, group: TargetGroup) -> (TargetGroup, u64) {
    let group = TargetGroup { source: name.to_string().into(), ..group };
    let content = group.fingerprint();
    (group, content)
}

/// Whether a server that is not well fails like this, whatever it is asked.
fn is_down(error: &Error) -> bool {
    error.code().starts_with("http_") && matches!(error.retry(), Retry::Backoff | Retry::After(_))
}
