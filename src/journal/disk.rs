//! What is written, and how events come to it. Moved whole to threads that may block, and back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rosterd_journal::{Batch, Held, JournalError, Kind, Note, Past, Target, Time, Writer};
use rosterd_model::counted;

use super::beginning::{DAMAGED, RESTART};
use super::down::WereDown;
use super::metrics::Metrics;
use super::names::Names;
use super::whys::Whys;
use super::words::found;
use crate::roster::hold::HoldReason;
use crate::roster::holding::Holding;
use crate::roster::step::{BrakeStep, Difference, JobStep, LetGo, LimitStep, Reason, SourceStep, Stay, Step};
use crate::roster::view::JobView;

/// The clock is set back by less than this in the course of things.
const TOLERATED: Duration = Duration::from_secs(1);

/// The roster as of the last news, by job. A copy shares all of it.
pub(super) type Roster = BTreeMap<Arc<str>, Arc<JobView>>;

/// The writer, and the events that wait for it.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) writer: Writer,
    batch: Batch,
    metrics: Metrics,
    names: Names,
    /// The time to which the clock has come in events.
    newest: Time,
    were_down: WereDown,
    /// Why the disk did not take something, since somebody looked.
    pub(super) failure: Option<JournalError>,
}

/// The calendar's now.
pub(super) fn now() -> Time {
    SystemTime::now().into()
}

/// What a checkpoint has of a roster.
pub(super) fn targets(roster: &Roster) -> impl Iterator<Item = Target<'_>> {
    roster.iter().flat_map(|(job, view)| {
        let holding = Holding::of(view);
        view.targets().map(move |slot| Target {
            job,
            labels: &slot.labels,
            held: holding.why(slot).first().map(known_as),
        })
    })
}

/// What the journal calls it.
fn known_as(reason: HoldReason) -> Held {
    match reason {
        HoldReason::Restored => Held::Restored,
        HoldReason::Unread => Held::Unread,
        HoldReason::Replaced => Held::Replaced,
        HoldReason::Braked => Held::Braked,
        HoldReason::Grace => Held::Grace,
    }
}

impl Disk {
    pub(super) fn new(writer: Writer, were_down: WereDown, metrics: Metrics) -> Self {
        let (batch, names) = (writer.batch(), Names::default());
        Self { writer, batch, metrics, names, newest: Time(i64::MIN), were_down, failure: None }
    }

    /// Adds an event if the clock is behind what it was in others: what happened then is of the past from now on.
    pub(super) fn see_clock(&mut self) {
        let now = now();
        if now.after(TOLERATED) < self.newest {
            let detail =
                Some(format!("the clock of the machine was set back, and was at {} before", self.newest).into());
            self.newest = now;
            self.push(now, &Note { detail, ..Note::of(Kind::Clock) });
        }
    }

    /// Since when events wait to be written.
    pub(super) fn waits_since(&self) -> Option<Time> {
        self.batch.oldest()
    }

    /// Whether events wait to be written.
    pub(super) fn is_waiting(&self) -> bool {
        !self.batch.is_empty()
    }

    /// Whether so many events wait that they have to be written now.
    pub(super) fn is_full(&self) -> bool {
        self.batch.is_full()
    }

    /// Adds an event. One that waited while others were taken gets the time of these: times follow the order, unless the clock was set
    /// back, which is told first.
    pub(super) fn push(&mut self, time: Time, note: &Note) {
        if time < self.newest {
            self.see_clock();
        }
        self.newest = self.newest.max(time);
        self.batch.push(self.newest, note);
        self.were_down.follow(note);
        self.metrics.count(note.kind, 1);
    }

    /// Writes what waits, and begins a new segment if it is time for one, with the roster as it is after all of that.
    pub(super) fn flush(&mut self, roster: &Roster) {
        let batch = std::mem::replace(&mut self.batch, Batch::new(0));
        let failure = self.writer.append(batch, now(), || targets(roster));
        self.failed(failure);
        if self.writer.is_due(now()) {
            self.begin(now(), || targets(roster));
        }
        self.batch = self.writer.batch();
    }

