//! A run: what happens, and what must be so after each of it and all the time.

use std::sync::{Arc, Mutex as Shared, PoisonError};
use std::time::Duration;

use rosterd_testkit::{eventually_ok, patience};
use rustix::process::Signal;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::agent::{braked, release, reload};
use crate::belief::{Configured, Known};
use crate::damage::{self, Stored};
use crate::dice::Dice;
use crate::event::{Event, Events, What};
use crate::world::{GRACED, Memory, PLAIN, World};

/// How often is looked, besides after each event.
const LOOKS: Duration = Duration::from_millis(150);
/// How much more may be taken at a time of calm than at the first one.
const LEFT: f64 = 20.0;
const MEMORY_MIB: f64 = 150.0;
/// So often the configuration is read again, of which nothing is to be left.
const RELOADS: usize = 6;
/// How much more may be taken after that.
const LEFT_BY_RELOADS: f64 = 3.0;
/// What happened so short a time before a kill the journal need not have: half a second, and more on a slow machine.
const UNTOLD: Duration = Duration::from_secs(3);
/// What a source does not take back for so long is confirmed, at the latest: where it is watched. What is read again is sooner.
const CONFIRMED: Duration = Duration::from_secs(60);
/// How many times of calm the journal is asked about later.
const MEMORIES: usize = 20;

/// What a configuration may not be.
const INVALID: [&str; 5] = [
    "scrape_configs: [",
    "scrape_configs: []",
    "",
    "scrape_configs: [{job_name: web}, {job_name: web}]",
    "nonsense: {}",
];

/// How long a run is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Length {
    Events(usize),
    Lasts(Duration),
}

/// What happened so far, told when the run fails.
#[derive(Debug, Clone)]
struct Story {
    seed: u64,
    lines: Arc<Shared<Vec<String>>>,
}

impl Story {
    fn tells(&self, line: String) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        if std::thread::panicking() && Arc::strong_count(&self.lines) == 1 {
            let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            eprintln!(
                "--- ROSTERD_TORTURE_SEED={} after {} events:\n{}\n---",
                self.seed,
                lines.len(),
                lines.join("\n")
            );
        }
    }
}

/// A run under way.
struct Run {
    world: Mutex<World>,
    story: Story,
    begun: Instant,
}

/// Lets events happen and looks at what comes of it.
pub(crate) async fn torture(seed: u64, length: Length) {
    let story = Story { seed, lines: Arc::default() };
    let mut dice = Dice::new(seed);
    let world = World::start().await;
    let run = Run { world: Mutex::new(world), story: story.clone(), begun: Instant::now() };
    let events = Events::new(dice.fork(), World::job_count());
    let outcome = tokio::select! {
        () = run.play(events, length) => Ok(()),
        complaint = run.watch() => Err(complaint),
    };
    if let Err(complaint) = outcome {
        panic!("{complaint}");
    }
    run.world.into_inner().end().await;
    let events = story.lines.lock().unwrap_or_else(PoisonError::into_inner).len();
    eprintln!("nothing was wrong after {events} events of the seed {seed}");
}

impl Run {
    /// Looks all the time, and returns what is wrong.
    async fn watch(&self) -> String {
        loop {
            if let Err(complaint) = self.look().await {
                return complaint;
            }
            sleep(LOOKS).await;
        }
    }

    async fn look(&self) -> Result<(), String> {
        let mut world = self.world.lock().await;
        world.look().await?;
        world.receiver.check()
    }

    /// All is as it has to be.
    async fn looks(&self, when: &str) {
        if let Err(complaint) = self.look().await {
            panic!("{when}: {complaint}");
        }
    }

    /// What follows what is shown has followed it, or does so in a moment.
    async fn looks_later(&self, when: &str) {
        let look = async || self.world.lock().await.look_later().await;
        eventually_ok(patience(), &format!("{when}, what follows the roster is as it is"), look).await;
    }

    async fn play(&self, events: Events, length: Length) {
        self.calm(&mut Dice::new(0)).await;
        for (number, event) in events.enumerate() {
            let is_over = match length {
                Length::Events(most) => number >= most,
                Length::Lasts(time) => self.begun.elapsed() >= time,
            };
            if is_over {
                break;
            }
            let what = event.what;
            let told = self.happens(event).await;
            self.story.tells(format!("{number} at {:.1}s: {what:?} {told}", self.begun.elapsed().as_secs_f64()));
            let when = format!("after event {number}, {what:?} {told}");
            self.looks(&when).await;
            self.looks_later(&when).await;
        }
        self.calm(&mut Dice::new(0)).await;
        self.leaves_nothing().await;
    }

