//! Pixel values of the types that an edge may carry.

use arrow::array::{Array, ArrayRef, PrimitiveArray};
use arrow::datatypes::{DataType, Float32Type, Int16Type, UInt8Type, UInt16Type};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Type of the pixels in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// Unsigned 8 bit.
    U8,
    /// Unsigned 16 bit.
    U16,
    /// Signed 16 bit.
    I16,
    /// 32 bit float.
    F32,
}

impl Dtype {
    /// The Arrow type of one value.
    pub fn arrow(self) -> DataType {
        match self {
            Self::U8 => DataType::UInt8,
            Self::U16 => DataType::UInt16,
            Self::I16 => DataType::Int16,
            Self::F32 => DataType::Float32,
        }
    }

    /// The type of an Arrow column's values, or `None` where pixels may not have it.
    pub fn from_arrow(data_type: &DataType) -> Option<Self> {
        [Self::U8, Self::U16, Self::I16, Self::F32].into_iter().find(|dtype| dtype.arrow() == *data_type)
    }

    /// Bytes of one value.
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::F32 => 4,
        }
    }
}

/// Owned pixels, one type for all.
#[derive(Debug, Clone, PartialEq)]
pub enum Pixels {
    /// Unsigned 8 bit.
    U8(Vec<u8>),
    /// Unsigned 16 bit.
    U16(Vec<u16>),
    /// Signed 16 bit.
    I16(Vec<i16>),
    /// 32 bit float.
    F32(Vec<f32>),
}

/// Pixels in an Arrow buffer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PixelsRef<'a> {
    /// Unsigned 8 bit.
    U8(&'a [u8]),
    /// Unsigned 16 bit.
    U16(&'a [u16]),
    /// Signed 16 bit.
    I16(&'a [i16]),
    /// 32 bit float.
    F32(&'a [f32]),
}

/// Runs the same expression for every type of pixel.
macro_rules! each {
    ($type:ident, $value:expr, $values:ident => $body:expr) => {
        match $value {
            $type::U8($values) => $body,
            $type::U16($values) => $body,
            $type::I16($values) => $body,
            $type::F32($values) => $body,
        }
    };
}

impl Pixels {
    /// No pixels yet.
    pub fn empty(dtype: Dtype) -> Self {
        match dtype {
            Dtype::U8 => Self::U8(Vec::new()),
            Dtype::U16 => Self::U16(Vec::new()),
            Dtype::I16 => Self::I16(Vec::new()),
            Dtype::F32 => Self::F32(Vec::new()),
        }
    }

    /// From real values, rounded half away from zero and clamped to the range of an integer type;
    /// a value that is not a number becomes 0 in an integer type.
    pub fn from_f32(dtype: Dtype, values: &[f32]) -> Self {
        // `as` saturates at the type's range and maps NaN to 0.
        match dtype {
            Dtype::U8 => Self::U8(values.iter().map(|v| v.round() as u8).collect()),
            Dtype::U16 => Self::U16(values.iter().map(|v| v.round() as u16).collect()),
            Dtype::I16 => Self::I16(values.iter().map(|v| v.round() as i16).collect()),
            Dtype::F32 => Self::F32(values.to_vec()),
        }
    }

    /// Type of the values.
    pub fn dtype(&self) -> Dtype {
        self.as_ref().dtype()
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        each!(Self, self, values => values.len())
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A view of the values.
    pub fn as_ref(&self) -> PixelsRef<'_> {
        match self {
            Self::U8(values) => PixelsRef::U8(values),
            Self::U16(values) => PixelsRef::U16(values),
            Self::I16(values) => PixelsRef::I16(values),
            Self::F32(values) => PixelsRef::F32(values),
        }
    }

    /// Adds values of the same type at the end; `false` where the type differs and nothing was added.
    pub fn extend(&mut self, other: PixelsRef<'_>) -> bool {
        match (self, other) {
            (Self::U8(own), PixelsRef::U8(more)) => own.extend_from_slice(more),
            (Self::U16(own), PixelsRef::U16(more)) => own.extend_from_slice(more),
            (Self::I16(own), PixelsRef::I16(more)) => own.extend_from_slice(more),
            (Self::F32(own), PixelsRef::F32(more)) => own.extend_from_slice(more),
            _ => return false,
        }
        true
    }

    /// As an Arrow array, without a copy.
    pub(crate) fn into_array(self) -> ArrayRef {
        match self {
            Self::U8(values) => Arc::new(PrimitiveArray::<UInt8Type>::from(values)),
            Self::U16(values) => Arc::new(PrimitiveArray::<UInt16Type>::from(values)),
            Self::I16(values) => Arc::new(PrimitiveArray::<Int16Type>::from(values)),
            Self::F32(values) => Arc::new(PrimitiveArray::<Float32Type>::from(values)),
        }
    }
}

impl<'a> PixelsRef<'a> {
    /// Type of the values.
    pub fn dtype(&self) -> Dtype {
        match self {
            Self::U8(_) => Dtype::U8,
            Self::U16(_) => Dtype::U16,
            Self::I16(_) => Dtype::I16,
            Self::F32(_) => Dtype::F32,
        }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        each!(Self, self, values => values.len())
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One value as a real number, or `None` past the end.
    #[allow(clippy::unnecessary_cast, reason = "one of the four types is f32 already")]
    pub fn get(&self, index: usize) -> Option<f32> {
        each!(Self, self, values => values.get(index).map(|&v| v as f32))
    }

    /// A copy as real numbers.
    #[allow(clippy::unnecessary_cast, reason = "one of the four types is f32 already")]
    pub fn to_f32(&self) -> Vec<f32> {
        each!(Self, self, values => values.iter().map(|&v| v as f32).collect())
    }

    /// A copy of the same type.
    pub fn to_owned(&self) -> Pixels {
        match *self {
            Self::U8(values) => Pixels::U8(values.to_vec()),
            Self::U16(values) => Pixels::U16(values.to_vec()),
            Self::I16(values) => Pixels::I16(values.to_vec()),
            Self::F32(values) => Pixels::F32(values.to_vec()),
        }
    }

    /// The values `start..end` of an Arrow array of a pixel type; `None` for another type or range.
    pub(crate) fn of_array(array: &'a dyn Array, start: usize, end: usize) -> Option<Self> {
        macro_rules! try_type {
            ($arrow:ty, $variant:ident) => {
                if let Some(found) = array.as_any().downcast_ref::<PrimitiveArray<$arrow>>() {
                    return found.values().get(start..end).map(Self::$variant);
                }
            };
        }
        try_type!(UInt8Type, U8);
        try_type!(UInt16Type, U16);
        try_type!(Int16Type, I16);
        try_type!(Float32Type, F32);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_saturate_and_round() {
        let values = [-40_000.0, -0.6, 0.5, 40_000.0, f32::NAN];
        assert_eq!(Pixels::from_f32(Dtype::I16, &values), Pixels::I16(vec![i16::MIN, -1, 1, i16::MAX, 0]));
        assert_eq!(Pixels::from_f32(Dtype::U8, &[300.0, -1.0]), Pixels::U8(vec![255, 0]));
    }

    #[test]
    fn types_do_not_mix() {
        let mut pixels = Pixels::empty(Dtype::I16);
        assert!(pixels.extend(PixelsRef::I16(&[1, 2])));
        assert!(!pixels.extend(PixelsRef::F32(&[1.0])));
        assert_eq!(pixels.len(), 2);
    }
}
