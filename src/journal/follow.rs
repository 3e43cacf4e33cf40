//! The task that keeps the journal: follows roster and providers, takes notes, and writes in batches.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use rosterd_discovery::ProviderStatus;
use rosterd_journal::{Fault, Kind, Note, Past, Reader, Settings, Time, Writer};
use rosterd_model::{Report, counted};
use rosterd_tasks::{Stopper, blocking};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::beginning::{Before, Beginning, Cause, DAMAGED, OFF};
use super::disk::{Disk, Roster, now, targets};
use super::down::WereDown;
use super::handle::{COUNTED, Failing, JournalHandle};
use super::lost::Lost;
use super::metrics::Metrics;
use super::opened::Opened;
use super::providers::Known;
use crate::roster::RosterHandle;
use crate::roster::step::{RosterNews, Step};
use crate::roster::view::RosterView;
use crate::store::Loss;

/// How long an event waits for others to be written with it.
const TOGETHER: Duration = Duration::from_millis(500);
/// How often providers are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How long a disk that failed is left alone.
const PAUSE: Duration = Duration::from_secs(30);
/// How many notes wait while something is written, and as many turns of targets.
const WAITING: usize = 4096;
/// A step with more changes is taken on a thread that may block, and written while it is. What is taken here is written when all of it is
/// there.
const FEW: usize = 500;

/// Lists the providers as they are; does not block.
pub type ListProviders = Arc<dyn Fn() -> Vec<ProviderStatus> + Send + Sync>;

/// Starts the journal.
#[derive(Debug)]
pub struct Journal;

impl Journal {
    /// Spawns the task of a journal on `stopper`. It is kept in `folder` or, without one, in memory; not at all as long as
    /// there are no settings. A disk that does not work is told, and tried again. A panic begins it anew from what is written.
    /// Where the store has `lost` what was in it, it says so: why targets are gone that it knows.
    pub fn start(
        stopper: &Stopper,
        roster: &RosterHandle,
        folder: Option<PathBuf>,
        settings: Option<Settings>,
        providers: ListProviders,
        lost: Option<Loss>,
        metrics: Metrics,
    ) -> JournalHandle {
        let (notes, noted) = mpsc::channel(WAITING);
        let (turns, turned) = mpsc::channel(WAITING);
        let settings = watch::Sender::new(settings);
        let (readers, reader) = watch::channel(None);
        let (written, seen) = watch::channel(0);
        let (failing, failed) = watch::channel(None);
        let handle = JournalHandle::new(notes, turns, settings, reader, seen, failed);
        let settings = handle.settings.subscribe();
        let shared = Arc::new(Shared {
            roster: roster.clone(),
            folder,
            providers,
            lost,
            metrics,
            missed: Arc::clone(&handle.missed),
            were_down: handle.were_down.clone(),
            readers,
            written,
            failing,
            sources: Mutex::new(Sources { notes: noted, turns: turned, wanted: settings, cause: Cause::Start }),
        });
        let stop = stopper.token().clone();
        stopper.spawn_restarting("journal", move || keep(Arc::clone(&shared), stop.clone()));
        handle
    }
}

/// What is told besides the roster.
type Notes = mpsc::Receiver<(Time, Note)>;
/// How the journal is to be kept.
type Wanted = watch::Receiver<Option<Settings>>;

/// Where news come from.
struct Sources {
    notes: Notes,
    turns: Notes,
    wanted: Wanted,
    /// Why it begins when it begins next.
    cause: Cause,
}

/// What outlives a panic.
struct Shared {
    roster: RosterHandle,
    folder: Option<PathBuf>,
    providers: ListProviders,
    lost: Option<Loss>,
    metrics: Metrics,
    missed: Arc<std::sync::atomic::AtomicU64>,
    were_down: WereDown,
    readers: watch::Sender<Option<Reader>>,
    written: watch::Sender<u64>,
    failing: watch::Sender<Option<Failing>>,
    sources: Mutex<Sources>,
}

impl Shared {
    /// What the store has lost. One that was not there has lost nothing where the journal knows of no target.
    fn lost(&self, past: Option<&Past>) -> Option<&Loss> {
        let had_any = past.is_some_and(|past| past.sizes().any(|(_, targets)| targets > 0));
        self.lost.as_ref().filter(|lost| had_any || **lost != Loss::Missing)
    }

    /// That the disk failed, perhaps again.
    fn fails(&self, report: Report) {
        self.failing.send_modify(|failing| {
            let since = failing.as_ref().map_or_else(SystemTime::now, |before| before.since);
            *failing = Some(Failing { report, since });
        });
    }
}

