//! A sample of a stream of unknown length: evenly spread over all that came, and not more than fit.

/// Says which of those that come are kept: all at first; whenever there are too many, every second one of them goes, and
/// from then on half as many are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thinning {
    most: usize,
    every: usize,
    seen: usize,
    held: usize,
}

impl Thinning {
    /// Nothing yet; at most so many are held, 1 or more.
    pub fn new(most: usize) -> Self {
        Self { most: most.max(1), every: 1, seen: 0, held: 0 }
    }

    /// Whether the next one is kept. Where they became too many, `thin` is called before that: it must take away every
    /// second of those that are held, and leave the first.
    pub fn takes(&mut self, thin: impl FnOnce()) -> bool {
        if self.seen.is_multiple_of(self.every) && self.held == self.most {
            thin();
            self.held = self.held.div_ceil(2);
            self.every *= 2;
        }
        let taken = self.seen.is_multiple_of(self.every) && self.held < self.most;
        self.held += usize::from(taken);
        self.seen += 1;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_evenly_spread() {
        for most in [1, 2, 7, 64] {
            let (mut thinning, mut kept) = (Thinning::new(most), Vec::new());
            for at in 0..1000 {
                if thinning.takes(|| kept = kept.iter().step_by(2).copied().collect()) {
                    kept.push(at);
                }
                assert!(kept.len() <= most, "{most}: {kept:?}");
            }
            let steps: Vec<usize> = kept.windows(2).map(|two| two[1] - two[0]).collect();
            assert!(kept[0] == 0 && steps.iter().all(|step| *step == steps[0]), "{most}: {kept:?}");
            assert!(2 * kept.len() >= most, "{most}: {kept:?}");
        }
    }
}
