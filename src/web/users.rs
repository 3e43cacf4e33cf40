//! Basic authentication: bcrypt hashes, and a memory of the passwords that fitted them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use rosterd_tasks::blocking;

use super::Refusal;

/// Salt and hash, all zeros, that an unknown user's password is compared with, so that he takes as long as a known one.
const NOBODY: &str = ".....................................................";

/// How many passwords of one address may wait to be looked at.
const WAITING: usize = 16;

/// The users that may come in.
#[derive(Default)]
pub(super) struct Users {
    hashes: HashMap<String, String>,
    nobody: String,
    proven: Mutex<HashMap<String, Vec<u8>>>,
    /// One hash is computed at a time: they are costly by design, and anybody can ask for one.
    turn: tokio::sync::Mutex<()>,
    /// One password of each address waits for that: whoever sends wrong ones holds up nobody else for longer than one takes.
    turns: Mutex<HashMap<Option<IpAddr>, Arc<tokio::sync::Mutex<()>>>>,
}

impl Users {
    /// Users with hashes that were checked by [`cost`].
    pub(super) fn new(hashes: HashMap<String, String>) -> Self {
        let costliest = hashes.values().filter_map(|hash| cost(hash).ok()).max().unwrap_or(4);
        Self { hashes, nobody: format!("$2b${costliest:02}${NOBODY}"), ..Self::default() }
    }

    /// Whether nobody has to say who he is.
    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Goes on knowing the passwords that fitted, of those whose hashes are the same.
    pub(super) fn remember(&self, before: &Self) {
        let mut proven = before.proven().clone();
        proven.retain(|user, _| self.hashes.get(user) == before.hashes.get(user));
        *self.proven() = proven;
    }

    /// The user that the `Authorization` header names, if it has his password.
    pub(super) async fn admit(
        &self,
        authorization: Option<&HeaderValue>,
        address: Option<IpAddr>,
    ) -> Result<String, Refusal> {
        let (user, password) = authorization.and_then(credentials).ok_or(Refusal::Unauthorized)?;
        if self.is_proven(&user, &password) {
            return Ok(user);
        }
        let queue = self.queue(address.map(network)).ok_or(Refusal::Crowded)?;
        let _first = queue.0.lock().await;
        // Who waits here may be the same once more.
        if self.is_proven(&user, &password) || self.fits(&user, password).await {
            return Ok(user);
        }
        Err(Refusal::Unauthorized)
    }

    async fn fits(&self, user: &str, password: Vec<u8>) -> bool {
        let known = self.hashes.get(user);
        let hash = known.unwrap_or(&self.nobody).clone();
        let tried = password.clone();
        let turn = self.turn.lock().await;
        let fits = blocking(move || bcrypt::verify(&tried, &hash).unwrap_or(false)).await;
        drop(turn);
        let admitted = known.is_some() && fits;
        if admitted {
            self.proven().insert(user.to_owned(), password);
        }
        admitted
    }

    /// Where the passwords of an address wait; `None` if too many do.
    fn queue(&self, address: Option<IpAddr>) -> Option<Queue<'_>> {
        let mut turns = self.turns();
        let turn = Arc::clone(turns.entry(address).or_default());
        // The map's, ours, and those of the others.
        (Arc::strong_count(&turn) <= WAITING + 1).then(|| Queue(turn, self, address))
    }

    fn turns(&self) -> MutexGuard<'_, HashMap<Option<IpAddr>, Arc<tokio::sync::Mutex<()>>>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn proven(&self) -> MutexGuard<'_, HashMap<String, Vec<u8>>> {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_proven(&self, user: &str, password: &[u8]) -> bool {
        self.proven().get(user).is_some_and(|fitting| equal(fitting, password))
    }
}

/// A place in the queue of an address, which is there as long as somebody waits in it.
struct Queue<'a>(Arc<tokio::sync::Mutex<()>>, &'a Users, Option<IpAddr>);

impl Drop for Queue<'_> {
    fn drop(&mut self) {
        let mut turns = self.1.turns();
        if Arc::strong_count(&self.0) == 2 {
            turns.remove(&self.2);
        }
    }
}

/// What one sender has to himself: an address, or the network of IPv6 in which he chooses addresses as he likes.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}

impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.hashes.keys()).finish()
    }
}