async fn keep(shared: Arc<Shared>, stop: CancellationToken) {
    let mut sources = shared.sources.lock().await;
    loop {
        let settings = *sources.wanted.borrow_and_update();
        let ended = match settings {
            Some(settings) => {
                // Unless it comes to an end, it panics.
                let cause = std::mem::replace(&mut sources.cause, Cause::Failure);
                let mut keeper = Keeper::open(Arc::clone(&shared), settings, cause).await;
                let ended = keeper.run(&stop, &mut sources).await;
                keeper.close(ended).await;
                ended
            }
            None => tokio::select! {
                biased;
                () = stop.cancelled() => Ended::Stopped,
                changed = sources.wanted.changed() => if changed.is_ok() { Ended::Off } else { Ended::Stopped },
            },
        };
        sources.cause = Cause::Off;
        if ended == Ended::Stopped {
            return;
        }
    }
}

/// Why nothing more is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Stopped,
    Off,
}

struct Keeper {
    shared: Arc<Shared>,
    settings: Settings,
    /// Away while it is on another thread.
    disk: Option<Disk>,
    /// The folder could not be opened: memory stands in for it.
    unopened: bool,
    /// How the roster was last, as long as it was not compared with how it is.
    past: Option<Past>,
    /// What it knew that was lost with the store, as long as the sources have not answered.
    lost: Lost,
    begun: bool,
    beginning: Beginning,
    roster: Roster,
    providers: Known,
    flush_at: Option<Instant>,
    look_at: Instant,
    retry_at: Instant,
}

impl Keeper {
    async fn open(shared: Arc<Shared>, settings: Settings, cause: Cause) -> Self {
        let (folder, metrics) = (shared.folder.clone(), shared.metrics.clone());
        let were_down = shared.were_down.clone();
        let opened = move || {
            let opened = Opened::of(folder.as_deref(), settings);
            if cause == Cause::Start {
                // Where that cannot be read, nothing is known of it.
                were_down.set(opened.writer.reader().down(COUNTED).unwrap_or_default());
            }
            opened
        };
        let opened = blocking(opened).await;
        let Opened { writer, found, failure, last } = opened;
        let unopened = failure.is_some();
        if let Some(error) = failure {
            let (error, read) = (Report::of(&error), found.is_some());
            warn!(%error, code = error.code, read, "cannot open the journal, keeping it in memory until that works");
            metrics.failures.inc();
            shared.fails(error);
        }
        let mut keeper = Self {
            shared,
            settings,
            disk: None,
            unopened,
            past: None,
            lost: Lost::default(),
            begun: false,
            beginning: Beginning::new(cause, now(), last.as_ref()),
            roster: Roster::new(),
            providers: Known::default(),
            flush_at: None,
            look_at: Instant::now() + LOOK,
            retry_at: Instant::now() + PAUSE,
        };
        let (past, faults) = found.map(|found| (found.past, found.faults)).unwrap_or_default();
        keeper.past = past;
        keeper.tell(faults);
        keeper.set_writer(writer);
        if let Some((last, before)) = last.zip(keeper.beginning.before).filter(|_| cause == Cause::Start) {
            let last = last.time;
            match before {
                Before::Stopped => info!(%last, "rosterd ran before, and ended in order"),
                Before::Killed => warn!(%last, "rosterd ran before, and was killed, or the machine failed"),
            }
        }
        keeper.tell_beginning();
        keeper
    }

    /// Says first why it begins: what happens before the roster is known stands behind that.
    fn tell_beginning(&mut self) {
        for (time, note) in self.beginning.notes(now(), self.shared.lost(self.past.as_ref())) {
            self.disk().push(time, &note);
        }
    }

    fn set_writer(&mut self, writer: Writer) {
        self.shared.metrics.observe(&writer.reader());
        self.shared.readers.send_replace(Some(writer.reader()));
        self.disk = Some(Disk::new(writer, self.shared.were_down.clone(), self.shared.metrics.clone()));
    }

    fn disk(&mut self) -> &mut Disk {
        self.disk.as_mut().expect("it comes back before anything else is done")
    }

