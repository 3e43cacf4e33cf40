//! How others tell the journal what happens, and ask it what happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use rosterd_journal::{Counts, JournalError, Kind, Note, Page, Past, Query, Reader, Resume, Settings, Time};
use rosterd_model::{Labels, Report};
use rosterd_tasks::blocking;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::down::WereDown;

/// For so many questions rosters of the past are made at the same time: each takes as much memory as the roster has labels.
const REBUILT: usize = 2;

/// So many of them, if they are large, are sent to clients at the same time, which may take any time to take them.
pub const TAKEN: usize = 4;

/// How much of a journal is read to count targets, or to find those that were down: a second's work or so.
pub(super) const COUNTED: u64 = 64 << 20;

/// The journal for everybody. Cloning shares it.
#[derive(Debug, Clone)]
pub struct JournalHandle {
    /// Whatever is rare, each of which is worth more than one of the turns.
    pub(super) notes: mpsc::Sender<(Time, Note)>,
    /// Targets that went up or down, which all of them may do at once.
    pub(super) turns: mpsc::Sender<(Time, Note)>,
    pub(super) missed: Arc<AtomicU64>,
    pub(super) were_down: WereDown,
    pub(super) settings: watch::Sender<Option<Settings>>,
    pub(super) readers: watch::Receiver<Option<Reader>>,
    /// The number of the last event that was written.
    pub(super) written: watch::Receiver<u64>,
    pub(super) failing: watch::Receiver<Option<Failing>>,
    pub(super) rebuilt: Arc<Semaphore>,
    pub(super) taken: Arc<Semaphore>,
}

/// That the journal cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// What went wrong, the last time.
    pub report: Report,
    /// Since when it goes wrong each time.
    pub since: SystemTime,
}

impl JournalHandle {
    pub(super) fn new(
        notes: mpsc::Sender<(Time, Note)>,
        turns: mpsc::Sender<(Time, Note)>,
        settings: watch::Sender<Option<Settings>>,
        readers: watch::Receiver<Option<Reader>>,
        written: watch::Receiver<u64>,
        failing: watch::Receiver<Option<Failing>>,
    ) -> Self {
        let (rebuilt, taken) = (Arc::new(Semaphore::new(REBUILT)), Arc::new(Semaphore::new(TAKEN)));
        Self {
            notes,
            turns,
            missed: Arc::default(),
            were_down: WereDown::default(),
            settings,
            readers,
            written,
            failing,
            rebuilt,
            taken,
        }
    }

    /// Why the journal is not on disk where it belongs there, and since when; it is in memory meanwhile.
    pub fn failing(&self) -> Option<Failing> {
        self.failing.borrow().clone()
    }

