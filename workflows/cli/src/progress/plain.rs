//! Progress as plain lines, for logs: one now and then of each node that takes long.

use std::collections::BTreeMap;
use std::time::Duration;

use skysense_engine::Measured;

use super::training::Training;

/// Time between two lines of a node; what takes less says nothing.
const EVERY: Duration = Duration::from_secs(30);

/// What was told and said of each node.
#[derive(Debug, Default)]
pub(super) struct Plain(BTreeMap<String, Node>);

#[derive(Debug, Default)]
struct Node {
    training: Option<Training>,
    /// When it last said something, or began.
    said: Option<Duration>,
}

impl Plain {
    /// A node is so far; gives the line to print.
    pub(super) fn advance(
        &mut self,
        name: &str,
        (done, total): (u64, Option<u64>),
        unit: &str,
        now: Duration,
    ) -> Option<String> {
        let node = self.0.entry(name.to_owned()).or_default();
        // Whoever tells measures says more with them.
        if node.training.is_some() || !node.due(now) {
            return None;
        }
        let of = total.map_or_else(String::new, |total| format!(" of {total}"));
        Some(format!("{name}: {done}{of} {unit}"))
    }

    /// A node measured something; gives the line to print.
    pub(super) fn measured(&mut self, name: &str, measured: &Measured, now: Duration) -> Option<String> {
        let node = self.0.entry(name.to_owned()).or_default();
        let training = node.training.get_or_insert_default();
        training.take(measured, now);
        let line = training.line();
        // The last step is always told once there is something to tell of.
        let last = measured.steps == Some(measured.step);
        (node.due(now) || last).then(|| format!("{name}: {line}"))
    }
}

impl Node {
    fn due(&mut self, now: Duration) -> bool {
        let due = now.saturating_sub(*self.said.get_or_insert(now)) >= EVERY;
        if due {
            self.said = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_nodes_are_silent_and_long_ones_speak_now_and_then() {
        let mut plain = Plain::default();
        let mut lines = Vec::new();
        for second in 0..70 {
            lines.extend(plain.advance("chips", (second, Some(70)), "chips", Duration::from_secs(second)));
        }
        assert_eq!(lines, ["chips: 30 of 70 chips", "chips: 60 of 70 chips"]);
    }

    #[test]
    fn who_measures_speaks_of_that_and_of_the_end() {
        let mut plain = Plain::default();
        let measured = |step: u64| -> Measured {
            serde_json::from_value(serde_json::json!({"step": step, "steps": 40, "values": {"loss": 2.0}}))
                .expect("measures")
        };
        let mut lines = Vec::new();
        for step in 1..=40 {
            let now = Duration::from_secs(step);
            lines.extend(plain.measured("model", &measured(step), now));
            lines.extend(plain.advance("model", (step, Some(40)), "steps", now));
        }
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with("model: step 31 of 40, loss 2.000"), "{lines:?}");
        assert!(lines[1].starts_with("model: step 40 of 40"), "{lines:?}");
    }
}
