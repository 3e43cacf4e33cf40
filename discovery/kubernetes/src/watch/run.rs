//! The I/O of a watch: asks what the machine says, and takes in what comes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLockWriteGuard};
use std::time::Duration;

use http::{HeaderMap, header};
use rosterd_tasks::Machine as OnMachine;
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::machine::{Ask, Cause, Machine, Step, What};
use super::{Notices, Watched};
use crate::codec::Str;
use crate::error::{Malformed, SharedError, WatchError};
use crate::metrics::KubernetesMetrics;
use crate::objects::Endpoints;
use crate::resource::{Resource, WatchKey};
use crate::store::{Change, Key, Store};
use crate::stream::{Event, EventKind, Items, Lines, ListMeta, Piece, Status};
use crate::transport::{Answer, Body, Transport};

/// How long a watch that nobody uses goes on: a reload stops one user before another begins.
const LINGER: Duration = Duration::from_secs(60);
/// How long an answer may take to begin.
const HEAD: Duration = Duration::from_secs(60);
/// More of a refusal is not read.
const LARGEST_REFUSAL: usize = 64 << 10;

/// The watches of a cluster. Their state is locked after this, never before.
pub(crate) type Watches = Arc<Mutex<HashMap<WatchKey, Arc<Watched>>>>;

/// What a watch runs with.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) watched: Arc<Watched>,
    /// All of the cluster, this one among them.
    pub(crate) beside: Watches,
    pub(crate) transport: Arc<dyn Transport>,
    /// Whether the server streams lists, as far as its watches know.
    pub(crate) streams: Arc<AtomicBool>,
    /// What was told of the cluster.
    pub(crate) notices: Arc<Notices>,
    pub(crate) metrics: KubernetesMetrics,
    pub(crate) on: OnMachine,
}

/// Watches until it is stopped, or nobody has used it for a while.
pub(crate) async fn run(running: &Running, stop: &CancellationToken) {
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = running.watched.idle_for(LINGER) => {}
        () = running.follow() => {}
    }
}

impl Running {
    async fn follow(&self) {
        // After a panic, what is known may be half of something.
        self.watched.forget().await;
        let resource = self.watched.key().resource.plural();
        let cause = if self.watched.health().forgotten > 1 { Cause::Restarted } else { Cause::Start };
        let mut machine = self.machine(cause);
        loop {
            let ask = machine.ask();
            let attempt = async {
                sleep(ask.pause).await;
                self.attempt(&mut machine, &ask).await
            };
            let came = tokio::select! {
                biased;
                () = self.watched.outdated() => None,
                came = attempt => Some(came),
            };
            let Some(came) = came else {
                self.watched.forget().await;
                machine = self.machine(Cause::Joined);
                continue;
            };
            self.streams.fetch_and(machine.streams(), Ordering::Relaxed);
            let error = match came {
                Ok(()) => continue,
                Err(Failure::Told(error)) => error,
                Err(Failure::Untold(error)) => {
                    machine.failed(ask.what, &error);
                    error
                }
            };
            self.metrics.failures.with_label_values(&[resource]).inc();
            self.watched.failed(SharedError(Arc::new(error)), machine.pause());
        }
    }

    fn machine(&self, cause: Cause) -> Machine {
        Machine::new(self.watched.key().clone(), self.streams.load(Ordering::Relaxed), self.on, cause)
    }

    /// All is known: who uses a watch that this one covers may come over.
    fn offer(&self) {
        let key = self.watched.key();
        let beside = self.beside.lock().unwrap_or_else(PoisonError::into_inner);
        let covered = beside.values().filter(|other| other.key() != key && key.covers(other.key()));
        covered.for_each(|other| other.ring());
    }

