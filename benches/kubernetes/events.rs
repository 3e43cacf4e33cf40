//! What happens in the cluster, so many times a second.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rosterd_testkit::FakeApiServer;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};

use super::cluster::{self, Size};

/// A change that can be seen from outside: in this round, of this one of the marked pods, at this time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) round: usize,
    pub(super) pod: usize,
    /// Microseconds since 1970.
    pub(super) at: u64,
}

/// How far it has come.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Rounds that were begun; each is an event.
    pub(super) rounds: usize,
    /// Whether more are to come.
    pub(super) goes_on: bool,
    pub(super) marks: Vec<Mark>,
}

/// The time, in microseconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Makes so many events a second for this time. Of ten events one changes a pod that is marked, so that its target changes; one is
/// a node that lives, one an endpoint that is ready or not, and seven are pods that are ready or not, of which next to none are
/// wanted.
pub(super) async fn happen(
    server: Arc<FakeApiServer>,
    size: Size,
    rate: usize,
    time: Duration,
    progress: Arc<Mutex<Progress>>,
) {
    let lock = || progress.lock().unwrap_or_else(PoisonError::into_inner);
    let (began, first) = (Instant::now(), lock().rounds);
    let count = rate * usize::try_from(time.as_secs()).unwrap_or(usize::MAX);
    for number in 0..count {
        sleep_until(began + Duration::from_secs_f64(number as f64 / rate as f64)).await;
        let round = first + number + 1;
        // Somewhere else each time, and the same in each run.
        let somewhere = round * 7919;
        let ready = !(round / 10).is_multiple_of(2);
        match round % 10 {
            0 => {
                let marked = cluster::marked(round / 10 % size.marked());
                let object = cluster::pod(marked, size, true, round);
                lock().marks.push(Mark { round, pod: marked, at: now() });
                server.put(object);
            }
            1 => server.put(cluster::node(somewhere % size.nodes, round)),
            2 => server.put(cluster::slice(somewhere % size.services, size, ready)),
            _ => {
                let pod = somewhere % size.pods;
                // The round of one that is marked must not be turned back.
                let pod = if cluster::is_marked(pod) { pod - 1 } else { pod };
                server.put(cluster::pod(pod, size, ready, round));
            }
        }
        lock().rounds = round;
    }
    lock().goes_on = false;
}
