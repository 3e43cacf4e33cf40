//! Hosts and their addresses. The system's resolver is asked (getaddrinfo), because it alone knows all that a machine may be set
//! up with: search domains, mDNS, directories, a resolver beside it. It blocks for as long as name servers do not answer, so that
//! only a few of its threads are ever waited for, each name is asked for once however many wait for it, and what stands in
//! `/etc/hosts` is found without it.

mod hosts; // what stands in `/etc/hosts`

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::dns::Name;
use rosterd_model::in_words;
use rosterd_tasks::{blocking, interface_number};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tower::Service;

use self::hosts::Hosts;
use crate::zone;

/// How many look-ups block a thread at a time. The others wait in line, and leave it when their time is over.
const AT_ONCE: usize = 16;
/// How long an answer is good. The resolver does not tell how long it may be; the shortest time that is usual is that of names in
/// Kubernetes.
const LIFETIME: Duration = Duration::from_secs(5);
/// When there are more answers than this, those that are too old are thrown away.
const MANY: usize = 1024;

type Ask = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;
/// The addresses, or why there are none, for all who asked.
type LookedUp = Result<Arc<[IpAddr]>, Arc<io::Error>>;

/// Looks hosts up. Clones share what is known.
#[derive(Clone)]
pub(crate) struct Names(Arc<Shared>);

struct Shared {
    ask: Box<Ask>,
    lifetime: Duration,
    hosts: Option<Hosts>,
    slots: Arc<Semaphore>,
    known: Mutex<HashMap<Arc<str>, Entry>>,
}

enum Entry {
    /// Somebody asks.
    Asked(watch::Receiver<Option<LookedUp>>),
    Known(Arc<[IpAddr]>, Instant),
}

impl Default for Names {
    fn default() -> Self {
        Self::new(Box::new(of_system), LIFETIME, Hosts::of_system())
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").field("known", &self.0.known().len()).finish_non_exhaustive()
    }
}

impl Names {
    fn new(ask: Box<Ask>, lifetime: Duration, hosts: Option<Hosts>) -> Self {
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        Self(Arc::new(Shared { ask, lifetime, hosts, slots, known: Mutex::default() }))
    }

    /// The addresses of a host with a port, in the order in which they are to be tried. An address with a zone is spelt as in
    /// URLs, without the brackets. Dropping it gives up waiting.
    pub(crate) async fn look_up(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let Some((address, zone)) = zone::split(host) else {
            return Ok(self.addresses(host).await?.iter().map(|address| (*address, port).into()).collect());
        };
        let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "this is no IPv6 address with a zone");
        let (address, zone) = (address.parse().map_err(|_| wrong())?, zone::decode(zone).ok_or_else(wrong)?);
        Ok(vec![SocketAddrV6::new(address, port, 0, interface_number(&zone)?).into()])
    }

    async fn addresses(&self, host: &str) -> io::Result<Arc<[IpAddr]>> {
        if let Ok(address) = host.parse() {
            return Ok([address].into());
        }
        if let Some(found) = match &self.0.hosts {
            Some(hosts) => hosts.of(host).await,
            None => None,
        } {
            return Ok(found);
        }
        loop {
            let mut answer = match self.0.turn(host) {
                Turn::Known(found) => return Ok(found),
                Turn::Wait(answer) => answer,
                Turn::Ask(name, tell) => {
                    let slot = Arc::clone(&self.0.slots).acquire_owned().await;
                    let (shared, answer) = (Arc::clone(&self.0), tell.receiver());
                    blocking(move || {
                        let found = (shared.ask)(&name);
                        tell.tell(found);
                        drop(slot);
                    })
                    .await;
                    answer
                }
            };
            // Whoever was to ask may have given up before: then it is this one's turn.
            if let Ok(found) = answer.wait_for(Option::is_some).await.map(|found| found.clone()) {
                return found
                    .unwrap_or_else(|| Err(Arc::new(io::ErrorKind::Other.into())))
                    .map_err(|error| io::Error::new(error.kind(), error.to_string()));
            }
        }
    }
}

/// What whoever needs a name does.
enum Turn {
    Known(Arc<[IpAddr]>),
    Wait(watch::Receiver<Option<LookedUp>>),
    Ask(Arc<str>, Tell),
}

/// Whoever has it asks. When it is dropped without an answer, somebody else does.
struct Tell {
    name: Arc<str>,
    sender: watch::Sender<Option<LookedUp>>,
    shared: Arc<Shared>,
}

impl Tell {
    fn receiver(&self) -> watch::Receiver<Option<LookedUp>> {
        self.sender.subscribe()
    }