    /// Reloads leave no task and no descriptor.
    async fn leaves_nothing(&self) {
        let before = self.world.lock().await.agent.costs().await.expect("it is asked what it takes");
        for _ in 0..RELOADS {
            self.world.lock().await.jobs[0].changes_pace();
            self.reloads().await;
        }
        let look = async || {
            let costs = self.world.lock().await.agent.costs().await?;
            let most = |before: f64| before + LEFT_BY_RELOADS;
            let is_more = costs.tasks > most(before.tasks) || costs.descriptors > most(before.descriptors);
            if is_more { Err(format!("{costs:?} after {before:?}")) } else { Ok(()) }
        };
        eventually_ok(patience(), "reloads leave nothing", look).await;
    }

    /// Lets something happen, and tells of it.
    async fn happens(&self, Event { what, mut dice }: Event) -> String {
        let dice = &mut dice;
        match what {
            What::Change { job } => self.changes(job, |it, dice| it.change(dice), dice).await,
            What::Turn { job } => self.changes(job, |it, dice| it.turn(dice), dice).await,
            What::Lie { job, readings } => self.lies(job, readings, dice).await,
            What::Fail { job } => self.fails(job, dice).await,
            What::Flap { job } => self.flaps(job, dice).await,
            What::Heal { job } => self.heals(job, dice).await,
            What::Toggle { job } => self.toggles(job).await,
            What::Pace { job } => {
                self.world.lock().await.jobs[job].changes_pace();
                self.reloads().await
            }
            What::Rules { job } => {
                self.world.lock().await.changes_rules(job, dice);
                self.reloads().await
            }
            What::Invalid => self.is_refused(dice).await,
            What::Kill { after } => {
                for _ in 0..after {
                    self.looks("before the kill").await;
                }
                self.is_killed(None).await
            }
            What::Sleep => self.sleeps(dice).await,
            What::Stop => self.stops(dice).await,
            What::Meddle { job } => self.world.lock().await.meddles(job, dice).to_owned(),
            What::Damage => {
                let what = *dice.pick(&[Stored::Roster, Stored::Ledger, Stored::Journal, Stored::Queue]);
                self.is_killed(Some((what, dice))).await
            }
            What::Disk => self.disk(dice).await,
            What::Jump => self.jumps(dice).await,
            What::Hang => {
                let mut world = self.world.lock().await;
                let address = world.agent.url("").trim_start_matches("http://").parse().expect("an address");
                world.consumers.come(address, dice).await.trim_end().to_owned()
            }
            What::Temper => self.world.lock().await.receiver.temper(dice).await,
            What::Calm => {
                let told = self.calm(dice).await;
                if dice.one_in(3) {
                    self.leaves_nothing().await;
                }
                told
            }
        }
    }

    async fn changes(&self, job: usize, change: fn(&mut crate::world::Job, &mut Dice), dice: &mut Dice) -> String {
        let is_fixed = {
            let mut world = self.world.lock().await;
            let it = &mut world.jobs[job];
            change(it, dice);
            if !it.fails {
                it.tells(dice.one_in(4)).await;
            }
            it.is_fixed() && it.belief.configured == Configured::Yes
        };
        if is_fixed { self.reloads().await } else { String::new() }
    }

    async fn lies(&self, job: usize, readings: usize, dice: &mut Dice) -> String {
        let (told, is_held, before) = {
            let mut world = self.world.lock().await;
            let it = &mut world.jobs[job];
            if it.fails || !it.source.tells_at_once() {
                return "not now".to_owned();
            }
            let nothing = dice.one_in(2);
            let part = if nothing { Default::default() } else { it.part(dice) };
            let is_held = it.belief.lies(part.clone(), Instant::now());
            match nothing && dice.one_in(2) {
                true => it.source.vanish(dice).await,
                false => it.source.tell(&part).await,
            }
            let is_read = it.belief.configured == Configured::Yes;
            let told = format!("{} of {}, held: {is_held}", part.len(), it.has.len());
            let before = it.source.requests().filter(|_| is_read);
            (told, is_held, before.map(|before| (before, it.source.readings(readings))))
        };
        if let Some((before, readings)) = before {
            let look = async || {
                let world = self.world.lock().await;
                let requests = world.jobs[job].source.requests();
                let late = || format!("{requests:?} after {before}, and not {readings} more; {}", world.agent.log());
                if requests >= Some(before + readings) { Ok(()) } else { Err(late()) }
            };
            eventually_ok(patience(), "a lie is read", look).await;
        } else {
            for _ in 0..readings {
                self.looks("meanwhile").await;
            }
        }
        let meanwhile = if is_held { self.happens_meanwhile(job, dice).await } else { "nothing".to_owned() };
        self.looks(&meanwhile).await;
        self.looks_later("while a source lies").await;
        self.world.lock().await.jobs[job].tells(false).await;
        format!("{told}, meanwhile: {meanwhile}")
    }

