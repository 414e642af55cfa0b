//! Functions of one value without branches, so that loops over them become vector instructions, and sums in lanes.

/// Partial sums that are kept side by side: enough for two wide registers, which hides the latency of an addition.
const LANES: usize = 16;

/// `eˣ` to two units in the last place, 0 below the normal numbers; not a number stays one. After Cephes (`expf.c`, S. Moshier): `2ⁿ` times a
/// polynomial on `|r| ≤ ln 2 / 2`.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding 1.5 · 2²³ leaves the nearest integer in the last bits.
    const SHIFT: f32 = 12_582_912.0;
    const HIGH: f32 = 0.693_359_4;
    const LOW: f32 = -2.121_944_4e-4;
    let vanishes = x < -87.3;
    let x = if x > 88.3 { 88.3 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let r = x - n * HIGH - n * LOW;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let y = p * r * r + r + 1.0;
    let power = (shifted.to_bits().wrapping_sub(SHIFT.to_bits()).wrapping_add(127)) << 23;
    if vanishes { 0.0 } else { y * f32::from_bits(power) }
}

/// The error function to 4e-7: the rational approximation of Eigen (`generic_fast_erf`), exact ±1 beyond ±4 up to
/// single precision.
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let x = if x < -4.0 { -4.0 } else { x };
    let x = if x > 4.0 { 4.0 } else { x };
    let s = x * x;
    let p = -2.726_142_3e-10;
    let p = p * s + 2.770_681_4e-8;
    let p = p * s - 2.101_024e-6;
    let p = p * s - 5.692_506_4e-5;
    let p = p * s - 7.349_906_3e-4;
    let p = p * s - 2.954_6e-3;
    let p = p * s - 1.609_603_3e-2;
    let q = -1.456_607_2e-5;
    let q = q * s - 2.133_740_6e-4;
    let q = q * s - 1.682_827e-3;
    let q = q * s - 7.373_329e-3;
    let q = q * s - 1.426_473_9e-2;
    x * p / q
}

/// Sum of `f` over rows of one length, in [`LANES`] partial sums.
#[inline(always)]
pub(crate) fn sum<const ROWS: usize>(rows: [&[f32]; ROWS], f: impl Fn([f32; ROWS]) -> f32) -> f32 {
    let length = rows[0].len();
    let whole = length - length % LANES;
    let mut lanes = [0.0_f32; LANES];
    for at in (0..whole).step_by(LANES) {
        let chunks = rows.map(|row| &row[at..at + LANES]);
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += f(chunks.map(|chunk| chunk[lane]));
        }
    }
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
    }
    (whole..length).fold(lanes[0], |sum, at| sum + f(rows.map(|row| row[at])))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By its series; exact enough for single precision where the argument is small, 1 elsewhere.
    fn erf_by_series(x: f64) -> f64 {
        let mut term = x;
        let mut sum = x;
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn the_error_function_is_near_its_series() {
        for step in -4200..=4200 {
            let x = step as f32 / 1000.0;
            let error = (f64::from(erf(x)) - erf_by_series(f64::from(x))).abs();
            assert!(error < 4e-7, "{x}: {error}");
        }
        assert!(erf(f32::NAN).is_nan() && erf(f32::INFINITY) > 0.999_999 && erf(f32::NEG_INFINITY) < -0.999_999);
    }

    #[test]
    fn the_exponential_is_near_that_of_double_precision() {
        for step in -8700..=8800 {
            let x = step as f32 / 100.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) / exact - 1.0).abs() < 3e-7, "{x}: {} against {exact}", exp(x));
        }
        assert!(exp(f32::NAN).is_nan() && exp(f32::INFINITY) > 1e38);
        assert_eq!((exp(0.0), exp(-1e9), exp(f32::NEG_INFINITY)), (1.0, 0.0, 0.0));
    }

    #[test]
    fn sums_take_every_value_once() {
        for length in [0_usize, 1, 15, 16, 17, 100] {
            let row: Vec<f32> = (0..length).map(|at| at as f32).collect();
            assert_eq!(sum([&row, &row], |[a, b]| a + b), (length * length.saturating_sub(1)) as f32);
        }
    }
}
