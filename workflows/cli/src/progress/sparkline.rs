//! A line of blocks that shows how a number went over a whole run, however long it is.

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Blocks in a line at most.
const WIDTH: usize = 24;

/// The means of equally long parts of the run.
#[derive(Debug, Clone, Default)]
pub(super) struct Sparkline {
    /// Sum and count of each part; all but the last are full.
    parts: Vec<(f64, u64)>,
    /// Values to a part, a power of 2.
    length: u64,
}

impl Sparkline {
    /// Adds a value; one that is no number is left out.
    pub(super) fn push(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.length = self.length.max(1);
        match self.parts.last_mut().filter(|(_, count)| *count < self.length) {
            Some((sum, count)) => (*sum, *count) = (*sum + value, *count + 1),
            None => self.parts.push((value, 1)),
        }
        if self.parts.len() > WIDTH {
            let pairs = self.parts.chunks(2);
            self.parts = pairs.map(|pair| pair.iter().fold((0.0, 0), |a, b| (a.0 + b.0, a.1 + b.1))).collect();
            self.length *= 2;
        }
    }

    /// The blocks, from the least mean to the largest.
    pub(super) fn blocks(&self) -> String {
        let means = || self.parts.iter().map(|(sum, count)| sum / *count as f64);
        let (least, largest) = means().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
        let block = |mean: f64| {
            let share = if largest > least { (mean - least) / (largest - least) } else { 0.0 };
            BLOCKS[((share * 8.0) as usize).min(7)]
        };
        means().map(block).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_from_the_least_to_the_largest() {
        let mut line = Sparkline::default();
        assert_eq!(line.blocks(), "");
        [8.0, f64::NAN, 4.0, 0.0].into_iter().for_each(|value| line.push(value));
        assert_eq!(line.blocks(), "█▅▁");
    }

    #[test]
    fn a_long_run_keeps_its_shape_in_a_short_line() {
        let mut line = Sparkline::default();
        (0..100_000).for_each(|step| line.push(f64::from(100_000 - step)));
        let blocks: Vec<char> = line.blocks().chars().collect();
        assert!((WIDTH / 2..=WIDTH).contains(&blocks.len()), "{}", blocks.len());
        assert_eq!((blocks[0], blocks[blocks.len() - 1]), ('█', '▁'));
        assert!(blocks.is_sorted_by(|a, b| a >= b), "{blocks:?}");
    }
}