    /// What is held of a job has to outlive reloads and kills. Returns what happened.
    async fn happens_meanwhile(&self, job: usize, dice: &mut Dice) -> String {
        let reload = *dice.pick(&["no reload", "another pace", "other rules"]);
        match reload {
            "another pace" => self.world.lock().await.jobs[job].changes_pace(),
            "other rules" => self.world.lock().await.changes_rules(job, dice),
            _ => {}
        }
        self.reloads().await;
        self.looks(reload).await;
        // A process that knows nothing of what was holds nothing of it.
        let is_stored = self.world.lock().await.disk_fails.is_none();
        let kill = *dice.pick(&["no kill", "a kill", "a kill for an hour"]);
        if kill == "no kill" || !is_stored {
            return reload.to_owned();
        }
        self.rests("before the kill").await;
        if kill == "a kill for an hour" {
            self.world.lock().await.jumps(3600);
        }
        self.is_killed(None).await;
        // It is read at once, and once more.
        self.rests(kill).await;
        self.rests(kill).await;
        format!("{reload}, {kill}")
    }

    async fn fails(&self, job: usize, dice: &mut Dice) -> String {
        let mut world = self.world.lock().await;
        let it = &mut world.jobs[job];
        if it.source.faults().is_empty() {
            return String::new();
        }
        let how = *dice.pick(it.source.faults());
        it.fails = true;
        it.source.fail(how, &it.has, dice).await;
        how.to_owned()
    }

    async fn flaps(&self, job: usize, dice: &mut Dice) -> String {
        let mut told = Vec::new();
        for _ in 0..3 {
            told.push(self.fails(job, dice).await);
            self.looks("meanwhile").await;
            told.push(self.heals(job, dice).await);
            self.looks("meanwhile").await;
        }
        told.join(", ")
    }

    async fn heals(&self, job: usize, dice: &mut Dice) -> String {
        let mut world = self.world.lock().await;
        let it = &mut world.jobs[job];
        if !it.is_fixed() {
            it.tells(dice.one_in(3)).await;
        }
        it.name.to_owned()
    }

    async fn toggles(&self, job: usize) -> String {
        let told = {
            let mut world = self.world.lock().await;
            let it = &mut world.jobs[job];
            let comes = it.belief.configured == Configured::No;
            if comes {
                it.belief.configured = Configured::Maybe;
                if it.is_fixed() {
                    it.tells(false).await;
                }
            } else {
                // It is out of the file, and goes with the reload.
                it.belief.forgets_holds(Instant::now());
                it.belief.configured = Configured::No;
            }
            it.is_published = false;
            let text = world.configuration();
            world.agent.write(&text);
            let it = &mut world.jobs[job];
            it.belief.configured = Configured::Maybe;
            if comes { Configured::Yes } else { Configured::No }
        };
        self.asks_for_reload().await;
        self.world.lock().await.jobs[job].belief.configured = told;
        format!("{told:?}")
    }

    /// Writes the configuration as it should be, and waits until it is in use.
    async fn reloads(&self) -> String {
        {
            let world = self.world.lock().await;
            let text = world.configuration();
            world.agent.write(&text);
        }
        self.asks_for_reload().await;
        String::new()
    }

    /// Meanwhile others look.
    async fn asks_for_reload(&self) {
        let url = self.world.lock().await.agent.url("");
        if let Err(error) = reload(&url).await {
            panic!("no reload: {error}\n{}", self.world.lock().await.agent.log());
        }
    }

    async fn is_refused(&self, dice: &mut Dice) -> String {
        let text = *dice.pick(&INVALID);
        self.world.lock().await.agent.write(text);
        let is_signalled = dice.one_in(2);
        if is_signalled {
            self.world.lock().await.agent.signal(Signal::HUP);
            let look = async || {
                let world = self.world.lock().await;
                let good = world.agent.metric("rosterd_config_last_reload_successful", "").await;
                if good > 0.0 { Err(world.agent.log()) } else { Ok(()) }
            };
            eventually_ok(patience(), &format!("{text:?} is refused"), look).await;
        } else {
            let url = self.world.lock().await.agent.url("");
            assert!(reload(&url).await.is_err(), "{text:?} is taken");
        }
        self.reloads().await;
        format!("{text:?}")
    }

