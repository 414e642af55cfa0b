//! Memory that is written before it is read: zeroing it first would be one more pass over what an operation gives.

use std::mem::MaybeUninit;

/// A vector of so many values, each of which `fill` writes.
///
/// # Safety
/// `fill` must write every value.
pub(crate) unsafe fn written(length: usize, fill: impl FnOnce(&mut [MaybeUninit<f32>])) -> Vec<f32> {
    let mut values = Vec::with_capacity(length);
    fill(&mut values.spare_capacity_mut()[..length]);
    // SAFETY: there is room for as many, and the caller's promise is that all are written.
    unsafe { values.set_len(length) };
    values
}
