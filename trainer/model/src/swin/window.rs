//! Cutting a map into attention windows, shifted or not.

use burn::tensor::ops::PadMode;
use burn::tensor::{Tensor, TensorData};
use skysense_kernels::NOWHERE;

use crate::fused::{self, Places};
use crate::onnx::{Graph, Value};

/// Added to the logits of pairs whose tokens are neighbours only because the map was rolled.
const APART: f32 = -100.0;

/// How one map is cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    height: usize,
    width: usize,
    window: usize,
    shift: usize,
}

impl Windows {
    /// A map whose shorter side is one window is not shifted, even where the other side is longer, unless small
    /// maps are padded.
    pub(super) fn new([height, width]: [usize; 2], window: usize, shift: usize, pad_small_map: bool) -> Self {
        let shift = if height.min(width) == window && !pad_small_map { 0 } else { shift };
        Self { height, width, window, shift }
    }

    /// Windows in one map.
    pub(super) fn count(&self) -> usize {
        let [height, width] = self.padded();
        (height / self.window) * (width / self.window)
    }

    /// `[batch, height, width, channel]` → `[batch · window, token, channel]`, windows row by row.
    pub(super) fn split(&self, x: Tensor<4>) -> Tensor<3> {
        let [batch, _, _, channel] = x.dims();
        let ([height, width], w) = (self.padded(), self.window);
        let rows = x.clone().reshape([batch * self.height * self.width, channel]);
        if let Some(rows) = fused::moved(&rows, &self.places()) {
            return rows.reshape([batch * self.count(), w * w, channel]);
        }
        let (bottom, right) = (height - self.height, width - self.width);
        let x = if bottom + right > 0 {
            x.pad([(0, 0), (0, bottom), (0, right), (0, 0)], PadMode::Constant(0.0))
        } else {
            x
        };
        let x = roll(x, self.shift);
        let cut = x.reshape([batch, height / w, w, width / w, w, channel]).permute([0, 1, 3, 2, 4, 5]);
        cut.reshape([batch * self.count(), w * w, channel])
    }

    /// The inverse of [`Windows::split`].
    pub(super) fn join(&self, x: Tensor<3>) -> Tensor<4> {
        let [windows, _, channel] = x.dims();
        let ([height, width], w) = (self.padded(), self.window);
        let batch = windows / self.count();
        if let Some(rows) = fused::moved(&x.clone().reshape([windows * w * w, channel]), &self.places().inverse()) {
            return rows.reshape([batch, self.height, self.width, channel]);
        }
        let cut = x.reshape([batch, height / w, width / w, w, w, channel]).permute([0, 1, 3, 2, 4, 5]);
        let x = cut.reshape([batch, height, width, channel]);
        // Rolling the rest of the way round brings every token home.
        let x = if self.shift > 0 { roll_by(x, [height - self.shift, width - self.shift]) } else { x };
        x.narrow(1, 0, self.height).narrow(2, 0, self.width)
    }

    /// Where the tokens of a map go when it is cut; padding comes from nowhere.
    fn places(&self) -> Places {
        let ([height, width], w) = (self.padded(), self.window);
        let mut from = Vec::with_capacity(height * width);
        let mut to = vec![NOWHERE; self.height * self.width];
        for (top, left) in (0..height).step_by(w).flat_map(|top| (0..width).step_by(w).map(move |left| (top, left))) {
            for (row, column) in (0..w * w).map(|token| (top + token / w, left + token % w)) {
                let (row, column) = ((row + self.shift) % height, (column + self.shift) % width);
                if row < self.height && column < self.width {
                    let place = row * self.width + column;
                    to[place] = from.len() as u32;
                    from.push(place as u32);
                } else {
                    from.push(NOWHERE);
                }
            }
        }
        Places { from, to }
    }

    /// `[window, token, token]`: 0 for pairs that may see each other, [`APART`] for others; `None` without a shift.
    pub(super) fn mask(&self) -> Option<(Vec<f32>, [usize; 3])> {
        if self.shift == 0 {
            return None;
        }
        let ([height, width], w) = (self.padded(), self.window);
        let band = |position: usize, side: usize| {
            if position < side - w {
                0
            } else if position < side - self.shift {
                1
            } else {
                2
            }
        };
        let tokens = w * w;
        let mut mask = Vec::with_capacity(self.count() * tokens * tokens);
        for top in (0..height).step_by(w) {
            for left in (0..width).step_by(w) {
                let region: Vec<usize> = (0..tokens)
                    .map(|token| band(top + token / w, height) * 3 + band(left + token % w, width))
                    .collect();
                for a in &region {
                    mask.extend(region.iter().map(|b| if a == b { 0.0 } else { APART }));
                }
            }
        }
        Some((mask, [self.count(), tokens, tokens]))
    }

