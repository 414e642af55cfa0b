//! Learning rate over the steps of a run.

/// Linear warm-up, then a half cosine down to a share of the peak.
///
/// `lr(t) = peak · (t + 1) / w` for `t < w`, then
/// `lr(t) = peak · (f + (1 − f) · (1 + cos(π · (t − w) / (T − w))) / 2)` with the final share `f`
/// (Loshchilov & Hutter, SGDR, ICLR 2017, without restarts).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Schedule {
    pub(crate) peak: f64,
    /// Share of the peak at the end, `f`.
    pub(crate) last: f64,
    /// Steps of warm-up, `w`.
    pub(crate) warm_up: usize,
    /// All steps, `T`.
    pub(crate) steps: usize,
}

impl Schedule {
    pub(crate) fn rate(&self, step: usize) -> f64 {
        if step < self.warm_up {
            return self.peak * (step + 1) as f64 / self.warm_up as f64;
        }
        let length = self.steps.saturating_sub(self.warm_up).max(1);
        let along = (step - self.warm_up) as f64 / length as f64;
        cosine(self.peak, self.peak * self.last, along)
    }
}

/// Half a cosine from `first` to `last` over `along` from 0 to 1; `last` from there on.
pub(crate) fn cosine(first: f64, last: f64, along: f64) -> f64 {
    last + (first - last) * 0.5 * (1.0 + (std::f64::consts::PI * along.clamp(0.0, 1.0)).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_climbs_then_falls() {
        let schedule = Schedule { peak: 1.0, last: 0.01, warm_up: 4, steps: 104 };
        assert_eq!(schedule.rate(0), 0.25);
        assert_eq!(schedule.rate(3), 1.0);
        assert_eq!(schedule.rate(4), 1.0);
        assert!((schedule.rate(54) - 0.505).abs() < 1e-9);
        assert!((schedule.rate(104) - 0.01).abs() < 1e-9);
        assert_eq!([cosine(2.0, 4.0, 0.0), cosine(2.0, 4.0, 0.5), cosine(2.0, 4.0, 7.0)], [2.0, 3.0, 4.0]);
        assert_eq!(Schedule { warm_up: 0, ..schedule }.rate(0), 1.0);
    }
}