    /// Does something that blocks.
    async fn aside<T: Send + 'static>(&mut self, work: impl FnOnce(&mut Disk) -> T + Send + 'static) -> T {
        let mut disk = self.disk.take().expect("it comes back before anything else is done");
        let (disk, made) = blocking(move || {
            let made = work(&mut disk);
            (disk, made)
        })
        .await;
        self.disk = Some(disk);
        made
    }

    async fn run(&mut self, stop: &CancellationToken, sources: &mut Sources) -> Ended {
        let Sources { notes, turns, wanted, .. } = sources;
        let mut steps = self.shared.roster.steps();
        loop {
            // Before the roster is known nothing is written: a segment would begin without what the journal knows of it.
            let is_full = self.disk().is_full();
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ended::Stopped,
                changed = wanted.changed() => {
                    let settings = *wanted.borrow_and_update();
                    let Some(settings) = settings.filter(|_| changed.is_ok()) else { return Ended::Off };
                    self.settings = settings;
                    self.aside(move |disk| disk.writer.set(settings, now())).await;
                }
                () = until(self.flush_at), if self.begun => self.flush().await,
                news = steps.next() => match news {
                    Some(RosterNews::Picture(view)) if view.step() == 0 => {}
                    Some(RosterNews::Picture(view)) => {
                        self.take_picture(&view).await;
                        self.tell_lost();
                    }
                    // What the journal knows has to be compared with all of the roster once.
                    Some(RosterNews::Step(_)) if !self.begun => steps = self.shared.roster.steps(),
                    Some(RosterNews::Step(step)) => {
                        self.take_step(step).await;
                        self.tell_lost();
                    }
                    None => return Ended::Stopped,
                },
                Some((time, note)) = notes.recv(), if self.begun || !is_full => self.take_note(time, &note).await,
                Some((time, note)) = turns.recv(), if self.begun || !is_full => self.take_note(time, &note).await,
                () = tokio::time::sleep_until(self.look_at) => self.look().await,
            }
            if self.begun && self.disk().is_full() {
                self.flush().await;
            } else if self.disk().is_waiting() && self.flush_at.is_none() {
                self.flush_at = Some(Instant::now() + TOGETHER);
            }
        }
    }

    /// Takes the roster as it is, in place of steps that were missed, or of what a process before this one knew.
    async fn take_picture(&mut self, view: &RosterView) {
        let roster: Roster = view.jobs().map(|job| (Arc::clone(&job.spec().name), Arc::clone(job))).collect();
        let before = std::mem::replace(&mut self.roster, roster.clone());
        if !self.begun {
            return self.begin().await;
        }
        self.shared.metrics.caught_up.inc();
        self.aside(move |disk| {
            disk.catch_up(&before, &roster, "caught_up");
            drop((before, roster));
        })
        .await;
    }

    /// Says what is gone that nothing holds, as the store has lost it.
    fn tell_lost(&mut self) {
        for unheld in self.lost.compare(&self.roster) {
            let (job, before, targets) = (&*unheld.job, unheld.before, unheld.targets);
            warn!(
                job,
                before,
                targets,
                "so many targets are gone with what was stored of them that their removal would be held, had it been known"
            );
            self.disk().push(now(), &unheld.note());
        }
    }

    /// Begins with what the journal knows, and says what else is now.
    async fn begin(&mut self) {
        self.begun = true;
        let (past, roster) = (self.past.take(), self.roster.clone());
        let reason = self.beginning.reason(past.is_some(), self.shared.lost(past.as_ref()).is_some());
        let cause = self.beginning.cause;
        if reason == DAMAGED {
            self.lost = past.as_ref().map(Lost::of).unwrap_or_default();
        }
        if !self.unopened {
            self.beginning.started = None;
        }
        self.aside(move |disk| {
            let past = past.unwrap_or_default();
            if disk.writer.is_due(now()) {
                let known = || past.iter();
                // What was there before what waits already; that of a disk that works again is told anew, as of now.
                let then = disk.waits_since().filter(|_| cause != Cause::Disk).unwrap_or_else(now);
                disk.begin(then, || known().map(|(job, labels, held)| rosterd_journal::Target { job, labels, held }));
            }
            disk.catch_up_from(&past, &roster, reason);
            drop((past, roster));
        })
        .await;
    }

    async fn take_step(&mut self, step: Arc<Step>) {
        let mut replaced = Vec::new();
        for job in &step.jobs {
            replaced.extend(match &job.view {
                Some(view) => self.roster.insert(Arc::clone(&job.name), Arc::clone(view)),
                None => self.roster.remove(&job.name),
            });
        }
        let changed: usize = step.jobs.iter().flat_map(|job| &job.sources).map(|source| source.differences.len()).sum();
        if changed <= FEW {
            self.disk().take_step(&step, None);
        } else {
            let (roster, taken) = (self.roster.clone(), Arc::clone(&step));
            self.aside(move |disk| disk.take_step(&taken, Some(&roster))).await;
        }
        step.let_go(replaced).await;
    }

    async fn take_note(&mut self, time: Time, note: &Note) {
        // A configuration without jobs makes no step.
        if !self.begun && note.kind == Kind::Reloaded {
            self.begin().await;
        }
        self.disk().push(time, note);
    }

    /// Looks at what has no news of its own: providers, what was missed, damage that readers met, a disk that failed.
    async fn look(&mut self) {
        self.look_at = Instant::now() + LOOK;
        if self.begun {
            self.disk().see_clock();
            self.aside(|disk| disk.writer.prune(now())).await;
            let view = self.shared.roster.view();
            for note in self.providers.look(&(self.shared.providers)(), &view) {
                self.disk().push(now(), &note);
            }
        }
        let missed = self.shared.missed.swap(0, Ordering::Relaxed);
        if missed > 0 {
            self.shared.metrics.missed.inc_by(missed);
            let many = counted(usize::try_from(missed).unwrap_or(usize::MAX), "event");
            let detail = Some(format!("{many} came faster than could be written").into());
            self.disk().push(now(), &Note { detail, ..Note::of(Kind::Missed) });
        }
        let faults = self.disk().writer.reader().take_faults();
        self.tell(faults);
        if self.begun && Instant::now() >= self.retry_at && (self.unopened || self.disk().writer.is_makeshift()) {
            self.retry_at = Instant::now() + PAUSE;
            self.try_disk().await;
        }
    }

    async fn try_disk(&mut self) {
        self.flush().await;
        if !self.unopened {
            let roster = self.roster.clone();
            self.aside(move |disk| disk.begin(now(), || targets(&roster))).await;
            return self.told();
        }
        let Some(folder) = self.shared.folder.clone() else { return };
        let settings = self.settings;
        let opened = blocking(move || Writer::open(&folder, settings, now())).await;
        let (writer, found) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.shared.metrics.failures.inc();
                return self.shared.fails(Report::of(&error));
            }
        };
        info!("the journal is on disk again");
        self.unopened = false;
        self.shared.failing.send_replace(None);
        self.tell(found.faults);
        self.past = found.past;
        // Nothing that was told of them is in this one.
        self.providers = Known::default();
        self.set_writer(writer);
        self.beginning.cause = Cause::Disk;
        self.tell_beginning();
        self.begin().await;
    }

    /// Writes what waits.
    async fn flush(&mut self) {
        self.flush_at = None;
        if self.disk().is_waiting() {
            let roster = self.roster.clone();
            self.aside(move |disk| disk.flush(&roster)).await;
            self.told();
        }
    }

    /// Makes known what was written, and how that went.
    fn told(&mut self) {
        let reader = self.disk().writer.reader();
        let is_failing = self.shared.failing.borrow().is_some();
        match self.disk().failure.take() {
            Some(error) => {
                let error = Report::of(&error);
                if !is_failing {
                    warn!(%error, code = error.code, "cannot write the journal, keeping it in memory until that works");
                    self.retry_at = Instant::now() + PAUSE;
                }
                self.shared.fails(error);
            }
            None if is_failing && !self.unopened && !self.disk().writer.is_makeshift() => {
                info!("the journal is on disk again");
                self.shared.failing.send_replace(None);
            }
            None => {}
        }
        self.shared.metrics.observe(&reader);
        self.shared.written.send_replace(reader.last().unwrap_or_default());
    }

    fn tell(&self, faults: Vec<Fault>) {
        for Fault { path, what, offset, bytes } in faults {
            self.shared.metrics.faults.inc();
            let file = path.display();
            warn!(%file, offset, bytes, what, code = "journal_damaged", "a part of the journal cannot be used");
        }
    }

    /// Says how it ends, and writes what waits; what was written outlives the machine too.
    async fn close(mut self, ended: Ended) {
        if self.begun {
            let last = match ended {
                Ended::Stopped => Note::of(Kind::Stopped),
                Ended::Off => {
                    let detail = Some("the journal is off from now on".into());
                    Note { reason: Some(OFF.into()), detail, ..Note::of(Kind::Missed) }
                }
            };
            self.disk().push(now(), &last);
            self.flush().await;
        }
        if let Some(disk) = self.disk.take() {
            blocking(move || disk.writer.close()).await;
        }
        // What is not kept does not fail.
        self.shared.failing.send_replace(None);
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