    /// Tells that something happened now. Never waits: what there is no room for is counted, and the journal says how much that
    /// was. Turns of targets, however many, take no room from others.
    pub fn note(&self, note: Note) {
        if self.settings.borrow().is_none() {
            return;
        }
        let room = if matches!(note.kind, Kind::Up | Kind::Down) { &self.turns } else { &self.notes };
        if room.try_send((Time::from(SystemTime::now()), note)).is_err() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether it is news that a target is down, or up, which is scraped for the first time: not if the process before left it so.
    pub fn is_news(&self, job: &str, fingerprint: u64, is_down: bool) -> bool {
        self.were_down.take(job, fingerprint) != is_down
    }

    /// Keeps the journal so from now on; `None` is without one. What is there stays readable.
    pub fn set(&self, settings: Option<Settings>) {
        self.settings.send_if_modified(|known| std::mem::replace(known, settings) != settings);
    }

    fn reader(&self) -> Result<Reader, JournalError> {
        let off = self.settings.borrow().is_none();
        self.readers.borrow().clone().ok_or(JournalError::Empty { off })
    }

    /// Executes a query.
    pub async fn query(&self, query: Query) -> Result<Page, JournalError> {
        let reader = self.reader()?;
        blocking(move || reader.query(&query)).await
    }

    /// The turn to make rosters of the past, for one question. Waits for it; whoever waits is as many as there may be large answers.
    pub async fn rebuild(&self) -> Result<Rebuild, JournalError> {
        let reader = self.reader()?;
        let turn = Arc::clone(&self.rebuilt).acquire_owned().await.expect("nobody closes it");
        Ok(Rebuild { reader, turn: Arc::new(turn), taken: Arc::clone(&self.taken) })
    }

    /// How many targets each job had at these times, the first first, as far as that is known and can be found out soon; nothing
    /// before there is a journal.
    pub async fn counts(&self, times: Vec<Time>) -> Result<Vec<Counts>, JournalError> {
        let mut readers = self.readers.clone();
        let Ok(reader) = readers.wait_for(Option::is_some).await.map(|reader| reader.clone()) else {
            return Ok(Vec::new());
        };
        let turn = self.rebuilt.acquire().await;
        let found = blocking(move || reader.map_or(Ok(Vec::new()), |reader| reader.counts(&times, COUNTED))).await;
        drop(turn);
        found
    }

    /// Follows what happens by a query of the oldest first, from behind its cursor on; without one, from now on.
    pub fn follow(&self, query: Query) -> Result<Following, JournalError> {
        let reader = self.reader()?;
        let cursor = query.cursor.or_else(|| reader.last());
        let query = Query { newest_first: false, cursor, ..query };
        let (readers, written) = (self.readers.clone(), self.written.clone());
        Ok(Following { query, resume: Resume::default(), readers, written, behind: true })
    }
}

/// Makes rosters of the past. Others wait as long as it is there, so whoever holds one keeps this, and lets go of it before anybody
/// else has to be waited for.
#[derive(Debug)]
pub struct Rebuild {
    reader: Reader,
    turn: Arc<OwnedSemaphorePermit>,
    taken: Arc<Semaphore>,
}

impl Rebuild {
    /// Whether there is a place for what is made and waits for its client.
    pub fn has_place(&self) -> bool {
        self.taken.available_permits() > 0
    }

    /// Gives up the turn for one of the places of what was made and waits for its client; `None` while there is none.
    pub fn taken(self) -> Option<OwnedSemaphorePermit> {
        self.taken.try_acquire_owned().ok()
    }

    /// The roster of a time, or that of now as far as it is written: those of its targets that `wanted` means.
    pub async fn roster<T: Send + 'static>(
        &self,
        at: Option<Time>,
        wanted: impl Fn(&str, &Labels) -> bool + Send + 'static,
        make: impl FnOnce(Past) -> T + Send + 'static,
    ) -> Result<T, JournalError> {
        let (reader, turn) = (self.reader.clone(), Arc::clone(&self.turn));
        blocking(move || {
            let made = reader.at(at, wanted).map(make);
            // Also when nobody waits for it any more.
            drop(turn);
            made
        })
        .await
    }
}

/// Follows what happens. What is not asked for stays on disk, and is lost only when the journal lets it go.
#[derive(Debug)]
pub struct Following {
    query: Query,
    resume: Resume,
    readers: watch::Receiver<Option<Reader>>,
    written: watch::Receiver<u64>,
    /// Whether there may be something that was not looked at.
    behind: bool,
}

impl Following {
    /// The number of the last event that was looked at.
    pub fn cursor(&self) -> u64 {
        self.query.cursor.unwrap_or_default()
    }

    /// What happened since, which may be nothing that is wanted, only later; `None` after the journal has ended. Safe to drop at
    /// any time.
    pub async fn next(&mut self) -> Option<Result<Page, JournalError>> {
        if !self.behind {
            self.written.changed().await.ok()?;
        }
        self.behind = true;
        self.written.borrow_and_update();
        let reader = self.readers.borrow().clone()?;
        let (query, mut resume) = (self.query.clone(), self.resume.clone());
        let found = blocking(move || reader.follow(&query, &mut resume).map(|page| (page, resume))).await;
        Some(found.map(|(page, resume)| {
            (self.query.cursor, self.resume, self.behind) = (Some(page.cursor), resume, page.more);
            page
        }))
    }
}
