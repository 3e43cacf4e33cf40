//! What several jobs have in common, by all that it is made of: it is made once, and kept over a reload.

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many are kept that nobody uses.
const IDLE: usize = 16;

/// Values by key. One that nobody uses is kept for a while: a reload drops what it makes again.
///
/// A key has to hold all that its value is made of, the settings of a client and their secrets among it: keys are compared as values, so
/// that another password makes another client. A text or a hash in its place leaves something out.
pub struct Kept<K, T>(Mutex<Vec<(K, Arc<T>)>>);

impl<K, T> Default for Kept<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// Only how many there are: a key may hold a secret.
impl<K, T> fmt::Debug for Kept<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kept", self.all().len())
    }
}

impl<K, T> Kept<K, T> {
    fn all(&self) -> MutexGuard<'_, Vec<(K, Arc<T>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: PartialEq, T> Kept<K, T> {
    /// The value of this key, which is made if there is none.
    pub fn get(&self, key: K, make: impl FnOnce() -> T) -> Arc<T> {
        let made = self.get_or_try(key, || Ok::<_, Infallible>(make()));
        made.unwrap_or_else(|never| match never {})
    }

    /// The same where making it may fail; then none is kept.
    ///
    /// Making it may read files, of a disk that hangs: it holds up nobody else. Of several who make the same at the same time all get
    /// what the first one has made.
    pub fn get_or_try<E>(&self, key: K, make: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        // In a statement of its own, which gives the lock back.
        let known = find(&mut self.all(), &key);
        if let Some(known) = known {
            return Ok(known);
        }
        let made = Arc::new(make()?);
        let mut all = self.all();
        if let Some(known) = find(&mut all, &key) {
            return Ok(known);
        }
        all.push((key, Arc::clone(&made)));
        drop_idle(&mut all);
        Ok(made)
    }
}

/// The value of a key, which moves to the end: those that were asked for last stand there.
fn find<K: PartialEq, T>(all: &mut Vec<(K, Arc<T>)>, key: &K) -> Option<Arc<T>> {
    let at = all.iter().position(|(known, _)| known == key)?;
    let found = all.remove(at);
    let value = Arc::clone(&found.1);
    all.push(found);
    Some(value)
}

/// Drops those that nobody has used for the longest time, if there are too many.
fn drop_idle<K, T>(all: &mut Vec<(K, Arc<T>)>) {
    let is_idle = |(_, value): &(K, Arc<T>)| Arc::strong_count(value) == 1;
    let mut surplus = all.iter().filter(|entry| is_idle(entry)).count().saturating_sub(IDLE);
    all.retain(|entry| {
        let goes = surplus > 0 && is_idle(entry);
        surplus -= usize::from(goes);
        !goes
    });
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use rosterd_client::{HttpClientConfig, SafeUrl};
    use rosterd_testkit::patience;

    use super::*;

    #[test]
    fn what_has_a_key_is_made_once_and_kept_for_a_while_after_its_last_use() {
        let kept = Kept::default();
        let one = kept.get(100, || 1);
        assert!(Arc::ptr_eq(&one, &kept.get(100, || 2)));
        drop(one);
        assert_eq!(*kept.get(100, || 3), 1, "a reload drops what it makes again");
        let used = kept.get(200, || 4);
        for number in 0..=IDLE {
            kept.get(number, || number);
        }
        kept.get(300, || 5);
        assert_eq!(*kept.get(100, || 6), 6, "others were idle for a shorter time");
        assert!(Arc::ptr_eq(&used, &kept.get(200, || 7)));
    }

    #[test]
    fn what_cannot_be_made_is_not_kept() {
        let kept = Kept::default();
        assert_eq!(kept.get_or_try("one", || Err("no")), Err("no"));
        assert_eq!(kept.get_or_try("one", || Ok::<_, &str>(1)).as_deref(), Ok(&1));
    }

    #[test]
    fn a_secret_that_differs_makes_another_value() {
        let kept = Kept::default();
        let by = |proxy: &str| HttpClientConfig { proxy_url: SafeUrl::new(proxy), ..HttpClientConfig::default() };
        let one = kept.get(by("http://u:one@proxy"), || 1);
        assert!(Arc::ptr_eq(&one, &kept.get(by("http://u:one@proxy"), || 2)));
        assert_eq!(*kept.get(by("http://u:two@proxy"), || 3), 3);
        assert_eq!(format!("{kept:?}"), "2 kept");
    }

    #[test]
    fn what_hangs_while_it_is_made_holds_up_nobody_and_whoever_has_made_the_same_by_then_has_made_it_for_all() {
        let kept = &Kept::default();
        thread::scope(|scope| {
            let ((begins, begun), (goes_on, hangs)) = (mpsc::channel(), mpsc::channel::<()>());
            let slow = scope.spawn(move || {
                let make = || {
                    begins.send(()).expect("the test goes on");
                    // Ends when the test does, whatever becomes of that.
                    hangs.recv().expect_err("nothing is sent");
                    1
                };
                *kept.get("slow", make)
            });
            begun.recv_timeout(patience()).expect("it is being made");
            let (made, others) = mpsc::channel();
            scope.spawn(move || ["other", "slow"].map(|key| made.send(*kept.get(key, || 2))));
            let others = [0; 2].map(|_| others.recv_timeout(patience()));
            drop(goes_on);
            assert_eq!(others, [Ok(2), Ok(2)]);
            assert_eq!(slow.join().expect("it ends"), 2, "another one was faster");
        });
        assert_eq!(format!("{kept:?}"), "2 kept");
    }
}