    /// Asks once, and takes in the answer to its end.
    async fn attempt(&self, machine: &mut Machine, ask: &Ask) -> Result<(), Failure> {
        let key = self.watched.key();
        let (what, began) = (ask.what, Instant::now());
        let parameters: Vec<_> = ask.parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let path = key.path(&parameters);
        debug!(watch = %key, path, "asking the API server");
        let unreachable = |source| WatchError::Unreachable { verb: what.verb(), key: key.clone(), source };
        let answer = timeout(HEAD, self.transport.get(&path, ask.time)).await;
        let answer = answer.map_err(|_| WatchError::Silent { key: key.clone(), silence: HEAD })?;
        let Answer { status, headers, mut body } = answer.map_err(|error| error.of(what.verb(), key))?;
        self.notices.of_answer(key, &headers, |text| body.hide(text));
        if !status.is_success() {
            return self.refused(machine, what, status.as_u16(), retry_after(&headers), &mut *body).await;
        }
        self.watched.hear();
        if what.begins_list() {
            self.watched.list_begins(machine.cause());
        } else if what == What::Watch {
            self.metrics.restarts.with_label_values(&[key.resource.plural()]).inc();
            self.watched.is_well();
        }
        let mut taking = Taking::new(self, what);
        loop {
            let silence = machine.silence();
            let chunk = timeout(silence, body.chunk()).await;
            let chunk = chunk.map_err(|_| WatchError::Silent { key: key.clone(), silence })?.map_err(unreachable)?;
            let Some(chunk) = chunk else { break };
            self.watched.hear();
            taking.take(machine, &chunk)?;
        }
        match taking.page() {
            Some(meta) => {
                if machine.page(meta)? == Step::Listed {
                    let mut store = self.watched.store_mut();
                    taking.listed(&mut store);
                    taking.tell(store);
                }
                Ok(())
            }
            None => machine.ended(what, began.elapsed()).map_err(Failure::Told),
        }
    }

    async fn refused(
        &self,
        machine: &mut Machine,
        what: What,
        code: u16,
        wait: Option<Duration>,
        body: &mut dyn Body,
    ) -> Result<(), Failure> {
        let mut text = Vec::new();
        // What cannot be read of a refusal is not needed.
        while text.len() < LARGEST_REFUSAL
            && let Ok(Ok(Some(chunk))) = timeout(machine.silence(), body.chunk()).await
        {
            text.extend_from_slice(&chunk);
        }
        let said = Status::of_body(code, &text);
        let said = Status { message: body.hide(&said.message), ..said };
        machine.refused(what, said, wait).map_or(Ok(()), |error| Err(Failure::Told(error)))
    }
}

/// What an answer has come to so far.
struct Taking<'r> {
    running: &'r Running,
    what: What,
    items: Items,
    lines: Lines,
    /// What a list says of itself.
    meta: ListMeta,
    changed: Vec<Key>,
    /// Whether the list became whole.
    listed: bool,
}

impl<'r> Taking<'r> {
    fn new(running: &'r Running, what: What) -> Self {
        let (items, lines) = (Items::default(), Lines::default());
        Self { running, what, items, lines, meta: ListMeta::default(), changed: Vec::new(), listed: false }
    }

    /// Takes a piece of the answer in, and tells who uses the watch.
    fn take(&mut self, machine: &mut Machine, chunk: &[u8]) -> Result<(), Failure> {
        let mut store = self.running.watched.store_mut();
        let taken = if self.what.is_page() {
            let mut items = std::mem::take(&mut self.items);
            let taken = items.push(chunk, |piece| self.piece(&mut store, piece));
            self.items = items;
            taken
        } else {
            let mut lines = std::mem::take(&mut self.lines);
            let taken = lines.push(chunk, |line| self.line(&mut store, machine, line));
            self.lines = lines;
            taken
        };
        self.running.watched.count(&store);
        self.tell(store);
        match taken {
            Ok(()) | Err(Refused::Said(None)) => Ok(()),
            Err(Refused::Said(Some(error))) => Err(Failure::Told(error)),
            Err(Refused::Malformed(source)) => {
                Err(WatchError::Malformed { key: self.running.watched.key().clone(), source }.into())
            }
        }
    }

