//! Waiting for conditions, on a real and on a paused clock.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// What a condition may take on a real clock, on a slow machine that is busy with other tests. Only a test that fails takes so long.
const REAL: Duration = Duration::from_secs(90);
/// On a paused clock waiting costs little: longer than any usual backoff or interval.
const PAUSED: Duration = Duration::from_secs(3 * 3600);

thread_local! {
    static CLOCK: Cell<Clock> = const { Cell::new(Clock::Real) };
}

/// Which clock a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    Real,
    Paused,
}

/// Restores the clock of this thread.
#[derive(Debug)]
pub(crate) struct Entered(Clock);

impl Clock {
    /// Makes this the clock of the thread's test until the guard is dropped.
    pub(crate) fn enter(self) -> Entered {
        Entered(CLOCK.replace(self))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CLOCK.set(self.0);
    }
}

/// How long the helpers of this crate wait before they give up: 90 seconds, or three hours on the paused clock of
/// [`leak_checked`](crate::leak_checked).
pub fn patience() -> Duration {
    match CLOCK.get() {
        Clock::Real => REAL,
        Clock::Paused => PAUSED,
    }
}

/// Waits on a real clock until the condition holds: for what another thread, process or socket does.
///
/// # Panics
///
/// When it does not hold at the deadline, with `what` in the message.
///
/// ```
/// use std::time::Duration;
/// use rosterd_testkit::{eventually, leak_checked_live};
///
/// leak_checked_live(|| async {
///     let ends = std::thread::spawn(|| ());
///     eventually(Duration::from_secs(30), "the thread has ended", || ends.is_finished()).await;
/// });
/// ```
pub async fn eventually(deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    eventually_ok(deadline, what, async || if condition() { Ok(()) } else { Err(String::new()) }).await;
}

/// The same for what has to be asked for, or brings something: waits for the first `Ok`.
///
/// # Panics
///
/// When there is none at the deadline, with `what` and the last `Err` in the message.
///
/// ```
/// use std::time::Duration;
/// use rosterd_testkit::{ScriptedServer, Step, eventually_ok, get, leak_checked_live};
///
/// leak_checked_live(|| async {
///     let server = ScriptedServer::start([Step::get("/").status(503), Step::get("/").body("x")]).await;
///     let look = async || match get(&server.url("/")).await.expect("it answers") {
///         (200, body) => Ok(body),
///         (status, _) => Err(format!("it answers {status}")),
///     };
///     assert_eq!(eventually_ok(Duration::from_secs(30), "the page is there", look).await, "x");
///     server.finish().await;
/// });
/// ```
pub async fn eventually_ok<T>(deadline: Duration, what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + deadline;
    let mut pause = Duration::from_millis(1);
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) => assert!(Instant::now() < end, "after {deadline:?} still not true: {what}\n{seen}"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(deadline / 1800);
    }
}

/// Moves a paused clock ahead until the condition holds, and returns by how much; exact to a ten-thousandth of `limit`
/// or a millisecond.
///
/// # Panics
///
/// When it does not hold after `limit`.
///
/// ```
/// use std::time::Duration;
/// use rosterd_testkit::{advance_until, leak_checked};
///
/// leak_checked(|| async {
///     let start = tokio::time::Instant::now();
///     let half = Duration::from_secs(1800);
///     let took = advance_until(half * 2, || start.elapsed() >= half).await;
///     assert_eq!(took.as_secs(), 1800);
/// });
/// ```
pub async fn advance_until(limit: Duration, mut condition: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    let step = (limit / 10_000).max(Duration::from_millis(1));
    loop {
        // Whatever can run now runs before the clock moves: it moves only once every task waits.
        tokio::time::sleep_until(Instant::now()).await;
        tokio::task::yield_now().await;
        if condition() {
            return start.elapsed();
        }
        assert!(start.elapsed() < limit, "the condition does not hold after {limit:?}");
        sleep(step).await;
    }
}

/// A listener on a port of the loopback interface that nobody else uses.
pub fn free_loopback_listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback interface has free ports")
}

/// An address of the loopback interface where nobody listens, neither by TCP nor by UDP: for a program that cannot choose a port itself, and for tests in which
/// nobody is to be there, or not yet.
///
/// The port is none of those that the system gives to whoever asks for any, so that it stays free but for those who ask here at the
/// same moment.
///
/// # Panics
///
/// When no port is free.
pub fn free_address() -> SocketAddr {
    const FIRST: u16 = 10_000;
    let given = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let given = given.split_whitespace().next().and_then(|first| first.parse().ok());
    let count = given.filter(|given| *given > FIRST).unwrap_or(32_768) - FIRST;
    let start = (RandomState::new().hash_one(()) % u64::from(count)) as u16;
    let ports = (0..count).map(|number| FIRST + ((u32::from(start) + u32::from(number)) % u32::from(count)) as u16);
    let mut addresses = ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let is_free = |address: &SocketAddr| TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok();
    addresses.find(is_free).expect("the loopback interface has free ports")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leak_checked;

    #[test]
    fn time_moves_only_as_far_as_needed() {
        leak_checked(|| async {
            let start = Instant::now();
            let took = advance_until(Duration::from_secs(100), || start.elapsed() >= Duration::from_secs(7)).await;
            assert_eq!(took.as_millis() / 100, 70);
        });
    }

    #[test]
    #[should_panic(expected = "after 2s still not true: pigs fly")]
    fn a_condition_that_never_holds_fails_by_its_name() {
        leak_checked(|| eventually(Duration::from_secs(2), "pigs fly", || false));
    }

    #[test]
    fn nobody_is_at_a_free_address_and_nobody_is_given_it() {
        let addresses: Vec<_> = (0..50).map(|_| free_address()).collect();
        let given: Vec<_> = addresses.iter().map(|_| free_loopback_listener()).collect();
        for address in &addresses {
            assert!(std::net::TcpStream::connect(address).is_err(), "{address}");
            assert!(given.iter().all(|it| it.local_addr().unwrap().port() > address.port()), "{address}: {given:?}");
        }
        let different: std::collections::BTreeSet<_> = addresses.iter().collect();
        assert!(different.len() > 40, "{addresses:?}");
    }

    #[test]
    fn patience_depends_on_the_clock() {
        assert_eq!(patience(), REAL);
        leak_checked(|| async { assert_eq!(patience(), PAUSED) });
        assert_eq!(patience(), REAL);
    }
}
