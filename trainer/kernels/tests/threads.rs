//! The same inputs give the same bits for any number of threads.

#![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

use skysense_kernels::{
    AdamW, Attention, First, Hidden, LayerNorm, Linear, NOWHERE, WindowAttention, gelu, gelu_backward, moved,
};

const SEQUENCES: usize = 24;
const SHAPE: Attention = Attention { tokens: 33, heads: 3, width: 16 };
const CHANNELS: usize = SHAPE.heads * SHAPE.width;
const ROWS: usize = SEQUENCES * SHAPE.tokens;

fn values(length: usize, seed: usize) -> Vec<f32> {
    (0..length).map(|at| ((at * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0).collect()
}

/// Every operation forward and backward, large enough to be shared out.
fn all() -> Vec<Vec<f32>> {
    let (x, gradient, packed) =
        (values(ROWS * CHANNELS, 1), values(ROWS * CHANNELS, 2), values(ROWS * 3 * CHANNELS, 3));
    let (weight, bias) = (values(CHANNELS, 4), values(CHANNELS, 5));
    let norm = LayerNorm { weight: &weight, bias: &bias, epsilon: 1e-5 };
    let normed = norm.forward(&x);
    let norm = norm.backward(&x, &normed.moments, &gradient);

    let matrix = values(4 * CHANNELS * CHANNELS, 6);
    let linear = Linear { weight: &matrix, inputs: CHANNELS };
    let wide = linear.forward(&x, Some(&values(4 * CHANNELS, 7)));
    let products = [linear.input_gradient(&wide), linear.weight_gradient(&x, &wide), linear.bias_gradient(&wide)];

    let mask = values(2 * SHAPE.tokens, 8);
    let hidden = Some(Hidden { values: &mask, members: SEQUENCES / 2 });
    let [joined, weights] = SHAPE.forward(&packed, hidden);
    let attended = SHAPE.backward(&packed, &weights, &gradient);
    let (query, pairs) = (values(SEQUENCES * CHANNELS, 9), &packed[..ROWS * 2 * CHANNELS]);
    let [first, of_first] = First(SHAPE).forward(&query, pairs, hidden);
    let [to_query, to_pairs] = First(SHAPE).backward(&query, pairs, &of_first, &gradient[..SEQUENCES * CHANNELS]);

    let (scale, square) = (values(SHAPE.heads, 10), SHAPE.tokens * SHAPE.tokens);
    let (bias, mask) = (values(SHAPE.heads * square, 11), values(3 * square, 12));
    let windows = WindowAttention { shape: SHAPE, scale: &scale, bias: &bias, mask: Some(&mask) };
    let [in_windows, of_windows] = windows.forward(&packed);
    let windows = windows.backward(&packed, &of_windows, &gradient);
    let places: Vec<u32> =
        (0..SHAPE.tokens as u32).map(|at| if at % 5 == 0 { NOWHERE } else { at * 7 % SHAPE.tokens as u32 }).collect();

    let (mut parameters, mut moments) = (x.clone(), [packed[..x.len()].to_vec(), vec![0.1; x.len()]]);
    let [a, b] = &mut moments;
    let step = AdamW { rate: 1e-3, decay: 0.05, betas: [0.9, 0.999], epsilon: 1e-8, time: 3 };
    step.step(&mut parameters, &gradient, [a, b]);

    let mut all = vec![gelu(&x), gelu_backward(&x, &gradient), normed.given, normed.moments];
    all.extend([norm.input, norm.weight, norm.bias, wide, joined, weights, attended]);
    all.extend([in_windows, of_windows, windows.packed, windows.scale, windows.bias]);
    all.push(moved(&x, CHANNELS, SHAPE.tokens, &places));
    all.extend([first, of_first, to_query, to_pairs, parameters]);
    all.extend(products.into_iter().chain(moments));
    all
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let with = |threads: usize| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(all);
    let one = with(1);
    for threads in [2, 3, 8] {
        for (at, (a, b)) in one.iter().zip(with(threads)).enumerate() {
            let same = a.iter().zip(&b).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same && a.len() == b.len() && !a.is_empty(), "outcome {at} with {threads} threads");
        }
    }
}
