//! Bringing series features to the grid of the high-resolution features.
//!
//! Source: the official family's `up_head.py`: a 1 × 1 convolution and a pixel shuffle,
//! `out[c, y·r + i, x·r + j] = conv[c·r² + i·r + j, y, x]`.

use burn::module::{Initializer, Module, Param, ParamId};
use burn::tensor::{Device, Distribution, Tensor};
use serde::{Deserialize, Serialize};

use crate::fused;
use crate::onnx::{Attribute, Graph, Value};
use crate::precision::like;

/// Shape of an [`UpHead`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpHeadConfig {
    /// Channels of the series encoder.
    pub channels_in: usize,
    /// Channels of the last stage of the high-resolution encoder.
    pub channels_out: usize,
    /// How many times finer the output grid is.
    pub scale: usize,
}

/// Share of the variance in which the pixels of a patch differ at the start.
const APART: f64 = 0.1;

/// See the module.
#[derive(Module, Debug)]
pub struct UpHead {
    /// `[out · scale², in]`.
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    scale: usize,
}

impl UpHeadConfig {
    /// A head with fresh weights. The pixels of a patch start alike but for a tenth of their variance: drawn apart they
    /// lay a checkerboard over the features that short training does not remove (after Aitken et al., 2017,
    /// arXiv:1707.02937, who start them alike; the tenth is our choice).
    pub fn init(&self, device: &Device) -> UpHead {
        let (inner, pixels, outputs) = (self.channels_in, self.scale * self.scale, self.channels_out);
        let rows = outputs * pixels;
        let draw = move |device: &Device| {
            let part = |pixels: usize, share: f64| {
                let spread = Distribution::Normal(0.0, (share / inner as f64).sqrt());
                Tensor::<3>::random([outputs, pixels, inner], spread, device)
            };
            (part(1, 1.0 - APART) + part(pixels, APART)).reshape([rows, inner])
        };
        // Drawn when it is first used, as the weights of all other layers.
        let first = move |device: &Device, learns: bool| draw(device).set_require_grad(learns);
        UpHead {
            weight: Param::uninitialized(ParamId::new(), first, device.clone(), true, [rows, inner].into()),
            bias: Initializer::Zeros.init([rows], device),
            scale: self.scale,
        }
    }
}

impl UpHead {
    /// How many times finer the output grid is.
    pub fn scale(&self) -> usize {
        self.scale
    }

    /// Channels of the input.
    pub fn channels_in(&self) -> usize {
        self.weight.dims()[1]
    }

    /// Channels of the output.
    pub fn channels(&self) -> usize {
        self.bias.dims()[0] / (self.scale * self.scale)
    }

    /// `[batch, channel, height, width]` → `[batch, channel out, scale · height, scale · width]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channel, height, width] = x.dims();
        let r = self.scale;
        let out = self.weight.dims()[0] / (r * r);
        let rows = x.permute([0, 2, 3, 1]).reshape([batch * height * width, channel]);
        let (weight, bias) = (like(self.weight.val(), &rows), like(self.bias.val(), &rows));
        let rows = fused::linear(rows, weight, Some(bias));
        let split = rows.reshape([batch, height, width, out, r, r]).permute([0, 3, 1, 4, 2, 5]);
        split.reshape([batch, out, height * r, width * r])
    }

    /// The nodes of [`UpHead::forward`].
    pub(crate) fn onnx(&self, graph: &mut Graph, x: &Value) -> Value {
        let [rows, channel] = self.weight.dims();
        let weight = graph.parameter("decoder", self.weight.val().reshape([rows, channel, 1, 1]));
        let bias = graph.parameter("bias", self.bias.val());
        let map = graph.op("Conv", &[x, &weight, &bias], &[("kernel_shape", Attribute::Ints(vec![1, 1]))]);
        let shuffle = [("blocksize", Attribute::Int(self.scale as i64)), ("mode", Attribute::Text("CRD"))];
        graph.op("DepthToSpace", &[&map], &shuffle)
    }
}
