//! Logits with their truth, kept to fit a temperature on: evenly spread over all that came, and not more than fit.

use skysense_metric::{Temperature, Thinning};

/// Most rows that are kept.
const MOST: usize = 1 << 16;

/// Rows of logits, every so many of those that came.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    classes: usize,
    thinning: Thinning,
    logits: Vec<f32>,
    truth: Vec<usize>,
}

impl Kept {
    pub(super) fn new(classes: usize) -> Self {
        Self { classes, thinning: Thinning::new(MOST), logits: Vec::new(), truth: Vec::new() }
    }

    /// Takes a row, or passes it over.
    pub(super) fn add(&mut self, logits: impl Iterator<Item = f32>, truth: usize) {
        let Self { classes, thinning, logits: rows, truth: classes_of_rows } = self;
        let taken = thinning.takes(|| {
            *rows = rows.chunks_exact(*classes).step_by(2).flatten().copied().collect();
            *classes_of_rows = classes_of_rows.iter().step_by(2).copied().collect();
        });
        if taken {
            rows.extend(logits.take(*classes));
            classes_of_rows.push(truth);
        }
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
        let every = rows[1] - rows[0];
        assert!(every > 1 && rows.windows(2).all(|two| two[1] - two[0] == every), "every {every}");
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
