//! Those that have to take turns are looked at out of turn when something hints at a change of any of them.

use std::time::Duration;

use rosterd_discovery::Error;
use rosterd_model::TargetGroup;
use tokio::time::Instant;

use super::{View, content};
use crate::pace::{Answered, Rhythm, next_index};
use crate::{Answer, Catalog, Known, Pace};

/// The least time from one question for a hint to the next.
const LEAST: Duration = Duration::from_secs(1);
/// So many are looked at in a sweep at the same time.
const GLANCES: usize = 40;

impl<C: Catalog> View<C> {
    /// Listens to hints as long as not all can be waited for at the same time.
    pub(super) fn listen(&mut self) {
        let count = self.questions.hints();
        if self.hints.is_none() && count > 0 && self.wanted.takes_turns() {
            self.hints = Some(vec![Rhythm::default(); count]);
            (0..count).for_each(|number| self.questions.ask_for_hint(number, 0, Duration::ZERO));
        }
    }

    /// A hint: something has changed, or nothing. It is no failure if none can be had: then each has its turn, as long as that takes.
    pub(super) fn heed(&mut self, number: usize, known: Known, asked: Instant, answer: Result<Answer<()>, Error>) {
        let Some(rhythm) = self.hints.as_mut().and_then(|hints| hints.get_mut(number)) else { return };
        let (index, pause) = match answer {
            Err(_) => (0, self.pace.interval),
            Ok(Answer { index, .. }) => {
                let pace = Pace { least: LEAST.min(self.pace.least), ..self.pace };
                let is_news = known.index > 0 && index > known.index;
                let pause = rhythm.pause(&pace, Answered { known, index, taken: asked.elapsed(), is_news });
                if is_news
                    && self.wanted.takes_turns()
                    && let Some(pause) = self.sweeps.hint(Instant::now())
                {
                    self.questions.sweep_after(pause);
                }
                (next_index(known.index, index), pause)
            }
        };
        self.questions.ask_for_hint(number, index, pause);
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
        while self.looked_at < GLANCES
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
