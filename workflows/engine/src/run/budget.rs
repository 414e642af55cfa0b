//! The part of the memory budget that is lent out while a run goes on.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that nodes and oversized batches may lease. Never waits, so it cannot deadlock.
#[derive(Debug)]
pub(super) struct Budget {
    free: AtomicU64,
}

impl Budget {
    pub(super) fn new(bytes: u64) -> Self {
        Self { free: AtomicU64::new(bytes) }
    }

    /// Takes bytes, or nothing when there are too few.
    pub(super) fn take(&self, bytes: u64) -> bool {
        self.free.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |free| free.checked_sub(bytes)).is_ok()
    }

    /// Gives bytes back.
    pub(super) fn give(&self, bytes: u64) {
        self.free.fetch_add(bytes, Ordering::SeqCst);
    }

    /// How much is free.
    pub(super) fn free(&self) -> u64 {
        self.free.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_can_be_given_back_and_never_more_is_lent_than_there_is() {
        let budget = Budget::new(10);
        assert!(budget.take(7) && !budget.take(4) && budget.take(3));
        budget.give(7);
        assert_eq!(budget.free(), 7);
        assert!(!budget.take(u64::MAX));
    }
}
