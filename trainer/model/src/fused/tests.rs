//! The kernels against the ordinary operations of Burn, forward and backward.

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Distribution, Tensor};

use skysense_kernels as kernels;

use super::*;

/// What an operation gives and its gradients, in turn.
type Outcome = Vec<Vec<f32>>;

fn random<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    // Not from the device's generator, which all tests share.
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let values = (0..shape.iter().product::<usize>())
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 23) as f32 * 2.0 - 2.0
        })
        .collect::<Vec<f32>>();
    let data = burn::tensor::TensorData::new(values, shape);
    Tensor::from_data(data, &Device::flex().autodiff()).require_grad()
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().iter::<f32>().collect()
}

fn near(kernel: &Outcome, composed: &Outcome) {
    assert_eq!(kernel.len(), composed.len());
    for (at, (a, b)) in kernel.iter().zip(composed).enumerate() {
        assert_eq!(a.len(), b.len());
        let largest = b.iter().fold(1.0_f32, |most, value| most.max(value.abs()));
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() <= 2e-6 * largest, "outcome {at}: {a} against {b}");
        }
    }
}

/// The mean of the outcome with weights that differ from place to place, so that no gradient is alike by chance.
fn backward<const D: usize>(given: Tensor<D>) -> (Vec<f32>, burn::tensor::Gradients) {
    let weights = random(given.dims(), 77).detach();
    ((values(given.clone())), (given * weights).sum().backward())
}

macro_rules! outcome {
    ($given:expr, $($input:expr),*) => {{
        let (given, gradients) = backward($given);
        vec![given, $(values($input.grad(&gradients).expect("it asked for one"))),*]
    }};
}

#[test]
fn pooled_regions_are_what_burn_composes() {
    let regions = [(0, 0.4), (1, -1.1), (1, 0.0)].map(|(image, angle)| skysense_detect::Region {
        image,
        area: skysense_detect::RotatedBox { centre: [13.0, 9.0 + angle], size: [16.0, 7.0], angle },
    });
    let places = skysense_detect::places(&regions, 2, [12, 10], (3, 2));
    let x = random([2, 5, 12, 10], 4);
    let composed = outcome!(pool::composed(x.clone(), &places, 3), x);
    near(&outcome!(pool(x.clone(), places.clone(), 3), x), &composed);
    let plain = pool(x.clone().detach().inner(), places, 3);
    near(&vec![values(plain)], &composed[..1].to_vec());
}

#[test]
fn gelu_is_what_burn_composes() {
    for shape in [[1, 1], [3, 17], [130, 257]] {
        let x = random(shape, 1) * 3.0;
        let x = x.detach().require_grad();
        let composed = outcome!(burn::tensor::activation::gelu(x.clone()), x);
        near(&outcome!(gelu(x.clone()), x), &composed);
        // Permuted inputs, too.
        let turned = outcome!(gelu(x.clone().transpose()), x);
        near(&turned[1..].to_vec(), &{
            let again = outcome!(burn::tensor::activation::gelu(x.clone().transpose()), x);
            again[1..].to_vec()
        });
        assert_eq!(values(gelu(x.clone().inner())), values(gelu(x)), "with and without recording");
    }
}

#[test]
fn layer_norm_is_what_burn_composes() {
    for (rows, width) in [(1, 1), (5, 7), (200, 128), (67, 33)] {
        let (x, weight, bias) = (random([2, rows, width], 1), random([width], 2), random([width], 3));
        let composed = burn::tensor::module::layer_norm(x.clone(), weight.clone(), Some(bias.clone()), 1e-5);
        let composed = outcome!(composed, x, weight, bias);
        let kernel = outcome!(layer_norm(x.clone(), weight.clone(), bias.clone(), 1e-5), x, weight, bias);
        if width > 1 {
            near(&kernel, &composed);
        } else {
            near(&vec![kernel[0].clone()], &vec![composed[0].clone()]);
        }
    }
}

