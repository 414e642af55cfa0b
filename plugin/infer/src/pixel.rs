//! The types that pixels come in.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::Debug;

use ort::value::PrimitiveTensorElementType;
use skysense_contract::Dtype;

use crate::Pixels;

/// A pixel type that graphs take. Sealed: `u8`, `i16` and `f32`.
pub trait Pixel: sealed::Sealed + Copy + Debug + PartialEq + PrimitiveTensorElementType + 'static {
    /// The contract's name of this type.
    const DTYPE: Dtype;

    /// Whether this is a number; what is not counts as invalid.
    fn is_number(self) -> bool;

    /// Total order of numbers.
    fn order(&self, other: &Self) -> Ordering;

    /// The nearest value of this type: rounded half away from zero, held to the type's range.
    fn from_f64(value: f64) -> Self;

    /// The pixels as this type, borrowed where they are of this type already.
    fn cast<'a>(pixels: &Pixels<'a>) -> Cow<'a, [Self]>;

    /// The value read from little-endian bytes, which are as many as the type has.
    fn from_le(bytes: &[u8]) -> Self;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for u8 {}
    impl Sealed for i16 {}
    impl Sealed for f32 {}
}

macro_rules! pixel {
    ($type:ty, $dtype:ident, $is_number:expr, $order:expr, $from:expr) => {
        impl Pixel for $type {
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

            fn cast<'a>(pixels: &Pixels<'a>) -> Cow<'a, [Self]> {
                pixel!(@cast $dtype, pixels)
            }

            fn from_le(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().expect("the caller cuts pieces of the type's size"))
            }
        }
    };
    (@cast $dtype:ident, $pixels:expr) => {
        match *$pixels {
            Pixels::$dtype(values) => Cow::Borrowed(values),
            #[allow(unreachable_patterns, reason = "the arm above takes one of the three")]
            Pixels::U8(values) => values.iter().map(|v| Self::from_f64(f64::from(*v))).collect(),
            #[allow(unreachable_patterns, reason = "as above")]
            Pixels::I16(values) => values.iter().map(|v| Self::from_f64(f64::from(*v))).collect(),
            #[allow(unreachable_patterns, reason = "as above")]
            Pixels::F32(values) => values.iter().map(|v| Self::from_f64(f64::from(*v))).collect(),
        }
    };
}

// A cast from f64 to an integer saturates in Rust, and takes what is not a number to 0.
pixel!(u8, U8, |_| true, Ord::cmp, |value: f64| value.round() as u8);
pixel!(i16, I16, |_| true, Ord::cmp, |value: f64| value.round() as i16);
pixel!(f32, F32, f32::is_finite, f32::total_cmp, |value: f64| value as f32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_type_is_borrowed_and_others_are_rounded_and_held() {
        let values = [1.5_f32, -0.4, 70000.0, -70000.0];
        assert!(matches!(f32::cast(&Pixels::F32(&values)), Cow::Borrowed(_)));
        assert_eq!(*i16::cast(&Pixels::F32(&values)), [2, 0, i16::MAX, i16::MIN]);
        assert_eq!(*u8::cast(&Pixels::I16(&[-3, 300, 7])), [0, 255, 7]);
        assert_eq!(*f32::cast(&Pixels::U8(&[255])), [255.0]);
    }
}