    /// Begins a new segment with how the roster was then: no event that comes is older.
    pub(super) fn begin<'a, I: IntoIterator<Item = Target<'a>>>(&mut self, then: Time, roster: impl Fn() -> I) {
        let failure = self.writer.begin(then, roster);
        self.newest = self.newest.max(then);
        self.failed(failure);
    }

    fn failed(&mut self, failure: Option<JournalError>) {
        self.metrics.failures.inc_by(u64::from(failure.is_some()));
        self.failure = failure.or(self.failure.take());
    }

    /// Adds what a step changed. Given the roster as it is afterwards, it is written meanwhile where it is much, which blocks.
    pub(super) fn take_step(&mut self, step: &Step, roster: Option<&Roster>) {
        let time = now();
        for job in &step.jobs {
            for source in &job.sources {
                self.take_source(time, job, source, roster);
            }
            if let Some(limit) = job.limit {
                self.push(time, &of_limit(job, limit));
            }
            // At the end: of many targets the last events are read first, and this says why.
            job.brakes.iter().for_each(|brake| self.push(time, &of_brake(job, brake)));
        }
        self.names.forget();
    }

    fn take_source(&mut self, time: Time, job: &JobStep, source: &SourceStep, roster: Option<&Roster>) {
        let whence = Note {
            job: Some(Arc::clone(&job.name)),
            provider: Some(source.provider.as_str().into()),
            source: self.names.of(&source.named),
            reason: Some(reason(job, source.reason).into()),
            ..Note::of(Kind::Added)
        };
        for difference in &source.differences {
            let note = Note { labels: Some(labels(difference).clone()), ..whence.clone() };
            self.push(
                time,
                &match difference {
                    Difference::Added(_) => note,
                    Difference::Changed { from, .. } => Note { kind: Kind::Changed, from: Some(from.clone()), ..note },
                    Difference::Removed(_) => Note { kind: Kind::Removed, ..note },
                    Difference::Held(_, why) => Note { kind: Kind::Held, reason: Some(why.as_str().into()), ..note },
                    Difference::Released(_) => Note { kind: Kind::Released, ..note },
                },
            );
            if let Some(roster) = roster.filter(|_| self.is_full()) {
                self.flush(roster);
            }
        }
    }

    /// Adds the differences between two rosters, which blocks.
    pub(super) fn catch_up(&mut self, before: &Roster, roster: &Roster, reason: &str) {
        // At once: there is no roster between.
        let (time, none) = (now(), crate::roster::pages::Pages::default());
        let names = before.keys().chain(roster.keys().filter(|name| !before.contains_key(*name)));
        for job in names {
            let [pages_before, pages] =
                [before, roster].map(|it| it.get(job).map_or_else(|| none.clone(), |view| view.pages().clone()));
            let [was, is] = [before, roster].map(|roster| Whys::of(roster.get(job)));
            let difference = pages.since(&pages_before);
            let mut ended = Ended::default();
            difference.removed.iter().for_each(|labels| ended.note(was.of_target(labels).iter().map(known_as)));
            for (kind, list) in [
                (Kind::Added, difference.added),
                (Kind::Removed, difference.removed),
                (Kind::Held, difference.held),
                (Kind::Released, difference.released),
            ] {
                for labels in list {
                    let why = is.of_target(&labels).first().filter(|_| kind == Kind::Held);
                    self.push_found(time, (kind, job, labels), why, reason, roster);
                }
            }
            for (labels, was, is) in was.otherwise(&is) {
                ended.note(was.iter().filter(|was| !is.contains(*was)).map(known_as));
                self.push_found(time, (Kind::Held, job, labels.clone()), is.first(), reason, roster);
            }
            self.push_ended(time, job, ended, reason);
        }
    }

