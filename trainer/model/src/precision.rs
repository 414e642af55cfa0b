//! Mixed precision: the type of a tensor's values decides in which type a layer works on it.
//!
//! Weights are held in single precision and cast to the type of what they are multiplied with; norms, softmax and the
//! scores that go into it are taken in single precision. So a pass runs in the type of its pixels.

use burn::tensor::{FloatDType, Tensor};
use serde::{Deserialize, Serialize};

/// The type that training computes in; weights, gradients of weights and the optimiser are in single precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// 16 bits with the range of single precision and 8 bits of fraction, the implied one counted.
    Bf16,
    /// Half precision: 11 bits of fraction, nothing above 65504; the loss is scaled so that small gradients stay.
    F16,
}

impl Precision {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::F16];

    /// Its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }

    /// Burn's name of the type.
    pub fn dtype(self) -> FloatDType {
        match self {
            Self::F32 => FloatDType::F32,
            Self::Bf16 => FloatDType::BF16,
            Self::F16 => FloatDType::F16,
        }
    }

    /// A tensor in this type.
    pub fn cast<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        x.cast(self.dtype())
    }
}

/// In the type of another tensor.
pub(crate) fn like<const A: usize, const B: usize>(x: Tensor<A>, other: &Tensor<B>) -> Tensor<A> {
    x.cast(FloatDType::from(other.dtype()))
}

/// In single precision.
pub(crate) fn single<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.cast(FloatDType::F32)
}
