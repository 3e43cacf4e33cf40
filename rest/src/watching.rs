//! The discoverer that watches a catalog: one question about the names, and one about each of them, again and again. All wait in one
//! task, so that what ends with it has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::{AbortHandle, Abortable, Aborted};
use futures_util::stream::{FuturesUnordered, StreamExt};
use rosterd_discovery::{Context, Discoverer, Error, Stopped, Unreadable, Updates};
use rosterd_model::TargetGroup;
use rosterd_tasks::{Guard, Schedule};
use tokio::time::{Instant, sleep};

use crate::catalog::next_index;
use crate::turns::Wanted;
use crate::{Answer, Catalog, Known, Pace, RestError, Server};

/// A [`Discoverer`] made of a [`Catalog`].
#[derive(Debug)]
pub struct Watching<C> {
    catalog: Arc<C>,
    server: Arc<Server>,
    pace: Pace,
    guard: Guard,
}

impl<C: Catalog> Watching<C> {
    /// Watches a catalog, whose server it may share with others. A panic over one name costs that name.
    pub fn boxed(catalog: C, server: Arc<Server>, pace: Pace, guard: &Guard) -> Box<dyn Discoverer> {
        Box::new(Self { catalog: Arc::new(catalog), server, pace, guard: guard.clone() })
    }
}

#[async_trait]
impl<C: Catalog> Discoverer for Watching<C> {
    async fn run(self: Box<Self>, cx: Context, up: Updates) -> Result<(), Error> {
        let stop = cx.stop.clone();
        let mut view = View::new(*self, cx);
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            Err(stopped) = view.follow(&up) => Err(stopped.into()),
        }
    }
}

/// An answer to one of the questions.
struct Event<N> {
    /// When it was asked, with which index.
    asked: Instant,
    index: u64,
    outcome: Outcome<N>,
}

enum Outcome<N> {
    Prepared(Result<(), Error>),
    Names(Result<Answer<BTreeSet<N>>, Error>),
    Group(N, Result<Answer<TargetGroup>, Error>),
}

type Pending<N> = Abortable<Pin<Box<dyn Future<Output = Event<N>> + Send>>>;

/// What is known of a catalog, and what has still to be said of it.
struct View<C: Catalog> {
    watching: Watching<C>,
    cx: Context,
    questions: FuturesUnordered<Pending<C::Name>>,
    wanted: Wanted,
    /// When is prepared, and the names are asked for, after a failure; and whether the last question about them failed.
    naming: Schedule,
    naming_fails: bool,
    names: BTreeMap<C::Name, Watched>,
    /// Those that the whole picture still waits for; `None` once it was said.
    awaited: Option<BTreeSet<C::Name>>,
    is_listed: bool,
    /// Those that could not be read the last time.
    failing: BTreeSet<C::Name>,
    /// What has still to be said of each.
    news: BTreeMap<C::Name, Result<TargetGroup, Error>>,
    /// An answer tells that all is as it was, or the names can be asked for again.
    confirmed: bool,
    started: Instant,
    last_word: Instant,
}

struct Watched {
    schedule: Schedule,
    question: AbortHandle,
}

impl<C: Catalog> View<C> {
    fn new(watching: Watching<C>, cx: Context) -> Self {
        let now = Instant::now();
        Self {
            questions: FuturesUnordered::new(),
            wanted: Wanted::of(Arc::clone(&watching.server)),
            naming: cx.schedule(watching.pace.interval),
            naming_fails: false,
            names: BTreeMap::new(),
            awaited: Some(BTreeSet::new()),
            is_listed: false,
            failing: BTreeSet::new(),
            news: BTreeMap::new(),
            confirmed: false,
            started: now,
            last_word: now,
            watching,
            cx,
        }
    }

    /// Asks, and says what comes, until it is stopped.
    async fn follow(&mut self, up: &Updates) -> Result<(), Stopped> {
        self.prepare(Duration::ZERO);
        loop {
            self.speak(up).await?;
            match self.questions.next().await {
                Some(event) => self.take(event),
                // Nothing is wanted, and never will be.
                None => std::future::pending().await,
            }
            while let Some(Some(event)) = self.questions.next().now_or_never() {
                self.take(event);
            }
        }
    }

    fn prepare(&mut self, pause: Duration) {
        let (catalog, guard) = (Arc::clone(&self.watching.catalog), self.watching.guard.clone());
        let question = async move {
            sleep(pause).await;
            let asked = Instant::now();
            let prepared = guard.run(&"preparation", catalog.prepare()).await;
            Event { asked, index: 0, outcome: Outcome::Prepared(settle(prepared)) }
        };
        self.ask(Box::pin(question));
    }

    fn ask_for_names(&mut self, index: u64, pause: Duration) {
        let (catalog, wait) = (Arc::clone(&self.watching.catalog), self.watching.pace.wait);
        let guard = self.watching.guard.clone();
        let question = async move {
            sleep(pause).await;
            let asked = Instant::now();
            let answer = guard.run(&"names", catalog.names(Known { index, wait })).await;
            Event { asked, index, outcome: Outcome::Names(settle(answer)) }
        };
        self.ask(Box::pin(question));
    }

