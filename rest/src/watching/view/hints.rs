//! Those that have to take turns are looked at out of turn when something hints at a change of any of them.

use rosterd_discovery::Error;
use rosterd_model::TargetGroup;
use tokio::time::Instant;

use super::{View, content};
use crate::hints::Ear;
use crate::turns::MOST_QUICK;
use crate::{Answer, Catalog, Known};

impl<C: Catalog> View<C> {
    /// Listens to hints, once.
    pub(super) fn listen(&mut self) {
        if !std::mem::replace(&mut self.listens, true) {
            self.questions.listen();
        }
    }

    /// A hint: something has changed.
    pub(super) fn heed(&mut self, number: usize, ear: Ear) {
        if self.wanted.takes_turns()
            && let Some(pause) = self.sweeps.hint(Instant::now())
        {
            self.questions.sweep_after(pause);
        }
        self.questions.hear(number, ear);
    }

    /// Looks at all that are known, some at a time.
    pub(super) fn sweep(&mut self) {
        self.sweeps.begin(Instant::now());
        let known = self.names.iter().filter(|(_, watched)| watched.index > 0);
        self.unseen = known.map(|(name, _)| name.clone()).collect();
        self.looked_at = 0;
        self.look();
    }

    /// Goes on with a sweep, to its end.
    fn look(&mut self) {
        while self.looked_at < MOST_QUICK
            && let Some(name) = self.unseen.pop()
        {
            if let Some(watched) = self.names.get(&name).filter(|watched| watched.index > 0) {
                self.looked_at += 1;
                self.questions.glance_at(name, watched.index);
            }
        }
        if self.looked_at == 0
            && let Some(pause) = self.sweeps.end(Instant::now(), &self.pace)
        {
            self.questions.sweep_after(pause);
        }
    }

    /// What a sweep found of one. What fails is told when it has its turn.
    pub(super) fn glance(
        &mut self,
        name: C::Name,
        known: Known,
        asked: Instant,
        answer: Result<Answer<TargetGroup>, Error>,
    ) {
        self.looked_at -= 1;
        let watched = self.names.get(&name);
        // It may have had its turn meanwhile.
        if let (Ok(answer), Some(watched)) = (answer, watched)
            && answer.index > watched.index
            && answer.news.as_ref().map(|group| content(&name, group.clone()).1) != watched.known
        {
            self.sweeps.finds();
            self.learn(name, known, asked, answer);
        }
        self.look();
    }
}