    /// A piece of a list.
    fn piece(&mut self, store: &mut Store, piece: Piece<'_>) -> Result<(), Refused> {
        match piece {
            Piece::Metadata(json) => self.meta = serde_json::from_slice(json).map_err(Malformed::Json)?,
            Piece::Object(json) => {
                self.object(store, json)?;
            }
        }
        Ok(())
    }

    /// An event.
    fn line(&mut self, store: &mut Store, machine: &mut Machine, line: &[u8]) -> Result<(), Refused> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let event = Event::read(line).map_err(Malformed::Json)?;
        self.running.metrics.event(store.resource(), event.kind);
        match event.kind {
            EventKind::Added | EventKind::Modified => {
                let version = self.object(store, &event.object)?;
                machine.event(&version);
            }
            EventKind::Deleted => {
                let Named { metadata: Name { namespace, name, resource_version } } =
                    serde_json::from_slice(&event.object).map_err(Malformed::Json)?;
                if store.remove(&namespace, &name) == Change::Removed {
                    self.changed.push(Key::new(&namespace, &name));
                }
                machine.event(&resource_version);
            }
            EventKind::Bookmark => {
                let meta = ListMeta::of_bookmark(&event.object).map_err(Malformed::Json)?;
                if machine.bookmark(&meta) == Step::Listed {
                    self.listed(store);
                }
            }
            EventKind::Error => {
                let status: Status = serde_json::from_slice(&event.object).map_err(Malformed::Json)?;
                return Err(Refused::Said(machine.refused(self.what, status, None)));
            }
            EventKind::Unknown => {}
        }
        Ok(())
    }

    /// An object. Returns its version.
    fn object(&mut self, store: &mut Store, json: &[u8]) -> Result<String, Refused> {
        let before = self.changed.len();
        let changed = &mut self.changed;
        let taken = store.take(json, |change, key, version| {
            if change != Change::None {
                changed.push(key());
            }
            version.to_owned()
        });
        if self.running.watched.key().resource == Resource::Endpoints
            && let [key] = &self.changed[before..]
            && let Some(endpoints) = store.get::<Endpoints<'_>>(&key.namespace, &key.name)
        {
            self.running.notices.of_endpoints(&endpoints);
        }
        match taken {
            // One object that is not as it should be costs no other.
            Err(error) if error.is_of_one_object() => {
                warn!(watch = %self.running.watched.key(), %error, "left an object out");
                Ok(String::new())
            }
            taken => Ok(taken.map_err(Malformed::Object)?),
        }
    }

    /// The list is whole: what did not come is gone.
    fn listed(&mut self, store: &mut Store) {
        let changed = &mut self.changed;
        store.end_list(|key| changed.push(key));
        self.listed = true;
        self.running.watched.count(store);
    }

    /// Tells who uses the watch what changed: with the store in hand, so that nothing is taken for told before it was.
    fn tell(&mut self, store: RwLockWriteGuard<'_, Store>) {
        self.running.watched.changed(&std::mem::take(&mut self.changed));
        drop(store);
        if std::mem::take(&mut self.listed) {
            self.running.watched.listed();
            self.running.offer();
        }
    }

    /// What a list said of itself, once it was whole.
    fn page(&mut self) -> Option<ListMeta> {
        (self.what.is_page() && self.items.has_ended()).then(|| std::mem::take(&mut self.meta))
    }
}

/// An object that is gone.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    metadata: Name<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Name<'a> {
    #[serde(borrow)]
    namespace: Str<'a>,
    #[serde(borrow)]
    name: Str<'a>,
    #[serde(borrow)]
    resource_version: Str<'a>,
}

/// Why an attempt came to nothing.
#[derive(Debug)]
enum Failure {
    /// The machine knows.
    Told(WatchError),
    Untold(WatchError),
}

impl From<WatchError> for Failure {
    fn from(error: WatchError) -> Self {
        Self::Untold(error)
    }
}

/// Why the rest of an answer is not taken in.
enum Refused {
    /// It cannot be read.
    Malformed(Malformed),
    /// The server said so, and the machine was told. Nothing, if it has another way.
    Said(Option<WatchError>),
}

impl From<Malformed> for Refused {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(Duration::from_secs(3600)))
}