    /// Adds the differences between what the journal knew and the roster, which blocks.
    pub(super) fn catch_up_from(&mut self, past: &Past, roster: &Roster, reason: &str) {
        let (time, mut ended) = (now(), BTreeMap::<&Arc<str>, Ended>::new());
        for (job, view) in roster {
            let holding = Holding::of(view);
            for slot in view.targets() {
                let (before, is) = (past.get(job, &slot.labels), holding.why(slot));
                if before.is_none() {
                    self.push_found(time, (Kind::Added, job, slot.labels.clone()), None, reason, roster);
                }
                let was = before.flatten();
                if slot.is_held() && !is.iter().any(|reason| Some(known_as(reason)) == was) {
                    ended.entry(job).or_default().note(was);
                }
                let turned = match (was, is.first()) {
                    (None, None) => continue,
                    (Some(_), None) => Kind::Released,
                    // It may be held for others besides.
                    (Some(was), Some(_)) if is.iter().any(|reason| known_as(reason) == was) => continue,
                    (_, Some(_)) => Kind::Held,
                };
                self.push_found(time, (turned, job, slot.labels.clone()), is.first(), reason, roster);
            }
        }
        for (job, labels, held) in past.iter() {
            let view = roster.get(job);
            if view.is_none_or(|view| view.slot(labels).is_none()) {
                // With the job it is gone whatever was stored.
                let reason = if view.is_none() && reason == DAMAGED { RESTART } else { reason };
                ended.entry(job).or_default().note(held);
                self.push_found(time, (Kind::Removed, job, labels.clone()), None, reason, roster);
            }
        }
        ended.into_iter().for_each(|(job, ended)| self.push_ended(time, job, ended, reason));
    }

    /// Adds that a target was found otherwise than the journal knew it; of one that is held, why it is.
    fn push_found(
        &mut self,
        time: Time,
        (kind, job, labels): (Kind, &Arc<str>, rosterd_model::Labels),
        held: Option<HoldReason>,
        reason: &str,
        roster: &Roster,
    ) {
        let held = held.map(HoldReason::as_str);
        // Why it is held is more than how it was found.
        let detail = held.and(found(reason)).map(Into::into);
        let (job, reason) = (Some(Arc::clone(job)), Some(held.unwrap_or(reason).into()));
        self.push(time, &Note { job, reason, detail, labels: Some(labels), ..Note::of(kind) });
        if self.is_full() {
            self.flush(roster);
        }
    }

    /// Adds that so many targets of a job were found not to be held any more: nothing else tells what became of that.
    fn push_ended(&mut self, time: Time, job: &Arc<str>, Ended { braked, grace }: Ended, reason: &str) {
        let found = found(reason).unwrap_or(reason);
        let braked = (braked, "braked");
        let grace = (grace, if grace == 1 { "in its time of grace" } else { "in their time of grace" });
        for (targets, how) in [braked, grace].into_iter().filter(|(targets, _)| *targets > 0) {
            let were = if targets == 1 { "was" } else { "were" };
            let detail = Some(format!("{} {were} {how}, and not any more: {found}", many(targets)).into());
            let (job, reason) = (Some(Arc::clone(job)), Some(reason.into()));
            self.push(time, &Note { job, reason, detail, ..Note::of(Kind::Brake) });
        }
    }
}

/// How many targets of a job were braked or in their time of grace, and are not any more though their sources do not say them again.
#[derive(Debug, Default)]
struct Ended {
    braked: usize,
    grace: usize,
}

impl Ended {
    /// One more for what it was held.
    fn note(&mut self, was: impl IntoIterator<Item = Held>) {
        for was in was {
            self.braked += usize::from(was == Held::Braked);
            self.grace += usize::from(was == Held::Grace);
        }
    }
}

fn labels(difference: &Difference) -> &rosterd_model::Labels {
    match difference {
        Difference::Added(labels)
        | Difference::Removed(labels)
        | Difference::Held(labels, _)
        | Difference::Released(labels)
        | Difference::Changed { to: labels, .. } => labels,
    }
}

