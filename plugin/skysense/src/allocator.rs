//! The allocator of the plugin, and what it keeps while a model trains.
//!
//! Training makes and drops tensors of tens of megabytes at every step. The system's allocator hands such blocks back to
//! the kernel each time, and the zeroing of fresh pages was a third of the time of a step. The one here hands back what
//! nobody used for a second, but a step of a large model takes longer than that: it was a fifth of its time still. So
//! while a model trains, nothing is handed back, and everything once it has trained. The peak is what it was: a step
//! needs again what the step before it needed.

use std::ffi::{c_int, c_long};
use std::sync::{Mutex, PoisonError};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

unsafe extern "C" {
    fn mi_option_get(option: c_int) -> c_long;
    fn mi_option_set(option: c_int, value: c_long);
    fn mi_collect(force: bool);
}

/// `mi_option_purge_delay`: milliseconds after which memory that was freed is handed back.
const DELAY: c_int = 15;

/// Never.
const KEPT: c_long = -1;

/// Trainings that go on, and the delay before the first of them.
static TRAININGS: Mutex<(usize, c_long)> = Mutex::new((0, 0));

/// While one of these lives, memory that is freed is kept for what comes next.
#[derive(Debug)]
pub(crate) struct Keeping(());

impl Keeping {
    pub(crate) fn new() -> Self {
        let mut trainings = TRAININGS.lock().unwrap_or_else(PoisonError::into_inner);
        if trainings.0 == 0 {
            // SAFETY: the option is one of the allocator's; it is set by who holds the lock alone, and who reads it
            // meanwhile, as memory is freed, finds the one number or the other.
            unsafe {
                trainings.1 = mi_option_get(DELAY);
                mi_option_set(DELAY, KEPT);
            }
        }
        trainings.0 += 1;
        Self(())
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        let mut trainings = TRAININGS.lock().unwrap_or_else(PoisonError::into_inner);
        trainings.0 -= 1;
        if trainings.0 == 0 {
            // SAFETY: as above; memory that is in use stays.
            unsafe {
                mi_option_set(DELAY, trainings.1);
                mi_collect(true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_freed_is_kept_until_the_last_training_ends() {
        use super::*;
        // SAFETY: the option is one of the allocator's.
        let delay = || unsafe { mi_option_get(DELAY) };
        let before = delay();
        assert!(before == 1000 || std::env::var_os("MIMALLOC_PURGE_DELAY").is_some(), "not the delay: {before}");
        let first = Keeping::new();
        let second = Keeping::new();
        drop(first);
        assert_eq!(delay(), KEPT);
        drop(second);
        assert_eq!(delay(), before);
    }
}
