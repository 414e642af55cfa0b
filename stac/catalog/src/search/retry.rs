//! When and how long to wait before asking a server again.

use std::time::{Duration, SystemTime};

use chrono::DateTime;

/// Longest wait, whatever a server asks for.
const LONGEST: Duration = Duration::from_secs(60);

/// Whether a status is a passing fault.
pub(super) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// The wait before attempt `attempt` + 1: what the server asked for, else twice as long each time.
pub(super) fn wait(base_milliseconds: u64, attempt: u32, retry_after: Option<&str>) -> Duration {
    let asked = retry_after.and_then(|text| seconds(text, SystemTime::now()));
    let doubled = Duration::from_millis(base_milliseconds.saturating_mul(1 << attempt.saturating_sub(1).min(16)));
    asked.unwrap_or(doubled).min(LONGEST)
}

/// `Retry-After` as seconds or as a date.
fn seconds(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = SystemTime::from(DateTime::parse_from_rfc2822(text.trim()).ok()?);
    Some(date.duration_since(now).unwrap_or_default())
}

/// Sleeps in short naps so that a stop is noticed; whether it slept to the end.
pub(super) fn nap(total: Duration, stop: &dyn Fn() -> bool) -> bool {
    const NAP: Duration = Duration::from_millis(50);
    let mut left = total;
    while left > Duration::ZERO {
        if stop() {
            return false;
        }
        let now = left.min(NAP);
        std::thread::sleep(now);
        left -= now;
    }
    !stop()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_wish_beats_doubling_and_both_are_bounded() {
        assert_eq!(wait(500, 1, None), Duration::from_millis(500));
        assert_eq!(wait(500, 3, None), Duration::from_secs(2));
        assert_eq!(wait(500, 60, None), LONGEST);
        assert_eq!(wait(500, 1, Some("7")), Duration::from_secs(7));
        assert_eq!(wait(500, 1, Some("86400")), LONGEST);
        assert_eq!(wait(500, 1, Some("soon")), Duration::from_millis(500));
        assert_eq!(seconds("Thu, 01 Jan 1970 00:00:10 GMT", SystemTime::UNIX_EPOCH), Some(Duration::from_secs(10)));
    }

    #[test]
    fn a_nap_ends_when_stopped() {
        assert!(!nap(Duration::from_secs(60), &|| true));
        assert!(nap(Duration::from_millis(1), &|| false));
    }
}
