//! What a consumer may be shown of a job at any time, by what its source told of it. Pure.
//!
//! Nobody outside knows which answer rosterd has taken last. So there is a range: of the answers that the source gave since the roster was
//! last seen to be as the source is, any may count. What all of them have must be shown, and nothing may be that none of them has.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

/// Addresses.
pub(crate) type Targets = BTreeSet<String>;

/// So long before a kill the store may have written last: far longer than it ever rests.
pub(crate) const UNWRITTEN: Duration = Duration::from_secs(10);
/// Two readings are so far apart at least until the second one confirms what the first one says.
pub(crate) const APART: Duration = Duration::from_secs(10);
/// So much less is safe to promise.
const EARLY: Duration = Duration::from_secs(1);
/// So long after its time of grace a target may be there at most: until it is read that it is gone, and for a slow machine.
const LATE: Duration = Duration::from_secs(30);
/// The share and the number from which on a removal is held, as they are by default.
const FEWEST: usize = 10;

/// Whether a job is in the configuration that rosterd uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Configured {
    No,
    /// A reload is under way.
    Maybe,
    Yes,
}

/// Whether rosterd knows what its source has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// No source has told anything.
    Never,
    Maybe,
    /// It was seen to be so.
    Since(Instant),
}

/// Where something is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// To whoever asks, as it is then.
    Answer,
    /// In a file or in the journal, a while later.
    File,
}

/// The relabelling of a job: a label for each target, and a last digit of ports' hosts of which no target stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) version: u32,
    pub(crate) drops: Option<u8>,
}

impl Rules {
    fn keep(self, address: &str) -> bool {
        self.drops.is_none_or(|digit| !address.ends_with(&format!("{digit}:1")))
    }
}

/// An answer.
#[derive(Debug)]
struct Told {
    targets: Targets,
    /// When another one took its place.
    until: Option<Instant>,
}

/// What is to be thought of a job.
#[derive(Debug)]
pub(crate) struct Belief {
    pub(crate) configured: Configured,
    pub(crate) known: Known,
    /// How long what is braked stays at least; none where it does until somebody lets go of it.
    confirmed: Option<Duration>,
    grace: Duration,
    /// Answers that count, in order; the source gives the last one.
    told: Vec<Told>,
    /// The first one that rosterd may have taken last.
    first: usize,
    /// The same for whoever asks: later than for what is written where a later one was shown already.
    seen: usize,
    /// Answers that are wrong and so small that the brake holds what they leave out, with the time of the first of them.
    lies: Vec<(Targets, Instant)>,
    /// Until when targets stay that are in their time of grace, at least.
    gone: BTreeMap<String, Instant>,
    /// Those that may be in use; the last one is in the file.
    rules: Vec<Rules>,
}

impl Belief {
    pub(crate) fn new(confirmed: Option<Duration>, grace: Duration) -> Self {
        Self {
            configured: Configured::No,
            known: Known::Never,
            confirmed,
            grace,
            told: Vec::new(),
            first: 0,
            seen: 0,
            lies: Vec::new(),
            gone: BTreeMap::new(),
            rules: vec![Rules { version: 0, drops: None }],
        }
    }

    /// The source answers with all of these from now on.
    pub(crate) fn says(&mut self, targets: Targets, now: Instant) {
        if self.told.last().is_some_and(|told| told.targets == targets) {
            return;
        }
        if !self.grace.is_zero() {
            for address in self.must(Place::File, now).difference(&targets) {
                self.gone.entry(address.clone()).or_insert(now + self.grace);
            }
        }
        self.gone.retain(|address, _| !targets.contains(address));
        if let Some(last) = self.told.last_mut() {
            last.until = Some(now);
        }
        self.told.push(Told { targets, until: None });
        if self.known == Known::Never {
            self.known = Known::Maybe;
        }
    }

    /// The source answers with a part of what it has, or with nothing. Returns whether the brake holds the rest, whatever rosterd has taken last.
    pub(crate) fn lies(&mut self, part: Targets, now: Instant) -> bool {
        let left = |targets: &Targets, rules: &Rules| targets.iter().filter(|address| rules.keep(address)).count();
        let held = |told: &Told| {
            let by = |rules: &Rules| {
                left(&told.targets, rules) >= FEWEST && 2 * left(&part, rules) < left(&told.targets, rules)
            };
            self.rules.iter().all(by)
        };
        let is_held = matches!(self.known, Known::Since(_)) && self.range(Place::File).iter().all(held);
        match is_held {
            true => self.lies.push((part, now)),
            false => self.says(part, now),
        }
        is_held
    }

    /// What was braked may have been let go of: a job that is taken out has it again only as it comes back as it was.
    pub(crate) fn forgets_holds(&mut self, now: Instant) {
        self.gone.values_mut().for_each(|until| *until = now);
        let until = Some(now);
        let lies = std::mem::take(&mut self.lies).into_iter().map(|(targets, _)| Told { targets, until });
        let at = self.told.len().saturating_sub(1);
        self.told.splice(at..at, lies);
        self.seen = self.seen.min(at);
    }

