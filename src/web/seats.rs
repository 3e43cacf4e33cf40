//! Who is connected: so many connections at once, where the one that has rested longest makes room for a new one, and a
//! reserve for probes when all are busy.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::{IntCounterVec, Opts};
use tokio_util::sync::CancellationToken;

use super::activity::Activity;

/// How many connections there may be above the limit while all others are busy. They are for [`PROBES`].
const RESERVE: usize = 16;
/// What is answered on them, below whatever prefix: who gets no answer to these has rosterd ended.
const PROBES: [&str; 2] = ["/-/healthy", "/-/ready"];

/// The connections of a server.
#[derive(Debug)]
pub(super) struct Seats {
    limit: usize,
    taken: Mutex<TakenSeats>,
    metrics: IntCounterVec,
}

/// A resting connection was closed to make room.
const EVICTED: &str = "evicted";
/// A new connection was closed because all are busy.
const REFUSED: &str = "refused";

#[derive(Debug, Default)]
struct TakenSeats {
    next: u64,
    seats: BTreeMap<u64, Arc<Seat>>,
}

/// The place of one connection.
#[derive(Debug)]
pub(super) struct Seat {
    /// What is going on on the connection.
    pub(super) activity: Arc<Activity>,
    /// Cancelled when the connection has to make room.
    pub(super) leave: CancellationToken,
    reserved: AtomicBool,
    seats: Arc<Seats>,
}

/// Gives a seat back.
#[derive(Debug)]
pub(super) struct Seated {
    pub(super) seat: Arc<Seat>,
    number: u64,
}

impl Drop for Seated {
    fn drop(&mut self) {
        self.seat.seats.taken().seats.remove(&self.number);
    }
}

impl Seats {
    pub(super) fn new(limit: usize) -> Self {
        let opts = Opts::new(
            "rosterd_http_connections_closed_total",
            "Connections that were closed for want of room, by reason.",
        );
        let metrics = IntCounterVec::new(opts, &["reason"]).expect("the name and the label are good");
        for reason in [EVICTED, REFUSED] {
            metrics.with_label_values(&[reason]);
        }
        Self { limit, taken: Mutex::default(), metrics }
    }

    /// How many connections were closed for want of room.
    pub(super) fn metrics(&self) -> &IntCounterVec {
        &self.metrics
    }

    fn taken(&self) -> MutexGuard<'_, TakenSeats> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seat for a new connection; `None` when even the reserve is busy.
    pub(super) fn take(self: &Arc<Self>) -> Option<Seated> {
        let mut taken = self.taken();
        let reserved = !self.has_room(&mut taken, false);
        if reserved && !self.has_room(&mut taken, true) {
            self.metrics.with_label_values(&[REFUSED]).inc();
            return None;
        }
        let seat = Arc::new(Seat {
            activity: Arc::default(),
            leave: CancellationToken::new(),
            reserved: AtomicBool::new(reserved),
            seats: Arc::clone(self),
        });
        let number = taken.next;
        taken.next += 1;
        taken.seats.insert(number, Arc::clone(&seat));
        Some(Seated { seat, number })
    }

    /// Whether there is a seat of this kind, for which the connection may have to go that has rested longest.
    fn has_room(&self, taken: &mut TakenSeats, reserved: bool) -> bool {
        let limit = if reserved { RESERVE } else { self.limit };
        let alike = taken.seats.iter().filter(|(_, seat)| seat.is_reserved() == reserved);
        if alike.clone().count() < limit {
            return true;
        }
        let resting = alike.filter_map(|(number, seat)| Some((seat.activity.resting_since()?, *number)));
        let Some((_, number)) = resting.min() else { return false };
        if let Some(seat) = taken.seats.remove(&number) {
            self.metrics.with_label_values(&[EVICTED]).inc();
            seat.leave.cancel();
        }
        true
    }
}

impl Seat {
    fn is_reserved(&self) -> bool {
        self.reserved.load(Ordering::SeqCst)
    }

    /// Whether a request for this path is answered here. A connection of the reserve becomes one like the others as soon as
    /// there is room.
    pub(super) fn may_ask(&self, path: &str) -> bool {
        if !self.is_reserved() {
            return true;
        }
        let mut taken = self.seats.taken();
        if self.seats.has_room(&mut taken, false) {
            self.reserved.store(false, Ordering::SeqCst);
            return true;
        }
        PROBES.iter().any(|probe| path.ends_with(probe))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn closed(seats: &Seats) -> [u64; 2] {
        [EVICTED, REFUSED].map(|reason| seats.metrics().with_label_values(&[reason]).get())
    }

    /// A seat with a request that is being answered.
    fn busy(seats: &Arc<Seats>) -> (Seated, impl Drop + use<>) {
        let seated = seats.take().unwrap();
        let running = seated.seat.activity.start();
        (seated, running)
    }

    #[test]
    fn who_has_rested_longest_makes_room() {
        rosterd_testkit::leak_checked(async || {
            let seats = Arc::new(Seats::new(3));
            let first = busy(&seats);
            tokio::time::advance(Duration::from_secs(1)).await;
            let silent = seats.take().unwrap();
            tokio::time::advance(Duration::from_secs(1)).await;
            let rested = busy(&seats);
            tokio::time::advance(Duration::from_secs(1)).await;
            drop(rested.1);

            let new = busy(&seats);
            let gone = |seated: &Seated| seated.seat.leave.is_cancelled();
            assert_eq!([&first.0, &silent, &rested.0, &new.0].map(gone), [false, true, false, false]);
            drop(silent);
            let newer = busy(&seats);
            assert_eq!([&first.0, &rested.0, &new.0, &newer.0].map(gone), [false, true, false, false]);
            assert_eq!(closed(&seats), [2, 0]);
            assert!(newer.0.seat.may_ask("/targets"));
        });
    }

    #[test]
    fn while_all_are_busy_probes_are_answered_and_nothing_else() {
        rosterd_testkit::leak_checked(async || {
            let seats = Arc::new(Seats::new(1));
            let first = busy(&seats);
            let reserve: Vec<_> = (0..RESERVE).map(|_| busy(&seats)).collect();
            let seat = &reserve[0].0.seat;
            let asked = ["/-/healthy", "/under/-/ready", "/-/reload", "/sd/-/healthy/x"].map(|path| seat.may_ask(path));
            assert_eq!(asked, [true, true, false, false]);
            assert!(seats.take().is_none(), "there is an end to it");
            assert_eq!(closed(&seats), [0, 1]);
            drop(first);
            assert!(seat.may_ask("/sd") && !seat.is_reserved());
            assert!(seats.take().is_some(), "its place in the reserve is free");
        });
    }
}
