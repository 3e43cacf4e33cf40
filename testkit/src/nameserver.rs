//! A nameserver that answers, and fails, as it is told. For what real ones do, tests ask a real one.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rosterd_tasks::Stopper;
use tokio::net::UdpSocket;

use crate::patience;

/// A nameserver on the loopback interface. It knows addresses, over UDP; a name that it was not told has none.
#[derive(Debug)]
pub struct Nameserver {
    stopper: Stopper,
    address: SocketAddr,
    names: Names,
}

/// The addresses of each name, `None` where it fails.
type Names = Arc<Mutex<BTreeMap<String, Option<Vec<Ipv4Addr>>>>>;

impl Nameserver {
    /// Starts one that knows no name.
    ///
    /// # Panics
    ///
    /// When there is no free port.
    pub async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("there is a free port");
        let (stopper, names) = (Stopper::new(), Names::default());
        let address = socket.local_addr().expect("it is bound");
        let (stop, known) = (stopper.token().clone(), Arc::clone(&names));
        stopper.spawn_expendable("nameserver", async move {
            let mut query = [0; 512];
            loop {
                let (size, from) = tokio::select! {
                    () = stop.cancelled() => return,
                    received = socket.recv_from(&mut query) => received.expect("a socket that receives"),
                };
                let reply = reply(&query[..size], &lock(&known));
                // Whoever asks something odd waits in vain.
                if let Some(reply) = reply {
                    socket.send_to(&reply, from).await.expect("a socket that sends");
                }
            }
        });
        Self { stopper, address, names }
    }

    /// Where it is to be asked.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the name has these addresses.
    pub fn knows(&self, name: &str, addresses: &[Ipv4Addr]) {
        lock(&self.names).insert(name.to_owned(), Some(addresses.to_vec()));
    }

    /// From now on it answers with SERVFAIL when it is asked for the name.
    pub fn fails(&self, name: &str) {
        lock(&self.names).insert(name.to_owned(), None);
    }

    /// Ends it.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub async fn stop(self) {
        assert!(self.stopper.stop(patience()).await.is_empty());
    }
}

fn lock(names: &Names) -> MutexGuard<'_, BTreeMap<String, Option<Vec<Ipv4Addr>>>> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The answer to a question for addresses.
fn reply(query: &[u8], names: &BTreeMap<String, Option<Vec<Ipv4Addr>>>) -> Option<Vec<u8>> {
    let (name, length) = name(query.get(12..)?)?;
    let question = query.get(12..12 + length + 4)?;
    let (code, addresses) = match names.get(&name) {
        Some(None) => (2, &[][..]),
        Some(Some(addresses)) => (0, &addresses[..]),
        None => (3, &[][..]),
    };
    let count = u8::try_from(addresses.len()).ok()?;
    // A response to one question, authoritative and without recursion.
    let mut reply = [&query[..2], &[0x85, code, 0, 1, 0, count, 0, 0, 0, 0], question].concat();
    for address in addresses {
        // The name of the question, an address in the Internet, for a minute.
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        reply.extend(address.octets());
    }
    Some(reply)
}

/// The name at the beginning, without its last dot, and its length there.
fn name(bytes: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), 0);
    loop {
        let length = usize::from(*bytes.get(at)?);
        if length == 0 {
            return Some((labels.join("."), at + 1));
        }
        labels.push(String::from_utf8_lossy(bytes.get(at + 1..at + 1 + length)?).into_owned());
        at += 1 + length;
    }
}
