//! What the tests of losses share: small arrays, and gradients by difference quotients.

use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};

pub(crate) fn device() -> Device {
    Device::flex().autodiff()
}

/// Numbers between -1 and 1, the same for the same seed.
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| random.random_range(-1.0..1.0)).collect()
}

pub(crate) fn tensor1(numbers: &[f32]) -> Tensor<1> {
    Tensor::from_data(TensorData::new(numbers.to_vec(), [numbers.len()]), &device())
}

pub(crate) fn tensor2(numbers: &[f32], shape: [usize; 2]) -> Tensor<2> {
    Tensor::from_data(TensorData::new(numbers.to_vec(), shape), &device())
}

pub(crate) fn tensor3(numbers: &[f32], shape: [usize; 3]) -> Tensor<3> {
    Tensor::from_data(TensorData::new(numbers.to_vec(), shape), &device())
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// Holds the gradient of `loss` at `numbers` against `(L(x + h) - L(x - h)) / 2h` for every number.
pub(crate) fn finite_differences(numbers: &[f32], shape: [usize; 3], loss: impl Fn(Tensor<3>) -> Tensor<1>) {
    const STEP: f32 = 1e-2;
    let input = tensor3(numbers, shape).require_grad();
    let gradients = loss(input.clone()).backward();
    let found = values(input.grad(&gradients).unwrap());
    assert!(found.iter().any(|x| x.abs() > 1e-3), "a gradient that is not nothing");
    for (at, found) in found.into_iter().enumerate() {
        let moved = |by: f32| {
            let mut numbers = numbers.to_vec();
            numbers[at] += by;
            loss(tensor3(&numbers, shape)).into_scalar::<f32>()
        };
        let expected = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
        assert!((found - expected).abs() < 2e-3 + 1e-2 * expected.abs(), "{at}: {found} instead of {expected}");
    }
}
