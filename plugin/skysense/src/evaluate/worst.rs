//! The chips that a model did worst on, as they are shown.

/// A chip with its pixels as colours.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shown {
    /// Column and row of its upper left pixel.
    pub(crate) place: [i64; 2],
    pub(crate) period: String,
    /// Share that is wrong, or the root of the mean squared error.
    pub(crate) error: f64,
    pub(crate) side: usize,
    /// Named pictures, `[height, width]` as red, green and blue.
    pub(crate) pictures: Vec<(&'static str, Vec<[u8; 3]>)>,
}

/// Keeps the worst few.
#[derive(Debug)]
pub(crate) struct Worst {
    most: usize,
    chips: Vec<Shown>,
}

impl Worst {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, chips: Vec::new() }
    }

    /// Whether any is kept.
    pub(crate) fn any(&self) -> bool {
        self.most > 0
    }

    /// Whether a chip of this error is among the worst so far; of equal ones the first stay.
    pub(crate) fn wants(&self, error: f64) -> bool {
        error > 0.0
            && self.most > 0
            && (self.chips.len() < self.most || self.chips.last().is_some_and(|c| error > c.error))
    }

    pub(crate) fn add(&mut self, chip: Shown) {
        if self.wants(chip.error) {
            let at = self.chips.partition_point(|other| other.error >= chip.error);
            self.chips.insert(at, chip);
            self.chips.truncate(self.most);
        }
    }

    /// The worst first.
    pub(crate) fn chips(&self) -> &[Shown] {
        &self.chips
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_stay_in_their_order() {
        let mut worst = Worst::new(2);
        for (at, error) in [0.2, 0.0, 0.5, 0.2, 0.9].into_iter().enumerate() {
            worst.add(Shown { place: [at as i64, 0], period: "all".into(), error, side: 0, pictures: vec![] });
        }
        let found: Vec<_> = worst.chips().iter().map(|chip| (chip.place[0], chip.error)).collect();
        assert_eq!(found, [(4, 0.9), (2, 0.5)]);
        assert!(!worst.wants(0.5) && worst.wants(0.6));
    }
}
