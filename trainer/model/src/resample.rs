//! Maps on another grid, as products with constant matrices: the same arithmetic in Burn and in ONNX, for any sides.

use burn::tensor::{Device, Tensor, TensorData};

use crate::onnx::{Graph, Value};
use crate::precision::like;

/// How the values of a line become those of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Means over equal parts, as PyTorch's adaptive average pooling takes them.
    Mean,
    /// Linear between centres, as PyTorch's bilinear interpolation without aligned corners.
    Linear,
}

/// Rows of weights `[to, from]`.
fn weights(rule: Rule, from: usize, to: usize) -> Vec<f32> {
    let mut rows = vec![0.0_f32; from * to];
    for (at, row) in rows.chunks_exact_mut(from).enumerate() {
        match rule {
            Rule::Mean => {
                let (first, last) = (at * from / to, ((at + 1) * from).div_ceil(to));
                row[first..last].fill(1.0 / (last - first) as f32);
            }
            Rule::Linear => {
                let place = ((at as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
                let low = (place as usize).min(from - 1);
                let high = (low + 1).min(from - 1);
                let share = (place - low as f64) as f32;
                row[low] += 1.0 - share;
                row[high] += share;
            }
        }
    }
    rows
}

fn matrix(rule: Rule, from: usize, to: usize, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(weights(rule, from, to), [to, from]), device)
}

/// `[batch, channel, height, width]` → `[batch, channel, to, to]`.
pub(crate) fn resample(rule: Rule, x: Tensor<4>, to: [usize; 2]) -> Tensor<4> {
    let [batch, channel, height, width] = x.dims();
    if [height, width] == to {
        return x;
    }
    let device = x.device();
    let across = like(matrix(rule, width, to[1], &device).transpose(), &x);
    let down = like(matrix(rule, height, to[0], &device).transpose(), &x);
    // As one matrix each: with batch axes left in, Burn takes a product for each of them.
    let lines = x.reshape([batch * channel * height, width]).matmul(across);
    let columns = lines.reshape([batch * channel, height, to[1]]).swap_dims(1, 2);
    let columns = columns.reshape([batch * channel * to[1], height]).matmul(down);
    columns.reshape([batch * channel, to[1], to[0]]).swap_dims(1, 2).reshape([batch, channel, to[0], to[1]])
}

/// The nodes of [`resample`].
pub(crate) fn onnx(rule: Rule, graph: &mut Graph, x: &Value, from: [usize; 2], to: [usize; 2]) -> Value {
    if from == to {
        return x.clone();
    }
    let rows = weights(rule, from[1], to[1]);
    let turned: Vec<f32> = (0..from[1]).flat_map(|f| rows[f..].iter().step_by(from[1]).copied()).collect();
    let across = graph.floats("across", &turned, &[from[1], to[1]]);
    let down = graph.floats("down", &weights(rule, from[0], to[0]), &[to[0], from[0]]);
    let lines = graph.op("MatMul", &[x, &across], &[]);
    graph.op("MatMul", &[&down, &lines], &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_pytorch() {
        // torch.nn.functional.interpolate([0, 1, 2], size=5, mode='linear') and adaptive_avg_pool1d([0..5], 2).
        let line = |rule, values: &[f32], to| -> Vec<f32> {
            let rows = weights(rule, values.len(), to);
            rows.chunks_exact(values.len()).map(|row| row.iter().zip(values).map(|(w, v)| w * v).sum()).collect()
        };
        let near = |found: Vec<f32>, expected: &[f32]| {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}, expected {expected:?}");
        };
        near(line(Rule::Linear, &[0.0, 1.0, 2.0], 5), &[0.0, 0.4, 1.0, 1.6, 2.0]);
        near(line(Rule::Mean, &[0.0, 1.0, 2.0, 3.0, 4.0], 2), &[1.0, 3.0]);
        near(line(Rule::Mean, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], 4), &[0.5, 1.5, 3.5, 4.5]);
    }
}
