//! What the system tells of this process.

/// Peak resident memory of this process in bytes, mapped files counted too: the system's high-water mark. `None` where
/// the system does not tell it.
pub(crate) fn own_peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(1024 * kibibytes)
}
