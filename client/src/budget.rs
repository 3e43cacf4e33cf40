//! The memory that what is under way may take together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Memory that many share. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Amounts>);

#[derive(Debug)]
struct Amounts {
    limit: AtomicU64,
    taken: AtomicU64,
}

impl Budget {
    /// So many bytes for all.
    pub fn new(limit: u64) -> Self {
        Self(Arc::new(Amounts { limit: limit.into(), taken: 0.into() }))
    }

    /// Changes how many bytes there are for all. What is taken stays taken.
    pub fn set_limit(&self, limit: u64) {
        self.0.limit.store(limit, Ordering::Relaxed);
    }

    /// How many bytes there are for all.
    pub fn limit(&self) -> u64 {
        self.0.limit.load(Ordering::Relaxed)
    }

    /// How many bytes are taken at the moment.
    pub fn taken(&self) -> u64 {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// A share of it, with nothing in it yet.
    pub fn share(&self) -> Share {
        Share { budget: Some(self.clone()), bytes: 0, refused: false }
    }
}

/// What one of them takes. Dropping gives it back. The default is the share of a budget without limit.
#[derive(Debug, Default)]
pub struct Share {
    budget: Option<Budget>,
    bytes: u64,
    refused: bool,
}

impl Share {
    /// Takes what is missing until there are so many bytes. `false` if that is more than is left; then it is as before.
    pub fn cover(&mut self, bytes: usize) -> bool {
        let (bytes, Some(Budget(amounts))) = (bytes as u64, &self.budget) else { return true };
        if bytes <= self.bytes {
            return true;
        }
        let more = bytes - self.bytes;
        let limit = amounts.limit.load(Ordering::Relaxed);
        if amounts.taken.fetch_add(more, Ordering::Relaxed).saturating_add(more) > limit {
            amounts.taken.fetch_sub(more, Ordering::Relaxed);
            self.refused = true;
            return false;
        }
        self.bytes = bytes;
        true
    }

    /// Gives back all that it has.
    pub fn give_back(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if let Some(Budget(amounts)) = &self.budget {
            amounts.taken.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// How many bytes there are for all, if it was refused some.
    pub fn refused(&self) -> Option<u64> {
        self.budget.as_ref().filter(|_| self.refused).map(Budget::limit)
    }

    /// How many bytes there are for all.
    pub fn limit(&self) -> u64 {
        self.budget.as_ref().map_or(u64::MAX, Budget::limit)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_has_is_not_there_for_others_until_it_is_given_back() {
        let budget = Budget::new(100);
        let (mut first, mut second) = (budget.share(), budget.share());
        assert!(first.cover(60) && first.cover(50), "it has more than that");
        assert!(!second.cover(41) && second.cover(40));
        assert_eq!((second.refused(), first.refused(), budget.taken()), (Some(100), None, 100));
        drop(first);
        assert!(second.cover(100));
        second.give_back();
        assert!(budget.share().cover(100) && second.cover(100));
        budget.set_limit(50);
        assert!(!budget.share().cover(1) && second.cover(100), "what is taken stays taken");
        drop(second);
        assert_eq!(budget.taken(), 0);
        assert!(Share::default().cover(usize::MAX));
    }
}
