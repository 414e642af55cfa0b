//! The types that pixels come in.

use std::borrow::Cow;

use ort::value::PrimitiveTensorElementType;
use skysense_contract::Value;

use crate::Pixels;

/// A pixel type that graphs take: `u8`, `i16` and `f32`.
pub(crate) trait Pixel: Value + PrimitiveTensorElementType {
    /// The pixels as this type, borrowed where they are of this type already.
    fn cast<'a>(pixels: &Pixels<'a>) -> Cow<'a, [Self]>;

    /// The value read from little-endian bytes, which are as many as the type has.
    fn from_le(bytes: &[u8]) -> Self;
}

macro_rules! pixel {
    ($type:ty, $same:ident, $($other:ident),+) => {
        impl Pixel for $type {
            fn cast<'a>(pixels: &Pixels<'a>) -> Cow<'a, [Self]> {
                match *pixels {
                    Pixels::$same(values) => Cow::Borrowed(values),
                    $(Pixels::$other(values) => values.iter().map(|v| Self::from_f64(f64::from(*v))).collect(),)+
                }
            }

            fn from_le(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().expect("the caller cuts pieces of the type's size"))
            }
        }
    };
}

pixel!(u8, U8, I16, F32);
pixel!(i16, I16, U8, F32);
pixel!(f32, F32, U8, I16);

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
