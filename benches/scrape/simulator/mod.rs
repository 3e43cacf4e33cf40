//! The other side: targets, a receiver of remote write, and a face to ask both, in one process on one thread.
//!
//! All targets answer behind one port, each on an address of its own in 127.0.0.0/8, so that each has a connection of its
//! own. Bodies are made before the first scrape.

mod account;
mod exposition;
mod families;
mod http;
mod receiver;
mod tally;
mod targets;
mod walk;

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use account::Account;
use exposition::Bodies;
use receiver::Receiver;
use rosterd_testkit::free_loopback_listener;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit};
use tokio::net::TcpListener;

pub(crate) use account::Figures;

/// The address of a target.
pub(crate) fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits((127 << 24 | 1 << 16) + u32::try_from(number).expect("there are less than 2^24 targets"))
}

/// Which target has this address.
fn address_number(address: Ipv4Addr) -> Option<usize> {
    address.to_bits().checked_sub(127 << 24 | 1 << 16).map(|number| number as usize)
}

/// Lets this process and those it starts have as many descriptors as the machine allows: each target has a connection.
pub(crate) fn raise_descriptors() {
    const ENOUGH: u64 = 65_536;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= ENOUGH) {
        return;
    }
    let more = Rlimit { current: Some(ENOUGH), maximum: Some(limit.maximum.map_or(ENOUGH, |most| most.max(ENOUGH))) };
    // Without the right to raise the limit there is what there is; a scenario that needs more shows it as failed scrapes.
    if setrlimit(Resource::Nofile, more).is_err() {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).ok();
    }
}

/// Serves until the process is killed, or the one that has started it ends. Prints its ports first: those of the targets, the receiver, and the face.
pub(crate) async fn serve(targets: usize, series: usize) {
    set_parent_process_death_signal(Some(Signal::KILL)).expect("the signal exists");
    let account = Arc::new(Mutex::new(Account::new(targets)));
    let bodies = Bodies::new(series);
    let all = TcpListener::bind("0.0.0.0:0").await.expect("there is a free port");
    let receiver = Arc::new(Receiver::new(account.clone()));
    let face = free_loopback_listener();
    face.set_nonblocking(true).expect("a socket can be told not to block");
    let face = TcpListener::from_std(face).expect("a bound listener can be watched");
    let port = |listener: &TcpListener| listener.local_addr().expect("a bound listener has an address").port();
    println!("ports {} {} {} .", port(&all), receiver.port(), port(&face));
    tokio::join!(
        targets::serve(all, bodies, account.clone()),
        receiver.clone().serve(),
        http::serve_face(face, receiver, account),
    );
}