/// Why it happened to targets, in a word. What was kept and is no longer is told by what let go of it.
fn reason(job: &JobStep, reason: Reason) -> &'static str {
    match (reason, job.let_go_by()) {
        (Reason::Source, _) => "source",
        (Reason::Rules, _) => "rules",
        (Reason::Reload, _) => "reload",
        (Reason::Over, Some(BrakeStep::Confirmed(_) | BrakeStep::Still(_))) => "confirmed",
        (Reason::Over, Some(BrakeStep::Released { .. })) => "released",
        (Reason::Over, _) => "over",
        (Reason::Replaced, _) => "replaced",
    }
}

fn many(targets: usize) -> String {
    counted(targets, "target")
}

fn of_brake(job: &JobStep, brake: &BrakeStep) -> Note {
    let staying = |Stay { targets, until }: Stay, of: usize| {
        let who = match (targets, of) {
            (1, 1) => "it stays".to_owned(),
            (1, _) => "1 of them stays".to_owned(),
            (all, of) if all == of => "they stay".to_owned(),
            (some, _) => format!("{some} of them stay"),
        };
        format!("; {who} until {} at most, for target_removal_grace", Time::from(until))
    };
    let stay = |ended: &LetGo| ended.stay.map(|stay| staying(stay, ended.targets)).unwrap_or_default();
    let (reason, provider, detail) = match brake {
        BrakeStep::Braked { provider, targets, of } => {
            let are = if *targets == 1 { "is" } else { "are" };
            let detail = format!("{targets} of {} {are} gone at once, and held", many(*of));
            ("braked", Some(provider.as_str().into()), detail)
        }
        BrakeStep::Again { targets, since } => {
            let are = if *targets == 1 { "is" } else { "are" };
            let since = Time::from(*since);
            let detail = format!("{} {are} held again as before the job was gone, since {since}", many(*targets));
            ("braked", None, detail)
        }
        BrakeStep::Confirmed(ended) => {
            let detail = format!("another reading has confirmed the end of {}{}", many(ended.targets), stay(ended));
            ("confirmed", None, detail)
        }
        BrakeStep::Still(ended) => {
            let (their, them) = if ended.targets == 1 { ("its", "it") } else { ("their", "them") };
            let detail = format!(
                "the end of {} is confirmed, {their} source has not taken {them} back for a minute{}",
                many(ended.targets),
                stay(ended)
            );
            ("confirmed", None, detail)
        }
        BrakeStep::Over { reason: HoldReason::Grace, ended } => {
            ("grace", None, format!("the time of grace of {} is over", many(ended.targets)))
        }
        BrakeStep::Over { ended, .. } => {
            ("over", None, format!("the time to hold {} is over{}", many(ended.targets), stay(ended)))
        }
        BrakeStep::Configured { reason: HoldReason::Grace, ended } => {
            let (targets, were) = (many(ended.targets), if ended.targets == 1 { "was" } else { "were" });
            let (their, held) = if ended.targets == 1 { ("its", "it") } else { ("their", "them") };
            let detail =
                format!("{targets} {were} in {their} time of grace, the configuration does not hold {held} any more");
            ("configuration", None, detail)
        }
        BrakeStep::Configured { ended, .. } => {
            let detail = format!("the configuration does not hold {} any more{}", many(ended.targets), stay(ended));
            ("configuration", None, detail)
        }
        BrakeStep::Released { targets } => ("released", None, format!("somebody let go of {}", many(*targets))),
        BrakeStep::Returned => ("returned", None, "all that was held has come back, or was replaced".to_owned()),
    };
    let (job, reason) = (Some(Arc::clone(&job.name)), Some(reason.into()));
    Note { job, provider, reason, detail: Some(detail.into()), ..Note::of(Kind::Brake) }
}

fn of_limit(job: &JobStep, limit: LimitStep) -> Note {
    let (kind, detail) = match limit {
        LimitStep::Exceeded { targets, limit } => {
            (Kind::LimitExceeded, Some(format!("{}, target_limit {limit}", counted(targets, "target")).into()))
        }
        LimitStep::Kept => (Kind::LimitKept, None),
    };
    Note { job: Some(Arc::clone(&job.name)), detail, ..Note::of(kind) }
}