/// The cost of a bcrypt hash; fails on what is none.
pub(super) fn cost(hash: &str) -> Result<u32, bcrypt::BcryptError> {
    hash.parse::<bcrypt::HashParts>().map(|parts| parts.get_cost())
}

/// Compares in a time that does not tell where the difference is.
fn equal(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |seen, (left, right)| seen | (left ^ right)) == 0
}

fn credentials(header: &HeaderValue) -> Option<(String, Vec<u8>)> {
    let (scheme, encoded) = header.to_str().ok()?.split_once(' ')?;
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(encoded.trim()).ok())??;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let user = String::from_utf8(decoded[..colon].to_vec()).ok()?;
    Some((user, decoded[colon + 1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn users() -> Users {
        let hash = bcrypt::hash("s3cret", 4).unwrap();
        Users::new(HashMap::from([("alice".to_owned(), hash)]))
    }

    fn basic(text: &str) -> HeaderValue {
        format!("Basic {}", STANDARD.encode(text)).parse().unwrap()
    }

    #[test]
    fn only_the_right_password_is_admitted_again_and_again() {
        rosterd_testkit::leak_checked_live(async || {
            let users = users();
            for _ in 0..2 {
                assert_eq!(users.admit(Some(&basic("alice:s3cret")), None).await, Ok("alice".to_owned()));
                for wrong in [basic("alice:wrong"), basic("bob:s3cret"), "Bearer abc".parse().unwrap()] {
                    assert_eq!(users.admit(Some(&wrong), None).await, Err(Refusal::Unauthorized), "{wrong:?}");
                }
                let broken = HeaderValue::from_static("Basic ???");
                assert_eq!(users.admit(Some(&broken), None).await, Err(Refusal::Unauthorized));
                assert_eq!(users.admit(None, None).await, Err(Refusal::Unauthorized));
            }
            assert_eq!(users.proven().len(), 1, "only what fitted is remembered");
            assert!(users.turns().is_empty(), "nobody waits");
        });
    }

    #[test]
    fn wrong_passwords_hold_up_their_own_address_and_there_is_an_end_to_them() {
        rosterd_testkit::leak_checked_live(async || {
            let users = users();
            let (guesser, honest) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
            let (wrong, right) = (basic("alice:wrong"), basic("alice:s3cret"));
            let turn = users.turn.lock().await;
            let mut guesses: Vec<_> =
                (0..WAITING + 4).map(|_| Box::pin(users.admit(Some(&wrong), Some(guesser)))).collect();
            let mut refused = 0;
            for guess in &mut guesses {
                if let Some(outcome) = guess.now_or_never() {
                    assert_eq!(outcome, Err(Refusal::Crowded));
                    refused += 1;
                }
            }
            assert_eq!(refused, 4);
            // One guess is before him, and no more; the others do not even come to an end.
            let mut login = Box::pin(users.admit(Some(&right), Some(honest)));
            assert!(login.as_mut().now_or_never().is_none());
            drop(turn);
            assert_eq!(guesses.remove(0).await, Err(Refusal::Unauthorized));
            assert_eq!(login.await, Ok("alice".to_owned()));
            drop(guesses);
            assert!(users.turns().is_empty(), "nobody waits");
        });
    }

    #[test]
    fn what_fitted_is_known_after_a_change_of_other_users() {
        rosterd_testkit::leak_checked_live(async || {
            let before = users();
            before.admit(Some(&basic("alice:s3cret")), None).await.unwrap();
            let same = Users::new(before.hashes.clone());
            same.remember(&before);
            assert!(same.is_proven("alice", b"s3cret"));
            let other = users();
            other.remember(&before);
            assert!(!other.is_proven("alice", b"s3cret"), "another hash, of whatever password");
        });
    }

    #[test]
    fn a_network_of_ipv6_is_one_sender() {
        let of = |address: &str| network(address.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::9"));
        assert_ne!(of("2001:db8:1:2::"), of("2001:db8:1:3::"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.2"), of("10.0.0.1"));
    }

    #[test]
    fn an_unknown_user_costs_as_much_as_the_costliest_known() {
        let users = users();
        assert_eq!(cost(&users.nobody).unwrap(), 4);
        assert!(!bcrypt::verify("", &users.nobody).unwrap());
    }

    #[test]
    fn hashes_stay_out_of_debug_output() {
        assert_eq!(format!("{:?}", users()), r#"["alice"]"#);
    }
}