    fn tell(self, found: io::Result<Vec<IpAddr>>) {
        let found: LookedUp = found.map(Arc::from).map_err(Arc::new);
        if let Ok(addresses) = &found {
            let until = Instant::now() + self.shared.lifetime;
            self.shared.known().insert(Arc::clone(&self.name), Entry::Known(Arc::clone(addresses), until));
        }
        self.sender.send_replace(Some(found));
    }
}

impl Drop for Tell {
    fn drop(&mut self) {
        let mut known = self.shared.known();
        if matches!(known.get(&self.name), Some(Entry::Asked(_))) {
            known.remove(&self.name);
        }
    }
}

impl Shared {
    fn known(&self) -> MutexGuard<'_, HashMap<Arc<str>, Entry>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(self: &Arc<Self>, host: &str) -> Turn {
        let now = Instant::now();
        let mut known = self.known();
        match known.get(host) {
            Some(Entry::Known(found, until)) if now < *until => return Turn::Known(Arc::clone(found)),
            Some(Entry::Asked(answer)) => return Turn::Wait(answer.clone()),
            _ => {}
        }
        if known.len() >= MANY {
            known.retain(|_, entry| !matches!(entry, Entry::Known(_, until) if *until <= now));
        }
        let (name, (sender, answer)) = (Arc::<str>::from(host), watch::channel(None));
        known.insert(Arc::clone(&name), Entry::Asked(answer));
        Turn::Ask(Arc::clone(&name), Tell { name, sender, shared: Arc::clone(self) })
    }
}

fn of_system(host: &str) -> io::Result<Vec<IpAddr>> {
    let found = std::net::ToSocketAddrs::to_socket_addrs(&(host, 0)).map_err(in_our_words)?;
    let mut addresses: Vec<_> = found.map(|address| address.ip()).collect();
    addresses.dedup();
    Ok(addresses)
}

/// What the resolver says, without what the standard library says before it.
fn in_our_words(error: io::Error) -> io::Error {
    let text = in_words(&error);
    let Some(reason) = text.strip_prefix("failed to lookup address information: ") else { return error };
    io::Error::new(error.kind(), format!("the name of the host is not found: {reason}"))
}

/// The names for connections that are shared.
#[derive(Debug, Clone)]
pub(crate) struct Lookups {
    pub(crate) names: Names,
    /// Whether each look-up begins with another of the addresses.
    pub(crate) turns: Option<Arc<AtomicUsize>>,
}

impl Lookups {
    async fn look_up(self, host: &str) -> io::Result<std::vec::IntoIter<SocketAddr>> {
        // Who asks knows the port.
        let mut addresses = self.names.look_up(host, 0).await?;
        if let Some(turns) = self.turns {
            addresses.sort();
            let first = turns.fetch_add(1, Ordering::Relaxed) % addresses.len().max(1);
            addresses.rotate_left(first);
        }
        Ok(addresses.into_iter())
    }
}

impl Service<Name> for Lookups {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let lookups = self.clone();
        Box::pin(async move { lookups.look_up(name.as_str()).await })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Condvar;

    use rosterd_testkit::{Folder, eventually, leak_checked_live, patience};

    use super::*;

    /// A resolver that answers when it is told to, and counts.
    #[derive(Default)]
    struct Slow {
        asked: AtomicUsize,
        answers: Mutex<bool>,
        changed: Condvar,
    }

    impl Slow {
        fn names(self: &Arc<Self>, lifetime: Duration, hosts: Option<Hosts>) -> Names {
            let slow = Arc::clone(self);
            let ask = move |host: &str| {
                slow.asked.fetch_add(1, Ordering::SeqCst);
                let answers = slow.answers.lock().unwrap();
                drop(slow.changed.wait_while(answers, |answers| !*answers).unwrap());
                match host {
                    "unknown" => Err(io::Error::other("no such host")),
                    _ => Ok(vec![IpAddr::from([192, 0, 2, 1])]),
                }
            };
            Names::new(Box::new(ask), lifetime, hosts)
        }

