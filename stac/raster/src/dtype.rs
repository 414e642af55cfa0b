//! Types of pixels.

use gdal_sys::GDALDataType as Gdal;
use serde::{Deserialize, Serialize};

/// The type of a pixel, named as in STAC's `data_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// 8 bits, unsigned.
    UInt8,
    /// 16 bits, unsigned.
    UInt16,
    /// 16 bits, signed.
    Int16,
    /// 32 bits, unsigned.
    UInt32,
    /// 32 bits, signed.
    Int32,
    /// 32 bits, floating point.
    Float32,
    /// 64 bits, floating point.
    Float64,
}

impl DType {
    /// The name in STAC's raster extension.
    pub fn name(self) -> &'static str {
        match self {
            Self::UInt8 => "uint8",
            Self::UInt16 => "uint16",
            Self::Int16 => "int16",
            Self::UInt32 => "uint32",
            Self::Int32 => "int32",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
        }
    }

    /// Bytes of a pixel.
    pub fn bytes(self) -> usize {
        match self {
            Self::UInt8 => 1,
            Self::UInt16 | Self::Int16 => 2,
            Self::UInt32 | Self::Int32 | Self::Float32 => 4,
            Self::Float64 => 8,
        }
    }

    /// Whether values have fractions.
    pub fn is_float(self) -> bool {
        matches!(self, Self::Float32 | Self::Float64)
    }

    /// Least and greatest value of an integer type.
    pub fn range(self) -> Option<(f64, f64)> {
        match self {
            Self::UInt8 => Some((0.0, f64::from(u8::MAX))),
            Self::UInt16 => Some((0.0, f64::from(u16::MAX))),
            Self::Int16 => Some((f64::from(i16::MIN), f64::from(i16::MAX))),
            Self::UInt32 => Some((0.0, f64::from(u32::MAX))),
            Self::Int32 => Some((f64::from(i32::MIN), f64::from(i32::MAX))),
            Self::Float32 | Self::Float64 => None,
        }
    }

    /// Whether every value of `self` is also a value of `wider`.
    pub fn fits(self, wider: Self) -> bool {
        match (self.range(), wider.range()) {
            (Some((low, high)), Some((least, most))) => least <= low && high <= most,
            (Some(_), None) => self.bytes() * 2 <= wider.bytes(),
            (None, None) => self.bytes() <= wider.bytes(),
            (None, Some(_)) => false,
        }
    }

    /// From GDAL's number; complex and 64-bit integers have no type here.
    pub(crate) fn from_gdal(code: Gdal::Type) -> Option<Self> {
        Some(match code {
            Gdal::GDT_Byte => Self::UInt8,
            Gdal::GDT_UInt16 => Self::UInt16,
            Gdal::GDT_Int16 => Self::Int16,
            Gdal::GDT_UInt32 => Self::UInt32,
            Gdal::GDT_Int32 => Self::Int32,
            Gdal::GDT_Float32 => Self::Float32,
            Gdal::GDT_Float64 => Self::Float64,
            _ => return None,
        })
    }

    /// GDAL's number.
    pub(crate) fn to_gdal(self) -> Gdal::Type {
        match self {
            Self::UInt8 => Gdal::GDT_Byte,
            Self::UInt16 => Gdal::GDT_UInt16,
            Self::Int16 => Gdal::GDT_Int16,
            Self::UInt32 => Gdal::GDT_UInt32,
            Self::Int32 => Gdal::GDT_Int32,
            Self::Float32 => Gdal::GDT_Float32,
            Self::Float64 => Gdal::GDT_Float64,
        }
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

pub(crate) mod sealed {
    use std::ops::{Add, AddAssign, Div, Mul, Sub};

    /// A floating-point number in which weighted pixels are added up.
    pub trait Real:
        Copy
        + Default
        + PartialOrd
        + Add<Output = Self>
        + Sub<Output = Self>
        + Mul<Output = Self>
        + Div<Output = Self>
        + AddAssign
    {
        /// 1.
        const ONE: Self;
        /// The nearest number.
        fn of(value: f64) -> Self;
    }

    impl Real for f32 {
        const ONE: Self = 1.0;
        #[inline]
        fn of(value: f64) -> Self {
            value as Self
        }
    }

    impl Real for f64 {
        const ONE: Self = 1.0;
        #[inline]
        fn of(value: f64) -> Self {
            value
        }
    }

    /// How pixels of a type are added up: in 32 bits where those hold all of its digits.
    pub trait Sealed {
        /// The type of sums and weights.
        type Sum: Real;
        /// The pixel as a summand.
        fn to_sum(self) -> Self::Sum;
        /// As `Sample::from_f64` for sums of weights that make about 1.
        fn from_sum(sum: Self::Sum) -> Self;
    }
}

/// A Rust type that holds a pixel.
pub trait Sample: sealed::Sealed + Copy + Default + PartialEq + Send + Sync + 'static {
    /// The pixel type.
    const DTYPE: DType;
    /// The value as a floating-point number.
    fn to_f64(self) -> f64;
    /// The nearest value of the type: rounded to even and held within its range; NaN becomes 0 in integers.
    fn from_f64(value: f64) -> Self;
    /// Whether the value is a number that can be measured: not NaN and not infinite.
    fn is_finite(self) -> bool;
}

