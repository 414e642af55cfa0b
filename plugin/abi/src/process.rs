//! What an engine asks of the operating system: how much memory is resident, that freed memory goes back, and
//! that threads stay on a number of processors.

/// Resident memory of this process, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resident {
    /// Memory that no file backs: what a budget is about.
    pub anonymous: u64,
    /// Pages of mapped files; the system takes them back when it needs them.
    pub files: u64,
    /// The most that both were together, ever.
    pub peak: u64,
}

/// Reads the resident memory of this process; `None` where the system does not tell.
pub fn resident() -> Option<Resident> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = |name: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(name))?;
        line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib * 1024)
    };
    Some(Resident {
        anonymous: kib("RssAnon:")? + kib("RssShmem:").unwrap_or(0),
        files: kib("RssFile:").unwrap_or(0),
        peak: kib("VmHWM:").unwrap_or(0),
    })
}

/// Makes the allocator give large blocks back to the system as soon as they are freed, so that a budget can be held.
///
/// By default glibc raises the size from which it does so up to 32 MiB as blocks are freed, and keeps what is
/// smaller. Giving back costs: the next block comes with fresh pages, and for batches of a megabyte that nearly
/// doubles the time of a run that does little else. Does nothing on other systems.
pub fn return_freed_memory() {
    allocator(256 << 10, 4 << 20);
}

/// Lets the allocator keep freed blocks for the next ones, which is fast; what it keeps now goes back once. Does
/// nothing on other systems.
pub fn reuse_freed_memory() {
    allocator(32 << 20, 256 << 20);
}

/// Blocks of `own` bytes and more get pages of their own; `kept` is the most that is kept free at the end of a heap.
fn allocator(own: i32, kept: i32) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: sets two numbers of the allocator; both are documented as settable at any time.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, own);
        libc::mallopt(libc::M_TRIM_THRESHOLD, kept);
        libc::malloc_trim(0);
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = (own, kept);
}

/// Keeps this thread, and threads that it will start, on at most `count` of the processors that it may use
/// now. Does nothing where the system offers no such thing, and when `count` is not fewer.
///
/// All threads of a process are kept on the same ones. They begin with the one that the process happened to be on
/// when it first asked, so that several processes with few threads each do not crowd on the first processors.
pub fn limit_thread_cpus(count: usize) {
    #[cfg(target_os = "linux")]
    // SAFETY: plain system calls on a set of ours; 0 means this thread.
    unsafe {
        static BEGIN: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
        let mut set = std::mem::zeroed::<libc::cpu_set_t>();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) != 0 {
            return;
        }
        let allowed: Vec<usize> = (0..libc::CPU_SETSIZE as usize).filter(|&cpu| libc::CPU_ISSET(cpu, &set)).collect();
        let here = *BEGIN.get_or_init(|| usize::try_from(libc::sched_getcpu()).unwrap_or(0));
        for cpu in left_out(&allowed, here, count) {
            libc::CPU_CLR(cpu, &mut set);
        }
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = count;
}

/// Which of the allowed processors are not used: all but `count` of them, counted from `begin` and round.
#[cfg(target_os = "linux")]
fn left_out(allowed: &[usize], begin: usize, count: usize) -> Vec<usize> {
    let first = allowed.iter().position(|&cpu| cpu >= begin).unwrap_or(0);
    allowed.iter().copied().cycle().skip(first).take(allowed.len()).skip(count.max(1)).collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn processors_are_counted_from_where_the_process_is_and_round() {
        let left = |begin, count| left_out(&[0, 2, 3, 7], begin, count);
        assert_eq!(left(0, 1), [2, 3, 7]);
        assert_eq!(left(3, 3), [2]);
        assert_eq!(left(1, 2), [7, 0]);
        assert_eq!(left(9, 0), [2, 3, 7]);
        assert!(left(2, 4).is_empty() && left(2, 99).is_empty());
    }
}
