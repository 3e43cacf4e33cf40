//! The questions of one catalog that are under way, or wait for their time.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::{FuturesUnordered, StreamExt};
use rosterd_discovery::Error;
use rosterd_model::TargetGroup;
use tokio::time::{Instant, sleep};

use super::Watching;
use crate::hints::Ear;
use crate::{Answer, Catalog, Known, RestError};

/// An answer to one of the questions.
pub(super) struct Event<N> {
    /// When it was asked, and what was known then.
    pub(super) asked: Instant,
    pub(super) known: Known,
    pub(super) outcome: Outcome<N>,
}

pub(super) enum Outcome<N> {
    Prepared(Result<(), Error>),
    Names(Result<Answer<BTreeSet<N>>, Error>),
    /// The answer to the question of this number.
    Group(u64, N, Result<Answer<TargetGroup>, Error>),
    /// Something has changed, by the hint of this number.
    Hint(usize, Ear),
    /// It is time for a sweep.
    Sweep,
    /// What a sweep found of one.
    Glance(N, Result<Answer<TargetGroup>, Error>),
}

/// How long a question waits that does not wait: nothing would be as long as the server likes.
const QUICK: Duration = Duration::from_millis(1);

type Pending<N> = Abortable<Pin<Box<dyn Future<Output = Event<N>> + Send>>>;

pub(super) struct Questions<C: Catalog> {
    watching: Watching<C>,
    pending: FuturesUnordered<Pending<C::Name>>,
    /// How many were asked about names.
    asked: u64,
}

/// A question about a name.
pub(super) struct Asked {
    number: u64,
    handle: AbortHandle,
}

impl Asked {
    /// Whether it is the one of this number: an answer may come together with what another one is asked for.
    pub(super) fn is(&self, number: u64) -> bool {
        self.number == number
    }

    /// Forgets it.
    pub(super) fn abort(self) {
        self.handle.abort();
    }
}

impl<C: Catalog> Questions<C> {
    pub(super) fn new(watching: Watching<C>) -> Self {
        Self { watching, pending: FuturesUnordered::new(), asked: 0 }
    }

    pub(super) fn prepare(&mut self, pause: Duration) {
        let Watching { catalog, server, pace, guard } = &self.watching;
        let (catalog, server, guard) = (Arc::clone(catalog), Arc::clone(server), guard.clone());
        let known = Known { index: 0, wait: pace.wait };
        let question = async move {
            sleep(pause).await;
            let _turn = server.quick_turn().await;
            let asked = Instant::now();
            let prepared = guard.run(&"preparation", catalog.prepare()).await;
            Event { asked, known, outcome: Outcome::Prepared(settle(prepared)) }
        };
        self.ask(Box::pin(question));
    }

    pub(super) fn ask_for_names(&mut self, index: u64, pause: Duration) {
        let Watching { catalog, server, pace, guard } = &self.watching;
        let (catalog, server, pace, guard) = (Arc::clone(catalog), Arc::clone(server), *pace, guard.clone());
        let question = async move {
            sleep(pause).await;
            let _turn = server.turn(&server.lists, index).await;
            let (asked, known) = (Instant::now(), Known { index, wait: server.lists.wait(&pace) });
            let answer = guard.run(&"names", catalog.names(known)).await;
            Event { asked, known, outcome: Outcome::Names(settle(answer)) }
        };
        self.ask(Box::pin(question));
    }

    /// Asks about a name after a pause, when it is its turn. Aborted, it is forgotten.
    pub(super) fn ask_about(&mut self, name: C::Name, index: u64, pause: Duration) -> Asked {
        self.asked += 1;
        let number = self.asked;
        let Watching { catalog, server, pace, guard } = &self.watching;
        let (catalog, server, pace, guard) = (Arc::clone(catalog), Arc::clone(server), *pace, guard.clone());
        let question = async move {
            sleep(pause).await;
            let _turn = server.turn(&server.groups, index).await;
            let (asked, known) = (Instant::now(), Known { index, wait: server.groups.wait(&pace) });
            let answer = guard.run(&name, catalog.group(&name, known)).await;
            Event { asked, known, outcome: Outcome::Group(number, name, settle(answer)) }
        };
        Asked { number, handle: self.ask(Box::pin(question)) }
    }

    /// Listens to all hints.
    pub(super) fn listen(&mut self) {
        let hints = self.watching.catalog.hints();
        for (number, hint) in hints.iter().enumerate() {
            let ear = self.watching.server.ear(hint);
            self.hear(number, ear);
        }
    }

    /// Tells when something has changed, by this hint.
    pub(super) fn hear(&mut self, number: usize, mut ear: Ear) {
        let Watching { catalog, pace, guard, .. } = &self.watching;
        let (catalog, pace, guard) = (Arc::clone(catalog), *pace, guard.clone());
        let question = async move {
            let (asked, known) = (Instant::now(), Known { index: 0, wait: pace.wait });
            let ask = |known: Known| {
                let answer = guard.run(&"hint", catalog.hint(number, known));
                async { settle(answer.await).map(|answer| answer.index) }
            };
            ear.hear(&pace, ask).await;
            Event { asked, known, outcome: Outcome::Hint(number, ear) }
        };
        self.ask(Box::pin(question));
    }

    /// Tells when a pause is over.
    pub(super) fn sweep_after(&mut self, pause: Duration) {
        let question = async move {
            sleep(pause).await;
            let known = Known { index: 0, wait: Duration::ZERO };
            Event { asked: Instant::now(), known, outcome: Outcome::Sweep }
        };
        self.ask(Box::pin(question));
    }

    /// Asks about a name out of turn, without waiting for news.
    pub(super) fn glance_at(&mut self, name: C::Name, index: u64) {
        let Watching { catalog, server, guard, .. } = &self.watching;
        let (catalog, server, guard) = (Arc::clone(catalog), Arc::clone(server), guard.clone());
        let question = async move {
            let _turn = server.quick_turn().await;
            let (asked, known) = (Instant::now(), Known { index, wait: QUICK });
            let answer = guard.run(&name, catalog.group(&name, known)).await;
            Event { asked, known, outcome: Outcome::Glance(name, settle(answer)) }
        };
        self.ask(Box::pin(question));
    }

    /// The next answers, at least one.
    pub(super) async fn answers(&mut self) -> Vec<Event<C::Name>> {
        let mut answers = Vec::new();
        while answers.is_empty() {
            match self.pending.next().await {
                // Nothing is wanted, and never will be.
                None => std::future::pending().await,
                Some(answer) => answers.extend(answer),
            }
            while let Some(Some(answer)) = self.pending.next().now_or_never() {
                answers.extend(answer);
            }
        }
        answers
    }

    fn ask(&mut self, question: Pin<Box<dyn Future<Output = Event<C::Name>> + Send>>) -> AbortHandle {
        let (question, handle) = futures_util::future::abortable(question);
        self.pending.push(question);
        handle
    }
}

/// A panic is a failure of what was asked for.
fn settle<T>(answer: Result<Result<T, Error>, rosterd_tasks::Panicked>) -> Result<T, Error> {
    answer.map_err(RestError::from)?
}