#[test]
fn linear_is_what_burn_composes() {
    for [rows, inputs, outputs] in [[1, 1, 1], [5, 7, 3], [300, 128, 96], [65, 33, 200]] {
        let (x, weight, bias) = (random([rows, inputs], 1), random([outputs, inputs], 2), random([outputs], 3));
        let composed =
            |bias: Option<Tensor<1>>| burn::tensor::module::linear(x.clone(), weight.clone().transpose(), bias);
        let kernel = outcome!(linear(x.clone(), weight.clone(), Some(bias.clone())), x, weight, bias);
        near(&kernel, &outcome!(composed(Some(bias.clone())), x, weight, bias));
        let kernel = outcome!(linear(x.clone(), weight.clone(), None), x, weight);
        near(&kernel, &outcome!(composed(None), x, weight));
    }
}

fn hidden(groups: usize, tokens: usize) -> Tensor<4> {
    let values = (0..groups * tokens).map(|at| if at % tokens != 0 && at % 3 == 1 { -1e9 } else { 0.0 });
    let data = burn::tensor::TensorData::new(values.collect::<Vec<f32>>(), [groups, 1, 1, tokens]);
    Tensor::from_data(data, &Device::flex().autodiff())
}

/// `[sequence, head, token, width]` of each.
fn composed(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, hidden: Option<&Tensor<4>>) -> Tensor<3> {
    let [sequence, heads, queries, width] = query.dims();
    let tokens = key.dims()[2];
    let mut logits = query.matmul(key.swap_dims(2, 3)) * (width as f64).powf(-0.5);
    if let Some(hidden) = hidden {
        let groups = hidden.dims()[0];
        let grouped = logits.reshape([groups, sequence / groups * heads, queries, tokens]) + hidden.clone();
        logits = grouped.reshape([sequence, heads, queries, tokens]);
    }
    softmax(logits, 3).matmul(value).swap_dims(1, 2).reshape([sequence, queries, heads * width])
}

fn parted<const PARTS: usize>(packed: Tensor<3>, heads: usize) -> [Tensor<4>; PARTS] {
    let [sequence, token, channels] = packed.dims();
    let packed = packed.reshape([sequence, token, PARTS, heads, channels / PARTS / heads]).permute([2, 0, 3, 1, 4]);
    std::array::from_fn(|part| packed.clone().narrow(0, part, 1).squeeze_dim::<4>(0))
}

#[test]
fn attention_is_what_burn_composes() {
    for [groups, members, tokens, heads, width] in
        [[1, 1, 1, 1, 1], [2, 3, 5, 2, 4], [1, 4, 64, 4, 32], [3, 9, 12, 3, 7]]
    {
        let sequences = groups * members;
        let mask = hidden(groups, tokens);
        for mask in [None, Some(&mask)] {
            let packed = random([sequences, tokens, 3 * heads * width], 1);
            let [query, key, value] = parted(packed.clone(), heads);
            let ordinary = outcome!(composed(query, key, value, mask), packed);
            near(&outcome!(attend(&packed, heads, mask).expect("a kernel"), packed), &ordinary);

            let first = random([sequences, 1, heads * width], 2);
            let packed = random([sequences, tokens, 2 * heads * width], 3);
            let ([query], [key, value]) = (parted(first.clone(), heads), parted(packed.clone(), heads));
            let ordinary = outcome!(composed(query, key, value, mask), first, packed);
            let kernel = attend_first(&first, &packed, heads, mask).expect("a kernel");
            near(&outcome!(kernel, first, packed), &ordinary);
        }
    }
}

/// Vectors of length one.
fn unit(x: Tensor<4>) -> Tensor<4> {
    let length = (x.clone() * x.clone()).sum_dim(3).clamp_min(1e-24).sqrt();
    x / length
}

