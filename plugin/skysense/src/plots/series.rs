//! A measure over the steps, as much of it as can be seen.

/// Points of one name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    /// What the legend calls it.
    pub(super) label: String,
    /// Step and value, in order.
    pub(super) points: Vec<(f64, f64)>,
}

/// From this number of points single ones are drawn faint, and their moving mean above them.
const MANY: usize = 60;
/// Parts of the run that the moving mean is taken over.
const PARTS: usize = 40;

impl Series {
    /// The points, at most about `most` of them: of each part the first, the least, the largest and the last, so that no
    /// peak is lost.
    pub(super) fn seen(&self, most: usize) -> Vec<(f64, f64)> {
        let length = (4 * self.points.len()).div_ceil(most.max(4)).max(4);
        if self.points.len() <= most {
            return self.points.clone();
        }
        let of_part = |part: &[(f64, f64)]| {
            let by_value = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
            let ends = [part.first(), part.iter().min_by(by_value), part.iter().max_by(by_value), part.last()];
            let mut kept: Vec<(f64, f64)> = ends.into_iter().flatten().copied().collect();
            kept.sort_by(|a, b| a.0.total_cmp(&b.0));
            kept.dedup();
            kept
        };
        self.points.chunks(length).flat_map(of_part).collect()
    }

    /// The mean over a window that moves along; `None` where single points can be told apart.
    pub(super) fn smooth(&self) -> Option<Self> {
        if self.points.len() < MANY {
            return None;
        }
        let reach = (self.points.len() / PARTS / 2).max(1);
        let mut sums = vec![0.0];
        self.points.iter().for_each(|(_, value)| sums.push(sums[sums.len() - 1] + value));
        let mean = |at: usize| {
            // As far to the left as to the right, so that a slope stays one up to the ends.
            let reach = reach.min(at).min(self.points.len() - 1 - at);
            (sums[at + reach + 1] - sums[at - reach]) / (2 * reach + 1) as f64
        };
        let points = (0..self.points.len()).map(|at| (self.points[at].0, mean(at))).collect();
        Some(Self { label: self.label.clone(), points })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(count: usize, value: impl Fn(usize) -> f64) -> Series {
        Series { label: "a".into(), points: (0..count).map(|at| (at as f64, value(at))).collect() }
    }

    #[test]
    fn few_points_of_many_keep_every_peak() {
        let long = series(100_000, |at| if at == 54_321 { 9.0 } else { (at % 7) as f64 / 7.0 });
        let seen = long.seen(600);
        assert!(seen.len() <= 620 && seen.contains(&(54_321.0, 9.0)), "{}", seen.len());
        assert!(seen.is_sorted_by(|a, b| a.0 <= b.0));
        assert_eq!((seen[0].0, seen[seen.len() - 1].0), (0.0, 99_999.0));
        assert_eq!(series(50, |at| at as f64).seen(600).len(), 50);
    }

    #[test]
    fn a_moving_mean_keeps_a_slope_and_takes_the_noise() {
        assert!(series(59, |_| 1.0).smooth().is_none());
        let slope = series(400, |at| at as f64).smooth().unwrap();
        assert!(slope.points.iter().all(|(step, value)| (step - value).abs() < 1e-9));
        let noise = series(4000, |at| if at % 2 == 0 { 1.0 } else { -1.0 }).smooth().unwrap();
        assert!(noise.points[100..3900].iter().all(|(_, value)| value.abs() < 0.05));
    }
}
