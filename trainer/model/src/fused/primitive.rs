//! Between tensors of Burn and slices of the CPU backend.

use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::Ops;
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{DType, Device, Float, Tensor, TensorData};

/// A primitive of the CPU backend that records what is done to it.
pub(super) type Recorded = <Autodiff<Flex> as burn::backend::BackendTypes>::FloatTensorPrimitive;

/// Where the inputs of an operation live, if a kernel can work there.
pub(super) enum Place<const N: usize> {
    /// On the CPU, recorded for a backward pass.
    Recorded([Recorded; N]),
    /// On the CPU.
    Plain([FlexTensor; N]),
}

/// An input of any rank.
#[derive(Clone)]
pub(super) struct Input(Source);

#[derive(Clone)]
enum Source {
    Recorded(Recorded),
    Plain(FlexTensor),
    Elsewhere,
}

impl<const D: usize> From<&Tensor<D, Float>> for Input {
    fn from(tensor: &Tensor<D, Float>) -> Self {
        if tensor.dtype() != DType::F32 {
            return Self(Source::Elsewhere);
        }
        if let Ok(primitive) = tensor.clone().try_into_primitive::<Autodiff<Flex>>() {
            return Self(Source::Recorded(primitive));
        }
        match tensor.clone().try_into_primitive::<Flex>() {
            Ok(primitive) => Self(Source::Plain(primitive)),
            Err(_) => Self(Source::Elsewhere),
        }
    }
}

/// Whether a tensor lives where the kernels work, in whatever precision.
pub(crate) fn on_processor<const D: usize>(tensor: &Tensor<D>) -> bool {
    let device = tensor.device();
    device == Device::flex() || device == Device::flex().autodiff()
}

/// The place of all inputs; `None` where there is no kernel, or where they are not together.
pub(super) fn place<const N: usize>(inputs: [Input; N]) -> Option<Place<N>> {
    if inputs.iter().all(|input| matches!(input.0, Source::Recorded(_))) {
        return Some(Place::Recorded(inputs.map(|input| match input.0 {
            Source::Recorded(primitive) => primitive,
            _ => unreachable!("all of them are recorded"),
        })));
    }
    if inputs.iter().all(|input| matches!(input.0, Source::Plain(_))) {
        return Some(Place::Plain(inputs.map(|input| match input.0 {
            Source::Plain(primitive) => primitive,
            _ => unreachable!("none of them is recorded"),
        })));
    }
    None
}

/// Values in the order of their axes.
pub(super) fn ordered(tensor: &FlexTensor) -> FlexTensor {
    if tensor.as_slice::<f32>().is_some() { tensor.clone() } else { tensor.to_contiguous() }
}

/// The values of a tensor that [`ordered`] gave.
pub(super) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().unwrap_or_else(|| unreachable!("single precision was asked for and the order made"))
}

/// A tensor of `values`.
pub(super) fn tensor(values: Vec<f32>, shape: impl Into<burn::tensor::Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// Hands gradients to those parents that ask for one.
pub(super) fn give<S, const N: usize>(ops: Ops<S, N>, gradients: &mut Gradients, given: [Option<FlexTensor>; N]) {
    for (parent, given) in ops.parents.into_iter().zip(given) {
        if let (Some(parent), Some(given)) = (parent, given) {
            gradients.register::<Flex>(parent.id, given);
        }
    }
}
