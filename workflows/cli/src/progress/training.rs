//! The numbers of a node that trains, as lines for people.

use std::collections::BTreeMap;
use std::time::Duration;

use skysense_engine::Measured;

use super::sparkline::Sparkline;

/// What was measured so far of one node.
#[derive(Debug, Clone, Default)]
pub(super) struct Training {
    step: u64,
    steps: Option<u64>,
    /// The latest of each name: a probe comes every so many steps and holds until the next.
    values: BTreeMap<String, f64>,
    loss: Sparkline,
    /// When the last step came, and seconds that a step takes, new steps weighing most.
    last: Option<Duration>,
    pace: Option<f64>,
}

/// Share of the pace that a new step decides.
const FRESH: f64 = 0.1;

impl Training {
    /// Takes the numbers of a step that came at this time.
    pub(super) fn take(&mut self, measured: &Measured, now: Duration) {
        if let Some(last) = self.last
            && measured.step > self.step
        {
            let one = now.saturating_sub(last).as_secs_f64() / (measured.step - self.step) as f64;
            self.pace = Some(self.pace.map_or(one, |pace| (1.0 - FRESH) * pace + FRESH * one));
        }
        (self.step, self.steps, self.last) = (measured.step, measured.steps, Some(now));
        let values = measured.values.iter().filter_map(|(name, value)| Some((name.clone(), (*value)?)));
        self.values.extend(values);
        if let Some(loss) = measured.values.get("loss").copied().flatten() {
            self.loss.push(loss);
        }
    }

    /// Lines below a bar: the loss and its way, its terms, how fast it goes, what probes gave.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut first: Vec<String> = self.number("loss", "loss").into_iter().collect();
        first.push(self.loss.blocks());
        first.extend(self.number("learning_rate", "rate"));
        let lines = [first, self.terms(), self.speed(), self.probes()];
        lines.into_iter().map(|parts| parts.join("  ")).filter(|line| !line.trim().is_empty()).collect()
    }

    /// All of it in one line, where lines cannot be written over.
    pub(super) fn line(&self) -> String {
        let of = self.steps.map_or_else(String::new, |steps| format!(" of {steps}"));
        let own = self.number("loss", "loss").into_iter().chain(self.number("learning_rate", "rate"));
        let parts = own.chain(self.terms()).chain(self.speed()).chain(self.probes());
        std::iter::once(format!("step {}{of}", self.step)).chain(parts).collect::<Vec<_>>().join(", ")
    }

    fn number(&self, name: &str, title: &str) -> Option<String> {
        Some(format!("{title} {}", short(*self.values.get(name)?)))
    }

    /// The terms of the loss without their parts: `loss.image`, and not `loss.image.s2`.
    fn terms(&self) -> Vec<String> {
        let term = |(name, value): (&String, &f64)| {
            let term = name.strip_prefix("loss.").filter(|term| !term.contains('.'))?;
            Some(format!("{term} {}", short(*value)))
        };
        self.values.iter().filter_map(term).collect()
    }

    fn speed(&self) -> Vec<String> {
        let mut parts = Vec::new();
        let value = |name: &str| self.values.get(name).copied();
        parts.extend(value("places_per_second").map(|speed| format!("{} places/s", short(speed))));
        parts.extend(value("waiting").map(|share| format!("{:.0} % waiting", 100.0 * share)));
        parts.extend(value("skipped").filter(|count| *count > 0.0).map(|count| format!("{count:.0} left out")));
        if let (Some(pace), Some(steps)) = (self.pace, self.steps) {
            parts.push(format!("{} left", time(pace * steps.saturating_sub(self.step) as f64)));
        }
        parts
    }

    fn probes(&self) -> Vec<String> {
        let probe = |(name, title): (&str, &str)| {
            Some(format!("{title} {:.1} %", 100.0 * self.values.get(&format!("probe.{name}.accuracy"))?))
        };
        [("knn", "k-NN"), ("linear", "linear probe")].into_iter().filter_map(probe).collect()
    }
}

/// A number in four digits.
fn short(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if size != 0.0 && !(1e-3..1e5).contains(&size) => format!("{value:.2e}"),
        _ if size >= 100.0 => format!("{value:.0}"),
        _ if size >= 10.0 => format!("{value:.1}"),
        _ if size >= 1.0 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

/// Seconds as people say them.
fn time(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match (whole / 86_400, whole / 3600, whole / 60) {
        (0, 0, 0) => format!("{whole} s"),
        (0, 0, minutes) => format!("{minutes} min {:02} s", whole % 60),
        (0, hours, _) => format!("{hours} h {:02} min", whole / 60 % 60),
        (days, ..) => format!("{days} d {} h", whole / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(step: u64, values: &[(&str, f64)]) -> Measured {
        let values: BTreeMap<_, _> = values.iter().map(|(name, value)| (*name, value)).collect();
        serde_json::from_value(serde_json::json!({"step": step, "steps": 100, "values": values})).expect("measures")
    }

    #[test]
    fn the_lines_say_what_one_wants_to_know() {
        let mut training = Training::default();
        let first = [
            ("loss", 9.0),
            ("loss.image", 4.0),
            ("loss.image.s2", 2.0),
            ("learning_rate", 2e-4),
            ("places_per_second", 12.3),
            ("waiting", 0.021),
            ("probe.knn.accuracy", 0.712),
        ];
        training.take(&measured(9, &first), Duration::from_secs(10));
        training
            .take(&measured(10, &[("loss", 8.123), ("loss.image", 3.5), ("skipped", 2.0)]), Duration::from_secs(12));
        assert_eq!(
            training.lines(),
            [
                "loss 8.123  █▁  rate 2.00e-4",
                "image 3.500",
                "12.3 places/s  2 % waiting  2 left out  3 min 00 s left",
                "k-NN 71.2 %"
            ]
        );
        let line = training.line();
        assert!(line.starts_with("step 10 of 100, loss 8.123, rate 2.00e-4, image 3.500, 12.3 places/s"), "{line}");
        assert!(!line.contains('█'), "{line}");
    }

    #[test]
    fn a_node_that_tells_little_has_few_lines() {
        let mut training = Training::default();
        training.take(&measured(1, &[("loss", 0.5)]), Duration::ZERO);
        assert_eq!(training.lines(), ["loss 0.5000  ▁"]);
        assert_eq!(training.line(), "step 1 of 100, loss 0.5000");
    }

    #[test]
    fn numbers_and_times_are_short() {
        let numbers = [0.0, 1e-5, -0.25, 12.345, 1234.5, 3e6].map(short);
        assert_eq!(numbers, ["0.0000", "1.00e-5", "-0.2500", "12.3", "1234", "3.00e6"]);
        let times = [4.4, 61.0, 3_700.0, 200_000.0].map(time);
        assert_eq!(times, ["4 s", "1 min 01 s", "1 h 01 min", "2 d 7 h"]);
    }
}
