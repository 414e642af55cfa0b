//! Learning rate over the steps of a run.

/// Linear warm-up, then a half cosine down to a share of the peak.
///
/// `lr(t) = peak · (t + 1) / w` for `t < w`, then
/// `lr(t) = peak · (f + (1 − f) · (1 + cos(π · (t − w) / (T − w))) / 2)` with the final share `f`
/// (Loshchilov & Hutter, SGDR, ICLR 2017, without restarts).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Schedule {
    pub(crate) peak: f64,
    /// Steps of warm-up, `w`.
    pub(crate) warm_up: usize,
    /// All steps, `T`.
    pub(crate) steps: usize,
}

/// Share of the peak at the end.
const FINAL: f64 = 0.01;

impl Schedule {
    pub(crate) fn rate(&self, step: usize) -> f64 {
        if step < self.warm_up {
            return self.peak * (step + 1) as f64 / self.warm_up as f64;
        }
        let length = self.steps.saturating_sub(self.warm_up).max(1);
        let along = ((step - self.warm_up) as f64 / length as f64).min(1.0);
        self.peak * (FINAL + (1.0 - FINAL) * 0.5 * (1.0 + (std::f64::consts::PI * along).cos()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_climbs_then_falls() {
        let schedule = Schedule { peak: 1.0, warm_up: 4, steps: 104 };
        assert_eq!(schedule.rate(0), 0.25);
        assert_eq!(schedule.rate(3), 1.0);
        assert_eq!(schedule.rate(4), 1.0);
        assert!((schedule.rate(54) - 0.505).abs() < 1e-9);
        assert!((schedule.rate(104) - FINAL).abs() < 1e-9);
        assert_eq!(Schedule { warm_up: 0, ..schedule }.rate(0), 1.0);
    }
}