    async fn is_killed(&self, damages: Option<(Stored, &mut Dice)>) -> String {
        let mut world = self.world.lock().await;
        world.agent.kill().await;
        world.memories.retain(|memory| memory.taken.elapsed() > UNTOLD);
        world.damage = None;
        world.is_killed();
        world.receiver.killed();
        if world.disk_fails.is_some() {
            world.receiver.may_lose("killed while the disk took nothing");
        }
        let mut told = String::new();
        if let Some((what, dice)) = damages
            && world.disk_fails.is_none()
        {
            let damage = damage::damage(&world.storage, what, dice);
            told = damage.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
            world.damage = damage;
            match what {
                Stored::Roster => {
                    let now = Instant::now();
                    for job in &mut world.jobs {
                        // Who knows nothing of what was holds nothing of it.
                        job.belief.forgets_holds(now);
                        if matches!(job.belief.known, Known::Since(_)) {
                            job.belief.known = Known::Maybe;
                        }
                    }
                }
                Stored::Journal => world.memories.clear(),
                Stored::Queue => world.receiver.may_lose(&told),
                Stored::Ledger => {}
            }
            told = format!("{what:?} {told}");
        }
        self.begins_again(&mut world).await;
        told
    }

    /// Something goes that has a time of grace, which may be over when the process begins again.
    async fn sleeps(&self, dice: &mut Dice) -> String {
        let gone = {
            let mut world = self.world.lock().await;
            let it = &mut world.jobs[GRACED];
            let gone = if it.is_read() { it.loses_one(dice) } else { None };
            if gone.is_some() {
                it.tells(false).await;
            }
            gone
        };
        if let Some(gone) = &gone {
            let look = async || match self.world.lock().await.agent.is_said(gone).await? {
                true => Err(format!("{gone} is there")),
                false => Ok(()),
            };
            eventually_ok(patience(), "a source is read", look).await;
            self.rests("before the kill").await;
        }
        // Or it goes on where it was.
        let seconds = i64::try_from((60 + dice.below(4000)) * dice.below(2)).expect("it is small");
        self.world.lock().await.jumps(seconds);
        self.is_killed(None).await;
        format!("{seconds:+}, gone before: {gone:?}")
    }

    /// For so long that what was shown is stored, where that works.
    async fn rests(&self, when: &str) {
        for _ in 0..5 {
            sleep(LOOKS).await;
            self.looks(when).await;
        }
    }

    /// Jobs change one after the other, and their sources cannot be read any more: who asks later is shown what was shown last.
    async fn changes_last(&self, dice: &mut Dice) -> String {
        let mut changed = Vec::new();
        for job in PLAIN {
            let mut world = self.world.lock().await;
            let it = &mut world.jobs[job];
            if it.is_read() {
                it.change(dice);
                it.tells(false).await;
                changed.push(job);
            }
        }
        // What is braked is not shown as it is said, and what was said before may be the same.
        for _ in 0..20 {
            self.looks("before the end").await;
            let world = self.world.lock().await;
            if changed.iter().all(|job| world.jobs[*job].belief.is_seen()) {
                break;
            }
            drop(world);
            sleep(LOOKS).await;
        }
        for job in &changed {
            self.fails(*job, dice).await;
        }
        format!("jobs {changed:?} changed and failed")
    }

    async fn stops(&self, dice: &mut Dice) -> String {
        let told = self.changes_last(dice).await;
        let mut world = self.world.lock().await;
        world.agent.stop().await;
        world.damage = None;
        if world.disk_fails.is_some() {
            world.is_killed();
            world.receiver.may_lose("stopped while the disk took nothing");
        }
        world.receiver.stopped();
        self.begins_again(&mut world).await;
        told
    }

    async fn begins_again(&self, world: &mut World) {
        world.begins_again();
        world.agent.again().await;
    }

    async fn disk(&self, dice: &mut Dice) -> String {
        let mut world = self.world.lock().await;
        let Some(disk) = &mut world.disk else { return "there is none of its own".to_owned() };
        let (told, fails) = match dice.below(3) {
            0 => {
                disk.full();
                ("full", true)
            }
            1 => {
                disk.read_only();
                ("read-only", true)
            }
            _ => {
                disk.works();
                ("works", false)
            }
        };
        if fails {
            world.disk_fails.get_or_insert_with(Instant::now);
            world.memories.clear();
        }
        told.to_owned()
    }

    async fn jumps(&self, dice: &mut Dice) -> String {
        let seconds = i64::try_from(1 + dice.below(4000)).expect("it is small") * if dice.one_in(2) { 1 } else { -1 };
        self.world.lock().await.jumps(seconds);
        format!("{seconds:+}")
    }

