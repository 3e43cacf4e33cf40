//! Targets that count their scrapes, and the receivers of every temper that their samples are sent to. What arrives is judged by
//! what rosterd promises: each sample that was queued, once and in order; what a kill may cost, and no more.

#[path = "../scrape/counter.rs"]
#[allow(dead_code, reason = "the rest is for tests of receivers alone")]
mod counter;
mod end; // one receiver, and what it got
mod mood; // how it answers
mod series; // what arrived of a series, judged; pure

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use self::counter::Counter;
use self::end::End;
use self::mood::Mood;
use crate::dice::Dice;

/// Jobs, and how many targets each of them has.
const JOBS: [(&str, usize); 2] = [("samples_a", 3), ("samples_b", 2)];
/// How many scrapes of a target may be under way to the disk when rosterd is killed: what waits for its batch, and for a reply that is
/// due. That is a fifth of a second, and so one scrape; the others are for slow machines.
const UNDER_WAY: usize = 3;
/// In so many requests at most something comes again that had come before a kill: "the last few batches perhaps twice". It is written at once
/// what was taken, so those are the ones that were under way: of each shard one. As many again are for slow disks.
const FEW: usize = 8;
/// The same where it could not be written what was taken, or that is damaged.
const MANY: usize = 200;

/// Two receivers, and the targets whose samples they get.
pub(crate) struct Receiver {
    targets: Vec<Counter>,
    ends: [End; 2],
    /// What has to have arrived for the calm point that is waited for.
    wanted: Option<Vec<usize>>,
    /// What had been scraped at the last one.
    drained: Vec<usize>,
    /// Whether they have had a temper.
    had_temper: bool,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let mut targets = Vec::new();
        for _ in 0..JOBS.iter().map(|(_, count)| count).sum() {
            targets.push(Counter::start().await);
        }
        let addresses: Vec<_> = targets.iter().map(|target| target.address().to_string()).collect();
        let ends = [
            End::start("one", "prometheus.WriteRequest", &addresses).await,
            End::start("two", "io.prometheus.write.v2.Request", &addresses).await,
        ];
        Self { drained: vec![0; targets.len()], targets, ends, wanted: None, had_temper: false }
    }

    /// Items of `scrape_configs`.
    pub(crate) fn jobs(&self) -> String {
        let (mut jobs, mut addresses) = (String::new(), self.targets.iter().map(Counter::address));
        for (job, count) in JOBS {
            let targets: Vec<_> = addresses.by_ref().take(count).map(|address| format!("'{address}'")).collect();
            let targets = targets.join(", ");
            writeln!(
                jobs,
                "- {{job_name: {job}, scrape_interval: 250ms, scrape_timeout: 250ms, static_configs: [{{targets: [{targets}]}}]}}"
            )
            .expect("text takes text");
        }
        jobs
    }

    /// The section `remote_write`.
    pub(crate) fn remote_write(&self) -> String {
        format!("remote_write:\n{}", self.ends.iter().map(End::configuration).collect::<String>())
    }

    /// Puts one of the receivers into another mood, and says which: first into that which has most of them.
    pub(crate) async fn temper(&mut self, dice: &mut Dice) -> String {
        let end = &mut self.ends[dice.below(2)];
        let mood = match std::mem::replace(&mut self.had_temper, true) {
            true => *dice.pick(&Mood::ALL),
            false => Mood::Fickle,
        };
        end.change(mood, dice.fork()).await;
        format!("receiver {} {mood:?}", end.name)
    }

    /// Nobody takes what is sent.
    pub(crate) async fn is_away(&mut self) {
        for end in &mut self.ends {
            end.change(Mood::Down, Dice::new(0)).await;
        }
    }

    /// Both answer well again.
    pub(crate) async fn calms(&mut self) {
        for end in &mut self.ends {
            end.change(Mood::Well, Dice::new(0)).await;
        }
    }

    /// rosterd was killed, and is gone. What it asked last may not have been counted yet.
    pub(crate) fn killed(&mut self) {
        self.excuse("killed", FEW, |count, _| count.saturating_sub(UNDER_WAY)..=count + 1);
    }

    /// rosterd has ended in order, and is gone: a scrape may have been under way, and not been counted yet.
    pub(crate) fn stopped(&mut self) {
        self.excuse("stopped", 0, |count, _| count..=count + 1);
    }

    /// What was queued since the last calm point may be lost, or come again: its queue was damaged, or was in memory alone when rosterd
    /// was killed.
    pub(crate) fn may_lose(&mut self, why: &str) {
        self.excuse(why, MANY, |count, drained| drained + 1..=count + 1);
    }

    /// rosterd starts on a disk that takes nothing: what waits there is sent once it does.
    pub(crate) fn mixes(&mut self) {
        self.ends.iter_mut().for_each(End::mixes);
    }

    /// The clock is changed.
    pub(crate) fn jumped(&mut self) {
        self.ends.iter_mut().for_each(End::leaps);
    }

    fn excuse(&mut self, why: &str, again: usize, range: impl Fn(usize, usize) -> RangeInclusive<usize>) {
        let ranges = self.targets.iter().zip(&self.drained).map(|(target, drained)| range(target.count(), *drained));
        let ranges: Vec<_> = ranges.collect();
        for end in &mut self.ends {
            end.excuse(why, again, &ranges);
        }
    }

    /// Judges what has arrived since the last time.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        let faults: Vec<_> = self.ends.iter_mut().flat_map(End::take).take(5).collect();
        if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
    }

    /// Whether all has arrived that was scraped when this was asked first since it was so.
    pub(crate) async fn drained(&mut self) -> Result<(), String> {
        self.check()?;
        let targets = &self.targets;
        let wanted = self.wanted.get_or_insert_with(|| targets.iter().map(Counter::count).collect());
        self.ends.iter().try_for_each(|end| end.has_all(wanted))?;
        self.drained = self.wanted.take().unwrap_or_default();
        for end in &mut self.ends {
            end.settle(&self.drained);
        }
        Ok(())
    }

    /// Ends the receivers.
    pub(crate) async fn finish(self) {
        for end in self.ends {
            end.finish().await;
        }
    }
}
