//! What the benchmarks of this crate share.

use std::time::Instant;

/// Milliseconds of `run`, the median of so many runs.
pub(crate) fn median(runs: usize, mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..runs)
        .map(|_| {
            let begun = Instant::now();
            run();
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[runs / 2]
}

/// The same after one run that is not counted.
#[allow(dead_code, reason = "each benchmark uses its own part")]
pub(crate) fn warm_median(runs: usize, mut run: impl FnMut()) -> f64 {
    run();
    median(runs, run)
}
