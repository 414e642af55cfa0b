//! Logits with their truth, kept to fit a temperature on: evenly spread over all that came, and not more than fit.

use skysense_metric::Temperature;

/// Most rows that are kept.
const MOST: usize = 1 << 16;

/// Rows of logits, every so many of those that came.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    classes: usize,
    every: usize,
    seen: usize,
    logits: Vec<f32>,
    truth: Vec<usize>,
}

impl Kept {
    pub(super) fn new(classes: usize) -> Self {
        Self { classes, every: 1, seen: 0, logits: Vec::new(), truth: Vec::new() }
    }

    /// Takes a row, or passes it over.
    pub(super) fn add(&mut self, logits: impl Iterator<Item = f32>, truth: usize) {
        if self.seen.is_multiple_of(self.every) {
            if self.truth.len() == MOST {
                self.thin();
            }
            if self.seen.is_multiple_of(self.every) {
                self.logits.extend(logits.take(self.classes));
                self.truth.push(truth);
            }
        }
        self.seen += 1;
    }

    /// Every second row goes.
    fn thin(&mut self) {
        self.every *= 2;
        let rows = self.logits.chunks_exact(self.classes).step_by(2).flatten().copied().collect();
        self.logits = rows;
        self.truth = self.truth.iter().step_by(2).copied().collect();
    }

    /// The temperature with which the probabilities fit best; `None` without a row or with logits that are not finite.
    pub(super) fn temperature(&self) -> Option<Temperature> {
        // A row that cannot be used would have ended the training.
        Temperature::fit(&self.logits, self.classes, &self.truth).ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_kept_evenly_and_few_enough() {
        let mut kept = Kept::new(2);
        for row in 0..3 * MOST {
            kept.add([row as f32, 0.0].into_iter(), row % 2);
        }
        assert!(kept.truth.len() <= MOST && kept.logits.len() == 2 * kept.truth.len(), "{}", kept.truth.len());
        let rows: Vec<usize> = kept.logits.chunks(2).map(|row| row[0] as usize).collect();
        assert!(rows.windows(2).all(|two| two[1] - two[0] == kept.every), "every {}", kept.every);
    }

    #[test]
    fn logits_that_are_too_sure_are_cooled() {
        let mut kept = Kept::new(2);
        // Odds of e⁶ for the first class, which is right three times in four: ln 3 would be fair.
        (0..400).for_each(|at| kept.add([6.0, 0.0].into_iter(), usize::from(at % 4 == 0)));
        let found = kept.temperature().unwrap().temperature;
        assert!((found - 6.0 / 3.0_f64.ln()).abs() < 1e-3, "{found}");
    }
}