    fn ask_about(&mut self, name: C::Name, index: u64, pause: Duration) -> AbortHandle {
        let Watching { catalog, server, pace, guard } = &self.watching;
        let (catalog, server, pace, guard) = (Arc::clone(catalog), Arc::clone(server), *pace, guard.clone());
        let question = async move {
            sleep(pause).await;
            let _turn = server.turn().await;
            let (asked, known) = (Instant::now(), Known { index, wait: server.wait(&pace) });
            let answer = guard.run(&name, catalog.group(&name, known)).await;
            Event { asked, index, outcome: Outcome::Group(name, settle(answer)) }
        };
        self.ask(Box::pin(question))
    }

    fn ask(&mut self, question: Pin<Box<dyn Future<Output = Event<C::Name>> + Send>>) -> AbortHandle {
        let (question, handle) = futures_util::future::abortable(question);
        self.questions.push(question);
        handle
    }

    fn take(&mut self, event: Result<Event<C::Name>, Aborted>) {
        // A name that is not wanted any more.
        let Ok(Event { asked, index, outcome }) = event else { return };
        match outcome {
            Outcome::Prepared(Ok(())) => match self.watching.catalog.fixed() {
                Some(names) => self.want(names),
                None => self.ask_for_names(0, Duration::ZERO),
            },
            Outcome::Prepared(Err(error)) => {
                let pause = self.naming.failed(error.retry());
                self.cx.failed(&error, Some(pause));
                self.prepare(pause);
            }
            Outcome::Names(Ok(answer)) => {
                self.naming.succeeded();
                self.confirmed |= answer.news.is_none() || std::mem::take(&mut self.naming_fails);
                let pause = self.watching.pace.pause(index, answer.index, asked.elapsed());
                self.ask_for_names(next_index(index, answer.index), pause);
                if let Some(names) = answer.news_since(index) {
                    self.want(names);
                }
            }
            Outcome::Names(Err(error)) => {
                let pause = self.naming.failed(error.retry());
                self.naming_fails = true;
                self.cx.failed(&error, Some(pause));
                self.ask_for_names(0, pause);
            }
            Outcome::Group(name, answer) => self.learn(name, index, asked, answer),
        }
    }

    /// These names are wanted, and no others.
    fn want(&mut self, names: BTreeSet<C::Name>) {
        self.is_listed = true;
        let gone: Vec<_> = self.names.keys().filter(|name| !names.contains(*name)).cloned().collect();
        for name in gone {
            if let Some(watched) = self.names.remove(&name) {
                watched.question.abort();
            }
            self.failing.remove(&name);
            match &mut self.awaited {
                Some(awaited) => {
                    awaited.remove(&name);
                    self.news.remove(&name);
                }
                None => drop(self.news.insert(name.clone(), Ok(TargetGroup::gone(name.to_string())))),
            }
        }
        self.wanted.set(names.len());
        for name in names {
            if !self.names.contains_key(&name) {
                let question = self.ask_about(name.clone(), 0, Duration::ZERO);
                let schedule = self.cx.schedule(self.watching.pace.interval);
                if let Some(awaited) = &mut self.awaited {
                    awaited.insert(name.clone());
                }
                self.names.insert(name, Watched { schedule, question });
            }
        }
    }

    /// An answer about one name.
    fn learn(&mut self, name: C::Name, index: u64, asked: Instant, answer: Result<Answer<TargetGroup>, Error>) {
        let Some(watched) = self.names.get_mut(&name) else { return };
        let (next, pause) = match &answer {
            Ok(answer) => {
                watched.schedule.succeeded();
                (next_index(index, answer.index), self.watching.pace.pause(index, answer.index, asked.elapsed()))
            }
            Err(error) => (0, watched.schedule.failed(error.retry())),
        };
        if let Some(awaited) = &mut self.awaited {
            awaited.remove(&name);
        }
        match answer.map(|answer| answer.news_since(index)) {
            Ok(Some(group)) => {
                self.failing.remove(&name);
                let group = TargetGroup { source: name.to_string().into(), ..group };
                self.news.insert(name.clone(), Ok(group));
            }
            Ok(None) => self.confirmed = true,
            Err(error) => {
                self.failing.insert(name.clone());
                self.news.insert(name.clone(), Err(error));
            }
        }
        let question = self.ask_about(name.clone(), next, pause);
        if let Some(watched) = self.names.get_mut(&name) {
            watched.question = question;
        }
    }

    /// Says what there is to say.
    async fn speak(&mut self, up: &Updates) -> Result<(), Stopped> {
        if self.awaited.as_ref().is_some_and(|awaited| !self.is_listed || !awaited.is_empty()) {
            return Ok(());
        }
        let confirmed = std::mem::take(&mut self.confirmed) && !self.naming_fails;
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
        let is_silent = groups.is_empty() && unread.is_empty();
        if is_silent && !(confirmed && self.is_due()) {
            return Ok(());
        }
        self.last_word = Instant::now();
        match (is_silent, self.failing.is_empty()) {
            (true, true) => return up.unchanged().await,
            // The names were read again, and none of them changed.
            (true, false) => return up.changed(groups).await,
            (false, _) => {}
        }
        if !groups.is_empty() {
            up.changed(groups).await?;
        }
        if unread.is_empty() { Ok(()) } else { up.unread(unread).await }
    }

    /// Whether it is time to say that everything is as it was: after a failure of the whole, and now and then.
    fn is_due(&self) -> bool {
        self.cx.status().last_error.is_some() || self.last_word.elapsed() >= self.watching.pace.interval
    }
}

/// A panic is a failure of what was asked for.
fn settle<T>(answer: Result<Result<T, Error>, rosterd_tasks::Panicked>) -> Result<T, Error> {
    answer.map_err(RestError::from)?
}

#[cfg(test)]
mod tests;
