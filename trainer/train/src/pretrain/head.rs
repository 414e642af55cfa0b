//! The projection that features go through before they are compared, and that is thrown away after pretraining.
//!
//! DINO's: linear layers with GELU between them, a bottleneck, features of length 1, and a linear layer without bias whose
//! rows have length 1 (Caron et al., ICCV 2021, `DINOHead` with `norm_last_layer`). Ours: features are brought to mean 0
//! and deviation 1 before, because the series encoders and the fusion have no norm at their end.

use burn::module::{Initializer, Module, Param};
use burn::tensor::activation::gelu;
use burn::tensor::module::linear;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// Sizes of a projection head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadSizes {
    /// Width between layers. DINO: 2048.
    pub hidden: usize,
    /// Layers up to the bottleneck. DINO: 3.
    pub layers: usize,
    /// Width of the bottleneck. DINO: 256.
    pub bottleneck: usize,
    /// `K`, outputs. DINO: 65,536.
    pub outputs: usize,
}

/// Widths and outputs of a head, at most.
const MOST: usize = 1 << 20;

impl HeadSizes {
    pub(super) fn check(&self) -> Result<(), TrainError> {
        let sizes = [self.hidden, self.bottleneck, self.outputs];
        if sizes.into_iter().all(|size| (2..=MOST).contains(&size)) && (1..=16).contains(&self.layers) {
            return Ok(());
        }
        let expected = format!("1 to 16 layers, and sizes of 2 to {MOST}");
        Err(TrainError::Setting { setting: "heads", value: format!("{self:?}"), expected })
    }

    /// A head for features of so many channels.
    pub(super) fn init(&self, channels: usize, device: &Device) -> Head {
        let width = |layer: usize| if layer == self.layers { self.bottleneck } else { self.hidden };
        let input = |layer: usize| if layer == 0 { channels } else { self.hidden };
        let normal = |width: usize| Initializer::Normal { mean: 0.0, std: 1.0 / (width as f64).sqrt() };
        Head {
            layers: (0..self.layers).map(|layer| Dense::new(input(layer), width(layer + 1), device)).collect(),
            last: normal(self.bottleneck).init([self.outputs, self.bottleneck], device),
        }
    }

    /// Parameters of a head for features of so many channels.
    pub(super) fn parameters(&self, channels: usize) -> usize {
        let width = |layer: usize| if layer == self.layers { self.bottleneck } else { self.hidden };
        let input = |layer: usize| if layer == 0 { channels } else { self.hidden };
        let layers: usize = (0..self.layers).map(|layer| (input(layer) + 1) * width(layer + 1)).sum();
        layers + self.outputs * self.bottleneck
    }
}

/// See the module.
#[derive(Module, Debug)]
pub(super) struct Head {
    layers: Vec<Dense>,
    /// `[output, bottleneck]`.
    pub(super) last: Param<Tensor<2>>,
}

/// `y = x·Wᵀ + b`.
#[derive(Module, Debug)]
pub(super) struct Dense {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Dense {
    /// Weights of deviation `1 / √in`, biases at zero.
    pub(super) fn new(input: usize, output: usize, device: &Device) -> Self {
        let normal = Initializer::Normal { mean: 0.0, std: 1.0 / (input as f64).sqrt() };
        Self { weight: normal.init([output, input], device), bias: Initializer::Zeros.init([output], device) }
    }

    pub(super) fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        linear(rows, self.weight.val().transpose(), Some(self.bias.val()))
    }
}

impl Head {
    /// Features `[batch, feature, channel]` → `[batch, feature, output]`.
    pub(super) fn forward(&self, features: Tensor<3>) -> Tensor<3> {
        let [batch, feature, channel] = features.dims();
        let mut rows = standardised(features.reshape([batch * feature, channel]));
        for (index, layer) in self.layers.iter().enumerate() {
            rows = layer.forward(if index == 0 { rows } else { gelu(rows) });
        }
        let logits = unit(rows).matmul(unit(self.last.val()).transpose());
        let outputs = logits.dims()[1];
        logits.reshape([batch, feature, outputs])
    }
}

/// Rows of mean 0 and deviation 1.
fn standardised(rows: Tensor<2>) -> Tensor<2> {
    let centred = rows.clone() - rows.mean_dim(1);
    let deviation = (centred.clone().square().mean_dim(1) + 1e-6).sqrt();
    centred / deviation
}

/// Rows of length 1.
fn unit(rows: Tensor<2>) -> Tensor<2> {
    let lengths = (rows.clone().square().sum_dim(1) + 1e-12).sqrt();
    rows / lengths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::reference::{device, numbers, tensor3, values};

    const SIZES: HeadSizes = HeadSizes { hidden: 6, layers: 3, bottleneck: 4, outputs: 5 };

    #[test]
    fn outputs_are_cosines_whatever_the_size_of_the_features() {
        let head = SIZES.init(3, &device());
        let features = tensor3(&numbers(24, 3), [2, 4, 3]);
        let found = values(head.forward(features.clone()));
        assert_eq!(found.len(), 2 * 4 * 5);
        assert!(found.iter().all(|x| x.abs() <= 1.0 + 1e-5));
        let scaled = values(head.forward(features * 100.0 + 7.0));
        for (a, b) in found.iter().zip(scaled) {
            assert!((a - b).abs() < 1e-2, "{a} against {b}");
        }
    }

    #[test]
    fn parameters_are_counted() {
        let found = SIZES.init(3, &device()).num_params();
        assert_eq!(SIZES.parameters(3), found);
        assert_eq!(found, (3 + 1) * 6 + (6 + 1) * 6 + (6 + 1) * 4 + 5 * 4);
    }
}
