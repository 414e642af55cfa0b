//! What the allocator keeps of what was freed.
//!
//! Looks, runs and answers have threads of their own. By default glibc has eight heaps for each processor, gives threads
//! one of them in turn, and keeps what they freed: over tens of thousands of events that becomes most of what the service
//! holds, though nothing needs it.

/// Has all threads share a heap for each processor, and two at least. Under full load a search then answers a fifth to a
/// third less, by waiting for them; what the service holds stays as it is however many events come. Does nothing on other
/// systems.
pub(crate) fn share_heaps() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: sets a number of the allocator, which is documented as settable at any time.
    unsafe {
        let processors = std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 64));
        libc::mallopt(libc::M_ARENA_MAX, processors as i32);
    }
}

/// Gives back to the system what is free. Does nothing on other systems.
pub(crate) fn give_back() {
    skysense_abi::return_freed_memory();
}
