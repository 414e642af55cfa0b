//! How often one address may ask.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// Most addresses that are kept in mind; when there are more, those that have been quiet are forgotten.
const MOST: usize = 10_000;

/// A bucket for each address: each request takes a drop, and they come back over a minute.
#[derive(Debug)]
pub(crate) struct Rate {
    per_minute: f64,
    buckets: Mutex<HashMap<IpAddr, (f64, Instant)>>,
}

impl Rate {
    pub(crate) fn new(per_minute: u32) -> Self {
        Self { per_minute: f64::from(per_minute.max(1)), buckets: Mutex::default() }
    }

    /// Whether an address may ask now.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        self.allows_at(address, Instant::now())
    }

    fn allows_at(&self, address: IpAddr, now: Instant) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let refilled = |left: f64, since: Instant| {
            (left + now.saturating_duration_since(since).as_secs_f64() * self.per_minute / 60.0).min(self.per_minute)
        };
        if buckets.len() >= MOST && !buckets.contains_key(&address) {
            buckets.retain(|_, (left, since)| refilled(*left, *since) < self.per_minute);
            if buckets.len() >= MOST {
                buckets.clear();
            }
        }
        let (left, since) = buckets.entry(address).or_insert((self.per_minute, now));
        let level = refilled(*left, *since);
        let allowed = level >= 1.0;
        (*left, *since) = (if allowed { level - 1.0 } else { level }, now);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn drops_are_taken_and_come_back_for_each_address() {
        let rate = Rate::new(60);
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let now = Instant::now();
        assert_eq!((0..100).filter(|_| rate.allows_at(one, now)).count(), 60);
        assert!(rate.allows_at(other, now));
        assert!(!rate.allows_at(one, now + Duration::from_millis(900)));
        assert!(rate.allows_at(one, now + Duration::from_millis(2_100)));
    }

    #[test]
    fn many_addresses_do_not_fill_memory() {
        let rate = Rate::new(60);
        let now = Instant::now();
        for number in 0..3 * MOST as u32 {
            rate.allows_at(IpAddr::from(number.to_be_bytes()), now);
        }
        assert!(rate.buckets.lock().unwrap().len() <= MOST);
    }
}
