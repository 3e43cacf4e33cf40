//! Basic authentication: bcrypt hashes, and a memory of the passwords that fitted them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use rosterd_tasks::blocking;

/// Salt and hash, all zeros, that an unknown user's password is compared with, so that he takes as long as a known one.
const NOBODY: &str = ".....................................................";

/// The users that may come in.
#[derive(Default)]
pub(super) struct Users {
    hashes: HashMap<String, String>,
    nobody: String,
    proven: Mutex<HashMap<String, Vec<u8>>>,
    // One hash is computed at a time: they are costly by design, and anybody can ask for one.
    turn: tokio::sync::Mutex<()>,
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

    /// Whether the `Authorization` header names a user with his password.
    pub(super) async fn admit(&self, authorization: Option<&HeaderValue>) -> bool {
        let Some((user, password)) = authorization.and_then(credentials) else { return false };
        let known = self.hashes.get(&user);
        if known.is_some() && self.is_proven(&user, &password) {
            return true;
        }
        let hash = known.unwrap_or(&self.nobody).clone();
        let tried = password.clone();
        let turn = self.turn.lock().await;
        let fits = blocking(move || bcrypt::verify(&tried, &hash).unwrap_or(false)).await;
        drop(turn);
        let admitted = known.is_some() && fits;
        if admitted {
            self.proven.lock().unwrap_or_else(PoisonError::into_inner).insert(user, password);
        }
        admitted
    }

    fn is_proven(&self, user: &str, password: &[u8]) -> bool {
        let proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        proven.get(user).is_some_and(|fitting| equal(fitting, password))
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
                assert!(users.admit(Some(&basic("alice:s3cret"))).await);
                assert!(!users.admit(Some(&basic("alice:wrong"))).await);
                assert!(!users.admit(Some(&basic("bob:s3cret"))).await);
                assert!(!users.admit(None).await);
                assert!(!users.admit(Some(&HeaderValue::from_static("Bearer abc"))).await);
                assert!(!users.admit(Some(&HeaderValue::from_static("Basic ???"))).await);
            }
            assert_eq!(users.proven.lock().unwrap().len(), 1, "only what fitted is remembered");
        });
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
