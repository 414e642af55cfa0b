//! A feature pyramid (Lin et al. 2017, arXiv:1612.03144, section 3).
//!
//! `P_n = out_n(L_n)` with `L_n = lateral_n(C_n) + double(L_{n+1})`: 1 × 1 convolutions bring the encoder's maps to the
//! same channels, coarser ones are doubled by copying and added, and a 3 × 3 convolution follows. Every second pixel of the
//! coarsest level makes one level more.

use burn::module::Module;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};

use super::conv::Conv;
use crate::onnx::{Attribute, Graph, Value};

/// See the module.
#[derive(Module, Debug)]
pub(super) struct Fpn {
    lateral: Vec<Conv>,
    out: Vec<Conv>,
}

impl Fpn {
    /// From maps with these channels to levels with `channels`.
    pub(super) fn new(inputs: &[usize], channels: usize, device: &Device) -> Self {
        // Glorot's uniform rule has this variance (mmdetection starts its pyramid so).
        let std = |input: usize, area: usize| (2.0 / (area * (input + channels)) as f64).sqrt();
        Self {
            lateral: inputs.iter().map(|&input| Conv::new([input, channels, 1], std(input, 1), device)).collect(),
            out: inputs.iter().map(|_| Conv::new([channels, channels, 3], std(channels, 9), device)).collect(),
        }
    }

    /// Maps, finest first, each of half the sides of the one before → as many levels and one more.
    pub(super) fn forward(&self, maps: Vec<Tensor<4>>) -> Vec<Tensor<4>> {
        let mut coarser: Option<Tensor<4>> = None;
        let mut levels = Vec::with_capacity(maps.len() + 1);
        for ((map, lateral), out) in maps.into_iter().zip(&self.lateral).zip(&self.out).rev() {
            let own = lateral.forward(map);
            let merged = match coarser.take() {
                Some(coarser) => own + doubled(coarser),
                None => own,
            };
            levels.push(out.forward(merged.clone()));
            coarser = Some(merged);
        }
        levels.reverse();
        if let Some(last) = levels.last() {
            levels.push(max_pool2d(last.clone(), MaxPoolOptions::new([1, 1]).with_stride([2, 2])));
        }
        levels
    }

    /// The nodes of [`Fpn::forward`]; `sizes` are those of the maps.
    pub(super) fn onnx(&self, graph: &mut Graph, maps: &[Value], sizes: &[[usize; 2]]) -> Vec<Value> {
        let mut coarser: Option<(Value, [usize; 2])> = None;
        let mut levels = Vec::with_capacity(maps.len() + 1);
        for (((map, size), lateral), out) in maps.iter().zip(sizes).zip(&self.lateral).zip(&self.out).rev() {
            let own = lateral.onnx(graph, map);
            let merged = match coarser.take() {
                Some((coarser, size)) => {
                    let coarser = graph.doubled(&coarser, size);
                    graph.op("Add", &[&own, &coarser], &[])
                }
                None => own,
            };
            levels.push(out.onnx(graph, &merged));
            coarser = Some((merged, *size));
        }
        levels.reverse();
        if let Some(last) = levels.last() {
            let every_second =
                [("kernel_shape", Attribute::Ints(vec![1, 1])), ("strides", Attribute::Ints(vec![2, 2]))];
            levels.push(graph.op("MaxPool", &[last], &every_second));
        }
        levels
    }
}

/// Each pixel as 2 × 2 of them.
fn doubled(x: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let cells = x.reshape([batch, channels, height, 1, width, 1]).expand([batch, channels, height, 2, width, 2]);
    cells.reshape([batch, channels, 2 * height, 2 * width])
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    #[test]
    fn pixels_are_doubled_in_place() {
        let x = Tensor::<4>::from_data(TensorData::new(vec![1.0, 2.0, 3.0, 4.0], [1, 1, 2, 2]), &Device::flex());
        let doubled: Vec<f32> = doubled(x).into_data().iter::<f32>().collect();
        assert_eq!(doubled, [1., 1., 2., 2., 1., 1., 2., 2., 3., 3., 4., 4., 3., 3., 4., 4.]);
    }

    #[test]
    fn levels_add_up_from_the_coarsest() {
        let device = Device::flex();
        let fpn = Fpn::new(&[2, 3], 4, &device);
        let map =
            |channels: usize, side: usize, value: f32| Tensor::<4>::full([1, channels, side, side], value, &device);
        let levels = fpn.forward(vec![map(2, 8, 1.0), map(3, 4, 0.0)]);
        let sizes: Vec<_> = levels.iter().map(Tensor::dims).collect();
        assert_eq!(sizes, [[1, 4, 8, 8], [1, 4, 4, 4], [1, 4, 2, 2]]);
        // The coarse map changes the fine level, and the fine map not the coarse one.
        let other = fpn.forward(vec![map(2, 8, 1.0), map(3, 4, 1.0)]);
        let apart = |level: usize, other: &[Tensor<4>]| {
            (levels[level].clone() - other[level].clone()).abs().max().into_scalar::<f32>()
        };
        assert!(apart(0, &other) > 1e-4 && apart(1, &other) > 1e-4);
        let other = fpn.forward(vec![map(2, 8, 2.0), map(3, 4, 0.0)]);
        assert!(apart(0, &other) > 1e-4 && apart(1, &other) == 0.0);
    }
}
