//! Arithmetic of the pixel types.

use std::cmp::Ordering;

use crate::Dtype;

/// A pixel type of a contract: `u8`, `i16` or `f32`.
pub trait Value: Copy + PartialEq + std::fmt::Debug + Send + Sync + 'static {
    /// The contract's name of this type.
    const DTYPE: Dtype;

    /// Whether this is a number; what is not counts as invalid.
    fn is_number(self) -> bool;

    /// Total order of numbers.
    fn order(&self, other: &Self) -> Ordering;

    /// The nearest value of this type: rounded half away from zero, held to the type's range.
    fn from_f64(value: f64) -> Self;
}

macro_rules! value {
    ($type:ty, $dtype:ident, $is_number:expr, $order:expr, $from:expr) => {
        impl Value for $type {
            const DTYPE: Dtype = Dtype::$dtype;

            fn is_number(self) -> bool {
                $is_number(self)
            }

            fn order(&self, other: &Self) -> Ordering {
                $order(self, other)
            }

            fn from_f64(value: f64) -> Self {
                $from(value)
            }
        }
    };
}

// A cast from f64 to an integer saturates in Rust, and takes what is not a number to 0.
value!(u8, U8, |_| true, Ord::cmp, |value: f64| value.round() as u8);
value!(i16, I16, |_| true, Ord::cmp, |value: f64| value.round() as i16);
value!(f32, F32, f32::is_finite, f32::total_cmp, |value: f64| value as f32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_rounded_and_held() {
        assert_eq!((i16::from_f64(-0.5), i16::from_f64(1e9), u8::from_f64(-3.0)), (-1, i16::MAX, 0));
        assert_eq!(i16::from_f64(f64::NAN), 0);
        assert!(!f32::NAN.is_number() && 1.0_f32.is_number());
    }
}