#[test]
fn attention_in_windows_is_what_burn_composes() {
    for [maps, windows, tokens, heads, width] in [[1, 1, 1, 1, 1], [2, 3, 4, 2, 5], [3, 4, 64, 3, 16]] {
        let count = maps * windows;
        let square = tokens * tokens;
        let mask: Vec<f32> =
            (0..windows * square).map(|at| if at / tokens % 5 == at % 3 { -100.0 } else { 0.0 }).collect();
        for mask in [None, Some(mask)] {
            let packed = random([count, tokens, 3 * heads * width], 1);
            let (scale, bias) = (random([heads], 2) * 10.0, random([heads, tokens, tokens], 3));
            let scale = scale.detach().require_grad();
            let [query, key, value] = parted(packed.clone(), heads);
            let logits = unit(query).matmul(unit(key).swap_dims(2, 3)) * scale.clone().reshape([1, heads, 1, 1]);
            let mut logits = logits + bias.clone().reshape([1, heads, tokens, tokens]);
            if let Some(mask) = &mask {
                let data = burn::tensor::TensorData::new(mask.clone(), [1, windows, 1, square]);
                let mask = Tensor::<4>::from_data(data, &Device::flex().autodiff());
                logits =
                    (logits.reshape([maps, windows, heads, square]) + mask).reshape([count, heads, tokens, tokens]);
            }
            let joined = softmax(logits, 3).matmul(value).swap_dims(1, 2).reshape([count, tokens, heads * width]);
            let composed = outcome!(joined, packed, scale, bias);
            let kernel = attend_in_windows(&packed, &scale, &bias, mask).expect("a kernel");
            near(&outcome!(kernel, packed, scale, bias), &composed);
        }
    }
}

#[test]
fn vectors_of_zeros_give_finite_numbers() {
    let packed = Tensor::<3>::zeros([1, 4, 12], &Device::flex().autodiff()).require_grad();
    let (scale, bias) = (random([2], 2), random([2, 4, 4], 3));
    let kernel = attend_in_windows(&packed, &scale, &bias, None).expect("a kernel");
    let kernel = outcome!(kernel, packed, scale, bias);
    assert!(kernel.iter().flatten().all(|value| value.is_finite()), "{kernel:?}");
}

#[test]
fn moved_rows_are_what_burn_selects() {
    let x = random([2 * 3, 4], 1);
    let places = Places { from: vec![2, kernels::NOWHERE, 0], to: vec![2, kernels::NOWHERE, 0] };
    let chosen = |first: i64| Tensor::<1, burn::tensor::Int>::from_data([first + 2, first], &x.device());
    let zeros = Tensor::<2>::zeros([1, 4], &x.device());
    let group = |first| {
        let rows = x.clone().select(0, chosen(first));
        Tensor::cat(vec![rows.clone().narrow(0, 0, 1), zeros.clone(), rows.narrow(0, 1, 1)], 0)
    };
    let composed = outcome!(Tensor::cat(vec![group(0), group(3)], 0), x);
    near(&outcome!(moved(&x, &places).expect("a kernel"), x), &composed);
    assert_eq!(values(moved(&x.clone().inner(), &places).expect("a kernel")), composed[0]);
}

#[test]
fn keys_that_are_hidden_get_no_gradient_at_all() {
    let packed = random([4, 6, 24], 1);
    let mask = hidden(2, 6);
    let (_, gradients) = backward(attend(&packed, 2, Some(&mask)).expect("a kernel"));
    let gradient = values(packed.grad(&gradients).expect("it asked for one"));
    for (at, value) in gradient.iter().enumerate() {
        let (sequence, token, channel) = (at / 24 / 6, at / 24 % 6, at % 24);
        let hides = token != 0 && (sequence / 2 * 6 + token) % 3 == 1;
        assert!(!hides || channel < 8 || *value == 0.0, "sequence {sequence} token {token}: {value}");
    }
}

#[test]
fn what_asks_for_no_gradient_gets_none_and_other_precisions_are_composed() {
    let device = Device::flex().autodiff();
    let fixed = Tensor::<2>::random([4, 8], Distribution::Default, &device);
    let weight = random([3, 8], 1);
    let gradients = linear(fixed.clone(), weight.clone(), None).sum().backward();
    assert!(fixed.grad(&gradients).is_none() && weight.grad(&gradients).is_some());
    let half = fixed.cast(burn::tensor::DType::F64);
    assert_eq!(gelu(half).dtype(), burn::tensor::DType::F64);
}
