//! Sessions at ensembles: one for all discoverers that ask the same servers.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rosterd_discovery::{MechanismShared, System};
use rosterd_tasks::Stopper;
use spawns_core::{Spawn, Task};
use tokio_util::sync::CancellationToken;
use zookeeper_client::{Client, Error as Cause};

use crate::error::ZookeeperError;

/// How long a session may take to take its leave when the agent ends. One that is lost knows nobody to take it of.
const LEAVE: Duration = Duration::from_secs(1);

/// Whom to ask, and how long a session lives that is not heard of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ensemble {
    /// `host:port` of each.
    pub(crate) servers: Vec<String>,
    pub(crate) timeout: Duration,
}

impl Ensemble {
    /// What it is called, in errors and by the client.
    pub(crate) fn name(&self) -> Arc<str> {
        self.servers.join(",").into()
    }
}

/// All sessions of a mechanism. A session ends with the last discoverer that uses it.
#[derive(Debug)]
pub struct Sessions {
    owner: Stopper,
    open: Mutex<BTreeMap<Ensemble, Arc<Seat>>>,
}

/// Where the session of an ensemble is, or comes to be: one at a time opens it.
type Seat = tokio::sync::Mutex<Weak<Session>>;

/// An open session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Client,
    /// Fires when nothing serves it any more.
    pub(crate) ended: CancellationToken,
}

impl MechanismShared for Sessions {
    fn start(owner: &Stopper, _: &System) -> Self {
        Self { owner: owner.clone(), open: Mutex::default() }
    }
}

impl Sessions {
    /// The session at this ensemble, which is opened if there is none.
    pub(crate) async fn get(&self, ensemble: &Ensemble) -> Result<Arc<Session>, ZookeeperError> {
        let seat = self.seat(ensemble);
        let mut seat = seat.lock().await;
        if let Some(session) = seat.upgrade().filter(|session| session.is_open()) {
            return Ok(session);
        }
        let servers = ensemble.name();
        let ended = CancellationToken::new();
        let connector = Client::connector().with_session_timeout(ensemble.timeout).with_fail_eagerly();
        let owner = Owner { stopper: self.owner.clone(), servers: Arc::clone(&servers), ended: ended.clone() };
        let opened = owner.owning(connector.connect(&servers)).await;
        let client = opened.map_err(|cause: Cause| ZookeeperError::of_session(&servers, cause))?;
        let session = Arc::new(Session { client, ended });
        *seat = Arc::downgrade(&session);
        Ok(session)
    }

    fn seat(&self, ensemble: &Ensemble) -> Arc<Seat> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seat) = open.get(ensemble) {
            return Arc::clone(seat);
        }
        // Those that nobody uses any more go when another comes.
        open.retain(|_, seat| Arc::strong_count(seat) > 1 || seat.try_lock().is_ok_and(|seat| seat.strong_count() > 0));
        let seat = Arc::<Seat>::default();
        open.insert(ensemble.clone(), Arc::clone(&seat));
        seat
    }
}

impl Session {
    /// Whether it can be asked, now or when its connection is back.
    pub(crate) fn is_open(&self) -> bool {
        !self.ended.is_cancelled() && !self.client.state().is_terminated()
    }
}

/// Owns what the client spawns: a task with a name, like all others.
struct Owner {
    stopper: Stopper,
    servers: Arc<str>,
    ended: CancellationToken,
}

impl Owner {
    /// Runs a future; what it spawns belongs to this owner.
    async fn owning<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        poll_fn(|cx| {
            let _scope = spawns_core::enter(self);
            future.as_mut().poll(cx)
        })
        .await
    }
}

impl Spawn for Owner {
    fn spawn(&self, task: Task) {
        let (served, stop) = (Box::into_pin(task.future), self.stopper.token().clone());
        let ended = self.ended.clone().drop_guard();
        self.stopper.spawn_expendable(("zookeeper session", &self.servers), async move {
            let _ended = ended;
            tokio::select! {
                biased;
                () = served => {}
                () = async {
                    stop.cancelled().await;
                    tokio::time::sleep(LEAVE).await;
                } => {}
            }
        });
    }
}
