//! Which devices a run may use, and who uses which.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use skysense_abi::NodeError;

/// The devices of a run. Leases are shared out evenly and never wait: a device that several nodes use is
/// slower, one that a node waits for while it feeds the other would be a deadlock.
#[derive(Debug)]
pub(crate) struct Devices {
    allowed: Vec<String>,
    leases: Mutex<BTreeMap<String, usize>>,
}

impl Devices {
    pub(crate) fn new(allowed: &[String]) -> Self {
        Self { allowed: allowed.to_vec(), leases: Mutex::default() }
    }

    pub(crate) fn lease(&self, wanted: &str) -> Result<String, NodeError> {
        let fits = |device: &str| wanted == "auto" || device == wanted || device.split(':').next() == Some(wanted);
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.allowed.iter().filter(|d| fits(d)).min_by_key(|d| leases.get(*d).copied().unwrap_or(0));
        let device = match found {
            Some(device) => device.clone(),
            // `auto` leaves the choice to the node, which knows its runtime.
            None if self.allowed.iter().any(|d| d == "auto") => wanted.to_owned(),
            None => {
                let message = format!("device `{wanted}` is not one of this run's ({})", self.allowed.join(", "));
                return Err(NodeError::new("device.refused", message).hint("--device names the devices of a run"));
            }
        };
        *leases.entry(device.clone()).or_default() += 1;
        Ok(device)
    }

    pub(crate) fn release(&self, device: &str) {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = leases.get_mut(device) {
            *count = count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_shared_out_and_others_refused() {
        let devices = Devices::new(&["cuda:0".into(), "cuda:1".into()]);
        assert_eq!(devices.lease("auto").unwrap(), "cuda:0");
        assert_eq!(devices.lease("cuda").unwrap(), "cuda:1");
        devices.release("cuda:0");
        assert_eq!(devices.lease("auto").unwrap(), "cuda:0");
        assert!(devices.lease("cpu").unwrap_err().message.contains("cuda:0, cuda:1"));
        assert_eq!(Devices::new(&["auto".into()]).lease("cuda:3").unwrap(), "cuda:3");
    }
}