/// Adding and taking away this number rounds to even, in one instruction each on any processor, where values are
/// smaller than 2^22; sums of 16-bit pixels are.
const ROUND_F32: f32 = 12_582_912.0;
/// Likewise for values smaller than 2^51.
const ROUND_F64: f64 = 6_755_399_441_055_744.0;

macro_rules! sample {
    ($($type:ty => $dtype:ident, $sum:ty, $round:expr, $finite:expr, $from_sum:expr;)*) => {$(
        impl sealed::Sealed for $type {
            type Sum = $sum;
            #[inline]
            fn to_sum(self) -> $sum {
                self as $sum
            }
            #[inline]
            fn from_sum(sum: $sum) -> Self {
                let round: fn($sum) -> $sum = $from_sum;
                round(sum) as Self
            }
        }
        impl Sample for $type {
            const DTYPE: DType = DType::$dtype;
            #[inline]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline]
            fn from_f64(value: f64) -> Self {
                let round: fn(f64) -> f64 = $round;
                round(value) as Self
            }
            #[inline]
            fn is_finite(self) -> bool {
                let finite: fn(Self) -> bool = $finite;
                finite(self)
            }
        }
    )*};
}

sample! {
    u8 => UInt8, f32, f64::round_ties_even, |_| true, |sum| (sum + ROUND_F32) - ROUND_F32;
    u16 => UInt16, f32, f64::round_ties_even, |_| true, |sum| (sum + ROUND_F32) - ROUND_F32;
    i16 => Int16, f32, f64::round_ties_even, |_| true, |sum| (sum + ROUND_F32) - ROUND_F32;
    u32 => UInt32, f64, f64::round_ties_even, |_| true, |sum| (sum + ROUND_F64) - ROUND_F64;
    i32 => Int32, f64, f64::round_ties_even, |_| true, |sum| (sum + ROUND_F64) - ROUND_F64;
    f32 => Float32, f32, |value| value, |value| value.is_finite(), |sum| sum;
    f64 => Float64, f64, |value| value, |value| value.is_finite(), |sum| sum;
}

#[cfg(test)]
mod tests {
    use super::sealed::Sealed;
    use super::*;

    #[test]
    fn values_are_rounded_and_held_in_range() {
        assert_eq!(u8::from_f64(-3.0), 0);
        assert_eq!(u8::from_f64(254.6), 255);
        assert_eq!(i16::from_f64(1e9), i16::MAX);
        assert_eq!(u16::from_f64(f64::NAN), 0);
        assert_eq!(f32::from_f64(0.25), 0.25);
    }

    #[test]
    fn sums_are_rounded_as_values_are() {
        for value in [-70_000.25_f32, -32_768.5, -2.5, -0.5, 0.0, 0.5, 1.5, 254.5, 255.5, 65_534.5, 65_535.5, 110_000.0]
        {
            let wanted = f64::from(value);
            assert_eq!(u8::from_sum(value), u8::from_f64(wanted), "{value}");
            assert_eq!(u16::from_sum(value), u16::from_f64(wanted), "{value}");
            assert_eq!(i16::from_sum(value), i16::from_f64(wanted), "{value}");
            assert_eq!(i32::from_sum(wanted * 1e4), i32::from_f64(wanted * 1e4), "{value}");
            assert_eq!(u32::from_sum(wanted * 1e4), u32::from_f64(wanted * 1e4), "{value}");
        }
    }

    #[test]
    fn types_hold_each_other() {
        assert!(DType::UInt16.fits(DType::Float32) && DType::UInt8.fits(DType::Int16));
        assert!(!DType::UInt16.fits(DType::Int16) && !DType::Int32.fits(DType::Float32));
        assert!(!DType::Float32.fits(DType::UInt16) && DType::Int32.fits(DType::Float64));
    }
}