        fn answer(&self) {
            *self.answers.lock().unwrap() = true;
            self.changed.notify_all();
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    #[test]
    fn when_nobody_answers_a_few_threads_wait_and_the_rest_goes_on() {
        leak_checked_live(|| async {
            let folder = Folder::new();
            let hosts = Hosts::new(&folder.write("hosts", "127.0.0.9 near # a comment\n::1 near Other\nx y\n"));
            let slow = Arc::new(Slow::default());
            let names = slow.names(LIFETIME, Some(hosts));
            let ask = |number: usize| {
                let names = names.clone();
                async move {
                    let host = format!("host-{number}");
                    tokio::time::timeout(Duration::from_millis(100), names.addresses(&host)).await.is_ok()
                }
            };
            let answered = futures_util::future::join_all((0..600).map(ask)).await;
            assert!(answered.iter().all(|answered| !answered));
            assert_eq!(slow.asked(), AT_ONCE);
            // Neither blocking calls nor hosts that are known wait behind them.
            assert_eq!(blocking(|| 7).await, 7);
            let near = names.addresses("NEAR.").await.unwrap();
            assert_eq!(&*near, [IpAddr::from([127, 0, 0, 9]), "::1".parse().unwrap()]);
            assert_eq!(&*names.addresses("::1").await.unwrap(), ["::1".parse::<IpAddr>().unwrap()]);
            slow.answer();
            names.addresses("another").await.unwrap();
            assert_eq!(slow.asked(), AT_ONCE + 1, "those who gave up are not asked for");
        });
    }

    #[test]
    fn a_name_is_asked_for_once_by_all_and_again_when_it_is_old() {
        leak_checked_live(|| async {
            for (lifetime, more) in [(Duration::from_secs(3600), 0), (Duration::ZERO, 1)] {
                let slow = Arc::new(Slow::default());
                let names = slow.names(lifetime, None);
                let all = futures_util::future::join_all((0..50).map(|_| names.addresses("host")));
                let answering = async {
                    eventually(patience(), "it is asked", || slow.asked() == 1).await;
                    slow.answer();
                };
                let (all, ()) = tokio::join!(all, answering);
                assert!(all.into_iter().all(|found| found.is_ok()));
                assert_eq!(slow.asked(), 1);
                names.addresses("host").await.unwrap();
                assert_eq!(slow.asked(), 1 + more);
                for _ in 0..2 {
                    assert_eq!(names.addresses("unknown").await.unwrap_err().to_string(), "no such host");
                }
                assert_eq!(slow.asked(), 3 + more, "what failed is asked for again");
            }
        });
    }

    #[test]
    fn who_gives_up_leaves_the_asking_to_the_others() {
        leak_checked_live(|| async {
            let slow = Arc::new(Slow::default());
            let names = slow.names(LIFETIME, None);
            // All slots are taken, so that the first who wants this name waits.
            let taken = Arc::clone(&names.0.slots).acquire_many_owned(AT_ONCE as u32).await.unwrap();
            slow.answer();
            let mut first = Box::pin(names.addresses("host"));
            assert!(tokio::time::timeout(Duration::ZERO, first.as_mut()).await.is_err());
            let mut second = Box::pin(names.addresses("host"));
            assert!(tokio::time::timeout(Duration::ZERO, second.as_mut()).await.is_err());
            drop(first);
            drop(taken);
            assert!(second.await.is_ok());
            assert_eq!(slow.asked(), 1);
        });
    }

    #[test]
    fn each_look_up_begins_with_another_address() {
        leak_checked_live(|| async {
            let ask = |_: &str| Ok((1..4).map(|last| IpAddr::from([192, 0, 2, last])).collect());
            let names = Names::new(Box::new(ask), LIFETIME, None);
            let lookups = Lookups { names, turns: Some(Arc::default()) };
            let mut firsts = Vec::new();
            for _ in 0..4 {
                let mut addresses = lookups.clone().look_up("host").await.unwrap();
                firsts.push(addresses.next().unwrap().ip().to_string());
            }
            assert_eq!(firsts, ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.1"]);
        });
    }

    #[test]
    fn the_zone_of_an_address_is_its_scope() {
        leak_checked_live(|| async {
            let names = Slow::names(&Arc::default(), LIFETIME, None);
            for (host, scope) in [("fe80::1%25lo", 1), ("fe80::1%257", 7)] {
                let scoped = SocketAddrV6::new("fe80::1".parse().unwrap(), 80, 0, scope).into();
                assert_eq!(names.look_up(host, 80).await.unwrap(), [scoped]);
            }
            for (host, error) in [
                ("fe80::1%25no-such", "there is no network interface \"no-such\" here"),
                ("fe80::1%lo", "this is no IPv6 address with a zone"),
                ("h%25lo", "this is no IPv6 address with a zone"),
            ] {
                assert_eq!(names.look_up(host, 80).await.unwrap_err().to_string(), error, "{host}");
            }
        });
    }

    #[test]
    fn what_the_resolver_says_comes_without_words_of_the_library() {
        // Too long to be asked for.
        let error = of_system(&"x".repeat(300)).unwrap_err().to_string();
        assert!(error.starts_with("the name of the host is not found: "), "{error}");
        let other = in_our_words(io::Error::from_raw_os_error(24));
        assert_eq!(other.raw_os_error(), Some(24), "all else stays as it is");
    }
}
