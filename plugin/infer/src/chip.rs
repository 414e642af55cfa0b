//! What goes in: one chip with its acquisitions, borrowed.

use arrow::array::{Array, Float32Array, Int16Array, UInt8Array};
use skysense_contract::{Dtype, Modality};

use crate::InferError;

/// Pixels of one modality, `[time, band, height, width]`, borrowed.
#[derive(Debug, Clone, Copy)]
pub enum Pixels<'a> {
    /// Unsigned 8 bit.
    U8(&'a [u8]),
    /// Signed 16 bit.
    I16(&'a [i16]),
    /// 32 bit float; a value that is not finite counts as invalid.
    F32(&'a [f32]),
}

impl<'a> Pixels<'a> {
    /// The values of an Arrow array, borrowed: no copy.
    ///
    /// # Errors
    /// [`InferError::Arrow`] for another type than UInt8, Int16 and Float32, and for an array with nulls
    /// (validity stands in its own column).
    pub fn from_arrow(array: &'a dyn Array) -> Result<Self, InferError> {
        let any = array.as_any();
        if array.null_count() > 0 {
            return Err(InferError::Arrow { found: format!("{} with nulls", array.data_type()) });
        }
        if let Some(values) = any.downcast_ref::<Int16Array>() {
            Ok(Self::I16(values.values()))
        } else if let Some(values) = any.downcast_ref::<Float32Array>() {
            Ok(Self::F32(values.values()))
        } else if let Some(values) = any.downcast_ref::<UInt8Array>() {
            Ok(Self::U8(values.values()))
        } else {
            Err(InferError::Arrow { found: array.data_type().to_string() })
        }
    }

    /// Type of the values.
    pub fn dtype(&self) -> Dtype {
        match self {
            Self::U8(_) => Dtype::U8,
            Self::I16(_) => Dtype::I16,
            Self::F32(_) => Dtype::F32,
        }
    }

    /// Count of values.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::I16(values) => values.len(),
            Self::F32(values) => values.len(),
        }
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The acquisitions of one modality over a chip.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    /// Pixels `[time, band, height, width]` with the bands of the data (see [`crate::Options::binding`]), in
    /// the contract's unit. Another type than the contract's is converted: rounded half away from zero and
    /// held to the type's range.
    pub pixels: Pixels<'a>,
    /// Validity `[time, height, width]`, 0 where a pixel is not to be used; `None` where all are valid.
    pub valid: Option<&'a [u8]>,
    /// Instant of each acquisition, milliseconds since 1970 UTC.
    pub datetimes: &'a [i64],
}

/// One chip: any subset of modalities, all on one footprint.
#[derive(Debug, Clone, Copy, Default)]
pub struct ChipInput<'a> {
    /// High-resolution optical, 32 pixels to one of the 10 m grid.
    pub hr: Option<Series<'a>>,
    /// Sentinel-2.
    pub s2: Option<Series<'a>>,
    /// Sentinel-1.
    pub s1: Option<Series<'a>>,
    /// Region of the chip's centre, where the package has geo-context: what [`skysense_contract::GeoContext::region`] of
    /// its contract gives.
    pub region: Option<i64>,
}

impl<'a> ChipInput<'a> {
    /// With high-resolution pixels.
    pub fn with_hr(self, series: Series<'a>) -> Self {
        Self { hr: Some(series), ..self }
    }

    /// With Sentinel-2 pixels.
    pub fn with_s2(self, series: Series<'a>) -> Self {
        Self { s2: Some(series), ..self }
    }

    /// With Sentinel-1 pixels.
    pub fn with_s1(self, series: Series<'a>) -> Self {
        Self { s1: Some(series), ..self }
    }

    /// With the region of its centre.
    pub fn with_region(self, region: i64) -> Self {
        Self { region: Some(region), ..self }
    }

    /// The acquisitions of a modality.
    pub fn series(&self, modality: Modality) -> Option<&Series<'a>> {
        match modality {
            Modality::Hr => self.hr.as_ref(),
            Modality::S2 => self.s2.as_ref(),
            Modality::S1 => self.s1.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrow_values_are_borrowed_where_they_lie() {
        let array = Int16Array::from(vec![1, 2, 3, 4]).slice(1, 2);
        let Pixels::I16(values) = Pixels::from_arrow(&array).unwrap() else { panic!("another type") };
        assert_eq!(values, [2, 3]);
        assert_eq!(values.as_ptr(), array.values().as_ptr());
        let nulls = Int16Array::from(vec![Some(1), None]);
        assert!(Pixels::from_arrow(&nulls).is_err());
        assert!(Pixels::from_arrow(&arrow::array::Int64Array::from(vec![1])).is_err());
    }
}
