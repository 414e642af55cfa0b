//! An axis: where values lie on it, and what stands beside it.

/// The range of an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
}

/// From this ratio of the largest to the least a logarithmic axis shows more.
const WIDE: f64 = 20.0;

/// What values are apart by, of their size, where it is rounding alone.
const ROUNDING: f64 = 1e-9;

impl Axis {
    /// An axis that shows all values, with some room at both ends; logarithmic where that is wanted and shows more.
    pub(super) fn of(values: impl Iterator<Item = f64> + Clone, may_be_logarithmic: bool) -> Self {
        let range = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)))
        };
        let (least, most) = range(&mut values.clone());
        let logarithmic = may_be_logarithmic && least > 0.0 && most / least >= WIDE;
        let (low, high) = if logarithmic { (least.log10(), most.log10()) } else { (least, most) };
        // A value that never changes, but for its last bits, lies in the middle.
        let size = low.abs().max(high.abs());
        let room = match size {
            0.0 => 1.0,
            size if high - low <= ROUNDING * size => 0.1 * size,
            _ => 0.05 * (high - low),
        };
        Self { low: low - room, high: high + room, logarithmic }
    }

    /// An axis that ends with these values.
    pub(super) fn exactly(low: f64, high: f64) -> Self {
        Self { low, high: if high > low { high } else { low + 1.0 }, logarithmic: false }
    }

    /// Where a value lies: 0 at the low end, 1 at the high one.
    pub(super) fn place(&self, value: f64) -> f64 {
        let value = if self.logarithmic { value.log10() } else { value };
        (value - self.low) / (self.high - self.low)
    }

    /// Round values within the axis, about `count` of them, as text.
    pub(super) fn ticks(&self, count: usize) -> Vec<(f64, String)> {
        if self.logarithmic { self.powers() } else { self.round(count) }
    }

    fn round(&self, count: usize) -> Vec<(f64, String)> {
        let rough = (self.high - self.low) / count.max(1) as f64;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|of| of * power).into_iter().find(|step| *step >= rough).unwrap_or(rough);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last).map(|at| (at as f64 * step, label(at as f64 * step, step))).collect()
    }

    /// Powers of ten; where there are few of them, twice and five times them too.
    fn powers(&self) -> Vec<(f64, String)> {
        let few = self.high - self.low < 2.5;
        let every = (((self.high - self.low) / 6.0).ceil() as i32).max(1);
        let powers = (self.low.floor() as i32)..=(self.high.ceil() as i32);
        let multiples: &[f64] = if few { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let all = powers.filter(|power| few || power.rem_euclid(every) == 0);
        let all = all.flat_map(|power| multiples.iter().map(move |of| (of * 10_f64.powi(power), power)));
        let inside = all.filter(|(value, _)| (self.low..=self.high).contains(&value.log10()));
        inside.map(|(value, power)| (value, label(value, 10_f64.powi(power)))).collect()
    }
}

/// A value with as many digits as values so far apart need.
fn label(value: f64, step: f64) -> String {
    let size = value.abs().max(step);
    if size >= 1e4 && step >= 1e3 {
        let (unit, letter) = if step >= 1e6 { (1e6, "M") } else { (1e3, "k") };
        return if value == 0.0 { "0".into() } else { format!("{}{letter}", label(value / unit, step / unit)) };
    }
    if size < 1e-3 {
        let text = format!("{value:.1e}");
        return if value == 0.0 { "0".into() } else { text.replace(".0e", "e") };
    }
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    let text = format!("{value:.decimals$}");
    // Rounding leaves a sign on what is nothing.
    if text.trim_start_matches(['-', '0', '.']).is_empty() { format!("{:.decimals$}", 0.0) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: Axis, count: usize) -> Vec<String> {
        axis.ticks(count).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round_and_say_what_is_needed() {
        assert_eq!(texts(Axis::exactly(0.0, 300.0), 5), ["0", "100", "200", "300"]);
        assert_eq!(texts(Axis::exactly(-0.1, 0.11), 4), ["-0.1", "0.0", "0.1"]);
        assert_eq!(texts(Axis::exactly(0.0, 875_000.0), 4), ["0", "500k"]);
        assert_eq!(texts(Axis::exactly(0.0, 2e7), 4), ["0", "5M", "10M", "15M", "20M"]);
        assert_eq!(texts(Axis::exactly(0.0, 4e-4), 4), ["0", "1e-4", "2e-4", "3e-4", "4e-4"]);
        assert_eq!(texts(Axis::exactly(7.0, 7.0), 4).len(), 3);
    }

    #[test]
    fn wide_ranges_of_positive_values_are_logarithmic_where_that_is_wanted() {
        let values = [0.01, 0.5, 30.0];
        let axis = Axis::of(values.into_iter(), true);
        assert_eq!(texts(axis, 4), ["0.01", "0.1", "1", "10"]);
        assert!((axis.place(0.01) + axis.place(30.0) - 1.0).abs() < 1e-9);
        assert!(!Axis::of(values.into_iter(), false).logarithmic);
        assert!(!Axis::of([0.0, 30.0].into_iter(), true).logarithmic);
        assert_eq!(texts(Axis::of([1.0, 25.0].into_iter(), true), 4), ["1", "2", "5", "10", "20"]);
        let spread = texts(Axis::of([1e-9, 1e3].into_iter(), true), 4);
        assert!((4..=7).contains(&spread.len()) && spread.contains(&"1e-6".to_owned()), "{spread:?}");
    }

    #[test]
    fn one_value_lies_in_the_middle() {
        for value in [0.0, 5.0, -2.0] {
            assert!((Axis::of([value, value].into_iter(), true).place(value) - 0.5).abs() < 1e-9);
        }
        assert_eq!(texts(Axis::of([0.0, 0.0].into_iter(), false), 4), ["-1.0", "-0.5", "0.0", "0.5", "1.0"]);
        // 0.04 that was added up in different ways.
        let rounded = Axis::of([0.04, 0.039_999_999_999_999_994].into_iter(), false);
        assert!(texts(rounded, 4).iter().all(|text| text.len() <= 5), "{:?}", texts(rounded, 4));
    }
}