    /// Time has jumped: what it confirms or ends may be over.
    pub(crate) fn leaps(&mut self, now: Instant) {
        if self.is_confirmed() {
            return self.forgets_holds(now);
        }
        self.gone.values_mut().for_each(|until| *until = now);
    }

    pub(crate) fn uses(&mut self, rules: Rules) {
        self.rules.push(rules);
    }

    /// The rules that are in the file.
    pub(crate) fn rules(&self) -> Rules {
        *self.rules.last().expect("there are always some")
    }

    /// Whether somebody lets go of what is braked of it, or else nobody does.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.confirmed.is_some()
    }

    /// Who asked was shown these. Where that is what the source says, and nothing that it said before comes to the same, rosterd has
    /// taken it, and goes back to nothing older.
    pub(crate) fn sees(&mut self, shown: &Targets, now: Instant) {
        let (&[rules], Known::Since(_)) = (&*self.rules, self.known) else { return };
        let is_shown = |told: &Told| told.targets.iter().filter(|address| rules.keep(address)).eq(shown);
        let Some((last, before)) = self.told[self.seen..].split_last_mut() else { return };
        // What is in its time of grace is shown whichever of them was taken.
        if self.grace.is_zero() && self.lies.is_empty() && is_shown(last) && !before.iter().any(is_shown) {
            before.iter_mut().for_each(|told| told.until = Some(now));
            self.seen = self.told.len() - 1;
        }
    }

    /// Whether the last answer was shown.
    pub(crate) fn is_seen(&self) -> bool {
        self.seen + 1 == self.told.len()
    }

    /// What rosterd shows is what the source has, besides what may be in its time of grace still: that begins when the source is read.
    pub(crate) fn is_settled(&mut self, shown: &Targets, now: Instant) {
        let rules = self.rules();
        self.rules = vec![rules];
        self.lies.clear();
        self.gone.retain(|address, until| *until > now || shown.contains(address));
        // When it took the last one nobody knows, but that it has: only from now on may that be stored.
        let last = self.told.len().saturating_sub(1);
        self.told.iter_mut().take(last).skip(self.first).for_each(|told| told.until = Some(now));
        self.first = last;
        self.seen = last;
        if !matches!(self.known, Known::Since(_)) {
            self.known = Known::Since(now);
        }
        // A kill may lead back to what was before, but not for long.
        let written = now.checked_sub(3 * UNWRITTEN);
        let old = self.told.iter().take_while(|told| told.until.is_some_and(|until| Some(until) < written)).count();
        self.told.drain(..old.min(self.first));
        self.first = self.told.len().saturating_sub(1);
        self.seen = self.first;
    }

    /// The process was killed, and what it took after `written` need not be stored.
    pub(crate) fn is_killed(&mut self, written: Instant) {
        let is_stored = |told: &Told| told.until.is_some_and(|until| until < written);
        let stored = self.told.iter().take_while(|told| is_stored(told)).count();
        self.first = self.first.min(stored);
        self.seen = self.seen.min(stored);
        if matches!(self.known, Known::Since(since) if since > written) {
            self.known = Known::Maybe;
        }
    }

    fn range(&self, place: Place) -> &[Told] {
        &self.told[if place == Place::Answer { self.seen } else { self.first }..]
    }

    fn is_dropped_by_some(&self, address: &str) -> bool {
        self.rules.iter().any(|rules| !rules.keep(address))
    }

    /// What must be shown where anything is.
    pub(crate) fn must(&self, place: Place, now: Instant) -> Targets {
        let is_over = |since: Instant| self.confirmed.is_some_and(|time| now.duration_since(since) + EARLY > time);
        let believed = self.lies.first().is_some_and(|(_, since)| is_over(*since));
        let lies = self.lies.iter().filter(|_| believed).map(|(targets, _)| targets);
        let mut answers = self.range(place).iter().map(|told| &told.targets).chain(lies);
        let mut must = answers.next().cloned().unwrap_or_default();
        answers.for_each(|targets| must.retain(|address| targets.contains(address)));
        must.extend(self.gone.iter().filter(|(_, until)| **until > now).map(|(address, _)| address.clone()));
        must.retain(|address| !self.is_dropped_by_some(address));
        must
    }

    /// What may be shown.
    pub(crate) fn may(&self, place: Place) -> Targets {
        let told = self.range(place).iter().flat_map(|told| &told.targets).chain(self.gone.keys());
        told.filter(|address| self.rules.iter().any(|rules| rules.keep(address))).cloned().collect()
    }

    /// What is to be shown once the source was read, and what may be besides.
    pub(crate) fn truth(&self, now: Instant) -> (Targets, Targets) {
        let kept = |targets: &mut dyn Iterator<Item = &String>| {
            targets.filter(|address| self.rules().keep(address)).cloned().collect::<Targets>()
        };
        let last = self.told.last().map(|told| &told.targets);
        let graced = self.gone.iter().filter(|(_, until)| **until + LATE > now);
        (kept(&mut last.into_iter().flatten()), kept(&mut graced.map(|(address, _)| address)))
    }

    /// Whether the labels of a version may be shown.
    pub(crate) fn may_have_version(&self, version: &str) -> bool {
        self.rules.iter().any(|rules| rules.version.to_string() == version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(numbers: std::ops::Range<u32>) -> Targets {
        numbers.map(|number| format!("h{number}:1")).collect()
    }

    #[test]
    fn between_two_answers_what_both_have_must_be_shown_and_what_one_has_may_be() {
        let now = Instant::now();
        let mut belief = Belief::new(Some(APART), Duration::ZERO);
        belief.says(targets(0..20), now);
        belief.is_settled(&Targets::new(), now);
        belief.says(targets(5..25), now);
        assert_eq!((belief.must(Place::File, now), belief.may(Place::File)), (targets(5..20), targets(0..25)));
        belief.is_settled(&Targets::new(), now);
        assert_eq!((belief.must(Place::File, now), belief.may(Place::File)), (targets(5..25), targets(5..25)));
        belief.is_killed(now);
        assert_eq!((belief.must(Place::File, now), belief.may(Place::File)), (targets(5..20), targets(0..25)));
    }

    #[test]
    fn what_was_taken_is_stored_when_it_was_seen_long_enough() {
        let (now, later) = (Instant::now(), |seconds| Instant::now() + Duration::from_secs(seconds));
        let mut belief = Belief::new(Some(APART), Duration::ZERO);
        belief.says(targets(0..20), now);
        belief.is_settled(&Targets::new(), now);
        belief.says(targets(5..25), now);
        belief.is_settled(&Targets::new(), later(60));
        belief.is_killed(later(120));
        assert_eq!(belief.must(Place::File, later(120)), targets(5..25));
        belief.is_killed(later(30));
        assert_eq!(belief.must(Place::File, later(120)), targets(5..20), "it may have been read but a moment ago");
    }

    #[test]
    fn a_small_part_is_no_answer_until_it_can_be_confirmed() {
        let now = Instant::now();
        let mut belief = Belief::new(Some(APART), Duration::ZERO);
        belief.says(targets(0..20), now);
        belief.is_settled(&Targets::new(), now);
        assert!(belief.lies(targets(0..9), now) && belief.lies(Targets::new(), now));
        assert_eq!(belief.must(Place::File, now), targets(0..20));
        assert_eq!(belief.must(Place::File, now + Duration::from_secs(10)), Targets::new());
        assert!(!belief.lies(targets(0..10), now), "half of it is taken");
        assert_eq!(belief.must(Place::File, now), targets(0..10));
    }

    #[test]
    fn what_is_in_its_time_of_grace_must_be_shown_until_that_is_over() {
        let (now, grace) = (Instant::now(), Duration::from_secs(5));
        let mut belief = Belief::new(Some(APART), grace);
        belief.says(targets(0..4), now);
        belief.is_settled(&Targets::new(), now);
        belief.says(targets(0..3), now);
        belief.is_settled(&Targets::new(), now);
        assert_eq!((belief.must(Place::File, now), belief.may(Place::File)), (targets(0..4), targets(0..4)));
        assert_eq!(belief.must(Place::File, now + grace), targets(0..3));
        belief.is_settled(&targets(3..4), now + grace);
        assert_eq!(
            (belief.must(Place::File, now + grace), belief.may(Place::File)),
            (targets(0..3), targets(0..4)),
            "it may have been read later"
        );
        belief.is_settled(&Targets::new(), now + grace);
        assert_eq!(belief.may(Place::File), targets(0..3));
    }
    #[test]
    fn what_nobody_lets_go_of_stays_where_nothing_else_confirms_it() {
        let now = Instant::now();
        let mut belief = Belief::new(None, Duration::ZERO);
        belief.says(targets(0..20), now);
        belief.is_settled(&Targets::new(), now);
        assert!(belief.lies(Targets::new(), now));
        belief.leaps(now);
        assert_eq!(belief.must(Place::Answer, now + Duration::from_secs(3600)), targets(0..20));
        belief.forgets_holds(now);
        assert_eq!(belief.must(Place::Answer, now), Targets::new());
    }

    #[test]
    fn who_was_shown_an_answer_is_shown_none_before_it_unless_there_was_a_kill() {
        let now = Instant::now();
        let mut belief = Belief::new(Some(APART), Duration::ZERO);
        belief.says(targets(0..20), now);
        belief.is_settled(&Targets::new(), now);
        belief.says(targets(5..25), now);
        belief.sees(&targets(5..20), now);
        assert!(!belief.is_seen(), "that is neither");
        belief.sees(&targets(5..25), now);
        assert!(belief.is_seen());
        assert_eq!((belief.must(Place::Answer, now), belief.may(Place::Answer)), (targets(5..25), targets(5..25)));
        assert_eq!((belief.must(Place::File, now), belief.may(Place::File)), (targets(5..20), targets(0..25)));
        belief.says(targets(0..20), now);
        belief.says(targets(5..25), now);
        belief.sees(&targets(5..25), now);
        assert!(!belief.is_seen(), "it may be the first one still");
        belief.is_killed(now);
        assert_eq!(belief.must(Place::Answer, now), targets(5..20));
    }
}