    /// The mask as a tensor.
    pub(super) fn mask_tensor(&self, device: &burn::tensor::Device) -> Option<Tensor<3>> {
        self.mask().map(|(values, shape)| Tensor::from_data(TensorData::new(values, shape), device))
    }

    /// The nodes of [`Windows::split`].
    pub(super) fn split_onnx(&self, graph: &mut Graph, x: &Value, channels: usize) -> Value {
        let ([height, width], w) = (self.padded(), self.window as i64);
        let (bottom, right) = ((height - self.height) as i64, (width - self.width) as i64);
        let x = if bottom + right > 0 { graph.pad(x, &[0, 0, 0, 0, 0, bottom, right, 0]) } else { x.clone() };
        let x = roll_onnx(graph, &x, [self.shift, self.shift]);
        let (rows, columns) = (height as i64 / w, width as i64 / w);
        let cut = graph.reshape(&x, &[-1, rows, w, columns, w, channels as i64]);
        let cut = graph.permute(&cut, &[0, 1, 3, 2, 4, 5]);
        graph.reshape(&cut, &[-1, w * w, channels as i64])
    }

    /// The nodes of [`Windows::join`].
    pub(super) fn join_onnx(&self, graph: &mut Graph, x: &Value, channels: usize) -> Value {
        let ([height, width], w) = (self.padded(), self.window as i64);
        let (rows, columns) = (height as i64 / w, width as i64 / w);
        let cut = graph.reshape(x, &[-1, rows, columns, w, w, channels as i64]);
        let cut = graph.permute(&cut, &[0, 1, 3, 2, 4, 5]);
        let mut x = graph.reshape(&cut, &[-1, height as i64, width as i64, channels as i64]);
        if self.shift > 0 {
            x = roll_onnx(graph, &x, [height - self.shift, width - self.shift]);
        }
        if height > self.height {
            x = graph.slice(&x, 1, 0, self.height as i64);
        }
        if width > self.width {
            x = graph.slice(&x, 2, 0, self.width as i64);
        }
        x
    }

    fn padded(&self) -> [usize; 2] {
        [self.height.next_multiple_of(self.window), self.width.next_multiple_of(self.window)]
    }
}

fn roll(x: Tensor<4>, shift: usize) -> Tensor<4> {
    if shift == 0 { x } else { roll_by(x, [shift, shift]) }
}

/// Rows and columns move up and left by `amounts`; what falls off comes back at the other end.
fn roll_by(x: Tensor<4>, amounts: [usize; 2]) -> Tensor<4> {
    let mut x = x;
    for (axis, amount) in [(1, amounts[0]), (2, amounts[1])] {
        let side = x.dims()[axis];
        let (head, tail) = (x.clone().narrow(axis, 0, amount), x.narrow(axis, amount, side - amount));
        x = Tensor::cat(vec![tail, head], axis);
    }
    x
}

fn roll_onnx(graph: &mut Graph, x: &Value, amounts: [usize; 2]) -> Value {
    let mut x = x.clone();
    for (axis, amount) in [(1, amounts[0] as i64), (2, amounts[1] as i64)] {
        if amount > 0 {
            let (head, tail) = (graph.slice(&x, axis, 0, amount), graph.slice(&x, axis, amount, i64::MAX));
            x = graph.concat(&[&tail, &head], axis);
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn joining_undoes_splitting() {
        let device = Device::default();
        for (size, window, shift) in [([8, 8], 4, 2), ([9, 6], 4, 2), ([4, 12], 4, 2), ([5, 5], 3, 1)] {
            let windows = Windows::new(size, window, shift, false);
            let values: Vec<f32> = (0..size[0] * size[1] * 2).map(|v| v as f32).collect();
            let x = Tensor::<4>::from_data(TensorData::new(values.clone(), [1, size[0], size[1], 2]), &device);
            let back: Vec<f32> = windows.join(windows.split(x)).into_data().iter::<f32>().collect();
            assert_eq!(back, values, "{size:?} window {window} shift {shift}");
        }
    }

    #[test]
    fn a_side_of_one_window_is_not_shifted() {
        assert!(Windows::new([4, 12], 4, 2, false).mask().is_none());
        assert!(Windows::new([4, 12], 4, 2, true).mask().is_some());
    }
}