    /// Makes all well, and waits until everything is as it should be. What is braked somebody lets go of, or nobody does: then it has to be
    /// confirmed by what the sources say, where their jobs are set so.
    async fn calm(&self, dice: &mut Dice) -> String {
        self.world.lock().await.heals().await;
        let waits = !dice.one_in(3);
        let held = Shared::new(std::collections::BTreeSet::new());
        let settles = async || {
            let ((more, shown), url) = {
                let world = self.world.lock().await;
                (world.differs().await.map_err(|error| format!("{error}\n{}", world.agent.log()))?, world.agent.url(""))
            };
            // What was read, and is there all the same, is braked, and nothing but that keeps it.
            let braked = braked(&url).await?;
            for job in &more {
                if braked.iter().any(|braked| braked == job) {
                    held.lock().unwrap_or_else(PoisonError::into_inner).insert(*job);
                    let mut world = self.world.lock().await;
                    if waits && world.confirms(job) {
                        continue;
                    }
                    world.is_released(job);
                    drop(world);
                    release(&url, job).await?;
                }
            }
            if more.is_empty() {
                Ok(shown)
            } else {
                Err(format!("{more:?} show more than they should; braked are {braked:?}"))
            }
        };
        let within = if waits { CONFIRMED + patience() } else { patience() };
        let shown = eventually_ok(within, "the roster is what the sources have", settles).await;
        self.world.lock().await.is_settled(&shown);
        eventually_ok(patience(), "all is calm", async || self.world.lock().await.is_calm().await).await;
        self.world.lock().await.remembers(dice).await.unwrap_or_else(|complaint| panic!("{complaint}"));
        let (held, how) = (held.into_inner().unwrap_or_else(PoisonError::into_inner), ["let go of", "waited for"]);
        format!("{} {held:?}", how[usize::from(waits)])
    }
}

impl World {
    /// The journal leads to the roster, samples have arrived, and nothing is left of what is over.
    async fn is_calm(&mut self) -> Result<(), String> {
        let targets = self.agent.targets().await?;
        let shown: std::collections::BTreeMap<_, _> = targets
            .into_iter()
            .map(|(job, shown)| (job, shown.into_keys().collect::<std::collections::BTreeSet<_>>()))
            .collect();
        let (told, _) = self.agent.roster(None).await?;
        if told != shown {
            return Err(format!("the journal tells {told:?}, and there is {shown:?}"));
        }
        self.receiver.drained().await?;
        if let Some(damage) = &self.damage {
            damage.check(&self.agent.log())?;
            self.damage = None;
        }
        let runtime = self.agent.data("/api/v1/status/runtimeinfo").await?;
        if runtime["storageFailures"].as_array().is_some_and(|failures| !failures.is_empty()) {
            return Err(format!("the storage fails: {runtime}"));
        }
        let costs = self.agent.costs().await?;
        let before = *self.costs.get_or_insert(costs);
        let is_more = costs.tasks > before.tasks + LEFT || costs.descriptors > before.descriptors + LEFT;
        if is_more || costs.memory_mib > before.memory_mib + MEMORY_MIB {
            return Err(format!("{costs:?} after {before:?}"));
        }
        if self.memories.len() < MEMORIES {
            let at = runtime["serverTime"].as_str().unwrap_or_default().to_owned();
            // That a clock was set back is seen within seconds.
            let (told, is_complete) = self.agent.roster(Some(&at)).await?;
            if told != shown || !is_complete {
                let told = format!("of {at}, which is now, the journal tells {told:?} (complete: {is_complete})");
                return Err(format!("{told}, and there is {shown:?}\n{}", self.agent.log()));
            }
            self.memories.push(Memory { at, taken: Instant::now(), roster: shown });
        }
        Ok(())
    }

    /// The journal tells of a former time of calm what there was.
    async fn remembers(&mut self, dice: &mut Dice) -> Result<(), String> {
        if self.memories.is_empty() {
            return Ok(());
        }
        let memory = &self.memories[dice.below(self.memories.len())];
        let (told, is_complete) = self.agent.roster(Some(&memory.at)).await?;
        if told == memory.roster && is_complete {
            return Ok(());
        }
        Err(format!(
            "of {} the journal tells {told:?} (complete: {is_complete}), and there was {:?}",
            memory.at, memory.roster
        ))
    }

    async fn end(mut self) {
        self.agent.stop().await;
        for job in self.jobs {
            job.source.finish().await;
        }
        self.receiver.finish().await;
    }
}
