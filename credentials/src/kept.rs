//! What several jobs have in common, by a key that says what it is: it is made once, and kept over a reload.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// So many are kept that nobody uses.
const IDLE: usize = 16;

/// Values by key. One that nobody uses is kept for a while: a reload drops what it makes again.
pub struct Kept<T>(Mutex<Vec<(String, Arc<T>)>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// Only how many there are: a key may hold the hash of a secret.
impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kept", self.0.lock().unwrap_or_else(PoisonError::into_inner).len())
    }
}

impl<T> Kept<T> {
    /// The value of this key, which is made if there is none.
    pub fn get(&self, key: &str, make: impl FnOnce() -> T) -> Arc<T> {
        let made = self.get_or_try(key, || Ok::<_, std::convert::Infallible>(make()));
        made.unwrap_or_else(|never| match never {})
    }

    /// The same where making it may fail; then none is kept.
    pub fn get_or_try<E>(&self, key: &str, make: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that were asked for last stand at the end.
        let (_, value) = match all.iter().position(|(known, _)| known == key) {
            Some(at) => all.remove(at),
            None => (String::new(), Arc::new(make()?)),
        };
        let is_idle = |(_, value): &(String, Arc<T>)| Arc::strong_count(value) == 1;
        let mut surplus = all.iter().filter(|entry| is_idle(entry)).count().saturating_sub(IDLE);
        all.retain(|entry| {
            let goes = surplus > 0 && is_idle(entry);
            surplus -= usize::from(goes);
            !goes
        });
        all.push((key.to_owned(), Arc::clone(&value)));
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_key_is_made_once_and_kept_for_a_while_after_its_last_use() {
        let kept = Kept::default();
        let one = kept.get("one", || 1);
        assert!(Arc::ptr_eq(&one, &kept.get("one", || 2)));
        drop(one);
        assert_eq!(*kept.get("one", || 3), 1, "a reload drops what it makes again");
        let used = kept.get("used", || 4);
        for number in 0..=IDLE {
            kept.get(&number.to_string(), || number);
        }
        kept.get("more", || 5);
        assert_eq!(*kept.get("one", || 6), 6, "others were idle for a shorter time");
        assert!(Arc::ptr_eq(&used, &kept.get("used", || 7)));
    }

    #[test]
    fn what_cannot_be_made_is_not_kept() {
        let kept = Kept::default();
        assert_eq!(kept.get_or_try("one", || Err("no")), Err("no"));
        assert_eq!(kept.get_or_try("one", || Ok::<_, &str>(1)).as_deref(), Ok(&1));
    }
}
